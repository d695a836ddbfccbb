"""A patient's visits as one row of numbers, and their nats: what DP-SGD can take a gradient of, patient by patient.

The figures are those of `VisitNet.nats` (a test compares them), worked out for one patient alone by operations that torch.func maps over
patients. A row has a fixed size whatever the patient holds: visits beyond `most`, and parts of a visit beyond `parts`, are left out.
Knows numbers of parts, not what they mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from manikin.training.networks.visits import MaskedHead, VisitBlock, VisitNet

Ints = npt.NDArray[np.int64]
ENDS = 1  # the part that says so
FROZEN = ("static_in", "visit_in", "place", "own.parts", "own.direct", "head.parts", "head.direct")


@dataclass(frozen=True)
class VisitPacking:
    """How rows are laid out: static fields, how many visits she has and how many of them are here, then the parts of each, 0 for none.

    Attributes
    ----------
    n_static : fields of the patient. most : visits that a row has room for. parts : of a visit, likewise.
    """

    n_static: int
    most: int
    parts: int

    @property
    def size(self) -> int:
        """Numbers of a row."""
        return self.n_static + 2 + self.most * self.parts


def packed(packing: VisitPacking, static: Ints, starts: Ints, edges: Ints, parts: Ints) -> npt.NDArray[np.float32]:
    """Each patient's row, float32 (n_patients, size): her own fields and first visits, and nothing of anybody else's.

    Parameters
    ----------
    static, starts, edges, parts : as `VisitData` holds them.
    """
    n, p = len(static), packing
    out = np.zeros((n, p.size), dtype=np.float32)
    out[:, : p.n_static] = static
    lengths, sizes = np.diff(starts), np.diff(edges)
    out[:, p.n_static], out[:, p.n_static + 1] = lengths, np.minimum(lengths, p.most)
    patient = np.repeat(np.arange(n), lengths)
    place = np.arange(len(patient)) - starts[patient]
    visit = np.repeat(np.arange(len(sizes)), sizes)
    rank = np.arange(len(visit)) - edges[visit]
    kept = np.flatnonzero((place[visit] < p.most) & (rank < p.parts))
    visits = np.zeros((n, p.most, p.parts), dtype=np.float32)
    visits[patient[visit[kept]], place[visit[kept]], rank[kept]] = parts[kept] + 1
    out[:, p.n_static + 2 :] = visits.reshape(n, -1)
    return out


@dataclass
class PackedVisits:
    """Nats of a patient by rows of `packed`."""

    network: VisitNet
    packing: VisitPacking

    def learns(self, name: str) -> bool:
        """Whether a parameter learns: vocabularies stay as they are, since noise would fall on each of their numbers."""
        return not name.startswith(FROZEN)

    def drawn(self, row: Tensor) -> Tensor:
        """The nats of a patient by visit, a scalar: her static fields, her visits and their end."""
        p, net = self.packing, self.network
        shape = net.shape
        static, n_all, n_kept = row[: p.n_static].long(), row[p.n_static], row[p.n_static + 1]
        parts = row[p.n_static + 2 :].view(p.most, p.parts).long()
        visits = row.new_zeros(p.most, shape.n_parts + 1).scatter(1, parts, 1.0)[:, 1:]
        own = net.static_in[static + net.static_from].sum(0) if shape.static else net.static_in[0]
        x = torch.cat([row.new_zeros(1, shape.width), visits @ net.visit_in]) + own + net.place[: p.most + 1]
        x = net.norm_in(x)
        for block in net.blocks:
            assert isinstance(block, VisitBlock)
            x = _attended(block, x)
        place = torch.arange(p.most + 1, device=row.device)
        is_visit, is_end = place < n_kept, (place == n_all) & (n_all == n_kept)
        ends = (torch.arange(shape.n_parts, device=row.device) == ENDS).to(row.dtype)
        held = torch.where(is_end[:, None], ends, torch.cat([visits, row.new_zeros(1, shape.n_parts)]))
        logits = _said(net.head, net.norm(x), held)
        n_fielded, at = sum(shape.fields), 0
        codes = logits[:, n_fielded:]
        lost = torch.where(is_visit, (F.softplus(codes) - held[:, n_fielded:] * codes).sum(1), 0.0)
        for size in shape.fields:
            lost = lost - (held[:, at : at + size] * F.log_softmax(logits[:, at : at + size], 1)).sum(1) * (is_visit | is_end)
            at += size
        return (self._static(static) + lost.sum()) / (is_visit | is_end).sum().clamp_min(1)

    def _static(self, tokens: Tensor) -> Tensor:
        """Nats of the static fields, a scalar."""
        net = self.network
        if net.own is None:
            return net.first.new_zeros(())
        of = torch.arange(sum(net.shape.static), device=tokens.device)
        held = (of[None] == (tokens + net.static_from)[:, None]).to(net.first.dtype).sum(0)
        logits, out = _said(net.own, net.first, held[None])[0], net.first.new_zeros(())
        for at, size in zip(net.static_from.tolist(), net.shape.static, strict=True):
            out = out - (held[at : at + size] * F.log_softmax(logits[at : at + size], 0)).sum()
        return out


def _said(head: MaskedHead, known: Tensor, held: Tensor) -> Tensor:
    """What `MaskedHead.forward` says of rows whose parts are vectors of 0 and 1, (n_rows, n_parts)."""
    hidden = F.gelu(head.history(known) + held @ (head.parts * head.sees))
    logits = head.bias + known @ head.plain + hidden @ (head.out * head.tells)
    return logits if head.direct is None else logits + held @ (head.direct * head.later)


def _attended(block: VisitBlock, x: Tensor) -> Tensor:
    """What a block says of one patient's places (steps, width); its attention is written out, since torch.func maps no fused one."""
    steps, heads = len(x), block.heads
    q, k, v = block.qkv(block.norm(x)).view(steps, 3, heads, -1).permute(1, 2, 0, 3)
    is_later = torch.triu(torch.ones(steps, steps, dtype=torch.bool, device=x.device), 1)
    told = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(is_later, -torch.inf)
    seen = (torch.softmax(told, -1) @ v).transpose(0, 1).reshape(steps, -1)
    x = x + block.back(seen)
    return x + block.narrow(F.gelu(block.wide(block.norm2(x))))
