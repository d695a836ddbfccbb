"""Keys made anew: families of columns, references that keep leading where they led, numbers away from the real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, Table
from manikin.data.links import copies, parent_rows
from manikin.data.new_keys import Family, above_real_keys, families, lost_references, released_schema, renewed
from manikin.data.schema import Column, ForeignKey, Form, Kind, MissingCode, Role, Schema, TableSchema

KEY = Column("subject", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
STAYS = TableSchema(
    "stays",
    (KEY, Column("stay", Kind.IDENTIFIER), Column("note", Kind.TEXT)),
    form=Form.INTERVALS,
    primary_key=("stay",),
)
TESTS = TableSchema(
    "tests",
    (
        Column("row", Kind.COUNT),
        Column("owner", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
        Column("stay", Kind.IDENTIFIER, missing=()),
        Column("number", Kind.COUNT),
        Column("code", Kind.IDENTIFIER),
    ),
    form=Form.EVENTS,
    primary_key=("row",),
    foreign_keys=(ForeignKey(("owner", "stay"), "stays", ("subject", "stay")), ForeignKey(("code",), "codes", ("code",))),
)
CODES = TableSchema("codes", (Column("code", Kind.IDENTIFIER), Column("label", Kind.TEXT)), form=Form.REFERENCE, primary_key=("code",))
SCHEMA = Schema((TESTS, STAYS, CODES))


def texts(*cells: str | None) -> pd.Series:
    return pd.Series(cells, dtype=object)


@pytest.fixture
def ward() -> Dataset:
    tests = pd.DataFrame(
        {
            "row": [1.0, 2.0, 3.0, 4.0],
            "owner": texts("p", "p", "q", "q"),
            "stay": texts("7", "8", "9", "7"),
            "number": [1.0, 2.0, 1.0, 2.0],
            "code": texts("Na", "K", "Na", "Na"),
        }
    )
    stays = pd.DataFrame({"subject": texts("q", "p", "p"), "stay": texts("9", "7", "8"), "note": texts("a", "b", None)})
    codes = pd.DataFrame({"code": texts("Na", "K"), "label": texts("sodium", "potassium")})
    return Dataset({"tests": Table(tests), "stays": Table(stays), "codes": Table(codes)}, SCHEMA)


def test_families_follow_references_and_pass_over_what_is_learned_or_nobody_s() -> None:
    assert [set(family.places) for family in families(SCHEMA)] == [
        {("stays", "subject"), ("tests", "owner")},
        {("stays", "stay"), ("tests", "stay")},
    ]
    referred = replace(TESTS, name="more", foreign_keys=(ForeignKey(("row",), "tests", ("row",)),))
    assert {("tests", "row"), ("more", "row")} in [set(one.places) for one in families(Schema((TESTS, STAYS, CODES, referred)))]


def test_released_schema_keeps_keys_and_leaves_text_out() -> None:
    schema = released_schema(SCHEMA)
    assert schema["stays"].names == ["subject", "stay"]
    assert schema["codes"].names == ["code", "label"]
    assert schema["tests"]["stay"].missing[0].value == "", "a reference that may lead nowhere can be empty"


def test_references_that_a_release_does_not_keep_are_named() -> None:
    hidden = TESTS.replace_column(replace(TESTS["code"], roles=(Role.DIRECT_IDENTIFIER,)))
    schema = Schema((hidden, STAYS, CODES))
    assert lost_references(schema.tables, released_schema(schema).tables) == ["tests.code to codes"]
    assert not lost_references(SCHEMA.tables, released_schema(SCHEMA).tables)


def test_new_keys_lead_where_the_old_ones_led(ward: Dataset) -> None:
    schema = released_schema(SCHEMA)
    data = Dataset({t.name: ward.tables[t.name].only(t.names) for t in schema.tables}, schema)
    made, used = renewed(data, above_real_keys(ward))
    assert used == [2, 3]
    stays, tests = made.tables["stays"].frame, made.tables["tests"].frame
    assert list(stays["subject"]) == ["10", "11", "11"]
    assert list(stays["stay"]) == ["10", "11", "12"], "no real key of any kind lies for a billion behind 10"
    assert list(tests["owner"]) == ["11", "11", "10", "10"]
    assert parent_rows(made, schema["tests"], 0).tolist() == [1, 2, 0, -1]
    assert made.tables["tests"].frame["stay"].tolist() == ["11", "12", "10", None], "another patient's stay is emptied"
    assert made.tables["tests"].mark("stay").tolist() == [0, 0, 0, 1]
    assert list(tests["code"]) == ["Na", "K", "Na", "Na"]


def test_copies_of_a_patient_have_keys_of_their_own(ward: Dataset) -> None:
    schema = released_schema(SCHEMA)
    data = Dataset({t.name: ward.tables[t.name].only(t.names) for t in schema.tables}, schema)
    rows, belongs = copies(data, np.array([1, 1, 0]))
    assert belongs["stays"].tolist() == [0, 0, 1, 1, 2]
    made, used = renewed(rows, families(schema), groups=belongs)
    assert len(made) == 3
    assert made.tables["stays"].frame["stay"].is_unique
    assert used == [3, 5]
    again, used = renewed(rows, families(schema), groups=belongs, used=used)
    assert used == [6, 10]
    assert not set(made.tables["stays"].frame["stay"]) & set(again.tables["stays"].frame["stay"])


def test_new_numbers_stay_numbers_and_keep_away_from_huge_keys() -> None:
    key = Column("id", Kind.COUNT, roles=(Role.PATIENT_KEY,), missing=(MissingCode("-1"),))
    table = TableSchema("a", (key,), form=Form.STATIC, primary_key=("id",))
    data = Dataset({"a": Table(pd.DataFrame({"id": [1.0, 2e9, 44_228.0]}))}, Schema((table,)))
    (family,) = above_real_keys(data)
    assert family.first == 10**5
    made, _ = renewed(data, [family])
    assert made.tables["a"].frame["id"].tolist() == [100_000.0, 100_001.0, 100_002.0]
    assert renewed(data, [Family(family.places)])[0].tables["a"].frame["id"].tolist() == [1.0, 2.0, 3.0]


def test_no_row_no_key(ward: Dataset) -> None:
    empty = ward.subset(np.arange(0))
    made, used = renewed(empty, above_real_keys(empty))
    assert used == [0, 0]
    assert len(made.tables["tests"]) == 0
