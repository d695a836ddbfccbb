"""White-box audits of every private generator: canaries in by coins, every noisy count and gradient seen, and the twin without noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, concat
from manikin.data.seeds import generator
from manikin.io.tabular import read
from manikin.privacy.auditing import Audit, audit
from manikin.privacy.canaries import Rehearsal
from manikin.privacy.ledger import Ledger
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.workflow.dp_audit import canaries

DELTA, SURE, N_CANARIES = 1e-5, 0.99999, 250
PRIVATE = sorted(name for name, entry in SYNTHESIZERS.items() if entry.private and entry.modality == "table")
SETTINGS: dict[str, dict[str, Any]] = {  # few steps, each of which sees many patients
    "autoregressive": {"max_steps": 5},
    "dpgan": {"max_steps": 5},
    "dpwgan": {"max_steps": 5},
    "pategan": {"max_steps": 5},
}


def register(n: int = 300) -> Dataset:
    rng = np.random.default_rng(0)
    sick = rng.random(n) < 0.4
    frame = pd.DataFrame(
        {
            "age": np.clip(rng.normal(60 + 10 * sick, 9, n), 18, 95).round(),
            "weight": rng.normal(75, 12, n).round(1),
            "creatinine": rng.lognormal(0, 0.4, n).round(2),
            "sex": rng.choice(["f", "m"], n),
            "sick": np.where(sick, "yes", "no"),
        }
    )
    return read(frame, name="register")


def rehearse(name: str, epsilon: float, noise: float) -> tuple[Rehearsal, Ledger]:
    data = register()
    data = concat([data, canaries(data, N_CANARIES, generator(0, "audit"))])
    rehearsal = Rehearsal(np.random.default_rng().random(N_CANARIES) < 0.5, noise)
    ledger = Ledger(epsilon=epsilon, delta=DELTA)
    with rehearsal.watched():
        synthesizer(name, **SETTINGS.get(name, {})).fit(data, seed=0, ledger=ledger)
    return rehearsal, ledger


def proved(rehearsal: Rehearsal, confidence: float = 0.95) -> Audit:
    return audit(rehearsal.scores, rehearsal.is_in, delta=DELTA, confidence=confidence)


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
@pytest.mark.parametrize("name", PRIVATE)
def test_a_generator_gives_no_more_away_than_it_claims(name: str, epsilon: float) -> None:
    honest, ledger = rehearse(name, epsilon, 1.0)
    twin, _ = rehearse(name, epsilon, 0.0)
    held, without = proved(honest), proved(twin)
    print(
        f"\n| {name} | {epsilon:g} | {held.epsilon:.2f} | {without.epsilon:.2f} | {honest.n_counts:,} | {honest.n_gradients} |"
        f" mean score in - out {float(honest.scores[honest.is_in].mean() - honest.scores[~honest.is_in].mean()):.3f}"
    )
    assert ledger.cost().epsilon <= epsilon
    assert proved(honest, SURE).epsilon <= epsilon
    assert without.epsilon > epsilon, "the attacker is too weak for the audit to say anything"
    if any(type(event).__name__ == "SampledGaussian" for event in ledger.events):
        assert honest.n_gradients > 0


@pytest.mark.parametrize("name", PRIVATE)
def test_a_generator_with_hardly_any_noise_is_convicted(name: str) -> None:
    bugged, _ = rehearse(name, 1.0, 0.005)
    found = proved(bugged)
    print(f"\n| {name}, noise x 0.005 | 1 | {found.epsilon:.2f} |")
    assert found.epsilon > 1
