"""Numbers that describe an image without any trained weights: first order, texture, edges. For images and volumes. Knows no data set.

First-order statistics, grey-level co-occurrence and run lengths count what the image biomarker standardisation initiative does (Zwanenburg
et al. 2020, doi:10.1148/radiol.2020191145), with 8 fixed grey levels between the scale's 0 and 1; edges are histograms of oriented
gradients (Dalal & Triggs 2005, doi:10.1109/CVPR.2005.177).
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
LEVELS = 8
CELLS = 4  # cells of gradients along each axis
ORIENTATIONS = 9
CELLS_AT_ONCE = 4_000_000  # pixels looked at at once
FIRST_ORDER = (
    "mean", "deviation", "skewness", "kurtosis", "p05", "p25", "median", "p75", "p95", "entropy", "energy", "gradient",
    "gradient_deviation", "roughness",
)  # fmt: skip
TEXTURE = ("contrast", "dissimilarity", "homogeneity", "uniformity", "correlation", "joint_entropy")
RUNS = ("short_runs", "long_runs", "runs_per_pixel", "level_variety", "length_variety", "low_levels", "high_levels")


def names(axes: int, channels: int) -> list[str]:
    """The names of the columns of `radiomics`."""
    del axes
    every = [*FIRST_ORDER, *TEXTURE, *(f"{name}_range" for name in TEXTURE), *RUNS]
    return [f"{name}" if channels == 1 else f"{name} {channel}" for channel in range(channels) for name in every]


def radiomics(pixels: Pixels) -> Floats:
    """First order, co-occurrence (mean and range over directions) and run lengths of every channel, float64 (n, n_columns).

    Parameters
    ----------
    pixels : (n, channels, *size), on a scale where most values lie in [0, 1].
    """
    parts = []
    for block in _blocks(pixels):
        every = [_of_channel(block[:, channel]) for channel in range(pixels.shape[1])]
        parts.append(np.hstack(every))
    return np.concatenate(parts) if parts else np.empty((0, len(names(pixels.ndim - 2, pixels.shape[1]))))


def gradients(pixels: Pixels) -> Floats:
    """Histograms of oriented gradients, float64 (n, n_columns): 4 x 4 cells, 9 orientations, blocks of 2 x 2 cells (L2-Hys).

    Of volumes, those of the mean along each axis, one after the other. Colour is averaged.
    """
    grey = pixels.mean(axis=1)
    flat = [grey] if grey.ndim == 3 else [grey.mean(axis=axis) for axis in (1, 2, 3)]
    parts = [_hog(np.asarray(plane, dtype=np.float64)) for plane in flat]
    return np.hstack(parts)


def _blocks(pixels: Pixels) -> list[Pixels]:
    step = max(1, CELLS_AT_ONCE // max(prod(pixels.shape[1:]), 1))
    return [pixels[start : start + step] for start in range(0, len(pixels), step)]


def _of_channel(images: Pixels) -> Floats:
    """All columns of one channel (n, *size)."""
    levels = np.clip((images * LEVELS).astype(np.int64), 0, LEVELS - 1)
    return np.hstack([_first_order(images), _texture(levels), _runs(levels)])


def _first_order(images: Pixels) -> Floats:
    flat = images.reshape(len(images), -1).astype(np.float64)
    mean, deviation = flat.mean(axis=1), flat.std(axis=1)
    unit = (flat - mean[:, None]) / np.maximum(deviation, 1e-6)[:, None]
    quantiles = np.quantile(flat, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1).T
    bins = np.clip((flat * 16).astype(np.int64), 0, 15) + 16 * np.arange(len(flat))[:, None]
    shares = np.bincount(bins.ravel(), minlength=16 * len(flat)).reshape(len(flat), 16) / flat.shape[1]
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1)
    steps = slopes(images)
    size = np.sqrt(sum(step.reshape(len(images), -1) ** 2 for step in steps))
    head = [mean, deviation, (unit**3).mean(axis=1), (unit**4).mean(axis=1)]
    tail = [entropy, (flat**2).mean(axis=1), size.mean(axis=1), size.std(axis=1), roughness(images)]
    return np.column_stack([*head, quantiles, *tail])


def slopes(images: Pixels) -> list[Floats]:
    """Central differences along each axis, (n, *size) each, 0 along an axis of one pixel."""
    made: list[Floats] = []
    for axis in range(1, images.ndim):
        if images.shape[axis] < 2:
            made.append(np.zeros(images.shape))
        else:
            made.append(np.gradient(images.astype(np.float64), axis=axis))
    return made


def roughness(images: Pixels) -> Floats:
    """Root mean square of the second difference, summed over axes, (n,): what blurring takes away first and noise raises."""
    total = np.zeros(len(images))
    for axis in range(1, images.ndim):
        if images.shape[axis] >= 3:
            second = np.diff(images.astype(np.float64), n=2, axis=axis)
            total += (second.reshape(len(images), -1) ** 2).mean(axis=1)
    return np.sqrt(total)


def _directions(axes: int) -> list[tuple[int, ...]]:
    """Half of all neighbours: 4 of images, 13 of volumes."""
    every = [step for step in product((-1, 0, 1), repeat=axes) if any(step)]
    return [step for step in every if next(part for part in step if part) > 0]


def _texture(levels: npt.NDArray[np.int64]) -> Floats:
    """Haralick's measures of symmetric co-occurrence, mean and range over directions."""
    n, size = len(levels), levels.shape[1:]
    found = []
    for step in _directions(len(size)):
        if any(abs(part) >= length for part, length in zip(step, size, strict=True)):
            continue
        here = tuple(slice(max(0, -part), length - max(0, part)) for part, length in zip(step, size, strict=True))
        there = tuple(slice(max(0, part), length - max(0, -part)) for part, length in zip(step, size, strict=True))
        a, b = levels[(slice(None), *here)].reshape(n, -1), levels[(slice(None), *there)].reshape(n, -1)
        cells = a * LEVELS + b + LEVELS**2 * np.arange(n)[:, None]
        counts = np.bincount(cells.ravel(), minlength=n * LEVELS**2).reshape(n, LEVELS, LEVELS).astype(float)
        counts = counts + counts.transpose(0, 2, 1)
        found.append(_haralick(counts / counts.sum(axis=(1, 2), keepdims=True)))
    if not found:
        return np.zeros((n, 2 * len(TEXTURE)))
    every = np.stack(found)
    return np.hstack([every.mean(axis=0), np.ptp(every, axis=0)])


