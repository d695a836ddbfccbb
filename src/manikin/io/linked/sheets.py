"""The tables of a folder before they are linked: profiles, kinds, and the distinct cells of columns that may be keys. Knows no links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.schema import Column, Kind, Storage
from manikin.io.column_names import squeezed, words
from manikin.io.inference import identify
from manikin.io.kinds import describe
from manikin.io.profiles import Profile

_VOCABULARY = re.compile(r"^(d|dim|dict|ref|lookup|lkp|lut)[_ ]|[_ ](dict|dictionary|lookup|dim|ref)$", flags=re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Cells:
    """The distinct cells of a column that may be a key, written alike whatever their storage.

    Attributes
    ----------
    index : the distinct present cells as texts.
    places : for each row the position in `index`, -1 where the cell is empty, int64 (n_rows,).
    n_present, n_rows : rows with a cell, and all rows.
    """

    index: pd.Index
    places: npt.NDArray[np.int64]
    n_present: int
    n_rows: int

    @property
    def is_key(self) -> bool:
        """Whether no cell is empty and no two are alike."""
        return len(self.index) == self.n_present == self.n_rows > 0


@dataclass(frozen=True, eq=False)
class Sheet:
    """One table as it was read: its profiles in file order, and each column described for itself."""

    name: str
    profiles: Mapping[str, Profile]
    n_rows: int
    notes: tuple[str, ...] = ()
    _cells: dict[str, Cells] = field(default_factory=dict, repr=False)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Each column for itself: its kind, and whether it is an identifier."""
        return {name: identify(profile, describe(profile), None) for name, profile in self.profiles.items()}

    def cells(self, name: str) -> Cells:
        """The distinct cells of a column."""
        found = self._cells.get(name)
        if found is None:
            found = self._cells[name] = _cells(self.profiles[name])
        return found

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the table's name, in lower case."""
        return words(self.name)

    @property
    def is_called_vocabulary(self) -> bool:
        """Whether the name says that the table is a dictionary (D_ITEMS, dim_ward, drug_lookup)."""
        return bool(_VOCABULARY.search(self.name))

    def may_be_key(self, name: str) -> bool:
        """Whether cells of the column could name rows: no times, no prose, no measured numbers."""
        column = self.columns[name]
        if column.kind.is_time or column.kind in (Kind.TEXT, Kind.BOOLEAN, Kind.CODE_SET, Kind.DURATION):
            return False
        return not (column.kind.is_number and (column.decimals or 0) > 0)


def _cells(profile: Profile) -> Cells:
    texts = profile.texts
    if profile.storage is Storage.REAL:
        numbers = np.asarray(profile.keys, dtype=float)
        texts = np.array(
            [str(int(n)) if np.isfinite(n) and n == np.rint(n) else text for n, text in zip(numbers, texts, strict=True)],
            dtype=object,
        )
    is_present = profile.is_present
    index = pd.Index(texts[is_present], dtype=object)
    place = np.full(len(texts), -1, dtype=np.int64)
    place[is_present] = np.arange(len(index))
    return Cells(index, place[profile.codes], profile.n_present, profile.n_rows)


def singular(name: str) -> str:
    """The letters of a table's name without what marks a plural or a dictionary.

    >>> singular("Patients"), singular("D_ITEMS"), singular("allergies"), singular("visit_occurrence")
    ('patient', 'item', 'allergy', 'visitoccurrence')
    """
    text = squeezed(re.sub(r"^(?:d|dim|ref)[_ ]", "", name, flags=re.IGNORECASE))
    if text.endswith("ies"):
        return text[:-3] + "y"
    if text.endswith(("sses", "ches")):
        return text[:-2]
    return text[:-1] if text.endswith("s") and not text.endswith("ss") else text
