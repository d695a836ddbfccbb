"""What linked patients look like to a model: the fields of the patient herself, then her events in time. Knows no data set.

Every row of every table of sequences is an event. An event is drawn field by field: how long after the previous one (the gap, always
field 0; a table whose rows take their parent's time has a gap of one token), whose child it is (the links), then the columns of its table
in an order in which a number follows the code it is measured by. What kind of event comes next, or that the record ends, is the model's to
say before the fields: `Records.table` holds it. The codec's own docstring (`codecs.records.codec`) names the fields.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Layout, Tokens


@dataclass(frozen=True)
class EventTable:
    """A table of events: the fields of its rows in the order in which they are drawn, the gap first, then the links, then the columns."""

    name: str
    layout: Layout


@dataclass(frozen=True)
class RecordsLayout:
    """The fields of a patient, and those of each table of events.

    Attributes
    ----------
    static : fields of the patient herself: the columns of static tables, columns that never change within a patient, the anchor of her
        calendar, and of each static table that not every patient has whether she has it.
    """

    static: Layout
    tables: tuple[EventTable, ...]

    @property
    def width(self) -> int:
        """Most fields of an event."""
        return max((len(table.layout.fields) for table in self.tables), default=0)


@dataclass(frozen=True)
class Records:
    """Encoded patients.

    Attributes
    ----------
    static : int32 (n_patients, n_static_fields).
    starts : int64 (n_patients + 1,), the events of patient i are those from starts[i] to starts[i + 1].
    table : int16 (n_events,), which table of the layout each event is of, in the order of the patient's time, parents before children.
    tokens : int32 (n_events, width), the event's fields; 0 behind the last field of its table.
    times : float64 (n_events,), days since the patient's anchor as the tokens say it: what the gaps add up to when each token stands for
        its middle. A function of `starts`, `table` and the gaps' tokens alone (`RecordsCodec.times`); a sampler counts on with
        `RecordsCodec.advance`. Decoding reads tokens only and draws gaps anew within them, so that decoded times lie near these.
    """

    static: Tokens
    starts: npt.NDArray[np.int64]
    table: npt.NDArray[np.int16]
    tokens: Tokens
    times: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.static)

    @property
    def n_events(self) -> int:
        """Events of all patients."""
        return len(self.table)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Events of each patient, int64 (n_patients,)."""
        return np.diff(self.starts)

    def subset(self, patients: npt.NDArray[np.int64]) -> Records:
        """The records of these patients, in this order."""
        lengths = self.lengths[patients]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.starts[patients] - starts[:-1], lengths) + np.arange(starts[-1])
        return Records(self.static[patients], starts, self.table[rows], self.tokens[rows], self.times[rows])
