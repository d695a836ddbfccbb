"""What is given of patients before they are drawn: values of static columns, or static tables of a part of them. Knows no events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from manikin.codecs.base import Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.records.plan import ANCHOR, RecordsPlan, patient_key, presence
from manikin.codecs.records.planning import event_tables
from manikin.codecs.table import TableCodec
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import ParameterError
from manikin.data.schema import EMPTY, Column, Form, Schema, TableSchema


def static_conditions(
    conditions: Mapping[str, Any] | Dataset | None, schema: Schema, plan: RecordsPlan
) -> dict[str, Any] | Dataset | None:
    """Conditions under the names of static fields.

    Raises
    ------
    ParameterError : a name is that of no static column, or of a date, which is learned as the time since the first event.
    """
    if not conditions and not isinstance(conditions, Dataset):
        return None
    if isinstance(conditions, Dataset):
        if conditions.is_linked and event_tables(conditions):
            name = event_tables(conditions)[0].name
            raise ParameterError(f"Rows of table {name!r} cannot be conditions of new patients. Continue their patients instead.")
        return _of_flat(conditions, schema, plan) if not conditions.is_linked else conditions
    return {field_of(name, schema, plan): value for name, value in conditions.items()}


def field_of(name: str, schema: Schema, plan: RecordsPlan) -> str:
    """The static field of "column" or "table.column".

    Raises
    ------
    ParameterError : there is none, with the reason.
    """
    if name in {presence(table) for table in plan.presences} or (name == ANCHOR and plan.has_anchor):
        return name
    found = [own for own in plan.static if name in (own.name, f"{own.table}.{own.column}")]
    if not found:
        found = [own for own in plan.static if own.column == name]
    known = ", ".join(repr(own.name) for own in plan.static if own.moment is None)
    if len(found) > 1:
        raise ParameterError(f"Several tables have a column {name!r}. Name one of {', '.join(repr(own.name) for own in found)}.")
    if found and found[0].moment is not None:
        raise ParameterError(
            f"Column {name!r} is a date, which is learned as the time since the patient's first event. Condition on one of {known}."
        )
    if found:
        return found[0].name
    for table in schema.tables:
        if table.form is Form.REFERENCE or name.removeprefix(f"{table.name}.") not in table:
            continue
        raise ParameterError(
            f"Column {name!r} changes from row to row of table {table.name!r} or is a key; conditions are what a patient has throughout: "
            f"{known}."
        )
    raise ParameterError(f"No table has a column {name!r} to condition on. Static columns are {known}.")


def gives(given: dict[str, Any] | Dataset | None, field: str, plan: RecordsPlan) -> bool:
    """Whether conditions (as `static_conditions` leaves them) give a static field."""
    if not isinstance(given, Dataset):
        return given is not None and field in given
    named = {table.name: table for table in given.schema.tables}
    return any(own.name == field and own.table in named and own.column in named[own.table] for own in plan.static)


def _of_flat(rows: Dataset, schema: Schema, plan: RecordsPlan) -> Dataset:
    """One flat row a patient, its columns named as static ones, as the static tables that they come from."""
    names = [name for name in rows.columns.names if name != patient_key(rows.columns)]
    by_table: dict[str, dict[str, str]] = {}
    for name in names:
        own = plan.static_column(field_of(name, schema, plan))
        by_table.setdefault(own.table, {})[own.column] = name
    tables, schemas = {}, []
    for table, columns in by_table.items():
        key = patient_key(schema[table])
        if key is None:
            raise ParameterError(f"Table {table!r} has no patient key, so that its columns cannot be given for each patient.")
        frame = pd.DataFrame({column: rows.table.frame[name] for column, name in columns.items()})
        frame.insert(0, key, [str(i) for i in range(len(rows))])
        marks = {column: rows.table.marks[name] for column, name in columns.items() if name in rows.table.marks}
        tables[table] = Table(frame, marks)
        schemas.append(schema[table].only([key, *columns]))
    return Dataset(tables, Schema(tuple(schemas)), rows.native)


def completed(data: Dataset, schema: Schema, plan: RecordsPlan) -> tuple[Dataset, set[str]]:
    """The data set with every table and column of the schema, and the static fields that it knew nothing of.

    Raises
    ------
    ParameterError : a table of events is there, but not with all of its columns.
    """
    named = {table.name for table in data.schema.tables}
    absent = {own.name for own in plan.static if own.table not in named or own.column not in data.schema[own.table]}
    if not absent and all(own.name in named for own in plan.events):
        needed = {own.name: own for own in plan.events}
        for table in data.schema.tables:
            _whole(table, schema, needed)
        return data, absent
    tables: dict[str, Table] = {}
    schemas: list[TableSchema] = []
    for table in schema.tables:
        if table.form is Form.REFERENCE:
            continue
        if table.name not in named:
            tables[table.name] = parse_table(pd.DataFrame(columns=table.names, dtype=object), table)
            schemas.append(table)
            continue
        own = data.tables[table.name]
        if plan.place(table.name) >= 0 and len(own):
            _whole(data.schema[table.name], schema, {table.name: None})
        lost = [column for column in table if column.name not in data.schema[table.name]]
        texts = pd.DataFrame({c.name: np.full(len(own), (c.missing or (EMPTY,))[0].value, dtype=object) for c in lost})
        empty = TableSchema(table.name, tuple(_may_miss(c) for c in lost))
        made = parse_table(texts, empty) if lost else Table(pd.DataFrame(index=pd.RangeIndex(len(own))))
        columns = {c.name: (made if c in lost else own).frame[c.name] for c in table}
        tables[table.name] = Table(pd.DataFrame(columns), {**own.marks, **made.marks})
        schemas.append(table)
    return Dataset(tables, Schema(tuple(_alone(table, schemas) for table in schemas)), data.native), absent


def _may_miss(column: Column) -> Column:
    return column if column.missing else replace(column, missing=(EMPTY,))


def _alone(table: TableSchema, tables: list[TableSchema]) -> TableSchema:
    """The table without foreign keys to tables that are not there."""
    names = {own.name for own in tables}
    return replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.table in names))


def _whole(table: TableSchema, schema: Schema, needed: Mapping[str, Any]) -> None:
    if table.name not in needed:
        return
    lost = [c.name for c in schema[table.name].learned if c.name not in table]
    if lost:
        raise ParameterError(
            f"Table {table.name!r} has no column {', '.join(map(repr, lost))}, which the model learned. Give all of its columns."
        )


def with_rows(tokens: Tokens, codec: TableCodec, plan: RecordsPlan, rng: np.random.Generator) -> Tokens:
    """Static tokens in which those who have a table have its cells: the missing code that means "no such table" is drawn anew."""
    out, names = tokens, codec.layout.names
    for table in plan.presences:
        own = codec.fields_[names.index(presence(table))]
        assert isinstance(own, LevelCodec)
        yes = np.array([False] * own.n_missing + [level == "yes" for level in own.levels])[tokens[:, names.index(presence(table))]]
        for column in plan.of_table(table):
            place = names.index(column.name)
            absent = codec.fields_[place].n_missing - 1
            lost = np.flatnonzero(yes & (out[:, place] == absent))
            weights = np.where(codec.emitted(place), codec.counts_[place], 0).astype(float)
            weights[absent] = 0
            if len(lost) and weights.sum():
                out = out.copy() if out is tokens else out
                out[lost, place] = rng.choice(len(weights), size=len(lost), p=weights / weights.sum())
    return out

