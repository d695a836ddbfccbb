"""SMOTE: rows lie between neighbours, classes keep their shares, what is missing stays so, and what it cannot do it refuses by name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, MissingExtraError, ModelFolderError, ParameterError
from manikin.data.rules import ImpliedRule
from manikin.data.schema import Role, TableSchema
from manikin.io.tabular import read
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.synthesizers.tables.smote import Smote


def with_target(frame: pd.DataFrame, target: str | None = "ill", rules: Sequence[Any] = ()) -> Dataset:
    data = read(frame, name="clinic")
    columns = tuple(replace(c, roles=(Role.TARGET,) if c.name == target else ()) for c in data.columns)
    schema: TableSchema = replace(data.columns, columns=columns, rules=tuple(rules))
    return replace(data, schema=replace(data.schema, tables=(schema,)))


def clinic(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ill = rng.random(n) < 0.2
    lab = np.round(np.where(ill, 9, 5) + rng.normal(0, 0.5, n), 1).astype(object)
    lab[rng.random(n) < np.where(ill, 0.05, 0.4)] = None
    ward = np.where(ill, rng.choice(["icu", "ward"], n, p=[0.8, 0.2]), rng.choice(["ward", "day"], n))
    return pd.DataFrame(
        {"age": np.where(ill, 70, 45) + rng.integers(-8, 9, n), "lab": lab, "ward": ward, "ill": np.where(ill, "yes", "no")}
    )


@pytest.fixture(scope="module")
def fitted() -> Any:
    return synthesizer("smote").fit(with_target(clinic()), seed=0)


def test_the_registry_says_what_it_is() -> None:
    entry = SYNTHESIZERS["smote"]
    assert (entry.releasable, entry.keeps_rows, entry.conditions, entry.extra) == (False, True, False, "imbalanced")
    assert "real rows" in entry.summary


@pytest.mark.parametrize("target", ["ill", None])
def test_new_points_lie_between_neighbours(target: str | None) -> None:
    rng = np.random.default_rng(1)
    at = np.repeat([0.0, 1_000.0], 198) + rng.uniform(0, 50, 396)
    frame = pd.DataFrame({"x": at.round(2), "y": (2 * at + 7).round(2), "ill": np.repeat(["no", "yes"], 198)})
    frame = frame if target else frame[["x", "y"]]
    made = synthesizer("smote", k_neighbors=3).fit(with_target(frame, target), seed=0).sample(1_000, seed=1).to_pandas()
    between = made["x"].between(52, 998)  # the rows of one cell of the codec, whose patients lie on either side
    assert between.mean() < 0.05, "no row lies between two clusters, whose rows are no neighbours"
    # a cell holds 11 patients, so a decoded number is off its point by some 3 at most, in y twice that
    assert (made["y"] - 2 * made["x"] - 7)[~between & made["y"].sub(1_000).abs().gt(895)].abs().max() < 20
    assert made["x"].nunique() > 500


def test_classes_keep_the_train_proportions_and_their_own_rows(fitted: Any) -> None:
    made, real = fitted.sample(3_000, seed=1).to_pandas(), clinic()
    assert (made["ill"] == "yes").mean() == pytest.approx((real["ill"] == "yes").mean(), abs=0.02)
    # real ones are at least 62 and at most 53; a cell of the codec ends a year beyond, where it is nobody's age
    assert (made.loc[made["ill"] == "yes", "age"] >= 61).all()
    assert (made.loc[made["ill"] == "no", "age"] <= 54).all()
    assert not (made.loc[made["ill"] == "no", "ward"] == "icu").any()


def test_missing_cells_are_voted_on(fitted: Any) -> None:
    made = fitted.sample(3_000, seed=1).to_pandas()
    missing = made["lab"].isna().groupby(made["ill"]).mean()
    assert 0.2 < missing["no"] < 0.5
    assert missing["yes"] < 0.12
    assert made.drop(columns="lab").notna().all().all()


def test_the_target_may_be_given_and_nothing_else(fitted: Any) -> None:
    assert set(fitted.sample(50, seed=1, conditions={"ill": "yes"}).to_pandas()["ill"]) == {"yes"}
    rows = with_target(clinic()).take(np.arange(30)).only(["ill"])
    made = fitted.sample(30, seed=1, conditions=rows).to_pandas()
    assert made["ill"].tolist() == clinic()["ill"][:30].tolist()
    assert (made["age"] > 57).tolist() == (made["ill"] == "yes").tolist(), "the other columns follow"
    for conditions in ({"age": 50}, {"ill": "yes", "ward": "icu"}):
        with pytest.raises(ParameterError, match=r"'smote'.*its target 'ill' only.*'(age|ward)'"):
            fitted.sample(3, seed=1, conditions=conditions)
    with pytest.raises(ParameterError, match=r"'smote'.*without a target.*'ill'"):
        synthesizer("smote").fit(with_target(clinic(), None), seed=0).sample(3, seed=1, conditions={"ill": "yes"})


def test_a_number_of_few_values_is_a_class_and_one_of_many_is_not() -> None:
    frame = clinic().assign(ill=lambda f: (f["ill"] == "yes").astype(int))
    made = synthesizer("smote").fit(with_target(frame), seed=0).sample(60, seed=1, conditions={"ill": 1})
    assert (made.to_pandas()["age"] >= 61).all()
    free = synthesizer("smote").fit(with_target(frame, "age"), seed=0)
    assert free.sample(60, seed=1).to_pandas()["age"].nunique() > 10
    with pytest.raises(ParameterError, match="'age'"):
        free.sample(5, seed=1, conditions={"age": 60})


def test_classes_of_few_patients_are_left_out_and_said_so() -> None:
    frame = clinic()
    frame.loc[:4, "ill"] = "unsure"
    model = synthesizer("smote").fit(with_target(frame), seed=0)
    assert set(model.sample(1_000, seed=1).to_pandas()["ill"]) == {"yes", "no"}
    with pytest.raises(ParameterError, match="'ill'"):
        model.sample(5, seed=1, conditions={"ill": "unsure"})


def test_a_public_class_of_three_has_two_neighbours_and_one_of_one_is_none() -> None:
    frame = clinic()
    frame.loc[:2, "ill"], frame.loc[3, "ill"] = "three", "single"
    data = with_target(frame)
    column = replace(data.columns["ill"], min_patients=1)
    data = replace(data, schema=replace(data.schema, tables=(data.columns.replace_column(column),)))
    model = synthesizer("smote").fit(data, seed=0)
    assert len(model.sample(20, seed=1, conditions={"ill": "three"})) == 20
    assert "single" not in set(model.sample(3_000, seed=1).to_pandas()["ill"])
    with pytest.raises(ParameterError, match=r"fewer than two rows.*'ill'"):
        model.sample(5, seed=1, conditions={"ill": "single"})


def test_tables_of_levels_need_a_target() -> None:
    frame = clinic()[["ward", "ill"]].assign(sex=np.where(np.arange(400) % 2, "f", "m"))
    made = synthesizer("smote").fit(with_target(frame), seed=0).sample(300, seed=1).to_pandas()
    assert set(made["sex"]) == {"f", "m"}
    assert not ((made["ill"] == "no") & (made["ward"] == "icu")).any()
    with pytest.raises(FitError, match="'ward', 'ill', 'sex' hold only levels"):
        synthesizer("smote").fit(with_target(frame, None), seed=0)


def test_confirmed_rules_hold() -> None:
    rng = np.random.default_rng(2)
    site = rng.choice(["a", "b", "c", "none"], 300)
    frame = pd.DataFrame({f"x{i}": rng.normal(0, 9, 300).round(1) for i in range(4)})
    frame = frame.assign(site=site, seen=np.where(site == "none", "no", "yes"))
    rule = ImpliedRule(("site", "seen"), confirmed=True, when=("none",), then=("no",))
    made = synthesizer("smote").fit(with_target(frame, None, [rule]), seed=0).sample(1_000, seed=1).to_pandas()
    assert not ((made["site"] == "none") & (made["seen"] == "yes")).any()
    free = synthesizer("smote").fit(with_target(frame, None), seed=0).sample(1_000, seed=1).to_pandas()
    assert ((free["site"] == "none") & (free["seen"] == "yes")).any(), (
        "without the rule the vote breaks it, so the rule did something"
    )


def test_only_so_many_rows_are_kept() -> None:
    model = synthesizer("smote", max_rows=100).fit(with_target(clinic()), seed=0)
    assert len(model.rows_) == 100
    assert len(model.sample(500, seed=1)) == 500


def test_the_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imblearn", None)
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'manikin\[imbalanced\]'"):
        synthesizer("smote").fit(with_target(clinic()), seed=0)


@pytest.mark.parametrize(("name", "value"), [("k_neighbors", 0), ("max_rows", 1)])
def test_hyperparameters_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(ParameterError, match=f"'{name}' parameter of Smote"):
        Smote(**{name: value}).fit(with_target(clinic()), seed=0)


def test_foreign_arrays_are_refused(fitted: Any) -> None:
    values, arrays = fitted.state()
    for wrong in ({"rows": arrays["rows"] + 999}, {"numbers": arrays["numbers"][1:]}, {"rows": arrays["rows"][:1]}):
        with pytest.raises(ModelFolderError, match=next(iter(wrong))):
            Smote().restore(values, arrays | wrong)
    with pytest.raises(ModelFolderError):
        Smote().restore({**values, "target": 99}, arrays)
