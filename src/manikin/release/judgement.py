"""A policy's verdict on a release: pass, fail or insufficient evidence, each with a sentence that a lawyer can read. Writes nothing.

A check passes when the unfavourable end of its 95 % interval lies within the limit, enough targets were attacked and, where the policy
asks for it, the attack found what was planted to test it. It fails when the figure itself lies beyond the limit (for an attack: and
surely above what is found where nothing leaks), or that of a group of patients surely does. All else is insufficient evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite
from typing import Any

from manikin.data.errors import ParameterError
from manikin.evaluation.images.beside import may_tell
from manikin.release.beside import NOT_ATTACKED, UNSEEN, named
from manikin.release.catalogue import applies, attacks_of, entry_of, looks_beside
from manikin.release.measures import Evidence, Figure, measured
from manikin.release.policy import Check, Policy, Step, Style

DIFFERENCES = 1e-9  # figures are rounded to six digits: a limit that is met is met

BLIND = "The attack missed even the near-copies of real rows that were planted to test it, so its silence proves nothing."

NOTHING_SURE = (
    "The figure lies beyond the limit, but its interval also holds what is found where nothing leaks: too few people to tell."
)
WHAT = {"table": "rows of one table", "records": "linked patients", "images": "images"}
BEHIND = {"regulator": "a regulator's", "literature": "from the literature", "convention": "a convention, no regulator behind it"}
BESIDE = Check(
    name="columns_beside_images",
    measure="copies.excess",
    title="Copies of real rows",
    at_most=0,
    rationale="A copy is a disclosure unless people are that alike anyway.",
    source="engineering default",
    kind="convention",
)  # of policies that have none of tables


class Verdict(StrEnum):
    """What came of a check, a step or all of them."""

    PASS = "pass"
    FAIL = "fail"
    INSUFFICIENT = "insufficient evidence"
    LABELLED = "labelled"  # not passed, and the release says so instead
    SHOWN = "shown"
    RED_FLAG = "red flag"
    NOT_ASSESSED = "not assessed"


@dataclass(frozen=True)
class Outcome:
    """What came of one check; `reason` is short enough to be read aloud, `grounds` says where its limit comes from."""

    check: Check
    figure: Figure
    verdict: Verdict
    reason: str

    @property
    def grounds(self) -> str:
        """Who stands behind the limit, and where that is written; empty where there is no limit."""
        return "" if self.check.limit is None else f"{self.check.source} ({BEHIND[self.check.kind]})"


@dataclass(frozen=True)
class StepOutcome:
    """What came of one step: whether a person has answered."""

    step: Step
    answer: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Decision:
    """The verdict on a release, with one reason for each check and step.

    Attributes
    ----------
    outcomes : of the checks whose measure is of such data. passed_over : the checks that are of other data, and count for nothing here.
    statement : the one sentence to print: which policy was passed under which adversaries, or that it was not.
    labels : what the release must say of itself, such as "not for inference".
    """

    policy: Policy
    outcomes: tuple[Outcome, ...]
    steps: tuple[StepOutcome, ...] = field(default_factory=tuple)
    passed_over: tuple[Check, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Fail if anything fails, insufficient evidence if any is missing, pass otherwise."""
        found = self._verdicts
        return next((verdict for verdict in (Verdict.FAIL, Verdict.INSUFFICIENT) if verdict in found), Verdict.PASS)

    @property
    def _verdicts(self) -> list[Verdict]:
        return [*(outcome.verdict for outcome in self.outcomes), *(outcome.verdict for outcome in self.steps)]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the release must say of itself."""
        return tuple(dict.fromkeys(o.check.or_label for o in self.outcomes if o.verdict is Verdict.LABELLED))

    @property
    def adversaries(self) -> tuple[tuple[str, int, str], ...]:
        """The attacks that were passed, with how many of what they attacked."""
        passed = [o for o in self.outcomes if o.figure.is_attack and o.verdict is Verdict.PASS]
        return tuple(dict.fromkeys((outcome.check.measure, outcome.figure.n, outcome.figure.unit) for outcome in passed))

    @property
    def statement(self) -> str:
        """Which policy was passed under which adversaries; or that it was not."""
        if self.verdict is Verdict.PASS:
            return passed_words(self.policy.label, [(name, f"{n:,} {unit}") for name, n, unit in self.adversaries])
        n_failed, n_open = (self._verdicts.count(verdict) for verdict in (Verdict.FAIL, Verdict.INSUFFICIENT))
        parts = [f"{n_failed} failed" if n_failed else "", f"evidence is insufficient for {n_open}" if n_open else ""]
        return f"not passed: policy {self.policy.label} ({', '.join(part for part in parts if part)})"

    @property
    def lines(self) -> list[tuple[str, str, str, str]]:
        """Verdict, what it is of, why, and where the limit comes from; the worst first."""
        order = [Verdict.FAIL, Verdict.INSUFFICIENT, Verdict.RED_FLAG, Verdict.LABELLED, Verdict.PASS, Verdict.SHOWN]
        rows = [(o.verdict, o.check.title, o.reason, o.grounds) for o in self.outcomes]
        rows += [(o.verdict, o.step.title, o.reason, "") for o in self.steps]
        rank = {verdict: i for i, verdict in enumerate([*order, Verdict.NOT_ASSESSED])}
        rows.sort(key=lambda row: rank[row[0]])
        return [(str(verdict), title, reason, grounds) for verdict, title, reason, grounds in rows]

    def to_json(self) -> dict[str, Any]:
        """The whole decision with its figures: internal."""
        return {
            "policy": self.policy.label,
            "verdict": str(self.verdict),
            "statement": self.statement,
            "labels": list(self.labels),
            "checks": [_check_json(outcome) for outcome in self.outcomes],
            "steps": [{"step": o.step.name, "verdict": str(o.verdict), "reason": o.reason} for o in self.steps],
        }


def passed_words(policy: str, adversaries: Sequence[tuple[str, str]]) -> str:
    """What was passed, and never more than that.

    >>> passed_words("partners v1", [("membership", "2,500 targets")])
    'passed policy partners v1 under adversaries membership (2,500 targets)'
    """
    named = ", ".join(f"{name.replace('_', ' ')} ({attempts})" for name, attempts in adversaries)
    return f"passed policy {policy} under {f'adversaries {named}' if named else 'no adversary'}"


def judge(policy: Policy, evidence: Evidence, answers: Mapping[str, str]) -> Decision:
    """The decision of a policy on what its checks say of such data; a check whose measure is of other data is passed over.

    Columns beside images by which people may be told are a table: the policy's checks of what is attacked there count too, and lack
    evidence where nobody did.

    Parameters
    ----------
    answers : what people have answered, by step name.

    Raises
    ------
    ParameterError : no check with a limit is of such data, or the policy asks for attacks and none of them is.
    """
    asked = [check for check in policy.checks if applies(check.measure, evidence.modality)]
    _check_applies(policy, asked, evidence.modality)
    owed = _owed(policy, evidence)
    outcomes = tuple(judge_check(check, measured(check.measure, evidence), answers) for check in asked)
    outcomes += tuple(_beside(check, evidence, answers) for check in owed)
    waivers = {check.waiver.step for check in policy.checks if check.waiver is not None}
    steps = tuple(judge_step(step, answers.get(step.name, "")) for step in policy.steps if step.name not in waivers)
    return Decision(policy, outcomes, steps, tuple(c for c in policy.checks if c not in asked and c not in owed))


def _owed(policy: Policy, evidence: Evidence) -> list[Check]:
    """The checks of tables, where people may be told by the columns beside images; never none then.

    A policy without checks of tables owes what it asks of images: none of copies, and membership within its limit on that of images. Who
    evaluated counts patients, of whom one may have many images, and attacked the columns where they tell too much for so few: that counts.
    """
    is_attacked = bool(evidence.beside) and any(looks_beside(one.name) for one in (*evidence.results.metrics, *evidence.results.attacks))
    if not is_attacked and not may_tell(evidence.beside, evidence.n_patients):
        return []
    found = [c for c in policy.checks if c.limit is not None and looks_beside(c.measure) and not applies(c.measure, evidence.modality)]
    named_here = {check.measure.partition(".")[0] for check in found}
    if "copies" not in named_here:
        found.append(BESIDE)
    if "membership" not in named_here:
        of_images = [check for check in policy.checks if check.measure == "image_membership"]
        found += [check.model_copy(update={"name": "membership_beside_images", "measure": "membership"}) for check in of_images]
    return found


def _beside(check: Check, evidence: Evidence, answers: Mapping[str, str]) -> Outcome:
    """The verdict on a figure of the columns beside images; insufficient where nobody took it, or some column escaped it."""
    own = check.model_copy(update={"title": f"{check.title} (columns beside the images)"})
    figure = measured(check.measure, evidence)
    if figure == Figure(None):
        return Outcome(own, figure, Verdict.INSUFFICIENT, NOT_ATTACKED.format(names=named(evidence.beside)))
    outcome = judge_check(own, figure, answers)
    unseen = [column for column in evidence.beside if not column.kind.is_learned]
    if unseen and outcome.verdict is Verdict.PASS:
        return replace(outcome, verdict=Verdict.INSUFFICIENT, reason=UNSEEN.format(names=named(unseen)))
    return outcome


def _check_applies(policy: Policy, asked: Sequence[Check], modality: str) -> None:
    """A policy that was written for other data is not passed by having nothing to say."""
    limited = [check for check in asked if check.limit is not None]
    if not limited:
        raise ParameterError(
            f"The policy {policy.label} sets no limit on {WHAT[modality]}. Add checks of them; `manikin list measures` names them."
        )
    if any(_attacks(check) for check in policy.checks) and not any(_attacks(check) for check in limited):
        known = ", ".join(name for name, entry in attacks_of(modality).items() if not entry.needs_refit)
        raise ParameterError(
            f"The policy {policy.label} asks for attacks, and for none on {WHAT[modality]}. Add a check of one of them: {known}."
        )


def _attacks(check: Check) -> bool:
    entry = entry_of(check.measure)
    return check.limit is not None and entry is not None and entry.kind == "attack"


def judge_step(step: Step, answer: str) -> StepOutcome:
    """Whether a person has answered."""
    if answer:
        return StepOutcome(step, answer, Verdict.PASS, f"Answered: {answer}")
    if not step.needed:
        return StepOutcome(step, "", Verdict.NOT_ASSESSED, "Nobody has answered, and the policy does not ask for it.")
    reason = f"Nobody has answered. {step.rationale} Answer with --answer {step.name}=TEXT, or in the file of --answers."
    return StepOutcome(step, "", Verdict.INSUFFICIENT, reason)


def judge_check(check: Check, figure: Figure, answers: Mapping[str, str]) -> Outcome:
    """The verdict on one figure; a worse figure never does better."""
    if check.limit is None:
        return _shown(check, figure)
    if figure.value is None or not isfinite(figure.value):
        verdict = Verdict.INSUFFICIENT if check.needed else Verdict.NOT_ASSESSED
        return _outcome(check, figure, verdict, _not_measured(figure))
    verdict, why = _compared(check, figure, check.limit)
    if verdict is not Verdict.PASS and check.waiver is not None:
        wider, _ = _compared(check, figure, check.waiver.at_most)
        if wider is Verdict.PASS:
            return _waived(check, figure, why, answers)
    return _outcome(check, figure, verdict, why)


def _compared(check: Check, figure: Figure, limit: float) -> tuple[Verdict, str]:
    """The verdict on a measured figure, and the clause that says why."""
    assert figure.value is not None
    is_upper = check.at_most is not None
    is_beyond = _beyond(figure.value, limit, is_upper=is_upper)
    if is_beyond and not _may_be_nothing(figure):
        return Verdict.FAIL, "The figure itself lies beyond the limit."
    worst = _surely_worse(figure, limit, is_upper=is_upper)
    if worst:
        return Verdict.FAIL, f"The group {worst} lies beyond the limit, and surely so after counting the groups that were looked at."
    if is_beyond:
        return Verdict.INSUFFICIENT, NOTHING_SURE
    if not check.exact:
        if figure.interval is None:
            return Verdict.INSUFFICIENT, "It has no interval, so nobody knows how sure it is."
        if not (all(map(isfinite, figure.interval)) and figure.interval[0] <= figure.interval[1]):
            return Verdict.INSUFFICIENT, "Its interval is damaged, so nobody knows how sure it is."
        if _beyond(figure.interval[1 if is_upper else 0], limit, is_upper=is_upper):
            return Verdict.INSUFFICIENT, "The figure lies within the limit, but the unfavourable end of its interval does not."
    if figure.is_attack and figure.n < 1:
        return Verdict.INSUFFICIENT, "Nobody was attacked."
    if check.targets is not None and figure.n < check.targets.at_least:
        return Verdict.INSUFFICIENT, f"Only {figure.n:,} were attacked, and {check.targets.at_least:,} are needed."
    if check.control and figure.is_blind:
        return Verdict.INSUFFICIENT, BLIND
    return Verdict.PASS, "The unfavourable end of its interval lies within the limit." if not check.exact else "All were counted."


def _may_be_nothing(figure: Figure) -> bool:
    """Whether an attack's interval reaches down to what it finds where there is nothing to find."""
    return figure.is_attack and None not in (figure.interval, figure.reference) and figure.interval[0] <= figure.reference  # type: ignore[index,operator]


