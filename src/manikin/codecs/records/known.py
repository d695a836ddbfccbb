"""Decoded patients of whom a part is known: their cells and times put in place of decoded ones, before keys are made. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.base import Records
from manikin.codecs.records.clock import Ticks
from manikin.codecs.records.event_codec import EventCodec
from manikin.codecs.records.flatten import event_table, static_table
from manikin.codecs.records.plan import RecordsPlan
from manikin.codecs.records.sequence import Rows, Timeline
from manikin.data.dataset import Dataset, Marks, Table
from manikin.data.errors import ParameterError


@dataclass(frozen=True)
class Known:
    """What is known of decoded patients.

    Attributes
    ----------
    data : the known patients, every table and column of the schema in it. absent : the static fields that it knows nothing of.
    timeline : their events in order. patients : int64 (n_records,), which known patient each record continues.
    """

    data: Dataset
    absent: frozenset[str]
    timeline: Timeline
    patients: Rows

    def events(self, records: Records) -> tuple[Rows, Rows]:
        """The events of records that are known, and which events of the timeline they are, int64 (n_known,) each.

        Raises
        ------
        ParameterError : a record does not begin with the known events of its patient.
        """
        lengths = np.diff(self.timeline.starts)[self.patients]
        if len(self.patients) != len(records) or (records.lengths < lengths).any():
            raise ParameterError("Records to be decoded around known patients must begin with all of their known events.")
        ends = np.cumsum(lengths)
        within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        mine = np.repeat(records.starts[:-1], lengths) + within
        theirs = np.repeat(self.timeline.starts[self.patients], lengths) + within
        if (records.table[mine] != self.timeline.table[theirs]).any():
            raise ParameterError("Records to be decoded around known patients must begin with all of their known events.")
        return mine, theirs

    def static(self, drawn: Table, plan: RecordsPlan) -> tuple[Table, Ticks]:
        """The decoded static fields with those that are known, and the anchors of the known patients, int64 (n_records,)."""
        flat, anchor = static_table(self.data, plan, self.timeline.anchor)
        names = [str(name) for name in drawn.frame if name in flat.table.frame and name not in self.absent]
        return overlaid(drawn, flat.table, np.arange(len(self.patients)), self.patients, names), anchor[self.patients]

    def rows(self, drawn: Table, events: Rows, codec: EventCodec, plan: RecordsPlan, pairs: tuple[Rows, Rows]) -> Table:
        """The decoded flat rows of a table with those that are known.

        Parameters
        ----------
        events : which events of the records the rows are. pairs : known events, as `events` gives them.
        """
        own = codec.plan
        flat, places = event_table(self.data, plan, own, self.timeline)
        table = self.data.tables[own.name].take(self.timeline.row[places])
        frame, marks = flat.table.frame, dict(flat.table.marks)
        for name, _ in own.by:
            frame[name], marks[name] = table.frame[name], table.mark(name)
        row_of = np.full(len(self.timeline.table), -1, dtype=np.int64)
        row_of[places] = np.arange(len(places))
        mine, theirs = pairs
        chosen = row_of[theirs] >= 0
        to = np.searchsorted(events, mine[chosen])
        names = [str(name) for name in drawn.frame if name in frame]
        return overlaid(drawn, Table(frame, marks), to, row_of[theirs[chosen]], names)


def overlaid(drawn: Table, known: Table, to: Rows, of: Rows, names: list[str]) -> Table:
    """A table whose rows `to` hold the cells of the rows `of` of another one, in some columns."""
    frame, marks = drawn.frame.copy(), dict(drawn.marks)
    place = np.full(len(frame), -1, dtype=np.int64)
    place[to] = of
    for name in names:
        frame[name] = _cells(frame[name], known.frame[name], place)
        mark = drawn.mark(name).copy()
        mark[to] = known.mark(name)[of]
        marks[name] = mark
    return Table(frame, cast(Mapping[str, Marks], {name: mark for name, mark in marks.items() if mark.any()}))


def _cells(drawn: pd.Series, known: pd.Series, place: npt.NDArray[np.int64]) -> pd.Series:
    if isinstance(drawn.dtype, pd.CategoricalDtype):
        levels = pd.Index(drawn.cat.categories.astype(object)).append(pd.Index(known.cat.categories.astype(object))).unique()
        codes = np.append(drawn.cat.set_categories(levels).cat.codes, np.int64(0))[:-1].astype(np.int64)
        theirs = known.cat.set_categories(levels).cat.codes.to_numpy().astype(np.int64)
        codes[place >= 0] = theirs[place[place >= 0]]
        return pd.Series(pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(levels)), index=drawn.index)
    out = drawn.to_numpy().copy()
    out[place >= 0] = known.to_numpy()[place[place >= 0]]
    return pd.Series(out, index=drawn.index)
