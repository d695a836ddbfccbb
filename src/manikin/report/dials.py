"""A measured figure becomes a dial: value, 95 % interval, reference, what it rests on and which way is better. Knows no page."""

from __future__ import annotations

import math
from collections.abc import Iterable

from manikin.evaluation.base import MetricResult, Results, Section
from manikin.report.blocks import Dial, Dials
from manikin.report.plain import Plain
from manikin.report.wording import DIRECTIONS, METRICS, number, span, whole

NOT_GIVEN = "not given"
_ZOOMS = (
    0.5,
    0.8,
    0.9,
)  # where a scale of 0 to 1 may begin when all its figures lie near 1; its end is then written as a number


def dials(results: Results, *sections: Section, leave_out: Iterable[str] = ()) -> tuple[Dials, ...]:
    """The dials of all metrics that answer these questions, those without a figure last; no block where there is none."""
    skipped = set(leave_out)
    chosen = [m for m in results.figures if m.section in sections and m.name not in skipped]
    chosen.sort(key=lambda metric: metric.value is None)
    return (Dials(tuple(dial(metric) for metric in chosen)),) if chosen else ()


def found(results: Results, name: str) -> MetricResult | None:
    """The metric of that name, None where it was not asked for."""
    return next((metric for metric in results.figures if metric.name == name), None)


def dial(metric: MetricResult) -> Dial:
    """One metric on its scale. A metric without a figure keeps its place and says why in its note."""
    plain = METRICS.get(metric.name, Plain(meaning="", low=None, high=None))
    arrow, direction = DIRECTIONS[metric.direction]
    low, high = _scale(metric, plain)
    reference = NOT_GIVEN if metric.reference is None else number(metric.reference, plain.style)
    if metric.reference is not None and metric.reference_interval is not None:
        reference = f"{reference} ({span(metric.reference_interval, plain.style)})"
    return Dial(
        name=metric.name,
        title=metric.title if metric.title != metric.name else metric.name.replace("_", " ").capitalize(),
        value="Not measured" if metric.value is None else number(metric.value, plain.style),
        interval=NOT_GIVEN if metric.interval is None else span(metric.interval, plain.style),
        reference=reference,
        n=f"{whole(metric.n)} {metric.unit}",
        direction=direction,
        arrow=arrow,
        low=plain.low_text if plain.low_text and low == (plain.low or 0.0) else _end(low, plain),
        high=plain.high_text or _end(high, plain),
        at=None if metric.value is None else _place(metric.value, low, high),
        span=None
        if metric.interval is None
        else (_place(metric.interval[0], low, high), _place(metric.interval[1], low, high)),
        reference_at=None if metric.reference is None or metric.value is None else _place(metric.reference, low, high),
        meaning=plain.meaning,
        note=metric.note,
    )


def _scale(metric: MetricResult, plain: Plain) -> tuple[float, float]:
    """The ends of the scale: the metric's own where it has them, else wide enough for its figures; they always hold every figure."""
    known = [metric.value, metric.reference, *(metric.interval or ()), *(metric.reference_interval or ())]
    figures = [figure for figure in known if figure is not None] or [0.0, 1.0]
    least, most = min(figures), max(figures)
    low = 0.0 if plain.low is None else plain.low
    if least < low:
        low = -_round_up(-least) if least < 0 else least
    if plain.high is None:
        smallest = 0.02 if plain.style == "percent" else 1.0
        return low, _round_up(max(most, smallest))
    if plain.zooms:
        low = max([low, *(end for end in _ZOOMS if end <= least - 0.02)])
    return low, max(plain.high, most)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten above, so that a scale ends at a round number."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _end(value: float, plain: Plain) -> str:
    return (f"{100 * value:.3g} %" if plain.style == "percent" else f"{value:.3g}").replace("-", "−")


def _place(value: float, low: float, high: float) -> float:
    """Position in percent of the scale, in [0, 100]."""
    return round(min(100.0, max(0.0, 100 * (value - low) / (high - low))), 2)
