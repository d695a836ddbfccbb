"""A saved records codec comes back as it was; one that contradicts itself is refused. Conditions and patients known in part."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from codec_tables import check_keys, hospital, key, table_texts

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset
from manikin.data.errors import ModelFolderError, ParameterError, SchemaError
from manikin.data.schema import Column, ForeignKey, Form, Kind, Schema, TableSchema


def with_reference(data: Dataset) -> Dataset:
    """The hospital with a book of diagnoses, which one code of the data is not in."""
    book = TableSchema("book", (key("icd"), Column("title", Kind.TEXT)), form=Form.REFERENCE, primary_key=("icd",))
    cells = {"icd": ["250", "401", "999"], "title": ["diabetes", "pressure, high", 'an "other"']}
    rows = parse_table(pd.DataFrame(cells, dtype=object), book)
    own = data.schema["diagnoses"]
    named = replace(own, foreign_keys=(*own.foreign_keys, ForeignKey(("icd",), "book", ("icd",))))
    tables = tuple(named if t.name == "diagnoses" else t for t in data.schema.tables)
    return Dataset({**data.tables, "book": rows}, Schema((*tables, book)))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return with_reference(hospital(40, seed=1, k=5))


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> RecordsCodec:
    return RecordsCodec().fit(data)


State = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def state(fitted: RecordsCodec) -> State:
    values, arrays = fitted.state()
    return json.loads(json.dumps(values)), {name: array.copy() for name, array in arrays.items()}


def test_an_honest_state_comes_back(fitted: RecordsCodec, state: State, data: Dataset) -> None:
    again = RecordsCodec.from_state(*state)
    records = fitted.encode(data)
    theirs = again.encode(data)
    assert (theirs.tokens == records.tokens).all()
    assert (theirs.times == records.times).all()
    made = [codec.decode(records, np.random.default_rng(1)) for codec in (fitted, again)]
    assert made[0].schema == made[1].schema
    for table in made[0].schema.tables:
        pd.testing.assert_frame_equal(*(one.tables[table.name].frame for one in made))
        assert table_texts(made[0], table.name).equals(table_texts(made[1], table.name))
    assert again.layout.tables[0].layout.names == fitted.layout.tables[0].layout.names


def test_no_real_key_and_no_extreme_stands_in_the_state(state: State, data: Dataset) -> None:
    text = json.dumps(state[0])
    for cell in data.tables["stays"].frame["sid"].head(20):
        assert f'"{cell}"' not in text
    schema = {t["name"]: t for t in state[0]["schema"]}
    assert all("minimum" not in column for column in schema["labs"]["columns"])


def test_a_reference_table_comes_back_whole_and_only_its_codes_are_made(fitted: RecordsCodec, data: Dataset) -> None:
    made = fitted.decode(fitted.encode(data), np.random.default_rng(0))
    assert table_texts(made, "book").equals(table_texts(data, "book"))
    assert set(made.tables["diagnoses"].frame["icd"]) == {"250", "401"}
    place = [t.name for t in fitted.layout.tables].index("diagnoses")
    assert fitted.emitted(place, fitted.layout.tables[place].layout.names.index("icd")).sum() == 2
    check_keys(made)


def plan(change: Callable[[dict[str, Any]], Any]) -> Callable[[State], Any]:
    return lambda state: change(state[0]["plan"])


def array(name: str, change: Callable[[Any], Any]) -> Callable[[State], Any]:
    return lambda state: state[1].update({name: change(state[1][name])})


LABS, STAYS = 1, 0
HOSTILE: dict[str, Callable[[State], Any]] = {
    "no tokens": lambda state: state[0].update(max_tokens=0),
    "a kind of frame": lambda state: state[0].update(native="excel"),
    "an unknown column": plan(lambda own: own["events"][STAYS]["codes"].append("eye colour")),
    "an unknown table": plan(lambda own: own["events"][STAYS].update(name="book")),
    "another link": plan(lambda own: own["events"][LABS]["links"][0].update(parent="patients")),
    "a unit of nothing": plan(lambda own: own["events"][LABS].update(unit=7)),
    "a fact too many": plan(lambda own: own["events"][LABS].update(extra=1)),
    "a clock": plan(lambda own: own["clock"].update(days_per_tick=-1.0)),
    "a static column": plan(lambda own: own["static"][0].update(column="shoe")),
    "a key": plan(lambda own: own["keys"][0].update(stride=0)),
    "a flag": plan(lambda own: own.update(has_anchor="yes")),
    "a bound": plan(lambda own: own.update(bound="sid")),
    "a table of events less": lambda state: state[0]["events"].pop(),
    "tables in another order": lambda state: state[0]["events"].reverse(),
    "cells that cross": array("number1.0/low", lambda own: own + 1e6),
    "cells out of order": array("number1.0/first", lambda own: own[::-1].copy()),
    "scales of others": array("number1.0/scale", lambda own: own + 99),
    "a short array": array("number1.0/count", lambda own: own[:-1]),
    "an array left over": lambda state: state[1].update({"number9.0/low": np.zeros(1)}),
    "a lost array": lambda state: state[1].pop("event0/field0.rows"),
    "a book that is none": array("reference0", lambda own: own[:3]),
    "a book of floats": array("reference0", lambda own: own.astype(float)),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_state_that_contradicts_itself_is_refused(case: str, state: State) -> None:
    HOSTILE[case](state)
    with pytest.raises((ModelFolderError, SchemaError)):
        RecordsCodec.from_state(*state)


def test_conditions_are_static_columns_by_either_name(fitted: RecordsCodec) -> None:
    for name in ("sex", "patients.sex"):
        tokens, given = fitted.encode_conditions({name: "f"}, 5)
        assert given.sum() == 1
        assert tokens.shape == (5, len(fitted.layout.static.fields))
    made = fitted.decode(replace_static(fitted, tokens), np.random.default_rng(0), conditions={"sex": "f"})
    assert set(made.tables["patients"].frame["sex"]) == {"f"}
    tokens, given = fitted.encode_conditions(None, 3)
    assert not given.any()


def replace_static(codec: RecordsCodec, tokens: np.ndarray) -> Any:
    from manikin.codecs.records.base import Records

    n, width = len(tokens), codec.layout.width
    nothing = np.zeros((0, width), dtype=np.int32)
    return Records(tokens, np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int16), nothing, np.zeros(0))


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ({"ward": "icu"}, "changes from row to row of table 'stays'"),
        ({"labs.value": "1"}, "changes from row to row of table 'labs'"),
        ({"sid": "7"}, "or is a key"),
        ({"born": "2100-01-01"}, "is a date, which is learned as the time since"),
        ({"shoe": "1"}, "No table has a column 'shoe'"),
        ({"sex": "x"}, "never learned the value"),
    ],
)
def test_other_conditions_are_refused_with_the_reason(fitted: RecordsCodec, conditions: dict[str, str], why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        fitted.encode_conditions(conditions, 2)


def test_patients_known_in_part_are_encoded_with_what_is_known(fitted: RecordsCodec, data: Dataset) -> None:
    whole, everything = fitted.encode_partial(data)
    assert everything.all()
    part = data.schema["patients"].only(["pid", "born"])
    tables = tuple(part if t.name == "patients" else t for t in data.schema.tables if t.name != "book")
    unlinked = tuple(replace(t, foreign_keys=tuple(k for k in t.foreign_keys if k.table != "book")) for t in tables)
    own = Dataset({t.name: data.tables[t.name].only(t.names) for t in tables}, Schema(unlinked))
    records, given = fitted.encode_partial(own)
    names = fitted.layout.static.names
    assert [name for name, there in zip(names, given, strict=True) if there] == ["(anchor)", "born"]
    seen = whole.lengths > 0  # the anchor of those without events rests on all of their dates
    assert (records.static[seen][:, given] == whole.static[seen][:, given]).all()
    assert (records.tokens == whole.tokens).all()
    alone = Dataset({"patients": data.tables["patients"]}, Schema((data.schema["patients"],)))
    _, given = fitted.encode_conditions(alone, len(data))
    assert given.all()
    with pytest.raises(ParameterError, match="Rows of table 'stays'"):
        fitted.encode_conditions(data, len(data))
    short = data.schema["stays"].only(["pid", "sid", "admitted"])
    with pytest.raises(ParameterError, match="'stays' has no column"):
        fitted.encode(Dataset({"stays": data.tables["stays"].only(short.names)}, Schema((replace(short, foreign_keys=()),))))
