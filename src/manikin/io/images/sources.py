"""Images in files, read when they are asked for; the last ones stay in memory, up to a bound. Knows no format."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from manikin.data.errors import DataError
from manikin.data.images import LUMA, ImageSource
from manikin.io.images.files import Unreadable

Pixels = npt.NDArray[Any]
T = TypeVar("T")
CACHE_BYTES = 256 << 20


class LazySource(Generic[T]):
    """Images that a function reads from items (paths, or what else says where an image lies); written to by nobody.

    Parameters
    ----------
    read_one : the image of an item, (channels, *size); raises Unreadable. name_of : an item in words, for messages.
    max_bytes : of images that stay in memory.
    """

    def __init__(
        self, items: Sequence[T], read_one: Callable[[T], Pixels], name_of: Callable[[T], str] = str, *, max_bytes: int = CACHE_BYTES
    ) -> None:
        self.items = list(items)
        self._read_one = read_one
        self._name_of = name_of
        self._max_bytes = max_bytes
        self._kept: OrderedDict[int, Pixels] = OrderedDict()
        self._n_bytes = 0

    def __len__(self) -> int:
        return len(self.items)

    def image(self, i: int) -> Pixels:
        """The image at a place.

        Raises
        ------
        DataError : its file is not there any more, or was changed so that it cannot be read.
        """
        found = self._kept.get(i)
        if found is not None:
            self._kept.move_to_end(i)
            return found
        try:
            found = self._read_one(self.items[i])
        except Unreadable as error:
            name = self._name_of(self.items[i])
            raise DataError(f"{name} {error}. It was changed after it was first read: read the data again.") from None
        self.keep(i, found)
        return found

    def keep(self, i: int, pixels: Pixels) -> None:
        """Keeps an image that was read, as long as there is room; those not asked for longest go first."""
        pixels.flags.writeable = False
        if pixels.nbytes > self._max_bytes or i in self._kept:
            return
        self._kept[i] = pixels
        self._n_bytes += pixels.nbytes
        while self._n_bytes > self._max_bytes:
            _, gone = self._kept.popitem(last=False)
            self._n_bytes -= gone.nbytes


@dataclass(frozen=True)
class Channelled:
    """A source whose images all have one number of channels: grey is repeated, colour that must be grey is weighted (BT.601)."""

    source: ImageSource
    channels: int

    def __len__(self) -> int:
        return len(self.source)

    def image(self, i: int) -> Pixels:
        """The image at a place."""
        return with_channels(self.source.image(i), self.channels)


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """An image (channels, *size) with another number of channels.

    Raises
    ------
    DataError : neither of the two numbers is 1, or colours that are no three.
    """
    found = len(pixels)
    if found == channels:
        return pixels
    if found == 1:
        return np.broadcast_to(pixels, (channels, *pixels.shape[1:]))
    if channels != 1 or found != 3:
        raise DataError(f"An image of {found} channels cannot be read as one of {channels}. Correct `channels` in the schema.")
    if (pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all():
        return pixels[:1]
    grey = np.tensordot(LUMA, pixels, axes=1)[None]
    return np.rint(grey).astype(pixels.dtype) if pixels.dtype.kind in "iu" else grey.astype(pixels.dtype)
