"""HALO's two levels (Theodorou et al. 2023, arXiv 2304.02169): a causal transformer over visits, masked layers over what is in a visit.

A patient is her static fields, then visits, each a multi-hot vector: first some fields of which exactly one token holds (whether the
record goes on, the time since the visit before, …), then codes of which any number may. The transformer gives what is known before a
visit; the masked head gives the chance of each part of the visit from that and from the parts before it. Knows numbers of parts, not
what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLOSE = 3.0  # how far from 0 the logits of shares may start
INITIAL = 0.02


@dataclass(frozen=True)
class VisitShape:
    """What a network is built for.

    Attributes
    ----------
    static : tokens of each static field. fields : tokens of each field of a visit of which one token holds; the first has two, that the
        record goes on and that it ends. n_codes : codes of which any number may hold.
    longest : most visits. width, layers, heads : of the transformer. hidden : units of the masked head.
    is_direct : whether codes also speak to later codes past the hidden units. dropout : rate while training.
    """

    static: tuple[int, ...]
    fields: tuple[int, ...]
    n_codes: int
    longest: int
    width: int = 64
    layers: int = 2
    heads: int = 2
    hidden: int = 128
    is_direct: bool = True
    dropout: float = 0.1

    @property
    def n_parts(self) -> int:
        """Length of a visit's vector."""
        return sum(self.fields) + self.n_codes


@dataclass(frozen=True)
class Sets:
    """Rows that hold some parts each: row i those of `parts` from starts[i] to starts[i + 1], int64 both, starts without the last edge."""

    parts: Tensor
    starts: Tensor

    @property
    def rows(self) -> Tensor:
        """The row of each entry of `parts`, int64."""
        edges = torch.cat([self.starts[1:], self.starts.new_tensor([len(self.parts)])])
        return torch.repeat_interleave(torch.arange(len(self.starts), device=self.parts.device), edges - self.starts)


@dataclass(frozen=True)
class VisitBatch:
    """Patients as the network takes them.

    Attributes
    ----------
    static : int64 (n, n_static_fields). lengths : int64 (n,), visits of each.
    visits : all visits, patient by patient. asked : what is asked of the network, patient by patient: her visits, and that she then ends.
    is_visit : bool (n_asked,), False where it is the end.
    """

    static: Tensor
    lengths: Tensor
    visits: Sets
    asked: Sets
    is_visit: Tensor


