"""Typed tables from profiles, as a schema says. The same cells as `cells.parse_table` gives, found faster; knows no files.

Only distinct cells are parsed, through `cells.parse_table` itself, and spread over the rows; numbers that came as numbers are taken over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.cells import parse_table
from manikin.data.dataset import Marks, Table
from manikin.data.errors import DataError
from manikin.data.schema import Column, Storage, TableSchema
from manikin.io.profiles import Profile


def table_of(profiles: list[Profile], schema: TableSchema, where: str) -> Table:
    """The typed table.

    Raises
    ------
    DataError : a column is missing, or a cell does not fit its column's kind; the message names column and row.
    """
    found = {profile.name: profile for profile in profiles}
    absent = [name for name in schema.names if name not in found]
    if absent:
        raise DataError(
            f"{where} has no column {', '.join(map(repr, absent))}, which the schema names. Correct one of the two."
        )
    columns: dict[str, Any] = {}
    marks: dict[str, Marks] = {}
    for column in schema:
        values, mark = (
            _as_numbers(found[column.name], column)
            or _as_times(found[column.name], column)
            or _parsed(found[column.name], column, schema.name, where)
        )
        columns[column.name] = values
        if mark.any():
            marks[column.name] = mark
    return Table(pd.DataFrame(columns, index=pd.RangeIndex(profiles[0].n_rows)), marks)


def _as_numbers(profile: Profile, column: Column) -> tuple[Any, Marks] | None:
    """Numbers that came as numbers, without a detour; None where the general way must decide."""
    if profile.values is None or not column.kind.is_number:
        return None
    values = profile.values.copy()
    mark = np.zeros(len(values), dtype=np.int8)
    is_gap = np.isnan(values)
    for i, code in enumerate(column.missing, start=1):
        if code.value == "":
            mark[is_gap] = i
        else:
            number = pd.to_numeric(code.value, errors="coerce")
            mark[(mark == 0) & (values == number)] = i
    if (is_gap & (mark == 0)).any():
        return None
    values[mark > 0] = np.nan
    return values, mark


def _as_times(profile: Profile, column: Column) -> tuple[Any, Marks] | None:
    """Times that came as times, whatever format the schema knows from text; None where the general way must decide."""
    if profile.storage is not Storage.TIMESTAMP or not column.kind.is_time:
        return None
    times = np.asarray(profile.keys, dtype="datetime64[us]")[profile.codes]
    mark = np.zeros(len(times), dtype=np.int8)
    is_gap = np.isnat(times)
    places = [i for i, code in enumerate(column.missing, start=1) if code.value == ""]
    if is_gap.any() and not places:
        return None
    mark[is_gap] = places[0] if places else 0
    return pd.Series(times), mark


def _parsed(profile: Profile, column: Column, table: str, where: str) -> tuple[Any, Marks]:
    schema = TableSchema(table, (replace(column, by=None),))
    try:
        distinct = parse_table(pd.DataFrame({column.name: profile.texts}, dtype=object), schema, where=where)
    except DataError:
        # once more over all rows, for the row's number in the message
        distinct = parse_table(pd.DataFrame({column.name: profile.texts[profile.codes]}, dtype=object), schema, where=where)
        return distinct.frame[column.name], distinct.mark(column.name)
    series = distinct.frame[column.name]
    return series.iloc[profile.codes].reset_index(drop=True), distinct.mark(column.name)[profile.codes]
