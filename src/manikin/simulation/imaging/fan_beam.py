"""Line integrals of a plane from a point source on a circle, by way of parallel beams: projection, exact adjoint, reconstruction.

A fan ray of source angle beta and fan angle gamma is the parallel ray theta = beta + gamma, s = D sin(gamma) (Kak and Slaney 1988,
doi:10.1137/1.9780898719277, section 3.4). So a fan projection is a parallel one on a fine grid, read off bilinearly: a product of two
linear maps, whose adjoint is the product of their adjoints in reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.simulation.imaging.parallel_beam import Array, Filter, ParallelBeam


@dataclass(frozen=True, eq=False)
class FanBeam:
    """Equiangular fan over a full turn.

    Parameters
    ----------
    size, spacing_mm : of the images.
    source_mm : from the source to the middle of the image, beyond the image's corners.
    n_views : source positions over 360 degrees.
    n_detectors : cells of the arc, as many as see the whole image at a pixel's width in the middle when not given.
    """

    size: tuple[int, int]
    spacing_mm: float = 1.0
    source_mm: float = 570.0
    n_views: int = 360
    n_detectors: int | None = None

    def __post_init__(self) -> None:
        if self.source_mm <= self.radius_mm:
            raise parameter_error("source_mm", "FanBeam", f"above {self.radius_mm:.4g}, outside the image", self.source_mm)

    @property
    def radius_mm(self) -> float:
        """Of the circle around the image."""
        return float(np.hypot(*self.size)) * self.spacing_mm / 2

    @cached_property
    def fan_angles(self) -> Array:
        """Radians, (n_detectors,), from the ray through the middle."""
        half = np.arcsin(self.radius_mm / self.source_mm)
        n = self.n_detectors or int(np.ceil(half / (self.spacing_mm / self.source_mm))) * 2 + 1
        return np.linspace(-half, half, n)

    @cached_property
    def parallel(self) -> ParallelBeam:
        """The parallel beam behind it, over 180 degrees at the fan's own fineness."""
        n_angles = max(self.n_views, int(np.ceil(np.pi / 2 * max(self.size))) // 2 * 2)
        return ParallelBeam(self.size, np.arange(n_angles) * (180 / n_angles), self.spacing_mm)

    @cached_property
    def _read(self) -> Any:
        """Sparse: fan readings from the parallel sinogram."""
        beta = np.arange(self.n_views) * (2 * np.pi / self.n_views)
        theta = beta[:, None] + self.fan_angles[None, :]
        s = np.broadcast_to(self.source_mm * np.sin(self.fan_angles)[None, :], theta.shape)
        return _reader(np.rad2deg(theta).ravel(), s.ravel(), self.parallel)

    def forward(self, image: Array) -> Array:
        """Line integrals (n_views, n_detectors) of an image in 1/mm."""
        return np.asarray(self._read @ self.parallel.forward(image).ravel()).reshape(self.n_views, -1)

    def adjoint(self, sinogram: Array) -> Array:
        """The transpose of `forward`."""
        spread = self._read.T @ np.asarray(sinogram, np.float32).ravel()
        return self.parallel.adjoint(np.asarray(spread).reshape(len(self.parallel.angles), -1))

    def fbp(self, sinogram: Array, filter: Filter = "ram-lak") -> Array:  # noqa: A002 (the field's word)
        """The image in 1/mm: the fan sorted into parallel rays (each measured twice), then filtered back-projection."""
        beam = self.parallel
        s = np.broadcast_to(beam.offsets_mm[None, :], (len(beam.angles), beam.detectors))
        gamma = np.arcsin(np.clip(s / self.source_mm, -1, 1))
        total = np.zeros(s.shape)
        for turned in (0.0, np.pi):  # the ray (theta, s) is also (theta + 180 degrees, -s)
            own = gamma if turned == 0 else -gamma
            view = (np.deg2rad(beam.angles)[:, None] + turned - own) / (2 * np.pi) * self.n_views
            step = self.fan_angles[1] - self.fan_angles[0]
            total += 0.5 * _bilinear(np.asarray(sinogram), view, (own - self.fan_angles[0]) / step)
        return beam.fbp(total, filter)


def _reader(theta: Array, s: Array, beam: ParallelBeam) -> Any:
    """Sparse bilinear reading of a parallel sinogram over 180 degrees at angles (degrees) and offsets (mm)."""
    from scipy.sparse import csr_array

    n, m = len(beam.angles), beam.detectors
    half_turns = np.floor(theta / 180)
    theta = theta - 180 * half_turns
    s = np.where(half_turns % 2 == 1, -s, s)
    a, d = theta / 180 * n, s / beam.cell_mm + (m - 1) / 2
    a0, d0 = np.floor(a).astype(int), np.floor(d).astype(int)
    rows, columns, weights = [], [], []
    for da in (0, 1):
        wa = np.where(da, a - a0, 1 - (a - a0))
        wraps = a0 + da >= n  # beyond 180 degrees: the first view, mirrored
        for dd in (0, 1):
            place = d0 + dd
            inside = (place >= 0) & (place < m)
            place = np.where(wraps, m - 1 - place, place)
            weight = wa * np.where(dd, d - d0, 1 - (d - d0)) * inside
            rows.append(np.arange(len(theta)))
            columns.append(np.where(inside, (a0 + da) % n * m + place, 0))
            weights.append(weight)
    data = (np.concatenate(weights).astype(np.float32), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(data, shape=(len(theta), n * m))


def _bilinear(sinogram: Array, view: Array, cell: Array) -> Array:
    """Readings at fractional views (periodic) and cells (0 outside)."""
    n, m = sinogram.shape
    v0, c0 = np.floor(view).astype(int), np.floor(cell).astype(int)
    out = np.zeros(view.shape)
    for dv in (0, 1):
        for dc in (0, 1):
            place = c0 + dc
            inside = (place >= 0) & (place < m)
            weight = np.where(dv, view - v0, 1 - (view - v0)) * np.where(dc, cell - c0, 1 - (cell - c0))
            out += np.where(inside, weight * sinogram[(v0 + dv) % n, np.clip(place, 0, m - 1)], 0)
    return out
