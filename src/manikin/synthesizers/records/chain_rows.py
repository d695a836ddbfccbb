"""Rows of linked patients as a chain is counted from them: what lies behind each, and what it may follow from. Knows records, no chances.

A parent is a number, as `chain_history` says, which gives the same ones while patients are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.codecs.records.base import Records
from manikin.synthesizers.records.chain_history import (
    ALIKE,
    BESIDE,
    HERE,
    KIND,
    LAST,
    MOST_WITH,
    N_RUNS,
    N_SIZES,
    PLAN,
    RUN,
    STATE,
    WITH,
    beside,
    n_contexts,
    run_class,
    size_class,
)
from manikin.synthesizers.records.chances import NONE
from manikin.synthesizers.records.repeats import previous

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Parents = dict[int, tuple[Ints, int]]
MOSTLY = 0.5  # of a record's time that lies before its second moment, beyond which the record begins there


@dataclass(frozen=True)
class TableRows:
    """The rows of one table, patient by patient in time.

    Attributes
    ----------
    events : int64 (n_rows,), their places among all. tokens : int64 (n_rows, n_fields). patients, kinds : int64 (n_rows,), whose they are
        and their codes, 0 in a table without any.
    sizes : tokens of each field. code : the field of the code, -1 for none. contexts : int64 (n_codes,).
    last, alike : int64 (n_rows,), the patient's row of the table before each, and the one with the same code, -1 for none.
    is_here : bool (n_rows,), whether the row before is of the same moment.
    before, state, runs : int64 (n_rows,), the table and the state of the event before, and how many rows its moment had; n_tables and
        n_states - 1 stand for none.
    planned : the groups of the patients' outlines, as parents. moment_kinds : int64 (n_rows,), the kinds of their moments, all 0 for none.
    """

    events: Ints
    tokens: Ints
    patients: Ints
    kinds: Ints
    sizes: Sequence[int]
    code: int
    contexts: Ints
    last: Ints
    alike: Ints
    is_here: Bools
    before: Ints
    state: Ints
    runs: Ints
    n_tables: int
    n_states: int
    planned: Mapping[int, tuple[Ints, int]]
    moment_kinds: Ints

    @property
    def n_kinds(self) -> int:
        """How many kinds of moments there are, 1 where they are not told apart."""
        return int(self.moment_kinds.max(initial=0)) + 1

    def parents(self, j: int, *, is_tied: bool) -> Parents:
        """What field j may follow from, as `chances.counted` takes it; where it is tied to itself, nothing of the rows before."""
        return self._of_gap() if j == 0 else self._of_row(j) if is_tied else self._of_row(j) | self._of_self(j)

    def parents_of_kind(self) -> Parents:
        """What the kind of each row's moment may follow from, seen from its first row: the kind before, the gap, the state, the outline."""
        before = np.where(self.last < 0, NONE, self.moment_kinds[self.last])
        own = {LAST: (before, self.n_kinds), 0: (self.tokens[:, 0], self.sizes[0]), STATE: (self.state, self.n_states)}
        return own | dict(self.planned)

    def parents_of_end(self) -> Parents:
        """What it may follow from whether a row lies behind the moment of the row before."""
        kind = np.where(self.last < 0, 0, self.moment_kinds[self.last])
        return {KIND + 1: (kind * N_SIZES + size_class(self.runs), self.n_kinds * N_SIZES)}

    def _of_gap(self) -> Parents:
        run, n_runs = N_RUNS * self.before + run_class(self.runs), N_RUNS * (self.n_tables + 1)
        out: Parents = {LAST: (self.before, self.n_tables + 1), RUN: (run, n_runs), STATE: (self.state, self.n_states)}
        out[STATE + 1] = self.state * N_RUNS + run_class(self.runs), self.n_states * N_RUNS
        return out | {RUN + 1 + k - PLAN: (run * n + group, n_runs * n) for k, (group, n) in self.planned.items()}

    def _of_row(self, j: int) -> Parents:
        """The fields of the row before this one, and the patient's outline."""
        return {k: (self.tokens[:, k], self.sizes[k]) for k in range(j) if k != 0 or j == 1} | dict(self.planned)

    def _of_self(self, j: int) -> Parents:
        """The same field of the rows before."""
        before, n = np.where(self.last < 0, NONE, self.tokens[self.last, j]), self.sizes[j]
        out: Parents = {LAST + j: (before, n)}
        if j == self.code:
            before, n = np.where(before < 0, NONE, self.contexts[before]), n_contexts(self.contexts)
        out[HERE + j] = here = beside(before, self.is_here, n, is_both=False), n + 2
        out[BESIDE + j] = beside(before, self.is_here, n, is_both=True), 2 * n + 1
        if j == self.code and self.n_kinds > 1:
            out[KIND] = self.moment_kinds, self.n_kinds
        for k in [k for k in range(1, j) if j == self.code and self.sizes[k] <= MOST_WITH]:
            out[WITH + k] = here[0] * self.sizes[k] + self.tokens[:, k], here[1] * self.sizes[k]
        if NONE < self.code < j:
            out[ALIKE + j] = np.where(self.alike < 0, NONE, self.tokens[self.alike, j]), self.sizes[j]
        return out


