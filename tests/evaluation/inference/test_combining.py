"""The combining rules against their formulas written out, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

import manikin as mk
from manikin.data.errors import ParameterError

Q, V = np.array([0.5, 0.4, 0.75, 0.6]), np.array([0.04, 0.05, 0.03, 0.04])
MEAN, WITHIN, BETWEEN = Q.mean(), V.mean(), Q.var(ddof=1)


@pytest.mark.parametrize(
    ("rule", "variance", "df"),
    [
        ("fully", WITHIN * (800 / 500 + 1 / 4), np.inf),
        ("proper", WITHIN * (800 / 500 + (1 + 800 / 500) / 4), np.inf),
        ("partially", WITHIN + BETWEEN / 4, 3 * (1 + 4 * WITHIN / BETWEEN) ** 2),
        ("naive", WITHIN, np.inf),
    ],
)
def test_the_rules_are_their_formulas(rule, variance, df):
    made = mk.combine(Q, V, rule=rule, n_real=500, n_synthetic=800)
    assert made.estimate == pytest.approx(MEAN)
    assert made.standard_error**2 == pytest.approx(variance)
    assert made.degrees_of_freedom == pytest.approx(df)
    half = (norm.ppf(0.975) if np.isinf(df) else t.ppf(0.975, df)) * variance**0.5
    assert made.interval == pytest.approx((MEAN - half, MEAN + half))
    assert made.naive_standard_error == pytest.approx(WITHIN**0.5)
    z = MEAN / variance**0.5
    assert made.p_value == pytest.approx(2 * (norm.sf(z) if np.isinf(df) else t.sf(z, df)))
    assert made.n_sets == 4


def test_raghunathan_may_be_negative_and_says_so():
    made = mk.combine(Q, V, rule="raghunathan")
    assert 1.25 * BETWEEN < WITHIN
    assert np.isnan(made.standard_error)
    assert "negative" in made.note
    wide = mk.combine(Q, V / 100, rule="raghunathan")
    assert wide.standard_error**2 == pytest.approx(1.25 * BETWEEN - WITHIN / 100)
    assert wide.degrees_of_freedom == pytest.approx(3 * (1 - WITHIN / 100 / (1.25 * BETWEEN)) ** 2)
    assert wide.note == ""


def test_one_table_has_a_corrected_and_a_naive_error():
    made = mk.combine(0.5, 0.04, n_real=500, n_synthetic=500)
    assert (made.standard_error**2, made.naive_standard_error**2) == pytest.approx((0.08, 0.04))
    bound = mk.combine(0.5, 0.04, rule="partially")
    assert bound.standard_error**2 == pytest.approx(0.08)
    assert "upper bound" in bound.note


def test_several_coefficients_go_elementwise():
    made = mk.combine(np.column_stack([Q, 2 * Q]), np.column_stack([V, V]), n_real=100, n_synthetic=100)
    assert made.estimate.shape == made.standard_error.shape == (2,)
    assert made.estimate[1] == pytest.approx(2 * MEAN)


def test_equal_estimates_have_no_variance_between():
    made = mk.combine([0.5, 0.5], [0.04, 0.04], rule="partially")
    assert made.standard_error == pytest.approx(0.2)
    assert made.degrees_of_freedom == np.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "rubin"}, "'rule' parameter of combine"),
        ({"variances": [0.1]}, "of one shape"),
        ({"variances": -V}, "variances of 0 or more"),
        ({"n_real": None}, "'n_real' parameter"),
        ({"n_synthetic": 0}, "'n_synthetic' parameter"),
        ({"rule": "raghunathan", "estimates": 1.0, "variances": 1.0}, "2 synthetic tables"),
        ({"estimates": [], "variances": []}, "of one shape"),
    ],
)
def test_what_cannot_be_combined_is_refused(arguments, message):
    given = {"estimates": Q, "variances": V, "n_real": 500, "n_synthetic": 500, **arguments}
    with pytest.raises(ParameterError, match=message):
        mk.combine(given.pop("estimates"), given.pop("variances"), **given)
