"""The evidence on a terminal of 80 columns, and for machines."""

from __future__ import annotations

import json

import pytest

from manikin.cli.evidence import evidence, say_evidence
from manikin.evaluation.base import AttackResult, Direction, MetricResult, Rate, Results, Section

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER
CHECK = {"title": "Membership, hit rate at 1 % false alarms: was this person in the data?", "measured": "3.6 %", "limit": "<= 2.7 %"}
POLICY = {"policy": "open", "verdict": "fail", "checks": [{**CHECK, "verdict": "fail"}, {"title": "Copies", "verdict": "pass"}]}
TITLE = "A figure whose title is longer than any column of a narrow terminal has room for, and then some"
RESULTS = Results(
    (
        MetricResult("c2st", "Real or synthetic?", Section.FIDELITY, LOWER, 0.58, (0.5, 0.66), 200, "rows", 0.5),
        MetricResult("dependence", "Dependence kept", Section.FIDELITY, HIGHER, None, note="Not computed: one column."),
        MetricResult("long", TITLE, Section.UTILITY, HIGHER, -0.25),
        MetricResult("subgroup_gap", "Gap added", Section.FAIRNESS, LOWER, 0.02, (0.0, 0.04)),
    ),
    run={"policies": [POLICY]},
    attacks=(
        AttackResult(
            "membership",
            "Membership attack",
            Section.PRIVACY,
            LOWER,
            0.036,
            (0.015, 0.073),
            275,
            "targets",
            0.0147,
            attack=Rate(0.036, (0.015, 0.073), 10, 275),
            control=Rate(0.0147, (0.0, 0.09), 1, 68),
            n_requested=300,
            worst_group="sex F",
        ),
    ),
)


def test_figures_stand_by_question_and_no_line_is_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    say_evidence(RESULTS)
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert max(map(len, lines)) <= 80
    order = ["resemble", "not measured: Dependence kept", "useful", "represented and served", "attackers found", "Release policies"]
    places = [said.index(text) for text in order]
    assert places == sorted(places)
    membership = next(line for line in lines if "Membership attack" in line)
    assert " ".join(membership.split()) == "Membership attack 3.6 % 1.5 to 7.3 % 1.5 %"
    assert "open       fail (1 of 2 checks fails)" in said
    assert "limit <= 2.7 %" in said
    assert "anonym" not in said.lower()


def test_machines_get_everything_once() -> None:
    document = json.loads(json.dumps(evidence(RESULTS)))
    assert set(document) == {"answers", "metrics", "attacks", "policies"}
    assert set(document["answers"]) == {"resembles", "useful", "safe"}
    assert document["metrics"]["dependence"]["note"] == "Not computed: one column."
    assert document["metrics"]["membership"]["reference"] == 0.0147
    assert document["attacks"]["membership"]["control"] == {"value": 0.0147, "interval": [0.0, 0.09], "hits": 1, "n": 68}
    assert document["attacks"]["membership"]["worst_group"] == "sex F"
    assert document["policies"] == [POLICY]


def test_nothing_measured_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    say_evidence(Results(()))
    assert capsys.readouterr().out == ""
