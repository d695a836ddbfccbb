"""How nearly one image is another, whatever was done to hide it: mirrored, moved by a little, made brighter or of more contrast.

In two steps: images are made small (16 pixels a side; volumes 10) and correlated over all mirrorings and shifts of a small pixel, which
gives each image three candidates; these are correlated again at up to 32 pixels (volumes 16), over shifts of up to two pixels. Only the
inner part of an image counts, so that shifts need no filling. Knows no data set and sets no threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from manikin.evaluation.images.pictures import Pixels, resized

Points = npt.NDArray[np.float32]
SMALL, LARGE = {2: 16, 3: 10}, {2: 32, 3: 16}
N_CANDIDATES = 3
CHUNK = 512
FLAT = 1e-3  # deviation below which an image is of one tone, and like no other


@dataclass(frozen=True)
class Match:
    """For each query its most alike image: `likeness`, (n,), at most 1 which equal images have; `place`, its position, int64 (n,)."""

    likeness: npt.NDArray[np.float64]
    place: npt.NDArray[np.int64]


def alike(queries: Pixels, images: Pixels) -> Match:
    """The image that each query is most alike, by correlation.

    Parameters
    ----------
    queries, images : (n, channels, *size), of one size.
    """
    near = _candidates(_brought(queries, SMALL), _brought(images, SMALL))
    asked, known = _brought(queries, LARGE), _brought(images, LARGE)
    margins = tuple(2 if length >= 12 else 1 if length >= 6 else 0 for length in asked.shape[2:])
    centre = _window(margins, (0,) * len(margins))
    best = np.full(near.shape, -np.inf, dtype=np.float32)
    for start in range(0, len(asked), CHUNK):
        rows = slice(start, start + CHUNK)
        chosen = near[rows]
        inner = _unit(known[chosen.ravel()][centre]).reshape(*chosen.shape, -1)
        for variant in _variants(asked[rows], margins):
            np.maximum(best[rows], np.matmul(inner, _unit(variant)[:, :, None])[:, :, 0], out=best[rows])
    at = best.argmax(axis=1)
    rows_ = np.arange(len(near))
    return Match(np.minimum(best[rows_, at].astype(np.float64), 1.0), near[rows_, at])


def _candidates(asked: Pixels, known: Pixels) -> npt.NDArray[np.int64]:
    """The three images of greatest correlation for each query, in any order, int64 (n, at most 3)."""
    margins = tuple(1 if length >= 6 else 0 for length in asked.shape[2:])
    points = _unit(known[_window(margins, (0,) * len(margins))])
    k = min(N_CANDIDATES, len(points))
    made = np.zeros((len(asked), k), dtype=np.int64)
    for start in range(0, len(asked), CHUNK):
        rows = slice(start, start + CHUNK)
        best = np.full((len(asked[rows]), len(points)), -np.inf, dtype=np.float32)
        for variant in _variants(asked[rows], margins):
            np.maximum(best, _unit(variant) @ points.T, out=best)
        made[rows] = np.argpartition(-best, k - 1, axis=1)[:, :k]
    return made


def _brought(pixels: Pixels, sides: dict[int, int]) -> Pixels:
    side = sides[pixels.ndim - 2]
    return resized(pixels, tuple(min(side, length) for length in pixels.shape[2:]))


def _window(margins: tuple[int, ...], shift: tuple[int, ...]) -> tuple[slice, ...]:
    parts = [slice(m + s, s - m if s - m < 0 else None) for m, s in zip(margins, shift, strict=True)]
    return (slice(None), slice(None), *parts)


def _variants(images: Pixels, margins: tuple[int, ...]) -> Iterator[Pixels]:
    """The inner part of the images under every mirroring and shift; of volumes only one axis moves at a time."""
    axes = range(2, images.ndim)
    shifts = [s for s in product(*(range(-m, m + 1) for m in margins)) if len(margins) == 2 or np.count_nonzero(s) <= 1]
    for flips in product((False, True), repeat=len(margins)):
        turned = np.flip(images, tuple(axis for axis, flip in zip(axes, flips, strict=True) if flip))
        for shift in shifts:
            yield turned[_window(margins, shift)]


def _unit(images: Pixels) -> Points:
    """Rows of mean 0 and length 1; of an image of one tone, zeros."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows = rows - rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1, keepdims=True)
    rows = np.where(spread > FLAT, rows / np.maximum(spread, FLAT), 0.0)
    return np.asarray(rows / np.sqrt(max(rows.shape[1], 1)), dtype=np.float32)
