"""How long a patient's record is and how many rows of each table it has, drawn before anything else: groups of patients in a tree.

From counts. Each number is a group of at least `FEWEST` patients; which group follows from the patient's group of the one number before it
that says most, and what that leaves open is drawn for all numbers together, by a Gaussian copula: who has many rows of one table has many
of others. Knows numbers, not what they count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from manikin.data.errors import ModelFolderError
from manikin.synthesizers.records.chances import NONE, Chances, counted

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
MOST_GROUPS, FEWEST = 12, 11  # of one number; patients of a group
POWERS = (0.125, 8.0)  # of the even numbers that a group of rows is drawn by
MORE = 3  # rows beyond the low of the last group that may always be drawn
TAIL = 4.0  # times the mean excess of the last group up to which rows are drawn
MOST_HOURS, MOST_ROWS = 1 << 53, 1_000_000  # of a record; of a table. More counts as that


@dataclass(frozen=True)
class RowGroups:
    """Groups of patients by their rows of a table: 0 has none, group g has low[g] to high[g] rows, the last one has low and more.

    Attributes
    ----------
    low, high : int64 (n_groups,). power : float64 (n_groups,), low + (high - low + 1) * u ** power has the mean of the group.
    excess : rows above its low that the last group has in the mean; how many is drawn from the geometric distribution.
    """

    low: Ints
    high: Ints
    power: Floats
    excess: float

    def __len__(self) -> int:
        return len(self.low)

    @property
    def most(self) -> int:
        """The most rows that are drawn: those of the last group's first patient and `TAIL` times what its patients have beyond her."""
        most = int(self.low[-1] + (max(np.ceil(TAIL * self.excess), MORE) if self.excess > 0 else 0))
        return min(most, MOST_ROWS) if self.low[-1] <= MOST_ROWS else most  # hours of a clock that counts seconds may be more

    def tokens(self, rows: Ints) -> Ints:
        """The group of each number of rows."""
        return np.where(rows == 0, 0, np.maximum(np.searchsorted(self.low, rows, side="right") - 1, 1)).astype(np.int64)

    def draw(self, tokens: Ints, uniform: Floats) -> Ints:
        """The number of rows at a place, in [0, 1), of each group, from its fewest to its most."""
        low, high = self.low[tokens], self.high[tokens]
        within = np.minimum(low + np.floor((high - low + 1) * uniform ** self.power[tokens]), high)
        odds = np.log1p(1 / self.excess) if self.excess > 0 else np.inf
        reached = 1 - np.exp(-odds * (self.most - self.low[-1] + 1))  # the geometric distribution, cut there
        beyond = np.minimum(low + np.floor(-np.log1p(-uniform * reached) / odds), self.most)
        return np.where(tokens == len(self) - 1, beyond if len(self) > 1 else 0, within).astype(np.int64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays."""
        return {"low": self.low, "high": self.high, "power": self.power, "excess": np.array([self.excess])}

    @classmethod
    def from_state(cls, arrays: dict[str, npt.NDArray[Any]], most: int = MOST_ROWS) -> RowGroups:
        """The groups as saved, of numbers up to `most`.

        Raises
        ------
        ModelFolderError : they are none.
        """
        low, high, power, excess = arrays["low"], arrays["high"], arrays["power"], float(arrays["excess"][0])
        is_fit = low.ndim == 1 and 0 < len(low) == len(high) == len(power) and bool((np.diff(low) > 0).all() and (low <= high).all())
        is_fit = is_fit and low[0] == 0 and 0 <= excess <= most and bool(((power >= POWERS[0]) & (power <= POWERS[1])).all())
        if not is_fit or high[-1] > most:
            raise ModelFolderError("The numbers of rows of a model are none. Save the model again.")
        return cls(low, high, power, excess)


def group_rows(rows: Ints, most: int = MOST_GROUPS, fewest: int = FEWEST) -> RowGroups:
    """At most `most` groups of at least `fewest` patients each; what the most extreme have is told by means alone."""
    have = np.sort(rows[rows > 0])
    low, high, power, excess = [0], [0], [1.0], 0.0
    least = max(fewest, -(-len(have) // most))
    if 0 < len(have) < fewest:
        return RowGroups(np.array([0, 1]), np.array([0, 1]), np.ones(2), 0.0)
    at = 0
    while at < len(have):
        stop = int(np.searchsorted(have, have[min(at + least, len(have)) - 1], side="right"))
        if len(have) - stop < least:
            stop = len(have)
        first = int(have[at]) if at or (have == have[0]).sum() >= fewest else 1
        low.append(high[-1] + 1 if at else first)
        high.append(int(have[stop - 1]) if stop < len(have) else low[-1])
        own = have[at:stop].astype(float)
        if stop == len(have) and len(own) > 1:
            own[-1] = own[-2]  # the mean of the last group says nothing of the one patient who has most
        mean = float(own.mean())
        width, above = high[-1] - low[-1] + 1, mean - low[-1] + 0.5
        power.append(float(np.clip(np.round(width / max(above, 1e-9) - 1, 2), *POWERS)) if high[-1] > low[-1] else 1.0)
        excess = max(mean - low[-1], 0.0)
        at = stop
    return RowGroups(np.array(low), np.array(high), np.array(power), excess)


@dataclass(frozen=True)
class Outline:
    """The groups of the span and of each table's rows, and their chances; parent k is the k-th number before it, the span being 0.

    Attributes
    ----------
    mixing : float64 (n_numbers, n_numbers), lower triangular with rows of length 1: standard normals times it are what the numbers' places
        within their chances are drawn by.
    is_late : whether spans count from the patients' second moment: most of what lies before it is none of the record, as years since a
        birth.
    """

    groups: tuple[RowGroups, ...]
    chances: tuple[Chances, ...]
    mixing: Floats
    is_late: bool = False

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Hours and rows of each table, and the groups of both, int64 (n, 1 + n_tables) each."""
        tokens, rows = np.zeros((n, len(self.groups)), dtype=np.int64), np.zeros((n, len(self.groups)), dtype=np.int64)
        places = ndtr(rng.standard_normal((n, len(self.groups))) @ self.mixing.T)
        for i, (groups, chances) in enumerate(zip(self.groups, self.chances, strict=True)):
            edges = _edges(chances, len(groups))[_given(chances, tokens)]
            tokens[:, i] = np.minimum((edges[:, 1:] <= places[:, i, None]).sum(axis=1), len(groups) - 1)
            low, high = edges[np.arange(n), tokens[:, i]], edges[np.arange(n), tokens[:, i] + 1]
            rows[:, i] = groups.draw(tokens[:, i], np.clip((places[:, i] - low) / np.maximum(high - low, 1e-12), 0, 1 - 1e-9))
        return rows, tokens

    def tokens(self, spans: Floats, rows: Ints) -> Ints:
        """The groups of patients with these days from first to last event, (n,), and rows of each table, (n, n_tables)."""
        numbers = _numbers(spans, rows)
        return np.stack([groups.tokens(numbers[:, i]) for i, groups in enumerate(self.groups)], axis=1)

    @property
    def most(self) -> int:
        """The most rows of all tables that a patient may have."""
        return max(1, sum(groups.most for groups in self.groups[1:]))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays."""
        out: dict[str, npt.NDArray[Any]] = {"mixing": self.mixing, "is_late": np.array([self.is_late])}
        for i, (groups, chances) in enumerate(zip(self.groups, self.chances, strict=True)):
            out |= {f"{i}/{name}": array for name, array in (groups.state() | chances.state()).items()}
        return out

    @classmethod
    def from_state(cls, arrays: dict[str, npt.NDArray[Any]], n_tables: int) -> Outline:
        """The outline as saved.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        groups, chances = [], []
        for i in range(1 + n_tables):
            own = {name.removeprefix(f"{i}/"): array for name, array in arrays.items() if name.startswith(f"{i}/")}
            groups.append(RowGroups.from_state(own, MOST_ROWS if i else MOST_HOURS))
            chances.append(Chances.from_state(own, len(groups[-1])))
            if not chances[-1].shares.any():
                raise ModelFolderError("The outline of a model has no groups of patients. Save the model again.")
            if chances[-1].parent >= i or len(chances[-1].starts) - 1 > (len(groups[chances[-1].parent]) if chances[-1].parent >= 0 else 0):
                raise ModelFolderError("The outline of a model does not fit its tables. Save the model again.")
        mixing = arrays["mixing"]
        is_fit = mixing.shape == (1 + n_tables, 1 + n_tables) and bool(np.isfinite(mixing).all() and not np.triu(mixing, 1).any())
        if not is_fit or not np.allclose((mixing**2).sum(axis=1), 1.0):
            raise ModelFolderError("The outline of a model does not fit its tables. Save the model again.")
        return cls(tuple(groups), tuple(chances), mixing, bool(arrays["is_late"].any()))


def count_outline(spans: Floats, rows: Ints, *, is_late: bool = False) -> Outline:
    """From patients' days between their first (or second, `is_late`) and last moment, (n,), and their rows of each table, (n, n_tables)."""
    numbers, everybody = _numbers(spans, rows), np.arange(len(rows))
    groups: list[RowGroups] = []
    chances: list[Chances] = []
    known: dict[int, tuple[Ints, int]] = {}
    places, tokens = np.zeros(numbers.shape), np.zeros(numbers.shape, dtype=np.int64)
    for i in range(numbers.shape[1]):
        own = group_rows(numbers[:, i])
        tokens[:, i] = own.tokens(numbers[:, i])
        groups.append(own)
        chances.append(counted(tokens[:, i], np.ones(len(own), dtype=bool), known, everybody))
        known[i] = tokens[:, i], len(own)
        edges = _edges(chances[i], len(own))[_given(chances[i], tokens)]
        low, high = edges[everybody, tokens[:, i]], edges[everybody, tokens[:, i] + 1]
        places[:, i] = low + (high - low) * _within(numbers[:, i], tokens[:, i])
    return Outline(tuple(groups), tuple(chances), _mixing(places, numbers), is_late)


def _given(chances: Chances, tokens: Ints) -> Ints:
    """The group that each patient's next number follows from, int64 (n,), the last row of `_edges` where it follows from none."""
    return tokens[:, chances.parent] if chances.parent >= 0 else np.full(len(tokens), -1)


def _edges(chances: Chances, n: int) -> Floats:
    """Where the chance of each group begins and ends behind each group of the parent, float64 (n_given + 1, n + 1), those of all last."""
    n_given = len(chances.starts) - 1
    given = np.repeat(np.append(np.arange(n_given), NONE), n)
    p = np.exp(chances.nats(np.tile(np.arange(n), n_given + 1), given)).reshape(-1, n) * (chances.shares > 0)
    return np.concatenate([np.zeros((n_given + 1, 1)), np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)], axis=1)


