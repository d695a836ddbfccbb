"""The sizes that a convolutional network goes through from a few cells to an image, for images of any size. Knows no weights.

Each axis is halved as often as the shortest allows before it has fewer than four cells: 28 pixels are 7, 14, 28. What does not come out
even is made a little larger, and cut off again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 4  # cells of the coarsest grid along the shortest axis
CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
CONV_UP: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


@dataclass(frozen=True)
class Frame:
    """Sizes of an image (channels, *size) on its way.

    >>> Frame(1, (28, 28)).sizes
    [(7, 7), (14, 14), (28, 28)]
    >>> Frame(1, (30, 28)).sizes[-1]
    (32, 28)
    """

    channels: int
    size: tuple[int, ...]

    @property
    def n_axes(self) -> int:
        """2 of a picture, 3 of a volume."""
        return len(self.size)

    @property
    def doublings(self) -> int:
        """How often the coarsest grid is doubled."""
        return max((min(self.size) // LEAST).bit_length() - 1, 0)

    @property
    def sizes(self) -> list[tuple[int, ...]]:
        """The grids, the coarsest first; the last has the image in its corner."""
        base = [-(-length // 2**self.doublings) for length in self.size]
        return [tuple(cells * 2**k for cells in base) for k in range(self.doublings + 1)]

    def pad(self, images: Tensor) -> Tensor:
        """Images (n, channels, *size) at the finest grid's size, their edges repeated."""
        short = [more - length for length, more in zip(self.size, self.sizes[-1], strict=True)]
        if not any(short):
            return images
        return F.pad(images, [width for more in reversed(short) for width in (0, more)], mode="replicate")

    def crop(self, images: Tensor) -> Tensor:
        """Images of the finest grid's size cut to their own."""
        return images[(slice(None), slice(None), *(slice(0, length) for length in self.size))]


def cells(size: Sequence[int]) -> int:
    """Cells of a grid."""
    n = 1
    for length in size:
        n *= length
    return n
