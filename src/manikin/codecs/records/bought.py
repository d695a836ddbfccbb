"""What a codec of linked tables learns under a privacy ledger: counts of rows, units of time, columns, and numbers on their codes' scales.

The structure is public (`public_plan`); everything else is bought for shares of the ledger's precision. Opens no seal: private tables are
handed changes that treat each patient by herself, and what comes out is counted by `privacy.mechanisms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.base import Tokens
from manikin.codecs.bought.cells import points
from manikin.codecs.bought.fit import Bought, buy, public_facts
from manikin.codecs.bought.histograms import CLEAR
from manikin.codecs.records.base import Records
from manikin.codecs.records.bought_by_code import buy_by_code
from manikin.codecs.records.clock import NEVER, Clock
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.event_codec import EventCodec, drawing_order
from manikin.codecs.records.flatten import event_table, static_table
from manikin.codecs.records.lengths import LENGTHS, length_class
from manikin.codecs.records.plan import ANCHOR, EventPlan, RecordsPlan, links_of, patient_key
from manikin.codecs.records.planning import DAY, form_of, start_of
from manikin.codecs.records.public_plan import UNITS, public_clock, public_plan, readable
from manikin.codecs.records.references import references_of
from manikin.codecs.records.sequence import Rows, Timeline, lay_out
from manikin.codecs.table import TableCodec
from manikin.data.cells import column_texts, parse_table
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import FitError
from manikin.data.schema import Column, Form, Kind, Schema, Source, TableSchema
from manikin.privacy import mechanisms
from manikin.privacy.ledger import COUNT_SHARE, Ledger
from manikin.privacy.sealed import EVENTS, EVERYBODY, PrivateDataset, PrivateRecords

Floats = npt.NDArray[np.float64]
BY = "RecordsCodec"
FINER = 0.02  # share of a table's rows that must need a finer unit of time for it to have that
N_RANKS = 16  # of a number by a code


@dataclass(frozen=True)
class Shares:
    """Parts of the ledger's precision.

    Attributes
    ----------
    lengths : how many rows of each table patients have. units : of times. static, events : levels, ranges and counts of columns.
    by_code : numbers on their codes' scales.
    """

    lengths: float
    units: float
    static: float
    events: float
    by_code: float

    def times(self, share: float) -> Shares:
        """The same parts of a share of it."""
        return Shares(*(share * getattr(self, own.name) for own in fields(self)))


SHARES = Shares(lengths=0.1, units=0.01, static=0.14, events=0.35, by_code=0.12)


@dataclass(frozen=True)
class Counts:
    """How many rows there are, as bought.

    Attributes
    ----------
    tables : the tables of events that have rows. counts : float64 (n_tables, len(LENGTHS)), patients of each class, noisy.
    noise : standard deviation of each count. rows : by table the rows behind the seal and the variance of that.
    numbers : by table, for each number by a code the rows of its tokens beside each token of the code, (n_code_tokens, n_tokens).
    """

    tables: tuple[str, ...]
    counts: Floats
    noise: float
    rows: Mapping[str, tuple[float, float]]
    numbers: Mapping[str, tuple[Floats, ...]] = field(default_factory=dict)


def as_readable(data: Dataset) -> Dataset:
    """Linked tables whose cells are read each by itself, as `readable` says; what was read otherwise is read anew from its texts."""
    schema, tables = readable(data.schema), dict(data.tables)
    for table in schema.tables:
        own = data.schema[table.name]
        if table == own:
            continue
        texts = pd.DataFrame({c.name: column_texts(data.tables[table.name], own[c.name]) for c in table}, columns=table.names, dtype=object)
        tables[table.name] = parse_table(texts.where(texts.notna(), ""), table, where=f"Table {table.name!r}")
    return Dataset(tables, schema, data.native)


def buy_records(codec: RecordsCodec, private: PrivateRecords, ledger: Ledger, shares: Shares) -> Counts:
    """Buys everything that a codec knows, which is then fitted; gives how many rows there are.

    Raises
    ------
    FitError : no table has rows, or in none of a table's columns does anything stand clear of the noise.
    BudgetError : the ledger does not allow it.
    """
    schema = private.schema
    counted = _buy_lengths(private, schema, ledger, shares.lengths)
    units = _buy_units(private, schema, counted, ledger, shares.units)
    plan = public_plan(schema, counted.tables, units)
    flat = private.tables(lambda data: _flat_tables(data, plan))
    n_columns = {own.name: len(flat[own.name].columns.learned) for own in plan.events}
    n_lists = sum(n_columns.values()) + len(flat[EVERYBODY].columns.learned)
    lists = len(flat[EVERYBODY].columns.learned) / n_lists
    static = TableCodec(max_tokens=codec.max_tokens, max_codes=codec.max_codes)
    rules = static.take_bought(_bought(codec, flat[EVERYBODY], ledger, shares.static, lists), private.native)
    assert not rules, "no declared rule comes so far"
    codecs, found, numbers = [], {}, {}
    of_by = sum(len(own.by) for own in plan.events)
    tables_of_nobody = dict(private.of_nobody)
    for own in plan.events:
        share = n_columns[own.name] / sum(n_columns.values())
        lists = n_columns[own.name] / n_lists
        bought = _bought(codec, flat[own.name], ledger, share * shares.events, lists, counted.rows[own.name])
        measured = {name for name, _ in own.by}
        table = TableCodec(max_tokens=codec.max_tokens, max_codes=codec.max_codes)
        table.take_bought(bought.only([c.name for c in bought.schema.learned if c.name not in measured]), private.native)
        precision = shares.by_code * ledger.precision / max(of_by, 1)
        by = [buy_by_code(flat[own.name], table, bought, pair, ledger, precision=precision, n_ranks=N_RANKS, by=BY) for pair in own.by]
        numbers[own.name] = tuple(rows for _, rows in by)
        found[own.name] = bought.schema
        references = references_of(own.name, schema, tables_of_nobody)
        codecs.append(EventCodec(own, table, tuple(one for one, _ in by), drawing_order(table, own), references))
    codec.native_, codec.plan_, codec.static_, codec.events_ = private.native, plan, static, tuple(codecs)
    codec.references_ = tables_of_nobody
    codec.schema_ = _described(schema, plan, static.schema_, found)
    codec.take_layout()
    ledger.public |= _public(schema, [flat[name].columns for name in flat], counted)
    return replace(counted, numbers=numbers)


def _bought(
    codec: RecordsCodec,
    table: PrivateDataset,
    ledger: Ledger,
    share: float,
    lists: float,
    rows: tuple[float, float] | None = None,
) -> Bought:
    return buy(
        table, ledger, share=share, max_tokens=codec.max_tokens, max_codes=codec.max_codes, by=BY, lists=lists * (1 - 1e-9), known_rows=rows
    )


# how many rows, and when


def event_names(schema: Schema) -> list[str]:
    """The tables of events, parents first."""
    return [table.name for table in schema.of_patients if form_of(table, schema).is_sequence]


def rows_by_patient(data: Dataset, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """How many rows of each table each patient has, int64 (n_patients, n_tables)."""
    return np.column_stack([np.bincount(data.owners[name], minlength=data.n_records) for name in names]).astype(np.int64)


def _buy_lengths(private: PrivateRecords, schema: Schema, ledger: Ledger, share: float) -> Counts:
    names = event_names(schema)
    if not names:
        raise FitError("No table holds events, so that there is nothing to learn beside the patients' own. Make one flat table of them.")
    cells = private.map(
        lambda data: {EVERYBODY: (length_class(rows_by_patient(data, names)), np.arange(data.n_records))}
    )[EVERYBODY]
    precision = share * ledger.precision
    answers = mechanisms.noisy_counts(
        cells, [len(LENGTHS)] * len(names), ledger, precision=precision, purpose="patients by how many rows of a table they have",
        columns=names, by=BY,
    )
    noise = mechanisms.noise_of(ledger, precision, n_tables=len(names))
    counts, n = np.array(answers), float(ledger.n_patients or 1)
    by_number, by_sum = noise**2 + 2.0 / (COUNT_SHARE * ledger.epsilon) ** 2, noise**2 * (len(LENGTHS) - 1)
    variance = min(by_number, by_sum)  # of patients with rows: all but those without, or the sum of the classes
    held = n - counts[:, 0] if by_number <= by_sum else counts[:, 1:].sum(axis=1)
    kept = [i for i in range(len(names)) if held[i] > CLEAR * np.sqrt(variance)]
    if not kept:
        raise FitError(
            f"In no table of events do rows stand clear of the noise: an epsilon of {ledger.epsilon:g} is too little for so few patients "
            "and so many tables. Give a larger one, or fewer tables."
        )
    most = ledger.rows_per_patient
    shares = np.minimum(LENGTHS[1:], most) * np.maximum(counts[:, 1:], 0)
    each = shares.sum(axis=1) / np.maximum(np.maximum(counts[:, 1:], 0).sum(axis=1), 1)  # rows of a patient who has any
    rows = {names[i]: (held[i] * max(each[i], 1.0), variance * max(each[i], 1.0) ** 2) for i in kept}
    return Counts(tuple(names[i] for i in kept), counts[kept], noise, rows)


def _buy_units(private: PrivateRecords, schema: Schema, counted: Counts, ledger: Ledger, share: float) -> dict[str, int]:
    """The unit of the times of each table in ticks: of dates a day, of numbers what the schema says, else bought."""
    clock = public_clock(schema)
    starts = {name: start_of(schema[name], clock) for name in counted.tables}
    out, asked = {}, []
    for name, start in starts.items():
        if start is None:
            out[name] = 1
        elif not clock.is_calendar:
            out[name] = 10 ** (clock.decimals - min(schema[name][start].decimals or 0, 6))
        elif schema[name][start].kind is Kind.DATE:
            out[name] = DAY
        else:
            asked.append(name)
    if not asked:
        return out
    cells = private.map(lambda data: {EVENTS: _unit_cells(data, {name: starts[name] for name in asked}, clock)})[EVENTS]
    precision = share * ledger.precision
    purpose = "in which units times are written"
    answer = mechanisms.noisy_counts(
        cells, [len(UNITS) * len(asked)], ledger, precision=precision, purpose=purpose, columns=[f"{n}.{starts[n]}" for n in asked], by=BY
    )[0].reshape(len(asked), len(UNITS))
    least = ledger.rows_per_patient + CLEAR * mechanisms.noise_of(ledger, precision)
    for name, rows in zip(asked, answer, strict=True):
        needed = [i for i in range(len(UNITS)) if rows[i] > max(least, FINER * np.maximum(rows, 0).sum())]
        out[name] = UNITS[needed[-1] if needed else UNITS.index(DAY) + 2]  # nothing stands clear: minutes
    return out


def _unit_cells(data: Dataset, starts: Mapping[str, str | None], clock: Clock) -> tuple[npt.NDArray[np.int64], Rows]:
    """For each row of all tables, patient by patient, the unit that its time needs, and its place among the rows of all tables."""
    cells, places, owners, at = [], [], [], 0
    for table in data.schema.of_patients:
        n = len(data.tables[table.name])
        start = starts.get(table.name)
        if start is not None:
            ticks = clock.ticks(data.tables[table.name].frame[start])
            finest = np.full(n, len(UNITS) - 1)
            for i in reversed(range(len(UNITS))):
                finest[ticks % UNITS[i] == 0] = i
            i_table = list(starts).index(table.name)
            cells.append(np.where(ticks == NEVER, mechanisms.NOWHERE, i_table * len(UNITS) + finest))
            places.append(at + np.arange(n))
            owners.append(data.owners[table.name])
        at += n
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(cells).astype(np.int64)[order], np.concatenate(places).astype(np.int64)[order]


# flat tables


def timeline_of(data: Dataset, plan: RecordsPlan) -> Timeline:
    """The events of all patients in order."""
    tables = [data.schema[own.name] for own in plan.events]
    links = {t.name: [(n, parent.name) for n, parent in links_of(t, data.schema)] for t in tables}
    return lay_out(data, tables, {own.name: own.start for own in plan.events}, links, plan.clock)


def _flat_tables(data: Dataset, plan: RecordsPlan) -> dict[str, tuple[Dataset, Rows]]:
    timeline = timeline_of(data, plan)
    patients, _ = static_table(data, plan, timeline.anchor)
    computed = {ANCHOR, *(own.name for own in plan.static if own.moment is not None)}
    out = {EVERYBODY: (_declared(patients, computed), np.arange(data.n_records))}
    for own in plan.events:
        rows, events = event_table(data, plan, own, timeline)
        places = timeline.row[events]
        rows = _declared(rows, computed_of(own))
        out[own.name] = _with_numbers(rows, data.tables[own.name].take(places), data.schema[own.name], own), places
    return out


def computed_of(own: EventPlan) -> set[str]:
    """The fields that are made of times and references and are in no cell as they are."""
    return {own.gap, *(link.name for link in own.links if link.is_drawn), *(moment.name for moment in own.moments)}


def _declared(rows: Dataset, computed: set[str]) -> Dataset:
    """The kinds of computed columns are known beforehand."""
    schema = rows.columns
    for column in schema:
        if column.name in computed:
            missing = tuple(replace(code, source=Source.DECLARED) for code in column.missing)
            schema = schema.replace_column(replace(column, source=replace(column.source, kind=Source.DECLARED), missing=missing))
    return replace(rows, tables={schema.name: rows.table}, schema=Schema((schema,)))


def _with_numbers(rows: Dataset, table: Table, schema: TableSchema, own: EventPlan) -> Dataset:
    """The flat rows with the numbers by a code behind their other columns."""
    if not own.by:
        return rows
    names = [name for name, _ in own.by]
    frame = rows.table.frame.assign(**{name: table.frame[name] for name in names})
    marks = {**rows.table.marks, **{name: table.marks[name] for name in names if name in table.marks}}
    columns = (*rows.columns, *(replace(schema[name], by=None) for name in names))
    flat = replace(rows.columns, columns=columns)
    return replace(rows, tables={flat.name: Table(frame, marks)}, schema=Schema((flat,)))


# records as the bought codec reads them


def read_records(codec: RecordsCodec, data: Dataset) -> tuple[Records, Timeline]:
    """The tokens of linked tables as a seal hides them, each patient by herself."""
    plan = codec.plan_
    timeline = timeline_of(data, plan)
    patients, _ = static_table(data, plan, timeline.anchor)
    assert codec.static_ is not None
    static = codec.static_.read_rows(patients)
    out = np.zeros((len(timeline.table), codec.layout.width), dtype=np.int32)
    for own, event in zip(plan.events, codec.events_, strict=True):
        rows, events = event_table(data, plan, own, timeline)
        places = timeline.row[events]
        tokens = _event_tokens(_with_numbers(rows, data.tables[own.name].take(places), data.schema[own.name], own), event)
        out[events, : tokens.shape[1]] = tokens
    times = np.zeros(len(timeline.table))
    return Records(static, timeline.starts, timeline.table, out, times), timeline


def _event_tokens(rows: Dataset, event: EventCodec) -> Tokens:
    flat = event.flat.read_rows(rows)
    out = np.empty((len(flat), event.n_fields), dtype=np.int32)
    for place, i in enumerate(event.fields.tolist()):
        if i >= 0:
            out[:, place] = flat[:, i]
            continue
        name, code = event.plan.by[-1 - i]
        own = event.by[-1 - i]
        at, _ = points(rows, rows.columns[name], (), float(own.step.min()), 0)
        values = at * float(own.step.min())
        mark = np.isnan(values).astype(np.int8)
        field = next(s.start for c, s in zip(event.flat.schema_.learned, event.flat.spans_, strict=True) if c.name == code)
        out[:, place] = own.encode(np.where(mark > 0, np.nan, values), mark, flat[:, field])
    return out


# what is told


def _described(schema: Schema, plan: RecordsPlan, static: TableSchema, found: Mapping[str, TableSchema]) -> Schema:
    """The linked schema with each learned column as it was bought; times of rows and numbers by a code keep their kinds."""
    tables = []
    for table in schema.tables:
        for own in plan.static:
            if own.table == table.name:
                table = table.replace_column(_known(table[own.column], static[own.name], is_time=own.moment is not None))
        if table.name in found:
            event = plan.event(table.name)
            times = {event.start, *(moment.name for moment in event.moments)}
            for column in table:
                flat = event.gap if column.name == event.start else column.name
                if flat in found[table.name]:
                    table = table.replace_column(_known(column, found[table.name][flat], is_time=column.name in times))
            by = dict(event.by)
            for name, code in by.items():
                table = table.replace_column(replace(table[name], by=code))
        tables.append(table)
    return Schema(tuple(tables))


def _known(column: Column, bought: Column, *, is_time: bool) -> Column:
    """The column as bought; of a time the missing codes alone, since what was bought is its distance from another."""
    if is_time:
        return replace(column, missing=bought.missing)
    return replace(bought, name=column.name, roles=column.roles, storage=_storage(column, bought))


def _storage(column: Column, bought: Column) -> Any:
    return column.storage if column.source.kind is Source.DECLARED and column.kind.is_discrete else bought.storage


def _public(schema: Schema, flat: Sequence[TableSchema], counted: Counts) -> dict[str, object]:
    """What was taken as public, for whoever reads the ledger."""
    facts = [public_facts(table, []) for table in flat]
    tables = {}
    for table in schema.of_patients:
        tables[table.name] = {
            "form": str(form_of(table, schema)),
            "patient key": patient_key(table),
            "primary key": list(table.primary_key),
            "refers to": [f"{'+'.join(key.columns)} -> {key.table}" for key in table.foreign_keys],
            "start": table.start,
            "end": table.end,
            "numbers by a code": [f"{c.name} by {c.by}" for c in table if c.by is not None],
        }
    return {
        "tables": tables,
        "tables of nobody": [table.name for table in schema.tables if table.form is Form.REFERENCE],
        "tables left out, in which no rows stand clear": [name for name in event_names(schema) if name not in counted.tables],
        "facts declared": [text for own in facts for text in own["facts declared"]],  # type: ignore[attr-defined]
    }
