"""One row a patient: what stays the same, and counts, times and numbers of what happened to her. Knows no metric.

With it whatever judges rows of a flat table judges whole patients. Columns are fixed by train alone, at most about 150: columns of static
tables, columns of other tables that never change within a patient, rows and spans of each table, and then, of each code and each measured
number, statistics in the order of how many train patients have them. A code or level that fewer train patients have than its schema's
threshold has no column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.schema import Column, Form, Kind, Role, Storage, TableSchema
from manikin.evaluation.records.history import History, history
from manikin.evaluation.records.times import DAY_IN_US, Times, times
from manikin.evaluation.records.vocabulary import (
    Item,
    Measure,
    Vocabulary,
    key_columns,
    sequences,
    tables_of_patients,
    vocabulary,
)

Floats = npt.NDArray[np.float64]
PATIENT = "(patient)"
NAME = "patients"
MAX_COLUMNS = 150
LEAST_SHARE = 0.01  # of train patients who have a code or a number that has columns
OF_ITEM = {"count": 1.0, "first time": 0.5}  # how much a statistic is worth against others of equally frequent things
OF_MEASURE = {"mean": 0.95, "last": 0.85, "first": 0.75, "min": 0.65, "max": 0.6}
DAYS_IN_YEAR = 365.25


@dataclass(frozen=True)
class Fixed:
    """A column that a patient has one value of: where it stands, and whether it is taken as days from her anchor, or as her age at it."""

    table: str
    source: Column
    column: Column
    as_days: bool = False


@dataclass(frozen=True)
class Told:
    """A column of the summary that is computed: a statistic of a table, an item or a measure."""

    column: Column
    statistic: str
    table: str = ""
    item: Item | None = None
    measure: Measure | None = None

    @property
    def place(self) -> str:
        """Table, column and statistic: what the column is of without the code or level that its name holds."""
        of = self.item or self.measure
        if of is None:
            return self.column.name
        return f"{of.table}.{of.column}, {self.statistic}" if of.column else f"{of.table}, {self.statistic}"


@dataclass(frozen=True)
class Plan:
    """The columns of the summary, fixed by train."""

    tables: tuple[TableSchema, ...]
    fixed: tuple[Fixed, ...]
    told: tuple[Told, ...]
    schema: TableSchema
    known: Vocabulary

    def column_of(self, target: str | None) -> str | None:
        """The summary's column of a target, named "column" or "table.column"; None where it has none."""
        if target is None:
            return None
        named = [f for f in self.fixed if target in (f.source.name, f"{f.table}.{f.source.name}")]
        return named[0].column.name if named else None


def per_patient(
    data: Dataset,
    like: Plan | Dataset,
    *,
    side: str = "patient",
    events: History | None = None,
) -> Dataset:
    """The summary of linked patients, a flat data set of one row a patient, in the order of their numbers.

    Parameters
    ----------
    data : linked patients.
    like : the plan, or the train patients that it is made from.
    side : stands before the record's number in the key, so that keys of different sides differ.
    events : the patients' events by the plan's vocabulary, where they are known.
    """
    plan = like if isinstance(like, Plan) else planned(like, tables_of_patients(like.schema))
    of = history(data, plan.known) if events is None else events
    when = times(data)
    columns: dict[str, Any] = {PATIENT: np.array([f"{side} {i}" for i in range(data.n_records)], dtype=object)}
    marks: dict[str, npt.NDArray[np.int8]] = {}
    for fixed in plan.fixed:
        columns[fixed.column.name], mark = _fixed(data, fixed, when)
        if mark.any():
            marks[fixed.column.name] = mark
    columns |= _told(of, plan, when, columns)
    return flat(Table(pd.DataFrame(columns, index=pd.RangeIndex(data.n_records)), marks), plan.schema)


