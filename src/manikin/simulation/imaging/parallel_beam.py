"""Line integrals of a plane under parallel beams: projection, its exact adjoint, filtered back-projection. Knows no tissue and no noise.

Geometry (mm). Pixel (i, j) of an image (n_rows, n_columns) has its centre at x = (j - (n_columns - 1) / 2) h and y = ((n_rows - 1) / 2 -
i) h: x runs to the right and y up. A ray of angle theta and offset s is the line x cos(theta) + y sin(theta) = s; its value is the
image's integral along it (1/mm in, no unit out). At 0 degrees rays run along columns.

How. For |cos| >= |sin| every image row is shifted by y tan(theta), each pixel's value shared between the two cells that its shifted cell
overlaps, and the rows are added up; otherwise columns take the rows' place. The sum lies on a grid of spacing h |cos(theta)| along s, and
detector cells of width ds catch what overlaps them: the distance-driven scheme (De Man and Basu 2004, doi:10.1088/0031-9155/49/11/024) by
shears. Mass is kept exactly: at every angle the sum over a detector that sees everything, times ds, is the sum over the image, times h^2.
A row's shift is one copy of contiguous memory, so 360 views of 512 x 512 take tenths of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from manikin.data.errors import parameter_error

Array = np.ndarray[Any, np.dtype[Any]]
Filter = Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann"]
FILTERS: tuple[Filter, ...] = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")


@dataclass(frozen=True)
class _Side:
    """The angles at which lines of one direction (rows, or columns) are shifted: what each needs."""

    angles: Array  # indices into all angles
    first: Array  # (n_angles, n_lines) whole part of each line's shift, in pixels
    rest: Array  # (n_angles, n_lines) float32, the remainder in [0, 1)


@dataclass(frozen=True, eq=False)
class ParallelBeam:
    """Projections of square-pixelled images under parallel rays.

    Parameters
    ----------
    size : (n_rows, n_columns) of the images.
    angles : degrees, any number and order; filtered back-projection wants them evenly over 180 or 360 degrees.
    spacing_mm : edge of a pixel.
    n_detectors : cells of the detector; as many as see the whole image when not given.
    detector_mm : width of a cell; a pixel's edge when not given.

    Examples
    --------
    >>> beam = ParallelBeam((32, 32), np.arange(0, 180, 6.0))
    >>> beam.forward(np.ones((32, 32))).shape == (30, beam.detectors)
    True
    """

    size: tuple[int, int]
    angles: Array
    spacing_mm: float = 1.0
    n_detectors: int | None = None
    detector_mm: float | None = None

    def __post_init__(self) -> None:
        angles = np.atleast_1d(np.asarray(self.angles, dtype=float))
        if angles.ndim != 1 or not len(angles) or not np.isfinite(angles).all():
            raise parameter_error("angles", "ParallelBeam", "a list of degrees, one or more", f"shape {angles.shape}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise parameter_error("size", "ParallelBeam", "(rows, columns), each 1 or more", self.size)
        if not self.spacing_mm > 0 or (self.detector_mm is not None and not self.detector_mm > 0):
            raise parameter_error("spacing_mm", "ParallelBeam", "above 0, and so the detector's", self.spacing_mm)
        object.__setattr__(self, "angles", angles)

    @cached_property
    def cell_mm(self) -> float:
        """Width of a detector cell."""
        return float(self.detector_mm or self.spacing_mm)

    @cached_property
    def detectors(self) -> int:
        """Number of detector cells."""
        if self.n_detectors is not None:
            return int(self.n_detectors)
        n = int(np.ceil(np.hypot(*self.size) * self.spacing_mm / self.cell_mm)) + 1
        return n + (n - self.size[1]) % 2  # cells in line with the columns at 0 degrees

    @cached_property
    def offsets_mm(self) -> Array:
        """Where the cells' centres lie along s, (n_detectors,)."""
        return (np.arange(self.detectors) - (self.detectors - 1) / 2) * self.cell_mm

    @cached_property
    def _steps(self) -> Array:
        """Per angle the grid step of the summed lines along s, signed: cos(theta) where rows are shifted, sin(theta) elsewhere."""
        cos, sin = np.cos(np.deg2rad(self.angles)), np.sin(np.deg2rad(self.angles))
        return np.where(np.abs(cos) >= np.abs(sin), cos, sin)

    @cached_property
    def _middles(self) -> Array:
        """Per angle where the middle cell of the summed lines lies: half a step off where a line has an even number of pixels."""
        cos, sin = np.cos(np.deg2rad(self.angles)), np.sin(np.deg2rad(self.angles))
        across = np.where(np.abs(cos) >= np.abs(sin), self.size[1], self.size[0])
        return np.where(across % 2 == 0, 0.5, 0.0)

    @cached_property
    def _half(self) -> int:
        """The summed lines lie on 2 * half + 1 cells around the middle."""
        return max(self.size) + 1  # each direction is shifted by at most half the number of lines either way

    @cached_property
    def _sides(self) -> tuple[_Side, _Side]:
        cos, sin = np.cos(np.deg2rad(self.angles)), np.sin(np.deg2rad(self.angles))
        by_rows = np.abs(cos) >= np.abs(sin)
        sides = []
        for chosen, slope, n_lines, n_across in (
            (np.flatnonzero(by_rows), sin / np.where(by_rows, cos, 1), self.size[0], self.size[1]),
            (np.flatnonzero(~by_rows), cos / np.where(by_rows, 1, sin), self.size[1], self.size[0]),
        ):
            line = np.arange(n_lines) - (n_lines - 1) / 2
            shift = line[None, :] * slope[chosen, None] - n_across // 2  # the cell that the line's first pixel comes to lie in
            first = np.floor(shift)
            sides.append(_Side(chosen, first.astype(np.int64), (shift - first).astype(np.float32)))
        return sides[0], sides[1]

    @cached_property
    def _catch(self) -> Any:
        """Sparse (n_angles * n_detectors, n_angles * n_cells): the share of each summed cell that a detector cell catches."""
        from scipy.sparse import csr_array

        half, n = self._half, 2 * self._half + 1
        step = self._steps * self.spacing_mm
        edges = (self.offsets_mm[None, :] / step[:, None])[..., None] + np.array([-0.5, 0.5]) * (self.cell_mm / np.abs(step))[:, None, None]
        edges = edges - self._middles[:, None, None]
        low, high = edges[..., 0], edges[..., 1]
        lowest = np.floor(low + 0.5)
        most = int(np.ceil((high - low).max())) + 1
        cells = lowest[..., None] + np.arange(most)
        overlap = np.minimum(cells + 0.5, high[..., None]) - np.maximum(cells - 0.5, low[..., None])
        weight = np.clip(overlap, 0, None) / (high - low)[..., None] * (self.spacing_mm / np.abs(self._steps))[:, None, None]
        place = cells.astype(np.int64) + half
        weight[(place < 0) | (place >= n)] = 0
        columns = np.clip(place, 0, n - 1) + (np.arange(len(self.angles)) * n)[:, None, None]
        rows = np.arange(len(self.angles) * self.detectors + 1) * most
        return csr_array(
            (weight.astype(np.float32).ravel(), columns.astype(np.int32).ravel(), rows.astype(np.int32)),
            shape=(len(self.angles) * self.detectors, len(self.angles) * n),
        )

    def forward(self, image: Array) -> Array:
        """Line integrals (n_angles, n_detectors), float32, of an image (n_rows, n_columns)."""
        image = np.asarray(image, dtype=np.float32)
        if image.shape != tuple(self.size):
            raise parameter_error("image", "ParallelBeam.forward", f"of shape {tuple(self.size)}", image.shape)
        half, n = self._half, 2 * self._half + 1
        summed = np.zeros((len(self.angles), n), np.float32)
        # rows run with falling y: reversed, so that the i-th line has the i-th smallest y
        for side, lines in zip(self._sides, (image[::-1], image[::-1].T), strict=True):
            _sum_lines(side, np.ascontiguousarray(lines), half, summed)
        return np.asarray(self._catch @ summed.ravel()).reshape(len(self.angles), self.detectors)

    def adjoint(self, sinogram: Array) -> Array:
        """The transpose of `forward`: (n_angles, n_detectors) to (n_rows, n_columns). <forward(x), y> = <x, adjoint(y)>."""
        spread = self._catch.T @ np.asarray(sinogram, dtype=np.float32).ravel()
        return self._back(np.asarray(spread).reshape(len(self.angles), -1))

    def _back(self, on_cells: Array) -> Array:
        rows, columns = self._sides
        image = _spread_lines(rows, on_cells, self._half, self.size[1])[::-1]
        return image + _spread_lines(columns, on_cells, self._half, self.size[0]).T[::-1]

    def back_project(self, sinogram: Array) -> Array:
        """The sum over angles of the sinogram at each pixel's own s, linear between cells' centres: what FBP smears back."""
        n = 2 * self._half + 1
        s = (np.arange(n) - self._half + self._middles[:, None]) * (self._steps * self.spacing_mm)[:, None]
        place = s / self.cell_mm + (self.detectors - 1) / 2
        padded = np.pad(np.asarray(sinogram, dtype=np.float32), ((0, 0), (1, 1)))
        place = np.clip(place + 1, 0, self.detectors + 0.999)
        first = place.astype(np.int64)
        rest = (place - first).astype(np.float32)
        index = first + (np.arange(len(self.angles)) * padded.shape[1])[:, None]
        flat = padded.ravel()
        return self._back(flat[index] * (1 - rest) + flat[index + 1] * rest)

    def fbp(self, sinogram: Array, filter: Filter = "ram-lak") -> Array:  # noqa: A002 (the field's word)
        """Filtered back-projection (Kak and Slaney 1988, doi:10.1137/1.9780898719277, ch. 3): an image in 1/mm from line integrals."""
        filtered = filter_ramp(np.asarray(sinogram, dtype=np.float32), self.cell_mm, filter)
        return self.back_project(filtered) * np.float32(np.pi / len(self.angles))


