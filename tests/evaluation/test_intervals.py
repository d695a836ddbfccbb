"""Intervals and AUCs against slow and obvious versions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from manikin.evaluation.intervals import (
    N_GROUPS,
    N_KEPT,
    N_REPLICATES,
    auc,
    bootstrap_weights,
    clopper_pearson,
    delong,
    mean_interval,
    replicate_interval,
    subsets,
    with_replicates,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (7, 7), (3, 11), (40, 4000)])
def test_clopper_pearson_is_the_exact_interval(hits, n):
    exact = binomtest(hits, n).proportion_ci(method="exact")
    assert clopper_pearson(hits, n) == pytest.approx((exact.low, exact.high))


def test_clopper_pearson_of_nothing_says_nothing():
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_auc_counts_ties_half():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 5, 60), rng.integers(0, 4, 90)
    truth = np.repeat([1, 0], [60, 90])
    assert auc(positive, negative) == pytest.approx(roc_auc_score(truth, np.concatenate([positive, negative])))


def test_delong_variance_equals_the_spread_of_simulated_aucs():
    rng = np.random.default_rng(1)
    drawn = [delong(rng.normal(0.8, 1, 80), rng.normal(0, 1, 120)) for _ in range(400)]
    areas, variances = np.array(drawn).T
    assert np.sqrt(variances.mean()) == pytest.approx(areas.std(), rel=0.12)


def test_delong_of_doubled_rows_knows_that_they_are_one_patient():
    rng = np.random.default_rng(2)
    positive, negative = rng.normal(1, 1, 50), rng.normal(0, 1, 60)
    _, once = delong(positive, negative)
    patients = (np.repeat(np.arange(50), 2), np.repeat(np.arange(60), 2))
    area, twice = delong(np.repeat(positive, 2), np.repeat(negative, 2), patients)
    assert area == pytest.approx(auc(positive, negative))
    assert twice == pytest.approx(once, rel=1e-9)
    assert delong(np.repeat(positive, 2), np.repeat(negative, 2))[1] < 0.6 * once


def test_replicates_are_sums_over_the_kept_groups():
    counts = np.random.default_rng(3).integers(0, 9, (N_GROUPS, 4))
    made = with_replicates(counts)
    assert made.shape == (N_REPLICATES + 1, 4)
    assert (made[0] == counts.sum(axis=0)).all()
    chosen = subsets()
    assert (chosen.sum(axis=1) == N_KEPT).all()
    assert (made[7] == counts[chosen[6]].sum(axis=0)).all()


def test_replicate_interval_of_a_mean_is_its_standard_error():
    widths = []
    for seed in range(40):
        groups = np.random.default_rng(seed).normal(0, 1, (N_GROUPS, 100))
        sums = with_replicates(np.column_stack([groups.sum(axis=1), np.full(N_GROUPS, 100)]))
        low, high = replicate_interval(sums[:, 0] / sums[:, 1])
        widths.append((high - low) / 2)
    assert np.mean(widths) == pytest.approx(2.09 / np.sqrt(2000), rel=0.1)


def test_mean_interval_widens_with_clusters_and_is_exact_near_the_ends():
    values = np.repeat(np.random.default_rng(4).random(50) < 0.4, 4).astype(float)
    alone, shared = mean_interval(values), mean_interval(values, np.repeat(np.arange(50), 4))
    assert shared[1] - shared[0] == pytest.approx(2 * (alone[1] - alone[0]), rel=0.05)
    zeros = np.zeros(30)
    assert mean_interval(zeros, np.arange(30)) == clopper_pearson(0, 30)


def test_bootstrap_draws_patients_not_rows():
    records = np.array([0, 0, 0, 1, 2, 2])
    weights = bootstrap_weights(records, 50, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()


def test_no_hit_in_many_rows_of_few_patients_is_no_hit_in_few() -> None:
    patients = np.repeat(np.arange(100), 50)
    assert mean_interval(np.zeros(5_000), patients) == pytest.approx(clopper_pearson(0, 100))
    assert mean_interval(np.zeros(5_000)) == pytest.approx(clopper_pearson(0, 5_000))
    one = np.where(np.arange(5_000) == 7, 1.0, 0.0)
    assert mean_interval(one, patients)[1] > mean_interval(one)[1]
