"""Organs painted as wobbly ellipses and ellipsoids in millimetres, later ones over earlier ones. Knows no organ by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.simulation.imaging import tissues
from manikin.simulation.imaging.phantom import Lesion, Phantom, block_mean, smooth_field

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Wobble:
    """A smooth change of a radius with the angle: 1 + sum of a_k cos(k phi + p_k), for k from 2."""

    amplitudes: tuple[float, ...] = ()
    phases: tuple[float, ...] = ()

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float, n: int = 5) -> Wobble:
        """Random; waves get weaker as they get shorter."""
        amplitudes = rng.normal(0, 1, n) * strength / np.arange(1, n + 1)
        return cls(tuple(amplitudes.tolist()), tuple(rng.uniform(0, 2 * np.pi, n).tolist()))

    def at(self, phi: Array) -> Array:
        """The factor at angles phi."""
        out = np.ones_like(phi)
        for k, (amplitude, phase) in enumerate(zip(self.amplitudes, self.phases, strict=True), start=2):
            out += amplitude * np.cos(k * phi + phase)
        return out


class Canvas:
    """A grid of tissues to paint on. Coordinates are mm from its middle: x to the image's right, y up; on three axes z up, y to the front.

    Parameters
    ----------
    size : pixels, (rows, columns) or (slices, rows, columns).
    spacing_mm : edge of a pixel.
    oversample : fine cells per pixel and axis.
    """

    def __init__(self, size: tuple[int, ...], spacing_mm: float, oversample: int = 1) -> None:
        self.size, self.spacing_mm, self.oversample = size, spacing_mm, oversample
        fine = tuple(n * oversample for n in size)
        self.tissue = np.full(fine, tissues.NUMBER["air"], np.uint8)
        cell = spacing_mm / oversample
        signs = (-1, 1) if len(size) == 2 else (-1, -1, 1)  # rows run down, slices run down
        self.axes = [sign * (np.arange(n) - (n - 1) / 2) * cell for sign, n in zip(signs, fine, strict=True)]
        self.lesions: list[Lesion] = []

    def ellipse(
        self,
        tissue: str,
        centre: tuple[float, ...],
        radii: tuple[float, ...],
        *,
        turn: float = 0.0,
        power: float = 2.0,
        wobble: Wobble | None = None,
        inside: tuple[str, ...] | None = None,
    ) -> Array:
        """Paints one; gives its mask on the fine grid.

        Parameters
        ----------
        centre, radii : mm, as (x, y) or (x, y, z).
        turn : degrees in the (x, y) plane, counter-clockwise.
        power : 2 is an ellipse, more is boxier.
        inside : paint only over these tissues.
        """
        reach = max(radii[:2]) * 1.5 + self.spacing_mm
        reaches = (reach, reach, *(r + self.spacing_mm for r in radii[2:]))
        centres = (centre[1], centre[0]) if len(self.axes) == 2 else (centre[2], centre[1], centre[0])
        spans = (reaches[1], reaches[0]) if len(self.axes) == 2 else (reaches[2], reaches[1], reaches[0])
        window = tuple(_window(axis, c, r) for axis, c, r in zip(self.axes, centres, spans, strict=True))
        own = np.zeros(self.tissue.shape, bool)
        grid = np.meshgrid(*(axis[part] for axis, part in zip(self.axes, window, strict=True)), indexing="ij", sparse=True)
        x, y = grid[-1] - centre[0], grid[-2] - centre[1]
        cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        u, v = (x * cos + y * sin) / radii[0], (-x * sin + y * cos) / radii[1]
        distance = np.abs(u) ** power + np.abs(v) ** power
        if len(self.axes) == 3:
            distance = distance + np.abs((grid[0] - centre[2]) / radii[2]) ** power
        limit = wobble.at(np.arctan2(v, u)) ** power if wobble and wobble.amplitudes else 1.0
        here = distance <= limit
        part = self.tissue[window]
        if inside is not None:
            here = here & np.isin(part, [tissues.NUMBER[name] for name in inside])
        part[here] = tissues.NUMBER[tissue]
        own[window] = here
        return own

    def paint(self, tissue: str, mask: Array) -> None:
        """Paints a mask on the fine grid."""
        self.tissue[mask] = tissues.NUMBER[tissue]

    def has(self, *names: str) -> Array:
        """Where one of these tissues is, on the fine grid."""
        return np.isin(self.tissue, [tissues.NUMBER[name] for name in names])

    def lesion(self, kind: str, mask: Array) -> None:
        """Notes a finding by its mask on the fine grid; one that covers no pixel by half is noted where it covers most."""
        share = block_mean(mask.astype(np.float32), self.oversample)
        half = share >= 0.5
        if not half.any() and share.any():
            half = share >= share.max()
        self.lesions.append(Lesion(kind, half))

    def phantom(self, rng: np.random.Generator, *, grain_mm: float = 2.5, **attributes: Any) -> Phantom:
        """What was painted, with a texture drawn for it."""
        texture = smooth_field(rng, self.size, max(0.6, grain_mm / self.spacing_mm))
        return Phantom(self.tissue, self.spacing_mm, self.oversample, texture, tuple(self.lesions), attributes)


def _window(axis: Array, centre: float, reach: float) -> slice:
    where = np.flatnonzero(np.abs(axis - centre) <= reach)
    return slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 0)
