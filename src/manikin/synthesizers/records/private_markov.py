"""The chain of `markov` bought under a privacy ledger: how many rows patients have, what follows what. Opens no seal, draws no noise.

Of each patient her own fields, her numbers of rows, and a few rows of each table (one by default, drawn at random) are counted. Every row
comes with what lay before it, so that a chain is learned although most of her rows are never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Field
from manikin.codecs.records.bought import SHARES, Counts, as_readable, buy_records, read_records, rows_by_patient
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.event_codec import EventCodec
from manikin.codecs.records.lengths import N_LENGTHS, length_class, length_shares, most_rows
from manikin.codecs.records.sequence import Rows, Timeline
from manikin.data.dataset import Dataset
from manikin.data.schema import Kind
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import EVENTS, EVERYBODY, PrivateRecords, Sealed
from manikin.synthesizers.records.chain import Chain, codes_of, offsets_of, own_contexts
from manikin.synthesizers.records.chain_history import ALIKE, LAST, N_RUNS
from manikin.synthesizers.records.chances import NONE, Chances
from manikin.synthesizers.records.private_chances import Follow, Known, bought_chances, given_rows, shares_of
from manikin.synthesizers.records.sharing import Sharing

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BY = "markov"
NEXT, PATIENTS = 0.04, 0.1  # shares for which table comes next and for the patients' own pairs; rows have what is left
ROUNDING = 1e-6
SMOOTHING = 0.5  # rows, times the noise, that the tables' shares count for in what comes next


def buy_chain(
    data: Dataset | PrivateRecords, ledger: Ledger, *, share: float = 1.0
) -> Chain:
    """Buys a chain for all that is left of a budget, or for a share of the whole.

    Parameters
    ----------
    data : as it was read, or sealed already.
    share : of the ledger's precision, in (0, 1].

    Raises
    ------
    BudgetError : the ledger does not allow it, or the structure cannot be learned under one. FitError : nothing stands clear of the noise.
    """
    private = mechanisms.seal_records(data if isinstance(data, PrivateRecords) else as_readable(data), ledger)
    codec = RecordsCodec(max_tokens=24)
    counted = buy_records(codec, private, ledger, SHARES.times(share))
    codes = codes_of(codec)
    rows = private.map(lambda own: _rows(codec, counted, own, codes))
    total = share * ledger.precision
    following = _following(rows[EVENTS], codec, counted, ledger, NEXT * total)
    static = _patients(rows[EVERYBODY], codec, counted, ledger, PATIENTS * total)
    left = max(0.0, ledger.precision_left - (1 - share) * ledger.precision) * (1 - ROUNDING)
    n_fields = [len(table.layout.fields) for table in codec.layout.tables]
    fields = []
    for i, table in enumerate(codec.layout.tables):
        fields.append(_events(rows[table.name], codec, i, codes[i], counted, ledger, left * n_fields[i] / sum(n_fields)))
    n, contexts = len(fields), own_contexts(codec)
    table_of = np.repeat(np.arange(n + 1), np.append(np.diff(offsets_of(contexts)), 1))
    return Chain(
        codec=codec,
        static=static,
        fields=tuple(fields),
        contexts=contexts,
        following=following[table_of],
        usual=np.ones(n),
        longest=max(1, sum(most_rows(own.shares) for own in static[len(static) - n :])),
        same=tuple(np.zeros(len(own)) for own in fields),
        begins=(np.zeros(N_RUNS),) * n,
        sharing=(Sharing(),) * n,
        repeats=(None,) * n,
        kinds=(None,) * n,
        ties={},
        outline=None,
        sets=None,
    )


def _rows(codec: RecordsCodec, counted: Counts, data: Dataset, codes: Sequence[int]) -> dict[str, tuple[Ints, Rows]]:
    """What is counted of each patient, by herself: her fields and numbers of rows; her rows with what lay before them; steps."""
    records, timeline = read_records(codec, data)
    n_rows = length_class(rows_by_patient(data, counted.tables))
    out = {EVERYBODY: (np.concatenate([records.static.astype(np.int64), n_rows], axis=1), np.arange(data.n_records))}
    patients = np.repeat(np.arange(len(records)), records.lengths)
    n_tables = len(codec.layout.tables)
    before = _before(records.table.astype(np.int64), records.starts, n_tables)
    for i, table in enumerate(codec.layout.tables):
        events = np.flatnonzero(records.table == i)
        tokens, n = records.tokens[events].astype(np.int64), len(table.layout.fields)
        parts = [tokens[:, :n], _shifted(tokens[:, :n], patients[events], np.zeros(len(events), dtype=np.int64))]
        kind = tokens[:, codes[i]] if codes[i] >= 0 else np.zeros(len(events), dtype=np.int64)
        parts += [_shifted(tokens[:, :n], patients[events], kind), before[events][:, None]]
        out[table.name] = np.concatenate(parts, axis=1), timeline.row[events]
    out[EVENTS] = _steps(records.table.astype(np.int64), before, timeline, data, n_tables)
    return out


def _before(table: Ints, starts: Rows, none: int) -> Ints:
    """The table of the event before each event, `none` where there is none."""
    out = np.concatenate([[none], table[:-1]])[: len(table)]
    out[starts[:-1][np.diff(starts) > 0]] = none
    return out


def _shifted(tokens: Ints, patients: Ints, kind: Ints) -> Ints:
    """The tokens of the patient's last row of the same kind before each row, -1 where there is none."""
    order = np.lexsort([np.arange(len(kind)), kind, patients])
    same = (patients[order][1:] == patients[order][:-1]) & (kind[order][1:] == kind[order][:-1])
    out = np.full(tokens.shape, NONE, dtype=np.int64)
    out[order[1:][same]] = tokens[order[:-1][same]]
    return out


