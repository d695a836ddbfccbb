"""A patient's rows of all tables as one sequence in time, parents before their children. Knows tables and keys, no tokens.

Where a row stands in the sequence (its *place*) is its own time, or its parent's where it has none or an earlier one: children never
stand before their parents. Rows without time and parent stand at the time of the row before them in their table, and without such a row
at the patient's anchor. Ties stand in the order of the tables, parents first, then in file order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.codecs.records.clock import NEVER, Clock, Ticks
from manikin.data.dataset import Dataset
from manikin.data.links import parent_rows
from manikin.data.schema import TableSchema

Rows = npt.NDArray[np.int64]
NONE = -1


@dataclass(frozen=True)
class Timeline:
    """The events of all patients in order.

    Attributes
    ----------
    starts : int64 (n_patients + 1,). table : int16 (n_events,), place of the table in `names`. row : int64 (n_events,), its row there.
    at : int64 (n_events,), the event's place in ticks since the patient's anchor. previous : that of the event before, 0 for the first.
    anchor : int64 (n_patients,), ticks; `NEVER` for patients without any event in time.
    own : by table, the rows' own times in ticks, `NEVER` where there is none.
    parents : by (table, foreign key), the parent's row, -1 if none.
    """

    names: tuple[str, ...]
    starts: Rows
    table: npt.NDArray[np.int16]
    row: Rows
    at: Ticks
    previous: Ticks
    anchor: Ticks
    own: Mapping[str, Ticks]
    parents: Mapping[tuple[str, int], Rows]

    @property
    def patient(self) -> Rows:
        """The patient of each event, int64 (n_events,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def rows_of(self, name: str) -> tuple[Rows, Rows]:
        """The events of one table, as places in the sequence and as rows of the table, int64 (n_rows,) each."""
        events = np.flatnonzero(self.table == self.names.index(name))
        return events, self.row[events]


def lay_out(
    data: Dataset,
    tables: Sequence[TableSchema],
    times: Mapping[str, str | None],
    links: Mapping[str, Sequence[tuple[int, str]]],
    clock: Clock,
) -> Timeline:
    """Puts the rows of some tables in order.

    Parameters
    ----------
    tables : the tables of events, parents first. times : the column of each one's time.
    links : for each of them its foreign keys to rows of patients, as (number, parent).
    """
    names = tuple(table.name for table in tables)
    own: dict[str, Ticks] = {}
    parents: dict[tuple[str, int], Rows] = {}
    at: dict[str, Ticks] = {}
    depths: dict[str, Rows] = {}
    for table in tables:
        frame, owner, start = data.tables[table.name].frame, data.owners[table.name], times[table.name]
        own[table.name] = np.full(len(frame), NEVER, dtype=np.int64) if start is None else clock.ticks(frame[start])
        mine = []
        for number, parent in links[table.name]:
            rows = parent_rows(data, table, number, within_patient=True)
            parents[table.name, number] = rows
            if parent in names:
                mine.append((parent, rows))
        at[table.name], depths[table.name] = _places(own[table.name], owner, table.name, mine, at)
    owner = np.concatenate([data.owners[name] for name in names]) if names else np.zeros(0, dtype=np.int64)
    place = np.concatenate([at[name] for name in names]) if names else np.zeros(0, dtype=np.int64)
    anchor = _anchors(place, owner, len(data), clock)
    place = np.where(place == NEVER, 0, place - anchor[owner])
    sizes = [len(own[name]) for name in names]
    row = np.concatenate([np.arange(size) for size in sizes]) if names else np.zeros(0, dtype=np.int64)
    table_of = np.repeat(np.arange(len(names), dtype=np.int16), sizes)
    ties: list[npt.NDArray[np.int64]] = []
    if any(depth.any() for depth in depths.values()):  # rows that refer to rows of their own table
        ties = [np.concatenate([depths[name] for name in names]), table_of.astype(np.int64)]
    order = np.lexsort([*ties, place, owner])  # stable: ties stay in the order of tables, then of the file
    owner, place = owner[order], place[order]
    starts = np.searchsorted(owner, np.arange(len(data) + 1))
    previous = np.concatenate([[0], place[:-1]])[: len(place)]
    previous[starts[:-1][np.diff(starts) > 0]] = 0
    return Timeline(names, starts, table_of[order], row[order], place, previous, anchor, own, parents)


def _places(
    own: Ticks, owner: Rows, name: str, parents: Sequence[tuple[str, Rows]], at: Mapping[str, Ticks]
) -> tuple[Ticks, Rows]:
    """Where rows stand, int64 (n_rows,), and how deep below other rows of their own table."""
    place, depth = own.copy(), np.zeros(len(own), dtype=np.int64)
    for parent, rows in parents:
        if parent != name:
            place = np.maximum(place, np.where(rows < 0, NEVER, at[parent][rows]))
    lost = np.flatnonzero(place == NEVER)
    if len(lost) and len(lost) < len(place):
        place[lost] = _before_in_file(place, owner)[lost]
    for parent, rows in parents:
        if parent == name:
            for _ in range(len(own)):
                deeper = np.where(rows < 0, 0, depth[rows] + 1)
                later = np.maximum(place, np.where(rows < 0, NEVER, place[rows]))
                if ((deeper == depth).all() and (later == place).all()) or deeper.max(initial=0) > 1000:
                    break  # a circle of references is cut: one that would lead to a later row becomes none
                place, depth = later, deeper
    return place, depth


def _before_in_file(place: Ticks, owner: Rows) -> Ticks:
    """The last known place of the same patient before each row of the file, `NEVER` where there is none."""
    order = np.argsort(owner, kind="stable")
    known = np.where(place[order] == NEVER, -1, np.arange(len(place)))
    last = np.maximum.accumulate(known)
    sound = (last >= 0) & (owner[order][last] == owner[order])
    out = np.empty(len(place), dtype=np.int64)
    out[order] = np.where(sound, place[order][last], NEVER)
    return out


def _anchors(place: Ticks, owner: Rows, n_patients: int, clock: Clock) -> Ticks:
    first = np.full(n_patients, np.iinfo(np.int64).max)
    timed = place != NEVER
    np.minimum.at(first, owner[timed], place[timed])
    return np.where(first == np.iinfo(np.int64).max, NEVER, first // clock.anchor_unit * clock.anchor_unit)


def backs(timeline: Timeline, name: str, parent: str, rows: Rows) -> Rows:
    """How many rows of the parent's table lie between each row of a table and its parent, int64 (n_rows in order,); -1 for no parent.

    Parameters
    ----------
    rows : int64 (n_rows in order,), the parent's row of each row of the table, in the order of the sequence.
    """
    ordinal = np.full(max(int(timeline.row.max(initial=-1)) + 1, 1), NONE, dtype=np.int64)
    is_parent = timeline.table == timeline.names.index(parent)
    before = counts_before(is_parent, timeline.starts)
    ordinal[timeline.row[is_parent]] = before[is_parent]
    events = np.flatnonzero(timeline.table == timeline.names.index(name))
    out = before[events] - 1 - ordinal[rows]
    return np.where((rows < 0) | (out < 0), NONE, out)


def counts_before(chosen: npt.NDArray[np.bool_], starts: Rows) -> Rows:
    """How many chosen events of the same patient lie before each event, int64 (n_events,)."""
    total = np.concatenate([[0], np.cumsum(chosen)])
    return total[:-1] - np.repeat(total[starts[:-1]], np.diff(starts))
