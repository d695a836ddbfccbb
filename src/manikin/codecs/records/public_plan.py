"""What may be taken of linked tables under a privacy budget without paying: their structure. By it they are read and laid out.

Structure is what a person says of the tables in a schema: names, forms, keys and references, which column is the time of a row and how
times and keys are written, what a number is measured `by`, and declared facts. Where the plan of a data set that is learned without a
budget rests on its rows (units, what never changes, who outlives what), a public rule stands here instead. Knows no row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from manikin.codecs.bought.fit import bare, read_as_texts
from manikin.codecs.numbers import MICROSECONDS
from manikin.codecs.records.clock import Clock, days_of
from manikin.codecs.records.lengths import MOST_ROWS
from manikin.codecs.records.plan import (
    EventPlan,
    FreshKey,
    Link,
    Moment,
    RecordsPlan,
    StaticColumn,
    key_columns,
    learned_columns,
    links_of,
    patient_key,
    reference_columns,
)
from manikin.codecs.records.planning import DAY, form_of, start_of, static_tables
from manikin.data.cells import UNREADABLE
from manikin.data.errors import BudgetError, SchemaError
from manikin.data.rules import UniqueRule
from manikin.data.schema import EMPTY, Column, Form, Kind, Role, Schema, Source, Storage, TableSchema

KEY_BASE = 10**9  # where keys made anew begin: no number of the data says so
STRIDE = 10 ** len(str(10 * MOST_ROWS))
UNITS = tuple(MICROSECONDS[name] for name in ("day", "hour", "minute", "second"))  # of times, coarse to fine


def readable(schema: Schema) -> Schema:
    """The schema by which linked tables are read before they are sealed: every cell by itself, whatever others hold.

    Keys, times of rows, dates of birth and death, and numbers `by` a code are read as the schema says, other columns as texts unless a
    person declared their kind. Tables of nobody are public and stay as they are.

    Raises
    ------
    BudgetError : the structure is one that cannot be learned under a budget; the message names the table.
    """
    return Schema(tuple(t if t.form is Form.REFERENCE else _readable(t, schema) for t in _checked(schema)))


def _checked(schema: Schema) -> tuple[TableSchema, ...]:
    for table in schema.of_patients:
        if patient_key(table) is None:
            raise BudgetError(
                f"Table {table.name!r} names its patients through another table only. Under a privacy budget each table needs a "
                "column with the role patient_key: add it to the table."
            )
        for rule in table.confirmed_rules:
            if rule.source == Source.DECLARED and not isinstance(rule, UniqueRule):
                raise BudgetError(
                    f"The declared {rule.about} of table {table.name!r} cannot be kept under a privacy budget yet. Take it out."
                )
    statics = static_tables(schema)
    if len(statics) > 1:
        raise BudgetError(
            f"The tables {statics[0].name!r} and {statics[1].name!r} are both static. Under a privacy budget one may be: put the columns "
            'of the others into it, or say form = "events".'
        )
    return schema.tables


def _readable(table: TableSchema, schema: Schema) -> TableSchema:
    keys, codes = key_columns(table, schema) | set(_counter(table, schema)), _codes(table, schema)
    columns = []
    for column in table:
        if column.name in keys or (not column.kind.is_learned and column.name not in codes):
            columns.append(_key(column) if column.name in keys else replace(bare(column), storage=column.storage))
        elif column.name in codes:
            kind = column.kind if column.kind is Kind.CODE else Kind.CATEGORICAL
            facts: dict[str, Any] = {"levels": column.levels if column.has_public_levels else None, "decimals": None, "significant": None}
            own = replace(column, kind=kind, storage=_code_storage(column), minimum=None, maximum=None, by=None, **facts)
            columns.append(read_as_texts(replace(own, source=replace(own.source, kind=Source.DECLARED))))
        elif is_structural(column, table):
            columns.append(_as_structure(column))
        else:
            columns.append(replace(read_as_texts(column), by=None))
    rules = tuple(rule for rule in table.confirmed_rules if rule.source == Source.DECLARED)
    return replace(table, columns=tuple(columns), rules=rules, notes=())


def _codes(table: TableSchema, schema: Schema) -> set[str]:
    """Columns that name something: keys of tables of nobody, and what numbers are `by`."""
    return (reference_columns(table, schema) | {c.by for c in table if c.by is not None}) - key_columns(table, schema)


def _code_storage(column: Column) -> Storage:
    return column.storage if column.storage in (Storage.INTEGER, Storage.TEXT) else Storage.TEXT


def is_structural(column: Column, table: TableSchema) -> bool:
    """Whether a column's kind counts as structure: the times of rows, of births and deaths, and numbers `by` a code."""
    is_time = column.name in (table.start, table.end) and (column.kind.is_time or column.kind.is_number)
    is_date = column.kind.is_time and (column.has_role(Role.BIRTH) or column.has_role(Role.DEATH))
    return is_time or is_date or (column.by is not None and column.kind.is_number)


