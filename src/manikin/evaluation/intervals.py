"""Where the 95 % intervals come from: leave-group-out jackknife, DeLong, Clopper-Pearson, bootstrap. Knows no table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
N_GROUPS = 20


def with_leave_outs(counts: Array) -> Floats:
    """Totals and leave-one-group-out totals of grouped counts.

    Parameters
    ----------
    counts : (n_groups, …), what each group holds.

    Returns
    -------
    (n_groups + 1, …) : the total first, then the total without group 0, 1, …
    """
    total = counts.sum(axis=0, keepdims=True)
    return np.concatenate([total, total - counts]).astype(float)


def jackknife(values: Array, *, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """95 % interval from a figure and its leave-one-group-out versions.

    With G groups the variance is (G - 1)/G Σ (θ₋g - mean θ₋)², the interval θ ± t(G - 1) s (the grouped jackknife; Efron 1982,
    doi:10.1137/1.9781611970319). Leaving a group of patients out on every side at once carries the noise of all sides.

    Parameters
    ----------
    values : (n_groups + 1,), the figure itself first.
    low, high : the range of the figure, which the interval is cut to.
    """
    from scipy.special import stdtrit

    left_out = np.asarray(values[1:], dtype=float)
    n_groups = len(left_out)
    variance = (n_groups - 1) / n_groups * float(((left_out - left_out.mean()) ** 2).sum())
    half = float(stdtrit(n_groups - 1, 0.975)) * variance**0.5
    return max(low, float(values[0]) - half), min(high, float(values[0]) + half)


def clopper_pearson(hits: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """The exact two-sided binomial interval for a rate (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404); (0, 1) for n = 0."""
    from scipy.special import betaincinv

    if n == 0:
        return 0.0, 1.0
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, alpha / 2))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - alpha / 2))
    return low, high


def mean_interval(values: Array, clusters: Array | None = None) -> tuple[float, float]:
    """95 % normal interval of a mean of values in [0, 1]; rows of one cluster (patient) count as one draw.

    Falls back to Clopper-Pearson when the values are 0 or 1, unclustered, and so few on one side that the normal law does not hold.
    """
    values = np.asarray(values, dtype=float)
    n, mean = len(values), float(values.mean())
    hits = values.sum()
    is_binary = bool(np.isin(values, (0.0, 1.0)).all())
    n_clusters = n if clusters is None else int(clusters.max()) + 1
    if is_binary and (n_clusters == n or min(hits, n - hits) < 5):
        return clopper_pearson(int(hits), n)
    residual = _by_cluster(values - mean, clusters)
    half = 1.96 * float(np.sqrt((residual**2).sum())) / n
    return max(0.0, mean - half), min(1.0, mean + half)


def auc(positive: Array, negative: Array) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties counting half; in [0, 1]."""
    return float(_placements(np.asarray(positive), np.asarray(negative))[0].mean())


def delong(positive: Array, negative: Array, clusters: tuple[Array, Array] | None = None) -> tuple[float, float]:
    """The AUC and its variance after DeLong et al. 1988 (doi:10.2307/2531595).

    Parameters
    ----------
    positive, negative : scores.
    clusters : patients of the positive and of the negative rows; rows of one patient are summed before their squares are
        (Obuchowski 1997, doi:10.2307/2533958).
    """
    v10, v01 = _placements(np.asarray(positive), np.asarray(negative))
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


def _placements(positive: Array, negative: Array) -> tuple[Floats, Floats]:
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