def log_shares(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Log shares of tokens of which one holds, smoothed."""
    shares = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return np.log(shares).astype(np.float32)


def log_odds(counts: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float32]:
    """Log odds of codes held in `counts` of n visits, smoothed."""
    shares = (counts + 0.5) / (n + 1.0)
    return np.log(shares / (1 - np.minimum(shares, 1 - 1e-6))).astype(np.float32)


class MaskedHead(nn.Module):
    """Two masked layers (and a direct one): the logit of a part sees the history and the parts of earlier blocks alone.

    Parameters
    ----------
    blocks : the block of each part, rising; parts of one block do not see each other.
    start : float32 (n_parts,), where the logits start.
    """

    def __init__(self, blocks: Sequence[int], width: int, hidden: int, start: npt.NDArray[np.float32], *, is_direct: bool) -> None:
        super().__init__()
        self.sees: Tensor
        self.tells: Tensor
        self.later: Tensor
        block, n = np.asarray(blocks, dtype=np.int64), len(blocks)
        last = max(int(block.max(initial=0)), 1)
        degree = np.minimum(np.arange(hidden) * last // hidden + 1, last)  # a unit sees blocks below its degree, tells those from it on
        self.register_buffer("sees", _mask(block[:, None] < degree[None]), persistent=False)
        self.register_buffer("tells", _mask(degree[:, None] <= block[None]), persistent=False)
        self.history = nn.Linear(width, hidden)
        self.parts = nn.Parameter(torch.randn(n, hidden) * INITIAL)
        self.out = nn.Parameter(torch.randn(hidden, n) * INITIAL)
        self.plain = nn.Parameter(torch.randn(width, n) * INITIAL)
        self.bias = nn.Parameter(torch.from_numpy(start.copy()))
        self.direct = nn.Parameter(torch.zeros(n, n)) if is_direct else None
        if is_direct:
            self.register_buffer("later", _mask(block[:, None] < block[None]), persistent=False)

    def forward(self, known: Tensor, held: Sets, dropout: float = 0.0) -> Tensor:
        """Logits (n_rows, n_parts) of rows with what is known before them, (n_rows, width), and the parts that they hold."""
        hidden = self.history(known) + F.embedding_bag(held.parts, self.parts * self.sees, held.starts, mode="sum")
        hidden = F.dropout(F.gelu(hidden), dropout, self.training)
        logits = self.bias + known @ self.plain + hidden @ (self.out * self.tells)
        if self.direct is not None:
            logits = logits + F.embedding_bag(held.parts, self.direct * self.later, held.starts, mode="sum")
        return logits

    def ready(self) -> ReadyHead:
        """The head with its masks applied, for drawing part by part."""
        direct = None if self.direct is None else (self.direct * self.later).detach()
        return ReadyHead(self, (self.parts * self.sees).detach(), (self.out * self.tells).detach(), direct)


class ReadyHead:
    """A head in use: `begin` with what is known, then `logits` and `hold` in turn. A part that is not held says nothing, so that the
    logits of all later parts are right as long as none between is held."""

    def __init__(self, head: MaskedHead, parts: Tensor, out: Tensor, direct: Tensor | None) -> None:
        self.head, self.parts, self.out, self.direct = head, parts, out, direct

    def begin(self, known: Tensor) -> HeadState:
        """Rows that hold nothing yet."""
        return HeadState(self.head.history(known), self.head.bias + known @ self.head.plain)

    def logits(self, state: HeadState, rows: Tensor, start: int, stop: int) -> Tensor:
        """Logits of the parts from start to stop, (n_rows, stop - start)."""
        return state.plain[rows, start:stop] + F.gelu(state.hidden[rows]) @ self.out[:, start:stop]

    def hold(self, state: HeadState, rows: Tensor, parts: Tensor) -> None:
        """Rows hold one more part each; in place."""
        state.hidden[rows] += self.parts[parts]
        if self.direct is not None:
            state.plain[rows] += self.direct[parts]


@dataclass
class HeadState:
    """Rows in the middle of being drawn: sums before the hidden units (n, hidden), logits without them (n, n_parts)."""

    hidden: Tensor
    plain: Tensor


class VisitBlock(nn.Module):
    """Causal attention and a small network, each after a norm (arXiv 2002.04745)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.back = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, dropout: float) -> Tensor:
        """x (n, steps, width)."""
        q, k, v = self._split(self.qkv(self.norm(x)))
        own = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self._after(x, own.transpose(1, 2).reshape(x.shape), dropout)

    def step(self, x: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        """One position (n, 1, width) behind those in the cache (2, n, heads, steps, width of a head), and the longer cache."""
        q, k, v = self._split(self.qkv(self.norm(x)))
        both = torch.stack([k, v])
        cache = both if cache is None else torch.cat([cache, both], dim=3)
        own = F.scaled_dot_product_attention(q, cache[0], cache[1])
        return self._after(x, own.transpose(1, 2).reshape(x.shape), 0.0), cache

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n, steps, _ = x.shape
        q, k, v = x.view(n, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _after(self, x: Tensor, own: Tensor, dropout: float) -> Tensor:
        x = x + F.dropout(self.back(own), dropout, self.training)
        return x + F.dropout(self.narrow(F.gelu(self.wide(self.norm2(x)))), dropout, self.training)


class VisitNet(nn.Module):
    """The two levels.

    Parameters
    ----------
    static_start, visit_start : float32, log shares and log odds where the logits start.
    """

    def __init__(self, shape: VisitShape, static_start: npt.NDArray[np.float32], visit_start: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.static_from: Tensor
        self.shape, w = shape, shape.width
        of_static = np.repeat(np.arange(len(shape.static)), shape.static)
        n_fields = len(shape.fields)
        of_visit = np.concatenate([np.repeat(np.arange(n_fields), shape.fields), n_fields + np.arange(shape.n_codes)])
        self.first = nn.Parameter(torch.zeros(1, w))
        small = min(shape.hidden, 64)
        self.own = MaskedHead(of_static.tolist(), w, small, static_start, is_direct=True) if len(of_static) else None
        self.static_in = nn.Parameter(torch.randn(max(len(of_static), 1), w) * INITIAL)
        self.visit_in = nn.Parameter(torch.randn(shape.n_parts, w) * INITIAL)
        self.place = nn.Parameter(torch.randn(shape.longest + 1, w) * INITIAL)
        self.blocks = nn.ModuleList([VisitBlock(w, shape.heads) for _ in range(shape.layers)])
        self.norm_in, self.norm = nn.LayerNorm(w), nn.LayerNorm(w)
        self.head = MaskedHead(of_visit.tolist(), w, shape.hidden, visit_start, is_direct=shape.is_direct)
        offsets = np.concatenate([[0], np.cumsum(shape.static)])[:-1] if shape.static else np.zeros(0)
        self.register_buffer("static_from", torch.from_numpy(offsets.astype(np.int64)), persistent=False)

    def statics(self, tokens: Tensor) -> Tensor:
        """What the static fields say, (n, width); tokens int64 (n, n_static_fields)."""
        if not self.shape.static:
            return self.static_in[:1].expand(len(tokens), -1)
        return self.static_in[tokens + self.static_from].sum(1)

    def nats(self, batch: VisitBatch) -> tuple[Tensor, Tensor]:
        """Of each patient the nats of her static fields and of her visits and their end, (n,) each."""
        n, rate = len(batch.lengths), self.shape.dropout
        own = self.statics(batch.static)
        steps = int(batch.lengths.max()) + 1 if n else 1
        x = own.new_zeros(n, steps, self.shape.width)
        owner = torch.repeat_interleave(torch.arange(n, device=own.device), batch.lengths)
        first = torch.cumsum(batch.lengths, 0) - batch.lengths
        step = torch.arange(len(owner), device=own.device) - first[owner] + 1
        x[owner, step] = F.embedding_bag(batch.visits.parts, self.visit_in, batch.visits.starts, mode="sum")
        x = F.dropout(self.norm_in(x + own[:, None] + self.place[:steps]), rate, self.training)
        for block in self.blocks:
            x = block(x, rate)
        asked_of = torch.repeat_interleave(torch.arange(n, device=own.device), batch.lengths + 1)
        asked_first = torch.cumsum(batch.lengths + 1, 0) - batch.lengths - 1
        at = torch.arange(len(asked_of), device=own.device) - asked_first[asked_of]
        logits = self.head(self.norm(x)[asked_of, at], batch.asked, rate)
        lost = own.new_zeros(n).index_add(0, asked_of, self._lost(logits, batch.asked, batch.is_visit))
        return self._lost_static(batch.static), lost

    def _lost(self, logits: Tensor, asked: Sets, is_visit: Tensor) -> Tensor:
        """Nats of each row asked, (n_asked,): one token of each field, then each code that is held or not; at the end its first field."""
        rows, n_fielded = asked.rows, sum(self.shape.fields)
        codes = logits[:, n_fielded:]
        out = torch.where(is_visit, F.softplus(codes).sum(1), 0.0)
        is_code = asked.parts >= n_fielded
        out = out.index_add(0, rows[is_code], -logits[rows[is_code], asked.parts[is_code]])
        at = 0
        for size in self.shape.fields:
            inside = (asked.parts >= at) & (asked.parts < at + size)
            held = F.log_softmax(logits[:, at : at + size], 1)
            out = out.index_add(0, rows[inside], -held[rows[inside], asked.parts[inside] - at])
            at += size
        return out

    def _lost_static(self, tokens: Tensor) -> Tensor:
        if self.own is None:
            return self.first.new_zeros(len(tokens))
        n, k = tokens.shape
        parts = (tokens + self.static_from).reshape(-1)
        held = Sets(parts, torch.arange(n, device=tokens.device) * k)
        logits = self.own(self.first.expand(n, -1), held)
        out = self.first.new_zeros(n)
        for j, (at, size) in enumerate(zip(self.static_from.tolist(), self.shape.static, strict=True)):
            out = out + F.cross_entropy(logits[:, at : at + size], tokens[:, j], reduction="none")
        return out

    def step(self, own: Tensor, visits: Sets | None, place: int, caches: list[Tensor | None]) -> Tensor:
        """What is known before the next visit, (n, width), after one more visit (None before the first); the caches grow in place."""
        x = own + self.place[min(place, self.shape.longest)]
        if visits is not None:
            x = x + F.embedding_bag(visits.parts, self.visit_in, visits.starts, mode="sum")
        x = self.norm_in(x)[:, None]
        for i, block in enumerate(self.blocks):
            assert isinstance(block, VisitBlock)
            x, caches[i] = block.step(x, caches[i])
        return self.norm(x)[:, 0]


def _mask(which: npt.NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(which.astype(np.float32))
