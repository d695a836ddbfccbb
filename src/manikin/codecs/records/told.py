"""Columns that other cells say: how long a stay was, the ward before, the number of a diagnosis. They are worked out, not drawn.

A model that draws them beside what they follow from contradicts itself in nearly every row: 3.2 days between two dates that lie 5 days
apart, a ward before that is not the ward before. `find_told` finds them in real rows, and `tell` works them out in decoded ones. Knows no
tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.levels import fit_levels
from manikin.codecs.records.clock import NEVER, Clock, Ticks
from manikin.codecs.records.plan import EventPlan, Told, key_columns, learned_columns
from manikin.codecs.records.sequence import Rows, Timeline
from manikin.data.cells import number_texts
from manikin.data.dataset import Dataset, Marks, Table
from manikin.data.rules import OrderRule
from manikin.data.schema import Column, Kind, Role, TableSchema

Bools = npt.NDArray[np.bool_]
ENOUGH_GROUPS = 20  # stays with several rows from which a fact about neighbouring rows is taken for true
ENOUGH_ROWS = 40  # rows from which a length is
ALL_BUT_FEW = 0.99  # of them in which it must hold
HARDLY_EVER = 0.9  # of the groups with several rows that hold one cell
IN_ORDER = 0.9  # of the rows that must stand in the order of their numbers
SHARED = 0.5  # of the rows whose other level several patients must have, where it is to say one
TRIVIAL = 0.9  # of the rows with the same cell as the row before in which a copy of the row before tells nothing
UNITS = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
LISTED = "listed"  # how levels are copied that are not all shown
# how many columns each kind of told column rests on
KINDS = dict.fromkeys(("number", "place", "same", "but_last", "unlinked"), 0) | {"before": 1, "after": 1, "parent": 1, "span": 2}
_ROLES = (Role.TARGET, Role.EVENT, Role.TIME, Role.DEATH, Role.BIRTH, Role.PATIENT_KEY, Role.DIRECT_IDENTIFIER)


def find_told(
    data: Dataset, table: TableSchema, plan: EventPlan, timeline: Timeline, clock: Clock, parents: Mapping[str, EventPlan]
) -> tuple[Told, ...]:
    """The columns of a table of events that other cells say, those first that others may rest on.

    Parameters
    ----------
    parents : the plans of the tables before it, by name.
    """
    bound = {name for rule in table.confirmed_rules for name in rule.columns} | {name for pair in plan.by for name in pair}
    bound |= {str(plan.start), *plan.codes, *plan.counters, *table.primary_key, *key_columns(table, data.schema)}
    free = [c for c in learned_columns(table, data.schema, set(plan.codes)) if c.name not in bound]
    free += [c for c in table if c.name in bound - _bound_else(table, plan) and plan.moment(c.name) is not None]
    free = [c for c in free if not any(c.has_role(role) for role in _ROLES)]
    own, rows = data.tables[table.name], timeline.rows_of(table.name)[1]
    patient = data.owners[table.name]
    if len(rows) < ENOUGH_ROWS or len(np.unique(patient)) < table.min_patients:
        return ()
    out: list[Told] = []
    orders: dict[int, Neighbours] = {}
    groups = {link.number: timeline.parents[table.name, link.number] for link in plan.links if link.is_row}
    times_of = [moment.name for moment in plan.moments if moment.name not in _bound_else(table, plan)]
    for link in (link for link in plan.links if link.number in groups and link.parent in parents):
        columns = [c for c in table if c.name in times_of and not any(c.has_role(role) for role in _ROLES)]
        known = [name for name in (data.schema[link.parent].end, parents[link.parent].start) if name is not None]
        known = [name for name in known if name == parents[link.parent].start or parents[link.parent].moment(name) is not None]
        out += _of_parent(own, columns, data.tables[link.parent], known, groups[link.number], link.number, clock)
        times_of = [name for name in times_of if name not in {told.column for told in out}]
    for number, parent in {**groups, -1: np.full(len(patient), -1)}.items():
        order = _in_order(rows, np.where(parent < 0, -1 - patient, parent), timeline.own[table.name])
        if order is None:
            continue
        taken = {told.column for told in out}
        for column in (c for c in free if c.name not in taken | _sources(out)):
            found = _number(own, column, order, number) or _neighbour(own, column, table, plan, order, number, patient)
            found = found or _by_place(own, column, order, number, patient, max(table.threshold(column), table.min_patients))
            if found is not None and not {found.column, *found.of} & {t.column for t in out} and found.column not in _sources(out):
                out.append(found)
        orders[number] = order
    times = {name: clock.ticks(own.frame[name]) for name in _times(table, plan)}
    for column in (c for c in free if c.kind.is_number and c.name not in {t.column for t in out} | _sources(out)):
        found = _span(own, column, times, clock)
        if found is not None:
            out.append(found)
    for number, order in orders.items():
        taken = {told.column for told in out}
        for column in (c for c in free if c.name not in taken):
            settled = _same(own, column, order, number) or _but_last(own, column, order, number)
            if settled is not None and settled.kind == "same" and is_of_row(own, column, table, plan, order, patient):
                continue  # what the row says is kept by what never stands together; to settle it would break that
            out += [] if settled is None else [settled]
        out += [one for one in _unlinked(table, plan, groups, order, number) if one.column not in {told.column for told in out}]
    return tuple(sorted(out, key=lambda told: not told.has_field))  # what is settled first: others may rest on it


def _bound_else(table: TableSchema, plan: EventPlan) -> set[str]:
    """The columns of confirmed rules, but for a start that lies before another time of the row."""
    rules = [rule for rule in table.confirmed_rules if not (isinstance(rule, OrderRule) and rule.columns[0] == plan.start)]
    return {name for rule in rules for name in rule.columns}


def _sources(told: list[Told]) -> set[str]:
    return {name for one in told for name in one.of}


def _times(table: TableSchema, plan: EventPlan) -> list[str]:
    """The start of a table and its further times, its end first."""
    rest = sorted((moment.name for moment in plan.moments), key=lambda name: name != table.end)
    return [name for name in (plan.start, *rest) if name is not None]


@dataclass(frozen=True)
class Neighbours:
    """Rows of a table in groups (of one parent), each in the order of time: places, and which are the first and the last of theirs."""

    at: Rows
    is_first: Bools
    is_last: Bools

    @property
    def starts(self) -> Rows:
        """For each row in order the place in this order of the first row of its group, int64 (n_rows,)."""
        return np.maximum.accumulate(np.where(self.is_first, np.arange(len(self.at)), 0)) if len(self.at) else self.at


def neighbours(group: Rows, since: Ticks, kept: Bools) -> Neighbours:
    """The kept rows of a table by group and time."""
    rows = np.flatnonzero(kept)
    at = rows[np.lexsort((rows, since[rows], group[rows]))]
    is_first = np.concatenate([[True], np.diff(group[at]) != 0])[: len(at)]
    return Neighbours(at, is_first, np.append(is_first[1:], True)[: len(at)])


def _in_order(rows: Rows, group: Rows, own: Ticks) -> Neighbours | None:
    """The rows of a table in groups, each in the order of the sequence; None where too few groups have several rows."""
    found = neighbours(group[rows], own[rows], np.ones(len(rows), dtype=bool))
    order = Neighbours(rows[found.at], found.is_first, found.is_last)
    return None if int((order.is_first & ~order.is_last).sum()) < ENOUGH_GROUPS else order


def _number(own: Table, column: Column, order: Neighbours, link: int) -> Told | None:
    """Whether a column of whole numbers counts the rows of a group, from 0 or 1, in their order."""
    if not column.kind.is_number or own.mark(column.name).any():
        return None
    at, is_first = order.at, order.is_first
    values = own.frame[column.name].to_numpy(dtype=float)[at]
    if np.isnan(values).any() or (values != np.round(values)).any() or values.min() not in (0, 1):
        return None
    first, group = int(values.min()), np.cumsum(is_first)
    size = np.bincount(group)[group]
    counts = pd.DataFrame({"group": group, "value": values})
    spans = counts.groupby("group")["value"].agg(["min", "max", "nunique", "size"])
    dense = (spans["min"] == first) & (spans["nunique"] == spans["size"]) & (spans["max"] - first + 1 == spans["size"])
    follows = np.concatenate([[False], np.diff(values) == 1])[(size > 1) & ~is_first]
    many = spans["size"] > 1
    if dense[many].mean() < ALL_BUT_FEW or dense.mean() < ALL_BUT_FEW or follows.mean() < IN_ORDER:
        return None
    return Told(column.name, "number", (), link, first=first)


def _neighbour(
    own: Table, column: Column, table: TableSchema, plan: EventPlan, order: Neighbours, link: int, patient: Rows
) -> Told | None:
    """Whether a column copies another one of the row before it in its group, or of the row behind it; where there is none it is empty."""
    at, mark = order.at, own.mark(column.name)[order.at]
    if column.kind.is_time:
        edge, kind, others = order.is_last, "after", [table[plan.start]] if plan.start is not None else []
    else:
        edge, kind = order.is_first, "before"
        others = [c for c in table if c.name != column.name and _is_alike(c, column) and c.name not in (plan.start, *plan.counters)]
        others = [c for c in others if column.kind.is_discrete or _may_copy(c, column, table)]
    if not column.missing or (mark[edge] > 0).mean() < ALL_BUT_FEW:
        return None
    mine = _texts(own, column)[at]
    for other in others:
        theirs = _texts(own, other)[at]
        moved = np.append(theirs[1:], "") if kind == "after" else np.concatenate([[""], theirs[:-1]])
        inner = ~edge
        same_row = (mine == theirs)[inner].mean() if kind == "before" else 0.0
        if (mine == moved)[inner].mean() >= ALL_BUT_FEW and same_row < TRIVIAL and len(set(mine[inner].tolist())) > 1:
            says = _copied(own, column, table, patient) if kind == "before" else None
            return Told(column.name, kind, (other.name,), link, how="" if says is None else LISTED, says=says or ())
    return None


def _copied(own: Table, column: Column, table: TableSchema, patient: Rows) -> tuple[str, ...] | None:
    """The levels that a copy may hold: those declared public, or those that the column itself would show; None for all.

    That enough patients have them where they are copied from is not enough: who was moved out of a ward is not who was moved into it.
    """
    if not column.kind.is_discrete or (column.has_public_levels and column.levels is None):
        return None
    if column.has_public_levels:
        return tuple(column.levels or ())
    cells = own.frame[column.name].where(pd.Series(own.mark(column.name) == 0)).astype("category")
    return fit_levels(cells, patient, column, min_patients=max(table.threshold(column), table.min_patients)).shown


def _of_parent(
    own: Table, columns: Sequence[Column], parent: Table, names: Sequence[str], rows: Rows, link: int, clock: Clock
) -> list[Told]:
    """The times of a table that are one of some times of the row of patients that its rows refer to."""
    out, linked = [], rows >= 0
    for column in columns if clock.is_calendar and len(parent) else ():
        mine = clock.ticks(own.frame[column.name])
        if (mine != NEVER).sum() < ENOUGH_ROWS or (not column.missing and not linked.all()):
            continue
        for name in names:
            if (mine == np.where(linked, clock.ticks(parent.frame[name])[rows], NEVER)).mean() >= ALL_BUT_FEW:
                out.append(Told(column.name, "parent", (name,), link))
                break
    return out


def _by_place(own: Table, column: Column, order: Neighbours, link: int, patient: Rows, min_patients: int) -> Told | None:
    """Whether a level says no more than whether a row is the first, a later, the last or the only one of its group."""
    if not column.kind.is_discrete or column.kind is Kind.CODE_SET or own.mark(column.name).any():
        return None
    texts = _texts(own, column)[order.at]
    places = np.where(order.is_first, np.where(order.is_last, 3, 0), np.where(order.is_last, 2, 1))
    says: list[str] = []
    for place in range(4):
        levels, counts = np.unique(texts[places == place].astype(str), return_counts=True)
        is_shown = len(np.unique(patient[order.at][places == place])) >= min_patients
        if not is_shown and place in (1, 3):
            says.append(says[0])
            continue
        if not is_shown or counts.max() < ALL_BUT_FEW * counts.sum():
            return None
        level = str(levels[counts.argmax()])
        if len(np.unique(patient[order.at][texts == level])) < min_patients and not column.has_public_levels:
            return None
        says.append(level)
    return Told(column.name, "place", (), link, says=tuple(says)) if len(set(says)) > 1 else None


def _same(own: Table, column: Column, order: Neighbours, link: int) -> Told | None:
    """Whether a cell that changes between groups hardly ever changes within one: a weight within a stay."""
    if column.kind.is_time or column.kind is Kind.CODE_SET:
        return None
    texts = _texts(own, column)[order.at]
    changes = pd.Series(texts != texts[order.starts]).groupby(np.cumsum(order.is_first)).any().to_numpy()
    several = ~order.is_last[order.is_first]
    firsts = texts[order.is_first][several]
    if len(firsts) < ENOUGH_GROUPS or (~changes[several]).mean() < HARDLY_EVER:
        return None
    if pd.Series(firsts).value_counts().iloc[0] > TRIVIAL * len(firsts):
        return None
    return Told(column.name, "same", (), link)


def is_of_row(own: Table, column: Column, table: TableSchema, plan: EventPlan, order: Neighbours, patient: Rows) -> bool:
    """Whether the level of a column hangs on another one of its row that changes within groups, as the patients who share that one show.

    Parameters
    ----------
    order : the rows in the groups within which the column does not change. patient : int64 (n_rows,), whose each row is.
    """
    if not column.kind.is_discrete:
        return False
    mine, who = _numbered(own, column)[order.at], patient[order.at]
    if not len(mine) or np.bincount(mine).max() >= ALL_BUT_FEW * len(mine):
        return False  # one level: there is nothing to say
    several = ~order.is_last[order.is_first]
    for other in table:
        if other.name == column.name or other.kind is Kind.CODE_SET or not (other.kind.is_discrete or other.name in plan.codes):
            continue
        theirs = _numbered(own, other)[order.at]
        changes = np.logical_or.reduceat(theirs != theirs[order.starts], np.flatnonzero(order.is_first))
        if (~changes[several]).mean() < HARDLY_EVER and _says(theirs, mine, who):
            return True
    return False


def _says(other: Rows, mine: Rows, who: Rows) -> bool:
    """Whether levels that several patients have nearly always stand with one and the same level of mine; int64 (n_rows,) each, from 0."""
    n_mine, n_who = int(mine.max()) + 1, int(who.max()) + 1
    place, pairs = pd.factorize(other * n_mine + mine)
    n_rows, level = np.bincount(place), pairs // n_mine
    most = np.zeros(int(other.max()) + 1, dtype=np.int64)
    np.maximum.at(most, level, n_rows)
    if most.sum() < SHARED * ALL_BUT_FEW * len(mine):
        return False  # whoever shares what
    n_holders = np.bincount(pd.unique(other * n_who + who) // n_who, minlength=len(most))
    held = np.bincount(pd.unique(place * n_who + who) // n_who)
    best = np.lexsort((n_rows, held, level))
    best = best[np.append(np.diff(level[best]) != 0, True)]  # of each other level the one that most patients have with it
    shared = n_holders[level] > 1
    n_shared = n_rows[shared].sum()
    return bool(n_shared >= SHARED * len(mine) and n_rows[best][shared[best]].sum() >= ALL_BUT_FEW * n_shared)


def _numbered(own: Table, column: Column) -> Rows:
    """Which cells are alike, int64 (n_rows,): 0 where there is none."""
    return np.where(own.mark(column.name) > 0, 0, pd.factorize(own.frame[column.name])[0].astype(np.int64) + 1)


def _but_last(own: Table, column: Column, order: Neighbours, link: int) -> Told | None:
    """Whether a column is empty in the last row of a group, and is filled in others."""
    if not column.missing or column.kind.is_time or link < 0:
        return None
    is_empty, several = own.mark(column.name)[order.at] > 0, ~(order.is_first & order.is_last)
    last, others = is_empty[order.is_last & several].mean(), is_empty[~order.is_last].mean()
    if last < ALL_BUT_FEW or others > IN_ORDER:
        return None
    return Told(column.name, "but_last", (), link, first=int(others <= 1 - ALL_BUT_FEW))


def _unlinked(table: TableSchema, plan: EventPlan, groups: Mapping[int, Rows], order: Neighbours, link: int) -> list[Told]:
    """The foreign keys that the last row of a group leaves empty, and others do not."""
    out, several = [], ~(order.is_first & order.is_last)
    for other in plan.links:
        if link < 0 or other.number == link or not other.is_row or not other.has_none:
            continue
        is_empty = groups[other.number][order.at] < 0
        if is_empty[order.is_last & several].mean() >= ALL_BUT_FEW and is_empty[~order.is_last].mean() <= IN_ORDER:
            out.append(Told(table.foreign_keys[other.number].columns[0], "unlinked", (), link, first=other.number))
    return out


def _is_alike(first: Column, second: Column) -> bool:
    """Whether two columns may hold the same cells: both levels, or both whole numbers."""
    if first.kind.is_discrete and second.kind.is_discrete:
        return first.storage == second.storage and first.kind is not Kind.CODE_SET
    return first.kind is second.kind and first.kind.is_number and (first.decimals or 0) == (second.decimals or 0)


def _may_copy(source: Column, column: Column, table: TableSchema) -> bool:
    """Whether a release may hold in a column of numbers whatever it holds in another one: as many patients have to reach either end."""
    return table.threshold(source) >= table.threshold(column)


def _texts(own: Table, column: Column) -> npt.NDArray[np.object_]:
    """Cells as texts, "" where there is none."""
    cells = own.frame[column.name]
    if column.kind.is_time:
        out = cells.to_numpy(dtype="datetime64[us]").astype(str).astype(object)
    elif column.kind.is_number:
        values = cells.to_numpy(dtype=float)
        out = np.where(np.isfinite(values), number_texts(np.where(np.isfinite(values), values, 0.0), column), "").astype(object)
    else:
        out = cells.astype(object).to_numpy(dtype=object)
    return np.where(own.mark(column.name) > 0, "", out)


def _span(own: Table, column: Column, times: Mapping[str, Ticks], clock: Clock) -> Told | None:
    """Whether a number is the time from one of a row's times to another, in seconds, minutes, hours or days."""
    values, decimals = own.frame[column.name].to_numpy(dtype=float), column.decimals or 0
    units = UNITS if clock.is_calendar else {"": 10**clock.decimals}
    for i, first in enumerate(times):
        for second in list(times)[i + 1 :]:
            both = (times[first] != NEVER) & (times[second] != NEVER)
            there = both & np.isfinite(values)
            if there.sum() < ENOUGH_ROWS or (not column.missing and not both.all()):
                continue
            if (both == np.isfinite(values)).mean() < ALL_BUT_FEW:
                continue
            for unit in units.values():
                for how in ("round", "floor", "dates"):
                    said = _length(times[first][there], times[second][there], unit, decimals, how)
                    close = np.abs(said - values[there]) <= 0.5 * 10.0**-decimals + 1e-9 * np.abs(said)
                    if close.mean() >= ALL_BUT_FEW and len(np.unique(said)) > 2:
                        return Told(column.name, "span", (first, second), unit=unit, how=how)
    return None


