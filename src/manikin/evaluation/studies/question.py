"""What a study asks: which rows are positive, and which group each row belongs to. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.prepared import Feature, Sample

MISSING = "(missing)"
N_BANDS = 4


@dataclass(frozen=True)
class Question:
    """A binary outcome and the groups that it is looked at in.

    Attributes
    ----------
    target, positive : the column and its level that is to be found.
    groups : columns whose groups are measured apart.
    balance : discrete columns in whose groups the rarer class is raised; none raises it over all rows.
    edges : for number columns among `groups`, where their bands begin (the first band has no lower edge).
    """

    target: str
    positive: str
    groups: tuple[str, ...] = ()
    balance: tuple[str, ...] = ()
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def inputs(self, features: Sequence[Feature]) -> tuple[Feature, ...]:
        """What a model may look at: every column but the target, the groups' columns among them."""
        return tuple(feature for feature in features if feature.name != self.target)

    def is_positive(self, features: Sequence[Feature], sample: Sample) -> npt.NDArray[np.bool_]:
        """Which rows are positive, bool (n_rows,)."""
        levels = _named(features, self.target).levels or ()
        place = levels.index(self.positive) if self.positive in levels else -2
        return np.asarray(sample.values[self.target] == place)

    def labels(self, features: Sequence[Feature], sample: Sample, name: str) -> npt.NDArray[Any]:
        """The group of each row, object (n_rows,): the level's text, or the band of a number."""
        feature, values = _named(features, name), sample.values[name]
        if feature.levels is not None:
            return np.array([*feature.levels, MISSING], dtype=object)[values]
        edges = self.edges[name]
        bands = band_names(edges)
        labels = np.array(bands, dtype=object)[np.searchsorted(edges, np.where(np.isnan(values), 0.0, values), side="right")]
        labels[np.isnan(values)] = MISSING
        return labels


def band_edges(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Quartiles of a column, doubles removed, as the lower edges of all bands but the first; rounded to three digits."""
    quantiles = np.quantile(values[~np.isnan(values)], np.arange(1, N_BANDS) / N_BANDS)
    return tuple(sorted({float(f"{edge:.3g}") for edge in quantiles}))


def band_names(edges: Sequence[float]) -> list[str]:
    """What bands are called.

    >>> band_names((50.0, 65.0))
    ['below 50', '50 to 65', '65 and above']
    """
    if not edges:
        return ["all"]
    inner = [f"{a:g} to {b:g}" for a, b in pairwise(edges)]
    return [f"below {edges[0]:g}", *inner, f"{edges[-1]:g} and above"]


def _named(features: Sequence[Feature], name: str) -> Feature:
    return next(feature for feature in features if feature.name == name)
