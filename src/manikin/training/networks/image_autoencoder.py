"""A variational autoencoder that makes images smaller (Kingma & Welling 2014, arXiv 1312.6114; Rombach et al. 2022, arXiv 2112.10752).

An image becomes a grid of Gaussians, each axis halved a few times; what is drawn from them becomes the image again. It begins as the best
linear code of patches (principal components, from the images themselves), to which the network adds: a short run starts where a plain
network arrives late. Edges are repeated, not filled with zeros, which would darken them. Knows no diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.image_frame import CONV, CONV_UP
from manikin.training.networks.image_pyramid import unlikeness
from manikin.training.networks.unet import folded, unfolded

LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE = -6.0, 5.0  # what decodes must bear that much noise, or what diffusion leaves would show
FIRST_LOG_VARIANCE = -4.0
MOST_PATCHES, MOST_NUMBERS = 65_536, 1 << 24  # that principal components are taken from, and numbers in all of them
LEAST_SPREAD = 0.01  # of a component of patches in [-1, 1]: flat ones have none


class Plain(nn.Module):
    """Two convolutions beside the way through."""

    def __init__(self, axes: int, channels: int) -> None:
        super().__init__()
        self.norm, self.again = nn.GroupNorm(max(1, channels // 8), channels), nn.GroupNorm(max(1, channels // 8), channels)
        self.first, self.second = _conv(axes, channels, channels), _conv(axes, channels, channels)
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
        widths = [width * min(2**level, 4) for level in range(halvings)]
        cell, patch = channels * 2**axes, 2**halvings
        self.to_code = CONV[axes](channels, latents, patch, stride=patch)
        self.of_code = CONV_UP[axes](latents, channels, patch, stride=patch)
        encoder: list[nn.Module] = [_conv(axes, cell, widths[0])]
        decoder: list[nn.Module] = [_conv(axes, latents, widths[-1]), Plain(axes, widths[-1])]
        for level, own in enumerate(widths):
            encoder.append(Plain(axes, own))
            if level + 1 < halvings:
                encoder.append(_conv(axes, own, widths[level + 1], stride=2))
        for level in reversed(range(halvings)):
            decoder.append(Plain(axes, widths[level]))
            if level:
                decoder += [nn.Upsample(scale_factor=2), _conv(axes, widths[level], widths[level - 1])]
        last_in, last_out = _conv(axes, widths[-1], 2 * latents), _conv(axes, widths[0], cell)
        with torch.no_grad():  # the network adds nothing at first
            for last in (last_in, last_out):
                for parameter in last.parameters():
                    parameter.zero_()
            next(p for p in last_in.parameters() if p.dim() == 1)[latents:] = FIRST_LOG_VARIANCE
        self.encoder = nn.Sequential(*encoder, nn.SiLU(), last_in)
        self.decoder = nn.Sequential(*decoder, nn.SiLU(), last_out)

    @torch.no_grad()
    def begin_linear(self, images: Tensor) -> None:
        """Takes the best linear code of these images' patches, each of its numbers with a spread of 1, (n, channels, *size)."""
        patch, latents = self.to_code.kernel_size[0], self.to_code.out_channels
        patches = folded(images, patch).movedim(1, -1).flatten(0, -2)
        most = max(min(MOST_PATCHES, MOST_NUMBERS // patches.shape[1]), 2)
        patches = patches[:: -(-len(patches) // most)].double()
        level = images.movedim(1, 0).flatten(1).double().mean(1)
        mean = level.repeat_interleave(patches.shape[1] // len(level))
        axes, spread = _components(patches - mean, latents)
        shape = (latents, images.shape[1], *self.to_code.kernel_size)
        self.to_code.weight.copy_((axes / spread[:, None]).reshape(shape))
        self.to_code.bias.copy_(-(axes / spread[:, None]) @ mean)  # type: ignore[union-attr]
        self.of_code.weight.copy_((axes * spread[:, None]).reshape(shape))
        self.of_code.bias.copy_(level)  # type: ignore[union-attr]

    def n_pixels(self, latents: Tensor) -> int:
        """Numbers in one image of these latents."""
        return math.prod(latents.shape[2:]) * self.of_code.out_channels * math.prod(self.of_code.kernel_size)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents."""
        mean, log_variance = self.encoder(folded(images, 2)).chunk(2, 1)
        return mean + self.to_code(images), log_variance.clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE)

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents."""
        return self.of_code(latents) + unfolded(self.decoder(latents), 2)

    def loss(self, images: Tensor, divergence: float) -> Tensor:
        """How unlike images what is drawn and decoded is, and a little of the divergence from a standard normal, (n,)."""
        mean, log_variance = self.encode(images)
        made = self.decode(drawn(mean, log_variance))
        apart = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)
        return unlikeness(made, images) + divergence * apart / math.prod(images.shape[1:])


def _conv(axes: int, before: int, after: int, *, stride: int = 1) -> nn.Conv2d | nn.Conv3d:
    return CONV[axes](before, after, 3, stride=stride, padding=1, padding_mode="replicate")


def _components(patches: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The first principal axes (n, numbers) of centred patches (n_patches, numbers), signs settled, and the spread along each, (n,).

    Where there are fewer axes than asked for the others are 0, of spread 1.
    """
    wide = patches.shape[1] > len(patches)
    values, vectors = torch.linalg.eigh((patches @ patches.T if wide else patches.T @ patches) / len(patches))
    n_found = min(n, len(values))
    spread = values.flip(0)[:n_found].clamp(min=0).sqrt()
    axes = vectors.flip(1)[:, :n_found].T
    if wide:
        axes = F.normalize(axes @ patches, dim=1)
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    axes = F.pad(axes, (0, 0, 0, n - n_found))
    return axes, F.pad(spread.clamp(min=LEAST_SPREAD), (0, n - n_found), value=1.0)


def drawn(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Latents, anew each time: noise that is stored with latents would be learned as if it were anatomy."""
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def latent_size(size: Sequence[int], halvings: int) -> tuple[int, ...]:
    """Of images whose axes are multiples of 2^halvings."""
    return tuple(length // 2**halvings for length in size)
