"""Counts by group of patients, and what is computed of them on all groups and on each replicate. Knows no metric.

Every figure of linked patients that is a function of sums over patients gets its interval here: whole patients are resampled in twenty
groups (`intervals.replicate_interval`), so that long histories and rows that hang together widen it as they should.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.evaluation.intervals import N_GROUPS, with_replicates

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[Any]
N_BINS = 512
CHUNK = 1_000_000  # cells of replicates that are held at once


def holders(patient: Ints, what: Ints, n: int) -> Ints:
    """How many patients hold each of `n` things, int64 (n,), from pairs that may repeat."""
    return np.bincount(pd.unique(patient * n + what) % max(n, 1), minlength=n)


def group_counts(cells: Ints, groups: Ints, n_cells: int, weights: Floats | None = None) -> Floats:
    """How often each cell occurs in each group, float (N_GROUPS, n_cells)."""
    if n_cells == 0:
        return np.zeros((N_GROUPS, 0))
    flat = np.bincount(groups.astype(np.int64) * n_cells + cells, weights=weights, minlength=N_GROUPS * n_cells)
    return flat.reshape(N_GROUPS, n_cells).astype(float)


def replicated(figure: Callable[..., Floats], *counts: Floats) -> Floats:
    """A figure of the rows of totals: on all groups and on each replicate, (N_REPLICATES + 1,)."""
    return np.asarray(figure(*(with_replicates(count) for count in counts)))


def shares_of(counts: Floats) -> Floats:
    """Rows of counts as shares of their row; a row without any is 0 everywhere."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)


def same_shares(real: Floats, other: Floats) -> Floats:
    """1 - TV of two distributions, row by row."""
    return 1 - np.abs(shares_of(real) - shares_of(other)).sum(axis=1) / 2


def same_order(real: Floats, other: Floats) -> Floats:
    """1 - KS of two distributions over ordered cells, row by row."""
    return 1 - np.abs(np.cumsum(shares_of(real) - shares_of(other), axis=1)).max(axis=1, initial=0.0)


def r_squared(real: Floats, other: Floats) -> Floats:
    """1 - sum (real - other)² / sum (real - mean of real)², row by row; columns where both are 0 must have been left out."""
    residual = ((real - other) ** 2).sum(axis=1)
    total = ((real - real.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return 1 - residual / np.maximum(total, 1e-300)


def binned(real: Floats, *others: Floats) -> tuple[list[Ints], int]:
    """Numbers of several sides as bins between up to 512 of their pooled quantiles, each value that is frequent with a bin of its own."""
    pooled = np.concatenate([real, *others])
    if not len(pooled):
        return [np.empty(0, dtype=np.int64) for _ in range(1 + len(others))], 1
    cuts = np.unique(np.quantile(pooled, np.linspace(0, 1, N_BINS), method="inverted_cdf"))
    return [np.searchsorted(cuts, values, side="left") for values in (real, *others)], len(cuts) + 1


def wasserstein(real: Floats, other: Floats) -> float | None:
    """Wasserstein-1 distance of two samples in the interquartile range of the first (its standard deviation where that is 0)."""
    from scipy.stats import wasserstein_distance

    if not len(real) or not len(other):
        return None
    low, high = np.quantile(real, [0.25, 0.75])
    scale = float(high - low) or float(real.std()) or 1.0
    return float(wasserstein_distance(real, other)) / scale
