"""Does a private generator of linked patients give away more than it claims? A one-run audit with canaries, as of flat tables.

As `test_dp_audit_generators.py`: the canaries are the last patients, each with one row of each table, unlike anybody's. `pytest -s` prints
the bounds. Of networks what they buy is audited, not their steps of DP-SGD: there a patient's gradient is so like all others' that an
attacker who does not know who was sampled did no better than a coin (tried with `halo`, 128 of 250 right with a two-hundredth of the
noise). That code is
audited on flat tables.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.records.bought import as_readable
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.privacy.auditing import Audit, audit
from manikin.privacy.canaries import Rehearsal
from manikin.privacy.ledger import Ledger
from manikin.synthesizers import SYNTHESIZERS, synthesizer

DELTA, SURE, N_CANARIES, N_PATIENTS = 1e-5, 0.99999, 250, 300
STEPS = 3  # of a network
PRIVATE = sorted(name for name, entry in SYNTHESIZERS.items() if entry.private and entry.modality == "records")
TIME = "%Y-%m-%d %H:%M"
PEOPLE = TableSchema(
    "people",
    (
        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
        Column("sex", Kind.CATEGORICAL),
        Column("weight", Kind.CONTINUOUS, Storage.REAL, decimals=1),
    ),
    form=Form.STATIC,
    primary_key=("id",),
)
LABS = TableSchema(
    "labs",
    (
        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
        Column("at", Kind.DATETIME, Storage.TEXT, time_format=TIME),
        Column("what", Kind.CODE),
        Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=1, by="what"),
    ),
    form=Form.EVENTS,
    foreign_keys=(ForeignKey(("id",), "people", ("id",)),),
    start="at",
)


def ward() -> Dataset:
    """Patients with several rows, and behind them the canaries, whose numbers are of every size."""
    rng, n = np.random.default_rng(0), N_PATIENTS
    owner = np.repeat(np.arange(n + N_CANARIES), np.r_[1 + rng.poisson(4, n), np.ones(N_CANARIES, dtype=int)])
    is_canary = owner >= n
    far = np.resize(np.outer(10.0 ** np.arange(13), np.arange(1, 10)).ravel(), N_CANARIES)
    what = rng.choice(["K", "Na", "pH"], len(owner))
    value = rng.normal(np.select([what == "K", what == "Na"], [4.0, 140.0], 7.4), 0.5)
    value[is_canary] = rng.permutation(far)
    weight = np.r_[rng.normal(75, 10, n), rng.permutation(far)]
    at = np.datetime64("2019-01-01T00:00") + rng.integers(0, 500_000, len(owner)) * np.timedelta64(1, "m")
    texts = {
        "people": {
            "id": [f"p{i}" for i in range(len(weight))],
            "sex": rng.choice(["f", "m"], len(weight)),
            "weight": [f"{w:.1f}" for w in weight],
        },
        "labs": {
            "id": [f"p{i}" for i in owner],
            "at": [str(time).replace("T", " ") for time in at],
            "what": what,
            "value": [f"{v:.1f}" for v in value],
        },
    }
    tables = {t.name: parse_table(pd.DataFrame(texts[t.name], dtype=object), t, where=t.name) for t in (PEOPLE, LABS)}
    return as_readable(Dataset(tables, Schema((PEOPLE, LABS))))


def rehearse(name: str, epsilon: float, noise: float) -> tuple[Rehearsal, Ledger]:
    coins = np.random.default_rng().random(N_CANARIES) < 0.5
    rehearsal = Rehearsal(coins, noise, sees_gradients=not SYNTHESIZERS[name].is_neural)
    ledger = Ledger(epsilon=epsilon, delta=DELTA)
    with rehearsal.watched():
        settings = {"max_steps": STEPS} if SYNTHESIZERS[name].is_neural else {}
        synthesizer(name, **settings).fit(ward(), seed=0, ledger=ledger)
    return rehearsal, ledger


def proved(rehearsal: Rehearsal, confidence: float = 0.95) -> Audit:
    return audit(rehearsal.scores, rehearsal.is_in, delta=DELTA, confidence=confidence)


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
@pytest.mark.parametrize("name", PRIVATE)
def test_a_generator_gives_no_more_away_than_it_claims(name: str, epsilon: float) -> None:
    honest, ledger = rehearse(name, epsilon, 1.0)
    twin, _ = rehearse(name, epsilon, 0.0)
    held, without = proved(honest), proved(twin)
    print(f"\n| {name} | {epsilon:g} | {held.epsilon:.2f} | {without.epsilon:.2f} | {honest.n_counts:,} |")
    assert ledger.cost().epsilon <= epsilon
    assert proved(honest, SURE).epsilon <= epsilon
    assert without.epsilon > epsilon, "the attacker is too weak for the audit to say anything"


@pytest.mark.parametrize("name", PRIVATE)
def test_a_generator_with_hardly_any_noise_is_convicted(name: str) -> None:
    bugged, _ = rehearse(name, 2.0, 0.005)
    found = proved(bugged)
    print(f"\n| {name}, noise x 0.005 | 2 | {found.epsilon:.2f} |")
    assert found.epsilon > 2
