"""Precision, recall and coverage against their definitions written out on the full distance matrix."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, simulate
from manikin.evaluation.features import embedding
from manikin.evaluation.prepared import prepare
from manikin.evaluation.support import LEVELS, K, alpha_precision, beta_recall, coverage


@pytest.fixture(scope="module")
def drawn():
    """Equal sizes, so that nothing is subsampled and the definitions apply to all rows."""
    data = prepare(evidence(simulate(150, 1), simulate(150, 2), simulate(150, 3)))
    real, fake = (embedding(data).points(side).astype(float) for side in (data.real, data.fake))
    return data, real, fake


def distances(a, b):
    return np.linalg.norm(a[:, None] - b[None], axis=2)


def test_coverage_and_density(drawn):
    data, real, fake = drawn
    own = np.sort(distances(real, real) + np.diag(np.full(len(real), np.inf)), axis=1)[:, K - 1]
    across = distances(real, fake)
    result = coverage(data, seed=0)
    assert result.value == pytest.approx((across.min(axis=1) <= own).mean(), abs=1e-6)
    assert result.details["density"] == pytest.approx((across <= own[:, None] + 1e-6).sum(axis=0).mean() / K, abs=0.01)


def test_alpha_precision(drawn):
    data, real, fake = drawn
    radii = np.quantile(np.linalg.norm(real - real.mean(axis=0), axis=1), LEVELS)
    share = (np.linalg.norm(fake - real.mean(axis=0), axis=1)[:, None] <= radii).mean(axis=0)
    assert alpha_precision(data, seed=0).value == pytest.approx(1 - np.abs(share - LEVELS).sum() / LEVELS.sum(), abs=1e-5)


def test_beta_recall(drawn):
    data, real, fake = drawn
    own = (distances(real, real) + np.diag(np.full(len(real), np.inf))).min(axis=1)
    across = distances(real, fake)
    depth = np.linalg.norm(fake - fake.mean(axis=0), axis=1)[across.argmin(axis=1)]
    share = np.array([((across.min(axis=1) <= own) & (depth <= radius)).mean() for radius in np.quantile(depth, LEVELS)])
    assert beta_recall(data, seed=0).value == pytest.approx(1 - np.abs(share - LEVELS).sum() / LEVELS.sum(), abs=1e-4)


def test_a_perfect_release_is_within_its_interval_of_the_reference(good):
    for metric in (alpha_precision, beta_recall, coverage):
        result = metric(good, seed=0)
        width = result.interval[1] - result.interval[0]
        assert abs(result.value - result.reference) < width


def test_one_mode_alone_is_precise_and_covers_little(good):
    fake = good.synthetic[0]
    old = fake.table.frame["age"].to_numpy() > 80
    narrow = evidence(good.train, good.holdout, fake.take(old))
    result = coverage(narrow, seed=0)
    assert result.value < 0.6 < result.reference
    recall = beta_recall(narrow, seed=0)
    assert recall.value < recall.reference - 0.05


def test_lost_dependence_costs_coverage_and_recall(bad):
    for metric in (coverage, beta_recall):
        result = metric(bad, seed=0)
        assert result.interval[1] < result.reference
