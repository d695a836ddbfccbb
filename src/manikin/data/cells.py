"""Between cell texts and typed columns, as a column's schema says. Refuses rather than repairs; never puts a cell into a message."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Marks, Table
from manikin.data.errors import DataError
from manikin.data.schema import Column, Kind, MissingCode, Storage, TableSchema

HEADER_LINES = 1  # row numbers in messages count as a spreadsheet does: the header is row 1
UNREADABLE = MissingCode("", "missing or unreadable")  # the empty cell of a column whose cells that cannot be read are taken for it
_UNREADABLE = (UNREADABLE.value, UNREADABLE.meaning)
_FAR_YEAR = re.compile(r"(?<!\d)(?:0\d{3}|1[0-6]\d\d|2[2-9]\d\d|[3-9]\d{3})")


def parse_table(texts: pd.DataFrame, schema: TableSchema, *, where: str = "The data") -> Table:
    """Typed columns from cell texts.

    Parameters
    ----------
    texts : object columns of str, empty string where the cell is empty; it has every column of the schema.
    where : how a message names the source, for example the file's path.

    Raises
    ------
    DataError : a column is missing, or a cell does not fit its column's kind; the message names column and row.
    """
    absent = [name for name in schema.names if name not in texts.columns]
    if absent:
        raise DataError(
            f"{where} has no column {', '.join(map(repr, absent))}, which the schema names. Correct one of the two."
        )
    columns: dict[str, Any] = {}
    marks: dict[str, Marks] = {}
    for column in schema:
        series = texts[column.name]
        mark = _with_unreadable(series, missing_marks(series, column), column)
        columns[column.name] = _typed(series, mark, column, where)
        if mark.any():
            marks[column.name] = mark
    return Table(pd.DataFrame(columns, index=pd.RangeIndex(len(texts))), marks)


def missing_marks(texts: pd.Series, column: Column) -> Marks:
    """Which of the column's missing codes each cell text is, counted from 1; 0 where it is a value. int8 (n_rows,)."""
    mark = np.zeros(len(texts), dtype=np.int8)
    values = texts.to_numpy(dtype=object)
    for i, code in enumerate(column.missing, start=1):
        mark[values == code.value] = i
        if column.kind.is_number and code.value not in ("",) and is_number(code.value):
            mark[(mark == 0) & (pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float) == float(code.value))] = i
    return mark


def _with_unreadable(series: pd.Series, mark: Marks, column: Column) -> Marks:
    """The marks, with those of cells that are no number or time where the schema says that such cells are read as empty."""
    place = next((i for i, code in enumerate(column.missing, start=1) if (code.value, code.meaning) == _UNREADABLE), 0)
    if not place:
        return mark
    if column.kind.is_time:
        readable = parse_times(series, column.time_format).notna().to_numpy()
    elif column.kind.is_number or (column.kind.is_discrete and column.storage in (Storage.INTEGER, Storage.REAL)):
        readable = np.isfinite(pd.to_numeric(series, errors="coerce").to_numpy(dtype=float))
    else:
        return mark
    return np.where((mark == 0) & ~readable, np.int8(place), mark)


