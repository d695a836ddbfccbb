"""Levels of discrete columns: are the rare ones there, and are those that only a few patients hold kept back?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.intervals import clopper_pearson
from manikin.evaluation.prepared import Feature, Prepared, Sample

Counts = npt.NDArray[np.int64]
LEAST_SHARE = 0.005
RARE_LEVELS = Definition("rare_levels", "Rare levels kept", Section.DIVERSITY, Direction.HIGHER, unit="levels")
RARE_VALUES = Definition("rare_values", "Rare values disclosed", Section.PRIVACY, Direction.LOWER, unit="levels")


@measured(RARE_LEVELS)
def rare_levels(data: Prepared, *, seed: int) -> MetricResult:
    """Share of the levels held by at least 0.5 % of train rows that occur in the synthetic rows; in [0, 1], 1 is best.

    At equal n with the holdout, which gives the reference. Details give the same for all levels, for all levels that may be released
    (held by enough patients, or declared public), and for the whole release; and the columns that lose most. The interval is
    Clopper-Pearson's with levels as the draws.
    """
    features = [feature for feature in data.features if not feature.is_number]
    if not features:
        raise UndefinedMetricError("there is no discrete column")
    n = data.equal_n(max(len(data.held), len(data.fake)))
    held, fake = data.held.draw(n, seed, "rare levels", "holdout"), data.fake.draw(n, seed, "rare levels", "synthetic")
    found: dict[str, list[npt.NDArray[np.bool_]]] = {
        "synthetic": [],
        "holdout": [],
        "whole": [],
        "frequent": [],
        "releasable": [],
    }
    columns: list[dict[str, Any]] = []
    for feature in features:
        counts = _counts(data.real, feature)
        occurs = counts > 0
        is_frequent = counts[occurs] >= LEAST_SHARE * len(data.real)
        patients = patients_per_level(data.real, feature)[occurs]
        found["frequent"].append(is_frequent)
        found["releasable"].append(patients >= data.schema.threshold(feature.column))
        for side, sample in (("synthetic", fake), ("holdout", held), ("whole", data.fake)):
            found[side].append(_counts(sample, feature)[occurs] > 0)
        lost = is_frequent & ~found["synthetic"][-1]
        columns.append(
            {
                "column": feature.name,
                "n_levels": int(occurs.sum()),
                "n_kept": int(found["whole"][-1].sum()),
                "n_rare_lost": int(lost.sum()),
            }
        )
    flags = {name: np.concatenate(parts) for name, parts in found.items()}
    chosen = flags["frequent"]
    if not chosen.any():
        raise UndefinedMetricError("no level is held by 0.5 % of the train rows")
    kept, kept_held, n_levels = int(flags["synthetic"][chosen].sum()), int(flags["holdout"][chosen].sum()), int(chosen.sum())
    columns.sort(key=lambda row: (-row["n_rare_lost"], row["n_kept"] - row["n_levels"], row["column"]))
    return RARE_LEVELS.result(
        kept / n_levels,
        interval=clopper_pearson(kept, n_levels),
        n=n_levels,
        reference=kept_held / n_levels,
        reference_interval=clopper_pearson(kept_held, n_levels),
        details={
            "all_levels": _share(flags["synthetic"]),
            "all_levels_reference": _share(flags["holdout"]),
            "releasable_levels": _share(flags["synthetic"][flags["releasable"]]),
            "releasable_levels_reference": _share(flags["holdout"][flags["releasable"]]),
            "whole_release": {
                "rare_levels": _share(flags["whole"][chosen]),
                "all_levels": _share(flags["whole"]),
                "releasable_levels": _share(flags["whole"][flags["releasable"]]),
            },
            "n_rows": n,
            "columns": columns,
        },
    )


@measured(RARE_VALUES, min_rows=1)
def rare_values(data: Prepared, *, seed: int) -> MetricResult:
    """Number of levels in the release that fewer train patients hold than the schema's threshold; must be 0.

    Levels declared public are free, and a level that no train patient holds (a parent code, a merged group) discloses nobody; both are
    counted apart. Details count per column, and never name a level; `beyond_extremes` counts synthetic numbers outside the range
    that the threshold's number of train patients reaches at either end. All rows are looked at; there is nothing to draw, so no interval.
    """
    del seed
    columns: list[dict[str, Any]] = []
    n_levels = n_new = 0
    for feature in data.features:
        threshold = data.schema.threshold(feature.column)
        if feature.is_number:
            beyond = _beyond_extremes(data.real, data.fake, feature, threshold)
            if beyond:
                columns.append({"column": feature.name, "n_levels": 0, "n_rows": 0, "beyond_extremes": beyond})
            continue
        patients, used = patients_per_level(data.real, feature), _counts(data.fake, feature)
        is_rare = (used > 0) & (patients > 0) & (patients < threshold)
        n_levels += int((used > 0).sum())
        n_new += int(((used > 0) & (patients == 0)).sum())
        if is_rare.any():
            columns.append(
                {
                    "column": feature.name,
                    "n_levels": int(is_rare.sum()),
                    "n_rows": int(used[is_rare].sum()),
                    "beyond_extremes": 0,
                }
            )
    columns.sort(key=lambda row: (-row["n_levels"], -row["beyond_extremes"], row["column"]))
    return RARE_VALUES.result(
        float(sum(row["n_levels"] for row in columns)),
        n=n_levels,
        reference=0.0,
        details={
            "n_rows": sum(row["n_rows"] for row in columns),
            "n_levels_unknown_to_train": n_new,
            "beyond_extremes": sum(row["beyond_extremes"] for row in columns),
            "threshold": data.schema.min_patients,
            "columns": columns,
        },
    )


def _counts(sample: Sample, feature: Feature) -> Counts:
    """Rows that hold each level, int64 (n_levels,)."""
    codes = sample.values[feature.name]
    return np.bincount(codes[codes >= 0], minlength=len(feature.levels or ()))


def patients_per_level(sample: Sample, feature: Feature) -> Counts:
    """Patients who hold each level, int64 (n_levels,)."""
    if not sample.has_patients:
        return _counts(sample, feature)
    codes = sample.values[feature.name].astype(np.int64)
    n_levels = len(feature.levels or ())
    pairs = np.unique(sample.records[codes >= 0] * n_levels + codes[codes >= 0]) if n_levels else np.empty(0, dtype=np.int64)
    return np.bincount(pairs % max(n_levels, 1), minlength=n_levels)


def _beyond_extremes(real: Sample, fake: Sample, feature: Feature, threshold: int) -> int:
    """Synthetic numbers above the value that `threshold` train patients reach, or below the one that as many stay under."""
    values, made = real.values[feature.name], fake.values[feature.name]
    is_present = ~np.isnan(values)
    made = made[~np.isnan(made)]
    highest, lowest = np.full(real.n_records, -np.inf), np.full(real.n_records, np.inf)
    np.maximum.at(highest, real.records[is_present], values[is_present])
    np.minimum.at(lowest, real.records[is_present], values[is_present])
    if threshold <= 1 or min(int(np.isfinite(highest).sum()), len(highest)) < threshold:
        return 0
    top, bottom = np.sort(highest)[-threshold], np.sort(lowest)[threshold - 1]
    return int(((made > top) | (made < bottom)).sum())


def _share(flags: npt.NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None
