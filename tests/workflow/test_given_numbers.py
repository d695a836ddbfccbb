"""A given number that lies inside a group of the codec decides itself what a confirmed implied rule says, and not its group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.rule_checks import violations
from manikin.data.rules import ImpliedRule
from manikin.data.schema import EMPTY, Column, Kind, Storage, TableSchema

MODELS = {"independent": {}, "copula": {}, "forest": {"n_trees": 5}, "autoregressive": {"max_steps": 30, "max_tokens": 5}}
SPEAKING = tuple(str(x) for x in range(0, 40, 3))
LOS = Column("los", Kind.COUNT, Storage.INTEGER, decimals=0)
ICU = Column("icu", Kind.CATEGORICAL, missing=(EMPTY,))
FORWARD = ImpliedRule(("los", "icu"), confirmed=True, when=SPEAKING, then=("no",))
BACKWARD = ImpliedRule(("icu", "los"), confirmed=True, when=("yes",), then=tuple(str(x) for x in range(40) if x % 3))


def table(rule: ImpliedRule, n: int = 220, seed: int = 0) -> Dataset:
    """Few rows for each day, so that the codec holds days in intervals; a third of the days rules the ICU out; some cells are empty."""
    rng = np.random.default_rng(seed)
    los = rng.integers(0, 40, n)
    icu = np.where(los % 3 == 0, "no", rng.choice(["yes", "no"], n, p=[0.8, 0.2]))
    icu[rng.random(n) < 0.1] = "no"
    texts = pd.DataFrame({"los": los.astype(str), "icu": icu, "sex": rng.choice(["F", "M"], n)}, dtype=object)
    schema = TableSchema("stays", (LOS, ICU, Column("sex", Kind.CATEGORICAL)), (rule,))
    return flat(parse_table(texts, schema), schema)


@pytest.fixture(scope="module", params=[(name, rule) for name in MODELS for rule in (FORWARD, BACKWARD)], ids=str)
def fitted(request: pytest.FixtureRequest) -> tuple[Any, Dataset]:
    name, rule = request.param
    data = table(rule)
    model = mk.synthesizer(name, **MODELS[name]).fit(data, seed=0)
    low, high = model.codec_.fields_[0].token_bounds()
    assert (low < high).any(), "no interval: the test would prove nothing"
    return model, data


def n_broken(made: Dataset, data: Dataset) -> int:
    (rule,) = data.columns.confirmed_rules
    return int(violations(rule, made.table, made.columns).sum())


def test_kept_numbers_decide_for_themselves(fitted: tuple[Any, Dataset]) -> None:
    model, data = fitted
    made = mk.complete(model, data, keep=["los"], seed=1)
    assert n_broken(made, data) == 0
    assert made.table.frame["los"].equals(data.table.frame["los"])
    speaks = data.table.frame["los"] % 3 == 0
    assert set(made.table.frame["icu"][~speaks].dropna()) == {"yes", "no"}  # only the days that speak are bound


def test_holes_beside_a_number_are_filled_by_its_rule(fitted: tuple[Any, Dataset]) -> None:
    model, data = fitted
    frame = data.to_pandas()
    frame.loc[::2, "icu"] = None
    made = mk.complete(model, frame, seed=2)
    assert n_broken(made, data) == 0
    assert not made.to_pandas()["icu"].isna().any()


def test_one_number_for_all_rows_decides_too(fitted: tuple[Any, Dataset]) -> None:
    model, data = fitted
    for days in (6, 7, 21, 22):
        made = model.sample(200, seed=3, conditions={"los": days})
        assert n_broken(made, data) == 0
        assert set(made.table.frame["icu"].dropna()) == ({"no"} if days % 3 == 0 else {"yes", "no"})
