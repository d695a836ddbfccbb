"""FairGAN as a synthesizer: which column it protects, that it is given exactly and no other, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, ParameterError
from manikin.data.schema import Role
from manikin.io.tabular import read
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.synthesizers.tables.fairgan import FairGAN


@cache
def table(protected: str | None = "menostat", target: str | None = "cens") -> Dataset:
    """The breast cancer trial of lifelines; one column is marked as sensitive, one as the target."""
    from lifelines.datasets import load_gbsg2

    data = read(load_gbsg2().rename(columns=str), name="gbsg2")
    roles = {protected: (Role.SENSITIVE,), target: (Role.TARGET,)}
    columns = tuple(replace(c, roles=roles.get(c.name, ())) for c in data.columns)
    return replace(data, schema=replace(data.schema, tables=(replace(data.columns, columns=columns),)))


@cache
def fitted(protected: str | None = "menostat", **settings: Any) -> FairGAN:
    model: FairGAN = synthesizer("fairgan", max_steps=8, batch_size=100, **settings).fit(table(protected), seed=0)
    return model


def cells(data: Dataset) -> Any:
    return texts_of(data.table, data.columns)


def test_the_schema_says_what_is_protected_and_what_the_outcome_is() -> None:
    model = fitted()
    assert (model.protected_, model.outcome_) == ("menostat", "cens")
    assert not any("protected" in warning for warning in model.training_["warnings"])


def test_a_parameter_says_it_better() -> None:
    model = synthesizer("fairgan", protected="horTh", max_steps=8).fit(table(), seed=0)
    assert model.protected_ == "horTh"


def test_where_nothing_is_marked_the_choice_is_told() -> None:
    model = fitted(None)
    assert model.protected_ == "horTh"
    assert any("'horTh' was taken" in warning for warning in model.training_["warnings"])


def test_the_protected_column_is_given_exactly_and_no_other() -> None:
    model = fitted()
    assert SYNTHESIZERS["fairgan"].some_conditions
    assert model.conditionable() == ["menostat"]
    assert set(cells(model.sample(40, seed=0, conditions={"menostat": "Pre"}))["menostat"]) == {"Pre"}
    rows = table().take(np.arange(30)).only(["menostat"])
    assert cells(model.sample(30, seed=0, conditions=rows))["menostat"].tolist() == cells(rows)["menostat"].tolist()
    with pytest.raises(ParameterError, match=r"fairgan.*'menostat' only.*'horTh'"):
        model.sample(3, seed=0, conditions={"menostat": "Pre", "horTh": "yes"})


def test_groups_come_as_often_as_among_patients() -> None:
    real, made = cells(table())["menostat"] == "Post", cells(fitted().sample(3000, seed=0))["menostat"] == "Post"
    assert abs(real.mean() - made.mean()) < 0.04


def test_what_the_run_looks_at_includes_the_groups_distance() -> None:
    assert any("disparity" in entry for entry in fitted().training_["signals"])


def test_a_column_without_levels_cannot_be_protected() -> None:
    with pytest.raises(FitError, match=r"fairgan needs .*'age'.*686 rows.*`protected`"):
        synthesizer("fairgan", protected="age", max_steps=2).fit(table(), seed=0)
    with pytest.raises(ParameterError, match="protected"):
        synthesizer("fairgan", protected="nothing", max_steps=2).fit(table(), seed=0)


@pytest.mark.parametrize(("name", "value"), [("fairness", -1), ("fairness", True), ("weight_decay", 2), ("outcome", "nothing")])
def test_wrong_hyperparameters_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=name):
        synthesizer("fairgan", **{name: value}).fit(table(), seed=0)
