"""What a budget bought of linked tables, beside the real ones: a column that reads otherwise is left out, and the others are measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import manikin as mk
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Kind, Schema, Storage
from manikin.evaluation.suite import evaluate
from manikin.workflow.sources import compared
from manikin.workflow.study.patients import compared_with


@pytest.fixture(scope="module")
def patients(ward: Path) -> Dataset:
    return mk.read(ward)


def bought(patients: Dataset, table: str, column: str) -> Dataset:
    """The patients with one column as levels that stand for nothing of it, as a budget may leave numbers."""
    own, known = patients.tables[table], patients.schema[table]
    odd = replace(known[column], kind=Kind.CATEGORICAL, storage=Storage.TEXT, levels=("(rare)",), minimum=None, maximum=None, by=None)
    frame = own.frame.assign(**{column: pd.Categorical(["(rare)"] * len(own), categories=["(rare)"])})
    marks = {name: mark for name, mark in own.marks.items() if name != column}
    tables = tuple(known.replace_column(odd) if one.name == table else one for one in patients.schema.tables)
    return replace(patients, tables={**patients.tables, table: Table(frame, marks)}, schema=Schema(tables))


def test_numbers_that_were_bought_as_levels_cost_no_other_figure(patients: Dataset) -> None:
    rows, lost = compared(bought(patients, "labs", "value"), patients.schema)
    assert lost == ["labs.value"]
    assert "value" not in rows.schema["labs"]
    assert "value" not in rows.tables["labs"].frame
    assert rows.schema["labs"].start == patients.schema["labs"].start
    train, holdout = mk.split(patients, seed=0)
    found = evaluate(compared_with(train, holdout, rows, "patients.died"), seed=0, metrics=["column_shapes"], attacks=[])
    assert found["column_shapes"].value is not None


def test_what_numbers_are_measured_by_may_be_left_out(patients: Dataset) -> None:
    table = patients.schema["labs"]
    coded = replace(table["code"], kind=Kind.COUNT, storage=Storage.INTEGER, levels=None, code_system=None)  # as if it were numbers
    like = Schema(tuple(table.replace_column(coded) if one.name == "labs" else one for one in patients.schema.tables))
    rows, lost = compared(patients, like)
    assert lost == ["labs.code"]
    assert rows.schema["labs"]["value"].by is None
    assert len(rows) == len(patients)
