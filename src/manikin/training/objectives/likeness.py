"""How like held-out rows a sample of tokens is: columns, pairs, levels, repeats. What adversarial models stop by. Knows tokens only.

A critic's loss does not say how good samples are, and the critic that learned with the generator is no judge of it. Distances of one- and
two-column tables are cheap, have a known zero and see the failures that matter (drift, collapse).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]
Draw = Callable[[Any, int, np.random.Generator], Tokens]
MOST_BINS = 12  # of one column
MOST_PAIRS = 60
MOST_PAIRED = 120  # columns that pairs are looked for among
COMMON = 0.01  # share of train rows from which a bin counts as common


@dataclass(frozen=True)
class Column:
    """What of a field matters here: how many missing codes come first, and whether the other tokens are ordered."""

    name: str
    n_tokens: int
    n_missing: int
    is_ordered: bool


@dataclass(frozen=True)
class Measured:
    """One look at a sample.

    Attributes
    ----------
    drift : mean total variation distance of columns (half) and pairs (half) from held-out rows, 0 … 1, lower is better.
    coverage : share of the common bins of train rows that occur, 0 … 1.
    duplicates : share of rows that repeat an earlier one, bin by bin.
    shares : per column the shares of its bins.
    """

    drift: float
    coverage: float
    duplicates: float
    shares: dict[str, list[float]]


def in_pieces(draw: Draw, most: int) -> Draw:
    """The same draw by at most so many rows at a time: a look takes as many as there are held-out rows."""

    def drawn(network: Any, n: int, rng: np.random.Generator) -> Tokens:
        """Tokens of `n` rows."""
        return np.concatenate([draw(network, min(most, n - at), rng) for at in range(0, n, most)])

    return drawn


class Likeness:
    """A measure fitted on train rows and held against others.

    Parameters
    ----------
    train : int32 (n, n_columns). held_out : likewise, of other patients; train itself when there are none.
    """

    def __init__(self, columns: Sequence[Column], train: Tokens, held_out: Tokens, rng: np.random.Generator) -> None:
        self.columns = tuple(columns)
        self._bins = [_bins(column, train[:, j]) for j, column in enumerate(columns)]
        self._n_bins = np.array([int(bins.max()) + 1 for bins in self._bins])
        binned = self._binned(train)
        target = self._binned(held_out) if len(held_out) else binned
        self._pairs = _pairs(binned, self._n_bins, rng)
        self._common = [np.bincount(binned[:, j], minlength=n) >= COMMON * len(train) for j, n in enumerate(self._n_bins)]
        self._target = self._tables(target)
        self.n_rows = len(target)
        self.duplicates_of_train = _repeated(binned[rng.permutation(len(binned))[: self.n_rows]])
        self.train_shares = self._shares(binned)

    def measure(self, tokens: Tokens) -> Measured:
        """A look at a sample, int32 (n, n_columns); n should be about `n_rows`, since small samples lie further off."""
        binned = self._binned(tokens)
        gaps = [np.abs(mine - other).sum() / 2 for mine, other in zip(self._tables(binned), self._target, strict=True)]
        n = len(self.columns)
        drift = np.mean(gaps[:n]) if len(gaps) == n else (np.mean(gaps[:n]) + np.mean(gaps[n:])) / 2
        there = [np.bincount(binned[:, j], minlength=size) > 0 for j, size in enumerate(self._n_bins)]
        n_common = sum(int(common.sum()) for common in self._common)
        n_there = sum(int((common & here).sum()) for common, here in zip(self._common, there, strict=True))
        return Measured(float(drift), n_there / max(n_common, 1), _repeated(binned), self._shares(binned))

    def disparity(self, tokens: Tokens, column: int) -> npt.NDArray[np.float64]:
        """How far each column lies apart between the groups of one column, (n_columns,), 0 … 1: total variation distance of a group's
        bins from those of all rows, the groups weighted by their rows."""
        binned = self._binned(tokens)
        out = np.zeros(len(self.columns))
        for j, n_bins in enumerate(self._n_bins):
            table = np.bincount(tokens[:, column].astype(np.int64) * n_bins + binned[:, j])
            table = np.pad(table, (0, -len(table) % int(n_bins))).reshape(-1, n_bins).astype(float)
            rows = table.sum(axis=1, keepdims=True)
            out[j] = np.abs(table - rows * table.sum(axis=0) / max(rows.sum(), 1)).sum() / 2 / max(rows.sum(), 1)
        return out

    def _binned(self, tokens: Tokens) -> Tokens:
        out = np.empty((len(tokens), len(self._bins)), dtype=np.int32)  # a table of many codes is wide
        for j, bins in enumerate(self._bins):
            out[:, j] = bins[tokens[:, j]]
        return out

    def _tables(self, binned: Tokens) -> list[npt.NDArray[np.float64]]:
        n = max(len(binned), 1)
        ones = [np.bincount(binned[:, j], minlength=size) / n for j, size in enumerate(self._n_bins)]
        twos = [
            np.bincount(binned[:, a] * self._n_bins[b] + binned[:, b], minlength=self._n_bins[a] * self._n_bins[b]) / n
            for a, b in self._pairs
        ]
        return ones + twos

    def _shares(self, binned: Tokens) -> dict[str, list[float]]:
        n = max(len(binned), 1)
        return {
            column.name: (np.bincount(binned[:, j], minlength=self._n_bins[j]) / n).tolist()
            for j, column in enumerate(self.columns)
        }


def _bins(column: Column, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Bin of each token, int64 (n_tokens,): missing codes apart, then quantile groups, or the commonest levels and the rest."""
    counts = np.bincount(tokens, minlength=column.n_tokens)
    m = column.n_missing
    out = np.arange(column.n_tokens)
    if column.n_tokens - m <= MOST_BINS:
        return out
    if column.is_ordered:
        middle = np.cumsum(counts[m:]) - counts[m:] / 2
        place = np.minimum(middle / max(counts[m:].sum(), 1) * MOST_BINS, MOST_BINS - 1).astype(np.int64)
        out[m:] = m + np.unique(place, return_inverse=True)[1]
        return out
    order = np.argsort(-counts[m:], kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    out[m:] = m + np.minimum(rank, MOST_BINS - 1)
    return out


def _pairs(binned: Tokens, n_bins: npt.NDArray[np.int64], rng: np.random.Generator) -> list[tuple[int, int]]:
    """The pairs of columns furthest from independence, found on at most 4,000 rows; of many columns only the most varied are looked at."""
    n_columns = binned.shape[1]
    rows = binned[rng.permutation(len(binned))[:4000]]
    ones = [np.bincount(rows[:, j], minlength=n_bins[j]) / max(len(rows), 1) for j in range(n_columns)]
    found: list[tuple[float, int, int]] = []
    varied = np.argsort([float((one**2).sum()) for one in ones], kind="stable")[:MOST_PAIRED]
    looked = sorted(varied.tolist())
    for i, a in enumerate(looked):
        for b in looked[i + 1 :]:
            table = np.bincount(rows[:, a] * n_bins[b] + rows[:, b], minlength=n_bins[a] * n_bins[b]) / max(len(rows), 1)
            apart = np.outer(ones[a], ones[b]).ravel()
            found.append((float(np.abs(table - apart).sum()), a, b))
    found.sort(key=lambda item: (-item[0], item[1], item[2]))
    return [(a, b) for _, a, b in found[:MOST_PAIRS]]


def _repeated(binned: Tokens) -> float:
    return 1 - len(np.unique(binned, axis=0)) / len(binned) if len(binned) else 0.0
