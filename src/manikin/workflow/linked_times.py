"""When things happen to given patients: first and last event, and until when they are to be continued. Knows no model."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.schema import Column

Days = npt.NDArray[np.float64]
PER_DAY = {"s": 86_400.0, "min": 1_440.0, "h": 24.0, "d": 1.0, "wk": 1 / 7, "mo": 1 / 30.436875, "a": 1 / 365.2425}
_SPAN = re.compile(r"(\+?)(\d+(?:\.\d+)?)(min|mo|m|h|d|w|y)")
_DAYS_OF = {"min": 1 / 1_440, "m": 1 / 1_440, "h": 1 / 24, "d": 1.0, "w": 7.0, "mo": 30.436875, "y": 365.2425}
HOW = "It is a time since the first event (48h, 30d, 2y), a time since the last one (+30d), or a date (2024-05-01)."


def days(data: Dataset) -> dict[str, Days]:
    """When each row of each table of patients that has a time starts, by table: float64 (n_rows,), NaN where it has none.

    Dates count in days since 1970, numbers from their own zero, in days by their unit (a number without one is taken for days).
    """
    out = {}
    for table in data.schema.of_patients:
        if table.start is not None and table.start in table:
            out[table.name] = column_days(data, table.name, table[table.start])
    return out


def column_days(data: Dataset, table: str, column: Column) -> Days:
    """A column of times in days, float64 (n_rows,), NaN where there is none."""
    series = data.tables[table].frame[column.name]
    if not column.kind.is_time:
        return series.to_numpy(dtype=float) / PER_DAY.get(column.unit or "d", 1.0)
    times = series.to_numpy(dtype="datetime64[us]")
    found = times.astype(np.int64).astype(float) / 86_400e6
    found[np.isnat(times)] = np.nan
    return found


def first_and_last(data: Dataset) -> tuple[Days, Days]:
    """The times of each patient's first and last event, float64 (n_patients,) each, NaN for a patient without any."""
    first, last = np.full(len(data), np.inf), np.full(len(data), -np.inf)
    for name, times in days(data).items():
        there = ~np.isnan(times)
        np.minimum.at(first, data.owners[name][there], times[there])
        np.maximum.at(last, data.owners[name][there], times[there])
    none = np.isinf(first)
    return np.where(none, np.nan, first), np.where(none, np.nan, last)


def horizon(text: str, data: Dataset) -> Days:
    """Days since each patient's first event up to which she is to be continued, float64 (n_patients,).

    A patient without any event begins at 0.

    Raises
    ------
    ParameterError : the text is no time, or a date where times are numbers.
    """
    first, last = first_and_last(data)
    span = _SPAN.fullmatch(text.strip().lower())
    if span is not None:
        wanted = float(span[2]) * _DAYS_OF[span[3]]
        return np.where(np.isnan(first), 0.0, last - first) + wanted if span[1] else np.full(len(data), wanted)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ParameterError(f"--until {text!r} is no time. {HOW}") from None
    if not is_calendar(data):
        raise ParameterError(f"--until is a date, and the times of these patients are numbers. {HOW}")
    at = float(np.datetime64(moment.replace(tzinfo=None), "us").astype(np.int64)) / 86_400e6
    return np.maximum(np.where(np.isnan(first), 0.0, at - first), 0.0)


def words_of(text: str) -> str:
    """A time until which patients are continued, in words.

    >>> words_of("+5d"), words_of("48h"), words_of("2024-05-01")
    ('5 days after the last event', '48 hours after the first event', '2024-05-01')
    """
    span = _SPAN.fullmatch(text.strip().lower())
    if span is None:
        return text.strip()
    unit = {"min": "minute", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}[span[3]]
    plural = "" if float(span[2]) == 1 else "s"
    return f"{span[2]} {unit}{plural} after the {'last' if span[1] else 'first'} event"


def is_calendar(data: Dataset) -> bool:
    """Whether the times of events are dates, and not numbers."""
    return any(table.start is not None and table[table.start].kind.is_time for table in data.schema.of_patients)
