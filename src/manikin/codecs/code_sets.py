"""Sets of codes in one cell ("250.0|401.9"): whether there is a set, then one yes-or-no field for each code that k patients hold.

A rarer code is counted for its nearest ancestor that k patients hold together, where the code system knows one, and is dropped otherwise.
The order of codes within a cell is not learned: they come back by falling frequency. Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.levels import LevelCodec, code_groups
from manikin.data.rare_values import DEFAULT_SEPARATOR
from manikin.data.schema import Column

Ints = npt.NDArray[np.int64]
MAX_CODES = 128  # the most frequent ones; a model faces one field for each


@dataclass(frozen=True)
class CodeSetCodec:
    """A fitted column of code sets.

    Attributes
    ----------
    n_missing : missing codes of the column; they are tokens of the first field.
    codes : the codes that have a field, by falling frequency.
    separator : what stands between codes in a cell.
    counts : int64 (n_codes,), rows that hold each code.
    n_present : rows with a set.
    """

    n_missing: int
    codes: tuple[str, ...]
    separator: str
    counts: Ints
    n_present: int

    def fields(self) -> list[LevelCodec]:
        """One codec per field: presence, then absent/present of every code."""
        presence = LevelCodec(
            n_missing=self.n_missing,
            levels=("present",),
            n_frequent=1,
            counts=np.array([self.n_present], dtype=np.int64),
            is_ordered=False,
        )
        flags = [
            LevelCodec(
                n_missing=0,
                levels=("absent", code),
                n_frequent=2,
                counts=np.array([max(self.n_present - int(count), 1), int(count)], dtype=np.int64),
                is_ordered=False,
            )
            for code, count in zip(self.codes, self.counts, strict=True)
        ]
        return [presence, *flags]

    def encode(self, series: pd.Series, mark: npt.NDArray[np.int8], column: Column) -> npt.NDArray[np.int32]:
        """Tokens int32 (n_rows, 1 + n_codes)."""
        out = np.zeros((len(series), 1 + len(self.codes)), dtype=np.int32)
        present = mark == 0
        out[:, 0] = np.where(present, self.n_missing, mark.astype(np.int32) - 1)
        place = {code: i + 1 for i, code in enumerate(self.codes)}
        for row, code in _members(series, present, self.separator):
            field = place.get(code)
            if field is None:
                field = place[code] = next((place[above] for above in _ancestors(code, column) if place.get(above)), 0)
            if field:
                out[row, field] = 1
        return out

    def decode(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.object_]:
        """Cell texts, object (n_rows,); None where there is no set."""
        names = np.array(self.codes, dtype=object)
        out = np.full(len(tokens), None, dtype=object)
        for row in np.flatnonzero(tokens[:, 0] >= self.n_missing):
            held = names[tokens[row, 1:] == 1]
            out[row] = self.separator.join(held if len(held) else names[:1])  # a set that is there holds something
        return out

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted."""
        values = {
            "n_missing": self.n_missing,
            "codes": list(self.codes),
            "separator": self.separator,
            "n_present": self.n_present,
        }
        return values, {"counts": self.counts}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> CodeSetCodec:
        """The column as saved."""
        codes = tuple(values["codes"])
        return cls(values["n_missing"], codes, values["separator"], arrays["counts"], values["n_present"])


def fit_code_set(
    series: pd.Series, present: npt.NDArray[np.bool_], patients: Ints, column: Column, *, min_patients: int
) -> CodeSetCodec:
    """Learns a column of code sets.

    Parameters
    ----------
    series : cell texts (n_rows,). present : where there is a set. patients : the record of each row.
    min_patients : k, the fewest patients that hold a code with a field of its own.
    """
    separator = column.separator or DEFAULT_SEPARATOR
    holders: dict[str, set[int]] = {}
    rows: dict[str, int] = {}
    for row, code in _members(series, present, separator):
        holders.setdefault(code, set()).add(int(patients[row]))
        rows[code] = rows.get(code, 0) + 1
    k = 1 if column.has_public_levels else min_patients
    n_holders = {code: len(who) for code, who in holders.items()}
    frequent = [code for code, n in n_holders.items() if n >= k]
    rare = {code: frozenset(who) for code, who in holders.items() if len(who) < k}
    groups, joined = code_groups(rare, frequent, column, k)
    counts = {code: rows[code] + sum(rows[member] for member in joined.get(code, ())) for code in frequent}
    counts |= {code: sum(rows[member] for member in members) for code, members in groups.items()}
    kept = sorted(counts, key=lambda code: (-counts[code], code))[:MAX_CODES]
    n_present = int(present.sum())
    return CodeSetCodec(
        n_missing=len(column.missing),
        codes=tuple(kept),
        separator=separator,
        counts=np.array([min(counts[code], n_present) for code in kept], dtype=np.int64),
        n_present=n_present,
    )


def _members(series: pd.Series, present: npt.NDArray[np.bool_], separator: str) -> list[tuple[int, str]]:
    cells = series.to_numpy(dtype=object)
    return [
        (int(row), code)
        for row in np.flatnonzero(present)
        for part in set(str(cells[row]).split(separator))
        if (code := part.strip())
    ]


def _ancestors(code: str, column: Column) -> tuple[str, ...]:
    if not column.code_system:
        return ()
    from manikin.clinical.codes import code_system

    return code_system(column.code_system).ancestors(code)
