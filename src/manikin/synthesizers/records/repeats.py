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
NEW, EARLIER, NOW, FIRST, DRAWN = 0, 1, 2, 3, 4  # kinds of a row; FIRST stands for the kind before a patient's first
N_BUCKETS = 24  # of rows so far, in steps of 2 ** (1 / 2)
PULL = 30.0  # rows that the counts of all buckets stand for beside those of one
MOST_SHARE = 0.98  # of patients, who have a code that is drawn as if a few had it not
TRIES = 4  # draws from the chain before a code of the wrong kind is drawn elsewhere
MOST_HASTE = 8.0  # times as often as usual that a code is new, where many are still to come
STEADY = 1.0  # new codes by which a patient may well be ahead of or behind what is to be expected
ANY_NUMBER = 1e12
LITTLE = 0.1  # of a code, that is still to come where none is
HARDLY = 0.01  # of the chain's chance, of codes of a kind that is then passed over where another one has more


@dataclass(frozen=True)
class Repeats:
    """How often rows of a table are of each kind, and who has which code.

    Attributes
    ----------
    kinds : float64 (3, 4, 2, N_BUCKETS, 3), the chance of each kind by the proposal's, the last row's, whether that is of this moment, and
        rows so far; rows of a cell that one patient alone has are not counted.
    new : float64 (4, 2, N_BUCKETS), the chance of a new code by all of that but the proposal.
    fresh : the chances of a code that is new to the patient.
    """

    kinds: Floats
    new: Floats
    fresh: Chances

    @property
    def is_once(self) -> bool:
        """Whether no code comes twice at one moment."""
        return bool(self.kinds[..., NOW].max() == 0)

    def draw(
        self, seen: Seen, rows: Ints, chances: Chances, given: tuple[Ints, Ints], allowed: Bools | None, rng: np.random.Generator
    ) -> Ints:
        """Codes int64 (n_rows,) of these patients' next rows; `seen` knows what they had, and is not changed.

        Parameters
        ----------
        rows : int64 (n_rows,), the patients. chances : of a code that is not new.
        given : what `chances` and what the chances of a new one go by, int64 (n_rows,) each.
        """
        anything, allowed = allowed, seen.may(rows, allowed)
        out = chances.draw(given[0], allowed, rng)
        proposed = seen.kind_of(rows, out)
        kind = seen.kinds(self.kinds, self.new, rows, proposed, rng)
        lost = np.flatnonzero((kind != proposed) | (kind == NEW))
        for _ in range(TRIES if len(lost) else 0):
            open_ = None if allowed is None else allowed[lost]
            codes = self._drawn(kind[lost] == NEW, chances, (given[0][lost], given[1][lost]), open_, rng)
            fits = seen.kind_of(rows[lost], codes) == kind[lost]
            fits &= (kind[lost] != NEW) | ~seen.is_other[codes] | (rng.random(len(lost)) < seen.left(rows[lost]))
            out[lost[fits]] = codes[fits]
            lost = lost[~fits]
        if not len(lost):
            return out
        wanted, new = kind.copy(), np.full(len(rows), NEW)
        other = np.where((kind == NOW) | self.is_once, EARLIER, NOW)
        by_kind = [(of_kind, allowed, least) for least in (HARDLY, 0.0) for of_kind in (wanted, other, new, np.full(len(rows), EARLIER))]
        for of_kind, open_, least in [*by_kind, (new, anything, 0.0)]:  # the next one where nothing of a kind is at hand
            for source, behind, chosen in ((chances, given[0], of_kind[lost] != NEW), (self.fresh, given[1], of_kind[lost] == NEW)):
                which = lost[chosen]
                weights = source.weights(behind[which])
                if source is self.fresh:
                    weights *= np.where(seen.is_other, seen.left(rows[which])[:, None], 1.0)
                found = seen.some(rows[which], of_kind[which], weights if open_ is None else weights * open_[which], rng, least)
                out[which[found >= 0]] = found[found >= 0]
                kind[which[found >= 0]] = DRAWN
            lost = lost[kind[lost] != DRAWN]
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
        return {"kinds": self.kinds, "new": self.new} | {f"fresh/{name}": array for name, array in self.fresh.state().items()}

    @classmethod
    def from_state(cls, arrays: dict[str, npt.NDArray[Any]], n_codes: int) -> Repeats:
        """The counts as saved.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        fresh = Chances.from_state({name.removeprefix("fresh/"): array for name, array in arrays.items() if "/" in name}, n_codes)
        own = cls(arrays["kinds"], arrays["new"], fresh)
        is_fit = own.kinds.shape == (3, 4, 2, N_BUCKETS, 3) and own.new.shape == (4, 2, N_BUCKETS)
        if not is_fit or any(not np.isfinite(part).all() or (part < 0).any() for part in (own.kinds, own.new)):
            raise ModelFolderError("The repeats of a model do not fit its columns. Save the model again.")
        return own


class Seen:
    """What patients on their way have had of one table."""

    def __init__(self, n: int, n_codes: int) -> None:
        self.n_codes = n_codes
        self.when = np.zeros((n, n_codes), dtype=np.int32)  # the moment of the last row with each code, from 1 on
        self.n_planned = np.zeros(n, dtype=np.int64)  # rows that there will be
        self.n_rows, self.kind = np.zeros(n, dtype=np.int64), np.full(n, FIRST, dtype=np.int64)
        self.expected, self.n_new = np.zeros(n), np.zeros(n, dtype=np.int64)
        self.last, self.now = np.zeros(n, dtype=np.int32), np.ones(n, dtype=np.int32)
        self.open: Bools | None = None  # (n, n_codes), which codes each may have at all; None for all
        self.emitted = np.ones(n_codes, dtype=bool)
        self.is_other = np.ones(n_codes, dtype=bool)  # those of which it is not known beforehand who has them
        self.others, self.n_others = np.full(n, n_codes), np.zeros(n, dtype=np.int64)  # how many of them there will be, and are
        self.n_now = np.zeros(n, dtype=np.int64)  # different codes of her last moment with rows
        self.total = np.full(n, ANY_NUMBER)  # how many different codes there will be

    def plan(self, open_: Bools | None, in_tree: Bools, emitted: Bools, others: Ints, n_rows: Ints) -> None:
        """Says which codes patients may have at all, bool (n, n_codes), None for all; of which that is drawn beforehand, and which may be
        drawn, bool (n_codes,) each; how many others they are to have, and how many rows, int64 (n,) each.
        """
        self.open, self.is_other, self.emitted, self.others = open_, ~in_tree, emitted, others
        self.n_planned = n_rows.copy()
        self.total = others + (np.zeros(len(others)) if open_ is None else open_[:, in_tree].sum(axis=1))

    def is_full(self, rows: Ints) -> Bools:
        """Whether patients have no code left that this moment has not, bool (n_rows,)."""
        return np.asarray((self.n_now[rows] >= self.total[rows]) & (self.last[rows] == self.now[rows]))

    def left(self, rows: Ints) -> Floats:
        """The part of the other codes that patients are still to have, in (0, 1], float64 (n_rows,)."""
        others = self.others[rows]
        return np.asarray(np.maximum(others - self.n_others[rows], LITTLE) / np.maximum(others, 1))

    def may(self, rows: Ints, allowed: Bools | None) -> Bools | None:
        """Which codes may come next, bool (n_rows, n_codes), None for all: those that may anyway and that the patients are to have, or,
        where there are none, those that may anyway.
        """
        if self.open is None:
            return allowed
        anyway = np.broadcast_to(self.emitted, (len(rows), self.n_codes)) if allowed is None else allowed
        own = self.open[rows] & anyway
        is_lost = ~np.any(own, axis=1)
        own[is_lost] = anyway[is_lost]
        return own

    def at(self, rows: Ints, moment: Ints) -> None:
        """The moments, counted from 0, of the rows that are drawn next."""
        self.now[rows] = moment + 1

    def kind_of(self, rows: Ints, codes: Ints) -> Ints:
        """Of which kind a row with each code would be, int64 (n_rows,)."""
        when = self.when[rows, codes]
        return np.where(when == 0, NEW, np.where(when == self.now[rows], NOW, EARLIER))

    def kinds(self, chances: Floats, new: Floats, rows: Ints, proposed: Ints, rng: np.random.Generator) -> Ints:
        """The kind of each next row, drawn beside that of the code that is proposed, as `Repeats.kinds` and `Repeats.new` say.

        Who has more new codes still to come than are to be expected after her rows so far has them sooner, and the other way round; a new
        one is at least as likely as it must be for all of them to find a row among those that are left.
        """
        cell = self.kind[rows], (self.last[rows] == self.now[rows]).astype(np.int64), bucket(self.n_rows[rows])
        to_come, usual = (np.maximum(self.total[rows] - part[rows], 0.0) for part in (self.n_new, self.expected))
        times = np.minimum((to_come + STEADY) / (usual + STEADY), MOST_HASTE)
        needed = np.where(self.total[rows] < ANY_NUMBER, to_come / np.maximum(self.n_planned[rows] - self.n_rows[rows], 1), 0.0)
        p = chances[proposed, *cell]
        p = _made_new(p, np.maximum(np.minimum(p[:, NEW] * times, MOST_SHARE), np.minimum(needed, 1.0)))
        self.expected[rows] += new[cell]
        edges = np.cumsum(p, axis=1)
        return np.minimum((edges <= (rng.random(len(rows)) * edges[:, -1])[:, None]).sum(axis=1), NOW).astype(np.int64)

    def some(self, rows: Ints, kinds: Ints, weights: Floats, rng: np.random.Generator, least: float = 0.0) -> Ints:
        """A code of a kind for each patient, drawn by weights, float64 (n_rows, n_codes); int64 (n_rows,), NONE where codes of that kind
        have no more than the part `least` of all weights.
        """
        when, now = self.when[rows], self.now[rows][:, None]
        kind = np.where(when == 0, NEW, np.where(when == now, NOW, EARLIER))
        edges = np.cumsum(weights * (kind == kinds[:, None]), axis=1)
        drawn = (edges <= (rng.random(len(rows)) * edges[:, -1])[:, None]).sum(axis=1)
        return np.where(edges[:, -1] > least * weights.sum(axis=1), np.minimum(drawn, self.n_codes - 1), NONE).astype(np.int64)

    def add(self, rows: Ints, codes: Ints) -> None:
        """Takes note of drawn rows."""
        self.kind[rows] = self.kind_of(rows, codes)
        self.n_new[rows] += self.kind[rows] == NEW
        self.n_now[rows] = np.where(self.last[rows] == self.now[rows], self.n_now[rows], 0) + (self.kind[rows] != NOW)
        self.n_others[rows] += (self.kind[rows] == NEW) & self.is_other[codes]
        self.when[rows, codes] = self.now[rows]
        self.last[rows] = self.now[rows]
        self.n_rows[rows] += 1


def count_repeats(
    patients: Ints,
    codes: Ints,
    proposed: Ints,
    moments: Ints,
    emitted: Bools,
    parents: Mapping[int, tuple[Ints, int]],
    in_tree: Bools,
) -> Repeats:
    """From the rows of one table in the order of each patient's time.

    Parameters
    ----------
    patients, codes, moments : int64 (n_rows,); rows of one moment lie together. proposed : int64 (n_rows,), what the chain would draw.
    emitted : bool (n_codes,), which codes may be drawn. parents : what a new code may follow from, as `counted` takes it.
    in_tree : bool (n_codes,), of which codes it is drawn beforehand whether a patient has them at all.
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
    kinds, new = _pulled(counts), _pulled(counts.sum(axis=0, keepdims=True))[0, ..., NEW]
    first = np.flatnonzero(kind == NEW)
    behind = {number: (given[first], n) for number, (given, n) in parents.items()}
    fresh = counted(codes[first], emitted, behind, patients[first])
    return Repeats(kinds, new, _without_replacement(fresh, codes[first], len(np.unique(patients)), in_tree))


