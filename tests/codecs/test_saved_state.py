"""A saved codec that contradicts itself is refused, by column and array; an honest one comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.table import TableCodec
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import ModelFolderError
from manikin.data.rules import CombinationRule, OrderRule
from manikin.data.schema import EMPTY, Column, Kind, Storage, TableSchema

COLUMNS = (
    Column("age", Kind.COUNT, Storage.INTEGER, decimals=0),
    Column("later", Kind.COUNT, Storage.INTEGER, decimals=0),
    Column("seen", Kind.DATE, time_format="%Y-%m-%d"),
    Column("diag", Kind.CODE, code_system="ICD-9-CM"),
    Column("grade", Kind.ORDINAL, levels=("1", "2", "3"), missing=(EMPTY,)),
    Column("drugs", Kind.CODE_SET, separator=";"),
    Column("ward", Kind.CATEGORICAL),
    Column("site", Kind.CATEGORICAL),
)
RULES = (OrderRule(("age", "later"), confirmed=True), CombinationRule(("ward", "site"), confirmed=True))


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    n, rare = 300, ["390.1", "391.2", "392.3", "393.4", "394.5", "395.6"]
    age, ward = rng.integers(20, 80, n), rng.choice(["a", "b", "c"], n)
    cells = {
        "age": age.astype(str),
        "later": (age + rng.integers(0, 9, n)).astype(str),
        "seen": [str(day) for day in np.datetime64("2020-01-01") + rng.integers(0, 200, n)],
        "diag": ["396.1" if i % 3 else rare[i // 3 % 6] if i < 54 else "250.0" for i in range(n)],
        "grade": rng.choice(["1", "2", "3", ""], n),
        "drugs": rng.choice(["A10BA02;C09AA05", "C09AA05", "N02BE01"], n),
        "ward": ward,
        "site": np.where(ward == "a", "north", "south"),
    }
    schema = TableSchema("t", COLUMNS, RULES)
    return flat(parse_table(pd.DataFrame(cells, dtype=object), schema), schema)


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> TableCodec:
    return TableCodec(max_tokens=8).fit(data)


State = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def state(fitted: TableCodec) -> State:
    values, arrays = fitted.state()
    return json.loads(json.dumps(values)), {name: array.copy() for name, array in arrays.items()}


def test_an_honest_state_comes_back(fitted: TableCodec, state: State, data: Dataset) -> None:
    again = TableCodec.from_state(*state)
    tokens = fitted.encode(data)
    assert np.array_equal(again.encode(data), tokens)
    rngs = [np.random.default_rng(1), np.random.default_rng(1)]
    made = [codec.decode(tokens, rng).to_pandas() for codec, rng in zip((fitted, again), rngs, strict=True)]
    pd.testing.assert_frame_equal(*made)
    assert any(own.get("siblings") for own in state[0]["columns"]), "no merged group: a case below would prove nothing"


def value(j: int, key: str, made: Any) -> Callable[[State], Any]:
    return lambda state: state[0]["columns"][j].update({key: made})


def array(name: str, change: Callable[[Any], Any]) -> Callable[[State], Any]:
    return lambda state: state[1].update({name: np.asarray(change(state[1][name]))})


CASES: dict[str, tuple[Callable[[State], Any], str]] = {
    "another number of missing codes": (value(0, "n_missing", 3), "'n_missing' of column 'age'"),
    "missing codes below none": (value(4, "n_missing", -1), "'n_missing' of column 'grade'"),
    "a truth for a number": (value(4, "n_missing", made=True), "'n_missing' of column 'grade'"),
    "another codec": (value(0, "codec", "LevelCodec"), "column 'age' has not the codec"),
    "an unknown codec": (value(0, "codec", "os.system"), "column 'age' has not the codec"),
    "a column too few": (lambda state: state[0]["columns"].pop(), "not as many columns"),
    "no step": (value(0, "step", 0), "'step' of column 'age'"),
    "a step that is none": (value(0, "step", "1"), "'step' of column 'age'"),
    "many digits": (value(0, "significant", 400), "'significant' of column 'age'"),
    "a time's unit": (value(0, "unit", 1_000_000), "'unit' of column 'age'"),
    "no unit of time": (value(2, "unit", 0), "'unit' of column 'seen'"),
    "short cells": (array("column0.low", lambda a: a[1:]), "array 'high' of column 'age'"),
    "long ends": (array("column0.high", lambda a: np.r_[a, a]), "array 'high' of column 'age'"),
    "cells without an end": (array("column0.high", lambda a: a * np.inf), "array 'high' of column 'age'"),
    "cells that cross": (array("column0.low", lambda a: a + 1e6), "'low' and 'high' of column 'age' cross"),
    "negative rows": (array("column0.count", lambda a: -a), "array 'count' of column 'age'"),
    "a vocabulary of millions": (array("column0.token", lambda a: a * 10**6), "array 'token' of column 'age'"),
    "tokens below none": (array("column0.token", lambda a: a - 5), "array 'token' of column 'age'"),
    "real tokens": (array("column0.token", lambda a: a.astype(float)), "array 'token' of column 'age'"),
    "levels alike": (
        lambda s: s[0]["columns"][6]["levels"].__setitem__(1, s[0]["columns"][6]["levels"][0]),
        "'levels' of column 'ward'",
    ),
    "levels that are no texts": (value(6, "levels", [1, 2, 3]), "'levels' of column 'ward'"),
    "more frequent levels than levels": (value(6, "n_frequent", 9), "'n_frequent' of column 'ward'"),
    "counts of more levels": (array("column6.counts", lambda a: np.r_[a, a]), "'counts' of column 'ward'"),
    "order that is none": (value(6, "is_ordered", 1), "'is_ordered' of column 'ward'"),
    "a released level": (value(6, "released", [0]), "'released' of column 'ward'"),
    "siblings of a level": (value(6, "siblings", {"0": [1]}), "'siblings' of column 'ward'"),
    "siblings beyond the levels": (value(3, "siblings", {"2": [10**6]}), "'siblings' of column 'diag'"),
    "more codes than counts": (lambda state: state[0]["columns"][5]["codes"].append("X"), "'steps' of column 'drugs'"),
    "no separator": (value(5, "separator", ""), "'separator' of column 'drugs'"),
    "sets below none": (value(5, "n_present", -1), "'n_present' of column 'drugs'"),
    "rows of fewer tokens": (array("field0.rows", lambda a: a[1:]), "array 'field0.rows'"),
    "rows of a field too many": (
        lambda state: state[1].update({"field99.rows": np.ones(3, np.int64)}),
        "'field99.rows' is left over",
    ),
    "an array of another column": (lambda state: state[1].update({"column99.low": np.ones(3)}), "'column99.low' is left over"),
    "an array that is gone": (lambda state: state[1].pop("column0.token"), "'column0.token' is missing"),
    "an array that nothing asks for": (lambda state: state[1].update({"spare": np.ones(9)}), "'spare' is left over"),
    "a rule's array that nothing asks for": (
        lambda state: state[1].update({"rules.spare": np.ones(9)}),
        "'rules.spare' is left over",
    ),
    "combinations dropped": (lambda state: state[0]["rules"].update({"combinations": []}), "combinations are not those"),
    "combinations of other columns": (
        lambda state: state[0]["rules"].update({"combinations": [[0, 1]]}),
        "combinations are not those",
    ),
    "combinations of strange tokens": (array("rules.combination0", lambda a: a + 50), "'rules.combination0' names tokens"),
    "wide combinations": (array("rules.combination0", lambda a: np.c_[a, a]), "'rules.combination0' is not"),
    "a mask of fewer tokens": (array("rules.static0", lambda a: a[1:]), "'rules.static0' does not say"),
    "a mask of twos": (array("rules.static0", lambda a: a + 2), "'rules.static0' does not say"),
    "another kind of frame": (lambda state: state[0].update({"native": "os"}), "'native'"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_state_that_contradicts_itself_is_refused_by_name(state: State, case: str) -> None:
    change, why = CASES[case]
    change(state)
    with pytest.raises(ModelFolderError) as refused:
        TableCodec.from_state(*state)
    assert why in str(refused.value)
