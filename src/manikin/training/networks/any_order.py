"""An any-order autoregressive network over discrete columns: p(column j | any subset of the others). Knows tokens, not what they mean.

After TabularARGN (arXiv 2501.12012) with three differences. (1) A target's hidden units see the observed columns through one masked
matrix product for all targets at once, and a row's cost is one pass in training and in sampling alike, since each column's step touches
its own slice only. (2) Behind the first layer every target has residual layers of its own, so interactions of more than two columns are
learned. (3) Ordered columns carry smooth features of their rank and value in and out, so neighbouring bins share strength.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manikin.privacy.per_patient import Tape

NEVER = -1e9  # a logit that no softmax will ever choose
SIZE_CLASSES = (4, 16, 48, 150)  # columns of like vocabulary size are computed together


@dataclass(frozen=True)
class TokenColumn:
    """What the network has to know of a column.

    Attributes
    ----------
    n_tokens : vocabulary size.
    positions : float32 (n_tokens,), rank in [-1, 1] of ordered tokens, NaN for others.
    values : float32 (n_tokens,), standardised number of ordered tokens, NaN for others.
    log_marginals : float32 (n_tokens,), log of the smoothed training frequencies: where the output layer starts from.
    width : hidden units of the column as a target.
    """

    n_tokens: int
    positions: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]
    log_marginals: npt.NDArray[np.float32]
    width: int

    @property
    def is_ordered(self) -> bool:
        """Whether any token has a rank."""
        return bool(np.isfinite(self.positions).any())


@dataclass(frozen=True)
class Shape:
    """The network's size, widths apart.

    Attributes
    ----------
    embed_scale : embedding width is embed_scale * n_tokens ** 0.35, between 2 and n_tokens, at most 16 for ordered and 64 for others.
    blocks : residual layers per target.
    basis_in, basis_out : cosine features of the rank of ordered tokens, towards and from the hidden units.
    dropout : rate on hidden units while training; targets with up to 16 tokens have `dropout_small` times this.
    """

    embed_scale: float = 4.0
    blocks: int = 1
    basis_in: int = 4
    basis_out: int = 6
    dropout: float = 0.25
    dropout_small: float = 0.4


def hidden_width(log_marginals: npt.NDArray[np.float32], *, scale: int = 32) -> int:
    """Hidden units for a target by the entropy of its marginal: nearly constant columns need few, codes and numbers many."""
    frequencies = np.exp(log_marginals.astype(np.float64))
    entropy = float(-(frequencies * log_marginals).sum())
    steps = (0.1, 0.4, 2.5)
    return (scale // 2, scale, 2 * scale, 4 * scale)[sum(entropy >= step for step in steps)]


class AnyOrderNet(nn.Module):
    """Logits of every column given the columns that a mask lets it see.

    Attributes
    ----------
    tape : records every product with a weight, for gradients by patient; None records nothing.
    """

    tape: Tape | None = None

    def __init__(self, columns: Sequence[TokenColumn], shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self.columns, self.shape, self.n_columns = tuple(columns), shape, len(columns)
        self.embedding_widths = [_embedding_width(column, shape.embed_scale) for column in self.columns]
        self.dropout_scale = 1.0  # training lets it fall to 0 at the end
        self.starts: list[int] = [0, *np.cumsum(self.embedding_widths).tolist()]
        self._make_inputs(generator)
        self._make_targets(generator)

    def _make_inputs(self, generator: torch.Generator) -> None:
        self.embed, self.project = nn.ParameterList(), nn.ParameterList()
        for j, (column, width) in enumerate(zip(self.columns, self.embedding_widths, strict=True)):
            self.embed.append(_normal(generator, column.n_tokens, width, std=0.1 if column.is_ordered else 1.0))
            basis = torch.from_numpy(_basis(column, self.shape.basis_in))
            self.register_buffer(f"basis_in{j}", basis, persistent=False)
            rows = basis.shape[1] if column.is_ordered else 0
            self.project.append(_normal(generator, rows, width, std=1 / math.sqrt(3)))

    def _make_targets(self, generator: torch.Generator) -> None:
        self.groups = _size_groups(self.columns)
        self.widths = [self.columns[group[0]].width for group in self.groups]
        n_hidden = sum(len(group) * width for group, width in zip(self.groups, self.widths, strict=True))
        owner_in = np.repeat(np.arange(self.n_columns), self.embedding_widths)
        owner_out = np.concatenate([np.repeat(g, w) for g, w in zip(self.groups, self.widths, strict=True)])
        self.register_buffer("owner_in", torch.from_numpy(owner_in), persistent=False)
        self.register_buffer("owner_out", torch.from_numpy(owner_out), persistent=False)
        seen = 0.5 * self.starts[-1]  # on average half of the columns are observed
        self.first = _normal(generator, self.starts[-1], n_hidden, std=1 / math.sqrt(seen))
        self.first_bias = nn.Parameter(torch.zeros(n_hidden))
        self.w1, self.b1, self.w2, self.b2 = (nn.ParameterList() for _ in range(4))
        self.head, self.head_basis, self.head_bias = (nn.ParameterList() for _ in range(3))
        self.places: dict[int, tuple[int, int, int]] = {}  # column -> group, place in the group, first hidden unit
        at = 0
        for g, (group, width) in enumerate(zip(self.groups, self.widths, strict=True)):
            n = len(group)
            for _ in range(self.shape.blocks):
                self.w1.append(_normal(generator, n, width, width, std=math.sqrt(2.0 / width)))
                self.b1.append(nn.Parameter(torch.zeros(n, 1, width)))
                self.w2.append(_normal(generator, n, width, width, std=0.2 / math.sqrt(width)))
                self.b2.append(nn.Parameter(torch.zeros(n, 1, width)))
            self._make_head(g, group, width, generator)
            for a, j in enumerate(group):
                self.places[j] = (g, a, at + a * width)
            at += n * width

    def _make_head(self, g: int, group: list[int], width: int, generator: torch.Generator) -> None:
        n, size = len(group), max(self.columns[j].n_tokens for j in group)
        bias, padding = torch.zeros(n, 1, size), torch.full((n, 1, size), NEVER)
        basis = torch.zeros(n, self.shape.basis_out + 2, size)
        for a, j in enumerate(group):
            k = self.columns[j].n_tokens
            bias[a, 0, :k] = torch.from_numpy(self.columns[j].log_marginals)
            padding[a, 0, :k] = 0.0
            basis[a, :, :k] = torch.from_numpy(_basis(self.columns[j], self.shape.basis_out)).T
        self.head.append(_normal(generator, n, width, size, std=0.02))
        self.head_basis.append(nn.Parameter(torch.zeros(n, width, self.shape.basis_out + 2)))
        self.head_bias.append(nn.Parameter(bias))
        self.register_buffer(f"padding{g}", padding, persistent=False)
        self.register_buffer(f"basis_out{g}", basis, persistent=False)

    def tables(self) -> list[Tensor]:
        """One embedding table per column, (n_tokens, embedding width): a free part plus the smooth features of ordered tokens."""
        return [
            free + self.get_buffer(f"basis_in{j}") @ self.project[j] if self.columns[j].is_ordered else free
            for j, free in enumerate(self.embed)
        ]

    def head_weight(self, g: int) -> Tensor:
        """Output weights of a size group, (n_targets, width, n_tokens)."""
        return self.head[g] + torch.bmm(self.head_basis[g], self.get_buffer(f"basis_out{g}"))

    def forward(
        self, tokens: Tensor, masks: Tensor, keep: Tensor | None = None, which: Tensor | None = None
    ) -> list[Tensor]:
        """Logits per size group, each (n_targets, n_rows, n_tokens of the largest).

        Parameters
        ----------
        tokens : int64 (n_rows, n_columns).
        masks : float (n_masks, n_columns, n_columns), [m, i, j] = 1 where target j sees column i; the rows are cut into n_masks equal
            parts, so n_masks divides n_rows, unless `which` says otherwise.
        keep : float (n_rows, n_columns), 0 where a row hides a column from every target; None hides nothing.
        which : int64 (n_rows,), the mask of each row; None for equal parts.
        """
        parts = [F.embedding(tokens[:, j], table) for j, table in enumerate(self.tables())]
        x = torch.cat(parts, 1)
        if self.tape is not None:
            self._record_lookup(self.tape, tokens, x)
        owner_in, owner_out = self.get_buffer("owner_in"), self.get_buffer("owner_out")
        if keep is not None:
            x = x * keep[:, owner_in]
        seen = masks.index_select(2, owner_out).index_select(1, owner_in)  # columns first: then rows are copied whole
        weight = seen.mul_(self.first) if not torch.is_grad_enabled() else self.first * seen
        if which is None:
            hidden = torch.bmm(x.view(len(masks), -1, x.shape[1]), weight).view(len(x), -1) + self.first_bias
        else:
            rows = [torch.nonzero(which == m).squeeze(1) for m in range(len(masks))]
            parts = [x[own] @ weight[m] for m, own in enumerate(rows)]
            hidden = torch.cat(parts)[torch.argsort(torch.cat(rows))] + self.first_bias
        if self.tape is not None:
            self._record_first(self.tape, x, masks, which, hidden)
        return self._outputs(hidden)

    def _record_lookup(self, tape: Tape, tokens: Tensor, x: Tensor) -> None:
        tape.lookup(
            tokens=tokens,
            tables=list(self.embed),
            features=[self.get_buffer(f"basis_in{j}") if c.is_ordered else None for j, c in enumerate(self.columns)],
            through=list(self.project),
            out=x,
            blocks=F.one_hot(self.get_buffer("owner_in"), self.n_columns).to(x.dtype),
        )

    def _record_first(self, tape: Tape, x: Tensor, masks: Tensor, which: Tensor | None, hidden: Tensor) -> None:
        if which is None:
            which = torch.arange(len(masks), device=x.device).repeat_interleave(len(x) // len(masks))
        tape.masked(
            weight=self.first,
            bias=self.first_bias,
            x=x.detach(),
            out=hidden,
            masks=masks,
            which=which,
            blocks_in=F.one_hot(self.get_buffer("owner_in"), self.n_columns).to(x.dtype),
            blocks_out=F.one_hot(self.get_buffer("owner_out"), self.n_columns).to(x.dtype),
        )

    def _outputs(self, hidden: Tensor) -> list[Tensor]:
        out, at = [], 0
        for g, (group, width) in enumerate(zip(self.groups, self.widths, strict=True)):
            n = len(group)
            z = hidden[:, at : at + n * width].reshape(-1, n, width).transpose(0, 1)
            at += n * width
            z = F.silu(z)
            is_small = self.columns[group[0]].n_tokens <= SIZE_CLASSES[1]
            rate = self.shape.dropout * self.dropout_scale * (self.shape.dropout_small if is_small else 1.0)
            for b in range(g * self.shape.blocks, (g + 1) * self.shape.blocks):
                z = F.dropout(z, rate, self.training)
                inner = torch.baddbmm(self.b1[b], z, self.w1[b])
                active = F.silu(inner)
                outer = torch.baddbmm(self.b2[b], active, self.w2[b])
                if self.tape is not None:
                    self.tape.dense(self.w1[b], self.b1[b], z, inner)
                    self.tape.dense(self.w2[b], self.b2[b], active, outer)
                z = z + outer
            z = F.dropout(z, rate, self.training)
            logits = torch.baddbmm(self.head_bias[g] + self.get_buffer(f"padding{g}"), z, self.head_weight(g))
            if self.tape is not None:
                features = self.get_buffer(f"basis_out{g}")
                self.tape.dense(self.head[g], self.head_bias[g], z, logits, through=self.head_basis[g], features=features)
            out.append(logits)
        return out

    def nll(self, tokens: Tensor, masks: Tensor, keep: Tensor | None = None, which: Tensor | None = None) -> Tensor:
        """Negative log-likelihood in nats of every cell given what its target sees, (n_columns, n_rows), columns in group order."""
        out = []
        for group, logits in zip(self.groups, self(tokens, masks, keep, which), strict=True):
            wanted = tokens[:, group].T.unsqueeze(-1)
            out.append(torch.logsumexp(logits, -1) - logits.gather(-1, wanted).squeeze(-1))
        return torch.cat(out)


def causal_mask(n_columns: int) -> Tensor:
    """Every column sees the columns before it, float (n_columns, n_columns)."""
    return torch.triu(torch.ones(n_columns, n_columns), 1)


def draw_masks(n_columns: int, n_masks: int, causal_share: float, given: Sequence[int] = ()) -> Tensor:
    """Masks to train on, float (n_masks, n_columns, n_columns), from torch's current generator.

    With probability `causal_share` the order of the table, in which rows are sampled by default; else, half each, a random subset first
    and the rest in table order (conditional sampling, imputation), or a wholly random order. Where only some columns will ever be `given`,
    it is always a random subset of them first instead.
    """
    masks = []
    may_be = torch.zeros(n_columns).index_fill_(0, torch.tensor(given, dtype=torch.int64), 1.0)
    for kind in torch.rand(n_masks).tolist():
        rank = torch.arange(n_columns).float()
        if given and kind >= causal_share:
            rank = rank - n_columns * may_be * (torch.rand(n_columns) >= torch.rand(1) - 0.25).float()
        elif kind >= (1 + causal_share) / 2:
            rank = torch.rand(n_columns)
        elif kind >= causal_share:
            rank = rank + n_columns * (torch.rand(n_columns) >= torch.rand(1)).float()
        masks.append((rank[:, None] < rank[None, :]).float())
    return torch.stack(masks)


def _normal(generator: torch.Generator, *shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=generator) * std)


def _basis(column: TokenColumn, n_cosines: int) -> npt.NDArray[np.float32]:
    """Smooth features of ordered tokens: cosines of the rank, the value; others get an indicator. float32 (n_tokens, n_cosines + 2)."""
    out = np.zeros((column.n_tokens, n_cosines + 2), dtype=np.float32)
    if not column.is_ordered:
        return out
    ranked = np.isfinite(column.positions)
    rank = (column.positions[ranked, None] + 1) / 2
    k = np.arange(1, n_cosines + 1)[None]
    out[ranked, :n_cosines] = np.cos(np.pi * k * rank) * np.sqrt(2.0) / np.sqrt(k)
    out[ranked, n_cosines] = column.values[ranked]
    out[~ranked, n_cosines + 1] = 1.0
    return out


def _embedding_width(column: TokenColumn, scale: float) -> int:
    wanted = max(2, math.ceil(scale * column.n_tokens**0.35))
    return min(max(2, column.n_tokens), wanted, 16 if column.is_ordered else 64)


def _size_groups(columns: Sequence[TokenColumn]) -> list[list[int]]:
    """Columns of like vocabulary size and equal width, which are computed together; heads are padded within a group."""
    groups: dict[tuple[int, int], list[int]] = {}
    for j, column in enumerate(columns):
        groups.setdefault((sum(column.n_tokens > edge for edge in SIZE_CLASSES), column.width), []).append(j)
    return [groups[key] for key in sorted(groups)]
