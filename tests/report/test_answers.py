from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manikin.evaluation.base import Direction, MetricResult, Results, Section
from manikin.report.answers import is_useful, resembles
from manikin.report.blocks import Level

from .made import metric


def with_metric(results: Results, name: str, **changes: Any) -> Results:
    return replace(results, metrics=tuple(replace(m, **changes) if m.name == name else m for m in results.metrics))


def only(*metrics: MetricResult) -> Results:
    return Results(metrics)


def c2st(value: float, low: float, high: float) -> Results:
    return only(metric("c2st", Section.FIDELITY, Direction.LOWER, value, interval=(low, high), n=1000, reference=0.5))


@pytest.mark.parametrize(
    ("value", "low", "high", "level"),
    [
        (0.52, 0.50, 0.54, Level.GOOD),
        (0.62, 0.60, 0.64, Level.FAIR),
        (0.90, 0.88, 0.92, Level.POOR),
        (0.72, 0.70, 0.76, Level.POOR),
    ],
)
def test_likeness_is_judged_by_the_unfavourable_end(value: float, low: float, high: float, level: Level) -> None:
    assert resembles(c2st(value, low, high)).level is level


def test_few_rows_never_make_a_good_answer() -> None:
    unsure = resembles(c2st(0.52, 0.40, 0.64))
    assert unsure.level is Level.FAIR
    assert "too few" in unsure.answer


def test_the_classifier_is_told_as_a_game() -> None:
    (told,) = resembles(c2st(0.58, 0.54, 0.62)).reasons
    assert "58 times in 100 (95 % interval 54 to 62)" in told
    assert "Guessing gives 50, two sets of real rows 50." in told


def test_what_so_few_could_not_have_shown_is_said() -> None:
    few = with_metric(c2st(0.55, 0.3, 0.8), "c2st", details={"least_seen": 0.785, "n_per_side": 20})
    assert "With 20 real rows to go by, it cannot tell less than 78 in 100 from guessing." in resembles(few).reasons[0]
    many = with_metric(c2st(0.55, 0.5, 0.6), "c2st", details={"least_seen": 0.53, "n_per_side": 2000})
    assert "to go by" not in resembles(many).reasons[0]


def test_without_a_target_usefulness_is_not_measured_and_says_why() -> None:
    missing = metric("tstr", Section.UTILITY, Direction.REFERENCE, None, note="Not computed: no target column is named.")
    verdict = is_useful(only(missing))
    assert verdict.level is Level.UNKNOWN
    assert verdict.answer == "Not measured"
    assert verdict.reasons == ("Not computed: no target column is named.",)
    assert "prediction of a target" in verdict.not_assessed


def test_usefulness_rests_on_the_paired_gap(results: Results) -> None:
    details = results["tstr"].details
    learners = {"booster": {**details["learners"]["booster"], "gap_interval": [-0.3, -0.2]}}
    worse = with_metric(results, "tstr", details={**details, "learners": learners})
    assert is_useful(results).level is Level.FAIR
    assert "too few" in is_useful(results).answer
    assert is_useful(worse).level is Level.POOR


def test_broken_rules_beyond_chance_are_told_and_count(results: Results) -> None:
    broken = with_metric(
        results, "rule_violations", value=0.2, interval=(0.15, 0.25), reference=0.0, reference_interval=(0.0, 0.02)
    )
    told = [reason for reason in resembles(broken).reasons if "rule" in reason]
    assert told == ["20.0 % of the synthetic rows break a rule; unseen real rows 0 %."]
    assert resembles(broken).level is Level.FAIR
    assert not [reason for reason in resembles(results).reasons if "rule" in reason]
    offered = with_metric(broken, "rule_violations", details={"rules": [{"confirmed": False}]})
    assert "found and not confirmed" in " ".join(resembles(offered).reasons)


def test_relations_that_are_lost_are_told_even_if_columns_agree(results: Results) -> None:
    lost = with_metric(results, "dependence", value=0.1, interval=(0.05, 0.15))
    assert resembles(lost).level is Level.POOR
