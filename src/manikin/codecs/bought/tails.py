"""The shape of the first and the last bin of numbers: falling off from the bins beside them, instead of flat out to a round number.

Made of bought counts and public grids alone. A bin from 3 to 9 that holds 1,000 rows beside 1,200 at 2 is not flat: the density goes on
from its neighbours and falls by one ratio r from point to point, d * (r + r^2 + … + r^m) = rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NEAR = 0.1  # the neighbours' density is that within a tenth of the bin's inner end, or further off where too few rows are so near


def with_tails(low: Floats, high: Floats, rows: Floats) -> list[list[tuple[float, float, float]]]:
    """For each bin its cells as (low, high, rows): one, or several of growing width in the outermost bins.

    Parameters
    ----------
    low, high : float64 (n_bins,), first and last grid point, rising. rows : float64 (n_bins,), above 0.
    """
    out = [[(a, b, n)] for a, b, n in zip(low.tolist(), high.tolist(), rows.tolist(), strict=True)]
    if len(out) > 1:
        out[-1] = _falling(low[-1], high[-1], rows[-1], _density(low[:-1], high[:-1], rows[:-1], low[-1], rows[-1] / 2))
        beside = _density(-high[:0:-1], -low[:0:-1], rows[:0:-1], -high[0], rows[0] / 2)
        left = _falling(-high[0], -low[0], rows[0], beside)
        out[0] = [(-b, -a, n) for a, b, n in left[::-1]]
    return out


def _density(low: Floats, high: Floats, rows: Floats, start: float, least: float) -> float:
    """Rows per grid point in the window before `start` that holds at least so many rows, if there are so many."""
    width, farthest = max(1.0, np.floor(NEAR * abs(start))), start - low[0]
    while True:
        inside = np.maximum(np.minimum(high, start - 1) - np.maximum(low, start - width) + 1, 0)
        held = float((rows * inside / (high - low + 1)).sum())
        if held >= least or width >= farthest:
            return held / width
        width *= 2


def _falling(low: float, high: float, rows: float, density: float) -> list[tuple[float, float, float]]:
    """Cells of 1, 2, 4, … points whose rows fall off by one ratio."""
    n_points = high - low + 1
    if n_points < 2 or density * n_points <= rows:
        return [(float(low), float(high), float(rows))]
    few, many = 0.0, 1.0
    for _ in range(60):
        ratio = (few + many) / 2
        total = density * ratio * (1 - ratio**n_points) / (1 - ratio)
        few, many = (ratio, many) if total < rows else (few, ratio)
    edges = [0.0]
    while edges[-1] < n_points:
        edges.append(min(2 * edges[-1] + 1, n_points))
    at = np.array(edges)
    share = np.diff(1 - few**at) / (1 - few**n_points)
    return [
        (float(low + a), float(low + b - 1), float(rows * part))
        for a, b, part in zip(at[:-1], at[1:], share, strict=True)
        if rows * part >= 0.5 or a == 0
    ]