def _as_structure(column: Column) -> Column:
    """A column of times or of numbers by a code, whose cells that are none are empty; of numbers by a code the decimals are bought."""
    declared = tuple(code for code in column.missing if code.source is Source.DECLARED and code.value != "")
    empty = next((code for code in column.missing if code.source is Source.DECLARED and code.value == ""), UNREADABLE)
    facts: dict[str, Any] = {} if column.by is None else {"decimals": None, "significant": None, "storage": Storage.REAL}
    if column.source.range is not Source.DECLARED:
        facts |= {"minimum": None, "maximum": None}
    source = replace(column.source, kind=Source.DECLARED)
    return replace(column, missing=(empty, *declared), source=source, notes=(), suggested_missing=(), **facts)


def _key(column: Column) -> Column:
    """A key as it is written; an empty cell is no key."""
    return replace(column, missing=(EMPTY,), levels=None, minimum=None, maximum=None, notes=(), suggested_missing=(), min_patients=None)


def public_plan(schema: Schema, tables: Collection[str], units: Mapping[str, int]) -> RecordsPlan:
    """The plan of tables that were read by `readable`.

    Parameters
    ----------
    tables : the tables of events that have rows, as bought. units : of the times of each of them, in ticks, as bought.

    Raises
    ------
    SchemaError : a row refers to a row of its own table.
    """
    known = [table for table in schema.of_patients if form_of(table, schema).is_sequence and table.name in tables]
    clock = public_clock(schema)
    events = tuple(_event(table, schema, clock, units[table.name], {t.name for t in known}) for table in known)
    static = tuple(
        StaticColumn(table.name, column.name, column.name, _static_moment(column, clock))
        for table in static_tables(schema)
        for column in learned_columns(table, schema, set())
    )
    deaths = tuple(own.name for own in static if own.moment is not None and schema[own.table][own.column].has_role(Role.DEATH))
    events = tuple(replace(own, outlives=not deaths) for own in events)
    keys = tuple(key for table in schema.of_patients for key in _fresh(table, schema, events))
    held = tuple(table.name for table in static_tables(schema))
    bound = deaths[0] if deaths else ""
    return RecordsPlan(clock, events, static, held, (), keys, has_anchor=True, bound=bound, bounds=deaths)


def public_clock(schema: Schema) -> Clock:
    """A calendar where any table of events starts at dates, else numbers with the decimals that the schema names."""
    starts = [(table, table[table.start]) for table in schema.of_patients if form_of(table, schema).is_sequence and table.start is not None]
    if any(column.kind.is_time for _, column in starts) or not starts:
        return Clock(is_calendar=True, decimals=0, anchor_unit=DAY, days_per_tick=1 / DAY)
    ends = [table[table.end] for table, _ in starts if table.end is not None and table[table.end].kind.is_number]
    decimals = [min(column.decimals or 0, 6) for column in [*(column for _, column in starts), *ends]]
    most = max(decimals, default=0)
    return Clock(is_calendar=False, decimals=most, anchor_unit=10 ** (most - min(decimals)), days_per_tick=days_of(starts[0][1]) / 10**most)


