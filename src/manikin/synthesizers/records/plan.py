"""The plan of a record, drawn with the static fields before any event: how often what will come, at what level, for how long.

A slot is a frequent key (say, one laboratory test) or all the rest of a table. Every number of the plan is a group of at least `fewest`
patients, and what is drawn lies within its group. Knows tokens and days, not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ModelFolderError
from manikin.training.networks.any_order import TokenColumn, hidden_width
from manikin.training.networks.event_history import History, Plan, Vocabulary
from manikin.training.networks.event_transformer import PlanSlots, TableFields
from manikin.training.objectives.any_order import log_marginals

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
COUNT_BINS, LEVEL_BINS, LENGTH_BINS = 14, 10, 20
DRIFT_FROM = 300  # patients; fewer cannot tell how numbers drift, and what little they say makes levels worse
POWERS = (0.125, 8.0)


@dataclass(frozen=True)
class Groups:
    """Groups of a number: group g holds what lies from low[g] to high[g]. Group 0 may be "none at all" (has_none), whose number is 0.

    Numbers of a group lie at low + (high - low) * u ** power, u even on [0, 1], so that their mean is that of the group in training.
    """

    low: Floats
    high: Floats
    has_none: bool
    power: Floats

    def __len__(self) -> int:
        return len(self.low)

    def tokens(self, numbers: Floats) -> npt.NDArray[np.int32]:
        """The group of each number; NaN, and 0 where there is a group of none, is that group."""
        first = int(self.has_none)
        out = np.minimum(first + np.searchsorted(self.high[first:-1], np.nan_to_num(numbers), side="left"), len(self) - 1)
        if self.has_none:
            out = np.where(np.isnan(numbers) | (numbers == 0), 0, out)
        return out.astype(np.int32)

    def draw(self, tokens: npt.NDArray[np.int32], uniform: Floats, *, is_whole: bool) -> Floats:
        """A number of each group."""
        low, high, share = self.low[tokens], self.high[tokens], uniform ** self.power[tokens]
        return np.minimum(low + np.floor(share * (high - low + 1)), high) if is_whole else low + share * (high - low)

    def scales(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Rank and standardised number of each group, float32 (n_groups,); NaN for none."""
        n, first = len(self), int(self.has_none)
        positions, values = np.full(n, np.nan, dtype=np.float32), np.full(n, np.nan, dtype=np.float32)
        positions[first:] = np.linspace(-1, 1, n - first)
        middle = ((self.low + self.high) / 2)[first:]
        middle = np.sign(middle) * np.log1p(np.abs(middle))
        if len(middle):
            values[first:] = np.clip((middle - middle.mean()) / (middle.std() or 1.0), -4, 4)
        return positions, values

    def column(self, tokens: npt.NDArray[np.int32]) -> TokenColumn:
        """The field as networks know it."""
        marginals = log_marginals(tokens, len(self))
        return TokenColumn(len(self), *self.scales(), marginals, hidden_width(marginals))


def grouped(numbers: Floats, *, most: int, fewest: int, has_none: bool, is_whole: bool = False) -> Groups:
    """At most `most` groups of at least `fewest` patients each; 0 and NaN are a group of their own if `has_none`.

    The `fewest` most extreme patients at either end lie inside the range of the rest. Numbers of fewer patients are not told: they are 1.
    """
    sure = np.sort(numbers[~np.isnan(numbers) & (numbers != 0)] if has_none else np.nan_to_num(numbers))
    low, high, power = ([0.0], [0.0], [1.0]) if has_none else ([], [], [])
    if len(sure) < fewest:
        if len(sure) or not has_none:
            low, high, power = [*low, 1.0], [*high, 1.0], [*power, 1.0]
        return Groups(np.array(low), np.array(high), has_none, np.array(power))
    folded = _folded(sure, fewest, is_whole=is_whole)
    least = int(np.ceil(max(fewest, len(sure) / most)))
    at = 0
    while at < len(sure):
        stop = int(np.searchsorted(folded, folded[min(at + least, len(sure)) - 1], side="right"))
        if stop < len(sure) and sure[at] < folded[at] == folded[stop - 1]:  # the lowest alone would be one number
            stop = int(np.searchsorted(folded, folded[stop], side="right"))
        if len(sure) - stop < least or folded[stop] == folded[-1] < sure[-1]:  # too few are left, or the highest alone
            stop = len(sure)
        low.append(float(folded[at]))
        high.append(float(folded[stop - 1]))
        power.append(_power(low[-1], high[-1], float(sure[at:stop].mean()), is_whole=is_whole))
        at = stop
    return Groups(np.array(low), np.array(high), has_none, np.array(power))


