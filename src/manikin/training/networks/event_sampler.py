"""Draws patients' events from a transformer, one event of every patient at a time, with a cache. Knows tokens and days alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from manikin.training.networks.event_drawing import Facts, Heads, drawn, forced
from manikin.training.networks.event_history import History, Ints, Plan, Vocabulary, recalled_facts, situation
from manikin.training.networks.event_transformer import EventNet, Situation, _turn
from manikin.training.networks.event_windows import Windows, inputs, levels, places

Bools = npt.NDArray[np.bool_]
Tokens = npt.NDArray[np.int32]
COMPACT_FROM = 0.15  # share of finished patients from which the others are moved together
ROOM = 32  # positions that a cache grows by at least; it doubles up to the window


class Walk(Protocol):
    """What a codec says while events are drawn; rows are numbers of patients of the block."""

    def tables(self, rows: Ints) -> Bools | None:
        """What may come next, bool (n_rows, n_tables + 1), the end last; None for anything."""
        ...

    def allowed(self, table: int, field: int, rows: Ints, tokens: Tokens) -> Bools | None:
        """Which tokens of a field are left beside the row's earlier ones, bool (n_rows, n_tokens)."""
        ...

    def days(self, table: int, rows: Ints, tokens: Tokens) -> npt.NDArray[np.float64]:
        """Days since the anchor at which these drawn rows lie, (n_rows,)."""
        ...

    def add(self, table: int, rows: Ints, tokens: Tokens) -> None:
        """Takes note of drawn rows."""
        ...