def planned(
    train: Dataset,
    tables: Sequence[TableSchema],
    *,
    target: str | None = None,
    known: Vocabulary | None = None,
    events: History | None = None,
) -> Plan:
    """The plan of a summary by the train patients; `known` and `events` are its vocabulary and its events where they are known."""
    words = vocabulary(tables, [train]) if known is None else known
    of = history(train, words) if events is None else events
    fixed = tuple(_fixed_columns(train, tables, target))
    told = [*_of_tables(tables, of)]
    taken = {(entry.table, entry.source.name) for entry in fixed}
    told += _follow_up(tables, fixed)
    told += _most_frequent(tables, of, words, taken, MAX_COLUMNS - len(fixed) - len(told))
    key = Column(PATIENT, Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    columns = (key, *(entry.column for entry in fixed), *(entry.column for entry in told))
    least = max((table.min_patients for table in tables), default=1)
    schema = TableSchema(NAME, columns, min_patients=least)
    return Plan(tuple(tables), fixed, tuple(told), schema, words)


def _fixed_columns(train: Dataset, tables: Sequence[TableSchema], target: str | None) -> Iterator[Fixed]:
    """Learned columns of static tables, columns that never change, and the target if it is a column of rows (its last value counts)."""
    found: list[tuple[TableSchema, Column]] = []
    for table in tables:
        keys = key_columns(table)
        asked = {c.name for c in table if target in (c.name, f"{table.name}.{c.name}")}
        for column in table.learned:
            if column.kind is Kind.CODE_SET or column.name in keys | {table.start, table.end}:
                continue
            if table.form is Form.STATIC or column.name in asked or (column.by is None and _is_constant(train, table, column)):
                found.append((table, column))
    names = [column.name for _, column in found]
    dated = _has_dates(tables)
    for table, column in found:
        name = column.name if names.count(column.name) == 1 else f"{table.name}.{column.name}"
        as_days = column.kind.is_time and dated
        yield Fixed(table.name, column, _as_fixed(column, name, as_days), as_days)


def _as_fixed(column: Column, name: str, as_days: bool) -> Column:
    if not as_days:
        return replace(column, name=name, by=None)
    roles = tuple(role for role in column.roles if role in (Role.QUASI_IDENTIFIER, Role.SENSITIVE, Role.TARGET))
    if column.has_role(Role.BIRTH):
        return Column("age at first event", Kind.CONTINUOUS, Storage.REAL, roles=roles, decimals=1, unit="a")
    return Column(f"{name} (days from first event)", Kind.CONTINUOUS, Storage.REAL, roles=roles, decimals=3, unit="d")


def _is_constant(train: Dataset, table: TableSchema, column: Column) -> bool:
    """Whether no train patient has two values of the column, and some have several rows."""
    owner = train.owners[table.name]
    codes = pd.factorize(train.tables[table.name].frame[column.name])[0]
    held = codes >= 0
    n_rows = np.bincount(owner[held], minlength=train.n_records)
    n_pairs = len(np.unique(np.stack([owner[held], codes[held]]), axis=1).T)
    return int((n_rows > 1).sum()) >= 2 and n_pairs == int((n_rows > 0).sum())


def _has_dates(tables: Sequence[TableSchema]) -> bool:
    return any(table.start is not None and table[table.start].kind.is_time for table in sequences(tables))


def _fixed(data: Dataset, fixed: Fixed, when: Times) -> tuple[Any, npt.NDArray[np.int8]]:
    """A patient's one value: that of her last row that has one; and which missing code the cell holds."""
    table, owner = data.tables[fixed.table], data.owners[fixed.table]
    series, name = table.frame[fixed.source.name], fixed.source.name
    held = np.flatnonzero(series.notna().to_numpy())
    start = when.start[fixed.table][held]
    order = held[np.lexsort((np.where(np.isnan(start), -np.inf, start), owner[held]))]
    row = np.full(data.n_records, -1, dtype=np.int64)
    row[owner] = np.arange(len(owner))
    row[owner[order]] = order
    there = row >= 0
    taken = series.take(np.where(there, row, 0)) if len(series) else series.reindex(range(len(row)))
    values: Any = taken.reset_index(drop=True).where(there)
    mark = np.where(there, np.append(table.mark(name), 0)[row], 0).astype(np.int8)
    missing = values.isna().to_numpy()
    mark = np.where(missing, np.maximum(mark, 1), 0).astype(np.int8)
    if fixed.as_days:
        stamps = values.to_numpy(dtype="datetime64[us]")
        days = np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / DAY_IN_US) - when.anchor
        values = np.round(-days / DAYS_IN_YEAR, 1) if fixed.source.has_role(Role.BIRTH) else np.round(days, 3)
        mark = np.isnan(values).astype(np.int8)
    return values, mark