def _folded(sure: Floats, fewest: int, *, is_whole: bool) -> Floats:
    """Rising numbers, those of the `fewest` patients at either end brought to that of the innermost of them; all the same where few are."""
    if len(sure) < 2 * fewest:
        middle = float(np.median(sure))
        return np.full(len(sure), np.round(middle) if is_whole else middle)
    return np.clip(sure, sure[fewest - 1], sure[-fewest])


def _power(low: float, high: float, mean: float, *, is_whole: bool) -> float:
    """The power with which numbers of a group have about this mean: above 1 where most of them lie low."""
    if high <= low:
        return 1.0
    width, above = (high - low + 1, mean - low + 0.5) if is_whole else (high - low, mean - low)
    return float(np.clip(np.round(width / max(above, 1e-9) - 1, 2), *POWERS))


@dataclass(frozen=True)
class PlanFields:
    """The plan's fields: the days, all events, then for each slot its count and, where its key has a number, its level and its drift.

    The level is the mean of the slot's numbers, the drift half of what they rise from the first to the last, by least squares.
    """

    slots: PlanSlots
    days: Groups
    total: Groups
    counts: tuple[Groups, ...]
    levels: tuple[tuple[Groups, Groups] | None, ...]

    @property
    def n(self) -> int:
        """Fields of the plan."""
        return 2 + len(self.counts) + 2 * sum(level is not None for level in self.levels)

    def tokens(self, numbers: PlanNumbers) -> npt.NDArray[np.int32]:
        """int32 (n_patients, n)."""
        out = [self.days.tokens(numbers.days), self.total.tokens(numbers.total)]
        for m, (count, level) in enumerate(zip(self.counts, self.levels, strict=True)):
            out.append(count.tokens(numbers.counts[:, m].astype(np.float64)))
            if level is not None:
                out.append(level[0].tokens(np.where(numbers.counts[:, m] > 0, numbers.levels[:, m], np.nan)))
                out.append(level[1].tokens(numbers.drifts[:, m]))
        return np.stack(out, 1)

    def draw(self, tokens: npt.NDArray[np.int32], uniform: Floats) -> Plan:
        """A plan within the groups, from uniform numbers (n_patients, 2 + n_slots)."""
        days = self.days.draw(tokens[:, 0], uniform[:, 0], is_whole=False)
        total = self.total.draw(tokens[:, 1], uniform[:, 1], is_whole=True)
        counts, at = np.zeros((len(tokens), len(self.counts)), dtype=np.float32), 2
        for m, (count, level) in enumerate(zip(self.counts, self.levels, strict=True)):
            counts[:, m] = count.draw(tokens[:, at], uniform[:, 2 + m], is_whole=True)
            at += 1 + 2 * (level is not None)
        if self.counts:  # every event is of a slot, so the total is their sum, as far as its own group leaves that
            total = np.clip(counts.sum(1), self.total.low[tokens[:, 1]], self.total.high[tokens[:, 1]])
        return Plan(counts, days.astype(np.float32), total.astype(np.float32))

    @property
    def groups(self) -> list[Groups]:
        """The groups of each field, in the order of the fields."""
        out: list[Groups] = [self.days, self.total]
        for count, level in zip(self.counts, self.levels, strict=True):
            out += [count] if level is None else [count, *level]
        return out

    def columns(self, tokens: npt.NDArray[np.int32]) -> list[TokenColumn]:
        """The fields as networks know them."""
        return [group.column(tokens[:, j]) for j, group in enumerate(self.groups)]

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """As plain values and arrays."""
        groups = [self.days, self.total, *self.counts, *(one for level in self.levels if level is not None for one in level)]
        arrays = {
            "of_key": self.slots.of_key,
            "key_of": self.slots.key_of,
            "low": np.concatenate([group.low for group in groups]),
            "high": np.concatenate([group.high for group in groups]),
            "size": np.array([len(group) for group in groups], dtype=np.int64),
            "power": np.concatenate([group.power for group in groups]),
            "has_none": np.array([group.has_none for group in groups]),
            "has_level": np.array([level is not None for level in self.levels], dtype=bool),
        }
        return {"n_static": self.slots.n_static}, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> PlanFields:
        """Takes `state` back.

        Raises
        ------
        ModelFolderError : the arrays do not fit each other, or groups are none.
        """
        _check(arrays)
        ends = np.cumsum(arrays["size"])
        groups = [
            Groups(arrays["low"][end - size : end], arrays["high"][end - size : end], bool(none), arrays["power"][end - size : end])
            for end, size, none in zip(ends, arrays["size"], arrays["has_none"], strict=True)
        ]
        knots = _knots(groups[0]), _knots(groups[1])
        n_static = int(values["n_static"])
        fields = _fields_of_levels(arrays["has_level"], n_static)
        slots = PlanSlots(arrays["of_key"], arrays["key_of"], *fields, n_static, *knots)
        levels = iter(groups[2 + slots.n :])
        own = tuple((next(levels), next(levels)) if has else None for has in arrays["has_level"])
        return cls(slots, groups[0], groups[1], tuple(groups[2 : 2 + slots.n]), own)