def _steps(table: Ints, before: Ints, timeline: Timeline, data: Dataset, n_tables: int) -> tuple[Ints, Rows]:
    """Which table comes behind which, and each event's place among the rows of all tables."""
    first, at = {}, 0
    for own in data.schema.of_patients:
        first[own.name] = at
        at += len(data.tables[own.name])
    offsets = np.array([first[name] for name in timeline.names], dtype=np.int64)
    return before * n_tables + table, offsets[table] + timeline.row


def _following(steps: Sealed, codec: RecordsCodec, counted: Counts, ledger: Ledger, precision: float) -> Floats:
    """The chance of each next table behind each table, the last row before the first event."""
    names = [table.name for table in codec.layout.tables]
    n = len(names)
    answer = mechanisms.noisy_counts(
        steps, [(n + 1) * n], ledger, precision=precision, purpose="which table's row comes next", columns=names, by=BY
    )[0].reshape(n + 1, n)
    noise = mechanisms.noise_of(ledger, precision)
    held = np.array([counted.rows[name][0] for name in names])
    counts = np.maximum(answer, 0.0)
    weight = SMOOTHING * noise
    return (counts + weight * held / held.sum()) / (counts.sum(axis=1, keepdims=True) + weight)


def _patients(rows: Sealed, codec: RecordsCodec, counted: Counts, ledger: Ledger, precision: float) -> tuple[Chances, ...]:
    """The patients' fields in their order, then how many rows she has of each table."""
    assert codec.static_ is not None
    fields = list(codec.layout.static.fields)
    n = float(ledger.n_patients or 1)
    columns = [Known(own, shares_of(codec.static_.counts_[j], codec.emitted(-1, j), n)) for j, own in enumerate(fields)]
    columns += [
        Known(_length_field(name), length_shares(counts, counted.noise, n))
        for name, counts in zip(counted.tables, counted.counts, strict=True)
    ]
    follows = [Follow(j, k, k) for j in range(len(columns)) for k in range(j)]
    names = [own.field.name for own in columns]
    return tuple(bought_chances(rows, columns, len(columns), follows, ledger, n_rows=n, precision=precision, names=names, by=BY))


def _length_field(table: str) -> Field:
    positions = np.linspace(-1, 1, N_LENGTHS).astype(np.float32)
    return Field(f"{table}: rows", table, Kind.COUNT, N_LENGTHS, 0, is_ordered=True, positions=positions, values=positions)


def _events(
    rows: Sealed, codec: RecordsCodec, i: int, code: int, counted: Counts, ledger: Ledger, precision: float
) -> tuple[Chances, ...]:
    """The fields of a table's rows; each may follow an earlier field, the same field of the last row, or of the last one of its kind."""
    fields, event = codec.layout.tables[i].layout.fields, codec.events_[i]
    n, n_tables = len(fields), len(codec.layout.tables)
    n_rows = counted.rows[event.plan.name][0]
    numbers = counted.numbers[event.plan.name]
    own = [Known(one, shares_of(_counts(event, j, numbers), codec.emitted(i, j), n_rows)) for j, one in enumerate(fields)]
    held = np.append([counted.rows[table.name][0] for table in codec.layout.tables], float(ledger.n_patients or 1))
    positions = np.full(n_tables + 1, np.nan, dtype=np.float32)
    before = Field("(before)", "(before)", Kind.CATEGORICAL, n_tables + 1, 0, is_ordered=False, positions=positions, values=positions)
    columns = [*own, *own, *own, Known(before, held / held.sum())]
    follows = [Follow(0, 3 * n, LAST)]
    for j in range(1, n):
        codes_of = {event.field(name) for place in event.fields[j : j + 1].tolist() if place < 0 for name in [event.plan.by[-1 - place][1]]}
        follows += [Follow(j, k, k) for k in range(j) if (k != 0 or j == 1) and k not in codes_of]
        follows.append(Follow(j, n + j, LAST + j))
        if NONE < code < j:
            follows.append(Follow(j, 2 * n + j, ALIKE + j))
    names = [f"{event.plan.name}.{one.name}" for one in fields]
    made = bought_chances(rows, columns, n, follows, ledger, n_rows=n_rows, precision=precision, names=names, by=BY)
    for j, place in enumerate(event.fields.tolist()):
        if place < 0 and made[j].parent == NONE:  # what a code's numbers are is bought already
            made[j] = given_rows(numbers[-1 - place], event.field(event.plan.by[-1 - place][1]))
    return tuple(made)


def _counts(event: EventCodec, field: int, numbers: Sequence[Floats]) -> Floats:
    """The bought counts of a field's tokens; of a number by a code those of its ranks over all codes."""
    place = int(event.fields[field])
    return np.asarray(event.flat.counts_[place].astype(float) if place >= 0 else numbers[-1 - place].sum(axis=0))
