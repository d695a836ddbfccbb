"""Typed tables as Arrow, with one type per column that the schema fixes, so that pieces of one file always fit. Knows no files."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from manikin.data.cells import to_plain
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Storage, TableSchema

_TYPES = {
    Storage.INTEGER: pa.int64(),
    Storage.REAL: pa.float64(),
    Storage.BOOLEAN: pa.bool_(),
    Storage.TIMESTAMP: pa.timestamp("us"),
}


def arrow_type(column: Column) -> Any:
    """The Arrow type of a column: as it was stored; a time read from text is a timestamp, an identifier stays what it was."""
    if column.kind.is_time and _holds_only_times(column):
        return pa.timestamp("us")
    if column.storage is Storage.TIMESTAMP and not column.kind.is_time:
        return pa.string()
    return _TYPES.get(column.storage, pa.string())


def _holds_only_times(column: Column) -> bool:
    return all(code.value == "" for code in column.missing)


def arrow_schema(schema: TableSchema) -> Any:
    """The Arrow schema of a table."""
    return pa.schema([(column.name, arrow_type(column)) for column in schema])


def to_arrow(data: Dataset) -> Any:
    """The rows as an Arrow table of `arrow_schema`; missing cells are null, and texts where the column is stored as text."""
    plain = to_plain(data.table, data.columns)
    arrays = []
    for column in data.columns:
        kind = arrow_type(column)
        series: Any = plain[column.name]
        if column.kind.is_time and kind == pa.timestamp("us"):
            series = data.table.frame[column.name]
        elif kind == pa.string():
            series = series.astype(object).where(pd.notna(series), None)
        arrays.append(pa.array(series, type=kind, from_pandas=True))
    return pa.table(arrays, schema=arrow_schema(data.columns))