def _sum_lines(side: _Side, lines: Array, half: int, summed: Array) -> None:
    """Adds the shifted lines (n_lines, n_across) of one side up, into `summed` (n_angles, 2 half + 1)."""
    n_lines, n_across = lines.shape
    reach = int(np.abs(side.first).max()) + 2 if side.first.size else 0
    padded = np.zeros((n_lines, n_across + 2 * reach + 2 * half + 2), np.float32)
    before = reach + half + 1
    padded[:, before : before + n_across] = lines
    flat = padded.ravel()
    for angle, first, rest in zip(side.angles, side.first, side.rest, strict=True):
        low, high = int(first.min()), int(first.max()) + n_across + 1  # the cells that any line reaches
        width = high - low + 1
        windows = as_strided(flat, (flat.size - width, width + 1), (4, 4), writeable=False)
        gathered = windows[np.arange(n_lines) * padded.shape[1] + before + low - first - 1]  # one cell more before the first
        two = np.stack([1 - rest, rest]) @ gathered
        summed[angle, low + half : high + half + 1] = two[0, 1:] + two[1, :-1]


def _spread_lines(side: _Side, on_cells: Array, half: int, n_across: int) -> Array:
    """The transpose of `_sum_lines`: (n_lines, n_across)."""
    n_lines = side.first.shape[1]
    out = np.zeros((n_lines, n_across), np.float32)
    part = np.empty_like(out)
    for angle, first, rest in zip(side.angles, side.first, side.rest, strict=True):
        row = np.ascontiguousarray(on_cells[angle])
        windows = as_strided(row, (row.size - n_across, n_across + 1), (4, 4), writeable=False)
        gathered = windows[first + half]
        out += np.multiply(gathered[:, :-1], (1 - rest)[:, None], out=part)
        out += np.multiply(gathered[:, 1:], rest[:, None], out=part)
    return out


