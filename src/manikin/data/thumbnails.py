"""Pictures as PNG, small and without any package: for notebooks, filmstrips and reports. Knows no file format beside."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.images import Images
from manikin.data.schema import ImageForm


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """An image of one or three channels, uint8 (channels, height, width), as a PNG file (ISO/IEC 15948): 8 bits, no filter."""
    channels, height, width = image.shape
    rows = np.moveaxis(image, 0, -1).reshape(height, width * channels)
    raw = np.concatenate([np.zeros((height, 1), dtype=np.uint8), rows], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def reduced(images: npt.NDArray[np.uint8], most: int) -> npt.NDArray[np.uint8]:
    """Images (n, channels, height, width) with no side above `most`: means of square blocks, what is left over at an edge cut off."""
    block = math.ceil(max(images.shape[2:]) / most)
    if block <= 1:
        return images
    n, channels, height, width = images.shape
    down, across = max(height // block, 1), max(width // block, 1)
    tall, wide = min(block, height), min(block, width)
    cut = images[:, :, : down * tall, : across * wide].reshape(n, channels, down, tall, across, wide)
    means: npt.NDArray[np.uint8] = np.rint(cut.mean(axis=(3, 5))).astype(np.uint8)
    return means


def flat_view(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What can be seen of images (n, channels, *size): of volumes the middle slice, of other than three channels the first."""
    shown = images[:, :, images.shape[2] // 2] if images.ndim == 5 else images
    return shown if shown.shape[1] == 3 else shown[:, :1]


def thumbnail(image: npt.NDArray[Any], form: ImageForm, most: int) -> npt.NDArray[np.uint8]:
    """An image (channels, *size) in the grey levels of a screen, uint8 (1 or 3, at most `most`, at most `most`), 0 at the lowest value."""
    shown = flat_view(image[None])
    span = (np.nan_to_num(shown.astype(np.float64), nan=form.lowest) - form.lowest) / (form.highest - form.lowest)
    return reduced(np.rint(np.clip(span, 0, 1) * 255).astype(np.uint8), most)[0]


def strip(images: Images, form: ImageForm, *, n: int, most: int) -> npt.NDArray[np.uint8]:
    """The first `n` images side by side, uint8 (1 or 3, height, width); of others than these nothing is read."""
    rows = np.flatnonzero(images.present)[:n].tolist()
    pictures = [thumbnail(images.image(row), form, most) for row in rows]
    if not pictures:
        return np.full((1, 1, 1), 255, dtype=np.uint8)
    channels, height = max(len(one) for one in pictures), max(one.shape[1] for one in pictures)
    width = sum(one.shape[2] + 2 for one in pictures) - 2
    sheet = np.full((channels, height, width), 255, dtype=np.uint8)
    left = 0
    for one in pictures:
        sheet[:, : one.shape[1], left : left + one.shape[2]] = one
        left += one.shape[2] + 2
    return sheet