def is_number(text: str) -> bool:
    """Whether a text can be read as a number; "nan" and "inf" can.

    >>> is_number("1e3"), is_number("I")
    (True, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def _typed(series: pd.Series, mark: Marks, column: Column, where: str) -> Any:
    present = mark == 0
    if column.kind.is_number:
        values = np.full(len(series), np.nan)
        numbers = pd.to_numeric(series[present], errors="coerce").to_numpy(dtype=float)
        values[present] = numbers
        _refuse(present & ~np.isfinite(values), column, "is not a number", where)
        return values
    if column.kind.is_time:
        times = pd.Series(np.full(len(series), np.datetime64("NaT", "us"), dtype="datetime64[us]"))
        parsed = parse_times(series[present], column.time_format)
        times[present] = parsed.to_numpy(dtype="datetime64[us]")
        _refuse(present & times.isna().to_numpy(), column, f"is not a {column.kind} of the format {column.time_format}", where)
        return times
    texts = series.to_numpy(dtype=object).copy()
    texts[~present] = None
    if column.kind.is_discrete:
        return categories(texts, column)
    return pd.Series(texts, dtype=object)


def parse_times(texts: pd.Series, pattern: str | None) -> pd.Series:
    """Times of the years 1 to 9999 read by one strftime format (ISO 8601 without one), NaT where a text does not fit it; datetime64[us]."""
    times = pd.to_datetime(texts, format=pattern or "ISO8601", errors="coerce")
    out = pd.Series(times.to_numpy(dtype="datetime64[us]"), index=texts.index)
    lost = np.flatnonzero(out.isna().to_numpy())
    cells = texts.to_numpy(dtype=object)
    far = [int(i) for i in lost if isinstance(cells[i], str) and _FAR_YEAR.search(cells[i])]
    for i in far:  # pandas reads 1677 to 2262 only
        out.iloc[i] = _far_time(cells[i], pattern)
    return out


def _far_time(text: str, pattern: str | None) -> np.datetime64:
    try:
        if pattern is None or pattern == "ISO8601":
            found = datetime.fromisoformat(text)
        else:
            found = datetime.strptime(text, pattern)
    except ValueError:
        return np.datetime64("NaT", "us")
    return np.datetime64(found.replace(tzinfo=None), "us")


def categories(texts: npt.NDArray[np.object_], column: Column) -> pd.Categorical:
    """A category of the texts; the schema's levels first and in their order, then others found, sorted.

    Levels stored as numbers are one level however they are written: 1.0 (as a tool with gaps in the column writes it) is the level 1.
    """
    found = pd.unique(pd.Series(texts, dtype=object).dropna())
    levels = list(column.levels or ())
    known = set(levels)
    others = [text for text in found if text not in known]
    if column.storage in (Storage.INTEGER, Storage.REAL) and others:
        same = _same_numbers(others, levels)
        if same:
            texts = np.array([same.get(text, text) for text in texts], dtype=object)
            others = [text for text in others if text not in same]
    return pd.Categorical(texts, categories=levels + sorted(others))


def _same_numbers(texts: list[str], levels: list[str]) -> dict[str, str]:
    """The level that stands for the same number as a text, for the texts that have one."""
    by_number = {float(level): level for level in levels if is_number(level)}
    return {text: by_number[float(text)] for text in texts if is_number(text) and float(text) in by_number}


def _refuse(bad: npt.NDArray[np.bool_], column: Column, what: str, where: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0]) + 1 + HEADER_LINES
        others = f" (and {int(bad.sum()) - 1} more rows)" if bad.sum() > 1 else ""
        raise DataError(
            f"{where}, column {column.name!r}, row {row}{others}: the cell {what}, but the schema says {column.kind}. "
            "Correct the cell, name it under `missing`, or change the column's kind in the schema."
        )


def texts_of(table: Table, schema: TableSchema) -> pd.DataFrame:
    """Cell texts from typed columns: numbers at the column's own resolution, missing cells as their own codes."""
    columns = {column.name: column_texts(table, column) for column in schema}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))


def column_texts(table: Table, column: Column) -> npt.NDArray[np.object_]:
    """The cell texts of one column, object (n_rows,)."""
    series = table.frame[column.name]
    mark = table.mark(column.name)
    present = mark == 0
    out = np.full(len(series), "", dtype=object)
    if column.kind.is_number:
        out[present] = number_texts(series.to_numpy(dtype=float)[present], column)
    elif column.kind.is_time:
        out[present] = time_texts(series[present], column)
    else:
        out[present] = series.to_numpy(dtype=object)[present]
    for i, code in enumerate(column.missing, start=1):
        out[mark == i] = code.value
    return out


