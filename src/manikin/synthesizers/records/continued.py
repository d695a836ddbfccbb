"""Patients who were continued, with the rows that were given as they were: a codec merges numbers into groups. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.plan import key_columns
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, Form, TableSchema

Rows = npt.NDArray[np.int64]
MOST_TOKENS = 16_000_000  # of continued patients at once


def with_given(
    made: Dataset, data: Dataset, order: Mapping[str, Rows], codec: RecordsCodec, *, changed: Mapping[str, Any]
) -> Dataset:
    """Continued patients whose given rows hold the given cells, keys apart; new rows move with the last given time of their patient.

    Parameters
    ----------
    made : patients of `data` in the same order; of each table first her given rows, then new ones.
    order : of each table of events the rows of `data` in the order of `made`. changed : static columns that were set anew.
    """
    places = {name: (_first_rows(made.owners[name], data.owners[name], len(data)), rows) for name, rows in order.items()}
    shift = _shifts(made, data, places)
    tables = dict(made.tables)
    for table in made.schema.of_patients:
        if table.name not in data.tables or not len(made.tables[table.name]):
            continue
        here, there = places.get(table.name, (None, None))
        if here is None or there is None:
            here, there = _once(made.owners[table.name], data.owners[table.name])
        names = _kept(table, data, codec, changed if table.form is Form.STATIC else {})
        new = np.setdiff1d(np.arange(len(made.tables[table.name])), here)
        own = _moved(made.tables[table.name], table, new, shift[made.owners[table.name][new]], codec)
        tables[table.name] = _overwritten(own, here, data.tables[table.name], there, names)
    return Dataset(tables, made.schema, made.native)


def draws_at_once(records: Records, longest: int) -> int:
    """Draws of all patients that are made together, so that a network is asked about many rows: as many as memory holds.

    Parameters
    ----------
    longest : most events that a patient may get.
    """
    return max(1, MOST_TOKENS // max((records.n_events + len(records) * longest) * records.tokens.shape[1], 1))


def joined(parts: list[Records]) -> Records:
    """Patients of several records, one behind the other."""
    starts = np.concatenate([[0], np.cumsum(np.concatenate([part.lengths for part in parts]))]).astype(np.int64)
    static, table, tokens, times = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("static", "table", "tokens", "times")
    )
    return Records(static, starts, table, tokens, times)


def _first_rows(owners: Rows, given: Rows, n: int) -> Rows:
    """The rows of each patient that stand where hers were given."""
    count = np.bincount(given, minlength=n)
    return np.flatnonzero(pd.Series(owners).groupby(owners).cumcount().to_numpy() < count[owners]).astype(np.int64)


def _once(owners: Rows, given: Rows) -> tuple[Rows, Rows]:
    """Rows of a table that patients have once, here and there, of the patients that have one in both."""
    _, here, there = np.intersect1d(owners, given, return_indices=True)
    return here.astype(np.int64), there.astype(np.int64)


def _kept(table: TableSchema, data: Dataset, codec: RecordsCodec, changed: Mapping[str, Any]) -> list[Column]:
    """Columns whose cells are given: no keys, and none that was set anew."""
    keys = key_columns(codec.schema_[table.name], codec.schema_)
    set_ = {name.removeprefix(f"{table.name}.") for name in changed}
    return [c for c in table if c.name not in keys | set_ and c.name in data.schema[table.name] and c.name in data.tables[table.name].frame]


def _shifts(made: Dataset, data: Dataset, places: Mapping[str, tuple[Rows, Rows]]) -> npt.NDArray[np.float64]:
    """How much later each patient's last given time lies than it was decoded: microseconds, or the clock's number, (n_patients,)."""
    here, there = np.full(len(data), -np.inf), np.full(len(data), -np.inf)
    for name, (mine, theirs) in places.items():
        start = made.schema[name].start
        if start is None or not len(mine):
            continue
        np.fmax.at(here, made.owners[name][mine], _numbers(made.tables[name].frame[start])[mine])
        np.fmax.at(there, data.owners[name][theirs], _numbers(data.tables[name].frame[start])[theirs])
    both = np.isfinite(here) & np.isfinite(there)
    return np.where(both, np.where(both, there, 0) - np.where(both, here, 0), 0.0)


def _numbers(cells: pd.Series) -> npt.NDArray[np.float64]:
    if cells.dtype.kind == "M":
        times = cells.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(times), np.nan, times.astype(np.int64))
    return cells.to_numpy(dtype=float)


def _moved(own: Table, table: TableSchema, rows: Rows, shift: npt.NDArray[np.float64], codec: RecordsCodec) -> Table:
    """The table with the times of some rows moved."""
    if table.form is Form.STATIC or not len(rows) or not shift.any():
        return own
    plan = next((plan for plan in codec.plan_.events if plan.name == table.name), None)
    names = [] if plan is None else [*([plan.start] if plan.start else []), *(moment.name for moment in plan.moments)]
    frame = own.frame.copy()
    for name in names:
        if frame[name].dtype.kind == "M":
            times = frame[name].to_numpy(dtype="datetime64[us]").copy()
            times[rows] += shift.astype(np.int64).astype("timedelta64[us]")
            frame[name] = times
        else:
            numbers = frame[name].to_numpy(dtype=float).copy()
            numbers[rows] += shift
            frame[name] = numbers
    return Table(frame, own.marks)


def _overwritten(own: Table, here: Rows, given: Table, there: Rows, columns: list[Column]) -> Table:
    """The table with the cells of rows `here` taken from rows `there` of another."""
    if not len(here):
        return own
    frame, marks = own.frame.copy(), dict(own.marks)
    for column in columns:
        mine, theirs = frame[column.name], given.frame[column.name]
        if isinstance(mine.dtype, pd.CategoricalDtype):
            cells = mine.to_numpy(dtype=object)
            cells[here] = theirs.to_numpy(dtype=object)[there]
            levels = [*mine.cat.categories, *(one for one in pd.unique(theirs.dropna()) if one not in mine.cat.categories)]
            frame[column.name] = pd.Categorical(cells, categories=levels)
        else:
            values = mine.to_numpy().copy()
            values[here] = theirs.to_numpy()[there]
            frame[column.name] = values
        mark = own.mark(column.name).copy()
        mark[here] = given.mark(column.name)[there]
        marks.pop(column.name, None)
        if mark.any():
            marks[column.name] = mark
    return Table(frame, marks)
