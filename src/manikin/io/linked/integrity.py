"""Whether linked tables hold together: keys that are double, references to rows that are not there, rows of nobody, times before birth.

What is refused and what is mended is stated here and nowhere else: a double primary key and a row of nobody are errors; a reference to
a row that is not there is set to none, and counted; a patient whom the table of patients does not list is a patient; times before
birth and after death stay as they are, and are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import HEADER_LINES
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError
from manikin.data.links import NOWHERE, known_owners, parent_rows
from manikin.data.schema import EMPTY, Column, ForeignKey, Form, Role, Schema, TableSchema

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Link:
    """How the rows of one table refer to those of another.

    Attributes
    ----------
    n_rows, n_orphans : rows that name a parent, and those among them whose parent is in no table.
    n_parents, n_with : rows of the parent table, and those that some row refers to. most : most rows that refer to one parent.
    """

    table: str
    columns: tuple[str, ...]
    parent: str
    references: tuple[str, ...]
    n_rows: int
    n_orphans: int
    n_parents: int
    n_with: int
    most: int

    @property
    def cardinality(self) -> str:
        """ "1 to 1" or "1 to many", as the rows show it."""
        return "1 to 1" if self.most <= 1 else "1 to many"


def settled(data: Dataset, where: str = "The data") -> tuple[Dataset, tuple[Link, ...]]:
    """Linked data whose references all lead somewhere, and how they were before.

    Raises
    ------
    DataError : two rows have the same primary key, or a row names no patient; the message names the table and the row.
    SchemaError : the foreign keys form a circle.
    """
    data.schema.of_patients  # noqa: B018 - refuses a circle
    links = []
    for table in data.schema.tables:
        _refuse_double_keys(data, table, where)
        for number, key in enumerate(table.foreign_keys):
            link, lost = _link(data, table, number)
            links.append(link)
            if len(lost) and data.schema[key.table].form is not Form.REFERENCE:
                data = _without(data, data.schema[table.name], key, lost)
    _refuse_rows_of_nobody(data, where)
    return data, tuple(links)


def _refuse_rows_of_nobody(data: Dataset, where: str) -> None:
    for name, owner in known_owners(data).items():
        lost = np.flatnonzero(owner < 0)
        if not len(lost):
            continue
        table, row = data.schema[name], int(lost[0]) + 1 + HEADER_LINES
        keys = [column.name for column in table.with_role(Role.PATIENT_KEY)]
        ways = [", ".join(key.columns) for key in table.foreign_keys if data.schema[key.table].form is not Form.REFERENCE]
        if not keys and not ways:
            raise DataError(
                f"{where}: no column of table {name!r} leads to a patient. Name its patient key or a foreign key in the schema, write "
                'form = "reference" if it is a dictionary, or take it out.'
            )
        through = f"its patient key {keys[0]!r} is empty" if keys else f"{' and '.join(map(repr, ways))} lead to no patient"
        raise DataError(
            f"{where}, table {name!r}, row {row}: the row names nobody, since {through} ({len(lost):,} such rows). "
            "Fill the cells in, or take the rows out."
        )


def _refuse_double_keys(data: Dataset, table: TableSchema, where: str) -> None:
    if not table.primary_key or not len(data.tables[table.name]):
        return
    frame = data.tables[table.name].frame[list(table.primary_key)]
    names = ", ".join(map(repr, table.primary_key))
    gaps = frame.isna().any(axis=1).to_numpy()
    if gaps.any():
        row = int(np.flatnonzero(gaps)[0]) + 1 + HEADER_LINES
        raise DataError(
            f"{where}, table {table.name!r}, row {row}: the primary key {names} is empty ({int(gaps.sum()):,} rows). "
            "Fill it in, or take primary_key out of the schema."
        )
    double = frame.astype(object).duplicated().to_numpy()
    if double.any():
        row = int(np.flatnonzero(double)[0]) + 1 + HEADER_LINES
        raise DataError(
            f"{where}, table {table.name!r}, row {row}: its primary key {names} stands in an earlier row already "
            f"({int(double.sum()):,} such rows). Take the rows out, or name other columns under primary_key."
        )


def _link(data: Dataset, table: TableSchema, number: int) -> tuple[Link, Rows]:
    key = table.foreign_keys[number]
    rows = parent_rows(data, table, number)
    frame = data.tables[table.name].frame
    names_one = frame[list(key.columns)].notna().all(axis=1).to_numpy()
    lost = np.flatnonzero(names_one & (rows == NOWHERE)).astype(np.int64)
    counts = np.bincount(rows[rows >= 0], minlength=len(data.tables[key.table]))
    link = Link(
        table.name,
        key.columns,
        key.table,
        key.references,
        n_rows=int(names_one.sum()),
        n_orphans=len(lost),
        n_parents=len(data.tables[key.table]),
        n_with=int((counts > 0).sum()),
        most=int(counts.max(initial=0)),
    )
    return link, lost


def _without(data: Dataset, table: TableSchema, key: ForeignKey, lost: Rows) -> Dataset:
    """The data in which these rows refer to none; a patient key among the columns stays."""
    held = data.tables[table.name]
    frame, marks = held.frame.copy(), dict(held.marks)
    for name in key.columns:
        column = table[name]
        if column.has_role(Role.PATIENT_KEY):
            continue
        table = table.replace_column(_may_be_empty(column))
        place = next(i for i, code in enumerate(table[name].missing, start=1) if code.value == "")
        mark = held.mark(name).copy()
        mark[lost] = place
        marks[name] = mark
        series = frame[name].copy()
        series.iloc[lost] = np.nan if series.dtype == float else None
        frame[name] = series
    tables = {**data.tables, table.name: Table(frame, marks)}
    schema = Schema(tuple(table if old.name == table.name else old for old in data.schema.tables))
    return Dataset(tables, schema, data.native)


def _may_be_empty(column: Column) -> Column:
    if any(code.value == "" for code in column.missing):
        return column
    return replace(column, missing=(*column.missing, EMPTY))


def before_birth(data: Dataset) -> dict[str, int]:
    """How many rows of each table start on a day before their patient is born, for the tables that have such rows."""
    return _counted(data, Role.BIRTH, np.less)


def after_death(data: Dataset) -> dict[str, int]:
    """How many rows of each table start on a day after their patient's death, for the tables that have such rows."""
    return _counted(data, Role.DEATH, np.greater)


