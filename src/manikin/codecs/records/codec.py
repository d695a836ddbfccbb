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

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.base import Allowed, Layout, Tokens
from manikin.codecs.code_sets import MAX_CODES
from manikin.codecs.numbers import MAX_TOKENS
from manikin.codecs.records.base import EventTable, Records, RecordsLayout
from manikin.codecs.records.clock import NEVER, add_up, later
from manikin.codecs.records.code_limits import code_limits
from manikin.codecs.records.conditions import completed, gives, static_conditions, with_rows
from manikin.codecs.records.event_codec import EventCodec, by_column, code_field, drawing_order, fit_events
from manikin.codecs.records.flatten import event_table, flat_schemas, static_table
from manikin.codecs.records.known import Known
from manikin.codecs.records.masks import EventMasks
from manikin.codecs.records.plan import ANCHOR, EventPlan, RecordsPlan, links_of, presence
from manikin.codecs.records.planning import make_plan
from manikin.codecs.records.rebuild import Drawn, anchors
from manikin.codecs.records.references import references_of
from manikin.codecs.records.release import neutral_told, public_tables
from manikin.codecs.records.saved import (
    check_flat,
    check_head,
    check_prefixes,
    number_from_state,
    part,
    plan_from_json,
    plan_to_json,
    reference_bytes,
    reference_from_bytes,
    together_from_state,
)
from manikin.codecs.records.sequence import Rows, Timeline, lay_out
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import FitError, ModelFolderError
from manikin.data.schema import Form, Role, Schema
from manikin.data.schema_text import schema_from_json, schema_to_json