def _within(numbers: Ints, groups: Ints) -> Floats:
    """Where each patient stands among those of her group, float64 (n,) in (0, 1); those who have the same stand together."""
    out = np.empty(len(numbers))
    for group in np.unique(groups):
        own = numbers[groups == group]
        out[groups == group] = (rankdata(own) - 0.5) / len(own)
    return out


def _mixing(places: Floats, numbers: Ints) -> Floats:
    """The factor of the correlations of places, float64 (n_patients, n_numbers), of patients; drawn towards none where these are few."""
    scores = ndtri(np.clip(places, 1e-3, 1 - 1e-3))
    spread = scores.std(axis=0)
    scores = np.where(spread > 0, (scores - scores.mean(axis=0)) / np.maximum(spread, 1e-9), 0.0)
    n, m = scores.shape
    kept = 1 - min(m / (2 * n), 1.0)
    together = kept * (scores.T @ scores) / n
    usual = np.array([np.unique(own, return_counts=True)[1].max(initial=0) for own in numbers.T])
    told = n - usual >= FEWEST  # else the score of a patient who alone has rows of a table would stand there
    together *= told & told[:, None]
    np.fill_diagonal(together, 1.0)
    lower = np.linalg.cholesky(together + 1e-6 * np.eye(m))
    return np.asarray(lower / np.sqrt((lower**2).sum(axis=1, keepdims=True)))


def _numbers(spans: Floats, rows: Ints) -> Ints:
    """The span in hours, begun ones counted whole, then the rows."""
    hours = np.minimum(np.ceil(spans * 24), MOST_HOURS).astype(np.int64)
    return np.concatenate([hours[:, None], np.minimum(rows, MOST_ROWS)], axis=1)
