"""Linked tables as flat ones that the table codec understands: one of the patients, one of each table of events. Knows no tokens.

In a flat table keys are gone; the start has become the gap since the patient's previous event, further times have become durations, and
foreign keys have become how many rows of the parent's table lie in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.clock import NEVER, Ticks, gaps
from manikin.codecs.records.plan import (
    ANCHOR,
    MOST_BACK,
    PATIENT,
    EventPlan,
    Link,
    RecordsPlan,
    StaticColumn,
    learned_columns,
    presence,
)
from manikin.codecs.records.planning import SHIFTED_DAYS, has_rows, unsupported
from manikin.codecs.records.sequence import Timeline, backs
from manikin.data.cells import number_texts
from manikin.data.dataset import Dataset, Marks, Rows, Table, flat
from manikin.data.rules import ImpliedRule, OrderRule, RangeRule, Rule, UniqueRule
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Role, Schema, Source, Sources, Storage, TableSchema

Bools = npt.NDArray[np.bool_]
MOVED_BACK = MissingCode("(moved back)", "moved back by centuries", Source.DECLARED)
NO_ROW = MissingCode("(no row)", "the patient has no row of this table", Source.DECLARED)
_KEY = Column(PATIENT, Kind.COUNT, Storage.INTEGER, roles=(Role.PATIENT_KEY,), missing=())


def static_table(data: Dataset, plan: RecordsPlan, anchor: Ticks) -> tuple[Dataset, Ticks]:
    """One row a patient: who has which table, the anchor, static columns; and the anchors, filled in where static dates tell them.

    Parameters
    ----------
    anchor : int64 (n_patients,), ticks of each patient's first event, `NEVER` where there is none.
    """
    clock, schema = plan.clock, data.schema
    rows = {own.table: _row_of_patient(data, own.table) for own in plan.static}
    anchor = _filled(data, plan, rows, anchor)
    columns: dict[str, Any] = {PATIENT: np.arange(len(data), dtype=float)}
    marks: dict[str, Marks] = {}
    for table in plan.presences:
        columns[presence(table)] = _category(has_rows(data, table).astype(np.int64), ["no", "yes"])
    if plan.has_anchor:
        columns[ANCHOR] = pd.Series(clock.cells(anchor))
        marks[ANCHOR] = (anchor == NEVER).astype(np.int8)
    for own in plan.static:
        cells, mark = _static_cells(data.tables[own.table], schema[own.table][own.column], rows[own.table])
        absent = rows[own.table] < 0
        n_codes = len(flat_static_column(own, plan, schema).missing)
        if own.moment is not None:
            ticks, moved_back = clock.ticks(cells), n_codes - (own.table in plan.presences)
            base = anchor
            if own.moment.since:
                theirs = schema[own.table][own.moment.since]
                other = clock.ticks(_static_cells(data.tables[own.table], theirs, rows[own.table])[0])
                base = np.where(other == NEVER, anchor, other)
            unit = own.moment.unit
            away = np.where((ticks == NEVER) | (base == NEVER), NEVER, ticks // unit * unit - base // unit * unit)
            moved = (away != NEVER) & (away < -SHIFTED_DAYS / clock.days_per_tick) if own.moment.shift else np.zeros(len(data), bool)
            mark = np.where(moved, moved_back, np.where((mark == 0) & (away == NEVER), 1, mark)).astype(np.int8)
            cells = pd.Series(np.where(mark > 0, np.nan, away // own.moment.unit))
        mark = np.where(absent, n_codes, mark).astype(np.int8)
        columns[own.name] = as_code(cells, schema[own.table][own.column]) if own.is_code else cells
        marks[own.name] = mark
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(data)))
    return flat(Table(frame, {name: mark for name, mark in marks.items() if mark.any()}), static_schema(plan, schema)), anchor


def static_schema(plan: RecordsPlan, schema: Schema) -> TableSchema:
    """The flat schema of the patients, with the confirmed rules of static tables under their fields' names."""
    columns = [_KEY]
    columns += [Column(presence(name), Kind.BOOLEAN, levels=("no", "yes"), missing=(), source=_public()) for name in plan.presences]
    if plan.has_anchor and plan.clock.is_calendar:
        columns.append(Column(ANCHOR, Kind.DATE))
    elif plan.has_anchor:
        columns.append(Column(ANCHOR, Kind.CONTINUOUS, Storage.REAL, decimals=plan.clock.decimals))
    columns += [flat_static_column(own, plan, schema) for own in plan.static]
    rules: list[Rule] = []
    for table in dict.fromkeys(own.table for own in plan.static):
        names = {own.column: own.name for own in plan.static if own.table == table}
        times = {own.column for own in plan.static if own.table == table and own.moment is not None}
        for rule in schema[table].confirmed_rules:
            if set(rule.columns) <= set(names):
                _refuse_time_values(rule, times, schema[table])
                rules.append(replace(rule, columns=tuple(names[name] for name in rule.columns)))
            elif plan.place(table) < 0 and not isinstance(rule, UniqueRule):
                raise unsupported(rule.about, table, "binds a key, which is made anew")
    return TableSchema("patients", tuple(columns), tuple(rules), min((t.min_patients for t in schema.tables), default=1))


