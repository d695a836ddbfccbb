"""What may come next while patients are being drawn event by event: rules across a patient as masks. Pure numpy, knows no model.

A sampler keeps one `Progress` for a batch of patients whose static fields are drawn, and asks at each step

    masks = codec.masks()
    masks.static_field(field, tokens, given)            # bool (n, n_tokens): what a static field may be, given those that are drawn
    progress = masks.begin(static_tokens)
    masks.tables(progress)                              # bool (n, n_tables + 1): which table's row may come next; last, the end
    masks.field(progress, rows, table, field, tokens)   # bool (n_rows, n_tokens): what their next field may be; or None
    masks.advance(progress, rows, table, tokens)        # the rows are complete

What holds: no row without a parent that it must have; no second child of a parent that has one child at most; links to earlier rows that
are there, and that have not ended where rows of a table lie within their parents; no event behind the patient's death or end of follow-up,
but for tables whose rows lie there in real data; no second row in a table, or at one time, where no patient has two; no rows of a table
that her static fields say she has not; numbers that their code has; confirmed rules within a row. Masks speak of whole tokens: what is left
open within a token (two times in one group) is settled when the patient is decoded. Nor does a row hold a code that the patient's sex or
age excludes (`code_limits`), where the schema names its system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.number_cells import Floats
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.records.base import Records
from manikin.codecs.records.clock import Clock, later
from manikin.codecs.records.code_limits import NONE as NO_LIMITS
from manikin.codecs.records.code_limits import CodeLimits
from manikin.codecs.records.event_codec import EventCodec, narrowed
from manikin.codecs.records.plan import ANCHOR, MOST_BACK, Link, RecordsPlan, presence
from manikin.codecs.table import TableCodec

Ints = npt.NDArray[np.int64]


@dataclass
class Progress:
    """Patients in the middle of being drawn; changed by `advance` alone.

    Attributes
    ----------
    ticks : int64 (n,), the time of each one's last event since her anchor, each gap's token standing for its middle.
    ends : float64 (n,), the last tick at which an event may lie, inf where nothing bounds her.
    has : bool (n, n_tables), whether she has rows of a table at all.
    n_rows : int64 (n, n_tables), rows so far. last : int64 (n, n_tables), ticks of the last of them, -1 where there is none.
    until : float64 (n, MOST_BACK + 1) by table, ticks behind which rows that lie within her last rows of it cannot be.
    used : int64 (n,) by (table, link) of links that no two rows may share: bit b is set if the parent b rows back has its child.
    sex : int8 (n,), as `clinical.bound_codes` counts them. born : float64 (n,), days from birth to the anchor, NaN where unknown.
    """

    ticks: Ints
    ends: Floats
    has: Allowed
    n_rows: Ints
    last: Ints
    until: dict[int, Floats]
    used: dict[tuple[int, int], Ints]
    sex: npt.NDArray[np.int8]
    born: Floats

    def __len__(self) -> int:
        return len(self.ticks)

    def days(self, clock: Clock) -> Floats:
        """Days since the anchor of each one's last event, float64 (n,)."""
        return self.ticks.astype(np.float64) * clock.days_per_tick


