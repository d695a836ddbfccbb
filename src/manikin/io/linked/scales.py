"""Finds numbers whose scale depends on a column of codes: a laboratory value by its test, a dose by its drug. Knows no keys.

The measure is the share of the variance of ranks that lies between codes, freed of what chance would give (epsilon squared; Kelley 1935,
https://doi.org/10.1073/pnas.21.9.554): 0 where codes say nothing of the number, 1 where they say all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Table
from manikin.data.schema import Column, Kind
from manikin.io.column_names import squeezed, word_set, words

MAX_ROWS = 100_000  # looked at, evenly over the table
MIN_ROWS = 60
MIN_PER_CODE = 5
MIN_PER_KNOWN = 2  # where the code refers to a vocabulary
MIN_SHARE_WITHIN = 0.2  # of what is left of a number when its patient's mean is taken away
MIN_CODES = 3
MEASURED = word_set("value val amount result dose quantity measurement valuenum measure")
MIN_SHARE_REFERRING = 0.1  # where, besides, the code refers to a vocabulary
MIN_SHARE_NAMED = 0.2  # where the number's name says that it is a value of something
MIN_SHARE = 0.6


@dataclass(frozen=True)
class Scale:
    """The code column by which a number is scaled, and the share of the variance of its ranks between codes, 0 … 1."""

    by: str
    share: float


def find_scales(
    table: Table,
    columns: Sequence[Column],
    owners: npt.NDArray[np.int64] | None = None,
    referring: frozenset[str] = frozenset(),
) -> dict[str, Scale]:
    """The scale of each number of a table that has one.

    Parameters
    ----------
    table : the typed cells. columns : those that may be numbers or codes: no keys, no times that place the row.
    owners : numbers of patients by row, int64 (n_rows,). A code that says less of a number than the patient does, or nothing beyond
        whose it is (her weight, by whoever nursed her), does not scale it.
    referring : names of columns of codes that refer to a vocabulary. They say what a row is about, and go before other codes.
    """
    rows = np.unique(np.linspace(0, len(table) - 1, MAX_ROWS).astype(np.int64)) if len(table) > MAX_ROWS else np.arange(len(table))
    codes = {}
    for column in columns:
        if column.kind in (Kind.CATEGORICAL, Kind.CODE, Kind.ORDINAL):
            found = table.frame[column.name].cat.codes.to_numpy()[rows].astype(np.int64)
            if len(np.unique(found[found >= 0])) >= MIN_CODES:
                codes[column.name] = found
    out = {}
    for column in columns:
        if column.kind in (Kind.CONTINUOUS, Kind.COUNT):
            numbers = table.frame[column.name].to_numpy(dtype=float)[rows]
            chosen = _chosen(column, numbers, codes, None if owners is None else owners[rows], referring)
            if chosen is not None:
                out[column.name] = chosen
    return out


def _chosen(
    column: Column,
    numbers: npt.NDArray[np.float64],
    codes: dict[str, npt.NDArray[np.int64]],
    owners: npt.NDArray[np.int64] | None,
    referring: frozenset[str],
) -> Scale | None:
    is_value = says_value(column.name)
    offers = []
    for name, found in codes.items():
        share = between(numbers, found, per_code=MIN_PER_KNOWN if is_value and name in referring else MIN_PER_CODE)
        if share is not None:
            offers.append(Scale(name, share))
    known = [offer for offer in offers if offer.by in referring and offer.share >= MIN_SHARE_REFERRING]
    if is_value and known:
        return max(known, key=lambda offer: offer.share)
    able = [offer for offer in offers if offer.share >= (MIN_SHARE_NAMED if is_value else MIN_SHARE)]
    if owners is not None:
        own, hers = within(numbers, owners), between(numbers, owners, per_code=1) or 0.0
        able = [offer for offer in able if offer.share > hers and (between(own, codes[offer.by], per_code=1) or 0.0) >= MIN_SHARE_WITHIN]
    return max(able, key=lambda offer: offer.share + 0.1 * (offer.by in referring), default=None)


def says_value(name: str) -> bool:
    """Whether a name says no more than that the column is the value of something.

    >>> says_value("value"), says_value("originalamount"), says_value("heart_rate")
    (True, True, False)
    """
    return bool(MEASURED.intersection(words(name))) or squeezed(name).endswith(("value", "amount")) or squeezed(name) == "rate"


def within(numbers: npt.NDArray[np.float64], owners: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How far each number's rank lies from the mean rank of its patient, NaN where there is none; float64 (n_rows,)."""
    ranks = pd.Series(numbers).rank()
    return np.asarray(np.round(ranks - ranks.groupby(owners).transform("mean"), 6), dtype=float)


def between(numbers: npt.NDArray[np.float64], codes: npt.NDArray[np.int64], *, per_code: int = MIN_PER_CODE) -> float | None:
    """The share of the variance of ranks between codes, less what chance gives; None where too few rows tell.

    Parameters
    ----------
    numbers : float64 (n_rows,), NaN where there is none. codes : int64 (n_rows,), -1 where there is none.
    per_code : fewest rows that there must be for each code, on average.
    """
    known = ~np.isnan(numbers) & (codes >= 0)
    n = int(known.sum())
    if n < MIN_ROWS:
        return None
    ranks = pd.Series(numbers[known]).rank().to_numpy()
    _, group = np.unique(codes[known], return_inverse=True)
    counts = np.bincount(group)
    k = len(counts)
    if k < MIN_CODES or n <= k or n < per_code * k:
        return None
    total = float(((ranks - ranks.mean()) ** 2).sum())
    means = np.bincount(group, weights=ranks) / counts
    within = float(((ranks - means[group]) ** 2).sum())
    return None if total == 0 else 1.0 - (within / (n - k)) / (total / (n - 1))
