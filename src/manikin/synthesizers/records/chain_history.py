"""What lies behind patients of a chain while they are drawn, and how what comes next may follow from it. Knows no chances and no codec.

A parent is a number: below `ALIKE` an earlier field of the row; `ALIKE` + j and `LAST` + j field j of the patient's last row of the table
with the same code, and of her last row of it; `PLAN` + g the group of the g-th number of her outline. `HERE` + j is field j of her last row
of the table (of a code its context) where that is of this very moment, one token more where the row begins it, and another where there is
no row before; `BESIDE` + j is both whether it is and that field; `WITH` + k, of a code, is `HERE` and the earlier field k of the row.
`KIND` is the kind of the table's moment, `KIND` + 1 that and how many rows the moment before has. The gap has its own: `LAST` the table of
the row before, `RUN` that and how many rows her moment has by then, `RUN` + 1 + g both and a group of the outline, `STATE` the table of the
row before and the context of its code, `STATE` + 1 that and how many rows the moment has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.levels import count_holders
from manikin.synthesizers.records.chances import NONE
from manikin.synthesizers.records.code_sets import CodeSets
from manikin.synthesizers.records.repeats import Seen

Ints = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]
ALIKE, LAST, PLAN, RUN, STATE, HERE, BESIDE, WITH, KIND = 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000
MOST_WITH = 12  # tokens of a field that a code follows together with the code before
N_RUNS, N_SIZES = 6, 16
EXACT = 8  # rows of a moment up to which each number of them stands by itself
ENOUGH = 6  # patients who have a code, from which what follows it is counted for it alone


class ChainHistory:
    """`n` patients before their first event.

    Parameters
    ----------
    n_tokens : of the fields of each table. codes : the field of the code of each table, -1 for none.
    contexts : of each table the context of each token of its code, int64 (n_codes,), [0] for a table without a code.
    repeating : which tables know what their codes repeat.
    outline : the patients' groups, int64 (n, n_numbers), and how many each number has.
    tied : the first token that is a number of each field that follows the last number of its code, by table and field.
    """

    def __init__(
        self,
        n: int,
        n_tokens: Sequence[Sequence[int]],
        codes: Sequence[int],
        contexts: Sequence[Ints],
        repeating: Sequence[bool],
        outline: tuple[Ints, Sequence[int]],
        tied: Mapping[tuple[int, int], int],
    ) -> None:
        self.codes, self.n_tokens, self.contexts, self.sizes = codes, n_tokens, contexts, [len(own) for own in contexts]
        self.groups, self.n_groups = outline
        self.alike = [np.full((n * size, len(own)), NONE, dtype=np.int32) for size, own in zip(self.sizes, n_tokens, strict=True)]
        self.last = [np.full((n, len(own)), NONE, dtype=np.int32) for own in n_tokens]
        self.tied, self.number = tied, {at: np.full(n * self.sizes[at[0]], NONE, dtype=np.int32) for at in tied}
        self.when = [np.full(n, NONE, dtype=np.int64) for _ in n_tokens]  # the moment of the last row of each table
        self.kind = np.zeros((n, len(n_tokens)), dtype=np.int64)  # of the last moment of each table
        self.suits = [np.ones((n, 1)) for _ in n_tokens]  # how well kinds of moments of each table suit each patient
        self.seen = [Seen(n, size) if is_so else None for size, is_so in zip(self.sizes, repeating, strict=True)]
        self.offsets = np.concatenate([[0], np.cumsum([n_contexts(own) for own in contexts])]).astype(np.int64)
        self.state, self.before = np.full(n, self.offsets[-1]), np.full(n, len(contexts))
        self.moment, self.run = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.now = np.zeros(n, dtype=np.int64)  # the moment of the row that is drawn

    def have(self, sets: CodeSets, n_rows: Ints, emitted: Sequence[npt.NDArray[np.bool_]], rng: np.random.Generator) -> None:
        """Draws which codes patients will have, who are to have so many rows of each table, int64 (n, n_tables); `emitted` is which codes
        of each table may be drawn.
        """
        has, others = sets.draw(n_rows, rng), sets.draw_others(n_rows, rng)
        for table, seen in enumerate(self.seen):
            if seen is not None:
                open_, in_tree = sets.open(table, seen.n_codes, has), sets.in_tree(table, seen.n_codes)
                seen.plan(open_, in_tree, emitted[table], others[:, table], n_rows[:, table])

    def at(self, rows: Ints, table: int, is_later: npt.NDArray[np.bool_]) -> None:
        """Says of the next rows of a table whether they lie behind the moment of the row before, which their gaps tell."""
        self.now[rows] = self.moment[rows] + is_later
        seen = self.seen[table]
        if seen is not None:
            seen.at(rows, self.now[rows])

    def begins(self, rows: Ints, table: int) -> npt.NDArray[np.bool_]:
        """Whether the next rows of a table, of which `at` was said, are the first of the table at their moment, bool (n_rows,)."""
        return np.asarray(self.now[rows] != self.when[table][rows])

    def of(self, parent: int, rows: Ints, table: int, field: int, own: Tokens) -> Ints:
        """What a parent is for the next rows of these patients, int64 (n_rows,), NONE where there is nothing.

        Parameters
        ----------
        own : int32 (n_rows, at least n_fields), the rows drawn up to this field.
        """
        if parent == NONE:
            return np.full(len(rows), NONE, dtype=np.int64)
        if parent >= KIND:
            kind = self.kind[rows, table]
            return kind if parent == KIND else kind * N_SIZES + size_class(self.run[rows])
        if parent >= HERE:
            j = self.codes[table] if parent >= WITH else parent - (BESIDE if parent >= BESIDE else HERE)
            is_here, last, n = self.now[rows] == self.when[table][rows], self.last[table][rows, j], self.n_tokens[table][j]
            if j == self.codes[table]:
                last, n = np.where(last < 0, NONE, self.contexts[table][last]), n_contexts(self.contexts[table])
            if parent >= WITH:
                k = parent - WITH
                return beside(last, is_here, n, is_both=False) * self.n_tokens[table][k] + own[:, k]
            return beside(last, is_here, n, is_both=parent >= BESIDE)
        if parent >= STATE:
            return self.state[rows] if parent == STATE else self.state[rows] * N_RUNS + run_class(self.run[rows])
        if parent >= RUN:
            state = N_RUNS * self.before[rows] + run_class(self.run[rows])
            group = parent - RUN - 1
            return state if group < 0 else state * self.n_groups[group] + self.groups[rows, group]
        if parent >= PLAN:
            return self.groups[rows, parent - PLAN]
        if parent >= LAST:
            return self.before[rows] if field == 0 else self.last[table][rows, field].astype(np.int64)
        if parent >= ALIKE:
            return self.alike[table][rows * self.sizes[table] + own[:, self.codes[table]], field].astype(np.int64)
        return own[:, parent].astype(np.int64)

    def number_before(self, rows: Ints, table: int, field: int, own: Tokens) -> Ints:
        """The token of the last number of the code of the next rows, int64 (n_rows,), NONE where there is none."""
        code = self.codes[table]
        kind = own[:, code].astype(np.int64) if code >= 0 else np.zeros(len(rows), dtype=np.int64)
        return self.number[table, field][rows * self.sizes[table] + kind].astype(np.int64)

    def add(self, rows: Ints, table: int, own: Tokens, is_later: npt.NDArray[np.bool_]) -> None:
        """Takes note of drawn rows; `is_later` where they lie behind the moment of the row before."""
        code = self.codes[table]
        n, kind = self.last[table].shape[1], own[:, code].astype(np.int64) if code >= 0 else np.zeros(len(rows), dtype=np.int64)
        self.last[table][rows] = own[:, :n]
        self.alike[table][rows * self.sizes[table] + kind] = own[:, :n]
        for (i, field), first in self.tied.items():
            if i == table:
                known = own[:, field] >= first
                self.number[i, field][(rows * self.sizes[table] + kind)[known]] = own[known, field]
        self.state[rows], self.before[rows] = self.offsets[table] + self.contexts[table][kind], table
        self.moment[rows] += is_later
        self.when[table][rows] = self.moment[rows]
        self.run[rows] = np.where(is_later, 1, self.run[rows] + 1)
        seen = self.seen[table]
        if seen is not None:
            seen.at(rows, self.moment[rows])
            seen.add(rows, kind)


def numbers_before(codes: Ints, patients: Ints, tokens: Ints, first: int) -> Ints:
    """The token of each row's last number of its patient and code, int64 (n_rows,), NONE where there is none: as of rows in order."""
    order = np.lexsort((np.arange(len(codes)), codes, patients))
    is_number, n = tokens[order] >= first, np.arange(len(order))
    last = np.maximum.accumulate(np.where(is_number, n, -1))
    last = np.concatenate([[-1], last[:-1]])[: len(order)]
    sound = (last >= 0) & (codes[order][last] == codes[order]) & (patients[order][last] == patients[order])
    out = np.full(len(codes), NONE, dtype=np.int64)
    out[order[sound]] = tokens[order][last[sound]]
    return out


