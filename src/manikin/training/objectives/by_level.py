"""Training-by-sampling: a level first, as often as the log of its count, then a row that holds it (CTGAN, arXiv 1907.00503, section 4.3).

Rare levels are seen far more often than they occur; the condition tells the generator which one was asked for. Knows tokens only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Levels:
    """One field that can be asked for.

    Attributes
    ----------
    field : its index. counts : int64 (n_tokens,), rows per token.
    """

    field: int
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """What was asked for, row by row, int64 (n,): which of the fields (-1: nothing), which token, and the level's number among all."""

    which: npt.NDArray[np.int64]
    token: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]


class LevelAsker:
    """Draws conditions: one field, one of its levels. `tokens` is needed to find rows that hold it; a fitted model asks without."""

    def __init__(self, levels: Sequence[Levels], tokens: Tokens | None = None) -> None:
        self.levels = tuple(levels)
        self._first = np.cumsum([0, *(len(one.counts) for one in levels)], dtype=np.int64)
        # a level that only held-out rows hold has no row to show, so that it is never asked for while training
        counts = [
            one.counts if tokens is None else np.bincount(tokens[:, one.field], minlength=len(one.counts)) for one in levels
        ]
        self._by_log = [_ends(np.log1p(own)) for own in counts]
        self._by_count = [_ends(own) for own in counts]
        self._rows: list[npt.NDArray[np.int64]] = []
        self._starts: list[npt.NDArray[np.int64]] = []
        for one in levels if tokens is not None else ():
            assert tokens is not None
            mine = tokens[:, one.field]
            self._rows.append(np.argsort(mine, kind="stable").astype(np.int64))
            self._starts.append(np.searchsorted(mine[self._rows[-1]], np.arange(len(one.counts) + 1)))

    def ask(self, n: int, rng: np.random.Generator, *, by_log: bool) -> Asked:
        """`n` conditions; levels by the log of their counts for training, by their counts for sampling."""
        which = rng.integers(len(self.levels), size=n) if self.levels else np.full(n, -1)
        uniform, token = rng.random(n), np.zeros(n, dtype=np.int64)
        for w in range(len(self.levels)):
            rows = np.flatnonzero(which == w)
            ends = (self._by_log if by_log else self._by_count)[w]
            token[rows] = np.minimum(np.searchsorted(ends, uniform[rows], side="right"), len(ends) - 1)
        return Asked(which, token, self._first[which] + token)

    def rows(self, asked: Asked, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """A train row for each condition that holds what was asked for, int64 (n,)."""
        uniform, out = rng.random(len(asked.which)), np.empty(len(asked.which), dtype=np.int64)
        for w in range(len(self.levels)):
            mine = np.flatnonzero(asked.which == w)
            first, last = self._starts[w][asked.token[mine]], self._starts[w][asked.token[mine] + 1]
            place = first + np.minimum((uniform[mine] * (last - first)).astype(np.int64), np.maximum(last - first - 1, 0))
            out[mine] = self._rows[w][place]
        return out


def _ends(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Cumulative shares; a level without rows is never drawn."""
    ends = np.cumsum(weights.astype(float))
    return ends / ends[-1] if len(ends) and ends[-1] > 0 else np.ones(len(ends))