def filter_ramp(sinogram: Array, cell_mm: float, filter: Filter = "ram-lak") -> Array:  # noqa: A002 (the field's word)
    """Each row (…, n_detectors) convolved with the band-limited ramp, sampled in space so that the mean stays right, under a window."""
    if filter not in FILTERS:
        raise parameter_error("filter", "filter_ramp", f"one of {', '.join(FILTERS)}", filter)
    from scipy.fft import irfft, next_fast_len, rfft

    n = sinogram.shape[-1]
    length = next_fast_len(2 * n, real=True)
    place = np.minimum(np.arange(length), length - np.arange(length))
    odd = place % 2 == 1
    kernel = np.where(odd, -1 / (np.pi * np.where(odd, place, 1) * cell_mm) ** 2, 0.0)
    kernel[0] = 1 / (4 * cell_mm**2)
    response = rfft(kernel).real * cell_mm
    frequency = np.arange(len(response)) / length  # cycles per cell, up to 1/2
    response *= {
        "ram-lak": lambda f: np.ones_like(f),
        "shepp-logan": lambda f: np.sinc(f),
        "cosine": lambda f: np.cos(np.pi * f),
        "hamming": lambda f: 0.54 + 0.46 * np.cos(2 * np.pi * f),
        "hann": lambda f: 0.5 + 0.5 * np.cos(2 * np.pi * f),
    }[filter](frequency)
    return irfft(rfft(sinogram, length, axis=-1) * response.astype(np.float32), length, axis=-1)[..., :n].astype(np.float32)
