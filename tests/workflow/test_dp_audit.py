"""The audit that a user can run clears an honest generator, convicts one with too little noise, and says when it says nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.schema import Role
from manikin.io.tabular import read
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger, read_ledger
from manikin.release.measures import audit_excess
from manikin.workflow.dp_audit import canaries, dp_audit
from manikin.workflow.options import Options
from manikin.workflow.synthesize import synthesize


def register(n: int = 400) -> Dataset:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": rng.integers(20, 90, n), "weight": rng.normal(75, 12, n).round(1), "sex": rng.choice(["f", "m"], n)}
    )
    return read(frame, name="register")


def learn(data: Dataset, ledger: Ledger) -> Any:
    return TableCodec(max_tokens=16).fit(mechanisms.seal(data, ledger), ledger=ledger, share=1.0)


def gate(result: Any, epsilon: float) -> float | None:
    return audit_excess(SimpleNamespace(results={"dp_audit": result}, epsilon=epsilon)).value  # type: ignore[arg-type]


def test_an_honest_generator_is_cleared_and_its_twin_convicted() -> None:
    claim = Ledger(epsilon=1.0, delta=1e-5)
    result = dp_audit(learn, register(), claim, n_canaries=200)
    assert result.value is not None
    assert result.value <= 1.0
    assert result.details["positive_control"] is True
    assert result.details["twin"] > 2.5
    assert (result.n, result.unit) == (200, "canaries")
    assert not claim.spends, "a rehearsal costs nothing"
    excess = gate(result, 1.0)
    assert excess is not None
    assert excess <= 0


def test_noise_for_another_epsilon_is_convicted() -> None:
    """A generator that claims 0.5 and learns under a budget of 200."""

    def careless(data: Dataset, _: Ledger) -> Any:
        return learn(data, Ledger(epsilon=200.0, delta=1e-5))

    result = dp_audit(careless, register(), Ledger(epsilon=0.5, delta=1e-5), n_canaries=200)
    assert result.value is not None
    assert result.value > 0.5
    assert "disproves" in result.note
    excess = gate(result, 0.5)
    assert excess is not None
    assert excess > 0


def test_an_attacker_who_is_too_weak_is_no_proof() -> None:
    result = dp_audit(learn, register(), Ledger(epsilon=6.0, delta=1e-5), n_canaries=100)
    assert result.details["positive_control"] is False
    assert "proves nothing" in result.note
    assert gate(result, 6.0) is None


def test_everything_is_as_it_was_afterwards() -> None:
    before = dict(vars(mechanisms))

    def fails(data: Dataset, ledger: Ledger) -> None:
        mechanisms.seal(data, ledger)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dp_audit(fails, register(), Ledger(epsilon=1.0))
    assert {name: vars(mechanisms)[name] for name in before} == before


def test_canaries_are_patients_of_their_own() -> None:
    frame = register(60).to_pandas().assign(patient=[f"p{i // 2}" for i in range(60)])
    data = read(frame, name="register")
    column = data.columns["patient"]
    from dataclasses import replace

    from manikin.data.schema import Kind, Schema

    key = replace(column, kind=Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,), levels=None)
    data = read(frame, schema=Schema((data.columns.replace_column(key),)))
    made = canaries(data, 100, np.random.default_rng(0))
    assert len(made) == made.n_records == 100
    assert made.columns == data.columns
    assert made.table.frame["age"].nunique() == 100, "each is alone with her number"
    texts = canaries(data.only(["sex"]), 100, np.random.default_rng(0), numbers=["sex"]).table.frame["sex"]
    assert texts.dtype == "category"
    assert texts.nunique() == 100, "also where numbers are read as texts"


@pytest.mark.parametrize("n", [0, 49, 2_001])
def test_too_few_or_too_many_canaries_are_refused(n: int) -> None:
    with pytest.raises(ParameterError, match="n_canaries"):
        dp_audit(learn, register(), Ledger(epsilon=1.0), n_canaries=n)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"audit_canaries": 100}, "--audit-canaries means nothing without --epsilon"),
        ({"epsilon": 1.0, "synthesizer": "aim", "audit_canaries": 10}, "from 50 to 2000"),
    ],
)
def test_an_audit_needs_a_budget_and_enough_canaries(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Options(**options).check()


@pytest.mark.slow
def test_a_run_brings_its_audit(tmp_path: Path) -> None:
    """From the options to the gate; the release's own ledger pays nothing for it."""
    file = tmp_path / "register.csv"
    register(300).to_pandas().to_csv(file, index=False)
    options = Options(epsilon=1.0, synthesizer="independent", audit_canaries=100)
    done = synthesize(file, out=tmp_path / "run", schema=read(file).schema, options=options)
    result = done.results["dp_audit"]
    assert result.details["positive_control"] is True
    assert result.interval is not None
    assert result.interval[0] <= 1
    ledger = read_ledger(tmp_path / "run" / "ledger.json")
    assert ledger.cost().epsilon <= 1
    assert any("would have been disproved" in str(notice) for notice in done.notices)
