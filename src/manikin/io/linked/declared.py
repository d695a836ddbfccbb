"""Keys and references that the source itself declares, as a database does: they come before what names and values suggest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from manikin.io.linked.references import Reference, without_circles
from manikin.io.linked.sheets import Sheet


@dataclass(frozen=True)
class Declared:
    """What a source declares.

    Attributes
    ----------
    references : the foreign keys. keys : the primary key by table.
    """

    references: Sequence[Reference] = ()
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def before(self, found: Iterable[Reference]) -> list[Reference]:
        """The declared references, then those found for columns that declare none; none of them closes a circle."""
        taken = {(r.child, frozenset(r.columns)) for r in self.references}
        single = {(r.child, name) for r in self.references for name in r.columns}
        more = [
            r
            for r in found
            if (r.child, frozenset(r.columns)) not in taken and not (len(r.columns) == 1 and (r.child, r.columns[0]) in single)
        ]
        return without_circles([*self.references, *more])


def reference_of(
    sheets: Mapping[str, Sheet], child: str, columns: tuple[str, ...], parent: str, references: tuple[str, ...]
) -> Reference:
    """A reference that is declared, with how many rows make it and how many find no parent."""
    mine, theirs = _keys(sheets[child], columns), _keys(sheets[parent], references)
    n_orphans = int((~mine.isin(theirs)).sum())
    return Reference(child, columns, parent, references, 1.0, len(mine), n_orphans, bool(mine.is_unique))


def _keys(sheet: Sheet, columns: tuple[str, ...]) -> pd.Index:
    """The cells of some columns together, of the rows in which none is empty."""
    cells = [sheet.cells(name) for name in columns]
    whole = np.logical_and.reduce([each.places >= 0 for each in cells])
    parts = [each.index.to_numpy(dtype=object)[each.places[whole]] for each in cells]
    return pd.Index(parts[0]) if len(parts) == 1 else pd.MultiIndex.from_arrays(parts)


def strangers(
    sheets: Mapping[str, Sheet], of_patients: Iterable[str], references: Sequence[Reference], dictionaries: set[str]
) -> list[str]:
    """The tables that lead to no patient, that no other table refers to, and that are no dictionaries; until none is left."""
    left = dict.fromkeys(sheets)
    kept = set(of_patients) | dictionaries
    while True:
        gone = [
            name for name in left if name not in kept and not any(r.parent == name != r.child and r.child in left for r in references)
        ]
        if not gone:
            return [name for name in sheets if name not in left]
        for name in gone:
            del left[name]