def _beyond(value: float, limit: float, *, is_upper: bool) -> bool:
    return value > limit + DIFFERENCES if is_upper else value < limit - DIFFERENCES


def _surely_worse(figure: Figure, limit: float, *, is_upper: bool) -> str:
    """The first group whose favourable end lies beyond the limit."""
    for group in figure.groups:
        ends = group.get("interval")
        if ends and ends[0] is not None and ends[1] is not None and _beyond(ends[0 if is_upper else 1], limit, is_upper=is_upper):
            return repr(str(group.get("group", "")))
    return ""


def _waived(check: Check, figure: Figure, why: str, answers: Mapping[str, str]) -> Outcome:
    assert check.waiver is not None
    answer = answers.get(check.waiver.step, "")
    wider = f"up to {words(check.waiver.at_most, check.style)} may be waived ({check.waiver.rationale})"
    if answer:
        return _outcome(check, figure, Verdict.PASS, f"{why} But {wider}, and it was: {answer}.")
    way = f"Nobody has: answer with --answer {check.waiver.step}=NAME AND REASON."
    return _outcome(check, figure, Verdict.INSUFFICIENT, f"{why} But {wider}. {way}")


def _not_measured(figure: Figure) -> str:
    return f"Not measured: {figure.note}." if figure.note else "Not measured."


