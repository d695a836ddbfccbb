"""The chapter on attacks: all of them at a glance, then each with its attacker, its rates, its power, and who is worst off.

Draws from the attacks' results alone and knows their details by key; what is not there is not drawn. Grades nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import AttackResult, MetricResult, Rate, Results
from manikin.report.blocks import Beside, Block, Bullets, Dials, Facts, Figure, Fold, Heading, Table, Text, Tone
from manikin.report.dials import dial
from manikin.report.forest import Line, Mark, forest
from manikin.report.plain import Style
from manikin.report.safety import MEMBERSHIP
from manikin.report.wording import ATTACKS, METRICS, absent, attack_name, number, span, whole

N_GROUPS = 8
N_TRIALS = 20
CONTROLS = {
    "planted": ("Planted copies", "near-copies of training rows put into the release: an attack that works must find them"),
    "independent": ("Other real rows", "real rows of other patients in the release's place: an honest attack finds nothing"),
}
FIGURES = {"identity_disclosure": "Mean risk of disclosure", "property_inference": "Part of the train patients' own facts"}
WAYS = ("kind", "split", "secret", "knows", "attacker", "k")  # what sets a trial apart, as far as it is told


def attacks(results: Results) -> tuple[Block, ...]:
    """The chapter; empty where no attack was asked for."""
    if not results.attacks:
        return ()
    made = [attack for attack in results.attacks if attack.value is not None]
    blocks: list[Block] = [
        Text(
            "We played the attacker. Each attack was tried on patients the generator learned from and, as a control, on patients it never "
            "saw, whom the release cannot betray. What counts is the difference. An attack that finds nothing proves nothing: it says that "
            "this attacker, with so many tries, found nothing."
        )
    ]
    if made:
        blocks += [_overview(made), _table(made)]
    for attack in made:
        blocks += _one(attack)
    return (*blocks, *_not_assessed(results))


def _overview(made: Sequence[AttackResult]) -> Figure:
    """Every attack's figure beside what it would be if nothing leaked, in one drawing."""
    shown = [attack for attack in made if _style(attack) == "percent"]
    lines = tuple(Line(attack_name(attack), _found(attack)) for attack in shown)
    told = "; ".join(f"{attack_name(attack)} {_figure(attack)}" for attack in shown)
    return Figure(
        forest(lines, axis="found (95 % intervals)", is_share=True),
        "Orange rings: what each attack found. Blue dots: what it finds of people who were not in the data; grey diamonds: nothing to "
        "find. Where ring and mark lie together nothing is betrayed; a ring whose whole line lies to the right of its mark is a leak.",
        f"What each attack found. {told}.",
        "All attacks at a glance",
    )


def _found(attack: AttackResult) -> tuple[Mark, ...]:
    low, high = attack.interval or (None, None)
    marks = [Mark(attack.value or 0.0, low, high)]
    if attack.reference is not None and attack.reference_interval is not None:
        marks.append(Mark(attack.reference, *attack.reference_interval, "real"))
    elif attack.reference is not None:
        marks.append(Mark(attack.reference, kind="known"))
    return tuple(marks)


def _table(made: Sequence[AttackResult]) -> Table:
    rows = tuple(
        (
            attack_name(attack),
            _figure(attack),
            "–" if attack.reference is None else number(attack.reference, _style(attack)),
            f"{whole(attack.n)} of {whole(attack.n_requested or attack.n)}",
            "–" if attack.power is None else number(attack.power, _style(attack)),
        )
        for attack in made
    )
    return Table(
        ("Attack", "Found (95 % interval)", "If nothing leaked", "Tries, of asked", "Least it sees"),
        rows,
        "Membership: patients named at 1 % false alarms; others: what is gained by having been in the data. Least it sees: by its tries",
        numeric=(2, 3, 4),
    )


