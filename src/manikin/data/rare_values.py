"""How many values of a column too few patients hold, and in how many cells. Knows no codec: counts only, never which values they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Form, Kind, Role, is_left_out

LEAST_SHOWN = 0.1  # of the cells of a column, below which none of its levels is shown
DEFAULT_SEPARATOR = "|"  # between the codes of a set, where the schema names none


@dataclass(frozen=True)
class RareValues:
    """The counts of one column.

    Attributes
    ----------
    n_values, n_rare : distinct values, and how many of them fewer than `min_patients` patients hold.
    n_cells, n_rare_cells : cells with a value, and those with a rare one (of a set of codes: with at least one).
    """

    n_values: int
    n_rare: int
    n_cells: int
    n_rare_cells: int
    min_patients: int

    @property
    def share(self) -> float:
        """The part of the cells with a rare value, 0 … 1."""
        return self.n_rare_cells / self.n_cells if self.n_cells else 0.0


def rare_values(data: Dataset, column: Column) -> RareValues:
    """Counts the values of a column of levels or of code sets that fewer patients hold than the schema asks for.

    Patients are counted by the patient key; without one each row is a patient.
    """
    present = np.flatnonzero(data.table.mark(column.name) == 0)
    rows, values = _values(data.table.frame[column.name], present, column)
    return _counted(rows, values, data.records[rows], len(present), data.columns.threshold(column))


def _counted(
    rows: npt.NDArray[np.int64], values: npt.NDArray[np.int64], patients: npt.NDArray[np.int64], n_cells: int, k: int
) -> RareValues:
    """Counts from one entry for each value of each cell: its row, the value's number, the patient."""
    n_values = int(values.max(initial=-1)) + 1
    pairs = pd.DataFrame({"value": values, "patient": patients}).drop_duplicates()
    is_rare = np.bincount(pairs["value"].to_numpy(), minlength=n_values) < k
    return RareValues(n_values, int(is_rare.sum()), n_cells, len(np.unique(rows[is_rare[values]])), k)


def code_books(data: Dataset) -> list[tuple[str, str, RareValues]]:
    """Columns of linked tables whose values may be those of a public list and of which some are rare: table, column, counts.

    They are codes of a published system, or lead to a table of nobody that lists them (a dictionary of items). Whether such a list is
    public knowledge, and not one hospital's own, a person has to say.
    """
    out = []
    for table in data.schema.tables:
        if table.form is Form.REFERENCE or table.name not in data.owners:
            continue
        lists = [key.columns for key in table.foreign_keys if data.schema[key.table].form is Form.REFERENCE]
        listed = {name for names in lists for name in names}
        for column in table:
            if column.has_public_levels or not (has_code_book(column) or (column.name in listed and column.kind.is_discrete)):
                continue
            present = np.flatnonzero(data.tables[table.name].mark(column.name) == 0)
            values = pd.factorize(data.tables[table.name].frame[column.name].iloc[present])[0].astype(np.int64)
            owners = np.asarray(data.owners[table.name])[present]
            counts = _counted(present, values, owners, len(present), table.threshold(column))
            if counts.n_rare:
                out.append((table.name, column.name, counts))
    return out


def telling_columns(data: Dataset) -> list[tuple[str, str, RareValues]]:
    """Columns of linked tables whose lists of values were declared public and of which some are rare: table, column, counts.

    A release holds these values, and each tells that one of the few who have it is in the data.
    """
    out = []
    for table in data.schema.of_patients:
        for column in table:
            if not column.has_public_levels or is_left_out(column) or not (column.kind.is_discrete or column.kind is Kind.CODE_SET):
                continue
            own = data.tables[table.name]
            present = np.flatnonzero(own.mark(column.name) == 0)
            rows, values = _values(own.frame[column.name], present, column)
            k = table.min_patients if column.min_patients is None else column.min_patients
            counts = _counted(rows, values, np.asarray(data.owners[table.name])[rows], len(present), k)
            if counts.n_rare:
                out.append((table.name, column.name, counts))
    return out


