"""A patient's events as one row of numbers, and the nats of a part of them: what DP-SGD can take a gradient of, patient by patient.

The figures are those of `event_windows.window_nats` (a test compares them), worked out for one patient alone by operations that torch.func
maps over patients. A row has a fixed size whatever the patient holds: events beyond `most` are left out. Knows tokens and days alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from manikin.training.networks.event_history import HOURS, History, Plan, Vocabulary
from manikin.training.networks.event_transformer import EventNet, Situation, _turn, nats
from manikin.training.networks.event_windows import row_nats

Floats = npt.NDArray[np.float32]
OF_EVENT = ("table", "key", "days", "tied", "last", "seen", "mean")  # columns of an event, its tokens behind them
FROZEN = ("embed", "basis", "value_of_key", "start", "digest", "recall_key", "static_in", "static_out")  # in the names of what stays


@dataclass(frozen=True)
class Packing:
    """How rows are laid out.

    Attributes
    ----------
    n_static : fields of the patient, those of the plan behind her own. n_slots : of the plan. width : most fields of an event.
    most : events that a row has room for.
    """

    n_static: int
    n_slots: int
    width: int
    most: int

    @property
    def head(self) -> int:
        """Numbers before the first event: the patient's fields, her plan, how many events she has and how many of them are here."""
        return self.n_static + self.n_slots + 4

    @property
    def each(self) -> int:
        """Numbers of an event."""
        return len(OF_EVENT) + self.width

    @property
    def size(self) -> int:
        """Numbers of a row."""
        return self.head + self.most * self.each

    @classmethod
    def of(cls, network: EventNet, width: int, most: int) -> Packing:
        """For the patients of a network."""
        return cls(len(network.static), network.slots.n, width, most)


def packed(packing: Packing, history: History, static: npt.NDArray[np.int32], plan: Plan) -> Floats:
    """Each patient's row, float32 (n_patients, size): her own fields, plan and first events, and nothing of anybody else's.

    Whole numbers are below 2 ** 24, so that single precision holds them.
    """
    n, p = len(static), packing
    out = np.zeros((n, p.size), dtype=np.float32)
    out[:, : p.n_static] = static
    out[:, p.n_static : p.n_static + p.n_slots] = plan.counts
    kept = np.minimum(history.lengths, p.most)
    out[:, p.head - 4 : p.head] = np.stack([plan.days, plan.total, np.minimum(history.lengths, 1 << 23), kept], 1)
    patient = np.repeat(np.arange(n), history.lengths)
    place = np.arange(len(patient)) - history.starts[patient]
    rows = np.flatnonzero(place < p.most)
    whose, place = patient[rows], place[rows]
    last = history.last[rows]
    events = np.zeros((n, p.most, p.each), dtype=np.float32)
    columns: tuple[npt.NDArray[Any], ...] = (
        history.table[rows],
        history.key[rows],
        history.days[rows],
        history.tied[rows],
        np.where(last < 0, -1, last - history.starts[whose]),
        history.seen[rows],
        history.mean[rows],
    )
    for j, column in enumerate(columns):
        events[whose, place, j] = column
    events[whose, place, len(OF_EVENT) :] = history.tokens[rows]
    out[:, p.head :] = events.reshape(n, -1)
    return out


