"""Line integrals of a volume from a point source onto a flat detector: radiographs (DRR) and cone-beam CT with its exact adjoint and FDK.

Geometry (mm). A volume (n_slices, n_rows, n_columns) has z along slices (first slice on top), y up the rows, x along the columns, its
middle at the origin. At angle 0 the source lies at y = -source_mm and the detector's plane behind the volume at y = detector_mm -
source_mm; a turn by beta moves both counter-clockwise around z, which is the same as turning the volume clockwise.

How. Once turned, each plane of constant y is magnified onto the detector by M = detector_mm / (source_mm + y): columns and slices apart,
so that a plane costs two thin matrix products; the oblique path through a plane is longer by sqrt(1 + (u^2 + v^2) / detector_mm^2).
Bilinear turning and linear magnification are matrices, so the adjoint is exact. FDK: Feldkamp, Davis and Kress 1984,
doi:10.1364/JOSAA.1.000612.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.simulation.imaging.parallel_beam import Array, Filter, filter_ramp


@dataclass(frozen=True, eq=False)
class ConeBeam:
    """A flat detector behind a volume.

    Parameters
    ----------
    size : (n_slices, n_rows, n_columns).
    spacing_mm : edge of a voxel.
    angles : degrees.
    source_mm, detector_mm : from the source to the middle of the volume, and to the detector.
    detector : (rows, columns) of cells; as many as see the whole volume at the magnified voxel's width when not given.
    cell_mm : edge of a cell; the voxel's edge as magnified in the middle when not given.
    """

    size: tuple[int, int, int]
    spacing_mm: float
    angles: Array
    source_mm: float = 1000.0
    detector_mm: float = 1500.0
    detector: tuple[int, int] | None = None
    cell_mm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles", np.atleast_1d(np.asarray(self.angles, float)))
        reach = float(np.hypot(self.size[1], self.size[2])) * self.spacing_mm / 2
        if not reach < self.source_mm < self.detector_mm:
            must = f"above {reach:.4g}, outside the volume, and below detector_mm"
            raise parameter_error("source_mm", "ConeBeam", must, self.source_mm)

    @cached_property
    def edge_mm(self) -> float:
        """Edge of a detector cell."""
        return self.cell_mm or self.spacing_mm * self.detector_mm / self.source_mm

    @cached_property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of the detector."""
        if self.detector is not None:
            return self.detector
        reach = np.hypot(self.size[1], self.size[2]) / 2
        near = self.detector_mm / (self.source_mm - reach * self.spacing_mm)
        wide = [int(np.ceil(n * self.spacing_mm * near / self.edge_mm)) + 1 for n in (self.size[0], 2 * reach)]
        return wide[0], wide[1]

    @cached_property
    def places(self) -> tuple[Array, Array]:
        """(v, u): mm of the cells' centres on the detector, v up and u along x at angle 0."""
        rows, columns = self.cells
        return -(np.arange(rows) - (rows - 1) / 2) * self.edge_mm, (np.arange(columns) - (columns - 1) / 2) * self.edge_mm

    @cached_property
    def _oblique(self) -> Array:
        v, u = self.places
        return np.sqrt(1 + (v[:, None] ** 2 + u[None, :] ** 2) / self.detector_mm**2).astype(np.float32)

    @cached_property
    def _depths(self) -> Array:
        """y of the planes, one per voxel's width, enough for any turn: only the circle within the volume is always kept whole."""
        n = self.size[1]
        return ((n - 1) / 2 - np.arange(n)) * self.spacing_mm

    def _planes(self) -> Iterator[tuple[int, Any, Any]]:
        """Each plane's index with sparse magnifications of slices (rows of cells x slices) and of columns (columns of cells x columns)."""
        v, u = self.places
        for i, y in enumerate(self._depths):
            back = (self.source_mm + y) / self.detector_mm / self.spacing_mm
            yield i, _linear((self.size[0] - 1) / 2 - v * back, self.size[0]), _linear(u * back + (self.size[2] - 1) / 2, self.size[2])

    def _turn(self, angle: float) -> Any:
        """Sparse: a slice (rows * columns) turned clockwise by `angle` degrees about its middle, bilinear."""
        rows, columns = self.size[1:]
        y, x = np.meshgrid((rows - 1) / 2 - np.arange(rows), np.arange(columns) - (columns - 1) / 2, indexing="ij")
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        from_row, from_column = (rows - 1) / 2 - (x * sin + y * cos), x * cos - y * sin + (columns - 1) / 2
        return _bilinear(from_row.ravel(), from_column.ravel(), rows, columns)

    def forward(self, volume: Array) -> Array:
        """Line integrals (n_angles, rows, columns), float32, of a volume in 1/mm."""
        volume = np.asarray(volume, np.float32)
        if volume.shape != tuple(self.size):
            raise parameter_error("volume", "ConeBeam.forward", f"of shape {tuple(self.size)}", volume.shape)
        out = np.zeros((len(self.angles), *self.cells), np.float32)
        flat = np.ascontiguousarray(volume.reshape(self.size[0], -1).T)
        for a, angle in enumerate(self.angles):
            turned = (flat if angle % 360 == 0 else self._turn(angle) @ flat).reshape(*self.size[1:], self.size[0])
            for i, slices, columns in self._planes():
                if turned[i].any():
                    out[a] += slices @ (columns @ turned[i]).T
            out[a] *= self._oblique * np.float32(self.spacing_mm)
        return out

    def adjoint(self, projections: Array) -> Array:
        """The transpose of `forward`."""
        total = np.zeros((self.size[1] * self.size[2], self.size[0]), np.float32)
        for angle, projection in zip(self.angles, np.asarray(projections, np.float32), strict=True):
            weighted = projection * self._oblique * np.float32(self.spacing_mm)
            turned = np.zeros((self.size[1], self.size[2], self.size[0]), np.float32)
            for i, slices, columns in self._planes():
                turned[i] = columns.T @ (slices.T @ weighted).T
            flat = turned.reshape(-1, self.size[0])
            total += flat if angle % 360 == 0 else self._turn(angle).T @ flat
        return total.T.reshape(self.size)

    def fdk(self, projections: Array, filter: Filter = "hann") -> Array:  # noqa: A002 (the field's word)
        """The volume in 1/mm from projections evenly over a full turn; exact in the middle plane, worse away from it."""
        v, u = self.places
        scale = self.source_mm / self.detector_mm  # the detector as if it stood in the middle of the volume
        weight = self.detector_mm / np.sqrt(self.detector_mm**2 + v[:, None] ** 2 + u[None, :] ** 2)
        filtered = filter_ramp(np.asarray(projections, np.float32) * weight.astype(np.float32), self.edge_mm * scale, filter)
        rows, columns = self.size[1:]
        y, x = np.meshgrid((rows - 1) / 2 - np.arange(rows), np.arange(columns) - (columns - 1) / 2, indexing="ij")
        z = ((self.size[0] - 1) / 2 - np.arange(self.size[0])) * self.spacing_mm
        out = np.zeros((self.size[0], rows * columns), np.float32)
        from scipy.ndimage import map_coordinates

        for angle, view in zip(self.angles, filtered, strict=True):
            cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
            across, depth = (x * cos + y * sin) * self.spacing_mm, (-x * sin + y * cos) * self.spacing_mm
            magnified = self.detector_mm / (self.source_mm + depth)
            at_u = (across * magnified / self.edge_mm + (self.cells[1] - 1) / 2).ravel()
            at_v = (self.cells[0] - 1) / 2 - z[:, None] * magnified.ravel() / self.edge_mm
            read = map_coordinates(view, [at_v, np.broadcast_to(at_u, at_v.shape)], order=1)
            out += read * ((self.source_mm / (self.source_mm + depth)) ** 2).ravel().astype(np.float32)
        return (out * np.float32(np.pi / len(self.angles))).reshape(self.size)