def _shown(check: Check, figure: Figure) -> Outcome:
    if figure.value is None:
        return _outcome(check, figure, Verdict.NOT_ASSESSED, _not_measured(figure))
    ends, reference = figure.interval, figure.reference
    is_flagged = (
        check.flag is not None
        and ends is not None
        and reference is not None
        and (ends[0] > reference if check.flag == "above" else ends[1] < reference)
    )
    if is_flagged:
        flag = f"It surely lies {check.flag} what fresh people would score. {check.change}"
        return _outcome(check, figure, Verdict.RED_FLAG, flag.strip())
    return _outcome(check, figure, Verdict.SHOWN, "It is shown and decides nothing.")


def _outcome(check: Check, figure: Figure, verdict: Verdict, why: str) -> Outcome:
    """An outcome with its sentences: what was measured, the limit, the verdict's reason, and what would change it."""
    if check.or_label and verdict in (Verdict.FAIL, Verdict.INSUFFICIENT):
        verdict, why = Verdict.LABELLED, f"{why} The release therefore bears the label {check.or_label!r}."
    parts = [_measured_words(check, figure), _limit_words(check), why] if figure.value is not None else [why, _limit_words(check)]
    if verdict in (Verdict.FAIL, Verdict.INSUFFICIENT):
        parts.append(_way_out(check, figure, verdict))
    return Outcome(check, figure, verdict, " ".join(part for part in parts if part))