def _pulled(counts: Floats) -> Floats:
    """Counts of kinds, float64 (n_proposals, 4, 2, N_BUCKETS, 3), as chances; where they are few those of all buckets stand beside them."""
    every = counts.sum(axis=(1, 2, 3)) + np.array([1.0, 1.0, 0.0])  # what never comes twice in a moment never does
    by_kind = counts.sum(axis=3) + (every / every.sum(axis=-1, keepdims=True))[:, None, None]
    by_kind /= by_kind.sum(axis=-1, keepdims=True)
    pulled = counts + PULL * by_kind[:, :, :, None, :]
    return np.asarray(pulled / pulled.sum(axis=-1, keepdims=True))


def _made_new(p: Floats, new: Floats) -> Floats:
    """Chances of kinds, float64 (n_rows, 3), with that of NEW another one, float64 (n_rows,), and the others as much less or more."""
    rest = (1 - new) / np.maximum(1 - p[:, NEW], 1e-9)
    out = p * rest[:, None]
    out[:, NEW] = new
    return out


def _without_replacement(fresh: Chances, codes: Ints, n_patients: int, in_tree: Bools) -> Chances:
    """Chances by which as many patients come to have each code as do, although what one has cannot be drawn anew.

    Drawn k times without replacement by weights w, a code is had by about 1 - exp(-k w) of the patients, so that weights go as
    -log(1 - share of patients who have it). Where it is known who has a code they go by those who do, 1 / share.
    """
    share = np.minimum(np.bincount(codes, minlength=len(fresh.shares)) / max(n_patients, 1), MOST_SHARE)
    factor = np.where(share > 0, np.where(in_tree, 1.0, -np.log1p(-share)) / np.maximum(share, 1e-9), 1.0)
    counts = np.maximum(np.round(fresh.counts * factor[fresh.tokens]), 1).astype(np.int64)
    spare = fresh.spare * factor if len(fresh.spare) else fresh.spare
    return replace(fresh, shares=fresh.shares * factor, counts=counts, spare=spare)


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
