"""What a release adds to gaps between groups: a group whose outcome was shuffled is named, fresh rows are not accused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference

from evaluation.simulated import evidence, table
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.intervals import bootstrap_weights
from manikin.evaluation.prediction.by_group import areas, figures
from manikin.evaluation.prediction.scores import Answers, decide, headline
from manikin.evaluation.prediction.task import Task
from manikin.evaluation.prediction.trained import trained
from manikin.evaluation.prepared import prepare
from manikin.evaluation.subgroup_gap import subgroup_gap

SCHEMA = TableSchema(
    "patients",
    (
        Column("sex", Kind.CATEGORICAL, roles=(Role.QUASI_IDENTIFIER,)),
        Column("site", Kind.CATEGORICAL, roles=(Role.QUASI_IDENTIFIER,)),
        Column("x", Kind.CONTINUOUS, Storage.REAL, decimals=2),
        Column("z", Kind.CONTINUOUS, Storage.REAL, decimals=2),
        Column("cost", Kind.CONTINUOUS, Storage.REAL, decimals=2),
        Column("died", Kind.BOOLEAN, levels=("no", "yes"), roles=(Role.TARGET,)),
    ),
)


def simulate(n: int, seed: int, *, shuffled: str = "") -> Dataset:
    """Death hangs on x and cost on z, one way for women and the other for men; with `shuffled` in one sex on nothing."""
    rng = np.random.default_rng(seed)
    sex, x, z = rng.choice(["F", "M"], n), rng.normal(size=n), rng.normal(size=n)
    died = rng.random(n) < 1 / (1 + np.exp(-3 * np.where(sex == "F", x, -x)))
    cost = np.where(sex == "F", z, -z) + rng.normal(0, 0.4, n)
    mine = np.flatnonzero(sex == shuffled)
    order = rng.permutation(mine)
    died[mine], cost[mine] = died[order], cost[order]
    numbers = {name: np.char.mod("%.2f", values) for name, values in (("x", x), ("z", z), ("cost", cost))}
    return table({"sex": sex, "site": rng.choice(["A", "B", "C"], n), **numbers, "died": np.where(died, "yes", "no")}, SCHEMA)


@pytest.fixture(scope="module")
def sides():
    return simulate(1200, 1), simulate(900, 2)


@pytest.fixture(scope="module")
def shuffled(sides):
    return prepare(evidence(*sides, simulate(1200, 3, shuffled="F")))


def test_the_group_whose_outcome_was_shuffled_is_named(shuffled):
    result = subgroup_gap(shuffled, seed=0)
    assert result.details["worst_group"].startswith("sex F")
    assert result.value > 0.1
    assert result.interval[0] > 0.05 > result.reference_interval[0]
    assert result.section == "fairness"
    assert result.details["learner"] != "linear"
    assert result.details["n_surely_worse"] >= 1
    first = result.details["groups"][0]
    assert first["is_worse"]
    assert first["tstr"]["auroc"] < 0.7 < first["trtr"]["auroc"]
    assert result.subgroups["sex M"] < 0
    by_sex = next(row for row in result.details["gaps"] if row["by"] == ["sex"])
    assert by_sex["auroc"]["added_interval"][0] > 0.1
    assert by_sex["equalized_odds"]["added_interval"][0] > 0.1
    assert by_sex["equalized_odds"]["trtr"] < 0.15


@pytest.mark.parametrize("seed", [4, 6])
def test_fresh_rows_are_not_accused(sides, seed):
    result = subgroup_gap(evidence(*sides, simulate(1200, seed)), seed=0)
    assert result.details["n_surely_worse"] == 0
    assert result.interval[0] <= 0
    assert result.value < 0.06
    assert "600 rows" in result.note


def test_a_number_is_judged_by_its_error(sides):
    data = prepare(replace(evidence(*sides, simulate(1200, 3, shuffled="F"), "cost"), target="cost"))
    result = subgroup_gap(data, seed=0)
    assert result.details["measure"] == "rmse_by_sd"
    assert result.details["worst_group"].startswith("sex F")
    assert result.interval[0] > 0.1


def test_groups_too_small_are_counted_and_never_shown(shuffled):
    data = prepare(evidence(shuffled.train, shuffled.holdout.take(np.arange(300)), shuffled.synthetic[0]))
    result = subgroup_gap(data, seed=0)
    assert {"site A", "site B"} & set(result.subgroups)
    assert result.details["n_too_small"] + result.details["n_too_few_cases"] > 0
    assert all(row["n"] >= 50 and row["n_cases"] >= 20 for row in result.details["groups"])
    assert len(result.details["groups"]) == result.details["n_groups"]


def test_without_groups_it_says_how_to_name_them(good):
    bare = tuple(replace(column, roles=()) for column in good.schema.columns)
    schema = replace(good.schema, columns=bare)
    result = subgroup_gap(replace(good, schema=schema), seed=0)
    assert result.value is None
    assert "schema.toml" in result.note


def test_differences_are_fairlearns(shuffled):
    of = trained(shuffled, 0)
    given = of.pairs["booster"].trtr
    sex = np.array(["F", "M"])[of.held.values["sex"]]
    parts = [figures(of.task, given.take(np.flatnonzero(sex == s)), np.ones((1, int((sex == s).sum()))), 1.0) for s in "FM"]
    apart = {name: abs(float(parts[0][name][0] - parts[1][name][0])) for name in parts[0]}
    names = {"y_true": given.truth, "y_pred": given.decided, "sensitive_features": sex}
    assert apart["selection_rate"] == pytest.approx(demographic_parity_difference(**names))
    assert max(apart["recall"], apart["false_alarm_rate"]) == pytest.approx(equalized_odds_difference(**names))


def test_areas_to_first_order_vary_as_bootstrapped_ones():
    rng = np.random.default_rng(0)
    truth = (rng.random(150) < 0.3).astype(np.int64)
    p = 1 / (1 + np.exp(-(truth + rng.normal(size=150))))
    made = np.column_stack([1 - p, p])
    given, task = Answers(truth, made, decide(made, np.array([0.7, 0.3]))), Task(None, (), np.arange(2), 2)
    weights = np.concatenate([np.ones((1, 150)), bootstrap_weights(np.arange(150), 400, rng)])
    quick, slow = areas(task, given, weights), headline(task, given, weights)
    assert quick[0] == pytest.approx(slow[0])
    assert np.std(quick[1:]) == pytest.approx(np.std(slow[1:]), rel=0.1)
    assert np.corrcoef(quick[1:], slow[1:])[0, 1] > 0.97


def test_fidelity_within_groups_is_looked_at_too(sides):
    fake = simulate(1200, 6)
    frame = fake.table.frame.copy()
    mine = (frame["site"] == "A").to_numpy()
    frame.loc[mine, "x"] = frame.loc[mine, "x"] + 1.5
    assert isinstance(frame, pd.DataFrame)
    result = subgroup_gap(evidence(*sides, fake.with_table(Table(frame, fake.table.marks))), seed=0)
    told = result.details["fidelity"]["column_shapes"]
    assert "site A" in told["worst_group"]
    assert told["added"] > 0.05
    assert "c2st" not in result.details["fidelity"]  # its classifiers were not asked for