def table_rows(
    records: Records, table: int, sizes: Sequence[Sequence[int]], code: int, contexts: Ints, chain: tuple[Ints, Ints, Ints], n_states: int
) -> TableRows:
    """The rows of a table; its `planned` is empty yet, its `moment_kinds` are 0.

    Parameters
    ----------
    sizes : tokens of the fields of each table. code, contexts, n_states : as in `TableRows`.
    chain : int64 (n_events,) each, of all events: their states, the rows of the moment before each, and their moments.
    """
    (state, runs, moments), n_tables, events = chain, len(sizes), np.flatnonzero(records.table == table)
    tokens = records.tokens[events, : len(sizes[table])].astype(np.int64)
    patients = np.repeat(np.arange(len(records)), records.lengths)[events]
    kinds = tokens[:, code] if code >= 0 else np.zeros(len(events), dtype=np.int64)
    last, first = previous(patients), np.isin(events, records.starts[:-1])
    is_here = (last >= 0) & (moments[events][last] == moments[events])
    return TableRows(
        events,
        tokens,
        patients,
        kinds,
        sizes[table],
        code,
        contexts,
        last,
        previous(patients * len(contexts) + kinds),
        is_here,
        np.where(first, n_tables, records.table[events - 1]).astype(np.int64),
        np.where(first, n_states - 1, state[events - 1]),
        runs[events],
        n_tables,
        n_states,
        {},
        np.zeros(len(events), dtype=np.int64),
    )


def rows_of_tables(records: Records, n_tables: int) -> Ints:
    """Rows of each table, int64 (n_patients, n_tables)."""
    cell = np.repeat(np.arange(len(records)), records.lengths) * n_tables + records.table
    return np.bincount(cell, minlength=len(records) * n_tables).reshape(len(records), n_tables).astype(np.int64)


def spans_of(records: Records) -> tuple[npt.NDArray[np.float64], bool]:
    """Days from each patient's first moment to her last, float64 (n_patients,), and False; or those from her second one, and True, where in
    most patients more than half of the time lies before it."""
    out, has = np.zeros(len(records)), records.lengths > 0
    first = records.times[records.starts[:-1][has]]
    out[has] = records.times[records.starts[1:][has] - 1] - first
    later = np.flatnonzero(records.times > np.repeat(first, records.lengths[has]))
    patients = np.repeat(np.arange(len(records)), records.lengths)[later]
    several, place = np.unique(patients, return_index=True)
    before = np.zeros(len(records))
    before[several] = records.times[later[place]] - first[np.searchsorted(np.flatnonzero(has), several)]
    is_late = bool(len(several) and np.median(before[several] / out[several]) > MOSTLY)
    return (out - before if is_late else out), is_late
