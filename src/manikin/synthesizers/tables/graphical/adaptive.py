"""AIM: which tables to ask for next, round after round, until the budget is used (McKenna et al. 2022, arXiv 2201.12677).

A round chooses the pair of columns that the model so far answers worst, less what the noise of asking would add; asks for its table; and
fits the model again. When the table brings no more than its noise, the next rounds ask with four times the precision. Knows budgets only
as the precision mu^2 that it is told to spend; who answers, and whether for noise, is the business of `Answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from manikin.synthesizers.tables.graphical.estimation import Field, Measurement, distribution, estimate
from manikin.synthesizers.tables.graphical.inference import Floats
from manikin.synthesizers.tables.graphical.junction_tree import JunctionTree, Scope, junction_tree
from manikin.synthesizers.tables.graphical.pairs import pair_marginals

LEAST = 1e-6  # share of a budget that is not worth a round
MEAN_NOISE = float(np.sqrt(2 / np.pi))  # mean absolute value of noise with standard deviation 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the budget is used.

    Attributes
    ----------
    rounds : as many rounds would use up the budget if none asked for more precision. target_share : of the budget, for pairs with a
        target, before all others. target_rounds : how many of these, as a multiple of the number of columns. selection_share : share of
        a round's precision that the choice takes. max_cells : most cells of the junction tree, times the share of the budget that is
        used. n_steps : steps of each fit; the last takes `last_steps`. shrinkage : see `estimation`.
    """

    rounds: int
    target_share: float = 0.2
    target_rounds: float = 0.25
    selection_share: float = 0.1
    max_cells: int = 200_000
    n_steps: int = 20
    last_steps: int = 200
    shrinkage: float = 0.5


class Answers(Protocol):
    """Who looks at the rows."""

    def group(self, groups: Sequence[npt.NDArray[np.int64]]) -> None:
        """From now on a column's values are groups of its tokens, int64 (n_tokens,) for each column."""
        ...

    def left(self) -> float:
        """The precision that may still be spent, if it is less than what was planned."""
        ...

    def noise(self, precision: float) -> float:
        """The standard deviation of a table's cells at a precision, in rows."""
        ...

    def choose(self, workload: Workload, expected: Floats, penalty: Floats, among: npt.NDArray[np.int64], precision: float) -> int:
        """The pair, one of `among`, whose table is farthest from what is expected."""
        ...

    def table(self, scope: Scope, precision: float) -> Measurement:
        """How many rows lie in each cell."""
        ...


@dataclass(frozen=True)
class Workload:
    """The tables that the model shall answer: all pairs of columns.

    Attributes
    ----------
    sizes : values of each column. targets : columns whose pairs are asked for before others.
    pairs, cells : the pairs, and the cells of each one's table. starts : where its cells begin, with all tables in a row.
    """

    sizes: tuple[int, ...]
    targets: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = field(init=False)
    cells: npt.NDArray[np.int64] = field(init=False)
    starts: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        pairs = tuple(combinations(range(len(self.sizes)), 2))
        cells = np.array([self.sizes[first] * self.sizes[second] for first, second in pairs], dtype=np.int64)
        object.__setattr__(self, "pairs", pairs)
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "starts", np.concatenate([[0], np.cumsum(cells)[:-1]]).astype(np.int64))

    def tables(self, tokens: npt.NDArray[Any]) -> Floats:
        """All pairs' tables one after the other, float64 (n_cells,). `tokens` (n_rows, n_columns)."""
        columns = np.ascontiguousarray(tokens.T, dtype=np.int32)
        found = [
            np.bincount(columns[first] * np.int32(self.sizes[second]) + columns[second], minlength=size)
            for (first, second), size in zip(self.pairs, self.cells.tolist(), strict=True)
        ]
        return np.concatenate(found).astype(np.float64)

    def expected(self, model: Field, total: float) -> Floats:
        """The same tables by a model, in rows."""
        made = pair_marginals(model.marginals)
        return total * np.concatenate([made[pair].ravel() for pair in self.pairs])

    def errors(self, tables: Floats, expected: Floats) -> Floats:
        """Sum over each pair's cells of the difference, float64 (n_pairs,), in rows."""
        return np.asarray(np.add.reduceat(np.abs(tables - expected), self.starts))


