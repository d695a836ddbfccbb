"""When in the year, the week and the day things happen. Knows nothing of what happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.records.counting import group_counts, replicated, same_shares, shares_of
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData, Side

Ints = npt.NDArray[np.int64]
CALENDAR = Definition("calendar", "Months, weekdays and hours of events", Section.FIDELITY, Direction.HIGHER, unit="patients")
CYCLES = {"month": 12, "weekday": 7, "hour": 24}
US_IN_DAY = 86_400_000_000


@of_patients(CALENDAR)
def calendar(data: LinkedData, *, seed: int) -> MetricResult:
    """Mean of 1 - TV of the month, the weekday and the hour of visits and of events; in [0, 1], 1 is best.

    Of rows whose own time is a date. A visit counts by its first such row (when patients come), an event by itself (when they are
    looked after). Hours only where times have them. Data whose calendars were shifted patient by patient have lost their months, and a
    release of them has none to keep. The reference is the holdout's, at equal n. `details.parts` has the shares of each month (0 is
    January), weekday (0 is Monday) and hour.
    """
    real, held, fake = data.drawn(seed)
    rows: list[dict[str, Any]] = []
    scores = []
    has_hours = any(bool((np.mod(side.history.date[~np.isnan(side.history.date)], 1) > 0).any()) for side in (real, held, fake))
    for unit in ("visits", "events"):
        found = [_dates(side, unit) for side in (real, held, fake)]
        if min(len(dates) for dates, _ in found) == 0:
            continue
        for cycle, n_cells in CYCLES.items():
            if cycle == "hour" and not has_hours:
                continue
            counts = [group_counts(_place(dates, cycle), groups, n_cells) for dates, groups in found]
            pair = replicated(same_shares, counts[0], counts[2]), replicated(same_shares, counts[0], counts[1])
            scores.append(pair)
            shares = {
                side: shares_of(count.sum(axis=0)[None])[0] for side, count in zip(("train", "holdout", "synthetic"), counts, strict=True)
            }
            rows.append({"unit": unit, "cycle": cycle, "score": float(pair[0][0]), "reference": float(pair[1][0]), **shares})
    if not scores:
        raise UndefinedMetricError("no event has a date")
    mean, other = (np.mean([pair[i] for pair in scores], axis=0) for i in range(2))
    return CALENDAR.result(
        float(mean[0]),
        interval=replicate_interval(mean, low=0.0, high=1.0),
        n=len(fake),
        reference=float(other[0]),
        reference_interval=replicate_interval(other, low=0.0, high=1.0),
        details={"parts": rows},
    )


def _dates(side: Side, unit: str) -> tuple[npt.NDArray[np.int64], Ints]:
    """Microseconds since 1970 of visits or events, and the group of each."""
    of = side.history
    dated = np.flatnonzero(~np.isnan(of.date))
    if unit == "visits":
        dated = dated[np.flatnonzero(np.diff(of.visit[dated], prepend=-1))]
    return np.round(of.date[dated] * US_IN_DAY).astype(np.int64), side.groups[of.patient[dated]]


def _place(dates: npt.NDArray[np.int64], cycle: str) -> Ints:
    days = dates // US_IN_DAY
    if cycle == "hour":
        return (dates % US_IN_DAY) // (US_IN_DAY // 24)
    if cycle == "weekday":
        return (days + 3) % 7  # 1 January 1970 was a Thursday
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months % 12
