"""What events cost together, in epsilon at a delta. Knows no data and no noise.

The figure of record is a privacy loss distribution (Koskela et al., arXiv 1906.03049; Doroshenko et al., arXiv 2207.04380), computed by
dp-accounting with pessimistic rounding; the cross-check is Rényi (Mironov, arXiv 1702.07476). Of Gaussian events and Poisson samples it
is never the lower of the two by more than rounding; of many exponential mechanisms it may be, since the figure of record takes each for
the Gaussian event that gives at least as much away. Both know that a Poisson sample hides who is in it. What is *not* used is the
central-limit approximation that some packages call a GDP accountant: it reports less than is spent.

For planning there is one currency, the *precision* mu^2: a Gaussian event has 1 / noise_multiplier^2, and precisions of Gaussian events
add up exactly, since together they are one Gaussian event (Dong, Roth & Su, arXiv 1905.02383, corollary 3.3).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri, ndtri_exp

from manikin.data.errors import BudgetError, parameter_error
from manikin.privacy.events import Event, Exponential, Gaussian, Laplace, SampledGaussian, Threshold

MOST_PRECISION = 100.0  # beyond it (epsilon above 90) a privacy loss distribution would fill the memory, and nothing is protected
LEAST_NOISE = 0.1  # likewise of one step of DP-SGD
EPSILONS = np.concatenate([[0.0], np.geomspace(1e-3, 60, 400)])  # at which a trade-off curve is read


@dataclass(frozen=True)
class Cost:
    """What events cost together.

    Attributes
    ----------
    epsilon : by privacy loss distribution, the figure of record. epsilon_rdp : by Rényi orders, the cross-check.
    mu : the strongest Gaussian that hides as little (`Gaussian` with noise multiplier 1 / mu): what the trade-off curve is drawn from;
        None where a Poisson sample is among the events, whose curve is no Gaussian's.
    """

    epsilon: float
    delta: float
    epsilon_rdp: float
    mu: float | None


def cost(events: Iterable[Event], delta: float) -> Cost:
    """The cost of events at a delta, by both accountants.

    Raises
    ------
    BudgetError : the thresholds among the events use up delta alone.
    """
    merged = merge(events)
    left = delta_left(merged, delta)
    is_sampled = any(isinstance(event, SampledGaussian) for event in merged)
    mu = None if is_sampled else float(np.sqrt(sum(map(precision, merged))))
    return Cost(_epsilon(merged, left, _pld), delta, _epsilon(merged, left, _rdp), mu)


def epsilon(events: Iterable[Event], delta: float) -> float:
    """Epsilon of events at a delta, the figure of record; 0 where nothing was done."""
    merged = merge(events)
    return _epsilon(merged, delta_left(merged, delta), _pld)


def delta_left(events: Iterable[Event], delta: float) -> float:
    """What thresholds leave of delta.

    Raises
    ------
    BudgetError : nothing is left.
    """
    left = delta - sum(event.delta for event in events if isinstance(event, Threshold))
    if not left > 0:
        raise BudgetError(f"The lists of values that were found use up a delta of {delta:g}. Give a larger one.")
    return left


def merge(events: Iterable[Event]) -> tuple[Event, ...]:
    """The same cost in fewer events: Gaussian ones are one, samples of one rate and noise are one, thresholds are one."""
    gaussian, thresholds = 0.0, 0.0
    sampled: dict[tuple[float, float], int] = {}
    others: list[Event] = []
    for event in events:
        if isinstance(event, Gaussian):
            gaussian += precision(event)
        elif isinstance(event, Threshold):
            thresholds += event.delta
        elif isinstance(event, SampledGaussian):
            key = (event.noise_multiplier, event.sampling_rate)
            sampled[key] = sampled.get(key, 0) + event.steps
        else:
            others.append(event)
    out: list[Event] = [Gaussian(float(gaussian**-0.5))] if gaussian else []
    out += [SampledGaussian(noise, rate, steps) for (noise, rate), steps in sampled.items()]
    return (*out, *others, *([Threshold(thresholds)] if thresholds else []))


def is_within(events: Iterable[Event], others: Iterable[Event]) -> bool:
    """Whether events are plainly no dearer than others: the same ones or fewer, fewer steps of the same samples, more Gaussian noise.

    A quick sufficient answer: DP-SGD's whole plan is costed once, and its blocks, one by one, are found within it.
    """
    known: dict[object, float] = {}
    for event in merge(others):
        known[_likeness(event)] = known.get(_likeness(event), 0.0) + _amount(event)
    asked: dict[object, float] = {}
    for event in merge(events):
        asked[_likeness(event)] = asked.get(_likeness(event), 0.0) + _amount(event)
    return all(amount <= known.get(kind, 0.0) for kind, amount in asked.items())


def _likeness(event: Event) -> object:
    if isinstance(event, SampledGaussian):
        return (event.noise_multiplier, event.sampling_rate)
    return type(event) if isinstance(event, Gaussian | Threshold) else event


def _amount(event: Event) -> float:
    """What may only be less: a Gaussian's precision, a threshold's delta, steps, or how often the same was done."""
    if isinstance(event, SampledGaussian):
        return event.steps
    return precision(event) if isinstance(event, Gaussian) else event.delta if isinstance(event, Threshold) else 1.0


def precision(event: Event) -> float:
    """mu^2 of the Gaussian event that gives at least as much away, 0 for a threshold, whose price is its delta.

    Pure epsilon (Laplace): mu = -2 * quantile(1 / (1 + e^epsilon)), where the Gaussian's curve touches the only corner of the curve of an
    epsilon-private mechanism. Exponential: see `_bounded_range_mu`.

    Raises
    ------
    ParameterError : a sampled event, which no Gaussian event describes.
    """
    if isinstance(event, Gaussian):
        return event.noise_multiplier**-2
    if isinstance(event, Threshold):
        return 0.0
    if isinstance(event, Exponential):
        return _bounded_range_mu(event.epsilon) ** 2
    if isinstance(event, Laplace):
        return float(2 * ndtri_exp(-np.logaddexp(0, 1 / event.noise_multiplier))) ** 2
    raise parameter_error("event", "precision", "one without a Poisson sample", type(event).__name__)


@cache
def total_precision(epsilon: float, delta: float) -> float:
    """The precision of the strongest Gaussian event within (epsilon, delta).

    delta(mu) = Phi(mu / 2 - epsilon / mu) - e^epsilon Phi(-mu / 2 - epsilon / mu) (Balle & Wang, arXiv 1805.06530, theorem 8).
    """
    low, high = 0.0, 1.0
    while _gaussian_delta(high, epsilon) < delta:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _gaussian_delta(middle, epsilon) < delta else (low, middle)
    return low**2


def exponential_epsilon(wanted: float) -> float:
    """The epsilon of an exponential mechanism that has this precision."""
    low, high = 0.0, 1.0
    while _bounded_range_mu(high) ** 2 < wanted:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _bounded_range_mu(middle) ** 2 < wanted else (low, middle)
    return low


def noise_multiplier(
    spent: Sequence[Event], *, epsilon: float, delta: float, sampling_rate: float, steps: int, tolerance: float = 1e-3
) -> float:
    """The least noise with which DP-SGD still fits beside what is spent already, by the figure of record.

    Raises
    ------
    BudgetError : not even a noise of 1,000 times the clipping norm would do.
    """
    nothing = BudgetError(f"An epsilon of {epsilon:g} leaves nothing to train on. Give a larger one, or choose 'aim'.")
    if not _within(spent, epsilon, delta):
        raise nothing

    def fits(noise: float) -> bool:
        """Whether it stays within the budget."""
        return _within([*spent, SampledGaussian(noise, sampling_rate, steps)], epsilon, delta)

    high = _first_guess(spent, epsilon, delta, sampling_rate, steps)
    while not fits(high):
        high *= 1.1
        if high > 1000:
            raise nothing
    low = high / 1.1
    while low > 0.2 and fits(low):
        low, high = low / 1.1, low
    while high / low > 1 + tolerance:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _within(events: Sequence[Event], most: float, delta: float) -> bool:
    return epsilon(events, delta) <= most


def _first_guess(spent: Sequence[Event], epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """Where to look for DP-SGD's noise: by the central limit (Bu et al., arXiv 1911.11607), which is too low and decides nothing."""
    used = sum(precision(event) for event in spent if not isinstance(event, SampledGaussian))
    left = max(total_precision(epsilon, delta_left(spent, delta)) - used, 1e-12)
    return float(np.clip(np.log1p(left / (sampling_rate**2 * steps)) ** -0.5, 0.3, 500))


