"""The third plain answer, is it safe: every attack that was made, copies, rare values and identifiers, and what was not tried.

Never greener than the evidence. "No sign of leaks" asks of each attack that the unfavourable end of its interval is inside the limit,
that so many targets and so large a control could have found a leak of that size, and that nothing was found beyond the control; and it
asks for all six kinds of attack. The limits are conventions, stated in the page's last chapter. No answer says that a table is safe.
"""

from __future__ import annotations

from manikin.evaluation.base import AttackResult, MetricResult, Results
from manikin.report import images_wording, records_wording
from manikin.report.blocks import Level, Verdict
from manikin.report.findings import (
    ORDER,
    Finding,
    Grade,
    Reading,
    Scale,
    answer,
    deciding,
    ends,
    measured,
    part,
    reading,
    reference,
    with_interval,
)
from manikin.report.wording import ATTACKS, OF_LABELS, absent, attack_name, number, span, whole

TPR_GOOD, TPR_FAIR = 0.074, 0.20  # membership hits at 1 % false alarms: e^2 % and e^3 %, see the release policy
RISK_GOOD, RISK_FAIR = 0.09, 0.20  # residual risk (attack - control) / (1 - control)
COPIES_GOOD = 0.005  # share of rows that are copies beyond chance
MEMBERSHIP = ("membership", "shadow_membership", "trajectory_membership", "image_membership")
OF_IMAGES = ("image_membership", "image_copies")
REQUIRED = ("membership", "attribute_inference", "singling_out", "linkability", "reconstruction", "identity_disclosure")
ANSWERS = (
    "No sign of leaks in the tests made",
    "A closer look is needed",
    "Not as it stands",
    "No sign of leaks, but the evidence is too thin to be sure",
)

CONVENTIONS = (
    f"No sign of leaks: membership attacks succeed in at most {100 * TPR_GOOD:.1f} % at 1 % false alarms (what epsilon 2 allows).",
    f"And every other attack has a residual risk of at most {RISK_GOOD:g}; copies beyond chance are at most {100 * COPIES_GOOD:g} %.",
    "It also asks for evidence: enough targets and controls to see a leak of that size, and nothing found beyond the control.",
    "And it asks for all six kinds of attack: one that was not made leaves the evidence thin.",
    f"A closer look: an attack succeeds beyond its control, in at most {100 * TPR_FAIR:.0f} % (epsilon 3) or with a risk of {RISK_FAIR:g}.",
    "Not as it stands: more than that, or a rare value or a direct identifier in the release.",
    "Every limit is held against the unfavourable end of the 95 % interval: few rows never make a good answer.",
    "Where the favourable end alone would make a good answer, the answer says that the rows or the evidence are too few to be sure.",
)


def is_safe(results: Results) -> Verdict:
    """Is it safe: what did the attacks that were made find, and which were not made?"""
    is_of_images = images_wording.is_of_images(results)
    required = OF_IMAGES if is_of_images else REQUIRED
    kinds = (*REQUIRED[:1], "shadow_membership", *REQUIRED[1:], *records_wording.ATTACKS, *OF_IMAGES)
    attacks = [name for name in kinds if measured(results, name) is not None]
    made = [attacked(results[name]) for name in attacks]
    for name, tell in (("copies", _copied), ("rare_values", _disclosed), ("identifiers", _identified)):
        metric = measured(results, name)
        if metric is not None:
            made.append(tell(metric))
    lacking = [name for name in required if name not in attacks]
    known = {**ATTACKS, **records_wording.ATTACKS} if records_wording.is_of_patients(results) else ATTACKS
    known = {**images_wording.ATTACKS, **images_wording.UNTRIED} if is_of_images else known
    untried = tuple(_why_not(results, name, text) for name, text in known.items() if measured(results, name) is None)
    untried += absent(has_budget="privacy_budget" in results.run)
    question = "Is it safe for the patients?"
    if not made:
        return Verdict(question, "Not measured", Level.UNKNOWN, ("No attack was made.",), untried)
    if lacking:
        of = "two" if is_of_images else "six"
        few = f"one of the {of} kinds of attack was" if len(lacking) == 1 else f"{len(lacking)} of the {of} kinds of attack were"
        made.append(Finding(f"{few[0].upper()}{few[1:]} not made, which this answer rests on too.", Grade(Level.FAIR, is_sure=False)))
    told, level = answer(made, ANSWERS)
    if level is Level.FAIR and told == ANSWERS[1] and all(_is_inside(finding) for finding in made):
        told = "Leaks can be measured; each is inside its limit"
    ranked = sorted(made, key=lambda finding: (-_rank(finding), made.index(finding)))
    reasons = [finding.text for finding in ranked if finding.text]
    return Verdict(question, told, level, tuple(reasons[:3]), untried, deciding(made), tuple(reasons[3:]))


