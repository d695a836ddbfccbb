"""The accountants against published values, against exact compositions, and against trade-off curves worked out by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from manikin.data.errors import BudgetError
from manikin.privacy import accountant
from manikin.privacy.events import Exponential, Gaussian, Laplace, SampledGaussian, Threshold

PUBLISHED = [  # n, batch, epochs, noise, delta; PLD and RDP of dp-accounting and of Opacus, add or remove one
    (20_000, 256, 20, 1.0, 1e-5, 2.99, 3.32),
    (2_000, 64, 50, 2.0, 1e-4, 2.45, 2.71),
    (100_000, 1_000, 30, 0.7, 1e-6, 8.58, 9.51),
]


@pytest.mark.parametrize(("n", "batch", "epochs", "noise", "delta", "pld", "rdp"), PUBLISHED)
def test_dp_sgd_costs_what_is_published(
    n: int, batch: int, epochs: int, noise: float, delta: float, pld: float, rdp: float
) -> None:
    cost = accountant.cost([SampledGaussian(noise, batch / n, epochs * n // batch)], delta)
    assert cost.epsilon == pytest.approx(pld, abs=0.01)
    assert cost.epsilon_rdp == pytest.approx(rdp, abs=0.01)
    assert cost.mu is None


@pytest.mark.parametrize(("noise", "epsilon"), [(0.5, 9.9973), (1.0, 4.3772), (2.0, 1.9931), (3.7304, 1.0)])
def test_a_gaussian_costs_what_balle_and_wang_say(noise: float, epsilon: float) -> None:
    """Theorem 8 at delta 1e-5, solved with 50 digits; 3.7304 is the analytic Gaussian mechanism's noise for epsilon 1."""
    cost = accountant.cost([Gaussian(noise)], 1e-5)
    assert cost.epsilon == pytest.approx(epsilon, rel=2e-3)
    assert cost.epsilon >= accountant.gaussian_epsilon(1 / noise, 1e-5), "rounding is pessimistic"
    assert cost.epsilon_rdp >= cost.epsilon - 1e-6


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-6), (1.0, 1e-5), (1.0, 1e-9), (10.0, 1e-6)])
def test_the_whole_precision_is_what_the_strongest_gaussian_has(epsilon: float, delta: float) -> None:
    mu = accountant.total_precision(epsilon, delta) ** 0.5
    exact = norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert exact == pytest.approx(delta, rel=1e-5)
    assert accountant.gaussian_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(2.0, 50.0), min_size=1, max_size=20))
def test_gaussians_add_up_exactly(noises: list[float]) -> None:
    whole = sum(noise**-2 for noise in noises)
    merged = accountant.merge(map(Gaussian, noises))
    assert len(merged) == 1
    assert accountant.precision(merged[0]) == pytest.approx(whole, rel=1e-12)


def test_merging_changes_no_cost() -> None:
    from dp_accounting import NeighboringRelation, dp_event
    from dp_accounting.pld import PLDAccountant

    events = [
        Gaussian(6.0),
        Laplace(8.0),
        SampledGaussian(2.0, 0.05, 30),
        Gaussian(8.0),
        SampledGaussian(2.0, 0.05, 20),
        Laplace(8.0),
    ]
    one_by_one = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    for event in events:
        if isinstance(event, SampledGaussian):
            one = dp_event.PoissonSampledDpEvent(event.sampling_rate, dp_event.GaussianDpEvent(event.noise_multiplier))
            one_by_one.compose(one, event.steps)
        elif isinstance(event, Laplace):
            one_by_one.compose(dp_event.LaplaceDpEvent(event.noise_multiplier))
        else:
            one_by_one.compose(dp_event.GaussianDpEvent(event.noise_multiplier))
    assert accountant.epsilon(events, 1e-6) == pytest.approx(one_by_one.get_epsilon(1e-6), rel=1e-3)


