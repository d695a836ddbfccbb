"""Linked tables: whose row is whose, splitting and putting together by patient, and a schema of several tables as text and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, Table, concat, split
from manikin.data.errors import DataError, SchemaError
from manikin.data.links import parent_rows
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, TableSchema
from manikin.data.schema_text import schema_from_json, schema_to_json
from manikin.io.schema_file import read_schema, write_schema

KEY = Column("subject", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
PATIENTS = TableSchema("patients", (KEY, Column("sex", Kind.CATEGORICAL)), form=Form.STATIC, primary_key=("subject",))
STAYS = TableSchema(
    "stays",
    (KEY, Column("stay", Kind.IDENTIFIER), Column("began", Kind.COUNT), Column("ended", Kind.COUNT)),
    form=Form.INTERVALS,
    primary_key=("subject", "stay"),
    foreign_keys=(ForeignKey(("subject",), "patients", ("subject",)),),
    start="began",
    end="ended",
)
TESTS = TableSchema(
    "tests",
    (
        Column("owner", Kind.IDENTIFIER),
        Column("stay", Kind.IDENTIFIER),
        Column("code", Kind.CODE),
        Column("value", Kind.CONTINUOUS, by="code"),
    ),
    form=Form.EVENTS,
    foreign_keys=(ForeignKey(("owner", "stay"), "stays", ("subject", "stay")),),
)
CODES = TableSchema("codes", (Column("code", Kind.CODE), Column("label", Kind.TEXT)), form=Form.REFERENCE, primary_key=("code",))
SCHEMA = Schema((PATIENTS, TESTS, STAYS, CODES))


def frame(**columns: list[object]) -> Table:
    return Table(
        pd.DataFrame(
            {name: pd.Series(cells, dtype=None if name in ("began", "ended", "value") else object) for name, cells in columns.items()}
        )
    )


@pytest.fixture
def ward() -> Dataset:
    tables = {
        "patients": frame(subject=["p", "q", "r"], sex=["F", "M", "F"]),
        "tests": frame(owner=["q", "p", "q", "p"], stay=["1", "1", "2", "1"], code=["Na", "Na", "K", "K"], value=[1.0, 2.0, 3.0, 4.0]),
        "stays": frame(subject=["p", "q", "q"], stay=["1", "1", "2"], began=[0.0, 0.0, 5.0], ended=[1.0, 2.0, 9.0]),
        "codes": frame(code=["Na", "K"], label=["sodium", "potassium"]),
    }
    return Dataset(tables, SCHEMA)


def test_rows_find_their_patient_through_composite_keys(ward: Dataset) -> None:
    assert len(ward) == ward.n_records == 3
    assert {name: owner.tolist() for name, owner in ward.owners.items()} == {
        "patients": [0, 1, 2],
        "stays": [0, 1, 1],
        "tests": [1, 0, 1, 0],
    }
    assert parent_rows(ward, TESTS, 0).tolist() == [1, 0, 2, 0]


def test_a_part_of_the_patients_keeps_their_rows_and_the_vocabulary(ward: Dataset) -> None:
    part = ward.subset(np.array([1]))
    assert {name: len(table) for name, table in part.tables.items()} == {"patients": 1, "tests": 2, "stays": 2, "codes": 2}
    assert part.owners["tests"].tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_a_split_shares_no_patient_and_loses_none(ward: Dataset, seed: int) -> None:
    train, held = split(ward, holdout=0.34, seed=seed)
    sides = [set(part.tables["patients"].frame["subject"]) for part in (train, held)]
    assert sides[0] | sides[1] == {"p", "q", "r"}
    assert not sides[0] & sides[1]
    assert len(train.tables["tests"]) + len(held.tables["tests"]) == 4
    again = concat([train, held])
    assert len(again) == 3
    assert len(again.tables["codes"]) == 2


def test_a_row_of_nobody_is_named_by_its_number(ward: Dataset) -> None:
    lost = replace(ward, tables={**ward.tables, "tests": frame(owner=["q", "z"], stay=["1", "1"], code=["K", "K"], value=[1.0, 1.0])})
    with pytest.raises(DataError, match="Row 2 of table 'tests' names no patient"):
        _ = lost.owners


def test_parents_come_before_children_and_a_circle_is_refused() -> None:
    assert [table.name for table in SCHEMA.of_patients] == ["patients", "stays", "tests"]
    assert SCHEMA.root is PATIENTS
    circle = Schema((replace(PATIENTS, foreign_keys=(ForeignKey(("subject",), "stays", ("subject",)),)), STAYS))
    with pytest.raises(SchemaError, match="form a circle"):
        _ = circle.of_patients


def test_keys_that_lead_nowhere_are_refused() -> None:
    with pytest.raises(SchemaError, match="refers to 'wards', which is not in the schema"):
        Schema((PATIENTS, replace(STAYS, foreign_keys=(ForeignKey(("subject",), "wards", ("subject",)),))))
    with pytest.raises(SchemaError, match="'start' of table 'stays' names 'begin'"):
        replace(STAYS, start="begin")


def test_a_schema_of_several_tables_comes_back_from_json_and_from_toml(tmp_path: Path) -> None:
    assert schema_from_json(schema_to_json(SCHEMA)) == SCHEMA
    assert read_schema(write_schema(SCHEMA, tmp_path / "schema.toml")) == SCHEMA
    alone = Schema((replace(STAYS, foreign_keys=()),))
    assert alone.is_linked
    assert read_schema(write_schema(alone, tmp_path / "one.toml")) == alone
