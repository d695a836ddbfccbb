"""What networks over mixed columns share: heads that give scalars and choices, and their soft vectors. Knows parts, not what they mean.

All choices of all columns are made by a few tensor operations: groups of like size lie side by side, padded to one size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

PAD = -1e9
SIZES = (2, 4, 8, 16, 32, 64)  # choices of a group, rounded up to one of these
RANK = 32  # hidden units of the factorised head of a large vocabulary


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
    padded : per size of group, logits (n, n_groups, size), PAD where there is no choice.
    large : logits (n, n_choices) of each group with codes.
    """

    scalars: Tensor
    padded: list[Tensor]
    large: list[Tensor]


class MixedHead(nn.Module):
    """From hidden units to scalars and logits, and from these to vectors in the codec's order.

    Parameters
    ----------
    width : hidden units. groups : what is given, in the codec's order.
    """

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
        self.scalars = nn.Linear(width, len(self._scalars)) if self._scalars else None
        self.small = nn.ModuleList(nn.Linear(width, size * len(members)) for size, members in self._buckets)
        self.large = nn.ModuleList(
            nn.Sequential(nn.Linear(width, RANK), nn.Linear(RANK, groups[g].n_choices)) for g in self._large
        )
        self._place()
        self._start_at_shares()

    def _place(self) -> None:
        """Index of every vector cell among what `_flat` lays side by side, and of every choice among all logits."""
        at, cells, choices = len(self._scalars), {}, {}
        for size, members in self._buckets:
            for g in members:
                n = self.groups[g].n_choices
                cells[g] = choices[g] = list(range(at, at + n))
                at += size
        for g in self._large:
            codes = self.groups[g].codes
            assert codes is not None
            cells[g] = list(range(at, at + codes.shape[1]))
            at += codes.shape[1]
            self.register_buffer(f"codes{g}", torch.from_numpy(codes.copy()), persistent=False)
        order: list[int] = []
        for g, group in enumerate(self.groups):
            order += ([self._scalars.index(g)] if group.has_scalar else []) + cells.get(g, [])
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), persistent=False)
        for b, (size, members) in enumerate(self._buckets):
            pad = torch.zeros(len(members), size)
            for i, g in enumerate(members):
                pad[i, self.groups[g].n_choices :] = PAD
            self.register_buffer(f"pad{b}", pad, persistent=False)

    @torch.no_grad()
    def _start_at_shares(self) -> None:
        """Biases such that the first draws have the shares of the data."""
        for linear, (size, members) in zip(self.small, self._buckets, strict=True):
            assert isinstance(linear, nn.Linear)
            bias = linear.bias.view(len(members), size)
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

    def forward(self, hidden: Tensor) -> Given:
        """Scalars through tanh, and logits."""
        n = len(hidden)
        padded = []
        for b, (linear, (size, members)) in enumerate(zip(self.small, self._buckets, strict=True)):
            padded.append(linear(hidden).view(n, len(members), size) + getattr(self, f"pad{b}"))
        scalars = hidden[:, :0] if self.scalars is None else torch.tanh(self.scalars(hidden))
        return Given(scalars, padded, [head(hidden) for head in self.large])

    def soft(self, given: Given, *, temperature: float | None = None, hard: bool = False) -> Tensor:
        """Vectors (n, width) that gradients pass through: choices by Gumbel-softmax (arXiv 1611.01144), or softmax without temperature."""

        def chosen(logits: Tensor) -> Tensor:
            if temperature is None:
                return torch.softmax(logits, dim=-1)
            noise = torch.empty_like(logits).exponential_().log_()
            shares = torch.softmax((logits - noise) / temperature, dim=-1)
            if not hard:
                return shares
            picked = torch.zeros_like(shares).scatter_(-1, shares.argmax(-1, keepdim=True), 1.0)
            return picked + shares - shares.detach()

        n = len(given.scalars)
        small = [chosen(logits).reshape(n, -1) for logits in given.padded]
        large = [chosen(logits) @ self._codes(g) for logits, g in zip(given.large, self._large, strict=True)]
        order = self.order
        assert isinstance(order, Tensor)
        return torch.cat([given.scalars, *small, *large], dim=1).index_select(1, order)

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
        out: list[Tensor | None] = [None] * len(self.groups)
        for logits, (_, members) in zip(given.padded, self._buckets, strict=True):
            picked = torch.log_softmax(logits, -1).gather(-1, target[:, members, None]).squeeze(-1)
            for i, g in enumerate(members):
                out[g] = picked[:, i]
        for logits, g in zip(given.large, self._large, strict=True):
            out[g] = torch.log_softmax(logits, -1).gather(-1, target[:, [g]]).squeeze(-1)
        zero = torch.zeros(len(target), device=target.device)
        return torch.stack([zero if one is None else one for one in out], dim=1)

    def drawn(self, given: Given, uniform: Tensor, possible: Sequence[Tensor]) -> Tensor:
        """One option per group by its logits, int64 (n, n_groups); 0 for groups without a choice. A few operations for all groups.

        Parameters
        ----------
        uniform : (n, n_groups) in [0, 1). possible : per group with a choice, in order, bool (n_choices,): which may be drawn at all.
        """
        out = torch.zeros(uniform.shape, dtype=torch.long, device=uniform.device)
        with_choice = [g for g, group in enumerate(self.groups) if group.n_choices]
        masks = dict(zip(with_choice, possible, strict=True))
        for logits, (size, members) in zip(given.padded, self._buckets, strict=True):
            mask = torch.zeros(len(members), size, dtype=torch.bool, device=uniform.device)
            for i, g in enumerate(members):
                mask[i, : self.groups[g].n_choices] = masks[g]
            out[:, members] = _by_share(logits, mask, uniform[:, members])
        for logits, g in zip(given.large, self._large, strict=True):
            out[:, g] = _by_share(logits, masks[g], uniform[:, g])
        return out

    def logits(self, given: Given) -> Tensor:
        """All logits side by side in the codec's order, (n, sum of n_choices), for `VectorCodec.draw`."""
        parts: dict[int, Tensor] = {}
        for logits, (_, members) in zip(given.padded, self._buckets, strict=True):
            for i, g in enumerate(members):
                parts[g] = logits[:, i, : self.groups[g].n_choices]
        parts |= dict(zip(self._large, given.large, strict=True))
        none = given.scalars[:, :0]
        return torch.cat([parts.get(g, none) for g in range(len(self.groups))], dim=1)


