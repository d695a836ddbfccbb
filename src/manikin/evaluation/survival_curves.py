"""Kaplan-Meier curves of the columns that the schema calls time and event, and how far two of them are apart. Knows no Cox model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.intervals import N_GROUPS, with_replicates
from manikin.evaluation.prepared import Feature, Prepared, Sample

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
# Levels that say that the event was not seen.
CENSORED = frozenset({"0", "no", "n", "false", "f", "none", "censored", "cens", "alive", "living", "lost"})
LEAST_AT_RISK = 0.05  # curves are compared as long as this share of train is still under observation
MIN_EVENTS = 5


@dataclass(frozen=True)
class Clock:
    """Which columns hold follow-up and event, and which level numbers of the latter mean that the event was seen."""

    time: Feature
    event: Feature
    seen: frozenset[int]

    def times(self, sample: Sample) -> tuple[Floats, Flags, Flags]:
        """Follow-up and whether the event was seen, of the rows that hold both (times not below 0), and which rows these are."""
        time = sample.values[self.time.name]
        with np.errstate(invalid="ignore"):
            is_known = (sample.marks[self.event.name] == 0) & (time >= 0)
        is_seen = np.isin(sample.values[self.event.name], list(self.seen))
        return time[is_known], is_seen[is_known], is_known


@dataclass(frozen=True)
class Followed:
    """Rows of one side with a follow-up: times, whether the event was seen, and the replicate group of each row."""

    times: Floats
    is_event: Flags
    groups: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.times)


def clock(data: Prepared) -> Clock:
    """The columns with the roles time and event.

    Raises
    ------
    UndefinedMetricError : the schema names no such pair, or not of a number and of levels; says how to name it.
    """
    roles = {role: [f for f in data.features if f.column.has_role(role)] for role in (Role.TIME, Role.EVENT)}
    if not all(roles.values()):
        raise UndefinedMetricError(
            "no columns of follow-up time and event are named; give them the roles time and event in schema.toml, "
            "or say --time COL --event COL"
        )
    time, event = roles[Role.TIME][0], roles[Role.EVENT][0]
    if not time.is_number or time.column.kind.is_time:
        raise UndefinedMetricError(f"the time column {time.name!r} holds no durations")
    if event.is_number:
        raise UndefinedMetricError(
            f"the event column {event.name!r} is read as a number; make it boolean or categorical in schema.toml"
        )
    return Clock(time, event, seen_levels(event))


def seen_levels(event: Feature) -> frozenset[int]:
    """All levels but the one for censored: one called so, or else the first (the smallest number)."""
    levels = event.levels or ()
    named = {i for i, level in enumerate(levels) if level.strip().lower() in CENSORED}
    if named:
        return frozenset(range(len(levels))) - named
    declared = {level: place for place, level in enumerate(event.column.levels or ())}
    order = sorted(range(len(levels)), key=lambda i: (declared.get(levels[i], len(declared)), _number(levels[i]), levels[i]))
    return frozenset(order[1:])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


def followed(of: Clock, sample: Sample, groups: npt.NDArray[np.int64] | None = None) -> Followed:
    """The rows of a sample that hold follow-up and event."""
    times, is_event, is_known = of.times(sample)
    return Followed(times, is_event, None if groups is None else groups[is_known])


def horizon(real: Followed, least: int) -> float:
    """Until when curves are compared: the last time at which 5 % of train rows, and `least` rows, are under observation."""
    n_left = max(least, int(np.ceil(LEAST_AT_RISK * len(real))))
    if len(real) < n_left or real.is_event.sum() < MIN_EVENTS:
        raise UndefinedMetricError(f"train holds fewer than {MIN_EVENTS} events or {least} follow-up times")
    end = float(np.sort(real.times)[-n_left])
    if end <= 0:
        raise UndefinedMetricError("train holds no follow-up above 0")
    return end


def distances(real: Followed, other: Followed, end: float) -> tuple[Floats, Floats]:
    """Mean absolute difference over [0, end] of the two survival curves, and of the two curves of staying uncensored; in [0, 1].

    1/τ ∫₀^τ |S₁(t) - S₂(t)| dt with S the Kaplan-Meier estimate (1958, doi:10.1080/01621459.1958.10501452); each (N_REPLICATES + 1,) where
    rows have groups: on all rows, then on each replicate; else (1,). After the last follow-up a curve goes on as it stands.
    """
    grid = np.unique(np.concatenate([real.times, other.times]))
    starts = np.clip(grid, 0, end)
    widths = np.diff(np.append(starts, end)) / end
    first, second = curves(real, grid), curves(other, grid)
    survival, censoring = (np.asarray(np.abs(a - b) @ widths, dtype=float) for a, b in zip(first, second, strict=True))
    return survival, censoring


def curves(rows: Followed, grid: Floats) -> tuple[Floats, Floats]:
    """Survival, and the chance to be uncensored, just after each time of a grid that holds all times; (n_replicates, n_times) each."""
    place = np.searchsorted(grid, rows.times)
    leaving, events = _counts(rows, place, len(grid)), _counts(rows, place[rows.is_event], len(grid), only=rows.is_event)
    at_risk = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
    survival = np.cumprod(1 - _ratio(events, at_risk), axis=1)
    # At a tie the event comes first, so that whoever has it is not at risk of being censored.
    censoring = np.cumprod(1 - _ratio(leaving - events, at_risk - events), axis=1)
    return np.asarray(survival, dtype=float), np.asarray(censoring, dtype=float)


def _counts(rows: Followed, place: npt.NDArray[np.int64], n_times: int, *, only: Flags | None = None) -> Floats:
    if rows.groups is None:
        return np.asarray(np.bincount(place, minlength=n_times)[None].astype(float))
    groups = rows.groups if only is None else rows.groups[only]
    counts = np.bincount(groups * n_times + place, minlength=N_GROUPS * n_times)
    return with_replicates(counts.reshape(N_GROUPS, n_times))


def _ratio(count: Floats, of: Floats) -> Floats:
    return np.divide(count, of, out=np.zeros_like(count), where=of > 0)
