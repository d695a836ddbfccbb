"""What the figures of linked patients say to whether they resemble real ones; each a sentence and a grade, as in `answers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from manikin.evaluation.base import MetricResult
from manikin.report.blocks import Level
from manikin.report.findings import Finding, Grade, ends, graded, part, reference, with_interval
from manikin.report.wording import number, whole

LOSS_GOOD, LOSS_FAIR = 0.03, 0.12  # of a score or an R² lost against unseen real patients, as for single columns
LATE_GOOD, LATE_FAIR = 0.001, 0.01  # share of rows at an impossible time beyond the real ones


def _keys(metric: MetricResult) -> Finding:
    wrong = int(part(metric, "n_wrong") or 0)
    if not wrong:
        return Finding("Every key leads to a row, is unique and is no real patient's.", Grade(Level.GOOD))
    verb = "key is" if wrong == 1 else "keys are"
    return Finding(f"{whole(wrong)} {verb} wrong: lost, repeated or a real patient's.", Grade(Level.POOR))


def _times(metric: MetricResult) -> Finding:
    best = metric.reference or 0.0
    low, high = ends(metric)
    fresh = reference(metric, "; {} of unseen real ones do", "percent")
    text = f"{with_interval(metric, 'percent')} of the rows stand at a time that cannot be (outside their stay, before birth, …){fresh}."
    return Finding(text, graded((low - best, high - best), LATE_GOOD, LATE_FAIR))


def _codes(metric: MetricResult) -> Finding:
    return _lost(metric, "How frequent codes are is kept to an R² of {}", "unseen real patients reach {}")


def _steps(metric: MetricResult) -> Finding:
    return _lost(metric, "What follows what agrees to {}", "for unseen real patients it is {}")


def _lost(metric: MetricResult, said: str, fresh: str) -> Finding:
    best = 1.0 if metric.reference is None else metric.reference
    low, high = ends(metric)
    text = said.format(with_interval(metric))
    text += "" if metric.reference is None else f"; {fresh.format(number(metric.reference))}"
    return Finding(f"{text}.", graded((best - high, best - low), LOSS_GOOD, LOSS_FAIR))


FINDINGS: Mapping[str, Callable[[MetricResult], Finding]] = {
    "code_prevalence": _codes,
    "transitions": _steps,
    "chronology": _times,
    "key_integrity": _keys,
}
