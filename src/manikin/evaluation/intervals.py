"""Where the 95 % intervals come from: quarter replicates, DeLong, Clopper-Pearson, Wilson, bootstrap. Knows no table."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
N_GROUPS = 20
N_KEPT = 5
N_REPLICATES = 60


def subsets() -> npt.NDArray[np.bool_]:
    """Which groups each replicate keeps, bool (N_REPLICATES, N_GROUPS): a fixed design, 5 of 20 groups each."""
    rng = generator(0, "replicates")
    chosen = np.zeros((N_REPLICATES, N_GROUPS), dtype=bool)
    for row in chosen:
        row[rng.permutation(N_GROUPS)[:N_KEPT]] = True
    return chosen


def with_replicates(counts: Array) -> Floats:
    """Totals of grouped counts, and totals over the groups that each replicate keeps.

    Parameters
    ----------
    counts : (N_GROUPS, n_cells), what each group holds.

    Returns
    -------
    (N_REPLICATES + 1, n_cells) : the total of all groups first.
    """
    return np.asarray(_design() @ counts.astype(float))


def replicate_interval(values: Array, *, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """95 % interval from a figure on all groups and on a quarter of them, again and again.

    The delete-d jackknife (Shao & Wu 1989, doi:10.1214/aos/1176347263) with d = 15 of 20 groups: the variance is 5/15 of the variance of
    the replicates. Keeping a quarter rather than all but one group matters: distances like TV and KS have a kink at zero, where the
    ordinary jackknife is too wide by two thirds. Groups hold whole patients, of train and of the other side at once, so that the
    interval carries the noise of both.

    Parameters
    ----------
    values : (N_REPLICATES + 1,), the figure itself first.
    low, high : the range of the figure, which the interval is cut to.
    """
    from scipy.special import stdtrit

    variance = N_KEPT / (N_GROUPS - N_KEPT) * float(np.var(np.asarray(values[1:], dtype=float), ddof=1))
    half = float(stdtrit(N_GROUPS - 1, 0.975)) * variance**0.5
    return max(low, float(values[0]) - half), min(high, float(values[0]) + half)


@cache
def _design() -> Floats:
    return np.concatenate([np.ones((1, N_GROUPS)), subsets()]).astype(float)


def clopper_pearson(hits: float, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """The exact two-sided binomial interval for a rate (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404); (0, 1) for n = 0.

    `hits` may be a sum of n values in [0, 1]: their variance is at most that of hits, so the interval is then too wide.
    """
    from scipy.special import betaincinv

    if n == 0:
        return 0.0, 1.0
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, alpha / 2))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - alpha / 2))
    return low, high


def wilson(hits: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Wilson's score interval of a rate (1927, doi:10.1080/01621459.1927.10502953); (0, 1) for n = 0.

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    from math import sqrt

    from scipy.special import ndtri

    if n == 0:
        return 0.0, 1.0
    z = float(ndtri(1 - alpha / 2))
    share, width = hits / n, z * z / n
    half = z * sqrt(share * (1 - share) / n + width / (4 * n)) / (1 + width)
    centre = (share + width / 2) / (1 + width)
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Array, *clusters: Array) -> tuple[float, float]:
    """95 % normal interval of a mean of values in [0, 1]; Clopper-Pearson for unclustered rates, and where hits or misses are under five.

    Clopper-Pearson counts clusters, of the coarsest grouping, where there are any: no hit in 5,000 rows of 100 patients is no hit in 100.

    Parameters
    ----------
    clusters : any number of groupings of the values (patients, the real row that several values hang on). With one the variance is the
        sum of squares of each cluster's sum; with two it is that of both, less that of the single values (Cameron, Gelbach & Miller
        2011, doi:10.1198/jbes.2010.07136).
    """
    values = np.asarray(values, dtype=float)
    n, mean = len(values), float(values.mean())
    is_binary = bool(np.isin(values, (0.0, 1.0)).all())
    if is_binary and (not clusters or min(values.sum(), n - values.sum()) < 5):
        n_units = min([n, *(len(np.unique(cluster)) for cluster in clusters)])
        return clopper_pearson(mean * n_units, n_units)
    residual = values - mean
    alone = float((residual**2).sum())
    shared = [float((_by_cluster(residual, cluster) ** 2).sum()) for cluster in clusters]
    variance = max([alone, *shared, sum(shared) - (len(shared) - 1) * alone])
    half = 1.96 * variance**0.5 / n
    return max(0.0, mean - half), min(1.0, mean + half)


def auc(positive: Array, negative: Array) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties counting half; in [0, 1]."""
    return float(placements(np.asarray(positive), np.asarray(negative))[0].mean())


def delong(positive: Array, negative: Array, clusters: tuple[Array, Array] | None = None) -> tuple[float, float]:
    """The AUC and its variance after DeLong et al. 1988 (doi:10.2307/2531595).

    Parameters
    ----------
    positive, negative : scores.
    clusters : patients of the positive and of the negative rows; rows of one patient are summed before their squares are
        (Obuchowski 1997, doi:10.2307/2533958).
    """
    v10, v01 = placements(np.asarray(positive), np.asarray(negative))
    area = float(v10.mean())
    variance = 0.0
    for i, parts in enumerate((v10, v01)):
        residual = _by_cluster(parts - area, None if clusters is None else clusters[i])
        n = len(residual)
        variance += n / max(n - 1, 1) * float((residual**2).sum()) / len(parts) ** 2
    return area, variance


def _by_cluster(residual: Array, clusters: Array | None) -> Floats:
    """Residuals summed by cluster; as they are without clusters."""
    if clusters is None:
        return np.asarray(residual, dtype=float)
    _, dense = np.unique(clusters, return_inverse=True)
    return np.asarray(np.bincount(dense, weights=residual), dtype=float)


def placements(positive: Array, negative: Array) -> tuple[Floats, Floats]:
    """For each positive the share of negatives below it, and for each negative the share of positives above it."""
    below = np.sort(negative)
    above = np.sort(positive)
    v10 = (np.searchsorted(below, positive, "left") + np.searchsorted(below, positive, "right")) / (2 * len(negative))
    v01 = 1 - (np.searchsorted(above, negative, "left") + np.searchsorted(above, negative, "right")) / (2 * len(positive))
    return v10, v01


def bootstrap_weights(records: Array, n_draws: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """How often each row occurs in each of `n_draws` samples of patients with replacement, float32 (n_draws, n_rows)."""
    n_records = int(records.max()) + 1
    out = np.empty((n_draws, len(records)), dtype=np.float32)
    for i in range(n_draws):
        out[i] = np.bincount(rng.integers(n_records, size=n_records), minlength=n_records)[records]
    return out
