"""Descriptions of one person, taken from released rows: what they say, and how many people of a table they match. Knows no attack.

A condition is of one column: a level, a number or a band of numbers, or that the cell is empty. A predicate is several of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.prepared import Feature, Sample

Rows = npt.NDArray[np.int64]
BAND = 0.025  # half the width of a band, as a share of the release's middle 90 %
TAILS = (0.05, 0.95)  # beyond these quantiles a condition is "at least" or "at most"


@dataclass(frozen=True)
class Condition:
    """A column's cell is missing (`mark`), holds a level, or lies from `low` to `high`."""

    column: str
    mark: int | None = None
    level: int | None = None
    low: float = -np.inf
    high: float = np.inf

    def narrow(self, sample: Sample, rows: Rows | None) -> Rows:
        """Those of the rows that meet it, int64; all rows are asked where none are given."""
        if self.mark is not None:
            meets = self._asked(sample.marks[self.column], rows) == self.mark
        elif self.level is not None:
            meets = self._asked(sample.values[self.column], rows) == self.level
        else:
            values = self._asked(sample.values[self.column], rows)
            with np.errstate(invalid="ignore"):
                meets = (values >= self.low) & (values <= self.high)
        found = np.flatnonzero(meets)
        return found if rows is None else rows[found]

    @staticmethod
    def _asked(values: npt.NDArray[Any], rows: Rows | None) -> npt.NDArray[Any]:
        return values if rows is None else values[rows]


@dataclass(frozen=True)
class Scale:
    """How one column is spread in the release.

    Attributes
    ----------
    low, high : where the tails of numbers begin.
    half : half the width of a band.
    ordered : the numbers in order, or how often each level occurs.
    """

    low: float
    high: float
    half: float
    ordered: npt.NDArray[Any]

    @classmethod
    def of(cls, release: Sample, feature: Feature) -> Scale:
        """From the values that there are."""
        values = release.values[feature.name]
        if not feature.is_number:
            return cls(0.0, 0.0, 0.0, np.bincount(values[values >= 0], minlength=len(feature.levels or ()) + 1))
        values = np.sort(values[~np.isnan(values)])
        if not len(values):
            return cls(-np.inf, np.inf, 0.0, values)
        low, high = (float(end) for end in np.quantile(values, TAILS))
        return cls(low, high, BAND * (high - low), values)

    def count(self, part: Condition) -> int:
        """How many released rows meet a condition that is not about a missing cell."""
        if part.level is not None:
            return int(self.ordered[part.level])
        return int(np.searchsorted(self.ordered, part.high, "right") - np.searchsorted(self.ordered, part.low, "left"))


def condition(release: Sample, row: int, feature: Feature, scales: Mapping[str, Scale]) -> Condition:
    """What a released row says of one column: its level, a band around its number, a half-line in the tails, or that it is empty."""
    name = feature.name
    mark = int(release.marks[name][row])
    if mark:
        return Condition(name, mark=mark)
    if not feature.is_number:
        return Condition(name, level=int(release.values[name][row]))
    value, scale = float(release.values[name][row]), scales[name]
    if value >= scale.high and value > scale.low:
        return Condition(name, low=value)
    if value <= scale.low and value < scale.high:
        return Condition(name, high=value)
    return Condition(name, low=value - scale.half, high=value + scale.half)


def rarest_first(conditions: Sequence[Condition], scales: Mapping[str, Scale], n_rows: int) -> tuple[Condition, ...]:
    """The conditions in the order in which they are asked quickest; about missing cells come last."""
    counts = [n_rows if part.mark is not None else scales[part.column].count(part) for part in conditions]
    return tuple(conditions[i] for i in np.argsort(counts, kind="stable"))


def matching(conditions: Sequence[Condition], sample: Sample) -> Rows:
    """The rows that meet all conditions, asked in the order given: the rarest first is quickest."""
    rows: Rows | None = None
    for part in conditions:
        rows = part.narrow(sample, rows)
        if not len(rows):
            break
    return np.arange(len(sample)) if rows is None else rows


def lone_patient(conditions: Sequence[Condition], sample: Sample) -> int:
    """The one patient of whom rows match, -1 where there is none or more than one."""
    found = sample.records[matching(conditions, sample)]
    return int(found[0]) if len(found) and (found == found[0]).all() else -1
