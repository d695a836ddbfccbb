"""How alike two images are: SSIM and its version over several scales. For images and volumes. Knows no data set.

Wang et al. 2004 (doi:10.1109/TIP.2003.819861) and 2003 (doi:10.1109/ACSSC.2003.1292216): a Gaussian window of 1.5 pixels cut at 3.5 of
these, constants 0.01 and 0.03 of the range. Of several scales as many of the five are taken as leave images 11 pixels wide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SIGMA, TRUNCATE = 1.5, 3.5
RADIUS = 5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LEAST_SIDE = 11


def ssim(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], *, span: float = 1.0) -> Floats:
    """Structural similarity of pairs, (n,), at most 1, which equal images have.

    Parameters
    ----------
    first, second : (n, channels, *size). span : the range of values.
    """
    return _parts(first, second, span)[0]


def ms_ssim(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], *, span: float = 1.0) -> Floats:
    """Structural similarity over several scales, (n,), in [0, 1]; negative similarities count as 0."""
    weights = np.array(WEIGHTS[: n_scales(first.shape[2:])])
    weights /= weights.sum()
    total = np.ones(len(first))
    for i, weight in enumerate(weights):
        whole, structure = _parts(first, second, span)
        last = i == len(weights) - 1
        total *= np.maximum(whole if last else structure, 0.0) ** weight
        if not last:
            first, second = _halved(first), _halved(second)
    return total


def n_scales(size: tuple[int, ...]) -> int:
    """How many scales images of this size have, 1 to 5."""
    side, n = min(size), 1
    while n < len(WEIGHTS) and side // 2 >= LEAST_SIDE:
        side, n = side // 2, n + 1
    return n


def _parts(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], span: float) -> tuple[Floats, Floats]:
    """Similarity, and that without its term of brightness."""
    from scipy.ndimage import gaussian_filter

    a, b = first.astype(np.float64), second.astype(np.float64)
    sigma = (0.0, 0.0, *(SIGMA,) * (a.ndim - 2))

    def smooth(values: Floats) -> Floats:
        """Weighted means around each pixel."""
        return np.asarray(gaussian_filter(values, sigma, truncate=TRUNCATE))

    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    shared = smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    structure = (2 * shared + c2) / (var_a + var_b + c2)
    whole = structure * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    if min(a.shape[2:]) > 2 * RADIUS + 1:  # windows that reach over the edge are left out where there are others
        inner = (slice(None), slice(None), *(slice(RADIUS, -RADIUS),) * (a.ndim - 2))
        whole, structure = whole[inner], structure[inner]
    axes = tuple(range(1, a.ndim))
    return whole.mean(axis=axes), structure.mean(axis=axes)


def _halved(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means of 2 x 2 (x 2) pixels; a last odd row or column is left out."""
    for axis in range(2, images.ndim):
        length = images.shape[axis] // 2 * 2
        even = np.take(images, np.arange(0, length, 2), axis=axis)
        images = ((even + np.take(images, np.arange(1, length, 2), axis=axis)) / 2).astype(np.float32)
    return images
