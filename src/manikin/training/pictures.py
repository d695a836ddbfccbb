"""Frames of a filmstrip of images: a few samples as one small PNG in text, so that a run's record can hold them. Knows no model."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.thumbnails import flat_view, png, reduced

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
    shown = flat_view(images[:MOST_PICTURES])
    if shown.dtype != np.uint8:
        shown = np.rint((np.clip(np.nan_to_num(shown.astype(np.float32)), -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    shown = reduced(shown, MOST_PIXELS)
    n, channels, height, width = shown.shape
    across = min(ACROSS, max(n, 1))
    rows = math.ceil(n / across)
    sheet = np.full((channels, rows * (height + 2) - 2, across * (width + 2) - 2), 255, dtype=np.uint8)
    for i, picture in enumerate(shown):
        top, left = i // across * (height + 2), i % across * (width + 2)
        sheet[:, top : top + height, left : left + width] = picture
    return base64.b64encode(png(sheet)).decode("ascii")