def _haralick(shares: Floats) -> Floats:
    i, j = np.indices((LEVELS, LEVELS))
    gap = np.abs(i - j)
    mean = (shares * i).sum(axis=(1, 2))
    spread = (shares * (i - mean[:, None, None]) ** 2).sum(axis=(1, 2))
    product_ = (shares * (i - mean[:, None, None]) * (j - mean[:, None, None])).sum(axis=(1, 2))
    correlation = np.where(spread > 1e-9, product_ / np.maximum(spread, 1e-9), 1.0)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=(1, 2))
    return np.column_stack(
        [
            (shares * gap**2).sum(axis=(1, 2)),
            (shares * gap).sum(axis=(1, 2)),
            (shares / (1 + gap**2)).sum(axis=(1, 2)),
            (shares**2).sum(axis=(1, 2)),
            correlation,
            entropy,
        ]
    )


def _runs(levels: npt.NDArray[np.int64]) -> Floats:
    """Runs of one grey level along each axis, measures averaged over axes."""
    n, found = len(levels), []
    for axis in range(1, levels.ndim):
        lines = np.moveaxis(levels, axis, -1)
        length = lines.shape[-1]
        flat = lines.reshape(-1)
        is_start = np.ones(len(flat), dtype=bool)
        is_start[1:] = flat[1:] != flat[:-1]
        is_start[::length] = True
        starts = np.flatnonzero(is_start)
        lengths = np.diff(np.append(starts, len(flat)))
        found.append(_run_measures(starts // (len(flat) // n), flat[starts], lengths, n, len(flat) // n))
    return np.asarray(np.mean(found, axis=0))


def _run_measures(
    image: npt.NDArray[np.int64], level: npt.NDArray[np.int64], length: npt.NDArray[np.int64], n: int, n_pixels: int
) -> Floats:
    def total(values: npt.NDArray[Any]) -> Floats:
        """Sum over the runs of each image."""
        return np.asarray(np.bincount(image, weights=values, minlength=n), dtype=np.float64)

    runs = np.bincount(image, minlength=n).astype(float)
    long_ = np.log1p(length)  # lengths on a logarithmic scale, so that one long run does not outweigh all others
    by_level = np.bincount(image * LEVELS + level, minlength=n * LEVELS).reshape(n, LEVELS)
    classes = np.minimum(np.log2(length).astype(np.int64), 7)
    by_length = np.bincount(image * 8 + classes, minlength=n * 8).reshape(n, 8)
    return np.column_stack(
        [
            total(1.0 / length**2) / runs,
            total(long_) / runs,
            runs / n_pixels,
            (by_level**2).sum(axis=1) / runs**2,
            (by_length**2).sum(axis=1) / runs**2,
            total(1.0 / (level + 1.0) ** 2) / runs,
            total((level + 1.0) ** 2) / runs / LEVELS**2,
        ]
    )


def _hog(images: Floats) -> Floats:
    """As skimage.feature.hog with 4 x 4 cells and blocks of 2 x 2, of all images at once; what is beyond whole cells is left out."""
    n, height, width = images.shape
    if min(height, width) < CELLS:
        images = np.repeat(np.repeat(images, -(-CELLS // height), axis=1), -(-CELLS // width), axis=2)
        n, height, width = images.shape
    down, across = np.zeros_like(images), np.zeros_like(images)
    down[:, 1:-1] = images[:, 2:] - images[:, :-2]
    across[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    magnitude = np.hypot(down, across)
    angle = np.rad2deg(np.arctan2(down, across)) % 180
    h, w = height // CELLS, width // CELLS
    place = np.minimum((angle / (180 / ORIENTATIONS)).astype(np.int64), ORIENTATIONS - 1)[:, : h * CELLS, : w * CELLS]
    rows, columns = np.arange(h * CELLS) // h, np.arange(w * CELLS) // w
    cell = (rows[:, None] * CELLS + columns[None]) * ORIENTATIONS
    at = place + cell[None] + CELLS**2 * ORIENTATIONS * np.arange(n)[:, None, None]
    weights = magnitude[:, : h * CELLS, : w * CELLS]
    cells = np.bincount(at.ravel(), weights=weights.ravel(), minlength=n * CELLS**2 * ORIENTATIONS)
    cells = cells.reshape(n, CELLS, CELLS, ORIENTATIONS) / (h * w)
    blocks = []
    for i, j in product(range(CELLS - 1), repeat=2):
        block = cells[:, i : i + 2, j : j + 2].reshape(n, -1)
        block = block / np.sqrt((block**2).sum(axis=1, keepdims=True) + 1e-10)
        block = np.minimum(block, 0.2)
        blocks.append(block / np.sqrt((block**2).sum(axis=1, keepdims=True) + 1e-10))
    return np.hstack(blocks)
