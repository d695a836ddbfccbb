"""What an accuracy proves: indistinguishable within a margin, told apart, or too little read to say; and how much has to be read.

"Not significantly different from 50 %" proves nothing, as few readings never are. The claim that readers could not tell needs the whole
interval inside the margin around one half: two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419), at 2.5 % each.
"""

from __future__ import annotations

from enum import StrEnum
from math import sqrt

MARGIN = 0.1
POWER = 0.8
READER_SD = 0.03  # of readers' true accuracies near guessing: an assumption, to be replaced by a study's own figure
SHARED = 0.1  # correlation of two readers' errors on one image: likewise
MOST_IMAGES = 100_000


class Verdict(StrEnum):
    """What an interval says of readers who try to tell synthetic from real."""

    EQUIVALENT = "could not tell"
    SLIGHT = "could tell, but within the margin"
    TOLD = "could tell"
    MISLED = "were misled"
    OPEN = "undecided"


def verdict(interval: tuple[float, float], *, margin: float = MARGIN) -> Verdict:
    """The verdict of an accuracy's 95 % interval against one half.

    Parameters
    ----------
    margin : how far from 0.5 an accuracy may be to count as none, in (0, 0.5).

    >>> verdict((0.46, 0.57)), verdict((0.40, 0.61))
    (<Verdict.EQUIVALENT: 'could not tell'>, <Verdict.OPEN: 'undecided'>)
    """
    low, high = interval
    is_inside = low > 0.5 - margin and high < 0.5 + margin
    if is_inside:
        return Verdict.EQUIVALENT if low <= 0.5 <= high else Verdict.SLIGHT
    if low > 0.5:
        return Verdict.TOLD
    if high < 0.5:
        return Verdict.MISLED
    return Verdict.OPEN


def half_width(n_images: int, n_readers: int, *, reader_sd: float = READER_SD, shared: float = SHARED, tail: float = 0.975) -> float:
    """The half width to expect of the interval of an accuracy near one half; see `crossed.pooled`.

    Parameters
    ----------
    n_images : that each reader reads. reader_sd : of readers' true accuracies. shared : correlation of two readers' errors on an image.
    tail : the quantile, 0.975 for a 95 % interval.
    """
    from scipy.special import ndtri, stdtrit

    own = 0.25 / n_images
    if n_readers == 1:
        return float(ndtri(tail)) * sqrt(own)
    covariance = shared * own
    mean_square = reader_sd**2 + own - covariance
    whole = mean_square + n_readers * covariance
    freedom = whole**2 / (mean_square**2 / (n_readers - 1))
    return float(stdtrit(freedom, tail)) * sqrt(whole / n_readers)


def images_needed(
    n_readers: int,
    *,
    margin: float = MARGIN,
    power: float = POWER,
    reader_sd: float = READER_SD,
    shared: float = SHARED,
) -> int | None:
    """How many images each reader has to read so that readers who only guess are found indistinguishable with this power.

    The interval lies inside the margin when the estimate is off by less than the margin less its half width; for guessing readers that
    happens with the power asked for when half width and the (1 + power) / 2 quantile together fit into the margin. Of one reader the
    figure is for that reader alone. Even, as half are synthetic.

    Returns
    -------
    int : images, or None where no number suffices: these few readers may differ too much from others.

    >>> images_needed(1), images_needed(2), images_needed(5)
    (264, None, 132)
    """

    def fits(n: int) -> bool:
        """Whether n images suffice."""
        known = {"reader_sd": reader_sd, "shared": shared}
        return half_width(n, n_readers, **known) + half_width(n, n_readers, **known, tail=(1 + power) / 2) <= margin

    if not fits(MOST_IMAGES):
        return None
    low, high = 0, MOST_IMAGES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high + high % 2
