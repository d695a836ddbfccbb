"""The network: it learns dependence, conditions on any subset, imputes around rules, and refuses what it cannot do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import ParameterError
from manikin.data.rules import OrderRule
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Storage, TableSchema
from manikin.synthesizers.tables.autoregressive import BLOCK, Autoregressive
from manikin.training.control import Control


def patients(n: int = 1500, seed: int = 0) -> Dataset:
    """Sick patients are older; discharge follows admission; ICU is not applicable for outpatients; a tenth of the ages is missing."""
    rng = np.random.default_rng(seed)
    sick = rng.random(n) < 0.4
    age = np.where(sick, rng.normal(70, 6, n), rng.normal(40, 8, n)).round().astype(int)
    admitted = rng.integers(0, 60, n)
    discharged = admitted + rng.integers(0, 30, n)
    icu = np.where(sick, rng.choice(["yes", "no"], n), "n/a")
    texts = pd.DataFrame(
        {
            "status": np.where(sick, "sick", "well"),
            "age": [str(a) if keep else "" for a, keep in zip(age, rng.random(n) > 0.1, strict=True)],
            "admitted": admitted.astype(str),
            "discharged": [str(d) if keep else "" for d, keep in zip(discharged, rng.random(n) > 0.2, strict=True)],
            "icu": icu,
        },
        dtype=object,
    )
    columns = (
        Column("status", Kind.CATEGORICAL),
        Column("age", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("admitted", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("discharged", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("icu", Kind.CATEGORICAL, missing=(EMPTY, MissingCode("n/a", "not applicable"))),
    )
    schema = TableSchema("visits", columns, (OrderRule(("admitted", "discharged"), confirmed=True),))
    return flat(parse_table(texts, schema), schema)


@pytest.fixture(scope="module")
def model() -> Autoregressive:
    return Autoregressive(epochs=12).fit(patients(), seed=0)


def frame(data: Dataset) -> pd.DataFrame:
    return texts_of(data.table, data.columns)


def ages(rows: pd.DataFrame) -> pd.Series:
    return pd.to_numeric(rows["age"][rows["age"] != ""])


def test_dependence_missingness_and_rules_are_learned(model: Autoregressive) -> None:
    made = frame(model.sample(4000, seed=1))
    sick = made["status"] == "sick"
    assert sick.mean() == pytest.approx(0.4, abs=0.06)
    assert ages(made[sick]).mean() == pytest.approx(70, abs=3)
    assert ages(made[~sick]).mean() == pytest.approx(40, abs=3)
    assert (made["age"] == "").mean() == pytest.approx(0.1, abs=0.03)
    assert (made["icu"][~sick] == "n/a").mean() > 0.95
    both = made[made["discharged"] != ""]
    assert (both["admitted"].astype(int) <= both["discharged"].astype(int)).all()


def test_batches_have_the_size_asked_for_and_the_rows_of_sample(model: Autoregressive) -> None:
    n = BLOCK + 700
    parts = [frame(part) for part in model.sample_batches(n, seed=4, batch_size=3000)]
    assert [len(part) for part in parts] == [3000, 3000, n - 6000]
    assert pd.concat(parts, ignore_index=True).equals(frame(model.sample(n, seed=4)))


@pytest.mark.parametrize(("given", "other"), [("sick", 70), ("well", 40)])
def test_it_conditions_on_the_first_column_and_on_the_last_ones_alike(model: Autoregressive, given: str, other: int) -> None:
    made = frame(model.sample(1500, seed=2, conditions={"status": given}))
    assert set(made["status"]) == {given}
    assert ages(made).mean() == pytest.approx(other, abs=4)
    backwards = frame(model.sample(1500, seed=3, conditions={"age": other}))
    assert set(backwards["age"]) == {str(other)}
    assert (backwards["status"] == given).mean() > 0.85


def test_imputation_keeps_what_is_there_fills_what_is_missing_and_leaves_what_cannot_be(model: Autoregressive) -> None:
    data = patients(400, seed=7)
    before, after = frame(data), frame(model.impute(data, seed=5))
    for name in before.columns:
        there = before[name] != ""
        assert before[name][there].equals(after[name][there]), name
        assert (after[name] != "").all(), name
    filled = after[before["age"] == ""]
    sick = filled["status"] == "sick"
    assert ages(filled[sick]).mean() > ages(filled[~sick]).mean() + 15
    assert (after["admitted"].astype(int) <= after["discharged"].astype(int)).all()


def test_rows_of_a_block_do_not_depend_on_the_batch_size(model: Autoregressive) -> None:
    n = BLOCK + 100
    pieces = list(model.sample_batches(n, seed=4, batch_size=BLOCK))
    assert [len(piece) for piece in pieces] == [BLOCK, 100]
    whole = frame(model.sample(n, seed=4))
    assert pd.concat([frame(piece) for piece in pieces], ignore_index=True).equals(whole)


def test_likelihood_is_higher_for_likely_rows(model: Autoregressive) -> None:
    data = patients(300, seed=8)
    swapped = data.table.frame.copy()
    swapped["status"] = swapped["status"].cat.rename_categories({"sick": "well", "well": "sick"})
    odd = data.with_table(type(data.table)(swapped, data.table.marks))
    assert model.log_likelihood(data).mean() > model.log_likelihood(odd).mean() + 2


def test_an_ensemble_averages_probabilities() -> None:
    model = Autoregressive(members=3, epochs=2).fit(patients(300), seed=0)
    assert len(model.networks_) == 3
    assert len(model.sample(50, seed=0)) == 50


def test_steps_budgets_and_curves_are_recorded() -> None:
    model = Autoregressive().fit(patients(300), seed=0, control=Control(max_steps=9, device="cpu"))
    assert model.training_["steps"] == 9
    assert model.training_["planned_steps"] == 9
    assert model.training_["curve"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"epochs": 0}, "epochs"),
        ({"members": 1.5}, "members"),
        ({"causal_share": 2}, "causal_share"),
    ],
)
def test_hyperparameters_outside_their_domain_are_refused(fields: dict[str, object], name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name!r} parameter"):
        Autoregressive(**fields).fit(patients(50), seed=0)  # type: ignore[arg-type]
