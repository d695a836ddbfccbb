"""The figure behind each name that a policy may use: a metric or attack, a detail of one, a figure made for policies. Knows no limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from manikin.data.schema import Column
from manikin.evaluation.base import AttackResult, MetricResult, Results


@dataclass(frozen=True)
class Evidence:
    """What is known of a release: its figures, the people behind them, and the privacy budget that its generator kept.

    Attributes
    ----------
    n_patients : patients (rows, where there is no patient key) that the generator learned from; under a budget their number as bought.
    epsilon, delta : the patient-level budget that holds by its ledger, None where none was kept. power : the most true positives that any
        attacker reaches at 1 % false alarms, by everything that was spent. rows_per_patient : of hers that counted at most.
    has_patient_key : whether patients were told apart by a key; without one each row counts as a patient.
    modality : of what is released: "table", "records" of linked patients, "images". beside : the columns that leave beside images.
    """

    results: Results
    n_patients: int = 0
    epsilon: float | None = None
    delta: float | None = None
    power: float | None = None
    rows_per_patient: int = 1
    has_patient_key: bool = True
    modality: str = "table"
    beside: tuple[Column, ...] = ()

    @property
    def is_private(self) -> bool:
        """Whether a privacy budget was kept."""
        return self.epsilon is not None


@dataclass(frozen=True)
class Figure:
    """One figure as a policy sees it.

    Attributes
    ----------
    value : None where it was not measured, with the reason in `note` where it could not be.
    interval : 95 %, None where there is none.
    n : targets, rows or whatever it rests on.
    groups : per group `group`, `n`, `value`, `interval`, most surely bad first.
    is_attack : whether it says what an adversary found.
    is_blind : whether the attack missed even the near-copies that were planted for it, so that finding nothing says nothing.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    n: int = 0
    unit: str = "rows"
    reference: float | None = None
    groups: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    note: str = ""
    is_attack: bool = False
    is_blind: bool = False


def measured(name: str, evidence: Evidence) -> Figure:
    """The figure of that name; its value is None where it was not measured."""
    if name in DERIVED:
        return DERIVED[name](evidence)
    figure, _, detail = name.partition(".")
    if figure not in evidence.results:
        return Figure(None)
    result = evidence.results[figure]
    if result.value is None:
        return Figure(None, note=_reason(result), is_attack=isinstance(result, AttackResult))
    if detail:
        return _detail(result, detail)
    groups = result.groups if isinstance(result, AttackResult) else ()
    is_attack = isinstance(result, AttackResult)
    is_blind = _planted(result).get("is_found") is False
    return Figure(result.value, result.interval, result.n, result.unit, result.reference, groups, result.note, is_attack, is_blind)


def _planted(result: MetricResult) -> Mapping[str, Any]:
    """What an attack found where near-copies of train rows had been planted for it; empty where it has no such control."""
    controls = result.details.get("controls")
    planted = controls.get("planted") if isinstance(controls, Mapping) else None
    return planted if isinstance(planted, Mapping) else {}


def _reason(result: MetricResult) -> str:
    return result.note.removeprefix("Not computed: ").rstrip(".")


def _detail(result: MetricResult, name: str) -> Figure:
    value = result.details.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Figure(None, note=f"its part {name!r} was not measured")
    return Figure(float(value), _pair(result.details.get(f"{name}_interval")), result.n, result.unit)


def _pair(value: Any) -> tuple[float, float] | None:
    is_pair = isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(end, int | float) for end in value)
    return (float(value[0]), float(value[1])) if is_pair else None


def image_tstr_loss(evidence: Evidence) -> Figure:
    """What a network loses by learning from synthetic images: TRTR - TSTR on the holdout (AUROC)."""
    if "image_tstr" not in evidence.results:
        return Figure(None)
    result = evidence.results["image_tstr"]
    gap, interval = result.details.get("gap"), _pair(result.details.get("gap_interval"))
    if result.value is None or not isinstance(gap, int | float):
        return Figure(None, note=_reason(result))
    return Figure(-gap, None if interval is None else (-interval[1], -interval[0]), result.n, "holdout images")


