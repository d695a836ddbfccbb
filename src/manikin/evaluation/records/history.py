"""One side's patients as events in order, in plain arrays. Knows no metric; what an event, a code and a measure are, `vocabulary` says.

- A *visit* is what hangs on one row of the visit table: the first table of intervals that another table of events refers to (admissions),
  its own row included. Rows that hang on none, and all rows where there is no such table, are one visit where they happen at the same time;
  a patient's rows without any time are one visit, her last.
- Events stand by patient, visit and time, ties in an order of content, so that the order of rows in a file changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.links import parent_rows
from manikin.data.schema import Form, TableSchema
from manikin.evaluation.prepared import bits, mixed
from manikin.evaluation.records.times import Times, days_of, times
from manikin.evaluation.records.vocabulary import (
    Item,
    Measure,
    Vocabulary,
    cells,
    code_column,
    discrete_columns,
    lookup,
    number_columns,
    sequences,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Marks:
    """What events say in levels: event and item, int64 and int32 (n_marks,), by event."""

    event: Ints
    item: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Numbers:
    """Measured numbers: event, measure and value, (n_numbers,), sorted by measure and then by event."""

    event: Ints
    measure: npt.NDArray[np.int32]
    value: Floats


@dataclass(frozen=True)
class History:
    """Events of one side, sorted by patient, visit and time.

    Attributes
    ----------
    n_patients : patients, those without events too; they are numbered by their content.
    patient, visit : int64 (n_events,); visits are numbered over all patients, in order of patient and time.
    time, end : float64 (n_events,), days since the patient's anchor; NaN where unknown.
    date : float64 (n_events,), days since 1970 of events whose own time is a date, NaN of others.
    table : int16 (n_events,), place in the vocabulary's tables.
    code : int32 (n_events,), the event's item, -1 where its cell is empty.
    content : uint64 (n_events,), equal where table, levels and numbers are; it says nothing of the time.
    source : int64 (n_patients,), the record of the data set that each patient is.
    """

    n_patients: int
    patient: Ints
    time: Floats
    end: Floats
    date: Floats
    table: npt.NDArray[np.int16]
    code: npt.NDArray[np.int32]
    content: Hashes
    visit: Ints
    marks: Marks
    numbers: Numbers
    source: Ints

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def n_visits(self) -> int:
        """Visits of all patients."""
        return int(self.visit[-1]) + 1 if len(self) else 0

    @cached_property
    def lengths(self) -> Ints:
        """Events of each patient, int64 (n_patients,)."""
        return np.bincount(self.patient, minlength=self.n_patients)

    @cached_property
    def starts(self) -> Ints:
        """Where each patient's events begin, int64 (n_patients + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @cached_property
    def visit_starts(self) -> Ints:
        """The first event of each visit, int64 (n_visits,)."""
        return np.flatnonzero(np.diff(self.visit, prepend=-1))

    def take(self, patients: Ints) -> History:
        """The histories of these patients (ascending positions), numbered anew in their order."""
        place = np.full(self.n_patients, -1, dtype=np.int64)
        place[patients] = np.arange(len(patients))
        kept = np.flatnonzero(place[self.patient] >= 0)
        new = np.full(len(self), -1, dtype=np.int64)
        new[kept] = np.arange(len(kept))
        in_marks = np.flatnonzero(new[self.marks.event] >= 0)
        in_numbers = np.flatnonzero(new[self.numbers.event] >= 0)
        numbers = self.numbers
        return History(
            n_patients=len(patients),
            patient=place[self.patient[kept]],
            time=self.time[kept],
            end=self.end[kept],
            date=self.date[kept],
            table=self.table[kept],
            code=self.code[kept],
            content=self.content[kept],
            visit=np.cumsum(np.diff(self.visit[kept], prepend=-1) != 0) - 1,
            marks=Marks(new[self.marks.event[in_marks]], self.marks.item[in_marks]),
            numbers=Numbers(new[numbers.event[in_numbers]], numbers.measure[in_numbers], numbers.value[in_numbers]),
            source=self.source[patients],
        )


@dataclass(frozen=True)
class _Rows:
    """Rows of tables as arrays; marks and numbers name their row."""

    patient: Ints
    time: Floats
    end: Floats
    date: Floats
    table: npt.NDArray[np.int16]
    code: npt.NDArray[np.int32]
    visit_row: Ints
    content: Hashes
    mark_row: Ints
    mark_item: npt.NDArray[np.int32]
    number_row: Ints
    number_measure: npt.NDArray[np.int32]
    number_value: Floats


