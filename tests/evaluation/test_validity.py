"""Broken rules are counted in real and synthetic rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evaluation.simulated import simulate
from manikin.data.rules import CombinationRule, ImpliedRule, RangeRule
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.validity import rule_violations

OFFERED = RangeRule(("pressure",), minimum=0, maximum=135)
CONFIRMED = RangeRule(("age",), confirmed=True, minimum=18, maximum=94)
FIXED = CombinationRule(("sex", "died"), confirmed=True)


def data_with(*rules):
    train, holdout, fake = simulate(300, 1), simulate(200, 2), simulate(250, 3)
    schema = replace(train.columns, rules=rules)
    frame = fake.table.frame.copy()
    frame.loc[:9, "age"] = 130
    return EvaluationData(train, holdout, (fake.with_table(type(fake.table)(frame, fake.table.marks)),), schema, "died")


def test_confirmed_rules_are_judged_and_offered_ones_listed():
    data = data_with(OFFERED, CONFIRMED, FIXED)
    result = rule_violations(data, seed=0)
    assert result.value == 10 / 250
    assert result.reference == 0.0
    assert result.details["n_rules"] == 2
    rules = {row["kind"] + str(row["confirmed"]): row for row in result.details["rules"]}
    assert rules["rangeTrue"]["synthetic"] == 10
    real = data.train.table.frame["pressure"].to_numpy()
    assert rules["rangeFalse"]["train"] == (np.nan_to_num(real) > 135).sum() > 0
    assert rules["combinationTrue"]["synthetic"] == 0
    assert result.details["rules"][0]["synthetic"] == 10


def test_combinations_are_those_of_train():
    train, holdout, fake = simulate(300, 1), simulate(200, 2), simulate(250, 3)
    women = train.take((train.table.frame["sex"] == "F").to_numpy())
    schema = replace(train.columns, rules=(FIXED,))
    result = rule_violations(EvaluationData(women, holdout, (fake,), schema), seed=0)
    assert result.details["n_violating_rows"] == (fake.table.frame["sex"] == "M").sum()
    assert result.reference > 0.3


def test_without_confirmed_rules_the_offered_ones_count_and_the_note_says_so():
    result = rule_violations(data_with(OFFERED), seed=0)
    assert 0 < result.value < 1
    assert "No rule is confirmed" in result.note


def test_no_rules_no_figure():
    result = rule_violations(data_with(), seed=0)
    assert result.value is None
    assert "no rules" in result.note


def test_rules_of_columns_that_a_side_lacks_are_passed_over():
    data = data_with(CONFIRMED, ImpliedRule(("sex", "ward"), confirmed=True, when=("F",), then=("surgery",)))
    fake = data.synthetic[0].only(["age", "sex"])
    result = rule_violations(EvaluationData(data.train, data.holdout, (fake,), data.schema), seed=0)
    assert [row["kind"] for row in result.details["rules"]] == ["range"]
