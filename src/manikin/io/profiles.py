"""A column seen once: its distinct cells, how often each occurs, and which row holds which. Knows no kinds and no roles.

All inference works on distinct cells, so its cost follows the variety of a table more than its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.schema import Storage

Codes = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]
Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

EXACT = 2**53  # whole numbers beyond are not exact as float64; such columns are names, not quantities
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*$")
_LEADING_ZERO = re.compile(r"\s*[-+]?0\d")


@dataclass(frozen=True, eq=False)
class Profile:
    """The distinct cells of one column.

    Attributes
    ----------
    name : the column's name.
    codes : which distinct cell each row holds, int64 (n_rows,).
    counts : rows that hold each distinct cell, int64 (n_distinct,).
    keys : the distinct cells: object texts for a column of texts, else float64, bool or datetime64[us] with NaN/NaT for the empty cell.
    storage : how the column was stored; TEXT for files of text.
    values : float64 (n_rows,), for columns stored as numbers; None otherwise.
    unit : UCUM unit that the column's type says (seconds, of a column of durations); None otherwise.
    """

    name: str
    codes: Codes
    counts: Codes
    keys: npt.NDArray[np.generic] | Objects
    storage: Storage = Storage.TEXT
    values: Numbers | None = None
    unit: str | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the column."""
        return len(self.codes)

    @cached_property
    def texts(self) -> Objects:
        """The distinct cells as texts, object (n_distinct,); "" is the empty cell."""
        return texts_of_keys(self.keys, self.storage)

    @cached_property
    def is_present(self) -> Mask:
        """Which distinct cells are not empty, bool (n_distinct,). Blank cells ("  ") are present: they are texts."""
        if self.storage is Storage.TEXT:
            return np.asarray(self.texts != "", dtype=bool)
        return np.asarray(~pd.isna(self.keys), dtype=bool)

    @cached_property
    def numbers(self) -> Numbers:
        """The distinct cells as numbers, NaN where a cell is none; texts with leading zeros (01716) are codes, not numbers."""
        if self.storage in (Storage.INTEGER, Storage.REAL):
            return np.asarray(self.keys, dtype=float)
        if self.storage is not Storage.TEXT:
            return np.full(len(self.keys), np.nan)
        numbers = pd.to_numeric(pd.Series(self.texts, dtype=object), errors="coerce").to_numpy(dtype=float)
        numbers[~np.isfinite(numbers)] = np.nan
        for i in np.flatnonzero(~np.isnan(numbers)):
            if _LEADING_ZERO.match(self.texts[i]):
                numbers[i] = np.nan
        return numbers

    @cached_property
    def n_present(self) -> int:
        """Rows with a cell that is not empty."""
        return int(self.counts[self.is_present].sum())

    @cached_property
    def n_distinct(self) -> int:
        """Distinct cells that are not empty."""
        return int(self.is_present.sum())

    @cached_property
    def has_decimal_commas(self) -> bool:
        """Whether the cells look like numbers with decimal commas (62,5)."""
        texts = self.texts[self.is_present] if self.storage is Storage.TEXT else ()
        return len(texts) > 4 and sum(_DECIMAL_COMMA.match(text) is not None for text in texts) >= 0.8 * len(texts)

    def rows_where(self, mask: Mask) -> int:
        """Rows whose distinct cell is in the mask."""
        return int(self.counts[mask].sum())


def profile_texts(name: str, cells: pd.Series) -> Profile:
    """The profile of a column of texts."""
    codes, keys = pd.factorize(cells.to_numpy(dtype=object), use_na_sentinel=False)
    return Profile(name, codes.astype(np.int64), np.bincount(codes, minlength=len(keys)), np.asarray(keys, dtype=object))


def profile_typed(name: str, values: npt.NDArray[np.generic], storage: Storage) -> Profile:
    """The profile of a column of float64, bool (as object with None) or datetime64[us]."""
    codes, keys = pd.factorize(values, use_na_sentinel=False)
    numbers = np.asarray(values, dtype=float) if storage in (Storage.INTEGER, Storage.REAL) else None
    return Profile(name, codes.astype(np.int64), np.bincount(codes, minlength=len(keys)), np.asarray(keys), storage, numbers)


def texts_of_keys(keys: npt.NDArray[np.generic] | Objects, storage: Storage) -> Objects:
    """Cell texts of typed keys: whole numbers without a point, reals in their shortest form, times in ISO 8601."""
    gaps = np.asarray(pd.isna(keys), dtype=bool)
    out = np.full(len(keys), "", dtype=object)
    present = np.flatnonzero(~gaps)
    if storage is Storage.TEXT:
        return np.asarray(keys, dtype=object)
    if storage is Storage.INTEGER:
        out[present] = [str(int(key)) for key in keys[present]]
    elif storage is Storage.REAL:
        out[present] = [repr(float(key)) for key in keys[present]]
    elif storage is Storage.BOOLEAN:
        out[present] = ["True" if key else "False" for key in keys[present]]
    else:
        out[present] = [str(text) for text in np.datetime_as_string(np.asarray(keys, dtype="datetime64[us]")[present])]
    return out
