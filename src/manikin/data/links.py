"""Whose row is whose in linked tables: from patient keys, or through foreign keys to a table that has them. Knows nothing of files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.errors import DataError
from manikin.data.schema import Column, Role, TableSchema

if TYPE_CHECKING:
    from manikin.data.dataset import Dataset, Table

Rows = npt.NDArray[np.int64]
NOWHERE = -1


def owners(data: Dataset) -> dict[str, Rows]:
    """The record of each row of each table of patients, int64 (n_rows,), numbered 0 … n_records - 1.

    Patients are numbered in the order of the root table, and behind it in the order in which the other tables name them, parents first.

    Raises
    ------
    DataError : a row names no patient, or a table says of no row whom it is about.
    """
    return {name: _complete(records, name) for name, records in known_owners(data).items()}


def known_owners(data: Dataset) -> dict[str, Rows]:
    """The same, with -1 for rows that name no patient."""
    order = list(data.schema.of_patients)
    root = data.schema.root
    if root is not None:
        order.remove(root)
        order.insert(0, root)
    keyed = {table.name: data.tables[table.name].frame[keys[0].name] for table in order if (keys := _keys(table))}
    numbers, found = _numbered(list(keyed.values())), {}
    for (name, _), records in zip(keyed.items(), numbers, strict=True):
        found[name] = records
    for table in order:
        if table.name not in found:
            found[table.name] = _through_parents(data, table, found)
    return {table.name: found[table.name] for table in data.schema.of_patients}


def parent_rows(data: Dataset, table: TableSchema, number: int, *, within_patient: bool = False) -> Rows:
    """For each row the row of the table that its foreign key `number` refers to, int64 (n_rows,), -1 where it refers to none.

    Parameters
    ----------
    within_patient : whether rows of other patients are passed over, so that nobody's keys decide what another's rows refer to.
    """
    key = table.foreign_keys[number]
    child, parent = data.tables[table.name], data.tables[key.table]
    theirs, mine = _codes(parent, key.references, child, key.columns)
    if within_patient:
        n = data.n_records
        theirs = np.where(theirs < 0, NOWHERE, theirs * n + data.owners[key.table])
        mine = np.where(mine < 0, NOWHERE, mine * n + data.owners[table.name])
    place = pd.Series(np.arange(len(theirs)), index=theirs)
    place = place[~place.index.duplicated() & (place.index != NOWHERE)]
    return place.reindex(mine).fillna(NOWHERE).to_numpy(dtype=np.int64)


def copies(data: Dataset, patients: Rows) -> tuple[Dataset, dict[str, Rows]]:
    """The rows of these patients in this order, as often as a patient is named; and of each row which of them it belongs to.

    Keys are those of `data`, so that a patient who is named twice has hers twice; `data.new_keys` makes them anew. Tables of nobody stay
    whole and are not in the second.
    """
    tables, belongs = dict(data.tables), {}
    for name, owner in data.owners.items():
        order = np.argsort(owner, kind="stable")
        lengths = np.bincount(owner, minlength=data.n_records)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        chosen = lengths[patients]
        belongs[name] = np.repeat(np.arange(len(patients), dtype=np.int64), chosen)
        behind = np.arange(int(chosen.sum())) - np.repeat(np.cumsum(chosen) - chosen, chosen)
        tables[name] = data.tables[name].take(order[np.repeat(starts[patients], chosen) + behind])
    return replace(data, tables=tables), belongs


def _keys(table: TableSchema) -> list[Column]:
    return table.with_role(Role.PATIENT_KEY)


def _numbered(columns: list[pd.Series]) -> list[Rows]:
    """Numbers of keys in order of appearance over several columns, -1 where a cell is empty."""
    if not columns:
        return []
    alike = len({str(column.dtype) for column in columns}) == 1 and columns[0].dtype != "category"
    together = pd.concat(columns if alike else [comparable(column) for column in columns], ignore_index=True)
    codes = pd.factorize(together)[0].astype(np.int64)
    ends = np.cumsum([len(column) for column in columns])[:-1]
    return list(np.split(codes, ends))


def _codes(parent: Table, references: tuple[str, ...], child: Table, columns: tuple[str, ...]) -> tuple[Rows, Rows]:
    """Equal numbers for equal keys in two tables, -1 where a part of the key is empty."""
    codes = [_numbered([parent.frame[theirs], child.frame[mine]]) for theirs, mine in zip(references, columns, strict=True)]
    both = [np.concatenate(pair) for pair in codes]
    out = both[0]
    for other in both[1:]:
        whole = np.where((out < 0) | (other < 0), NOWHERE, out * (int(other.max(initial=0)) + 1) + other)
        out = np.where(whole < 0, NOWHERE, pd.factorize(whole)[0])
    return out[: len(parent)], out[len(parent) :]


def comparable(column: pd.Series) -> pd.Series:
    """Keys as texts or numbers that compare across tables: a category is its texts, a whole number has no decimals."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(object)
    if column.dtype == np.float64:
        whole = column.to_numpy()
        texts = pd.Series(whole).astype("Int64", errors="ignore")
        return texts.astype(object).where(~np.isnan(whole), None).map(lambda cell: cell if cell is None else str(cell))
    return column.astype(object).where(column.notna(), None)


def _through_parents(data: Dataset, table: TableSchema, found: dict[str, Rows]) -> Rows:
    out = np.full(len(data.tables[table.name]), NOWHERE, dtype=np.int64)
    for number, key in enumerate(table.foreign_keys):
        if key.table in found and (out < 0).any():
            rows = parent_rows(data, table, number)
            theirs = np.append(found[key.table], NOWHERE)
            out = np.where(out < 0, theirs[rows], out)
    return out


def _complete(records: Rows, name: str) -> Rows:
    lost = np.flatnonzero(records < 0)
    if len(lost):
        raise DataError(
            f"Row {lost[0] + 1} of table {name!r} names no patient ({len(lost)} rows do not). Name its patient key or a foreign key to a "
            "table of patients in the schema, or take these rows out."
        )
    return records
