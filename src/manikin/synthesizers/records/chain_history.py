"""What lies behind patients of a chain while they are drawn, and how what comes next may follow from it. Knows no chances and no codec.

A parent is a number: below `ALIKE` an earlier field of the row; `ALIKE` + j and `LAST` + j field j of the patient's last row of the table
with the same code, and of her last row of it; `PLAN` + g the group of the g-th number of her outline. The gap has its own:
`LAST` the table of the row before, `RUN` that and how many rows her moment has by then, `RUN` + 1 + g both and a group of the outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from manikin.synthesizers.records.chances import NONE
from manikin.synthesizers.records.repeats import Seen

Ints = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]
ALIKE, LAST, PLAN, RUN = 1_000, 2_000, 3_000, 4_000
N_RUNS = 6


class ChainHistory:
    """`n` patients before their first event.

    Parameters
    ----------
    sizes : states of each table, which are its tokens of the code, or one. fields : fields of each table.
    codes : the field of the code of each table, -1 for none. repeating : which tables know what their codes repeat.
    outline : the patients' groups, int64 (n, n_numbers), and how many each number has.
    """

    def __init__(
        self,
        n: int,
        sizes: Sequence[int],
        fields: Sequence[int],
        codes: Sequence[int],
        repeating: Sequence[bool],
        outline: tuple[Ints, Sequence[int]],
    ) -> None:
        self.sizes, self.codes = sizes, codes
        self.groups, self.n_groups = outline
        self.alike = [np.full((n * size, m), NONE, dtype=np.int32) for size, m in zip(sizes, fields, strict=True)]
        self.last = [np.full((n, m), NONE, dtype=np.int32) for m in fields]
        self.seen = [Seen(n, size) if is_so else None for size, is_so in zip(sizes, repeating, strict=True)]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.state, self.before = np.full(n, self.offsets[-1]), np.full(n, len(sizes))
        self.moment, self.run = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)

    def of(self, parent: int, rows: Ints, table: int, field: int, own: Tokens) -> Ints:
        """What a parent is for the next rows of these patients, int64 (n_rows,), NONE where there is nothing.

        Parameters
        ----------
        own : int32 (n_rows, at least n_fields), the rows drawn up to this field.
        """
        if parent == NONE:
            return np.full(len(rows), NONE, dtype=np.int64)
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

    def add(self, rows: Ints, table: int, own: Tokens, is_later: npt.NDArray[np.bool_]) -> None:
        """Takes note of drawn rows; `is_later` where they lie behind the moment of the row before."""
        code = self.codes[table]
        n, kind = self.last[table].shape[1], own[:, code].astype(np.int64) if code >= 0 else np.zeros(len(rows), dtype=np.int64)
        self.last[table][rows] = own[:, :n]
        self.alike[table][rows * self.sizes[table] + kind] = own[:, :n]
        self.state[rows], self.before[rows] = self.offsets[table] + kind, table
        self.moment[rows] += is_later
        self.run[rows] = np.where(is_later, 1, self.run[rows] + 1)
        seen = self.seen[table]
        if seen is not None:
            seen.at(rows, self.moment[rows])
            seen.add(rows, kind)


def run_class(runs: Ints) -> Ints:
    """0 and 1, 2, up to 4, 8, 16, more."""
    return np.minimum(np.ceil(np.log2(np.maximum(runs, 1))), N_RUNS - 1).astype(np.int64)


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