def learn(
    answers: Answers, workload: Workload, columns: Sequence[Measurement], *, total: float, budget: float, plan: Plan
) -> Field:
    """The field after all rounds; they spend exactly `budget`.

    Parameters
    ----------
    columns : tables of each column, which are there already. total : number of rows. budget : precision.
    """
    rounds = _Rounds(answers, workload, columns, total, budget, plan)
    of_targets = np.array([i for i, pair in enumerate(workload.pairs) if set(pair) & set(workload.targets)], dtype=np.int64)
    if 0 < len(of_targets) < len(workload.pairs):
        n_first = max(1, round(plan.target_rounds * len(workload.sizes)))
        rounds.run(of_targets, plan.target_share * budget, n_first, adapts=False)
    rounds.run(np.arange(len(workload.pairs)), rounds.left, plan.rounds, adapts=True)
    return rounds.finished()


class _Rounds:
    """What was asked so far, and the model of it."""

    def __init__(
        self,
        answers: Answers,
        workload: Workload,
        columns: Sequence[Measurement],
        total: float,
        budget: float,
        plan: Plan,
    ) -> None:
        self.answers, self.workload, self.plan = answers, workload, plan
        self.asked, self.total, self.budget, self.left = list(columns), total, budget, budget
        self.base = [distribution(one.counts, total) for one in columns]
        self.tree = junction_tree(workload.sizes, [one.scope for one in columns])
        self.model = self._fitted(None, plan.n_steps)

    def run(self, pairs: npt.NDArray[np.int64], budget: float, n_rounds: int, *, adapts: bool) -> None:
        """Rounds among some pairs until a part of the budget is used; without pairs it is not."""
        step, end = budget / n_rounds, self.left - budget
        while len(pairs) and self.left > end:
            self.left = min(self.left, self.answers.left())
            rest = self.left - end
            if rest <= LEAST * budget:
                break
            now = rest if rest < 2 * step else step
            brings_little = self._round(pairs, now)
            self.left = end if now == rest else self.left - now
            if brings_little and adapts:
                step *= 4

    def finished(self) -> Field:
        """The last fit, a long one."""
        return self._fitted(self.model, self.plan.last_steps)

    def _round(self, pairs: npt.NDArray[np.int64], now: float) -> bool:
        """Chooses, asks and fits; whether the table moved the model by no more than its noise."""
        workload, choice = self.workload, self.plan.selection_share * now
        limit = self.plan.max_cells * (1 - (self.left - now) / self.budget)
        among = _candidates(self.tree, workload, pairs, max(limit, self.tree.n_cells))
        noise = self.answers.noise(now - choice)
        expected = workload.expected(self.model, self.total)
        penalty = np.asarray(MEAN_NOISE * noise * workload.cells)
        chosen = self.answers.choose(workload, expected, penalty, among, choice)
        pair = workload.pairs[chosen]
        self.asked.append(self.answers.table(pair, now - choice))
        self.tree = _grown(self.tree, workload, chosen, [one.scope for one in self.asked])
        self.model = self._fitted(self.model, self.plan.n_steps)
        before = expected[workload.starts[chosen] : workload.starts[chosen] + workload.cells[chosen]]
        change = np.abs(self.total * self.model.marginals.of(pair).ravel() - before).sum()
        return bool(change <= penalty[chosen])

    def _fitted(self, start: Field | None, n_steps: int) -> Field:
        return estimate(
            self.tree,
            self.asked,
            self.base,
            self.total,
            start=None if start is None else start.potentials,
            n_steps=n_steps,
            shrinkage=self.plan.shrinkage,
        )


def _candidates(
    tree: JunctionTree, workload: Workload, pairs: npt.NDArray[np.int64], limit: float
) -> npt.NDArray[np.int64]:
    """Those of some pairs that keep the junction tree within its limit, or the ones with the fewest cells when none does."""
    cells = np.array([tree.cells_with(*workload.pairs[i]) for i in pairs.tolist()])
    return pairs[cells <= max(limit, cells.min())]


def _grown(tree: JunctionTree, workload: Workload, chosen: int, scopes: Sequence[Scope]) -> JunctionTree:
    """The smaller of the tree made anew and the old one with the pair carried along."""
    anew = junction_tree(workload.sizes, scopes)
    carried = junction_tree(workload.sizes, tree.scopes_with(*workload.pairs[chosen]))
    return min(anew, carried, key=lambda one: one.n_cells)
