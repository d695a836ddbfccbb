"""Chances of a token given one other token, from counts with back-off to the token's own shares. Knows no table and no patient.

Chances given a token x blend with the shares by Witten and Bell's rule: x was seen n times before d different tokens, so that
(n c + d s) / (n + d) is drawn from, where c are the shares behind x and s the token's own (doi:10.1109/18.87000). A pair that only one
patient has is not kept; its rows count for d, or what is frequent would become more so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.levels import count_holders
from manikin.data.errors import ModelFolderError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Arrays = dict[str, npt.NDArray[Any]]
FEWEST = 2  # patients that must have a pair
TRIES = 4  # draws from the blend before a masked row is drawn from what is left of the shares
NONE = -1


@dataclass(frozen=True)
class Chances:
    """How likely each token is.

    Attributes
    ----------
    shares : float64 (n_tokens,), counts of the tokens that may be drawn.
    parent : which other token it follows, by the caller's numbering; -1 for none.
    starts : int64 (n_parent_tokens + 1,). tokens, counts : int64 (n_pairs,), sorted by the parent's token: its pairs lie from starts[x] on.
    lost : int64 (n_parent_tokens + 1,), rows behind each of them whose pair was not kept, 0 where all are one patient's; empty for none.
    """

    shares: Floats
    parent: int
    starts: Ints
    tokens: Ints
    counts: Ints
    lost: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def draw(self, given: Ints, allowed: Bools | None, rng: np.random.Generator) -> Ints:
        """Tokens for rows whose parents hold `given`, int64 (n_rows,); -1 there means that nothing is known.

        Parameters
        ----------
        allowed : bool (n_rows, n_tokens), what a row may be, never all False; None for all.
        """
        out = self._blend(given, rng)
        if allowed is None:
            return out
        rows = np.arange(len(out))
        for _ in range(TRIES):
            lost = np.flatnonzero(~allowed[rows, out])
            if not len(lost):
                return out
            out[lost] = self._blend(given[lost], rng)
        lost = np.flatnonzero(~allowed[rows, out])
        if len(lost):
            weight = np.where(allowed[lost], self.shares + 1e-9, 0.0)
            edges = np.cumsum(weight, axis=1)
            out[lost] = (edges < (rng.random(len(lost)) * edges[:, -1])[:, None]).sum(axis=1)
        return out

    def _blend(self, given: Ints, rng: np.random.Generator) -> Ints:
        out = self._share(len(given), rng)
        if self.parent == NONE or not len(self.tokens):
            return out
        known = np.flatnonzero((given >= 0) & (given < len(self.starts) - 1))
        first, stop = self.starts[given[known]], self.starts[given[known] + 1]
        edges = self._edges
        n, different, lost = edges[stop] - edges[first], stop - first, self._lost(given[known])
        at = rng.random(len(known)) * (n + different + lost)
        own = np.flatnonzero(at < n)
        place = _pick(edges[1:], edges[first[own]], n[own], rng)
        out[known[own]] = self.tokens[place]
        rest = known[at >= n + different]
        for _ in range(TRIES):  # what was not kept is none of what was
            rest = rest[self._place(given[rest], out[rest]) >= 0]
            if not len(rest):
                break
            out[rest] = self._share(len(rest), rng)
        return out

    def _share(self, n: int, rng: np.random.Generator) -> Ints:
        """Tokens by their own shares, int64 (n,)."""
        return _pick(self._share_edges, np.zeros(n), np.full(n, self.shares.sum()), rng)

    def _place(self, given: Ints, tokens: Ints) -> Ints:
        """Where the pairs of tokens behind known parents stand, -1 for pairs that were not kept."""
        wanted = given * len(self.shares) + tokens
        place = np.searchsorted(self._pairs, wanted)
        return np.where(self._pairs[np.minimum(place, len(self._pairs) - 1)] == wanted, place, NONE)

    @cached_property
    def _share_edges(self) -> Floats:
        return np.cumsum(self.shares)

    @cached_property
    def _edges(self) -> Floats:
        return np.concatenate([[0.0], np.cumsum(self.counts, dtype=np.float64)])

    @cached_property
    def _pairs(self) -> Ints:
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts)) * len(self.shares) + self.tokens

    def nats(self, tokens: Ints, given: Ints) -> Floats:
        """The logarithm of each row's chance, float64 (n_rows,); a token that was never seen counts as half a row."""
        total = max(self.shares.sum(), 1.0)
        share = np.maximum(self.shares[tokens], 0.5) / total
        known = (given >= 0) & (given < len(self.starts) - 1)
        if self.parent == NONE or not len(self.tokens):
            return np.log(share)
        at = np.where(known, given, 0)
        first, stop = self.starts[at], self.starts[at + 1]
        place = self._place(at, tokens)
        edges = self._edges
        kept = np.concatenate([[0.0], np.cumsum(self.shares[self.tokens])]) / total
        n, different, lost = edges[stop] - edges[first], stop - first, self._lost(at)
        count = np.where(place >= 0, np.append(self.counts, 0)[place], 0)
        elsewhere = np.where(place >= 0, 0.0, share / np.maximum(1 - (kept[stop] - kept[first]), 1e-9))
        blended = (count + different * share + lost * elsewhere) / np.maximum(n + different + lost, 1)
        return np.log(np.where(known & (different + lost > 0), blended, share))

    def _lost(self, given: Ints) -> Ints:
        return self.lost[given] if len(self.lost) else np.zeros(len(given), dtype=np.int64)

    def excess_of_same(self, tokens: Ints, parents: Mapping[int, tuple[Ints, int]], before: Ints, patients: Ints) -> float:
        """How often a token is that of the row before, beyond what these chances make of it anyway; a share in [0, 1], 0 of one patient.

        Parameters
        ----------
        tokens, before : int64 (n_rows,), -1 in `before` where there is no row. parents, patients : as for `counted`.
        """
        there = np.flatnonzero(before >= 0)
        if len(np.unique(patients[there])) < FEWEST:
            return 0.0
        given = parents[self.parent][0][there] if self.parent != NONE else np.full(len(there), NONE)
        by_chance = float(np.exp(self.nats(before[there], given)).mean())
        return float(np.clip(((tokens[there] == before[there]).mean() - by_chance) / max(1 - by_chance, 1e-9), 0.0, 1.0))

    def state(self) -> Arrays:
        """Everything, as arrays."""
        parent = np.array([self.parent], dtype=np.int64)
        out = {"shares": self.shares, "parent": parent, "starts": self.starts, "tokens": self.tokens, "counts": self.counts}
        return out | ({"lost": self.lost} if len(self.lost) else {})

    @classmethod
    def from_state(cls, arrays: Arrays, n_tokens: int) -> Chances:
        """The chances as saved.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        lost = arrays.get("lost", np.zeros(0, dtype=np.int64))
        own = cls(arrays["shares"], int(arrays["parent"][0]), arrays["starts"], arrays["tokens"], arrays["counts"], lost)
        is_fit = len(own.shares) == n_tokens and len(own.tokens) == len(own.counts) == own.starts[-1] and own.starts[0] == 0
        is_fit = is_fit and bool((np.diff(own.starts) >= 0).all() and (own.counts > 0).all() and np.isfinite(own.shares).all())
        is_fit = is_fit and len(lost) in (0, len(own.starts)) and bool((lost >= 0).all())
        if not is_fit or (own.tokens < 0).any() or (own.tokens >= n_tokens).any() or (own.shares < 0).any():
            raise ModelFolderError("The chances of a model do not fit its columns. Save the model again.")
        return own


def counted(tokens: Ints, emitted: Bools, parents: dict[int, tuple[Ints, int]], patients: Ints) -> Chances:
    """The chances of tokens, given the one parent that says most about them.

    Parameters
    ----------
    tokens : int64 (n_rows,). emitted : bool (n_tokens,), which of them may be drawn.
    parents : by a number of the caller's, each candidate's tokens, int64 (n_rows,) with -1 where there is none, and how many there are.
    patients : int64 (n_rows,), whose row each is.
    """
    n = len(emitted)
    shares = np.bincount(tokens, minlength=n).astype(np.float64) * emitted
    if not shares.any():
        shares = emitted.astype(np.float64)
    best, most = NONE, 0.0
    for number, (given, n_given) in parents.items():
        gain = _information(tokens, n, given, n_given)
        if gain > most:
            best, most = number, gain
    if best == NONE:
        return Chances(shares, NONE, np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    given, n_given = parents[best]
    chosen = np.flatnonzero((given >= 0) & emitted[tokens])
    pairs, place, counts = np.unique(given[chosen] * n + tokens[chosen], return_inverse=True, return_counts=True)
    kept = count_holders(place, patients[chosen], len(pairs)) >= FEWEST
    lost = np.bincount(pairs[~kept] // n, weights=counts[~kept], minlength=n_given + 1).astype(np.int64)
    lost[count_holders(given[chosen][~kept[place]], patients[chosen][~kept[place]], n_given + 1) < FEWEST] = 0
    pairs, counts = pairs[kept], counts[kept]
    starts = np.searchsorted(pairs // n, np.arange(n_given + 1))
    return Chances(shares, best, starts.astype(np.int64), (pairs % n).astype(np.int64), counts.astype(np.int64), lost)


def shared(cells: Ints, patients: Ints) -> Bools:
    """Whether more than one patient has rows in the cell of each row, bool (n_rows,)."""
    cells = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    return np.asarray((count_holders(cells, patients, len(cells)) >= FEWEST)[cells])


def _information(tokens: Ints, n: int, given: Ints, n_given: int) -> float:
    """Mutual information in nats, times rows, less what chance alone would give (half a nat for each pair that could differ)."""
    there = given >= 0
    if not there.any():
        return 0.0
    pairs, counts = np.unique(given[there] * n + tokens[there], return_counts=True)
    rows = counts.sum()
    row, column = np.bincount(given[there], minlength=n_given), np.bincount(tokens[there], minlength=n)
    found = (counts * np.log(counts * float(rows) / (row[pairs // n] * column[pairs % n].astype(float)))).sum()
    chance = 0.5 * ((row > 0).sum() - 1) * ((column > 0).sum() - 1)
    return float(found - min(chance, len(pairs)))


def _pick(edges: Floats, base: Floats, total: Floats, rng: np.random.Generator) -> Ints:
    """Places in sorted cumulative counts, drawn from (base, base + total]."""
    found = np.searchsorted(edges, base + rng.random(len(base)) * total, side="right")
    return np.minimum(found, len(edges) - 1).astype(np.int64)
