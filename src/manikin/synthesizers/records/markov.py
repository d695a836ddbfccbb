"""A chain over linked patients' events: what comes next follows from what came last and from an outline of the record. No gradients.

In the sense of the conditional sequence models that are the plain baseline elsewhere (PAR, Zhang et al. 2022, arXiv 2207.14406), made
of counts: the outline and static fields in trees, the next table by the last event's code and by what is left of the outline, gaps by the
table before and the rows of its moment and by what stays have yet to hold, each column by the one token that says most about it, numbers
near the last one of their code, codes as often new to the patient as real ones are. Records end where the rows or the time of their outline
end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from manikin.codecs.base import Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.records.base import Records
from manikin.codecs.records.clock import later
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.lengths import N_LENGTHS, drawn_lengths, most_rows
from manikin.codecs.records.masks import EventMasks, Progress
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ModelFolderError
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, patients_of, refuse_conditions, require_fitted
from manikin.synthesizers.records.chain_history import (
    ALIKE,
    BESIDE,
    HERE,
    KIND,
    LAST,
    N_RUNS,
    PLAN,
    RUN,
    STATE,
    WITH,
    ChainHistory,
    contexts_of,
    moments_of,
    n_contexts,
    numbers_before,
    run_class,
    runs_before,
)
from manikin.synthesizers.records.chain_rows import TableRows, rows_of_tables, spans_of, table_rows
from manikin.synthesizers.records.chances import NONE, Chances, counted, shared, whole_patients
from manikin.synthesizers.records.code_sets import CodeSets, count_sets
from manikin.synthesizers.records.moment_kinds import MomentKinds, kinds_of, suiting
from manikin.synthesizers.records.outline import Outline, count_outline
from manikin.synthesizers.records.pace import SLACK, Pace, Stays, urge
from manikin.synthesizers.records.repeats import Repeats, count_repeats
from manikin.synthesizers.records.sharing import Portions, Sharing, count_sharing
from manikin.synthesizers.records.ties import Ties, count_ties, places_of

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
NAME = "markov"
FEWEST_PATIENTS = 2
PULL = 10.0  # rows that the shares behind a table count for, when those behind a code are blended with them
TRIES = 5  # draws of a gap that must keep to the outline
MOST_TIED, MOST_AT_ONCE = 50_000, 10_000  # rows from which the ties of a number are counted; whose chances are in memory
PATIENTS_AT_ONCE = 500  # whose codes are in memory
STATE_LEVELS = 20_000  # most tokens of a code that the chain runs over
RAREST = 1e-15  # share of a table's rows


@dataclass(kw_only=True)
class Markov:
    """First-order chain over events, from counts.

    >>> Markov()
    Markov()
    """

    codec_: RecordsCodec = field(init=False, repr=False)
    static_: tuple[Chances, ...] = field(init=False, repr=False)
    fields_: tuple[tuple[Chances, ...], ...] = field(init=False, repr=False)
    contexts_: tuple[Ints, ...] = field(init=False, repr=False)  # what each code says of the next row
    repeats_: tuple[Repeats | None, ...] = field(init=False, repr=False)
    ties_: dict[tuple[int, int], Ties] = field(init=False, repr=False)  # of the numbers of each table, by table and field
    kinds_: tuple[MomentKinds | None, ...] = field(init=False, repr=False)  # of the moments of each table, None where not told apart
    begins_: tuple[Floats, ...] = field(init=False, repr=False)  # how likely a row begins a moment, by how many rows that before it has
    sets_: CodeSets | None = field(init=False, repr=False, default=None)  # which codes patients have together; None under a ledger
    sharing_: tuple[Sharing, ...] = field(init=False, repr=False)  # how rows of each table are shared among what they lie within
    same_: tuple[npt.NDArray[np.float64], ...] = field(init=False, repr=False)  # how often a field repeats the last row of its code
    next_: npt.NDArray[np.float64] = field(init=False, repr=False)
    usual_: npt.NDArray[np.float64] = field(init=False, repr=False)
    longest_: int = field(init=False, repr=False)
    outline_: Outline | None = field(init=False, repr=False, default=None)  # None under a ledger: `static_` says how many rows there are

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:  # noqa: ARG002 (the protocol's)
        """Counts; `seed` changes nothing. Under a ledger `private_markov.buy_chain` buys the counts, for all of it.

        Raises
        ------
        BudgetError : the ledger does not allow it, or the tables are such as cannot be learned under one.
        FitError : the data are one flat table, hold fewer than two patients, or nothing stands clear of the noise.
        """
        if not data.is_linked:
            raise FitError(f"The synthesizer {NAME!r} learns linked patients, and this is one flat table. Choose one of flat tables.")
        if ledger is not None:
            return self.buy(data, ledger)
        if len(data) < FEWEST_PATIENTS:
            raise FitError(f"The synthesizer {NAME!r} needs at least {FEWEST_PATIENTS} patients; there are {len(data)}. Bring more.")
        self.codec_ = RecordsCodec()
        records = self.codec_.fit_encode(data)
        layout, moments = self.codec_.layout, moments_of(records.starts, records.times)
        self.contexts_ = self._count_contexts(records)
        state, runs = self._states(records), runs_before(records.starts, moments)
        (spans, is_late), n_rows = spans_of(records), rows_of_tables(records, len(layout.tables))
        self.outline_ = count_outline(spans, n_rows, is_late=is_late)
        groups = self.outline_.tokens(spans, n_rows)
        self.longest_ = self.outline_.most
        self.static_ = self._count_static(records, self._planned(groups))
        self._count_next(records, state)
        self.sharing_ = self._count_sharing(records)
        self.begins_ = self._count_begins(records, runs)
        has = self._codes_of(records)
        self.sets_ = count_sets(has, n_rows)
        held = self.sets_.held(has)
        self.ties_, parts, kinds = {}, [], list[MomentKinds | None]()
        for i in range(len(layout.tables)):
            chain, n_states = (state, runs, moments), int(self._offsets[-1]) + 1
            rows = table_rows(records, i, [t.layout.sizes for t in layout.tables], self._codes[i], self.contexts_[i], chain, n_states)
            rows = replace(rows, planned=self._planned(groups[rows.patients]))
            rows = self._with_kinds(i, rows, moments)
            parts.append(self._count_table(i, rows, moments, self.sets_, held))
            kinds.append(self._count_kinds(i, rows, parts[-1][0], self.sets_, held))
        self.kinds_ = tuple(kinds)
        self.fields_, self.same_, self.repeats_ = (tuple(own) for own in zip(*parts, strict=True)) if parts else ((), (), ())
        return self

    def _with_kinds(self, i: int, rows: TableRows, moments: Ints) -> TableRows:
        """The rows of a table, with the kinds of their moments."""
        if self._codes[i] <= 0 or not len(rows.events):
            return rows
        rng = generator(0, NAME, len(self._codes) + i)
        return replace(rows, moment_kinds=kinds_of(moments[rows.events], rows.kinds, rows.patients, self._n_codes[i], rng))

    def _count_kinds(self, i: int, rows: TableRows, fields: tuple[Chances, ...], sets: CodeSets, held: Bools) -> MomentKinds | None:
        """Which kind of moment comes next in a table, and when one is over; `fields` are the chances of its fields, `held` is which items
        of the sets each patient has.
        """
        if rows.n_kinds == 1:
            return None
        is_kind = np.arange(rows.n_kinds) < rows.n_kinds - 1  # the last one is that of first moments, which nothing else may be
        first, follows = np.flatnonzero(~rows.is_here & is_kind[rows.moment_kinds]), np.flatnonzero(rows.runs > 0)
        given = {parent: (own[first], n) for parent, (own, n) in rows.parents_of_kind().items()}
        of_next = counted(rows.moment_kinds[first], is_kind, given, rows.patients[first])
        is_later = (self.codec_.masks().middles[i][rows.tokens[follows, 0]] > 0).astype(np.int64)
        given = {parent: (own[follows], n) for parent, (own, n) in rows.parents_of_end().items()}
        ends_at, usual = counted(is_later, np.ones(2, dtype=bool), given, rows.patients[follows]), np.zeros(rows.n_kinds)
        n_rows = np.bincount(rows.patients, minlength=len(held))
        for at in range(0, len(held), PATIENTS_AT_ONCE):
            some = slice(at, at + PATIENTS_AT_ONCE)
            open_ = sets.open(i, self._n_codes[i], held[some])
            usual += n_rows[some] @ self._suits(i, fields, rows.n_kinds, open_, len(n_rows[some]))
        return MomentKinds(of_next, ends_at, usual / n_rows.sum())

    def _suits(self, i: int, fields: tuple[Chances, ...], n_kinds: int, open_: Bools | None, n: int) -> Floats:
        """How well the kinds of moments of a table suit n patients who may have these codes, None for all; float64 (n, n_kinds)."""
        codes = fields[self._codes[i]]
        return np.ones((n, n_kinds)) if open_ is None or codes.parent != KIND else suiting(open_, codes, n_kinds)

    def _count_table(
        self, i: int, rows: TableRows, moments: Ints, sets: CodeSets, held: Bools
    ) -> tuple[tuple[Chances, ...], Floats, Repeats | None]:
        """The chances of the fields of a table, how often they are what they were, and which codes come again; `held` is which items of
        the sets each patient has.
        """
        own, same, again, tied = list[Chances](), list[float](), None, self._numbers
        tokens, who, code = rows.tokens, rows.patients, self._codes[i]
        for j, emitted in enumerate(self.codec_.emitted(i, j) for j in range(tokens.shape[1])):
            parents = rows.parents(j, is_tied=(i, j) in tied)
            own.append(counted(tokens[:, j], emitted, parents, who))
            given = parents[own[-1].parent][0] if own[-1].parent != NONE else np.full(len(tokens), NONE)
            if (i, j) in tied:
                self.ties_[i, j] = self._count_ties(i, j, rows, own[-1], given, tied[i, j])
            kept = ALIKE + j in parents and own[-1].parent != ALIKE + j
            same.append(own[-1].excess_of_same(tokens[:, j], parents, parents[ALIKE + j][0], who) if kept else 0.0)
            if j == code > 0 and len(tokens):
                rng, proposed = generator(0, NAME, i), np.zeros(len(given), dtype=np.int64)
                for at in range(0, len(given), MOST_AT_ONCE):
                    some = slice(at, at + MOST_AT_ONCE)
                    few, place = np.unique(who[some], return_inverse=True)
                    open_ = sets.open(i, len(emitted), held[few])
                    proposed[some] = own[-1].draw(given[some], None if open_ is None else _or_any(open_ & emitted, emitted)[place], rng)
                in_tree = sets.in_tree(i, len(emitted))
                again = count_repeats(who, tokens[:, j], proposed, moments[rows.events], emitted, parents, in_tree)
        return tuple(own), np.array(same), again

    @property
    def _numbers(self) -> dict[tuple[int, int], int]:
        """The fields that are numbers behind the code of their row, by table and field, with their first token that is one."""
        out = {}
        for i, (codec, code) in enumerate(zip(self.codec_.events_, self._codes, strict=True)):
            for j, place in enumerate(codec.fields.tolist()):
                own = codec.flat.fields_[place] if place >= 0 else None
                if j > max(code, 0) and (own is None or isinstance(own, NumberCodec)):
                    out[i, j] = codec.by[-1 - place].n_missing if own is None else own.n_missing
        return out

    def _count_begins(self, records: Records, runs: Ints) -> tuple[Floats, ...]:
        """Of each table how likely a row lies behind the moment of the row before, by how many rows that has, float64 (N_RUNS,)."""
        middles, out, patients = self.codec_.masks().middles, [], np.repeat(np.arange(len(records)), records.lengths)
        for i, own in enumerate(middles):
            rows = np.flatnonzero((records.table == i) & (runs > 0))
            rows = rows[shared(run_class(runs[rows]), patients[rows])]
            is_later, run = own[records.tokens[rows, 0]] > 0, run_class(runs[rows])
            usual = float(is_later.mean()) if len(rows) else 0.5
            counts = np.bincount(run, weights=is_later, minlength=N_RUNS), np.bincount(run, minlength=N_RUNS)
            out.append((counts[0] + PULL * usual) / (counts[1] + PULL))
        return tuple(out)

    def _codes_of(self, records: Records) -> dict[int, csr_matrix]:
        """Which patients have which codes of each table whose codes come again."""
        out, patients = {}, np.repeat(np.arange(len(records)), records.lengths)
        for i, (code, n_codes) in enumerate(zip(self._codes, self._n_codes, strict=True)):
            rows = np.flatnonzero(records.table == i)
            if code > 0 and len(rows):
                rows = rows[self.codec_.emitted(i, code)[records.tokens[rows, code]]]
                place = patients[rows], records.tokens[rows, code].astype(np.int64)
                out[i] = csr_matrix((np.ones(len(rows)), place), shape=(len(records), n_codes))
        return out

    @property
    def _n_codes(self) -> list[int]:
        """How many codes each table has, 0 where it has none."""
        return [table.layout.sizes[code] if code >= 0 else 0 for table, code in zip(self.codec_.layout.tables, self._codes, strict=True)]

    def _count_sharing(self, records: Records) -> tuple[Sharing, ...]:
        """How the rows of each table are shared among the rows that they come with."""
        masks, out, n = self.codec_.masks(), [], len(self.codec_.layout.tables)
        events = [np.flatnonzero(records.table == i) for i in range(n)]
        patients = np.repeat(np.arange(len(records)), records.lengths)
        for i, (rows, parent) in enumerate(zip(events, self._holders, strict=True)):
            if parent < 0:
                out.append(Sharing())
                continue
            those = events[parent]
            place = np.searchsorted(those, rows) - 1 - masks.backs(i, masks.holder(i), records.tokens[rows])
            known = (place >= 0) & (place < len(those))
            place, rows = place[known], rows[known]
            held = np.bincount(place[patients[those[place]] == patients[rows]], minlength=len(those))
            out.append(count_sharing(held, patients[those], masks.lengths(parent, records.tokens[those])))
        return tuple(out)

    @property
    def _holders(self) -> list[int]:
        """The table whose rows those of each table come with, -1 for none."""
        masks, plan = self.codec_.masks(), self.codec_.plan_
        links = [masks.holder(i) for i in range(len(masks.events))]
        return [plan.place(masks.events[i].plan.links[j].parent) if j >= 0 else NONE for i, j in enumerate(links)]

    def _count_ties(self, i: int, j: int, table: TableRows, chances: Chances, given: Ints, first: int) -> Ties:
        """How the number of a field follows the last one of its code; `first` is the first token that is one."""
        tokens, kind, who, contexts = table.tokens[:, j], table.kinds, table.patients, self.contexts_[i]
        before = numbers_before(kind, who, tokens, first)
        rows = whole_patients(who, MOST_TIED)
        rows = rows[(before[rows] >= 0) & (tokens[rows] >= first)]
        places = np.zeros((2, len(rows), 2))
        for at in range(0, len(rows), MOST_AT_ONCE):
            some = slice(at, at + MOST_AT_ONCE)
            weights = chances.weights(given[rows[some]])
            weights[:, :first] = 0.0
            places[:, some] = places_of(before[rows[some]], weights), places_of(tokens[rows[some]], weights)
        is_same = tokens[rows] == before[rows]
        return count_ties(places[0], places[1], is_same, contexts[kind[rows]], who[rows], n_contexts(contexts))

    def _planned(self, groups: Ints) -> dict[int, tuple[Ints, int]]:
        """The outline's groups of some rows, int64 (n_rows, n_groups), as parents."""
        assert self.outline_ is not None
        return {PLAN + g: (groups[:, g], len(one)) for g, one in enumerate(self.outline_.groups)}

    def buy(self, data: Any, ledger: Any, *, share: float = 1.0) -> Self:
        """Buys the chain of patients who may be sealed already, for all that is left of a budget or for a share of the whole."""
        from manikin.synthesizers.records.private_markov import buy_chain

        def codes_of(codec: RecordsCodec) -> list[int]:
            """The fields that the chain runs over, of a codec that was bought."""
            self.codec_ = codec
            self.contexts_ = self._own_contexts()
            return self._codes

        chain = buy_chain(data, ledger, codes_of, share=share)
        self.static_, self.fields_, n = chain.static, chain.fields, len(chain.fields)
        table_of = np.repeat(np.arange(n + 1), np.append(np.diff(self._offsets), 1))
        self.next_, self.usual_ = chain.following[table_of], np.ones(n)
        self.outline_, self.repeats_, self.ties_, self.sharing_, self.sets_ = None, (None,) * n, {}, (Sharing(),) * n, None
        self.begins_, self.kinds_ = (np.zeros(N_RUNS),) * n, (None,) * n
        self.same_ = tuple(np.zeros(len(own)) for own in self.fields_)
        self.longest_ = max(1, sum(most_rows(own.shares) for own in chain.static[len(chain.static) - n :]))
        return self

    @property
    def schema_(self) -> Any:
        """The schema that was learned."""
        return self.codec_.schema_

    def _count_static(self, records: Records, planned: dict[int, tuple[Ints, int]]) -> tuple[Chances, ...]:
        tokens, everybody = records.static.astype(np.int64), np.arange(len(records))
        own = []
        for j in range(tokens.shape[1]):
            sizes = self.codec_.layout.static.sizes
            parents = {k: (tokens[:, k], sizes[k]) for k in range(j)} | planned
            own.append(counted(tokens[:, j], self.codec_.emitted(-1, j), parents, everybody))
        return tuple(own)

    # states: which table the last event is of, and its code

    @property
    def _codes(self) -> list[int]:
        """The field of each table that the chain runs over, -1 where it has no code."""
        out = []
        for codec in self.codec_.events_:
            sizes = {}
            for place, i in enumerate(codec.fields.tolist()):
                own = codec.flat.fields_[i] if i >= 0 else None
                is_link = any(codec.field(link.name) == place for link in codec.plan.links)
                if isinstance(own, LevelCodec) and not is_link and 1 < own.n_tokens <= STATE_LEVELS:
                    sizes[place] = own.n_tokens
            out.append(max(sizes, key=lambda place: sizes[place]) if sizes else NONE)
        return out

    def _count_contexts(self, records: Records) -> tuple[Ints, ...]:
        """Of each table the context of each token of its code, [0] where it has none."""
        out, patients = [], np.repeat(np.arange(len(records)), records.lengths)
        for i, (codec, code) in enumerate(zip(self.codec_.events_, self._codes, strict=True)):
            rows = np.flatnonzero(records.table == i)
            own = contexts_of(codec.places(code), records.tokens[rows, code].astype(np.int64), patients[rows]) if code >= 0 else None
            out.append(np.zeros(1, dtype=np.int64) if own is None else own)
        return tuple(out)

    def _own_contexts(self) -> tuple[Ints, ...]:
        """Each code by itself."""
        sizes = [1 if code < 0 else t.layout.sizes[code] for t, code in zip(self.codec_.layout.tables, self._codes, strict=True)]
        return tuple(np.arange(size) for size in sizes)

    @property
    def _offsets(self) -> Ints:
        """The first state of each table; the last one is that of a patient before her first event."""
        return np.concatenate([[0], np.cumsum([n_contexts(own) for own in self.contexts_])]).astype(np.int64)

    def _states(self, records: Records) -> Ints:
        out = np.zeros(records.n_events, dtype=np.int64)
        for i, code in enumerate(self._codes):
            rows = np.flatnonzero(records.table == i)
            out[rows] = self._offsets[i] + self.contexts_[i][records.tokens[rows, code] if code >= 0 else np.zeros(len(rows), np.int64)]
        return out

    def _count_next(self, records: Records, state: Ints) -> None:
        """Which table comes next behind each state, and each table's share of all events."""
        n_tables, offsets = len(self.codec_.layout.tables), self._offsets
        starting = int(offsets[-1])
        before = np.full(records.n_events, starting, dtype=np.int64)
        inner = np.ones(records.n_events, dtype=bool)
        inner[records.starts[:-1][records.lengths > 0]] = False
        before[inner] = state[np.flatnonzero(inner) - 1]
        counts = np.zeros((starting + 1, n_tables))
        told = shared(before * n_tables + records.table, np.repeat(np.arange(len(records)), records.lengths))
        np.add.at(counts, (before[told], records.table[told].astype(np.int64)), 1.0)
        table_of = np.repeat(np.arange(n_tables + 1), np.append(np.diff(offsets), 1))
        by_table = np.zeros((n_tables + 1, n_tables))
        np.add.at(by_table, table_of, counts)
        self.usual_ = (by_table.sum(axis=0) + 1) / (by_table.sum() + n_tables)
        shares = (by_table + self.usual_) / (by_table.sum(axis=1, keepdims=True) + 1)  # no table is out of reach
        self.next_ = (counts + PULL * shares[table_of]) / (counts.sum(axis=1, keepdims=True) + PULL)

    # drawing

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` new patients.

        Raises
        ------
        ParameterError : conditions are given.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 4096
    ) -> Iterator[Dataset]:
        """The patients of `sample` in batches."""
        require_fitted(self, "fields_")
        refuse_conditions(NAME, "draws", conditions)
        check_request("Markov", n, batch_size, None)

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The patients of one block, from its own stream of randomness."""
            rng = generator(seed, NAME, number)
            return self.codec_.decode(self.draw(stop - start, rng), rng, first_key=start + 1)

        return in_batches(draw, n, batch_size=batch_size, block=self.block)

    @property
    def block(self) -> int:
        """Patients that are drawn at once, so that what is remembered of each fits into memory."""
        return patients_of(max(self.longest_, sum(len(own) for own in self.contexts_)))

    def draw(self, n: int, rng: np.random.Generator) -> Records:
        """`n` new patients, as tokens."""
        masks, layout = self.codec_.masks(), self.codec_.layout
        static, planned, hours, groups = self._draw_static(n, rng)
        progress = masks.begin(static)
        n_groups = [len(one) for one in self.outline_.groups] if self.outline_ is not None else []
        fields = [table.layout.sizes for table in layout.tables]
        repeating = [own is not None for own in self.repeats_]
        tied = {at: first for at, first in self._numbers.items() if at in self.ties_}
        behind = ChainHistory(n, fields, self._codes, self.contexts_, repeating, (groups, n_groups), tied)
        if self.sets_ is not None:
            behind.have(self.sets_, planned, [self.codec_.emitted(i, max(code, 0)) for i, code in enumerate(self._codes)], rng)
            for i, (kinds, seen) in enumerate(zip(self.kinds_, behind.seen, strict=True)):
                if kinds is not None and seen is not None:
                    behind.suits[i] = self._suits(i, self.fields_[i], len(kinds), seen.open, n)
        pace = None if hours is None else self._pace(hours, planned, masks)
        going, n_tables, width = np.arange(n), len(layout.tables), layout.width
        moments = [self._moments_a_row(i, masks) for i in range(n_tables)]
        portions = Portions(planned, self.sharing_, {} if pace is None else {i: p for i, p in enumerate(self._holders) if p >= 0})
        timeless = [i for i in portions.holders if self.codec_.events_[i].plan.start is None]  # they come with the row that they belong to
        owner, tables, tokens = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int16)], [np.zeros((0, width), dtype=np.int32)]
        while True:
            allowed = masks.tables(progress, going)[:, :n_tables]
            for i in timeless:
                allowed[:, i] &= (portions.share[going, i] > 0) & (progress.last[going, portions.holders[i]] == progress.ticks[going])
            allowed = portions.allowed(going, allowed)
            going, allowed = going[allowed.any(axis=1)], allowed[allowed.any(axis=1)]
            if not len(going):
                break
            weight = allowed * self.next_[behind.state[going]]
            if pace is not None:  # the more readily the more of a table's rows are left
                weight *= planned[going] / self.usual_
                stays, ahead = Stays(len(going)), np.zeros(allowed.shape, dtype=bool)
                for i in timeless:
                    stays.stop(i, allowed[:, i])
                for i in range(n_tables):
                    left = masks.time_left(progress, going, i)
                    if left is None:
                        continue
                    leads = portions.lead(going, i, left)
                    weight[:, i] *= pace.haste(going, progress.ticks[going], left) * urge(leads)
                    ahead[:, i] = leads > SLACK
                    is_open = allowed[:, i] | (planned[going][:, masks.enclosing(i)] > 0).any(axis=1)
                    stays.add(i, left * is_open, portions.to_come(going, i) * moments[i])
                weight *= pace.hold(going, progress.ticks[going], stays, allowed, ahead)
            edges = np.cumsum(weight, axis=1)
            chosen = (edges <= (rng.random(len(going)) * edges[:, -1])[:, None]).sum(axis=1)
            for i in np.unique(chosen).tolist():
                rows, own = self._draw_rows(i, going[chosen == i], behind, masks, progress, portions, pace, rng)
                owner.append(rows)
                tables.append(np.full(len(rows), i, dtype=np.int16))
                tokens.append(own)
        return self._records(static, np.concatenate(owner), np.concatenate(tables), np.concatenate(tokens))

    def _draw_rows(
        self,
        i: int,
        rows: Ints,
        behind: ChainHistory,
        masks: EventMasks,
        progress: Progress,
        portions: Portions,
        pace: Pace | None,
        rng: np.random.Generator,
    ) -> tuple[Ints, Tokens]:
        """The next rows of a table of some patients: whose they are, and their tokens. Those whose row is to wait have none; the table is
        closed to patients whose time for it is up.
        """
        own = np.zeros((len(rows), self.codec_.layout.width), dtype=np.int32)
        if pace is not None:
            given, allowed = behind.of(self.fields_[i][0].parent, rows, i, 0, own), masks.field(progress, rows, i, 0, own)
            own[:, 0], goes = self._gaps(i, rows, given, allowed, behind, masks, progress, pace, rng)
            rows, own, given, allowed = rows[goes], own[goes], given[goes], None if allowed is None else allowed[goes]
            if allowed is not None:
                is_over = own[:, 0] > np.where(allowed, np.arange(allowed.shape[1]), -1).max(axis=1)
                portions.close(rows[is_over], i)
                rows, own, given, allowed = rows[~is_over], own[~is_over], given[~is_over], allowed[~is_over]
                lost = np.flatnonzero(~allowed[np.arange(len(rows)), own[:, 0]])
                own[lost, 0] = self.fields_[i][0].draw(given[lost], allowed[lost], rng)
        for j, chances in enumerate(self.fields_[i]):
            if j == 0 and pace is not None:
                continue
            if j == 1:
                behind.at(rows, i, masks.middles[i][own[:, 0]] > 0)
                self._draw_kinds(i, rows, own, behind, rng)
            allowed, given = masks.field(progress, rows, i, j, own), behind.of(chances.parent, rows, i, j, own)
            repeats, seen = self.repeats_[i], behind.seen[i]
            if j == behind.codes[i] and repeats is not None and seen is not None:
                new = behind.of(repeats.fresh.parent, rows, i, j, own)
                own[:, j] = repeats.draw(seen, rows, chances, (given, new), allowed, rng)
                continue
            own[:, j] = chances.draw(given, allowed, rng)
            if (i, j) in self.ties_:
                self._tie(i, j, rows, own, behind, given, allowed, rng)
            if self.same_[i][j] > 0:
                before = behind.of(ALIKE + j, rows, i, j, own)
                is_same = (rng.random(len(rows)) < self.same_[i][j]) & (before >= 0)
                if allowed is not None:
                    is_same &= allowed[np.arange(len(rows)), before]
                own[is_same, j] = before[is_same]
        ticks, runs = progress.ticks[rows], behind.run[rows]
        masks.advance(progress, rows, i, own)
        is_later = progress.ticks[rows] > ticks
        behind.add(rows, i, own, is_later)
        portions.drawn(rows, i, masks.lengths(i, own), rng)
        if pace is not None:
            pace.follow(rows[runs > 0], i, run_class(runs[runs > 0]), is_later[runs > 0])
            pace.add(rows, i, progress.ticks[rows])
        return rows, own

    def _draw_kinds(self, i: int, rows: Ints, own: Tokens, behind: ChainHistory, rng: np.random.Generator) -> None:
        """Draws the kinds of the moments of a table that begin with these rows, of which nothing but the gap is drawn."""
        kinds, begins = self.kinds_[i], behind.begins(rows, i)
        if kinds is None or not begins.any():
            return
        rows, own = rows[begins], own[begins]
        parent = kinds.of_next.parent
        given = behind.kind[rows, i] if parent == LAST else behind.of(parent, rows, i, 0, own)
        behind.kind[rows, i] = kinds.draw(given, behind.when[i][rows] < 0, behind.suits[i][rows], rng)

    def _tie(
        self, i: int, j: int, rows: Ints, own: Tokens, behind: ChainHistory, given: Ints, allowed: Bools | None, rng: np.random.Generator
    ) -> None:
        """Draws the numbers of a field anew, in place, where the patient has a last one of the same code."""
        before, first, code = behind.number_before(rows, i, j, own), behind.tied[i, j], behind.codes[i]
        bound = np.flatnonzero((before >= 0) & (own[:, j] >= first))
        weights = self.fields_[i][j].weights(given[bound]) * (1.0 if allowed is None else allowed[bound])
        weights[:, :first] = 0.0
        can = weights.sum(axis=1) > 0
        bound, weights = bound[can], weights[can]
        contexts = self.contexts_[i][own[bound, code] if code >= 0 else np.zeros(len(bound), dtype=np.int64)]
        own[bound, j] = self.ties_[i, j].draw(contexts, before[bound], weights, rng)

    def _pace(self, hours: Ints, planned: Ints, masks: EventMasks) -> Pace:
        assert self.outline_ is not None
        kinds = enumerate(zip(masks.middles, self.kinds_, strict=True))
        begins = [(self._later(i, middles) if own is None else own.ends(), self.begins_[i]) for i, (middles, own) in kinds]
        return Pace(hours, planned, self.codec_.plan_.clock.days_per_tick, begins, is_late=self.outline_.is_late)

    def _moments_a_row(self, i: int, masks: EventMasks) -> float:
        """The share of the rows of a table that lie behind the row before."""
        shares = self.fields_[i][0].shares
        return float(shares[masks.middles[i] > 0].sum() / max(shares.sum(), 1e-9))

    def _later(self, i: int, middles: Ints) -> Floats:
        """How likely a row of a table lies behind the moment of the row before, by what its gap follows from, the last of nothing."""
        chances, out = self.fields_[i][0], []
        given = np.append(np.arange(len(chances.starts) - 1), NONE)
        for at in range(0, len(given), MOST_AT_ONCE):
            weights = chances.weights(given[at : at + MOST_AT_ONCE])
            out.append((weights * (middles > 0)).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-300))
        return np.concatenate(out)

    def _gaps(
        self,
        i: int,
        rows: Ints,
        given: Ints,
        allowed: Bools | None,
        behind: ChainHistory,
        masks: EventMasks,
        progress: Progress,
        pace: Pace,
        rng: np.random.Generator,
    ) -> tuple[Ints, Bools]:
        """Gaps before rows of a table, and which of these come now.

        They are drawn again for some times where they may not be or would outrun the patient's outline. Who has a stay to fill goes no
        further at once than `pace` says; a row of another table that is due later waits.
        """
        chances, middles, most = self.fields_[i][0], masks.middles[i], pace.longest_gap(rows, i, progress.ticks[rows])
        held = np.isfinite(most)
        out, goes = chances.draw(given, None, rng), np.ones(len(rows), dtype=bool)
        follows = np.flatnonzero(behind.run[rows] > 0)  # who has rows
        seen, repeats = behind.seen[i], self.repeats_[i]
        forced = pace.is_due(rows[follows], i, progress.ticks[rows[follows]])
        if seen is not None and repeats is not None and repeats.is_once:
            seen.at(rows[follows], behind.moment[rows[follows]])
            forced |= seen.is_full(rows[follows])
        kinds, none = self.kinds_[i], np.zeros((len(follows), 0), dtype=np.int32)
        told = given[follows] if kinds is None else behind.of(kinds.ends_at.parent, rows[follows], i, 0, none)
        begins = forced | pace.begins(rows[follows], i, told, rng)
        wrong = follows[begins != (middles[out[follows]] > 0)]
        fits = ((middles[None] > 0) != (middles[out[wrong]] > 0)[:, None]) & self.codec_.emitted(i, 0)
        wrong, fits = wrong[fits.any(axis=1)], fits[fits.any(axis=1)]
        out[wrong] = chances.draw(given[wrong], fits, rng)
        at = later(progress.ticks[rows, None], middles[None], self.codec_.events_[i].plan.unit)
        open_ = np.broadcast_to(self.codec_.emitted(i, 0), at.shape) if allowed is None else allowed
        lost = np.flatnonzero(~held)
        for attempt in range(TRIES):
            lost = lost[pace.outruns(rows[lost], at[lost, out[lost]]) | ~open_[lost, out[lost]]]
            if not len(lost) or attempt == TRIES - 1:
                break
            out[lost] = chances.draw(given[lost], None, rng)
        outside = (at[np.arange(len(rows)), out] > progress.ticks[rows] + most) | ~open_[np.arange(len(rows)), out]
        far = np.flatnonzero(held & (middles[out] > 0) & outside)
        after = open_[far] & (middles > 0)
        near = after & (at[far] <= (progress.ticks[rows] + most)[far, None])
        soonest = np.where(after, at[far], np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
        is_near, has_any = near.any(axis=1), after.any(axis=1)
        out[far[is_near]] = chances.draw(given[far[is_near]], near[is_near], rng)
        wait = has_any & ~is_near & pace.can_wait(rows[far], i)
        pace.wait(rows[far[wait]], i, soonest[wait])
        goes[far[wait]] = False
        late = has_any & ~is_near & ~wait
        out[far[late]] = chances.draw(given[far[late]], after[late] & (at[far[late]] == soonest[late, None]), rng)
        return out, goes

    def _draw_static(self, n: int, rng: np.random.Generator) -> tuple[Tokens, Ints, Ints | None, Ints]:
        """The patients' own fields; rows to come of each table, int64 (n, n_tables); hours, int64 (n,); and the groups of their outline."""
        masks, n_static = self.codec_.masks(), len(self.codec_.layout.static.fields)
        out, given = np.zeros((n, len(self.static_)), dtype=np.int32), np.zeros(n_static, dtype=bool)
        numbers, groups = (np.zeros((n, 0), dtype=np.int64),) * 2 if self.outline_ is None else self.outline_.draw(n, rng)
        for j, chances in enumerate(self.static_):
            behind = np.full(n, NONE, dtype=np.int64)
            if chances.parent >= 0:
                behind = (groups[:, chances.parent - PLAN] if chances.parent >= PLAN else out[:, chances.parent]).astype(np.int64)
            allowed = masks.static_field(j, out[:, :n_static], given) if j < n_static else None
            if j in masks.presences and self.outline_ is not None:
                i, says_yes = masks.presences[j]
                as_planned = (says_yes == (numbers[:, 1 + i] > 0)[:, None]) & self.codec_.emitted(-1, j)
                allowed = as_planned | ~as_planned.any(axis=1, keepdims=True)
            out[:, j] = chances.draw(behind, allowed, rng)
            given[j : j + 1] = True
        if self.outline_ is None:
            return out[:, :n_static], drawn_lengths(out[:, n_static:].astype(np.int64), rng), None, groups
        return out, numbers[:, 1:], numbers[:, 0], groups

    def _records(self, static: Tokens, owner: Ints, table: npt.NDArray[np.int16], tokens: Tokens) -> Records:
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(static) + 1)).astype(np.int64)
        table, tokens = table[order], tokens[order]
        return Records(static, starts, table, tokens, self.codec_.times(starts, table, tokens))

    # saving

    def state(self) -> State:
        """Everything fitted: the codec and counts."""
        values, arrays = self.codec_.state()
        out: Arrays = {f"codec/{name}": array for name, array in arrays.items()}
        out |= {"next": self.next_, "usual": self.usual_}
        if self.outline_ is not None:
            out |= {f"outline/{name}": array for name, array in self.outline_.state().items()}
        if self.sets_ is not None:
            out |= {f"sets/{name}": array for name, array in self.sets_.state().items()}
        for i, (repeats, same) in enumerate(zip(self.repeats_, self.same_, strict=True)):
            out[f"same{i}"], out[f"contexts{i}"] = same, self.contexts_[i]
            out[f"begins{i}"], kinds = self.begins_[i], self.kinds_[i]
            out |= {f"kinds{i}/{name}": array for name, array in ({} if kinds is None else kinds.state()).items()}
            out |= {f"sharing{i}/{name}": array for name, array in self.sharing_[i].state().items()}
            out |= {f"repeats{i}/{name}": array for name, array in ({} if repeats is None else repeats.state()).items()}
        for (i, j), ties in self.ties_.items():
            out |= {f"ties{i}.{j}/{name}": array for name, array in ties.state().items()}
        for j, chances in enumerate(self.static_):
            out |= {f"static{j}/{name}": array for name, array in chances.state().items()}
        for i, fields in enumerate(self.fields_):
            for j, chances in enumerate(fields):
                out |= {f"event{i}.{j}/{name}": array for name, array in chances.state().items()}
        return {"codec": values, "longest": self.longest_}, out

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        self.codec_ = RecordsCodec.from_state(values["codec"], _below(arrays, "codec/"))
        layout = self.codec_.layout
        n_tables, outline = len(layout.tables), _below(arrays, "outline/")
        self.outline_ = Outline.from_state(outline, n_tables) if outline else None
        sizes = [*layout.static.sizes, *([] if outline else [N_LENGTHS] * n_tables)]
        self.static_ = tuple(Chances.from_state(_below(arrays, f"static{j}/"), n) for j, n in enumerate(sizes))
        self.same_ = tuple(arrays[f"same{i}"] for i in range(n_tables))
        self.contexts_ = tuple(arrays[f"contexts{i}"] for i in range(n_tables))
        self.sharing_ = tuple(Sharing.from_state(_below(arrays, f"sharing{i}/")) for i in range(n_tables))
        for own, sound in zip(self.contexts_, self._own_contexts(), strict=True):
            if own.shape != sound.shape or own.dtype != np.int64 or len(np.unique(own)) != n_contexts(own) or (own < 0).any():
                raise ModelFolderError("The contexts of a model are not those of its codes. Save the model again.")
        if any(own.shape != (len(table.layout.fields),) for own, table in zip(self.same_, layout.tables, strict=True)):
            raise ModelFolderError("The chain of a model does not fit its tables. Save the model again.")
        self.begins_, sets = tuple(arrays[f"begins{i}"] for i in range(n_tables)), _below(arrays, "sets/")
        self.sets_ = CodeSets.from_state(sets, self._n_codes) if sets else None
        kinds = [_below(arrays, f"kinds{i}/") for i in range(n_tables)]
        self.kinds_ = tuple(MomentKinds.from_state(own) if own and code > 0 else None for own, code in zip(kinds, self._codes, strict=True))
        again = [_below(arrays, f"repeats{i}/") for i in range(n_tables)]
        self.repeats_ = tuple(
            Repeats.from_state(own, table.layout.sizes[code]) if own else None
            for own, table, code in zip(again, layout.tables, self._codes, strict=True)
        )
        self.fields_ = tuple(
            tuple(Chances.from_state(_below(arrays, f"event{i}.{j}/"), n) for j, n in enumerate(table.layout.sizes))
            for i, table in enumerate(layout.tables)
        )
        known = {(i, j): _below(arrays, f"ties{i}.{j}/") for i, j in self._numbers}
        self.ties_ = {at: Ties.from_state(own, n_contexts(self.contexts_[at[0]])) for at, own in known.items() if own}
        self.next_, self.usual_, self.longest_ = arrays["next"], arrays["usual"], int(values["longest"])
        is_fit = self.next_.shape == (int(self._offsets[-1]) + 1, n_tables) and self.usual_.shape == (n_tables,)
        is_fit = is_fit and all(np.isfinite(own).all() and (own >= 0).all() for own in (self.next_, self.usual_))
        is_fit = is_fit and bool((self.next_ > 0).all() and ((self.usual_ > RAREST) & (self.usual_ <= 1)).all())
        is_fit = is_fit and bool((self.next_ <= 1 + 1e-9).all()) and all(bool(((own >= 0) & (own <= 1)).all()) for own in self.same_)
        is_fit = is_fit and all(own.shape == (N_RUNS,) and bool(((own >= 0) & (own <= 1)).all()) for own in self.begins_)
        repeats = enumerate(zip(self.repeats_, self._codes, strict=True))
        is_fit = is_fit and all(one is None or self._may_follow(i, code, one.fresh.parent) for i, (one, code) in repeats)
        is_fit = is_fit and all(own is None or self._kinds_follow(own) for own in self.kinds_)
        is_fit = is_fit and all(self._may_follow(-1, j, own.parent) for j, own in enumerate(self.static_))
        is_fit = is_fit and all(self._may_follow(i, j, own.parent) for i, fields in enumerate(self.fields_) for j, own in enumerate(fields))
        if not is_fit or self.longest_ < 1 or (self.outline_ is not None and self.longest_ != self.outline_.most):
            raise ModelFolderError("The chain of a model does not fit its tables. Save the model again.")
        return self

    def _kinds_follow(self, kinds: MomentKinds) -> bool:
        """Whether the kinds of moments follow from what they may."""
        n_groups, parent = 0 if self.outline_ is None else len(self.outline_.groups), kinds.of_next.parent
        return kinds.ends_at.parent in (NONE, KIND + 1) and (parent in (NONE, 0, LAST, STATE) or 0 <= parent - PLAN < n_groups)

    def _may_follow(self, i: int, j: int, parent: int) -> bool:
        """Whether field j of table i, -1 for the patient's own, may follow a parent."""
        n_groups = 0 if self.outline_ is None else len(self.outline_.groups)
        if parent >= KIND:
            return i >= 0 and j == self._codes[i] and parent == KIND and self.kinds_[i] is not None
        if parent >= WITH:
            return i >= 0 and j == self._codes[i] and parent - WITH < j
        if parent >= HERE:
            return i >= 0 and j > 0 and parent in (HERE + j, BESIDE + j)
        if parent >= STATE:
            return i >= 0 == j and parent in (STATE, STATE + 1)
        if parent >= RUN:
            return i >= 0 == j and parent - RUN <= n_groups
        if parent >= PLAN:
            return parent - PLAN < n_groups
        if parent >= ALIKE:
            return i >= 0 and (parent == LAST + j or (parent == ALIKE + j and NONE < self._codes[i] < j))
        return NONE <= parent < max(j, 0 if i < 0 else len(self.fields_[i]))


def _or_any(open_: Bools, emitted: Bools) -> Bools:
    """What is open, bool (n, n_tokens), and where that is nothing what may be drawn at all, bool (n_tokens,)."""
    out: Bools = np.where(np.any(open_, axis=1, keepdims=True), open_, emitted)
    return out


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