def _check(arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Refuses groups that are none, before anything is made of them."""
    size, has_none, has_level, low, high, power = (arrays[name] for name in ("size", "has_none", "has_level", "low", "high", "power"))
    if any(one.ndim != 1 for one in (size, has_none, has_level, low, high, power)) or not np.issubdtype(size.dtype, np.integer):
        raise _refusal("a part of it is no list of its kind")
    n_slots, of_key, key_of = len(has_level), arrays["of_key"], arrays["key_of"]
    if not len(size) == len(has_none) == 2 + n_slots + 2 * int(np.count_nonzero(has_level)) or len(key_of) != n_slots:
        raise _refusal("it does not have one set of groups for each of its fields")
    is_whole = all(one.ndim == 1 and np.issubdtype(one.dtype, np.integer) for one in (of_key, key_of)) and has_level.dtype == bool
    if not is_whole or ((of_key < 0) | (of_key >= n_slots)).any() or ((key_of < -1) | (key_of >= len(of_key))).any():
        raise _refusal("a slot is of no key, or a key of no slot")
    if (size < 1).any() or (size > len(low)).any() or not size.sum() == len(low) == len(high) == len(power):
        raise _refusal("its groups are not as many as their sizes say")
    if not all(np.isfinite(one).all() for one in (low, high, power)):
        raise _refusal("a group has something else than finite numbers")
    if (low > high).any() or (power < POWERS[0]).any() or (power > POWERS[1]).any():
        raise _refusal(f"a group ends before it starts, or its power is not within {list(POWERS)}")


def _refusal(why: str) -> ModelFolderError:
    return ModelFolderError(f"The plan of the model folder does not fit itself: {why}. Save the model again.")


@dataclass(frozen=True)
class PlanNumbers:
    """What was planned for real patients, in hindsight: days and events (n,), counts, levels and drifts (n, n_slots)."""

    days: Floats
    total: Floats
    counts: npt.NDArray[np.float32]
    levels: Floats
    drifts: Floats


def in_hindsight(slots: PlanSlots, history: History, vocabulary: Vocabulary) -> PlanNumbers:
    """The plan that each patient's events fulfilled."""
    numbers = vocabulary.numbers(history.table.astype(np.int64), history.tokens)
    n, m = len(history.starts) - 1, slots.n
    patient = np.repeat(np.arange(n), history.lengths)
    cell = patient * m + slots.of_key[history.key] if m else patient
    counts = np.bincount(cell, minlength=n * m)[: n * m].reshape(n, m)
    sums = np.bincount(cell, weights=numbers, minlength=n * m)[: n * m].reshape(n, m)
    has = history.lengths > 0
    days = np.zeros(n)
    days[has] = history.days[history.starts[1:][has] - 1]
    place = (2 * history.seen + 1) / np.maximum(counts.reshape(-1)[cell], 1) - 1 if m else np.zeros(len(cell))
    rise = np.bincount(cell, weights=place * numbers, minlength=n * m)[: n * m].reshape(n, m)
    spread = np.bincount(cell, weights=place**2, minlength=n * m)[: n * m].reshape(n, m)
    drifts = np.where(counts > 1, rise / np.maximum(spread, 1e-9), 0)
    return PlanNumbers(days, history.lengths.astype(np.float64), counts.astype(np.float32), sums / np.maximum(counts, 1), drifts)


def make_slots(
    tables: Sequence[TableFields], history: History, *, n_static: int, most: int, fewest: int
) -> PlanSlots:
    """The `most` most frequent keys that at least `fewest` patients have, and the rest of each table."""
    n_keys = sum(table.n_keys for table in tables)
    n = len(history.starts) - 1
    patient = np.repeat(np.arange(n, dtype=np.int64), history.lengths)
    held = np.unique(patient * max(n_keys, 1) + history.key)
    n_holders = np.bincount(held % max(n_keys, 1), minlength=n_keys)
    n_events = np.bincount(history.key, minlength=n_keys)
    weight = n_events * (n_holders >= fewest)
    chosen = np.sort(np.argsort(-weight, kind="stable")[: min(most, int((weight > 0).sum()))])
    of_key, key_of = np.full(n_keys, -1, dtype=np.int64), chosen.astype(np.int64)
    of_key[chosen] = np.arange(len(chosen))
    has_value = np.zeros(n_keys, dtype=bool)
    for table in tables:
        keys = np.arange(table.first_key, table.first_key + table.n_keys)
        has_value[keys] = table.value is not None
        rest = keys[of_key[keys] < 0]
        if len(rest):
            of_key[rest] = len(key_of)
            key_of = np.append(key_of, -1)
    none = np.zeros(0, dtype=np.float32)
    has_level = (key_of >= 0) & has_value[np.maximum(key_of, 0)] if n_keys else np.zeros(0, dtype=bool)
    return PlanSlots(of_key, key_of, *_fields_of_levels(has_level, n_static), n_static, none, none)


def _fields_of_levels(has_level: npt.NDArray[np.bool_], n_static: int) -> tuple[Ints, Ints]:
    """Which field holds the level of each slot and which its drift, -1 for none, int64 (n_slots,): they stand behind the slot's count."""
    before = np.cumsum(1 + 2 * has_level) - (1 + 2 * has_level)
    count = n_static + 2 + before
    return np.where(has_level, count + 1, -1).astype(np.int64), np.where(has_level, count + 2, -1).astype(np.int64)


def make_plan(slots: PlanSlots, numbers: PlanNumbers, *, fewest: int) -> PlanFields:
    """Groups for every number of the plan."""
    days = grouped(numbers.days, most=LENGTH_BINS, fewest=fewest, has_none=False)
    total = grouped(numbers.total, most=LENGTH_BINS, fewest=fewest, has_none=False, is_whole=True)
    slots = replace(slots, days_knots=_knots(days), total_knots=_knots(total))
    counts, levels = [], []
    for m in range(slots.n):
        counted = numbers.counts[:, m].astype(np.float64)
        counts.append(grouped(counted, most=COUNT_BINS, fewest=fewest, has_none=True, is_whole=True))
        own = np.where(numbers.counts[:, m] > 0, numbers.levels[:, m], np.nan)
        drifts = numbers.drifts[:, m] * (len(numbers.days) >= DRIFT_FROM)
        drift = grouped(drifts, most=LEVEL_BINS, fewest=fewest, has_none=True)
        levels.append((_level_groups(own, fewest), drift) if slots.level[m] >= 0 else None)
    return PlanFields(slots, days, total, tuple(counts), tuple(levels))


def _knots(groups: Groups) -> npt.NDArray[np.float32]:
    """The edges of groups, rising."""
    return np.unique(np.concatenate([groups.low[:1], groups.high])).astype(np.float32)


def _level_groups(own: Floats, fewest: int) -> Groups:
    return grouped(np.where(own == 0, 1e-9, own), most=LEVEL_BINS, fewest=fewest, has_none=True)
