"""Whether patients who are drawn keep pace with their outline: as much of its time gone by as of its rows drawn. Knows no table.

The chain's gaps know nothing of what is still to come, so that a long record would run past its end, or a full one be over before its time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
STEADY, POWER = 10.0, 4  # moments by which a record may well be ahead of what is to be expected; how firmly it is led back
SLACK = 0.3  # of its time by which a record may be ahead of its rows, or the rows of a stay ahead of it
MOST_HASTE = 8.0
MOST_WAITS = 50  # times that rows are put off before one comes
URGE = 6.0  # logarithm of how much sooner rows of a stay come that lag behind by all of it
HOUR = 1.0
MOST_OF_STAY = 0.5  # of the time that is left of a stay, what one gap may take while rows within it are to come
MOST_OF_PACE = 4.0  # times the mean gap that the rows to come leave, what one gap may take


class Stays:
    """How far `n` patients may go at once while rows are to come that must lie within an open row of theirs, as in a stay."""

    def __init__(self, n: int) -> None:
        self.left, self.moments = np.full(n, np.inf), np.zeros(n)
        self.table = np.full(n, -1)  # the one that has the least time left

    def add(self, table: int, left: Floats, moments: Floats) -> None:
        """Takes note of the rows of a table: ticks that are left for them, 0 where nothing is open, and how many moments they will make."""
        is_open = (left > 0) & (moments > 0)
        self.table[is_open & (left < self.left)] = table
        self.left[is_open] = np.minimum(self.left, left)[is_open]
        self.moments[is_open] += moments[is_open]

    def stop(self, table: int, patients: npt.NDArray[np.bool_]) -> None:
        """No time goes by for these patients, bool (n,), until the rows of a table have come that belong to this very moment."""
        self.left[patients], self.table[patients] = 0.0, table

    def longest_gap(self) -> Floats:
        """Ticks that a gap may have at most, so that time is left for the rest; inf where nothing is to come. float64 (n,)."""
        return self.left * np.minimum(MOST_OF_STAY, MOST_OF_PACE / (self.moments + 1))


def urge(leads: Floats) -> Floats:
    """How many times as likely rows come that are so much ahead of their stay, which lag where that is negative; in [1 / 8, 8]."""
    return np.asarray(np.clip(np.exp(-URGE * leads), 1 / MOST_HASTE, MOST_HASTE))


class Pace:
    """Patients before their first event.

    Parameters
    ----------
    hours : int64 (n,), from the first to the last event. rows : int64 (n, n_tables), to come.
    days_per_tick : of the times that are asked about.
    begins : of each table, how likely its row begins a moment, float64 each: by what the chain knows, and by nothing but how many rows the
        moment before has.
    is_late : whether the hours count from the second moment, not from the first.

    Attributes
    ----------
    most : float64 (n,), ticks that the next gap may have at most, since a stay is to be filled; inf where none is. hurried : int64 (n,),
        the table for whose sake, -1 for none.
    """

    def __init__(
        self, hours: Ints, rows: Ints, days_per_tick: float, begins: Sequence[tuple[Floats, Floats]] = (), *, is_late: bool
    ) -> None:
        self.hours, self.rows = hours.astype(float), np.maximum(rows.sum(axis=1), 1)
        self.most, self.hurried = np.full(len(hours), np.inf), np.full(len(hours), -1)
        self.due = np.full(rows.shape, -np.inf)  # when a row that waits may come at the soonest
        self.waiting = np.full(rows.shape, np.inf)  # the same of rows that may come at all
        self.n_waits = np.zeros(len(hours), dtype=np.int64)  # since the last row
        self.per_tick = 24 * days_per_tick
        self.first, self.is_late = np.full(len(hours), np.nan), is_late
        self.begun = np.full(len(hours), np.nan)  # hours from which the record's own count
        self.n_rows = np.zeros(len(hours), dtype=np.int64)
        self.chances, self.expected, self.n_moments = begins, np.zeros(len(hours)), np.zeros(len(hours))

    def begins(self, patients: Ints, table: int, given: Ints, times: Floats | float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """Whether the next rows of patients, of one table, begin a new moment, bool (n_patients,). Who had fewer moments than are to be
        expected by how many rows each has gets them sooner, so that moments are as large as real ones.

        Parameters
        ----------
        given : int64 (n_patients,), what the chain goes by. times : float64 (n_patients,), what its odds are multiplied by.
        """
        likely = self.chances[table][0]
        p = likely[np.where(given < len(likely) - 1, given, -1)]
        odds = times * p / np.maximum(1 - p, 1e-9) * ((self.expected[patients] + STEADY) / (self.n_moments[patients] + STEADY)) ** POWER
        return np.asarray(rng.random(len(patients)) < odds / (1 + odds))

    def outruns(self, patients: Ints, ticks: Ints) -> npt.NDArray[np.bool_]:
        """Whether a next event at these times would come too late in the record for how many rows it has, bool (n_patients,)."""
        share = (self.n_rows[patients] + 1) / self.rows[patients] + SLACK
        return self._gone(patients, ticks) > self.hours[patients] * share + HOUR * (self.hours[patients] > 0)

    def _gone(self, patients: Ints, ticks: Ints) -> Floats:
        return ticks * self.per_tick - self.begun[patients]

    def haste(self, patients: Ints, ticks: Ints, left: Floats) -> Floats:
        """How many times as fast as the rest rows must come that `left` ticks are left for, in [1, `MOST_HASTE`]; float64 (n_patients,)."""
        gone = np.nan_to_num(self._gone(patients, ticks))
        return np.clip(np.maximum(self.hours[patients] - gone, HOUR) / np.maximum(left * self.per_tick, HOUR), 1.0, MOST_HASTE)

    def hold(
        self, patients: Ints, ticks: Ints, stays: Stays, allowed: npt.NDArray[np.bool_], ahead: npt.NDArray[np.bool_] | None = None
    ) -> Floats:
        """How much sooner or later tables come for the sake of stays, float64 (n_patients, n_tables): what waits comes when it is due.

        Parameters
        ----------
        allowed : bool (n_patients, n_tables), which tables may come at all; one of them can always come.
        ahead : bool (n_patients, n_tables), tables that are to wait until time has gone by, unless nothing else can come; None for none.
        """
        self.most[patients], self.hurried[patients] = stays.longest_gap(), stays.table
        may = allowed if ahead is None else allowed & ~ahead
        self.waiting[patients] = np.where(may & np.isfinite(self.due[patients]), self.due[patients], np.inf)
        out = np.where(np.isinf(self.due[patients]), 1.0, MOST_HASTE)
        out[self.due[patients] > (ticks + self.most[patients])[:, None]] = 0.0
        is_stuck = ~(allowed & (out > 0)).any(axis=1)
        out[is_stuck], self.most[patients[is_stuck]] = 1.0, np.inf
        if ahead is not None:
            out[ahead & np.any(may & (out > 0), axis=1, keepdims=True)] = 0.0
        return out

    def longest_gap(self, patients: Ints, table: int, ticks: Ints) -> Floats:
        """Ticks that a gap before a row of a table may have at most, float64 (n_patients,): what `hold` says, and not beyond what waits."""
        due = self.waiting[patients]
        due[(due <= ticks[:, None]) | (due >= due[:, [table]])] = np.inf  # of two that wait the first one comes
        return np.asarray(np.minimum(self.most[patients], due.min(axis=1, initial=np.inf) - ticks - 1))

    def is_due(self, patients: Ints, table: int, ticks: Ints) -> npt.NDArray[np.bool_]:
        """Whether rows of a table were put off, to a moment that is still to come, bool (n_patients,)."""
        return np.asarray(np.isfinite(self.due[patients, table]) & (self.due[patients, table] > ticks))

    def wait(self, patients: Ints, table: int, due: Ints) -> None:
        """Takes note of rows that are put off."""
        self.due[patients, table] = due
        self.n_waits[patients] += 1

    def can_wait(self, patients: Ints, table: int) -> npt.NDArray[np.bool_]:
        """Whether rows of a table may be put off, bool (n_patients,): for its sake nothing waits, and not for ever."""
        return (self.hurried[patients] != table) & (self.n_waits[patients] < MOST_WAITS)

    def follow(self, patients: Ints, table: int, runs: Ints, is_later: npt.NDArray[np.bool_]) -> None:
        """Takes note of rows of a table that came behind others.

        Parameters
        ----------
        runs : int64 (n_patients,), the class of how many rows the moment of the row before had. is_later : bool (n_patients,), whether they
            lie behind it.
        """
        self.expected[patients] += self.chances[table][1][runs]
        self.n_moments[patients] += is_later

    def add(self, patients: Ints, table: int, ticks: Ints) -> None:
        """Takes note of rows at these times."""
        is_first = np.isnan(self.first[patients])
        self.first[patients] = np.where(is_first, ticks, self.first[patients])
        begins = np.isnan(self.begun[patients]) & ((ticks > self.first[patients]) | (not self.is_late))
        self.begun[patients] = np.where(begins, ticks * self.per_tick, self.begun[patients])
        self.n_rows[patients] += 1
        self.due[patients, table], self.n_waits[patients] = -np.inf, 0
