"""White-box audits of every privacy mechanism: what an attacker who sees all noisy answers proves about epsilon, in one run with canaries.

Each audit is asked three things. The bound stays below the epsilon that is claimed. The twin without noise is proved to give away more
than is claimed, or else the attacker is too weak to say anything. And an implementation with a bug (noise too small, no clipping, no
threshold) is convicted. A right implementation fails a bound once in 20 runs by the audit's own confidence; bounds are therefore taken
at 99.999 % where they must hold, and at 95 % where they must convict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from manikin.data.dataset import Dataset
from manikin.privacy import mechanisms
from manikin.privacy.accountant import gaussian_epsilon, total_precision
from manikin.privacy.auditing import audit
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed

DELTA = 1e-6
SURE = 0.99999
Scores = np.ndarray[Any, np.dtype[np.float64]]


def ledger(epsilon: float) -> Ledger:
    return Ledger(epsilon=epsilon, delta=DELTA)


def whole(epsilon: float) -> float:
    """The precision that fits into epsilon."""
    return ledger(epsilon).precision


class Scaled:
    """A generator whose noise is scaled: 0.5 is a bug, 0 the twin without noise."""

    def __init__(self, factor: float) -> None:
        self.factor, self.rng = factor, np.random.default_rng()

    def __getattr__(self, name: str) -> Any:
        if name not in ("normal", "laplace", "gumbel"):
            return getattr(self.rng, name)
        return lambda *args, **kwargs: self.factor * getattr(self.rng, name)(*args, **kwargs)


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Scales all privacy noise from now on."""
    return lambda factor: monkeypatch.setattr(mechanisms, "private_generator", lambda: Scaled(factor))


def bound(scores: Scores, is_in: np.ndarray, confidence: float = 0.95, shares: tuple[float, ...] = (1.0, 0.5, 0.1, 0.02)) -> float:
    return audit(scores, is_in, delta=DELTA, confidence=confidence, shares=shares).epsilon


def told(name: str, epsilon: float, held: float, twin: float, bugged: float | None = None) -> None:
    print(f"\n| {name} | {epsilon:g} | {held:.2f} | {twin:.2f} | {'' if bugged is None else f'{bugged:.2f}'} |")


# ---- each mechanism by itself: scores of canaries as a function of their coins ----


def count_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """A cell per canary."""
    n = len(is_in)
    rows = Sealed(np.flatnonzero(is_in))
    return mechanisms.noisy_counts(rows, [n], ledger(epsilon), precision=whole(epsilon), purpose="counts")[0]


def several_tables_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """A cell per canary in each of five tables that are bought together."""
    n = len(is_in)
    rows = Sealed(np.repeat(np.flatnonzero(is_in)[:, None], 5, axis=1))
    return np.sum(mechanisms.noisy_counts(rows, [n] * 5, ledger(epsilon), precision=whole(epsilon), purpose="counts"), axis=0)


def found_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """A value per canary that others hold too, so that it is mostly found; a value that is not found counts as low."""
    own, others = ledger(epsilon), int(8 * whole(epsilon) ** -0.5)
    texts = [f"{i}" for i in np.repeat(np.arange(len(is_in)), others)] + [f"{i}" for i in np.flatnonzero(is_in)]
    ask = {"precision": own.precision, "delta": own.threshold_delta, "purpose": "values"}
    found, threshold = mechanisms.discovered(Sealed(np.array(texts, dtype=object)), own, **ask)
    return np.array([found.get(f"{i}", threshold) for i in range(len(is_in))])


def alone_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """A value per canary that nobody else holds: found only if she is in, and the threshold fails."""
    own = ledger(epsilon)
    texts = np.array([f"{i}" for i in np.flatnonzero(is_in)], dtype=object)
    ask = {"precision": own.precision, "delta": own.threshold_delta, "purpose": "values"}
    found, _ = mechanisms.discovered(Sealed(texts), own, **ask)
    return np.array([found.get(f"{i}", 0.0) for i in range(len(is_in))])


def vote_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """A teacher per canary, which turns every vote with her; votes are random, so that each canary has a direction of her own."""
    rng, questions = np.random.default_rng(0), 4_000
    patterns = rng.random((questions, len(is_in))) < 0.5
    sigma = (questions / whole(epsilon)) ** 0.5
    answers = mechanisms.noisy_votes(patterns == is_in, ledger(epsilon), noise=sigma, purpose="votes")
    return (answers - len(is_in) / 2) @ (2.0 * patterns - 1)


def choice_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """Many choices between two candidates, whose scores every canary moves apart by 2, one way or the other."""
    rng, own = np.random.default_rng(0), ledger(epsilon)
    n_choices = 800
    sides = rng.choice([-1.0, 1.0], (n_choices, len(is_in)))
    rows, taken = Sealed(sides[:, is_in].T), np.empty(n_choices)
    for j in range(n_choices):
        taken[j] = mechanisms.chosen(
            rows,
            lambda own_rows, j=j: np.array([1.0, -1.0]) * own_rows[:, j].sum(),
            own,
            sensitivity=1.0,
            precision=whole(epsilon) / n_choices,
            purpose="choice",
        )
    return (0.5 - taken) @ sides


def number_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """A run per canary: the number of patients, of whom she is one or not."""
    from manikin.data.schema import TableSchema

    class Patients:
        columns, native = TableSchema("", ()), "pandas"

        def __init__(self, n: int) -> None:
            self.n_records = n

    empty: list[Dataset] = [Patients(100), Patients(101)]  # type: ignore[list-item]
    made = [mechanisms.PrivateDataset(one, rows_per_patient=1) for one in empty]
    return np.array([mechanisms.count(made[coin], ledger(2 * epsilon), epsilon=epsilon) for coin in is_in.astype(int)], dtype=float)


