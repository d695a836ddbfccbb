"""How long a patient's record is and how many rows of each table it has, drawn before anything else: groups of patients in a tree.

From counts. Each number is a group of at least `FEWEST` patients; which group follows from the patient's group of the one number before it
that says most. Knows numbers, not what they count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ModelFolderError
from manikin.synthesizers.records.chances import NONE, Chances, counted

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
MOST_GROUPS, FEWEST = 12, 11  # of one number; patients of a group
POWERS = (0.125, 8.0)  # of the even numbers that a group of rows is drawn by
MORE = 3  # rows beyond the low of the last group that may always be drawn
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
        """The most rows that are drawn: half as many again as those of the last group's first patient, or three more."""
        return int(self.low[-1] + (max(self.low[-1] // 2, MORE) if self.excess > 0 else 0))

    def tokens(self, rows: Ints) -> Ints:
        """The group of each number of rows."""
        return np.where(rows == 0, 0, np.maximum(np.searchsorted(self.low, rows, side="right") - 1, 1)).astype(np.int64)

    def draw(self, tokens: Ints, rng: np.random.Generator) -> Ints:
        """A number of rows of each group."""
        uniform = rng.random(len(tokens))
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
        mean = float(have[at:stop].mean())
        width, above = high[-1] - low[-1] + 1, mean - low[-1] + 0.5
        power.append(float(np.clip(np.round(width / max(above, 1e-9) - 1, 2), *POWERS)) if high[-1] > low[-1] else 1.0)
        excess = max(mean - low[-1], 0.0)
        at = stop
    return RowGroups(np.array(low), np.array(high), np.array(power), excess)


@dataclass(frozen=True)
class Outline:
    """The groups of the span and of each table's rows, and their chances; parent k is the k-th number before it, the span being 0."""

    groups: tuple[RowGroups, ...]
    chances: tuple[Chances, ...]

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Hours and rows of each table, and the groups of both, int64 (n, 1 + n_tables) each."""
        tokens, rows = np.zeros((n, len(self.groups)), dtype=np.int64), np.zeros((n, len(self.groups)), dtype=np.int64)
        for i, (groups, chances) in enumerate(zip(self.groups, self.chances, strict=True)):
            behind = tokens[:, chances.parent] if chances.parent >= 0 else np.full(n, NONE, dtype=np.int64)
            tokens[:, i] = chances.draw(behind, None, rng)
            rows[:, i] = groups.draw(tokens[:, i], rng)
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
        out: dict[str, npt.NDArray[Any]] = {}
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
            if chances[-1].parent >= i or len(chances[-1].starts) - 1 > (len(groups[chances[-1].parent]) if chances[-1].parent >= 0 else 0):
                raise ModelFolderError("The outline of a model does not fit its tables. Save the model again.")
        return cls(tuple(groups), tuple(chances))


def count_outline(spans: Floats, rows: Ints) -> Outline:
    """From patients' days between their first and last event, (n,), and their rows of each table, (n, n_tables)."""
    numbers, everybody = _numbers(spans, rows), np.arange(len(rows))
    groups: list[RowGroups] = []
    chances: list[Chances] = []
    known: dict[int, tuple[Ints, int]] = {}
    for i in range(numbers.shape[1]):
        own = group_rows(numbers[:, i])
        token = own.tokens(numbers[:, i])
        groups.append(own)
        chances.append(counted(token, np.ones(len(own), dtype=bool), known, everybody))
        known[i] = token, len(own)
    return Outline(tuple(groups), tuple(chances))


def _numbers(spans: Floats, rows: Ints) -> Ints:
    """The span in hours, begun ones counted whole, then the rows."""
    hours = np.minimum(np.ceil(spans * 24), MOST_HOURS).astype(np.int64)
    return np.concatenate([hours[:, None], np.minimum(rows, MOST_ROWS)], axis=1)
