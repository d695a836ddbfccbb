"""Whether patients who are drawn keep pace with their outline: as much of its time gone by as of its rows drawn. Knows no table.

The chain's gaps know nothing of what is still to come, so that a long record would run past its end, or a full one be over before its time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SLACK = 0.3  # of its time by which a record may be ahead of its rows
MOST_HASTE = 8.0
HOUR = 1.0


class Pace:
    """Patients before their first event.

    Parameters
    ----------
    hours : int64 (n,), from the first to the last event. rows : int64 (n,), of all tables.
    days_per_tick : of the times that are asked about.
    """

    def __init__(self, hours: Ints, rows: Ints, days_per_tick: float) -> None:
        self.hours, self.rows = hours.astype(float), np.maximum(rows, 1)
        self.per_tick = 24 * days_per_tick
        self.begun = np.full(len(hours), np.nan)  # hours of the first event
        self.n_rows = np.zeros(len(hours), dtype=np.int64)

    def outruns(self, patients: Ints, ticks: Ints) -> npt.NDArray[np.bool_]:
        """Whether a next event at these times would come too late in the record for how many rows it has, bool (n_patients,)."""
        gone = ticks * self.per_tick - self.begun[patients]
        share = (self.n_rows[patients] + 1) / self.rows[patients] + SLACK
        return gone > self.hours[patients] * share + HOUR * (self.hours[patients] > 0)

    def haste(self, patients: Ints, ticks: Ints, left: Floats) -> Floats:
        """How many times as fast as the rest rows must come that `left` ticks are left for, in [1, `MOST_HASTE`]; float64 (n_patients,)."""
        gone = np.nan_to_num(ticks * self.per_tick - self.begun[patients])
        return np.clip(np.maximum(self.hours[patients] - gone, HOUR) / np.maximum(left * self.per_tick, HOUR), 1.0, MOST_HASTE)

    def add(self, patients: Ints, ticks: Ints) -> None:
        """Takes note of rows at these times."""
        self.begun[patients] = np.where(np.isnan(self.begun[patients]), ticks * self.per_tick, self.begun[patients])
        self.n_rows[patients] += 1