def _one(attack: AttackResult) -> list[Block]:
    """One attack: its attacker in a sentence, its dial, its rates, its parts."""
    blocks: list[Block] = [Heading(attack_name(attack))]
    if attack.threat_model is not None:
        who = attack.threat_model
        blocks.append(Text(f"The attacker {who.knows}; he {who.wants}. He {who.succeeds}."))
    figure = _rates(attack)
    shown: Block = Dials((dial(attack),))
    blocks.append(Beside((shown, figure)) if figure is not None else shown)
    blocks.append(Facts(_facts(attack)))
    blocks += _controls(attack)
    parts = _parts(attack)
    if parts is not None:
        blocks.append(Fold("Every variant that was tried", (parts,)))
    if len(attack.groups) > 1:
        blocks.append(Fold(f"{len(attack.groups)} groups of patients", (_groups(attack),)))
    return blocks


def _rates(attack: AttackResult) -> Figure | None:
    """Forest plot of attack, control, baseline and the worst groups."""
    named = (("release", "Attack", attack.attack), ("real", "Control", attack.control), ("known", "Guess without data", attack.baseline))
    lines = [Line(label, (_mark(rate, kind),)) for kind, label, rate in named if rate is not None]
    if not lines:
        return None
    told = "; ".join(f"{label.lower()} {_rate(rate)}" for _, label, rate in named if rate is not None)
    return Figure(
        forest(tuple(lines), axis="attempts that succeed (95 % intervals)", is_share=True),
        "Orange ring: on patients the generator learned from. Blue dot: the same attack on patients it never saw. Grey diamond: a guess "
        "without the release. Only what lies to the right of the blue interval is gained from the release.",
        f"{attack_name(attack)}: {told}.",
        "Attempts that succeed",
    )


def _facts(attack: AttackResult) -> tuple[tuple[str, str], ...]:
    is_membership = attack.name in MEMBERSHIP
    facts = [("Patients named at 1 % false alarms" if is_membership else FIGURES.get(attack.name, "Residual risk"), _figure(attack))]
    asked = attack.n_requested or attack.n
    facts.append(("Targets", f"{whole(attack.n)} of {whole(asked)} asked for"))
    if attack.power is not None:
        facts.append(("Least it could have found", f"{number(attack.power, _style(attack))} (with probability 0.8)"))
    else:
        facts.append(("Least it could have found", "not known"))
    if attack.groups:
        worst = attack.groups[0]
        interval = f" ({span(tuple(worst['interval']), _style(attack))})" if worst.get("interval") else ""
        facts.append(("Worst group of patients", f"{worst.get('group', '')}: {number(worst['value'], _style(attack))}{interval}"))
    if attack.details.get("strongest"):
        facts.append(("Strongest variant", str(attack.details["strongest"]).replace("_", " ")))
    if attack.details.get("auc") is not None:
        facts.append(("AUC", _share(attack.details, "auc")))
    return tuple(facts)


def _controls(attack: AttackResult) -> list[Block]:
    """Positive and negative controls: what shows that the attack works, and that it does not cry wolf."""
    held: Mapping[str, Any] = attack.details.get("controls") or {}
    known = [(key, held[key]) for key in CONTROLS if isinstance(held.get(key), Mapping) and _hit(held[key]) is not None]
    if not known:
        return []
    lines = tuple(Line(CONTROLS[key][0], (Mark(*_hit_interval(one), "release"),)) for key, one in known)
    told = "; ".join(f"{CONTROLS[key][0].lower()} {_share(one, _key(one))}" for key, one in known)
    figure = Figure(
        forest(lines, axis="named (95 % intervals)", mark=0.01, is_share=True),
        "Does the attack work? Planted copies must be found (far right), independent real rows must not (at the dashed line of 1 % false "
        "alarms). If the planted copies are not found, a quiet attack says nothing.",
        f"Positive and negative control: {told}.",
        "Does the attack work?",
    )
    notes = Bullets(tuple(f"{CONTROLS[key][0]}: {CONTROLS[key][1]}. Named: {_share(one, _key(one))}." for key, one in known))
    return [Beside((figure, notes))]


