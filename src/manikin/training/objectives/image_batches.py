"""Encoded images as shuffled batches of tensors. Knows no model and no loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Encoded(Protocol):
    """Images and attributes as a codec gives them; `codecs.images.EncodedImages` is one."""

    @property
    def tokens(self) -> npt.NDArray[np.int32]:
        """Attributes, int32 (n, n_fields)."""
        ...

    def pixels(self, column: str, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Images of these rows in [-1, 1], float32 (n, channels, *size)."""
        ...


@dataclass(frozen=True)
class ImageBatch:
    """Images and what they are told.

    Attributes
    ----------
    pixels : float32 (n, channels, *size) in [-1, 1]. tokens : int64 (n, n_attributes).
    """

    pixels: Tensor
    tokens: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


class ImageRows:
    """Rows of one column of encoded images.

    Parameters
    ----------
    rows : which rows, int64 (n,). batch_size : cut to their number.
    """

    def __init__(
        self, images: Encoded, column: str, rows: npt.NDArray[np.int64], *, batch_size: int, device: torch.device
    ) -> None:
        self.images, self.column, self.rows, self.device = images, column, rows, device
        self.batch_size = max(1, min(batch_size, len(rows)))
        self.n_batches = max(1, len(rows) // self.batch_size)  # of a pass

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: npt.NDArray[np.int64]) -> ImageBatch:
        """These rows of the encoded images."""
        pixels = torch.from_numpy(self.images.pixels(self.column, rows)).to(self.device)
        return ImageBatch(pixels, torch.from_numpy(self.images.tokens[rows].astype(np.int64)).to(self.device))

    def shuffled(self, rng: np.random.Generator) -> Iterator[ImageBatch]:
        """One pass in full batches; what is left over has its turn in another pass."""
        order = self.rows[rng.permutation(len(self.rows))]
        for b in range(self.n_batches):
            yield self.batch(order[b * self.batch_size : (b + 1) * self.batch_size])
