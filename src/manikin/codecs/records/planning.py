"""Finds the plan of linked tables in their schema and rows: clocks and units, what never changes, links, keys. Knows no tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.clock import NEVER, Clock, Ticks, calendar_unit, coarsest, days_of, decimals_of
from manikin.codecs.records.one_life import coarse_grid, deaths_of, is_disjoint, is_final, with_deaths
from manikin.codecs.records.plan import (
    ANCHOR,
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
from manikin.codecs.records.sequence import Rows, Timeline, backs, lay_out
from manikin.codecs.records.told import find_told, is_of_row, neighbours
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.rules import OrderRule
from manikin.data.schema import Column, Form, Kind, Role, Schema, TableSchema

ENOUGH = 20  # patients with several rows, or parents with children, from which a fact about all of them is taken for true
SHIFTED_DAYS = 150 * 365.25  # nobody lives so long: a birth further back was moved to hide an age over 89
MOST_OUTLIVING = 0.05  # of the patients who died, those with rows after death, above which a table may have such rows
FEW_OUTSIDE = 0.01  # of the rows of a table that may lie outside their parents' intervals where the others lie within
DAY = 86_400_000_000
BETTER = 0.2  # more of the rows in which a time equals another one than the start, for it to be counted from there
COVERED = 0.9  # of the rows with the time that must have the other one


def form_of(table: TableSchema, schema: Schema) -> Form:
    """The form of a table; without one, the table that lists the patients is static and others are events."""
    if table.form is not None:
        return table.form
    root = schema.root
    return Form.STATIC if root is not None and root.name == table.name else Form.EVENTS


def static_tables(schema: Schema) -> list[TableSchema]:
    """Tables of at most one row a patient."""
    return [table for table in schema.of_patients if form_of(table, schema) is Form.STATIC]


def event_tables(data: Dataset) -> list[TableSchema]:
    """Tables of events that have rows, parents first."""
    return [t for t in data.schema.of_patients if form_of(t, data.schema).is_sequence and len(data.tables[t.name])]


def make_plan(data: Dataset) -> tuple[RecordsPlan, Timeline]:
    """The plan of a data set to be learned, and its events in order; what rests on tokens' counts is left to the codec.

    Raises
    ------
    DataError : a static table has several rows of one patient. SchemaError : a confirmed rule binds what is no field.
    """
    schema, tables = data.schema, event_tables(data)
    for table in static_tables(schema):
        _one_row_each(data, table)
    clock = find_clock(data, tables)
    starts = {table.name: start_of(table, clock) for table in tables}
    links = {table.name: [(number, parent.name) for number, parent in links_of(table, schema)] for table in tables}
    timeline = lay_out(data, tables, starts, links, clock)
    plans: dict[str, EventPlan] = {}
    for table in tables:
        plans[table.name] = _event_plan(data, table, starts[table.name], timeline, clock, plans)
    events = tuple(plans.values())
    static = _static_columns(data, events, timeline, clock)
    holders = {table.name: np.unique(data.owners[table.name]) for table in schema.of_patients}
    with_columns = [table.name for table in static_tables(schema)] + [plan.name for plan in events if plan.moved]
    absent = tuple(name for name in with_columns if 0 < len(holders[name]) < len(data))
    held = tuple(name for name in with_columns if len(holders[name]) == len(data))
    keys = tuple(_fresh_keys(data, events))
    has_anchor = bool((timeline.anchor != NEVER).any()) or any(own.moment is not None for own in static)
    plan = RecordsPlan(clock, events, static, held, absent, keys, has_anchor)
    return with_deaths(_bounded(plan, data, timeline), data), timeline


def _one_row_each(data: Dataset, table: TableSchema) -> None:
    owner = data.owners[table.name]
    twice = int((np.bincount(owner, minlength=1) > 1).sum())
    if twice:
        raise DataError(
            f"Table {table.name!r} is static, but {twice} patients have several rows in it. Say form = \"events\" in the schema."
        )


def find_clock(data: Dataset, tables: Sequence[TableSchema]) -> Clock:
    """A calendar where any table of events starts at dates, else numbers; then starts that are numbers are ordinary columns there."""
    starts = [(table, table[table.start]) for table in tables if table.start is not None]
    if any(column.kind.is_time for _, column in starts) or not starts:
        return Clock(is_calendar=True, decimals=0, anchor_unit=DAY, days_per_tick=1 / DAY)
    named = [(table, column) for table, column in starts if column.kind.is_number]
    named += [(table, table[table.end]) for table, _ in starts if table.end is not None and table[table.end].kind.is_number]
    found = [decimals_of(data.tables[table.name].frame[column.name].to_numpy(dtype=float)) for table, column in named]
    decimals = max(found, default=0)
    units = [10 ** (decimals - own) for own in found]
    days = (days_of(named[0][1]) if named else 1.0) / 10**decimals
    return Clock(is_calendar=False, decimals=decimals, anchor_unit=coarsest(units), days_per_tick=days)


def start_of(table: TableSchema, clock: Clock) -> str | None:
    """The column of a table's own time on this clock."""
    if table.start is None:
        return None
    kind = table[table.start].kind
    return table.start if (kind.is_time if clock.is_calendar else kind.is_number) else None