def _parts(attack: AttackResult) -> Table | None:
    """Every way that was tried: the scores of a membership attack, the trials of the others; None where one is all there is."""
    made = attack.details.get("attacks")
    if isinstance(made, Mapping):
        rows = tuple(
            (name.replace("_", " "), *(_share(one, key) for key in ("tpr", "fpr_control", "auc")))
            for name, one in sorted(made.items(), key=lambda item: -(item[1].get("tpr") or 0.0))
        )
        caption = "Every membership attack that was made. An AUC of 0.5 is guessing."
        return Table(("Attack", "Hits at 1 % false alarms", "False alarms, control", "AUC"), rows, caption, numeric=(1, 2, 3))
    trials = [one for one in attack.details.get("trials") or () if isinstance(one, Mapping) and one.get("risk") is not None]
    if len(trials) < 2:
        return None
    caption = "Every way that was tried, the most surely dangerous first; intervals count how many there are"
    rows = tuple((_way(one), _share(one, "risk"), *(_rate_share(one.get(key)) for key in ("attack", "control"))) for one in trials)
    return Table(("Way", "Residual risk", "Attack", "Control"), rows[:N_TRIALS], caption, numeric=(1, 2, 3))


def _way(trial: Mapping[str, Any]) -> str:
    told = [f"{trial[key]}" if key != "k" else f"{trial[key]} nearest" for key in WAYS if trial.get(key) not in (None, "")]
    return ", ".join(told).replace("_", " ") or "–"


def _rate_share(value: Any) -> str:
    value = value.get("value") if isinstance(value, Mapping) else value
    return number(value, "percent") if isinstance(value, int | float) else "–"


def _groups(attack: AttackResult) -> Table:
    rows = tuple(
        (
            str(group.get("group", "")),
            whole(group.get("n") or 0),
            number(group["value"], _style(attack)),
            span(tuple(group["interval"]), _style(attack)) if group.get("interval") else "–",
        )
        for group in attack.groups
        if group.get("value") is not None
    )
    caption = "Groups of patients, the most surely worse off first; intervals count how many groups were looked at"
    return Table(("Group", "Targets", "Found", "95 % interval"), rows[:N_GROUPS], caption, numeric=(1, 2, 3))


def _not_assessed(results: Results) -> tuple[Block, ...]:
    """What was not tried, and why, as far as it is known."""
    lines = []
    for name, text in ATTACKS.items():
        tried = next((figure for figure in results.figures if figure.name == name), None)
        if tried is None:
            lines.append(f"{text[0].upper()}{text[1:]}: not tried.")
        elif tried.value is None:
            lines.append(f"{text[0].upper()}{text[1:]}: {tried.note or 'no figure could be taken.'}")
    lines += [f"{text[0].upper()}{text[1:]}: not tried." for text in absent(has_budget="privacy_budget" in results.run)]
    return (
        Heading("Not assessed"),
        Text("What no attack of this page has looked at; an attacker may try it.", Tone.NOTE),
        Bullets(tuple(lines)),
    )


def _figure(attack: AttackResult) -> str:
    if attack.value is None:
        return "–"
    interval = f" ({span(attack.interval, _style(attack))})" if attack.interval else ""
    return f"{number(attack.value, _style(attack))}{interval}"


def _style(attack: MetricResult) -> Style:
    """As the wording says; a share in percent where it says nothing."""
    plain = METRICS.get(attack.name)
    return "percent" if plain is None else plain.style


def _rate(rate: Rate) -> str:
    tried = f" ({span(rate.interval, 'percent')}, {whole(rate.n)} tries)" if rate.n else ""
    return f"{number(rate.value, 'percent')}{tried}"


def _mark(rate: Rate, kind: Any) -> Mark:
    return Mark(rate.value, rate.interval[0] if rate.n else None, rate.interval[1] if rate.n else None, kind)


def _key(one: Mapping[str, Any]) -> str:
    return "tpr" if one.get("tpr") is not None else "value"


def _hit(one: Mapping[str, Any]) -> float | None:
    value = one.get(_key(one))
    return float(value) if isinstance(value, int | float) else None


def _hit_interval(one: Mapping[str, Any]) -> tuple[float, float | None, float | None]:
    low, high = one.get(f"{_key(one)}_interval") or one.get("interval") or (None, None)
    return _hit(one) or 0.0, low, high


def _share(part: Mapping[str, Any], key: str) -> str:
    value = part.get(key)
    interval = part.get(f"{key}_interval") or (part.get("interval") if key in ("tpr", "value") else None)
    if value is None:
        return "–"
    style: Style = "score" if key == "auc" else "percent"
    return number(value, style) + (f" ({span((interval[0], interval[1]), style)})" if interval else "")
