"""A figure of several readers who read the same images, with an interval over other readers and other images. Knows no answer.

Readers share images, so that their figures go up and down together, and readers differ; an interval that counts every reading as
independent is too narrow. This is the one-modality case of Obuchowski & Rockette (1995, doi:10.1080/03610919508813243) with the degrees
of freedom of Hillis (2007, doi:10.1002/sim.2532), as reader studies of diagnostic tests use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from manikin.evaluation.intervals import placements

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """One reader's figure.

    Attributes
    ----------
    value : the figure. images : (n,) the images that it rests on. influence : (n,) how far each moves it; their squares add up to its
    variance.
    """

    value: float
    images: npt.NDArray[np.int64]
    influence: Floats

    @property
    def variance(self) -> float:
        """Over other images."""
        return float((self.influence**2).sum())


@dataclass(frozen=True)
class Pooled:
    """The mean over readers.

    Attributes
    ----------
    interval : of 95 %, for other readers of this kind and other images; of one reader for other images only.
    between : standard deviation of readers' true figures. shared : correlation of two readers' errors over the images that they share.
    """

    value: float
    interval: tuple[float, float]
    n_readers: int
    between: float
    shared: float


def share(hits: npt.NDArray[np.bool_], strata: npt.NDArray[np.bool_], images: npt.NDArray[np.int64]) -> Estimate:
    """A reader's share of hits, the mean of those of the strata that there are: accuracy is the mean of sensitivity and specificity.

    A design sets how many images of each stratum are shown, so that only what differs within a stratum is chance.

    Parameters
    ----------
    hits, strata, images : (n,) right or not; synthetic or not; which image.
    """
    values, influence = [], np.zeros(len(hits))
    kinds = [mask for mask in (strata, ~strata) if mask.any()]
    for mask in kinds:
        n = int(mask.sum())
        mean = float(hits[mask].mean())
        values.append(mean)
        influence[mask] = (hits[mask] - mean) / n * sqrt(n / max(n - 1, 1)) / len(kinds)
    return Estimate(float(np.mean(values)) if values else float("nan"), images, influence)


def area(scores: Floats, is_positive: npt.NDArray[np.bool_], images: npt.NDArray[np.int64]) -> Estimate:
    """A reader's AUC with DeLong's variance (1988, doi:10.2307/2531595); NaN where one of the kinds is missing."""
    if is_positive.all() or not is_positive.any():
        return Estimate(float("nan"), images, np.zeros(len(images)))
    v10, v01 = placements(scores[is_positive], scores[~is_positive])
    value, influence = float(v10.mean()), np.zeros(len(scores))
    for mask, parts in ((is_positive, v10), (~is_positive, v01)):
        n = len(parts)
        influence[mask] = (parts - value) / n * sqrt(n / max(n - 1, 1))
    return Estimate(value, images, influence)


def pooled(estimates: list[Estimate], *, least: tuple[float, float] = (0.0, 1.0)) -> Pooled | None:
    """The mean of readers' figures with its interval; None without a reader.

    V = (MS + R max(0, Cov)) / R with MS the variance of the R figures between readers and Cov the mean covariance of two readers over
    shared images; t with (MS + R Cov)^2 / (MS^2 / (R - 1)) degrees of freedom. Where the readers happen to lie closer together than the
    images alone would have them, the wider interval for these readers and other images is given.

    Parameters
    ----------
    least : the range of the figure, which the interval is cut to.
    """
    from scipy.special import stdtrit

    estimates = [one for one in estimates if np.isfinite(one.value)]
    n = len(estimates)
    if not n:
        return None
    values = np.array([one.value for one in estimates])
    matrix = _by_image(estimates)
    covariances = matrix @ matrix.T
    own = float(np.trace(covariances)) / n
    shared = float(covariances.sum() - np.trace(covariances)) / (n * (n - 1)) if n > 1 else 0.0
    half = 1.96 * sqrt(max(0.0, own + (n - 1) * shared) / n)  # these readers, other images
    between = 0.0
    if n > 1:
        mean_square = float(values.var(ddof=1))
        variance = (mean_square + n * max(0.0, shared)) / n
        freedom = (mean_square + n * max(0.0, shared)) ** 2 / (mean_square**2 / (n - 1)) if mean_square > 0 else np.inf
        half = max(half, float(stdtrit(min(freedom, 1e6), 0.975)) * sqrt(variance))
        between = sqrt(max(0.0, mean_square - own + shared))
    value = float(values.mean())
    interval = (max(least[0], value - half), min(least[1], value + half))
    return Pooled(value, interval, n, between, shared / own if own > 0 else 0.0)


def _by_image(estimates: list[Estimate]) -> Floats:
    """The influences as a matrix (n_readers, n_images), 0 where a reader did not read an image."""
    _, codes = np.unique(np.concatenate([one.images for one in estimates]), return_inverse=True)
    matrix = np.zeros((len(estimates), int(codes.max()) + 1 if len(codes) else 0))
    at = 0
    for i, one in enumerate(estimates):
        np.add.at(matrix[i], codes[at : at + len(one.images)], one.influence)
        at += len(one.images)
    return matrix
