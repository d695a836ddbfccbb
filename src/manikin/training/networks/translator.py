"""Networks that turn one image into another: an encoder and decoder with ways across, or residual blocks, and a critic of patches.

pix2pix (Isola et al. 2017, arXiv 1611.07004) and CycleGAN (Zhu et al. 2017, arXiv 1703.10593). Knows no data.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.dcgan import widths
from manikin.training.networks.image_frame import CONV, Frame

NORMED = 8  # channels that are brought to one size together; whole images would lose how bright they are


class Translator(nn.Module):
    """Images (n, channels, *size) to images (n, n_out, *size) in (-1, 1).

    Parameters
    ----------
    width : channels at the finest grid. halvings : of the grid, at most what the size allows. blocks : residual ones at the coarsest grid.
    crosses : whether what was seen on the way down is seen again on the way up.
    """

    def __init__(self, frame: Frame, n_out: int, *, width: int, halvings: int, blocks: int, crosses: bool) -> None:
        super().__init__()
        self.frame, self.crosses = frame, crosses
        axes = frame.n_axes
        conv = CONV[axes]
        channels = widths(frame, width)[::-1][: min(halvings, frame.doublings) + 1]
        self.first = nn.Sequential(conv(frame.channels, channels[0], 3, padding=1), nn.LeakyReLU(0.2))
        self.down = nn.ModuleList([_layer(axes, a, b, 4, 2) for a, b in pairwise(channels)])
        self.blocks = nn.ModuleList([_layer(axes, channels[-1], channels[-1], 3, 1) for _ in range(blocks)])
        back = channels[::-1]
        self.up = nn.ModuleList([_layer(axes, a + b if crosses else a, b, 3, 1) for a, b in pairwise(back)])
        self.last = conv(channels[0], n_out, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Translated images."""
        grid = self.first(self.frame.pad(images))
        seen = []
        for down in self.down:
            seen.append(grid)
            grid = down(grid)
        for block in self.blocks:
            grid = grid + block(grid)
        for up, other in zip(self.up, reversed(seen), strict=True):
            grid = F.interpolate(grid, scale_factor=2)
            grid = up(torch.cat([grid, other], 1) if self.crosses else grid)
        return torch.tanh(self.frame.crop(self.last(grid)))


class PatchCritic(nn.Module):
    """Images (n, channels, *size) to scores of their patches (n, n_patches), high for real ones."""

    def __init__(self, frame: Frame, channels: int, *, width: int) -> None:
        super().__init__()
        self.frame = frame
        axes, conv = frame.n_axes, CONV[frame.n_axes]
        sizes = [width * 2**k for k in range(min(frame.doublings, 2) + 1)]
        layers: list[nn.Module] = [conv(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
        layers += [_layer(axes, a, b, 4, 2) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(*layers, conv(sizes[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Scores."""
        return self.layers(self.frame.pad(images)).flatten(1)


def _layer(axes: int, n_in: int, n_out: int, kernel: int, stride: int) -> nn.Module:
    groups = n_out // NORMED if n_out % NORMED == 0 else 1
    conv = CONV[axes](n_in, n_out, kernel, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(groups, n_out), nn.LeakyReLU(0.2))
