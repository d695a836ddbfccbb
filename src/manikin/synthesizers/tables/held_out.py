"""Patients that a network does not learn from, so that its training can be stopped by them. Knows no model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator

SHARE = 0.1
FEWEST = 40


def hold_out(
    records: npt.NDArray[np.int64], seed: int, *, share: float | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows to train on and rows of other patients to stop by.

    Parameters
    ----------
    records : the patient of each row, counted from 0. share : of the patients; None takes a tenth, 40 at least, and none of too few.
    """
    n = int(records.max()) + 1
    if share is None:
        share = SHARE if n * SHARE >= FEWEST else (FEWEST / n if n >= 4 * FEWEST else 0.0)
    outside = np.isin(records, generator(seed, "held out").permutation(n)[: round(share * n)])
    return np.flatnonzero(~outside), np.flatnonzero(outside)


def hold_out_some(n: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """As `hold_out` of n patients with a record each; of too few 15 %, two at least, since a record is long and few say when to stop."""
    inside, outside = hold_out(np.arange(n), seed)
    if not len(outside):
        order = generator(seed, "held out").permutation(n)
        few = max(2, round(0.15 * n))
        inside, outside = np.sort(order[few:]), np.sort(order[:few])
    return inside, outside
