"""AIM: it spends exactly what it is given, learns the pairs that matter, and holds its rules; the floor under the same budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, flat
from manikin.data.errors import BudgetError, ModelFolderError, ParameterError
from manikin.data.schema import Role
from manikin.io.tabular import read
from manikin.privacy import accountant, mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed, SealedSummary
from manikin.synthesizers import synthesizer
from manikin.synthesizers.storage import load, save

N = 3_000


def register(n: int = N) -> Dataset:
    """Four columns: sex by itself, age that tells illness, illness that tells the dose."""
    rng = np.random.default_rng(0)
    age = rng.integers(20, 90, n)
    ill = rng.random(n) < np.where(age > 60, 0.9, 0.1)
    dose = np.where(ill, rng.integers(5, 9, n), rng.integers(0, 3, n))
    return read(
        pd.DataFrame({"sex": rng.choice(["f", "m"], n), "age": age, "ill": np.where(ill, "yes", "no"), "dose": dose}),
        name="register",
    )


def shares(sample: Dataset) -> pd.DataFrame:
    frame = sample.to_pandas()
    return frame.assign(old=frame["age"] > 60, high=frame["dose"] > 3, ill=frame["ill"] == "yes")


@pytest.mark.parametrize("epsilon", [3.0, None])
def test_pairs_that_belong_together_stay_together(epsilon: float | None) -> None:
    ledger = None if epsilon is None else Ledger(epsilon=epsilon, delta=1e-5)
    frame = shares(synthesizer("aim").fit(register(), seed=0, ledger=ledger).sample(4_000, seed=1))
    assert frame.loc[frame["old"], "ill"].mean() > 0.7
    assert frame.loc[~frame["old"], "ill"].mean() < 0.3
    assert frame.loc[frame["ill"], "high"].mean() > 0.8
    assert frame.loc[frame["old"], "high"].mean() > 0.55, "along a chain of pairs too"
    assert abs(frame["old"].mean() - 29 / 70) < 0.08


@pytest.mark.parametrize("name", ["aim", "independent"])
def test_all_of_the_budget_is_spent_and_all_that_is_spent_is_in_the_ledger(name: str) -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-5)
    synthesizer(name).fit(register(), seed=0, ledger=ledger)
    assert sum(map(accountant.precision, ledger.events)) == pytest.approx(ledger.precision, rel=0.01)
    assert accountant.epsilon(ledger.events, 1e-5) <= 1.0


def test_every_round_has_a_choice_and_a_table_in_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds are paid one by one: what the mechanisms were asked adds up to what the ledger lists."""
    asked: list[float] = []
    for name in ("chosen", "noisy_counts"):
        honest = getattr(mechanisms, name)

        def counted(*args: Any, honest: Any = honest, **kwargs: Any) -> Any:
            if kwargs["by"] == "aim":
                asked.append(kwargs["precision"])
            return honest(*args, **kwargs)

        monkeypatch.setattr(mechanisms, name, counted)
    ledger = Ledger(epsilon=1.0, delta=1e-5)
    synthesizer("aim").fit(register(), seed=0, ledger=ledger)
    own = [spend for spend in ledger.spends if spend.by == "aim"]
    assert [type(spend.event).__name__ for spend in own] == ["Exponential", "Gaussian"] * (len(own) // 2)
    assert len(own) >= 2
    assert sum(asked) == pytest.approx(sum(accountant.precision(spend.event) for spend in own), rel=1e-4)
    assert {len(spend.columns) for spend in own} == {2, 4}, "a table names its two columns, a choice all"


def test_a_choice_moves_by_no_more_than_one_patient_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow computation of the sensitivity: scores with and without each of some patients."""
    worst: list[float] = []
    honest = mechanisms.chosen

    def checked(rows: Any, scores: Any, ledger: Any, *, sensitivity: float, **kwargs: Any) -> int:
        assert isinstance(rows, SealedSummary)
        tables = rows._summary
        for cell in (0, len(tables) // 2, len(tables) - 1):
            more = tables.copy()
            more[cell] += 1
            worst.append(float(np.abs(scores(more) - scores(tables)).max()) / sensitivity)
        return honest(rows, scores, ledger, sensitivity=sensitivity, **kwargs)

    monkeypatch.setattr(mechanisms, "chosen", checked)
    synthesizer("aim").fit(register(), seed=0, ledger=Ledger(epsilon=1.0, delta=1e-5))
    assert max(worst) <= 1 + 1e-9
    assert max(worst) > 0.3


def test_a_summary_of_private_rows_tells_nothing_and_is_not_counted() -> None:
    summary = Sealed(np.arange(5)).summary(lambda rows: rows.sum())
    for look in (len, float, bool, list, np.asarray, lambda x: x + 1, lambda x: x.sum, lambda x: x.map):
        with pytest.raises(BudgetError):
            look(summary)
    with pytest.raises(BudgetError):
        mechanisms.noisy_counts(summary, [5], Ledger(epsilon=1.0, delta=1e-5), precision=0.01, purpose="x")  # type: ignore[arg-type]


def test_conditions_are_exact_along_the_chain() -> None:
    model = synthesizer("aim").fit(register(), seed=0)
    frame = shares(model.sample(3_000, seed=1, conditions={"dose": 7}))
    whole = shares(register())
    expected = whole.loc[whole["dose"] == 7, "old"].mean()
    assert (frame["dose"] == 7).all()
    assert abs(frame["old"].mean() - expected) < 0.06


def test_without_a_ledger_nothing_is_drawn() -> None:
    one, two = (synthesizer("aim").fit(register(500), seed=seed) for seed in (0, 1))
    assert one.sample(50, seed=3).to_pandas().equals(two.sample(50, seed=3).to_pandas())


def test_saved_and_loaded_under_a_ledger(tmp_path: Path) -> None:
    model = synthesizer("aim").fit(register(), seed=0, ledger=Ledger(epsilon=2.0, delta=1e-5))
    back = load(save(model, tmp_path / "model"))
    assert back.sample(50, seed=3).to_pandas().equals(model.sample(50, seed=3).to_pandas())


@pytest.mark.parametrize(
    ("name", "value"), [("max_tokens", 1), ("max_cells", 0), ("selection_share", 1.0), ("shrinkage", 0.0), ("coarseness", -1.0)]
)
def test_hyperparameters_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=name):
        synthesizer("aim", **{name: value}).fit(register(50), seed=0)


def test_pairs_of_the_target_come_first() -> None:
    """A column that goes with nothing is asked for all the same when it is the target."""
    data = register()
    schema = data.columns.replace_column(replace(data.columns["sex"], roles=(Role.TARGET,)))
    ledger = Ledger(epsilon=1.0, delta=1e-5)
    synthesizer("aim").fit(flat(data.table, schema), seed=0, ledger=ledger)
    tables = [spend.columns for spend in ledger.spends if spend.by == "aim" and len(spend.columns) == 2]
    assert "sex" in tables[0]
    assert any("sex" not in columns for columns in tables[1:])


def test_many_columns_run() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(600, 1))
    frame = pd.DataFrame(np.round(hidden + rng.normal(size=(600, 47)), 1), columns=[f"c{j}" for j in range(47)])
    model = synthesizer("aim", rounds_per_column=0.3).fit(read(frame), seed=0, ledger=Ledger(epsilon=3.0, delta=1e-4))
    assert model.sample(20, seed=0).to_pandas().shape == (20, 47)


def row(array: Any, at: int, value: Any) -> Any:
    out = array.copy()
    out.flat[at] = value
    return out


@pytest.mark.parametrize(
    ("values", "arrays", "why"),
    [
        ({"order": [0, 0, 1, 2]}, {}, "'order'"),
        ({"order": [0, 1, 2, 3.0]}, {}, "'order'"),
        ({"parents": [[], [0], [0]]}, {}, "'parents'"),
        ({"parents": [[3], [2], [1], [0]]}, {}, "'parents'"),
        ({"parents": 4}, {}, "'parents'"),
        ({}, {"table0": lambda own: row(own, 0, np.nan)}, "'table0'"),
        ({}, {"table0": lambda own: row(own, 0, -1.0)}, "'table0'"),
        ({}, {"table0": lambda own: row(own, 0, 7.0)}, "'table0'"),
        ({}, {"table0": lambda own: own.astype(np.float32)}, "'table0'"),
        ({}, {"group1": lambda own: row(own, 0, 10**9)}, "'group1'"),
        ({}, {"group1": lambda own: own + 1}, "'group1'"),
        ({}, {"group1": lambda own: own[1:]}, "'group1'"),
    ],
)
def test_a_state_that_contradicts_itself_is_refused_by_name(values: dict[str, Any], arrays: dict[str, Any], why: str) -> None:
    config, weights = synthesizer("aim").fit(register(300), seed=0).state()
    changed = weights | {name: change(weights[name]) for name, change in arrays.items()}
    with pytest.raises(ModelFolderError, match=why):
        synthesizer("aim").restore(config | values, changed)
