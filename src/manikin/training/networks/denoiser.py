"""The denoiser of a tabular diffusion: noisy numbers and choices and a moment to noise and logits (arXiv 2209.15421). Knows no schedule.

Noisy choices are looked up, not multiplied out: a sum of embeddings is the linear layer over one-hot vectors, without the one-hots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from manikin.training.networks.mixed import Given, Group, MixedHead


class Denoiser(nn.Module):
    """An MLP over a row with the moment added to its first layer.

    Parameters
    ----------
    groups : the fields of a row; scalars are standard normal at the end of the diffusion. hidden : units per layer.
    moment : width of the sinusoids that the moment is given by. octaves : sines and cosines of each number beside itself, from a period of
    8 deviations down by halves, so that narrow relations between numbers are seen (arXiv 2107.00630, section 4.1).
    """

    starts: Tensor
    rates: Tensor

    def __init__(
        self, groups: Sequence[Group], hidden: Sequence[int], moment: int = 128, dropout: float = 0.0, octaves: int = 0
    ) -> None:
        super().__init__()
        self.groups = tuple(groups)
        self.chosen = [g for g, group in enumerate(groups) if group.n_choices]
        self.n_scalars = sum(group.has_scalar for group in groups)
        sizes = [self.groups[g].n_choices for g in self.chosen]
        starts = torch.tensor([sum(sizes[:i]) for i in range(len(sizes))], dtype=torch.long)
        self.register_buffer("starts", starts, persistent=False)
        width = hidden[0]
        self.moment = nn.Sequential(_Sinusoids(moment), nn.Linear(moment, width), nn.SiLU(), nn.Linear(width, width))
        self.register_buffer("rates", math.pi / 4 * 2.0 ** torch.arange(octaves), persistent=False)
        self.numbers = nn.Linear(self.n_scalars * (1 + 2 * octaves), width, bias=False) if self.n_scalars else None
        self.levels = nn.EmbeddingBag(sum(sizes), width, mode="sum") if sizes else None
        if self.levels is not None:
            nn.init.normal_(self.levels.weight, std=1 / math.sqrt(len(sizes) + self.n_scalars))
        self.first = nn.SiLU()
        self.blocks = nn.ModuleList()
        for before, units in pairwise(hidden):
            self.blocks.append(nn.Sequential(nn.Linear(before, units), nn.SiLU(), nn.Dropout(dropout)))
        self.noise = nn.Linear(hidden[-1], self.n_scalars) if self.n_scalars else None
        self.head = MixedHead(hidden[-1], [replace(self.groups[g], has_scalar=False) for g in self.chosen]) if sizes else None

    def forward(self, scalars: Tensor, options: Tensor, moment: Tensor) -> Given:
        """What the row was before noise came to it.

        Parameters
        ----------
        scalars : (n, n_scalars). options : int64 (n, n_chosen), of the groups with a choice. moment : (n,) or (1,), in [0, 1].

        Returns
        -------
        `scalars` (n, n_scalars) without bounds, and logits of the choices.
        """
        hidden = self.moment(moment)
        if self.numbers is not None:
            angles = (scalars[:, :, None] * self.rates).flatten(1)
            hidden = hidden + self.numbers(torch.cat([scalars, torch.sin(angles), torch.cos(angles)], dim=1))
        if self.levels is not None:
            hidden = hidden + self.levels(options + self.starts)
        hidden = self.first(hidden)
        for block in self.blocks:
            out = block(hidden)
            hidden = out + hidden if out.shape == hidden.shape else out
        given = self.head(hidden) if self.head is not None else Given(scalars[:, :0], [], [])
        return Given(self.noise(hidden) if self.noise is not None else scalars, given.padded, given.large)


class _Sinusoids(nn.Module):
    """Sines and cosines of a moment in [0, 1], (n,) to (n, width); periods from 1/1000 of the diffusion up, as in arXiv 2006.11239."""

    rates: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.register_buffer("rates", 1000 * torch.exp(-math.log(10_000) * torch.arange(half) / half), persistent=False)

    def forward(self, moment: Tensor) -> Tensor:
        """Moments to features."""
        angle = moment[:, None] * self.rates
        return torch.cat([torch.cos(angle), torch.sin(angle)], dim=1)