def flat_static_column(own: StaticColumn, plan: RecordsPlan, schema: Schema) -> Column:
    """The column of a static field: times are durations; the last missing code is that of patients without the table."""
    column = schema[own.table][own.column]
    k = schema[own.table].min_patients if column.min_patients is None else column.min_patients
    missing, no_row = column.missing, (NO_ROW,) if own.table in plan.presences else ()
    if own.moment is not None:
        missing = (*(missing or (EMPTY,)), *((MOVED_BACK,) if own.moment.shift else ()), *no_row)
        return Column(own.name, Kind.DURATION, Storage.INTEGER, column.roles, decimals=0, missing=missing, min_patients=k)
    column = _of_codes(column) if own.is_code else column
    return replace(column, name=own.name, missing=(*missing, *no_row), min_patients=k, by=None)


def event_table(data: Dataset, plan: RecordsPlan, own: EventPlan, timeline: Timeline) -> tuple[Dataset, Rows]:
    """The rows of a table of events as a flat table in the order of the sequence, and which events these are, int64 (n_rows,)."""
    table, clock = data.tables[own.name], plan.clock
    events, rows = timeline.rows_of(own.name)
    patients = data.owners[own.name][rows]
    columns: dict[str, Any] = {PATIENT: patients.astype(float)}
    marks: dict[str, Marks] = {}
    started = timeline.own[own.name][rows]
    timed = started != NEVER
    gap = gaps(timeline.at[events], timeline.previous[events], own.unit).astype(float)
    columns[own.gap] = np.where(timed, gap, np.nan) if own.start is not None else np.zeros(len(rows))
    if own.start is not None and not timed.all():
        marks[own.gap] = np.maximum(table.mark(own.start)[rows], np.where(timed, 0, 1)).astype(np.int8)
    place = timeline.at[events] + np.where(timeline.anchor == NEVER, 0, timeline.anchor)[patients]
    if own.has_before:
        columns[own.before] = np.where(timed, (place // own.unit * own.unit - started) // own.unit, 0).astype(float)
    for link in own.links:
        if link.is_drawn:
            columns[link.name], marks[link.name] = _link_cells(timeline, own, link, rows)
    since = np.where(timed, started, place)
    moments = {moment.name: moment for moment in own.moments}
    for column in event_columns(own, data.schema):
        cells, mark = table.frame[column.name].iloc[rows].reset_index(drop=True), table.mark(column.name)[rows]
        if column.name in moments:
            moment, ticks = moments[column.name], clock.ticks(cells)
            base = since
            if moment.since:
                other = clock.ticks(table.frame[moment.since])[rows]
                base = np.where(other == NEVER, since, other)
            cells = pd.Series(_since(ticks, base, moment.unit))
        elif column.name in own.codes:
            cells = as_code(cells, column)
        columns[column.name], marks[column.name] = cells, mark
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))
    kept = {name: mark for name, mark in marks.items() if mark.any()}
    return flat(Table(frame, kept), event_schema(own, data.schema)), events