def attacked(attack: MetricResult) -> Finding:
    """What one attack found, with its control, and whether it could have found anything."""
    is_membership = attack.name in MEMBERSHIP
    good, fair = (TPR_GOOD, TPR_FAIR) if is_membership else (RISK_GOOD, RISK_FAIR)
    low, high = ends(attack)
    group = _worse_group(attack, good)
    level = Level.GOOD if high <= good else Level.FAIR if high <= fair else Level.POOR
    beyond = is_beyond(attack)
    thin = why_thin(attack, good)
    if beyond or group or _is_suspect(attack, good):
        is_poor = level is Level.POOR and (low > good or bool(group))
        grade = Grade(Level.POOR if is_poor else Level.FAIR)
    elif level is not Level.GOOD or thin:
        grade = Grade(_worse(level, Level.FAIR), is_sure=False)
    else:
        grade = Grade(Level.GOOD)
    text = _recognised(attack) if is_membership else _risk(attack)
    for more in (f"{group}." if group else "", f"{thin}." if thin and not beyond else ""):
        text += f" {more}" if more else ""
    return Finding(text, grade, _reading(attack, Scale(good, fair, 1.0), is_membership=is_membership))


def is_beyond(attack: MetricResult) -> bool:
    """Whether the attack surely does better than its control: then a leak is measured, however small."""
    excess = part(attack, "excess_interval")
    if excess:  # where the figure itself is a risk and its control is told beside it
        return float(excess[0]) > 0
    control = attack.reference_interval[1] if attack.reference_interval else attack.reference
    return ends(attack)[0] > (0.01 if control is None and attack.name in MEMBERSHIP else control or 0.0)


def _is_suspect(attack: MetricResult, good: float) -> bool:
    """Whether the figure itself lies beyond the limit and beyond its control, though nobody can be sure: that is a sign of a leak."""
    control = attack.reference_interval[1] if attack.reference_interval else attack.reference
    return (attack.value or 0.0) > max(good, control or 0.0)


def why_thin(attack: MetricResult, good: float) -> str:
    """Why an attack that found little does not show that there is little, empty where it does; `good` is the leak that matters."""
    if not isinstance(attack, AttackResult):
        return ""
    if part(attack, "controls", "planted", "is_found") is False:
        return "Copies that were planted on purpose were not found, so that its silence says nothing"
    if attack.power is None:
        return "How small a leak it could have found is not known"
    if attack.power > good:
        return f"With {whole(attack.n)} {attack.unit} it could have found no leak smaller than {number(attack.power, 'percent')}"
    if attack.name in MEMBERSHIP and attack.control is not None and attack.control.interval[1] > good:
        return (
            f"The {whole(attack.control.n)} people of the control are too few to say how often it names strangers "
            f"({span(attack.control.interval, 'percent')})"
        )
    return ""


def _is_inside(finding: Finding) -> bool:
    """Whether a finding stays inside the limit of a good answer, though a leak is measured."""
    if finding.grade.level is Level.GOOD or not finding.grade.is_sure:
        return True
    return finding.reading is not None and finding.reading.badness[2] <= finding.reading.scale.good


def _worse(one: Level, other: Level) -> Level:
    return max(one, other, key=ORDER.index)


def _rank(finding: Finding) -> int:
    return 10 * (finding.grade.level is not Level.GOOD and finding.grade.is_sure) + ORDER.index(finding.grade.level)


def _worse_group(attack: MetricResult, good: float) -> str:
    """The group that is surely beyond the limit, in words."""
    groups = attack.groups if isinstance(attack, AttackResult) else ()
    bad = [group for group in groups if (group.get("interval") or (0.0,))[0] > good]
    if not bad:
        return ""
    worst = bad[0]
    return f"Worst in the group “{worst['group']}”: {number(worst['value'], 'percent')} ({span(tuple(worst['interval']), 'percent')})"


