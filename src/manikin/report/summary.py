"""The first screen: what was made from what, and three plain answers built from the figures.

The limits between the answers are conventions of this project, stated in the page's last chapter; each is applied to the unfavourable
end of the 95 % interval. No answer is a single score, and none says that a table is safe: it says which tests found what, and which
tests were not made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from manikin.evaluation.base import MetricResult, Results
from manikin.report.blocks import Banner, Block, Level, Text, Tone, Verdict, Verdicts
from manikin.report.dials import found
from manikin.report.record import PARTS, Record, read_record
from manikin.report.resemblance import shape_gap, worst_columns
from manikin.report.wording import ATTACKS, listed, number, span, whole

C2ST_GOOD, C2ST_FAIR = 0.06, 0.25  # AUC above what two halves of real rows show
LOSS_GOOD, LOSS_FAIR = 0.05, 0.10  # AUROC (or R²) lost against learning from real rows
SHAPE_GOOD, SHAPE_FAIR = 0.03, 0.12  # mean shape score lost against unseen real rows
COPIES_FAIR = 0.005  # share of rows that are copies beyond chance
TPR_GOOD, TPR_FAIR = 0.074, 0.20  # membership hits at 1 % false alarms: e^2 % and e^3 %, see the release policy

CONVENTIONS = (
    f"Resembles closely: a classifier's AUC at most {C2ST_GOOD:g} above the reference; largely: at most {C2ST_FAIR:g}.",
    f"As useful: at most {LOSS_GOOD:g} AUROC lost against learning from real rows; usable with care: at most {LOSS_FAIR:g}.",
    f"No sign of leaks: the membership attack succeeds in at most {100 * TPR_GOOD:.1f} % at 1 % false alarms (what epsilon 2 allows).",
    f"A closer look: in at most {100 * TPR_FAIR:.0f} % (epsilon 3), or when some synthetic rows are surely copies beyond chance.",
    f"Not as it stands: more hits than that, copies beyond chance in more than {100 * COPIES_FAIR:g} % of the rows, or a rare value.",
    "Every limit is held against the unfavourable end of the 95 % interval: few rows never make a good answer.",
    "Where the favourable end alone would make a good answer, the answer says that the rows are too few to be sure.",
)
_ORDER = (Level.GOOD, Level.FAIR, Level.POOR)


def summary(results: Results) -> tuple[Block, ...]:
    """Banner, what was made from what, three answers."""
    return (
        Banner(
            "Internal: do not pass on.",
            "This page and its folder show real patients' rows (as points and counts) and figures taken from them. What may leave is "
            "decided and written separately.",
        ),
        Text(made_from(read_record(results.run)), Tone.LEAD),
        Verdicts((resembles(results), is_useful(results), is_safe(results))),
        Text(
            "The answers are evidence for a decision and not the decision: who may receive the table, for what, and under which terms is "
            "for people to say. Every figure stands below with its interval and with the reference it must be read against.",
            Tone.NOTE,
        ),
    )


def made_from(record: Record) -> str:
    """What was made from what, in a few sentences that say only what is known."""
    learned, kept, made = (record.rows.get(part) for part in PARTS)
    text = "A synthetic table" if made is None else f"{whole(made)} synthetic rows"
    if record.n_columns is not None:
        text += f" of {whole(record.n_columns)} {'column' if record.n_columns == 1 else 'columns'}"
    text += " was made" if made is None else " were made"
    if record.synthesizer:
        text += f" by the generator “{record.synthesizer}”"
    if learned is not None:
        text += f"{', which learned' if record.synthesizer else ''} from {whole(learned)} real rows"
    if record.title:
        text += f" of “{record.title}”"
    text += "."
    if kept is not None:
        text += (
            f" Another {whole(kept)} real rows were set aside before; the generator never saw them, and they judge the result."
        )
    left = [column for column, _ in record.left_out]
    return f"{text} Left out on purpose: {listed(left)}." if left else text


def resembles(results: Results) -> Verdict:
    """Does it resemble the real table?"""
    c2st, shapes, dependence = (_measured(results, name) for name in ("c2st", "column_shapes", "dependence"))
    reasons, grades = [], []
    if c2st is not None:
        floor = max(0.5, c2st.reference or 0.5)
        low, high = _ends(c2st)
        grades.append(_grade((low - floor, high - floor), C2ST_GOOD, C2ST_FAIR))
        reasons.append(
            f"Shown one real and one synthetic row, a trained classifier points at the synthetic one {_of_100(c2st)}. "
            f"Guessing gives 50{_told(c2st, ', two sets of real rows {}')}."
        )
    if shapes is not None:
        best = 1.0 if shapes.reference is None else shapes.reference
        low, high = _ends(shapes)
        grades.append(_grade((best - high, best - low), SHAPE_GOOD, SHAPE_FAIR))
        reasons.append(
            f"Single columns agree to {_with_interval(shapes, 'percent')}{_told(shapes, '; unseen real rows to {}')}."
        )
    if dependence is not None:
        low, high = _ends(dependence)
        grades.append(_grade((1 - high, 1 - low), 0.2, 0.5))
        reasons.append(f"Of the strongest relations between columns {_with_interval(dependence, 'percent')} is kept.")
    weakest = [f"“{row['column']}”" for row in worst_columns(results)[:2] if shape_gap(row) > 0]
    if weakest:
        reasons.append(f"The weakest {'columns are' if len(weakest) > 1 else 'column is'} {' and '.join(weakest)}.")
    named = (("telling rows apart by a classifier", c2st), ("how far relations are kept", dependence))
    absent = tuple(text for text, metric in named if metric is None)
    answers = ("Yes, closely", "Largely, with differences", "Only in part", "Probably; the rows are too few to be sure")
    return Verdict("Does it resemble the real patients?", *_answer(grades, answers), tuple(reasons), absent)


def is_useful(results: Results) -> Verdict:
    """Is it useful: does what is learned from it hold for real patients?"""
    question = "Is it useful for analysis?"
    tstr = _measured(results, "tstr")
    other = ("effect sizes and survival curves of your own analysis", "fairness between groups of patients")
    if tstr is None:
        tried = found(results, "tstr")
        note = tried.note if tried is not None else "Prediction of a target was not tried."
        return Verdict(question, "Not measured", Level.UNKNOWN, (note,), ("prediction of a target", *other))
    best = (tstr.details.get("learners") or {}).get(tstr.details.get("headline"), {})
    measure = str(tstr.details.get("measure", "")).replace("R2", "R²")
    target = f" to predict “{tstr.details['target']}”" if tstr.details.get("target") else ""
    learned = f"A model that learned{target} from synthetic rows and is tested on real rows it never saw scores"
    reasons = [f"{learned} {measure} {_with_interval(tstr)}{_told(tstr, '; having learned from as many real rows, {}')}."]
    grades = []
    if tstr.reference is not None:
        gap = best.get("gap_interval") or [end - tstr.reference for end in _ends(tstr)]
        grades.append(_grade((-gap[1], -gap[0]), LOSS_GOOD, LOSS_FAIR))
    if best.get("excess") is not None:
        interval = best.get("excess_interval")
        told = f" (95 % interval {span((interval[0], interval[1]), 'percent')})" if interval else ""
        reasons.append(f"Of what can be predicted beyond guessing it keeps {number(best['excess'], 'percent')}{told}.")
    answers = (
        "Yes, nearly as the real rows",
        "With care",
        "Less than the real rows",
        "Probably; the rows are too few to be sure",
    )
    return Verdict(question, *_answer(grades, answers), tuple(reasons), other)


def is_safe(results: Results) -> Verdict:
    """Is it safe: what did the attacks that were made find, and which were not made?"""
    membership, copies, rare = (_measured(results, name) for name in ("membership", "copies", "rare_values"))
    reasons, grades = [], []
    if membership is not None:
        low, high = _ends(membership)
        grade = _grade((low, high), TPR_GOOD, TPR_FAIR)
        chance = membership.reference_interval[1] if membership.reference_interval else membership.reference
        is_chance = chance is not None and low <= chance
        grades.append(replace(grade, is_sure=grade.level is Level.GOOD or not is_chance))
        reasons.append(
            f"An attacker who tries to recognise training patients names {_with_interval(membership, 'percent')} of them"
            f"{_told(membership, ', and {} of people who were not in the data', 'percent')}. Equal rates mean that nothing is learned."
        )
    if copies is not None:
        excess = float(copies.details.get("excess") or (copies.value or 0.0) - (copies.reference or 0.0))
        least = (copies.details.get("excess_interval") or [_ends(copies)[0] - (copies.reference or 0.0)])[0]
        grades.append(Grade(Level.GOOD) if least <= 0 else _grade((excess, excess), 0.0, COPIES_FAIR))
        reasons.append(
            f"{number(copies.value or 0.0, 'percent')} of the synthetic rows equal a training row"
            f"{_told(copies, '; unseen real rows do so in {} by chance', 'percent')}."
        )
    if rare is not None:
        grades.append(Grade(Level.POOR if rare.value else Level.GOOD))
        least_patients = rare.details.get("threshold")
        few = f"fewer than {least_patients} patients hold" if least_patients else "too few patients hold"
        reasons.append(
            f"{number(rare.value, 'count')} values appear that {few}." if rare.value else f"No value appears that {few}."
        )
    if membership is None and grades:
        grades.append(Grade(Level.FAIR))
    absent = tuple(text for name, text in ATTACKS.items() if _measured(results, name) is None)
    answers = (
        "No sign of leaks in the tests made",
        "A closer look is needed",
        "Not as it stands",
        "No sign of leaks, but too few rows to be sure",
    )
    given = tuple(reasons) or ("No attack was made.",)
    return Verdict("Is it safe for the patients?", *_answer(grades, answers), given, absent)


@dataclass(frozen=True)
class Grade:
    """A level, and whether the rows are many enough to be sure of it: the favourable end of the interval is no better."""

    level: Level
    is_sure: bool = True


def _grade(badness: tuple[float, float], good: float, fair: float) -> Grade:
    """The level of the unfavourable end; unsure where the favourable end would be good."""
    level = Level.GOOD if badness[1] <= good else Level.FAIR if badness[1] <= fair else Level.POOR
    return Grade(level, is_sure=level is Level.GOOD or badness[0] > good)


def _answer(grades: list[Grade], answers: tuple[str, str, str, str]) -> tuple[str, Level]:
    """The worst of the levels that are sure; where only unsure ones are worse than good, the answer says that the rows are too few."""
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


def _with_interval(metric: MetricResult, style: Any = "score") -> str:
    text = number(metric.value or 0.0, style)
    return text if metric.interval is None else f"{text} (95 % interval {span(metric.interval, style)})"


def _of_100(metric: MetricResult) -> str:
    text = f"{100 * (metric.value or 0.0):.0f} times in 100"
    if metric.interval is None:
        return text
    return f"{text} (95 % interval {100 * metric.interval[0]:.0f} to {100 * metric.interval[1]:.0f})"


def _told(metric: MetricResult, phrase: str, style: Any = None) -> str:
    """The phrase with the reference, nothing where there is none."""
    if metric.reference is None:
        return ""
    if style is None:
        style = {"column_shapes": "percent"}.get(metric.name, "score")
    text = f"{100 * metric.reference:.0f}" if metric.name == "c2st" else number(metric.reference, style)
    return phrase.format(text).rstrip()
