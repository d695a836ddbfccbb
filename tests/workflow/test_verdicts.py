"""What the built-in policies say, as the run records it."""

from __future__ import annotations

from manikin.evaluation.base import AttackResult, Direction, MetricResult, Rate, Results, Section
from manikin.workflow.verdicts import verdicts

LOWER, PRIVACY = Direction.LOWER, Section.PRIVACY
RATE = Rate(0.05, (0.04, 0.06), 100, 2000)
MEMBERSHIP = AttackResult("membership", "Membership", PRIVACY, LOWER, 0.05, (0.04, 0.06), 2000, "targets", attack=RATE, control=RATE)
IDENTIFIERS = MetricResult("identifiers", "Identifiers", PRIVACY, LOWER, 0.0, None, 100, "cells")


def test_each_built_in_policy_tells_its_checks_with_what_was_measured() -> None:
    made = {one["policy"]: one for one in verdicts(Results((IDENTIFIERS,), attacks=(MEMBERSHIP,)), n_patients=5000, modality="table")}
    assert list(made) == ["internal", "partners", "open"]
    checks = {name: {check["check"]: check for check in one["checks"]} for name, one in made.items()}
    assert [checks[name]["membership"]["verdict"] for name in made] == ["pass", "pass", "fail"]
    assert checks["partners"]["membership"]["measured"] == "5 % [4, 6]"
    assert checks["partners"]["membership"]["limit"] == "<= 7.4 %"
    assert checks["open"]["identifiers"]["verdict"] == "pass"
    assert made["open"]["verdict"] == "fail"


def test_what_was_not_measured_is_insufficient_and_what_people_answer_is_named_apart() -> None:
    (internal, *_) = verdicts(Results(()), n_patients=0, modality="table")
    assert internal["verdict"] == "insufficient"
    assert {check["measured"] for check in internal["checks"]} == {"not measured"}
    assert "Intended use" in internal["steps"]
    assert "anonym" not in repr(internal).lower()


def test_a_kept_budget_is_judged() -> None:
    (*_, open_one) = verdicts(Results(()), n_patients=1000, modality="table", epsilon=0.5, delta=1e-6)
    checks = {check["check"]: check for check in open_one["checks"]}
    assert checks["epsilon"]["verdict"] == "pass"


def test_each_kind_of_data_is_asked_what_is_of_it() -> None:
    asked = {
        modality: {check["check"] for check in verdicts(Results(()), n_patients=0, modality=modality)[1]["checks"]}
        for modality in ("table", "records", "images")
    }
    assert {"singling_out", "utility"} <= asked["table"]
    assert not {"image_copies", "key_integrity", "trajectory_membership"} & asked["table"]
    assert {"singling_out", "key_integrity", "trajectory_membership", "trajectory_copies"} <= asked["records"]
    assert {"image_membership", "image_copies", "image_nearer_train", "image_utility", "identifiers"} <= asked["images"]
    assert not {"singling_out", "linkability", "membership", "utility", "copies", "authenticity", "key_integrity"} & asked["images"]
