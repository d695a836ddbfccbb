"""The one-run audit against the figures that are known, and against mechanisms whose epsilon is exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from manikin.privacy.auditing import audit, lower_bound, p_value


@pytest.mark.parametrize(("accuracy", "epsilon"), [(0.6, 0.30), (0.7, 0.73), (0.8, 1.25), (0.9, 2.02), (1.0, 5.78)])
def test_a_thousand_guesses_prove_what_is_published(accuracy: float, epsilon: float) -> None:
    assert lower_bound(1_000, 1_000, round(1_000 * accuracy), delta=1e-5) == pytest.approx(epsilon, abs=0.01)


def test_a_hundred_right_guesses_prove_no_more_than_three_and_a_half() -> None:
    assert lower_bound(100, 100, 100, delta=1e-5) == pytest.approx(3.5, abs=0.05)


def test_without_delta_the_bound_is_that_of_a_coin() -> None:
    """The largest epsilon for which so many right guesses of a coin are rarer than 5 %."""
    bound = lower_bound(200, 200, 150, delta=0.0)
    assert binom.sf(149, 200, expit(bound)) == pytest.approx(0.05, rel=1e-6)


def test_guessing_proves_nothing() -> None:
    assert lower_bound(1_000, 1_000, 500, delta=1e-5) == 0
    assert lower_bound(1_000, 0, 0, delta=1e-5) == 0
    assert lower_bound(10, 10, 0, delta=1e-5) == 0


def test_a_larger_delta_proves_less() -> None:
    bounds = [lower_bound(1_000, 500, 450, delta=delta) for delta in (0.0, 1e-6, 1e-4, 1e-2)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[-1]


def test_the_correction_for_delta_is_the_worst_of_all() -> None:
    """By a slow loop, from theorem 5.2 as it is printed."""
    m, r, v, epsilon, delta = 60, 40, 33, 0.9, 1e-3

    def f(x: int) -> float:
        return float(binom.sf(x - 1, r, expit(epsilon)))

    slow = f(v) + 2 * m * delta * max((f(v - i) - f(v)) / i for i in range(1, m + 1))
    assert p_value(m, r, v, epsilon=epsilon, delta=delta) == pytest.approx(slow, rel=1e-12)


def test_wrong_numbers_are_refused() -> None:
    for wrong in ((10, 11, 5), (10, 5, 6), (10, 5, -1)):
        with pytest.raises(ValueError, match="n_right"):
            p_value(*wrong, epsilon=1.0, delta=0.0)
    with pytest.raises(ValueError, match="confidence"):
        lower_bound(10, 5, 5, delta=0.0, confidence=1.0)
    with pytest.raises(ValueError, match="scores"):
        audit(np.zeros(3), np.zeros(4, dtype=bool), delta=0.0)


def test_the_most_certain_are_guessed() -> None:
    """Half of the canaries are drowned in noise: passing on them proves more."""
    rng = np.random.default_rng(0)
    is_in = rng.random(1_000) < 0.5
    spread = np.where(np.arange(1_000) < 500, 0.1, 3.0)
    scores = (is_in + spread * rng.normal(size=1_000) - 0.5) / spread**2  # log-likelihood ratios
    some, every = audit(scores, is_in, delta=1e-5), audit(scores, is_in, delta=1e-5, shares=(1.0,))
    assert some.epsilon > every.epsilon
    assert some.n_guesses < every.n_guesses == 1_000
    assert audit(-scores, is_in, delta=1e-5).epsilon == 0


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_randomised_response_is_bounded_from_below(epsilon: float) -> None:
    """Its epsilon is exact: a bound at 95 % exceeds it in at most 5 of 100 runs, and comes near to it."""
    rng, n = np.random.default_rng(1), 400
    is_in = rng.random((n, 1_000)) < 0.5
    answers = np.where(rng.random((n, 1_000)) < expit(epsilon), is_in, ~is_in)
    right, times = np.unique((answers == is_in).sum(axis=1), return_counts=True)
    bounds = np.repeat([lower_bound(1_000, 1_000, int(one), delta=0.0) for one in right], times)
    assert (bounds > epsilon).sum() <= binom.ppf(1 - 1e-6, n, 0.05)
    assert np.median(bounds) > 0.8 * epsilon - 0.05
