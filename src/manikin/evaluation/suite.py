"""Runs the metrics of a release and gathers what its plots are drawn from. Knows no metric by name: the registry does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from statistics import fmean, variance
from traceback import extract_tb

from manikin.data.errors import parameter_error
from manikin.evaluation import METRICS
from manikin.evaluation.base import Direction, EvaluationData, Metric, MetricResult, Results
from manikin.evaluation.definition import Definition
from manikin.evaluation.prepared import Prepared, prepare
from manikin.evaluation.views import views

LOG = logging.getLogger(__name__)
FAILED = "it failed unexpectedly"
Progress = Callable[[str, int, int], None]


def evaluate(
    data: EvaluationData,
    *,
    seed: int,
    metrics: Sequence[str] | None = None,
    progress: Progress | None = None,
    with_views: bool = True,
) -> Results:
    """Measures a release: every metric of the registry, or the named ones, and the views that plots are drawn from.

    Parameters
    ----------
    data : train, holdout and one or several synthetic tables of one schema. Of several releases the metrics are averaged.
    seed : fixes subsamples, folds and groups; with the same rows, in whatever order, the figures are the same.
    metrics : names of the registry; all by default.
    with_views : whether to gather what plots are drawn from; without it `views` is empty, which saves seconds where only figures count.
    progress : called with a name, the number of steps done and the number of all steps, before each step and at the end.

    Returns
    -------
    Results : a metric that cannot be computed has the value None and says why in its note. `run` is left empty.

    Raises
    ------
    ParameterError : an unknown metric, or no synthetic table.
    """
    if not data.synthetic:
        raise parameter_error("synthetic", "evaluate", "at least one synthetic table", 0)
    names = list(METRICS) if metrics is None else list(dict.fromkeys(metrics))
    for name in names:
        METRICS[name]  # an unknown name is refused before any work
    releases = [prepare(data, i) for i in range(len(data.synthetic))]
    steps = [*names, "views"] if with_views else names
    results = []
    for i, name in enumerate(names):
        if progress is not None:
            progress(name, i, len(steps))
        results.append(_pooled([_measured(name, release, seed) for release in releases]))
    made: dict[str, object] = {}
    if with_views:
        if progress is not None:
            progress("views", len(names), len(steps))
        made = views(releases[0], results, seed=seed)
    if progress is not None:
        progress("done", len(steps), len(steps))
    return Results(tuple(results), made)


def _measured(name: str, data: Prepared, seed: int) -> MetricResult:
    """One metric; a failure that nobody foresaw becomes a note, since hours of fitting must not be lost to one figure."""
    try:
        measure: Metric = METRICS.load(name)
        return measure(data, seed=seed)
    except Exception as error:  # metrics are many and some come from elsewhere: no list of what they raise is whole
        place = extract_tb(error.__traceback__)[-1]  # not the message: it may hold a patient's value
        LOG.warning("The metric %s failed with %s at %s:%s.", name, type(error).__name__, place.filename, place.lineno)
        definition = Definition(name, name, METRICS[name].section, Direction.REFERENCE)
        return definition.undefined(f"{FAILED} ({type(error).__name__}); please report it")


def _pooled(results: list[MetricResult]) -> MetricResult:
    """The mean over releases. The variance is the mean variance within a release plus that between releases over their number."""
    first = results[0]
    values = [result.value for result in results if result.value is not None]
    if len(results) == 1 or len(values) < len(results):
        return first
    spreads = [(r.interval[1] - r.interval[0]) / (2 * 1.96) for r in results if r.interval is not None]
    mean = fmean(values)
    interval = None
    if len(spreads) == len(results):
        half = 1.96 * sqrt(fmean(spread**2 for spread in spreads) + variance(values) / len(values))
        interval = (mean - half, mean + half)
    details = {"releases": values, **first.details}
    note = f"{first.note} The mean of {len(values)} releases; parts are of the first.".strip()
    return replace(first, value=round(mean, 6), interval=interval, details=details, note=note)
