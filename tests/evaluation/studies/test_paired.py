from __future__ import annotations

import numpy as np
import pytest

from manikin.evaluation.studies.paired import corrected_t, holm


def test_the_interval_is_that_of_nadeau_and_bengio() -> None:
    found = corrected_t([0.01, 0.03, 0.05], test_to_train=0.25)
    # S = 0.02; variance (1/3 + 1/4) S²; t with 2 degrees of freedom at 97.5 % is 4.302653
    half = 4.302653 * 0.02 * (1 / 3 + 1 / 4) ** 0.5
    assert found.mean == pytest.approx(0.03)
    assert found.interval == pytest.approx((0.03 - half, 0.03 + half), abs=1e-6)
    assert found.p is not None
    assert found.p > 0.05


def test_p_is_below_five_percent_exactly_where_the_interval_leaves_zero_out() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for shift in np.linspace(0, 3, 40):
        found = corrected_t(rng.normal(shift, 1, 5), test_to_train=0.4)
        assert found.interval is not None
        assert found.p is not None
        outside = found.interval[0] > 0 or found.interval[1] < 0
        assert outside == (found.p < 0.05)
        seen.add(outside)
    assert seen == {True, False}


def test_equal_differences_and_a_single_split() -> None:
    assert corrected_t([0.0, 0.0], test_to_train=0.4).p == 1.0
    assert corrected_t([0.5, 0.5], test_to_train=0.4).p == 0.0
    single = corrected_t([0.5], test_to_train=0.4)
    assert (single.interval, single.p, single.n) == (None, None, 1)


def test_the_correction_keeps_its_level_where_the_plain_t_test_does_not() -> None:
    """Ten random splits of one sample, two scores of equal expected loss: plain t rejects far too often."""
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(1)
    rejected = {"plain": 0, "corrected": 0}
    n_samples, n_rows = 200, 100
    for _ in range(n_samples):
        differences = rng.normal(0, 1, n_rows)  # of two models' losses per patient; what training adds is left out
        means = [differences[rng.permutation(n_rows)[:40]].mean() for _ in range(10)]
        rejected["plain"] += ttest_1samp(means, 0).pvalue < 0.05
        found = corrected_t(means, test_to_train=40 / 60)
        rejected["corrected"] += found.p is not None and found.p < 0.05
    assert rejected["plain"] > 0.4 * n_samples
    assert rejected["corrected"] < 0.2 * n_samples


def test_holm_corrects_for_the_family() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([None, 0.02]) == [None, 0.02]
    assert holm([]) == []
