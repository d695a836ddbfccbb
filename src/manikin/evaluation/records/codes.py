"""Which codes patients and visits have, as sparse matrices. Knows no metric."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Kind, TableSchema
from manikin.evaluation.intervals import N_GROUPS
from manikin.evaluation.records.counting import holders
from manikin.evaluation.records.history import History
from manikin.evaluation.records.linked import LinkedData, Side
from manikin.evaluation.records.vocabulary import Item, Vocabulary, code_column

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def code_items(known: Vocabulary) -> npt.NDArray[np.bool_]:
    """Which items are codes: of columns of kind code and code set, of a table's code column, and tables without one; bool (n_items,)."""
    tables = {table.name: table for table in known.tables}

    @cache
    def is_code(table: str, column: str) -> bool:
        """Whether a column's levels are codes."""
        if not column:
            return True
        of: TableSchema = tables[table]
        main = code_column(of)
        return of[column].kind in (Kind.CODE, Kind.CODE_SET) or (main is not None and main.name == column)

    return np.array([is_code(item.table, item.column) for item in known.items], dtype=bool)


def patients_per_item(data: LinkedData) -> Ints:
    """How many train patients have each item, int64 (n_items,); counted once."""
    key = ("patients per item",)
    if key not in data.memory:
        of = data.real
        data.memory[key] = holders(of.patient[of.marks.event], of.marks.item, len(data.vocabulary.items))
    made: Ints = data.memory[key]
    return made


def frequent(data: LinkedData, most: int) -> Ints:
    """The items that are codes and that most train patients have, at most so many, in the order of the vocabulary."""
    patients = np.where(code_items(data.vocabulary), patients_per_item(data), 0)
    order = np.argsort(-patients, kind="stable")[:most]
    return np.sort(order[patients[order] > 0])


def may_be_named(data: LinkedData, items: Ints) -> npt.NDArray[np.bool_]:
    """Which of these items as many train patients have as their column's threshold, so that a figure may name them; bool (n,)."""
    tables = {table.name: table for table in data.tables}
    patients = patients_per_item(data)
    made = []
    for i in items:
        item = data.vocabulary.items[i]
        table = tables[item.table]
        made.append(patients[i] >= (table.threshold(table[item.column]) if item.column else 1))
    return np.array(made, dtype=bool)


def holds(of: History, rows: Ints, n_rows: int, items: Ints, n_items: int) -> Any:
    """Whether each row (a patient, a visit, a moment) has each of these items: sparse 0/1 (n_rows, len(items)).

    Parameters
    ----------
    rows : int64 (n_events,), the row that each event belongs to, -1 for events that belong to none.
    """
    from scipy.sparse import csr_matrix

    place = np.full(n_items, -1, dtype=np.int64)
    place[items] = np.arange(len(items))
    column, row = place[of.marks.item], rows[of.marks.event]
    kept = (column >= 0) & (row >= 0)
    made = csr_matrix((np.ones(int(kept.sum()), dtype=np.float32), (row[kept], column[kept])), shape=(n_rows, len(items)))
    made.sum_duplicates()
    made.data[:] = 1.0
    return made


def visits_with(side: Side, items: Ints, n_items: int) -> tuple[Any, Ints]:
    """Which visits have which of these items, and each visit's group."""
    of = side.history
    return holds(of, of.visit, of.n_visits, items, n_items), side.groups[of.patient[of.visit_starts]]


def patients_with(side: Side, items: Ints, n_items: int) -> tuple[Any, Ints]:
    """Which patients have which of these items, and each patient's group."""
    of = side.history
    return holds(of, of.patient, of.n_patients, items, n_items), side.groups


def sums_by_group(matrix: Any, groups: Ints) -> Floats:
    """Column sums by group, (N_GROUPS, n_columns)."""
    from scipy.sparse import csr_matrix

    design = csr_matrix((np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(N_GROUPS, len(groups)))
    return np.asarray((design @ matrix).todense(), dtype=float)


def products_by_group(first: Any, second: Any, groups: Ints) -> Floats:
    """First transposed times second, by group of rows, (N_GROUPS, n_columns of first times n_columns of second)."""
    made = np.zeros((N_GROUPS, first.shape[1] * second.shape[1]))
    for group in range(N_GROUPS):
        rows = np.flatnonzero(groups == group)
        if len(rows):
            made[group] = np.asarray((first[rows].T @ second[rows]).todense()).reshape(-1)
    return made


def sizes_by_group(groups: Ints) -> Floats:
    """How many rows each group has, (N_GROUPS, 1)."""
    return np.bincount(groups, minlength=N_GROUPS).astype(float)[:, None]


def texts(known: Vocabulary, items: Ints) -> list[str]:
    """How items are called in figures; with the table's name where two would be called alike."""
    chosen: list[Item] = [known.items[i] for i in items]
    plain = [known.text(item) for item in chosen]
    return [f"{item.table}: {text}" if plain.count(text) > 1 else text for item, text in zip(chosen, plain, strict=True)]
