"""A lower bound on epsilon from one run with canaries: what an attacker's guesses prove about a mechanism. Knows no mechanism and no data.

After Steinke, Nasr & Jagielski 2023, arXiv 2305.08846. Patients that are made up (canaries) are put among the others or left out, each by
a fair coin of her own; the mechanism runs once; an attacker guesses some of the coins and passes on the rest. A mechanism that is
(epsilon, delta)-private lets hardly anybody guess more than e^epsilon / (1 + e^epsilon) of them right, so too many right guesses disprove
the epsilon that was claimed. A bound below the claim proves nothing by itself: the attacker may have been weak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import binom

from manikin.data.errors import parameter_error

MOST_EPSILON = 200.0
SHARES = (1.0, 0.5, 0.2, 0.1, 0.05)  # of the canaries that are guessed, most certain ones first


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes
    ----------
    epsilon : lower bound, at least 0; higher says that more is given away. confidence : of the bound, in (0, 1).
    delta : at which it holds. n_canaries, n_guesses, n_right : the guesses that it rests on.
    """

    epsilon: float
    delta: float
    confidence: float
    n_canaries: int
    n_guesses: int
    n_right: int


def p_value(n_canaries: int, n_guesses: int, n_right: int, *, epsilon: float, delta: float) -> float:
    """The most that the chance of so many right guesses can be if the mechanism is (epsilon, delta)-private; theorem 5.2.

    f(v) + 2 m delta max_i (f(v - i) - f(v)) / i with f(v) = P(Binomial(n_guesses, e^epsilon / (1 + e^epsilon)) >= v), m canaries.

    Returns
    -------
    in [0, 1]; a small one disproves epsilon.
    """
    if not 0 <= n_right <= n_guesses <= n_canaries:
        raise parameter_error("n_right", "p_value", f"an int in [0, {n_guesses}], and n_guesses one up to {n_canaries}", n_right)
    at = float(expit(epsilon))
    likelier = np.cumsum(binom.pmf(np.arange(n_right - 1, -1, -1), n_guesses, at))
    worst = float(np.max(likelier / np.arange(1, n_right + 1), initial=0.0))
    return float(min(1.0, binom.sf(n_right - 1, n_guesses, at) + 2 * n_canaries * delta * worst))


def lower_bound(n_canaries: int, n_guesses: int, n_right: int, *, delta: float, confidence: float = 0.95) -> float:
    """The largest epsilon that so many right guesses disprove; 0 where they disprove none.

    Examples
    --------
    >>> round(lower_bound(1000, 1000, 900, delta=1e-5), 2)
    2.02
    """
    if not 0 < confidence < 1:
        raise parameter_error("confidence", "lower_bound", "a number in (0, 1)", confidence)
    low, high = 0.0, MOST_EPSILON
    if p_value(n_canaries, n_guesses, n_right, epsilon=0.0, delta=delta) >= 1 - confidence:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        is_disproved = p_value(n_canaries, n_guesses, n_right, epsilon=middle, delta=delta) < 1 - confidence
        low, high = (middle, high) if is_disproved else (low, middle)
    return low


def audit(
    scores: npt.NDArray[np.float64],
    is_in: npt.NDArray[np.bool_],
    *,
    delta: float,
    confidence: float = 0.95,
    shares: Sequence[float] = SHARES,
) -> Audit:
    """The best bound of an attacker who scores every canary: high means "she was in".

    The canaries with the highest scores are called in and as many with the lowest out. How many is settled beforehand: every share is
    tried, each at its part of the allowed error (Bonferroni), so that choosing the best is no cheating.

    Parameters
    ----------
    scores : float64 (n_canaries,). is_in : bool (n_canaries,), the coins.
    """
    if scores.shape != is_in.shape or scores.ndim != 1 or not len(scores):
        raise parameter_error("scores", "audit", "one score per canary", scores.shape)
    order = np.argsort(scores, kind="stable")
    found = []
    for share in shares:
        half = max(1, int(share * len(scores)) // 2)
        right = int(is_in[order[-half:]].sum() + (~is_in[order[:half]]).sum()) if len(scores) > 1 else 0
        own = 1 - (1 - confidence) / len(shares)
        bound = lower_bound(len(scores), min(2 * half, len(scores)), right, delta=delta, confidence=own)
        found.append(Audit(bound, delta, confidence, len(scores), 2 * half, right))
    return max(found, key=lambda one: one.epsilon)