def unit_of(ticks: Ticks, clock: Clock) -> int:
    """The coarsest unit on whose grid all ticks lie: days to microseconds, or a power of ten."""
    if clock.is_calendar:
        return calendar_unit(ticks)
    there = ticks[ticks != NEVER]
    return next(10**d for d in range(clock.decimals, -1, -1) if not (there % 10**d).any())


def _event_plan(
    data: Dataset, table: TableSchema, start: str | None, timeline: Timeline, clock: Clock, parents: Mapping[str, EventPlan]
) -> EventPlan:
    frame, own = data.tables[table.name].frame, timeline.own[table.name]
    events, rows = timeline.rows_of(table.name)
    unit = unit_of(own, clock) if start is not None else 1
    timed = own[rows] != NEVER
    at = timeline.at[events] + timeline.anchor[data.owners[table.name][rows]]
    has_before = bool((timed & (at // unit * unit > own[rows])).any())
    links = []
    for number, parent in links_of(table, data.schema):
        found = timeline.parents[table.name, number]
        used = np.bincount(found[found >= 0], minlength=1)
        is_unique = int((used > 0).sum()) >= ENOUGH and int(used.max()) == 1
        is_row = parent.name in timeline.names
        name = "+".join(table.foreign_keys[number].columns)
        has_none = bool((backs(timeline, table.name, parent.name, found[rows]) < 0).any()) if is_row else bool((found < 0).any())
        link = Link(number, parent.name, name, is_row, has_none, is_unique and is_row)
        links.append(_within(data, table, parent, link, found, own, clock) if is_row else link)
    links = _through(data.schema, table, _named_apart(links), timeline)
    by = tuple((c.name, c.by) for c in table if c.by is not None and _is_by(table, c, data.schema))
    codes = _code_columns(table, data.schema, {code for _, code in by})
    moments, ticks = [], {}
    for column in sorted(table, key=lambda column: column.name != table.end):
        is_moment = column.kind.is_time if clock.is_calendar else column.name == table.end and column.kind.is_number
        if is_moment and column.name != start and column.name in {c.name for c in learned_columns(table, data.schema, codes)}:
            ticks[column.name] = clock.ticks(frame[column.name])
            moments.append(Moment(column.name, unit_of(ticks[column.name], clock)))
    counters = _counters(data, table, codes)
    plan = EventPlan(
        table.name,
        start,
        unit,
        has_before,
        _chained(_one_unit(tuple(moments), table), ticks, _row_starts(data, table, timeline), table),
        tuple(links),
        tuple(sorted(codes)),
        by,
        (),
        counters=tuple(name for name, _ in counters),
        counts_from=tuple(first for _, first in counters),
        rounds_up=not bool((timed & (at > own[rows])).any()),
        is_single=_is_single(data.owners[table.name]),
        is_distinct=start is not None and not has_before and _is_distinct(own, data.owners[table.name], unit),
    )
    told = find_told(data, table, plan, timeline, clock, parents)
    said = {one.column for one in told}
    moments_left = tuple(moment for moment in plan.moments if moment.name not in said)
    if len(moments_left) < len(moments):
        moments_left = _chained(moments_left, ticks, _row_starts(data, table, timeline), table)
    plan = replace(plan, told=told, moments=moments_left)
    if start is not None:
        owner = data.owners[table.name]
        coarse, share = coarse_grid(own, owner, unit, clock)
        deaths = [ticks[name] for name in deaths_of(table, plan)]
        disjoint = plan.moment(table.end) is not None and is_disjoint(own, ticks[str(table.end)], owner)
        plan = replace(plan, coarse=coarse, on_coarse=share, is_final=is_final(deaths, own, owner), is_disjoint=disjoint)
    return _moved(data, table, plan)


def _within(data: Dataset, table: TableSchema, parent: TableSchema, link: Link, found: Rows, own: Ticks, clock: Clock) -> Link:
    """The link with whether rows lie within their parents' intervals, as nearly all must."""
    if parent.end is None or start_of(parent, clock) is None:
        return link
    column = parent[parent.end]
    if column.kind.is_time != clock.is_calendar or not (column.kind.is_time or column.kind.is_number):
        return link
    last = clock.ticks(data.tables[parent.name].frame[parent.end])[found]
    facts = []
    times = [own]
    if table.end is not None and table[table.end].kind.is_time == clock.is_calendar and start_of(table, clock) is not None:
        times.append(clock.ticks(data.tables[table.name].frame[table.end]))
    for mine in times:
        known = (found >= 0) & (last != NEVER) & (mine != NEVER)
        facts.append(int(known.sum()) >= ENOUGH and bool((mine[known] > last[known]).mean() <= FEW_OUTSIDE))
    return replace(link, is_within=facts[0], ends_within=facts[0] and len(facts) > 1 and facts[1])


def _through(schema: Schema, table: TableSchema, links: list[Link], timeline: Timeline) -> list[Link]:
    """Links whose parent another link of the row always leads to as well (a stay to its admission) know it."""
    out = []
    for link in links:
        mine = timeline.parents[table.name, link.number]
        for other in links:
            if other is link or not link.is_row or not other.is_row or other.parent == table.name:
                continue
            theirs = timeline.parents[table.name, other.number]
            for number, parent in links_of(schema[other.parent], schema):
                beyond = timeline.parents[other.parent, number][theirs]
                both = (theirs >= 0) & (beyond >= 0)
                if parent.name == link.parent and int(both.sum()) >= ENOUGH and (beyond[both] == mine[both]).all():
                    link = replace(link, via=other.number, of=number)
        out.append(link)
    return out


def _named_apart(links: list[Link]) -> list[Link]:
    names = [link.name for link in links]
    return [link if names.count(link.name) == 1 else replace(link, name=f"{link.name} ({link.parent})") for link in links]


def _is_by(table: TableSchema, column: Column, schema: Schema) -> bool:
    """Whether a number's scale is told by a code that is learned."""
    keys = key_columns(table, schema)
    return column.kind.is_number and column.name not in keys and column.by not in keys and column.by is not None


def _code_columns(table: TableSchema, schema: Schema, measured: set[str]) -> set[str]:
    """Columns of numbers or identifiers that name something: keys of reference tables, and what other numbers are `by`."""
    named = (reference_columns(table, schema) | measured) - key_columns(table, schema)
    return {name for name in named if not table[name].kind.is_discrete and not table[name].kind.is_time}


def _one_unit(moments: tuple[Moment, ...], table: TableSchema) -> tuple[Moment, ...]:
    """Times that a confirmed order binds are counted in one unit, so that their order is one of whole numbers."""
    units = {moment.name: moment.unit for moment in moments}
    orders = [rule.columns for rule in table.confirmed_rules if isinstance(rule, OrderRule) and set(rule.columns) <= set(units)]
    for _ in orders:
        for columns in orders:
            units |= dict.fromkeys(columns, min(units[name] for name in columns))
    return tuple(replace(moment, unit=units[moment.name]) for moment in moments)


def _is_single(owner: Rows) -> bool:
    """Whether no patient has several rows, which enough patients with one must show."""
    rows = np.bincount(owner, minlength=1)
    return int(rows.max()) == 1 and int(rows.sum()) >= ENOUGH


def _is_distinct(own: Ticks, owner: Rows, unit: int) -> bool:
    """Whether no patient has two rows at one time, which enough patients with several rows must show."""
    known = own != NEVER
    when, who = own[known] // unit, owner[known]
    order = np.lexsort((when, who))
    same = np.diff(who[order]) == 0
    return len(np.unique(who[order][1:][same])) >= ENOUGH and not (same & (np.diff(when[order]) == 0)).any()


def _row_starts(data: Dataset, table: TableSchema, timeline: Timeline) -> Ticks:
    """From when the durations of each row of a table count, int64 (n_rows,): its own time, else its place."""
    events, rows = timeline.rows_of(table.name)
    out = timeline.own[table.name].copy()
    places = np.empty(len(out), dtype=np.int64)
    places[rows] = timeline.at[events] + np.where(timeline.anchor == NEVER, 0, timeline.anchor)[data.owners[table.name][rows]]
    return np.where(out == NEVER, places, out)


def _chained(moments: tuple[Moment, ...], ticks: Mapping[str, Ticks], start: Ticks, table: TableSchema) -> tuple[Moment, ...]:
    """Times with what each is counted from: an earlier one of them that it mostly equals, as a time of death that of discharge."""
    bound = {name for rule in table.confirmed_rules if isinstance(rule, OrderRule) for name in rule.columns}
    out: list[Moment] = []
    for moment in moments:
        own, unit = ticks[moment.name], moment.unit
        there = (own != NEVER) & (start != NEVER)
        away = own[there] // unit - start[there] // unit
        best, since = float((away == 0).mean()) + BETTER if len(away) else 1.0, ""
        for other in out if moment.name not in bound else ():
            both = there & (ticks[other.name] != NEVER)
            equal = own[both] // unit == ticks[other.name][both] // unit
            if both.sum() >= COVERED * there.sum() and len(equal) and equal.mean() >= best:
                best, since = float(equal.mean()), other.name
        out.append(replace(moment, since=since, is_after=bool(len(away) and (away >= 0).all())))
    return tuple(out)


def _counters(data: Dataset, table: TableSchema, codes: set[str]) -> list[tuple[str, int]]:
    """The part of a composite key that numbers the rows below the rest of it, with the number it starts from."""
    keys = key_columns(table, data.schema)
    rest = [name for name in table.primary_key if name not in keys]
    if len(rest) != 1 or len(table.primary_key) < 2 or rest[0] in codes or not table[rest[0]].kind.is_number:
        return []
    frame = data.tables[table.name].frame
    numbers = frame[rest[0]].to_numpy(dtype=float)
    if np.isnan(numbers).any() or (numbers != np.round(numbers)).any():
        return []
    others = [name for name in table.primary_key if name != rest[0]]
    group = frame.groupby(others, observed=True, dropna=False, sort=False)[rest[0]]
    first = float(numbers.min())
    spans = group.max() - group.min() + 1
    dense = (group.min() == first) & (spans == group.size())
    return [(rest[0], int(first))] if first in (0, 1) and dense.mean() >= 0.9 else []


def _moved(data: Dataset, table: TableSchema, plan: EventPlan) -> EventPlan:
    """The plan with the columns that never change within a patient moved to the static fields; where too few patients tell, none is."""
    owner, own = data.owners[table.name], data.tables[table.name]
    if int((np.bincount(owner) > 1).sum()) < ENOUGH:
        return plan
    bound = {name for rule in table.confirmed_rules for name in rule.columns} | {plan.start, table.end}
    bound |= {name for pair in plan.by for name in pair} | set(plan.counters) | set(table.primary_key)
    bound |= {name for told in plan.told if told.kind != "same" for name in (told.column, *told.of)}
    names = [
        c.name
        for c in learned_columns(table, data.schema, set(plan.codes))
        if c.name not in bound and c.kind is not Kind.CODE_SET and c.name not in reference_columns(table, data.schema)
    ]
    first = np.zeros(int(owner.max()) + 1, dtype=np.int64)
    first[owner[::-1]] = np.arange(len(owner))[::-1]
    moved = tuple(name for name in names if _is_constant(own, name, first[owner]))
    order = neighbours(owner, np.zeros(len(owner), dtype=np.int64), np.ones(len(owner), dtype=bool))
    moved = tuple(name for name in moved if not is_of_row(own, table[name], table, plan, order, owner))
    moments = tuple(moment for moment in plan.moments if moment.name not in moved)
    told = tuple(told for told in plan.told if told.kind == "unlinked" or told.column not in moved)
    return replace(plan, moved=moved, moments=moments, told=told)


def _is_constant(table: Table, name: str, first: Rows) -> bool:
    """Whether every row holds what its patient's first row holds."""
    for size in (2_000, len(first)):
        cells, mark = table.frame[name].iloc[:size], table.mark(name)[:size]
        codes = pd.factorize(cells)[0]
        if (codes != codes[first[:size]]).any() or (mark != mark[first[:size]]).any():
            return False
    return True


def _static_columns(
    data: Dataset, events: Sequence[EventPlan], timeline: Timeline, clock: Clock
) -> tuple[StaticColumn, ...]:
    schema = data.schema
    wanted: list[tuple[TableSchema, Column]] = []
    for table in static_tables(schema):
        if len(data.tables[table.name]):
            wanted += [(table, column) for column in learned_columns(table, schema, _code_columns(table, schema, set()))]
    for plan in events:
        wanted += [(schema[plan.name], schema[plan.name][name]) for name in plan.moved]
    names = [column.name for _, column in wanted]
    out = []
    for table, column in wanted:
        clashes = names.count(column.name) > 1 or column.name == ANCHOR
        name = f"{table.name}.{column.name}" if clashes else column.name
        moment = None
        if column.kind.is_time and clock.is_calendar:
            moment = _static_moment(data, table, column, timeline.anchor, clock)
        codes = _code_columns(table, schema, set()) | {n for plan in events if plan.name == table.name for n in plan.codes}
        out.append(StaticColumn(table.name, column.name, name, moment, column.name in codes))
    return _static_chains(data, _one_static_unit(tuple(out), schema), timeline.anchor, clock)


def _static_chains(
    data: Dataset, columns: tuple[StaticColumn, ...], anchor: Ticks, clock: Clock
) -> tuple[StaticColumn, ...]:
    """Static dates of one table, counted from one another where they mostly are the same."""
    found: dict[tuple[str, str], Moment] = {}
    for name in dict.fromkeys(own.table for own in columns):
        frame = data.tables[name].frame
        moments = tuple(own.moment for own in columns if own.table == name and own.moment is not None and not own.moment.shift)
        ticks = {moment.name: clock.ticks(frame[moment.name]) for moment in moments}
        for moment in _chained(moments, ticks, anchor[data.owners[name]], data.schema[name]):
            found[name, moment.name] = moment
    return tuple(replace(own, moment=found.get((own.table, own.column), own.moment)) for own in columns)


def _static_moment(data: Dataset, table: TableSchema, column: Column, anchor: Ticks, clock: Clock) -> Moment:
    """Its unit, and where births were moved back by centuries to hide ages, by how much."""
    ticks = clock.ticks(data.tables[table.name].frame[column.name])
    theirs = anchor[data.owners[table.name]]
    there = (ticks != NEVER) & (theirs != NEVER)
    away = (ticks - theirs)[there]
    moved = away[away < -SHIFTED_DAYS * DAY]
    shift = int(np.median(moved)) // DAY * DAY if len(moved) else 0
    lasting = away[away >= -SHIFTED_DAYS * DAY]
    typical = int(np.median(lasting)) // DAY * DAY if len(lasting) else 0
    return Moment(column.name, calendar_unit(ticks), shift, typical)


def _one_static_unit(columns: tuple[StaticColumn, ...], schema: Schema) -> tuple[StaticColumn, ...]:
    out = []
    for own in columns:
        moments = tuple(other.moment for other in columns if other.table == own.table and other.moment is not None)
        same = {moment.name: moment for moment in _one_unit(moments, schema[own.table])}
        out.append(own if own.moment is None else replace(own, moment=replace(own.moment, unit=same[own.moment.name].unit)))
    return tuple(out)


def _fresh_keys(data: Dataset, events: Sequence[EventPlan]) -> list[FreshKey]:
    """Key columns that are made anew, with a first number above every real one, so that no real key comes again."""
    out = []
    for table in data.schema.of_patients:
        own = next((plan for plan in events if plan.name == table.name), None)
        linked = {n for number, _ in links_of(table, data.schema) for n in table.foreign_keys[number].columns} - {patient_key(table)}
        made = key_columns(table, data.schema) - linked
        made |= {c.name for c in table if c.kind is Kind.IDENTIFIER and c.name not in linked}
        made -= reference_columns(table, data.schema) | (set(own.codes) if own else set())
        rows = np.bincount(data.owners[table.name]).max(initial=0)
        stride = 1 if own is None else 10 ** len(str(max(10 * int(rows), 100)))
        for column in table:
            if column.name not in made or (own and column.name in own.counters):
                continue
            is_patient = column.has_role(Role.PATIENT_KEY)
            base = 0 if is_patient else _base(data.tables[table.name], column)
            out.append(FreshKey(table.name, column.name, base, 1 if is_patient else stride))
    patient = max((_base(data.tables[t.name], t[key]) for t in data.schema.of_patients if (key := patient_key(t))), default=0)
    return [replace(key, base=patient) if patient_key(data.schema[key.table]) == key.column else key for key in out]


def _base(table: Table, column: Column) -> int:
    """The power of ten above the largest real key; 0 where keys are no whole numbers, or too long to be kept exactly."""
    cells = table.frame[column.name]
    numbers = pd.to_numeric(cells.astype(object), errors="coerce").to_numpy(dtype=float) if len(cells) else np.zeros(0)
    numbers = numbers[np.isfinite(numbers)]
    digits = len(str(int(numbers.max()))) if len(numbers) and numbers.max() >= 0 else 0
    return 10**digits if 0 < digits <= 9 else 0


def unsupported(rule_about: str, table: str, why: str) -> SchemaError:
    """The refusal of a confirmed rule of a linked table that cannot be kept."""
    return SchemaError(f"The confirmed {rule_about} of table {table!r} {why}. Do not confirm it.")


def has_rows(data: Dataset, table: str) -> npt.NDArray[np.bool_]:
    """Which patients have rows in a table, bool (n_patients,)."""
    out = np.zeros(len(data), dtype=bool)
    out[data.owners[table]] = True
    return out


def _bounded(plan: RecordsPlan, data: Dataset, timeline: Timeline) -> RecordsPlan:
    """The plan with the time behind which there are no events, and the tables whose rows lie there all the same."""
    for own in plan.static:
        column = data.schema[own.table][own.column]
        is_death = column.has_role(Role.DEATH)
        if plan.clock.is_calendar:
            is_time = own.moment is not None and not own.moment.since and not own.moment.shift and is_death
        else:
            is_time = column.kind.is_number and not own.is_code and (is_death or column.has_role(Role.TIME))
        if not is_time:
            continue
        unit = own.moment.unit if own.moment is not None else 1
        ends = np.full(len(data), NEVER, dtype=np.int64)
        ends[data.owners[own.table]] = plan.clock.ticks(data.tables[own.table].frame[own.column])
        shares = _shares_behind(ends, timeline, unit)
        outliving = {name for name, share in shares.items() if share > MOST_OUTLIVING}
        if is_death or not outliving:
            events = tuple(replace(event, outlives=event.name in outliving) for event in plan.events)
            deaths = tuple(
                one.name
                for one in plan.static
                if one.moment is not None and not one.moment.shift and data.schema[one.table][one.column].has_role(Role.DEATH)
            )
            return replace(plan, events=events, bound=own.name, bounds=deaths)
    return plan


def _shares_behind(ends: Ticks, timeline: Timeline, unit: int) -> dict[str, float]:
    """For each table the share of the patients with an end and rows in it that have a row behind that end.

    Parameters
    ----------
    ends : int64 (n_patients,), `NEVER` for those without. unit : ticks within which a row is not behind it.
    """
    patient = timeline.patient
    anchor = timeline.anchor[patient]
    bounded = (ends[patient] != NEVER) & (anchor != NEVER)
    behind = bounded & ((timeline.at + np.where(anchor == NEVER, 0, anchor)) // unit * unit > ends[patient])
    out = {}
    for i, name in enumerate(timeline.names):
        chosen = timeline.table == i
        n_bounded = len(np.unique(patient[chosen & bounded]))
        out[name] = len(np.unique(patient[chosen & behind])) / n_bounded if n_bounded else 0.0
    return out
