"""Measured numbers of patients: their spread by what they measure, how they go on, and which are taken, alone and together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import replicate_interval, with_replicates
from manikin.evaluation.records.codes import code_items, products_by_group, sizes_by_group
from manikin.evaluation.records.counting import binned, group_counts, replicated, same_order, same_shares, wasserstein
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData, Side
from manikin.evaluation.records.measured import frequent_measures, names, numbers_of, presence

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MAX_MEASURES = 100
MAX_TOGETHER = 60
LAGS = (1, 2, 3)
MIN_STEPS = 30  # pairs of values that a correlation needs
N_QUANTILES = 256
CELLS = Definition("event_values", "Values of events", Section.FIDELITY, Direction.HIGHER, unit="patients")
LAGGED = Definition("autocorrelation", "How values go on (autocorrelation)", Section.FIDELITY, Direction.LOWER, unit="patients")
TOGETHER = Definition("measured_together", "What is measured, and with what", Section.FIDELITY, Direction.LOWER, unit="patients")


@of_patients(CELLS)
def event_values(data: LinkedData, *, seed: int) -> MetricResult:
    """Mean of 1 - KS of each measured number, by its code, and 1 - TV of the other levels of events; in [0, 1], 1 is best.

    Numbers that 5 % of train patients have, the 100 most frequent; of times the days since the row's start (the length of an interval);
    levels of columns that are no codes (those are `code_prevalence`'s), among cells that hold one. All values of a patient count, so that
    those who are measured often weigh more. The reference is the holdout's, at equal n of patients. `details.parts` has each
    with medians and the Wasserstein distance in train's interquartile ranges.
    """
    real, held, fake = data.drawn(seed)
    rows: list[dict[str, Any]] = []
    scores: list[tuple[Floats, Floats]] = []
    for part, kind, parts in [*_numbers(data, (real, held, fake)), *_levels(data, (real, held, fake))]:
        if min(len(values) for values, _ in parts) == 0:
            continue
        likeness = same_shares
        if kind == "number":
            cells, n_cells = binned(*(values for values, _ in parts))
            likeness = same_order
        else:
            cells, n_cells = [values for values, _ in parts], 1 + max(int(values.max()) for values, _ in parts)
        counts = [group_counts(cell, groups, n_cells) for cell, (_, groups) in zip(cells, parts, strict=True)]
        pair = replicated(likeness, counts[0], counts[2]), replicated(likeness, counts[0], counts[1])
        scores.append(pair)
        row: dict[str, Any] = {"part": part, "kind": kind, "score": float(pair[0][0]), "reference": float(pair[1][0])}
        if kind == "number":
            row |= {"wasserstein": wasserstein(parts[0][0], parts[2][0]), "wasserstein_reference": wasserstein(parts[0][0], parts[1][0])}
            for side, (values, _) in zip(("train", "holdout", "synthetic"), parts, strict=True):
                row[f"median_{side}"] = float(f"{np.median(values):.6g}")
        rows.append(row)
    if not scores:
        raise UndefinedMetricError("events have no numbers and no levels but their codes")
    rows.sort(key=lambda row: (row["score"], row["part"]))
    mean, other = (np.mean([pair[i] for pair in scores], axis=0) for i in range(2))
    return CELLS.result(
        float(mean[0]),
        interval=replicate_interval(mean, low=0.0, high=1.0),
        n=len(fake),
        reference=float(other[0]),
        reference_interval=replicate_interval(other, low=0.0, high=1.0),
        details={"n_parts": len(rows), "parts": rows},
    )


def _numbers(data: LinkedData, sides: tuple[Side, Side, Side]) -> list[tuple[str, str, list[tuple[Any, Ints]]]]:
    chosen = frequent_measures(data, MAX_MEASURES)
    made = []
    for name, measure in zip(names(data, chosen), chosen, strict=True):
        parts = []
        for side in sides:
            values, events = numbers_of(side.history, int(measure))
            parts.append((values, side.groups[side.history.patient[events]]))
        made.append((name, "number", parts))
    return made


def _levels(data: LinkedData, sides: tuple[Side, Side, Side]) -> list[tuple[str, str, list[tuple[Any, Ints]]]]:
    known = data.vocabulary
    is_code = code_items(known)
    columns: dict[tuple[str, str], list[int]] = {}
    for i, item in enumerate(known.items):
        if not is_code[i]:
            columns.setdefault((item.table, item.column), []).append(i)
    made = []
    for (table, column), items in columns.items():
        place = np.full(len(known.items), -1, dtype=np.int64)
        place[items] = np.arange(len(items))
        parts = []
        for side in sides:
            of = side.history
            cell = place[of.marks.item]
            kept = np.flatnonzero(cell >= 0)
            parts.append((cell[kept], side.groups[of.patient[of.marks.event[kept]]]))
        made.append((f"{table}: {column}", "levels", parts))
    return made


@of_patients(LAGGED)
def autocorrelation(data: LinkedData, *, seed: int) -> MetricResult:
    """Mean absolute difference of the lag correlations of measured numbers between train and synthetic; in [0, 2], 0 is best.

    The correlation of a patient's value with her next one, second and third next of the same measure, over all patients, of values as
    their quantiles in train (so that it is of ranks, and one outlier moves nothing). Numbers that 5 % of train patients have and that
    every side has 30 such pairs of. Values that stay themselves and patients that differ from each other both make it high; a release
    whose values are drawn anew at each time is near 0. The reference is the holdout's, at equal n. `details.parts` has each number's
    correlations at lags 1 to 3.
    """
    real, held, fake = data.drawn(seed)
    rows: list[dict[str, Any]] = []
    gaps: list[tuple[Floats, Floats]] = []
    chosen = frequent_measures(data, MAX_MEASURES)
    for name, measure in zip(names(data, chosen), chosen, strict=True):
        knots = np.sort(numbers_of(real.history, int(measure))[0])
        if not len(knots) or knots[0] == knots[-1]:
            continue
        row: dict[str, Any] = {"part": name}
        for lag in LAGS:
            sums = [_moments(side, int(measure), knots, lag) for side in (real, held, fake)]
            if min(float(part[:, 0].sum()) for part in sums) < MIN_STEPS:
                continue
            r = [_correlations(part) for part in sums]
            gaps.append((np.abs(r[0] - r[2]), np.abs(r[0] - r[1])))
            row |= {f"lag_{lag}_{side}": float(of[0]) for side, of in zip(("train", "holdout", "synthetic"), r, strict=True)}
        if len(row) > 1:
            rows.append(row)
    if not gaps:
        raise UndefinedMetricError(f"no number is measured again {MIN_STEPS} times on all sides")
    figure, other = (np.mean([pair[i] for pair in gaps], axis=0) for i in range(2))
    rows.sort(key=lambda row: (-_worst_gap(row), row["part"]))
    return LAGGED.result(
        float(figure[0]),
        interval=replicate_interval(figure, low=0.0, high=2.0),
        n=len(fake),
        reference=float(other[0]),
        reference_interval=replicate_interval(other, low=0.0, high=2.0),
        details={"n_numbers": len(rows), "parts": rows},
    )


def _worst_gap(row: dict[str, Any]) -> float:
    return max(abs(row[f"lag_{lag}_train"] - row[f"lag_{lag}_synthetic"]) for lag in LAGS if f"lag_{lag}_train" in row)


def _moments(side: Side, measure: int, knots: Floats, lag: int) -> Floats:
    """n, Σx, Σy, Σx², Σy², Σxy of a value's rank and the rank `lag` values on, by group, (N_GROUPS, 6)."""
    of = side.history
    values, events = numbers_of(of, measure)
    patient = of.patient[events]
    ranks = (np.searchsorted(knots, values, "left") + np.searchsorted(knots, values, "right")) / (2 * len(knots))
    steps = np.flatnonzero(patient[lag:] == patient[:-lag]) if len(patient) > lag else np.empty(0, dtype=np.int64)
    x, y, groups = ranks[steps], ranks[steps + lag], side.groups[patient[steps]]
    return np.column_stack(
        [np.bincount(groups, weights=part, minlength=20) for part in (np.ones(len(x)), x, y, x * x, y * y, x * y)]
    )


def _correlations(sums: Floats) -> Floats:
    """The correlation on all patients and on each replicate; 0 where nothing varies."""
    n, x, y, xx, yy, xy = with_replicates(sums).T
    n = np.maximum(n, 1)
    spread = (xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2)
    return np.where(spread > 1e-12, (xy / n - x * y / n**2) / np.sqrt(np.maximum(spread, 1e-12)), 0.0)


@of_patients(TOGETHER)
def measured_together(data: LinkedData, *, seed: int) -> MetricResult:
    """Mean absolute difference, train to synthetic, of how often b is measured where a is; in [0, 1], 0 is best.

    What is not measured is as telling as what is. P(b | a) over patients (is b measured at all in whom a is?) and over visits (in the same
    one?), for all pairs of the 60 most frequent numbers, and P(a), the share in whom a is measured at all; the two units weigh the same.
    The reference is the holdout's, at equal n. `details.measures` has the shares of patients and visits who have each, `details.pairs`
    the pairs that differ most.
    """
    real, held, fake = data.drawn(seed)
    chosen = frequent_measures(data, MAX_TOGETHER, with_times=False)
    if len(chosen) < 2:
        raise UndefinedMetricError("fewer than two numbers are measured in 5 % of the train patients")
    gaps: list[tuple[Floats, Floats]] = []
    tables: dict[str, list[Floats]] = {}
    for unit in ("patients", "visits"):
        shares = [_conditional(side, chosen, len(data.vocabulary.measures), unit) for side in (real, held, fake)]
        gaps.append((np.abs(shares[0] - shares[2]).mean(axis=1), np.abs(shares[0] - shares[1]).mean(axis=1)))
        tables[unit] = [share[0].reshape(len(chosen), len(chosen)) for share in shares]
    figure, other = (np.mean([pair[i] for pair in gaps], axis=0) for i in range(2))
    return TOGETHER.result(
        float(figure[0]),
        interval=replicate_interval(figure, low=0.0, high=1.0),
        n=len(fake),
        reference=float(other[0]),
        reference_interval=replicate_interval(other, low=0.0, high=1.0),
        details={
            "patients": float(gaps[0][0][0]),
            "patients_reference": float(gaps[0][1][0]),
            "visits": float(gaps[1][0][0]),
            "visits_reference": float(gaps[1][1][0]),
            **_shown(names(data, chosen), tables),
        },
    )


def _conditional(side: Side, measures: Ints, n_measures: int, unit: str) -> Floats:
    """P(b | a), P(a) on the diagonal, on all patients and on each replicate, (N_REPLICATES + 1, k * k)."""
    of = side.history
    rows = of.patient if unit == "patients" else of.visit
    groups = side.groups if unit == "patients" else side.groups[of.patient[of.visit_starts]]
    matrix = presence(of, rows, len(groups), measures, n_measures)
    both = with_replicates(products_by_group(matrix, matrix, groups)).reshape(-1, len(measures), len(measures))
    n = np.maximum(with_replicates(sizes_by_group(groups)), 1)
    alone = np.einsum("rii->ri", both).copy()
    shares = both / np.maximum(alone[:, :, None], 1)
    diagonal = np.arange(len(measures))
    shares[:, diagonal, diagonal] = alone / n
    return shares.reshape(len(shares), -1)


def _shown(named: list[str], tables: dict[str, list[Floats]]) -> dict[str, Any]:
    sides = ("train", "holdout", "synthetic")
    measures: list[dict[str, Any]] = [
        {
            "part": name,
            **{f"{unit}_{side}": float(share[i, i]) for unit, shares in tables.items() for side, share in zip(sides, shares, strict=True)},
        }
        for i, name in enumerate(named)
    ]
    measures.sort(key=lambda row: (-abs(row["patients_train"] - row["patients_synthetic"]), row["part"]))
    real, _, fake = tables["visits"]
    gap = np.abs(real - fake)
    np.fill_diagonal(gap, -1.0)
    order = [divmod(int(i), len(named)) for i in np.argsort(-gap, axis=None, kind="stable")[:30]]
    pairs = [
        {"given": named[a], "part": named[b], **{side: float(share[a, b]) for side, share in zip(sides, tables["visits"], strict=True)}}
        for a, b in order
        if a != b
    ]
    return {"measures": measures, "pairs": pairs}