def is_hardly_shown(column: Column, n_shown: int, n_cells: int) -> bool:
    """Whether so few cells of a column hold a level that may be shown that these levels would stand for all others; a target stays."""
    is_plain = column.kind is Kind.CATEGORICAL and not column.has_public_levels and not column.has_role(Role.TARGET)
    return is_plain and n_shown < LEAST_SHOWN * n_cells


def quiet_columns(data: Dataset) -> list[tuple[str, str, int]]:
    """Columns of linked tables that say something in real data, and nothing once rare values are gone: table, column, values left (0, 1).

    With none left the column comes out empty, with one it holds that one wherever it is filled.
    """
    out = []
    for table in data.schema.tables:
        if table.form is Form.REFERENCE or table.name not in data.owners:
            continue
        keys = {name for key in table.foreign_keys for name in key.columns if data.schema[key.table].form is not Form.REFERENCE}
        for column in table:
            discrete = column.kind.is_discrete and column.kind is not Kind.CODE_SET and column.name not in {*keys, *table.primary_key}
            if not discrete or is_left_out(column) or column.has_public_levels:
                continue
            present = np.flatnonzero(data.tables[table.name].mark(column.name) == 0)
            values = pd.factorize(data.tables[table.name].frame[column.name].iloc[present])[0].astype(np.int64)
            owners = np.asarray(data.owners[table.name])[present]
            counts = _counted(present, values, owners, len(present), table.threshold(column))
            left = counts.n_values - counts.n_rare
            left = 0 if is_hardly_shown(column, counts.n_cells - counts.n_rare_cells, counts.n_cells) else left
            if counts.n_values > 1 and left < 2:
                out.append((table.name, column.name, left))
    return out


def empty_columns(data: Dataset) -> list[str]:
    """Columns of levels of a flat table that come out empty, since too few patients hold any of their values, or of nearly all cells."""
    out = []
    for column in data.columns.learned:
        if not column.kind.is_discrete or column.kind is Kind.CODE_SET or column.has_public_levels:
            continue
        counts = rare_values(data, column)
        shown = counts.n_cells - counts.n_rare_cells
        if counts.n_cells and ((not shown and not has_code_book(column)) or is_hardly_shown(column, shown, counts.n_cells)):
            out.append(column.name)
    return out


def quiet_words(found: list[tuple[str, str, int]], k: int, shortened: Callable[[Sequence[str]], str] = ", ".join) -> list[str]:
    """What `quiet_columns` found, in sentences."""
    empty, one = ([f"{table}.{column}" for table, column, left in found if left == n] for n in (0, 1))
    out = []
    if empty:
        out.append(f"Come out empty, since no value of theirs, or hardly a cell's, is held by {k} patients: {shortened(empty)}.")
    if one:
        out.append(f"Come out with one value, since fewer than {k} patients hold any other: {shortened(one)}.")
    return out


def has_code_book(column: Column) -> bool:
    """Whether the column's values are codes of a published system, so that a person may know their list to be public."""
    return column.kind in (Kind.CODE, Kind.CODE_SET) and column.code_system is not None and not is_left_out(column)


def _values(series: pd.Series, present: npt.NDArray[np.int64], column: Column) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which row holds which value, one entry for each value of each cell: rows and numbers of values, int64 (n_entries,) each."""
    if column.kind is Kind.CODE_SET:
        return _parts(series, present, column.separator or DEFAULT_SEPARATOR)
    return present, pd.factorize(series.iloc[present])[0].astype(np.int64)


def _parts(
    series: pd.Series, present: npt.NDArray[np.int64], separator: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which row holds which code, one entry for each code of each set: rows and numbers of codes, int64 (n_entries,) each."""
    cells = [{part.strip() for part in str(cell).split(separator)} - {""} for cell in series.iloc[present]]
    rows = np.repeat(present, [len(codes) for codes in cells]).astype(np.int64)
    flat = np.array([code for codes in cells for code in sorted(codes)], dtype=object)
    return rows, pd.factorize(flat)[0].astype(np.int64)
