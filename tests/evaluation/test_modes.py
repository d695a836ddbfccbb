"""Mode collapse: planted ones are caught in proportion, fresh rows and other seeds are not accused."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, reordered, simulate
from manikin.data.dataset import Table, concat
from manikin.evaluation.modes import mode_collapse


def jittered(data, row: int, n: int, seed: int):
    """`n` near-copies of one row: its levels, its numbers moved a little."""
    rng = np.random.default_rng(seed)
    made = data.take(np.full(n, row))
    frame = made.table.frame.copy()
    frame["age"] = frame["age"] + rng.integers(-1, 2, n)
    frame["pressure"] = (frame["pressure"] + rng.normal(0, 1, n)).round(1)
    return made.with_table(Table(frame, made.table.marks))


@pytest.mark.parametrize("seed", [0, 1])
def test_half_the_rows_from_one_mode_are_caught(good, seed):
    fake = good.synthetic[0]
    row = int(np.flatnonzero(fake.table.mark("pressure") == 0)[0])
    collapsed = concat([fake.take(np.arange(500)), jittered(fake, row, 500, seed)])
    result = mode_collapse(evidence(good.train, good.holdout, collapsed), seed=seed)
    assert result.value < 0.5
    assert result.interval[1] < result.reference - 0.2
    worst = result.details["modes"][0]
    assert worst["synthetic"] > 0.4 > worst["train"]
    assert result.details["effective_modes"] < 0.7 * result.details["effective_modes_reference"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fresh_rows_are_not_accused(good, seed):
    result = mode_collapse(evidence(good.train, good.holdout, simulate(1000, 50 + seed)), seed=seed)
    assert result.interval[1] >= result.reference - 0.03
    assert 0.85 < result.value <= 1


def test_a_release_of_some_modes_scores_their_share(good):
    fake = simulate(3000, 9)
    half = fake.take(fake.table.frame["sex"].to_numpy() == "F")
    result = mode_collapse(evidence(good.train, good.holdout, half), seed=0)
    assert result.value == pytest.approx(0.5, abs=0.1)


def test_the_order_of_rows_changes_nothing(good):
    assert mode_collapse(good, seed=3) == mode_collapse(reordered(good, 8), seed=3)


def test_few_and_equal_rows():
    few = evidence(simulate(30, 1), simulate(30, 2), simulate(30, 3))
    assert "at least 40" in mode_collapse(few, seed=0).note
    one = simulate(60, 1).take(np.zeros(60, dtype=np.int64))
    assert "alike" in mode_collapse(evidence(one, one, one), seed=0).note