@dataclass
class PackedNats:
    """Nats of a part of a patient's events, by rows of `packed`.

    Parameters
    ----------
    window : positions that are asked about at a time. without_plan : share of patients who are not told their plan.
    """

    network: EventNet
    vocabulary: Vocabulary
    packing: Packing
    window: int
    without_plan: float = 0.2

    def __post_init__(self) -> None:
        put = torch.from_numpy
        self._into, self._position = put(np.maximum(self.vocabulary.into, 0)), put(self.vocabulary.position)
        self._is_field = put(self.vocabulary.into >= 0)
        self._of_key = put(self.network.slots.of_key)
        self._is_single = put(self.network.slots.key_of)
        self._planned = put(np.stack([self.network.slots.level, self.network.slots.drift], 1))
        self._first_static = put(self.network.static_offsets[:-1].copy())
        value = [-1 if t.value is None else t.value for t in self.network.tables]
        self._value = torch.tensor(value, dtype=torch.int64)
        slots = self.network.slots
        self._knots = tuple(put(np.asarray(one, dtype=np.float32)) for one in (slots.days_knots, slots.total_knots))

    def drawn(self, row: Tensor) -> Tensor:
        """The nats of a part that is drawn, told the plan or not."""
        uniform, told = torch.rand((), device=row.device), torch.rand((), device=row.device)
        return self(row, uniform, (told >= self.without_plan).to(row.dtype))

    def learns(self, name: str) -> bool:
        """Whether a parameter learns: vocabularies stay as they are, since noise would fall on each of their numbers."""
        return not any(part in name.split(".")[0] for part in FROZEN)

    def __call__(self, row: Tensor, uniform: Tensor, is_told: Tensor) -> Tensor:
        """The mean of the nats of `window` events in a row, or of all where there are fewer, a scalar.

        Parameters
        ----------
        row : (size,). uniform : where the part begins, a scalar in [0, 1). is_told : whether she is told her plan, a scalar of 0 or 1.
        """
        p, net = self.packing, self.network
        static, plan = row[: p.n_static].long(), row[p.n_static : p.n_static + p.n_slots]
        days, total, n_all, n_kept = row[p.head - 4], row[p.head - 3], row[p.head - 2], row[p.head - 1]
        events = row[p.head :].view(p.most, p.each)
        start = (uniform * ((n_kept + 1 - self.window).clamp_min(0) + 1)).floor().long()
        place = start + torch.arange(self.window, device=row.device)  # of the event that each position asks about
        ahead, behind = self._taken(events, place), self._taken(events, place - 1)
        is_first = place == 0
        so_far, before = self._so_far(events, start, behind["key"])
        at = torch.where(is_first, 0.0, behind["days"])
        tied = torch.where(is_first, 0.0, behind["tied"] + 1)
        now = self._situation(at, place.float(), tied, so_far, plan, days, total, is_told)
        vocabulary, rows, recalled = net.prepared()
        x = net.told(now) + self._person(static, is_told)
        numbered = self._numbered(behind["table"], behind["tokens"])
        value_at = self._value[behind["table"]]
        number = numbered.gather(1, value_at.clamp_min(0)[:, None])[:, 0]
        own = F.embedding(numbered, vocabulary).sum(1) + net.table_embed[behind["table"]]
        own = own + torch.where(value_at >= 0, self._position[number], 0.0)[:, None] * F.embedding(behind["key"], net.value_of_key)
        opening = net.start + torch.log1p(before) @ net.digest
        is_opening = (torch.arange(self.window, device=row.device) == 0)[:, None]
        state = self._trunk(x + torch.where(is_opening, opening, own))
        is_event, is_end = place < n_kept, (place == n_all) & (n_kept == n_all)
        wanted = torch.where(is_end, net.n_tables, ahead["table"])
        lost = nats(net.next(state, now), wanted) * (is_event | is_end)
        memory = self._recall(events, ahead, static, plan, is_told, recalled)
        for t in range(net.n_tables):
            mine = is_event & (ahead["table"] == t)
            tokens = torch.where(mine[:, None], ahead["tokens"], 0)
            numbered = self._into[t] + torch.where(self._is_field[t], tokens, 0)
            each = row_nats(net, t, state, now, memory, numbered, rows)
            lost = lost + torch.where(mine[:, None], each, 0.0).sum(1)
        return lost.sum() / (is_event | is_end).sum().clamp_min(1)

    def _trunk(self, x: Tensor) -> Tensor:
        """What `EventNet.trunk` says, (window, width); its attention is written out, since torch.func maps no fused one."""
        net, x = self.network, x[None]
        turn = _turn(self.window, net.shape, x.device)
        is_later = torch.triu(torch.ones(self.window, self.window, dtype=torch.bool, device=x.device), 1)
        for block in net.blocks:
            q, k, v = block.parts(x, turn)  # type: ignore[operator]
            told = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(is_later, -torch.inf)
            seen = torch.softmax(told, -1) @ v
            x = block.finish(x, seen.transpose(1, 2).reshape(x.shape), 0.0)  # type: ignore[operator]
        return net.norm(x)[0]

    def _taken(self, events: Tensor, place: Tensor) -> dict[str, Tensor]:
        """The events at these places; whatever lies beyond the last is the last one."""
        rows = events[place.clamp(0, self.packing.most - 1)]
        out = {name: rows[:, j] for j, name in enumerate(OF_EVENT)}
        for name in ("table", "key", "last"):
            out[name] = out[name].long()
        return out | {"tokens": rows[:, len(OF_EVENT) :].long()}

    def _so_far(self, events: Tensor, start: Tensor, behind: Tensor) -> tuple[Tensor, Tensor]:
        """How often each slot came up to each position, (window, n_slots), and each key before the part, (n_keys,)."""
        is_before = (torch.arange(self.packing.most, device=events.device) < start).to(events.dtype)
        before = events.new_zeros(self.network.n_keys).scatter_add(0, events[:, 1].long(), is_before)
        if not self.network.slots.n:
            return events.new_zeros(self.window, 0), before
        base = events.new_zeros(self.network.slots.n).scatter_add(0, self._of_key, before)
        slots = torch.arange(self.network.slots.n, device=events.device)
        hits = (self._of_key[behind][:, None] == slots).to(events.dtype)
        is_inside = (torch.arange(self.window, device=events.device) > 0).to(events.dtype)  # the one before the part is counted already
        return base + torch.cumsum(hits * is_inside[:, None], 0), before

    def _numbered(self, table: Tensor, tokens: Tensor) -> Tensor:
        return torch.where(self._is_field[table], self._into[table] + tokens, self.network.n_tokens)

    def _person(self, static: Tensor, is_told: Tensor) -> Tensor:
        """What `EventNet.patient` says, (width,)."""
        net = self.network
        if not net.static:
            return net.start.new_zeros(net.shape.width)
        is_seen = (torch.arange(len(static), device=static.device) < net.slots.n_static) | (is_told > 0)
        x = (F.embedding(static + self._first_static, net.static_embed) * is_seen[:, None]).sum(0)
        return x + net.static_out(F.silu(net.static_in(x)))

    def _recall(
        self, events: Tensor, ahead: dict[str, Tensor], static: Tensor, plan: Tensor, is_told: Tensor, vocabulary: Tensor
    ) -> Tensor:
        """What `EventNet.recall` says of the last row of each event's key, (window, row width)."""
        net, last = self.network, ahead["last"]
        has = last >= 0
        before = self._taken(events, last)
        numbered = torch.where(has[:, None], self._numbered(before["table"], before["tokens"]), net.n_tokens)
        value_at = self._value[before["table"]]
        number = (self._into[before["table"]] + before["tokens"]).gather(1, value_at.clamp_min(0)[:, None])[:, 0]
        value = torch.where(value_at >= 0, self._position[number.clamp_max(len(self._position) - 1)], 0.0)
        since = torch.log1p(HOURS * (ahead["days"] - before["days"]).clamp_min(0)) / 3
        facts = torch.stack([torch.ones_like(value), torch.log1p(ahead["seen"]) / 2, since, ahead["mean"], value], 1) * has[:, None]
        x = F.embedding(numbered, vocabulary).sum(1) + net.recall_facts(facts) + F.embedding(ahead["key"], net.recall_key)
        if not net.slots.n:
            return x
        slot = self._of_key[ahead["key"]]
        field = torch.where((self._is_single[slot] == ahead["key"])[:, None], self._planned[slot], -1)
        token = (static + self._first_static)[field.clamp_min(0)]
        has_level, has_drift = ((field >= 0) & (is_told > 0)).to(x.dtype).split(1, 1)
        place = ((2 * ahead["seen"] + 1) / plan[slot].clamp_min(1) - 1).clamp(-1, 1)[:, None]
        level, drift = F.embedding(token[:, 0], net.level_embed), F.embedding(token[:, 1], net.drift_embed)
        return x + level * has_level + drift * (has_drift * place)

    def _situation(
        self, at: Tensor, n_before: Tensor, tied: Tensor, so_far: Tensor, plan: Tensor, days: Tensor, total: Tensor, is_told: Tensor
    ) -> Situation:
        """What `event_history.situation` says, with a plan of one patient."""
        whole = torch.ones_like(at)
        left, rest = (plan - so_far).clamp_min(0), (days - at).clamp_min(0)
        of_slots, of_all = left.sum(1), (total - n_before).clamp_min(0)
        turn, minute = 2 * torch.pi * at, 2 * torch.pi * HOURS * at
        told = [
            whole,
            torch.log1p(of_all) / 3,
            (of_all < 0.5).to(at.dtype),
            of_all / (of_all + n_before + 1),
            torch.log1p(HOURS * rest) / 3,
            rest / (days + 0.04),
            (rest <= 0).to(at.dtype),
            torch.log((of_all + 1) / (HOURS * rest + 1)) / 2,
            torch.log1p(of_slots) / 3,
        ]
        clock = [
            torch.log1p(HOURS * at.clamp_min(0)) / 3,
            torch.log1p(n_before) / 3,
            torch.sin(turn),
            torch.cos(turn),
            torch.log1p(tied) / 2,
            _place(at, self._knots[0]),
            _place(n_before, self._knots[1]),
            *(one * is_told for one in told),
            torch.sin(minute),
            torch.cos(minute),
        ]
        slots = torch.cat([torch.log1p(so_far) / 2, torch.log1p(left) / 2 * is_told, (left > 0.5).to(at.dtype) * is_told], 1)
        urn = torch.log((left + 0.3) / (of_slots + 1)[:, None]) * is_told
        barred = (plan < 0.5).to(at.dtype)[None] * is_told * torch.ones_like(so_far)
        return Situation(torch.stack(clock, 1), slots, urn, barred)


def _place(numbers: Tensor, knots: Tensor) -> Tensor:
    """Where numbers lie among rising knots, linear in between, (n,) in [0, 1]."""
    if len(knots) < 2:
        return torch.zeros_like(numbers)
    at = torch.searchsorted(knots, numbers.contiguous()).clamp(1, len(knots) - 1)
    low, high = knots[at - 1], knots[at]
    share = ((numbers - low) / (high - low)).clamp(0, 1)
    return (at - 1 + share) / (len(knots) - 1)