def history(data: Dataset, known: Vocabulary) -> History:
    """The events of a linked data set."""
    when = times(data)
    visits = _visit_rows(data, known.tables)
    rows = _stacked([_rows(data, table, known, when, visits.get(table.name)) for table in sequences(known.tables)])
    place = _by_content(data, known, rows)
    patient = place[rows.patient]
    visit, start = _visits(patient, rows)
    time = np.where(np.isnan(rows.time), np.inf, rows.time)
    order = np.lexsort((rows.content, rows.code, rows.table, time, visit, start, patient))
    new = np.empty(len(order), dtype=np.int64)
    new[order] = np.arange(len(order))
    ordered = visit[order]
    mark_event, number_event = new[rows.mark_row], new[rows.number_row]
    by_event, by_measure = np.lexsort((rows.mark_item, mark_event)), np.lexsort((number_event, rows.number_measure))
    source = np.empty(data.n_records, dtype=np.int64)
    source[place] = np.arange(data.n_records)
    return History(
        n_patients=data.n_records,
        patient=patient[order],
        time=rows.time[order],
        end=rows.end[order],
        date=rows.date[order],
        table=rows.table[order],
        code=rows.code[order],
        content=mixed(rows.content[order] + rows.table[order].astype(np.uint64)),
        visit=np.cumsum(np.diff(ordered, prepend=-1) != 0) - 1,
        marks=Marks(mark_event[by_event], rows.mark_item[by_event]),
        numbers=Numbers(number_event[by_measure], rows.number_measure[by_measure], rows.number_value[by_measure]),
        source=source,
    )


def visit_table(tables: Sequence[TableSchema]) -> TableSchema | None:
    """The table whose rows are visits: the first table of intervals that another table of events refers to; None where there is none."""
    events = sequences(tables)
    referred = {key.table for table in events for key in table.foreign_keys if key.table != table.name}
    return next((table for table in events if table.form is Form.INTERVALS and table.name in referred), None)


def _visit_rows(data: Dataset, tables: Sequence[TableSchema]) -> dict[str, Ints]:
    """By table, the row of the visit table that each row hangs on, directly or through others; -1 where on none."""
    visits = visit_table(tables)
    if visits is None:
        return {}
    found = {visits.name: np.arange(len(data.tables[visits.name]), dtype=np.int64)}
    for table in sequences(tables):  # parents before children
        if table.name in found:
            continue
        out = np.full(len(data.tables[table.name]), -1, dtype=np.int64)
        for number, key in enumerate(table.foreign_keys):
            if key.table in found and key.table != table.name:
                theirs = np.append(found[key.table], -1)[parent_rows(data, table, number)]
                out = np.where(out < 0, theirs, out)
        found[table.name] = out
    return found


def _rows(data: Dataset, table: TableSchema, known: Vocabulary, when: Times, visit_row: Ints | None) -> _Rows:
    frame, owner = data.tables[table.name].frame, data.owners[table.name]
    n = len(frame)
    start, end = when.start[table.name], when.end[table.name]
    content = np.zeros(n, dtype=np.uint64)
    by_column: dict[str, npt.NDArray[np.int32]] = {}
    mark_rows, mark_items = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int32)]
    for column in discrete_columns(table):
        rows, places, levels = cells(frame[column.name], column)
        items = lookup(levels, known.item_number, lambda level, c=column: Item(table.name, c.name, level))[places]
        rows, items = rows[items >= 0], items[items >= 0]
        mark_rows.append(rows)
        mark_items.append(items)
        np.add.at(content, rows, mixed(items.astype(np.uint64) + np.uint64(1)))
        by_column[column.name] = np.full(n, -1, dtype=np.int32)
        by_column[column.name][rows] = items
    coded = code_column(table)
    code = np.full(n, known.item_number[Item(table.name)], dtype=np.int32) if coded is None else by_column[coded.name]
    if coded is None:
        mark_rows.append(np.arange(n, dtype=np.int64))
        mark_items.append(code)
    number_rows, measures, numbers = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int32)], [np.empty(0)]
    absolute = start + np.where(np.isnan(when.anchor), 0.0, when.anchor)[owner] if len(owner) else start
    for column in number_columns(table):
        value = days_of(frame, column) - absolute if column.kind.is_time else frame[column.name].to_numpy(dtype=float)
        if column.by is not None and column.by in table:
            rows, places, levels = cells(frame[column.by], table[column.by])
            found = lookup(levels, known.measure_number, lambda level, c=column: Measure(table.name, c.name, level))
            measure = np.full(n, -1, dtype=np.int32)
            measure[rows] = found[places]
        else:
            measure = np.full(n, known.measure_number.get(Measure(table.name, column.name), -1), dtype=np.int32)
        held = np.flatnonzero(np.isfinite(value) & (measure >= 0))
        number_rows.append(held)
        measures.append(measure[held])
        numbers.append(value[held] + 0.0)
        content += mixed(bits(np.where(np.isfinite(value), np.round(value, 9) + 0.0, np.nan)))
    return _Rows(
        patient=owner,
        time=start,
        end=end,
        date=absolute if when.dated[table.name] else np.full(n, np.nan),
        table=np.full(n, known.tables.index(table), dtype=np.int16),
        code=code,
        visit_row=np.full(n, -1, dtype=np.int64) if visit_row is None else visit_row,
        content=content,
        mark_row=np.concatenate(mark_rows),
        mark_item=np.concatenate(mark_items),
        number_row=np.concatenate(number_rows),
        number_measure=np.concatenate(measures),
        number_value=np.concatenate(numbers),
    )


