"""Measured numbers by what they measure: which there are, and where a patient's numbers of each stand. Knows no metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.records.counting import holders
from manikin.evaluation.records.history import History
from manikin.evaluation.records.linked import LinkedData

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST_SHARE = 0.05  # of train patients who have a number that is frequent


def patients_per_measure(data: LinkedData) -> Ints:
    """How many train patients have each measure, int64 (n_measures,); counted once."""
    key = ("patients per measure",)
    if key not in data.memory:
        of = data.real
        data.memory[key] = holders(of.patient[of.numbers.event], of.numbers.measure, len(data.vocabulary.measures))
    made: Ints = data.memory[key]
    return made


def frequent_measures(data: LinkedData, most: int, *, with_times: bool = True) -> Ints:
    """Measures that at least 5 % of train patients, and as many as the threshold, have; the most frequent ones, in order."""
    patients, tables = patients_per_measure(data), {table.name: table for table in data.tables}
    enough = []
    for i, measure in enumerate(data.vocabulary.measures):
        table = tables[measure.table]
        by = table[measure.column].by
        if table[measure.column].kind.is_time and not with_times:
            enough.append(False)
            continue
        least = table.threshold(table[by]) if measure.code and by else 1
        enough.append(patients[i] >= max(least, LEAST_SHARE * data.real.n_patients, 2))
    kept = np.flatnonzero(np.array(enough, dtype=bool))
    order = kept[np.argsort(-patients[kept], kind="stable")[:most]]
    return np.sort(order)


def numbers_of(of: History, measure: int) -> tuple[Floats, Ints]:
    """Values of one measure in the order of events, and the event of each."""
    low, high = np.searchsorted(of.numbers.measure, [measure, measure + 1])
    return of.numbers.value[low:high], of.numbers.event[low:high]


def names(data: LinkedData, measures: Ints) -> list[str]:
    """How measures are called: by their code alone where no two are called alike."""
    chosen = [data.vocabulary.measures[i] for i in measures]
    tables = {table.name: table for table in data.tables}
    plain = [
        f"{m.table}: days to {m.column}" if tables[m.table][m.column].kind.is_time else (data.vocabulary.code_text(m) or m.text)
        for m in chosen
    ]
    return [
        text if plain.count(text) == 1 or not m.code else f"{text}: {m.column}" for m, text in zip(chosen, plain, strict=True)
    ]


def presence(of: History, rows: Ints, n_rows: int, measures: Ints, n_measures: int) -> Any:
    """Whether each row (a patient, a visit) has a number of each measure: sparse 0/1 (n_rows, len(measures))."""
    from scipy.sparse import csr_matrix

    place = np.full(n_measures, -1, dtype=np.int64)
    place[measures] = np.arange(len(measures))
    column, row = place[of.numbers.measure], rows[of.numbers.event]
    kept = (column >= 0) & (row >= 0)
    made = csr_matrix((np.ones(int(kept.sum()), dtype=np.float32), (row[kept], column[kept])), shape=(n_rows, len(measures)))
    made.sum_duplicates()
    made.data[:] = 1.0
    return made
