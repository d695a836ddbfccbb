"""One embedding of rows for every metric that needs a distance. Knows no metric; `neighbours` searches it.

Squared distance is a Gower-like sum: a number adds the squared difference of its quantiles in train (0 … 1), a discrete column adds 1
where levels differ, a cell that is missing on one side only adds 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.evaluation.prepared import Feature, Prepared, Sample

Points = npt.NDArray[np.float32]
MAX_LEVELS = 32  # one-hot columns per discrete column: its most frequent levels in train; the others share one
MAX_COLUMNS = 1_024  # one-hot columns in all; with more the cap per column shrinks
N_QUANTILES = 256


@dataclass(frozen=True)
class Embedding:
    """How rows become points; fitted on train alone.

    Attributes
    ----------
    knots : per number column, values and the quantiles they stand at; empty for discrete columns.
    kept : per discrete column, its level numbers that have a dimension of their own.
    """

    features: tuple[Feature, ...]
    knots: tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], ...]
    kept: tuple[npt.NDArray[np.int64], ...]

    @classmethod
    def fit(cls, features: Sequence[Feature], real: Sample) -> Embedding:
        """Learns quantiles and frequent levels."""
        n_discrete = sum(not feature.is_number for feature in features)
        cap = max(2, min(MAX_LEVELS, MAX_COLUMNS // max(n_discrete, 1)))
        knots, kept = [], []
        for feature in features:
            values = real.values[feature.name]
            if feature.is_number:
                knots.append(_quantiles(values[~np.isnan(values)]))
                kept.append(np.empty(0, dtype=np.int64))
            else:
                frequency = np.bincount(values[values >= 0], minlength=len(feature.levels or ()))
                order = np.argsort(-frequency, kind="stable")[:cap]
                knots.append((np.empty(0), np.empty(0)))
                kept.append(order[frequency[order] > 0].astype(np.int64))
        return cls(tuple(features), tuple(knots), tuple(kept))

    def of(self, chosen: Sequence[Feature]) -> Embedding:
        """The part that speaks of some columns only."""
        places = [i for i, feature in enumerate(self.features) if feature in chosen]
        return Embedding(
            tuple(self.features[i] for i in places), tuple(self.knots[i] for i in places), tuple(self.kept[i] for i in places)
        )

    def points(self, sample: Sample) -> Points:
        """The rows as float32 (n_rows, n_dimensions)."""
        blocks = []
        for feature, knots, kept in zip(self.features, self.knots, self.kept, strict=True):
            values, is_missing = sample.values[feature.name], sample.marks[feature.name] > 0
            if feature.is_number:
                blocks.append(_number_block(values, is_missing, knots))
            else:
                blocks.append(_level_block(values, is_missing, kept, len(feature.levels or ())))
        return np.hstack(blocks) if blocks else np.empty((len(sample), 0), dtype=np.float32)


def embedding(data: Prepared) -> Embedding:
    """The one embedding of an evaluation, fitted once."""
    if "embedding" not in data.memory:
        data.memory["embedding"] = Embedding.fit(data.features, data.real)
    made: Embedding = data.memory["embedding"]
    return made


def entropy(sample: Sample, feature: Feature) -> float:
    """How much a column tells rows apart, in nats; a missing cell counts as a value."""
    cells = np.where(sample.marks[feature.name] > 0, np.nan, sample.values[feature.name].astype(float))
    shares = np.unique(cells, return_counts=True)[1] / max(len(sample), 1)
    return float(-(shares * np.log(shares)).sum())


def _quantiles(present: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Up to 256 values of train with their mid-quantiles; ties (spikes) stand in the middle of their run."""
    if not len(present):
        return np.zeros(1), np.full(1, 0.5)
    ordered = np.sort(present)
    grid = np.unique(ordered[np.linspace(0, len(ordered) - 1, N_QUANTILES).astype(int)])
    below, upto = np.searchsorted(ordered, grid, "left"), np.searchsorted(ordered, grid, "right")
    return grid, (below + upto) / (2 * len(ordered))


def _number_block(
    values: npt.NDArray[np.float64],
    is_missing: npt.NDArray[np.bool_],
    knots: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
) -> Points:
    """Quantile in train (values beyond its range stand at its ends; missing ones in the middle), and whether it is missing."""
    place = np.interp(np.where(is_missing, knots[0][0], values), *knots)
    return np.column_stack([np.where(is_missing, 0.5, place), is_missing]).astype(np.float32)


def _level_block(
    codes: npt.NDArray[np.int32], is_missing: npt.NDArray[np.bool_], kept: npt.NDArray[np.int64], n_levels: int
) -> Points:
    """One-hot over kept levels, all others, missing; scaled so that two different ones are at distance 1."""
    position = np.full(n_levels + 1, len(kept), dtype=np.int64)
    position[kept] = np.arange(len(kept))
    at = np.where(is_missing, len(kept) + 1, position[codes])
    block = np.zeros((len(codes), len(kept) + 2), dtype=np.float32)
    block[np.arange(len(codes)), at] = np.sqrt(0.5)
    return block
