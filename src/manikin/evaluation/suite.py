"""Runs the metrics and attacks of a release and gathers what its plots are drawn from. Knows none by name: the registries do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from statistics import fmean, variance
from traceback import extract_tb
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset, Table, concat
from manikin.data.errors import ParameterError, parameter_error
from manikin.data.registry import Registry
from manikin.data.schema import Role, TableSchema
from manikin.evaluation import METRICS
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import (
    MODALITIES,
    AttackResult,
    Direction,
    EvaluationData,
    Metric,
    MetricResult,
    Results,
    Section,
    fits,
)
from manikin.evaluation.definition import Definition
from manikin.evaluation.prepared import Prepared, prepare
from manikin.evaluation.records.dispatch import of_linked
from manikin.evaluation.records.linked import LinkedData, joined, prepare_linked
from manikin.evaluation.records.views import views as records_views
from manikin.evaluation.views import views

LOG = logging.getLogger(__name__)
OF_LABELS = ", labels and attributes"  # ends the titles of figures of tables that were taken of the columns beside images
FAILED = "it failed unexpectedly"
TABLE, RECORDS, IMAGES = MODALITIES
WORDS = {TABLE: "one flat table", RECORDS: "linked patients", IMAGES: "images"}
Progress = Callable[[str, int, int], None]


def evaluate(
    data: EvaluationData,
    *,
    seed: int,
    metrics: Sequence[str] | None = None,
    attacks: Sequence[str] | None = None,
    progress: Progress | None = None,
    with_views: bool = True,
) -> Results:
    """Measures and attacks a release: everything in the registries, or what is named, and the views that plots are drawn from.

    Parameters
    ----------
    data : train, holdout and one or several synthetic tables of one schema, images with their labels, or linked patients of one
        `Schema`. Of several releases the metrics are averaged, except those that pool them by rules of their own; an attacker holds all
        their rows at once.
    seed : fixes subsamples, folds and groups; with the same rows, in whatever order, the figures are the same.
    metrics, attacks : names of the registries; all that fit the data by default, without the attacks that retrain the generator where
        none is given.
    with_views : whether to gather what plots are drawn from; without it `views` is empty, which saves seconds where only figures count.
    progress : called with a name, the number of steps done and the number of all steps, before each step and at the end.

    Returns
    -------
    Results : a metric that cannot be computed has the value None and says why in its note. `run` is left empty.

    Raises
    ------
    ParameterError : an unknown metric or attack, one that does not fit the data, or no synthetic table.
    """
    if not data.synthetic:
        raise parameter_error("synthetic", "evaluate", "at least one synthetic table", 0)
    told_by = _tells_beside(data)
    tasks = _tasks(METRICS, metrics, data.modality, beside=told_by)
    tasks += _tasks(ATTACKS, attacks, data.modality, has_refit=data.refit is not None, beside=told_by)
    prepared = _preparing(data.modality)
    releases: list[Any] = [prepared(data, i) for i in range(len(data.synthetic))]
    together = releases[0] if len(releases) == 1 else prepared(replace(data, synthetic=(_joined(data),)))
    n_steps = len(tasks) + with_views
    told = progress or _untold
    results: list[MetricResult] = []
    for i, (registry, name) in enumerate(tasks):
        told(name, i, n_steps)
        seen = [together] if registry is ATTACKS else releases[:1] if getattr(registry[name], "pools", False) else releases
        results.append(_pooled([_measured(registry, name, release, seed) for release in seen]))
    found = tuple(result for result in results if isinstance(result, AttackResult))
    measured = tuple(result for result in results if not isinstance(result, AttackResult))
    made: dict[str, object] = {}
    if with_views:
        told("views", len(tasks), n_steps)
        made = _gathering(data.modality)(releases[0], measured, seed=seed)
    told("done", n_steps, n_steps)
    return Results(measured, made, attacks=found)


def _untold(name: str, done: int, n_steps: int) -> None:
    """Nobody watches."""


def _joined(data: EvaluationData) -> Dataset:
    """All synthetic tables as one; keys are made anew, since those of different tables were made independently and may coincide."""
    if data.is_linked:
        return joined(data.synthetic)
    names = [c.name for c in data.synthetic[0].columns if all(c.name in part.columns for part in data.synthetic)]
    return concat([_rekeyed(part.only(names), i) for i, part in enumerate(data.synthetic)])


def _rekeyed(part: Dataset, number: int) -> Dataset:
    """The table with patient keys that no other table has."""
    keys = [column.name for column in part.columns.with_role(Role.PATIENT_KEY)]
    made = {name: [f"{number}-{record}" for record in part.records.tolist()] for name in keys}
    frame = part.table.frame.assign(**made)
    return part.with_table(Table(frame, {name: mark for name, mark in part.table.marks.items() if name not in made}, part.table.images))


def _preparing(modality: str) -> Callable[..., Any]:
    """What prepares data of this modality."""
    if modality == IMAGES:
        from manikin.evaluation.images.pictures import prepare_images

        return prepare_images
    return prepare_linked if modality == RECORDS else prepare


def _gathering(modality: str) -> Callable[..., dict[str, object]]:
    """What gathers the views of this modality."""
    if modality == IMAGES:
        from manikin.evaluation.images.views import views as images_views

        return images_views
    return records_views if modality == RECORDS else views


def _tasks(
    registry: Registry[Any], names: Sequence[str] | None, modality: str, *, has_refit: bool = True, beside: bool = False
) -> list[tuple[Registry[Any], str]]:
    """What is asked of one registry; an unknown name, and one that does not fit the data, are refused before any work.

    `beside` asks of images, too, what looks at the columns beside them; who names such a figure gets it in any case.
    """
    entries = {name: registry[name] for name in (registry if names is None else dict.fromkeys(names))}
    looks = modality == IMAGES and (beside or names is not None)
    strange = [name for name, entry in entries.items() if not fits(entry, modality) and not (looks and getattr(entry, "beside", False))]
    if names is not None and strange:
        what = WORDS.get(getattr(entries[strange[0]], "modality", TABLE), "other data")
        raise ParameterError(f"The {registry.what} {strange[0]!r} judges {what}, and these data are something else. Leave it out.")
    chosen = [name for name in entries if name not in strange]
    if names is None and not has_refit:
        chosen = [name for name in chosen if not getattr(entries[name], "needs_refit", False)]
    return [(registry, name) for name in chosen]


def _measured(registry: Registry[Any], name: str, data: Prepared | LinkedData, seed: int) -> MetricResult:
    """One figure; a failure that nobody foresaw becomes a note, since hours of fitting must not be lost to one figure."""
    try:
        measure: Metric = registry.load(name)
        with np.errstate(over="ignore"):  # numbers near 1e308 are nonsense and no reason to print numpy's warnings
            if isinstance(data, LinkedData):
                entry = registry[name]
                return of_linked(measure, entry.linked, data, seed=seed, pools=getattr(entry, "pools", False))
            found = measure(data, seed=seed)
            return of_labels(found) if data.modality == IMAGES and _is_of_labels(registry[name]) else found
    except Exception as error:  # metrics are many and some come from elsewhere: no list of what they raise is whole
        place = extract_tb(error.__traceback__)[-1]  # not the message: it may hold a patient's value
        LOG.warning(
            "The %s %s failed with %s at %s:%s.", registry.what, name, type(error).__name__, place.filename, place.lineno
        )
        section = getattr(registry[name], "section", Section.PRIVACY)
        failed = Definition(name, name, section, Direction.REFERENCE).undefined(
            f"{FAILED} ({type(error).__name__}); please report it"
        )
        return failed if registry is METRICS else AttackResult(**{key: getattr(failed, key) for key in vars(failed)})


def _tells_beside(data: EvaluationData) -> bool:
    """Whether these are images and people may be told by the columns beside them."""
    if data.modality != IMAGES or not isinstance(data.schema, TableSchema):
        return False
    from manikin.evaluation.images.beside import beside, may_tell

    return may_tell(beside(data.schema), data.train.n_records)


def _is_of_labels(entry: Any) -> bool:
    return bool(getattr(entry, "labels", False) or getattr(entry, "beside", False))


def of_labels(result: MetricResult) -> MetricResult:
    """A figure of tables that was taken of the columns beside images, by its name."""
    unit = "images" if result.unit == "rows" else result.unit
    return replace(result, title=f"{result.title}{OF_LABELS}", unit=unit)


def _pooled(results: list[MetricResult]) -> MetricResult:
    """The mean over releases; what one of them does not allow is not told of all.

    The variance is the mean variance within a release plus that between releases over their number.
    """
    first = results[0]
    values = [result.value for result in results if result.value is not None]
    if len(results) == 1 or not values:
        return first
    if len(values) < len(results):
        place = next(i for i, result in enumerate(results) if result.value is None)
        return replace(results[place], note=f"{results[place].note} This is so of release {place + 1} of {len(results)}.")
    spreads = [(r.interval[1] - r.interval[0]) / (2 * 1.96) for r in results if r.interval is not None]
    mean = fmean(values)
    interval = None
    if len(spreads) == len(results):
        half = 1.96 * sqrt(fmean(spread**2 for spread in spreads) + variance(values) / len(values))
        interval = (mean - half, mean + half)
    details = {"releases": values, **first.details}
    note = f"{first.note} The mean of {len(values)} releases; parts are of the first.".strip()
    return replace(first, value=round(mean, 6), interval=interval, details=details, note=note)
