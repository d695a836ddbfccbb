"""Whether a patient's next code is one that she had before: what a chain of codes cannot know. From counts; knows no table and no network.

A cache in the sense of Kuhn and De Mori (1990, doi:10.1109/34.56193): what a record has held comes again, far more often than in others.
A row's code is new to the patient, known from an earlier moment, or known from this very moment. The chain proposes a code; which kind it
is to be follows from the kind of the proposal, that of her last row of the table, whether that was at this moment, and her rows so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ModelFolderError
from manikin.synthesizers.records.chances import NONE, Chances, counted, shared

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NEW, EARLIER, NOW, FIRST = 0, 1, 2, 3  # kinds of a row; FIRST stands for the kind before a patient's first
N_BUCKETS = 24  # of rows so far, in steps of 2 ** (1 / 2)
PULL = 30.0  # rows that the counts of all buckets stand for beside those of one
MOST_SHARE = 0.98  # of patients, who have a code that is drawn as if a few had it not
TRIES = 8  # draws from the chain before a code of the wrong kind is drawn elsewhere
REMEMBERED = 32  # last rows of a table from which a code comes again when the chain finds none


@dataclass(frozen=True)
class Repeats:
    """How often rows of a table are of each kind, and who has which code.

    Attributes
    ----------
    kinds : float64 (3, 4, 2, N_BUCKETS, 3), the chance of each kind by the proposal's, the last row's, whether that is of this moment, and
        rows so far; rows of a cell that one patient alone has are not counted.
    fresh : the chances of a code that is new to the patient.
    """

    kinds: Floats
    fresh: Chances

    def draw(
        self, seen: Seen, rows: Ints, chances: Chances, given: tuple[Ints, Ints], allowed: Bools | None, rng: np.random.Generator
    ) -> Ints:
        """Codes int64 (n_rows,) of these patients' next rows; `seen` knows what they had, and is not changed.

        Parameters
        ----------
        rows : int64 (n_rows,), the patients. chances : of a code that is not new.
        given : what `chances` and what the chances of a new one go by, int64 (n_rows,) each.
        """
        out = chances.draw(given[0], allowed, rng)
        proposed = seen.kind_of(rows, out)
        kind = seen.kinds(self.kinds, rows, proposed, rng)
        lost = np.flatnonzero((kind != proposed) | (kind == NEW))
        usual = out.copy()
        for _ in range(TRIES if len(lost) else 0):
            open_ = None if allowed is None else allowed[lost]
            codes = self._drawn(kind[lost] == NEW, chances, (given[0][lost], given[1][lost]), open_, rng)
            fits = seen.kind_of(rows[lost], codes) == kind[lost]
            out[lost[fits]] = codes[fits]
            lost = lost[~fits]
            if not len(lost):
                return out
        out[lost] = usual[lost]  # nothing of that kind is at hand
        known = lost[kind[lost] == EARLIER]
        again = seen.some(rows[known], rng)
        found = again >= 0
        if allowed is not None:
            found &= allowed[known, np.maximum(again, 0)]
        out[known[found]] = again[found]
        return out

    def _drawn(
        self, is_new: Bools, chances: Chances, given: tuple[Ints, Ints], allowed: Bools | None, rng: np.random.Generator
    ) -> Ints:
        out = np.zeros(len(is_new), dtype=np.int64)
        for source, behind, which in ((chances, given[0], np.flatnonzero(~is_new)), (self.fresh, given[1], np.flatnonzero(is_new))):
            if len(which):
                out[which] = source.draw(behind[which], None if allowed is None else allowed[which], rng)
        return out

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays."""
        return {"kinds": self.kinds} | {f"fresh/{name}": array for name, array in self.fresh.state().items()}

    @classmethod
    def from_state(cls, arrays: dict[str, npt.NDArray[Any]], n_codes: int) -> Repeats:
        """The counts as saved.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        fresh = Chances.from_state({name.removeprefix("fresh/"): array for name, array in arrays.items() if "/" in name}, n_codes)
        own = cls(arrays["kinds"], fresh)
        if own.kinds.shape != (3, 4, 2, N_BUCKETS, 3) or not np.isfinite(own.kinds).all() or (own.kinds < 0).any():
            raise ModelFolderError("The repeats of a model do not fit its columns. Save the model again.")
        return own


class Seen:
    """What patients on their way have had of one table."""

    def __init__(self, n: int, n_codes: int) -> None:
        self.n_codes = n_codes
        self.when = np.zeros((n, n_codes), dtype=np.int32)  # the moment of the last row with each code, from 1 on
        self.ring = np.full((n, REMEMBERED), NONE, dtype=np.int32)
        self.n_rows, self.kind = np.zeros(n, dtype=np.int64), np.full(n, FIRST, dtype=np.int64)
        self.last, self.now = np.zeros(n, dtype=np.int32), np.ones(n, dtype=np.int32)

    def at(self, rows: Ints, moment: Ints) -> None:
        """The moments, counted from 0, of the rows that are drawn next."""
        self.now[rows] = moment + 1

    def kind_of(self, rows: Ints, codes: Ints) -> Ints:
        """Of which kind a row with each code would be, int64 (n_rows,)."""
        when = self.when[rows, codes]
        return np.where(when == 0, NEW, np.where(when == self.now[rows], NOW, EARLIER))

    def kinds(self, chances: Floats, rows: Ints, proposed: Ints, rng: np.random.Generator) -> Ints:
        """The kind of each next row, drawn beside that of the code that is proposed."""
        p = chances[proposed, self.kind[rows], (self.last[rows] == self.now[rows]).astype(np.int64), bucket(self.n_rows[rows])]
        edges = np.cumsum(p, axis=1)
        return np.minimum((edges <= (rng.random(len(rows)) * edges[:, -1])[:, None]).sum(axis=1), NOW).astype(np.int64)

    def some(self, rows: Ints, rng: np.random.Generator) -> Ints:
        """The code of one of each patient's last rows, NONE where there is none."""
        n = np.minimum(self.n_rows[rows], REMEMBERED)
        return self.ring[rows, np.floor(rng.random(len(rows)) * n).astype(np.int64)].astype(np.int64)

    def add(self, rows: Ints, codes: Ints) -> None:
        """Takes note of drawn rows."""
        self.kind[rows] = self.kind_of(rows, codes)
        self.when[rows, codes] = self.now[rows]
        self.ring[rows, self.n_rows[rows] % REMEMBERED] = codes
        self.last[rows] = self.now[rows]
        self.n_rows[rows] += 1


