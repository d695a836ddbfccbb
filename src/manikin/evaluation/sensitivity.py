"""What drives a generator: how far each column moves when another is held at one value after another. Knows no model: it asks for rows.

The generator is asked, not looked into, so that the figures are of what it releases and every model that conditions is asked alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.schema import TableSchema
from manikin.data.seeds import derive
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.definition import Interval, clean
from manikin.evaluation.intervals import N_GROUPS, replicate_interval, with_replicates
from manikin.evaluation.pairs import N_BINS
from manikin.evaluation.prepared import Feature, Prepared, Sample, prepare

Draw = Callable[[int, int, Mapping[str, Any] | None], Dataset]  # (rows, seed, conditions) -> rows
Floats = npt.NDArray[np.float64]
MAX_LEVELS = 8  # most frequent levels that a column is held at
DECILES = tuple(i / 10 for i in range(1, 10))
LEAST_SHARE = 0.01  # of a level, to be held at


@dataclass(frozen=True)
class Drive:
    """How far one column moves another.

    Attributes
    ----------
    effect : mean total variation between the column's distribution under each value and under all of them together, in [0, 1].
    interval : its 95 % interval over draws of rows.
    null : the same between two draws under the same value, by other seeds: what is noise.
    excess : effect less null, with its own interval: both rest on the same rows, so it is surer than either.
    explained : share of the variance that the values explain (correlation ratio of a number, Goodman and Kruskal's tau of levels).
    shift : largest less smallest mean over the values, in standard deviations; None for levels.
    """

    condition: str
    output: str
    effect: float
    interval: Interval
    null: float
    excess: float
    excess_interval: Interval
    explained: float
    shift: float | None

    @property
    def is_sure(self) -> bool:
        """Whether the effect lies above the noise, by twice its interval's half width, since there are many pairs to be wrong about."""
        return self.excess - 2 * (self.excess - self.excess_interval[0]) > 1e-9


def held_at(sample: Sample, feature: Feature) -> tuple[list[Any], Floats]:
    """The values that a column is held at and their weights, which sum to 1: frequent levels, or deciles of a number, each once."""
    values = sample.values[feature.name]
    if feature.levels is None:
        present = values[~np.isnan(values)]
        if not len(present):
            return [], np.empty(0)
        deciles = np.quantile(present, DECILES, method="inverted_cdf")  # values that occur, rounded as the column is
        found, counts = np.unique(deciles, return_counts=True)
        return [float(value) for value in found], counts / counts.sum()
    counts = np.bincount(values[values >= 0], minlength=len(feature.levels))
    chosen = [int(i) for i in np.argsort(-counts, kind="stable")[:MAX_LEVELS] if counts[i] > LEAST_SHARE * len(values)]
    total = max(int(counts[chosen].sum()), 1)
    return [feature.levels[i] for i in chosen], counts[chosen] / total


def sensitivity(
    draw: Draw,
    schema: TableSchema,
    conditions: Sequence[str],
    *,
    n: int,
    seed: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Drive]:
    """How far each condition moves each other column.

    A condition is held at its frequent levels, or at the deciles of a number, as the generator itself spreads them; under each value
    `n` rows are drawn, with the same seed for all values and once more with another. Numbers are compared in the ten quantile bins of
    rows drawn freely; missing cells are a level. First order only: what two conditions do together is not looked at.

    Parameters
    ----------
    draw : asks the generator for rows under a condition, or freely.
    schema : of its rows.
    conditions : columns to hold; dates cannot be held and are left out, as are columns with a single value.
    n : rows under each value, at least 40.

    Returns
    -------
    One entry for each condition and each other column, in schema order.
    """
    free = draw(max(n, 1_000), derive(seed, "explain", "free"), None)
    base = prepare(EvaluationData(free, free, (free,), schema))
    seeds = [derive(seed, "explain", which) for which in ("first", "second")]
    made: list[Drive] = []
    for step, name in enumerate(conditions):
        if progress is not None:
            progress(name, step, len(conditions))
        held = next((feature for feature in base.features if feature.name == name), None)
        values, weights = ([], np.empty(0)) if held is None or held.column.kind.is_time else held_at(base.real, held)
        if len(values) < 2:
            continue
        drawn = [[draw(n, one, {name: _native(value)}) for value in values] for one in seeds]
        made += _drives(base, schema, name, drawn, weights)
    if progress is not None:
        progress("done", len(conditions), len(conditions))
    return made


def document(drives: Sequence[Drive]) -> list[dict[str, Any]]:
    """The same as JSON-able values."""
    return [clean({**vars(drive), "is_sure": drive.is_sure}) for drive in drives]


def _drives(base: Prepared, schema: TableSchema, name: str, drawn: list[list[Dataset]], weights: Floats) -> list[Drive]:
    """One condition's effect on every other column."""
    samples = [[prepare(EvaluationData(part, base.train, (part,), schema)) for part in parts] for parts in drawn]
    made = []
    for feature in base.features:
        if feature.name == name:
            continue
        counts = [np.stack([_counts(base, part, feature) for part in parts], axis=1) for parts in samples]
        shares = [_normal(count) for count in counts]  # each (N_REPLICATES + 1, n_values, n_cells)
        mixed = np.einsum("rvc,v->rc", shares[1], weights)
        effect = np.abs(shares[0] - mixed[:, None, :]).sum(axis=2) @ weights / 2
        null = np.abs(shares[0] - shares[1]).sum(axis=2) @ weights / 2
        explained, shift = _moments(base, samples[0], feature, shares[0][0], weights)
        made.append(
            Drive(
                name,
                feature.name,
                float(effect[0]),
                replicate_interval(effect, low=0.0, high=1.0),
                float(null[0]),
                float(effect[0] - null[0]),
                replicate_interval(effect - null),
                explained,
                shift,
            )
        )
    return made


def _counts(base: Prepared, part: Prepared, feature: Feature) -> Floats:
    """Rows in each cell (bin or level, and missing), on all rows and on each replicate, (N_REPLICATES + 1, n_cells)."""
    codes, n_cells = _codes(base, part, feature)
    groups = np.arange(len(codes)) % N_GROUPS
    return with_replicates(np.bincount(groups * n_cells + codes, minlength=N_GROUPS * n_cells).reshape(N_GROUPS, n_cells))


def _codes(base: Prepared, part: Prepared, feature: Feature) -> tuple[npt.NDArray[np.int64], int]:
    values, marks = part.real.values[feature.name], part.real.marks[feature.name]
    if feature.levels is None:
        known = base.real.values[feature.name]
        present = known[~np.isnan(known)]
        edges = np.unique(np.quantile(present, np.arange(1, N_BINS) / N_BINS)) if len(present) else np.empty(0)
        codes = np.searchsorted(edges, np.nan_to_num(values), side="left")
        return np.where(marks > 0, len(edges) + 1, codes).astype(np.int64), len(edges) + 2
    own = next(other for other in part.features if other.name == feature.name).levels or ()
    place = {level: i for i, level in enumerate(feature.levels)}
    lookup = np.array([place.get(level, len(place)) for level in own] + [len(place) + 1], dtype=np.int64)
    return lookup[values], len(place) + 2  # levels that rows drawn freely lack share a cell; the last one is for missing cells


def _normal(counts: Floats) -> Floats:
    return np.asarray(counts / np.maximum(counts.sum(axis=2, keepdims=True), 1))


def _moments(
    base: Prepared, parts: Sequence[Prepared], feature: Feature, shares: Floats, weights: Floats
) -> tuple[float, float | None]:
    """Share of variance explained, in [0, 1], and for numbers the largest difference of means in standard deviations."""
    if feature.levels is not None:
        mixed = weights @ shares
        room = 1 - float((mixed**2).sum())
        return (float((weights @ (shares - mixed) ** 2).sum()) / room if room > 1e-12 else 0.0), None
    columns = [part.real.values[feature.name] for part in parts]
    columns = [column[~np.isnan(column)] for column in columns]
    kept = [i for i, column in enumerate(columns) if len(column)]
    if len(kept) < 2:
        return 0.0, 0.0
    share = weights[kept] / weights[kept].sum()
    means = np.array([columns[i].mean() for i in kept])
    between = float(share @ (means - share @ means) ** 2)
    whole = between + float(share @ np.array([columns[i].var() for i in kept]))
    free = base.real.values[feature.name]
    spread = float(np.nanstd(free))
    shift = float(means.max() - means.min()) / spread if spread > 0 else 0.0
    return (between / whole if whole > 0 else 0.0), shift


def _native(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
