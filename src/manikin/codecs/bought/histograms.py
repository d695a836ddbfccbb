"""Noisy histograms of a number line that grow where patients are: cells are split while they stand clear of the noise, merged where not.

Works on a grid of whole numbers (values over the column's step). What is known of a cell is an estimate and its variance; what a finer
histogram says of the same rows is combined with it by inverse variance, so that no answer is thrown away. Knows no column and no rows:
all of this is made of noisy answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FARTHEST = float(2**53)  # grid points beyond are counted with the last cell
CLEAR = 4.0  # standard deviations above 0 from which on patients are believed to be there: by chance once in 30,000 cells
BESIDE = 3.0  # the same beside a cell that stands clear: by chance once in 700
LIKELY = 1.5  # standard deviations above 0 from which on a neighbour of what stands clear is kept with it
PER_PART = 5.0  # expected rows of a part when a cell is split, in standard deviations of the next histogram
SHORT = 16  # a first cell of so few points is counted point by point


@dataclass(frozen=True)
class Cells:
    """A partition of the grid with what is known of it.

    Attributes
    ----------
    start : float64 (n_cells,), rising; cell i holds the grid points start[i] … start[i + 1] - 1, the last one all beyond.
    end : float64 (n_cells,), the last grid point of each cell.
    rows, variance : float64 (n_cells,), estimated rows and the variance of that estimate; infinite where nothing is known yet.
    breaks : float64, sorted; cells on either side of one of these are never put together.
    alone : the rows that one patient may have: a cell stands clear of the noise if it does so without her.
    """

    start: Floats
    end: Floats
    rows: Floats
    variance: Floats
    breaks: Floats
    alone: float = 1.0

    def place(self, points: Floats) -> Ints:
        """The cell of each finite grid point, int64 (n,); points beyond the ends count in the first and the last cell."""
        return np.clip(np.searchsorted(self.start, points, side="right") - 1, 0, len(self.start) - 1)

    def is_clear(self) -> npt.NDArray[np.bool_]:
        """Which cells stand clear of the noise."""
        return self.rows > self.alone + CLEAR * np.sqrt(self.variance)


@dataclass(frozen=True)
class Split:
    """The next partition, and how it hangs on the last: cell i is part of `first[i]` of `n_parts[i]`, or all of `first[i]` … `last[i]`."""

    start: Floats
    first: Ints
    last: Ints
    n_parts: Ints


def by_magnitude() -> Cells:
    """The public start for numbers nothing is known of: zero, and every leading digit of every power of ten, with either sign."""
    up = np.array([digit * 10.0**power for power in range(15) for digit in range(1, 10)])
    down = -np.append(up[1:], FARTHEST)[::-1] + 1
    tens = 10.0 ** np.arange(15)
    return _unknown(np.r_[down, 0.0, up], FARTHEST, np.sort(np.r_[1 - tens, tens]))


def evenly(low: float, high: float, n: int) -> Cells:
    """The public start for a known range: about n cells of equal width; every point its own where there are few."""
    n_points = high - low + 1
    width = 1.0 if n_points <= SHORT else _nice(n_points / n)
    start = np.unique(np.r_[low, np.arange(np.ceil(low / width) * width, high + 1, width)])
    return _unknown(start, high, np.empty(0))


def _unknown(start: Floats, farthest: float, breaks: Floats) -> Cells:
    n = len(start)
    return Cells(start, np.append(start[1:] - 1, max(farthest, start[-1])), np.zeros(n), np.full(n, np.inf), breaks)


def unsplit(cells: Cells) -> Split:
    """The partition as it is, to be counted for the first time or once more."""
    every = np.arange(len(cells.start))
    return Split(cells.start, every, every, np.ones(len(every), dtype=np.int64))


def split(cells: Cells, noise: float) -> Split:
    """Cells that stand clear are split into parts that are likely to do so too; neighbours that do not are put together.

    Parameters
    ----------
    noise : standard deviation of the histogram that the parts will be counted by.
    """
    clear = cells.is_clear()
    out: list[tuple[float, int, int, int]] = []
    open_run = False
    for i, (start, end) in enumerate(zip(cells.start.tolist(), cells.end.tolist(), strict=True)):
        if not clear[i]:
            if open_run and start not in cells.breaks:
                out[-1] = (out[-1][0], out[-1][1], i, 1)
            else:
                out.append((start, i, i, 1))
            open_run = True
            continue
        open_run = False
        width = _width(end - start + 1, float(cells.rows[i]) / (PER_PART * noise))
        inner = np.arange((np.floor(start / width) + 1) * width, end + 1, width).tolist() if width else []
        parts = [start, *inner]
        out += [(part, i, i, len(parts)) for part in parts]
    start_of, first, last, n_parts = (np.array(column) for column in zip(*out, strict=True))
    return Split(start_of.astype(float), first, last, n_parts)


def _width(n_points: float, n_parts: float) -> float:
    """The width of the parts of a cell of so many points, 0 where it stays whole."""
    if n_points < 2 or n_parts < 2:
        return 0.0
    return 1.0 if n_parts >= n_points / 1.5 else _nice(n_points / n_parts)


def _nice(width: float) -> float:
    """The nearest of 1, 2, 5, 10, 20, … at or above a width: cells of round ends are read more easily, and spikes lie at round numbers."""
    ten = 10.0 ** np.floor(np.log10(max(width, 1.0)))
    return float(next(step * ten for step in (1, 2, 5, 10) if step * ten >= width * (1 - 1e-9)))


def combined(cells: Cells, parted: Split, answers: Floats, noise: float) -> Cells:
    """The next partition with the new answers, and with what the old ones say of the same rows.

    For k parts y_i with variance s^2 whose whole was estimated as x with variance v: w = k s^2 / (v + k s^2) of the difference between x
    and sum(y) is spread over the parts.
    """
    s2 = noise**2
    before, variance = np.r_[0.0, np.cumsum(cells.rows)], np.r_[0.0, np.cumsum(cells.variance)]
    old = before[parted.last + 1] - before[parted.first]
    old_variance = (
        variance[parted.last + 1] - variance[parted.first] if np.isfinite(variance).all() else np.full(len(old), np.inf)
    )
    k = parted.n_parts.astype(float)
    group = np.where(parted.n_parts > 1, parted.first, len(cells.start) + np.arange(len(k)))
    total = np.zeros(2 * len(cells.start) + len(k))
    np.add.at(total, group, answers)
    share = k * s2 / (old_variance + k * s2)
    with np.errstate(invalid="ignore"):
        old_part = np.where(share > 0, share**2 / k**2 * old_variance, 0.0)
    rows = answers + share * (old - total[group]) / k
    new_variance = s2 * (1 - share / k) ** 2 + (k - 1) * s2 * (share / k) ** 2 + np.nan_to_num(old_part)
    end = np.append(parted.start[1:] - 1, cells.end[-1])
    return Cells(parted.start, end, rows, new_variance, cells.breaks, cells.alone)


def groups(cells: Cells) -> list[tuple[int, int]]:
    """First and last cell of each group that stands clear of the noise: single cells that do, and runs of others that do together.

    A run is halved as long as a part of it stands clear. A half in which nothing does joins its neighbour if it is likely to hold somebody
    (`LIKELY`), and is left out otherwise: its few rows, if any, go to the nearest group. A run that touches a cell which stands clear is
    believed a little sooner (`BESIDE`).
    """
    out: list[tuple[int, int]] = []
    clear, run = cells.is_clear(), -1
    runs = _Runs(np.r_[0.0, np.cumsum(cells.rows)], np.r_[0.0, np.cumsum(cells.variance)], cells.alone)
    for i in range(len(clear) + 1):
        is_end = i == len(clear) or clear[i] or cells.start[i] in cells.breaks
        if run >= 0 and is_end:
            is_beside = any(0 < j < len(clear) and clear[k] and cells.start[j] not in cells.breaks for j, k in ((run, run - 1), (i, i)))
            parts = runs.parts(run, i - 1)
            out += [(run, i - 1)] if not parts and is_beside and runs.size(run, i - 1) > BESIDE else parts
            run = -1
        if i < len(clear) and clear[i]:
            out.append((i, i))
        elif run < 0:
            run = i
    return out


@dataclass(frozen=True)
class _Runs:
    """Sums of rows and variances up to each cell."""

    rows: Floats
    variance: Floats
    alone: float

    def size(self, first: int, last: int) -> float:
        """The rows of cells first … last beyond one patient's, in standard deviations."""
        rows, variance = self.rows[last + 1] - self.rows[first], self.variance[last + 1] - self.variance[first]
        return float((rows - self.alone) / np.sqrt(variance))

    def parts(self, first: int, last: int) -> list[tuple[int, int]]:
        """The groups of a run."""
        if last > first:
            middle = (first + last) // 2
            left, right = self.parts(first, middle), self.parts(middle + 1, last)
            if left and not right and self.size(middle + 1, last) > LIKELY:
                left[-1] = (left[-1][0], last)
            elif right and not left and self.size(first, middle) > LIKELY:
                right[0] = (first, right[0][1])
            if left or right:
                return [*left, *right]
        return [(first, last)] if self.size(first, last) > CLEAR else []