def _of_tables(tables: Sequence[TableSchema], of: History) -> Iterator[Told]:
    """How many rows each table has, over how many days, and how many visits the patient."""
    has_time = bool((~np.isnan(of.time)).any())
    if bool((~np.isnan(of.date)).any()):
        yield Told(Column("first event", Kind.DATE, Storage.TIMESTAMP), "anchor")
    if has_time:
        yield Told(_number("visits", Kind.COUNT), "visits")
        yield Told(_number("days from first to last event"), "span")
    for number, table in enumerate(tables):
        if table not in sequences(tables):
            continue
        yield Told(_number(f"{table.name}: rows", Kind.COUNT), "rows", table.name)
        if bool((~np.isnan(of.time[of.table == number])).any()):
            yield Told(_number(f"{table.name}: first time"), "table first time", table.name)
            yield Told(_number(f"{table.name}: mean gap"), "table gap", table.name)


def _number(name: str, kind: Kind = Kind.CONTINUOUS, decimals: int | None = None) -> Column:
    return Column(name, kind, Storage.REAL, decimals=0 if kind is Kind.COUNT else decimals)


def _most_frequent(
    tables: Sequence[TableSchema], of: History, words: Vocabulary, taken: set[tuple[str, str]], room: int
) -> list[Told]:
    """Statistics of codes, levels and numbers, the most worth first: share of train patients who have it x weight."""
    by_name = {table.name: table for table in tables}
    least = LEAST_SHARE * max(of.n_patients, 1)
    wanted: list[tuple[float, int, Told]] = []
    times_known = bool((~np.isnan(of.time)).any())
    shared = Counter(_called(words, by_name[item.table], item) for item in words.items)
    patients = _patients_with(of.patient[of.marks.event], of.marks.item, len(words.items))
    for item, n in zip(words.items, patients, strict=True):
        table = by_name[item.table]
        threshold = table.threshold(table[item.column]) if item.column else 1
        if not item.column or (item.table, item.column) in taken or n < max(least, threshold):
            continue
        level = _called(words, table, item)
        name = level if shared[level] == 1 else f"{item.table}: {level}"
        for statistic, weight in OF_ITEM.items():
            if statistic == "count" or times_known:
                kind = Kind.COUNT if statistic == "count" else Kind.CONTINUOUS
                told = Told(_number(f"{name}, {statistic}", kind), statistic, item.table, item=item)
                wanted.append((weight * n / of.n_patients, len(wanted), told))
    patients = _patients_with(of.patient[of.numbers.event], of.numbers.measure, len(words.measures))
    for measure, n in zip(words.measures, patients, strict=True):
        table = by_name[measure.table]
        source = table[measure.column]
        threshold = table.threshold(table[source.by]) if measure.code and source.by else 1
        if (measure.table, measure.column) in taken or n < max(least, threshold):
            continue
        code = words.code_text(measure)
        name = code if shared[code] == 1 else f"{measure.table}: {code}"
        name = name if measure.code else f"{measure.table}: {'days to ' if source.kind.is_time else ''}{measure.column}"
        if measure.code and sum(c.by is not None for c in table) > 1:
            name = f"{name} {measure.column}"
        decimals = None if source.kind.is_time else source.decimals
        for statistic, weight in OF_MEASURE.items():
            own = None if statistic == "mean" else decimals
            told = Told(_number(f"{name}, {statistic}", decimals=own), statistic, measure.table, measure=measure)
            wanted.append((weight * n / of.n_patients, len(wanted), told))
    wanted.sort(key=lambda entry: (-entry[0], entry[1]))
    chosen = sorted(wanted[: max(room, 0)], key=lambda entry: entry[1])
    return _distinct([told for _, _, told in chosen])


