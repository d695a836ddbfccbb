"""Can a classifier tell synthetic rows from real ones? The classifier two-sample test, by boosted trees out of fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import Booster, TreeInput, one_thread
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.intervals import delong
from manikin.evaluation.prepared import Feature, Prepared, Sample

MAX_ROWS = 10_000
MIN_ROWS = 20
N_FOLDS = 5
C2ST = Definition("c2st", "Real or synthetic? (C2ST AUC)", Section.FIDELITY, Direction.LOWER)


@measured(C2ST, min_rows=MIN_ROWS)
def c2st(data: Prepared, *, seed: int) -> MetricResult:
    """AUC of boosted trees that tell synthetic from holdout rows, out of fold; 0.5 is best, 1 worst.

    Lopez-Paz & Oquab 2017 (arXiv 1610.06545). As many synthetic as holdout rows; 150 trees with native categories and missing values;
    5 folds that split no patient; the AUC of each fold averaged, so that scores of different forests are never ranked together. The
    interval is DeLong's of the folds, widened since they share training rows (Nadeau & Bengio). The reference tells one half of train
    from the other, at the same n where train is large enough. A figure below 0.5 is noise, or rows that have twins on the other side.
    """
    n = data.equal_n(MAX_ROWS)
    held, fake = data.held.draw(n, seed, "c2st", "holdout"), data.fake.draw(n, seed, "c2st", "synthetic")
    area, interval, importance = cross_validated_auc(data.features, fake, held, seed=seed)
    first, second = data.real.halves(seed, "c2st", "halves")
    reference, reference_interval, note = None, None, ""
    if min(len(first), len(second)) >= MIN_ROWS:
        first, second = first.draw(n, seed, "c2st", "first"), second.draw(n, seed, "c2st", "second")
        reference, reference_interval, _ = cross_validated_auc(data.features, first, second, seed=seed)
    if min(len(first), len(second)) < n:
        note = f"The reference rests on {len(first)} against {len(second)} train rows, fewer than the {n} of the figure."
    return C2ST.result(
        area,
        interval=interval,
        n=2 * n,
        reference=reference,
        reference_interval=reference_interval,
        details={"folds": importance, "n_per_side": n},
        note=note,
    )


def cross_validated_auc(
    features: tuple[Feature, ...], positive: Sample, negative: Sample, *, seed: int
) -> tuple[float, tuple[float, float], list[float]]:
    """Mean out-of-fold AUC of telling two samples apart, its 95 % interval, and the AUC of each fold."""
    inputs = TreeInput.fit(features, (positive, negative))
    X = np.concatenate([inputs.matrix(positive), inputs.matrix(negative)])
    y = np.repeat([1, 0], [len(positive), len(negative)])
    patients = np.concatenate([positive.records, negative.records])
    folds = np.concatenate([_folds(positive, seed, "positive"), _folds(negative, seed, "negative")])
    areas, variances = [], []
    with one_thread():
        for fold in range(N_FOLDS):
            is_test = folds == fold
            scores = Booster(inputs, seed=seed).fit(X[~is_test], y[~is_test]).scores(X[is_test])
            truth, groups = y[is_test] == 1, patients[is_test]
            area, variance = delong(scores[truth], scores[~truth], (groups[truth], groups[~truth]))
            areas.append(area)
            variances.append(variance)
    mean = float(np.mean(areas))
    # The folds share training rows, so that their mean varies more than independent ones would: the factor of Nadeau & Bengio 2003
    # (doi:10.1023/A:1024068626366), 1/K + n_test/n_train, takes the place of 1/K.
    half = 1.96 * float(np.mean(variances) * (1 / N_FOLDS + 1 / (N_FOLDS - 1))) ** 0.5
    return mean, (max(0.0, mean - half), min(1.0, mean + half)), areas


def _folds(sample: Sample, seed: int, side: str) -> npt.NDArray[Any]:
    if sample.n_records < N_FOLDS:
        raise UndefinedMetricError(f"{N_FOLDS} folds need at least {N_FOLDS} patients on each side")
    return sample.groups(N_FOLDS, seed, "c2st", "folds", side)
