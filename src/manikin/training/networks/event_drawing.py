"""The heads of a transformer over events as arrays, for drawing: a row's fields one after the other, for few patients at a time.

While patients are drawn, each of a table's fields is asked about a handful of rows, and what a call costs outweighs what it computes.
So everything that does not depend on the rows is made once: what state and fields say to the hidden units of all fields of a table in one
product, output weights with their smooth part, tokens that may not be generated as a bias. Agrees with `EventNet` to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.training.networks.any_order import NEVER
from manikin.training.networks.event_transformer import HAS_PLAN, IS_OVER, EventNet, Situation, _Head

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """`Situation` as arrays, float32 (n, …)."""

    clock: Floats
    slots: Floats
    urn: Floats
    barred: Floats

    @classmethod
    def of(cls, now: Situation) -> Facts:
        """The same numbers."""
        return cls(*(one.cpu().numpy() for one in (now.clock, now.slots, now.urn, now.barred)))

    def at(self, index: Ints) -> Facts:
        """The same at some positions."""
        return Facts(self.clock[index], self.slots[index], self.urn[index], self.barred[index])


@dataclass(frozen=True)
class _Field:
    """One head: `of_row` (row_width, w); two layers; `out` (w, n_tokens), `bias` with -inf where a token may not be generated.

    `only` is the token where no other may be generated, -1 where several may, and `says` what it says to later fields.
    """

    hidden: slice
    of_row: Floats
    deeper: Floats
    deeper_bias: Floats
    deeper_out: Floats
    deeper_out_bias: Floats
    out: Floats
    bias: Floats
    only: int
    says: Floats


@dataclass(frozen=True)
class _TableHeads:
    of_state: Floats
    of_state_bias: Floats
    fields: tuple[_Field, ...]
    into: Ints  # first number of each field in the vocabulary
    urn: tuple[Ints, Ints]  # slots that are keys of this table, and the keys' tokens
    gain: Floats


class Heads:
    """What draws the next table and the fields of rows.

    Parameters
    ----------
    emitted : per table and field, bool (n_tokens,): tokens that may be generated.
    """

    @torch.no_grad()
    def __init__(self, network: EventNet, emitted: Sequence[Sequence[Bools]]) -> None:
        _, rows, recalled = network.prepared()
        self.network, self.rows, self.recalled = network, _array(rows), _array(recalled)
        self.next_weight, self.next_bias = _linear(network.next_table)
        self.table_gain, self.end_gain = _array(network.table_gain), _array(network.end_gain)
        self.key_embed, none = _array(network.recall_key), np.zeros((1, network.shape.row_width), dtype=np.float32)
        planned = (network.level_embed, network.drift_embed)
        self.level_embed, self.drift_embed = (np.concatenate([_array(one)[:-1], none]) for one in planned)
        self.facts_weight, self.facts_bias = _linear(network.recall_facts)
        self.tables = [self._table(t, own) for t, own in enumerate(emitted)]
        own = network._slots_of_tables if network.slots.n else []
        self.order = np.concatenate([*own, np.zeros(0, dtype=np.int64)]).astype(np.int64)
        self.edges = np.cumsum([0, *(len(one) for one in own)])[:-1].astype(np.int64)

    def _table(self, t: int, emitted: Sequence[Bools]) -> _TableHeads:
        network, table = self.network, self.network.tables[t]
        heads: Sequence[_Head] = list(network.heads[t])  # type: ignore[call-overload]
        first, fields, at = int(network.first_field[t]), [], 0
        for f, head in enumerate(heads):
            place, w = int(network.offsets[first + f]), head.of_state.out_features
            out = _array(head.free)
            if head.is_tied:
                out = out @ self.rows[place : place + table.fields[f].n_tokens].T
            if head.smooth.shape[1]:
                out = out + _array(head.smooth) @ _array(head.get_buffer("basis")).T
            deeper, deeper_out = _linear(head.deeper), _linear(head.deeper_out)
            bias = np.where(emitted[f], _array(head.bias), -np.inf).astype(np.float32)
            only = int(np.argmax(emitted[f])) if emitted[f].sum() == 1 else -1
            layers = (_array(head.of_row), *deeper, *deeper_out, np.ascontiguousarray(out), bias)
            fields.append(_Field(slice(at, at + w), *layers, only, self.rows[place + max(only, 0)]))
            at += w
        slots, tokens = (one.numpy() for one in network._urn_of(t))
        width = network.shape.width
        joint = [_linear(head.of_state) for head in heads] or [(np.zeros((width, 0), np.float32), np.zeros(0, np.float32))]
        return _TableHeads(
            np.concatenate([weight for weight, _ in joint], 1),
            np.concatenate([bias for _, bias in joint]),
            tuple(fields),
            network.offsets[first : first + len(heads)],
            (slots, tokens),
            _array(network.urn_gain)[slots],
        )

    def next(self, state: Floats, now: Facts) -> Floats:
        """Logits of what comes next, (n, n_tables + 1), as `EventNet.next` says."""
        out: Floats = np.concatenate([state, now.clock], 1) @ self.next_weight + self.next_bias
        if not len(self.order):
            return out
        n = self.network.slots.n
        left = np.expm1(2 * now.slots[:, n : 2 * n]) @ self.network.table_of_slot
        has_plan, is_over = now.clock[:, HAS_PLAN, None], now.clock[:, IS_OVER, None]
        urn = np.log((left + 0.3) / (left.sum(1, keepdims=True) + 1)) * self.table_gain
        urn += np.float32(NEVER) * np.minimum.reduceat(now.barred[:, self.order], self.edges, axis=1)
        out[:, :-1] += urn * has_plan
        out[:, -1:] += (2 * is_over - 1) * self.end_gain * has_plan
        return out

    def hidden(self, t: int, state: Floats) -> Floats:
        """What the state says to the hidden units of all fields of a table, (n, units)."""
        own = self.tables[t]
        return state @ own.of_state + own.of_state_bias

    def logits(self, t: int, f: int, hidden: Floats, row: Floats, now: Facts) -> Floats:
        """Logits of one field, (n, n_tokens), -inf for what may not be generated; `hidden` as the method of this name gives it."""
        own = self.tables[t]
        field = own.fields[f]
        z = _silu(hidden[:, field.hidden] + row @ field.of_row)
        z += _silu(z @ field.deeper + field.deeper_bias) @ field.deeper_out + field.deeper_out_bias
        out: Floats = z @ field.out
        out += field.bias
        slots, tokens = own.urn
        if f == self.network.tables[t].key and len(slots):
            out[:, tokens] += now.urn[:, slots] * own.gain + np.float32(NEVER) * now.barred[:, slots]
        return out

    def only(self, t: int, f: int) -> tuple[int, Floats]:
        """The token of a field where no other may be generated, -1 where several may; and what it says, (row_width,)."""
        field = self.tables[t].fields[f]
        return field.only, field.says

    def said(self, t: int, f: int, tokens: npt.NDArray[np.int32]) -> Floats:
        """What drawn tokens of a field say to the fields behind it, (n, row_width)."""
        return self.rows[tokens + self.tables[t].into[f]]

    def recall(
        self, t: int, has: Bools, before: npt.NDArray[np.int32], key: Ints, facts: Floats, level: Ints, place: Floats
    ) -> Floats:
        """What is remembered of the key, (n, row_width); `before` : tokens of its last row, int32 (n, at least n_fields)."""
        into = self.tables[t].into
        out: Floats = self.recalled[before[:, : len(into)] + into].sum(1) * has[:, None]
        out += facts @ self.facts_weight + self.facts_bias
        out += self.level_embed[level[:, 0]]
        out += self.drift_embed[level[:, 1]] * place[:, None]
        out += self.key_embed[key]
        return out


def drawn(logits: Floats, uniform: Floats, allowed: Bools | None) -> npt.NDArray[np.int32]:
    """A token of each row, (n,): by its chances among those allowed, bool (n or 1, n_tokens).

    A row in which everything allowed has no chance draws evenly among what is allowed; one to which nothing is allowed is not narrowed.
    """
    chance = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
    left = chance if allowed is None else chance * allowed
    ends = left.cumsum(axis=1)
    if allowed is not None and not ends[:, -1].all():
        dead = np.flatnonzero(ends[:, -1] <= 0)
        open_ = np.broadcast_to(allowed, left.shape)[dead]
        left[dead] = np.where(open_.any(1, keepdims=True), open_, chance[dead])
        ends = left.cumsum(axis=1)
    target = uniform[:, None] * ends[:, -1:] * np.float32(1 - 2**-20)
    return np.add.reduce(ends <= target, axis=1, dtype=np.int32)


def forced(allowed: Bools | None) -> npt.NDArray[np.int32] | None:
    """The one token that is left to each row (or to all), int32 (n or 1,); None where a row has a choice, or nothing is told."""
    if allowed is None or not (np.add.reduce(allowed, axis=1) == 1).all():
        return None
    return allowed.argmax(axis=1).astype(np.int32)


def _silu(x: Floats) -> Floats:
    out: Floats = np.maximum(x, -80)
    np.negative(out, out=out)
    np.exp(out, out=out)
    out += 1
    return np.divide(x, out, out=out)


def _array(tensor: Tensor) -> Floats:
    out: Floats = tensor.detach().cpu().numpy()
    return out


def _linear(layer: nn.Linear) -> tuple[Any, Any]:
    """Weight (n_in, n_out) and bias."""
    return np.ascontiguousarray(_array(layer.weight).T), _array(layer.bias)
