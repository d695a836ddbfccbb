"""The evidence on a terminal of 80 columns: three answers, the figures behind each, attacks beside their controls, policies. Knows no job.

For machines the same is one document; whatever else is known of a figure stands in results.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from manikin.cli.console import say

if TYPE_CHECKING:
    from manikin.evaluation.base import MetricResult, Results

WIDTH = 80
TITLE, VALUE, INTERVAL, REFERENCE = 41, 8, 17, 9  # columns of the table, two spaces before each but the first
OF_PATIENTS = ", whole patients"
REAL = {"rows": "real rows"}  # what fresh real data score, by what is counted; a longer word has no room
FAIR = ("representation", "subgroup_gap")  # who is represented and served, whatever question else they help with


def say_evidence(results: Results) -> None:
    """The figures by question, under the answer that they come to; then what the policies say.

    Of linked tables most figures are of whole patients, which is said once and not in each line.
    """
    unit = str(results.run.get("unit") or "rows")
    is_linked = unit == "patients"
    if is_linked:
        say("Figures are of whole patients where they do not say otherwise.\n")
    for question, answer, metrics in _questions(results):
        known = [metric for metric in metrics if metric.value is not None]
        unknown = [metric.title.removesuffix(OF_PATIENTS) for metric in metrics if metric.value is None]
        if not metrics:
            continue
        for line in [f"{question} {answer}".rstrip()] if len(question) + len(answer) < WIDTH else [question, f"  {answer}"]:
            say(line)
        if known:
            is_attacked = any(hasattr(metric, "control") for metric in known)
            say(_row(("", "figure", "95 % interval", "control" if is_attacked else REAL.get(unit, "real ones"))))
            for metric in known:
                for line in _line(metric, without=OF_PATIENTS if is_linked else ""):
                    say(line)
        if unknown:
            for line in wrap(f"not measured: {', '.join(unknown)}", WIDTH - 2, initial_indent="  ", subsequent_indent="    "):
                say(line)
        say("")
    _say_policies(results.run.get("policies") or ())


def evidence(results: Results) -> dict[str, Any]:
    """Figures, attacks, answers and policies for machines."""
    from manikin.report.answers import is_useful, resembles
    from manikin.report.safety import is_safe

    told = {"resembles": resembles(results), "useful": is_useful(results), "safe": is_safe(results)}
    return {
        "answers": {
            name: {"answer": one.answer, "level": str(one.level), "not_assessed": list(one.not_assessed)} for name, one in told.items()
        },
        "metrics": {metric.name: _figure(metric) for metric in results.figures},
        "attacks": {attack.name: _attack(attack) for attack in results.attacks},
        "policies": list(results.run.get("policies") or ()),
    }


def _figure(metric: MetricResult) -> dict[str, Any]:
    return {
        "value": metric.value,
        "interval": metric.interval,
        "reference": metric.reference,
        "reference_interval": metric.reference_interval,
        "n": metric.n,
        "unit": metric.unit,
        "better": str(metric.direction),
        "note": metric.note,
    }


def _attack(attack: Any) -> dict[str, Any]:
    rates = {side: None if (rate := getattr(attack, side)) is None else asdict(rate) for side in ("attack", "control", "baseline")}
    return {**rates, "n_requested": attack.n_requested, "power": attack.power, "worst_group": attack.worst_group}


def _questions(results: Results) -> list[tuple[str, str, list[MetricResult]]]:
    """Each question with its answer and the figures that help to answer it, attacks last."""
    from manikin.evaluation.base import Section
    from manikin.report.answers import is_useful, resembles
    from manikin.report.safety import is_safe

    fair = [metric for metric in results.metrics if metric.name in FAIR or metric.section is Section.FAIRNESS]
    rest = [metric for metric in results.metrics if metric not in fair]

    def of(*sections: Section) -> list[MetricResult]:
        """The figures of these sections that are not told elsewhere."""
        return [metric for metric in rest if metric.section in sections]

    return [
        ("Does it resemble the real patients?", resembles(results).answer, of(Section.FIDELITY, Section.DIVERSITY, Section.VALIDITY)),
        ("Is it useful?", is_useful(results).answer, of(Section.UTILITY)),
        ("Is every group represented and served?", "", fair),
        ("Is it safe for the patients?", is_safe(results).answer, of(Section.PRIVACY)),
        ("What attackers found:", "", list(results.attacks)),
    ]


def _line(metric: MetricResult, *, without: str = "") -> list[str]:
    """One figure; a title that is too long goes on in the next line, `without` what it ends with."""
    from manikin.report.wording import METRICS, number, span

    style = METRICS[metric.name].style if metric.name in METRICS else "score"
    first, *more = wrap(metric.title.removesuffix(without), TITLE - 2) or [metric.name]
    cells = (
        f"  {first}",
        number(metric.value or 0.0, style),
        "" if metric.interval is None else span(metric.interval, style),
        "" if metric.reference is None else number(metric.reference, style),
    )
    return [_row(cells), *(f"    {part}" for part in more)]


def _row(cells: Sequence[str]) -> str:
    title, value, interval, reference = cells
    return f"{title:<{TITLE}} {value:>{VALUE}} {interval:>{INTERVAL}} {reference:>{REFERENCE}}".rstrip()


def _say_policies(made: Sequence[Mapping[str, Any]]) -> None:
    from manikin.report.policies import told

    if not made:
        return
    say("Release policies, by what was measured:")
    for decision in made:
        say(f"  {decision.get('policy', ''):<10} {told(decision)}")
        bad = [check for check in decision.get("checks") or () if str(check.get("verdict")).startswith("fail")]
        for check in bad:
            text = f"fails: {check.get('title', '')}, {check.get('measured', '')}, limit {check.get('limit', '')}"
            for line in wrap(text, WIDTH, initial_indent=" " * 13, subsequent_indent=" " * 15):
                say(line)
