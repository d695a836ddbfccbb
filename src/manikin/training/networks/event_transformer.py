"""A causal transformer over a patient's events: p(next event | the patient, her events so far). Knows tokens, not what they mean.

One position per event (arXiv 1706.03762, pre-norm, rotary positions arXiv 2104.09864), its input the sum of the embeddings of the event's
table and fields. From the state behind an event the next one is drawn: which table, or the end, then its fields one after the other.
Three things reach further than the window of the attention, in memory that does not grow with the history: (1) what the last row of the
same key (say, the same laboratory test) held, how long ago, and the mean of its number until then; (2) a digest of how often every key
has come; (3) the plan, drawn with the static fields before any event: how often each frequent key will come, what level its number
will have and how it will drift, how long the record will last. At every position the network is told what is left of the plan; a share of
the patients trains without one, so that given patients can be continued and scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manikin.training.networks.any_order import NEVER, TokenColumn, _basis

N_CLOCK = 18  # features of time, length and what is left of the plan
HAS_PLAN, IS_OVER = 7, 9  # which of them say that there is a plan, and that all of its events have come
TABLE_GAIN, END_GAIN = 0.5, 2.0  # how far the plan is believed before anything is learned
TIED_FROM = 400  # tokens: larger vocabularies share their output weights with their embeddings
COSINES = 6


@dataclass(frozen=True)
class TableFields:
    """What the network has to know of a table of events.

    Attributes
    ----------
    fields : in the order in which they are drawn.
    key : the field that says what the row is about (a code), whose last row is remembered by itself; None remembers the table's last row.
    value : the ordered field behind the key whose mean is remembered; None for none.
    first_key : number of the table's first key among those of all tables.
    """

    fields: tuple[TokenColumn, ...]
    key: int | None
    value: int | None
    first_key: int

    @property
    def n_keys(self) -> int:
        """Keys of this table."""
        return 1 if self.key is None else self.fields[self.key].n_tokens


@dataclass(frozen=True)
class PlanSlots:
    """The keys that are planned: each slot is one frequent key, or what is left of a table.

    Attributes
    ----------
    of_key : int64 (n_keys,), the slot of each key of all tables.
    key_of : int64 (n_slots,), the key of a slot, -1 where it is the rest of a table.
    level, drift : int64 (n_slots,), which static field holds the level of the slot's number and its drift, -1 for none.
    n_static : how many of the static fields are the patient's own; those behind are the plan's.
    days_knots, total_knots : float32, rising, how the lengths of records in days and in events are spread over patients.
    """

    of_key: npt.NDArray[np.int64]
    key_of: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]
    drift: npt.NDArray[np.int64]
    n_static: int
    days_knots: npt.NDArray[np.float32]
    total_knots: npt.NDArray[np.float32]

    @property
    def n(self) -> int:
        """Slots."""
        return len(self.key_of)


@dataclass(frozen=True)
class EventShape:
    """The network's size.

    Attributes
    ----------
    width : hidden units of the trunk, a multiple of 2 * heads. row_width : of what the fields of a row say to each other.
    dropout : rate on inputs, branches and heads while training.
    """

    width: int = 128
    layers: int = 2
    heads: int = 4
    row_width: int = 64
    dropout: float = 0.1


@dataclass(frozen=True)
class Situation:
    """What is known at n positions beside the events in the window; made by `training.networks.event_history`.

    Attributes
    ----------
    clock : float32 (n, N_CLOCK). slots : float32 (n, 3 * n_slots): so far, left, whether any is left.
    urn : float32 (n, n_slots), log share of what is left of the plan; 0 without a plan.
    barred : float32 (n, n_slots), 1 where the plan says that the slot never comes.
    """

    clock: Tensor
    slots: Tensor
    urn: Tensor
    barred: Tensor

    def to(self, device: torch.device) -> Situation:
        """The same on a device."""
        return Situation(self.clock.to(device), self.slots.to(device), self.urn.to(device), self.barred.to(device))

    def at(self, index: Tensor) -> Situation:
        """The same at some positions."""
        return Situation(self.clock[index], self.slots[index], self.urn[index], self.barred[index])


@dataclass(frozen=True)
class Recalled:
    """What the last row of the same key held, for n rows that are drawn.

    Attributes
    ----------
    tokens : int64 (n, width), of that row, as numbers of the whole vocabulary; the padding where there is none.
    key : int64 (n,), the key among those of all tables. facts : float32 (n, 5): has one, times seen, days since, mean, last value.
    level : int64 (n, 2), the planned level and drift as numbers of the static vocabulary; the padding where there is none.
    place : float32 (n,), in [-1, 1]: the first of the rows that the plan has of the key, to its last; 0 without a plan.
    """

    tokens: Tensor
    key: Tensor
    facts: Tensor
    level: Tensor
    place: Tensor

    def to(self, device: torch.device) -> Recalled:
        """The same on a device."""
        parts = (self.tokens, self.key, self.facts, self.level, self.place)
        return Recalled(*(one.to(device) for one in parts))


N_FACTS = 5


class EventNet(nn.Module):
    """The network; `trunk` runs over windows in training, `step` over one position with a cache in sampling."""

    def __init__(
        self,
        static: Sequence[TokenColumn],
        tables: Sequence[TableFields],
        slots: PlanSlots,
        log_next: npt.NDArray[np.float32],
        shape: EventShape,
        *,
        generator: torch.Generator,
    ) -> None:
        """`log_next` : float32 (n_tables + 1,), log frequencies of each table and, last, of the end among what comes next."""
        super().__init__()
        self.static, self.tables, self.slots, self.shape = tuple(static), tuple(tables), slots, shape
        self.n_tables, self.n_keys = len(tables), sum(table.n_keys for table in tables)
        self.dropout_scale = 1.0
        d, r = shape.width, shape.row_width
        self._make_vocabulary(generator)
        self.static_embed = _normal(generator, self.n_static_tokens + 1, d, std=1 / math.sqrt(max(len(self.static), 1)))
        self.static_in, self.static_out = _linear(generator, d, d), _linear(generator, d, d)
        self.event_embed = _normal(generator, self.n_tokens + 1, d, std=0.3)
        self.event_basis = _normal(generator, len(self.fields), COSINES + 2, d, std=0.2)
        self.value_of_key = _normal(generator, self.n_keys, d, std=0.1)
        self.table_embed = _normal(generator, self.n_tables, d, std=0.3)
        self.start = _normal(generator, d, std=0.3)
        self.digest = _normal(generator, self.n_keys, d, std=0.02)
        self.clock = _linear(generator, N_CLOCK + 3 * slots.n, d, std=0.3 / math.sqrt(N_CLOCK + slots.n))
        self.blocks = nn.ModuleList([_Block(shape, generator) for _ in range(shape.layers)])
        self.norm = nn.RMSNorm(d)
        self.next_table = _linear(generator, d + N_CLOCK, self.n_tables + 1, std=0.02)
        self.next_table.bias.data.copy_(torch.from_numpy(log_next))
        self.row_embed = _normal(generator, self.n_tokens + 1, r, std=0.3)
        self.row_basis = _normal(generator, len(self.fields), COSINES + 2, r, std=0.3)
        self.recall_embed = _normal(generator, self.n_tokens + 1, r, std=0.3)
        self.recall_key = _normal(generator, self.n_keys, r, std=0.1)
        self.recall_facts = _linear(generator, N_FACTS, r, std=0.3)
        self.level_embed = _normal(generator, self.n_static_tokens + 1, r, std=0.3)
        self.drift_embed = _normal(generator, self.n_static_tokens + 1, r, std=0.3)
        self.urn_gain = nn.Parameter(torch.full((slots.n,), 0.3))
        self.table_gain = nn.Parameter(torch.full((self.n_tables if slots.n else 0,), TABLE_GAIN))
        self.end_gain = nn.Parameter(torch.full((1,), END_GAIN))
        self.heads = nn.ModuleList([nn.ModuleList([_Head(c, shape, generator) for c in t.fields]) for t in self.tables])

    def _make_vocabulary(self, generator: torch.Generator) -> None:
        """All fields of all tables share one table of embeddings; likewise the static fields. The last row of each is the padding."""
        del generator
        self.fields = [column for table in self.tables for column in table.fields]
        sizes = [column.n_tokens for column in self.fields]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.n_tokens = int(self.offsets[-1])
        self.first_field = np.concatenate([[0], np.cumsum([len(table.fields) for table in self.tables])]).astype(np.int64)
        own = [column.n_tokens for column in self.static]
        self.static_offsets = np.concatenate([[0], np.cumsum(own)]).astype(np.int64)
        self.n_static_tokens = int(self.static_offsets[-1])
        width = max((len(table.fields) for table in self.tables), default=0)
        into = np.full((max(self.n_tables, 1), width), -1, dtype=np.int64)
        for t, table in enumerate(self.tables):
            into[t, : len(table.fields)] = self.offsets[self.first_field[t] : self.first_field[t] + len(table.fields)]
        self.register_buffer("into", torch.from_numpy(into), persistent=False)
        basis = [_basis(column, COSINES) for column in self.fields]
        stacked = np.concatenate([*basis, np.zeros((1, COSINES + 2), dtype=np.float32)])
        self.register_buffer("basis", torch.from_numpy(stacked), persistent=False)
        position = np.concatenate([*(np.nan_to_num(c.positions) for c in self.fields), np.zeros(1)]).astype(np.float32)
        self.register_buffer("position", torch.from_numpy(position), persistent=False)
        owner = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), [max(len(sizes) - 1, 0)]]).astype(np.int64)
        self.register_buffer("owner", torch.from_numpy(owner), persistent=False)
        value = [-1 if table.value is None else table.value for table in self.tables]
        self.register_buffer("value_field", torch.tensor(value, dtype=torch.int64), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.start.device

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        """An array where the weights are."""
        return torch.from_numpy(array).to(self.start.device)

    def numbered(self, table: Tensor, tokens: Tensor) -> Tensor:
        """Tokens as numbers of the whole vocabulary, int64 (n, width); the padding behind the last field of the event's table."""
        into = self.get_buffer("into")[table]
        return torch.where(into >= 0, into + tokens, self.n_tokens)

    def _vocabulary(self, free: Tensor, through: Tensor) -> Tensor:
        """Embeddings with the smooth features of ordered tokens added, (n_tokens + 1, width); the padding is 0."""
        if not self.fields:
            return free * 0.0
        basis, made = self.get_buffer("basis"), []
        for f, column in enumerate(self.fields):
            rows = slice(int(self.offsets[f]), int(self.offsets[f + 1]))
            made.append(free[rows] + basis[rows] @ through[f] if column.is_ordered else free[rows])
        return torch.cat([*made, torch.zeros_like(free[:1])])

    def prepared(self) -> tuple[Tensor, Tensor, Tensor]:
        """The vocabularies of events, of rows and of what is recalled, made once per step."""
        events = self._vocabulary(self.event_embed, self.event_basis)
        rows = self._vocabulary(self.row_embed, self.row_basis)
        recalled = self._vocabulary(self.recall_embed, self.row_basis)
        return events, rows, recalled

    def patient(self, static: Tensor, has_plan: Tensor) -> Tensor:
        """What is said of the patient at every position, (n_patients, width).

        Parameters
        ----------
        static : int64 (n_patients, n_fields). has_plan : bool (n_patients,).
        """
        n, d = len(static), self.shape.width
        if not self.static:
            return torch.zeros(n, d, device=static.device)
        index = static + torch.from_numpy(self.static_offsets[:-1]).to(static.device)
        is_hidden = ~has_plan[:, None] & (torch.arange(static.shape[1], device=static.device) >= self.slots.n_static)
        index = torch.where(is_hidden, self.n_static_tokens, index)
        x = F.embedding_bag(index, self.static_embed, mode="sum", padding_idx=self.n_static_tokens)
        return x + self.static_out(F.silu(self._drop(self.static_in(x))))

    def event(self, table: Tensor, numbered: Tensor, key: Tensor, vocabulary: Tensor) -> Tensor:
        """Embeddings of events, (n, width)."""
        x = F.embedding_bag(numbered, vocabulary, mode="sum", padding_idx=self.n_tokens) + self.table_embed[table]
        field = self.get_buffer("value_field")[table]
        number = numbered.gather(1, field.clamp_min(0)[:, None])[:, 0]
        value = torch.where(field >= 0, self.get_buffer("position")[number], 0.0)
        return x + value[:, None] * F.embedding(key, self.value_of_key)

    def opening(self, counts: Tensor) -> Tensor:
        """The position before a window, (n, width): a digest of how often every key has come, counts float32 (n, n_keys)."""
        return self.start + torch.log1p(counts) @ self.digest

    def told(self, situation: Situation) -> Tensor:
        """The situation at positions, (n, width)."""
        return self.clock(torch.cat([situation.clock, situation.slots], -1))

    def trunk(self, x: Tensor) -> Tensor:
        """States behind every position of windows, (n_windows, length, width); a position sees those before it alone."""
        turn = _turn(x.shape[1], self.shape, x.device)
        rate = self._rate()
        x = _dropped(x, rate)
        for block in self.blocks:
            x = block(x, turn, rate)
        return self.norm(x)

    def next(self, state: Tensor, now: Situation) -> Tensor:
        """Logits of what comes next: each table, and last the end, (n, n_tables + 1).

        A table that the plan leaves out never comes; the others come the likelier the more of them is left, the end when nothing is.
        """
        out = self.next_table(torch.cat([state, now.clock], -1))
        if not self.slots.n or not self.n_tables:
            return out
        barred = torch.stack([now.barred[:, self.put(own)].min(1).values for own in self._slots_of_tables], 1)
        left = torch.expm1(2 * now.slots[:, self.slots.n : 2 * self.slots.n]) @ self.put(self.table_of_slot)
        has_plan, is_over = now.clock[:, HAS_PLAN, None], now.clock[:, IS_OVER, None]
        urn = ((left + 0.3) / (left.sum(1, keepdim=True) + 1)).log() * self.table_gain + barred * NEVER
        return out + torch.cat([urn, (2 * is_over - 1) * self.end_gain], 1) * has_plan

    @cached_property
    def table_of_slot(self) -> npt.NDArray[np.float32]:
        """1 where a slot is of a table, float32 (n_slots, n_tables)."""
        out = np.zeros((self.slots.n, self.n_tables), dtype=np.float32)
        for t, own in enumerate(self._slots_of_tables):
            out[own, t] = 1
        return out

    @cached_property
    def _slots_of_tables(self) -> list[npt.NDArray[np.int64]]:
        """The slots that keys of each table have."""
        firsts = [(table.first_key, table.first_key + table.n_keys) for table in self.tables]
        return [np.unique(self.slots.of_key[a:b]) for a, b in firsts]

    def recall(self, recalled: Recalled, vocabulary: Tensor) -> Tensor:
        """What is remembered of the key, (n, row width)."""
        x = F.embedding_bag(recalled.tokens, vocabulary, mode="sum", padding_idx=self.n_tokens)
        level, drift = F.embedding(recalled.level[:, 0], self.level_embed), F.embedding(recalled.level[:, 1], self.drift_embed)
        has_level, has_drift = (recalled.level < self.n_static_tokens).to(level.dtype).split(1, 1)
        planned = level * has_level + drift * (has_drift * recalled.place[:, None])
        return x + self.recall_facts(recalled.facts) + planned + F.embedding(recalled.key, self.recall_key)

    def logits(self, t: int, f: int, state: Tensor, row: Tensor, now: Situation, rows: Tensor) -> Tensor:
        """Logits of one field, (n, n_tokens).

        Parameters
        ----------
        row : (n, row width), the sum of what the row's earlier fields, and behind the key its memory, say.
        rows : the vocabulary of rows.
        """
        table = self.tables[t]
        at = int(self.first_field[t]) + f
        head = self.heads[t][f]  # type: ignore[index]
        out = head(state, row, rows[self.offsets[at] : self.offsets[at + 1]], self._rate())
        if f == table.key:
            slots, tokens = self._urn_of(t)
            if len(slots):
                said = now.urn[:, slots] * self.urn_gain[slots] + NEVER * now.barred[:, slots]
                out = out.index_add(1, tokens, said)
        return out

    def _urn_of(self, t: int) -> tuple[Tensor, Tensor]:
        """Slots that are single keys of this table, and the tokens of these keys."""
        table = self.tables[t]
        key = self.slots.key_of - table.first_key
        slots = np.flatnonzero((self.slots.key_of >= 0) & (key >= 0) & (key < table.n_keys))
        return self.put(slots), self.put(key[slots])

    def _rate(self) -> float:
        return self.shape.dropout * self.dropout_scale if self.training else 0.0

    def _drop(self, x: Tensor) -> Tensor:
        return _dropped(x, self._rate())


