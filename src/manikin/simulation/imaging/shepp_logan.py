"""The Shepp–Logan head, in the plane and in space, with its exact projections. Knows no scanner.

Ellipses of Shepp and Logan 1974 (doi:10.1109/TNS.1974.6499235) with the raised contrast of Toft 1996, on the square [-1, 1]^2 (x right, y
up); ellipsoids after Kak and Slaney 1988 (doi:10.1137/1.9780898719277), on [-1, 1]^3 (z up). A projection of a sum of ellipses is the sum
of its chords, each known in closed form, so images and sinograms can be checked against truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

# value, half axes a and b, centre x and y, turn in degrees (counter-clockwise)
ELLIPSES = np.array(
    [
        (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
        (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
        (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
        (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
        (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
        (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
        (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
        (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
        (0.1, 0.023, 0.023, 0.0, -0.606, 0.0),
        (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
    ]
)
# value, half axes a, b, c, centre x, y, z, turn about z in degrees
ELLIPSOIDS = np.array(
    [
        (1.0, 0.69, 0.92, 0.9, 0.0, 0.0, 0.0, 0.0),
        (-0.8, 0.6624, 0.874, 0.88, 0.0, 0.0, 0.0, 0.0),
        (-0.2, 0.41, 0.16, 0.21, -0.22, 0.0, -0.25, 108.0),
        (-0.2, 0.31, 0.11, 0.22, 0.22, 0.0, -0.25, 72.0),
        (0.1, 0.21, 0.25, 0.5, 0.0, 0.35, -0.25, 0.0),
        (0.1, 0.046, 0.046, 0.046, 0.0, 0.1, -0.25, 0.0),
        (0.1, 0.046, 0.023, 0.02, -0.08, -0.65, -0.25, 0.0),
        (0.1, 0.046, 0.023, 0.02, 0.06, -0.65, -0.25, 90.0),
        (0.1, 0.056, 0.04, 0.1, 0.06, -0.105, 0.625, 90.0),
        (0.1, 0.056, 0.056, 0.1, 0.0, 0.1, 0.625, 0.0),
    ]
)


def image(size: int, *, oversample: int = 4) -> Array:
    """The head on (size, size) pixels over [-1, 1]^2, float32, each pixel the mean of oversample^2 points; row 0 is the top."""
    fine = size * oversample
    place = (np.arange(fine) + 0.5) / fine * 2 - 1
    x, y = place[None, :], -place[:, None]
    out = np.zeros((fine, fine), np.float32)
    for value, a, b, x0, y0, turn in ELLIPSES:
        cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        u, v = (x - x0) * cos + (y - y0) * sin, -(x - x0) * sin + (y - y0) * cos
        out[(u / a) ** 2 + (v / b) ** 2 <= 1] += value
    return out.reshape(size, oversample, size, oversample).mean(axis=(1, 3), dtype=np.float32)


def volume(size: int) -> Array:
    """The head on (size, size, size) voxels over [-1, 1]^3, float32, axes (z up, y up, x right) with the top first."""
    place = (np.arange(size) + 0.5) / size * 2 - 1
    x, y, z = place[None, None, :], -place[None, :, None], -place[:, None, None]
    out = np.zeros((size, size, size), np.float32)
    for value, a, b, c, x0, y0, z0, turn in ELLIPSOIDS:
        cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        u, v = (x - x0) * cos + (y - y0) * sin, -(x - x0) * sin + (y - y0) * cos
        out[(u / a) ** 2 + (v / b) ** 2 + ((z - z0) / c) ** 2 <= 1] += value
    return out


@dataclass(frozen=True)
class Rays:
    """Straight lines in the plane: points and unit directions, both (..., 2), in the units of the square [-1, 1]^2."""

    points: Array
    directions: Array

    @classmethod
    def parallel(cls, angles: Array, offsets: Array) -> Rays:
        """The lines x cos + y sin = s for each angle (degrees) and offset s: (n_angles, n_offsets)."""
        theta = np.deg2rad(np.asarray(angles, float))[:, None]
        s = np.asarray(offsets, float)[None, :]
        points = np.stack([s * np.cos(theta), s * np.sin(theta)], axis=-1)
        directions = np.stack([-np.sin(theta) + 0 * s, np.cos(theta) + 0 * s], axis=-1)
        return cls(points, directions)


def line_integrals(rays: Rays) -> Array:
    """Exact integrals of the plane head along each ray: the sum of value times chord over the ellipses."""
    total = np.zeros(rays.points.shape[:-1])
    for value, a, b, x0, y0, turn in ELLIPSES:
        cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        scale = np.array([[cos / a, sin / a], [-sin / b, cos / b]])
        total += value * _chords((rays.points - [x0, y0]) @ scale.T, rays.directions @ scale.T)
    return total


def line_integrals_3d(points: Array, directions: Array) -> Array:
    """Exact integrals of the head in space along lines given by points and unit directions (..., 3) as (x, y, z)."""
    total = np.zeros(points.shape[:-1])
    for value, a, b, c, x0, y0, z0, turn in ELLIPSOIDS:
        cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        scale = np.array([[cos / a, sin / a, 0], [-sin / b, cos / b, 0], [0, 0, 1 / c]])
        total += value * _chords((points - [x0, y0, z0]) @ scale.T, directions @ scale.T)
    return total


def _chords(p: Array, d: Array) -> Array:
    """Lengths, in the original unit, of the chords in the unit ball of lines p + t d; t keeps its unit under the scaling."""
    dd, pd, pp = (d * d).sum(-1), (p * d).sum(-1), (p * p).sum(-1)
    return 2 * np.sqrt(np.clip(pd**2 - dd * (pp - 1), 0, None)) / dd
