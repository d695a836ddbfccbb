"""Typed tables as Arrow, with one type per column that the schema fixes, so that pieces of one file always fit. Knows no files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from manikin.data.cells import column_texts, fits_int64, to_plain, whole_number
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError
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
    if column.storage is Storage.INTEGER and not all(map(_fits, column.levels or ())):
        return pa.string()
    return _TYPES.get(column.storage, pa.string())


def _fits(level: str) -> bool:
    try:
        return fits_int64(whole_number(level))
    except (ValueError, OverflowError):
        return True  # no number: null among numbers


def _holds_only_times(column: Column) -> bool:
    return all(code.value == "" for code in column.missing)


def arrow_schema(schema: TableSchema) -> Any:
    """The Arrow schema of a table."""
    return pa.schema([(column.name, arrow_type(column)) for column in schema])


def to_arrow(data: Dataset, times_as_text: Collection[str] = ()) -> Any:
    """The rows as an Arrow table of `arrow_schema`; missing cells are null, and texts where the column is stored as text.

    Parameters
    ----------
    times_as_text : columns of times that are written as the texts from which they were read.
    """
    arrays = [_checked(data.table, column) for column in data.columns]
    rows = pa.table(arrays, schema=arrow_schema(data.columns))
    for place, column in enumerate(data.columns):
        if column.name in times_as_text and column.kind.is_time and column.storage is Storage.TEXT:
            texts = column_texts(data.table, column)
            array = pa.array([text or None for text in texts], type=pa.string())
            rows = rows.set_column(place, pa.field(column.name, pa.string()), array)
    return rows


def _checked(table: Table, column: Column) -> Any:
    try:
        return _array(table, column)
    except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError):
        raise DataError(
            f"Column {column.name!r} holds a number that does not fit 64 bits. Set its storage to text in the schema, or write a .csv."
        ) from None


def _array(table: Table, column: Column) -> Any:
    kind, series = arrow_type(column), table.frame[column.name]
    if kind == pa.timestamp("us"):
        return pa.array(series, type=kind, from_pandas=True)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _levels(series, table, column, kind)
    plain: Any = to_plain(table.only([column.name]), TableSchema("column", (replace(column, by=None),)))[column.name]
    if kind == pa.string():
        plain = plain.astype(object).where(pd.notna(plain), None)
    return pa.array(plain, type=kind, from_pandas=True)


def _levels(series: Any, table: Table, column: Column, kind: Any) -> Any:
    """Levels by their codes: each text is made once, however long the table is. The same cells as `to_plain` gives."""
    mark = table.mark(column.name)
    texts = [str(level) for level in series.cat.categories]
    values = [_plain(text, kind) for text in texts]
    values += [None if kind == pa.bool_() else _plain(code.value, kind) for code in column.missing]
    places = np.where(mark > 0, len(texts) + mark.astype(np.int64) - 1, series.cat.codes.to_numpy())
    places = np.where(places < len(values), places, -1)  # a column without anything to release is empty, whatever its schema says
    return pa.array(values, type=kind).take(pa.array(places, mask=places < 0))


def _plain(text: str, kind: Any) -> Any:
    if kind == pa.string():
        return text or None
    if kind == pa.bool_():
        return text in ("True", "true", "1")
    try:
        return whole_number(text) if kind == pa.int64() else float(text)
    except (ValueError, OverflowError):
        return None