def _distinct(told: list[Told]) -> list[Told]:
    """Columns with names of their own."""
    seen: dict[str, int] = {}
    out = []
    for entry in told:
        name = entry.column.name
        seen[name] = seen.get(name, 0) + 1
        out.append(entry if seen[name] == 1 else replace(entry, column=replace(entry.column, name=f"{name} ({seen[name]})")))
    return out


def _called(words: Vocabulary, table: TableSchema, item: Item) -> str:
    text = words.text(item)
    return text if _is_code(table, item) else f"{item.column} {text}"


def _is_code(table: TableSchema, item: Item) -> bool:
    from manikin.evaluation.records.vocabulary import code_column

    column = code_column(table)
    return column is not None and column.name == item.column


def _patients_with(patient: npt.NDArray[Any], thing: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    """How many patients have each thing, int64 (n,)."""
    if not len(patient):
        return np.zeros(n, dtype=np.int64)
    pairs = pd.unique(patient.astype(np.int64) * n + thing)
    return np.bincount(pairs % n, minlength=n)


def _follow_up(tables: Sequence[TableSchema], fixed: Sequence[Fixed]) -> list[Told]:
    """Time to death, or to the last event where a patient is not known to have died; where the schema names no follow-up of its own."""
    roles = {role for entry in fixed for role in entry.column.roles}
    death = [entry for entry in fixed if entry.source.has_role(Role.DEATH) and entry.as_days]
    if not death or not sequences(tables) or {Role.TIME, Role.EVENT} <= roles:
        return []
    time = Column("days to death or last event", Kind.CONTINUOUS, Storage.REAL, roles=(Role.TIME,), decimals=3, unit="d")
    died = Column("known to have died", Kind.BOOLEAN, levels=("no", "yes"), roles=(Role.EVENT,))
    return [Told(time, "follow-up"), Told(died, "died")]


def _told(of: History, plan: Plan, when: Times, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The computed columns, each (n_patients,) in the order of records."""
    items = [told for told in plan.told if told.item is not None]
    measures = [told for told in plan.told if told.measure is not None]
    found = {**_item_statistics(of, plan, items), **_measure_statistics(of, plan, measures)}
    places = {table.name: i for i, table in enumerate(plan.tables)}
    made: dict[str, Any] = {}
    last = _extreme(np.fmax, of.time, of.patient, of.n_patients)
    for told in plan.told:
        name = told.column.name
        rows = of.table == places[told.table] if told.table else np.ones(len(of), dtype=bool)
        if name in found:
            made[name] = found[name]
        elif told.statistic == "rows":
            made[name] = np.bincount(of.patient[rows], minlength=of.n_patients).astype(float)
        elif told.statistic == "visits":
            made[name] = np.bincount(of.patient[of.visit_starts], minlength=of.n_patients).astype(float)
        elif told.statistic == "span":
            made[name] = last - _extreme(np.fmin, of.time, of.patient, of.n_patients)
        elif told.statistic == "table first time":
            made[name] = _extreme(np.fmin, of.time[rows], of.patient[rows], of.n_patients)
        elif told.statistic == "table gap":
            made[name] = _mean_gap(of.time[rows], of.patient[rows], of.n_patients)
    records = {name: _by_record(values, of) for name, values in made.items()}
    calendar = _of_calendar(plan, when, _by_record(last, of), fixed)
    return {told.column.name: (records | calendar)[told.column.name] for told in plan.told}


def _by_record(values: Floats, of: History) -> Floats:
    out = np.empty_like(values)
    out[of.source] = values
    return out


def _of_calendar(plan: Plan, when: Times, last: Floats, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The day of the first event, and follow-up to death or to the last event."""
    made: dict[str, Any] = {}
    death = next((f.column.name for f in plan.fixed if f.source.has_role(Role.DEATH) and f.as_days), None)
    days = np.asarray(fixed[death], dtype=float) if death is not None else np.full(len(last), np.nan)
    for told in plan.told:
        if told.statistic == "anchor":
            stamps = np.full(len(when.anchor), np.datetime64("NaT", "us"), dtype="datetime64[us]")
            known = ~np.isnan(when.anchor)
            stamps[known] = (when.anchor[known] * DAY_IN_US).round().astype("datetime64[us]")
            made[told.column.name] = stamps
        elif told.statistic == "follow-up":
            made[told.column.name] = np.where(np.isnan(days), last, np.fmax(days, 0.0))
        elif told.statistic == "died":
            made[told.column.name] = pd.Categorical(np.where(np.isnan(days), "no", "yes"), categories=["no", "yes"])
    return made


def _extreme(which: np.ufunc, values: Floats, patient: npt.NDArray[np.int64], n: int) -> Floats:
    """The least or largest known value of each patient, NaN where she has none."""
    out = np.full(n, np.nan)
    which.at(out, patient, values)
    return out


def _mean_gap(time: Floats, patient: npt.NDArray[np.int64], n: int) -> Floats:
    """Mean days between two of a patient's rows, NaN with fewer than two that have a time."""
    known = ~np.isnan(time)
    count = np.bincount(patient[known], minlength=n)
    span = _extreme(np.fmax, time, patient, n) - _extreme(np.fmin, time, patient, n)
    return np.where(count > 1, span / np.maximum(count - 1, 1), np.nan)


def _item_statistics(of: History, plan: Plan, asked: Sequence[Told]) -> dict[str, Floats]:
    chosen = sorted({told.item for told in asked if told.item is not None})
    place = np.full(len(plan.known.items) + 1, -1, dtype=np.int64)
    place[[plan.known.item_number[item] for item in chosen]] = np.arange(len(chosen))
    column = place[of.marks.item]
    kept = np.flatnonzero(column >= 0)
    patient, column = of.patient[of.marks.event[kept]], column[kept]
    n, k = of.n_patients, len(chosen)
    counts = np.bincount(patient * k + column, minlength=n * k).reshape(n, k).astype(float) if k else np.zeros((n, 0))
    first = np.full(n * k, np.nan)
    np.fmin.at(first, patient * k + column, of.time[of.marks.event[kept]])
    parts: Mapping[str, Floats] = {"count": counts, "first time": first.reshape(n, k)}
    where = {item: i for i, item in enumerate(chosen)}
    return {told.column.name: parts[told.statistic][:, where[told.item]] for told in asked if told.item is not None}


def _measure_statistics(of: History, plan: Plan, asked: Sequence[Told]) -> dict[str, Floats]:
    chosen = sorted({told.measure for told in asked if told.measure is not None})
    place = np.full(len(plan.known.measures) + 1, -1, dtype=np.int64)
    place[[plan.known.measure_number[measure] for measure in chosen]] = np.arange(len(chosen))
    column = place[of.numbers.measure]
    kept = np.flatnonzero(column >= 0)
    n, k = of.n_patients, len(chosen)
    key = column[kept] * n + of.patient[of.numbers.event[kept]]  # ascending: numbers stand by measure and event, events by patient
    values = of.numbers.value[kept]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    ends = np.append(begins[1:], len(key)) - 1
    out = {statistic: np.full(k * n, np.nan) for statistic in OF_MEASURE}
    if len(key):
        at = key[begins]
        sums = np.add.reduceat(values, begins)
        out["mean"][at] = sums / (ends - begins + 1)
        out["first"][at], out["last"][at] = values[begins], values[ends]
        out["min"][at], out["max"][at] = np.minimum.reduceat(values, begins), np.maximum.reduceat(values, begins)
    where = {measure: i for i, measure in enumerate(chosen)}
    return {
        told.column.name: out[told.statistic].reshape(k, n)[where[told.measure]] for told in asked if told.measure is not None
    }