def _linear(place: Array, n: int) -> Any:
    """Sparse (len(place), n): reads at fractional places, 0 outside."""
    from scipy.sparse import csr_array

    first = np.floor(place).astype(int)
    rest = place - first
    columns = np.stack([first, first + 1], axis=1)
    inside = (columns >= 0) & (columns < n)
    weights = np.stack([1 - rest, rest], axis=1) * inside
    ends = np.arange(len(place) + 1) * 2
    return csr_array((weights.astype(np.float32).ravel(), np.where(inside, columns, 0).ravel(), ends), shape=(len(place), n))


def _bilinear(row: Array, column: Array, n_rows: int, n_columns: int) -> Any:
    from scipy.sparse import csr_array

    r0, c0 = np.floor(row).astype(int), np.floor(column).astype(int)
    places, weights = [], []
    for dr in (0, 1):
        for dc in (0, 1):
            r, c = r0 + dr, c0 + dc
            inside = (r >= 0) & (r < n_rows) & (c >= 0) & (c < n_columns)
            places.append(np.where(inside, r * n_columns + c, 0))
            weights.append(np.where(dr, row - r0, 1 - row + r0) * np.where(dc, column - c0, 1 - column + c0) * inside)
    data = np.stack(weights, axis=1).astype(np.float32).ravel()
    ends = np.arange(len(row) + 1) * 4
    return csr_array((data, np.stack(places, axis=1).ravel(), ends), shape=(len(row), n_rows * n_columns))
