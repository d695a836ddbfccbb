"""Column shapes and missing cells against scipy's KS and a plain total variation distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from evaluation.simulated import evidence, simulate, table
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Storage, TableSchema
from manikin.evaluation.shapes import column_shapes, missingness


def test_scores_are_one_minus_ks_and_one_minus_tv():
    train, holdout, fake = simulate(400, 1), simulate(300, 2), simulate(300, 3)
    result = column_shapes(evidence(train, holdout, fake), seed=0)
    rows = {row["column"]: row for row in result.details["columns"]}
    real, made = train.table.frame, fake.table.frame
    ks = ks_2samp(real["pressure"].dropna(), made["pressure"].dropna()).statistic
    assert rows["pressure"]["score"] == pytest.approx(1 - ks, abs=1e-6)
    shares = [frame["ward"].value_counts(normalize=True) for frame in (real, made)]
    tv = shares[0].sub(shares[1], fill_value=0).abs().sum() / 2
    assert rows["ward"]["score"] == pytest.approx(1 - tv, abs=1e-6)
    assert result.value == pytest.approx(np.mean([row["score"] for row in rows.values()]), abs=1e-5)
    assert result.details["worst"] == min(row["score"] for row in rows.values())
    assert result.interval[0] <= result.value <= result.interval[1]


def test_a_shifted_date_is_the_worst_column(good):
    frame = good.synthetic[0].table.frame.copy()
    frame["admitted"] += np.timedelta64(400, "D")
    moved = good.synthetic[0].with_table(type(good.synthetic[0].table)(frame, good.synthetic[0].table.marks))
    result = column_shapes(evidence(good.train, good.holdout, moved), seed=0)
    assert result.details["columns"][0]["column"] == "admitted"
    assert result.details["worst"] == pytest.approx(1 - 400 / 900, abs=0.1)
    assert result.interval[1] < result.reference


def test_missing_cells_do_not_enter_shapes_but_missingness(good):
    frame = good.synthetic[0].table.frame.copy()
    marks = dict(good.synthetic[0].table.marks)
    gone = np.random.default_rng(0).random(len(frame)) < 0.5
    frame.loc[gone, "age"] = np.nan
    marks["age"] = gone.astype(np.int8)
    holes = evidence(good.train, good.holdout, good.synthetic[0].with_table(type(good.synthetic[0].table)(frame, marks)))
    row = next(row for row in column_shapes(holes, seed=0).details["columns"] if row["column"] == "age")
    assert row["missing_synthetic"] == pytest.approx(0.5, abs=0.06)
    assert row["score"] > 0.88
    result = missingness(holes, seed=0)
    assert result.details["columns"][0]["column"] == "age"
    assert result.value == pytest.approx(0.5, abs=0.06)
    assert result.interval[1] < result.reference_interval[0]


def test_missing_and_not_applicable_stay_apart():
    codes = (EMPTY, MissingCode("NA", "not applicable"))
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL, missing=codes), Column("b", Kind.COUNT, Storage.INTEGER)))
    numbers = [str(i) for i in range(200)]
    real = table({"a": ["x", ""] * 100, "b": numbers}, schema)
    fake = table({"a": ["x", "NA"] * 100, "b": numbers}, schema)
    result = missingness(evidence(real, real, fake, None), seed=0)
    assert result.value == 0.5
    assert result.reference == 1.0
    assert result.details["columns"][0]["train"] == result.details["columns"][0]["synthetic"] == 0.5
    assert result.details["columns"][0]["gap"] == 0.5


def test_cells_missing_together_count_even_where_rates_agree():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL), Column("b", Kind.CATEGORICAL)))
    real = table({"a": ["x", ""] * 100, "b": ["x", ""] * 100}, schema)
    fake = table({"a": ["x", ""] * 100, "b": ["", "x"] * 100}, schema)
    result = missingness(evidence(real, real, fake, None), seed=0)
    assert result.details["worst_rate_gap"] == 0.0
    assert result.value == 0.0


def test_nothing_missing_is_said_and_not_scored():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL),))
    data = table({"a": ["x", "y"] * 20}, schema)
    result = missingness(evidence(data, data, data, None), seed=0)
    assert result.value is None
    assert "no cell is missing" in result.note
