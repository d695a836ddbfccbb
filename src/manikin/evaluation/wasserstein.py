"""How far numbers and dates must be moved to become the real ones: Wasserstein-1, column by column. Knows nothing of dependence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.by_group import by_group, subgroup_values
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured, rounded
from manikin.evaluation.group_fidelity import with_subgroups
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.prepared import Feature, Prepared, Sample
from manikin.evaluation.shapes import Grouped, grouped, present_cells, shares

Floats = npt.NDArray[np.float64]
MAX_ROWS = 20_000
WASSERSTEIN = Definition("wasserstein", "Distance of numbers (Wasserstein-1)", Section.FIDELITY, Direction.LOWER)


@measured(WASSERSTEIN)
def wasserstein(data: Prepared, *, seed: int) -> MetricResult:
    """Mean over numbers and dates of the Wasserstein-1 distance between train and synthetic values; 0 is best, no upper end.

    W₁ = ∫ |F(x) - G(x)| dx is how far values must be moved on average. Its unit is the column's interquartile range in train, or, where
    that is 0, its standard deviation, so that columns can be averaged and a few extremes do not set the unit. Cells without a value are
    left out (see `missingness`), and so are columns that are constant in train. Unlike KS it grows with how far away wrong values lie.
    The reference puts the holdout in the place of the synthetic rows, at equal n. `subgroups` holds the same within groups of patients.
    """
    units = {feature.name: unit for feature in data.numbers if (unit := spread(data.real.values[feature.name])) > 0}
    features = [feature for feature in data.numbers if feature.name in units]
    if not features:
        raise UndefinedMetricError("there is no number or date that varies in the train data")
    real, held, fake = grouped(data, cap=MAX_ROWS, seed=seed)
    distances, references = [], []
    rows: list[dict[str, Any]] = []
    for feature in features:
        distance, reference = (_distance(real, other, feature) for other in (fake, held))
        if distance is None or reference is None:
            continue
        distances.append(distance / units[feature.name])
        references.append(reference / units[feature.name])
        rows.append(
            {
                "column": feature.name,
                "distance": rounded(float(distances[-1][0])),
                "reference": rounded(float(references[-1][0])),
            }
        )
    if not rows:
        raise UndefinedMetricError("no number or date holds values in train, holdout and synthetic data")
    mean, reference_mean = np.mean(distances, axis=0), np.mean(references, axis=0)
    rows.sort(key=lambda row: (-(row["distance"] or 0), row["column"]))
    within = by_group(data, features, lambda a, b, asked: _mean_distance(a, b, asked, units))
    made = WASSERSTEIN.result(
        float(mean[0]),
        interval=replicate_interval(mean, low=0.0),
        n=len(fake.sample),
        reference=float(reference_mean[0]),
        reference_interval=replicate_interval(reference_mean, low=0.0),
        details={"worst": rows[0]["distance"], "worst_column": rows[0]["column"], "columns": rows, "groups": within},
    )
    return with_subgroups(made, subgroup_values(within))


def spread(values: Floats) -> float:
    """Interquartile range, or the standard deviation where that is 0; 0 for a constant column and for one without values.

    >>> spread(np.array([0.0, 1, 2, 3, 4])), spread(np.array([5.0, 5, np.nan]))
    (2.0, 0.0)
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return 0.0
    low, high = np.quantile(present, (0.25, 0.75))
    return float(high - low) if high > low else float(present.std())


def _distance(real: Grouped, other: Grouped, feature: Feature) -> Floats | None:
    """W₁ in the column's own unit, (N_REPLICATES + 1,): on all rows, then on each replicate. None where a side holds no value."""
    cells = [present_cells(side, feature) for side in (real, other)]
    if min(len(values) for values, _ in cells) == 0:
        return None
    grid = np.unique(np.concatenate([values for values, _ in cells]))
    first, second = (shares(np.searchsorted(grid, values), groups, len(grid)) for values, groups in cells)
    gap = np.abs(np.cumsum(first - second, axis=1))[:, :-1] @ np.diff(grid)
    # A replicate in which a side of a sparse column has no cell says nothing.
    is_empty = (first.sum(axis=1) == 0) | (second.sum(axis=1) == 0)
    return np.asarray(np.where(is_empty, gap[0], gap))


def _mean_distance(real: Sample, other: Sample, features: Sequence[Feature], units: Mapping[str, float]) -> float | None:
    from scipy.stats import wasserstein_distance

    found = []
    for feature in features:
        first, second = (side.values[feature.name][side.marks[feature.name] == 0] for side in (real, other))
        if min(len(first), len(second)):
            found.append(float(wasserstein_distance(first, second)) / units[feature.name])
    return float(np.mean(found)) if found else None
