"""Paired comparison over repeated splits: the corrected resampled t interval, and Holm's correction. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manikin.evaluation.definition import Interval

ALPHA = 0.05


@dataclass(frozen=True)
class Paired:
    """A mean difference over splits with its interval and two-sided p value; without an interval below two splits."""

    mean: float
    interval: Interval | None
    p: float | None
    n: int


def corrected_t(differences: Sequence[float], *, test_to_train: float, alpha: float = ALPHA) -> Paired:
    """Mean of paired differences over splits that share rows, with the corrected resampled t interval.

    Nadeau & Bengio 2003 (doi:10.1023/A:1024068626366): the variance of the mean over J random splits is taken as
    (1/J + n_test / n_train) S², since train sets overlap; S²/J alone is far too small. The t distribution has J - 1 degrees of freedom.

    Parameters
    ----------
    differences : (J,), one per split. test_to_train : n_test / n_train.

    Examples
    --------
    >>> corrected_t([0.01, 0.03, 0.02], test_to_train=0.25).interval is not None
    True
    """
    from scipy.special import stdtr, stdtrit

    values = np.asarray(differences, dtype=float)
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Paired(mean, None, None, n)
    error = float(values.std(ddof=1)) * (1 / n + test_to_train) ** 0.5
    half = float(stdtrit(n - 1, 1 - alpha / 2)) * error
    if error > 0:
        p = 2 * float(stdtr(n - 1, -abs(mean) / error))
    else:
        p = 1.0 if mean == 0 else 0.0
    return Paired(mean, (mean - half, mean + half), p, n)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values after Holm 1979 (https://www.jstor.org/stable/4615733): below 0.05 they hold for the family as a whole.

    >>> holm([0.01, 0.04, None])
    [0.02, 0.04, None]
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    most = 0.0
    for rank, (p, i) in enumerate(known):
        most = max(most, min(1.0, p * (len(known) - rank)))
        adjusted[i] = most
    return adjusted
