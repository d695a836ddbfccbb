"""A chain over linked patients' events: what comes next follows from what came last, and nothing before it. A baseline without gradients.

In the sense of the conditional sequence models that are the plain baseline elsewhere (PAR, Zhang et al. 2022, arXiv 2207.14406), made
of counts: static fields in a tree, the next table by the last event's code, gaps by the pair of tables, each column by the one token that
says most about it (an earlier column of the row, or the same column of the patient's last row with this code). Records end by how long
they are and by their last event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.lengths import N_LENGTHS, drawn_lengths, most_rows
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ModelFolderError
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, patients_of, refuse_conditions, require_fitted
from manikin.synthesizers.records.chances import NONE, Chances, counted

Ints = npt.NDArray[np.int64]
NAME = "markov"
FEWEST_PATIENTS = 2
PULL = 10.0  # rows that the shares behind a table count for, when those behind a code are blended with them
BUCKETS = 64  # of lengths, in steps of 2 ** (1 / 4)
LONGEST = 4.0  # times the longest record: a record ends there
STATE_LEVELS = 5_000  # most tokens of a code that the chain runs over
ALIKE, LAST = 1_000, 2_000  # numbers of parents from here on are columns of the patient's last row with the same code, of her last row


@dataclass(kw_only=True)
class Markov:
    """First-order chain over events, from counts.

    >>> Markov()
    Markov()
    """

    codec_: RecordsCodec = field(init=False, repr=False)
    static_: tuple[Chances, ...] = field(init=False, repr=False)
    fields_: tuple[tuple[Chances, ...], ...] = field(init=False, repr=False)
    next_: npt.NDArray[np.float64] = field(init=False, repr=False)
    ends_: npt.NDArray[np.float64] = field(init=False, repr=False)
    longest_: int = field(init=False, repr=False)
    n_planned_: int = field(init=False, repr=False, default=0)  # tables whose rows are numbered before they are drawn; all under a ledger

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
        self.static_ = self._count_static(records)
        state, patients = self._states(records), _patients(records)
        self._count_next(records, state)
        made = []
        for i, table in enumerate(self.codec_.layout.tables):
            events = np.flatnonzero(records.table == i)
            tokens, before = records.tokens[events].astype(np.int64), _before(records, events)
            alike = _last_of(patients[events], state[events])
            last, code = _last_of(patients[events], np.zeros(len(events), dtype=np.int64)), self._codes[i]
            own = []
            for j, one in enumerate(table.layout.fields):
                parents: dict[int, tuple[Ints, int]] = {
                    k: (tokens[:, k], table.layout.fields[k].n_tokens) for k in range(j) if k != 0 or j == 1
                }
                parents[LAST + j] = (np.where(last < 0, NONE, tokens[last, j]), one.n_tokens)
                if NONE < code < j:
                    parents[ALIKE + j] = (np.where(alike < 0, NONE, tokens[alike, j]), one.n_tokens)
                if j == 0:
                    parents = {LAST: (before, len(self.codec_.layout.tables) + 1)}
                own.append(counted(tokens[:, j], self.codec_.emitted(i, j), parents, patients[events]))
            made.append(tuple(own))
        self.fields_, self.n_planned_ = tuple(made), 0
        return self

    def buy(self, data: Any, ledger: Any, *, share: float = 1.0) -> Self:
        """Buys the chain of patients who may be sealed already, for all that is left of a budget or for a share of the whole."""
        from manikin.synthesizers.records.private_markov import buy_chain

        def codes_of(codec: RecordsCodec) -> list[int]:
            """The fields that the chain runs over, of a codec that was bought."""
            self.codec_ = codec
            return self._codes

        chain = buy_chain(data, ledger, codes_of, share=share)
        self.static_, self.fields_, self.n_planned_ = chain.static, chain.fields, len(chain.fields)
        table_of = np.repeat(np.arange(self.n_planned_ + 1), np.append(np.diff(self._offsets), 1))
        self.next_ = np.concatenate([chain.following[table_of], np.zeros((len(table_of), 1))], axis=1)
        self.ends_ = np.zeros(BUCKETS)
        self.longest_ = max(1, sum(most_rows(own.shares) for own in chain.static[len(chain.static) - self.n_planned_ :]))
        return self

    @property
    def schema_(self) -> Any:
        """The schema that was learned."""
        return self.codec_.schema_

    def _count_static(self, records: Records) -> tuple[Chances, ...]:
        tokens, everybody = records.static.astype(np.int64), np.arange(len(records))
        own = []
        for j in range(tokens.shape[1]):
            sizes = self.codec_.layout.static.sizes
            parents = {k: (tokens[:, k], sizes[k]) for k in range(j)}
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

    @property
    def _offsets(self) -> Ints:
        """The first state of each table; the last one is that of a patient before her first event."""
        sizes = [1 if code < 0 else t.layout.sizes[code] for t, code in zip(self.codec_.layout.tables, self._codes, strict=True)]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def _states(self, records: Records) -> Ints:
        out = np.zeros(records.n_events, dtype=np.int64)
        for i, code in enumerate(self._codes):
            rows = np.flatnonzero(records.table == i)
            out[rows] = self._offsets[i] + (records.tokens[rows, code] if code >= 0 else 0)
        return out

    def _count_next(self, records: Records, state: Ints) -> None:
        """Which table comes next behind each state, and how often records end at each length."""
        n_tables, offsets = len(self.codec_.layout.tables), self._offsets
        starting = int(offsets[-1])
        before = np.full(records.n_events, starting, dtype=np.int64)
        inner = np.ones(records.n_events, dtype=bool)
        inner[records.starts[:-1][records.lengths > 0]] = False
        before[inner] = state[np.flatnonzero(inner) - 1]
        counts = np.zeros((starting + 1, n_tables + 1))
        np.add.at(counts, (before, records.table.astype(np.int64)), 1.0)
        final = np.where(records.lengths > 0, np.append(state, starting)[records.starts[1:] - 1], starting)
        np.add.at(counts, (final, np.full(len(final), n_tables)), 1.0)
        table_of = np.repeat(np.arange(n_tables + 1), np.append(np.diff(offsets), 1))
        by_table = np.zeros((n_tables + 1, n_tables + 1))
        np.add.at(by_table, table_of, counts)
        shares = by_table / np.maximum(by_table.sum(axis=1, keepdims=True), 1)
        self.next_ = (counts + PULL * shares[table_of]) / (counts.sum(axis=1, keepdims=True) + PULL)
        at_risk = np.bincount(_bucket(np.arange(int(records.lengths.max(initial=0)) + 1)), minlength=BUCKETS) * 0.0
        longest = int(records.lengths.max(initial=0))
        alive = len(records) - np.concatenate([[0], np.cumsum(np.bincount(records.lengths, minlength=longest + 1))])[:-1]
        np.add.at(at_risk, _bucket(np.arange(longest + 1)), alive)
        ended = np.bincount(_bucket(records.lengths), minlength=BUCKETS)
        whole = len(records) / max(records.n_events + len(records), 1)
        self.ends_ = (ended + whole) / (at_risk + 1.0) / whole  # how many times more often than at any length
        self.longest_ = int(LONGEST * max(longest, 1))

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

        return in_batches(draw, n, batch_size=batch_size, block=patients_of(max(self.longest_, int(self._offsets[-1]))))

    def draw(self, n: int, rng: np.random.Generator) -> Records:
        """`n` new patients, as tokens."""
        masks, layout, codes, offsets = self.codec_.masks(), self.codec_.layout, self._codes, self._offsets
        static, planned = self._draw_static(n, rng)
        progress = masks.begin(static)
        n_tables, width = len(layout.tables), layout.width
        state, before = np.full(n, offsets[-1]), np.full(n, n_tables)
        sizes = np.diff(offsets).tolist()  # states of each table; a patient's last row in each of them is remembered
        alike = [np.full((n * size, len(t.layout.fields)), NONE, dtype=np.int32) for size, t in zip(sizes, layout.tables, strict=True)]
        last = [np.full((n, len(t.layout.fields)), NONE, dtype=np.int32) for t in layout.tables]
        going = np.arange(n)
        owner, tables, tokens = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int16)], [np.zeros((0, width), dtype=np.int32)]
        for step in range(self.longest_):
            allowed = masks.tables(progress, going)
            if planned is not None:
                allowed[:, :n_tables] &= planned[going] > 0
            chosen = self._next(state[going], step, allowed, rng)
            going, chosen = going[chosen < n_tables], chosen[chosen < n_tables]
            if not len(going):
                break
            made = np.zeros((len(going), width), dtype=np.int32)
            for i in np.unique(chosen).tolist():
                places = np.flatnonzero(chosen == i)
                rows, code, size = going[places], codes[i], sizes[i]
                own = np.zeros((len(rows), width), dtype=np.int32)
                for j, chances in enumerate(self.fields_[i]):
                    given = np.full(len(rows), NONE, dtype=np.int64)
                    if j == 0:
                        given = before[rows]
                    elif chances.parent >= LAST:
                        given = last[i][rows, j].astype(np.int64)
                    elif chances.parent >= ALIKE:
                        given = alike[i][rows * size + own[:, code], j].astype(np.int64)
                    elif chances.parent >= 0:
                        given = own[:, chances.parent].astype(np.int64)
                    own[:, j] = chances.draw(given, masks.field(progress, rows, i, j, own), rng)
                masks.advance(progress, rows, i, own)
                n_fields = last[i].shape[1]
                last[i][rows] = own[:, :n_fields]
                alike[i][rows * size + (own[:, code] if code >= 0 else 0)] = own[:, :n_fields]
                state[rows], before[rows] = offsets[i] + (own[:, code] if code >= 0 else 0), i
                made[places] = own
            owner.append(going)
            tables.append(chosen.astype(np.int16))
            tokens.append(made)
            if planned is not None:
                planned[going, chosen] -= 1
        return self._records(static, np.concatenate(owner), np.concatenate(tables), np.concatenate(tokens))

    def _draw_static(self, n: int, rng: np.random.Generator) -> tuple[Tokens, Ints | None]:
        """The patients' own fields, and how many rows of each table are to come, int64 (n, n_tables), where they are planned."""
        masks, n_static = self.codec_.masks(), len(self.static_) - self.n_planned_
        out, given = np.zeros((n, len(self.static_)), dtype=np.int32), np.zeros(n_static, dtype=bool)
        for j, chances in enumerate(self.static_):
            behind = out[:, chances.parent].astype(np.int64) if chances.parent >= 0 else np.full(n, NONE, dtype=np.int64)
            allowed = masks.static_field(j, out[:, :n_static], given) if j < n_static else None
            out[:, j] = chances.draw(behind, allowed, rng)
            given[j : j + 1] = True
        if not self.n_planned_:
            return out, None
        return out[:, :n_static], drawn_lengths(out[:, n_static:].astype(np.int64), rng)

    def _next(self, state: Ints, step: int, allowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Ints:
        """The table of each patient's next event; the number of tables where her record ends."""
        weight = self.next_[state] * allowed
        end = self.next_[state, -1] * self.ends_[_bucket(np.array([step]))[0]]
        weight[:, -1] = 0.0
        rest = weight.sum(axis=1)
        is_over = (rng.random(len(state)) < np.clip(end, 0.0, 1.0)) | (rest <= 0)
        edges = np.cumsum(weight, axis=1)
        found = (edges <= (rng.random(len(state)) * rest)[:, None]).sum(axis=1)
        return np.where(is_over, weight.shape[1] - 1, np.minimum(found, weight.shape[1] - 2)).astype(np.int64)

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
        out |= {"next": self.next_, "ends": self.ends_}
        for j, chances in enumerate(self.static_):
            out |= {f"static{j}/{name}": array for name, array in chances.state().items()}
        for i, fields in enumerate(self.fields_):
            for j, chances in enumerate(fields):
                out |= {f"event{i}.{j}/{name}": array for name, array in chances.state().items()}
        return {"codec": values, "longest": self.longest_, "n_planned": self.n_planned_}, out

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        self.codec_ = RecordsCodec.from_state(values["codec"], _below(arrays, "codec/"))
        layout = self.codec_.layout
        self.n_planned_ = int(values.get("n_planned", 0))
        if self.n_planned_ not in (0, len(layout.tables)):
            raise ModelFolderError("The chain of a model plans other tables than it has. Save the model again.")
        sizes = [*layout.static.sizes, *[N_LENGTHS] * self.n_planned_]
        self.static_ = tuple(Chances.from_state(_below(arrays, f"static{j}/"), n) for j, n in enumerate(sizes))
        self.fields_ = tuple(
            tuple(Chances.from_state(_below(arrays, f"event{i}.{j}/"), n) for j, n in enumerate(table.layout.sizes))
            for i, table in enumerate(layout.tables)
        )
        self.next_, self.ends_, self.longest_ = arrays["next"], arrays["ends"], int(values["longest"])
        shape = (int(self._offsets[-1]) + 1, len(layout.tables) + 1)
        sound = all(np.isfinite(own).all() and (own >= 0).all() for own in (self.next_, self.ends_))
        if self.next_.shape != shape or self.ends_.shape != (BUCKETS,) or not sound or self.longest_ < 1:
            raise ModelFolderError("The chain of a model does not fit its tables. Save the model again.")
        return self


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _patients(records: Records) -> Ints:
    return np.repeat(np.arange(len(records)), records.lengths)


def _before(records: Records, events: Ints) -> Ints:
    """The table of the event before each of these, the number of tables where there is none, int64 (n,)."""
    first = np.isin(events, records.starts[:-1])
    none = int(records.table.max(initial=-1)) + 1
    return np.where(first, none, records.table[events - 1]).astype(np.int64)


def _last_of(patients: Ints, state: Ints) -> Ints:
    """For each row the place of the patient's last row in the same state, -1 where there is none, int64 (n,)."""
    order = np.lexsort([np.arange(len(state)), state, patients])
    same = (patients[order][1:] == patients[order][:-1]) & (state[order][1:] == state[order][:-1])
    out = np.full(len(state), NONE, dtype=np.int64)
    out[order[1:]] = np.where(same, order[:-1], NONE)
    return out


def _bucket(lengths: Ints) -> Ints:
    """Lengths in steps of 2 ** (1 / 4)."""
    return np.minimum(np.floor(4 * np.log2(lengths + 1.0)), BUCKETS - 1).astype(np.int64)
