"""What never changes in a subject: birth, death and codes without a time, as columns; and back as rows. Knows no files.

A kind of code is the part before the first `//`. It becomes a column of the subjects when no subject has two of it and none of its rows
tells more than a code; the cell holds the whole code, so that the row can be written again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.errors import DataError
from manikin.data.schema import TableSchema
from manikin.io.meds.form import BETWEEN, BIRTH, CODE, DEATH, SPLIT, SUBJECT, TIME

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Statics:
    """Columns of the subjects by name, in order of the subjects' first rows; and which rows they stand for, bool (n_rows,)."""

    columns: dict[str, pd.Series]
    taken: Mask


def statics_of(frame: pd.DataFrame) -> Statics:
    """The columns that the rows allow; birth and death first."""
    codes, subjects = _codes(frame), pd.factorize(frame[SUBJECT])[0]
    is_bare = frame.drop(columns=[SUBJECT, TIME, CODE]).isna().all(axis=1).to_numpy()
    is_static = frame[TIME].isna().to_numpy()
    columns: dict[str, pd.Series] = {}
    taken = np.zeros(len(frame), dtype=bool)
    for name in (BIRTH, DEATH):
        of_it = (codes == name) & ~is_static
        if of_it.any() and _is_once(of_it, is_bare, subjects):
            columns[name] = _times(frame, of_it, subjects)
            taken |= of_it
    kinds = _kinds(codes[is_static])
    for name in dict.fromkeys(kinds):
        of_it = np.zeros(len(frame), dtype=bool)
        of_it[np.flatnonzero(is_static)[kinds == name]] = True
        if _is_once(of_it, is_bare, subjects) and name not in (SUBJECT, SPLIT, *columns):
            columns[name] = _levels(codes, of_it, subjects)
            taken |= of_it
    return Statics(columns, taken)


def statics_like(frame: pd.DataFrame, known: TableSchema, where: str) -> Statics:
    """The columns that a known table of subjects has.

    Raises
    ------
    DataError : a subject has two rows of what is one cell there.
    """
    codes, subjects = _codes(frame), pd.factorize(frame[SUBJECT])[0]
    is_bare = frame.drop(columns=[SUBJECT, TIME, CODE]).isna().all(axis=1).to_numpy()
    is_static = frame[TIME].isna().to_numpy()
    kinds = np.full(len(frame), None, dtype=object)
    kinds[is_static] = _kinds(codes[is_static])
    columns: dict[str, pd.Series] = {}
    taken = np.zeros(len(frame), dtype=bool)
    for column in known:
        if column.name in (SUBJECT, SPLIT):
            continue
        of_it = (codes == column.name) & ~is_static if column.kind.is_time else kinds == column.name
        if not _is_once(of_it, is_bare, subjects):
            raise DataError(
                f"{where}: some subject has several events of {column.name!r}, or one with a value, and the schema makes it a column of "
                "the subjects. Read the data without the schema."
            )
        columns[column.name] = _times(frame, of_it, subjects) if column.kind.is_time else _levels(codes, of_it, subjects)
        taken |= of_it
    return Statics(columns, taken)


def _codes(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    return frame[CODE].astype(object).to_numpy()


def _kinds(codes: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    return np.array([str(code).split(BETWEEN, 1)[0] or str(code) for code in codes], dtype=object)


def _is_once(of_it: Mask, is_bare: Mask, subjects: npt.NDArray[np.int64]) -> bool:
    found = subjects[of_it]
    return bool(is_bare[of_it].all()) and len(np.unique(found)) == len(found)


def _times(frame: pd.DataFrame, of_it: Mask, subjects: npt.NDArray[np.int64]) -> pd.Series:
    out = np.full(int(subjects.max(initial=-1)) + 1, np.datetime64("NaT", "us"))
    out[subjects[of_it]] = frame[TIME].to_numpy(dtype="datetime64[us]")[of_it]
    return pd.Series(out)


def _levels(codes: npt.NDArray[np.object_], of_it: Mask, subjects: npt.NDArray[np.int64]) -> pd.Series:
    out = np.full(int(subjects.max(initial=-1)) + 1, None, dtype=object)
    out[subjects[of_it]] = codes[of_it]
    return pd.Series(out, dtype=object)