def beside(last: npt.NDArray[Any], is_here: npt.NDArray[np.bool_], n_tokens: int, *, is_both: bool) -> Ints:
    """What a field of the last row of the table says of the next, int64 (n_rows,), below n_tokens + 2, or 2 * n_tokens + 1 with `is_both`.

    Parameters
    ----------
    last : int (n_rows,), its tokens, -1 where there is no such row. is_here : bool (n_rows,), whether it is of the next row's moment.
    """
    if is_both:
        return np.where(last < 0, 2 * n_tokens, last + n_tokens * is_here).astype(np.int64)
    return np.where(last < 0, n_tokens + 1, np.where(is_here, last, n_tokens)).astype(np.int64)


def n_contexts(contexts: Ints) -> int:
    """How many contexts the tokens of a code have."""
    return int(contexts.max(initial=0)) + 1


def contexts_of(places: Ints, codes: Ints, patients: Ints) -> Ints:
    """What a code says of the next row: those that enough patients have by themselves, rarer ones as one with those beside them in order.

    Parameters
    ----------
    places : int64 (n_codes,), where each token of the code stands in order, -1 for those that stand nowhere.
    codes, patients : int64 (n_rows,), the token and the patient of each row.
    """
    holders = count_holders(codes, patients, len(places))
    out, at, held, before = np.zeros(len(places), dtype=np.int64), -1, ENOUGH, -1
    for token in np.lexsort((np.arange(len(places)), places)).tolist():
        is_border = (places[token] < 0) != (before < 0)
        if held >= ENOUGH or is_border or holders[token] >= ENOUGH:
            at, held = at + 1, 0
        out[token], held, before = at, held + holders[token], places[token]
    return out


