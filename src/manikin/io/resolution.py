"""How finely numbers were written down: decimals, significant digits, whole numbers. Knows nothing of columns.

A generator that invents digits which the instrument never gave betrays itself at once; so does one that drops them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

MAX_DECIMALS = 15
MAX_SIGNIFICANT = 6
MIN_WITNESSES = 8  # distinct numbers that a decade (1 to 10, 10 to 100, …) must hold to bear witness
MIN_FULL = (
    0.3  # share of a decade's cells that need all significant digits: 0.9 is expected, fixed decimals give 0 in one of two
)
MAX_EXCEPTIONS = 0.005  # share of cells that may carry more digits than the rest


def decimals_of(values: Numbers) -> int:
    """The most decimals that any of the numbers has, 0 … 15.

    Parameters
    ----------
    values : finite numbers, shape (n,).

    Notes
    -----
    A float64 v with |v| 10^d < 2^53 is the closest number to a decimal of d digits exactly when rint(v 10^d) / 10^d = v.
    """
    rest = np.unique(values)
    for decimals in range(MAX_DECIMALS):
        scale = 10.0**decimals
        scaled = rest * scale
        is_settled = (np.rint(scaled) / scale == rest) | (np.abs(scaled) >= 2**53)
        rest = rest[~is_settled]
        if not len(rest):
            return decimals
    return MAX_DECIMALS


def significant_of(values: Numbers, counts: npt.NDArray[np.int64] | None = None) -> int | None:
    """The number of significant digits that the numbers were rounded to, or None when a number of decimals explains them.

    5.7, 4.86 and 0.683 have up to three decimals, yet no number above 1 uses the third: they carry three significant digits. A few
    exceptions (up to 0.5 % of the cells: a value computed rather than read off) do not count.

    Parameters
    ----------
    values : finite distinct numbers, shape (n,).
    counts : cells that hold each, shape (n,); one each by default.
    """
    counts = np.ones(len(values), dtype=np.int64) if counts is None else counts
    values, counts = np.abs(values[values != 0]), counts[values != 0]
    if len(values) < MIN_WITNESSES:
        return None
    step = math.ceil(len(values) / 20_000)
    values, counts = values[::step], counts[::step]
    for digits in range(2, MAX_SIGNIFICANT + 1):
        keeps = np.array([float(f"{value:.{digits}g}") == value for value in values])
        if counts[~keeps].sum() > MAX_EXCEPTIONS * counts.sum():
            continue
        decades, cells = np.floor(np.log10(values[keeps])), counts[keeps]
        is_full = np.array([float(f"{value:.{digits - 1}g}") != value for value in values[keeps]])
        inside = [decades == decade for decade in np.unique(decades)]
        shares = [float(cells[i & is_full].sum() / cells[i].sum()) for i in inside if i.sum() >= MIN_WITNESSES]
        return digits if decimals_of(values) > 0 and len(shares) >= 2 and min(shares) >= MIN_FULL else None
    return None


def is_whole(values: Numbers) -> bool:
    """Whether every number is whole."""
    return bool(np.all(values == np.rint(values)))
