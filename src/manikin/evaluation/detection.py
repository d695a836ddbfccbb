"""Can a classifier tell synthetic rows from real ones? The classifier two-sample test, by boosted trees out of fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import LEAST_LEAF, Booster, Matrix, TreeInput, one_thread
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.groups import Group, groups
from manikin.evaluation.intervals import auc, delong
from manikin.evaluation.prepared import Feature, Prepared, Sample

MAX_ROWS = 10_000
MIN_ROWS = 20
MIN_GROUP_ROWS = 25  # rows of a subgroup on each side of each fold, for an AUC within it
N_FOLDS = 5
WIDENED = 1 / N_FOLDS + 1 / (N_FOLDS - 1)  # in place of 1 / N_FOLDS, since folds share training rows (Nadeau & Bengio 2003)
FEWEST_IN_LEAF, LEAVES = 5, 8  # of trees that learn from few rows: room for so many leaves, none smaller
C2ST = Definition("c2st", "Real or synthetic? (C2ST AUC)", Section.FIDELITY, Direction.LOWER)


@dataclass(frozen=True)
class Jury:
    """Boosters that learned to tell two samples apart, each with the fold of rows that it has not seen.

    Attributes
    ----------
    positive, negative : the two samples; rows of the first stand first everywhere below.
    X : matrix of all rows, (n_rows, n_columns).
    is_positive, patients, folds : (n_rows,).
    boosters : one per fold.
    scores : log-odds of each row from the booster that has not seen it, (n_rows,).
    """

    positive: Sample
    negative: Sample
    inputs: TreeInput
    X: Matrix
    is_positive: npt.NDArray[np.bool_]
    patients: npt.NDArray[np.int64]
    folds: npt.NDArray[np.int64]
    boosters: tuple[Booster, ...]
    scores: npt.NDArray[np.float64]


@measured(C2ST, min_rows=MIN_ROWS)
def c2st(data: Prepared, *, seed: int) -> MetricResult:
    """AUC of boosted trees that tell synthetic from holdout rows, out of fold; 0.5 is best, 1 worst.

    Lopez-Paz & Oquab 2017 (arXiv 1610.06545). As many synthetic as holdout rows; 150 trees with native categories and missing values, with
    leaves of 20 rows, or where fewer than 160 are learned from of an eighth of these and at least 5, since such trees could hardly split
    otherwise; 5 folds that split no patient; the AUC of each fold averaged, so that scores of different forests are never ranked together.
    The interval is DeLong's of the folds, widened since they share training rows (Nadeau & Bengio). The reference tells one half of train
    from the other, at the same n where train is large enough. `details["least_seen"]` is the AUC from which on so many rows could show a
    difference: what is below lies within the noise of guessing. A figure below 0.5 is noise, or rows that have twins on the other side.
    `subgroups` holds the AUC among the rows of a group alone, where every fold has enough of them on both sides.
    """
    main, other = juries(data, seed)
    area, interval, areas = verdict(main)
    reference, reference_interval = None, None
    n = len(main.positive)
    if other is None:
        sizes = [len(half) for half in data.real.halves(seed, "c2st", "halves")]
    else:
        reference, reference_interval, _ = verdict(other)
        sizes = [len(other.positive), len(other.negative)]
    note = ""
    if min(sizes) < n:
        note = f"The reference rests on {sizes[0]} against {sizes[1]} train rows, fewer than the {n} of the figure."
    made = C2ST.result(
        area,
        interval=interval,
        n=2 * n,
        reference=reference,
        reference_interval=reference_interval,
        details={"folds": areas, "n_per_side": n, "least_seen": round(least_seen(main), 6)},
        note=note,
    )
    return replace(made, subgroups={name: round(area, 6) for name, area in areas_by_group(main, groups(data)).items()})


def juries(data: Prepared, seed: int) -> tuple[Jury, Jury | None]:
    """Synthetic against holdout rows, and one half of train against the other where it is large enough; learned once."""
    key = ("juries", seed)
    if key not in data.memory:
        n = data.equal_n(MAX_ROWS)
        held, fake = data.held.draw(n, seed, "c2st", "holdout"), data.fake.draw(n, seed, "c2st", "synthetic")
        other = None
        first, second = data.real.halves(seed, "c2st", "halves")
        if min(len(first), len(second)) >= MIN_ROWS:
            first, second = first.draw(n, seed, "c2st", "first"), second.draw(n, seed, "c2st", "second")
            other = jury(data.features, first, second, seed=seed)
        data.memory[key] = jury(data.features, fake, held, seed=seed), other
    made: tuple[Jury, Jury | None] = data.memory[key]
    return made


def jury(features: tuple[Feature, ...], positive: Sample, negative: Sample, *, seed: int) -> Jury:
    """Boosters that tell two samples apart, one per fold of patients."""
    inputs = TreeInput.fit(features, (positive, negative))
    X = np.concatenate([inputs.matrix(positive), inputs.matrix(negative)])
    y = np.repeat([1, 0], [len(positive), len(negative)])
    folds = np.concatenate([_folds(positive, seed, "positive"), _folds(negative, seed, "negative")])
    scores, boosters = np.empty(len(X)), []
    with one_thread():
        for fold in range(N_FOLDS):
            is_test = folds == fold
            leaf = min(LEAST_LEAF, max(FEWEST_IN_LEAF, int((~is_test).sum()) // LEAVES))
            booster = Booster(inputs, seed=seed, least_leaf=leaf).fit(X[~is_test], y[~is_test])
            scores[is_test] = booster.scores(X[is_test])
            boosters.append(booster)
    patients = np.concatenate([positive.records, negative.records])
    return Jury(positive, negative, inputs, X, y == 1, patients, folds, tuple(boosters), scores)


def verdict(of: Jury) -> tuple[float, tuple[float, float], list[float]]:
    """Mean out-of-fold AUC of telling two samples apart, its 95 % interval, and the AUC of each fold."""
    areas, variances = [], []
    for fold in range(N_FOLDS):
        is_test = of.folds == fold
        truth, scores, patients = of.is_positive[is_test], of.scores[is_test], of.patients[is_test]
        area, variance = delong(scores[truth], scores[~truth], (patients[truth], patients[~truth]))
        areas.append(area)
        variances.append(variance if np.ptp(scores) else _null_variance(patients[truth], patients[~truth]))
    mean = float(np.mean(areas))
    # The folds share training rows, so that their mean varies more than independent ones would: the factor of Nadeau & Bengio 2003
    # (doi:10.1023/A:1024068626366), 1/K + n_test/n_train, takes the place of 1/K.
    half = 1.96 * float(np.mean(variances) * WIDENED) ** 0.5
    return mean, (max(0.0, mean - half), min(1.0, mean + half)), areas


def least_seen(of: Jury) -> float:
    """The AUC from which on the interval of a judge who guesses would leave 0.5 out, in (0.5, 1]: less cannot be told from chance."""
    parts = [(of.folds == fold) & (of.is_positive == side) for fold in range(N_FOLDS) for side in (True, False)]
    patients = [of.patients[part] for part in parts]
    variances = [_null_variance(one, other) for one, other in zip(patients[::2], patients[1::2], strict=True)]
    return min(1.0, 0.5 + 1.96 * float(np.mean(variances) * WIDENED) ** 0.5)


def _null_variance(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """The variance of the AUC of scores that say nothing (Mann & Whitney 1947), (a + b + 1) / 12ab of a and b patients."""
    a, b = len(np.unique(first)), len(np.unique(second))
    return (a + b + 1) / (12 * a * b)


def areas_by_group(of: Jury, named: tuple[Group, ...]) -> dict[str, float]:
    """Mean AUC of the folds among the rows of each group that is large enough."""
    made = {}
    for group in named:
        member = np.concatenate([group.holds(of.positive), group.holds(of.negative)])
        rows = [member & (of.folds == fold) for fold in range(N_FOLDS)]
        parts = [(of.scores[mine & of.is_positive], of.scores[mine & ~of.is_positive]) for mine in rows]
        if min(min(len(a), len(b)) for a, b in parts) >= MIN_GROUP_ROWS:
            made[group.name] = float(np.mean([auc(a, b) for a, b in parts]))
    return made


def _folds(sample: Sample, seed: int, side: str) -> npt.NDArray[Any]:
    if sample.n_records < N_FOLDS:
        raise UndefinedMetricError(f"{N_FOLDS} folds need at least {N_FOLDS} patients on each side")
    return sample.groups(N_FOLDS, seed, "c2st", "folds", side)
