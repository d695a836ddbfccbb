"""Cox models from synthetic and from real rows: figures against lifelines, fresh and shuffled releases, and tables without events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lifelines.utils import concordance_index

from evaluation.simulated import evidence, reordered, table
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.prediction.survival import brier_parts, concordance, grid
from manikin.evaluation.survival_utility import survival_utility

SCHEMA = TableSchema(
    "patients",
    (
        Column("age", Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.QUASI_IDENTIFIER,)),
        Column("sex", Kind.CATEGORICAL, roles=(Role.QUASI_IDENTIFIER,)),
        Column("stage", Kind.CATEGORICAL),
        Column("days", Kind.CONTINUOUS, Storage.REAL, decimals=1, roles=(Role.TIME,)),
        Column("died", Kind.BOOLEAN, levels=("no", "yes"), roles=(Role.EVENT,)),
    ),
)


def simulate(n: int, seed: int, *, effect: float = 1.0, event: float = 1.0) -> Dataset:
    """Exponential times whose rate hangs on age and stage, censored evenly."""
    rng = np.random.default_rng(seed)
    age, stage = rng.integers(30, 90, n), rng.integers(1, 4, n)
    time = rng.exponential(1000 * np.exp(-effect * (0.04 * (age - 60) + 0.6 * (stage - 2))))
    end = rng.uniform(200, 2000, n)
    seen = (time <= end) & (rng.random(n) < event)
    cells = {"age": age.astype(str), "sex": rng.choice(["F", "M"], n), "stage": np.char.add("s", stage.astype(str))}
    return table({**cells, "days": np.char.mod("%.1f", np.minimum(time, end)), "died": np.where(seen, "yes", "no")}, SCHEMA)


@pytest.fixture(scope="module")
def sides():
    return simulate(600, 1), simulate(500, 2)


def test_fresh_rows_rank_patients_as_real_ones_do(sides):
    result = survival_utility(evidence(*sides, simulate(600, 3), None), seed=0)
    assert result.reference > 0.65
    assert result.value == pytest.approx(result.reference, abs=0.02)
    assert result.interval[0] <= result.value <= result.interval[1]
    assert result.details["gap_interval"][0] <= 0.01
    brier = result.details["measures"]["integrated_brier"]
    assert brier["trtr"] < result.details["kaplan_meier_brier"]
    assert {"sex F", "sex M"} <= set(result.subgroups)
    assert result.details["n_events"]["holdout"] > 100
    assert result.details["n_columns"] == 3


def test_the_order_of_rows_changes_nothing(sides):
    data = evidence(*sides, simulate(300, 3), None)
    first, second = (survival_utility(given, seed=0) for given in (data, reordered(data, 4)))
    assert first == second


def test_a_release_in_which_risk_is_turned_round_is_seen(sides):
    result = survival_utility(evidence(*sides, simulate(600, 3, effect=-1.0), None), seed=0)
    assert result.value < 0.4
    assert result.details["gap_interval"][1] < -0.2
    assert result.details["measures"]["integrated_brier"]["gap_interval"][0] > 0


def test_a_release_without_events_ranks_nobody(sides):
    result = survival_utility(evidence(*sides, simulate(300, 3, event=0.0), None), seed=0)
    assert result.value == 0.5
    assert result.details["n_events"]["tstr"] == 0


@pytest.mark.parametrize(("names", "words"), [(("age", "sex"), "--time"), (("days", "died"), "no column is left")])
def test_without_columns_it_says_the_way_out(sides, names, words):
    data = evidence(*sides, simulate(300, 3), None)
    result = survival_utility(replace(data, schema=SCHEMA.only(names)), seed=0)
    assert result.value is None
    assert words in result.note


def test_few_events_are_said(sides):
    result = survival_utility(evidence(sides[0], simulate(300, 5, event=0.0), sides[0], None), seed=0)
    assert "events" in result.note


def test_concordance_is_lifelines_and_its_weights_are_repeats():
    rng = np.random.default_rng(0)
    times, seen, risk = rng.integers(1, 400, 300).astype(float), rng.random(300) < 0.6, rng.integers(0, 30, 300).astype(float)
    times[seen] += 0.5  # lifelines counts two events at one time otherwise; Harrell does not
    times[seen] += rng.random(int(seen.sum())) / 10
    weights = np.concatenate([np.ones((1, 300)), rng.integers(0, 3, (1, 300))])
    once, drawn = concordance(times, seen, risk, weights)
    assert once == pytest.approx(concordance_index(times, -risk, seen))
    rows = np.repeat(np.arange(300), weights[1].astype(int))
    assert drawn == pytest.approx(concordance_index(times[rows], -risk[rows], seen[rows]), abs=0.003)


def test_integrated_brier_without_censoring_is_the_mean_square():
    rng = np.random.default_rng(0)
    times, seen = rng.exponential(1, 400), np.ones(400, dtype=bool)
    at = grid(times, seen)
    survival = np.tile(np.exp(-at), (400, 1))
    squares = ((times[:, None] > at) - survival) ** 2
    slow = np.trapezoid(squares.mean(axis=0), at) / (at[-1] - at[0])
    assert brier_parts(times, seen, survival, at).mean() == pytest.approx(slow)
    censor = rng.exponential(2, 4000)
    event = rng.exponential(1, 4000)
    at = np.linspace(0.1, 1.5, 30)
    survival = np.tile(np.exp(-at), (4000, 1))
    whole = brier_parts(event, np.ones(4000, dtype=bool), survival, at).mean()
    assert brier_parts(np.minimum(event, censor), event <= censor, survival, at).mean() == pytest.approx(whole, abs=0.01)
