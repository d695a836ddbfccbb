from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manikin.evaluation.base import Direction, MetricResult, Results, Section
from manikin.report.blocks import Banner, Level, Verdict, Verdicts, walk
from manikin.report.record import Record, read_record
from manikin.report.summary import is_safe, is_useful, made_from, resembles, summary

from .made import metric


def with_metric(results: Results, name: str, **changes: Any) -> Results:
    return replace(results, metrics=tuple(replace(m, **changes) if m.name == name else m for m in results.metrics))


def only(*metrics: MetricResult) -> Results:
    return Results(metrics)


def c2st(value: float, low: float, high: float) -> Results:
    return only(metric("c2st", Section.FIDELITY, Direction.LOWER, value, interval=(low, high), n=1000, reference=0.5))


def test_the_first_thing_said_is_that_the_page_is_internal(results: Results) -> None:
    first = summary(results)[0]
    assert isinstance(first, Banner)
    assert "Internal" in first.title
    assert "real patients" in first.text


def test_there_are_three_answers_and_each_has_sentences_with_figures(results: Results) -> None:
    verdicts = [block for block in walk(summary(results)) if isinstance(block, Verdict)]
    assert len(verdicts) == 3
    for verdict in verdicts:
        assert "95 % interval" in " ".join(verdict.reasons)


def test_no_answer_says_that_a_table_is_free_of_risk(results: Results) -> None:
    told = repr(summary(results)).lower()
    assert "anonym" not in told
    assert "no risk" not in told
    assert not isinstance(summary(results)[2], Verdicts) or is_safe(results).answer.startswith("No sign of leaks")


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


def test_no_attack_means_no_answer() -> None:
    verdict = is_safe(only())
    assert verdict.level is Level.UNKNOWN
    assert verdict.answer == "Not measured"
    assert len(verdict.not_assessed) >= 6


def test_what_was_not_attacked_is_always_told(results: Results) -> None:
    told = " ".join(is_safe(results).not_assessed)
    assert "differential privacy" in told
    assert "singling" in told
    assert "membership" not in told


@pytest.mark.parametrize(
    ("name", "changes", "level"),
    [
        ("membership", {"value": 0.5, "interval": (0.45, 0.55), "reference": 0.01}, Level.POOR),
        ("membership", {"value": 0.12, "interval": (0.1, 0.14), "reference": 0.01}, Level.FAIR),
        ("rare_values", {"value": 3.0}, Level.POOR),
        (
            "copies",
            {"value": 0.05, "interval": (0.04, 0.06), "details": {"excess": 0.05, "excess_interval": [0.04, 0.06]}},
            Level.POOR,
        ),
        ("copies", {"value": 0.003, "details": {"excess": 0.003, "excess_interval": [0.001, 0.005]}}, Level.FAIR),
        ("copies", {"value": 0.05, "details": {"excess": 0.0, "excess_interval": [-0.01, 0.01]}}, Level.GOOD),
    ],
)
def test_one_bad_finding_decides(results: Results, name: str, changes: dict[str, Any], level: Level) -> None:
    assert is_safe(with_metric(results, name, **changes)).level is level


def test_an_attack_that_names_strangers_as_often_is_no_finding(results: Results) -> None:
    noise = with_metric(
        results, "membership", value=0.10, interval=(0.06, 0.15), reference=0.09, reference_interval=(0.03, 0.2)
    )
    verdict = is_safe(noise)
    assert verdict.level is Level.FAIR
    assert "too few rows" in verdict.answer


def test_without_a_membership_attack_safety_is_never_good(results: Results) -> None:
    rest = replace(results, metrics=tuple(m for m in results.metrics if m.name != "membership"))
    assert is_safe(rest).level is Level.FAIR


def test_what_was_made_from_what_says_only_what_is_known(results: Results) -> None:
    assert made_from(Record()) == "A synthetic table was made."
    told = made_from(read_record(results.run))
    assert told.startswith(
        "550 synthetic rows of 6 columns were made by the generator “autoregressive”, which learned from 550 real rows"
    )
    assert "136 real rows were set aside" in told
    assert "surname" in told
