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

MEAN_NOISE = float(np.sqrt(2 / np.pi))  # mean absolute value of noise with standard deviation 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the budget is used.

    Attributes
    ----------
    rounds : as many rounds would use up the budget if none asked for more precision. selection_share : share of a round's precision that
        the choice takes. max_cells : most cells of the junction tree, times the share of the budget that is used. n_steps : steps of
        each fit; the last takes `last_steps`. shrinkage : see `estimation`.
    """

    rounds: int
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
    sizes : values of each column. importance : of each column, above 0; a pair's weight is the product of its columns'.
    pairs, weights, cells : the pairs, the weight of each, the cells of its table. starts : where its cells begin, with all tables in a
        row.
    """

    sizes: tuple[int, ...]
    importance: tuple[float, ...]
    weights: Floats = field(init=False)
    pairs: tuple[tuple[int, int], ...] = field(init=False)
    cells: npt.NDArray[np.int64] = field(init=False)
    starts: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        pairs = tuple(combinations(range(len(self.sizes)), 2))
        cells = np.array([self.sizes[first] * self.sizes[second] for first, second in pairs], dtype=np.int64)
        weights = np.array([self.importance[first] * self.importance[second] for first, second in pairs])
        object.__setattr__(self, "weights", weights)
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
    asked = list(columns)
    tree = junction_tree(workload.sizes, [one.scope for one in asked])
    base = [distribution(one.counts, total) for one in asked]
    model = estimate(tree, asked, base, total, n_steps=plan.n_steps, shrinkage=plan.shrinkage)
    left, step = budget, budget / plan.rounds
    while left > 0 and workload.pairs:
        now = left if left < 2 * step else step
        limit = plan.max_cells * (1 - (left - now) / budget)
        among = _candidates(tree, workload, max(limit, tree.n_cells))
        noise = answers.noise((1 - plan.selection_share) * now)
        expected = workload.expected(model, total)
        penalty = np.asarray(MEAN_NOISE * noise * workload.cells)
        chosen = answers.choose(workload, expected, penalty, among, plan.selection_share * now)
        asked.append(answers.table(workload.pairs[chosen], (1 - plan.selection_share) * now))
        left = 0.0 if now == left else left - now
        tree = _grown(tree, workload, chosen, [one.scope for one in asked])
        n_steps = plan.n_steps if left else plan.last_steps
        model = estimate(
            tree, asked, base, total, start=model.potentials, n_steps=n_steps, shrinkage=plan.shrinkage
        )
        before = expected[workload.starts[chosen] : workload.starts[chosen] + workload.cells[chosen]]
        change = np.abs(total * model.marginals.of(workload.pairs[chosen]).ravel() - before).sum()
        if change <= MEAN_NOISE * noise * workload.cells[chosen]:
            step *= 4
    return model


def _candidates(tree: JunctionTree, workload: Workload, limit: float) -> npt.NDArray[np.int64]:
    """Positions of the pairs that keep the junction tree within its limit; those within a clique always do."""
    return np.array([i for i, pair in enumerate(workload.pairs) if tree.cells_with(*pair) <= limit], dtype=np.int64)


def _grown(tree: JunctionTree, workload: Workload, chosen: int, scopes: Sequence[Scope]) -> JunctionTree:
    """The smaller of the tree made anew and the old one with the pair carried along."""
    anew = junction_tree(workload.sizes, scopes)
    carried = junction_tree(workload.sizes, tree.scopes_with(*workload.pairs[chosen]))
    return min(anew, carried, key=lambda one: one.n_cells)
