"""The first screen: what was made from what, and three plain answers built from the figures. Knows no other section.

The limits between the answers are conventions of this project, stated in the page's last chapter; each is applied to the unfavourable
end of the 95 % interval. No answer is a single score, and none says that a table is safe: it says which tests found what, and which
tests were not made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manikin.evaluation.base import MetricResult, Results
from manikin.report.blocks import Banner, Block, Level, Text, Tone, Verdict, Verdicts
from manikin.report.dials import found
from manikin.report.wording import ATTACKS, listed, number, span, whole

C2ST_GOOD, C2ST_FAIR = 0.06, 0.20  # AUC above what two halves of real rows show
LOSS_GOOD, LOSS_FAIR = 0.05, 0.10  # AUROC (or R²) lost against learning from real rows
COPIES_FAIR = 0.005  # share of rows that are copies beyond chance
TPR_GOOD, TPR_FAIR = 0.074, 0.20  # membership hits at 1 % false alarms: e^2 % and e^3 %, see the release policy

CONVENTIONS = (
    f"Resembles closely: a classifier's AUC at most {C2ST_GOOD:g} above the reference; largely: at most {C2ST_FAIR:g}.",
    f"As useful: at most {LOSS_GOOD:g} AUROC lost against learning from real rows; usable with care: at most {LOSS_FAIR:g}.",
    f"No sign of leaks: the membership attack succeeds in at most {100 * TPR_GOOD:.1f} % at 1 % false alarms (what epsilon 2 allows).",
    f"A closer look: in at most {100 * TPR_FAIR:.0f} % (epsilon 3), or when some synthetic rows are surely copies beyond chance.",
    f"Not as it stands: more hits than that, copies beyond chance in more than {100 * COPIES_FAIR:g} % of the rows, or a rare value.",
    "Every limit is held against the unfavourable end of the 95 % interval, so that few rows never make a good answer.",
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
        Text(made_from(results.run), Tone.LEAD),
        Verdicts((resembles(results), is_useful(results), is_safe(results))),
        Text(
            "The answers are evidence for a decision and not the decision: who may receive the table, for what, and under which terms is "
            "for people to say. Every figure stands below with its interval and with the reference it must be read against.",
            Tone.NOTE,
        ),
    )


def made_from(run: Mapping[str, Any]) -> str:
    """What was made from what, in one or two sentences that say only what is known."""
    made, learned, kept = (run.get(key) for key in ("rows_synthetic", "rows_train", "rows_holdout"))
    columns = run.get("columns")
    n_columns = len(columns) if isinstance(columns, list | tuple | dict) else columns
    text = f"{whole(made)} synthetic rows" if made is not None else "A synthetic table"
    if n_columns is not None:
        text += f" with {whole(n_columns)} columns" if n_columns != 1 else " with one column"
    text += " were made" if made is not None else " was made"
    if run.get("synthesizer"):
        text += f" by the generator “{run['synthesizer']}”"
    if learned is not None:
        text += (
            f", which learned from {whole(learned)} real rows"
            if run.get("synthesizer")
            else f" from {whole(learned)} real rows"
        )
    text += "."
    if kept is not None:
        text += (
            f" Another {whole(kept)} real rows were set aside before; the generator never saw them, and they judge the result."
        )
    left = [str(entry.get("column", entry) if isinstance(entry, Mapping) else entry) for entry in run.get("left_out") or ()]
    return f"{text} Left out on purpose: {listed(left)}." if left else text


def resembles(results: Results) -> Verdict:
    """Does it resemble the real table?"""
    question = "Does it resemble the real patients?"
    c2st, shapes, dependence = (_measured(results, name) for name in ("c2st", "column_shapes", "dependence"))
    reasons, levels = [], []
    if c2st is not None:
        floor = max(0.5, c2st.reference or 0.5)
        levels.append(_grade(_worst_end(c2st, high=True) - floor, C2ST_GOOD, C2ST_FAIR))
        reasons.append(
            f"Shown one real and one synthetic row, a trained classifier points at the synthetic one {_of_100(c2st)}. "
            f"Guessing gives 50{_told(c2st, ', two sets of real rows {} ')}."
        )
    if shapes is not None:
        gap = (1.0 if shapes.reference is None else shapes.reference) - _worst_end(shapes, high=False)
        levels.append(_grade(gap, 0.03, 0.12))
        reasons.append(
            f"Single columns agree to {_with_interval(shapes, 'percent')}{_told(shapes, '; unseen real rows to {}')}."
        )
    if dependence is not None:
        levels.append(_grade(1 - _worst_end(dependence, high=False), 0.2, 0.5))
        reasons.append(f"Of the strongest relations between columns {_with_interval(dependence, 'percent')} is kept.")
    missing = tuple(name for name, m in (("a classifier's test", c2st), ("relations between columns", dependence)) if m is None)
    return Verdict(
        question, *_answer(levels, "Yes, closely", "Largely, with differences", "Only in part"), tuple(reasons), missing
    )


def is_useful(results: Results) -> Verdict:
    """Is it useful: does what is learned from it hold for real patients?"""
    question = "Is it useful for analysis?"
    tstr = _measured(results, "tstr")
    other = ("effect sizes and survival curves of your own analysis", "fairness between groups of patients")
    if tstr is None:
        note = results["tstr"].note if "tstr" in results else "No target column was named, so no prediction could be tried."
        return Verdict(question, "Not measured", Level.UNKNOWN, (note,), ("prediction of a target", *other))
    best = (tstr.details.get("learners") or {}).get(tstr.details.get("headline"), {})
    measure = str(tstr.details.get("measure", "")).replace("R2", "R²")
    target = f" to predict “{tstr.details['target']}”" if tstr.details.get("target") else ""
    learned = f"A model that learned{target} from synthetic rows and is tested on real rows it never saw scores"
    reasons = [f"{learned} {measure} {_with_interval(tstr)}{_told(tstr, '; having learned from as many real rows, {}')}."]
    levels = []
    if tstr.reference is not None:
        gap = best.get("gap_interval") or (_worst_end(tstr, high=False) - tstr.reference,)
        levels.append(_grade(-gap[0], LOSS_GOOD, LOSS_FAIR))
    if best.get("excess") is not None:
        interval = best.get("excess_interval")
        told = f" (95 % interval {span((interval[0], interval[1]), 'percent')})" if interval else ""
        reasons.append(f"Of what can be predicted beyond guessing it keeps {number(best['excess'], 'percent')}{told}.")
    return Verdict(
        question,
        *_answer(levels, "Yes, nearly as the real rows", "With care", "Less than the real rows"),
        tuple(reasons),
        other,
    )


def is_safe(results: Results) -> Verdict:
    """Is it safe: what did the attacks that were made find, and which were not made?"""
    question = "Is it safe for the patients?"
    membership, copies, rare = (_measured(results, name) for name in ("membership", "copies", "rare_values"))
    reasons, levels = [], []
    if membership is not None:
        levels.append(_grade(_worst_end(membership, high=True), TPR_GOOD, TPR_FAIR))
        reasons.append(
            f"An attacker who tries to recognise training patients finds {_with_interval(membership, 'percent')} of them when wrong about "
            "1 % of the others. Guessing finds 1 %."
        )
    if copies is not None:
        excess = float(copies.details.get("excess") or (copies.value or 0.0) - (copies.reference or 0.0))
        least = copies.details.get("excess_interval") or (_worst_end(copies, high=False) - (copies.reference or 0.0),)
        levels.append(Level.GOOD if least[0] <= 0 else _grade(excess, 0.0, COPIES_FAIR))
        reasons.append(
            f"{number(copies.value or 0.0, 'percent')} of the synthetic rows equal a training row"
            f"{_told(copies, '; unseen real rows do so in {} by chance', 'percent')}."
        )
    if rare is not None:
        levels.append(Level.POOR if rare.value else Level.GOOD)
        least_patients = rare.details.get("threshold")
        few = f"fewer than {least_patients} patients hold" if least_patients else "too few patients hold"
        reasons.append(f"{number(rare.value, 'count') if rare.value else 'No'} levels appear that {few}.")
    absent = tuple(text for name, text in ATTACKS.items() if _measured(results, name) is None)
    if membership is None and levels:
        levels.append(Level.FAIR)
    return Verdict(
        question,
        *_answer(levels, "No sign of leaks in the tests made", "A closer look is needed", "Not as it stands"),
        tuple(reasons) or ("No attack was made.",),
        absent,
    )


def _measured(results: Results, name: str) -> MetricResult | None:
    metric = found(results, name)
    return None if metric is None or metric.value is None else metric


def _worst_end(metric: MetricResult, *, high: bool) -> float:
    """The end of the interval on that side, or the value where no interval is given."""
    if metric.interval is None:
        return float(metric.value or 0.0)
    return metric.interval[1] if high else metric.interval[0]


def _grade(badness: float, good: float, fair: float) -> Level:
    return Level.GOOD if badness <= good else Level.FAIR if badness <= fair else Level.POOR


def _answer(levels: list[Level], good: str, fair: str, poor: str) -> tuple[str, Level]:
    """The worst of the levels, with its words."""
    if not levels:
        return "Not measured", Level.UNKNOWN
    worst = max(levels, key=_ORDER.index)
    return {Level.GOOD: good, Level.FAIR: fair, Level.POOR: poor}[worst], worst


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
