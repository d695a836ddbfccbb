"""What the release policies say of this release, as a table of lights: rows are checks, columns policies.

The decisions stand in the run's own record (`run["policies"]`), made by whoever ran the evaluation; nothing is decided here. A cell says
pass, fail or insufficient evidence in words; the reasons are folded below, one line per check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import Results
from manikin.report.blocks import Block, Bullets, Fold, Heading, Light, Lights, Passed, Text, Tone

WORDS = {
    Passed.PASS: "pass",
    Passed.FAIL: "fail",
    Passed.INSUFFICIENT: "too little evidence",
    Passed.FLAG: "red flag",
    Passed.OPEN: "not asked",
}
Decisions = Sequence[Mapping[str, Any]]


def policies(results: Results) -> tuple[Block, ...]:
    """The table of lights with its reasons; nothing where no policy was asked."""
    made = decisions(results)
    if not made:
        return ()
    lights = traffic(made)
    reasons = tuple(
        Fold(f"Policy “{decision.get('policy', '')}”: {told(decision)}", (Bullets(lines),))
        for decision in made
        if (lines := _reasons(decision))
    )
    return (
        Heading("Who may receive it, by the release policies"),
        Text(
            "Each row is a check, each column a policy. A check is held against the unfavourable end of the 95 % interval; “too little "
            "evidence” means that so few rows or targets can neither pass nor fail it. Limits marked “convention” have no regulator "
            "behind them."
        ),
        lights,
        *_steps(made),
        *reasons,
    )


def decisions(results: Results) -> Decisions:
    """The decisions of the run's record that have checks; anything else there is passed over."""
    found = results.run.get("policies")
    listed = found if isinstance(found, list | tuple) else ()
    return [decision for decision in listed if isinstance(decision, Mapping) and isinstance(decision.get("checks"), list | tuple)]


def traffic(made: Decisions) -> Lights:
    """Checks in the order of their first policy, each beside every policy's verdict; a policy without the check leaves it open."""
    names: dict[str, str] = {}
    measured: dict[str, str] = {}
    by_policy: list[dict[str, Mapping[str, Any]]] = []
    for decision in made:
        own = {str(check.get("check", check.get("title", ""))): check for check in decision["checks"] if isinstance(check, Mapping)}
        by_policy.append(own)
        for key, check in own.items():
            names.setdefault(key, str(check.get("title") or key.replace("_", " ")))
            measured[key] = measured.get(key) or str(check.get("measured") or "").replace("[-", "[−")
    rows = tuple((names[key], measured[key], tuple(_light(own.get(key)) for own in by_policy)) for key in names)
    heads = tuple((f"{decision.get('policy', '')}", _light(decision)) for decision in made)
    versions = listed_versions(made)
    return Lights(heads, rows, f"Checks of the release policies{versions}")


def passed(verdict: Any) -> Passed:
    """A verdict as the decisions write it.

    >>> passed("insufficient evidence"), passed("report")
    (<Passed.INSUFFICIENT: 'insufficient'>, <Passed.OPEN: 'open'>)
    """
    word = str(verdict or "").lower()
    if word in ("red flag", "labelled"):
        return Passed.FLAG
    return next((kind for kind in (Passed.PASS, Passed.FAIL, Passed.INSUFFICIENT) if word.startswith(kind.value)), Passed.OPEN)


def told(decision: Mapping[str, Any]) -> str:
    """A decision's verdict with its counts.

    >>> told({"verdict": "fail", "checks": [{"verdict": "fail"}, {"verdict": "pass"}]})
    'fail (1 of 2 checks fails)'
    """
    kinds = [passed(check.get("verdict")) for check in decision.get("checks") or () if isinstance(check, Mapping)]
    judged = [kind for kind in kinds if kind in (Passed.PASS, Passed.FAIL, Passed.INSUFFICIENT)]
    bad, thin = judged.count(Passed.FAIL), judged.count(Passed.INSUFFICIENT)
    parts = [f"{bad} of {len(judged)} checks {'fails' if bad == 1 else 'fail'}"] if bad else []
    beside = "" if bad else f" of {len(judged)} checks"
    parts += [f"{thin}{beside} {'has' if thin == 1 else 'have'} too little evidence"] if thin else []
    word = WORDS[passed(decision.get("verdict"))]
    return f"{word} ({', '.join(parts)})" if parts else word


def listed_versions(made: Decisions) -> str:
    """The versions of the policies, for the caption."""
    named = [f"{decision.get('policy')} v{decision['version']}" for decision in made if decision.get("version")]
    return f" ({', '.join(named)})" if named else ""


def _light(check: Mapping[str, Any] | None) -> Light:
    if check is None:
        return Light(Passed.OPEN, WORDS[Passed.OPEN])
    return Light(passed(check.get("verdict")), _word(check), _limit(check))


def _word(check: Mapping[str, Any]) -> str:
    """The verdict's plain word; what is only shown, labelled or not assessed keeps its own."""
    kind = passed(check.get("verdict"))
    return str(check.get("verdict") or WORDS[kind]) if kind in (Passed.OPEN, Passed.FLAG) else WORDS[kind]


def _steps(made: Decisions) -> tuple[Block, ...]:
    """What no measurement can answer."""
    asked = [(str(decision.get("policy", "")), [str(step) for step in decision.get("steps") or ()]) for decision in made]
    told_steps = "; ".join(f"{policy}: {', '.join(steps)}" for policy, steps in asked if steps)
    if not told_steps:
        return ()
    return (Text(f"This is the verdict on what was measured. People must still answer, before anything leaves: {told_steps}.", Tone.NOTE),)


def _limit(check: Mapping[str, Any]) -> str:
    return str(check.get("limit") or "").replace("<=", "≤").replace(">=", "≥")


def _reasons(decision: Mapping[str, Any]) -> tuple[str, ...]:
    """One line per check, those that fail first, then those with too little evidence."""
    order = (Passed.FAIL, Passed.INSUFFICIENT, Passed.FLAG, Passed.PASS, Passed.OPEN)
    checks = [check for check in decision["checks"] if isinstance(check, Mapping)]
    checks.sort(key=lambda check: order.index(passed(check.get("verdict"))))
    return tuple(_reason(check) for check in checks if check.get("reason") or check.get("measured"))


def _reason(check: Mapping[str, Any]) -> str:
    title = f"{check.get('title') or check.get('check') or ''}: {_word(check)}"
    source = f" Source of the limit: {check['source']}." if check.get("source") else ""
    if str(check.get("reason") or "").startswith(("Measured:", "Limit:", "Not measured")):  # it tells both by itself
        return f"{title}. {check['reason']}{source}"
    figures = [str(check[key]) for key in ("measured",) if check.get(key)]
    figures += [f"limit {_limit(check)}"] if check.get("limit") else []
    kind = f"; {check['kind']}" if check.get("kind") else ""
    told_figures = f" ({'; '.join(figures)}{kind})" if figures else ""
    reason = f" {check['reason']}" if check.get("reason") else ""
    return f"{title}{told_figures}.{reason}{source}"