def flat_schemas(plan: RecordsPlan, schema: Schema) -> list[TableSchema]:
    """The flat schema of the patients, then those of the tables of events."""
    return [static_schema(plan, schema), *(event_schema(own, schema) for own in plan.events)]


def event_columns(own: EventPlan, schema: Schema) -> list[Column]:
    """The columns that become fields of the flat table behind gap and links: codes that numbers are `by` first, no number by a code."""
    by, codes = {name for name, _ in own.by}, {code for _, code in own.by}
    left_out = {own.start, *own.unlearned, *by}
    learned = [c for c in learned_columns(schema[own.name], schema, set(own.codes)) if c.name not in left_out]
    return sorted(learned, key=lambda column: column.name not in codes)


def event_schema(own: EventPlan, schema: Schema) -> TableSchema:
    """The flat schema of a table of events: the patient, the gap, how long before its place a row happened, links, columns."""
    table = schema[own.name]
    start = table[own.start] if own.start is not None else None
    missing = start.missing if start is not None else ()
    columns = [_KEY, Column(own.gap, Kind.DURATION, Storage.INTEGER, decimals=0, missing=missing, source=Sources())]
    if own.has_before:
        columns.append(Column(own.before, Kind.DURATION, Storage.INTEGER, decimals=0, missing=()))
    backs_ = tuple(map(str, range(MOST_BACK + 1)))
    columns += [Column(link.name, Kind.ORDINAL, levels=backs_, source=_public()) for link in own.links if link.is_drawn]
    moments = {moment.name for moment in own.moments}
    for column in event_columns(own, schema):
        if column.name in moments:
            column = Column(column.name, Kind.DURATION, Storage.INTEGER, decimals=0, missing=column.missing or (EMPTY,))
        elif column.name in own.codes:
            column = _of_codes(column)
        columns.append(replace(column, by=None))
    rules = tuple(made for rule in table.confirmed_rules if (made := _event_rule(rule, own, table, {c.name for c in columns})))
    return TableSchema(own.name, tuple(columns), rules, table.min_patients)


def _of_codes(column: Column) -> Column:
    """A column of numbers or identifiers as one of codes."""
    kind = Kind.CODE if column.code_system else Kind.CATEGORICAL
    return replace(column, kind=kind, decimals=None, significant=None, minimum=None, maximum=None)


def _event_rule(rule: Rule, own: EventPlan, table: TableSchema, fields: set[str]) -> Rule | None:
    """A confirmed rule over the fields of a row; None where keys made anew or static fields keep it."""
    if isinstance(rule, UniqueRule) or set(rule.columns) <= set(own.moved):
        return None
    times = {moment.name for moment in own.moments} | ({own.start} if own.start else set())
    by = {name for name, _ in own.by}
    if isinstance(rule, OrderRule) and own.start == rule.columns[0] and rule.columns[1] in own.unlearned:
        return None  # a time of the parent's, which is no earlier than the row where it is put
    if isinstance(rule, OrderRule) and own.start in rule.columns and set(rule.columns) <= times:
        first, second = rule.columns
        least = float(rule.strict)
        if first == own.start:
            return RangeRule((second,), confirmed=True, minimum=least)
        return RangeRule((first,), confirmed=True, maximum=-least)
    if set(rule.columns) & by:
        if isinstance(rule, RangeRule):
            return None  # kept by the codec of numbers by a code
        raise unsupported(rule.about, table.name, "binds a number that is measured by a code")
    if not set(rule.columns) <= fields:
        raise unsupported(rule.about, table.name, "binds a column that is made anew or left out")
    _refuse_time_values(rule, times, table)
    return rule


