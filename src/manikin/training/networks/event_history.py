"""What a patient's history says at every event beside its window: keys, last rows of the same key, counts, time, what is left of the plan.

Everything is counted without a loop over events, in memory linear in their number. Knows tokens and days, not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from manikin.training.networks.event_transformer import N_CLOCK, N_FACTS, PlanSlots, Recalled, Situation, TableFields

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
HOURS = 24.0


@dataclass(frozen=True)
class Plan:
    """What is planned for each patient, float32: how often each slot comes, (n_patients, n_slots), days to her last event, all events."""

    counts: Floats
    days: Floats
    total: Floats

    def __getitem__(self, patients: Ints | slice) -> Plan:
        return Plan(self.counts[patients], self.days[patients], self.total[patients])


@dataclass(frozen=True)
class Vocabulary:
    """Where the tokens of each table's fields lie in the vocabulary of all, and where ordered ones lie on their own scale.

    Attributes
    ----------
    into : int64 (n_tables, width), first number of each field, -1 behind the last. position : float32 (n_tokens + 1,).
    """

    tables: tuple[TableFields, ...]
    into: Ints
    position: Floats

    @classmethod
    def of(cls, tables: Sequence[TableFields]) -> Vocabulary:
        """Fields in the order of tables."""
        width = max((len(table.fields) for table in tables), default=0)
        into, at, positions = np.full((max(len(tables), 1), width), -1, dtype=np.int64), 0, []
        for t, table in enumerate(tables):
            for f, column in enumerate(table.fields):
                into[t, f] = at
                at += column.n_tokens
                positions.append(np.nan_to_num(column.positions))
        return cls(tuple(tables), into, np.concatenate([*positions, np.zeros(1)]).astype(np.float32))

    @property
    def padding(self) -> int:
        """The number that stands for no token."""
        return len(self.position) - 1

    @property
    def n_keys(self) -> int:
        """Keys of all tables."""
        return sum(table.n_keys for table in self.tables)

    @cached_property
    def _key(self) -> tuple[Ints, Ints, Ints]:
        fields = np.array([-1 if t.key is None else t.key for t in self.tables], dtype=np.int64)
        first = np.array([t.first_key for t in self.tables], dtype=np.int64)
        value = np.array([-1 if t.value is None else t.value for t in self.tables], dtype=np.int64)
        return fields, first, value

    def numbered(self, table: npt.NDArray[np.int64], tokens: npt.NDArray[np.int32]) -> Ints:
        """Tokens as numbers of the vocabulary, int64 (n, width)."""
        into = self.into[table]
        return np.where(into >= 0, into + tokens, self.padding)

    def keys(self, table: npt.NDArray[np.int64], tokens: npt.NDArray[np.int32]) -> Ints:
        """The key of each event among those of all tables, int64 (n,)."""
        fields, first, _ = self._key
        field = fields[table]
        if not tokens.shape[1]:
            return first[table]
        own = np.take_along_axis(tokens, np.maximum(field, 0)[:, None], 1)[:, 0]
        return first[table] + np.where(field >= 0, own, 0)

    def numbers(self, table: npt.NDArray[np.int64], tokens: npt.NDArray[np.int32]) -> Floats:
        """Where each event's number lies on its own scale, float32 (n,); 0 where it has none."""
        field = self._key[2][table]
        if not tokens.shape[1]:
            return np.zeros(len(table), dtype=np.float32)
        at = np.maximum(field, 0)
        number = np.take_along_axis(tokens, at[:, None], 1)[:, 0] + self.into[table, at]
        return np.where(field >= 0, self.position[np.maximum(number, 0)], 0).astype(np.float32)


@dataclass(frozen=True)
class History:
    """Events of patients with what came before each of them.

    Attributes
    ----------
    starts : int64 (n_patients + 1,). table : int64 (n_events,). tokens : int32 (n_events, width). days : float64 (n_events,).
    key : int64 (n_events,). last : int64 (n_events,), the row of the last event of the same key and patient before it, -1 for none.
    seen : float32 (n_events,), how many there were. mean : float32 (n_events,), mean of their numbers.
    tied : int64 (n_events,), how many events before it are of the same moment.
    """

    starts: Ints
    table: npt.NDArray[np.int16]
    tokens: npt.NDArray[np.int32]
    days: npt.NDArray[np.float64]
    key: npt.NDArray[np.int32]
    last: npt.NDArray[np.int32]
    seen: npt.NDArray[np.int32]
    mean: Floats
    tied: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls,
        vocabulary: Vocabulary,
        starts: Ints,
        table: npt.NDArray[np.int16],
        tokens: npt.NDArray[np.int32],
        days: npt.NDArray[np.float64],
    ) -> History:
        """Counts everything once."""
        n = len(table)
        patient = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        key = np.empty(n, dtype=np.int64)
        number = np.empty(n, dtype=np.float32)
        for at in range(0, n, 1 << 18):  # wide tables of many events would take many times their own memory
            rows = slice(at, at + (1 << 18))
            key[rows] = vocabulary.keys(table[rows].astype(np.int64), tokens[rows])
            number[rows] = vocabulary.numbers(table[rows].astype(np.int64), tokens[rows])
        group = patient * max(vocabulary.n_keys, 1) + key
        order = np.argsort(group, kind="stable")
        ranked = group[order]
        is_first = np.ones(n, dtype=bool)
        is_first[1:] = ranked[1:] != ranked[:-1]
        first = np.maximum.accumulate(np.where(is_first, np.arange(n), 0)) if n else np.zeros(0, dtype=np.int64)
        rank = np.arange(n) - first
        total = np.cumsum(number[order].astype(np.float64)) - number[order]  # before each event
        before = total - total[first] if n else total
        last, seen, mean = np.full(n, -1, dtype=np.int32), np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.float32)
        last[order] = np.where(is_first, -1, np.concatenate([[-1], order[:-1]])) if n else order
        seen[order], mean[order] = rank, before / np.maximum(rank, 1)
        return cls(starts, table, tokens, days, key.astype(np.int32), last, seen, mean, _tied(starts, patient, days))

    @property
    def lengths(self) -> Ints:
        """Events of each patient."""
        return np.diff(self.starts)

    def recalled(
        self,
        vocabulary: Vocabulary,
        rows: Ints,
        level: npt.NDArray[np.int64],
        place: Floats,
    ) -> Recalled:
        """What is remembered when these events are drawn; `level` and `place` as `Recalled` has them."""
        last = self.last[rows].astype(np.int64)
        has, there = last >= 0, np.maximum(last, 0)
        numbered = vocabulary.numbered(self.table[there].astype(np.int64), self.tokens[there])
        numbered[~has] = vocabulary.padding
        value = vocabulary.numbers(self.table[there].astype(np.int64), self.tokens[there])
        facts = recalled_facts(has, self.seen[rows], self.days[rows] - self.days[there], self.mean[rows], value)
        made = (torch.from_numpy(one) for one in (numbered, self.key[rows].astype(np.int64), facts, level, place))
        return Recalled(*made)


