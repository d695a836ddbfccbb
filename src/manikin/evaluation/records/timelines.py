"""A few patients' histories to look at, a real one beside a synthetic one of like length. Whatever holds them is internal.

Knows nothing of drawing, and chooses by length alone: real patients of middling length, so that none of them is the odd one out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Form
from manikin.evaluation.records.history import History
from manikin.evaluation.records.lengths import extremes
from manikin.evaluation.records.linked import LinkedData
from manikin.evaluation.records.measured import frequent_measures, names, numbers_of
from manikin.evaluation.records.summary import PATIENT
from manikin.evaluation.records.vocabulary import sequences

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PLACES = (0.35, 0.6, 0.8)  # of the train patients by their number of events
MAX_LANES = 7  # measured numbers that have a lane
MAX_POINTS = 240  # of a lane
N_CODES = 2
N_FACTS = 4
MAX_BARS = 60


def timelines(data: LinkedData) -> list[dict[str, Any]]:
    """Pairs of patients, `real` and `synthetic`, each with

    events, days : how many events she has and over how many days.
    facts : name and text of what is known of her, a few.
    bars : per table of intervals its `table` and `spans`, start and end in days since her first event.
    lines : per measured number its `part`, `times` and `values`; `range` is the middle 90 % of train's, for both sides alike.
    dots : per table of events `table`, `times`, and its most frequent `codes` with how often they occur.
    """
    real, fake = data.real, data.fake
    pairs = _pairs(real, fake)
    made = []
    for a, b in pairs:
        lanes = _lanes(data, a, b)
        made.append({"real": _patient(data, real, a, lanes, "train"), "synthetic": _patient(data, fake, b, lanes, "synthetic")})
    return made


def _pairs(real: History, fake: History) -> list[tuple[int, int]]:
    """Real patients at given places of the order by length, each with the synthetic one whose length and span are nearest."""
    sizes, days = zip(*(_extent(side) for side in (real, fake)), strict=True)
    candidates = np.flatnonzero(sizes[0] >= 2)
    if not len(candidates) or not (sizes[1] > 0).any():
        return []
    order = candidates[np.argsort(sizes[0][candidates], kind="stable")]
    made: list[tuple[int, int]] = []
    free = sizes[1] > 0
    for place in PLACES:
        one = int(order[min(int(place * len(order)), len(order) - 1)])
        gap = np.abs(np.log1p(sizes[1]) - np.log1p(sizes[0][one])) + 0.5 * np.abs(np.log1p(days[1]) - np.log1p(days[0][one]))
        gap[~free] = np.inf
        if one in [a for a, _ in made] or not free.any():
            continue
        other = int(np.argmin(gap))
        free[other] = False
        made.append((one, other))
    return made


def _extent(of: History) -> tuple[Ints, Floats]:
    first, last = extremes(of.time, of.patient, of.n_patients)
    return of.lengths, np.nan_to_num(last - first)


def _lanes(data: LinkedData, one: int, other: int) -> list[tuple[int, str, tuple[float, float]]]:
    """The measured numbers that get a lane: those of most values of these two patients, one of a code, with train's middle 90 %.

    A number that is the same throughout these 90 % has nothing to show, and its rows stay dots.
    """
    frequent = [int(i) for i in frequent_measures(data, 200, with_times=False)]
    bounds = {i: np.quantile(numbers_of(data.real, i)[0], [0.05, 0.95]).tolist() for i in frequent}
    kept = [i for i in frequent if bounds[i][1] > bounds[i][0]]
    counts = {i: _count(data.real, i, one) + _count(data.fake, i, other) for i in kept}
    first: dict[tuple[str, str], int] = {}
    for i in sorted(kept, key=lambda i: (-counts[i], i)):
        what = data.vocabulary.measures[i]
        first.setdefault((what.table, what.code or what.column), i)
    coded = [i for i in first.values() if data.vocabulary.measures[i].code]
    best = sorted([i for i in coded or first.values() if counts[i]][:MAX_LANES])
    made = []
    for name, measure in zip(names(data, np.array(best, dtype=np.int64)), best, strict=True):
        low, high = bounds[int(measure)]
        made.append((int(measure), name, (low, high)))
    return made


def _count(of: History, measure: int, patient: int) -> int:
    _, events = numbers_of(of, measure)
    low, high = np.searchsorted(events, [of.starts[patient], of.starts[patient + 1]])
    return int(high - low)


def _patient(data: LinkedData, of: History, patient: int, lanes: list[Any], side: str) -> dict[str, Any]:
    low, high = int(of.starts[patient]), int(of.starts[patient + 1])
    rows = np.arange(low, high)
    time = of.time[rows]
    first = float(np.nanmin(time)) if (~np.isnan(time)).any() else 0.0
    made: dict[str, Any] = {
        "events": len(rows),
        "days": float(np.nanmax(time) - first) if (~np.isnan(time)).any() else 0.0,
        "facts": _facts(data, of, patient, side),
        "bars": [],
        "lines": [],
        "dots": [],
    }
    drawn = np.zeros(len(rows), dtype=bool)
    for measure, name, bounds in lanes:
        values, events = numbers_of(of, measure)
        mine = slice(*np.searchsorted(events, [low, high]))
        at, held = of.time[events[mine]] - first, values[mine]
        known = ~np.isnan(at)
        at, held = _thinned(at[known], held[known])
        drawn[events[mine] - low] = True
        made["lines"].append({"part": name, "range": bounds, "times": at, "values": held})
    for number, table in enumerate(data.tables):
        if table not in sequences(data.tables):
            continue
        here = rows[of.table[rows] == number]
        if table.form is Form.INTERVALS:
            spans = np.column_stack([of.time[here] - first, np.fmax(of.end[here], of.time[here]) - first])
            spans = spans[~np.isnan(spans[:, 0])]
            spans[:, 1] = np.where(np.isnan(spans[:, 1]), spans[:, 0], spans[:, 1])
            made["bars"].append({"table": table.name, "spans": spans[:MAX_BARS]})
            continue
        rest = here[~drawn[here - low]]
        at = of.time[rest] - first
        at, _ = _thinned(np.unique(at[~np.isnan(at)]), None)
        is_other = any(data.vocabulary.measures[measure].table == table.name for measure, _, _ in lanes)
        made["dots"].append({"table": table.name, "is_other": is_other, "times": at, "n": len(rest), "codes": _codes(data, of, rest)})
    return made


def _thinned(times: Floats, values: Floats | None) -> tuple[Floats, Floats]:
    """At most so many points, evenly chosen; times to the minute."""
    keep = np.unique(np.linspace(0, len(times) - 1, MAX_POINTS).astype(int)) if len(times) > MAX_POINTS else np.arange(len(times))
    return np.round(times[keep], 4), np.empty(0) if values is None else values[keep]


def _codes(data: LinkedData, of: History, rows: Ints) -> list[tuple[str, int]]:
    codes = of.code[rows]
    found, counts = np.unique(codes[codes >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:N_CODES]
    return [(data.vocabulary.text(data.vocabulary.items[found[i]]), int(counts[i])) for i in order]


def _facts(data: LinkedData, of: History, patient: int, side: str) -> list[tuple[str, str]]:
    """The first columns that a patient has one value of, as texts."""
    part = data.patients.train if side == "train" else data.patients.synthetic[0]
    row = part.table.frame.iloc[int(of.source[patient])]
    fixed = [entry.column.name for entry in data.plan.fixed if entry.column.name != PATIENT][:N_FACTS]
    told = []
    for name in fixed:
        value = row[name]
        missing = value is None or value != value  # NaN and NaT are not themselves
        told.append((name, "not recorded" if missing else f"{value:g}" if isinstance(value, float) else str(value)))
    return told
