"""The schema of linked tables as a release may show it: no rare level, no extreme of few patients, no note. Knows no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from manikin.codecs.levels import LevelCodec
from manikin.codecs.public_schema import ColumnCodec, neutral_codes, public_rule
from manikin.codecs.records.event_codec import EventCodec, by_column
from manikin.codecs.records.plan import RecordsPlan, key_columns, released_columns
from manikin.codecs.records.told import LISTED
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.data.schema import EMPTY, Column, Form, Schema, Source


def public_tables(
    schema: Schema, plan: RecordsPlan, static: TableCodec | None, events: Sequence[EventCodec], *, is_whole: bool = False
) -> Schema:
    """All tables: those of patients cut down to what may be shown, those of nobody without notes.

    `is_whole` keeps the columns that a release leaves out, as a model's own folder names them.
    """
    by_table = {codec.plan.name: _codecs(codec.flat) for codec in events}
    codes = {codec.plan.name: {c.name: c for c in codec.flat.schema_} for codec in events}
    if static is not None:
        own, fields = _codecs(static), {c.name: c for c in static.schema_}
        for column in plan.static:
            by_table.setdefault(column.table, {})[column.column] = own[column.name]
            codes.setdefault(column.table, {})[column.column] = fields[column.name]
    numbers = {codec.plan.name: {name for name, _ in codec.plan.by} for codec in events}
    out = []
    for table in schema.tables:
        if table.form is Form.REFERENCE:
            out.append(replace(table, notes=(), columns=tuple(replace(c, notes=(), suggested_missing=()) for c in table)))
            continue
        mine, known = by_table.get(table.name, {}), codes.get(table.name, {})
        keys = key_columns(table, schema)
        said = [told for event in plan.events if event.name == table.name for told in event.told]
        shown = {told.column: told.says for told in said if told.how == LISTED}
        shown |= {name: codec.levels for name, codec in mine.items() if isinstance(codec, LevelCodec)}
        columns = [
            _public_column(by_column(c) if c.name in numbers.get(table.name, ()) else c, shown.get(c.name, ()), known.get(c.name), keys)
            for c in table
        ]
        rules = tuple(kept for rule in table.confirmed_rules if (kept := public_rule(rule, mine)) is not None)
        whole = replace(table, columns=tuple(columns), rules=rules, notes=())
        out.append(whole if is_whole else whole.only(released_columns(table, schema)))
    return Schema(tuple(out))


def neutral_told(schema: Schema, plan: RecordsPlan, data: Dataset) -> Schema:
    """The schema without rare missing codes in columns that other cells say: no codec of fields takes them out."""
    tables = {table.name: table for table in schema.tables}
    for own in plan.events:
        for column in (tables[own.name][told.column] for told in own.told if not told.has_field):
            mark, k = data.tables[own.name].mark(column.name), tables[own.name].threshold(column)
            codes = neutral_codes(column, mark, data.owners[own.name], k)
            if codes != column.missing:
                tables[own.name] = tables[own.name].replace_column(replace(column, missing=codes))
    return Schema(tuple(tables.values()))


def _codecs(codec: TableCodec) -> dict[str, ColumnCodec]:
    return dict(zip((c.name for c in codec.schema_.learned), codec.columns_, strict=True))


def _public_column(column: Column, shown: Sequence[str], flat: Column | None, keys: set[str]) -> Column:
    """A column without extremes, levels other than those shown, notes, and rare texts of missing codes."""
    if column.source.range is not Source.DECLARED:
        column = replace(column, minimum=None, maximum=None)
    if column.levels is not None and not column.has_public_levels:
        column = replace(column, levels=tuple(level for level in column.levels if level in shown) if shown else None)
    if column.name in keys and not column.missing:
        column = replace(column, missing=(EMPTY,))
    if flat is not None and column.missing:
        column = replace(column, missing=flat.missing[: len(column.missing)])
    elif flat is not None and column.kind.is_discrete and flat.missing == (EMPTY,):  # nothing of it may be shown: it comes out empty
        column = replace(column, missing=(EMPTY,))
    return replace(column, notes=(), suggested_missing=())


