"""Times from one date to another within a row: admission to discharge, birth to diagnosis. Knows nothing of times between rows."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Kind
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured, rounded
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.prepared import Feature, Prepared, Sample
from manikin.evaluation.shapes import Grouped, grouped, shares

Floats = npt.NDArray[np.float64]
MAX_ROWS = 20_000
MAX_PAIRS = 45
INTERVALS_BETWEEN = Definition("intervals_between", "Intervals between dates", Section.FIDELITY, Direction.HIGHER)
Pair = tuple[Feature, Feature]


@measured(INTERVALS_BETWEEN)
def intervals_between(data: Prepared, *, seed: int) -> MetricResult:
    """Mean over pairs of dates of 1 - KS between the intervals of train and synthetic rows; in [0, 1], 1 is best.

    An interval is the second date less the first, in days (whole days where one of the two has no time of day), in the direction in
    which most train rows have it positive; rows that hold both dates count. Each date may be spread as it should be and the intervals
    be nonsense: this looks at the intervals. Details give per pair the share of rows with the dates the wrong way round, on each side:
    real tables hold some too, so that only what lies beyond the holdout's share is the generator's. At most 45 pairs.
    """
    dates = [feature for feature in data.features if feature.column.kind.is_time]
    pairs = [_forward(pair, data.real) for pair in list(combinations(dates, 2))[:MAX_PAIRS]]
    if not pairs:
        raise UndefinedMetricError("there are fewer than two date columns")
    real, held, fake = grouped(data, cap=MAX_ROWS, seed=seed)
    rows, scores, references = [], [], []
    for pair in pairs:
        score, reference = _likeness(real, fake, pair), _likeness(real, held, pair)
        if score is None or reference is None:
            continue
        scores.append(score)
        references.append(reference)
        rows.append(_row(pair, (real, held, fake), float(score[0]), float(reference[0]), data.schema.min_patients))
    if not rows:
        raise UndefinedMetricError("no row of train, holdout and synthetic data holds two dates")
    mean, reference_mean = np.mean(scores, axis=0), np.mean(references, axis=0)
    worst = max(rows, key=lambda row: (row["reversed_synthetic"] - row["reversed_holdout"], row["columns"]))
    rows.sort(key=lambda row: (row["score"] - row["reference"], row["columns"]))
    return INTERVALS_BETWEEN.result(
        float(mean[0]),
        interval=replicate_interval(mean, low=0.0, high=1.0),
        n=len(fake.sample),
        reference=float(reference_mean[0]),
        reference_interval=replicate_interval(reference_mean, low=0.0, high=1.0),
        details={
            "n_pairs": len(rows),
            "worst_reversed": worst["reversed_synthetic"],
            "worst_reversed_reference": worst["reversed_holdout"],
            "pairs": rows,
        },
    )


def intervals(sample: Sample, pair: Pair) -> Floats:
    """Days from the first to the second date of each row, float (n_rows,), NaN where one is missing."""
    first, second = (sample.values[feature.name] for feature in pair)
    if any(feature.column.kind is Kind.DATE for feature in pair):
        first, second = np.floor(first), np.floor(second)
    return np.asarray(second - first)


def _forward(pair: Pair, real: Sample) -> Pair:
    """The pair in the order that most train rows have."""
    days = intervals(real, pair)
    return (pair[1], pair[0]) if (days < 0).sum() > (days > 0).sum() else pair


def _likeness(real: Grouped, other: Grouped, pair: Pair) -> Floats | None:
    """1 - KS, (N_REPLICATES + 1,): on all rows, then on each replicate. None where a side holds no interval."""
    cells = []
    for side in (real, other):
        days = intervals(side.sample, pair)
        is_present = ~np.isnan(days)
        cells.append((days[is_present], side.groups[is_present]))
    if min(len(days) for days, _ in cells) == 0:
        return None
    grid = np.unique(np.concatenate([days for days, _ in cells]))
    parts = [shares(np.searchsorted(grid, days), groups, len(grid)) for days, groups in cells]
    score = 1 - np.abs(np.cumsum(parts[0] - parts[1], axis=1)).max(axis=1)
    is_empty = (parts[0].sum(axis=1) == 0) | (parts[1].sum(axis=1) == 0)
    return np.asarray(np.where(is_empty, score[0], score))


def _row(
    pair: Pair, sides: tuple[Grouped, Grouped, Grouped], score: float, reference: float, least: int
) -> dict[str, Any]:
    """One pair's line; the median is told where twice the schema's threshold of patients stand behind it, so that no few have it."""
    row: dict[str, Any] = {"columns": [feature.name for feature in pair], "score": rounded(score), "reference": rounded(reference)}
    for name, side in zip(("train", "holdout", "synthetic"), sides, strict=True):
        days = intervals(side.sample, pair)
        present = days[~np.isnan(days)]
        n_patients = len(np.unique(side.sample.records[~np.isnan(days)]))
        row[f"reversed_{name}"] = rounded(float((present < 0).mean()))
        row[f"median_days_{name}"] = rounded(float(np.median(present)), 1) if n_patients >= 2 * least else None
    return row
