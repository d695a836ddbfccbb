"""What the built-in policies would say of a release, as plain values for results.json and the report. Lets nothing out.

The gate (`release`) judges again, with what people have answered; here only what was measured is judged, and the open answers are named.
"""

from __future__ import annotations

from typing import Any

from manikin.data.schema import Column
from manikin.evaluation.base import Results
from manikin.release.judgement import Decision, Outcome, Verdict, judge, words
from manikin.release.measures import Evidence
from manikin.release.policy import BUILT_IN, load_policy

PLAIN = {Verdict.INSUFFICIENT: "insufficient"}


def verdicts(
    results: Results,
    *,
    n_patients: int,
    modality: str,
    beside: tuple[Column, ...] = (),
    epsilon: float | None = None,
    delta: float | None = None,
) -> list[dict[str, Any]]:
    """The decision of each built-in policy, the laxest first.

    Parameters
    ----------
    n_patients : that the generator learned from. modality : what they are: a "table", "records" of linked patients, "images".
    beside : the columns beside images.
    epsilon, delta : the budget that it kept, if it kept one.

    Returns
    -------
    list : `policy`, `version`, `verdict` of the checks together (pass, fail, insufficient), `statement`, `steps` that a person must still
        answer, and `checks`: `check`, `title`, `verdict`, `measured`, `limit`, `reason`, `kind` of what stands behind the limit, and its
        `source`.
    """
    evidence = Evidence(results, n_patients, epsilon, delta, modality=modality, beside=beside)
    return [_told(judge(load_policy(name), evidence, {})) for name in BUILT_IN]


def _told(decision: Decision) -> dict[str, Any]:
    measured_only = Decision(decision.policy, decision.outcomes)
    return {
        "policy": decision.policy.name,
        "version": str(decision.policy.version),
        "verdict": _plain(measured_only.verdict),
        "statement": measured_only.statement,
        "steps": [outcome.step.title for outcome in decision.steps if outcome.verdict is Verdict.INSUFFICIENT],
        "checks": [_check(outcome) for outcome in decision.outcomes],
    }


def _check(outcome: Outcome) -> dict[str, Any]:
    check, figure = outcome.check, outcome.figure
    measured = "not measured"
    if figure.value is not None:
        measured = words(figure.value, check.style)
        if figure.interval is not None and not check.exact:
            low, high = (words(end, check.style).removesuffix(" %") for end in figure.interval)
            measured += f" [{low}, {high}]"
    limit = "" if check.limit is None else f"{'<=' if check.at_most is not None else '>='} {words(check.limit, check.style)}"
    return {
        "check": check.name,
        "title": check.title,
        "verdict": _plain(outcome.verdict),
        "measured": measured,
        "limit": limit,
        "reason": outcome.reason,
        "kind": check.kind if check.limit is not None else "",
        "source": check.source if check.limit is not None else "",
    }


def _plain(verdict: Verdict) -> str:
    return PLAIN.get(verdict, str(verdict))