def curve(p: np.ndarray, q: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Least type II error at each type I error of telling p from q, both finite."""
    order = np.argsort(-np.log(q) + np.log(p), kind="stable")
    x, y = np.concatenate([[0], np.cumsum(p[order])]), np.concatenate([[0], np.cumsum(q[order])])
    del x
    at = np.concatenate([[0], np.cumsum(q[order])]), 1 - np.concatenate([[0], np.cumsum(p[order])])
    assert y[-1] == pytest.approx(1)
    return np.interp(alphas, *at)


def choices(scores: np.ndarray, epsilon: float) -> np.ndarray:
    """Chances of the exponential mechanism at sensitivity 1."""
    weights = np.exp(epsilon * (scores - scores.max()) / 2)
    return weights / weights.sum()


def gaussian_curve(mu: float, alphas: np.ndarray) -> np.ndarray:
    return norm.cdf(norm.ppf(1 - alphas) - mu)


ALPHAS = np.linspace(1e-4, 1 - 1e-4, 2_001)


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("n_choices", [1, 2, 3])
def test_the_exponential_mechanism_gives_no_more_away_than_its_gaussian(epsilon: float, n_choices: int) -> None:
    """Brute force: every way in which one patient can move the scores of five candidates, and products of such mechanisms."""
    mu = float(np.sqrt(n_choices * accountant.precision(Exponential(epsilon))))
    rng = np.random.default_rng(1)
    nearest = np.inf
    for _ in range(40):
        scores = rng.choice([0.0, 1.0, 5.0, 40.0], 5)
        for move in (rng.choice([-1.0, 1.0], 5), rng.choice([0.0, 1.0], 5), np.array([1.0, -1, -1, -1, -1])):
            p, q = choices(scores, epsilon), choices(scores + move, epsilon)
            ps, qs = ([np.prod(one) for one in product(side, repeat=n_choices)] for side in (p, q))
            gap = curve(np.array(ps), np.array(qs), ALPHAS) - gaussian_curve(mu, ALPHAS)
            assert gap.min() > -1e-9
            nearest = min(nearest, gap.min())
    assert nearest < 0.1, "some of these mechanisms come near to what is claimed"


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("n_coins", [1, 2, 3])
def test_the_worst_exponential_mechanisms_are_covered(epsilon: float, n_coins: int) -> None:
    """Coins whose loss is t or t - epsilon: the worst that a bounded range allows, each with its own t."""
    mu = float(np.sqrt(n_coins * accountant.precision(Exponential(epsilon))))
    reached = np.inf
    for ts in product(np.linspace(0.02, 0.98, 7) * epsilon, repeat=n_coins):
        p, q = np.ones(1), np.ones(1)
        for t in ts:
            first = np.expm1(t - epsilon) / np.expm1(-epsilon)
            p = np.outer(p, [first, 1 - first]).ravel()
            q = np.outer(q, [first * np.exp(-t), 1 - first * np.exp(-t)]).ravel()
        gap = curve(p, q, ALPHAS) - gaussian_curve(mu, ALPHAS)
        assert gap.min() > -1e-9
        reached = min(reached, gap.min())
    assert n_coins > 1 or reached < 1e-3, "the bound is touched: a smaller mu would be wrong"


@pytest.mark.parametrize("epsilon", [0.001, 0.1, 1.0, 5.0])
def test_laplace_gives_no_more_away_than_its_gaussian(epsilon: float) -> None:
    """The trade-off curve of Laplace noise, exactly (Dong, Roth & Su, arXiv 1905.02383, A.6), and that of randomised response."""
    mu = float(np.sqrt(accountant.precision(Laplace(1 / epsilon))))
    from scipy.stats import laplace

    exact = laplace.cdf(laplace.ppf(1 - ALPHAS) - epsilon)
    response = np.maximum.reduce([1 - np.exp(epsilon) * ALPHAS, np.exp(-epsilon) * (1 - ALPHAS), 0 * ALPHAS])
    for one in (exact, response):
        assert (one - gaussian_curve(mu, ALPHAS)).min() > -1e-9
    corner = 1 / (1 + np.exp(epsilon))
    assert gaussian_curve(mu, np.array([corner]))[0] == pytest.approx(corner, rel=1e-6), "and the bound is touched"


@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 1.0, 20.0, 40.0, 500.0])
def test_the_least_gaussian_of_an_exponential_mechanism_is_found_at_any_size(epsilon: float) -> None:
    mu = accountant.precision(Exponential(epsilon)) ** 0.5
    assert 0 < mu < float("inf")
    assert accountant.exponential_epsilon(mu**2) == pytest.approx(epsilon, rel=1e-6)
    finer = np.linspace(0, epsilon, 20_011)[1:-1]
    rest = np.exp(finer - epsilon) * -np.expm1(-finer) / -np.expm1(-epsilon)
    p = -np.expm1(finer - epsilon) / -np.expm1(-epsilon)
    with np.errstate(all="ignore"):
        each = np.where(rest < 0.3, -norm.ppf(rest), norm.ppf(p)) - norm.ppf(p * np.exp(-finer))
    assert mu >= np.nanmax(each[np.isfinite(each)]) * (1 - 1e-9)


def test_what_is_planned_fits_the_figure_of_record() -> None:
    """Precisions of all kinds add up to no less than the accountant finds."""
    whole = accountant.total_precision(1.0, 0.9e-6)
    events = [Laplace(100.0), *[Exponential(0.05)] * 10]
    left = whole - sum(map(accountant.precision, events))
    events += [Gaussian((left / 4) ** -0.5)] * 4
    assert accountant.epsilon(events, 0.9e-6) <= 1.0 + 1e-6


def test_noise_for_dp_sgd_uses_the_budget_and_no_more() -> None:
    spent = [Laplace(100.0), Gaussian(20.0), Threshold(1e-7)]
    noise = accountant.noise_multiplier(spent, epsilon=1.0, delta=1e-6, sampling_rate=0.2, steps=10, tolerance=0.01)
    assert accountant.epsilon([*spent, SampledGaussian(noise, 0.2, 10)], 1e-6) <= 1.0
    assert accountant.epsilon([*spent, SampledGaussian(noise / 1.02, 0.2, 10)], 1e-6) > 1.0


def test_noise_that_nothing_leaves_room_for_is_refused() -> None:
    with pytest.raises(BudgetError, match="leaves nothing"):
        accountant.noise_multiplier([Gaussian(3.0)], epsilon=1.0, delta=1e-6, sampling_rate=0.5, steps=1_000)


def test_thresholds_are_paid_from_delta() -> None:
    assert accountant.delta_left([Threshold(1e-7), Threshold(2e-7)], 1e-6) == pytest.approx(7e-7)
    assert accountant.epsilon([Gaussian(4.0), Threshold(5e-7)], 1e-6) > accountant.epsilon([Gaussian(4.0)], 1e-6)
    with pytest.raises(BudgetError, match="use up"):
        accountant.epsilon([Gaussian(4.0), Threshold(1e-6)], 1e-6)


def test_nothing_done_costs_nothing() -> None:
    assert accountant.epsilon([], 1e-6) == 0
    assert accountant.cost([Threshold(1e-7)], 1e-6).epsilon == 0


def test_absurd_events_are_accounted_for_at_once_and_never_too_low() -> None:
    """A hostile ledger must not fill the memory of whoever audits it."""
    assert accountant.epsilon([Gaussian(1e-9)], 1e-6) > 1e15
    assert accountant.epsilon([Gaussian(1e12)], 1e-6) < 1e-3
    assert accountant.epsilon([SampledGaussian(1e-3, 0.01, 10**9)], 1e-6) > 1e12
    assert accountant.epsilon([Laplace(1e-9)], 1e-6) > 1e6
    assert accountant.epsilon([Exponential(1e9)], 1e-6) > 1e4


def test_a_sample_of_everybody_is_the_gaussian_itself() -> None:
    assert accountant.epsilon([SampledGaussian(4.0, 1.0, 4)], 1e-6) == pytest.approx(
        accountant.epsilon([Gaussian(2.0)], 1e-6), rel=1e-6
    )
