"""How a metric is defined: its name, question and direction, and what happens when it cannot be computed. Knows no metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol

from manikin.evaluation.base import Direction, EvaluationData, Metric, MetricResult, Section
from manikin.evaluation.prepared import Prepared, prepare

Interval = tuple[float, float]


class UndefinedMetricError(Exception):
    """The data do not allow the figure (one row, no target, nothing missing, …); `measured` turns it into a note."""


class Measure(Protocol):
    """The body of a metric: it works on prepared data and may raise UndefinedMetricError."""

    def __call__(self, data: Prepared, *, seed: int) -> MetricResult:
        """Measures."""
        ...


@dataclass(frozen=True)
class Definition:
    """What a metric is called, which question it answers and which way is better."""

    name: str
    title: str
    section: Section
    direction: Direction
    unit: str = "rows"

    def result(
        self,
        value: float,
        *,
        n: int,
        interval: Interval | None = None,
        reference: float | None = None,
        reference_interval: Interval | None = None,
        details: Mapping[str, Any] | None = None,
        note: str = "",
    ) -> MetricResult:
        """The measured figure; numbers are rounded to six digits, what is not finite becomes None."""
        if not math.isfinite(value):
            return self.undefined("the figure is not finite on these data", n=n)
        return MetricResult(
            name=self.name,
            title=self.title,
            section=self.section,
            direction=self.direction,
            value=rounded(value),
            interval=_pair(interval),
            n=int(n),
            unit=self.unit,
            reference=rounded(reference),
            reference_interval=_pair(reference_interval),
            details=clean(details or {}),
            note=note,
        )

    def undefined(self, reason: str, *, n: int = 0) -> MetricResult:
        """The result of a metric that cannot be computed, with the reason as its note."""
        return MetricResult(
            name=self.name,
            title=self.title,
            section=self.section,
            direction=self.direction,
            value=None,
            n=int(n),
            unit=self.unit,
            note=f"Not computed: {reason}.",
        )


def measured(definition: Definition, *, min_rows: int = 2) -> Callable[[Measure], Metric]:
    """Makes a metric of a measure: prepares the data, asks for `min_rows` rows on every side, and notes what is undefined."""

    def decorate(measure: Measure) -> Metric:
        """The metric of one measure, under the measure's own name and docstring."""

        @wraps(measure)
        def metric(data: EvaluationData, *, seed: int) -> MetricResult:
            """Measures where there is something to measure, and says why where there is not."""
            prepared = prepare(data)
            reason = unmet(prepared, min_rows)
            if reason:
                return definition.undefined(reason)
            try:
                return measure(prepared, seed=seed)
            except UndefinedMetricError as reason:
                return definition.undefined(str(reason))

        return metric

    return decorate


def unmet(data: Prepared, min_rows: int) -> str:
    """Why nothing can be measured: too few rows on a side, or no column; empty where it can."""
    sizes = {"train": data.real, "holdout": data.held, "synthetic": data.fake}
    for side, sample in sizes.items():
        if len(sample) < min_rows:
            return f"the {side} data have {len(sample)} rows and at least {min_rows} are needed"
    return "" if data.features else "the tables share no column that is judged"


def rounded(value: float | None, digits: int = 6) -> float | None:
    """A plain float with at most so many decimals; None for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits)


def clean(value: Any) -> Any:
    """The same value with plain JSON types only: floats rounded and finite or None, tuples as lists, arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): clean(part) for key, part in value.items()}
    if hasattr(value, "tolist"):
        return clean(value.tolist())
    if isinstance(value, list | tuple):
        return [clean(part) for part in value]
    return rounded(value) if isinstance(value, float) else value


def _pair(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    low, high = rounded(interval[0]), rounded(interval[1])
    return None if low is None or high is None else (low, high)
