"""Belief propagation in a junction tree: from log potentials to the marginals of every clique. Knows no data and no noise.

Each clique sends its parent the logarithm of the sum of exp of what it holds over the columns that the parent does not have (Shafer &
Shenoy 1990), which leaves it with a conditional table of these columns; on the way back each clique's marginal is that table times the
marginal of the columns that it shares with its parent. One exponential per cell, and sums run over the last axis of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from manikin.synthesizers.tables.graphical.junction_tree import JunctionTree, Scope

Floats = npt.NDArray[np.float64]


def expanded(table: Floats, scope: Scope, onto: Scope) -> Floats:
    """A view of a table over `scope` that broadcasts against one over `onto`, which holds all its columns."""
    order = sorted(range(len(scope)), key=lambda axis: onto.index(scope[axis]))
    shape = [1] * len(onto)
    for axis in order:
        shape[onto.index(scope[axis])] = table.shape[axis]
    return table.transpose(order).reshape(shape)


def summed(table: Floats, scope: Scope, onto: Scope) -> Floats:
    """A table over `scope` summed down to the columns `onto`, in their order."""
    kept = [column for column in scope if column in onto]
    away = tuple(axis for axis, column in enumerate(scope) if column not in onto)
    out = table.sum(axis=away) if away else table
    return np.asarray(out.transpose([kept.index(column) for column in onto]))


@dataclass(frozen=True)
class Marginals:
    """What a Markov random field says of its cliques.

    Attributes
    ----------
    cliques : per clique, P(clique) over its columns in the tree's order. conditionals : per clique, P(its other columns | those that it
        shares with its parent), same shape. log_partition : logarithm of the sum over all cells of exp of the potentials.
    """

    tree: JunctionTree
    cliques: tuple[Floats, ...]
    conditionals: tuple[Floats, ...]
    log_partition: float

    def of(self, scope: Scope) -> Floats:
        """P(scope), for a scope within a clique."""
        home = self.tree.home(scope)
        return summed(self.cliques[home], self.tree.cliques[home], scope)

    @cached_property
    def columns(self) -> tuple[Floats, ...]:
        """P(column) for each column."""
        return tuple(self.of((column,)) for column in range(len(self.tree.sizes)))


def propagate(tree: JunctionTree, potentials: Sequence[Floats]) -> Marginals:
    """The marginals of p(x) proportional to exp of the sum of potentials, one per clique over its columns.

    Two passes, no loops over cells: exact up to rounding. The potentials are used up: their memory becomes the answer's.
    """
    n = len(tree.cliques)
    beliefs = list(potentials)
    conditionals: list[Floats] = [np.empty(0)] * n
    log_partition = 0.0
    for i in range(n - 1, -1, -1):
        separator, parent = tree.separators[i], tree.parents[i]
        shape = beliefs[i].shape
        flat = beliefs[i].reshape(tree.cells_of(separator), -1)
        highest = flat.max(axis=1, keepdims=True)
        flat -= highest
        np.exp(flat, out=flat)
        sums = flat.sum(axis=1, keepdims=True)
        flat /= sums
        conditionals[i] = flat.reshape(shape)
        message = np.log(sums[:, 0]) + highest[:, 0]
        if parent < 0:
            log_partition += float(message[0])
        elif separator:
            beliefs[parent] += expanded(message.reshape(shape[: len(separator)]), separator, tree.cliques[parent])
        else:
            log_partition += float(message[0])
    cliques: list[Floats] = []
    for i, (separator, parent) in enumerate(zip(tree.separators, tree.parents, strict=True)):
        if parent < 0 or not separator:
            cliques.append(conditionals[i])
            continue
        above = summed(cliques[parent], tree.cliques[parent], separator)
        cliques.append(conditionals[i] * above.reshape(above.shape + (1,) * (len(tree.cliques[i]) - len(separator))))
    return Marginals(tree, tuple(cliques), tuple(conditionals), log_partition)
