"""Which groups of patients a release is looked at by: levels and bands of quasi-identifiers and sensitive columns, and two of them at once.

Knows no metric. A group that fewer train patients hold than the schema's threshold is never formed, so that none is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.evaluation.prepared import Feature, Prepared, Sample

Mask = npt.NDArray[np.bool_]
MAX_COLUMNS = 6
MAX_LEVELS = 12  # most frequent levels of one column that are groups
MAX_GROUPS = 120
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # the ends of number bands: the tails are where people are forgotten
NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Part:
    """One column's part of a group: a level number, or numbers above `low` up to `high`; neither for cells without a value."""

    column: str
    label: str
    code: int | None = None
    low: float | None = None
    high: float | None = None

    def holds(self, sample: Sample) -> Mask:
        """Which rows belong, bool (n_rows,)."""
        values = sample.values[self.column]
        if self.code is not None:
            return np.asarray(values == self.code)
        if self.low is None or self.high is None:
            return np.asarray(sample.marks[self.column] > 0)
        with np.errstate(invalid="ignore"):
            return np.asarray((values > self.low) & (values <= self.high))


@dataclass(frozen=True)
class Group:
    """Rows that share one or two traits; `n_patients` of train hold them."""

    parts: tuple[Part, ...]
    n_patients: int = 0

    @property
    def name(self) -> str:
        """The traits in words, such as "sex F, age above 75"."""
        return ", ".join(f"{part.column} {part.label}" for part in self.parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the traits are of."""
        return tuple(part.column for part in self.parts)

    def holds(self, sample: Sample) -> Mask:
        """Which rows belong, bool (n_rows,)."""
        return np.asarray(np.logical_and.reduce([part.holds(sample) for part in self.parts]))


def groups(data: Prepared) -> tuple[Group, ...]:
    """Single traits in schema order, then two at once, those of most train patients first; at most 120, found once."""
    if "groups" not in data.memory:
        chosen = [f for f in data.features if _is_asked(f)][:MAX_COLUMNS]
        by_column = [_parts(data, feature) for feature in chosen]
        singles = _large_enough(data, [(part,) for parts in by_column for part in parts])
        traits = [{group.parts[0] for group in singles if group.columns == (feature.name,)} for feature in chosen]
        kept = [[part for part in parts if part in known] for parts, known in zip(by_column, traits, strict=True)]
        crossed = [(a, b) for first, second in combinations(kept, 2) for a in first for b in second]
        both = sorted(_large_enough(data, crossed), key=lambda group: -group.n_patients)
        data.memory["groups"] = (*singles, *both)[:MAX_GROUPS]
    made: tuple[Group, ...] = data.memory["groups"]
    return made


def traits(data: Prepared, features: Sequence[Feature]) -> tuple[Group, ...]:
    """Single traits of any columns, in their order, that enough train patients hold."""
    return tuple(_large_enough(data, [(part,) for feature in features for part in _parts(data, feature)]))


def _is_asked(feature: Feature) -> bool:
    roles = feature.column.roles
    return (Role.QUASI_IDENTIFIER in roles or Role.SENSITIVE in roles) and not feature.column.kind.is_time


def _parts(data: Prepared, feature: Feature) -> list[Part]:
    """The levels of a column, or the bands of a number, and its cells without a value."""
    name, values = feature.name, data.real.values[feature.name]
    missing = [Part(name, NOT_RECORDED)]
    if not feature.is_number:
        counts = np.bincount(values[values >= 0], minlength=len(feature.levels or ()))
        order = [int(i) for i in np.argsort(-counts, kind="stable")[:MAX_LEVELS] if counts[i]]
        return [Part(name, (feature.levels or ())[i], code=i) for i in order] + missing
    if np.isnan(values).all():
        return missing
    edges = _edges(data.real, feature, max(data.schema.min_patients, data.schema.threshold(feature.column)))
    ends = np.concatenate([[-np.inf], edges, [np.inf]])
    return [Part(name, _band(low, high), low=float(low), high=float(high)) for low, high in pairwise(ends)] + missing


def _edges(real: Sample, feature: Feature, least: int) -> npt.NDArray[np.float64]:
    """Where bands end, ascending: at a number's values that `least` patients hold, where it has few values; else at rounded quantiles."""
    values = real.values[feature.name]
    is_there = ~np.isnan(values)
    single, place = np.unique(values[is_there], return_inverse=True)
    if len(single) <= len(QUANTILES) + 1:
        holders = np.unique(np.stack([place.reshape(-1), real.records[is_there]]), axis=1)[0]
        return np.asarray(single[:-1][np.bincount(holders, minlength=len(single))[:-1] >= least])
    ends = np.quantile(values[is_there], QUANTILES)
    return np.unique([_rounded(float(edge), float(ends[-1] - ends[0])) for edge in ends])


def _rounded(edge: float, spread: float) -> float:
    """To two digits, or to a tenth of the spread and finer where that is less: years of birth would all be 2000.

    >>> _rounded(0.5312, 70.0), _rounded(1953.25, 45.0), _rounded(74.8, 69.0)
    (0.53, 1953.0, 75.0)
    """
    plain = float(f"{edge:.2g}")
    if edge == 0 or not (np.isfinite(spread) and spread > 0):
        return plain
    unit = int(np.floor(np.log10(spread / 10)))
    return round(edge, -unit) if unit < int(np.floor(np.log10(abs(edge)))) - 1 else plain


def _band(low: float, high: float) -> str:
    if np.isinf(low):
        return "of any value" if np.isinf(high) else f"up to {high:.10g}"
    return f"above {low:.10g}" if np.isinf(high) else f"above {low:.10g} to {high:.10g}"


def _large_enough(data: Prepared, candidates: Sequence[tuple[Part, ...]]) -> list[Group]:
    """The candidates that enough train patients hold to be named, and not all of them."""
    made, real = [], data.real
    masks = {part: part.holds(real) for parts in candidates for part in parts}
    for parts in candidates:
        rows = np.logical_and.reduce([masks[part] for part in parts])
        n_patients = len(np.unique(real.records[rows])) if real.has_patients else int(rows.sum())
        least = max([data.schema.min_patients, *(data.schema.threshold(data.schema[part.column]) for part in parts)])
        if least <= n_patients and int(rows.sum()) < len(real):
            made.append(replace(Group(parts), n_patients=n_patients))
    return made
