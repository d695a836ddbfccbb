"""A variational autoencoder that makes images smaller (Kingma & Welling 2014, arXiv 1312.6114; Rombach et al. 2022, arXiv 2112.10752).

An image becomes a grid of Gaussians, each axis halved a few times; what is drawn from them becomes the image again. Knows no diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.image_frame import CONV
from manikin.training.networks.unet import folded, unfolded

LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE = -20.0, 5.0
EDGES = 0.5  # weight of differences between neighbours: without it edges are the last thing that is learned


class Plain(nn.Module):
    """Two convolutions beside the way through."""

    def __init__(self, axes: int, channels: int) -> None:
        super().__init__()
        self.norm, self.again = nn.GroupNorm(max(1, channels // 8), channels), nn.GroupNorm(max(1, channels // 8), channels)
        self.first, self.second = CONV[axes](channels, channels, 3, padding=1), CONV[axes](channels, channels, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, grid: Tensor) -> Tensor:
        """The same shape."""
        return grid + self.second(F.silu(self.again(self.first(F.silu(self.norm(grid))))))


class ImageAutoencoder(nn.Module):
    """Images (n, channels, *size) in [-1, 1] to latents (n, latents, *size / 2^halvings) and back.

    Parameters
    ----------
    width : channels at half the image's size; twice as many below. latents : numbers in each cell.
    """

    def __init__(self, axes: int, channels: int, *, halvings: int, width: int, latents: int) -> None:
        super().__init__()
        conv = CONV[axes]
        widths = [width * min(2**level, 4) for level in range(halvings)]
        cell = channels * 2**axes
        encoder: list[nn.Module] = [conv(cell, widths[0], 3, padding=1)]
        decoder: list[nn.Module] = [conv(latents, widths[-1], 3, padding=1), Plain(axes, widths[-1])]
        for level, own in enumerate(widths):
            encoder.append(Plain(axes, own))
            if level + 1 < halvings:
                encoder.append(conv(own, widths[level + 1], 3, stride=2, padding=1))
        for level in reversed(range(halvings)):
            decoder.append(Plain(axes, widths[level]))
            if level:
                decoder += [nn.Upsample(scale_factor=2), conv(widths[level], widths[level - 1], 3, padding=1)]
        self.encoder = nn.Sequential(*encoder, nn.SiLU(), conv(widths[-1], 2 * latents, 3, padding=1))
        self.decoder = nn.Sequential(*decoder, nn.SiLU(), conv(widths[0], cell, 3, padding=1))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents."""
        mean, log_variance = self.encoder(folded(images, 2)).chunk(2, 1)
        return mean, log_variance.clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE)

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents."""
        return unfolded(self.decoder(latents), 2)

    def loss(self, images: Tensor, divergence: float) -> Tensor:
        """Absolute error of pixels and of differences between neighbours, and a little of the divergence from a standard normal, (n,)."""
        mean, log_variance = self.encode(images)
        made = self.decode(drawn(mean, log_variance))
        error = (made - images).abs().flatten(1).mean(1)
        for axis in range(2, images.dim()):
            if images.shape[axis] > 1:
                error = error + EDGES * (made.diff(dim=axis) - images.diff(dim=axis)).abs().flatten(1).mean(1)
        apart = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)
        return error + divergence * apart / math.prod(images.shape[1:])


def drawn(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Latents, anew each time: noise that is stored with latents would be learned as if it were anatomy."""
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def latent_size(size: Sequence[int], halvings: int) -> tuple[int, ...]:
    """Of images whose axes are multiples of 2^halvings."""
    return tuple(length // 2**halvings for length in size)
