"""DCGAN's pair of networks (Radford, Metz & Chintala 2016, arXiv 1511.06434), told attributes; pictures and volumes. Knows no data.

Strided and transposed convolutions, no pooling, batch normalisation in the generator, leaky units in the critic. The generator has what
it is told beside its noise; the critic projects it on its features (Miyato & Koyama 2018, arXiv 1802.05637).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from manikin.training.networks.image_conditioning import Attribute, AttributeEmbedding
from manikin.training.networks.image_frame import CONV, CONV_UP, NORM, Frame, cells

MOST_CHANNELS = 512
GROUP = 4  # images of a batch that are compared
FIRST_SPREAD = 0.02  # of the weights, as in the paper


def widths(frame: Frame, width: int) -> list[int]:
    """Channels of each grid, the coarsest first: `width` at the finest, twice as many at each halving."""
    return [min(width * 2**k, max(width, MOST_CHANNELS)) for k in reversed(range(frame.doublings + 1))]


class DCGenerator(nn.Module):
    """Noise (n, n_noise) and tokens (n, n_attributes) to images (n, channels, *size) in (-1, 1)."""

    def __init__(self, frame: Frame, attributes: Sequence[Attribute], *, n_noise: int, width: int, told: int) -> None:
        super().__init__()
        self.frame, self.n_noise = frame, n_noise
        self.told = AttributeEmbedding(attributes, told)
        channels, axes = widths(frame, width), frame.n_axes
        self.first = nn.Linear(n_noise + (told if attributes else 0), channels[0] * cells(frame.sizes[0]), bias=False)
        self.norms = nn.ModuleList([NORM[axes](n) for n in channels])
        self.up = nn.ModuleList(
            [CONV_UP[axes](a, b, 4, stride=2, padding=1, bias=False) for a, b in pairwise(channels)]
        )
        self.last = CONV[axes](channels[-1], frame.channels, 3, padding=1)
        _spread(self)

    def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """Images."""
        given = torch.cat([noise, self.told(tokens)], 1) if tokens.shape[1] else noise
        grid = self.first(given).view(len(noise), -1, *self.frame.sizes[0])
        grid = torch.relu(self.norms[0](grid))
        for up, norm in zip(self.up, list(self.norms)[1:], strict=True):
            grid = torch.relu(norm(up(grid)))
        return torch.tanh(self.frame.crop(self.last(grid)))


class DCCritic(nn.Module):
    """Images and tokens to a score (n,), high for real ones; it sees how far the images of a group lie apart.

    Parameters
    ----------
    is_spectral : weights are divided by their largest singular value (Miyato et al. 2018, arXiv 1802.05957).
    """

    def __init__(self, frame: Frame, attributes: Sequence[Attribute], *, width: int, is_spectral: bool) -> None:
        super().__init__()
        self.frame = frame
        channels, axes = widths(frame, width)[::-1], frame.n_axes
        self.first = CONV[axes](frame.channels, channels[0], 3, padding=1)
        self.down = nn.ModuleList([CONV[axes](a, b, 4, stride=2, padding=1) for a, b in pairwise(channels)])
        self.score = nn.Linear((channels[-1] + 1) * cells(frame.sizes[0]), 1)
        self.told = AttributeEmbedding(attributes, channels[-1])
        for layer in (self.first, *self.down, self.score):  # the paper's 0.02 needs its batch normalisation
            nn.init.kaiming_normal_(layer.weight, 0.2)
        if is_spectral:
            for layer in (self.first, *self.down, self.score):
                spectral_norm(layer)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Scores."""
        grid = nn.functional.leaky_relu(self.first(self.frame.pad(images)), 0.2)
        for down in self.down:
            grid = nn.functional.leaky_relu(down(grid), 0.2)
        score = self.score(torch.cat([grid, group_spread(grid, tokens)], 1).flatten(1)).squeeze(1)
        if tokens.shape[1]:
            score = score + (self.told(tokens) * grid.flatten(2).mean(2)).sum(1) / math.sqrt(grid.shape[1])
        return score


def group_spread(grid: Tensor, tokens: Tensor) -> Tensor:
    """Mean standard deviation of the features within groups of a batch, as one more channel (n, 1, *size) (arXiv 1710.10196).

    Images that are told the same come into one group, as far as they go: else one image for each label would look like variety.
    """
    n = len(grid)
    group = next(g for g in range(min(GROUP, n), 0, -1) if n % g == 0)
    order = torch.arange(n, device=grid.device)
    for column in tokens.t():
        order = order[torch.argsort(column[order], stable=True)]
    apart = grid[order].reshape(n // group, group, -1)
    apart = (apart - apart.mean(1, keepdim=True)).square().mean(1).add(1e-8).sqrt().mean(1)
    spread = torch.empty_like(apart.repeat_interleave(group)).index_copy(0, order, apart.repeat_interleave(group))
    return spread.reshape(n, *[1] * (grid.dim() - 1)).expand(n, 1, *grid.shape[2:])


def _spread(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
            nn.init.normal_(layer.weight, 0.0, FIRST_SPREAD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
