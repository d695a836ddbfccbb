"""Chances of a token given one other token, from counts with back-off to the token's own shares. Knows no table and no patient.

Chances given a token x blend with the shares by Witten and Bell's rule: x was seen n times before d different tokens, so that
(n c + d s) / (n + d) is drawn from, where c are the shares behind x and s the token's own (doi:10.1109/18.87000). A pair that only one
patient has is not kept: where others than one have such pairs, what follows x as often as they do is drawn by the shares of all tokens of
pairs that were not kept, so that what is rare stays as frequent as it is.
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
JUDGED = 200_000  # rows by which a parent is chosen
TRIES = 4  # draws from the blend before a masked row is drawn from what is left of the shares
MOST_ROWS = 1e15  # of a table, as a model may say
MOST_KEPT = 250_000  # weights that are worked out once for every parent's token
LEAST = 1e-6  # of its share, what a token is likely to be at the least
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
    spare : float64 (n_tokens,), rows of each token whose pair was not kept, as the shares less the pairs say too; empty for none.
    """

    shares: Floats
    parent: int
    starts: Ints
    tokens: Ints
    counts: Ints
    lost: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    spare: Floats = field(default_factory=lambda: np.zeros(0))

    def draw(self, given: Ints, allowed: Bools | None, rng: np.random.Generator) -> Ints:
        """Tokens for rows whose parents hold `given`, int64 (n_rows,); -1 there means that nothing is known.

        Parameters
        ----------
        allowed : bool (n_rows, n_tokens), what a row may be, never all False; None for all.
        """
        out, is_share = self._blend(given, rng)
        if allowed is None:
            return out
        rows = np.arange(len(out))
        for _ in range(TRIES):
            lost = np.flatnonzero(~allowed[rows, out] & ~is_share)
            if not len(lost):
                break
            out[lost], is_share[lost] = self._blend(given[lost], rng)
        lost = np.flatnonzero(~allowed[rows, out])
        if len(lost):
            weight = np.where(allowed[lost], self.shares + 1e-9, 0.0)
            edges = np.cumsum(weight, axis=1)
            out[lost] = (edges < (rng.random(len(lost)) * edges[:, -1])[:, None]).sum(axis=1)
        return out

    def _blend(self, given: Ints, rng: np.random.Generator) -> tuple[Ints, Bools]:
        """Tokens, and which of them were drawn by their own shares, bool (n_rows,)."""
        out, is_share = self._share(len(given), rng), np.ones(len(given), dtype=bool)
        if self.parent == NONE or not len(self.tokens):
            return out, is_share
        known = np.flatnonzero((given >= 0) & (given < len(self.starts) - 1))
        first, stop = self.starts[given[known]], self.starts[given[known] + 1]
        edges = self._edges
        n, different, lost = edges[stop] - edges[first], stop - first, self._lost(given[known])
        at = rng.random(len(known)) * (n + different + lost)
        own = np.flatnonzero(at < n)
        place = _pick(edges[1:], edges[first[own]], n[own], rng)
        out[known[own]], is_share[known[own]] = self.tokens[place], False
        rest = known[(at >= n + different) & (lost > 0)]
        out[rest] = _pick(self._spare_edges, np.zeros(len(rest)), np.full(len(rest), self.spare.sum()), rng)
        return out, is_share

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
    def _spare_edges(self) -> Floats:
        return np.cumsum(self.spare)

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
        n, different, lost = edges[stop] - edges[first], stop - first, self._lost(at)
        count = np.where(place >= 0, np.append(self.counts, 0)[place], 0)
        elsewhere = self.spare[tokens] / self.spare.sum() if len(self.lost) and self.spare.any() else 0.0
        blended = (count + different * share + lost * elsewhere) / np.maximum(n + different + lost, 1)
        return np.log(np.where(known & (different + lost > 0), np.maximum(blended, share * LEAST), share))

    def weights(self, given: Ints) -> Floats:
        """What tokens are drawn by behind parents that hold `given`, -1 for what is not known: float64 (n_rows, n_tokens), not scaled."""
        n_known = len(self.starts) - 1
        if len(given) > n_known and (n_known + 1) * len(self.shares) <= MOST_KEPT:
            return self._weights[np.where((given >= 0) & (given < n_known), given, n_known)]
        return self._weighed(given)

    @cached_property
    def _weights(self) -> Floats:
        """The weights behind each of the parent's tokens, and behind none."""
        return self._weighed(np.append(np.arange(len(self.starts) - 1), NONE))

    def _weighed(self, given: Ints) -> Floats:
        share = self.shares / max(self.shares.sum(), 1.0)
        out = np.tile(share, (len(given), 1))
        if self.parent == NONE or not len(self.tokens):
            return out
        known = np.flatnonzero((given >= 0) & (given < len(self.starts) - 1))
        first, stop = self.starts[given[known]], self.starts[given[known] + 1]
        n_pairs, lost = stop - first, self._lost(given[known])
        known, first, n_pairs, lost = (part[n_pairs + lost > 0] for part in (known, first, n_pairs, lost))
        row = np.repeat(np.arange(len(known)), n_pairs)
        place = np.repeat(first - np.cumsum(n_pairs) + n_pairs, n_pairs) + np.arange(len(row))
        own = n_pairs[:, None] * share
        if lost.any():
            own = own + lost[:, None] * (self.spare / self.spare.sum())
        own[row, self.tokens[place]] += self.counts[place]
        out[known] = own
        return out

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
        return out | ({"lost": self.lost, "spare": self.spare} if len(self.lost) else {})

    @classmethod
    def from_state(cls, arrays: Arrays, n_tokens: int) -> Chances:
        """The chances as saved.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        lost, spare = arrays.get("lost", np.zeros(0, dtype=np.int64)), arrays.get("spare", np.zeros(0))
        own = cls(arrays["shares"], int(arrays["parent"][0]), arrays["starts"], arrays["tokens"], arrays["counts"], lost, spare)
        whole, parts = (own.starts, own.tokens, own.counts, lost), (own.shares, spare)
        is_fit = all(part.ndim == 1 and part.dtype == np.int64 for part in whole) and all(part.ndim == 1 for part in parts)
        is_fit = is_fit and all(part.dtype == np.float64 for part in parts) and len(own.starts) > 0 and len(own.shares) == n_tokens
        is_fit = is_fit and len(own.tokens) == len(own.counts) == own.starts[-1] and own.starts[0] == 0
        is_fit = is_fit and bool((np.diff(own.starts) >= 0).all() and (own.counts > 0).all() and 0 <= own.shares.sum() < MOST_ROWS)
        is_fit = is_fit and (len(lost), len(spare)) in ((0, 0), (len(own.starts), n_tokens)) and bool((lost >= 0).all())
        is_fit = is_fit and bool(0 <= spare.sum() < MOST_ROWS and (spare >= 0).all() and (spare.any() or not lost.any()))
        if not is_fit or (own.tokens < 0).any() or (own.tokens >= n_tokens).any() or (own.shares < 0).any():
            raise ModelFolderError("The chances of a model do not fit its columns. Save the model again.")
        return own


def counted(tokens: Ints, emitted: Bools, parents: dict[int, tuple[Ints, int]], patients: Ints) -> Chances:
    """The chances of tokens, given the one parent that says most about those of patients who were not counted.

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
    best, most, some = NONE, 0.0, whole_patients(patients, JUDGED)
    for number, (given, _) in parents.items():
        gain = _gain(tokens[some], given[some], n, patients[some])
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
    spare = np.bincount(tokens[chosen[~kept[place]]], minlength=n).astype(np.float64)
    pairs, counts = pairs[kept], counts[kept]
    starts = np.searchsorted(pairs // n, np.arange(n_given + 1))
    return Chances(shares, best, starts.astype(np.int64), (pairs % n).astype(np.int64), counts.astype(np.int64), lost, spare)


def shared(cells: Ints, patients: Ints) -> Bools:
    """Whether more than one patient has rows in the cell of each row, bool (n_rows,)."""
    cells = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    return np.asarray((count_holders(cells, patients, len(cells)) >= FEWEST)[cells])


def whole_patients(patients: Ints, most: int) -> Ints:
    """All rows, or where there are more than so many those of every so many patients, but of 50 at the least."""
    if len(patients) <= most:
        return np.arange(len(patients))
    found, place = np.unique(patients, return_inverse=True)
    step = max(1, min(len(patients) // most, len(found) // 50))
    return np.flatnonzero(place % step == 0)


def _gain(tokens: Ints, given: Ints, n: int, patients: Ints) -> float:
    """Nats by which a parent tells the tokens of patients who were not counted better than the tokens' shares do, of all rows."""
    there = np.flatnonzero(given >= 0)
    if not len(there):
        return 0.0
    x, c, p = tokens[there], given[there], patients[there]
    pair, context = c * n + x, c
    pairs, contexts, shares = (_others(own, p) for own in (pair, context, x))
    total = _others(np.zeros(len(x), dtype=np.int64), p)
    first = np.unique(pair, return_index=True)[1]
    different = np.bincount(c[first], minlength=int(c.max()) + 1)[c]
    share = (shares + 0.5) / (total + 0.5 * n)
    return float(np.log((pairs + different * share) / ((contexts + different) * share)).sum())


def _others(cells: Ints, patients: Ints) -> Floats:
    """For each row how many rows of its cell are another patient's, float64 (n_rows,)."""
    _, of, all_ = np.unique(cells, return_inverse=True, return_counts=True)
    _, own, mine = np.unique(of * (int(patients.max(initial=0)) + 1) + patients, return_inverse=True, return_counts=True)
    return (all_[of] - mine[own]).astype(np.float64)


def _pick(edges: Floats, base: Floats, total: Floats, rng: np.random.Generator) -> Ints:
    """Places in sorted cumulative counts, drawn from (base, base + total]."""
    found = np.searchsorted(edges, base + rng.random(len(base)) * total, side="right")
    return np.minimum(found, len(edges) - 1).astype(np.int64)
