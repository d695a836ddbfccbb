"""What one metric says to a question: a sentence, a grade by the unfavourable end of its interval, and its place on a gauge.

Knows no metric by name. A grade is GOOD only where the unfavourable end is inside the limit; one that the favourable end alone would
earn is not sure, and an answer that rests on it says that the evidence is thin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from manikin.evaluation.base import MetricResult, Results
from manikin.report.blocks import Gauge, Level
from manikin.report.dials import found
from manikin.report.plain import Style
from manikin.report.wording import number, span

ORDER = (Level.GOOD, Level.FAIR, Level.POOR)
BEST = 95.0  # percent of the arc


@dataclass(frozen=True)
class Grade:
    """A level, and whether the evidence is enough to be sure of it: the favourable end of the interval is no better."""

    level: Level
    is_sure: bool = True


@dataclass(frozen=True)
class Scale:
    """A gauge's scale: `good` and `fair` are the limits between the three answers, `worst` its end, all as badness (0 is best)."""

    good: float
    fair: float
    worst: float

    def place(self, badness: float) -> float:
        """Where a badness lies, in percent of the arc from the poor end (0) to the good end (100); each answer has a third of it.

        What is no worse than nothing lies a little before the good end, so that its mark does not hang over.

        >>> scale = Scale(0.1, 0.2, 1.0)
        >>> [round(scale.place(x)) for x in (0.0, 0.1, 0.2, 1.0, -0.3, 7.0)]
        [95, 67, 33, 0, 95, 0]
        """
        steps = (0.0, self.good, self.fair, max(self.worst, self.fair * (1 + 1e-9)))
        for i, (low, high) in enumerate(pairwise(steps)):
            if badness <= high and high > low:
                top, bottom = (BEST, 200 / 3) if i == 0 else (100 - 100 / 3 * i, 100 - 100 / 3 * (i + 1))
                return top - (top - bottom) * max(0.0, badness - low) / (high - low)
        return 0.0


@dataclass(frozen=True)
class Reading:
    """What a gauge shows of one figure: its words, and how bad it is with its interval and its reference.

    Attributes
    ----------
    title, value, interval, reference : ready to read; the last two may be empty.
    badness : the figure as badness, with the favourable and the unfavourable end of its interval; `compared` is the reference's.
    limits : the texts at the two limits of the scale.
    """

    title: str
    value: str
    interval: str
    reference: str
    badness: tuple[float, float, float]
    scale: Scale
    limits: tuple[str, str]
    compared: float | None = None


@dataclass(frozen=True)
class Finding:
    """What one metric says to a question: the sentence, empty where there is nothing to tell, its grade, and its place on a gauge."""

    text: str
    grade: Grade
    reading: Reading | None = None


def graded(badness: tuple[float, float], good: float, fair: float) -> Grade:
    """The level of the unfavourable end; unsure where the favourable end would be good."""
    level = Level.GOOD if badness[1] <= good else Level.FAIR if badness[1] <= fair else Level.POOR
    return Grade(level, is_sure=level is Level.GOOD or badness[0] > good)


def answer(findings: Sequence[Finding], answers: tuple[str, str, str, str]) -> tuple[str, Level]:
    """The worst of the levels that are sure; where only unsure ones are worse than good, the fourth answer: the evidence is thin."""
    grades = [finding.grade for finding in findings]
    if not grades:
        return "Not measured", Level.UNKNOWN
    sure = [grade.level for grade in grades if grade.is_sure]
    worst = max(sure, key=ORDER.index, default=Level.GOOD)
    if worst is Level.GOOD and len(sure) < len(grades):
        return answers[3], Level.FAIR
    return answers[ORDER.index(worst)], worst


def deciding(findings: Sequence[Finding]) -> Gauge | None:
    """The gauge of the finding that decides: of those with a place on a scale the one whose unfavourable end lies furthest to the bad."""
    shown = [finding for finding in findings if finding.reading is not None]
    if not shown:
        return None

    def rank(finding: Finding) -> tuple[bool, int, float]:
        """Sure findings before unsure ones of the same level, then the worse unfavourable end."""
        reading = finding.reading
        end = 0.0 if reading is None else -reading.scale.place(reading.badness[2])
        level = finding.grade.level
        return (finding.grade.is_sure and level is not Level.GOOD, ORDER.index(level) if level in ORDER else 0, end)

    chosen = max(shown, key=rank)
    reading = chosen.reading
    assert reading is not None
    value, favourable, unfavourable = (round(reading.scale.place(part), 2) for part in reading.badness)
    return Gauge(
        title=reading.title,
        value=reading.value,
        interval=reading.interval,
        reference=reading.reference,
        at=value,
        span=(unfavourable, favourable),
        reference_at=None if reading.compared is None else round(reading.scale.place(reading.compared), 2),
        limits=reading.limits,
    )


def measured(results: Results, name: str) -> MetricResult | None:
    """The metric of that name, None where it has no figure."""
    metric = found(results, name)
    return None if metric is None or metric.value is None else metric


def findings(results: Results, tell: Mapping[str, Callable[[MetricResult], Finding]]) -> list[Finding]:
    """What the named metrics say, those without a figure left out."""
    known = ((measured(results, name), function) for name, function in tell.items())
    return [function(metric) for metric, function in known if metric is not None]


def ends(metric: MetricResult) -> tuple[float, float]:
    """The interval, or the value twice where none is given."""
    value = float(metric.value or 0.0)
    return metric.interval or (value, value)


def with_interval(metric: MetricResult, style: Style = "score") -> str:
    """The value with its interval in brackets."""
    text = number(metric.value or 0.0, style)
    return text if metric.interval is None else f"{text} (95 % interval {span(metric.interval, style)})"


def reference(metric: MetricResult, phrase: str, style: Style = "score") -> str:
    """The phrase with the reference in it, nothing where there is none."""
    return "" if metric.reference is None else phrase.format(number(metric.reference, style))


def reading(
    metric: MetricResult,
    title: str,
    badness: Callable[[float], float],
    scale: Scale,
    limits: tuple[str, str],
    *,
    style: Style = "score",
    values: tuple[float, float, float] | None = None,
    compared: float | None = None,
    reference_text: str = "",
) -> Reading:
    """A metric's place on a gauge; `values` replaces the figure and its interval, `badness` turns each into badness."""
    low, high = ends(metric)
    value, low, high = values or (float(metric.value or 0.0), low, high)
    two = sorted((badness(low), badness(high)))
    return Reading(
        title=title,
        value=number(value, style),
        interval=span((low, high), style) if metric.interval is not None or values else "",
        reference=reference_text,
        badness=(badness(value), two[0], two[1]),
        scale=scale,
        limits=limits,
        compared=compared,
    )


def unsure(finding: Finding) -> Finding:
    """The same finding, of which the evidence is not enough to be sure."""
    level = Level.FAIR if finding.grade.level is Level.GOOD else finding.grade.level
    return replace(finding, grade=Grade(level, is_sure=False))


def part(metric: MetricResult, *keys: str) -> Any:
    """A value inside a metric's details by its path of keys, None where any is absent."""
    value: Any = metric.details
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
