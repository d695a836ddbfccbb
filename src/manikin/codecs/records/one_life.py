"""What holds of a whole life when patients are decoded: one death, one stay at a time, times on the grid they are charted on. Knows no key.

Generators draw row by row, so that two admissions may overlap, a second one follow a death, or two tables tell different days of death.
Where real data never do so (`RecordsPlan.deaths`, `EventPlan.is_final`, `EventPlan.is_disjoint`), decoded data do not either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from manikin.codecs.records.clock import NEVER, Clock, Ticks
from manikin.codecs.records.plan import EventPlan, RecordsPlan, StaticColumn
from manikin.codecs.records.sequence import Rows
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Role, Schema, TableSchema

Bools = npt.NDArray[np.bool_]
ENOUGH = 20  # deaths, or stays that follow one another, from which a fact about all of them is taken for true
ALL_BUT_FEW = 0.99
AGREE = 0.95  # of the patients whose death a row tells that have the same day in another column
GRIDS = (3_600_000_000, 1_800_000_000, 900_000_000, 300_000_000, 60_000_000)  # an hour down to a minute, in ticks
LEAST_ON_GRID = 0.5  # of the times that lie on a grid for it to be one that people chart on
BY_CHANCE = 3  # times as many as chance must lie there
MANY_TIMES = 200


# what is found in real rows


def coarse_grid(own: Ticks, owner: Rows, unit: int, clock: Clock) -> tuple[int, float]:
    """The grid that most times of a table lie on although not all do, in ticks, and their share; (0, 0.0) where there is none."""
    there = own != NEVER
    if not clock.is_calendar or there.sum() < MANY_TIMES:
        return 0, 0.0
    times = np.unique(np.stack([owner[there], own[there]]), axis=1)[1]
    for size in GRIDS:
        if size <= unit:
            break
        share = float((times % size == 0).mean())
        if share >= max(LEAST_ON_GRID, BY_CHANCE * unit / size):
            return size, share
    return 0, 0.0


def is_disjoint(own: Ticks, ends: Ticks, owner: Rows) -> bool:
    """Whether no interval of a patient starts before the one before it has ended, which enough of them must show."""
    known = (own != NEVER) & (ends != NEVER)
    order = np.lexsort((own[known], owner[known]))
    first, last, who = own[known][order], ends[known][order], owner[known][order]
    same = np.diff(who) == 0
    return int(same.sum()) >= ENOUGH and float((first[1:] >= last[:-1])[same].mean()) >= ALL_BUT_FEW


def is_final(deaths: Sequence[Ticks], own: Ticks, owner: Rows) -> bool:
    """Whether the row that tells a patient's death is her last one of the table, which enough of them must show."""
    if not deaths:
        return False
    tells = np.any([ticks != NEVER for ticks in deaths], axis=0)
    last = np.full(int(owner.max(initial=-1)) + 1, NEVER, dtype=np.int64)
    np.maximum.at(last, owner, own)
    return int(tells.sum()) >= ENOUGH and float((own == last[owner])[tells].mean()) >= ALL_BUT_FEW


def deaths_of(table: TableSchema, own: EventPlan) -> list[str]:
    """The times of death that the rows of a table of events tell."""
    return [moment.name for moment in own.moments if table[moment.name].has_role(Role.DEATH)]


def with_deaths(plan: RecordsPlan, data: Dataset) -> RecordsPlan:
    """The plan with those static dates of death that are the day that rows tell, wherever rows tell one."""
    told = np.full(len(data), NEVER, dtype=np.int64)
    for own in plan.events:
        for name in deaths_of(data.schema[own.name], own):
            np.maximum.at(told, data.owners[own.name], plan.clock.ticks(data.tables[own.name].frame[name]))
    found = []
    for column in plan.static:
        moment = column.moment
        if moment is None or moment.shift or not data.schema[column.table][column.column].has_role(Role.DEATH):
            continue
        static = np.full(len(data), NEVER, dtype=np.int64)
        static[data.owners[column.table]] = plan.clock.ticks(data.tables[column.table].frame[column.column])
        dead = told != NEVER
        if dead.sum() >= ENOUGH and float((static[dead] // moment.unit == told[dead] // moment.unit).mean()) >= AGREE:
            found.append(column.name)
    return replace(plan, deaths=tuple(found))


# what is kept in decoded rows


def behind_death(
    plan: RecordsPlan, schema: Schema, table: npt.NDArray[np.int16], starts: Rows, rows: Mapping[str, tuple[Rows, Table]]
) -> Bools:
    """The events from the row on that follows one which tells a death, in a table where in real data none does; bool (n_events,)."""
    n_patients = len(starts) - 1
    patient = np.repeat(np.arange(n_patients), np.diff(starts))
    cut = np.full(n_patients, len(table), dtype=np.int64)
    for own in plan.events:
        names = deaths_of(schema[own.name], own) if own.is_final else []
        events, cells = rows[own.name]
        if not names or not len(events):
            continue
        tells = np.any([cells.mark(name) == 0 for name in names], axis=0)
        first = np.full(n_patients, len(table), dtype=np.int64)
        np.minimum.at(first, patient[events[tells]], events[tells])
        later = events[events > first[patient[events]]]
        np.minimum.at(cut, patient[later], later)
    return np.asarray(np.arange(len(table)) >= cut[patient])


def next_starts(starts: Ticks, owner: Rows, alive: Bools) -> Ticks:
    """When the patient's next row of a table starts, int64 (n_rows,), `NEVER` behind the last; rows that are left out count as none."""
    out = np.full(len(starts), NEVER, dtype=np.int64)
    order = np.lexsort((np.arange(len(starts)), starts, owner))
    order = order[alive[order]]
    same = np.diff(owner[order]) == 0
    out[order[:-1][same]] = starts[order[1:]][same]
    return out


def before_known(starts: Ticks, bound: Ticks, unit: int, known: Ticks, free: Bools) -> Ticks:
    """Starts that lie behind a bound brought to it, where that is not before what is known of the patient; int64 (n_rows,) each.

    Parameters
    ----------
    bound : `NEVER` where there is none. known : ticks of the patient's last known event. free : bool (n_rows,), which may be moved.
    """
    back = bound // unit * unit
    return np.where(free & (bound != NEVER) & (starts > bound) & (back >= known), back, starts)


def on_grid(starts: Ticks, own: EventPlan, owner: Rows, least: Ticks, free: Bools, rng: np.random.Generator) -> Ticks:
    """Times moved back to the grid that most of them lie on in real data, all of a patient between two points of it or none, so that time
    does not run backwards; none before `least`.

    Parameters
    ----------
    free : bool (n_rows,), which may be moved.
    """
    if not own.coarse or own.is_distinct or not len(starts):
        return starts
    moved = starts // own.coarse * own.coarse
    block = np.cumsum(np.concatenate([[0], (np.diff(moved) != 0) | (np.diff(owner) != 0)]))
    chosen = rng.random(int(block[-1]) + 1) < own.on_coarse
    chosen[block[~free | (moved < least)]] = False
    return np.where(chosen[block], moved, starts)


def day_of_death(own: StaticColumn, ticks: Ticks, dead: Ticks) -> Ticks:
    """A static date of death as rows tell it, where they tell one."""
    assert own.moment is not None
    return np.where(dead == NEVER, ticks, dead // own.moment.unit * own.moment.unit)
