"""A Markov random field from noisy tables of some of its columns, each with noise of its own. Knows no data and no budget.

Of all distributions p the one is taken that maximises

    - shrinkage * N * KL(p || q)  -  sum_i || N M_i p - y_i ||^2 / (2 sigma_i^2)

where y_i is a noisy table of the columns of scope i, sigma_i the standard deviation of its noise, M_i p the marginal of p, N the number of
rows and q the product of the columns' own distributions: the fit that private-PGM asks for (McKenna, Sheldon & Miklau 2019, arXiv
1901.09136), and beside it a prior that leaves cells which noise covers as if columns were independent. p is q times a product of
exp theta_i(x_i), and theta minimises the convex dual

    N log Z(theta)  -  sum_i theta_i . y_i  +  shrinkage / 2 * sum_i sigma_i^2 || theta_i ||^2

(penalised likelihood with relaxed constraints: Dudik, Phillips & Schapire 2007, JMLR 8). It is solved by L-BFGS, each theta scaled by the
curvature at the start; a warm start makes a few steps enough when a table is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from manikin.synthesizers.tables.graphical.inference import Floats, Marginals, expanded, propagate, summed
from manikin.synthesizers.tables.graphical.junction_tree import JunctionTree, Scope

LEAST_NOISE = 0.5  # in rows; exact tables are fitted as if rounded, so that no potential runs to infinity
MEMORY = 12  # steps that L-BFGS remembers


@dataclass(frozen=True)
class Measurement:
    """A noisy table.

    Attributes
    ----------
    scope : its columns. counts : float64, one axis per column; may be negative. noise : standard deviation in rows, of all or each cell.
    """

    scope: Scope
    counts: Floats
    noise: float | Floats


@dataclass(frozen=True)
class Field:
    """A Markov random field: its potentials by scope, and what they say."""

    potentials: Mapping[Scope, Floats]
    marginals: Marginals


def pooled(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Tables of one scope as one, weighted by their precision, which loses nothing."""
    by_scope: dict[Scope, list[Measurement]] = {}
    for one in measurements:
        by_scope.setdefault(one.scope, []).append(one)
    out = []
    for scope, own in by_scope.items():
        weights = np.stack([np.broadcast_to(np.maximum(one.noise, LEAST_NOISE) ** -2.0, one.counts.shape) for one in own])
        counts = (weights * np.stack([one.counts for one in own])).sum(axis=0) / weights.sum(axis=0)
        out.append(Measurement(scope, counts, weights.sum(axis=0) ** -0.5))
    return out


def distribution(counts: Floats, total: float, *, least: float = 0.5) -> Floats:
    """The nearest shares to noisy counts that are no less than `least` rows and add up to 1, float64 (n,)."""
    least = min(least, total / (2 * len(counts)))
    falling = np.sort(counts - least)[::-1]
    surplus = np.cumsum(falling) - (total - least * len(counts))
    n_above = int(np.flatnonzero(falling * np.arange(1, len(counts) + 1) > surplus)[-1]) + 1
    out = np.maximum(counts - least - surplus[n_above - 1] / n_above, 0.0) + least
    return np.asarray(out / out.sum())


def estimate(
    tree: JunctionTree,
    measurements: Sequence[Measurement],
    base: Sequence[Floats],
    total: float,
    *,
    start: Mapping[Scope, Floats] | None = None,
    n_steps: int = 30,
    shrinkage: float = 0.5,
) -> Field:
    """The field that fits noisy tables.

    Parameters
    ----------
    tree : one that holds every scope. base : per column, its distribution in q; all above 0. total : number of rows N.
    start : potentials to start from; those that are missing are 0.
    n_steps : most steps of L-BFGS. shrinkage : weight of the prior, above 0; 1 takes deviations from independence to be of the size that
        chance alone makes.
    """
    tables = pooled(measurements)
    problem = _Dual(tree, tables, base, total, shrinkage, dict(start or {}))
    found = minimize(problem, problem.start, jac=True, method="L-BFGS-B", options={"maxiter": n_steps, "maxcor": MEMORY})
    return problem.field(found.x)


class _Dual:
    """The dual in scaled potentials, and its gradient."""

    def __init__(
        self,
        tree: JunctionTree,
        tables: Sequence[Measurement],
        base: Sequence[Floats],
        total: float,
        shrinkage: float,
        start: dict[Scope, Floats],
    ) -> None:
        self.tree, self.tables, self.total = tree, tables, total
        self.homes = [tree.home(one.scope) for one in tables]
        self.ridge = [shrinkage * np.square(one.noise) for one in tables]
        ends = np.cumsum([one.counts.size for one in tables])
        self.spans = [slice(end - one.counts.size, end) for end, one in zip(ends.tolist(), tables, strict=True)]
        self.base = [np.zeros([tree.sizes[column] for column in clique]) for clique in tree.cliques]
        for column, own in enumerate(base):
            home = tree.home((column,))
            self.base[home] += expanded(np.log(own), (column,), tree.cliques[home])
        theta = [start.get(one.scope, np.zeros_like(one.counts)) for one in tables]
        marginals = self._marginals(theta)
        curvature = [total * self._own(marginals, i) + ridge for i, ridge in enumerate(self.ridge)]
        self.scale = np.concatenate([one.ravel() for one in curvature]) ** -0.5
        self.start = np.concatenate([one.ravel() for one in theta]) / self.scale

    def __call__(self, scaled: Floats) -> tuple[float, Floats]:
        """Value over N, and gradient; lower is better."""
        theta = self._theta(scaled)
        marginals = self._marginals(theta)
        value, gradient = self.total * marginals.log_partition, np.empty_like(scaled)
        for i, (one, own, ridge, span) in enumerate(zip(self.tables, theta, self.ridge, self.spans, strict=True)):
            value += float((own * (ridge / 2 * own - one.counts)).sum())
            gradient[span] = (self.total * self._own(marginals, i) - one.counts + ridge * own).ravel()
        return value / self.total, gradient * self.scale / self.total

    def field(self, scaled: Floats) -> Field:
        """The field at a point."""
        theta = self._theta(scaled)
        return Field({one.scope: own for one, own in zip(self.tables, theta, strict=True)}, self._marginals(theta))

    def _theta(self, scaled: Floats) -> list[Floats]:
        flat = scaled * self.scale
        return [flat[span].reshape(one.counts.shape) for one, span in zip(self.tables, self.spans, strict=True)]

    def _own(self, marginals: Marginals, i: int) -> Floats:
        return summed(marginals.cliques[self.homes[i]], self.tree.cliques[self.homes[i]], self.tables[i].scope)

    def _marginals(self, theta: Sequence[Floats]) -> Marginals:
        sums = [own.copy() for own in self.base]
        for one, own, home in zip(self.tables, theta, self.homes, strict=True):
            sums[home] += expanded(own, one.scope, self.tree.cliques[home])
        return propagate(self.tree, sums)