def number_texts(values: npt.NDArray[np.float64], column: Column) -> npt.NDArray[np.object_]:
    """Numbers as texts: integers without a point, others in their shortest form at the column's decimals."""
    unique, inverse = np.unique(values, return_inverse=True)
    if column.storage is Storage.INTEGER:
        texts = [str(int(value)) for value in unique]
    else:
        decimals = 15 if column.decimals is None else column.decimals
        texts = [repr(round(float(value), decimals)) for value in unique]
    return np.array(texts, dtype=object)[inverse] if len(texts) else np.empty(0, dtype=object)


def time_texts(series: pd.Series, column: Column) -> npt.NDArray[np.object_]:
    """Times as texts in the column's own format; ISO 8601 where it has none."""
    default = "%Y-%m-%d" if column.kind is Kind.DATE else "%Y-%m-%d %H:%M:%S"
    pattern = column.time_format if column.time_format and column.time_format != "ISO8601" else default
    texts = series.dt.strftime(pattern).to_numpy(dtype=object)
    for i in np.flatnonzero((series.dt.year < 1000).to_numpy()):  # strftime writes the year 950 with three digits
        moment = series.iloc[i]
        texts[i] = moment.strftime(pattern.replace("%Y", f"{moment.year:04d}"))
    return texts


def to_plain(table: Table, schema: TableSchema) -> pd.DataFrame:
    """The table in plain pandas dtypes, as a user's own frame: Int64 where whole numbers have gaps, sentinel numbers given back."""
    columns = {column.name: _plain(table, column) for column in schema}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))


def _plain(table: Table, column: Column) -> Any:
    series, mark = table.frame[column.name], table.mark(column.name)
    if column.kind.is_number and column.storage is not Storage.TEXT:
        values = series.to_numpy(dtype=float).copy()
        for i, code in enumerate(column.missing, start=1):
            if is_number(code.value):
                values[mark == i] = float(code.value)
        if column.storage is Storage.REAL:
            return values
        gaps = np.isnan(values)
        if (np.abs(values[~gaps]) >= 2**63).any():
            return values
        whole = np.where(gaps, 0, values).astype(np.int64)
        return pd.arrays.IntegerArray(whole, gaps) if gaps.any() else whole
    if column.kind.is_time and column.storage is Storage.TIMESTAMP:
        return series
    texts = column_texts(table, column)
    if column.storage in (Storage.INTEGER, Storage.REAL, Storage.BOOLEAN):
        return _unstored(texts, mark, column)
    texts[(mark > 0) & (texts == "")] = None
    return texts


def _unstored(texts: npt.NDArray[np.object_], mark: Marks, column: Column) -> Any:
    """Discrete levels that were stored as numbers or booleans, given back as such; texts where one is too long for 64 bits.

    A level that is no number, such as the one that stands for rare ones, cannot be stored among numbers and is given back as missing.
    """
    gaps = np.array([not is_number(text) or not math.isfinite(float(text)) for text in texts], dtype=bool)
    if column.storage is Storage.BOOLEAN:
        truth = np.array([text in ("True", "true", "1") for text in texts], dtype=bool)
        return pd.arrays.BooleanArray(truth, mark > 0) if (mark > 0).any() else truth
    if column.storage is Storage.REAL:
        return np.array([np.nan if gap else float(text) for text, gap in zip(texts, gaps, strict=True)])
    numbers = [0 if gap else whole_number(text) for text, gap in zip(texts, gaps, strict=True)]
    if not all(map(fits_int64, numbers)):
        return pd.Series(texts).mask(gaps, None).to_numpy(dtype=object)
    whole = np.array(numbers, dtype=np.int64)
    return pd.arrays.IntegerArray(whole, gaps) if gaps.any() else whole


def whole_number(text: str) -> int:
    """The whole number that a text writes, exact however long it is; 3.0 is 3."""
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def fits_int64(number: int) -> bool:
    """Whether a whole number can be stored in 64 bits with a sign."""
    return -(2**63) <= number < 2**63