def _refuse_time_values(rule: Rule, times: set[str], table: TableSchema) -> None:
    """Times have become durations: orders among them hold as they are, values cannot be named any more."""
    bound = set(rule.columns) & times
    if not bound or (isinstance(rule, OrderRule) and bound == set(rule.columns)):
        return
    named = dict(zip(rule.columns, (rule.when, rule.then), strict=True)) if isinstance(rule, ImpliedRule) else {}
    codes = {name: {code.value for code in table[name].missing} for name in bound}
    if not isinstance(rule, ImpliedRule) or any(not set(named[name]) <= codes[name] for name in bound):
        raise unsupported(rule.about, table.name, "names times, which are learned as intervals")


def as_code(cells: pd.Series, column: Column) -> pd.Series:
    """Numbers or identifiers as a category of their texts."""
    codes, values = pd.factorize(cells)
    texts = number_texts(np.asarray(values, dtype=float), column) if column.kind.is_number else np.asarray(values, dtype=object)
    return _category(codes, [str(text) for text in texts])


def _category(codes: npt.NDArray[np.int64], levels: list[str]) -> pd.Series:
    """A column of levels, missing where a code is -1."""
    return pd.Series(pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(pd.Index(levels, dtype=object))))


def _since(ticks: Ticks, start: Ticks, unit: int) -> npt.NDArray[np.float64]:
    """Units from the row's start to a further time of it; its grid is met from the grid point at or before the start."""
    return np.where(ticks == NEVER, np.nan, ticks // unit - start // unit)


def _link_cells(timeline: Timeline, own: EventPlan, link: Link, rows: Rows) -> tuple[pd.Series, Marks]:
    parents = timeline.parents[own.name, link.number][rows]
    back = backs(timeline, own.name, link.parent, parents) if link.is_row else np.where(parents < 0, -1, 0)
    capped = np.minimum(back, MOST_BACK)
    return _category(capped, [str(i) for i in range(MOST_BACK + 1)]), (capped < 0).astype(np.int8)


def _row_of_patient(data: Dataset, table: str) -> Rows:
    """The first row of each patient in a table, int64 (n_patients,), -1 where she has none."""
    out, owner = np.full(len(data), -1, dtype=np.int64), data.owners[table]
    out[owner[::-1]] = np.arange(len(owner))[::-1]
    return out


def _static_cells(table: Table, column: Column, rows: Rows) -> tuple[pd.Series, Marks]:
    """One cell a patient; the first missing code where she has no row."""
    series, absent = table.frame[column.name], rows < 0
    cells = series.reindex(np.where(absent, -1, rows)).reset_index(drop=True)
    mark = np.where(absent, 1, table.mark(column.name)[np.maximum(rows, 0)]) if len(table) else np.ones(len(rows))
    return cells, mark.astype(np.int8)


def _filled(data: Dataset, plan: RecordsPlan, rows: Mapping[str, Rows], anchor: Ticks) -> Ticks:
    """Anchors, for patients without events from the first of their static dates, so that it lies where it typically does."""
    lost = np.flatnonzero(anchor == NEVER)
    found, unit = np.full(len(lost), NEVER, dtype=np.int64), plan.clock.anchor_unit
    latest = np.full(len(lost), np.iinfo(np.int64).max)
    for own in plan.static if len(lost) else ():
        if own.moment is None:
            continue
        cells = _static_cells(data.tables[own.table], data.schema[own.table][own.column], rows[own.table])[0]
        ticks = plan.clock.ticks(cells)[lost]
        there = ticks != NEVER
        found = np.where(there & (found == NEVER), ticks - own.moment.typical, found)
        if own.moment.is_after:  # a date that never lies before the anchor
            latest = np.where(there, np.minimum(latest, ticks), latest)
    out = anchor.copy()
    out[lost] = np.where(found == NEVER, NEVER, np.minimum(found, latest) // unit * unit)
    return out


def _public() -> Sources:
    return Sources(levels=Source.DECLARED)
