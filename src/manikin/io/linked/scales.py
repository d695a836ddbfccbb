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
from manikin.io.column_names import word_set, words

MAX_ROWS = 100_000  # looked at, evenly over the table
MIN_ROWS = 60
MIN_PER_CODE = 5
MIN_CODES = 3
MEASURED = word_set("value val amount result rate dose quantity measurement valuenum measure reading level concentration")
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
    owners : numbers of patients by row, int64 (n_rows,). A code that says less of a number than the patient does (her weight, by whoever
        nursed her) does not scale it.
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
            offers = [Scale(name, share) for name, found in codes.items() if (share := between(numbers, found)) is not None]
            chosen = _chosen(column, offers, referring, between(numbers, owners[rows]) if owners is not None else None)
            if chosen is not None:
                out[column.name] = chosen
    return out


def _chosen(column: Column, offers: list[Scale], referring: frozenset[str], by_patient: float | None) -> Scale | None:
    is_value = bool(MEASURED.intersection(words(column.name)))
    known = [offer for offer in offers if offer.by in referring and offer.share >= MIN_SHARE_REFERRING]
    if is_value and known:
        return max(known, key=lambda offer: offer.share)
    least = max(MIN_SHARE_NAMED if is_value else MIN_SHARE, by_patient or 0.0)
    able = [offer for offer in offers if offer.share >= least]
    return max(able, key=lambda offer: offer.share + 0.1 * (offer.by in referring), default=None)


def between(numbers: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> float | None:
    """The share of the variance of ranks between codes, less what chance gives; None where too few rows tell.

    Parameters
    ----------
    numbers : float64 (n_rows,), NaN where there is none. codes : int64 (n_rows,), -1 where there is none.
    """
    known = ~np.isnan(numbers) & (codes >= 0)
    n = int(known.sum())
    if n < MIN_ROWS:
        return None
    ranks = pd.Series(numbers[known]).rank().to_numpy()
    _, group = np.unique(codes[known], return_inverse=True)
    counts = np.bincount(group)
    k = len(counts)
    if k < MIN_CODES or n < MIN_PER_CODE * k:
        return None
    total = float(((ranks - ranks.mean()) ** 2).sum())
    means = np.bincount(group, weights=ranks) / counts
    within = float(((ranks - means[group]) ** 2).sum())
    return None if total == 0 else 1.0 - (within / (n - k)) / (total / (n - 1))
