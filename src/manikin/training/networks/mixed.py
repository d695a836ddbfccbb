"""What networks over mixed columns share: heads that give scalars and choices, and their soft vectors. Knows parts, not what they mean.

All choices of all columns are made by a few tensor operations: groups of like size lie side by side, padded to one size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.told import Told, Vocabulary

PAD = -1e9
SIZES = (2, 4, 8, 16, 32, 64)  # choices of a group, rounded up to one of these
RANK = 32  # hidden units of the factorised head of a large vocabulary
LEAK = 0.2  # slope of a critic's units below zero
MOST_STEPS = 64  # choices that are gone through one by one when one is drawn
LEAST_SQUARE = 1e-12  # of a gradient's norm, so that its root has a derivative
MOST_TOLD = 1 << 26  # weights between what a row can be asked for and what is given for it
MOST_GIVEN = 1 << 26  # numbers that a head gives at a time where nothing is learned from them
LEAST_UNIFORM = 1e-12  # below what float32 draws resolve: Gumbel noise stays finite


@dataclass(frozen=True)
class Group:
    """What a network gives for one field: `codecs.vectors.Part` without its scales.

    Attributes
    ----------
    n_choices : logits; 0 where there is no choice. has_scalar : whether a number comes first.
    codes : float32 (n_choices, width), what stands for each choice in a vector; None for one-hot.
    log_shares : float32 (n_choices,), where the logits' bias starts.
    """

    n_choices: int
    has_scalar: bool
    codes: npt.NDArray[np.float32] | None = None
    log_shares: npt.NDArray[np.float32] | None = None

    @property
    def width(self) -> int:
        """Length of its vector."""
        return int(self.has_scalar) + (self.n_choices if self.codes is None else self.codes.shape[1])


@dataclass
class Given:
    """What a head gives for a batch.

    Attributes
    ----------
    scalars : (n, n_scalars), in [-1, 1].
    padded : per size of group, logits (n, n_groups, size), PAD where there is no choice; laid out row beside row (see `softmax`).
    large : logits (n, n_choices) of each group with codes.
    """

    scalars: Tensor
    padded: list[Tensor]
    large: list[Tensor]


class MixedHead(nn.Module):
    """From hidden units to scalars and logits, and from these to vectors in the codec's order.

    Scalars and small groups come from one linear layer, whose output has the rows beside each other: sums over the few choices of a group
    then run over whole vectors of rows, which is some twenty times as quick as over rows of two or eight numbers.

    Parameters
    ----------
    width : hidden units. groups : what is given, in the codec's order.
    """

    pad: Tensor
    order: Tensor
    place: Tensor

    def __init__(self, width: int, groups: Sequence[Group]) -> None:
        super().__init__()
        self.groups = tuple(groups)
        self.width = sum(group.width for group in groups)
        self._scalars = [g for g, group in enumerate(groups) if group.has_scalar]
        self._large = [g for g, group in enumerate(groups) if group.codes is not None]
        small = [g for g, group in enumerate(groups) if group.codes is None and group.n_choices]
        largest = max((groups[g].n_choices for g in small), default=0)
        sizes = [size for size in SIZES if size < largest] + ([largest] if largest else [])
        self._buckets: list[tuple[int, list[int]]] = []
        for low, size in zip([0, *sizes], sizes, strict=False):
            members = [g for g in small if low < groups[g].n_choices <= size]
            if members:
                self._buckets.append((size, members))
        ends = np.cumsum([len(self._scalars), *(size * len(members) for size, members in self._buckets)]).astype(int).tolist()
        self._spans = [slice(start, end) for start, end in pairwise(ends)]
        self.cells = nn.Linear(width, ends[-1]) if ends[-1] else None
        self.large = nn.ModuleList(
            nn.Sequential(nn.Linear(width, RANK), nn.Linear(RANK, groups[g].n_choices)) for g in self._large
        )
        self._place(ends[-1])
        self._start_at_shares()

    def _place(self, n_cells: int) -> None:
        """Where every vector cell lies among scalars, padded choices and codes, and every group among `members`."""
        cells, pad = {}, torch.zeros(n_cells)
        for (size, members), span in zip(self._buckets, self._spans, strict=True):
            for i, g in enumerate(members):
                at, n = span.start + i * size, self.groups[g].n_choices
                cells[g] = list(range(at, at + n))
                pad[at + n : at + size] = PAD
        at = n_cells
        for g in self._large:
            codes = self.groups[g].codes
            assert codes is not None
            cells[g] = list(range(at, at + codes.shape[1]))
            at += codes.shape[1]
            self.register_buffer(f"codes{g}", torch.from_numpy(codes.copy()), persistent=False)
        order: list[int] = []
        for g, group in enumerate(self.groups):
            order += ([self._scalars.index(g)] if group.has_scalar else []) + cells.get(g, [])
        chosen = [g for members in self.members for g in members]
        place = [chosen.index(g) if g in cells else len(chosen) for g in range(len(self.groups))]
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), persistent=False)
        self.register_buffer("pad", pad, persistent=False)
        self.register_buffer("place", torch.tensor(place, dtype=torch.long), persistent=False)

    @torch.no_grad()
    def _start_at_shares(self) -> None:
        """Biases such that the first draws have the shares of the data."""
        for (size, members), span in zip(self._buckets, self._spans, strict=True):
            assert self.cells is not None
            bias = self.cells.bias[span].view(len(members), size)
            for i, g in enumerate(members):
                shares = self.groups[g].log_shares
                if shares is not None:
                    bias[i, : len(shares)] = torch.from_numpy(shares)
        for head, g in zip(self.large, self._large, strict=True):
            shares = self.groups[g].log_shares
            if shares is not None:
                assert isinstance(head, nn.Sequential)
                last = head[1]
                assert isinstance(last, nn.Linear)
                last.bias.copy_(torch.from_numpy(shares))

    @property
    def members(self) -> list[list[int]]:
        """Which groups each tensor of logits is of: those of `Given.padded`, then those of `Given.large`."""
        return [list(members) for _, members in self._buckets] + [[g] for g in self._large]

    @property
    def sizes(self) -> list[int]:
        """Choices that each tensor of logits has room for, in the same order."""
        return [size for size, _ in self._buckets] + [self.groups[g].n_choices for g in self._large]

    def biases(self) -> list[Tensor]:
        """The bias of each tensor of logits, in the same order: views (n_groups, size) of the cells', then those of large groups."""
        made: list[Tensor] = []
        for (size, members), span in zip(self._buckets, self._spans, strict=True):
            assert self.cells is not None
            made.append(self.cells.bias[span].view(len(members), size))
        for head in self.large:
            assert isinstance(head, nn.Sequential)
            assert isinstance(head[1], nn.Linear)
            made.append(head[1].bias)
        return made

    @property
    def n_cells(self) -> int:
        """Units of the layer that scalars and small groups come from."""
        return len(self.pad)

    @property
    def rows_at_once(self) -> int:
        """How many rows a look may ask for at a time: their scalars and logits are no more than MOST_GIVEN numbers."""
        return max(1, MOST_GIVEN // max(1, self.n_cells + sum(self.groups[g].n_choices for g in self._large)))

    def forward(self, hidden: Tensor, more: Tensor | None = None) -> Given:
        """Scalars through tanh, and logits; `more`, (n, n_cells), is added to the units that scalars and small groups come from."""
        n, large = len(hidden), [head(hidden) for head in self.large]
        if self.cells is None:
            return Given(hidden[:, :0], [], large)
        out = torch.addmm((self.cells.bias + self.pad)[:, None], self.cells.weight, hidden.t())
        if more is not None:
            out = out + more.t()
        padded = [
            out[span].view(len(members), size, n).permute(2, 0, 1)
            for (size, members), span in zip(self._buckets, self._spans, strict=True)
        ]
        return Given(torch.tanh(out[: len(self._scalars)]).t(), padded, large)

    def soft(self, given: Given, *, temperature: float | None = None, hard: bool = False) -> Tensor:
        """Vectors (n, width) that gradients pass through: choices by Gumbel-softmax (arXiv 1611.01144), or softmax without temperature."""

        def chosen(logits: Tensor) -> Tensor:
            """The share of each choice, or one choice nearly."""
            if temperature is None:
                return softmax(logits)
            less = torch.rand_like(logits).clamp_min_(LEAST_UNIFORM).log_().neg_().log_()  # Gumbel noise with its sign turned
            shares = softmax((logits - less) / temperature)
            if not hard:
                return shares
            one = (shares >= shares.amax(-1, keepdim=True)).to(shares.dtype)
            return one + shares - shares.detach()

        n = len(given.scalars)
        small = [chosen(logits).permute(1, 2, 0).reshape(-1, n) for logits in given.padded]
        large = [(chosen(logits) @ self._codes(g)).t() for logits, g in zip(given.large, self._large, strict=True)]
        return torch.cat([given.scalars.t(), *small, *large]).index_select(0, self.order).t()

    def _codes(self, g: int) -> Tensor:
        codes = getattr(self, f"codes{g}")
        assert isinstance(codes, Tensor)
        return codes

    def log_likelihood(self, given: Given, target: Tensor) -> Tensor:
        """Log-probability of one choice per group, (n, n_groups); 0 for groups without a choice.

        Parameters
        ----------
        target : int64 (n, n_groups), the option of each group.
        """
        columns, out = target.t(), []
        for logits, (_, members) in zip(given.padded, self._buckets, strict=True):
            logs = torch.log_softmax(logits.permute(1, 2, 0), 1)
            out.append(logs.gather(1, columns[members][:, None]).squeeze(1))
        for logits, g in zip(given.large, self._large, strict=True):
            out.append(torch.log_softmax(logits, -1).gather(-1, target[:, [g]]).t())
        out.append(torch.zeros((1, len(target)), device=target.device))
        return torch.cat(out).index_select(0, self.place).t()

    def drawn(self, given: Given, uniform: Tensor, possible: Sequence[Tensor]) -> Tensor:
        """One option per group by its logits, int64 (n, n_groups); 0 for groups without a choice. A few operations for all groups.

        Parameters
        ----------
        uniform : (n, n_groups) in [0, 1). possible : per group with a choice, in order, bool (n_choices,): which may be drawn at all.
        """
        with_choice = [g for g, group in enumerate(self.groups) if group.n_choices]
        bars = {
            g: torch.zeros(len(one), device=uniform.device).masked_fill(~one, PAD)
            for g, one in zip(with_choice, possible, strict=True)
        }
        padded = []
        for size, members in self._buckets:
            bar = torch.full((len(members), size, 1), PAD, device=uniform.device)
            for i, g in enumerate(members):
                bar[i, : self.groups[g].n_choices, 0] = bars[g]
            padded.append(bar)
        out = torch.zeros(
            (sum(len(members) for members in self.members) + 1, len(uniform)), dtype=torch.long, device=uniform.device
        )
        columns, at = uniform.t(), 0
        for logits, bar, (_, members) in zip(given.padded, padded, self._buckets, strict=True):
            out[at : at + len(members)] = picked(torch.softmax(logits.permute(1, 2, 0) + bar, 1), columns[members])
            at += len(members)
        for logits, g in zip(given.large, self._large, strict=True):
            out[at] = _picked_of_many(torch.softmax(logits + bars[g], 1), columns[g])
            at += 1
        return out.index_select(0, self.place).t()

    def logits(self, given: Given) -> Tensor:
        """All logits side by side in the codec's order, (n, sum of n_choices), for `VectorCodec.draw`."""
        parts: dict[int, Tensor] = {}
        for logits, (_, members) in zip(given.padded, self._buckets, strict=True):
            for i, g in enumerate(members):
                parts[g] = logits[:, i, : self.groups[g].n_choices]
        parts |= dict(zip(self._large, given.large, strict=True))
        none = given.scalars[:, :0]
        return torch.cat([parts.get(g, none) for g in range(len(self.groups))], dim=1)


def softmax(logits: Tensor) -> Tensor:
    """Softmax over the last axis of (n, n_groups, size) or (n, size), along whole vectors of rows where these lie beside each other."""
    if logits.dim() == 3 and logits.stride(0) == 1:
        return torch.softmax(logits.permute(1, 2, 0), 1).permute(2, 0, 1)
    return torch.softmax(logits, -1)


def picked(weights: Tensor, uniform: Tensor) -> Tensor:
    """The choice in whose share of the weights `uniform` falls, int64 (n_groups, n).

    A choice without weight is never drawn: uniform is below 1, so that what is wanted stays below the sum, which is the end of the last
    choice that has any.

    Parameters
    ----------
    weights : (n_groups, size, n), at least 0; may be used up. uniform : (n_groups, n) in [0, 1).
    """
    if weights.shape[1] > MOST_STEPS:
        return torch.stack([_picked_of_many(one.t(), own) for one, own in zip(weights, uniform, strict=True)])
    for k in range(1, weights.shape[1]):
        weights[:, k] += weights[:, k - 1]
    wanted, place = uniform * weights[:, -1], torch.zeros(uniform.shape, dtype=torch.int32, device=uniform.device)
    for k in range(weights.shape[1] - 1):
        place += wanted >= weights[:, k]
    return place.long()


def _picked_of_many(weights: Tensor, uniform: Tensor) -> Tensor:
    """The same of one group, int64 (n,), with weights (n, size)."""
    ends = weights.cumsum(1)
    place = torch.searchsorted(ends, (uniform * ends[:, -1])[:, None], right=True).squeeze(1)
    last = torch.searchsorted(ends, ends[:, -1:].contiguous()).squeeze(1)  # the first that reaches the sum
    return torch.minimum(place, last)


class ResidualGenerator(nn.Module):
    """CTGAN's generator: blocks of linear, batch normalisation and ReLU, each joined to its input (arXiv 1907.00503, section 4.4).

    Parameters
    ----------
    n_noise : width of the noise. n_conditions : width of what is given beside it. hidden : units per block.
    vocabularies : the levels that a row can be asked for, where conditions are level numbers instead of vectors; every block is told,
    and scalars and small groups are; a large vocabulary hears of it through the blocks, as all do where there are more than MOST_TOLD
    pairs of a level to ask for and a cell to give.
    """

    def __init__(
        self,
        n_noise: int,
        n_conditions: int,
        hidden: Sequence[int],
        groups: Sequence[Group],
        vocabularies: Sequence[Vocabulary] = (),
    ) -> None:
        super().__init__()
        self.n_noise = n_noise
        width = n_noise + n_conditions
        self.blocks = nn.ModuleList()
        for units in hidden:
            self.blocks.append(nn.ModuleDict({"linear": nn.Linear(width, units), "norm": nn.BatchNorm1d(units)}))
            width += units
        self.head = MixedHead(width, groups)
        n_told = sum(one.width for one in vocabularies)
        self.units = [*hidden, self.head.n_cells if n_told * self.head.n_cells <= MOST_TOLD else 0]
        self.told = Told(vocabularies, sum(self.units), width) if vocabularies else None

    def forward(self, noise: Tensor, conditions: Tensor | None = None) -> Given:
        """Noise (n, n_noise), and conditions (n, n_conditions) or levels int64 (n,), to scalars and logits."""
        told: Sequence[Tensor | None] = [None] * len(self.units)
        if self.told is not None and conditions is not None:
            told, conditions = self.told(conditions).split(self.units, dim=1), None
        hidden = noise if conditions is None else torch.cat([noise, conditions], dim=1)
        for block, more in zip(self.blocks, told[:-1], strict=True):
            assert isinstance(block, nn.ModuleDict)
            out = block["linear"](hidden)
            hidden = torch.cat([F.relu(block["norm"](out if more is None else out + more)), hidden], dim=1)
        given: Given = self.head(hidden, told[-1] if self.units[-1] else None)
        return given


class PackedCritic(nn.Module):
    """CTGAN's critic: several rows judged together (PacGAN, arXiv 1712.04086), so that repeated rows give themselves away.

    Parameters
    ----------
    width : of one row, with its conditions where these are vectors. pack : rows judged together. hidden : units per layer.
    vocabularies : the levels that a row was asked for, where conditions are level numbers instead of vectors.
    """

    def __init__(
        self,
        width: int,
        pack: int,
        hidden: Sequence[int],
        dropout: float = 0.5,
        *,
        vocabularies: Sequence[Vocabulary] = (),
    ) -> None:
        super().__init__()
        self.pack, self.dropout = pack, dropout
        sizes = [width * pack, *hidden, 1]
        self.layers = nn.ModuleList(nn.Linear(before, units) for before, units in pairwise(sizes))
        n_inputs = (width + sum(one.width for one in vocabularies)) * pack
        self.told = nn.ModuleList(Told(vocabularies, sizes[1], n_inputs) for _ in range(pack if vocabularies else 0))

    def forward(self, rows: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Rows (n, width), and what they were asked for, to one score per pack, (n / pack,)."""
        scores: Tensor = self._through(rows, conditions)[0]
        return scores.squeeze(1)

    def slopes(self, rows: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Norm of the score's gradient by the pack with its conditions, (n / pack,), as a function of the weights.

        The score is linear in the rows wherever it has a gradient: a product of weights and of the slopes (1 or LEAK) that the units
        have there. Written out, it needs no second derivative: |W' s| is had from W W', which is smaller than a batch.
        """
        with torch.no_grad():
            hidden, bends = self._through(rows, conditions)
        first, *weights = [layer.weight for layer in self.layers if isinstance(layer.weight, Tensor)]
        slope: Tensor = torch.ones_like(hidden)
        for weight, bend in zip(reversed(weights), reversed(bends), strict=True):
            slope = (slope @ weight) * bend
        square = first @ first.t()
        for told in self.told:
            assert isinstance(told, Told)
            square = square + told.square()
        return ((slope @ square) * slope).sum(1).clamp_min(LEAST_SQUARE).sqrt()

    def _through(self, rows: Tensor, conditions: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Scores (n / pack, 1), and the slopes of every layer's units; dropped units have none."""
        n = len(rows) // self.pack
        if conditions is not None and not self.told:
            rows, conditions = torch.cat([rows, conditions], dim=1), None
        hidden, bends = rows.reshape(n, -1), []
        for i, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if i == 0 and conditions is not None:
                for told, levels in zip(self.told, conditions.view(n, self.pack).unbind(1), strict=True):
                    hidden = hidden + told(levels)
            if i == len(self.layers) - 1:
                break
            if torch.is_grad_enabled() and not (self.dropout and self.training):
                hidden = F.leaky_relu(hidden, LEAK)
                continue
            bend = (hidden > 0).to(hidden.dtype).mul_(1 - LEAK).add_(LEAK)
            if self.dropout and self.training:
                bend = F.dropout(bend, self.dropout)
            hidden = hidden * bend
            bends.append(bend)
        return hidden, bends


def gradient_penalty(
    critic: nn.Module, real: Tensor, synthetic: Tensor, pack: int = 1, conditions: Tensor | None = None
) -> Tensor:
    """(|gradient| - 1)^2 between real and synthetic packs, one value per pack, (n / pack,) (arXiv 1704.00028).

    Parameters
    ----------
    conditions : what both were asked for, which a `PackedCritic` takes beside the rows; other critics find it in the rows.
    """
    n = len(real) // pack
    share = torch.rand(n, 1, 1, device=real.device).expand(n, pack, real.shape[1]).reshape(real.shape)
    between = torch.lerp(synthetic, real, share)
    if isinstance(critic, PackedCritic):
        return (critic.slopes(between, conditions) - 1) ** 2
    between.requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.reshape(n, -1).norm(dim=1) - 1) ** 2


def log_shares(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Log of shares with half a row added to each, less their largest, float32 (n,)."""
    shares = np.log(counts + 0.5)
    return (shares - shares.max(initial=-math.inf)).astype(np.float32)


__all__ = [
    "F",
    "Given",
    "Group",
    "MixedHead",
    "PackedCritic",
    "ResidualGenerator",
    "Vocabulary",
    "gradient_penalty",
    "log_shares",
    "picked",
    "softmax",
]