def _length(first: Ticks, second: Ticks, unit: int, decimals: int, how: str) -> npt.NDArray[np.float64]:
    """From one time to another in units: rounded or cut to the decimals, or between the units in which they lie."""
    if how == "dates":
        return (second // unit - first // unit).astype(float)
    exact = (second - first) / unit
    scale = 10.0**decimals
    return np.asarray((np.floor(exact * scale + 1e-6) if how == "floor" else np.round(exact * scale)) / scale)


def tell(
    told: Told, column: Column, cells: Mapping[str, object], marks: Mapping[str, Marks], order: Neighbours, clock: Clock
) -> tuple[object, Marks]:
    """The cells of a column that others say, and its marks; rows that are not in `order` are empty.

    Parameters
    ----------
    cells, marks : of the columns that it rests on.
    """
    n = len(next(iter(marks.values())))
    if told.kind == "number":
        values = np.full(n, np.nan)
        values[order.at] = told.first + np.arange(len(order.at)) - order.starts
        return values, np.zeros(n, dtype=np.int8)
    if told.kind == "place":
        codes = np.full(n, -1, dtype=np.int64)
        codes[order.at] = np.where(order.is_first, np.where(order.is_last, 3, 0), np.where(order.is_last, 2, 1))
        levels = list(dict.fromkeys(told.says))
        codes = np.append([levels.index(level) for level in told.says], -1)[codes]
        return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(pd.Index(levels, dtype=object))), np.zeros(n, dtype=np.int8)
    if told.kind == "span":
        first, second = (clock.ticks(pd.Series(cells[name])) for name in told.of)
        known = (first != NEVER) & (second != NEVER)
        said = _length(np.where(known, first, 0), np.where(known, second, 0), told.unit, column.decimals or 0, told.how)
        return np.where(known, said, np.nan), (~known).astype(np.int8)
    name = told.of[0] if told.of else told.column
    source, mark, place = pd.Series(cells[name]), marks[name], np.arange(n)
    if told.kind == "same":
        place[order.at] = order.at[order.starts]
    elif told.kind == "but_last":
        place = _filled(mark, order) if told.first else place
        place[order.at[order.is_last & ~order.is_first]] = -1
    else:
        rest = order.at[~order.is_first], order.at[~order.is_last]
        to, of = rest if told.kind == "before" else rest[::-1]
        place = np.full(n, -1, dtype=np.int64)
        place[to] = of
    out = source.reindex(place).reset_index(drop=True)
    theirs = np.append(mark, np.int8(1))[place]
    if told.how == LISTED:
        is_shown = out.isin(told.says).to_numpy() | (theirs > 0)
        out, theirs = out.where(is_shown), np.where(is_shown, theirs, np.int8(1))
    return out, np.minimum(theirs, len(column.missing)).astype(np.int8)


def _filled(mark: Marks, order: Neighbours) -> Rows:
    """The row that each row takes its cell from: itself, or where it is empty the nearest one before it in its group that is not, or else
    behind it."""
    cells = pd.Series(np.where(mark[order.at] == 0, order.at, np.nan)).groupby(np.cumsum(order.is_first))
    found = cells.ffill().fillna(cells.bfill()).to_numpy(dtype=float)
    place = np.arange(len(mark))
    place[order.at] = np.where(np.isnan(found), order.at, found).astype(np.int64)
    return place