def gradient_scores(is_in: np.ndarray, epsilon: float) -> Scores:
    """DP-SGD in which every canary's gradient, ten times the clipping norm, has a direction of its own; samples of a fifth."""
    import torch

    from manikin.privacy import dpsgd

    n, steps, own = len(is_in), 25, ledger(epsilon)
    own.n_patients = n // 2
    plan = dpsgd.plan(own, expected_batch=n // 10, steps=steps, clip_norm=1.0, by="audit")
    rows = np.eye(n, dtype=np.float32)[is_in]
    sampler = dpsgd.Sampler(plan, Sealed(rows), Sealed(np.arange(len(rows))), own, by="audit", is_recorded=True)
    network = torch.nn.Linear(n, 1, bias=False)
    seen = np.zeros(n)
    for _ in range(steps):
        (made,) = dpsgd.noisy_gradient(sampler, network, lambda x: 10 * network(x).squeeze(1))
        seen += made.numpy()[0] * plan.denominator
    return seen


AUDITS: dict[str, tuple[Callable[[np.ndarray, float], Scores], int]] = {
    "noisy_counts": (count_scores, 50_000),
    "noisy_counts, five tables": (several_tables_scores, 50_000),
    "discovered": (found_scores, 5_000),
    "noisy_votes": (vote_scores, 1_000),
    "chosen": (choice_scores, 100),
    "count": (number_scores, 1_500),
    "noisy_gradient": (gradient_scores, 1_500),
}
EPSILONS = (1.0, 4.0)
PAIRS = [(name, epsilon) for name in AUDITS for epsilon in EPSILONS if name != "chosen" or epsilon == 1]  # one bit a choice proves little


@pytest.mark.parametrize(("name", "epsilon"), PAIRS)
def test_a_mechanism_gives_no_more_away_than_it_claims(name: str, epsilon: float, noise: Callable[[float], None]) -> None:
    scores, n = AUDITS[name]
    rng = np.random.default_rng()
    is_in = rng.random(n) < 0.5
    made = scores(is_in, epsilon)
    assert bound(made, is_in, SURE) <= epsilon
    held = bound(made, is_in)
    noise(0.0)
    twin = bound(scores(is_in, epsilon), is_in)
    told(name, epsilon, held, twin)
    assert twin > epsilon, "the attacker is too weak for the audit to say anything"


BUGS = {
    "noisy_counts": (4.0, 0.35),
    "noisy_counts, five tables": (4.0, 0.4),
    "noisy_votes": (1.0, 0.2),
    "count": (1.0, 0.5),
    "noisy_gradient": (1.0, 0.2),
}


@pytest.mark.parametrize("name", BUGS)
def test_noise_that_is_too_small_is_convicted(name: str, noise: Callable[[float], None]) -> None:
    (scores, n), (epsilon, factor) = AUDITS[name], BUGS[name]
    is_in = np.random.default_rng().random(n) < 0.5
    noise(factor)
    found = bound(scores(is_in, epsilon), is_in, shares=(0.2, 0.05))
    told(f"{name}, noise x {factor}", epsilon, found, np.nan)
    assert found > epsilon


def test_gradients_that_are_not_clipped_are_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    from manikin.privacy import dpsgd

    honest = dpsgd.clipped_sum
    monkeypatch.setattr(dpsgd, "clipped_sum", lambda *args, **kwargs: honest(*args, **{**kwargs, "clip_norm": 1e9}))
    is_in = np.random.default_rng().random(1_500) < 0.5
    found = bound(gradient_scores(is_in, 1.0), is_in, shares=(0.2, 0.05))
    told("noisy_gradient, not clipped", 1.0, found, np.nan)
    assert found > 1


def test_values_found_without_a_threshold_are_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose value is found although nobody else holds it is in. With the threshold nothing is found, and nothing proved."""
    is_in = np.random.default_rng().random(20_000) < 0.5
    held = bound(alone_scores(is_in, 1.0), is_in)
    assert held <= 1
    monkeypatch.setattr(mechanisms, "ndtri", lambda _: 0.0)
    found = bound(alone_scores(is_in, 1.0), is_in, shares=(0.2,))
    told("discovered, alone, no threshold", 1.0, held, np.nan, found)
    assert found > 1


@pytest.mark.parametrize("name", ["noisy_counts", "noisy_votes"])
@pytest.mark.parametrize("factor", [1.0, 0.9])
def test_gaussian_noise_is_as_large_as_claimed_and_no_larger(name: str, factor: float, noise: Callable[[float], None]) -> None:
    """Sharper than any bound by guesses, and for Gaussian noise alone: how far apart scores in and out lie, in standard deviations."""
    (scores, n), epsilon = AUDITS[name], 1.0
    is_in = np.random.default_rng().random(n) < 0.5
    noise(factor)
    made = scores(is_in, epsilon)
    centred = made - np.where(is_in, made[is_in].mean(), made[~is_in].mean())
    mu, claimed = (made[is_in].mean() - made[~is_in].mean()) / centred.std(), whole(epsilon) ** 0.5
    error = 2 / n**0.5
    print(f"\n{name}, noise x {factor}: mu {mu:.4f} +- {error:.4f}, claimed {claimed:.4f}, epsilon {gaussian_epsilon(mu, DELTA):.3f}")
    if factor == 1:
        assert abs(mu - claimed) < norm.ppf(1 - 1e-6) * error + 0.06 * claimed
    elif n > 10_000:
        assert mu - claimed > norm.ppf(0.99) * error
    assert claimed**2 == pytest.approx(total_precision(0.999 * epsilon, 0.9 * DELTA))
