"""Time to event: are survival curves, censoring and hazard ratios as in the real data? Also what a survival plot is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.by_group import by_group, subgroup_values
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.group_fidelity import with_subgroups
from manikin.evaluation.groups import Group, Part, groups
from manikin.evaluation.hazard_ratios import hazard_ratios
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.levels import patients_per_level
from manikin.evaluation.prepared import Feature, Prepared, Sample
from manikin.evaluation.shapes import grouped
from manikin.evaluation.survival_curves import Clock, Followed, clock, distances, followed, horizon

Floats = npt.NDArray[np.float64]
MAX_ROWS = 20_000
MAX_ARMS = 6
ARM_WORDS = frozenset({"arm", "rx", "trt", "treat", "treatment", "treated", "therapy", "randomised", "randomized", "allocation"})
N_STEPS = 40
N_CURVES = 8
EVERYBODY = "everybody"
TIME_TO_EVENT = Definition("time_to_event", "Survival curves (distance)", Section.FIDELITY, Direction.LOWER)


@measured(TIME_TO_EVENT)
def time_to_event(data: Prepared, *, seed: int) -> MetricResult:
    """Mean absolute difference over the follow-up between the survival curves of train and synthetic rows; in [0, 1], 0 is best.

    1/τ ∫₀^τ |S_train - S_synthetic| dt, S the Kaplan-Meier estimate, τ the last time at which 5 % of train rows are still under
    observation: so far may the mean survival time within τ be off, as a share of τ. The columns are those with the roles time and event;
    every level of the event column but the one for censored counts as the event. Rows without one of the two are left out. The
    reference is the holdout's, at equal n. `subgroups` holds it by treatment arm (columns of that name) and by groups of patients.
    Details give the same distance of the censoring distributions, the share of events, and the log hazard ratios of one Cox model
    fitted on every side (see `hazard_ratios`).
    """
    of = clock(data)
    real, held, fake = (followed(of, side.sample, side.groups) for side in grouped(data, cap=MAX_ROWS, seed=seed))
    if min(len(held), len(fake)) < 2:
        raise UndefinedMetricError("no row of the holdout or synthetic data holds both a follow-up time and an event")
    end = horizon(real, data.schema.min_patients)
    survival, censoring = distances(real, fake, end)
    reference, censoring_reference = distances(real, held, end)
    arms = arm_groups(data, of)
    columns = [column for arm in arms for column in arm.columns]
    named = [*arms, *(group for group in groups(data) if not {*columns, of.time.name, of.event.name} & {*group.columns})]
    within = by_group(data, (of.time, of.event), lambda a, b, asked: _distance(a, b, asked, of, end), named=named)
    made = TIME_TO_EVENT.result(
        float(survival[0]),
        interval=replicate_interval(survival, low=0.0, high=1.0),
        n=len(fake),
        reference=float(reference[0]),
        reference_interval=replicate_interval(reference, low=0.0, high=1.0),
        details={
            "time": of.time.name,
            "event": of.event.name,
            "censoring": float(censoring[0]),
            "censoring_reference": float(censoring_reference[0]),
            "events_train": float(real.is_event.mean()),
            "events_holdout": float(held.is_event.mean()),
            "events_synthetic": float(fake.is_event.mean()),
            **hazard_ratios(data, of, columns, seed=seed),
            "groups": within,
        },
        note=_note(of),
    )
    return with_subgroups(made, subgroup_values(within))


def _note(of: Clock) -> str:
    n_levels = len(of.event.levels or ())
    if n_levels <= 2:
        return ""
    return f"{of.event.name} has {n_levels} levels; the {len(of.seen)} that do not say censored count as one event."


def arm_groups(data: Prepared, of: Clock) -> list[Group]:
    """The arms of columns whose name says treatment, at most six levels each, none that fewer train patients hold than the threshold."""
    from manikin.io.column_names import words

    made = []
    for feature in data.features:
        is_arm = bool(ARM_WORDS.intersection(words(feature.name))) and feature.name not in (of.time.name, of.event.name)
        if feature.is_number or not is_arm or not 2 <= len(feature.levels or ()) <= MAX_ARMS:
            continue
        patients = patients_per_level(data.real, feature)
        least = max(data.schema.min_patients, data.schema.threshold(feature.column))
        for code, level in enumerate(feature.levels or ()):
            if patients[code] >= least:
                made.append(Group((Part(feature.name, level, code=code),), int(patients[code])))
    return made


def _distance(real: Sample, other: Sample, asked: Sequence[Feature], of: Clock, end: float) -> float | None:
    if len(asked) < 2:
        return None
    first, second = followed(of, real), followed(of, other)
    if min(len(first), len(second)) < 2:
        return None
    return float(distances(first, second, end)[0][0])


def survival_view(data: Prepared) -> dict[str, Any]:
    """What survival curves are drawn from: everybody first, then arms and groups; {} where no columns of time and event are named.

    Times are rounded, and between two of them lie at least as many events of train as the schema's threshold of patients, so that no step
    is one patient's; a curve ends where fewer are left.
    """
    try:
        of = clock(data)
    except UndefinedMetricError:
        return {}
    curves: list[dict[str, Any]] = []
    single = [group for group in groups(data) if len(group.columns) == 1]
    for name, group in [(EVERYBODY, None), *((group.name, group) for group in (*arm_groups(data, of), *single))]:
        if len(curves) == N_CURVES:
            break
        sides = []
        for sample in (data.real, data.fake):
            rows = sample if group is None else sample.take(np.flatnonzero(group.holds(sample)))
            sides.append(followed(of, rows))
        times = _steps(sides[0], data.schema.min_patients)
        if len(times) > 1 and len(sides[1]):
            n = {"train": len(sides[0]), "synthetic": len(sides[1])}
            bands = dict(zip(("train", "synthetic"), (_band(side, times) for side in sides), strict=True))
            curves.append({"group": name, "n": n, "times": times, **bands})
    return {"time": of.time.name, "event": of.event.name, "curves": curves} if curves else {}


def _steps(real: Followed, least: int) -> Floats:
    """0, then rounded times between which `least` events of train lie or more."""
    events = np.sort(real.times[real.is_event])
    each = max(least, -(-len(events) // N_STEPS))
    rounded = np.unique([float(f"{time:.3g}") for time in events])
    made, passed = [0.0], 0
    for time in rounded:
        upto = int(np.searchsorted(events, time, side="right"))
        if upto - passed >= each and time > made[-1]:
            made.append(float(time))
            passed = upto
    return np.array(made)


def _band(rows: Followed, times: Floats) -> dict[str, Floats]:
    """Survival at each time with its pointwise 95 % band on the log-log scale (Greenwood's variance), (n_times,) each."""
    grid, place = np.unique(rows.times, return_inverse=True)
    leaving = np.bincount(place, minlength=len(grid)).astype(float)
    events = np.bincount(place[rows.is_event], minlength=len(grid)).astype(float)
    at_risk = np.cumsum(leaving[::-1])[::-1]
    survival = np.concatenate([[1.0], np.cumprod(1 - events / at_risk)])
    terms = np.divide(events, at_risk * (at_risk - events), out=np.zeros_like(events), where=at_risk > events)
    variance = np.concatenate([[0.0], np.cumsum(terms)])
    at = np.searchsorted(grid, times, side="right")
    S, spread = survival[at], np.sqrt(variance[at])
    inside = (S > 0) & (S < 1)
    logs = np.log(np.where(inside, S, 0.5))
    half = np.where(inside, 1.96 * spread / np.abs(logs), 0.0)
    low, high = np.where(inside, S ** np.exp(half), S), np.where(inside, S ** np.exp(-half), S)
    return {"survival": np.round(S, 4), "low": np.round(low, 4), "high": np.round(high, 4)}
