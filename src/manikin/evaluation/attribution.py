"""Which columns a scorer of rows relies on: permutation importance, exchanged cells, Shapley values. Knows no release.

A scorer is any function from a matrix to log-odds; only its answers are looked at. Columns of the matrix that belong to one column of
the table (a value and its missing code) are moved together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.evaluation.intervals import auc

Floats = npt.NDArray[np.float64]
CHUNK = 40_000  # rows of the matrix that are scored at once


@dataclass(frozen=True)
class Unseen:
    """Rows that a scorer has not learned from.

    Attributes
    ----------
    score : (n, n_columns) -> (n,), higher for positive rows.
    X : (n_rows, n_columns).
    is_positive : (n_rows,).
    spans : for each column of the table, its columns of the matrix.
    """

    score: Callable[[Floats], Floats]
    X: Floats
    is_positive: npt.NDArray[np.bool_]
    spans: tuple[tuple[int, ...], ...]

    def area(self, scores: Floats) -> float:
        """AUC of these scores."""
        return auc(scores[self.is_positive], scores[~self.is_positive])


def drops(rows: Unseen, coalitions: Sequence[Sequence[int]], *, n_repeats: int, rng: np.random.Generator) -> Floats:
    """What the AUC loses when columns are permuted over all rows, (n_coalitions, n_repeats); Breiman 2001 (doi:10.1023/A:1010933404324).

    The columns of one coalition are permuted together. Neither their values' spread in the two classes nor their relation with other
    columns is left.
    """
    n = len(rows.X)
    whole = rows.area(rows.score(rows.X))
    tasks = [coalition for coalition in coalitions for _ in range(n_repeats)]
    areas: list[float] = []
    per_chunk = max(1, CHUNK // max(n, 1))
    for begin in range(0, len(tasks), per_chunk):
        part = tasks[begin : begin + per_chunk]
        moved = np.tile(rows.X, (len(part), 1, 1))
        for place, coalition in zip(moved, part, strict=True):
            columns = [column for member in coalition for column in rows.spans[member]]
            place[:, columns] = rows.X[rng.permutation(n)][:, columns]
        scores = rows.score(moved.reshape(-1, rows.X.shape[1])).reshape(len(part), n)
        areas.extend(rows.area(line) for line in scores)
    return whole - np.asarray(areas).reshape(len(coalitions), n_repeats)


def win_rates(
    rows: Unseen, coalitions: Sequence[Sequence[int]], *, n_repeats: int, rng: np.random.Generator, is_apart: bool = False
) -> Floats:
    """How often the scorer points at the positive row's cells, (n_coalitions, n_repeats); 0.5 is guessing.

    Into each negative row the columns of a coalition are put twice: from a random positive row, and from a random other negative row.
    The figure is the share of rows in which the first scores higher; ties count half. All other cells are the same both times, so that,
    unlike with permutation, columns that tell the same do not hide one another. With `is_apart` every column of the coalition comes
    from a donor of its own, on both sides: what is lost then is what the columns tell by their relation.
    """
    base, donors = rows.X[~rows.is_positive], rows.X[rows.is_positive]
    n, tasks = len(base), [coalition for coalition in coalitions for _ in range(n_repeats)]
    rates: list[float] = []
    per_chunk = max(1, CHUNK // max(2 * n, 1))
    for begin in range(0, len(tasks), per_chunk):
        part = tasks[begin : begin + per_chunk]
        mixed = np.tile(base, (len(part), 2, 1, 1))
        for place, coalition in zip(mixed, part, strict=True):
            for i, member in enumerate(coalition):
                if i == 0 or is_apart:
                    given, own = rng.integers(len(donors), size=n), rng.permutation(n)
                columns = list(rows.spans[member])
                place[0][:, columns] = donors[given][:, columns]
                place[1][:, columns] = base[own][:, columns]
        scores = rows.score(mixed.reshape(-1, rows.X.shape[1])).reshape(len(part), 2, n)
        rates.extend(((scores[:, 0] > scores[:, 1]).mean(axis=1) + (scores[:, 0] == scores[:, 1]).mean(axis=1) / 2).tolist())
    return np.asarray(rates).reshape(len(coalitions), n_repeats)


def shapley(
    score: Callable[[Floats], Floats],
    rows: Floats,
    background: Floats,
    spans: Sequence[Sequence[int]],
    *,
    n_paths: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Shapley values of a scorer by sampled permutations: Štrumbelj & Kononenko 2014 (doi:10.1007/s10115-013-0679-x).

    The value of a set of columns is the mean score of rows that take these columns from the explained row and the others from a
    background row. A path walks from a background row to the explained one column by column, in random order; every second path walks
    the reverse order from the same row (antithetic; Mitchell et al. 2022, arXiv 2104.12199), which only lessens the noise.

    Parameters
    ----------
    rows : the rows to explain, (n, n_columns).
    background : rows that columns are taken from, (m, n_columns).
    n_paths : paths for each row; each costs `len(spans) + 1` scores.

    Returns
    -------
    contributions : (n, n_spans). They sum to the row's score less its baseline, to rounding (local accuracy).
    baseline : (n,), the mean score of the background rows that the paths of the row began at.
    """
    n, n_spans = len(rows), len(spans)
    contributions, baseline = np.zeros((n, n_spans)), np.zeros(n)
    order, start = np.arange(n_spans), np.zeros(n, dtype=np.int64)
    for path in range(n_paths):
        if path % 2 == 0:
            order, start = rng.permutation(n_spans), rng.integers(len(background), size=n)
        else:
            order = order[::-1]
        walk = np.empty((n_spans + 1, n, rows.shape[1]))
        walk[0] = background[start]
        for step, span in enumerate(order.tolist()):
            walk[step + 1] = walk[step]
            columns = list(spans[span])
            walk[step + 1][:, columns] = rows[:, columns]
        scores = _scored(score, walk.reshape(-1, rows.shape[1])).reshape(n_spans + 1, n)
        contributions[:, order] += np.diff(scores, axis=0).T
        baseline += scores[0]
    return contributions / n_paths, baseline / n_paths


def _scored(score: Callable[[Floats], Floats], X: Floats) -> Floats:
    return np.concatenate([score(X[begin : begin + CHUNK]) for begin in range(0, len(X), CHUNK)])