@dataclass(frozen=True)
class EventMasks:
    """The rules across a patient, over the tokens of a fitted codec; `ends_of` names the column of the end of each table of events, and
    `deaths_of` its times of death."""

    plan: RecordsPlan
    static: TableCodec | None
    events: tuple[EventCodec, ...]
    ends_of: tuple[str | None, ...]
    deaths_of: tuple[tuple[str, ...], ...]
    limits: CodeLimits = NO_LIMITS

    def begin(self, static: Tokens) -> Progress:
        """Patients before their first event, from their static fields, int32 (n, n_static_fields)."""
        n, n_tables = len(static), len(self.events)
        has = np.ones((n, n_tables), dtype=bool)
        for place, (i, says_yes) in self.presences.items():
            has[:, i] = says_yes[static[:, place]]
        used = {
            (i, j): np.zeros(n, dtype=np.int64)
            for i, codec in enumerate(self.events)
            for j, link in enumerate(codec.plan.links)
            if link.is_unique
        }
        n_rows, last = np.zeros((n, n_tables), dtype=np.int64), np.full((n, n_tables), -1, dtype=np.int64)
        until = {table: np.full((n, MOST_BACK + 1), np.inf) for table in self._enclosing}
        return Progress(np.zeros(n, dtype=np.int64), self._ends(static), has, n_rows, last, until, used, *self.limits.of(static))

    @cached_property
    def presences(self) -> dict[int, tuple[int, Allowed]]:
        """By static field that says whether a patient has rows of a table: which table of events, and which of its tokens say yes."""
        out = {}
        for i, codec in enumerate(self.events):
            place = self._static_field(presence(codec.plan.name))
            if place >= 0:
                assert self.static is not None
                own = self.static.fields_[place]
                assert isinstance(own, LevelCodec)
                out[place] = i, np.array([False] * own.n_missing + [level == "yes" for level in own.levels])
        return out

    def static_field(self, field: int, tokens: Tokens, given: Allowed) -> Allowed | None:
        """What a static field may be, bool (n, n_tokens), never all False; None where `emitted` says all.

        Parameters
        ----------
        tokens : int32 (n, n_static_fields). given : bool (n_static_fields,), which of them are drawn or given.
        """
        codec = self.static
        assert codec is not None
        parts: list[Allowed] = []
        rules = codec.allowed(field, tokens, given)
        parts += [] if rules is None else [rules]
        table = self._tables_of_static[field]
        place = self._static_field(presence(table)) if table else -1
        if place >= 0 and given[place]:
            own = codec.fields_[place]
            assert isinstance(own, LevelCodec)
            yes = np.array([False] * own.n_missing + [level == "yes" for level in own.levels])[tokens[:, place]]
            is_absent = np.arange(codec.fields_[field].n_tokens) == codec.fields_[field].n_missing - 1
            parts.append(np.where(yes[:, None], ~is_absent, is_absent))
        return narrowed(codec.emitted(field)[None], parts) if parts else None

    def after(self, records: Records) -> Progress:
        """Patients behind all of their events, to be continued."""
        progress = self.begin(records.static)
        for step in range(int(records.lengths.max(initial=0))):
            going = np.flatnonzero(records.lengths > step)
            events = records.starts[going] + step
            for table in np.unique(records.table[events]).tolist():
                chosen = records.table[events] == table
                self.advance(progress, going[chosen], table, records.tokens[events[chosen]])
        return progress

    def tables(self, progress: Progress, rows: Sequence[int] | Ints | None = None) -> Allowed:
        """Which table's row may come next to some patients (all of them), bool (n_rows, n_tables + 1).

        The last column, the end of the record, is always open.
        """
        rows = np.arange(len(progress)) if rows is None else np.asarray(rows)
        out = np.ones((len(rows), len(self.events) + 1), dtype=bool)
        over = progress.ticks[rows] > progress.ends[rows]
        for i, codec in enumerate(self.events):
            out[:, i] = progress.has[rows, i]
            if codec.plan.is_single:
                out[:, i] &= progress.n_rows[rows, i] == 0
            if not codec.plan.outlives:
                out[:, i] &= ~over
            if codec.plan.is_distinct:  # there must be room for another time
                left = np.ones((len(rows), 1), dtype=bool) & codec.emitted(0)
                for part in self._gaps(progress, rows, i):
                    left &= part
                out[:, i] &= left.any(axis=1)
            for j, link in enumerate(codec.plan.links):
                if link.is_row and not link.has_none:
                    leads = self._link_tokens(progress, rows, i, j, progress.ticks[rows]) & codec.emitted(codec.field(link.name))
                    out[:, i] &= leads.any(axis=1)
        return out

    def field(
        self, progress: Progress, rows: Sequence[int] | Ints, table: int, field: int, tokens: Tokens
    ) -> Allowed | None:
        """What the next field of some patients' rows may be, bool (n_rows, n_tokens), never all False; None where `emitted` says all.

        Parameters
        ----------
        rows : the patients, places in the batch. table : the table of their rows. field : its field, in drawing order.
        tokens : int32 (n_rows, at least n_fields), drawn up to this field.
        """
        codec, rows = self.events[table], np.asarray(rows)
        own = codec.allowed(field, tokens)
        parts = [] if own is None else [own]
        if field == 0:
            parts += self._gaps(progress, rows, table)
        link = self._links[table][field]
        if link >= 0:
            now = later(progress.ticks[rows], self.middles[table][tokens[:, 0]], codec.plan.unit)
            parts.append(self._link_tokens(progress, rows, table, link, now))
        if (table, field) in self.limits.fields:
            now = later(progress.ticks[rows], self.middles[table][tokens[:, 0]], codec.plan.unit)
            bound = self.limits.allowed(table, field, progress.sex[rows], progress.born[rows] + now * self.plan.clock.days_per_tick)
            parts += [] if bound is None else [bound]
        return narrowed(codec.emitted(field)[None], parts) if parts else None

    def advance(self, progress: Progress, rows: Sequence[int] | Ints, table: int, tokens: Tokens) -> None:
        """Counts complete rows of some patients, in place; tokens int32 (n_rows, at least n_fields)."""
        codec, rows = self.events[table], np.asarray(rows)
        for j, link in enumerate(codec.plan.links):
            if link.is_unique:
                back = self._backs(codec, link)[tokens[:, codec.field(link.name)]]
                bit = np.where(back < 0, 0, np.left_shift(1, np.maximum(back, 0)))
                progress.used[table, j][rows] |= bit
        for (child, j), used in progress.used.items():
            if self.plan.place(self.events[child].plan.links[j].parent) == table:
                used[rows] = (used[rows] << 1) & ((1 << (MOST_BACK + 1)) - 1)
        if table in progress.until:
            own = progress.until[table]
            own[rows, 1:] = own[rows, :-1]
        progress.n_rows[rows, table] += 1
        progress.ticks[rows] = later(progress.ticks[rows], self.middles[table][tokens[:, 0]], codec.plan.unit)
        progress.last[rows, table] = progress.ticks[rows]
        if table in progress.until:
            field, most = self._enclosing[table]
            progress.until[table][rows, 0] = progress.ticks[rows] + most[tokens[:, field]]
        for name in self.deaths_of[table] if self.plan.bound else ():
            day = self.plan.clock.anchor_unit
            last = progress.ticks[rows] + self._most_ticks(codec, name, tokens)
            known = np.isfinite(last)
            progress.ends[rows[known]] = np.minimum(progress.ends[rows[known]], (last[known] // day + 1) * day - 1)

    # parts

    def _static_field(self, name: str) -> int:
        return self._static_names.index(name) if name in self._static_names else -1

    @cached_property
    def _static_names(self) -> list[str]:
        return [] if self.static is None else self.static.layout.names

    @cached_property
    def _tables_of_static(self) -> list[str]:
        """The table of each static field, "" for those of none."""
        of = {own.name: own.table for own in self.plan.static}
        return [] if self.static is None else [of.get(field.column, "") for field in self.static.layout.fields]

    @cached_property
    def middles(self) -> list[Ints]:
        """Units that each token of each table's gap stands for in the middle, int64 (n_tokens,) each."""
        return [middles(codec) for codec in self.events]

    @cached_property
    def _least(self) -> list[Floats]:
        """The fewest units that each token of each table's gap stands for."""
        return [self._bounds(codec)[0] for codec in self.events]

    @cached_property
    def _most(self) -> list[Floats]:
        """The most units that each token of each table's gap stands for."""
        return [self._bounds(codec)[1] for codec in self.events]

    def _bounds(self, codec: EventCodec) -> tuple[Floats, Floats]:
        gap = codec.flat.fields_[0]
        assert isinstance(gap, NumberCodec)
        low, high = gap.token_bounds() if len(gap.low) else (np.zeros(0), np.zeros(0))
        none = np.zeros(gap.n_missing)
        return np.concatenate([none, low]), np.concatenate([none, high])

    def _ends(self, static: Tokens) -> Floats:
        """The last tick of each patient by the field that bounds her, float64 (n,)."""
        out = np.full(len(static), np.inf)
        place = self._static_field(self.plan.bound) if self.plan.bound else -1
        if place < 0 or self.static is None:
            return out
        own, anchor = self.static.fields_[place], self._static_field(ANCHOR)
        if not isinstance(own, NumberCodec) or not len(own.low):
            return out
        moment = self.plan.static_column(self.plan.bound).moment
        high = own.token_bounds()[1]
        if moment is not None:
            last = (high + 1) * moment.unit - 1
        else:
            last = np.round(high * 10.0**self.plan.clock.decimals)
        there = static[:, place] >= own.n_missing
        out[there] = last[static[there, place] - own.n_missing]
        first = self.static.fields_[anchor] if moment is None and anchor >= 0 else None
        if isinstance(first, NumberCodec) and len(first.low):  # a number on the clock itself, not counted from the anchor
            low = np.concatenate([np.zeros(first.n_missing), first.token_bounds()[0]])
            out -= np.round(low[static[:, anchor]] * 10.0**self.plan.clock.decimals)
        return out

    def _gaps(self, progress: Progress, rows: Ints, table: int) -> list[Allowed]:
        """What bounds the gap before a row, each bool (n_rows, n_tokens): the patient's end, and the time of the row before."""
        plan, parts = self.events[table].plan, []
        if not plan.outlives:
            parts.append(self._in_time(progress, rows, table))
        for j in self._within[table]:
            open_ = self._parents(progress, rows, table, j, plan.links[j], progress.ticks[rows])
            until = np.where(open_, progress.until[self.plan.place(plan.links[j].parent)][rows], -np.inf).max(axis=1)
            parts.append(self._at(progress, rows, table) <= until[:, None])
        if plan.is_distinct:
            is_now = progress.ticks[rows] // plan.unit == progress.last[rows, table] // plan.unit
            another = self._least[table] > 0
            another = another if (another & self.events[table].emitted(0)).any() else self._most[table] > 0
            parts.append(~is_now[:, None] | another)
        return parts

    def time_left(self, progress: Progress, rows: Ints, table: int) -> Floats | None:
        """Ticks from each patient's last event to the end of the open rows that rows of a table lie within, float64 (n_rows,), 0 where
        none is open; None for a table that lies within no other's rows.
        """
        if not self.enclosing(table):
            return None
        out = np.full(len(rows), np.inf)
        for j in self._within[table]:
            link = self.events[table].plan.links[j]
            open_ = self._parents(progress, rows, table, j, link, progress.ticks[rows])
            until = np.where(open_, progress.until[self.plan.place(link.parent)][rows] - progress.ticks[rows, None], 0.0).max(axis=1)
            out = np.where(open_.any(axis=1), np.minimum(out, until), out)
        return np.where(np.isinf(out), 0.0, out)

    def enclosing(self, table: int) -> list[int]:
        """The tables within whose rows each row of a table must lie."""
        return [self.plan.place(self.events[table].plan.links[j].parent) for j in self._within[table]]

    def holder(self, table: int) -> int:
        """The link to the row that each row of a table comes with, -1 for none: the innermost one that it must lie within, as a laboratory
        value in its stay; of rows without a time of their own, the one whose time they take.
        """
        links = self.events[table].plan.links
        own = self._within[table]
        if self.events[table].plan.start is None:
            own = [j for j, link in enumerate(links) if link.is_row and not link.has_none][:1]
        return next((j for j in own if links[j].via < 0), own[-1] if own else -1)

    def lengths(self, table: int, tokens: Tokens) -> Floats:
        """The most ticks from start to end of rows that others lie within, float64 (n_rows,); inf where that is not known."""
        if table not in self._enclosing:
            return np.full(len(tokens), np.inf)
        field, most = self._enclosing[table]
        return np.asarray(most[tokens[:, field]])

    def backs(self, table: int, link: int, tokens: Tokens) -> Ints:
        """How many rows of its parent's table lie between each row and its parent, -1 where it has none, int64 (n_rows,)."""
        codec = self.events[table]
        own = codec.plan.links[link]
        return self._backs(codec, own)[tokens[:, codec.field(own.name)]]

    @cached_property
    def _within(self) -> list[list[int]]:
        """By table, its links to rows that each of its own must lie within."""

        def holds(link: Link) -> bool:
            return link.is_within and not link.has_none and self.plan.place(link.parent) in self._enclosing

        return [[j for j, link in enumerate(codec.plan.links) if holds(link)] for codec in self.events]

    def _most_ticks(self, codec: EventCodec, name: str, tokens: Tokens) -> Floats:
        """The most ticks from the starts of rows to a further time of theirs, float64 (n_rows,); inf where there is none."""
        moment, place = codec.plan.moment(name), codec.field(name)
        own = codec.flat.fields_[int(codec.fields[place])]
        assert moment is not None
        assert isinstance(own, NumberCodec)
        high = (own.token_bounds()[1] + 1) * moment.unit if len(own.low) else np.zeros(0)
        out = np.concatenate([np.full(own.n_missing, np.inf), high])[tokens[:, place]]
        if moment.since:
            base = self._most_ticks(codec, moment.since, tokens)
            out = out + np.where(np.isinf(base), 0, base)
        return out

    def _in_time(self, progress: Progress, rows: Ints, table: int) -> Allowed:
        """Which gaps end before the patient does, bool (n_rows, n_tokens)."""
        return self._at(progress, rows, table) <= progress.ends[rows, None]

    def _at(self, progress: Progress, rows: Ints, table: int) -> Floats:
        """The first tick that each gap may lead to, float64 (n_rows, n_tokens)."""
        least, ticks, unit = self._least[table], progress.ticks[rows], self.events[table].plan.unit
        return np.where(least > 0, (ticks[:, None] // unit + least) * unit, ticks[:, None])

    @cached_property
    def _enclosing(self) -> dict[int, tuple[int, Floats]]:
        """The tables within whose rows others lie: the field of their end, and by token the most ticks from start to end."""
        within = {link.parent for codec in self.events for link in codec.plan.links if link.is_within}
        out = {}
        for i, codec in enumerate(self.events):
            for moment in codec.plan.moments if codec.plan.name in within else ():
                place = codec.field(moment.name)
                own = codec.flat.fields_[int(codec.fields[place])]
                if moment.name == self.ends_of[i] and isinstance(own, NumberCodec) and not moment.since:
                    high = own.token_bounds()[1] if len(own.low) else np.zeros(0)
                    out[i] = place, np.concatenate([np.full(own.n_missing, np.inf), (high + 1) * moment.unit])
        return out

    def _parents(self, progress: Progress, rows: Ints, table: int, number: int, link: Link, now: Ints) -> Allowed:
        """Which backs lead to a parent that may have this child at its time, bool (n_rows, MOST_BACK + 1)."""
        known = progress.n_rows[rows, self.plan.place(link.parent)][:, None]
        backs = np.arange(MOST_BACK + 1)
        out = backs < known
        if link.is_within and self.plan.place(link.parent) in progress.until:
            out &= now[:, None] <= progress.until[self.plan.place(link.parent)][rows]
        if link.is_unique:
            taken = np.right_shift(progress.used[table, number][rows, None], backs) & 1
            out &= (taken == 0) | ((backs == MOST_BACK) & (known > MOST_BACK + 1))
        return out

    @cached_property
    def _links(self) -> list[list[int]]:
        """Which link of its table each field draws, -1 for none."""
        out = []
        for codec in self.events:
            places = [codec.field(link.name) if link.is_drawn and link.is_row else -1 for link in codec.plan.links]
            out.append([places.index(field) if field in places else -1 for field in range(codec.n_fields)])
        return out

    def _link_tokens(self, progress: Progress, rows: Ints, table: int, number: int, now: Ints) -> Allowed:
        codec = self.events[table]
        link = codec.plan.links[number]
        parents = self._parents(progress, rows, table, number, link, now)
        open_ = np.concatenate([parents, np.full((len(rows), 1), link.has_none)], axis=1)
        return np.asarray(open_[:, self._places[table, number]])

    @cached_property
    def _places(self) -> dict[tuple[int, int], Ints]:
        """By table and link, which back each of its tokens is, the one behind the last for none, int64 (n_tokens,)."""
        out = {}
        for i, codec in enumerate(self.events):
            for j, link in enumerate(codec.plan.links):
                if link.is_row and codec.field(link.name) >= 0:
                    backs = self._backs(codec, link)
                    out[i, j] = np.where(backs < 0, MOST_BACK + 1, backs)
        return out

    def _backs(self, codec: EventCodec, link: Link) -> Ints:
        """How many rows back each token of a link leads, -1 for none, int64 (n_tokens,)."""
        own = codec.flat.fields_[int(codec.fields[codec.field(link.name)])]
        assert isinstance(own, LevelCodec)
        return np.array([-1] * own.n_missing + [int(level) for level in own.levels], dtype=np.int64)


def middles(codec: EventCodec) -> Ints:
    """Units that each token of a table's gap stands for in the middle, int64 (n_tokens,)."""
    gap = codec.flat.fields_[0]
    assert isinstance(gap, NumberCodec)
    own = gap.middles() if len(gap.low) else np.zeros(0)
    return np.concatenate([np.zeros(gap.n_missing), np.round(own)]).astype(np.int64)
