"""Frames of a filmstrip of images: a few samples as one small PNG in text, so that a run's record can hold them. Knows no model."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_PICTURES, ACROSS = 8, 2  # of a frame: two side by side, four rows
MOST_PIXELS = 64  # of a picture's longer side; larger ones are reduced


def frame_png(images: npt.NDArray[Any]) -> str:
    """A sheet of the first `MOST_PICTURES` images as a PNG in base64, at most 130 x 262 pixels.

    Parameters
    ----------
    images : float in [-1, 1], beyond which values are cut, or uint8 (n, channels, height, width); of volumes (n, channels, depth, height,
        width) the middle slice is shown. Three channels are colour; of any other number the first is shown in grey.

    >>> frame_png(np.zeros((1, 1, 2, 2), np.uint8))[:4]
    'iVBO'
    """
    shown = images[:MOST_PICTURES]
    if shown.ndim == 5:
        shown = shown[:, :, shown.shape[2] // 2]
    shown = shown if shown.shape[1] == 3 else shown[:, :1]
    if shown.dtype != np.uint8:
        shown = np.rint((np.clip(np.nan_to_num(shown.astype(np.float32)), -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    shown = _reduced(shown)
    n, channels, height, width = shown.shape
    across = min(ACROSS, max(n, 1))
    rows = math.ceil(n / across)
    sheet = np.full((channels, rows * (height + 2) - 2, across * (width + 2) - 2), 255, dtype=np.uint8)
    for i, picture in enumerate(shown):
        top, left = i // across * (height + 2), i % across * (width + 2)
        sheet[:, top : top + height, left : left + width] = picture
    return base64.b64encode(png(sheet)).decode("ascii")


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """An image of one or three channels, uint8 (channels, height, width), as a PNG file (ISO/IEC 15948): 8 bits, no filter."""
    channels, height, width = image.shape
    rows = np.moveaxis(image, 0, -1).reshape(height, width * channels)
    raw = np.concatenate([np.zeros((height, 1), dtype=np.uint8), rows], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _reduced(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The images with no side above `MOST_PIXELS`: means of square blocks, what is left over at an edge cut off."""
    block = math.ceil(max(images.shape[2:]) / MOST_PIXELS)
    if block <= 1:
        return images
    n, channels, height, width = images.shape
    down, across = max(height // block, 1), max(width // block, 1)
    tall, wide = min(block, height), min(block, width)
    cut = images[:, :, : down * tall, : across * wide].reshape(n, channels, down, tall, across, wide)
    means: npt.NDArray[np.uint8] = np.rint(cut.mean(axis=(3, 5))).astype(np.uint8)
    return means
