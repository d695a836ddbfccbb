"""A lean U-net of images and volumes that is told a moment and a row: patches first, then residual blocks on halved grids. Knows no noise.

Quick on a processor at 28 pixels: pixels of a patch are channels (Shi et al. 2016, arXiv 1609.05158), so that no layer works at full size;
attention stands on the coarsest grid alone; blocks are those of Dhariwal & Nichol (2021, arXiv 2105.05233), scaled and shifted by what is
told. Grids of odd sizes are halved upwards and cut again, so any size that the patch divides will do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.image_frame import CONV

GROUP = 8  # channels of one group of a normalisation
MOST_CELLS = 1024  # of a grid that attention stands on
HEAD = 32  # channels of one head


@dataclass(frozen=True)
class UNetShape:
    """How large the network is.

    Attributes
    ----------
    channels : of each grid, the finest first; multiples of 8. blocks : residual blocks on each grid on the way down, one more on the way
        up. patch : pixels of each axis that become one cell. told : length of what it is told.
    """

    channels: tuple[int, ...] = (32, 64)
    blocks: int = 2
    patch: int = 2
    told: int = 128


class Block(nn.Module):
    """Two convolutions beside the way through; what is told scales and shifts between them."""

    def __init__(self, axes: int, before: int, after: int, told: int, dropout: float) -> None:
        super().__init__()
        conv = CONV[axes]
        self.norm, self.again = _norm(before), _norm(after)
        self.first, self.second = conv(before, after, 3, padding=1), conv(after, after, 3, padding=1)
        self.told = nn.Linear(told, 2 * after)
        self.through = conv(before, after, 1) if before != after else nn.Identity()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        _silent(self.second)

    def forward(self, grid: Tensor, told: Tensor) -> Tensor:
        """(n, after, *grid)."""
        scale, shift = self.told(told)[(..., *[None] * (grid.dim() - 2))].chunk(2, 1)
        inner = self.first(F.silu(self.norm(grid)))
        inner = torch.addcmul(shift, self.again(inner), 1 + scale)
        return self.through(grid) + self.second(self.dropout(F.silu(inner)))


class Attention(nn.Module):
    """Every cell of a grid looks at every other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD)
        self.norm = _norm(channels)
        self.ask, self.answer = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        _silent(self.answer)

    def forward(self, grid: Tensor) -> Tensor:
        """The same shape."""
        n, channels, *size = grid.shape
        cells = self.norm(grid).flatten(2).transpose(1, 2)
        query, key, value = self.ask(cells).view(n, -1, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, -1, channels)
        return grid + self.answer(seen).transpose(1, 2).reshape(n, channels, *size)


class UNet(nn.Module):
    """Images to as many channels, told a vector.

    Parameters
    ----------
    axes : 2 of pictures, 3 of volumes. inputs, outputs : channels. size : of the images, which tells whether attention is affordable.
    """

    def __init__(
        self, axes: int, inputs: int, outputs: int, size: Sequence[int], shape: UNetShape, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        conv, told = CONV[axes], shape.told
        self.axes, self.patch = axes, shape.patch
        folded = shape.patch**axes
        self.stem = conv(inputs * folded, shape.channels[0], 3, padding=1)
        self.down, self.up, self.shrink, self.grow = nn.ModuleList(), nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width, kept = shape.channels[0], [shape.channels[0]]
        for level, channels in enumerate(shape.channels):
            for _ in range(shape.blocks):
                self.down.append(Block(axes, width, channels, told, dropout))
                width = channels
                kept.append(width)
            if level < len(shape.channels) - 1:
                self.shrink.append(conv(width, width, 3, stride=2, padding=1))
                kept.append(width)
        coarsest = [math.ceil(length / shape.patch / 2 ** (len(shape.channels) - 1)) for length in size]
        self.middle = nn.ModuleList([Block(axes, width, width, told, dropout), Block(axes, width, width, told, dropout)])
        self.attention = Attention(width) if math.prod(coarsest) <= MOST_CELLS else nn.Identity()
        for level, channels in reversed(list(enumerate(shape.channels))):
            for _ in range(shape.blocks + 1):
                self.up.append(Block(axes, width + kept.pop(), channels, told, dropout))
                width = channels
            if level:
                self.grow.append(conv(width, width, 3, padding=1))
        self.blocks, self.norm = shape.blocks, _norm(width)
        self.last = conv(width, outputs * folded, 3, padding=1)
        _silent(self.last)

    def forward(self, images: Tensor, told: Tensor) -> Tensor:
        """(n, outputs, *size) from (n, inputs, *size) and (n, told)."""
        grid = self.stem(folded(images, self.patch))
        kept, levels = [grid], len(self.shrink) + 1
        for level in range(levels):
            for block in self.down[level * self.blocks : (level + 1) * self.blocks]:
                grid = block(grid, told)
                kept.append(grid)
            if level < levels - 1:
                grid = self.shrink[level](grid)
                kept.append(grid)
        grid = self.middle[1](self.attention(self.middle[0](grid, told)), told)
        for step in range(levels):
            for block in self.up[step * (self.blocks + 1) : (step + 1) * (self.blocks + 1)]:
                grid = block(torch.cat([grid, kept.pop()], 1), told)
            if step < levels - 1:
                grid = self.grow[step](F.interpolate(grid, size=kept[-1].shape[2:], mode="nearest"))
        return unfolded(self.last(F.silu(self.norm(grid))), self.patch)


def folded(images: Tensor, patch: int) -> Tensor:
    """Patches of each axis into channels, (n, channels * patch^axes, *size / patch)."""
    if patch == 1:
        return images
    n, channels, *size = images.shape
    axes = len(size)
    shape = [n, channels, *(part for length in size for part in (length // patch, patch))]
    order = [0, 1, *(3 + 2 * a for a in range(axes)), *(2 + 2 * a for a in range(axes))]
    return images.reshape(shape).permute(order).reshape(n, channels * patch**axes, *(length // patch for length in size))


def unfolded(grid: Tensor, patch: int) -> Tensor:
    """The inverse of `folded`."""
    if patch == 1:
        return grid
    n, channels, *size = grid.shape
    axes = len(size)
    channels //= patch**axes
    order = [0, 1, *(part for a in range(axes) for part in (2 + axes + a, 2 + a))]
    shape = [n, channels, *[patch] * axes, *size]
    return grid.reshape(shape).permute(order).reshape(n, channels, *(length * patch for length in size))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // GROUP), channels)


def _silent(layer: nn.Module) -> None:
    """Starts a layer at 0, so that what it is added to goes through unchanged."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
