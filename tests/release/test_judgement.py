"""Verdicts are taken on the unfavourable end, with reasons; a worse figure never does better."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manikin.data.errors import ParameterError
from manikin.evaluation.base import AttackResult, Direction, MetricResult, Results, Section
from manikin.release.judgement import Verdict, judge, judge_check
from manikin.release.measures import Evidence, Figure, measured
from manikin.release.policy import Check, Policy, Step, Targets, load_policy

GROUNDS = {"rationale": "r", "source": "s", "kind": "convention"}
CHECK = Check(name="membership", measure="membership", title="Membership", at_most=0.1, targets=Targets(at_least=500, **GROUNDS), **GROUNDS)


def figure(value: float | None, low: float = 0.0, high: float = 0.0, n: int = 1000, **more: object) -> Figure:
    return Figure(value, (low, high), n, "targets", 0.01, is_attack=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "verdict", "why"),
    [
        (figure(0.05, 0.03, 0.08), Verdict.PASS, "The unfavourable end of its interval lies within the limit."),
        (figure(0.05, 0.02, 0.11), Verdict.INSUFFICIENT, "the unfavourable end of its interval does not"),
        (figure(0.11, 0.05, 0.15), Verdict.FAIL, "The figure itself lies beyond the limit."),
        (figure(0.05, 0.03, 0.08, n=499), Verdict.INSUFFICIENT, "Only 499 were attacked, and 500 are needed."),
        (figure(0.11, 0.05, 0.15, n=3), Verdict.FAIL, "beyond the limit"),
        (figure(0.2, -0.04, 0.39), Verdict.INSUFFICIENT, "also holds what is found where nothing leaks"),
        (Figure(0.2, (-0.04, 0.39), 1000, reference=0.01), Verdict.FAIL, "beyond the limit"),  # no attack: nothing to compare with
        (figure(None, note="too few rows"), Verdict.INSUFFICIENT, "Not measured: too few rows."),
        (Figure(0.05, None, 1000), Verdict.INSUFFICIENT, "It has no interval"),
        (figure(0.05, 0.03, 0.1), Verdict.PASS, "lies within the limit"),
        (figure(float("nan")), Verdict.INSUFFICIENT, "Not measured."),
        (figure(float("-inf"), float("-inf"), 0.02), Verdict.INSUFFICIENT, "Not measured."),
        (figure(0.05, 0.03, float("nan")), Verdict.INSUFFICIENT, "Its interval is damaged"),
        (figure(0.05, float("nan"), 0.08), Verdict.INSUFFICIENT, "Its interval is damaged"),
        (figure(0.05, 0.08, 0.03), Verdict.INSUFFICIENT, "Its interval is damaged"),
        (figure(-0.2, -0.3, -0.1), Verdict.PASS, "lies within the limit"),  # people in the data are found less often than others
    ],
)
def test_verdicts_on_the_unfavourable_end(found: Figure, verdict: Verdict, why: str) -> None:
    outcome = judge_check(CHECK, found, {})
    assert outcome.verdict is verdict
    assert why in outcome.reason
    if found.value is not None and isfinite(found.value):
        assert "Limit: at most 10 % (convention)." in outcome.reason
    assert outcome.grounds == "s (a convention, no regulator behind it)"
    if verdict is not Verdict.PASS:
        assert "would change it" in outcome.reason


def test_a_group_that_is_surely_beyond_fails_the_release() -> None:
    sure = ({"group": "sex F", "n": 400, "value": 0.3, "interval": [0.15, 0.5]},)
    unsure = ({"group": "sex F", "n": 400, "value": 0.3, "interval": [0.05, 0.5]},)
    assert judge_check(CHECK, figure(0.05, 0.03, 0.08, groups=sure), {}).verdict is Verdict.FAIL
    assert "'sex F'" in judge_check(CHECK, figure(0.05, 0.03, 0.08, groups=sure), {}).reason
    assert judge_check(CHECK, figure(0.05, 0.03, 0.08, groups=unsure), {}).verdict is Verdict.PASS


def test_what_is_not_needed_is_not_assessed() -> None:
    assert judge_check(CHECK.model_copy(update={"needed": False}), figure(None), {}).verdict is Verdict.NOT_ASSESSED


def test_lower_limits_are_judged_on_the_lower_end() -> None:
    check = CHECK.model_copy(update={"at_most": None, "at_least": 0.8, "targets": None})
    assert judge_check(check, figure(0.9, 0.85, 0.95), {}).verdict is Verdict.PASS
    assert judge_check(check, figure(0.9, 0.75, 0.99), {}).verdict is Verdict.INSUFFICIENT
    assert judge_check(check, figure(0.7, 0.6, 0.9), {}).verdict is Verdict.FAIL


RANK = {Verdict.FAIL: 0, Verdict.INSUFFICIENT: 1, Verdict.PASS: 2}
share = st.floats(0, 1)


@given(share, share, share, st.integers(1, 2000), share, share, share, st.integers(0, 1000))
def test_a_worse_figure_never_does_better(
    a: float, b: float, c: float, n: int, more: float, wider: float, group: float, fewer: int
) -> None:
    low, value, high = sorted((a, b, c))
    groups = ({"group": "g", "value": group, "interval": [group * 0.5, group]},)
    better = figure(value, low, high, n, groups=groups)
    worse_group = ({"group": "g", "value": 1.0, "interval": [min(1.0, group * 0.5 + more), 1.0]},)
    worse = replace(better, value=value + more, interval=(low, high + more + wider), n=max(0, n - fewer), groups=worse_group)
    assert RANK[judge_check(CHECK, worse, {}).verdict] <= RANK[judge_check(CHECK, better, {}).verdict]


def test_what_is_shown_decides_nothing_but_may_flag() -> None:
    shown = CHECK.model_copy(update={"at_most": None, "targets": None, "flag": "above"})
    assert judge_check(shown, figure(0.02, 0.005, 0.03), {}).verdict is Verdict.SHOWN
    assert judge_check(shown, figure(0.9, 0.8, 0.95), {}).verdict is Verdict.RED_FLAG


def attack(name: str, value: float, interval: tuple[float, float], n: int = 5000) -> AttackResult:
    return AttackResult(name, name, Section.PRIVACY, Direction.LOWER, value, interval, n, "targets", 0.01)


def metric(name: str, value: float | None, interval: tuple[float, float] | None = None, **details: object) -> MetricResult:
    return MetricResult(name, name, Section.PRIVACY, Direction.LOWER, value, interval, 5000, reference=0.5, details=details)


PLANTED = {"tpr": 0.055, "share": 0.05, "is_found": True}


def everything(**changes: object) -> Results:
    """Results that pass every limit of every built-in policy."""
    gap = {"gap": -0.01, "gap_interval": [-0.02, 0.0]}
    metrics = {
        "identifiers": metric("identifiers", 0.0, n_unjudged=0),
        "rare_values": metric("rare_values", 0.0),
        "copies": metric("copies", 0.0, (0.0, 0.0005), excess=0.0, excess_interval=[-0.001, 0.0005], n_unique_train_rows_copied=0),
        "authenticity": metric("authenticity", 0.5, (0.48, 0.52)),
        "dcr_share": metric("dcr_share", 0.5, (0.48, 0.52)),
        "tstr": metric("tstr", 0.8, (0.78, 0.82), headline="linear", learners={"linear": gap}),
        "representation": metric("representation", 0.9, (0.7, 1.1)),
        "mode_collapse": metric("mode_collapse", 0.95, (0.9, 0.98)),
        "subgroup_gap": metric("subgroup_gap", 0.01, (0.0, 0.03)),
    }
    names = ("membership", "shadow_membership", "singling_out", "linkability", "attribute_inference", "identity_disclosure")
    attacks = {name: attack(name, 0.01, (0.005, 0.02)) for name in names}
    metrics |= {name: value for name, value in changes.items() if name in metrics}  # type: ignore[misc]
    attacks["membership"] = replace(attacks["membership"], details={"controls": {"planted": PLANTED}})
    attacks |= {name: value for name, value in changes.items() if name in attacks}  # type: ignore[misc]
    return Results(tuple(metrics.values()), attacks=tuple(attacks.values()))


ANSWERS = dict.fromkeys(
    ("intended_use", "consent_basis", "data_use_terms", "human_sample", "second_approver", "watermark"), "yes, by name"
)
PRIVATE = {"epsilon": 0.9, "delta": 1e-6}
AUDIT = MetricResult("dp_audit", "audit", Section.PRIVACY, Direction.LOWER, 0.4, (0.2, 0.6), 1000, details={"positive_control": True})


def decide(name: str, results: Results, answers: dict[str, str] | None = None, **private: float) -> object:
    return judge(load_policy(name), Evidence(results, 5000, **private), ANSWERS if answers is None else answers)


@pytest.mark.parametrize("name", ["internal", "partners"])
def test_a_good_release_passes(name: str) -> None:
    decision = decide(name, everything())
    assert decision.verdict is Verdict.PASS, [o.reason for o in decision.outcomes if o.verdict is not Verdict.PASS]
    assert decision.statement.startswith(f"passed policy {name} v2 under adversaries membership (5,000 targets)")
    assert "anonymous" not in decision.statement


def test_an_open_release_without_differential_privacy_is_refused() -> None:
    decision = decide("open", everything())
    assert decision.verdict is Verdict.INSUFFICIENT
    found = {o.check.name: o.verdict for o in decision.outcomes if o.verdict is Verdict.INSUFFICIENT}
    assert set(found) == {"epsilon", "delta", "dp_audit"}
    assert "no patient-level differential privacy was kept" in " ".join(o.reason for o in decision.outcomes)


def test_differential_privacy_waives_no_attack() -> None:
    whole = everything()
    audited = Results((*whole.metrics, AUDIT), attacks=whole.attacks)
    assert decide("open", audited, **PRIVATE).verdict is Verdict.PASS
    leaking = everything(membership=attack("membership", 0.2, (0.18, 0.22)))
    leaking = Results((*leaking.metrics, AUDIT), attacks=leaking.attacks)
    assert decide("open", leaking, **PRIVATE).verdict is Verdict.FAIL


def test_a_named_officer_may_waive_up_to_three() -> None:
    whole = everything()
    audited = Results((*whole.metrics, AUDIT), attacks=whole.attacks)
    assert decide("open", audited, epsilon=2.5, delta=1e-6).verdict is Verdict.INSUFFICIENT
    waived = {**ANSWERS, "officers_waiver": "Dr A. Officer, since the table is small"}
    decision = decide("open", audited, waived, epsilon=2.5, delta=1e-6)
    assert decision.verdict is Verdict.PASS
    assert "Dr A. Officer" in next(o.reason for o in decision.outcomes if o.check.name == "epsilon")
    assert decide("open", audited, waived, epsilon=3.1, delta=1e-6).verdict is Verdict.FAIL
    assert decide("open", audited, waived, epsilon=0.5, delta=1e-3).verdict is Verdict.FAIL  # delta is 5 patients


def test_an_audit_above_the_claim_refutes_it() -> None:
    whole = everything()
    above = replace(AUDIT, value=2.0, interval=(1.5, 2.5))
    assert decide("open", Results((*whole.metrics, above), attacks=whole.attacks), **PRIVATE).verdict is Verdict.FAIL
    mute = replace(AUDIT, details={"positive_control": False})
    assert decide("open", Results((*whole.metrics, mute), attacks=whole.attacks), **PRIVATE).verdict is Verdict.INSUFFICIENT


def test_a_useless_open_release_bears_a_label_and_one_for_partners_fails() -> None:
    useless = metric("tstr", 0.6, (0.5, 0.7), headline="linear", learners={"linear": {"gap": -0.2, "gap_interval": [-0.3, -0.1]}})
    whole = everything(tstr=useless)
    audited = Results((*whole.metrics, AUDIT), attacks=whole.attacks)
    decision = decide("open", audited, **PRIVATE)
    assert decision.verdict is Verdict.PASS
    assert decision.labels == ("not for inference",)
    assert decide("partners", whole).verdict is Verdict.FAIL


@pytest.mark.parametrize("missing", sorted(ANSWERS))
def test_an_open_release_needs_every_answer(missing: str) -> None:
    whole = everything()
    audited = Results((*whole.metrics, AUDIT), attacks=whole.attacks)
    answers = {name: text for name, text in ANSWERS.items() if name != missing}
    expected = Verdict.PASS if missing == "data_use_terms" else Verdict.INSUFFICIENT
    assert decide("open", audited, answers, **PRIVATE).verdict is expected


def test_an_attack_that_was_not_made_never_passes() -> None:
    assert judge_check(CHECK.model_copy(update={"targets": None}), figure(0.0, n=0), {}).verdict is Verdict.INSUFFICIENT
    missing = Results(everything().metrics)
    found = {o.check.name: o.verdict for o in decide("partners", missing).outcomes if o.verdict is Verdict.INSUFFICIENT}
    assert set(found) == {"near_copies", "membership", "singling_out", "linkability", "attribute_inference", "identity_disclosure"}


def test_an_attack_that_misses_what_was_planted_is_no_evidence() -> None:
    control = {"planted": {"is_found": False}}
    blind = everything(membership=replace(attack("membership", 0.01, (0.005, 0.02)), details={"controls": control}))
    for policy, verdict in (("internal", Verdict.PASS), ("partners", Verdict.INSUFFICIENT), ("open", Verdict.INSUFFICIENT)):
        outcome = next(o for o in decide(policy, blind).outcomes if o.check.name == "membership")
        assert outcome.verdict is verdict
        assert ("missed even the near-copies of real rows that were planted" in outcome.reason) == (verdict is not Verdict.PASS)
    assert decide("partners", everything()).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("value", "interval", "verdict"),
    [(0.011, (0.006, 0.018), Verdict.PASS), (0.06, (0.055, 0.066), Verdict.FAIL), (0.02, (0.008, 0.04), Verdict.INSUFFICIENT)],
)
def test_near_copies_hide_within_the_limit_on_membership_but_not_beside_planted_ones(value, interval, verdict) -> None:
    controls = {"planted": {"tpr": value + 0.044, "share": 0.05, "is_found": True}}
    found = everything(membership=replace(attack("membership", value, interval), details={"controls": controls}))
    outcomes = {o.check.name: o.verdict for o in decide("partners", found).outcomes}
    assert outcomes["membership"] is Verdict.PASS  # 5 % near-copies among many targets: 6 %, and 7.4 % are allowed
    assert outcomes["near_copies"] is verdict


@pytest.mark.parametrize("planted", [{}, *({**PLANTED, **wrong} for wrong in ({"is_found": False}, {"tpr": 0.001}, {"share": "x"}))])
def test_near_copies_need_planted_ones_to_compare_with(planted) -> None:
    details = {"controls": {"planted": planted}}
    figure = measured("near_copies", Evidence(everything(membership=replace(attack("membership", 0.01, (0.005, 0.02)), details=details))))
    assert figure.value is None
    assert figure.note


def test_an_erased_group_and_lost_variety_are_refused() -> None:
    for name in ("representation", "mode_collapse"):
        for policy in ("partners", "open"):
            found = {o.check.name: o.verdict for o in decide(policy, everything(**{name: metric(name, 0.3, (0.2, 0.4))})).outcomes}
            assert found[name] is Verdict.FAIL


def test_a_budget_without_delta_is_no_budget() -> None:
    whole = everything()
    audited = Results((*whole.metrics, AUDIT), attacks=whole.attacks)
    open_to_all = decide("open", audited, epsilon=0.9)
    assert {o.check.name for o in open_to_all.outcomes if o.verdict is Verdict.INSUFFICIENT} == {"delta"}


def test_a_reason_can_be_read_by_a_lawyer() -> None:
    for results in (everything(), Results(()), everything(membership=attack("membership", 0.9, (0.8, 1.0)))):
        for name in ("internal", "partners", "open"):
            decision = decide(name, results, {})
            for verdict, title, reason, grounds in decision.lines:
                assert len(reason) <= 400, (title, reason)
                assert max(len(sentence.split()) for sentence in reason.split(". ")) <= 40, (title, reason)
                assert not any(word in reason for word in ("arXiv", "doi", "TPR", "Clopper")), (title, reason)
                assert bool(grounds) == ("Limit: " in reason), (verdict, title)


def test_a_decision_is_json_whatever_was_measured() -> None:
    odd = everything(membership=attack("membership", float("nan"), (float("nan"), float("inf"))))
    told = json.dumps(decide("partners", odd).to_json(), allow_nan=False)
    assert "insufficient evidence" in told


def test_loss_is_judged_on_its_upper_end() -> None:
    found = measured("tstr_loss", Evidence(everything()))
    assert (found.value, found.interval) == (0.01, (0.0, 0.02))


def test_damaged_details_are_missing_evidence_and_no_crash() -> None:
    odd = everything(tstr=metric("tstr", 0.8, (0.7, 0.9), headline="x", learners=[]), copies=metric("copies", 0.0, excess="many"))
    assert decide("partners", odd).verdict is Verdict.INSUFFICIENT


def test_a_policy_without_steps_and_attacks_names_no_adversary() -> None:
    policy = Policy(
        name="bare", version=2, title="t", recipients="r", expires_after_days=1,
        checks=(Check(name="c", measure="rare_values", title="c", at_most=0, exact=True, **GROUNDS),),
        steps=(Step(name="s", title="s", needed=False, **GROUNDS),),
    )  # fmt: skip
    decision = judge(policy, Evidence(everything()), {})
    assert decision.statement == "passed policy bare v2 under no adversary"


def test_a_policy_of_other_data_is_not_passed_by_silence() -> None:
    partners = load_policy("partners")
    tables_only = partners.model_copy(update={"checks": tuple(c for c in partners.checks if not c.name.startswith(("image_", "traj")))})
    for modality in ("records", "table"):
        assert judge(tables_only, Evidence(Results(()), modality=modality), {}).verdict is Verdict.INSUFFICIENT
    with pytest.raises(ParameterError, match=r"asks for attacks, and for none on images\. Add a check of one of them: image_m"):
        judge(tables_only, Evidence(Results(()), modality="images"), {})


def test_checks_of_other_data_are_passed_over() -> None:
    decision = judge(load_policy("partners"), Evidence(Results(()), modality="images"), {})
    assert "singling_out" in {check.name for check in decision.passed_over}
    assert not any("Singling out" in title for _, title, _, _ in decision.lines)
