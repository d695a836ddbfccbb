"""StyleGAN2's networks (Karras et al. 2020, arXiv 1912.04958) in plain torch, written from the paper; told attributes. Knows no data.

A mapping network turns noise into a style; convolutions are modulated by it and their outputs brought back to unit variance; noise enters
at every layer; each grid adds to the image (skips). The critic is residual, with the spread within small groups of a batch beside its
last features. Weights are scaled at run time, so that all of them learn at one pace (arXiv 1710.10196).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.dcgan import group_spread, widths
from manikin.training.networks.image_conditioning import Attribute, AttributeEmbedding
from manikin.training.networks.image_frame import Frame, cells

GAIN = math.sqrt(2)  # that a leaky unit takes away
MEAN_KEPT = 0.998  # of the running mean of styles, at each batch


class Scaled(nn.Module):
    """A linear layer or convolution whose weights are N(0, 1) / pace and scaled at run time by pace / sqrt(fan in)."""

    def __init__(self, n_in: int, n_out: int, kernel: int = 0, *, bias: float | None = 0.0, pace: float = 1.0) -> None:
        super().__init__()
        shape = (n_out, n_in, kernel, kernel) if kernel else (n_out, n_in)
        self.weight = nn.Parameter(torch.randn(shape) / pace)
        self.bias = None if bias is None else nn.Parameter(torch.full((n_out,), float(bias) / pace))
        self.scale, self.pace, self.kernel = pace / math.sqrt(n_in * max(kernel, 1) ** 2), pace, kernel

    def forward(self, given: Tensor, gain: float = 1.0, *, halves: bool = False) -> Tensor:
        """What a layer gives times a gain, without a unit behind it; `halves` takes the means of 2 x 2 pixels of that, in one go."""
        weight, bias = self.weight * (self.scale * gain), None if self.bias is None else self.bias * (self.pace * gain)
        if halves:  # a mean of convolutions is a convolution with the mean of shifted kernels, at a quarter of the pixels
            kernels = F.avg_pool2d(F.pad(weight, (1, 1, 1, 1)), 2, stride=1)
            return F.conv2d(given, kernels, bias, stride=2, padding=self.kernel // 2)
        if self.kernel:
            return F.conv2d(given, weight, bias, padding=self.kernel // 2)
        return F.linear(given, weight, bias)

    def leaky(self, given: Tensor) -> Tensor:
        """The same through a leaky unit that keeps the variance; its gain is put on the weights, which are few."""
        return F.leaky_relu(self(given, GAIN), 0.2)


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by a style, for each image its own.

    With w'_ijk = s_i w_ijk and, demodulated, w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + 1e-8): equations 1 and 3 of the paper. The scales
    are put on what goes in and comes out instead of on the weights, which is the same and quicker here than a group for each image.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, style: int, *, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, kernel, kernel))
        self.style = Scaled(style, n_in, bias=1.0)
        self.scale, self.demodulate, self.kernel = 1 / math.sqrt(n_in * kernel**2), demodulate, kernel

    def forward(self, grid: Tensor, style: Tensor, gain: float = 1.0, *, doubles: bool = False) -> Tensor:
        """(n, n_out, *size), times a gain; `doubles` brings the grid to twice its size first."""
        s, weight = self.style(style), self.weight * self.scale
        grid = grid * s[:, :, None, None]
        out = F.conv2d(doubled(grid) if doubles else grid, weight, padding=self.kernel // 2)
        if self.demodulate:
            norm = torch.rsqrt(s.square() @ weight.square().sum((2, 3)).t() + 1e-8) * gain
            out = out * norm[:, :, None, None]
        return out


class StyledLayer(nn.Module):
    """A modulated convolution, noise of a learned strength, a leaky unit; before it the grid is doubled where asked."""

    def __init__(self, n_in: int, n_out: int, style: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.conv, self.doubles = Modulated(n_in, n_out, 3, style), doubles
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, grid: Tensor, style: Tensor) -> Tensor:
        """The next grid."""
        out = self.conv(grid, style, GAIN, doubles=self.doubles)
        noise = torch.randn(len(out), 1, *out.shape[2:], device=out.device)
        out = out + (self.strength * GAIN) * noise + (self.bias * GAIN)[:, None, None]
        return F.leaky_relu(out, 0.2)


def doubled(grid: Tensor) -> Tensor:
    """Twice the size through the filter (1, 3, 3, 1), as in the paper: bilinear."""
    return F.interpolate(grid, scale_factor=2.0, mode="bilinear", align_corners=False)


class StyleGenerator(nn.Module):
    """Noise and tokens to styles, styles to images.

    Parameters
    ----------
    n_noise : length of noise. style : of styles. mapping : layers of the mapping network. width : channels at the finest grid.
    """

    mean: Tensor

    def __init__(self, frame: Frame, attributes: Sequence[Attribute], *, n_noise: int, style: int, mapping: int, width: int) -> None:
        super().__init__()
        self.frame, self.n_noise = frame, n_noise
        self.told = AttributeEmbedding(attributes, n_noise)
        sizes = [n_noise * (2 if attributes else 1), *[style] * mapping]
        self.mapping = nn.ModuleList([Scaled(a, b, pace=0.01) for a, b in pairwise(sizes)])
        self.register_buffer("mean", torch.zeros(style))
        channels = widths(frame, width)
        self.start = nn.Parameter(torch.randn(1, channels[0], *frame.sizes[0]))
        self.layers = nn.ModuleList([StyledLayer(channels[0], channels[0], style)])
        self.shows = nn.ModuleList([Modulated(n, frame.channels, 1, style, demodulate=False) for n in channels])
        for a, b in pairwise(channels):
            self.layers += [StyledLayer(a, b, style, doubles=True), StyledLayer(b, b, style)]
        self.bias = nn.Parameter(torch.zeros(frame.channels))
        self.n_styles = 2 * len(channels)

    def styles(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """(n, style): noise and what is told, each brought to unit size, through the mapping network."""
        given = _unit(noise)
        if tokens.shape[1]:
            given = torch.cat([given, _unit(self.told(tokens))], 1)
        for layer in self.mapping:
            assert isinstance(layer, Scaled)
            given = layer.leaky(given)
        return given

    @torch.no_grad()
    def note(self, styles: Tensor) -> None:
        """Takes styles into their running mean."""
        self.mean.lerp_(styles.mean(0), 1 - MEAN_KEPT)

    def truncated(self, styles: Tensor, share: float) -> Tensor:
        """Styles drawn in towards their mean: 1 leaves them, 0 is the mean."""
        return styles if share == 1.0 else self.mean + share * (styles - self.mean)

    def image(self, styles: Tensor) -> Tensor:
        """Images (n, channels, *size) of styles (n, style) or of one for each layer (n, n_styles, style)."""
        each = styles if styles.dim() == 3 else styles[:, None].expand(-1, self.n_styles, -1)
        grid = self.layers[0](self.start.expand(len(each), -1, -1, -1), each[:, 0])
        image = self.shows[0](grid, each[:, 1])
        for k in range(1, len(self.shows)):
            grid = self.layers[2 * k - 1](grid, each[:, 2 * k - 1])
            grid = self.layers[2 * k](grid, each[:, 2 * k])
            image = doubled(image) + self.shows[k](grid, each[:, 2 * k + 1])
        return self.frame.crop(image + self.bias[:, None, None])

    def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """Images of noise."""
        return self.image(self.styles(noise, tokens))


class StyleCritic(nn.Module):
    """Images and tokens to a score (n,), high for real ones."""

    def __init__(self, frame: Frame, attributes: Sequence[Attribute], *, width: int, told: int) -> None:
        super().__init__()
        self.frame = frame
        channels = widths(frame, width)[::-1]
        self.first = Scaled(frame.channels, channels[0], 1)
        self.blocks = nn.ModuleList([_Down(a, b) for a, b in pairwise(channels)])
        self.conv = Scaled(channels[-1] + 1, channels[-1], 3)
        self.dense = Scaled(channels[-1] * cells(frame.sizes[0]), channels[-1])
        self.score = Scaled(channels[-1], told if attributes else 1)
        self.told = AttributeEmbedding(attributes, told)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Scores."""
        grid = self.first.leaky(self.frame.pad(images))
        for block in self.blocks:
            grid = block(grid)
        grid = self.conv.leaky(torch.cat([grid, group_spread(grid, tokens)], 1))
        score = self.score(self.dense.leaky(grid.flatten(1)))
        if not tokens.shape[1]:
            return score.squeeze(1)
        return (score * _unit(self.told(tokens))).sum(1) / math.sqrt(score.shape[1])


class _Down(nn.Module):
    """A residual block that halves the grid."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first, self.second = Scaled(n_in, n_in, 3), Scaled(n_in, n_out, 3)
        self.skip = Scaled(n_in, n_out, 1, bias=None)

    def forward(self, grid: Tensor) -> Tensor:
        """Half the size."""
        out = F.leaky_relu(self.second(self.first.leaky(grid), halves=True), 0.2)  # the sum of two over GAIN keeps the variance
        return out + self.skip(grid, 1 / GAIN, halves=True)


def _unit(given: Tensor) -> Tensor:
    """Each row at a mean square of 1."""
    return given * torch.rsqrt(given.square().mean(1, keepdim=True) + 1e-8)