class _Block(nn.Module):
    def __init__(self, shape: EventShape, generator: torch.Generator) -> None:
        super().__init__()
        d, deep = shape.width, 1 / math.sqrt(2 * shape.layers)
        self.n_heads = shape.heads
        self.norm1, self.norm2 = nn.RMSNorm(d), nn.RMSNorm(d)
        self.qkv = _linear(generator, d, 3 * d)
        self.out = _linear(generator, d, d, std=deep / math.sqrt(d))
        self.up = _linear(generator, d, 4 * d)
        self.down = _linear(generator, 2 * d, d, std=deep / math.sqrt(2 * d))

    def parts(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries and keys, and values, each (n, heads, length, width of a head)."""
        n, length, d = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, length, 3, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        return _turned(qkv[0], turn), _turned(qkv[1], turn), qkv[2]

    def finish(self, x: Tensor, seen: Tensor, rate: float) -> Tensor:
        """The two residual branches, given what attention saw, (n, length, width)."""
        x = x + self.out(seen)
        gate, value = self.up(self.norm2(x)).chunk(2, -1)
        return x + _dropped(self.down(F.silu(gate) * value), rate)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], rate: float) -> Tensor:
        q, k, v = self.parts(x, turn)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.finish(x, seen.transpose(1, 2).reshape(x.shape), rate)


class _Head(nn.Module):
    """One field: hidden units from the state and the row so far, a residual layer, a softmax."""

    def __init__(self, column: TokenColumn, shape: EventShape, generator: torch.Generator) -> None:
        super().__init__()
        w, k = column.width, column.n_tokens
        self.is_tied = k > TIED_FROM
        self.of_state = _linear(generator, shape.width, w)
        self.of_row = _normal(generator, shape.row_width, w, std=1 / math.sqrt(shape.row_width))
        self.deeper = _linear(generator, w, w)
        self.deeper_out = _linear(generator, w, w, std=0.2 / math.sqrt(w))
        self.free = _normal(generator, w, shape.row_width if self.is_tied else k, std=0.02)
        basis = torch.from_numpy(_basis(column, COSINES))
        self.register_buffer("basis", basis if column.is_ordered else basis[:0], persistent=False)
        self.smooth = nn.Parameter(torch.zeros(w, COSINES + 2 if column.is_ordered else 0))
        self.bias = nn.Parameter(torch.from_numpy(column.log_marginals.copy()))

    def forward(self, state: Tensor, row: Tensor, vocabulary: Tensor, rate: float) -> Tensor:
        z = F.silu(torch.addmm(self.of_state(state), row, self.of_row))
        z = _dropped(z, rate)
        z = z + self.deeper_out(F.silu(self.deeper(z)))
        weight = self.free @ vocabulary.T if self.is_tied else self.free
        if self.smooth.shape[1]:
            weight = weight + self.smooth @ self.get_buffer("basis").T
        return torch.addmm(self.bias, z, weight)


def _dropped(x: Tensor, rate: float) -> Tensor:
    """Some units set to 0; x itself, at no cost, where the rate is 0."""
    return F.dropout(x, rate) if rate > 0 else x


def nats(logits: Tensor, wanted: Tensor) -> Tensor:
    """Negative log-likelihood of each row's token, (n,)."""
    return F.cross_entropy(logits, wanted, reduction="none")


def _turn(length: int, shape: EventShape, device: torch.device, start: int = 0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotation of each position, (length, width of a head)."""
    half = shape.width // shape.heads // 2
    speed = 2000.0 ** (-torch.arange(half, device=device, dtype=torch.float32) / half)
    angle = torch.arange(start, start + length, device=device, dtype=torch.float32)[:, None] * speed
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    a, b = x.chunk(2, -1)
    return x * turn[0] + torch.cat([-b, a], -1) * turn[1]


def _normal(generator: torch.Generator, *shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=generator) * std)


def _linear(generator: torch.Generator, n_in: int, n_out: int, std: float | None = None) -> nn.Linear:
    """A linear layer whose weights come from `generator`; its bias is 0."""
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) * (1 / math.sqrt(max(n_in, 1)) if std is None else std))
        layer.bias.zero_()
    return layer


__all__ = ["COSINES", "NEVER", "EventShape", "EventNet", "PlanSlots", "Recalled", "Situation", "TableFields", "nats"]