def _stacked(parts: Sequence[_Rows]) -> _Rows:
    """The rows of several tables, one after the other."""
    offsets = np.concatenate([[0], np.cumsum([len(part.patient) for part in parts])]).astype(np.int64)
    types = {"patient": np.int64, "table": np.int16, "code": np.int32, "visit_row": np.int64, "content": np.uint64, "mark_row": np.int64}
    types |= {"mark_item": np.int32, "number_row": np.int64, "number_measure": np.int32}
    made: dict[str, Any] = {}
    for entry in fields(_Rows):
        arrays = [getattr(part, entry.name) for part in parts]
        if entry.name in ("mark_row", "number_row"):
            arrays = [array + offset for array, offset in zip(arrays, offsets, strict=False)]
        made[entry.name] = np.concatenate([np.empty(0, dtype=types.get(entry.name, float)), *arrays])
    return _Rows(**made)


def _by_content(data: Dataset, known: Vocabulary, rows: _Rows) -> Ints:
    """The place of each record in an order that hangs on what her rows say and not on where they stand, int64 (n_records,)."""
    whole = np.zeros(data.n_records, dtype=np.uint64)
    time = np.where(np.isnan(rows.time), np.nan, np.round(rows.time, 9) + 0.0)
    np.add.at(whole, rows.patient, mixed(rows.content + mixed(bits(time)) + rows.table.astype(np.uint64)))
    for number, table in enumerate(known.tables):
        if table.form is not Form.STATIC:
            continue
        frame, content = data.tables[table.name].frame, np.full(len(data.tables[table.name]), number, dtype=np.uint64)
        for column in table.learned:
            if column.kind.is_number or column.kind.is_time:
                content = mixed(content * np.uint64(31) + bits(days_of(frame, column)))
            else:
                texts = frame[column.name].astype(object).map(str, na_action="ignore")
                content = mixed(content * np.uint64(31) + _text_hashes(texts.to_numpy(dtype=object)))
        np.add.at(whole, data.owners[table.name], content)
    place = np.empty(len(whole), dtype=np.int64)
    place[np.argsort(whole, kind="stable")] = np.arange(len(whole))
    return place


def _text_hashes(texts: npt.NDArray[np.object_]) -> Hashes:
    import pandas as pd

    return np.asarray(pd.util.hash_array(texts, categorize=True), dtype=np.uint64)


def _visits(patient: Ints, rows: _Rows) -> tuple[Ints, Floats]:
    """A number for each row's visit, and the time at which that visit starts, inf where unknown; (n_rows,)."""
    hangs = rows.visit_row >= 0
    time = np.where(np.isnan(rows.time), np.inf, rows.time)
    key = np.where(hangs, rows.visit_row, time)
    order = np.lexsort((key, hangs, patient))
    if not len(order):
        return np.empty(0, dtype=np.int64), np.empty(0)
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(patient[order]) != 0) | (np.diff(hangs[order]) != 0) | (key[order][1:] != key[order][:-1])
    visit = np.empty(len(order), dtype=np.int64)
    visit[order] = np.cumsum(is_first) - 1
    earliest = np.minimum.reduceat(time[order], np.flatnonzero(is_first))
    return visit, earliest[visit]


