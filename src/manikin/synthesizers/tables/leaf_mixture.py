"""Leaves of many trees as one generator: leaf weights and token histograms. Knows tokens and rows of leaves, not how trees grew.

A tree cuts the patients into leaves l with weight w_l and, inside a leaf, independent columns:  p(x) = sum_l w_l prod_j p_j(x_j | l).
Given some columns, Bayes re-weights the leaves, w_l(x_S) ∝ w_l prod_{j in S} p_j(x_j | l), and any other column follows without rejection.
Columns are drawn one after the other, each from the mean over the trees of such conditionals — every tree has its say about every
column, where plain sampling lets one tree decide the whole row. The mean of many weak opinions is too faint, so it is sharpened:

    q_j(v | x_S)  ∝  r_j(v) (p_j(v | x_S) / r_j(v)) ** g_j        r_j: the column's frequencies, g_j >= 1: its sharpness

The mean is arithmetic, or geometric for columns that a strict relation binds: there one tree that rules a value out must be heard.
How a column is pooled depends on what it is drawn from: the columns before it, or also later ones (conditions); so there are two settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ModelFolderError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

MOST_ROWS = 1 << 40
MOST_SAVED_LEAVES = 1_000_000  # a block of rows takes 8 KB for each leaf while it is drawn
MOST_SAVED_CELLS = 240_000_000  # of all histograms together, as float32 1 GB; a forest grows a quarter of it
FLOOR = np.float32(1e-30)
SHARPNESS = (1.0, 1.125, 1.25, 1.375, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0)


@dataclass(frozen=True)
class LeafMixture:
    """The leaves of a forest.

    Attributes
    ----------
    offsets : int64 (n_trees + 1,), where each tree's leaves start.
    rows : int64 (n_leaves,), training rows that fall into each leaf: its weight.
    support : int64 (n_leaves,), rows behind each leaf's histograms; more than `rows` where a leaf with too few patients borrows its
        ancestor's histograms.
    leaf, token, count : per column, int32 (n_entries,) each: how often a token occurs behind a leaf. Counts, no rows.
    frequencies : per column, int64 (n_tokens,), rows per token in the whole table.
    smoothing : how many pseudo-rows of the column's overall frequencies each leaf gets.
    sharpness : float64 (2, n_columns), g_j where only columns before j are known, and where later ones are known too.
    is_geometric : bool (2, n_columns), where the geometric mean over the trees is taken; likewise.
    """

    offsets: Ints
    rows: Ints
    support: Ints
    leaf: tuple[npt.NDArray[np.int32], ...]
    token: tuple[npt.NDArray[np.int32], ...]
    count: tuple[npt.NDArray[np.int32], ...]
    frequencies: tuple[Ints, ...]
    smoothing: float
    sharpness: npt.NDArray[np.float64]
    is_geometric: Bools

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.offsets) - 1

    @cached_property
    def overall(self) -> tuple[Floats, ...]:
        """Per column, its overall token frequencies, float32 (n_tokens,), none of them zero."""
        return tuple(((counts + 0.1) / (counts + 0.1).sum()).astype(np.float32) for counts in self.frequencies)

    @cached_property
    def histograms(self) -> tuple[Floats, ...]:
        """Per column p_j(v | l), float32 (n_tokens, n_leaves)."""
        made = []
        for j, overall in enumerate(self.overall):
            table = np.repeat(np.float32(self.smoothing) * overall[:, None], len(self.rows), axis=1)
            table[self.token[j], self.leaf[j]] += self.count[j]
            table /= (self.support + self.smoothing).astype(np.float32)
            made.append(table)
        return tuple(made)

    def prior(self, n: int) -> Floats:
        """Leaf weights before anything is known of a row, float32 (n, n_leaves), summing to one within each tree."""
        weights = self.rows.astype(np.float32)
        weights /= np.repeat(np.add.reduceat(weights, self.offsets[:-1]), np.diff(self.offsets))
        return np.repeat(weights[None], n, axis=0)

    def update(self, weights: Floats, column: int, tokens: npt.NDArray[Any]) -> None:
        """Bayes: multiplies by p_j(token | leaf) and normalises within each tree, in place. `tokens` int (n,)."""
        weights *= self.histograms[column][tokens]
        sums = np.add.reduceat(weights, self.offsets[:-1], axis=1)
        np.maximum(sums, FLOOR, out=sums)
        weights *= np.repeat(1 / sums, np.diff(self.offsets), axis=1)

    def predict(self, weights: Floats, column: int, *, is_geometric: bool) -> Floats:
        """Mean over the trees of p_j(v | what is known), float32 (n, n_tokens), not sharpened."""
        histograms = self.histograms[column]
        if not is_geometric:
            return (weights @ histograms.T) / np.float32(self.n_trees)
        total = np.zeros((len(weights), len(histograms)), dtype=np.float32)
        for first, last in pairwise(self.offsets):
            own = weights[:, first:last] @ histograms[:, first:last].T
            total += np.log(np.maximum(own, FLOOR, out=own), out=own)
        return np.asarray(np.exp(total / np.float32(self.n_trees)))

    def chances(self, weights: Floats, column: int, *, knows_later: bool) -> npt.NDArray[np.float64]:
        """q_j(v | what is known), float64 (n, n_tokens), summing to one; `knows_later` where columns after this one are known."""
        predicted = self.predict(weights, column, is_geometric=bool(self.is_geometric[int(knows_later), column]))
        overall = self.overall[column].astype(np.float64)
        sharp = overall * (predicted / overall) ** self.sharpness[int(knows_later), column]
        return np.asarray(sharp / sharp.sum(axis=1, keepdims=True))

    def log_likelihoods(
        self, tokens: Tokens, sharpness: Sequence[float], *, shuffle: np.random.Generator | None = None
    ) -> npt.NDArray[np.float64]:
        """Mean log q_j(x_j | columns before j) of rows, higher is better.

        Parameters
        ----------
        shuffle : puts the columns in a new order every 64 rows; without it the order is the table's.

        Returns
        -------
        float64 (2, n_sharpness, n_columns): with the arithmetic, then with the geometric mean over the trees.
        """
        total = np.zeros((2, len(sharpness), tokens.shape[1]))
        size = 256 if shuffle is None else 64
        for start in range(0, len(tokens), size):
            part = tokens[start : start + size]
            weights, rows = self.prior(len(part)), np.arange(len(part))
            order = np.arange(part.shape[1]) if shuffle is None else shuffle.permutation(part.shape[1])
            for j in order.tolist():
                log_overall = np.log(self.overall[j].astype(np.float64))
                for i in range(2):
                    gain = np.log(self.predict(weights, j, is_geometric=bool(i))) - log_overall
                    for k, g in enumerate(sharpness):
                        score = log_overall + g * gain
                        highest = score.max(axis=1, keepdims=True)
                        norm = highest[:, 0] + np.log(np.exp(score - highest).sum(axis=1))
                        total[i, k, j] += (score[rows, part[:, j]] - norm).sum()
                self.update(weights, j, part[:, j])
        return total / max(len(tokens), 1)

    def draw(
        self,
        tokens: Tokens,
        given: Bools,
        rng: np.random.Generator,
        *,
        emitted: Sequence[Bools],
        allowed: Callable[[int, Tokens, Bools], Bools | None],
    ) -> Tokens:
        """Draws what is not given.

        Parameters
        ----------
        tokens : int32 (n, n_columns); the given cells are read.
        given : bool (n_columns,) or (n, n_columns).
        emitted : per column, which tokens may be drawn. allowed : which tokens the confirmed rules leave, by column, tokens and which
            columns are known.

        Returns
        -------
        int32 (n, n_columns).
        """
        tokens, cells = tokens.copy(), np.broadcast_to(given, tokens.shape).copy()
        weights = self.prior(len(tokens))
        for j in np.flatnonzero(cells.any(axis=0)).tolist():
            there = np.flatnonzero(cells[:, j])
            known = weights[there]
            self.update(known, j, tokens[there, j])
            weights[there] = known
        for j in range(tokens.shape[1]):
            free = np.flatnonzero(~cells[:, j])
            if not len(free):
                continue
            known = weights if len(free) == len(tokens) else weights[free]
            chances = self.chances(known, j, knows_later=bool(cells[:, j + 1 :].any())) * emitted[j]
            mask = allowed(j, tokens, np.all(cells, axis=0))
            tokens[free, j] = _choose(chances, None if mask is None else mask[free] & emitted[j], rng)
            self.update(known, j, tokens[free, j])
            if known is not weights:
                weights[free] = known
            cells[:, j] = True
        return tokens

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything, as JSON-able values and arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "offsets": self.offsets,
            "rows": self.rows,
            "support": self.support,
            "sharpness": self.sharpness,
            "is_geometric": self.is_geometric,
        }
        for j in range(len(self.frequencies)):
            arrays |= {f"leaf{j}": self.leaf[j], f"token{j}": self.token[j], f"count{j}": self.count[j]}
            arrays[f"frequencies{j}"] = self.frequencies[j]
        return {"smoothing": self.smoothing, "n_columns": len(self.frequencies)}, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], sizes: Sequence[int]) -> LeafMixture:
        """The mixture as saved.

        Parameters
        ----------
        sizes : vocabulary size per column, as the codec has it.

        Raises
        ------
        ModelFolderError : an array has another shape, type or range than the others ask for, or the histograms would be too large.
        """
        if type(values["n_columns"]) is not int or values["n_columns"] != len(sizes):
            raise ModelFolderError(
                f"The forest's 'n_columns' is not {len(sizes)}, the number of encoded columns. Save the model again."
            )

        def each(name: str) -> tuple[Any, ...]:
            return tuple(arrays[f"{name}{j}"] for j in range(len(sizes)))

        made = cls(
            offsets=arrays["offsets"],
            rows=arrays["rows"],
            support=arrays["support"],
            leaf=each("leaf"),
            token=each("token"),
            count=each("count"),
            frequencies=each("frequencies"),
            smoothing=values["smoothing"],
            sharpness=arrays["sharpness"],
            is_geometric=arrays["is_geometric"],
        )
        _check(made, sizes)
        return made


def _check(mixture: LeafMixture, sizes: Sequence[int]) -> None:
    """Refuses a mixture whose arrays contradict each other, before anything is computed from them."""
    offsets, rows = mixture.offsets, mixture.rows
    n_columns, n_leaves = len(sizes), rows.size
    _want("rows", rows, np.int64, (n_leaves,), 1, MOST_ROWS)
    _want("support", mixture.support, np.int64, (n_leaves,), 1, MOST_ROWS)
    _want("offsets", offsets, np.int64, (max(2, offsets.size),), 0, n_leaves)
    if offsets[0] != 0 or offsets[-1] != n_leaves or (np.diff(offsets) < 1).any():
        raise _refusal("offsets")
    if n_leaves > MOST_SAVED_LEAVES or n_leaves * sum(sizes) > MOST_SAVED_CELLS:
        raise ModelFolderError(
            f"The forest has more than {MOST_SAVED_LEAVES:,} leaves or {MOST_SAVED_CELLS:,} histogram cells. Fit again with fewer trees."
        )
    for j, size in enumerate(sizes):
        n_entries = mixture.leaf[j].size
        _want(f"leaf{j}", mixture.leaf[j], np.int32, (n_entries,), 0, n_leaves - 1)
        _want(f"token{j}", mixture.token[j], np.int32, (n_entries,), 0, size - 1)
        _want(f"count{j}", mixture.count[j], np.int32, (n_entries,), 0, MOST_ROWS)
        _want(f"frequencies{j}", mixture.frequencies[j], np.int64, (size,), 0, MOST_ROWS)
    _want("sharpness", mixture.sharpness, np.float64, (2, n_columns), 1e-12, 1e12)
    _want("is_geometric", mixture.is_geometric, np.bool_, (2, n_columns), 0, 1)
    smoothing = mixture.smoothing
    if isinstance(smoothing, bool) or not isinstance(smoothing, (int, float)) or not 0 < smoothing < MOST_ROWS:
        raise _refusal("smoothing")


def _want(name: str, array: npt.NDArray[Any], dtype: Any, shape: tuple[int, ...], low: float, high: float) -> None:
    """Refuses an array that is not of this type and shape, or has something outside [low, high] (NaN among it)."""
    if array.dtype != dtype or array.shape != shape or not ((array >= low) & (array <= high)).all():
        raise _refusal(name)


def _refusal(name: str) -> ModelFolderError:
    return ModelFolderError(f"The forest's {name!r} does not fit the rest of the model folder. Save the model again.")


def _choose(chances: npt.NDArray[np.float64], mask: Bools | None, rng: np.random.Generator) -> Ints:
    """One token per row by its chances (n, n_tokens), among those that a rule leaves where it leaves any."""
    if mask is not None:
        chances = np.where(mask.any(axis=1, keepdims=True), chances * mask, chances)
    sums = np.cumsum(chances, axis=1)
    return np.asarray((sums <= rng.random(len(sums))[:, None] * sums[:, -1:]).sum(axis=1))