def _event(table: TableSchema, schema: Schema, clock: Clock, unit: int, known: set[str]) -> EventPlan:
    start = start_of(table, clock)
    links = []
    for number, parent in links_of(table, schema):
        if parent.name == table.name:
            raise SchemaError(
                f"Rows of table {table.name!r} refer to rows of the same table. Under a privacy budget that cannot be learned: take the "
                "foreign key out of the schema."
            )
        is_row = parent.name in known
        has_none = is_row or form_of(parent, schema).is_sequence
        links.append(Link(number, parent.name, "+".join(table.foreign_keys[number].columns), is_row, has_none))
    names = [link.name for link in links]
    links = [link if names.count(link.name) == 1 else replace(link, name=f"{link.name} ({link.parent})") for link in links]
    moments = tuple(
        Moment(column.name, DAY if column.kind is Kind.DATE else unit, is_after=column.name == table.end)
        for column in sorted(table, key=lambda column: column.name != table.end)
        if column.name != start and is_structural(column, table) and column.by is None and _is_on(column, table, clock)
    )
    codes = {c.by for c in table if c.by is not None}
    by = tuple((c.name, c.by) for c in table if c.by is not None and c.kind.is_number and table[c.by].kind.is_discrete)
    return EventPlan(
        table.name,
        start,
        unit,
        has_before=False,
        moments=moments,
        links=tuple(_through(links, schema)),
        codes=(),
        by=tuple((number, code) for number, code in by if code in codes),
        moved=(),
        counters=(counter := _counter(table, schema)),
        counts_from=tuple(1 for _ in counter),
    )


def _is_on(column: Column, table: TableSchema, clock: Clock) -> bool:
    """Whether a time is one of the clock: a date on a calendar, the end of rows on a clock of numbers."""
    return column.kind.is_time if clock.is_calendar else column.name == table.end and column.kind.is_number


def _through(links: list[Link], schema: Schema) -> list[Link]:
    """A link whose parent's table another parent refers to leads where that one does, as a stay is of its row's admission."""
    out = []
    for link in links:
        for other in links:
            if other is link or not (link.is_row and other.is_row):
                continue
            for number, parent in links_of(schema[other.parent], schema):
                if parent.name == link.parent and link.via < 0:
                    link = replace(link, via=other.number, of=number)
        out.append(link)
    return out


def _counter(table: TableSchema, schema: Schema) -> tuple[str, ...]:
    """The number of a composite key that is no other key: it numbers the rows below the rest of it."""
    keys = key_columns(table, schema)
    rest = [name for name in table.primary_key if name not in keys]
    is_one = len(rest) == 1 and len(table.primary_key) > 1 and table[rest[0]].kind.is_number and rest[0] != table.start
    return tuple(rest) if is_one else ()


def _static_moment(column: Column, clock: Clock) -> Moment | None:
    is_dated = column.kind.is_time and clock.is_calendar and column.source.kind is Source.DECLARED
    return Moment(column.name, DAY) if is_dated else None


def _fresh(table: TableSchema, schema: Schema, events: tuple[EventPlan, ...]) -> list[FreshKey]:
    own = next((plan for plan in events if plan.name == table.name), None)
    linked = {n for number, _ in links_of(table, schema) for n in table.foreign_keys[number].columns} - {patient_key(table)}
    made = (key_columns(table, schema) - linked) | {c.name for c in table if c.kind is Kind.IDENTIFIER and c.name not in linked}
    made -= reference_columns(table, schema)
    out = []
    for column in table:
        if column.name in made and not (own and column.name in own.counters):
            is_patient = column.has_role(Role.PATIENT_KEY)
            out.append(FreshKey(table.name, column.name, KEY_BASE, 1 if is_patient or own is None else STRIDE))
    return out
