"""Correlations against scipy and pandas, lost and invented relations, columns that cannot be correlated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kruskal, spearmanr

from evaluation.simulated import evidence, table
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation.correlations import correlations

NUMBERS = TableSchema("t", tuple(Column(name, Kind.CONTINUOUS, Storage.REAL, decimals=4) for name in "xy"))
MIXED = TableSchema("t", (Column("x", Kind.CONTINUOUS, Storage.REAL, decimals=4), Column("g", Kind.CATEGORICAL)))


def numbers(n: int, seed: int, slope: float):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = slope * x + rng.normal(size=n)
    return table({"x": [f"{v:.4f}" for v in x], "y": [f"{v:.4f}" for v in y]}, NUMBERS)


def mixed(n: int, seed: int, shift: float):
    rng = np.random.default_rng(seed)
    g = rng.integers(3, size=n)
    return table({"x": [f"{v:.4f}" for v in rng.normal(size=n) + shift * g], "g": [f"g{i}" for i in g]}, MIXED)


def test_two_numbers_are_spearmans_correlation():
    sides = [numbers(400, 1, 1.0), numbers(400, 2, 1.0), numbers(400, 3, -1.0)]
    pair = correlations(evidence(*sides, None), seed=0).details["pairs"][0]
    for name, side in zip(("train", "holdout", "synthetic"), sides, strict=True):
        frame = side.table.frame
        assert pair[name] == pytest.approx(spearmanr(frame["x"], frame["y"]).statistic, abs=1e-5)
    assert pair["measure"] == "Spearman"


def test_a_number_by_levels_is_the_corrected_ratio_of_ranks():
    sides = [mixed(300, 1, 0.8), mixed(300, 2, 0.8), mixed(300, 3, 0.0)]
    result = correlations(evidence(*sides, None), seed=0)
    frame = sides[0].table.frame
    h = kruskal(*(part["x"] for _, part in frame.groupby("g", observed=True))).statistic
    share = h / (len(frame) - 1)
    expected = (1 - (1 - share) * (len(frame) - 1) / (len(frame) - 3)) ** 0.5
    assert result.details["pairs"][0]["train"] == pytest.approx(expected, abs=1e-5)
    assert result.interval[0] > result.reference
    assert result.details["number_number"] is None


def test_fresh_rows_score_their_reference_and_shuffled_ones_do_not(good, bad):
    fresh, lost = correlations(good, seed=0), correlations(bad, seed=0)
    assert fresh.interval[0] <= fresh.reference
    assert lost.interval[0] > 3 * lost.reference
    assert lost.details["covariance"] > 2 * lost.details["covariance_reference"]
    assert lost.details["pearson"] > 2 * lost.details["pearson_reference"]


def test_a_column_that_became_constant_counts_as_uncorrelated():
    flat = table({"x": ["1.0"] * 300, "y": ["2.0"] * 300}, NUMBERS)
    result = correlations(evidence(numbers(300, 1, 2.0), numbers(300, 2, 2.0), flat, None), seed=0)
    assert result.value > 0.8
    none = correlations(evidence(flat, flat, flat, None), seed=0)
    assert none.note.startswith("Not computed")