def tstr_loss(evidence: Evidence) -> Figure:
    """What a model loses by learning from synthetic rows: TRTR - TSTR of the headline learner (AUROC, or R2 for a number)."""
    if "tstr" not in evidence.results:
        return Figure(None)
    result = evidence.results["tstr"]
    learners = result.details.get("learners") or {}
    found = learners.get(result.details.get("headline"), {}) if isinstance(learners, Mapping) else {}
    gap, interval = found.get("gap"), _pair(found.get("gap_interval"))
    if result.value is None or not isinstance(gap, int | float):
        return Figure(None, note=_reason(result))
    return Figure(-gap, None if interval is None else (-interval[1], -interval[0]), result.n, "holdout rows")


def near_copies(evidence: Evidence) -> Figure:
    """The share of the released rows that would have to be near-copies of real ones to explain what membership found.

    The attack is run twice: on the release, and on the release with near-copies planted into it, a known share s of its rows. Their
    excess of hits is the yardstick: s x (TPR - FPR) / (TPR planted - TPR), at about 1 % false alarms. The interval is that of the TPR;
    the yardstick's own noise is not in it. A leak of near-copies of few people lies within any limit on the TPR alone.
    """
    if "membership" not in evidence.results:
        return Figure(None)
    result = evidence.results["membership"]
    planted = _planted(result)
    rates = [planted.get("tpr"), planted.get("share"), result.value, result.reference]
    if result.interval is None or not all(isinstance(rate, int | float) and isfinite(rate) for rate in rates):
        return Figure(None, note=_reason(result) if result.value is None else "no near-copies were planted to compare with")
    tpr, share, value, false_alarms = (float(rate or 0.0) for rate in rates)
    if tpr <= value and value > false_alarms + share:
        return Figure(None, note="the release gives away so much that planted near-copies add nothing")
    if planted.get("is_found") is not True or tpr <= value:
        return Figure(None, note="the near-copies that were planted to compare with were not found")
    scale = share / (tpr - value)
    low, high = ((end - false_alarms) * scale for end in result.interval)
    return Figure((value - false_alarms) * scale, (low, high), result.n, result.unit, 0.0)


def epsilon(evidence: Evidence) -> Figure:
    """The patient-level privacy budget that the generator kept."""
    if evidence.epsilon is None:
        more = "; no generator of images here keeps one, so a release of images cannot pass this" if evidence.modality == "images" else ""
        return Figure(None, note=f"no patient-level differential privacy was kept{more}")
    return Figure(evidence.epsilon, (evidence.epsilon, evidence.epsilon), evidence.n_patients, "patients")


def delta_patients(evidence: Evidence) -> Figure:
    """Delta times the number of patients: how many of them the guarantee may fail."""
    if evidence.epsilon is None:
        return Figure(None, note="no patient-level differential privacy was kept")
    if evidence.delta is None:
        return Figure(None, note="the delta of the budget is not known")
    value = evidence.delta * evidence.n_patients
    return Figure(value, (value, value), evidence.n_patients, "patients")


def audit_excess(evidence: Evidence) -> Figure:
    """The audit's lower bound of epsilon beyond the claimed one; an audit whose positive control did not fire proves nothing."""
    if evidence.epsilon is None:
        return Figure(None, note="no patient-level differential privacy was kept")
    if "dp_audit" not in evidence.results or evidence.results["dp_audit"].interval is None:
        return Figure(None, note="the claimed budget was not audited")
    audit = evidence.results["dp_audit"]
    if not audit.details.get("positive_control"):
        return Figure(None, note="the audit's positive control did not fire, so that it proves nothing")
    low = (audit.interval or (0.0, 0.0))[0] - evidence.epsilon
    return Figure(low, (low, low), audit.n, audit.unit)


DERIVED: Mapping[str, Callable[[Evidence], Figure]] = {
    "tstr_loss": tstr_loss,
    "image_tstr_loss": image_tstr_loss,
    "near_copies": near_copies,
    "epsilon": epsilon,
    "delta_patients": delta_patients,
    "audit_excess": audit_excess,
}
