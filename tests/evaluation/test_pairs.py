"""Pair tables: distances and Cramér's V against contingency tables written out by pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from evaluation.simulated import evidence, shuffled_columns, simulate, table
from manikin.data.schema import Column, Kind, TableSchema
from manikin.evaluation import pairs
from manikin.evaluation.dependence import dependence, pair_trends
from manikin.evaluation.pairs import association, binned_sides, judged_columns, pair_distance, shuffled
from manikin.evaluation.prepared import prepare


@pytest.fixture(scope="module")
def sides(good):
    return binned_sides(prepare(good), cap=10_000, seed=0)


def test_numbers_fall_into_tenths_of_train_and_missing_codes_apart(sides):
    real = sides[0]
    assert real.sizes["pressure"] == 12  # ten bins and two missing codes
    counts = np.bincount(real.codes["pressure"])
    assert counts[:10].std() < 0.1 * counts[:10].mean()


def test_cramers_v_is_bergsmas(sides):
    real = sides[0]
    counts = pd.crosstab(real.codes["age"], real.codes["ward"]).to_numpy()
    n, (r, c) = counts.sum(), counts.shape
    phi = max(0, chi2_contingency(counts, correction=False).statistic / n - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    assert association(real, ("age", "ward")) == pytest.approx(np.sqrt(phi / least))
    assert association(real, ("age", "age")) == pytest.approx(1.0)


def test_distance_is_half_the_sum_of_differences(sides):
    real, _, fake = sides
    shares = [pd.crosstab(side.codes["age"], side.codes["ward"], normalize="all").stack() for side in (real, fake)]
    slow = shares[0].sub(shares[1], fill_value=0).abs().sum() / 2
    assert pair_distance(real, fake, ("age", "ward"))[0] == pytest.approx(slow)


def test_large_sparse_tables_give_the_same(sides, monkeypatch):
    real, _, fake = sides
    dense = pair_distance(real, fake, ("age", "pressure")), association(real, ("age", "pressure"))
    monkeypatch.setattr(pairs, "DENSE_CELLS", 10)
    sparse = pair_distance(real, fake, ("age", "pressure")), association(real, ("age", "pressure"))
    np.testing.assert_allclose(dense[0], sparse[0])
    assert dense[1] == pytest.approx(sparse[1])


def test_shuffled_columns_keep_their_shape_and_lose_their_dependence(sides):
    real = sides[0]
    free = shuffled(real, len(real), 0)
    assert (np.bincount(free.codes["age"]) == np.bincount(real.codes["age"])).all()
    assert association(free, ("age", "ward")) < 0.1 < 0.3 < association(real, ("age", "ward"))


def test_dependence_is_one_for_fresh_rows_and_zero_for_independent_columns():
    train, holdout = simulate(6000, 1), simulate(3000, 2)
    fresh = dependence(evidence(train, holdout, simulate(3000, 3)), seed=0)
    free = dependence(evidence(train, holdout, shuffled_columns(train, 4)), seed=0)
    copies = dependence(evidence(train, holdout, train), seed=0)
    assert fresh.reference == 1.0
    assert fresh.value == pytest.approx(1.0, abs=0.1)
    assert fresh.interval[0] < 1.0 < fresh.interval[1]
    assert free.value == pytest.approx(0.0, abs=0.1)
    assert free.interval[0] < 0.0 < free.interval[1]
    assert copies.value > 1.05
    gaps = [row["tv_synthetic"] - row["tv_holdout"] for row in free.details["pairs"]]
    assert gaps == sorted(gaps, reverse=True)


def test_pair_trends_name_the_lost_relation_first(bad, good):
    lost, kept = pair_trends(bad, seed=0), pair_trends(good, seed=0)
    assert set(lost.details["pairs"][0]["columns"]) <= {"age", "pressure", "ward", "died"}
    assert lost.value < kept.value
    assert lost.details["association_difference"] > 2 * lost.details["association_difference_reference"]
    assert kept.details["n_pairs"] == 15


def test_one_column_has_no_pairs():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL),))
    data = table({"a": ["x", "y"] * 20}, schema)
    for metric in (pair_trends, dependence):
        result = metric(evidence(data, data, data, None), seed=0)
        assert result.value is None
        assert result.note


def test_a_very_wide_table_is_judged_on_a_draw_of_columns_that_has_the_target(monkeypatch, good):
    monkeypatch.setattr(pairs, "MAX_COLUMNS", 3)
    prepared = prepare(evidence(good.train, good.holdout, good.synthetic[0]))
    names = judged_columns(prepared, 0)
    assert len(names) == 3
    assert "died" in names
    result = pair_trends(prepared, seed=0)
    assert result.details["n_pairs"] == 3
    assert "3 were drawn" in result.note
