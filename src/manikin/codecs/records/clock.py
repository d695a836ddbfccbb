"""The time of linked patients as whole ticks, and how gaps add up to it. Knows no tables.

A *gap* leads from one event of a patient to the next in units of the table that the next event is of (days for a table of dates, seconds
for one of times): no gap leaves the time where it is, g units lead to the g-th grid point behind it. So times never fall, a table of
dates needs no hours, and every grid is met exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.numbers import MICROSECONDS
from manikin.data.schema import Column

Ticks = npt.NDArray[np.int64]
NEVER = np.iinfo(np.int64).min // 4  # the ticks of a cell without a time
MOST_DECIMALS = 6
_DAYS = {"second": 1 / 86_400, "minute": 1 / 1_440, "hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.436875, "year": 365.2425}
_SHORT = {"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}


@dataclass(frozen=True)
class Clock:
    """How times are told.

    Attributes
    ----------
    is_calendar : whether times are dates (a tick is a microsecond) or numbers (a tick is 10 ** -decimals).
    decimals : of a clock of numbers; 0 for a calendar.
    anchor_unit : ticks; the anchor lies on this grid: a day of a calendar, the coarsest unit of any table for numbers.
    days_per_tick : what a tick is in days; the unit of a clock of numbers is taken for a day unless its column names another.
    """

    is_calendar: bool
    decimals: int
    anchor_unit: int
    days_per_tick: float

    def ticks(self, cells: pd.Series) -> Ticks:
        """A column of times as ticks, int64 (n_rows,); `NEVER` where there is none."""
        if self.is_calendar:
            times = cells.to_numpy(dtype="datetime64[us]")
            return np.where(np.isnat(times), NEVER, times.astype(np.int64))
        numbers = cells.to_numpy(dtype=float)
        there = np.isfinite(numbers)
        return np.where(there, np.round(np.where(there, numbers, 0) * 10.0**self.decimals), NEVER).astype(np.int64)

    def cells(self, ticks: Ticks) -> npt.NDArray[np.datetime64] | npt.NDArray[np.float64]:
        """Back to the cells of a column: datetime64[us] or float64, NaT or NaN for `NEVER`."""
        if self.is_calendar:
            times = ticks.astype("datetime64[us]")
            times[ticks == NEVER] = np.datetime64("NaT", "us")
            return times
        return np.where(ticks == NEVER, np.nan, np.round(ticks / 10.0**self.decimals, self.decimals))


def calendar_unit(ticks: Ticks) -> int:
    """The coarsest of day, hour, minute, second and microsecond on whose grid all times lie, in ticks; a day where there is none."""
    there = ticks[ticks != NEVER]
    return next(size for size in MICROSECONDS.values() if not (there % size).any())


def decimals_of(values: npt.NDArray[np.float64], most: int = MOST_DECIMALS) -> int:
    """Fewest decimals that write all finite values, at most `most`."""
    left = np.unique(values[np.isfinite(values)])
    for decimals in range(most):
        scaled = left * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(np.abs(scaled), 1)).all():
            return decimals
    return most


def days_of(column: Column) -> float:
    """Days of one unit of a number column, by its unit or its name ("minute", "hours_since"); 1 where neither says."""
    unit = (column.unit or "").lower()
    for word in (_SHORT.get(unit, unit), *re.split(r"[^a-z]+", column.name.lower())):
        if word.removesuffix("s") in _DAYS:
            return _DAYS[word.removesuffix("s")]
    return 1.0


def gaps(times: Ticks, previous: Ticks, unit: int) -> Ticks:
    """Units that lead from the previous event's ticks to an event's own, int64 (n_events,); `later` is its inverse."""
    return times // unit - previous // unit


def later(previous: Ticks, gap: Ticks, unit: Ticks | int) -> Ticks:
    """The ticks that lie `gap` units after the previous event: no gap stays where it is, others end on the unit's grid."""
    return np.where(gap > 0, (previous // unit + gap) * unit, previous)


def add_up(starts: Ticks, gap: Ticks, unit: Ticks) -> Ticks:
    """Ticks since the anchor of every event, int64 (n_events,), each patient from 0.

    Parameters
    ----------
    starts : int64 (n_patients + 1,), where each patient's events begin. gap : int64 (n_events,), from 0 up. unit : ticks of each event.
    """
    if not len(gap):
        return gap.astype(np.int64)
    lengths = np.diff(starts)
    if (unit == unit[0]).all():
        total = np.cumsum(gap) * unit[0]
        return total - np.repeat(np.concatenate([[0], total])[starts[:-1]], lengths)
    out = np.empty(len(gap), dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")  # the longest records first: those still going are always the first ones
    going = np.searchsorted(-lengths[order], -np.arange(1, lengths.max() + 1), side="right")
    first, now = starts[:-1][order], np.zeros(len(order), dtype=np.int64)
    for step, n in enumerate(going.tolist()):
        rows = first[:n] + step
        now[:n] = later(now[:n], gap[rows], unit[rows])
        out[rows] = now[:n]
    return out


def coarsest(units: Sequence[int]) -> int:
    """The largest of some units; 1 where there is none."""
    return max(units, default=1)
