"""Agreement of importances: fresh rows agree with real ones as these with themselves, a release with another cause does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.simulated import evidence, table
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.importance import agreement, importance

NAMES = tuple("abcdef")
SCHEMA = TableSchema(
    "patients",
    (
        *(Column(name, Kind.CONTINUOUS, Storage.REAL, decimals=2) for name in NAMES),
        Column("ward", Kind.CATEGORICAL),
        Column("died", Kind.BOOLEAN, levels=("no", "yes"), roles=(Role.TARGET,)),
    ),
)


def simulate(n: int, seed: int, strengths=(2.0, 1.2, 0.7, 0.4, 0.2, 0.0)) -> Dataset:
    """Death hangs on six numbers, less and less, and not on the ward."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    died = rng.random(n) < 1 / (1 + np.exp(-X @ np.asarray(strengths)))
    cells = {name: np.char.mod("%.2f", X[:, i]) for i, name in enumerate(NAMES)}
    return table({**cells, "ward": rng.choice(["A", "B", "C"], n), "died": np.where(died, "yes", "no")}, SCHEMA)


@pytest.fixture(scope="module")
def sides():
    return simulate(700, 1), simulate(500, 2)


@pytest.fixture(scope="module")
def fresh(sides):
    return importance(evidence(*sides, simulate(700, 3)), seed=0)


def test_fresh_rows_rely_on_the_same_columns(fresh):
    assert fresh.reference > 0.6
    assert fresh.value > fresh.reference - 0.15
    assert fresh.interval[0] <= fresh.value <= fresh.interval[1]
    assert fresh.n == 7
    assert fresh.unit == "columns"
    first = fresh.details["columns"][0]
    assert first["column"] == "a"
    assert first["real"] > 0.3
    assert first["drop_real"] > 0.05
    assert sum(row["real"] for row in fresh.details["columns"]) == pytest.approx(1, abs=1e-4)


def test_a_release_with_another_cause_is_seen(sides, fresh):
    result = importance(evidence(*sides, simulate(600, 4, strengths=(0.0, 0.2, 0.4, 0.7, 1.2, 2.0))), seed=0)
    assert result.interval[1] < fresh.reference
    assert result.value < 0.4


def test_tables_too_small_or_narrow_are_said(sides):
    few = importance(evidence(sides[0].take(np.arange(30)), sides[1], simulate(30, 3)), seed=0)
    assert few.value is None
    assert "half" in few.note
    assert few.details == {}
    bare = SCHEMA.only(["a", "b", "died"])
    assert "three columns" in importance(replace(evidence(*sides, simulate(700, 3)), schema=bare), seed=0).note


def test_first_ranks_count_most():
    ranks = np.arange(10.0)[::-1][None, :]
    early, late = ranks.copy(), ranks.copy()
    early[0, [0, 1]], late[0, [8, 9]] = ranks[0, [1, 0]], ranks[0, [9, 8]]
    assert agreement(ranks, ranks)[0] == 1
    assert agreement(ranks, early)[0] < agreement(ranks, late)[0] < 1
    assert agreement(ranks, np.zeros((1, 10)))[0] == 0
