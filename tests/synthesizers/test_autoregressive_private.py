"""The autoregressive network under a privacy ledger: what it spends, what it learns, what it keeps, and a run that was killed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError
from manikin.io.tabular import read
from manikin.privacy import accountant, dpsgd
from manikin.privacy.events import SampledGaussian
from manikin.privacy.ledger import Ledger, read_ledger
from manikin.synthesizers.tables.autoregressive import Autoregressive
from manikin.training.control import Control


def register(n: int = 1500) -> Dataset:
    """Two columns that always agree, a number that follows them, one that follows nothing."""
    rng = np.random.default_rng(0)
    sick = rng.random(n) < 0.5
    return read(
        pd.DataFrame(
            {
                "sick": np.where(sick, "yes", "no"),
                "treated": np.where(sick, "drug", "none"),
                "age": np.clip(rng.normal(50 + 15 * sick, 6), 18, 95).round().astype(int).astype(str),
                "sex": rng.choice(["f", "m", ""], n, p=[0.4, 0.4, 0.2]),
            }
        ).astype(object)
    )


def steps(ledger: Ledger) -> int:
    return sum(event.steps for event in ledger.events if isinstance(event, SampledGaussian))


def agreement(model: Autoregressive) -> float:
    frame = model.sample(2000, seed=1).to_pandas()
    return float(((frame["sick"] == "yes") == (frame["treated"] == "drug")).mean())


@pytest.mark.verify
def test_with_a_large_budget_it_learns_dependence_and_everything_works_as_without_one() -> None:
    data, ledger = register(), Ledger(epsilon=10.0, delta=1e-5)
    model = Autoregressive(max_steps=120).fit(data, seed=0, ledger=ledger)
    assert steps(ledger) == 120
    assert accountant.epsilon(ledger.events, 1e-5) <= 10.0
    assert agreement(model) > 0.8
    kept = json.dumps(model.training_)
    assert model.training_["curve"] == [[120, None, None]]
    assert "gradient" not in kept
    assert "loss" not in kept
    assert model.training_["seconds"] == 0
    again = Autoregressive().restore(*model.state())
    assert again.sample(50, seed=3).to_pandas().equals(model.sample(50, seed=3).to_pandas())
    assert (model.sample(20, seed=2, conditions={"sick": "yes"}).to_pandas()["sick"] == "yes").all()
    assert np.isfinite(model.log_likelihood(data)).all()
    assert model.impute(data, seed=0).to_pandas()["sex"].isin(["f", "m"]).all()


@pytest.mark.verify
def test_before_the_first_step_columns_are_independent_with_bought_frequencies(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(sampler: dpsgd.Sampler, module: object, loss: object) -> list[object]:
        sampler.draw()
        return [0 * one.detach() for one in module.parameters()]  # type: ignore[attr-defined]

    monkeypatch.setattr(dpsgd, "noisy_gradient", silent)
    model = Autoregressive(max_steps=30).fit(register(), seed=0, ledger=Ledger(epsilon=5.0, delta=1e-5))
    assert 0.4 < agreement(model) < 0.6
    assert 0.4 < (model.sample(2000, seed=1).to_pandas()["sick"] == "yes").mean() < 0.6


def test_a_killed_run_goes_on_from_what_was_bought_and_gets_no_step_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, file = register(), tmp_path / "ledger.json"
    control, calls, real = Control(checkpoint=tmp_path / "checkpoint"), 0, dpsgd.noisy_gradient

    def killed(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 62:
            raise RuntimeError("killed")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(dpsgd, "noisy_gradient", killed)
    model = Autoregressive(max_steps=100)
    with pytest.raises(RuntimeError, match="killed"):
        model.fit(data, seed=0, ledger=Ledger(epsilon=10.0, delta=1e-5, file=file), control=control)
    monkeypatch.setattr(dpsgd, "noisy_gradient", real)
    ledger = read_ledger(file, file=file)
    bought = [one for one in ledger.spends if not isinstance(one.event, SampledGaussian)]
    assert steps(ledger) == 62
    model.fit(data, seed=0, ledger=ledger, control=control)
    assert [one for one in ledger.spends if not isinstance(one.event, SampledGaussian)] == bought
    assert model.training_["resumed"]
    assert steps(ledger) == 100
    assert model.training_["steps"] <= 100
    assert accountant.epsilon(ledger.events, 1e-5) <= 10.0
    assert agreement(model) > 0.75


def test_what_has_no_meaning_under_a_budget_is_refused() -> None:
    for name in ("dropout", "weight_decay", "members"):
        ledger = Ledger(epsilon=1.0, delta=1e-5)
        with pytest.raises(BudgetError, match=name):
            Autoregressive(**{name: 1 if name == "members" else 0.1}).fit(register(50), seed=0, ledger=ledger)
        assert not ledger.spends


def test_after_noise_the_columns_are_back_at_what_was_bought() -> None:
    model = Autoregressive(max_steps=40).fit(register(), seed=0, ledger=Ledger(epsilon=3.0, delta=1e-5))
    drawn = model.codec_.encode(model.sample(8000, seed=5))
    for j, counts in enumerate(model.codec_.counts_):
        wanted = (counts + 0.5) * model.codec_.emitted(j)
        got = np.bincount(drawn[:, j], minlength=len(counts)) / len(drawn)
        assert 0.5 * np.abs(got - wanted / wanted.sum()).sum() < 0.05