def _counted(data: Dataset, role: Role, is_outside: np.ufunc) -> dict[str, int]:
    limits = _of_patients(data, role)
    if limits is None:
        return {}
    out = {}
    for table in data.schema.of_patients:
        if table.start is None or not table[table.start].kind.is_time:
            continue
        starts = data.tables[table.name].frame[table.start].to_numpy(dtype="datetime64[us]").astype("datetime64[D]")
        days = limits[data.owners[table.name]].astype("datetime64[D]")
        n = int((is_outside(starts, days) & ~np.isnat(starts) & ~np.isnat(days)).sum())
        if n:
            out[table.name] = n
    return out


def _of_patients(data: Dataset, role: Role) -> npt.NDArray[np.datetime64] | None:
    """The time that a column with this role says of each patient, NaT where none does; datetime64[us] (n_records,)."""
    for table in data.schema.of_patients:
        found = [column for column in table.with_role(role) if column.kind.is_time]
        if found and table.form is Form.STATIC:
            out = np.full(data.n_records, np.datetime64("NaT", "us"), dtype="datetime64[us]")
            out[data.owners[table.name]] = data.tables[table.name].frame[found[0].name].to_numpy(dtype="datetime64[us]")
            return out
    return None


def histories(data: Dataset) -> pd.DataFrame:
    """How many rows of each table each patient has: int64 (n_records, n tables of patients)."""
    return pd.DataFrame({name: np.bincount(owner, minlength=data.n_records) for name, owner in data.owners.items()})
