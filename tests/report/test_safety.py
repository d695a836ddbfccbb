from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manikin.evaluation.base import Direction, MetricResult, Rate, Results, Section
from manikin.report.blocks import Level
from manikin.report.safety import ANSWERS, REQUIRED, is_safe

from .made import attack, metric


def changed(results: Results, name: str, **changes: Any) -> Results:
    def mend(figures: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(replace(m, **changes) if m.name == name else m for m in figures)

    return replace(results, metrics=mend(results.metrics), attacks=mend(results.attacks))


def without(results: Results, *names: str) -> Results:
    return replace(results, attacks=tuple(a for a in results.attacks if a.name not in names))


def only(*metrics: MetricResult) -> Results:
    return Results(metrics)


def test_no_attack_means_no_answer() -> None:
    verdict = is_safe(only())
    assert verdict.level is Level.UNKNOWN
    assert verdict.answer == "Not measured"
    assert len(verdict.not_assessed) >= 6


def test_all_attacks_without_a_finding_and_with_power_are_no_sign_of_leaks(results: Results) -> None:
    verdict = is_safe(results)
    assert verdict.level is Level.GOOD
    assert verdict.answer == ANSWERS[0]
    assert verdict.gauge is not None


def test_what_was_not_attacked_is_always_told(results: Results) -> None:
    told = " ".join(is_safe(without(results, "singling_out")).not_assessed)
    assert "differential privacy" not in told  # there is a budget
    assert "differential privacy" in " ".join(is_safe(replace(results, run={})).not_assessed)
    assert "singling" in told
    assert "shadow models" in told
    assert "(membership)" not in told


@pytest.mark.parametrize("name", REQUIRED)
def test_with_one_kind_of_attack_left_out_the_evidence_is_thin(results: Results, name: str) -> None:
    verdict = is_safe(without(results, name))
    assert verdict.level is Level.FAIR
    assert verdict.answer == ANSWERS[3]


@pytest.mark.parametrize(
    ("name", "changes", "level"),
    [
        ("membership", {"value": 0.5, "interval": (0.45, 0.55)}, Level.POOR),
        ("membership", {"value": 0.12, "interval": (0.1, 0.14)}, Level.FAIR),
        ("reconstruction", {"value": 0.5, "interval": (0.45, 0.55)}, Level.POOR),
        ("linkability", {"value": 0.12, "interval": (0.10, 0.14)}, Level.FAIR),
        ("attribute_inference", {"value": 0.3, "interval": (-0.02, 0.5)}, Level.FAIR),
        ("identity_disclosure", {"value": 0.02, "interval": (-0.05, 0.10)}, Level.FAIR),
        ("rare_values", {"value": 3.0}, Level.POOR),
        (
            "copies",
            {"value": 0.05, "interval": (0.04, 0.06), "details": {"excess": 0.05, "excess_interval": [0.04, 0.06]}},
            Level.POOR,
        ),
        ("copies", {"value": 0.003, "details": {"excess": 0.003, "excess_interval": [0.001, 0.005]}}, Level.FAIR),
        ("copies", {"value": 0.05, "details": {"excess": 0.0, "excess_interval": [-0.01, 0.004]}}, Level.GOOD),
        ("copies", {"value": 0.05, "details": {"excess": 0.0, "excess_interval": [-0.01, 0.01]}}, Level.FAIR),
    ],
)
def test_one_bad_finding_decides(results: Results, name: str, changes: dict[str, Any], level: Level) -> None:
    assert is_safe(changed(results, name, **changes)).level is level


def test_a_found_identifier_is_never_safe(results: Results) -> None:
    found = metric("identifiers", Section.PRIVACY, Direction.LOWER, 2.0, n=500)
    assert is_safe(replace(results, metrics=(*results.metrics, found))).level is Level.POOR


def test_a_hit_rate_above_a_control_too_small_to_judge_it_is_not_green(results: Results) -> None:
    """3.6 % [1.5, 7.3] of 274 against 1 of 68 strangers: inside the limit, and yet no evidence that nothing leaks."""
    control = Rate(1 / 68, (0.0001, 0.096), 1, 68)
    verdict = is_safe(
        changed(
            results,
            "membership",
            value=0.036,
            interval=(0.015, 0.073),
            n=274,
            reference=control.value,
            reference_interval=control.interval,
            control=control,
            power=0.045,
        )
    )
    assert verdict.level is Level.FAIR
    assert verdict.answer == ANSWERS[3]
    assert "68 people of the control are too few" in " ".join(verdict.reasons)


def test_a_leak_that_is_surely_there_is_told_though_it_is_inside_the_limit(results: Results) -> None:
    for name, interval in (("membership", (0.035, 0.06)), ("singling_out", (0.01, 0.05))):
        verdict = is_safe(changed(results, name, value=0.04, interval=interval))
        assert verdict.level is Level.FAIR
        assert verdict.answer == "Leaks can be measured; each is inside its limit"


def test_a_figure_beyond_its_limit_is_a_sign_though_nobody_can_be_sure(results: Results) -> None:
    verdict = is_safe(changed(results, "attribute_inference", value=0.3, interval=(-0.02, 0.5)))
    assert verdict.answer == ANSWERS[1]


def test_an_attack_that_could_have_found_nothing_is_no_evidence(results: Results) -> None:
    for power in (0.3, None):
        verdict = is_safe(changed(results, "reconstruction", power=power))
        assert verdict.answer == ANSWERS[3]


def test_a_group_that_is_surely_beyond_the_limit_counts(results: Results) -> None:
    group = {"group": "age 80+", "n": 90, "value": 0.4, "interval": [0.2, 0.6]}
    verdict = is_safe(changed(results, "attribute_inference", groups=(group,), worst_group="age 80+"))
    assert verdict.level is Level.FAIR
    assert "age 80+" in " ".join(verdict.reasons)


def test_an_attack_that_names_strangers_as_often_is_no_finding(results: Results) -> None:
    noise = changed(
        results, "membership", value=0.10, interval=(0.06, 0.15), reference=0.09, reference_interval=(0.03, 0.2)
    )
    verdict = is_safe(noise)
    assert verdict.level is Level.FAIR
    assert verdict.answer == ANSWERS[3]


def test_an_attack_that_could_not_be_made_says_why(results: Results) -> None:
    failed = replace(attack("singling_out", None, note="Not computed: one column."))
    verdict = is_safe(replace(without(results, "singling_out"), attacks=(*without(results, "singling_out").attacks, failed)))
    assert any("Not computed: one column" in text for text in verdict.not_assessed)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0.0, "No level (category or code) appears that fewer than 11 patients hold, unless its list was declared public."),
        (1.0, "1 level (category or code) appears that fewer than 11"),
        (2.0, "2 levels (categories or codes) appear that fewer than 11"),
    ],
)
def test_disclosed_values_are_counted(results: Results, count: float, told: str) -> None:
    verdict = is_safe(changed(results, "rare_values", value=count))
    said = " ".join((*verdict.reasons, *verdict.more))
    assert told in said
    assert ("may coincide with a patient's" in said) is (count == 0.0)  # of numbers nothing is promised