def run_class(runs: Ints) -> Ints:
    """0 and 1, 2, up to 4, 8, 16, more."""
    return np.minimum(np.ceil(np.log2(np.maximum(runs, 1))), N_RUNS - 1).astype(np.int64)


def size_class(runs: Ints) -> Ints:
    """0 for one row, 1 for two and so on up to `EXACT`, then in steps of 2 ** (1 / 2)."""
    beyond = EXACT - 1 + np.ceil(2 * np.log2(np.maximum(runs, 1) / EXACT))
    return np.where(runs <= EXACT, np.maximum(runs, 1) - 1, np.minimum(beyond, N_SIZES - 1)).astype(np.int64)


def moments_of(starts: Ints, times: npt.NDArray[np.float64]) -> Ints:
    """Of each event which moment it is of, counted over all patients, int64 (n_events,)."""
    is_first = np.zeros(len(times), dtype=bool)
    is_first[starts[:-1][np.diff(starts) > 0]] = True
    is_first[1:] |= times[1:] != times[:-1]
    return np.cumsum(is_first).astype(np.int64)


def runs_before(starts: Ints, moments: Ints) -> Ints:
    """How many rows the moment of the row before each event has by then, 0 for a patient's first, int64 (n_events,)."""
    place = np.arange(len(moments)) - np.searchsorted(moments, moments) + 1
    out = np.concatenate([[0], place[:-1]])[: len(moments)].astype(np.int64)
    out[starts[:-1][np.diff(starts) > 0]] = 0
    return out
