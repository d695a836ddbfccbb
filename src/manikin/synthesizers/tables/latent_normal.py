"""A latent normal vector of which only intervals are seen: its correlation, its draws, and its draws given intervals. Knows no field.

`z` is always (n_latents, n_rows), so that one latent number of all rows lies together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bounds = tuple[npt.NDArray[Any], npt.NDArray[Any]]

ROWS_AT_ONCE = 1024  # a block of rows stays in the processor's cache while all its latent numbers are drawn
FARTHEST = 8.0


def truncated(mean: Any, scale: Any, low: Any, high: Any, uniform: Any) -> Any:
    """Normal numbers of this mean and scale between low and high, by inversion; exact into the tails, ends may be infinite."""
    from scipy.special import ndtr, ndtri

    a, b = (low - mean) / scale, (high - mean) / scale
    flip = a > 0  # the upper tail is the lower one turned round, where small numbers keep their digits
    below, above = np.where(flip, -b, a), np.where(flip, -a, b)
    start = ndtr(below)
    drawn = ndtri(start + uniform * (ndtr(above) - start))
    drawn = np.clip(drawn, np.maximum(below, -2 * FARTHEST - np.abs(above)), above)
    drawn = np.where(np.isfinite(drawn), drawn, np.clip(0.0, below, above))
    return mean + scale * np.where(flip, -drawn, drawn)


def sweep(z: Floats, bounds: Callable[[slice], Bounds], correlation: Floats, rng: np.random.Generator) -> None:
    """One round of Gibbs over all latent numbers, in place: each is drawn given the others and its interval.

    Parameters
    ----------
    bounds : slice of rows -> lower and upper ends, (n_latents, n_rows) each.
    """
    precision = np.linalg.inv(correlation)
    scale = 1 / np.sqrt(np.diag(precision))
    weights = -precision * (scale**2)[:, None]
    np.fill_diagonal(weights, 0.0)
    for start in range(0, z.shape[1], ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, z.shape[1]))
        low, high = bounds(rows)
        block = np.ascontiguousarray(z[:, rows])
        uniform = rng.random(block.shape)
        for k in range(len(z)):
            block[k] = truncated(weights[k] @ block, scale[k], low[k], high[k], uniform[k])
        z[:, rows] = block


def draw_within(bounds: Bounds, correlation: Floats, rng: np.random.Generator, *, n_sweeps: int) -> Floats:
    """Latent numbers of rows whose intervals are given, float64 (n_latents, n_rows): one after the other, then rounds of Gibbs."""
    low, high = bounds
    n_latents, n_rows = low.shape
    z, noise = np.empty((n_latents, n_rows)), np.empty((n_latents, n_rows))
    factor = factor_of(correlation)
    for k in range(n_latents):
        mean = factor[k, :k] @ noise[:k]
        z[k] = truncated(mean, factor[k, k], low[k], high[k], rng.random(n_rows))
        noise[k] = (z[k] - mean) / factor[k, k]
    for _ in range(n_sweeps if n_latents > 1 else 0):
        sweep(z, lambda rows: (low[:, rows], high[:, rows]), correlation, rng)
    return z


def given(correlation: Floats, known: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The unknown latent numbers given the known ones: regression (n_unknown, n_known), and the Cholesky factor of what is left."""
    inside, across = correlation[np.ix_(known, known)], correlation[np.ix_(~known, known)]
    regression: Floats = np.linalg.solve(inside, across.T).T.astype(float)
    rest = correlation[np.ix_(~known, ~known)] - regression @ across.T
    return regression, factor_of(rest)


def factor_of(covariance: Floats) -> Floats:
    """The Cholesky factor, with as much added to the diagonal as rounding asks for."""
    for jitter in (0.0, 1e-10, 1e-8, 1e-6):
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))), dtype=float)
        except np.linalg.LinAlgError:
            continue
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(np.linalg.cholesky((vectors * np.maximum(values, 1e-6)) @ vectors.T), dtype=float)


def as_correlation(moments: Floats, n_rows: float, prior_rows: float) -> Floats:
    """A correlation matrix of second moments, drawn towards independence by the weight of `prior_rows` rows."""
    shrunk = (moments * n_rows + np.eye(len(moments)) * prior_rows) / (n_rows + prior_rows)
    size = np.sqrt(np.diag(shrunk))
    out = shrunk / np.outer(size, size)
    np.fill_diagonal(out, 1.0)
    return np.asarray((out + out.T) / 2)
