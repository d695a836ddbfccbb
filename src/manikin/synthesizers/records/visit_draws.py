"""Draws patients visit by visit from the two-level network, under the codec's masks, and makes rows of their codes. Learns nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manikin.codecs.base import Tokens
from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.synthesizers.records.visits import NONE, RANK, RANKS, VisitPlan, VisitRows, backs
from manikin.synthesizers.records.walk import CodecWalk
from manikin.training.networks.visits import HeadState, Sets, VisitNet

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MOST_ROWS = 4_096  # of a visit
LOST = -1e9


@dataclass
class Drawn:
    """Rows as they are drawn, a piece for each round."""

    owner: list[Ints]
    table: list[Ints]
    tokens: list[Tokens]

    def add(self, owner: Ints, table: int, tokens: Tokens) -> None:
        """Rows of one table, one of each of some patients."""
        self.owner.append(owner)
        self.table.append(np.full(len(owner), table, dtype=np.int64))
        self.tokens.append(tokens)


class VisitSampler:
    """Draws from a network.

    Parameters
    ----------
    longest : most visits. least : fewest visits.
    """

    def __init__(
        self, network: VisitNet, codec: RecordsCodec, plan: VisitPlan, rows: VisitRows, *, longest: int, least: int
    ) -> None:
        self.network, self.codec, self.plan, self.rows = network.eval(), codec, plan, rows
        self.longest, self.least = longest, least
        self.head, self.static_head = network.head.ready(), None if network.own is None else network.own.ready()
        self.sizes = plan.sizes(codec)
        self.offsets = np.cumsum([0, *self.sizes]).tolist()
        self.by_table = [np.flatnonzero(plan.code_table == t) for t in range(len(plan.key))]
        self.nearest = [self._nearest(t) for t in range(len(plan.key))]

    def _nearest(self, table: int) -> int:
        """The token of the link to the visit that a row stands in; -1 where it has no link."""
        field = self.plan.link[table]
        if field < 0:
            return NONE
        back = np.where(self.codec.emitted(table, field), backs(self.codec, table, field), np.iinfo(np.int64).max)
        return int(np.where(back < 0, np.iinfo(np.int64).max, back).argmin())

    # static fields

    @torch.no_grad()
    def statics(self, n: int, rng: np.random.Generator) -> Tokens:
        """Static fields of new patients, int32 (n, n_static_fields)."""
        shape, masks = self.network.shape.static, self.codec.masks()
        out, given = np.zeros((n, len(shape)), dtype=np.int32), np.zeros(len(shape), dtype=bool)
        if self.static_head is None or not n:
            return out
        state, rows, at = self.static_head.begin(self.network.first.expand(n, -1)), torch.arange(n), 0
        for j, size in enumerate(shape):
            allowed = masks.static_field(j, out, given)
            allowed = self.codec.emitted(-1, j)[None] if allowed is None else allowed
            out[:, j] = _one_of(self.static_head.logits(state, rows, at, at + size), allowed, rng)
            self.static_head.hold(state, rows, at + torch.from_numpy(out[:, j].astype(np.int64)))
            given[j] = True
            at += size
        return out

    # visits

    @torch.no_grad()
    def draw(self, static: Tokens, rng: np.random.Generator) -> Records:
        """Patients with these static fields."""
        n, walk = len(static), CodecWalk(self.codec, static)
        drawn = Drawn([], [], [])
        going, visits = np.arange(n), None
        own = self.network.statics(torch.from_numpy(static.astype(np.int64)))
        caches: list[Tensor | None] = [None] * len(self.network.blocks)
        for number in range(self.longest + 1):
            if not len(going):
                break
            known = self.network.step(own, visits, number, caches)
            state = self.head.begin(known)
            stays = self._goes_on(state, walk, going, number, rng)
            if not stays.all():
                kept = torch.from_numpy(np.flatnonzero(stays))
                going, own = going[stays], own[kept]
                caches = [None if one is None else one[:, kept] for one in caches]
                state = HeadState(state.hidden[kept], state.plain[kept])
            if not len(going):
                break
            self.head.hold(state, torch.arange(len(going)), torch.zeros(len(going), dtype=torch.int64))
            opened, parts = self._fields(state, walk, going, rng)
            held = self._codes(state, walk, going, opened, rng)
            self._rows(drawn, walk, going, opened, held, rng)
            visits = _sets(parts, held, self.offsets[-1])
        return self._records(static, drawn)

    def _goes_on(self, state: HeadState, walk: CodecWalk, going: Ints, number: int, rng: np.random.Generator) -> Bools:
        """Whose record has one more visit, bool (n,)."""
        logits = self.head.logits(state, torch.arange(len(going)), 0, 2)
        allowed = np.ones((len(going), 2), dtype=bool)
        may = walk.tables(going)
        if may is not None:
            allowed[:, 0] = may[:, self.plan.table]
        if number >= self.longest:
            allowed[:, 0] = False
        if number < self.least:
            allowed[:, 1] = ~allowed[:, 0]
        return _one_of(logits, allowed, rng) == 0

    def _fields(self, state: HeadState, walk: CodecWalk, going: Ints, rng: np.random.Generator) -> tuple[Tokens, Ints]:
        """The opening row so far, int32 (n, width), and the parts of the visit that it says, int64 (n, n_fields + 1)."""
        table, rows = self.plan.table, torch.arange(len(going))
        opened = np.zeros((len(going), self.codec.layout.width), dtype=np.int32)
        parts = np.zeros((len(going), len(self.plan.fields) + 1), dtype=np.int64)
        for i, field in enumerate(self.plan.fields):
            at, stop = self.offsets[i + 1], self.offsets[i + 2]
            allowed = self._allowed(walk, table, field, going, opened)
            opened[:, field] = _one_of(self.head.logits(state, rows, at, stop), allowed, rng)
            parts[:, i + 1] = at + opened[:, field]
            self.head.hold(state, rows, torch.from_numpy(parts[:, i + 1]))
        if not self.plan.is_moment:
            walk.add(table, going, opened)
        return opened, parts

    def _allowed(self, walk: CodecWalk, table: int, field: int, rows: Ints, tokens: Tokens) -> Bools:
        """Which tokens a field may have, bool (n_rows, n_tokens)."""
        allowed = walk.allowed(table, field, rows, tokens)
        if allowed is not None:
            return allowed
        every = self.codec.emitted(table, field)
        return np.broadcast_to(every, (len(rows), len(every)))

    def _barred(self, walk: CodecWalk, going: Ints, opened: Tokens) -> Bools | None:
        """The codes that a patient cannot have now, bool (n, n_codes); None where every code is open to everybody."""
        out = np.zeros((len(going), self.plan.n_codes), dtype=bool)
        tables = walk.tables(going)
        for t, codes in enumerate(self.by_table):
            if not len(codes):
                continue
            if tables is not None and not self.plan.is_moment:
                out[:, codes] |= ~tables[:, t, None]
            allowed = walk.allowed(t, self.plan.key[t], going, self._row(t, opened, is_first=self.plan.is_moment))
            if allowed is not None:
                out[:, codes] |= ~allowed[:, self.plan.code_token[codes]]
        return out if out.any() else None

    def _row(self, table: int, opened: Tokens, *, is_first: bool) -> Tokens:
        """The rows of one code before it is known: when it is, and which visit it names."""
        out = np.zeros_like(opened)
        if table == self.plan.table and is_first:
            out[:, 0] = opened[:, 0]
        else:
            out[:, 0] = self.plan.zero[table]
        if self.plan.link[table] >= 0:
            out[:, self.plan.link[table]] = self.nearest[table]
        return out

    def _codes(
        self, state: HeadState, walk: CodecWalk, going: Ints, opened: Tokens, rng: np.random.Generator
    ) -> tuple[Ints, Ints]:
        """Which codes each visit holds: (places in `going`, codes), by place and then by code.

        The next code of a visit is found by the exact inverse of its survival: with logits l of the codes behind the last one, the first k
        with sum of log(1 + e^l) up to k at or above an exponential number. One look at the network for each code that is held.
        """
        n_codes, start = self.plan.n_codes, self.offsets[-1]
        if not n_codes:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        barred = self._barred(walk, going, opened)
        rows, last = np.arange(len(going)), np.full(len(going), NONE, dtype=np.int64)
        owner, code = [], []
        must = self.plan.is_moment
        for _ in range(n_codes):
            logits = self.head.logits(state, torch.from_numpy(rows), start, start + n_codes)
            risk = torch.nn.functional.softplus(logits).double().numpy()
            if barred is not None:
                risk[barred[rows]] = 0.0
            risk[np.arange(n_codes)[None] <= last[rows, None]] = 0.0
            total = np.cumsum(risk, axis=1)
            uniform = rng.random(len(rows))
            whole = total[:, -1]
            wanted = -np.log1p(-uniform * (-np.expm1(-whole) if must else 1.0))
            found = (total < np.maximum(wanted, 1e-300)[:, None]).sum(axis=1)
            found = np.minimum(found, n_codes - 1) if must else found  # rounding
            stays = (found < n_codes) & (whole > 0)
            must, rows, found = False, rows[stays], found[stays].astype(np.int64)
            if not len(rows):
                break
            last[rows] = found
            owner.append(rows)
            code.append(found)
            self.head.hold(state, torch.from_numpy(rows), torch.from_numpy(start + found))
        if not owner:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        whose, what = np.concatenate(owner), np.concatenate(code)
        order = np.lexsort([what, whose])
        return whose[order], what[order]

    # rows

    def _rows(
        self, drawn: Drawn, walk: CodecWalk, going: Ints, opened: Tokens, held: tuple[Ints, Ints], rng: np.random.Generator
    ) -> None:
        """The rows of a visit of each patient: the opening one, then those of its codes in the order in which such codes stand."""
        if not self.plan.is_moment:
            drawn.add(going, self.plan.table, opened)
        owner, code = held
        if not len(code):
            return
        more = np.minimum(rng.geometric(1 - self.rows.repeats[code]) - 1, MOST_ROWS)
        owner, code = np.repeat(owner, more + 1), np.repeat(code, more + 1)
        place = self.rows.place[code] + self.rows.spread[code] * rng.standard_normal(len(code))
        order = np.lexsort([place, self.plan.code_table[code], owner])
        order = order[_within(owner[order], np.zeros_like(owner)) < MOST_ROWS]
        owner, code = owner[order], code[order]
        table = self.plan.code_table[code]
        rank, total = _within(owner, table), _within(owner, np.zeros_like(owner))
        for step in range(int(total.max()) + 1):
            at = np.flatnonzero(total == step)
            for t in np.unique(table[at]).tolist():
                mine = at[table[at] == t]
                self._round(drawn, walk, going, opened, t, owner[mine], code[mine], rank[mine], step, rng)

    def _round(
        self,
        drawn: Drawn,
        walk: CodecWalk,
        going: Ints,
        opened: Tokens,
        table: int,
        owner: Ints,
        code: Ints,
        rank: Ints,
        step: int,
        rng: np.random.Generator,
    ) -> None:
        """One row of each of some patients, of one table."""
        rows = going[owner]
        tokens = self._row(table, opened[owner], is_first=self.plan.is_moment and step == 0)
        key, value, link = self.plan.key[table], self.plan.value[table], self.plan.link[table]
        kept = np.ones(len(rows), dtype=bool)
        may = walk.tables(rows)
        if may is not None and not (self.plan.is_moment and step == 0):
            kept &= may[:, table]
        if link >= 0:
            kept &= self._allowed(walk, table, link, rows, tokens)[:, self.nearest[table]]
        rows, tokens, code, rank = rows[kept], tokens[kept], code[kept], rank[kept]
        if not len(rows):
            return
        for j in range(len(self.codec.layout.tables[table].layout.fields)):
            if j in (0, link):
                continue
            if j == key:
                tokens[:, j] = self.plan.code_token[code]
                continue
            allowed = self._allowed(walk, table, j, rows, tokens)
            if j == value:
                number = np.arange(allowed.shape[1])[None]
                inside = (number >= self.plan.code_low[code, None]) & (number <= self.plan.code_high[code, None]) & allowed
                both = np.where(inside.any(axis=1, keepdims=True), inside, allowed)
                tokens[:, j] = _uniform(both, rng)
                continue
            chances = self.rows.beside[table][j]
            given = np.minimum(rank, RANKS - 1) if chances.parent == RANK else self.plan.code_token[code]
            tokens[:, j] = chances.draw(given, allowed, rng)
        walk.add(table, rows, tokens)
        drawn.add(rows, table, tokens)

    def _records(self, static: Tokens, drawn: Drawn) -> Records:
        width = self.codec.layout.width
        owner = np.concatenate([np.zeros(0, dtype=np.int64), *drawn.owner])
        order = np.argsort(owner, kind="stable")
        table = np.concatenate([np.zeros(0, dtype=np.int64), *drawn.table])[order].astype(np.int16)
        tokens = np.concatenate([np.zeros((0, width), dtype=np.int32), *drawn.tokens])[order]
        starts = np.searchsorted(owner[order], np.arange(len(static) + 1)).astype(np.int64)
        return Records(static, starts, table, tokens, self.codec.times(starts, table, tokens))


def _sets(parts: Ints, held: tuple[Ints, Ints], start: int) -> Sets:
    """The parts that visits hold, for the network's next step."""
    n, k = parts.shape
    owner = np.concatenate([np.repeat(np.arange(n), k), held[0]])
    what = np.concatenate([parts.reshape(-1), start + held[1]])
    order = np.lexsort([what, owner])
    sizes = np.bincount(owner, minlength=n)
    return Sets(torch.from_numpy(what[order]), torch.from_numpy(np.cumsum(sizes) - sizes))


def _within(owner: Ints, table: Ints) -> Ints:
    """The number of each row among those of its owner and table; rows are sorted by both."""
    new = np.concatenate([[True], (owner[1:] != owner[:-1]) | (table[1:] != table[:-1])])
    first = np.flatnonzero(new)
    return np.arange(len(owner)) - first[np.cumsum(new) - 1]


def _one_of(logits: Tensor, allowed: Bools, rng: np.random.Generator) -> Ints:
    """One token of each row, by logits among those allowed, int64 (n,)."""
    scores = np.where(allowed, logits.double().numpy(), LOST)
    weight = np.exp(scores - scores.max(axis=1, keepdims=True)) * allowed
    edges = np.cumsum(weight, axis=1)
    found = (edges <= (rng.random(len(edges)) * edges[:, -1])[:, None]).sum(axis=1)
    last = weight.shape[1] - 1 - (weight[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(found, last).astype(np.int64)


def _uniform(allowed: Bools, rng: np.random.Generator) -> Ints:
    """One of the tokens allowed, all alike, int64 (n,)."""
    edges = np.cumsum(allowed, axis=1)
    return (edges <= (rng.random(len(edges)) * edges[:, -1])[:, None]).sum(axis=1).astype(np.int64)