def _measured_words(check: Check, figure: Figure) -> str:
    if figure.value is None:
        return ""
    facts = []
    if figure.interval is not None and not check.exact and figure.interval[0] != figure.interval[1]:
        facts.append(f"95 % interval {words(figure.interval[0], check.style)} to {words(figure.interval[1], check.style)}")
    if figure.n:
        facts.append(f"{figure.n:,} {figure.unit}")
    if figure.reference is not None and not check.exact:
        facts.append(f"a perfect release: {words(figure.reference, check.style)}")
    beside = f" ({'; '.join(facts)})" if facts else ""
    return f"Measured: {words(figure.value, check.style)}{beside}."


def _limit_words(check: Check) -> str:
    if check.limit is None:
        return ""
    side = "at most" if check.at_most is not None else "at least"
    return f"Limit: {side} {words(check.limit, check.style)} ({check.kind})."


def _way_out(check: Check, figure: Figure, verdict: Verdict) -> str:
    if figure.value is None and not figure.note:
        return "An evaluation that measures it would change it."
    if check.change:
        return check.change
    if verdict is Verdict.FAIL:
        return "A generator that gives away less would change it."
    return "More attacked patients, a larger holdout, or an evaluation that measures it would change it."


def words(value: float, style: Style) -> str:
    """A figure as people write it.

    >>> words(0.0741, "percent"), words(3.0, "count"), words(0.05, "number"), words(-0.00004, "percent")
    ('7.4 %', '3', '0.05', '0 %')
    """
    if style == "count":
        return f"{value:,.0f}"
    text = f"{100 * value:.2g}" if abs(value) < 0.1 else f"{100 * value:.1f}"
    if style == "number":
        return f"{value:.3g}" if abs(value) >= 5e-5 else "0"
    return "0 %" if abs(value) < 5e-5 else f"{float(text):g} %"


def _check_json(outcome: Outcome) -> dict[str, Any]:
    figure, check = outcome.figure, outcome.check
    return {
        "check": check.name,
        "measure": check.measure,
        "verdict": str(outcome.verdict),
        "value": _finite(figure.value),
        "interval": None if figure.interval is None else [_finite(end) for end in figure.interval],
        "n": figure.n,
        "limit": check.limit,
        "limit_kind": check.kind,
        "limit_source": check.source,
        "reason": outcome.reason,
    }


def _finite(value: float | None) -> float | None:
    """A number that JSON can hold."""
    return value if value is not None and isfinite(value) else None