def _gaussian_delta(mu: float, epsilon: float) -> float:
    first, second = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
    return float(np.exp(first) * -np.expm1(second - first))


@cache
def _bounded_range_mu(epsilon: float) -> float:
    """The least mu whose Gaussian trade-off curve lies below that of every mechanism whose loss has a range of epsilon.

    Such a mechanism gives no more away than a coin whose loss is t or t - epsilon for some t in [0, epsilon] (Dong, Durfee & Rogers,
    arXiv 1909.13830, lemma 3.4). Its curve has one corner, at (p e^-t, 1 - p) with p = (e^epsilon - e^t) / (e^epsilon - 1), and a
    Gaussian's convex curve through that corner lies below the rest of it.
    """
    t = np.linspace(0, epsilon, 2001)[1:-1]
    whole = np.log(-np.expm1(-epsilon))
    log_p, log_rest = np.log(-np.expm1(t - epsilon)) - whole, t - epsilon + np.log(-np.expm1(-t)) - whole
    at_p = np.where(log_rest < -1, -ndtri_exp(log_rest), ndtri_exp(log_p))
    return float(np.max(at_p - ndtri_exp(log_p - t))) * (1 + 1e-6)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Epsilon at a delta of the Gaussian event with noise multiplier 1 / mu, exactly; see `total_precision`."""
    low, high = 0.0, 1.0
    while _gaussian_delta(mu, high) > delta:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _gaussian_delta(mu, middle) > delta else (low, middle)
    return high


def _epsilon(events: Sequence[Event], delta: float, accountant: Any) -> float:
    if all(isinstance(event, Threshold) for event in events):
        return 0.0
    mu = _mu_beyond(events)
    return float(accountant(tuple(events), delta)) if mu is None else gaussian_epsilon(mu, delta)


def _mu_beyond(events: Sequence[Event]) -> float | None:
    """mu of events that are beyond what a privacy loss distribution can hold: as one Gaussian event, without what sampling hides, which is
    never too little; None for all others."""
    sampled = [event for event in events if isinstance(event, SampledGaussian)]
    whole = sum(precision(event) for event in events if not isinstance(event, SampledGaussian))
    if whole <= MOST_PRECISION and all(event.noise_multiplier >= LEAST_NOISE for event in sampled):
        return None
    return float((whole + sum(event.steps / event.noise_multiplier**2 for event in sampled)) ** 0.5)


def most_power(events: Iterable[Event], false_alarms: Sequence[float]) -> list[float]:
    """The most true positives that an attacker reaches who accuses this share of the innocent, by the figure of record.

    The trade-off curve of everything that was done: TPR is at most `power_within(epsilon, delta(epsilon), FPR)` for every epsilon (Dong,
    Roth & Su, arXiv 1905.02383, proposition 2.12), with the thresholds' delta added. The attacker may know all other patients, every seed
    and this code.

    Parameters
    ----------
    false_alarms : FPR, in [0, 1].

    Returns
    -------
    TPR in [0, 1], above FPR; lower is better for patients.
    """
    merged = merge(events)
    extra = sum(event.delta for event in merged if isinstance(event, Threshold))
    private = tuple(event for event in merged if not isinstance(event, Threshold))
    if not private:
        return [min(1.0, rate + extra) for rate in false_alarms]
    mu = _mu_beyond(private)
    if mu is not None:
        return [float(min(1.0, ndtr(ndtri(rate) + mu) + extra)) for rate in false_alarms]
    pairs = list(zip(EPSILONS.tolist(), _deltas(private), strict=True))
    return [min(power_within(one, delta + extra, rate) for one, delta in pairs) for rate in false_alarms]


def power_within(epsilon: float, delta: float, false_alarms: float) -> float:
    """The most true positives at a share of false alarms that an (epsilon, delta) guarantee allows by itself (Kairouz, Oh & Viswanath,
    arXiv 1311.0776): min(e^epsilon FPR + delta, 1 - e^-epsilon (1 - delta - FPR))."""
    first = np.exp(min(epsilon, 700)) * false_alarms + delta
    second = 1 - np.exp(-epsilon) * (1 - delta - false_alarms)
    return float(min(1.0, first, max(second, false_alarms)))


@cache
def _pld(events: tuple[Event, ...], delta: float) -> float:
    return float(_composed(events).get_epsilon(delta))


@cache
def _deltas(events: tuple[Event, ...]) -> tuple[float, ...]:
    """delta at each of EPSILONS."""
    return tuple(map(float, _composed(events).get_delta(EPSILONS.tolist())))


@cache
def _composed(events: tuple[Event, ...]) -> Any:
    from dp_accounting import NeighboringRelation, dp_event
    from dp_accounting.pld import PLDAccountant

    made = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    gaussian = sum(precision(event) for event in events if isinstance(event, Gaussian | Exponential))
    if gaussian:  # all that are costed as Gaussian are one, exactly (Dong, Roth & Su, arXiv 1905.02383, corollary 3.3), and sooner
        made.compose(dp_event.GaussianDpEvent(gaussian**-0.5))
    for event in events:
        if isinstance(event, SampledGaussian):
            one = dp_event.PoissonSampledDpEvent(event.sampling_rate, dp_event.GaussianDpEvent(event.noise_multiplier))
            made.compose(one, event.steps)
        elif isinstance(event, Laplace):
            made.compose(dp_event.LaplaceDpEvent(event.noise_multiplier))
    return made


@cache
def _rdp(events: tuple[Event, ...], delta: float) -> float:
    """By Rényi orders; the exponential mechanism by its zCDP of epsilon^2 / 8 (Cesar & Rogers, arXiv 2010.13981)."""
    from dp_accounting import NeighboringRelation
    from dp_accounting.rdp import RdpAccountant

    absl = logging.getLogger("absl")  # it warns of orders that it leaves out, which only loosens the bound
    level = absl.level
    absl.setLevel(logging.ERROR)
    try:
        return _by_orders(events, RdpAccountant(neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE), delta)
    finally:
        absl.setLevel(level)


def _by_orders(events: tuple[Event, ...], made: Any, delta: float) -> float:
    from dp_accounting import dp_event

    for event in events:
        if isinstance(event, SampledGaussian):
            one = dp_event.PoissonSampledDpEvent(event.sampling_rate, dp_event.GaussianDpEvent(event.noise_multiplier))
            made.compose(one, event.steps)
        elif isinstance(event, Laplace):
            made.compose(dp_event.LaplaceDpEvent(event.noise_multiplier))
        elif isinstance(event, Exponential):
            made.compose(dp_event.ZCDpEvent(event.epsilon**2 / 8))
        elif isinstance(event, Gaussian):
            made.compose(dp_event.GaussianDpEvent(event.noise_multiplier))
    return float(made.get_epsilon(delta))
