"""Rare levels kept, rare values held back; patients are counted, not rows."""

from __future__ import annotations

import json

from evaluation.simulated import evidence, table
from manikin.data.schema import Column, Kind, Role, Source, Sources, Storage, TableSchema
from manikin.evaluation.definition import clean
from manikin.evaluation.levels import rare_levels, rare_values


def schema(**given: object) -> TableSchema:
    key = Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    return TableSchema("t", (key, Column("code", Kind.CODE, **given), Column("n", Kind.COUNT, Storage.INTEGER, decimals=0)))


def rows(codes: list[str], made: TableSchema, *, per_patient: int = 1, first: int = 0):
    n = len(codes)
    ids = [f"p{(first + i) // per_patient}" for i in range(n)]
    return table({"id": ids, "code": codes, "n": [str(i % 50) for i in range(n)]}, made)


def test_a_level_of_few_patients_is_disclosed_however_many_rows_it_has():
    made = schema()
    codes = ["common"] * 300 + ["rare"] * 40
    train = rows(codes, made, per_patient=5)  # "rare" is held by 8 patients
    result = rare_values(evidence(train, train, train, None), seed=0)
    assert result.value == 1
    assert result.reference == 0
    assert result.details["n_rows"] == 40
    enough = rows(["common"] * 300 + ["rare"] * 55, made, per_patient=5)  # 11 patients
    assert rare_values(evidence(enough, enough, enough, None), seed=0).value == 0


def test_public_levels_and_new_levels_disclose_nobody():
    public = schema(source=Sources(levels=Source.DECLARED))
    train = rows(["common"] * 300 + ["rare"] * 5, public)
    assert rare_values(evidence(train, train, train, None), seed=0).value == 0
    made = schema()
    train, fake = rows(["common"] * 300 + ["rare"] * 5, made), rows(["common"] * 200 + ["parent"] * 5, made)
    result = rare_values(evidence(train, train, fake, None), seed=0)
    assert result.value == 0
    assert result.details["n_levels_unknown_to_train"] == 1


def test_no_level_is_named():
    made = schema()
    train = rows(["common"] * 300 + ["very rare thing"] * 5, made)
    result = rare_values(evidence(train, train, train, None), seed=0)
    assert result.value == 1
    assert "very rare thing" not in json.dumps(clean(result.details))


def test_numbers_beyond_what_eleven_patients_reach_are_counted():
    made = schema()
    train = rows(["a"] * 400, made)
    frame = train.table.frame.assign(n=[500.0, 600.0, -4.0] + [25.0] * 397)
    fake = train.with_table(type(train.table)(frame, train.table.marks))
    result = rare_values(evidence(train, train, fake, None), seed=0)
    assert result.value == 0
    assert result.details["beyond_extremes"] == 3
    assert result.details["columns"] == [{"column": "n", "n_levels": 0, "n_rows": 0, "beyond_extremes": 3}]


def test_a_lost_level_is_counted_and_its_column_comes_first():
    made = schema()
    train = rows(["a"] * 500 + ["b"] * 480 + ["c"] * 15 + ["d"] * 4, made)
    fake = rows(["a"] * 500 + ["b"] * 499, made)
    result = rare_levels(evidence(train, train, fake, None), seed=0)
    assert result.n == 3  # "d" is below 0.5 %
    assert result.value == round(2 / 3, 6)
    assert result.reference == 1.0
    assert result.details["all_levels"] == 0.5
    assert result.details["releasable_levels"] == round(2 / 3, 6)  # "d" may not be released
    assert result.details["columns"][0] == {"column": "code", "n_levels": 4, "n_kept": 2, "n_rare_lost": 1}


def test_a_table_of_numbers_has_no_levels():
    made = TableSchema("t", (Column("n", Kind.COUNT, Storage.INTEGER),))
    data = table({"n": [str(i) for i in range(30)]}, made)
    assert rare_levels(evidence(data, data, data, None), seed=0).value is None
