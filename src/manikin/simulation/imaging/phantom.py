"""A phantom: which tissue is where, at what size, with lesions whose place is known. Knows no anatomy and no scanner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manikin.simulation.imaging import tissues

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Lesion:
    """A finding with its truth: `mask` bool over the phantom's pixels, `box` half-open (start, stop) of each axis."""

    kind: str
    mask: Array

    @property
    def box(self) -> tuple[tuple[int, int], ...]:
        """The smallest box of whole pixels around the mask; all zeros where the mask is empty."""
        if not self.mask.any():
            return tuple((0, 0) for _ in self.mask.shape)
        found = [np.flatnonzero(self.mask.any(axis=tuple(a for a in range(self.mask.ndim) if a != axis))) for axis in range(self.mask.ndim)]
        return tuple((int(where[0]), int(where[-1]) + 1) for where in found)


@dataclass(frozen=True)
class Phantom:
    """Tissues on a grid finer than the image by a whole factor, so that a pixel at an edge holds the mean of what it covers.

    Attributes
    ----------
    tissue : uint8, numbers of `tissues.NUMBER`, on the fine grid.
    oversample : fine cells per pixel and axis.
    spacing_mm : edge of a pixel (not of a fine cell).
    texture : float32 over the pixels, smooth, mean about 0 and spread about 1; scaled by each tissue's own `varies`.
    lesions : the findings that were put in.
    attributes : what was drawn (age-free: sizes, sides, amounts), for labels.csv.
    """

    tissue: Array
    spacing_mm: float
    oversample: int = 1
    texture: Array | None = None
    lesions: tuple[Lesion, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(n // self.oversample for n in self.tissue.shape)

    def map(self, which: str) -> Array:
        """A property of `tissues.PROPERTIES` at each pixel, float32: the mean over its fine cells, with texture."""
        plain = block_mean(tissues.values(which)[self.tissue], self.oversample)
        if self.texture is None:
            return plain
        varies = block_mean(tissues.values("varies")[self.tissue], self.oversample)
        # Hounsfield units are relative to air, so that texture scales what attenuates
        base = plain + 1000 if which == "hu" else plain
        strength = 0.25 if which == "hu" else 1.0
        return (plain + base * varies * strength * self.texture).astype(np.float32)

    @property
    def labels(self) -> Array:
        """uint8 tissue at the middle of each pixel."""
        middle = self.oversample // 2
        return self.tissue[tuple(slice(middle, None, self.oversample) for _ in self.tissue.shape)]

    @property
    def lesion_mask(self) -> Array:
        """bool, where any lesion is."""
        out = np.zeros(self.size, bool)
        for lesion in self.lesions:
            out |= lesion.mask
        return out

    @property
    def label(self) -> str:
        """The kinds of lesion joined by "+", or "normal"."""
        return "+".join(sorted({lesion.kind for lesion in self.lesions})) or "normal"


def block_mean(values: Array, factor: int) -> Array:
    """Means over blocks of `factor` cells along every axis."""
    if factor == 1:
        return values
    for axis in range(values.ndim):
        shape = (*values.shape[:axis], values.shape[axis] // factor, factor, *values.shape[axis + 1 :])
        values = values.reshape(shape).mean(axis=axis + 1)
    return values


def smooth_field(rng: np.random.Generator, size: tuple[int, ...], grain: float) -> Array:
    """A random field, float32, mean 0 and spread 1: Gaussian noise smoothed to `grain` pixels (periodic)."""
    from scipy.fft import irfftn, rfftn

    spectrum = rfftn(rng.standard_normal(size, dtype=np.float32))
    squared = np.zeros(spectrum.shape, np.float32)
    for axis, n in enumerate(size):
        frequency = (np.fft.rfftfreq(n) if axis == len(size) - 1 else np.fft.fftfreq(n)).astype(np.float32)
        squared += (frequency**2).reshape([-1 if a == axis else 1 for a in range(len(size))])
    out = irfftn(spectrum * np.exp(-2 * (np.pi * grain) ** 2 * squared), size)
    spread = float(out.std())
    return ((out - out.mean()) / (spread if spread > 0 else 1)).astype(np.float32)
