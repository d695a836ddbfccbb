"""The codec of linked tables: patients and their events as tokens, and back with keys made anew. Knows columns and keys, no model.

Static fields (`layout.static`), in this order: for each table that not every patient has "TABLE: has rows" (levels no, yes), "(anchor)",
then the columns of static tables and those columns of events that never change within a patient, named as they are, or "table.column"
where names clash. The anchor is the day of the patient's first event; other static dates are durations from it, so that a calendar may be
shifted and ages stay. Where times are numbers, the anchor is the number at which the first event lies.

Fields of an event, in this order: the gap since the patient's previous event (named as the column of the time, "(time)" where rows take
their parent's), "TIME: before" where rows may happen before the parent behind which they stand, one field a link (named as its columns,
joined by "+": token 0 is none, then how many rows of the parent's table lie in between, `plan.MOST_BACK` standing for itself and all that
are older), then the columns in file order but codes that numbers are `by` first, each of these numbers right behind its code. Further
times of a row are durations from its start.

`Records.times` is what the gaps' tokens add up to when each stands for its middle; `advance` gives a sampler the same figure. Decoding
draws gaps anew within their tokens, so that the times of a decoded patient are near those of her record and not equal to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.base import Allowed, Layout, Tokens
from manikin.codecs.code_sets import MAX_CODES
from manikin.codecs.numbers import MAX_TOKENS, NumberCodec
from manikin.codecs.records.base import EventTable, Records, RecordsLayout
from manikin.codecs.records.clock import add_up, later
from manikin.codecs.records.event_codec import EventCodec, fit_events
from manikin.codecs.records.flatten import event_table, static_table
from manikin.codecs.records.plan import RecordsPlan, links_of
from manikin.codecs.records.planning import make_plan
from manikin.codecs.records.rebuild import Drawn, anchors
from manikin.codecs.records.release import public_tables
from manikin.codecs.records.sequence import Rows, Timeline, lay_out
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import BudgetError, FitError
from manikin.data.schema import Form, Schema

MAX_RANKS = 50


@dataclass(kw_only=True)
class RecordsCodec:
    """Linked Dataset <-> `Records`.

    Parameters
    ----------
    max_tokens : most tokens of a number, missing codes apart. max_codes : most codes of a code set that have a field.
    max_ranks : ranks of a number by a code.

    Attributes
    ----------
    plan_ : what becomes of each column. static_ : the codec of the patients, None where nothing is known of them but their events.
    events_ : the codecs of the tables of events, in the layout's order.
    references_ : the tables of nobody, given back as they are.
    release_schema : the schema of what is decoded: all tables; direct identifiers and free text are left out, keys stay (made anew).
    """

    max_tokens: int = MAX_TOKENS
    max_codes: int = MAX_CODES
    max_ranks: int = MAX_RANKS
    schema_: Schema = field(init=False, repr=False)
    plan_: RecordsPlan = field(init=False, repr=False)
    static_: TableCodec | None = field(init=False, repr=False)
    events_: tuple[EventCodec, ...] = field(init=False, repr=False)
    references_: dict[str, Table] = field(init=False, repr=False)
    release_schema: Schema = field(init=False, repr=False)
    native_: str = field(init=False, repr=False, default="pandas")

    def fit(self, data: Dataset, *, ledger: Any | None = None) -> RecordsCodec:
        """Learns vocabularies, scales and what of a patient never changes.

        Raises
        ------
        BudgetError : a ledger is given. FitError : the data are one flat table, or hold no patient.
        """
        self._fit(data, ledger)
        return self

    def fit_encode(self, data: Dataset, *, ledger: Any | None = None) -> Records:
        """`fit` and `encode` of the same data, in the time of one."""
        return self._fit(data, ledger)

    def _fit(self, data: Dataset, ledger: Any | None) -> Records:
        if ledger is not None:
            raise BudgetError("RecordsCodec cannot buy what it learns under a ledger yet. Use a flat table with --epsilon.")
        if not data.is_linked:
            raise FitError("RecordsCodec learns linked tables; this is one flat table. Say its form in the schema.")
        if not len(data):
            raise FitError("There is no patient to learn from: the tables hold no rows.")
        self.schema_, self.native_ = data.schema, data.native
        self.plan_, timeline = make_plan(data)
        self.references_ = {t.name: data.tables[t.name] for t in data.schema.tables if t.form is Form.REFERENCE}
        patients, _ = static_table(data, self.plan_, timeline.anchor)
        self.static_ = None
        if patients.columns.learned:
            self.static_ = TableCodec(max_tokens=self.max_tokens, max_codes=self.max_codes).fit(patients)
        codecs, tokens = [], []
        for own in self.plan_.events:
            rows, events = event_table(data, self.plan_, own, timeline)
            table = data.tables[own.name].take(timeline.row[events])
            codec = fit_events(
                rows,
                table,
                own,
                data.schema[own.name],
                max_tokens=self.max_tokens,
                max_codes=self.max_codes,
                n_ranks=self.max_ranks,
            )
            codecs.append(codec)
            tokens.append((events, codec.encode(rows, table)))
        self.events_ = tuple(codecs)
        self._lay_out()
        return self._records(patients, timeline, tokens)

    def _lay_out(self) -> None:
        self.release_schema = public_tables(self.schema_, self.plan_, self.static_, self.events_)

    @property
    def layout(self) -> RecordsLayout:
        """The static fields, and those of each table of events that had rows."""
        static = Layout(()) if self.static_ is None else self.static_.layout
        tables = tuple(EventTable(own.plan.name, own.layout(self.schema_[own.plan.name])) for own in self.events_)
        return RecordsLayout(static, tables)

    def encode(self, data: Dataset) -> Records:
        """The records of patients, in the order of `data.owners`; rows of tables that were empty in training are left out."""
        timeline = self._timeline(data)
        patients, _ = static_table(data, self.plan_, timeline.anchor)
        tokens = []
        for codec in self.events_:
            rows, events = event_table(data, self.plan_, codec.plan, timeline)
            tokens.append((events, codec.encode(rows, data.tables[codec.plan.name].take(timeline.row[events]))))
        return self._records(patients, timeline, tokens)

    def _timeline(self, data: Dataset) -> Timeline:
        tables = [data.schema[own.name] for own in self.plan_.events]
        starts = {own.name: own.start for own in self.plan_.events}
        links = {t.name: [(number, parent.name) for number, parent in links_of(t, data.schema)] for t in tables}
        return lay_out(data, tables, starts, links, self.plan_.clock)

    def _records(self, patients: Dataset, timeline: Timeline, tokens: list[tuple[Rows, Tokens]]) -> Records:
        width = max((codec.n_fields for codec in self.events_), default=0)
        out = np.zeros((len(timeline.table), width), dtype=np.int32)
        for events, own in tokens:
            out[events, : own.shape[1]] = own
        static = np.zeros((len(patients), 0), dtype=np.int32) if self.static_ is None else self.static_.encode(patients)
        times = self.times(timeline.starts, timeline.table, out)
        return Records(static, timeline.starts, timeline.table, out, times)

    # time

    def times(self, starts: npt.NDArray[np.int64], table: npt.NDArray[np.int16], tokens: Tokens) -> npt.NDArray[np.float64]:
        """Days since the anchor of each event, float64 (n_events,), each gap's token standing for its middle."""
        gap, unit = np.zeros(len(table), dtype=np.int64), np.ones(len(table), dtype=np.int64)
        for i, middle in enumerate(self._middles):
            rows = np.flatnonzero(table == i)
            gap[rows], unit[rows] = middle[tokens[rows, 0]], self.plan_.events[i].unit
        return add_up(starts, gap, unit).astype(np.float64) * self.plan_.clock.days_per_tick

    def advance(self, times: npt.NDArray[np.float64], table: npt.NDArray[Any], gap: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Days since the anchor after one more event of each patient, float64 (n,), as `Records.times` would count them.

        Parameters
        ----------
        times : float64 (n,), of the patients' last events, 0 before the first. table : int (n,), the next event's table.
        gap : int (n,), the token of its gap.
        """
        ticks = np.round(times / self.plan_.clock.days_per_tick).astype(np.int64)
        out = ticks.copy()
        for i in np.unique(table):
            rows = np.flatnonzero(table == i)
            out[rows] = later(ticks[rows], self._middles[i][gap[rows]], self.plan_.events[i].unit)
        return out.astype(np.float64) * self.plan_.clock.days_per_tick

    @property
    def _middles(self) -> list[npt.NDArray[np.int64]]:
        """Units that each token of each table's gap stands for in the middle."""
        out = []
        for codec in self.events_:
            own = codec.flat.fields_[0]
            assert isinstance(own, NumberCodec)
            middles = own.middles() if len(own.low) else np.zeros(0)
            out.append(np.concatenate([np.zeros(own.n_missing), np.round(middles)]).astype(np.int64))
        return out

    # decoding

    def decode(self, records: Records, rng: np.random.Generator, *, first_key: int = 1) -> Dataset:
        """Linked tables in `release_schema`, rows in the order of patients and their events.

        Parameters
        ----------
        rng : draws numbers within tokens.
        first_key : patients are numbered from here; keys of rows are made of their patient's number, so that they are unique over
            pieces that number their patients apart.
        """
        static = self._decode_static(records.static, rng)
        rows: dict[str, tuple[Rows, Table]] = {}
        gap, unit = np.zeros(records.n_events, dtype=np.int64), np.ones(records.n_events, dtype=np.int64)
        for i, codec in enumerate(self.events_):
            events = np.flatnonzero(records.table == i)
            own = codec.decode(records.tokens[events], rng)
            rows[codec.plan.name] = events, own
            drawn = own.frame[codec.plan.gap].to_numpy(dtype=float)
            gap[events], unit[events] = np.where(np.isnan(drawn), 0, drawn).astype(np.int64), codec.plan.unit
        anchor = anchors(static, self.plan_, len(records), rng)
        at = add_up(records.starts, gap, unit)
        drawn_all = Drawn(self.plan_, self.schema_, static, records.starts, records.table, at, rows, anchor, first_key, rng)
        made = drawn_all.tables()
        tables = {t.name: made.get(t.name, self.references_.get(t.name)) for t in self.schema_.tables}
        return Dataset({name: table for name, table in tables.items() if table is not None}, self.release_schema, self.native_)

    def _decode_static(self, tokens: Tokens, rng: np.random.Generator) -> Table:
        if self.static_ is None:
            return Table(pd.DataFrame(index=pd.RangeIndex(len(tokens))))
        return self.static_.decode(tokens, rng).table

    def emitted(self, table: int, field: int) -> Allowed:
        """Which tokens of a field may be generated, bool (n_tokens,); table -1 asks of the static fields."""
        if table < 0:
            assert self.static_ is not None
            return self.static_.emitted(field)
        return self.events_[table].emitted(field)