def count_repeats(
    patients: Ints, codes: Ints, proposed: Ints, moments: Ints, emitted: Bools, parents: Mapping[int, tuple[Ints, int]]
) -> Repeats:
    """From the rows of one table in the order of each patient's time.

    Parameters
    ----------
    patients, codes, moments : int64 (n_rows,); rows of one moment lie together. proposed : int64 (n_rows,), what the chain would draw.
    emitted : bool (n_codes,), which codes may be drawn. parents : what a new code may follow from, as `counted` takes it.
    """
    n_codes = len(emitted)
    kind, wish = _kinds(patients, codes, codes, moments, n_codes), _kinds(patients, codes, proposed, moments, n_codes)
    last = previous(patients)
    last_kind = np.where(last < 0, FIRST, kind[last])
    same = np.where(last < 0, 0, (moments[last] == moments).astype(np.int64))
    order = np.argsort(patients, kind="stable")
    first = np.searchsorted(patients[order], patients[order])
    so_far = np.empty(len(patients), dtype=np.int64)
    so_far[order] = np.arange(len(order)) - first
    counts = np.zeros((3, 4, 2, N_BUCKETS, 3))
    cell = wish, last_kind, same, bucket(so_far)
    told = shared(np.ravel_multi_index(cell, counts.shape[:-1]), patients)  # the longest record alone has rows in the last buckets
    np.add.at(counts, tuple(own[told] for own in (*cell, kind)), 1.0)
    every = counts.sum(axis=(1, 2, 3)) + np.eye(3)
    by_kind = counts.sum(axis=3) + (every / every.sum(axis=-1, keepdims=True))[:, None, None]
    by_kind /= by_kind.sum(axis=-1, keepdims=True)
    pulled = counts + PULL * by_kind[:, :, :, None, :]
    new = np.flatnonzero(kind == NEW)
    behind = {number: (given[new], n) for number, (given, n) in parents.items()}
    fresh = counted(codes[new], emitted, behind, patients[new])
    return Repeats(pulled / pulled.sum(axis=-1, keepdims=True), _without_replacement(fresh, codes[new], len(np.unique(patients))))


def _without_replacement(fresh: Chances, codes: Ints, n_patients: int) -> Chances:
    """Chances by which as many patients come to have each code as do, although what one has cannot be drawn anew.

    Drawn k times without replacement by weights w, a code is had by about 1 - exp(-k w) of the patients, so that weights go as
    -log(1 - share of patients who have it).
    """
    share = np.minimum(np.bincount(codes, minlength=len(fresh.shares)) / max(n_patients, 1), MOST_SHARE)
    factor = np.where(share > 0, -np.log1p(-share) / np.maximum(share, 1e-9), 1.0)
    counts = np.maximum(np.round(fresh.counts * factor[fresh.tokens]), 1).astype(np.int64)
    return replace(fresh, shares=fresh.shares * factor, counts=counts)


def bucket(rows: Ints) -> Ints:
    """Rows so far in steps of 2 ** (1 / 2)."""
    return np.minimum(np.floor(2 * np.log2(rows + 1.0)), N_BUCKETS - 1).astype(np.int64)


def previous(group: Ints) -> Ints:
    """For each row the place of the last one of its group before it, NONE where there is none."""
    order = np.argsort(group, kind="stable")
    out = np.full(len(group), NONE, dtype=np.int64)
    out[order[1:]] = np.where(group[order][1:] == group[order][:-1], order[:-1], NONE)
    return out


def _kinds(patients: Ints, codes: Ints, asked: Ints, moments: Ints, n_codes: int) -> Ints:
    """Of which kind each row would be if its code were the one asked about, int64 (n_rows,)."""
    n = len(codes)
    had, ask = patients * n_codes + codes, patients * n_codes + asked
    order = np.lexsort([np.repeat([1, 0], n), np.tile(np.arange(n), 2), np.concatenate([had, ask])])
    place = np.where(order < n, order, -1)
    key = np.concatenate([had, ask])[order]
    last = np.maximum.accumulate(np.where(place >= 0, np.arange(2 * n), -1))
    out = np.full(n, NEW, dtype=np.int64)
    questions = np.flatnonzero(order >= n)
    before = last[questions]
    known = (before >= 0) & (key[np.maximum(before, 0)] == key[questions])
    row, of = order[questions] - n, place[np.maximum(before, 0)]
    out[row] = np.where(known, np.where(moments[of] == moments[row], NOW, EARLIER), NEW)
    return out
