"""Planted faults are named: a rounded column, a broken relation, nothing at all; and what is told of a number's values holds."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, simulate, table
from manikin.data.schema import Column, Kind, MissingCode, Storage, TableSchema
from manikin.evaluation.detection import juries
from manikin.evaluation.giveaway import giveaway
from manikin.evaluation.prepared import prepare


def with_column(data, name, values):
    return data.with_table(type(data.table)(data.table.frame.assign(**{name: values}), data.table.marks))


@pytest.fixture(scope="module")
def parts():
    return simulate(900, 1), simulate(450, 2), simulate(450, 3)


@pytest.fixture(scope="module")
def rounded_release(parts):
    train, holdout, fake = parts
    return giveaway(evidence(train, holdout, with_column(fake, "pressure", fake.table.frame["pressure"].round(0))), seed=0)


def test_a_rounded_column_leads(rounded_release):
    first, second = rounded_release.details["columns"][:2]
    assert rounded_release.details["worst_column"] == first["column"] == "pressure"
    assert first["stands_out"]
    assert not second["stands_out"]
    assert rounded_release.interval[0] > 0.54
    assert rounded_release.value > rounded_release.reference_interval[1]
    assert first["separation"] > 0.8 * rounded_release.details["log_odds_gap"]
    assert not any(pair["stands_out"] for pair in rounded_release.details["pairs"])


def test_how_a_number_is_rounded_is_told(rounded_release):
    spacing = rounded_release.details["columns"][0]["spacing"]
    assert spacing["step"] == 1
    assert spacing["on_step"]["synthetic"] == 1
    assert spacing["on_step"]["train"] < 0.2


def test_parts_add_up_to_the_gap(rounded_release):
    total = sum(row["separation"] for row in rounded_release.details["columns"])
    assert total == pytest.approx(rounded_release.details["log_odds_gap"], abs=1e-4)


def test_a_broken_relation_leads_and_its_columns_alone_do_not():
    rng = np.random.default_rng(0)
    columns = tuple(Column(name, Kind.CONTINUOUS, Storage.REAL) for name in ("a", "b", "c", "d"))
    schema = TableSchema("t", columns)

    def draw(n, link):
        a, c, d = rng.normal(size=(3, n))
        b = 0.95 * link * a + np.sqrt(1 - (0.95 * link) ** 2) * rng.normal(size=n)
        return table({k: [f"{v:.3f}" for v in x] for k, x in zip("abcd", (a, b, c, d), strict=True)}, schema)

    result = giveaway(evidence(draw(900, 1), draw(450, 1), draw(450, 0), None), seed=0)
    first, second = result.details["pairs"][:2]
    assert first["columns"] == ["a", "b"]
    assert first["stands_out"]
    assert first["link"] > 0.2 > 5 * abs(second["link"])
    assert all(row["alone"] < 0.56 for row in result.details["columns"])
    assert {row["column"] for row in result.details["columns"] if row["stands_out"]} == {"a", "b"}


def test_of_fresh_rows_nothing_stands_out(parts):
    result = giveaway(evidence(*parts), seed=0)
    assert max(row["alone"] for row in result.details["columns"]) <= result.reference_interval[1]
    assert not any(row["stands_out"] for row in result.details["columns"])
    assert not any(pair["stands_out"] for pair in result.details["pairs"])


def test_which_missing_code_it_is_counts_to_its_column():
    codes = (MissingCode(""), MissingCode("NA"))
    schema = TableSchema("t", (Column("a", Kind.CONTINUOUS, Storage.REAL, missing=codes), Column("b", Kind.CATEGORICAL)))
    texts = {"a": ["1", "2", "3", ""] * 60, "b": ["x", "y"] * 120}
    real, fake = table(texts, schema), table({**texts, "a": ["1", "2", "3", "NA"] * 60}, schema)
    result = giveaway(evidence(real, real, fake, None), seed=0)
    assert [row["column"] for row in result.details["columns"]] == ["a", "b"]
    assert result.value > 0.55


def test_the_judges_are_learned_once(parts):
    data = prepare(evidence(*parts))
    assert juries(data, 0) is juries(data, 0)