def _by_share(logits: Tensor, possible: Tensor, uniform: Tensor) -> Tensor:
    """The option in whose share of the possible weight `uniform` falls, int64 (…,)."""
    shares = torch.softmax(logits.masked_fill(~possible, PAD), dim=-1)
    ends = shares.cumsum(-1)
    last = possible.shape[-1] - 1 - possible.flip(-1).long().argmax(-1)  # rounding must not point past what is possible
    place: Tensor = (uniform.unsqueeze(-1) * ends[..., -1:] >= ends).sum(-1)
    return torch.minimum(place, last.expand_as(place))


class ResidualGenerator(nn.Module):
    """CTGAN's generator: blocks of linear, batch normalisation and ReLU, each joined to its input (arXiv 1907.00503, section 4.4).

    Parameters
    ----------
    n_noise : width of the noise. n_conditions : width of what is given beside it. hidden : units per block.
    """

    def __init__(self, n_noise: int, n_conditions: int, hidden: Sequence[int], groups: Sequence[Group]) -> None:
        super().__init__()
        self.n_noise = n_noise
        width = n_noise + n_conditions
        self.blocks = nn.ModuleList()
        for units in hidden:
            self.blocks.append(nn.Sequential(nn.Linear(width, units), nn.BatchNorm1d(units), nn.ReLU()))
            width += units
        self.head = MixedHead(width, groups)

    def forward(self, noise: Tensor, conditions: Tensor | None = None) -> Given:
        """Noise (n, n_noise) and conditions (n, n_conditions) to scalars and logits."""
        hidden = noise if conditions is None else torch.cat([noise, conditions], dim=1)
        for block in self.blocks:
            hidden = torch.cat([block(hidden), hidden], dim=1)
        given: Given = self.head(hidden)
        return given


class PackedCritic(nn.Module):
    """CTGAN's critic: several rows judged together (PacGAN, arXiv 1712.04086), so that repeated rows give themselves away.

    Parameters
    ----------
    width : of one row with its conditions. pack : rows judged together. hidden : units per layer.
    """

    def __init__(self, width: int, pack: int, hidden: Sequence[int], dropout: float = 0.5) -> None:
        super().__init__()
        self.pack = pack
        layers: list[nn.Module] = []
        size = width * pack
        for units in hidden:
            layers += [nn.Linear(size, units), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
            size = units
        self.layers = nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (n, width) to one score per pack, (n / pack,)."""
        scores: Tensor = self.layers(rows.reshape(len(rows) // self.pack, -1))
        return scores.squeeze(1)


def gradient_penalty(critic: nn.Module, real: Tensor, synthetic: Tensor, pack: int = 1) -> Tensor:
    """(|gradient| - 1)^2 between real and synthetic packs, one value per pack, (n / pack,) (arXiv 1704.00028)."""
    n = len(real) // pack
    share = torch.rand(n, 1, 1, device=real.device).expand(n, pack, real.shape[1]).reshape(real.shape)
    between = (share * real + (1 - share) * synthetic).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.reshape(n, -1).norm(dim=1) - 1) ** 2


def log_shares(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Log of shares with half a row added to each, less their largest, float32 (n,)."""
    shares = np.log(counts + 0.5)
    return (shares - shares.max(initial=-math.inf)).astype(np.float32)


__all__ = ["F", "Given", "Group", "MixedHead", "PackedCritic", "ResidualGenerator", "gradient_penalty", "log_shares"]
