"""Decoded patients of whom a part is known: their cells and times put in place of decoded ones, before keys are made. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from manikin.codecs.records.base import Records
from manikin.codecs.records.clock import Ticks
from manikin.codecs.records.event_codec import EventCodec
from manikin.codecs.records.flatten import event_table, static_table
from manikin.codecs.records.overlay import overlaid
from manikin.codecs.records.plan import EventPlan, RecordsPlan
from manikin.codecs.records.sequence import Rows, Timeline
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import ParameterError


@dataclass(frozen=True)
class Known:
    """What is known of decoded patients.

    Attributes
    ----------
    data : the known patients, every table and column of the schema in it. absent : the static fields that it knows nothing of.
    timeline : their events in order. patients : int64 (n_records,), which known patient each record continues.
    made : by table what is made of its rows once, for all draws of the same patients.
    """

    data: Dataset
    absent: frozenset[str]
    timeline: Timeline
    patients: Rows
    made: dict[str, tuple[Table, Rows]] = field(default_factory=dict, repr=False, compare=False)

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
        if own.name not in self.made:
            self.made[own.name] = self._flat(own, plan)
        whole, places = self.made[own.name]
        row_of = np.full(len(self.timeline.table), -1, dtype=np.int64)
        row_of[places] = np.arange(len(places))
        mine, theirs = pairs
        chosen = row_of[theirs] >= 0
        to = np.searchsorted(events, mine[chosen])
        names = [str(name) for name in drawn.frame if name in whole.frame]
        return overlaid(drawn, whole, to, row_of[theirs[chosen]], names)

    def _flat(self, own: EventPlan, plan: RecordsPlan) -> tuple[Table, Rows]:
        """All known rows of a table as flat ones, numbers by a code among them, and which events of the timeline they are."""
        flat, places = event_table(self.data, plan, own, self.timeline)
        table = self.data.tables[own.name].take(self.timeline.row[places])
        frame, marks = flat.table.frame, dict(flat.table.marks)
        for name, _ in own.by:
            frame[name], marks[name] = table.frame[name], table.mark(name)
        return Table(frame, marks), places

    def told(self, plan: RecordsPlan, pairs: tuple[Rows, Rows]) -> dict[str, tuple[Rows, Table]]:
        """By table of events the known events that are rows of it, and the columns of these rows that other cells say."""
        mine, theirs = pairs
        out = {}
        for own in plan.events:
            names = [told.column for told in own.told if told.kind != "unlinked"]
            place = self.timeline.names.index(own.name)
            chosen = np.flatnonzero(self.timeline.table[theirs] == place)
            if names:
                rows = self.data.tables[own.name].take(self.timeline.row[theirs[chosen]])
                out[own.name] = mine[chosen], rows.only(names)
        return out
