"""Two plain answers, does it resemble and is it useful; each rests on findings, a sentence and a grade from one metric.

The limits between the answers are conventions of this project, stated in the page's last chapter; each is applied to the unfavourable
end of the 95 % interval. No answer is a single score. Whether the release is safe is answered in `safety`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manikin.evaluation.base import MetricResult, Results
from manikin.report import images_findings
from manikin.report.blocks import Level, Verdict
from manikin.report.dials import found
from manikin.report.findings import (
    Finding,
    Grade,
    Scale,
    answer,
    deciding,
    ends,
    findings,
    graded,
    measured,
    part,
    reading,
    reference,
    with_interval,
)
from manikin.report.images_wording import is_of_images
from manikin.report.records_findings import FINDINGS
from manikin.report.resemblance import shape_gap, worst_columns
from manikin.report.wording import number, span

C2ST_GOOD, C2ST_FAIR = 0.06, 0.25  # AUC above what two halves of real rows show
BLIND = 0.65  # the least AUC that a comparison can see, above which it is said
LOSS_GOOD, LOSS_FAIR = 0.05, 0.10  # AUROC (or R²) lost against learning from real rows
SHAPE_GOOD, SHAPE_FAIR = 0.03, 0.12  # mean shape score lost against unseen real rows
DEPENDENCE_GOOD, DEPENDENCE_FAIR = 0.2, 0.5  # share of the strongest relations that is lost
GAP_GOOD, GAP_FAIR = 0.05, 0.10  # AUROC that the worst group of patients loses beyond what it loses with real rows
OVERLAP_GOOD, OVERLAP_FAIR = 0.25, 0.5  # mean share of a coefficient's interval that real and synthetic rows do not share

CONVENTIONS = (
    f"Resembles closely: a classifier's AUC at most {C2ST_GOOD:g} above the reference; largely: at most {C2ST_FAIR:g}.",
    f"Single columns may lose {SHAPE_GOOD:g} against unseen real rows to resemble closely, {SHAPE_FAIR:g} to resemble largely.",
    f"Of the strongest relations {100 * DEPENDENCE_GOOD:.0f} % may be lost to resemble closely, {100 * DEPENDENCE_FAIR:.0f} % largely.",
    f"As useful: at most {LOSS_GOOD:g} AUROC lost against learning from real rows; usable with care: at most {LOSS_FAIR:g}.",
    f"For every group of patients: at most {GAP_GOOD:g} AUROC lost beyond the loss with real rows; with care: at most {GAP_FAIR:g}.",
    f"Effect sizes kept: intervals of real and synthetic coefficients overlap by {1 - OVERLAP_GOOD:g}; with care: {1 - OVERLAP_FAIR:g}.",
    *images_findings.CONVENTIONS,
)


def resembles(results: Results) -> Verdict:
    """Does it resemble the real table?"""
    of_rows = {"c2st": _told_apart, "column_shapes": _columns_agree, "dependence": _relations_kept, "rule_violations": _rules}
    made = findings(results, {**of_rows, **FINDINGS, **images_findings.FINDINGS})
    weakest = [f"“{row['column']}”" for row in worst_columns(results)[:2] if shape_gap(row) > 0]
    reasons = [finding.text for finding in made if finding.text]
    if weakest:
        reasons.append(f"The weakest {'columns are' if len(weakest) > 1 else 'column is'} {' and '.join(weakest)}.")
    named = (("c2st", "telling rows apart by a classifier"), ("dependence", "how far relations are kept"))
    if is_of_images(results):
        named = (("image_c2st", "telling images apart by trees"), ("image_c2st_cnn", "telling images apart by a network"))
    absent = tuple(text for name, text in named if measured(results, name) is None)
    answers = ("Yes, closely", "Largely, with differences", "Only in part", "Perhaps; too few rows to be sure")
    told, level = answer(made, answers)
    return Verdict("Does it resemble the real patients?", told, level, tuple(reasons), absent, deciding(made))


def is_useful(results: Results) -> Verdict:
    """Is it useful: does what is learned from it hold for real patients, in every group, and do effects keep their size?"""
    question = "Is it useful for analysis?"
    if is_of_images(results):
        return _images_useful(results, question)
    others = {
        "inference": "effect sizes of a regression",
        "survival_utility": "prediction of time to an event",
        "subgroup_gap": "fairness between groups of patients",
    }
    absent = tuple(text for name, text in others.items() if measured(results, name) is None)
    made = findings(results, {"tstr": _prediction, "inference": _effects, "subgroup_gap": _groups})
    if measured(results, "tstr") is None:
        tried = found(results, "tstr")
        note = tried.note if tried is not None and tried.note else "Prediction of a target was not tried."
        absent = ("prediction of a target", *absent)
        if not made:
            return Verdict(question, "Not measured", Level.UNKNOWN, (note,), absent)
        made.insert(0, Finding(note, Grade(Level.FAIR, is_sure=False)))
    reasons = [finding.text for finding in made if finding.text]
    if measured(results, "tstr") is not None:
        reasons[1:1] = _excess(results["tstr"])
    answers = ("Yes, nearly as the real rows", "With care", "Less than the real rows", "Perhaps; too few rows to be sure")
    told, level = answer(made, answers)
    return Verdict(question, told, level, tuple(reasons), absent, deciding(made))


def _images_useful(results: Results, question: str) -> Verdict:
    """The same of images: does a network that learns from them recognise the label of real ones?"""
    tstr, rare = measured(results, "image_tstr"), measured(results, "image_rare_class")
    if tstr is None:
        tried = found(results, "image_tstr")
        note = tried.note if tried is not None and tried.note else "Recognising a label was not tried."
        return Verdict(question, "Not measured", Level.UNKNOWN, (note,), ("recognising the label of real images",))
    made = [images_findings.learned(tstr)]
    reasons = [made[0].text, *images_findings.excess(tstr)]
    if rare is not None:
        reasons.append(images_findings.rare(rare))
    answers = ("Yes, nearly as the real images", "With care", "Less than the real images", "Perhaps; too few images to be sure")
    told, level = answer(made, answers)
    absent = () if rare is not None else ("adding synthetic images where a class is rare",)
    return Verdict(question, told, level, tuple(reasons), absent, deciding(made))


def _told_apart(c2st: MetricResult) -> Finding:
    floor = max(0.5, c2st.reference or 0.5)
    low, high = ends(c2st)
    interval = f" (95 % interval {100 * low:.0f} to {100 * high:.0f})" if c2st.interval else ""
    fresh = "" if c2st.reference is None else f", two sets of real rows {100 * c2st.reference:.0f}"
    limits = (f"{floor + C2ST_FAIR:.2f}", f"{floor + C2ST_GOOD:.2f}")
    return Finding(
        f"Shown one real and one synthetic row, a trained classifier points at the synthetic one {100 * (c2st.value or 0.0):.0f} times "
        f"in 100{interval}. Guessing gives 50{fresh}.{_blind_below(c2st)}",
        graded((low - floor, high - floor), C2ST_GOOD, C2ST_FAIR),
        reading(
            c2st,
            "Told apart by a classifier (AUC)",
            lambda value: value - floor,
            Scale(C2ST_GOOD, C2ST_FAIR, 1 - floor),
            limits,
            compared=None if c2st.reference is None else c2st.reference - floor,
            reference_text="" if c2st.reference is None else f"{number(c2st.reference)} between real rows",
        ),
    )


def _blind_below(c2st: MetricResult) -> str:
    """What so few rows could not have shown; nothing where they could have shown what counts."""
    least, n = c2st.details.get("least_seen"), c2st.details.get("n_per_side")
    if least is None or n is None or least <= BLIND:
        return ""
    return f" With {n} real rows to go by, it cannot tell less than {100 * least:.0f} in 100 from guessing."


def _columns_agree(shapes: MetricResult) -> Finding:
    best = 1.0 if shapes.reference is None else shapes.reference
    low, high = ends(shapes)
    text = f"Single columns agree to {with_interval(shapes, 'percent')}{reference(shapes, '; unseen real rows to {}', 'percent')}."
    shown = reading(
        shapes,
        "Agreement of single columns",
        lambda value: best - value,
        Scale(SHAPE_GOOD, SHAPE_FAIR, best),
        (number(max(0.0, best - SHAPE_FAIR), "percent"), number(max(0.0, best - SHAPE_GOOD), "percent")),
        style="percent",
        compared=0.0,
        reference_text=f"{number(best, 'percent')} of unseen real rows",
    )
    return Finding(text, graded((best - high, best - low), SHAPE_GOOD, SHAPE_FAIR), shown)


def _relations_kept(dependence: MetricResult) -> Finding:
    low, high = ends(dependence)
    text = f"Of the strongest relations between columns {with_interval(dependence, 'percent')} is kept."
    shown = reading(
        dependence,
        "Relations that are kept",
        lambda value: 1 - value,
        Scale(DEPENDENCE_GOOD, DEPENDENCE_FAIR, 1.0),
        (f"{100 * (1 - DEPENDENCE_FAIR):.0f} %", f"{100 * (1 - DEPENDENCE_GOOD):.0f} %"),
        style="percent",
        compared=0.0,
        reference_text="100 % of unseen real rows",
    )
    return Finding(text, graded((1 - high, 1 - low), DEPENDENCE_GOOD, DEPENDENCE_FAIR), shown)


def _rules(rules: MetricResult) -> Finding:
    beyond = rules.reference_interval[1] if rules.reference_interval else rules.reference or 0.0
    is_confirmed = any(row.get("confirmed") for row in rules.details.get("rules") or ())
    grade = Grade(Level.FAIR if is_confirmed and ends(rules)[0] > beyond else Level.GOOD)
    if not rules.value:
        return Finding("", grade)
    share, fresh = number(rules.value, "percent"), reference(rules, "; unseen real rows {}", "percent")
    return Finding(
        f"{share} of the synthetic rows break a rule{'' if is_confirmed else ' that was found and not confirmed'}{fresh}.",
        grade,
    )


def _prediction(tstr: MetricResult) -> Finding:
    best = best_learner(tstr)
    measure = str(tstr.details.get("measure", "")).replace("R2", "R²")
    target = f" to predict “{tstr.details['target']}”" if tstr.details.get("target") else ""
    text = (
        f"A model that learned{target} from synthetic rows and is tested on real rows it never saw scores {measure} "
        f"{with_interval(tstr)}{reference(tstr, '; having learned from as many real rows, {}')}."
    )
    if tstr.reference is None:
        return Finding(text, Grade(Level.FAIR))
    low, high = best.get("gap_interval") or [end - tstr.reference for end in ends(tstr)]
    gap = best.get("gap", (tstr.value or 0.0) - tstr.reference)
    shown = reading(
        tstr,
        f"{measure or 'Score'} lost against real rows",
        lambda lost: lost,
        Scale(LOSS_GOOD, LOSS_FAIR, 0.5),
        (f"{LOSS_FAIR:g}", f"{LOSS_GOOD:g}"),
        values=(-gap, -high, -low),
        compared=0.0,
        reference_text="0, learning from as many real rows",
    )
    return Finding(text, graded((-high, -low), LOSS_GOOD, LOSS_FAIR), shown)


def _excess(tstr: MetricResult) -> list[str]:
    best = best_learner(tstr)
    if best.get("excess") is None:
        return []
    interval = best.get("excess_interval")
    told = f" (95 % interval {span((interval[0], interval[1]), 'percent')})" if interval else ""
    return [f"Of what can be predicted beyond guessing it keeps {number(best['excess'], 'percent')}{told}."]


def _effects(inference: MetricResult) -> Finding:
    """Overlap of the intervals of coefficients; fresh real rows overlap no more than the reference."""
    low, high = ends(inference)
    best = 1.0 if inference.reference is None else min(1.0, inference.reference)
    text = (
        f"In the same regression on real and on synthetic rows the coefficients' intervals overlap by "
        f"{with_interval(inference, 'percent')} on average{reference(inference, '; with unseen real rows by {}', 'percent')}."
    )
    shown = reading(
        inference,
        "Overlap of coefficients' intervals",
        lambda value: best - value,
        Scale(OVERLAP_GOOD, OVERLAP_FAIR, 1.0),
        (number(best - OVERLAP_FAIR, "percent"), number(best - OVERLAP_GOOD, "percent")),
        style="percent",
        compared=0.0,
        reference_text=f"{number(best, 'percent')} with unseen real rows",
    )
    return Finding(text, graded((best - high, best - low), OVERLAP_GOOD, OVERLAP_FAIR), shown)


def _groups(gap: MetricResult) -> Finding:
    low, high = ends(gap)
    group = part(gap, "worst_group")
    who = f", “{group}”," if group else ""
    text = (
        f"The worst off group of patients{who} loses {with_interval(gap)} more than the whole when models learn from synthetic "
        f"instead of real rows."
    )
    shown = reading(
        gap,
        "Loss added in the worst group",
        lambda value: value,
        Scale(GAP_GOOD, GAP_FAIR, 0.5),
        (f"{GAP_FAIR:g}", f"{GAP_GOOD:g}"),
        compared=gap.reference,
        reference_text="" if gap.reference is None else f"{number(gap.reference)} with real rows",
    )
    return Finding(text, graded((low, high), GAP_GOOD, GAP_FAIR), shown)


def best_learner(tstr: MetricResult) -> Mapping[str, Any]:
    """The learner that the headline is of; empty where it is not told."""
    learner: Mapping[str, Any] = (tstr.details.get("learners") or {}).get(tstr.details.get("headline"), {})
    return learner