MAX_RANKS = 50
Given = npt.NDArray[np.bool_]


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
    _masks: EventMasks = field(init=False, repr=False)
    _layout: RecordsLayout = field(init=False, repr=False)
    native_: str = field(init=False, repr=False, default="pandas")

    def fit(self, data: Dataset, *, ledger: Any | None = None) -> RecordsCodec:
        """Learns vocabularies, scales and what of a patient never changes; under a ledger `bought.buy_records` buys them.

        Raises
        ------
        BudgetError : the ledger does not allow it. FitError : the data are one flat table, or hold no patient.
        """
        if ledger is not None:
            from manikin.codecs.records.bought import SHARES, as_readable, buy_records
            from manikin.privacy import mechanisms

            buy_records(self, mechanisms.seal_records(as_readable(data), ledger), ledger, SHARES)
            return self
        self._fit(data)
        return self

    def fit_encode(self, data: Dataset) -> Records:
        """`fit` and `encode` of the same data, in the time of one."""
        return self._fit(data)

    def _fit(self, data: Dataset) -> Records:
        if not data.is_linked:
            raise FitError("RecordsCodec learns linked tables; this is one flat table. Say its form in the schema.")
        if not len(data):
            raise FitError("There is no patient to learn from: the tables hold no rows.")
        self.native_ = data.native
        self.plan_, timeline = make_plan(data)
        self.schema_ = neutral_told(data.schema, self.plan_, data)
        self.references_ = {t.name: data.tables[t.name] for t in data.schema.tables if t.form is Form.REFERENCE}
        patients, _ = static_table(data, self.plan_, timeline.anchor)
        self.static_ = None
        if patients.columns.learned:
            spans = tuple(own.name for own in self.plan_.static if own.moment is not None)
            self.static_ = TableCodec(max_tokens=self.max_tokens, max_codes=self.max_codes, by_scale=spans).fit(patients)
        codecs, tokens = [], []
        for own in self.plan_.events:
            rows, events = event_table(data, self.plan_, own, timeline)
            table = data.tables[own.name].take(timeline.row[events])
            codec = fit_events(
                rows,
                table,
                own,
                data.schema[own.name],
                references_of(own.name, data.schema, self.references_),
                max_tokens=self.max_tokens,
                max_codes=self.max_codes,
                n_ranks=self.max_ranks,
            )
            codec = replace(codec, is_whole=self._is_whole(own))
            encoded = codec.encode(rows, table)
            owner = data.owners[own.name][timeline.row[events]]
            codecs.append(codec.with_together(encoded, owner, data.schema[own.name]))
            tokens.append((events, encoded))
        self.events_ = tuple(codecs)
        self.take_layout()
        return self._records(patients, timeline, tokens)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted, as JSON-able values and arrays. Tables of nobody are among them, row by row."""
        public = public_tables(self.schema_, self.plan_, self.static_, self.events_, is_whole=True)
        values: dict[str, Any] = {name: getattr(self, name) for name in ("max_tokens", "max_codes", "max_ranks")}
        values |= {"native": self.native_, "schema": schema_to_json(public), "plan": plan_to_json(self.plan_)}
        arrays: dict[str, npt.NDArray[Any]] = {}
        values["static"] = None
        if self.static_ is not None:
            values["static"], own = self.static_.state()
            arrays |= {f"static/{name}": array for name, array in own.items()}
        values["events"] = []
        for i, codec in enumerate(self.events_):
            flat, own = codec.flat.state()
            arrays |= {f"event{i}/{name}": array for name, array in own.items()}
            numbers = []
            for k, by in enumerate(codec.by):
                made, own = by.state()
                numbers.append(made)
                arrays |= {f"number{i}.{k}/{name}": array for name, array in own.items()}
            arrays |= {f"together{i}.{k}": np.packbits(pair.allowed) for k, pair in enumerate(codec.together)}
            together = [[pair.first, pair.second] for pair in codec.together]
            values["events"].append({"flat": flat, "by": numbers, "together": together})
        for i, (name, table) in enumerate(self.references_.items()):
            arrays[f"reference{i}"] = reference_bytes(table, public[name])
        return values, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> RecordsCodec:
        """The codec as saved.

        Raises
        ------
        ModelFolderError : sizes, types or places of the state contradict each other or the schema in it.
        """
        check_head(values)
        codec = cls(**{name: values[name] for name in ("max_tokens", "max_codes", "max_ranks")})
        codec.schema_, codec.native_ = schema_from_json(values["schema"]), values["native"]
        codec.plan_ = plan_from_json(values["plan"], codec.schema_)
        nobodys = [table for table in codec.schema_.tables if table.form is Form.REFERENCE]
        codec.references_ = {t.name: reference_from_bytes(arrays.get(f"reference{i}"), t) for i, t in enumerate(nobodys)}
        if len(values["events"]) != len(codec.plan_.events):
            raise ModelFolderError("The model folder has not a codec for each table of events. Save the model again.")
        wanted = flat_schemas(codec.plan_, codec.schema_)
        codec.static_ = None
        if wanted[0].learned:
            codec.static_ = TableCodec.from_state(values["static"], part(arrays, "static/"))
            check_flat(codec.static_.schema_, wanted[0])
        codecs, prefixes = [], ["static/", *(f"reference{i}" for i in range(len(nobodys)))]
        for i, (own, saved) in enumerate(zip(codec.plan_.events, values["events"], strict=True)):
            flat = TableCodec.from_state(saved["flat"], part(arrays, f"event{i}/"))
            check_flat(flat.schema_, wanted[i + 1])
            by = []
            for k, (name, code) in enumerate(own.by):
                column = by_column(codec.schema_[own.name][name])
                n_codes = flat.fields_[code_field(flat, code)].n_tokens
                mine = part(arrays, f"number{i}.{k}/")
                by.append(number_from_state(saved["by"][k], mine, n_codes, len(column.missing), f"{own.name}.{name}"))
            references = references_of(own.name, codec.schema_, codec.references_)
            made = EventCodec(own, flat, tuple(by), drawing_order(flat, own), references)
            codecs.append(replace(made, together=together_from_state(saved["together"], part(arrays, f"together{i}."), made)))
            prefixes += [f"together{i}.", f"event{i}/", *(f"number{i}.{k}/" for k in range(len(own.by)))]
        check_prefixes(arrays, prefixes)
        codec.events_ = tuple(codecs)
        codec.take_layout()
        return codec

    def take_layout(self) -> None:
        """Makes the layout, the masks and the release's schema of what was learned or bought."""
        static = Layout(()) if self.static_ is None else self.static_.layout
        self.events_ = tuple(replace(own, is_whole=self._is_whole(own.plan)) for own in self.events_)
        tables = tuple(EventTable(own.plan.name, own.layout(self.schema_[own.plan.name])) for own in self.events_)
        self._layout = RecordsLayout(static, tables)
        ends = tuple(self.schema_[own.name].end for own in self.plan_.events)
        deaths = tuple(
            tuple(m.name for m in own.moments if self.schema_[own.name][m.name].has_role(Role.DEATH)) for own in self.plan_.events
        )
        bound = code_limits(self.plan_, self.schema_, self.static_, self.events_)
        self._masks = EventMasks(self.plan_, self.static_, self.events_, ends, deaths, bound)
        self.release_schema = public_tables(self.schema_, self.plan_, self.static_, self.events_)

    @property
    def layout(self) -> RecordsLayout:
        """The static fields, and those of each table of events that had rows."""
        return self._layout

    def encode(self, data: Dataset) -> Records:
        """The records of patients, in the order of `data.owners`; rows of tables that were empty in training are left out.

        Raises
        ------
        ParameterError : a table of events or one of its columns is missing.
        """
        return self.encode_partial(data)[0]

    def encode_partial(self, data: Dataset) -> tuple[Records, Given]:
        """The records of patients of whom only a part is known: her events so far, and some of her static columns.

        Returns
        -------
        The records, and which static fields are known, bool (n_static_fields,); tokens of the others mean nothing.

        Raises
        ------
        ParameterError : a column of a table of events is missing: what is known of a row is all of it.
        """
        data, absent = completed(data, self.schema_, self.plan_)
        timeline = self._timeline(data)
        patients, anchor = static_table(data, self.plan_, timeline.anchor)
        known = {own.name for own in self.plan_.static} - absent
        given = self._given(known, is_anchored=bool((anchor != NEVER).all()))
        tokens = []
        for codec in self.events_:
            rows, events = event_table(data, self.plan_, codec.plan, timeline)
            tokens.append((events, codec.encode(rows, data.tables[codec.plan.name].take(timeline.row[events]))))
        return self._records(patients, timeline, tokens), given

    def encode_conditions(self, conditions: Mapping[str, Any] | Dataset | None, n: int) -> tuple[Tokens, Given]:
        """Static tokens int32 (n, n_static_fields) of conditions, and which of these fields are given, bool (n_static_fields,).

        Parameters
        ----------
        conditions : values by static column ("sex", or "patients.sex" where names clash), or a data set of n patients with some of the
            static tables' columns.

        Raises
        ------
        ParameterError : a column that is no static one, with the reason, or a value that the model never learned.
        """
        own = static_conditions(conditions, self.schema_, self.plan_)
        if isinstance(own, Dataset):
            records, given = self.encode_partial(own)
            return records.static, given
        if self.static_ is None:
            return np.zeros((n, 0), dtype=np.int32), np.zeros(0, dtype=bool)
        return self.static_.encode_conditions(own, n)

    def _given(self, names: set[str], *, is_anchored: bool) -> Given:
        """Which static fields belong to these columns, or say who has the tables of these; bool (n_static_fields,).

        Where some patient has no anchor, neither it nor the dates that count from it are known.
        """
        if self.static_ is None:
            return np.zeros(0, dtype=bool)
        known = {own.name for own in self.plan_.static if own.name in names and (is_anchored or own.moment is None)}
        known |= {presence(own.table) for own in self.plan_.static if own.name in names} | ({ANCHOR} if is_anchored else set())
        return np.array([field.column in known for field in self.static_.layout.fields], dtype=bool)

    def rows_in_order(self, data: Dataset) -> dict[str, Rows]:
        """Of each table of events the rows of `data` in the order in which its records hold them."""
        timeline = self._timeline(completed(data, self.schema_, self.plan_)[0])
        return {own.plan.name: timeline.rows_of(own.plan.name)[1] for own in self.events_}

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
        for i, middle in enumerate(self._masks.middles):
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
            out[rows] = later(ticks[rows], self._masks.middles[i][gap[rows]], self.plan_.events[i].unit)
        return out.astype(np.float64) * self.plan_.clock.days_per_tick

    def masks(self) -> EventMasks:
        """What may come next while patients are drawn: rules across their events; `codecs.records.masks` says how a sampler asks."""
        return self._masks

    # decoding

    def decode(
        self,
        records: Records,
        rng: np.random.Generator,
        *,
        first_key: int = 1,
        conditions: Mapping[str, Any] | Dataset | None = None,
        known: Dataset | Known | None = None,
        patients: npt.NDArray[np.int64] | None = None,
        held: Collection[tuple[int, int]] = (),
    ) -> Dataset:
        """Linked tables in `release_schema`, rows in the order of patients and their events.

        Parameters
        ----------
        rng : draws numbers within tokens.
        first_key : patients are numbered from here; keys of rows are made of their patient's number, so that they are unique over
            pieces that number their patients apart.
        conditions : static cells that were given, as for `encode_conditions`; they are kept to the last digit.
        known : patients that the records continue: each record begins with all events of its patient, as `encode_partial` puts them.
            Cells and times of these events, and known static cells but those of conditions, come back as they were given; keys are made
            anew. `known_patients` of a data set does what many calls need once.
        patients : int64 (n_records,), which known patient each record continues; record i patient i where it is left out.
        held : (table of events, field in drawing order) that was held in all drawn rows; its column stays as it was drawn.

        Raises
        ------
        ParameterError : a record does not begin with the known events of its patient.
        """
        static = self._decode_static(records.static, rng, conditions)
        given = static_conditions(conditions, self.schema_, self.plan_)
        changed = set(given) if isinstance(given, dict) else set()
        own_known = known if isinstance(known, Known) or known is None else self.known_patients(known, patients)
        own_known = None if own_known is None else replace(own_known, absent=own_known.absent | changed)
        pairs = None if own_known is None else own_known.events(records)
        rows: dict[str, tuple[Rows, Table]] = {}
        gap, unit = np.zeros(records.n_events, dtype=np.int64), np.ones(records.n_events, dtype=np.int64)
        for i, codec in enumerate(self.events_):
            events = np.flatnonzero(records.table == i)
            own = codec.decode(records.tokens[events], rng)
            if own_known is not None and pairs is not None:
                own = own_known.rows(own, events, codec, self.plan_, pairs)
            rows[codec.plan.name] = events, own
            drawn = own.frame[codec.plan.gap].to_numpy(dtype=float)
            gap[events], unit[events] = np.where(np.isnan(drawn), 0, drawn).astype(np.int64), codec.plan.unit
        if own_known is None:
            anchor = anchors(static, self.plan_, len(records), rng)
        else:
            static, first = own_known.static(static, self.plan_)
            anchor = np.where(first == NEVER, anchors(static, self.plan_, len(records), rng), first)
        at = add_up(records.starts, gap, unit)
        is_bound_given = gives(given, self.plan_.bound, self.plan_)
        is_bound_given |= own_known is not None and self.plan_.bound not in {"", *own_known.absent}
        drawn_all = Drawn(self.plan_, self.schema_, static, records.starts, records.table, at, rows, anchor, first_key, rng)
        drawn_all.is_death_given = is_bound_given
        drawn_all.held = frozenset((self.events_[t].plan.name, self.events_[t].names[f]) for t, f in held)
        if own_known is not None and pairs is not None:
            drawn_all.given = own_known.told(self.plan_, pairs)
            drawn_all.fixed[pairs[0]] = True
            drawn_all.is_death_given |= bool(set(self.plan_.deaths) - own_known.absent)
        withheld = self._withheld(records)
        drawn_all.alive[withheld[~drawn_all.fixed[withheld]]] = False
        made = drawn_all.tables(is_bound_given=is_bound_given)
        tables = {t.name: made.get(t.name, self.references_.get(t.name)) for t in self.schema_.tables}
        return Dataset({name: table for name, table in tables.items() if table is not None}, self.release_schema, self.native_)

    def _is_whole(self, own: EventPlan) -> bool:
        """Whether no row of a table may be left out: others refer to them, they are steps of a grid, or they tell deaths."""
        table = self.schema_[own.name]
        is_parent = any(link.is_row and link.parent == own.name for other in self.plan_.events for link in other.links)
        return is_parent or table.form is Form.GRID or any(table[moment.name].has_role(Role.DEATH) for moment in own.moments)

    def withheld_rows(self) -> tuple[tuple[str, str, float], ...]:
        """Tables that lose rows about codes which too few patients have: table, the column of these codes, the part of train's rows."""
        out = []
        for codec in self.events_:
            if codec.withheld.any():
                counts = codec.flat.counts_[int(codec.fields[codec.about])]
                out.append((codec.plan.name, codec.names[codec.about], float(counts[codec.withheld].sum() / counts.sum())))
        return tuple(out)

    def _withheld(self, records: Records) -> Rows:
        """The events that stand for rows about codes which too few patients have, int64 (n_withheld,): a release has no such rows."""
        out = [np.zeros(0, dtype=np.int64)]
        for i, codec in enumerate(self.events_):
            if len(codec.withheld):
                events = np.flatnonzero(records.table == i)
                out.append(events[codec.withheld[records.tokens[events, codec.about]]])
        return np.concatenate(out)

    def known_patients(self, known: Dataset, patients: Rows | None = None) -> Known:
        """Patients that records continue, as `decode` takes them; record i continues patient i where `patients` is left out."""
        whole, absent = completed(known, self.schema_, self.plan_)
        return Known(whole, frozenset(absent), self._timeline(whole), np.arange(len(whole)) if patients is None else patients)

    def _decode_static(self, tokens: Tokens, rng: np.random.Generator, conditions: Mapping[str, Any] | Dataset | None) -> Table:
        if self.static_ is None:
            return Table(pd.DataFrame(index=pd.RangeIndex(len(tokens))))
        own = static_conditions(conditions, self.schema_, self.plan_)
        if isinstance(own, Dataset):
            whole, absent = completed(own, self.schema_, self.plan_)
            rows, _ = static_table(whole, self.plan_, self._timeline(whole).anchor)
            own = rows.only([column.name for column in self.plan_.static if column.name not in absent])
        held = with_rows(tokens, self.static_, self.plan_, rng)
        return self.static_.decode(held, rng, conditions=own).table

    def emitted(self, table: int, field: int) -> Allowed:
        """Which tokens of a field may be generated, bool (n_tokens,); table -1 asks of the static fields."""
        if table < 0:
            assert self.static_ is not None
            return self.static_.emitted(field)
        return self.events_[table].emitted(field)


