"""Rows as arrays: their order depends on content alone, equal rows have equal hashes, missing codes stay apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.simulated import SCHEMA, evidence, reordered, simulate, table
from manikin.data.dataset import split
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Role, Storage, TableSchema
from manikin.evaluation.prepared import prepare


def test_order_of_rows_and_of_categories_does_not_matter(good):
    first, second = prepare(good), prepare(reordered(good, 5))
    frame = good.train.table.frame.copy()
    frame["ward"] = frame["ward"].cat.reorder_categories(sorted(frame["ward"].cat.categories, reverse=True))
    turned = good.train.with_table(type(good.train.table)(frame, good.train.table.marks))
    third = prepare(evidence(turned, good.holdout, good.synthetic[0]))
    for other in (second, third):
        for side in ("real", "held", "fake"):
            a, b = getattr(first, side), getattr(other, side)
            assert (a.hashes == b.hashes).all()
            for name in SCHEMA.names:
                np.testing.assert_array_equal(a.values[name], b.values[name])
                np.testing.assert_array_equal(a.marks[name], b.marks[name])


def test_hashes_are_equal_exactly_where_rows_are(good):
    prepared = prepare(good)
    sample = prepared.real
    frame = pd.DataFrame({**sample.values, **{f"mark {name}": mark for name, mark in sample.marks.items()}})
    assert frame.duplicated().sum() == len(sample) - len(np.unique(sample.hashes))


def test_two_missing_codes_make_two_different_rows():
    schema = TableSchema("t", (Column("a", Kind.CONTINUOUS, Storage.REAL, missing=(EMPTY, MissingCode("?"))),))
    data = table({"a": ["", "?", "1.0", "-0.0", "0.0"]}, schema)
    sample = prepare(evidence(data, data, data, None)).real
    assert len(np.unique(sample.hashes)) == 4  # only 0.0 and -0.0 are alike
    assert sorted(sample.marks["a"]) == [0, 0, 0, 1, 2]


def test_numbers_are_compared_at_the_resolution_of_the_release():
    schema = TableSchema("t", (Column("a", Kind.CONTINUOUS, Storage.REAL, decimals=1),))
    data = table({"a": ["0.3", "0.5"]}, schema)
    frame = pd.DataFrame({"a": [0.1 + 0.2, 0.5]})
    near = data.with_table(type(data.table)(frame))
    prepared = prepare(evidence(data, data, near, None))
    assert (prepared.real.hashes == prepared.fake.hashes).all()


def test_groups_and_halves_never_split_a_patient():
    schema = TableSchema(
        "t", (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), Column("a", Kind.COUNT, Storage.INTEGER, decimals=0))
    )
    data = table({"id": [f"p{i // 3}" for i in range(90)], "a": [str(i) for i in range(90)]}, schema)
    sample = prepare(evidence(data, data, data, None)).real
    assert sample.has_patients
    assert sample.n_records == 30
    groups = sample.groups(5, 0, "test")
    assert pd.Series(groups).groupby(sample.records).nunique().max() == 1
    first, second = sample.halves(0, "test")
    assert len(first) == len(second) == 45
    assert first.n_records == 15


def test_a_draw_has_no_row_twice_and_keeps_the_whole_when_it_is_small(good):
    sample = prepare(good).real
    drawn = sample.draw(100, 3, "test")
    assert len(np.unique(drawn.hashes)) == 100
    assert sample.draw(10_000, 3, "test") is sample


def test_identifiers_keys_and_text_are_not_judged(parts):
    names = [column.name for column in SCHEMA]
    schema = TableSchema("t", (*SCHEMA.columns, Column("note", Kind.TEXT), Column("key", Kind.IDENTIFIER)))
    texts = {name: ["1"] * 3 for name in ("age", "pressure")}
    texts |= {"admitted": ["2020-01-01"] * 3, "sex": ["F"] * 3, "ward": ["ICU"] * 3, "died": ["no"] * 3}
    texts |= {"note": ["a", "b", "c"], "key": ["1", "2", "3"]}
    data = table(texts, schema)
    assert [feature.name for feature in prepare(evidence(data, data, data)).features] == names


def test_columns_that_one_side_lacks_are_left_out():
    train, holdout = split(simulate(100, 0), seed=0)
    fake = simulate(50, 3).only(["age", "sex"])
    prepared = prepare(evidence(train, holdout, fake))
    assert [feature.name for feature in prepared.features] == ["age", "sex"]
    assert len(prepared.fake) == 50
    with pytest.raises(KeyError):
        prepared.fake.values["ward"]
