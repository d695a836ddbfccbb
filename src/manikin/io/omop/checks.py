"""Whether tables keep what the CDM asks for: keys, references, required cells, times in order and inside the periods of observation.

What would break a data set is an error; what real data do is a note on the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import HEADER_LINES
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError
from manikin.data.links import owners, parent_rows
from manikin.data.rules import OrderRule
from manikin.data.schema import Form, Kind, Role, Schema, TableSchema
from manikin.io.omop.cdm54 import BY_NAME

Mask = npt.NDArray[np.bool_]


def check_keys(data: Dataset, where: str) -> None:
    """Refuses keys that do not tell rows apart, and rows of persons who are not there.

    Raises
    ------
    DataError : the message names table, column and row.
    """
    for schema in data.schema.tables:
        table = data.tables[schema.name]
        for name in (*schema.primary_key, *(column.name for column in schema.with_role(Role.PATIENT_KEY))):
            _refuse(table.frame[name].isna().to_numpy(), where, schema.name, name, "the cell is empty, and every row needs its key")
        for name in schema.primary_key:
            twice = table.frame[name].duplicated().to_numpy()
            _refuse(twice, where, schema.name, name, "the key stands in an earlier row as well")
    for schema in data.schema.tables:
        for number, key in enumerate(schema.foreign_keys):
            if key.table.lower() == "person":
                lost = parent_rows(data, schema, number) < 0
                _refuse(lost, where, schema.name, key.columns[0], f"there is no such row in {key.table!r}")


def _refuse(bad: Mask, where: str, table: str, column: str, what: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        others = f" (and {int(bad.sum()) - 1:,} more rows)" if bad.sum() > 1 else ""
        raise DataError(
            f"{where}, table {table!r}, column {column!r}, row {row + 1 + HEADER_LINES}{others}: {what}. Correct or take out these rows."
        )


def noted(data: Dataset) -> Dataset:
    """The data set whose schema says where the tables fall short of the CDM, with the order of start and end where it holds."""
    owner = owners(data)
    tables = []
    for schema in data.schema.tables:
        table = data.tables[schema.name]
        notes = (*_empty_cells(table, schema), *_dangling(data, schema), *_times(data, schema, owner.get(schema.name)))
        rules = _order(table, schema)
        tables.append(replace(schema, notes=(*schema.notes, *notes), rules=(*schema.rules, *rules)))
    return Dataset(data.tables, Schema(tuple(tables)), data.native)


def _empty_cells(table: Table, schema: TableSchema) -> Iterator[str]:
    cdm = BY_NAME[schema.name.lower()]
    for column in schema:
        known = cdm.get(column.name.lower())
        n_gaps = int((table.mark(column.name) > 0).sum())
        if known is not None and known.is_required and n_gaps:
            yield f"{column.name!r} is empty in {n_gaps:,} rows; the CDM 5.4 requires it."


def _dangling(data: Dataset, schema: TableSchema) -> Iterator[str]:
    for number, key in enumerate(schema.foreign_keys):
        present = data.tables[schema.name].frame[key.columns[0]].notna().to_numpy()
        n_lost = int(((parent_rows(data, schema, number) < 0) & present).sum())
        if n_lost:
            yield f"{key.columns[0]!r} of {n_lost:,} rows names no row of {key.table!r}; such rows count as without a reference."


def _order(table: Table, schema: TableSchema) -> tuple[OrderRule, ...]:
    if schema.start is None or schema.end is None or schema[schema.start].kind is not schema[schema.end].kind:
        return ()
    start, end = table.frame[schema.start], table.frame[schema.end]
    both = start.notna() & end.notna()
    if not both.any() or (start[both] > end[both]).any():
        return ()
    return (OrderRule((schema.start, schema.end), confirmed=True, source="declared", evidence="OMOP CDM 5.4"),)


def _times(data: Dataset, schema: TableSchema, owner: npt.NDArray[np.int64] | None) -> Iterator[str]:
    table = data.tables[schema.name]
    if owner is None or schema.start is None or not len(table) or not schema[schema.start].kind.is_time:
        return
    start = table.frame[schema.start].to_numpy(dtype="datetime64[us]")
    if schema.end is not None and schema[schema.end].kind.is_time:
        n = int((_day(table.frame[schema.end].to_numpy(dtype="datetime64[us]")) < _day(start)).sum())
        if n:
            yield f"{n:,} rows end before they start."
    born = _of_persons(data, Role.BIRTH, np.datetime64("NaT", "us"))
    if born is not None:
        n = int((_day(start) < _day(born[owner])).sum())
        if n:
            yield f"{n:,} rows begin before the person is born."
    periods = next((known for known in data.schema.tables if known.name.lower() == "observation_period"), None)
    if periods is None or schema is periods or schema.name.lower() in ("death", "cohort", "payer_plan_period"):
        return
    inside = _inside(data, periods, owner, start)
    n = int((~inside & ~np.isnat(start)).sum())
    if n:
        yield f"{n:,} of {len(start):,} rows begin outside the person's periods of observation."


def _day(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.datetime64]:
    return times.astype("datetime64[D]")


def _of_persons(data: Dataset, role: Role, empty: np.datetime64) -> npt.NDArray[np.datetime64] | None:
    """The time of this role by record, datetime64[us] (n_records,)."""
    for schema in data.schema.tables:
        for column in schema.with_role(role) if schema.form is Form.STATIC else ():
            if column.kind.is_time:
                out = np.full(data.n_records, empty)
                out[data.owners[schema.name]] = data.tables[schema.name].frame[column.name].to_numpy(dtype="datetime64[us]")
                return out
    return None


def _inside(
    data: Dataset, periods: TableSchema, owner: npt.NDArray[np.int64], times: npt.NDArray[np.datetime64]
) -> npt.NDArray[np.bool_]:
    """Whether each time lies in one of its person's periods, by day, bool (n_rows,)."""
    frame, theirs = data.tables[periods.name].frame, data.owners[periods.name]
    if periods.start is None or periods.end is None or Kind.DATE not in (periods[periods.start].kind, periods[periods.end].kind):
        return np.ones(len(times), dtype=bool)
    days = pd.DataFrame(
        {"who": theirs, "first": _number(frame[periods.start].to_numpy()), "last": _number(frame[periods.end].to_numpy())}
    ).sort_values(["who", "first"], ignore_index=True)
    last = days.groupby("who")["last"].cummax().to_numpy()
    places = np.searchsorted(_joint(days["who"].to_numpy(), days["first"].to_numpy()), _joint(owner, _number(times)), side="right") - 1
    found = np.maximum(places, 0)
    same = (places >= 0) & (days["who"].to_numpy()[found] == owner) if len(days) else np.zeros(len(times), dtype=bool)
    return same & (last[found] >= _number(times)) if len(days) else same


def _number(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    return times.astype("datetime64[D]").astype(np.int64)


def _joint(who: npt.NDArray[np.int64], day: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """One number that orders by person, then day; days lie within ±2^22, some 11,000 years."""
    return who * 2**23 + np.clip(day, -(2**22), 2**22 - 1)
