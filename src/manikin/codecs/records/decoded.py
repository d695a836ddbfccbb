"""Decoded fields as the cells of tables: numbers of keys, levels as they are stored, places in groups. Knows no patient and no plan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.sequence import Rows
from manikin.data.dataset import Marks, Table
from manikin.data.schema import Column

Bools = npt.NDArray[np.bool_]
NONE = -1
Keys = npt.NDArray[np.int64] | pd.Series  # numbers of keys, -1 where a cell is empty; or cells of a learned column


def key_cells(numbers: Keys, column: Column) -> tuple[object, Marks]:
    """Key numbers as cells of a column in its own storage, and the marks of its empty cells."""
    if isinstance(numbers, pd.Series):
        return stored(numbers, column), numbers.isna().to_numpy().astype(np.int8)
    if column.kind.is_time:
        return np.full(len(numbers), np.datetime64("NaT", "us"), dtype="datetime64[us]"), np.ones(len(numbers), dtype=np.int8)
    mark = (numbers < 0).astype(np.int8)
    if column.kind.is_number:
        return np.where(numbers < 0, np.nan, numbers.astype(float)), mark
    texts = numbers.astype(str).astype(object)
    texts[numbers < 0] = None
    return (pd.Categorical(texts) if column.kind.is_discrete else pd.Series(texts, dtype=object)), mark


def taken(numbers: Keys | None, rows: Rows) -> Keys:
    """The keys of some rows, none where a row is -1 or there are no keys."""
    if numbers is None:
        return np.full(len(rows), NONE, dtype=np.int64)
    if isinstance(numbers, pd.Series):
        return numbers.reindex(rows).reset_index(drop=True)
    return np.where(rows < 0, NONE, np.append(numbers, NONE)[rows])


def where_empty(
    numbers: Keys | None, others: Keys
) -> Keys:
    """A key column that several references share: what the first of them says, then what the others say."""
    if numbers is None:
        return others
    if isinstance(numbers, np.ndarray) and isinstance(others, np.ndarray):
        return np.where(numbers < 0, others, numbers)
    return numbers


def put_together(cells: Mapping[str, object], marks: Mapping[str, Marks], names: list[str], n_rows: int) -> Table:
    """A table of some columns, from their cells and marks."""
    frame = pd.DataFrame({name: cells[name] for name in names}, index=pd.RangeIndex(n_rows))
    return Table(frame, {name: marks[name] for name in names if marks[name].any()})


def stored(cells: pd.Series, column: Column) -> object:
    """Decoded cells in the kind of their column: codes back to the numbers or identifiers that they were learned from."""
    if not isinstance(cells.dtype, pd.CategoricalDtype) or column.kind.is_discrete:
        return cells
    texts = cells.cat.categories.to_numpy(dtype=object)
    codes = cells.cat.codes.to_numpy()
    if column.kind.is_number:
        return np.append([float(text) for text in texts], np.nan)[codes]
    return pd.Series(np.append(texts, np.array([None], dtype=object))[codes], dtype=object)


def level_numbers(cells: pd.Series) -> npt.NDArray[np.int64]:
    """Levels that are whole numbers as such, -1 where there is none; int64 (n_rows,)."""
    values = np.array([int(text) for text in cells.cat.categories] + [NONE], dtype=np.int64)
    return values[cells.cat.codes.to_numpy()]


def whole_numbers(cells: pd.Series) -> npt.NDArray[np.int64]:
    """Whole numbers, 0 where missing."""
    values = cells.to_numpy(dtype=float)
    return np.round(np.where(np.isnan(values), 0, values)).astype(np.int64)


def ordinal(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many rows of the same group lie before each row, int64 (n_rows,)."""
    return np.asarray(pd.Series(groups).groupby(groups, sort=False).cumcount(), dtype=np.int64)


def is_first(found: Rows, alive: Bools) -> Bools:
    """Whether a row is the first kept one that refers to its parent."""
    out = np.zeros(len(found), dtype=bool)
    chosen = np.flatnonzero((found >= 0) & alive)
    out[chosen[np.unique(found[chosen], return_index=True)[1]]] = True
    return out


