"""Agreement beyond chance: Cohen's kappa of two readings of the same images, Fleiss' kappa of many. Knows no reader and no image."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator

Floats = npt.NDArray[np.float64]
N_DRAWS = 2000


@dataclass(frozen=True)
class Kappa:
    """Agreement beyond chance: 1 always agree, 0 as by chance, below 0 less than that.

    Attributes
    ----------
    value : NaN where it is not defined (no image, or all answers the same).
    interval : of 95 %, None where there is none. n : images. observed, expected : shares of agreeing pairs of answers, in [0, 1].
    """

    value: float
    interval: tuple[float, float] | None
    n: int
    observed: float
    expected: float


def cohen(a: npt.ArrayLike, b: npt.ArrayLike) -> Kappa:
    """Cohen's kappa of two answers for each image (Cohen 1960, doi:10.1177/001316446002000104).

    kappa = (po - pe) / (1 - pe), po the share of images answered alike, pe what two readers with these shares of answers would reach by
    chance. Two answers only (real, synthetic) and few images are the rule here, and there the large-sample interval (`standard_error`) is
    too narrow; the interval is Donner & Eliasziw's goodness of fit (1992, doi:10.1002/sim.4780111109), which keeps its level down to
    some 10 images. It takes both readers to give the answers about equally often; where they do not it is stretched to hold the value.
    With more than two answers it is kappa ± 1.96 standard errors.

    Parameters
    ----------
    a, b : (n_images,) answers of any kind; equal positions are of the same image.
    """
    first, second = np.asarray(a), np.asarray(b)
    levels, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    n, k = len(first), len(levels)
    if n == 0:
        return Kappa(nan, None, 0, nan, nan)
    table = np.bincount(codes[:n] * k + codes[n:], minlength=k * k).reshape(k, k).astype(float)
    observed, expected = _shares(table)
    if expected >= 1:
        return Kappa(nan, None, n, observed, expected)
    value = (observed - expected) / (1 - expected)
    if k == 2:
        low, high = _goodness_of_fit(table)
        interval = (min(low, value), max(high, value))
    else:
        half = 1.96 * standard_error(table)
        interval = (max(-1.0, value - half), min(1.0, value + half))
    return Kappa(value, interval, n, observed, expected)


def standard_error(table: npt.ArrayLike) -> float:
    """The large-sample standard error of Cohen's kappa (Fleiss, Cohen & Everitt 1969, doi:10.1037/h0028106).

    Parameters
    ----------
    table : (k, k) counts, the first reader's answers down, the second's across.
    """
    counts = np.asarray(table, dtype=float)
    n = counts.sum()
    p = counts / n
    row, column = p.sum(axis=1), p.sum(axis=0)
    observed, expected = _shares(counts)
    kappa = (observed - expected) / (1 - expected)
    diagonal = np.diag(p)
    on = float((diagonal * (1 - (row + column) * (1 - kappa)) ** 2).sum())
    sums = column[:, None] + row[None, :]  # of a cell (i, j): how often the second says i and the first says j
    off = (1 - kappa) ** 2 * float((p * sums**2).sum() - (diagonal * (row + column) ** 2).sum())
    rest = (kappa - expected * (1 - kappa)) ** 2
    return float(np.sqrt(max(0.0, on + off - rest) / n) / (1 - expected))


def fleiss(counts: npt.ArrayLike, *, seed: int = 0, n_draws: int = N_DRAWS) -> Kappa:
    """Fleiss' kappa of many readers (Fleiss 1971, doi:10.1037/h0031619); its interval by bootstrap over images.

    Images may have been read by unequal numbers of readers; each pair of readings of one image counts, and images count alike. Images
    with fewer than two readings are left out.

    Parameters
    ----------
    counts : (n_images, n_answers), how many readers gave each answer.
    """
    table = np.asarray(counts, dtype=float)
    table = table[table.sum(axis=1) >= 2] if table.size else np.zeros((0, 2))
    n = len(table)
    if n == 0:
        return Kappa(nan, None, 0, nan, nan)
    value, observed, expected = _fleiss(np.ones((1, n)), table)
    interval = None
    if n >= 2 and isfinite(value[0]):
        draws = generator(seed, "fleiss").multinomial(n, np.full(n, 1 / n), size=n_draws).astype(float)
        drawn = _fleiss(draws, table)[0]
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) >= n_draws / 2:
            interval = _bootstrap_interval(float(value[0]), drawn, n)
    return Kappa(float(value[0]), interval, n, float(observed[0]), float(expected[0]))


def _bootstrap_interval(value: float, drawn: Floats, n: int) -> tuple[float, float]:
    """95 % of a figure over n images from the figure of samples of them."""
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.975)) * float(drawn.std()) * (n / (n - 1)) ** 0.5
    centre = 2 * value - float(drawn.mean())
    return max(-1.0, min(value, centre - half)), min(1.0, max(value, centre + half))


def _fleiss(weights: Floats, table: Floats) -> tuple[Floats, Floats, Floats]:
    """Kappa, observed and expected agreement of each line of weights (n_draws, n_images)."""
    raters = table.sum(axis=1)
    alike = (table * (table - 1)).sum(axis=1) / (raters * (raters - 1))
    total = weights.sum(axis=1)
    observed = weights @ alike / total
    shares = weights @ table
    shares /= shares.sum(axis=1, keepdims=True)
    expected = (shares**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), np.nan)
    return kappa, observed, expected


def _shares(table: Floats) -> tuple[float, float]:
    """Observed and expected agreement of a table of counts."""
    p = table / table.sum()
    return float(np.trace(p)), float(p.sum(axis=1) @ p.sum(axis=0))


def _goodness_of_fit(table: Floats) -> tuple[float, float]:
    """Donner & Eliasziw's 95 % limits for two answers: the kappas under which the three kinds of pairs (both yes, differing, both no) are
    not surprising by a chi-square of one degree of freedom. The limits are found on a fine grid rather than by the cubic's roots."""
    n = table.sum()
    both, differ, neither = table[1, 1], table[0, 1] + table[1, 0], table[0, 0]
    p = (2 * both + differ) / (2 * n)
    q = 1 - p
    least = max(-p / q, -q / p) if 0 < p < 1 else 0.0
    kappa = np.linspace(max(least, -1.0), 1.0, 20001)[1:-1]
    chi = (
        (both - n * (p * p + kappa * p * q)) ** 2 / (n * (p * p + kappa * p * q))
        + (differ - n * 2 * p * q * (1 - kappa)) ** 2 / (n * 2 * p * q * (1 - kappa))
        + (neither - n * (q * q + kappa * p * q)) ** 2 / (n * (q * q + kappa * p * q))
    )
    kept = kappa[chi <= 3.8415]
    if not len(kept):
        return -1.0, 1.0
    low = -1.0 if kept[0] == kappa[0] and least <= -1 else float(kept[0])
    return low, 1.0 if differ == 0 else float(kept[-1])