def _recognised(attack: MetricResult) -> str:
    who = "An attacker who retrains the generator and" if attack.name == "shadow_membership" else "An attacker who"
    by = " by what stands beside their images" if attack.title.endswith(OF_LABELS) else ""
    return (
        f"{who} tries to recognise training patients{by} names {with_interval(attack, 'percent')} of them"
        f"{reference(attack, ', and {} of people who were not in the data', 'percent')}."
    )


def _risk(attack: MetricResult) -> str:
    """The residual risk with the two rates that it is made of."""
    name = attack_name(attack)
    if attack.name == "identity_disclosure":
        stranger = reference(attack, "; {} for a person who was not in the data", "percent")
        return f"{name}: a training patient is found, and something learned of her, with risk {with_interval(attack, 'percent')}{stranger}."
    text = f"{name}: residual risk {with_interval(attack, 'percent')}"
    if isinstance(attack, AttackResult) and attack.attack is not None and attack.control is not None:
        text += (
            f"; {number(attack.attack.value, 'percent')} of attempts succeed on training patients and "
            f"{number(attack.control.value, 'percent')} on others"
        )
    return f"{text}."


def _reading(attack: MetricResult, scale: Scale, *, is_membership: bool) -> Reading:
    compared = attack.reference if attack.reference is not None else 0.0
    what = "of strangers" if is_membership or compared else "where nothing is learned"
    return reading(
        attack,
        f"{attack_name(attack)}: {'patients named' if is_membership else 'risk'}",
        lambda value: value,
        scale,
        (f"{100 * scale.fair:g} %", f"{100 * scale.good:g} %"),
        style="percent",
        compared=compared,
        reference_text=f"{number(compared, 'percent')} {what}",
    )


def _copied(copies: MetricResult) -> Finding:
    """Surely a finding where even the favourable end lies beyond chance; good only where the unfavourable end is inside the limit."""
    value, by_chance = copies.value or 0.0, copies.reference or 0.0
    excess = float(copies.details.get("excess", value - by_chance))
    least, most = copies.details.get("excess_interval") or [end - by_chance for end in ends(copies)]
    fresh = reference(copies, "; unseen real rows do so in {} by chance", "percent")
    text = f"{number(value, 'percent')} of the synthetic rows equal a training row{fresh}."
    level = Level.GOOD if most <= COPIES_GOOD else Level.POOR
    grade = Grade(level)
    if least > 0:
        grade = Grade(Level.FAIR if most <= COPIES_GOOD else Level.POOR)
    elif level is not Level.GOOD:
        grade = Grade(Level.FAIR, is_sure=False)
        text += f" Up to {number(most, 'percent')} could be copies beyond chance: too few rows to say."
    shown = reading(
        copies,
        "Copies of training rows beyond chance",
        lambda share: share,
        Scale(COPIES_GOOD, 4 * COPIES_GOOD, 1.0),
        (f"{400 * COPIES_GOOD:g} %", f"{100 * COPIES_GOOD:g} %"),
        style="percent",
        values=(excess, least, most),
        compared=0.0,
        reference_text="0 %: what chance gives",
    )
    return Finding(text, grade, shown)


def _disclosed(rare: MetricResult) -> Finding:
    """Of levels alone: a number is drawn inside a group that enough patients share, and may be one that a patient has."""
    least = rare.details.get("threshold")
    few = f"fewer than {least} patients hold" if least else "too few patients hold"
    verb = "level (category or code) appears" if rare.value == 1 else "levels (categories or codes) appear"
    if not rare.value:
        levels = f"No level (category or code) appears that {few}, unless its list was declared public."
        return Finding(f"{levels} Numbers are not counted here: one may coincide with a patient's.", Grade(Level.GOOD))
    return Finding(f"{number(rare.value, 'count')} {verb} that {few}.", Grade(Level.POOR))


def _identified(identifiers: MetricResult) -> Finding:
    if not identifiers.value:
        return Finding("No direct identifier was found in the released cells.", Grade(Level.GOOD))
    return Finding(f"{number(identifiers.value, 'count')} direct identifiers were found in the released cells.", Grade(Level.POOR))


def _why_not(results: Results, name: str, text: str) -> str:
    """What was not assessed, with the reason where the attack was tried and could not be made."""
    tried = next((figure for figure in results.figures if figure.name == name), None)
    return f"{text} ({tried.note.rstrip('.')})" if tried is not None and tried.note else text
