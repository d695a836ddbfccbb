"""From decoded fields back to linked tables: times, parents, keys made anew, rows that nothing holds left out. Knows no tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.clock import NEVER, Ticks
from manikin.codecs.records.decoded import (
    NONE,
    Bools,
    Keys,
    is_first,
    key_cells,
    level_numbers,
    ordinal,
    put_together,
    stored,
    taken,
    where_empty,
    whole_numbers,
)
from manikin.codecs.records.one_life import before_known, behind_death, day_of_death, deaths_of, next_starts, on_grid
from manikin.codecs.records.overlay import overlaid
from manikin.codecs.records.plan import (
    ANCHOR,
    MOST_BACK,
    EventPlan,
    Link,
    Moment,
    RecordsPlan,
    StaticColumn,
    Told,
    key_columns,
    links_of,
    patient_key,
    presence,
    released_columns,
)
from manikin.codecs.records.sequence import Rows, counts_before
from manikin.codecs.records.told import neighbours, tell
from manikin.data.dataset import Marks, Table
from manikin.data.rules import OrderRule, UniqueRule
from manikin.data.schema import Role, Schema, TableSchema


@dataclass
class Drawn:
    """Decoded patients before their tables are put together.

    Attributes
    ----------
    static : one row a patient. starts, table : as in `Records`. at : ticks since the anchor, int64 (n_events,).
    rows : by table of events, the events that are its rows and their decoded fields.
    anchor : int64 (n_patients,), ticks.
    given : by table of events, rows of it (their events) whose told columns are known, and these columns.
    is_death_given : whether her dates of death are known. held : (table, column) that were held, which are not settled.
    alive : bool (n_events,), which events are kept. fixed : bool (n_events,), which are known and stay where they are.
    parents : by (table, foreign key), the event (or for a static table the patient) that each row refers to, -1 for none.
    begins : by table of events, when its rows start, in ticks.
    dead : int64 (n_patients,), ticks of the death that rows tell, `NEVER` where none does. moved : how far it lies behind the drawn one.
    last : int64 (n_patients,), ticks before which no date of her death may lie, `NEVER` where nothing says so.
    finals : int64 (n_patients,), ticks of her last event that a death bounds.
    ends : by table of intervals, the ticks of each row's end, as its children and its parent leave it.
    keys : by (table, column), the number of each kept row's key, -1 where the cell is empty; or cells of a learned column.
    """

    plan: RecordsPlan
    schema: Schema
    static: Table
    starts: Rows
    table: npt.NDArray[np.int16]
    at: Ticks
    rows: Mapping[str, tuple[Rows, Table]]
    anchor: Ticks
    first_key: int
    rng: np.random.Generator
    given: Mapping[str, tuple[Rows, Table]] = field(default_factory=dict)
    is_death_given: bool = False
    held: frozenset[tuple[str, str]] = frozenset()
    alive: Bools = field(init=False)
    fixed: Bools = field(init=False)
    begins: dict[str, Ticks] = field(init=False, default_factory=dict)
    dead: Ticks = field(init=False)
    moved: Ticks = field(init=False)
    parents: dict[tuple[str, int], Rows] = field(init=False, default_factory=dict)
    keys: dict[tuple[str, str], Keys] = field(init=False, default_factory=dict)
    ends: dict[str, Ticks] = field(init=False, default_factory=dict)
    last: Ticks = field(init=False)
    finals: Ticks = field(init=False)

    def __post_init__(self) -> None:
        self.alive = np.ones(len(self.table), dtype=bool)
        self.last = np.full(self.n_patients, NEVER, dtype=np.int64)
        self.finals, self.dead, self.moved = self.last.copy(), self.last.copy(), np.zeros(self.n_patients, dtype=np.int64)
        self.fixed = np.zeros(len(self.table), dtype=bool)

    @property
    def n_patients(self) -> int:
        """Patients, those without events included."""
        return len(self.starts) - 1

    @property
    def patient(self) -> Rows:
        """The patient of each event, int64 (n_events,)."""
        return np.repeat(np.arange(self.n_patients), np.diff(self.starts))

    def holders(self, table: str) -> Bools:
        """Which patients have a static table, bool (n_patients,)."""
        name = presence(table)
        if name not in self.static.frame:
            return np.full(self.n_patients, table in self.plan.everybodys)
        return (self.static.frame[name].astype(object) == "yes").to_numpy()

    def tables(self, *, is_bound_given: bool = False) -> dict[str, Table]:
        """Every table of patients, parents first; a bound that was given moves events, another one is moved by them."""
        self._drop_doubles()
        self.alive |= self.fixed
        self.alive &= self.fixed | ~behind_death(self.plan, self.schema, self.table, self.starts, self.rows)
        for own in self.plan.events:
            for link in sorted(own.links, key=lambda link: link.via >= 0):  # those that others lead to come last
                self._find_parents(own, link)
        if self.plan.bound:
            self._settle_bound(self.plan.static_column(self.plan.bound), is_given=is_bound_given)
        for own in self.plan.events:
            self.begins[own.name] = self._starts(own)
        self._settle_ends()
        self._settle_deaths()
        out: dict[str, Table] = {}
        for table in self.schema.of_patients:
            place = self.plan.place(table.name)
            if place >= 0:
                out[table.name] = self._event_rows(table, self.plan.events[place])
            else:
                out[table.name] = self._static_rows(table)
        return out

    def _drop_doubles(self) -> None:
        """Leaves out a second row at one time in a table where no patient has two, as gaps drawn within their group may make."""
        for own in self.plan.events:
            events, rows = self.rows[own.name]
            kept = self.alive[events]
            if own.is_single:
                self.alive[events[kept][ordinal(self.patient[events[kept]]) > 0]] = False
            if not own.is_distinct or len(events) < 2:
                continue
            timed = events[kept & (rows.mark(own.gap) == 0)]
            patient = self.patient[timed]
            when = (self.at[timed] + self.anchor[patient]) // own.unit
            self.alive[timed[1:][(np.diff(when) == 0) & (np.diff(patient) == 0)]] = False

    # links

    def _find_parents(self, own: EventPlan, link: Link) -> None:
        events, rows = self.rows[own.name]
        if not link.is_row:
            holds = self.holders(link.parent)[self.patient[events]]
            wanted = holds if not link.is_drawn else holds & (rows.mark(link.name) == 0)
            self.parents[own.name, link.number] = np.where(wanted, self.patient[events], NONE)
            if not link.has_none:
                self.alive[events[~wanted]] = False
            return
        is_parent = (self.table == self.plan.place(link.parent)) & self.alive
        known = counts_before(is_parent, self.starts)[events]
        back = np.where(rows.mark(link.name) > 0, NONE, level_numbers(rows.frame[link.name]))
        older = (back == MOST_BACK) & (known > MOST_BACK + 1)
        if older.any():
            back[older] += (self.rng.random(int(older.sum())) * (known[older] - MOST_BACK)).astype(np.int64)
        if link.is_within and self.plan.event(link.parent).is_disjoint:  # only her latest stay is not over
            back[(back > 0) & ~self.fixed[events]] = 0
        back = np.where(known == 0, NONE, np.minimum(back, known - 1))
        of_parent = np.flatnonzero(is_parent)
        first = np.searchsorted(of_parent, self.starts[:-1])[self.patient[events]]
        found = np.where(back < 0, NONE, np.append(of_parent, NONE)[np.where(back < 0, -1, first + known - 1 - back)])
        if link.via >= 0:
            found = self._through(own, link, found)
        if link.is_unique:
            found = np.where(is_first(found, self.alive[events]), found, NONE)
        self.parents[own.name, link.number] = found
        if not link.has_none:
            self.alive[events[found < 0]] = False

    def _through(self, own: EventPlan, link: Link, found: Rows) -> Rows:
        """The parents of a link, by way of another link where that leads to a row."""
        other = next(one for one in own.links if one.number == link.via)
        theirs = self.parents[own.name, link.via]
        row_of = np.full(len(self.table), NONE, dtype=np.int64)
        events = self.rows[other.parent][0]
        row_of[events] = self.parents[other.parent, link.of]
        beyond = np.where(theirs < 0, NONE, row_of[theirs])
        return np.where(beyond < 0, found, beyond)

    # times

    def _settle_bound(self, own: StaticColumn, *, is_given: bool) -> None:
        """No event behind the patient's end, as far as groups of numbers left that open."""
        if own.moment is not None:
            unit = own.moment.unit
            dates = [self.static_ticks(self.plan.static_column(name))[0] for name in (own.name, *self.plan.bounds)]
            first = np.min([np.where(ticks == NEVER, np.iinfo(np.int64).max, ticks) for ticks in dates], axis=0)
            ends = np.where(first == np.iinfo(np.int64).max, NEVER, first)
        else:
            ends, unit = self.plan.clock.ticks(self.static.frame[own.name]), 1
        is_bound = np.array([not event.outlives for event in self.plan.events], dtype=bool)[self.table] & self.alive
        patient = self.patient
        np.maximum.at(self.finals, patient[is_bound], (self.at + self.anchor[patient])[is_bound])
        place = (self.at + self.anchor[patient]) // unit * unit
        behind = np.flatnonzero(is_bound & ~self.fixed & (ends[patient] != NEVER) & (place > ends[patient]))
        if not len(behind):
            return
        if is_given:
            self.at[behind] = np.maximum(ends[patient[behind]] + unit - 1 - self.anchor[patient[behind]], 0)
            return
        moved = ends.copy()
        np.maximum.at(moved, patient[behind], place[behind])
        if own.moment is not None:
            self.last = np.where(moved > ends, moved, NEVER)
            return
        rows = np.flatnonzero(moved > ends)
        frame = self.static.frame.copy()
        values = frame[own.name].to_numpy(dtype=float).copy()
        values[rows] = self.plan.clock.cells(moved[rows])
        frame[own.name] = values
        self.static = Table(frame, self.static.marks)

    def _settle_ends(self) -> None:
        """Parents' ends are moved behind the starts of their children, then ends before those of their parents."""
        latest = {own.name: np.full(len(self.table), NEVER, dtype=np.int64) for own in self.plan.events}
        starts = self.begins
        for own in self.plan.events:
            self._into_known(own)
            moment = own.moment(self.schema[own.name].end)
            if moment is not None and not moment.since:
                rows = self.rows[own.name][1]
                there = rows.mark(moment.name) == 0
                self.ends[own.name] = _moment_ticks(moment, whole_numbers(rows.frame[moment.name]), there, starts[own.name], {})
                self._with_deaths(own, moment.name, latest[own.name])
        for own in reversed(self.plan.events):
            events, rows = self.rows[own.name]
            self._enclose_own(own, latest[own.name])
            mine = latest[own.name][events]
            if own.name in self.ends:
                moment = own.moment(self.schema[own.name].end)
                unit = 1 if moment is None else moment.unit
                ends = self.ends[own.name]
                ends = np.where((ends == NEVER) | (mine <= ends), ends, -(-mine // unit) * unit)
                ends = self._apart(own, ends, unit) if own.is_disjoint else ends
                self.ends[own.name] = np.where(self.fixed[events], self.ends[own.name], ends)
            for link in (one for one in own.links if one.parent != own.name):
                found = self.parents[own.name, link.number]
                chosen = np.flatnonzero(self.alive[events] & (found >= 0)) if link.is_within else np.zeros(0, dtype=np.int64)
                timed = chosen[rows.mark(own.gap)[chosen] == 0] if own.start is not None else chosen[:0]
                np.maximum.at(latest[link.parent], found[timed], starts[own.name][timed])
                if link.ends_within:
                    np.maximum.at(latest[link.parent], found[chosen], mine[chosen])
        for own in self.plan.events:
            for link in own.links:
                if not link.ends_within or own.name not in self.ends or link.parent not in self.ends:
                    continue
                last = np.full(len(self.table) + 1, NEVER, dtype=np.int64)
                last[self.rows[link.parent][0]] = self.ends[link.parent]
                ends, bound = self.ends[own.name], last[self.parents[own.name, link.number]]
                moment = own.moment(self.schema[own.name].end)
                unit = 1 if moment is None else moment.unit
                capped = np.maximum(bound // unit * unit, starts[own.name] // unit * unit)
                is_short = (ends == NEVER) | (bound == NEVER) | (ends <= bound) | self.fixed[self.rows[own.name][0]]
                self.ends[own.name] = np.where(is_short, ends, capped)

    def _into_known(self, own: EventPlan) -> None:
        """Starts of drawn rows are moved before the end of a known row that they lie within, in place: that end stays where it is."""
        events = self.rows[own.name][0]
        for link in own.links if self.fixed.any() else ():
            if not link.is_within or link.parent not in self.ends:
                continue
            last = np.full(len(self.table) + 1, NEVER, dtype=np.int64)
            parents = self.rows[link.parent][0]
            last[parents] = np.where(self.fixed[parents], self.ends[link.parent], NEVER)
            known = np.full(self.n_patients, NEVER, dtype=np.int64)
            if own.start is not None:  # no row is moved before what is known
                np.maximum.at(known, self.patient[self.fixed], (self.at + self.anchor[self.patient])[self.fixed])
            bound, patients = last[self.parents[own.name, link.number]], self.patient[events]
            self.begins[own.name] = before_known(self.begins[own.name], bound, own.unit, known[patients], ~self.fixed[events])

    def _enclose_own(self, own: EventPlan, latest: Ticks) -> None:
        """What lies within rows of its own table (a stay on a ward within an admission) is told to those, in place."""
        events = self.rows[own.name][0]
        for link in own.links:
            if link.parent == own.name and link.is_within:
                found = self.parents[own.name, link.number]
                inner = np.flatnonzero(self.alive[events] & (found >= 0))
                until = self.ends.get(own.name) if link.ends_within else None
                np.maximum.at(latest, found[inner], (self.begins[own.name] if until is None else until)[inner])

    def _apart(self, own: EventPlan, ends: Ticks, unit: int) -> Ticks:
        """The ends of intervals no later than the patient's next one starts."""
        events, starts = self.rows[own.name][0], self.begins[own.name]
        after = next_starts(starts, self.patient[events], self.alive[events])
        is_long = (ends != NEVER) & (after != NEVER) & (ends > after) & ~self.fixed[events]
        return np.where(is_long, np.maximum(after // unit * unit, starts // unit * unit), ends)

    def _with_deaths(self, own: EventPlan, end: str, latest: Ticks) -> None:
        """An interval that ends with the patient's death lasts until the day of her last event, in place."""
        events, rows = self.rows[own.name]
        final, day = self.finals[self.patient[events]], self.plan.clock.anchor_unit
        for moment in own.moments:
            if moment.since == end and self.schema[own.name][moment.name].has_role(Role.DEATH):
                is_early = (rows.mark(moment.name) == 0) & (final != NEVER) & (final // day > self.ends[own.name] // day)
                latest[events[is_early]] = final[is_early]

    def _starts(self, own: EventPlan) -> Ticks:
        """When the rows of a table start, int64 (n_rows,): their own times, else their places."""
        events, rows = self.rows[own.name]
        place = self.anchor[self.patient[events]] + self.at[events]
        if own.start is None:
            return place
        started = -(-place // own.unit) * own.unit if own.rounds_up else place // own.unit * own.unit
        if own.has_before:
            started = started - whole_numbers(rows.frame[own.before]) * own.unit
        timed, least = rows.mark(own.gap) == 0, np.full(len(events), NEVER, dtype=np.int64)
        if own.coarse:
            for link in own.links:
                theirs = self.parents[own.name, link.number]
                if link.is_row and link.parent in self.begins:
                    first = np.full(len(self.table) + 1, NEVER, dtype=np.int64)
                    first[self.rows[link.parent][0]] = self.begins[link.parent]
                    least = np.maximum(least, first[theirs])
            started = on_grid(started, own, self.patient[events], least, timed & ~self.fixed[events], self.rng)
        return np.where(timed, started, place)

    def _moments(self, own: EventPlan) -> dict[str, Ticks]:
        """The further times of all rows of a table, int64 (n_rows,) each."""
        events, rows = self.rows[own.name]
        table, since, patients = self.schema[own.name], self.begins[own.name], self.patient[events]
        found: dict[str, Ticks] = {}
        for moment in own.moments:
            there = rows.mark(moment.name) == 0
            found[moment.name] = _moment_ticks(moment, whole_numbers(rows.frame[moment.name]), there, since, found)
            if moment.name == table.end and own.name in self.ends:
                found[moment.name] = self.ends[own.name]
            elif table[moment.name].has_role(Role.DEATH):  # told within a row, as by an admission: not before the day of her last event
                ticks, final, day = found[moment.name], self.finals[patients], self.plan.clock.anchor_unit
                is_early = (ticks != NEVER) & (final != NEVER) & (final // day > ticks // day) & ~self.fixed[events]
                found[moment.name] = np.where(is_early, final // moment.unit * moment.unit, ticks)
        for rule in table.confirmed_rules:  # which moving ends and deaths may have broken
            if isinstance(rule, OrderRule) and set(rule.columns) <= set(found):
                first, second = (found[name] for name in rule.columns)
                found[rule.columns[1]] = np.where((first == NEVER) | (second == NEVER), second, np.maximum(first, second))
        return found

    def _settle_deaths(self) -> None:
        """The death that rows tell, which the static dates of it are where they are in real data."""
        dead = self.dead.copy()
        for own in self.plan.events if self.plan.deaths and not self.is_death_given else ():
            events = self.rows[own.name][0]
            found, kept = self._moments(own), self.alive[events]
            for name in deaths_of(self.schema[own.name], own):
                np.maximum.at(dead, self.patient[events[kept]], found[name][kept])
        if self.plan.deaths:
            drawn = self.static_ticks(self.plan.static_column(self.plan.deaths[0]))[0]
            self.moved = np.where((dead == NEVER) | (drawn == NEVER), 0, dead - drawn)
        self.dead = dead

    # tables

    def _event_rows(self, table: TableSchema, own: EventPlan) -> Table:
        events, rows = self.rows[own.name]
        for link in own.links:
            if link.is_row and not link.has_none:  # a parent may have been left out as a double
                theirs = self.parents[own.name, link.number]
                self.alive[events[(theirs < 0) | ~self.alive[theirs]]] = False
        kept = self.alive[events]
        events, rows = events[kept], rows.take(kept)
        patients = self.patient[events]
        self._unlink(own, kept)
        self._make_keys(table, patients, kept)
        cells: dict[str, object] = {}
        marks: dict[str, Marks] = {}
        since = self.begins[own.name][kept]
        if own.start is not None:
            timed = rows.mark(own.gap) == 0
            cells[own.start], marks[own.start] = self.plan.clock.cells(np.where(timed, since, NEVER)), rows.mark(own.gap)
        for name, ticks in self._moments(own).items():
            cells[name], marks[name] = self.plan.clock.cells(ticks[kept]), rows.mark(name)
        for static in self.plan.of_table(own.name):
            cells[static.column], marks[static.column] = self._static_cells(static, patients)
        keys = key_columns(table, self.schema) | {name for t, name in self.keys if t == own.name}
        said = {told.column for told in own.told if not told.has_field}
        for name in released_columns(table, self.schema):
            if name not in cells and name in keys:
                cells[name], marks[name] = key_cells(self.keys[own.name, name], table[name])
            elif name not in cells and name not in said:
                cells[name], marks[name] = stored(rows.frame[name], table[name]), rows.mark(name)
        chosen = self._singles(table, cells, events)
        self._tell(table, own, cells, marks, events, kept, chosen)
        self._register(table, cells, chosen)
        made = put_together(cells, marks, released_columns(table, self.schema), len(events))
        return made if chosen.all() else made.take(chosen)

    def _group(self, own: EventPlan, link: int, kept: Bools) -> Rows:
        """The rows of a table that have one parent (of -1: one patient) in common, int64 (n_kept,)."""
        patients = -1 - self.patient[self.rows[own.name][0][kept]]
        parent = patients if link < 0 else self.parents[own.name, link][kept]
        return np.where(parent < 0, patients, parent)

    def _unlink(self, own: EventPlan, kept: Bools) -> None:
        """Takes the foreign keys away that the last row of a group never has, in place."""
        for told in own.told:
            if told.kind == "unlinked":
                order = neighbours(self._group(own, told.link, kept), self.begins[own.name][kept], np.ones(int(kept.sum()), dtype=bool))
                last = np.flatnonzero(kept)[order.at[order.is_last & ~order.is_first]]
                self.parents[own.name, told.first][last[~self.fixed[self.rows[own.name][0][last]]]] = NONE

    def _of_parent(self, own: EventPlan, told: Told) -> Ticks:
        """A time of the row that each row of a table refers to, int64 (n_rows,), `NEVER` where there is none."""
        parent = self.plan.event(next(link.parent for link in own.links if link.number == told.link))
        theirs = self.begins[parent.name] if told.of[0] == parent.start else self._moments(parent)[told.of[0]]
        rows = self.rows[parent.name][1]
        if told.of[0] == parent.start:
            theirs = np.where(rows.mark(parent.gap) == 0, theirs, NEVER)
        of_event = np.full(len(self.table) + 1, NEVER, dtype=np.int64)
        of_event[self.rows[parent.name][0]] = theirs
        found = of_event[self.parents[own.name, told.link]]
        return found if own.start is None else np.where(found == NEVER, NEVER, np.maximum(found, self.begins[own.name]))

    def _tell(
        self,
        table: TableSchema,
        own: EventPlan,
        cells: dict[str, object],
        marks: dict[str, Marks],
        events: Rows,
        kept: Bools,
        chosen: Bools,
    ) -> None:
        """Works out the columns that other cells say, in place; those of known rows come back as they were given."""
        for told in (told for told in own.told if told.kind != "unlinked" and (own.name, told.column) not in self.held):
            if told.kind == "parent":
                ticks = self._of_parent(own, told)[kept]
                cells[told.column], marks[told.column] = self.plan.clock.cells(ticks), (ticks == NEVER).astype(np.int8)
            else:
                order = neighbours(self._group(own, told.link, kept), self.begins[own.name][kept], chosen)
                cells[told.column], marks[told.column] = tell(told, table[told.column], cells, marks, order, self.plan.clock)
            if told.column not in own.moved:
                self._give_back(own, told.column, cells, marks, events)

    def _give_back(self, own: EventPlan, name: str, cells: dict[str, object], marks: dict[str, Marks], events: Rows) -> None:
        """Puts the cells of known rows back into a column, in place."""
        of, theirs = self.given.get(own.name, (events[:0], None))
        if theirs is None or not len(events):
            return
        to = np.minimum(np.searchsorted(events, of), len(events) - 1)
        there = np.flatnonzero(events[to] == of)
        whole = overlaid(Table(pd.DataFrame({name: cells[name]}), {name: marks[name]}), theirs, to[there], there, [name])
        cells[name], marks[name] = whole.frame[name], whole.mark(name)

    def _singles(self, table: TableSchema, cells: Mapping[str, object], events: Rows) -> Bools:
        """Which rows to keep: of those that share a primary key, or what a confirmed rule says is unique, the first."""
        keep = np.ones(len(events), dtype=bool)
        rules = [rule.columns for rule in table.confirmed_rules if isinstance(rule, UniqueRule)]
        for columns in (table.primary_key, *rules):
            if columns and set(columns) <= set(cells):
                keep &= ~pd.DataFrame({name: cells[name] for name in columns}).duplicated().to_numpy()
        if not keep.all():
            self.alive[events[~keep]] = False
            for key in [key for key in self.keys if key[0] == table.name]:
                numbers = self.keys[key]
                self.keys[key] = numbers[keep] if isinstance(numbers, np.ndarray) else numbers[keep].reset_index(drop=True)
        return keep

    def _static_rows(self, table: TableSchema) -> Table:
        patients = np.flatnonzero(self.holders(table.name))
        names = released_columns(table, self.schema)
        for number, parent in links_of(table, self.schema):
            own = np.where(self.holders(parent.name)[patients], patients, NONE)
            self.parents[table.name, number] = own if self.plan.place(parent.name) < 0 else np.full(len(patients), NONE)
        self._make_keys(table, patients, np.ones(len(patients), dtype=bool))
        cells: dict[str, object] = {}
        marks: dict[str, Marks] = {}
        for static in self.plan.of_table(table.name):
            cells[static.column], marks[static.column] = self._static_cells(static, patients)
        for name in names:
            if name in cells:
                continue
            empty = np.full(len(patients), NONE, dtype=np.int64)
            cells[name], marks[name] = key_cells(self.keys.get((table.name, name), empty), table[name])
        self._register(table, cells, np.ones(len(patients), dtype=bool))
        return put_together(cells, marks, names, len(patients))

    def _static_cells(self, own: StaticColumn, patients: Rows) -> tuple[object, Marks]:
        """The cells of a static column for some patients."""
        cells, mark = self.static.frame[own.name].iloc[patients], self.static.mark(own.name)[patients]
        column = self.schema[own.table][own.column]
        if own.moment is None:
            return stored(cells.reset_index(drop=True), column), mark
        ticks, mark = self.static_ticks(own)
        return self.plan.clock.cells(ticks[patients]), mark[patients]

    def static_ticks(self, own: StaticColumn) -> tuple[Ticks, Marks]:
        """The ticks of a static time of all patients, and the marks of its missing cells."""
        moment, mark = own.moment, self.static.mark(own.name)
        assert moment is not None
        n_codes = max(len(self.schema[own.table][own.column].missing), 1)
        moved = mark == n_codes + 1 if moment.shift else np.zeros(len(mark), dtype=bool)
        base = {}
        if moment.since:
            other = next(one for one in self.plan.of_table(own.table) if one.column == moment.since)
            base[moment.since] = self.static_ticks(other)[0]
        ticks = _moment_ticks(moment, whole_numbers(self.static.frame[own.name]), mark == 0, self.anchor, base)
        if own.name in self.plan.bounds:  # a date of death that her last events have moved
            ticks = np.where(ticks == NEVER, NEVER, np.maximum(ticks, self.last // moment.unit * moment.unit))
        if own.name in self.plan.deaths:
            ticks, mark = day_of_death(own, ticks, self.dead), np.where(self.dead == NEVER, mark, 0).astype(np.int8)
        elif own.name in self.plan.bounds:  # other dates of death keep their distance from the one that rows tell
            ticks = np.where(ticks == NEVER, NEVER, ticks + self.moved // moment.unit * moment.unit)
        shifted = (self.anchor + moment.shift) // moment.unit * moment.unit
        return np.where(moved, shifted, ticks), np.where(moved, 0, mark).astype(np.int8)

    # keys

    def _make_keys(self, table: TableSchema, patients: Rows, kept: Bools) -> None:
        """The numbers of a table's keys: the patient's, its own, then those of the rows it refers to, and counters last."""
        own = next((plan for plan in self.plan.events if plan.name == table.name), None)
        mine = [key for key in self.plan.keys if key.table == table.name]
        is_key = patient_key(table)
        for key in mine:
            numbers = key.base + self.first_key + patients
            if key.column != is_key and own is not None:
                numbers = key.base + (self.first_key + patients) * key.stride + ordinal(patients)
            self.keys[table.name, key.column] = numbers
        for number, parent in links_of(table, self.schema):
            rows = self._row_in(parent.name, self.parents[table.name, number][kept])
            foreign = table.foreign_keys[number]
            for column, reference in zip(foreign.columns, foreign.references, strict=True):
                theirs = taken(self.keys.get((parent.name, reference)), rows)
                self.keys[table.name, column] = where_empty(self.keys.get((table.name, column)), theirs)
        if own is not None:
            for name, first in zip(own.counters, own.counts_from, strict=True):
                others = [self.keys[table.name, other] for other in table.primary_key if other != name]
                group = np.zeros(len(patients), dtype=np.int64)
                for other in others:
                    codes, values = pd.factorize(other)
                    group = pd.factorize(group * (len(values) + 1) + codes)[0].astype(np.int64)
                self.keys[table.name, name] = first + ordinal(group)

    def _register(self, table: TableSchema, cells: Mapping[str, object], chosen: Bools) -> None:
        """Keeps the cells of learned columns that other tables refer to, of the chosen rows."""
        for other in self.schema.of_patients:
            for _, key in ((n, other.foreign_keys[n]) for n, parent in links_of(other, self.schema) if parent.name == table.name):
                for name in key.references:
                    if (table.name, name) not in self.keys and name in cells:
                        self.keys[table.name, name] = pd.Series(cells[name])[chosen].reset_index(drop=True)

    def _row_in(self, parent: str, found: Rows) -> Rows:
        """The places in a parent's table of the events (or patients) that rows refer to, -1 for none."""
        if self.plan.place(parent) < 0:
            places = np.cumsum(self.holders(parent)) - 1
        else:
            events = self.rows[parent][0]
            places = np.full(len(self.table), NONE, dtype=np.int64)
            kept = events[self.alive[events]]
            places[kept] = np.arange(len(kept))
        return np.where(found < 0, NONE, np.append(places, NONE)[found])


def _moment_ticks(
    moment: Moment, away: npt.NDArray[np.int64], there: Bools, start: Ticks, others: Mapping[str, Ticks]
) -> Ticks:
    """The ticks of a further time, `away` units after the start or after another time; `NEVER` where it is not there."""
    base = start
    if moment.since:
        base = np.where(others[moment.since] == NEVER, start, others[moment.since])
    units = base // moment.unit + away
    if moment.is_after:
        units = np.maximum(units, start // moment.unit)
    return np.where(there, units * moment.unit, NEVER)


def anchors(static: Table, plan: RecordsPlan, n_patients: int, rng: np.random.Generator) -> Ticks:
    """The anchor of each patient in ticks; one who has none gets another's, since her events must lie somewhere."""
    if not plan.has_anchor:
        return np.zeros(n_patients, dtype=np.int64)
    found = plan.clock.ticks(static.frame[ANCHOR])
    found = np.where(found == NEVER, NEVER, found // plan.clock.anchor_unit * plan.clock.anchor_unit)
    known = found[found != NEVER]
    lost = found == NEVER
    if lost.any():
        found[lost] = known[rng.integers(len(known), size=int(lost.sum()))] if len(known) else 0
    return found
