"""A hierarchical variational autoencoder of images: latent maps from coarse to fine, each with a learned prior. Knows no data.

One latent vector and independent pixels blur (Kingma & Welling 2014, arXiv 1312.6114). Here the latents stand on grids from four cells to
half the image's size; each is drawn from a prior that follows from those before it, and learned from a posterior that sees the image too
(Sønderby et al. 2016, arXiv 1602.02282; Kingma et al. 2016, arXiv 1606.04934; Child 2021, arXiv 2011.10650). Pixels have a
discretised logistic with a learned scale each (arXiv 1606.04934, appendix).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.image_conditioning import Attribute, AttributeEmbedding
from manikin.training.networks.image_frame import CONV, Frame
from manikin.training.networks.unet import folded, unfolded

MOST_CHANNELS = 256
LEAST_SPREAD, MOST_SPREAD = -7.0, 2.0  # of the logarithm of a scale
FIRST_SCALE = -2.0  # logarithm of the pixels' scale at the start, where they lie in [-1, 1]
PATCH = 2  # pixels of each axis that a cell of the finest latent grid holds


class Residual(nn.Module):
    """Two convolutions beside the way through."""

    def __init__(self, axes: int, channels: int) -> None:
        super().__init__()
        self.first = CONV[axes](channels, channels, 3, padding=1)
        self.second = CONV[axes](channels, channels, 3, padding=1)
        for one in self.second.parameters():
            nn.init.zeros_(one)

    def forward(self, grid: Tensor) -> Tensor:
        """The same shape."""
        return grid + self.second(F.silu(self.first(F.silu(grid))))


class Latent(nn.Module):
    """One map of latents: its prior and posterior, and what it adds to the way down."""

    def __init__(self, axes: int, channels: int, seen: int, latents: int, told: int) -> None:
        super().__init__()
        conv = CONV[axes]
        self.told = nn.Linear(told, channels)
        self.prior = nn.Sequential(nn.SiLU(), conv(channels, 2 * latents, 3, padding=1))
        self.posterior = nn.Sequential(nn.SiLU(), conv(channels + seen, channels, 3, padding=1), nn.SiLU(), conv(channels, 2 * latents, 1))
        self.add = conv(latents, channels, 1)
        self.block = Residual(axes, channels)
        with torch.no_grad():
            for one in (*self.prior[1].parameters(), *self.posterior[3].parameters()):
                one.mul_(0.1)

    def forward(self, grid: Tensor, told: Tensor, seen: Tensor | None, temperature: float) -> tuple[Tensor, Tensor]:
        """The way down with this map drawn, and the divergence (n,), 0 where nothing is seen."""
        grid = grid + self.told(told)[(..., *[None] * (grid.dim() - 2))]
        mean, log_spread = _gaussian(self.prior(grid))
        if seen is None:
            latent = mean + torch.randn_like(mean) * log_spread.exp() * temperature
            divergence = torch.zeros(len(grid), device=grid.device)
        else:
            q_mean, q_log_spread = _gaussian(self.posterior(torch.cat([grid, seen], 1)))
            latent = q_mean + torch.randn_like(q_mean) * q_log_spread.exp()
            ratio = (2 * (q_log_spread - log_spread)).exp() + ((q_mean - mean) * (-log_spread).exp()).square()
            divergence = (0.5 * (ratio - 1) + log_spread - q_log_spread).flatten(1).sum(1)
        return self.block(grid + self.add(latent)), divergence


class ImageVAENetwork(nn.Module):
    """Images to their bound, and noise to images.

    Parameters
    ----------
    n_steps : between -1 and 1 that pixels are told apart in. width : channels at the finest latent grid, one and a half times as many at
        each halving. latents : of each cell of a map. maps : of latents on each grid.
    """

    def __init__(
        self, frame: Frame, attributes: Sequence[Attribute], *, n_steps: int, width: int, latents: int, maps: int, told: int
    ) -> None:
        super().__init__()
        self.frame, self.n_steps = frame, n_steps
        axes, conv = frame.n_axes, CONV[frame.n_axes]
        self.patch = PATCH if frame.doublings else 1
        sizes = frame.sizes[:-1] if frame.doublings else frame.sizes
        self.base = sizes[0]
        channels = [min(int(width * 1.5**k) // 8 * 8 or width, MOST_CHANNELS) for k in reversed(range(len(sizes)))]
        self.told = AttributeEmbedding(attributes, told)
        cell = frame.channels * self.patch**axes
        self.stem = conv(cell, channels[-1], 3, padding=1)
        self.seeing = nn.ModuleList([nn.Sequential(Residual(axes, n), Residual(axes, n)) for n in channels])
        self.down = nn.ModuleList([conv(b, a, 2, stride=2) for a, b in pairwise(channels)])
        self.start = nn.Parameter(torch.zeros(1, channels[0], *self.base))
        self.maps = nn.ModuleList(
            [nn.ModuleList([Latent(axes, n, n, latents, told) for _ in range(maps)]) for n in channels]
        )
        self.up = nn.ModuleList([conv(a, b, 1) for a, b in pairwise(channels)])
        self.last = conv(channels[-1], 2 * cell, 3, padding=1)
        with torch.no_grad():
            for one in self.last.parameters():
                one.mul_(0.1)

    def bound(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x | z) and the divergence of q from the prior, nats per image, each (n,); z drawn once."""
        padded = self.frame.pad(images)
        grid, seen = self.stem(folded(padded, self.patch)), []
        for place in reversed(range(len(self.maps))):
            grid = self.seeing[place](grid)
            seen.append(grid)
            if place:
                grid = self.down[place - 1](grid)
        mean, log_scale, divergence = self._decode(len(images), tokens, seen[::-1], 1.0)
        return log_logistic(images, mean, log_scale, self.n_steps).flatten(1).sum(1), divergence

    def draw(self, tokens: Tensor, *, temperature: float, has_noise: bool) -> Tensor:
        """Images for these attributes.

        Parameters
        ----------
        temperature : of the latents. has_noise : pixels are drawn around their mean, as the model has it, instead of at it.
        """
        mean, log_scale, _ = self._decode(len(tokens), tokens, None, temperature)
        if not has_noise:
            return mean.clamp(-1, 1)
        uniform = torch.rand_like(mean).clamp(1e-5, 1 - 1e-5)
        return (mean + log_scale.exp() * (uniform.log() - (-uniform).log1p())).clamp(-1, 1)

    def _decode(self, n: int, tokens: Tensor, seen: Sequence[Tensor] | None, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
        told = self.told(tokens)
        grid = self.start.expand(n, *self.start.shape[1:])
        divergence = torch.zeros(n, device=grid.device)
        for place, maps in enumerate(self.maps):
            if place:
                grid = self.up[place - 1](F.interpolate(grid, scale_factor=2))
            for one in maps:  # type: ignore[attr-defined]
                grid, more = one(grid, told, None if seen is None else seen[place], temperature)
                divergence = divergence + more
        mean, log_scale = unfolded(self.last(F.silu(grid)), self.patch).chunk(2, 1)
        scale = (self.frame.crop(log_scale) + FIRST_SCALE).clamp(LEAST_SPREAD, MOST_SPREAD)
        return self.frame.crop(mean), scale, divergence


def log_logistic(images: Tensor, mean: Tensor, log_scale: Tensor, n_steps: int) -> Tensor:
    """log of the mass that a logistic distribution has on the step that each pixel lies on; the ends take what is beyond them."""
    half = 1.0 / n_steps
    inverse = torch.exp(-log_scale)
    above, below = (images - mean + half) * inverse, (images - mean - half) * inverse
    middle = (images - mean) * inverse
    mass = torch.sigmoid(above) - torch.sigmoid(below)
    dense = middle - log_scale - 2 * F.softplus(middle) + torch.log(torch.tensor(2 * half))  # where the mass is too small to subtract
    inside = torch.where(mass > 1e-5, mass.clamp(min=1e-10).log(), dense)
    return torch.where(images < -1 + half, F.logsigmoid(above), torch.where(images > 1 - half, F.logsigmoid(-below), inside))


def _gaussian(parameters: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_spread = parameters.chunk(2, 1)
    return mean, log_spread.clamp(LEAST_SPREAD, MOST_SPREAD)
