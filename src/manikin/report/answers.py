"""Three plain answers: does it resemble, is it useful, is it safe? Each rests on findings, a sentence and a grade from one metric.

The limits between the answers are conventions of this project, stated in the page's last chapter; each is applied to the unfavourable
end of the 95 % interval. No answer is a single score, and none says that a table is safe: it says which tests found what, and which
tests were not made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from manikin.evaluation.base import MetricResult, Results
from manikin.report.blocks import Level, Verdict
from manikin.report.dials import found
from manikin.report.resemblance import shape_gap, worst_columns
from manikin.report.wording import ATTACKS, Style, number, span

C2ST_GOOD, C2ST_FAIR = 0.06, 0.25  # AUC above what two halves of real rows show
LOSS_GOOD, LOSS_FAIR = 0.05, 0.10  # AUROC (or R²) lost against learning from real rows
SHAPE_GOOD, SHAPE_FAIR = 0.03, 0.12  # mean shape score lost against unseen real rows
DEPENDENCE_GOOD, DEPENDENCE_FAIR = 0.2, 0.5  # share of the strongest relations that is lost
COPIES_FAIR = 0.005  # share of rows that are copies beyond chance
TPR_GOOD, TPR_FAIR = 0.074, 0.20  # membership hits at 1 % false alarms: e^2 % and e^3 %, see the release policy

CONVENTIONS = (
    f"Resembles closely: a classifier's AUC at most {C2ST_GOOD:g} above the reference; largely: at most {C2ST_FAIR:g}.",
    f"Single columns may lose {SHAPE_GOOD:g} against unseen real rows to resemble closely, {SHAPE_FAIR:g} to resemble largely.",
    f"Of the strongest relations {100 * DEPENDENCE_GOOD:.0f} % may be lost to resemble closely, {100 * DEPENDENCE_FAIR:.0f} % largely.",
    f"As useful: at most {LOSS_GOOD:g} AUROC lost against learning from real rows; usable with care: at most {LOSS_FAIR:g}.",
    f"No sign of leaks: the membership attack succeeds in at most {100 * TPR_GOOD:.1f} % at 1 % false alarms (what epsilon 2 allows).",
    f"A closer look: in at most {100 * TPR_FAIR:.0f} % (epsilon 3), or when some synthetic rows are surely copies beyond chance.",
    f"Not as it stands: more hits than that, copies beyond chance in more than {100 * COPIES_FAIR:g} % of the rows, or a rare value.",
    "Every limit is held against the unfavourable end of the 95 % interval: few rows never make a good answer.",
    "Where the favourable end alone would make a good answer, the answer says that the rows are too few to be sure.",
)
_ORDER = (Level.GOOD, Level.FAIR, Level.POOR)


def resembles(results: Results) -> Verdict:
    """Does it resemble the real table?"""
    findings = _findings(
        results, c2st=_told_apart, column_shapes=_columns_agree, dependence=_relations_kept, rule_violations=_rules
    )
    weakest = [f"“{row['column']}”" for row in worst_columns(results)[:2] if shape_gap(row) > 0]
    reasons = [finding.text for finding in findings if finding.text]
    if weakest:
        reasons.append(f"The weakest {'columns are' if len(weakest) > 1 else 'column is'} {' and '.join(weakest)}.")
    named = (("c2st", "telling rows apart by a classifier"), ("dependence", "how far relations are kept"))
    absent = tuple(text for name, text in named if _measured(results, name) is None)
    answers = ("Yes, closely", "Largely, with differences", "Only in part", "Perhaps; too few rows to be sure")
    return Verdict("Does it resemble the real patients?", *_answer(findings, answers), tuple(reasons), absent)


def is_useful(results: Results) -> Verdict:
    """Is it useful: does what is learned from it hold for real patients?"""
    question = "Is it useful for analysis?"
    other = ("effect sizes and survival curves of your own analysis", "fairness between groups of patients")
    findings = _findings(results, tstr=_prediction)
    if not findings:
        tried = found(results, "tstr")
        note = tried.note if tried is not None else "Prediction of a target was not tried."
        return Verdict(question, "Not measured", Level.UNKNOWN, (note,), ("prediction of a target", *other))
    tstr = results["tstr"]
    best = _best_learner(tstr)
    reasons = [finding.text for finding in findings]
    if best.get("excess") is not None:
        interval = best.get("excess_interval")
        told = f" (95 % interval {span((interval[0], interval[1]), 'percent')})" if interval else ""
        reasons.append(f"Of what can be predicted beyond guessing it keeps {number(best['excess'], 'percent')}{told}.")
    answers = (
        "Yes, nearly as the real rows",
        "With care",
        "Less than the real rows",
        "Perhaps; too few rows to be sure",
    )
    return Verdict(question, *_answer(findings, answers), tuple(reasons), other)


def is_safe(results: Results) -> Verdict:
    """Is it safe: what did the attacks that were made find, and which were not made?"""
    findings = _findings(results, membership=_recognised, copies=_copied, rare_values=_disclosed)
    if findings and _measured(results, "membership") is None:
        findings.append(Finding("Whether a patient can be recognised was not tried.", Grade(Level.FAIR)))
    absent = tuple(text for name, text in ATTACKS.items() if _measured(results, name) is None)
    answers = (
        "No sign of leaks in the tests made",
        "A closer look is needed",
        "Not as it stands",
        "No sign of leaks, but too few rows to be sure",
    )
    reasons = tuple(finding.text for finding in findings) or ("No attack was made.",)
    return Verdict("Is it safe for the patients?", *_answer(findings, answers), reasons, absent)


def _told_apart(c2st: MetricResult) -> Finding:
    floor = max(0.5, c2st.reference or 0.5)
    low, high = _ends(c2st)
    interval = f" (95 % interval {100 * low:.0f} to {100 * high:.0f})" if c2st.interval else ""
    fresh = "" if c2st.reference is None else f", two sets of real rows {100 * c2st.reference:.0f}"
    return Finding(
        f"Shown one real and one synthetic row, a trained classifier points at the synthetic one {100 * (c2st.value or 0.0):.0f} times "
        f"in 100{interval}. Guessing gives 50{fresh}.",
        _grade((low - floor, high - floor), C2ST_GOOD, C2ST_FAIR),
    )


def _columns_agree(shapes: MetricResult) -> Finding:
    best = 1.0 if shapes.reference is None else shapes.reference
    low, high = _ends(shapes)
    text = f"Single columns agree to {_with_interval(shapes, 'percent')}{_reference(shapes, '; unseen real rows to {}', 'percent')}."
    return Finding(text, _grade((best - high, best - low), SHAPE_GOOD, SHAPE_FAIR))


def _relations_kept(dependence: MetricResult) -> Finding:
    low, high = _ends(dependence)
    text = f"Of the strongest relations between columns {_with_interval(dependence, 'percent')} is kept."
    return Finding(text, _grade((1 - high, 1 - low), DEPENDENCE_GOOD, DEPENDENCE_FAIR))


def _rules(rules: MetricResult) -> Finding:
    beyond = rules.reference_interval[1] if rules.reference_interval else rules.reference or 0.0
    is_confirmed = any(row.get("confirmed") for row in rules.details.get("rules") or ())
    grade = Grade(Level.FAIR if is_confirmed and _ends(rules)[0] > beyond else Level.GOOD)
    if not rules.value:
        return Finding("", grade)
    share, fresh = number(rules.value, "percent"), _reference(rules, "; unseen real rows {}", "percent")
    return Finding(
        f"{share} of the synthetic rows break a rule{'' if is_confirmed else ' that was found and not confirmed'}{fresh}.",
        grade,
    )


def _prediction(tstr: MetricResult) -> Finding:
    best = _best_learner(tstr)
    measure = str(tstr.details.get("measure", "")).replace("R2", "R²")
    target = f" to predict “{tstr.details['target']}”" if tstr.details.get("target") else ""
    text = (
        f"A model that learned{target} from synthetic rows and is tested on real rows it never saw scores {measure} "
        f"{_with_interval(tstr)}{_reference(tstr, '; having learned from as many real rows, {}')}."
    )
    if tstr.reference is None:
        return Finding(text, Grade(Level.FAIR))
    gap = best.get("gap_interval") or [end - tstr.reference for end in _ends(tstr)]
    return Finding(text, _grade((-gap[1], -gap[0]), LOSS_GOOD, LOSS_FAIR))


def _recognised(membership: MetricResult) -> Finding:
    """Unsure where the attack may name strangers as often: then the rows are too few, not the leak large."""
    low, high = _ends(membership)
    grade = _grade((low, high), TPR_GOOD, TPR_FAIR)
    chance = membership.reference_interval[1] if membership.reference_interval else membership.reference
    is_chance = chance is not None and low <= chance
    text = (
        f"An attacker who tries to recognise training patients names {_with_interval(membership, 'percent')} of them"
        f"{_reference(membership, ', and {} of people who were not in the data', 'percent')}. Equal rates mean that nothing is learned."
    )
    return Finding(text, replace(grade, is_sure=grade.level is Level.GOOD or not is_chance))


def _copied(copies: MetricResult) -> Finding:
    value, by_chance = copies.value or 0.0, copies.reference or 0.0
    excess = float(copies.details.get("excess", value - by_chance))
    least = (copies.details.get("excess_interval") or [_ends(copies)[0] - by_chance])[0]
    fresh = _reference(copies, "; unseen real rows do so in {} by chance", "percent")
    text = f"{number(value, 'percent')} of the synthetic rows equal a training row{fresh}."
    return Finding(text, Grade(Level.GOOD) if least <= 0 else _grade((excess, excess), 0.0, COPIES_FAIR))


def _disclosed(rare: MetricResult) -> Finding:
    """Of levels alone: a number is drawn inside a group that enough patients share, and may be one that a patient has."""
    least = rare.details.get("threshold")
    few = f"fewer than {least} patients hold" if least else "too few patients hold"
    verb = "level (category or code) appears" if rare.value == 1 else "levels (categories or codes) appear"
    if not rare.value:
        levels = f"No level (category or code) appears that {few}, unless its list was declared public."
        return Finding(f"{levels} Numbers are not counted here: one may coincide with a patient's.", Grade(Level.GOOD))
    return Finding(f"{number(rare.value, 'count')} {verb} that {few}.", Grade(Level.POOR))


@dataclass(frozen=True)
class Grade:
    """A level, and whether the rows are many enough to be sure of it: the favourable end of the interval is no better."""

    level: Level
    is_sure: bool = True


@dataclass(frozen=True)
class Finding:
    """What one metric says to a question: the sentence, empty where there is nothing to tell, and its grade."""

    text: str
    grade: Grade


def _grade(badness: tuple[float, float], good: float, fair: float) -> Grade:
    """The level of the unfavourable end; unsure where the favourable end would be good."""
    level = Level.GOOD if badness[1] <= good else Level.FAIR if badness[1] <= fair else Level.POOR
    return Grade(level, is_sure=level is Level.GOOD or badness[0] > good)


def _answer(findings: list[Finding], answers: tuple[str, str, str, str]) -> tuple[str, Level]:
    """The worst of the levels that are sure; where only unsure ones are worse than good, the answer says that the rows are too few."""
    grades = [finding.grade for finding in findings]
    if not grades:
        return "Not measured", Level.UNKNOWN
    sure = [grade.level for grade in grades if grade.is_sure]
    worst = max(sure, key=_ORDER.index, default=Level.GOOD)
    if worst is Level.GOOD and len(sure) < len(grades):
        return answers[3], Level.FAIR
    return answers[_ORDER.index(worst)], worst


def _measured(results: Results, name: str) -> MetricResult | None:
    metric = found(results, name)
    return None if metric is None or metric.value is None else metric


def _ends(metric: MetricResult) -> tuple[float, float]:
    """The interval, or the value twice where none is given."""
    value = float(metric.value or 0.0)
    return metric.interval or (value, value)


def _with_interval(metric: MetricResult, style: Style = "score") -> str:
    text = number(metric.value or 0.0, style)
    return text if metric.interval is None else f"{text} (95 % interval {span(metric.interval, style)})"


def _reference(metric: MetricResult, phrase: str, style: Style = "score") -> str:
    """The phrase with the reference in it, nothing where there is none."""
    return "" if metric.reference is None else phrase.format(number(metric.reference, style))


def _findings(results: Results, **tell: Callable[[MetricResult], Finding]) -> list[Finding]:
    """What the named metrics say, those without a figure left out."""
    measured = ((_measured(results, name), function) for name, function in tell.items())
    return [function(metric) for metric, function in measured if metric is not None]


def _best_learner(tstr: MetricResult) -> Mapping[str, Any]:
    learner: Mapping[str, Any] = (tstr.details.get("learners") or {}).get(tstr.details.get("headline"), {})
    return learner
