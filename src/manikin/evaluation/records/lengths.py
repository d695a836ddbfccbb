"""How long records are: rows, visits and days of each patient, and the time between rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.records.counting import binned, group_counts, replicated, same_order, wasserstein
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.history import History
from manikin.evaluation.records.linked import LinkedData, Side
from manikin.evaluation.records.vocabulary import sequences

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MAX_PAIRS = 15  # pairs of tables whose first rows are compared
LENGTHS = Definition("record_lengths", "How long records are", Section.FIDELITY, Direction.HIGHER, unit="patients")
GAPS = Definition("record_gaps", "Time between events", Section.FIDELITY, Direction.HIGHER, unit="patients")
Values = tuple[Floats, Ints]  # what is compared, and the group of each


@of_patients(LENGTHS)
def record_lengths(data: LinkedData, *, seed: int) -> MetricResult:
    """Mean of 1 - KS of a patient's rows, table by table and in all, of her visits and of the days they span; in [0, 1], 1 is best.

    Patients without a row count with 0; those with fewer than two timed rows have no span. The reference is the holdout's, at equal n.
    `details.parts` has each part with its Wasserstein distance (in train's interquartile ranges), means and longest record.
    """
    return _compared(data, LENGTHS, lengths_of, seed)


@of_patients(GAPS)
def record_gaps(data: LinkedData, *, seed: int) -> MetricResult:
    """Mean of 1 - KS of the days between events, over tables and pairs of tables; in [0, 1], 1 is best.

    Of a table: from each of a patient's rows to her next row of that table at a later time. Of two tables: from her first row of one to her
    first row of the other. Also from a visit's start to the next's. Rows without a time have no gaps. The reference is the holdout's, at
    equal n. `details.parts` has each part with its Wasserstein distance and medians.
    """
    return _compared(data, GAPS, gaps_of, seed)


def _compared(data: LinkedData, definition: Definition, parts_of: Any, seed: int) -> MetricResult:
    real, held, fake = data.drawn(seed)
    found = [parts_of(data, side) for side in (real, held, fake)]
    rows, scores, references = [], [], []
    for name in found[0]:
        values = [side.get(name, (np.empty(0), np.empty(0, dtype=np.int64))) for side in found]
        if min(len(part) for part, _ in values) == 0:
            continue
        cells, n_cells = binned(*(part for part, _ in values))
        counts = [group_counts(cell, groups, n_cells) for cell, (_, groups) in zip(cells, values, strict=True)]
        score, reference = replicated(same_order, counts[0], counts[2]), replicated(same_order, counts[0], counts[1])
        scores.append(score)
        references.append(reference)
        rows.append({"part": name, "score": float(score[0]), "reference": float(reference[0]), **_told(*(part for part, _ in values))})
    if not scores:
        raise UndefinedMetricError("no part of it can be compared on all sides")
    rows.sort(key=lambda row: (row["score"], row["part"]))
    mean, other = np.mean(scores, axis=0), np.mean(references, axis=0)
    return definition.result(
        float(mean[0]),
        interval=replicate_interval(mean, low=0.0, high=1.0),
        n=len(fake),
        reference=float(other[0]),
        reference_interval=replicate_interval(other, low=0.0, high=1.0),
        details={"parts": rows},
    )


def _told(real: Floats, held: Floats, fake: Floats) -> dict[str, Any]:
    made: dict[str, Any] = {"wasserstein": wasserstein(real, fake), "wasserstein_reference": wasserstein(real, held)}
    for side, values in (("train", real), ("holdout", held), ("synthetic", fake)):
        made[f"mean_{side}"] = float(f"{values.mean():.6g}")
        made[f"median_{side}"] = float(f"{np.median(values):.6g}")
    return made


def lengths_of(data: LinkedData, side: Side) -> dict[str, Values]:
    """Of each part that is counted, how much of it each patient has, and her group."""
    of, n = side.history, len(side)
    made: dict[str, Values] = {"all rows": (of.lengths.astype(float), side.groups)}
    for number, name in _tables(data):
        made[f"{name}: rows"] = (np.bincount(of.patient[of.table == number], minlength=n).astype(float), side.groups)
    if not np.isnan(of.time).all():
        made["visits"] = (np.bincount(of.patient[of.visit_starts], minlength=n).astype(float), side.groups)
        first, last = extremes(of.time, of.patient, n)
        known = np.flatnonzero(last > first)
        made["days from first to last event"] = (last[known] - first[known], side.groups[known])
    return made


def gaps_of(data: LinkedData, side: Side) -> dict[str, Values]:
    """Of each part, the days from one event to the next, and the patient's group."""
    of, n = side.history, len(side)
    made: dict[str, Values] = {}
    firsts: dict[str, Floats] = {}
    for number, name in _tables(data):
        rows = np.flatnonzero((of.table == number) & ~np.isnan(of.time))
        if len(rows):
            patient, time = in_time(of, rows)
            later = np.flatnonzero((patient[1:] == patient[:-1]) & (time[1:] > time[:-1]))
            made[name] = (time[later + 1] - time[later], side.groups[patient[later]])
            firsts[name] = extremes(of.time[rows], of.patient[rows], n)[0]
    visits = of.visit_starts
    if len(visits):
        patient, time = of.patient[visits], np.minimum.reduceat(np.where(np.isnan(of.time), np.inf, of.time), visits)
        later = np.flatnonzero((patient[1:] == patient[:-1]) & (time[1:] > time[:-1]) & np.isfinite(time[1:]))
        made["visit to visit"] = (time[later + 1] - time[later], side.groups[patient[later]])
    for a, b in list(combinations(firsts, 2))[:MAX_PAIRS]:
        known = np.flatnonzero(~np.isnan(firsts[a]) & ~np.isnan(firsts[b]))
        made[f"first of {a} to first of {b}"] = (firsts[b][known] - firsts[a][known], side.groups[known])
    return {name: part for name, part in made.items() if len(part[0])}


def _tables(data: LinkedData) -> Iterator[tuple[int, str]]:
    events = sequences(data.tables)
    return ((number, table.name) for number, table in enumerate(data.tables) if table in events)


def extremes(values: Floats, patient: Ints, n: int) -> tuple[Floats, Floats]:
    """The least and the largest known value of each patient, NaN where she has none; (n_patients,)."""
    first, last = np.full(n, np.nan), np.full(n, np.nan)
    np.fmin.at(first, patient, values)
    np.fmax.at(last, patient, values)
    return first, last


def in_time(of: History, rows: Ints) -> tuple[Ints, Floats]:
    """Patients and times of these events in the order of time, whatever visit they are of."""
    patient, time = of.patient[rows], of.time[rows]
    order = np.lexsort((time, patient))
    return patient[order], time[order]