def recalled_facts(
    has: npt.NDArray[np.bool_],
    seen: npt.NDArray[np.int32],
    since: npt.NDArray[np.float64],
    mean: Floats,
    value: Floats,
) -> Floats:
    """The numbers that say how the last row of the same key stands to this one, float32 (n, 5); 0 where there is none."""
    out = np.empty((len(has), N_FACTS), dtype=np.float32)
    out[:, 0] = 1.0
    out[:, 1] = np.log1p(seen) / 2
    out[:, 2] = np.log1p(HOURS * np.maximum(since, 0)) / 3
    out[:, 3] = mean
    out[:, 4] = value
    return out * has[:, None]


def situation(
    slots: PlanSlots,
    days: npt.NDArray[np.float64],
    n_before: Ints,
    tied: npt.NDArray[np.int64],
    counts: Floats,
    planned: Plan | None,
    has_plan: npt.NDArray[np.bool_],
) -> Situation:
    """The situation at n positions, behind their last events.

    Parameters
    ----------
    days : since the anchor, float64 (n,). n_before : events so far, (n,). tied : events so far of the same moment, (n,).
    counts : how often each slot has come, float32 (n, n_slots). planned : the plan of the patient at each position.
    """
    n, n_slots = counts.shape
    clock = np.zeros((n, N_CLOCK), dtype=np.float32)
    told = np.zeros((n, 3 * n_slots), dtype=np.float32)
    urn, barred = np.zeros_like(counts), np.zeros_like(counts)
    clock[:, 0], clock[:, 1] = np.log1p(HOURS * np.maximum(days, 0)) / 3, np.log1p(n_before) / 3
    clock[:, 2], clock[:, 3] = np.sin(2 * np.pi * days), np.cos(2 * np.pi * days)
    clock[:, 4] = np.log1p(tied) / 2
    clock[:, 5], clock[:, 6] = _place(days, slots.days_knots), _place(n_before, slots.total_knots)
    clock[:, 16], clock[:, 17] = np.sin(2 * np.pi * HOURS * days), np.cos(2 * np.pi * HOURS * days)
    told[:, :n_slots] = np.log1p(counts) / 2
    if planned is not None:
        left = np.maximum(planned.counts - counts, 0)
        of_slots, of_all = left.sum(1), np.maximum(planned.total - n_before, 0)
        rest = np.maximum(planned.days - days, 0).astype(np.float32)
        clock[:, 7] = 1
        clock[:, 8], clock[:, 9], clock[:, 10] = np.log1p(of_all) / 3, of_all < 0.5, of_all / (of_all + n_before + 1)
        clock[:, 11], clock[:, 12], clock[:, 13] = np.log1p(HOURS * rest) / 3, rest / (planned.days + 0.04), rest <= 0
        clock[:, 14], clock[:, 15] = np.log((of_all + 1) / (HOURS * rest + 1)) / 2, np.log1p(of_slots) / 3
        told[:, n_slots : 2 * n_slots], told[:, 2 * n_slots :] = np.log1p(left) / 2, left > 0.5
        urn = (np.log((left + 0.3) / (of_slots + 1)[:, None])).astype(np.float32)
        barred = (planned.counts < 0.5).astype(np.float32)
        clock[~has_plan, 7:16], told[~has_plan, n_slots:], urn[~has_plan], barred[~has_plan] = 0, 0, 0, 0
    return Situation(*(torch.from_numpy(one) for one in (clock, told, urn, barred)))


def _place(numbers: npt.NDArray[Any], knots: Floats) -> npt.NDArray[np.float64]:
    """Where numbers lie among those of patients' whole records: a share of patients, (n,)."""
    if len(knots) < 2:
        return np.zeros(len(numbers))
    return np.interp(numbers, knots, np.linspace(0, 1, len(knots)))


def _tied(starts: Ints, patient: Ints, days: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """How many events before each one are of the same moment of the same patient."""
    del starts
    n = len(days)
    if not n:
        return np.zeros(0, dtype=np.int32)
    is_new = np.ones(n, dtype=bool)
    is_new[1:] = (patient[1:] != patient[:-1]) | (days[1:] != days[:-1])
    first = np.maximum.accumulate(np.where(is_new, np.arange(n), 0))
    return (np.arange(n) - first).astype(np.int32)
