"""Wasserstein distances against scipy, planted failures and hard columns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from evaluation.simulated import evidence, reordered, table
from manikin.data.dataset import Table
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation.prepared import prepare
from manikin.evaluation.wasserstein import spread, wasserstein


def one_number(values, n_decimals: int = 3):
    schema = TableSchema("t", (Column("x", Kind.CONTINUOUS, Storage.REAL, decimals=n_decimals),))
    return table({"x": [("" if np.isnan(v) else f"{v:.{n_decimals}f}") for v in values]}, schema)


def test_it_is_scipys_distance_in_interquartile_ranges():
    rng = np.random.default_rng(0)
    train, holdout, fake = (one_number(rng.gamma(2, 3, 400) + shift) for shift in (0, 0, 2))
    result = wasserstein(evidence(train, holdout, fake, None), seed=0)
    real, made = (side.table.frame["x"].to_numpy() for side in (train, fake))
    assert result.value == pytest.approx(wasserstein_distance(real, made) / spread(real), abs=1e-5)
    assert result.interval[0] < result.value < result.interval[1]
    assert result.interval[0] > result.reference


def test_a_fresh_release_scores_its_reference_and_names_no_column_far_off(good):
    result = wasserstein(good, seed=0)
    assert result.interval[0] < result.reference
    assert result.value < 0.1
    assert result.subgroups


def test_the_farther_the_wrong_values_the_larger_where_ks_stays_alike(good):
    found = []
    for off in (50.0, 500.0):
        frame = good.synthetic[0].table.frame.copy()
        frame.loc[: len(frame) // 20, "pressure"] += off
        fake = good.synthetic[0].with_table(Table(frame, good.synthetic[0].table.marks))
        found.append(wasserstein(evidence(good.train, good.holdout, fake), seed=0))
    assert found[0].details["worst_column"] == "pressure"
    assert found[1].details["worst"] > 5 * found[0].details["worst"]


def test_zero_inflated_and_constant_columns():
    rng = np.random.default_rng(0)
    sides = [one_number(np.where(rng.random(300) < 0.9, 0.0, rng.exponential(5, 300))) for _ in range(3)]
    assert wasserstein(evidence(*sides, None), seed=0).value < 0.3
    constant = one_number(np.full(50, 3.0))
    assert "varies" in wasserstein(evidence(constant, constant, constant, None), seed=0).note
    sparse = [one_number(np.where(rng.random(400) < 0.99, np.nan, rng.normal(size=400))) for _ in range(3)]
    result = wasserstein(evidence(*sparse, None), seed=0)
    assert result.value is not None
    assert np.isfinite(result.interval).all()


def test_the_order_of_rows_changes_nothing(good):
    assert wasserstein(good, seed=0) == wasserstein(reordered(good, 5), seed=0)
    assert wasserstein(prepare(good), seed=0).value == wasserstein(good, seed=0).value
