"""The images of a column, read when they are asked for. Knows no file format: a source does.

An image is an array (channels, height, width), or (channels, depth, height, width) of a volume, in the values of its column: grey levels,
Hounsfield units, counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from manikin.data.errors import DataError

NONE = -1  # the place of a row without an image
LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue in grey: ITU-R BT.601-7, section 2.5.1


class ImageSource(Protocol):
    """Where images lie. `image` may be slow (a file is read) and must give the same array each time; nobody writes into it."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def image(self, i: int) -> npt.NDArray[Any]:
        """The image at a place, (channels, *size)."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Images of one size in memory (or in a memory-mapped file): (n, channels, *size)."""

    pixels: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.pixels)

    def image(self, i: int) -> npt.NDArray[Any]:
        """The image at a place."""
        return self.pixels[i]


@dataclass(frozen=True)
class _Joined:
    """Several sources, one after the other."""

    sources: tuple[ImageSource, ...]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.starts[-1])

    def image(self, i: int) -> npt.NDArray[Any]:
        """The image at a place."""
        part = int(np.searchsorted(self.starts, i, side="right")) - 1
        return self.sources[part].image(int(i - self.starts[part]))


@dataclass(frozen=True)
class Images:
    """The images of one column, one for each row.

    Attributes
    ----------
    source : where they lie. places : which image of the source each row shows, -1 where a row has none, int64 (n_rows,).
    """

    source: ImageSource
    places: npt.NDArray[np.int64]

    @staticmethod
    def of(source: ImageSource) -> Images:
        """All images of a source, in its order."""
        return Images(source, np.arange(len(source), dtype=np.int64))

    @staticmethod
    def of_array(pixels: npt.NDArray[Any]) -> Images:
        """Images of one size in memory.

        Parameters
        ----------
        pixels : (n, channels, height, width) or (n, channels, depth, height, width).
        """
        if pixels.ndim not in (4, 5):
            raise DataError(f"An array of images has 4 axes, or 5 of volumes; this one has {pixels.ndim}. Give (n, channels, *size).")
        return Images.of(ArraySource(pixels))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which rows have an image, bool (n_rows,)."""
        return self.places != NONE

    def take(self, rows: npt.NDArray[Any]) -> Images:
        """The images of these rows (positions or a boolean mask), in this order; none is read."""
        return Images(self.source, self.places[rows])

    def image(self, row: int) -> npt.NDArray[Any]:
        """The image of a row, (channels, *size).

        Raises
        ------
        DataError : the row has none.
        """
        place = int(self.places[row])
        if place == NONE:
            raise DataError(f"Row {row + 1} has no image. Leave the row out, or give it one.")
        return self.source.image(place)

    def array(self, rows: npt.NDArray[Any] | None = None) -> npt.NDArray[np.float32]:
        """The images of these rows (all by default) in memory, float32 (n, channels, *size).

        Raises
        ------
        DataError : a row has no image, or they differ in size.
        """
        places = self.places if rows is None else self.places[rows]
        if len(places) and isinstance(self.source, ArraySource) and (places != NONE).all():
            return self.source.pixels[places].astype(np.float32)
        chosen = np.arange(len(self)) if rows is None else np.arange(len(self))[rows]
        out: npt.NDArray[np.float32] | None = None
        for i, row in enumerate(chosen.tolist()):
            one = self.image(row)
            if out is None:
                out = np.empty((len(chosen), *one.shape), dtype=np.float32)
            if one.shape != out.shape[1:]:
                raise DataError(
                    f"The image of row {row + 1} has the shape {one.shape}, those before {out.shape[1:]}. Bring them to one size first."
                )
            out[i] = one
        return np.empty((0, 1, 1, 1), dtype=np.float32) if out is None else out


def joined(parts: Sequence[Images]) -> Images:
    """The images of several columns, one after the other."""
    sources: list[ImageSource] = []
    starts, places = [0], []
    for part in parts:
        inner = part.source
        held, begins = (inner.sources, inner.starts[:-1].tolist()) if isinstance(inner, _Joined) else ((inner,), [0])
        own = np.full(len(part), NONE, dtype=np.int64)
        for source, begin in zip(held, begins, strict=True):  # one level deep, and no source that no row shows
            inside = (part.places >= begin) & (part.places < begin + len(source))
            if inside.any():
                own[inside] = part.places[inside] - begin + starts[-1]
                sources.append(source)
                starts.append(starts[-1] + len(source))
        places.append(own)
    return Images(_Joined(tuple(sources), np.array(starts, dtype=np.int64)), np.concatenate(places).astype(np.int64))