@dataclass
class Drawn:
    """Events of patients as they grow: table int16 (n, room), tokens int32 (n, room, width), days float64 (n, room), lengths int64 (n,)."""

    table: npt.NDArray[np.int16]
    tokens: Tokens
    days: npt.NDArray[np.float64]
    lengths: Ints

    @classmethod
    def empty(cls, n: int, width: int, room: int = 64) -> Drawn:
        """Nobody has any."""
        return cls(
            np.zeros((n, room), dtype=np.int16),
            np.zeros((n, room, width), dtype=np.int32),
            np.zeros((n, room)),
            np.zeros(n, dtype=np.int64),
        )

    @classmethod
    def of(cls, starts: Ints, table: npt.NDArray[np.int16], tokens: Tokens, days: npt.NDArray[np.float64]) -> Drawn:
        """Events that lie one behind the other."""
        lengths = np.diff(starts)
        out = cls.empty(len(lengths), tokens.shape[1], int(lengths.max(initial=0)) + 16)
        patient = np.repeat(np.arange(len(lengths)), lengths)
        event = np.arange(len(table)) - starts[patient]
        out.table[patient, event], out.tokens[patient, event], out.days[patient, event] = table, tokens, days
        out.lengths = lengths.astype(np.int64)
        return out

    def grow(self, room: int) -> None:
        """Makes room for this many events of each patient, twice as many as before at least."""
        if room > self.table.shape[1]:
            more = max(room, 2 * self.table.shape[1]) - self.table.shape[1]
            self.table = np.pad(self.table, ((0, 0), (0, more)))
            self.tokens = np.pad(self.tokens, ((0, 0), (0, more), (0, 0)))
            self.days = np.pad(self.days, ((0, 0), (0, more)))

    def flat(self, rows: Ints) -> tuple[Ints, npt.NDArray[np.int16], Tokens, npt.NDArray[np.float64]]:
        """Starts, tables, tokens and days of some patients, one behind the other."""
        lengths = self.lengths[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        patient = np.repeat(rows, lengths)
        event = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        return starts, self.table[patient, event], self.tokens[patient, event], self.days[patient, event]


class EventSampler:
    """Samples from one network.

    Parameters
    ----------
    window, overlap : as in training: a cache that is full starts anew from the last `overlap` events and a digest of all before.
    emitted : per table and field, bool (n_tokens,): tokens that may be generated.
    """

    def __init__(self, network: EventNet, vocabulary: Vocabulary, emitted: list[list[Bools]], *, window: int, overlap: int) -> None:
        self.network, self.vocabulary, self.window, self.overlap = network.eval(), vocabulary, window, overlap
        self.heads = Heads(network, emitted)
        with torch.no_grad():
            self.events = network.prepared()[0]

    @torch.inference_mode()
    def sample(
        self,
        static: Ints,
        plan: Plan | None,
        walk: Walk,
        rng: np.random.Generator,
        *,
        most: int,
        least: int = 0,
        given: Drawn | None = None,
        until: npt.NDArray[np.float64] | None = None,
    ) -> Drawn:
        """Draws every patient's events to the end.

        Parameters
        ----------
        static : int64 (n_patients, n_fields), the plan's fields included. plan : None where nobody has one.
        most : events of a patient after which her record ends. least : events before which it does not.
        given : events that she has already, all patients as many of them or all at least `overlap`; changed in place.
        until : days after which nothing is drawn, (n_patients,); None for no limit.
        """
        n, width = len(static), self.vocabulary.into.shape[1]
        run = _Run(self, static, plan, given or Drawn.empty(n, width), until)
        limit = run.drawn.lengths + most
        if not n:
            return run.drawn
        run.open(np.arange(n))
        while len(run.alive):
            uniform = rng.random((n, 1 + width), dtype=np.float32)
            run.step(walk, uniform, limit, least)
        return run.drawn


class _Run:
    """One block of patients on their way."""

    def __init__(self, sampler: EventSampler, static: Ints, plan: Plan | None, drawn: Drawn, until: npt.NDArray[np.float64] | None) -> None:
        self.sampler, self.static, self.plan, self.drawn, self.until = sampler, static, plan, drawn, until
        network, n = sampler.network, len(static)
        self.network, self.vocabulary = network, sampler.vocabulary
        self.has_plan = np.full(n, plan is not None)
        self.person = network.patient(torch.from_numpy(static), torch.from_numpy(self.has_plan))
        self.last = np.full((n, network.n_keys), -1, dtype=np.int32)
        self.seen = np.zeros((n, network.n_keys), dtype=np.int32)
        self.total = np.zeros((n, network.n_keys), dtype=np.float32)
        self.counts = np.zeros((n, network.slots.n), dtype=np.float32)
        self.days, self.tied = np.zeros(n), np.zeros(n, dtype=np.int64)
        self.alive = np.arange(n)
        self.cached = self.alive  # whose rows the cache holds
        self.now: Facts | None = None  # of these, where it is known already
        self._take_given()

    def _take_given(self) -> None:
        rows = np.flatnonzero(self.drawn.lengths > 0)
        if not len(rows):
            return
        starts, table, tokens, days = self.drawn.flat(np.arange(len(self.static)))
        history = History.of(self.vocabulary, starts, table, tokens, days)
        whose = np.repeat(np.arange(len(self.static)), history.lengths)
        number = self.vocabulary.numbers(table.astype(np.int64), tokens)
        np.add.at(self.seen, (whose, history.key), 1)
        np.add.at(self.total, (whose, history.key), number)
        np.maximum.at(self.last, (whose, history.key), (np.arange(len(table)) - starts[whose]).astype(np.int32))
        if self.network.slots.n:
            np.add.at(self.counts, (whose, self.network.slots.of_key[history.key]), 1)
        at = starts[1:][rows] - 1
        self.days[rows], self.tied[rows] = days[at], history.tied[at] + 1

    def open(self, rows: Ints) -> None:
        """Reads the last `overlap` events of these patients into a new cache, and the state behind the last."""
        network, sampler = self.network, self.sampler
        starts, table, tokens, days = self.drawn.flat(rows)
        history = History.of(self.vocabulary, starts, table, tokens, days)
        first = np.maximum(starts[1:] - sampler.overlap, starts[:-1])
        windows = Windows(np.arange(len(rows)), first, starts[1:], starts[1:])
        plan = None if self.plan is None else self.plan[rows]
        index = torch.from_numpy(rows)
        at = inputs(network, self.vocabulary, sampler.events, history, self.person[index], plan, windows, self.has_plan[rows])
        n, length, d = at.x.shape
        heads, each = network.shape.heads, d // network.shape.heads
        self.turn = _turn(sampler.window + 1, network.shape, at.x.device)
        self.keys = [torch.empty(n, heads, length, each) for _ in network.blocks]
        self.values = [torch.empty(n, heads, length, each) for _ in network.blocks]
        self._make_room(length + 1)
        x, turn = at.x, (self.turn[0][:length], self.turn[1][:length])
        for block, keys, values in zip(network.blocks, self.keys, self.values, strict=True):
            q, k, v = block.parts(x, turn)  # type: ignore[operator]
            keys[:, :, :length], values[:, :, :length] = k, v
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = block.finish(x, seen.transpose(1, 2).reshape(x.shape), 0.0)  # type: ignore[operator]
        self.filled, self.cached, self.now = length, rows, None
        self.state = network.norm(x[:, -1])

    def _make_room(self, wanted: int) -> None:
        """Makes room for this many positions in the cache: twice as many as before, but no more than a window has."""
        room = self.keys[0].shape[2] if self.keys else wanted
        if wanted > room:
            more = min(max(wanted, 2 * room, ROOM), max(wanted, self.sampler.window + 1)) - room
            self.keys = [F.pad(one, (0, 0, 0, more)) for one in self.keys]
            self.values = [F.pad(one, (0, 0, 0, more)) for one in self.values]

    def _keep(self, kept: Ints) -> None:
        """Moves the cache of some of the patients together."""
        index = torch.from_numpy(kept)
        self.keys = [one.index_select(0, index) for one in self.keys]
        self.values = [one.index_select(0, index) for one in self.values]

    def _advance(self, x: Tensor) -> None:
        """One more position of every patient in the cache."""
        self._make_room(self.filled + 1)
        turn = (self.turn[0][self.filled : self.filled + 1], self.turn[1][self.filled : self.filled + 1])
        x = x[:, None]
        for block, keys, values in zip(self.network.blocks, self.keys, self.values, strict=True):
            q, k, v = block.parts(x, turn)  # type: ignore[operator]
            keys[:, :, self.filled : self.filled + 1], values[:, :, self.filled : self.filled + 1] = k, v
            until = slice(0, self.filled + 1)
            seen = F.scaled_dot_product_attention(q, keys[:, :, until], values[:, :, until])
            x = block.finish(x, seen.transpose(1, 2).reshape(x.shape), 0.0)  # type: ignore[operator]
        self.filled += 1
        self.state = self.network.norm(x[:, 0])

    def step(self, walk: Walk, uniform: npt.NDArray[np.float32], limit: Ints, least: int) -> None:
        """Draws one event of every patient, or her end."""
        network, rows = self.network, self.cached
        now = self._facts(rows) if self.now is None else self.now
        state = self.state.numpy()
        open_ = walk.tables(rows)
        may_end = self.drawn.lengths[rows] >= least
        if not may_end.all():
            open_ = np.ones((len(rows), network.n_tables + 1), dtype=bool) if open_ is None else open_
            open_[:, -1] = (open_[:, -1] & may_end) | ~open_[:, :-1].any(1)  # where no table is left she ends early
        choice = drawn(self.sampler.heads.next(state, now), uniform[rows, 0], open_)
        choice[self.drawn.lengths[rows] >= limit[rows]] = network.n_tables
        is_going = np.isin(rows, self.alive, assume_unique=True) & (choice < network.n_tables)
        self.drawn.grow(int(self.drawn.lengths.max()) + 1)
        key = np.zeros(len(rows), dtype=np.int64)
        for t in np.unique(choice[is_going]).tolist():
            mine = np.flatnonzero(is_going & (choice == t))
            tokens, days = self._row(t, rows[mine], state[mine], now.at(mine), walk, uniform)
            if self.until is not None:
                stays = days <= self.until[rows[mine]]
                is_going[mine[~stays]] = False
                mine, tokens, days = mine[stays], tokens[stays], days[stays]
            key[mine] = self._take(t, rows[mine], tokens, days)
            walk.add(t, rows[mine], tokens)
        self.alive = rows[is_going]
        if not len(self.alive):
            return
        if self.filled > self.sampler.window:
            self.open(self.alive)
            return
        if (~is_going).mean() > COMPACT_FROM:
            self._keep(np.flatnonzero(is_going))
            self.cached, key = self.alive, key[is_going]
        self._advance(self._input(self.cached, key))

    def _situation(self, rows: Ints) -> Situation:
        plan = None if self.plan is None else self.plan[rows]
        lengths = self.drawn.lengths[rows]
        return situation(
            self.network.slots, self.days[rows], lengths, self.tied[rows], self.counts[rows], plan, self.has_plan[rows]
        )

    def _facts(self, rows: Ints) -> Facts:
        return Facts.of(self._situation(rows))

    def _input(self, rows: Ints, key: Ints) -> Tensor:
        """What the trunk reads behind everybody's last event."""
        at = np.maximum(self.drawn.lengths[rows] - 1, 0)
        table = self.drawn.table[rows, at].astype(np.int64)
        numbered = self.vocabulary.numbered(table, self.drawn.tokens[rows, at])
        event = self.network.event(torch.from_numpy(table), torch.from_numpy(numbered), torch.from_numpy(key), self.sampler.events)
        now = self._situation(rows)
        self.now = Facts.of(now)  # it stays so until the next event
        return self.network.told(now) + self.person[torch.from_numpy(rows)] + event

    def _row(
        self, t: int, rows: Ints, state: npt.NDArray[np.float32], now: Facts, walk: Walk, uniform: npt.NDArray[np.float32]
    ) -> tuple[Tokens, npt.NDArray[np.float64]]:
        """The fields of one table's rows, one after the other, and the rows' days."""
        heads, table = self.sampler.heads, self.network.tables[t]
        tokens = np.zeros((len(rows), self.vocabulary.into.shape[1]), dtype=np.int32)
        said = np.zeros((len(rows), self.network.shape.row_width), dtype=np.float32)
        if table.key is None:
            said += self._memory(t, rows, tokens, self.days[rows])
        hidden, chances = heads.hidden(t, state), uniform[rows]
        for f in range(len(table.fields)):
            only, says = heads.only(t, f)
            if only >= 0:
                tokens[:, f] = only
                said += says
            else:
                allowed = walk.allowed(t, f, rows, tokens)
                token = forced(allowed)
                if token is None:
                    token = drawn(heads.logits(t, f, hidden, said, now), chances[:, 1 + f], allowed)
                tokens[:, f] = token
                said += heads.said(t, f, tokens[:, f])
            if f == table.key:
                said += self._memory(t, rows, tokens, walk.days(t, rows, tokens))
        return tokens, walk.days(t, rows, tokens)

    def _memory(self, t: int, rows: Ints, tokens: Tokens, days: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        table = np.full(len(rows), t, dtype=np.int64)
        key = self.vocabulary.keys(table, tokens)
        last = self.last[rows, key]
        has, at = last >= 0, np.maximum(last, 0)
        before = np.where(has[:, None], self.drawn.tokens[rows, at], 0)
        seen = self.seen[rows, key]
        mean = (self.total[rows, key] / np.maximum(seen, 1)).astype(np.float32)
        facts = recalled_facts(has, seen, days - self.drawn.days[rows, at], mean, self.vocabulary.numbers(table, before))
        level = levels(self.network, self.static[rows], key, self.has_plan[rows])
        place = places(self.network.slots, self.plan, rows, key, seen, self.has_plan[rows])
        return self.sampler.heads.recall(t, has, before, key, facts, level, place)

    def _take(self, t: int, rows: Ints, tokens: Tokens, days: npt.NDArray[np.float64]) -> Ints:
        """Writes drawn rows down; their keys."""
        at = self.drawn.lengths[rows]
        table = np.full(len(rows), t, dtype=np.int64)
        key = self.vocabulary.keys(table, tokens)
        self.drawn.table[rows, at], self.drawn.tokens[rows, at], self.drawn.days[rows, at] = t, tokens, days
        self.last[rows, key] = at
        self.seen[rows, key] += 1
        self.total[rows, key] += self.vocabulary.numbers(table, tokens)
        if self.network.slots.n:
            self.counts[rows, self.network.slots.of_key[key]] += 1
        self.tied[rows] = np.where((days == self.days[rows]) & (at > 0), self.tied[rows] + 1, 1)
        self.days[rows] = days
        self.drawn.lengths[rows] = at + 1
        return key
