"""Counts a chain of linked patients' events: what comes next, by what lay before it. Draws no patient.

What one patient alone shows is not counted; of what a field follows from, that is taken which tells most of patients who were not counted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from manikin.codecs.levels import count_holders
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.seeds import generator
from manikin.synthesizers.records.chain import Chain, codes_of, holders_of, n_codes_of, numbers_of, offsets_of, suits_of
from manikin.synthesizers.records.chain_history import (
    ALIKE,
    KIND,
    N_RUNS,
    PLAN,
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
from manikin.synthesizers.records.moment_kinds import FEWEST, NO_KIND, MomentKinds, ends_of, kinds_of, times_after
from manikin.synthesizers.records.outline import Outline, count_outline
from manikin.synthesizers.records.repeats import Repeats, count_repeats
from manikin.synthesizers.records.sharing import Sharing, count_sharing
from manikin.synthesizers.records.ties import Ties, count_ties, places_of

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
STREAM = "markov"
PULL = 10.0  # rows that the shares behind a table count for, when those behind a code are blended with them
MOST_TIED, MOST_AT_ONCE = 50_000, 10_000  # rows from which the ties of a number are counted; whose chances are in memory
PATIENTS_AT_ONCE = 500  # whose codes are in memory


def count_chain(data: Dataset) -> Chain:
    """The chain of linked patients."""
    return _Counting(data).chain()


class _Counting:
    def __init__(self, data: Dataset) -> None:
        self.codec = RecordsCodec()
        self.records = self.codec.fit_encode(data)
        self.codes, self.n_codes = codes_of(self.codec), n_codes_of(self.codec)
        self.numbers, self.holders = numbers_of(self.codec), holders_of(self.codec)
        self.contexts = self._count_contexts()
        self.ties: dict[tuple[int, int], Ties] = {}

    def chain(self) -> Chain:
        """Everything."""
        records = self.records
        layout, moments = self.codec.layout, moments_of(records.starts, records.times)
        state, runs = self._states(), runs_before(records.starts, moments)
        (spans, is_late), n_rows = spans_of(records), rows_of_tables(records, len(layout.tables))
        outline = count_outline(spans, n_rows, is_late=is_late)
        groups = outline.tokens(spans, n_rows)
        has = self._codes_of()
        sets = count_sets(has, n_rows)
        held, parts, kinds = sets.held(has), [], list[MomentKinds | None]()
        for i in range(len(layout.tables)):
            chain, n_states = (state, runs, moments), int(offsets_of(self.contexts)[-1]) + 1
            rows = table_rows(records, i, [t.layout.sizes for t in layout.tables], self.codes[i], self.contexts[i], chain, n_states)
            rows = replace(rows, planned=_planned(outline, groups[rows.patients]))
            rows = self._with_kinds(i, rows, moments)
            parts.append(self._count_table(i, rows, moments, sets, held))
            if rows.n_kinds > 1 and parts[-1][0][self.codes[i]].parent != KIND:  # something else says more of its codes
                rows = replace(rows, moment_kinds=np.zeros_like(rows.moment_kinds))
                parts[-1] = self._count_table(i, rows, moments, sets, held)
            kinds.append(self._count_kinds(i, rows, parts[-1][0], sets, held))
        fields, same, repeats = (tuple(own) for own in zip(*parts, strict=True)) if parts else ((), (), ())
        following, usual = self._count_next(state)
        return Chain(
            codec=self.codec,
            static=self._count_static(_planned(outline, groups)),
            fields=fields,
            contexts=self.contexts,
            following=following,
            usual=usual,
            longest=outline.most,
            same=same,
            begins=self._count_begins(runs),
            sharing=self._count_sharing(),
            repeats=repeats,
            kinds=tuple(kinds),
            ties=self.ties,
            outline=outline,
            sets=sets,
        )

    def _with_kinds(self, i: int, rows: TableRows, moments: Ints) -> TableRows:
        """The rows of a table, with the kinds of their moments."""
        if self.codes[i] <= 0 or not len(rows.events):
            return rows
        rng = generator(0, STREAM, len(self.codes) + i)
        return replace(rows, moment_kinds=kinds_of(moments[rows.events], rows.kinds, rows.patients, self.n_codes[i], rng))

    def _count_kinds(self, i: int, rows: TableRows, fields: tuple[Chances, ...], sets: CodeSets, held: Bools) -> MomentKinds | None:
        """Which kind of moment comes next in a table, and when one is over; `fields` are the chances of its fields, `held` is which items
        of the sets each patient has.
        """
        if rows.n_kinds == 1:
            return None
        is_kind = np.arange(rows.n_kinds) < rows.n_kinds - 1  # the last one is that of first moments, which nothing else may be
        is_kind[NO_KIND] = count_holders(rows.moment_kinds, rows.patients, rows.n_kinds)[NO_KIND] >= FEWEST
        first, follows = np.flatnonzero(~rows.is_here & is_kind[rows.moment_kinds]), np.flatnonzero(rows.runs > 0)
        given = {parent: (own[first], n) for parent, (own, n) in rows.parents_of_kind().items()}
        of_next = counted(rows.moment_kinds[first], is_kind, given, rows.patients[first])
        is_later = self.codec.masks().middles[i][rows.tokens[follows, 0]] > 0
        given = {parent: (own[follows], n) for parent, (own, n) in rows.parents_of_end().items()}
        ends_at, usual = counted(is_later.astype(np.int64), np.ones(2, dtype=bool), given, rows.patients[follows]), np.zeros(rows.n_kinds)
        state = rows.state[follows]
        told = shared(2 * state + is_later, rows.patients[follows])
        behind = given[ends_at.parent][0][told] if ends_at.parent != NONE else np.full(told.sum(), NONE)
        after = times_after(state[told], is_later[told], ends_of(ends_at)[behind], rows.n_states)
        n_rows = np.bincount(rows.patients, minlength=len(held))
        for at in range(0, len(held), PATIENTS_AT_ONCE):
            some = slice(at, at + PATIENTS_AT_ONCE)
            open_ = sets.open(i, self.n_codes[i], held[some])
            usual += n_rows[some] @ suits_of(fields[self.codes[i]], rows.n_kinds, open_, len(n_rows[some]))
        return MomentKinds(of_next, ends_at, after, usual / n_rows.sum())

    def _count_table(
        self, i: int, rows: TableRows, moments: Ints, sets: CodeSets, held: Bools
    ) -> tuple[tuple[Chances, ...], Floats, Repeats | None]:
        """The chances of the fields of a table, how often they are what they were, and which codes come again; `held` is which items of
        the sets each patient has.
        """
        own, same, again, tied = list[Chances](), list[float](), None, self.numbers
        tokens, who, code = rows.tokens, rows.patients, self.codes[i]
        for j, emitted in enumerate(self.codec.emitted(i, j) for j in range(tokens.shape[1])):
            parents = rows.parents(j, is_tied=(i, j) in tied)
            own.append(counted(tokens[:, j], emitted, parents, who))
            given = parents[own[-1].parent][0] if own[-1].parent != NONE else np.full(len(tokens), NONE)
            if (i, j) in tied:
                self.ties[i, j] = self._count_ties(i, j, rows, own[-1], given, tied[i, j])
            kept = ALIKE + j in parents and own[-1].parent != ALIKE + j
            same.append(own[-1].excess_of_same(tokens[:, j], parents, parents[ALIKE + j][0], who) if kept else 0.0)
            if j == code > 0 and len(tokens):
                rng, proposed = generator(0, STREAM, i), np.zeros(len(given), dtype=np.int64)
                for at in range(0, len(given), MOST_AT_ONCE):
                    some = slice(at, at + MOST_AT_ONCE)
                    few, place = np.unique(who[some], return_inverse=True)
                    open_ = sets.open(i, len(emitted), held[few])
                    proposed[some] = own[-1].draw(given[some], None if open_ is None else _or_any(open_ & emitted, emitted)[place], rng)
                in_tree = sets.in_tree(i, len(emitted))
                again = count_repeats(who, tokens[:, j], proposed, moments[rows.events], emitted, parents, in_tree)
        return tuple(own), np.array(same), again

    def _count_begins(self, runs: Ints) -> tuple[Floats, ...]:
        """Of each table how likely a row lies behind the moment of the row before, by how many rows that has, float64 (N_RUNS,)."""
        middles, out, patients = self.codec.masks().middles, [], np.repeat(np.arange(len(self.records)), self.records.lengths)
        for i, own in enumerate(middles):
            rows = np.flatnonzero((self.records.table == i) & (runs > 0))
            rows = rows[shared(run_class(runs[rows]), patients[rows])]
            is_later, run = own[self.records.tokens[rows, 0]] > 0, run_class(runs[rows])
            usual = float(is_later.mean()) if len(rows) else 0.5
            counts = np.bincount(run, weights=is_later, minlength=N_RUNS), np.bincount(run, minlength=N_RUNS)
            out.append((counts[0] + PULL * usual) / (counts[1] + PULL))
        return tuple(out)

    def _codes_of(self) -> dict[int, csr_matrix]:
        """Which patients have which codes of each table whose codes come again."""
        out, patients = {}, np.repeat(np.arange(len(self.records)), self.records.lengths)
        for i, (code, n_codes) in enumerate(zip(self.codes, self.n_codes, strict=True)):
            rows = np.flatnonzero(self.records.table == i)
            if code > 0 and len(rows):
                rows = rows[self.codec.emitted(i, code)[self.records.tokens[rows, code]]]
                place = patients[rows], self.records.tokens[rows, code].astype(np.int64)
                out[i] = csr_matrix((np.ones(len(rows)), place), shape=(len(self.records), n_codes))
        return out

    def _count_sharing(self) -> tuple[Sharing, ...]:
        """How the rows of each table are shared among the rows that they come with."""
        masks, out, n = self.codec.masks(), [], len(self.codec.layout.tables)
        events = [np.flatnonzero(self.records.table == i) for i in range(n)]
        patients = np.repeat(np.arange(len(self.records)), self.records.lengths)
        for i, (rows, parent) in enumerate(zip(events, self.holders, strict=True)):
            if parent < 0:
                out.append(Sharing())
                continue
            those = events[parent]
            place = np.searchsorted(those, rows) - 1 - masks.backs(i, masks.holder(i), self.records.tokens[rows])
            known = (place >= 0) & (place < len(those))
            place, rows = place[known], rows[known]
            held = np.bincount(place[patients[those[place]] == patients[rows]], minlength=len(those))
            out.append(count_sharing(held, patients[those], masks.lengths(parent, self.records.tokens[those])))
        return tuple(out)

    def _count_ties(self, i: int, j: int, table: TableRows, chances: Chances, given: Ints, first: int) -> Ties:
        """How the number of a field follows the last one of its code; `first` is the first token that is one."""
        tokens, kind, who, contexts = table.tokens[:, j], table.kinds, table.patients, self.contexts[i]
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

    def _count_static(self, planned: dict[int, tuple[Ints, int]]) -> tuple[Chances, ...]:
        tokens, everybody = self.records.static.astype(np.int64), np.arange(len(self.records))
        own = []
        for j in range(tokens.shape[1]):
            sizes = self.codec.layout.static.sizes
            parents = {k: (tokens[:, k], sizes[k]) for k in range(j)} | planned
            own.append(counted(tokens[:, j], self.codec.emitted(-1, j), parents, everybody))
        return tuple(own)

    def _count_contexts(self) -> tuple[Ints, ...]:
        """Of each table the context of each token of its code, [0] where it has none."""
        out, patients = [], np.repeat(np.arange(len(self.records)), self.records.lengths)
        for i, (codec, code) in enumerate(zip(self.codec.events_, self.codes, strict=True)):
            rows = np.flatnonzero(self.records.table == i)
            own = contexts_of(codec.places(code), self.records.tokens[rows, code].astype(np.int64), patients[rows]) if code >= 0 else None
            out.append(np.zeros(1, dtype=np.int64) if own is None else own)
        return tuple(out)

    def _states(self) -> Ints:
        out, offsets = np.zeros(self.records.n_events, dtype=np.int64), offsets_of(self.contexts)
        for i, code in enumerate(self.codes):
            rows = np.flatnonzero(self.records.table == i)
            out[rows] = offsets[i] + self.contexts[i][self.records.tokens[rows, code] if code >= 0 else np.zeros(len(rows), np.int64)]
        return out

    def _count_next(self, state: Ints) -> tuple[Floats, Floats]:
        """Which table comes next behind each state, and each table's share of all events."""
        n_tables, offsets = len(self.codec.layout.tables), offsets_of(self.contexts)
        starting = int(offsets[-1])
        before = np.full(self.records.n_events, starting, dtype=np.int64)
        inner = np.ones(self.records.n_events, dtype=bool)
        inner[self.records.starts[:-1][self.records.lengths > 0]] = False
        before[inner] = state[np.flatnonzero(inner) - 1]
        counts = np.zeros((starting + 1, n_tables))
        told = shared(before * n_tables + self.records.table, np.repeat(np.arange(len(self.records)), self.records.lengths))
        np.add.at(counts, (before[told], self.records.table[told].astype(np.int64)), 1.0)
        table_of = np.repeat(np.arange(n_tables + 1), np.append(np.diff(offsets), 1))
        by_table = np.zeros((n_tables + 1, n_tables))
        np.add.at(by_table, table_of, counts)
        usual = (by_table.sum(axis=0) + 1) / (by_table.sum() + n_tables)
        shares = (by_table + usual) / (by_table.sum(axis=1, keepdims=True) + 1)  # no table is out of reach
        following = (counts + PULL * shares[table_of]) / (counts.sum(axis=1, keepdims=True) + PULL)
        return following, usual


def _planned(outline: Outline, groups: Ints) -> dict[int, tuple[Ints, int]]:
    """The outline's groups of some rows, int64 (n_rows, n_groups), as parents."""
    return {PLAN + g: (groups[:, g], len(one)) for g, one in enumerate(outline.groups)}


def _or_any(open_: Bools, emitted: Bools) -> Bools:
    """What is open, bool (n, n_tokens), and where that is nothing what may be drawn at all, bool (n_tokens,)."""
    out: Bools = np.where(np.any(open_, axis=1, keepdims=True), open_, emitted)
    return out
