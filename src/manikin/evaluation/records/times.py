"""When the rows of linked tables happen: their own time, or their parent's, in days since the patient's anchor. Knows no metric.

A time is a date, a date with time, or a number. The anchor is a patient's first dated row. A number is taken for a time since the anchor
in its column's unit, and for days where it has none that is known: figures that hang on the unit compare like with like anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.links import parent_rows
from manikin.data.schema import Column, Form, TableSchema

Days = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
DAY_IN_US = 86_400e6
IN_DAYS = {
    "s": 1 / 86_400,
    "sec": 1 / 86_400,
    "second": 1 / 86_400,
    "min": 1 / 1_440,
    "minute": 1 / 1_440,
    "h": 1 / 24,
    "hour": 1 / 24,
    "d": 1.0,
    "day": 1.0,
    "wk": 7.0,
    "week": 7.0,
    "mo": 30.4375,
    "month": 30.4375,
    "a": 365.25,
    "y": 365.25,
    "year": 365.25,
}


@dataclass(frozen=True)
class Times:
    """Times of the rows of all tables of patients.

    Attributes
    ----------
    start, end : by table, float64 (n_rows,), days since the patient's anchor, NaN where unknown. A row without a start of its own has its
        parent's; the end is the row's own only.
    anchor : float64 (n_patients,), days since 1970 of the patient's first dated row, NaN where she has none.
    dated : by table, whether its own times are dates.
    """

    start: Mapping[str, Days]
    end: Mapping[str, Days]
    anchor: Days
    dated: Mapping[str, bool]


def days_of(frame: pd.DataFrame, column: Column) -> Days:
    """The cells of a column of times in days: since 1970 for dates, as they are for numbers; NaN where missing."""
    series = frame[column.name]
    if column.kind.is_time:
        stamps = series.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / DAY_IN_US)
    if column.kind.is_number:
        return series.to_numpy(dtype=float) * in_days(column)
    return pd.to_numeric(series.astype(object), errors="coerce").to_numpy(dtype=float)


def in_days(column: Column) -> float:
    """What one unit of a number of time is in days; 1 where the unit is not known."""
    unit = (column.unit or "d").lower()
    return IN_DAYS.get(unit, IN_DAYS.get(unit.removesuffix("s"), 1.0))


def times(data: Dataset) -> Times:
    """Times of all rows of a linked data set, parents before children."""
    n = data.n_records
    start: dict[str, Days] = {}
    end: dict[str, Days] = {}
    dated: dict[str, bool] = {}
    anchor = np.full(n, np.inf)
    for table in data.schema.of_patients:
        frame, owner = data.tables[table.name].frame, data.owners[table.name]
        is_sequence = table.form is not Form.STATIC
        dated[table.name] = is_sequence and table.start is not None and table[table.start].kind.is_time
        start[table.name] = days_of(frame, table[table.start]) if is_sequence and table.start is not None else np.full(len(frame), np.nan)
        end[table.name] = days_of(frame, table[table.end]) if is_sequence and table.end is not None else np.full(len(frame), np.nan)
        if dated[table.name]:
            np.fmin.at(anchor, owner, start[table.name])
    anchor[np.isinf(anchor)] = np.nan
    for table in data.schema.of_patients:
        name, owner = table.name, data.owners[table.name]
        if dated[name]:
            start[name] = start[name] - anchor[owner]
        if table.end is not None and table[table.end].kind.is_time:
            end[name] = end[name] - anchor[owner]
        if table.form is not Form.STATIC and np.isnan(start[name]).any():
            start[name] = np.where(np.isnan(start[name]), _of_parents(data, table, start), start[name])
    return Times(start, end, anchor, dated)


def _of_parents(data: Dataset, table: TableSchema, start: Mapping[str, Days]) -> Days:
    """The start of each row's parent, of the first foreign key that leads to one, NaN where none has a time."""
    found = np.full(len(data.tables[table.name]), np.nan)
    for number, key in enumerate(table.foreign_keys):
        if key.table in start and key.table != table.name and data.schema[key.table].form is not Form.STATIC:
            theirs = np.append(start[key.table], np.nan)[parent_rows(data, table, number)]
            found = np.where(np.isnan(found), theirs, found)
    return found
