"""The marginal of every pair of columns in a Markov random field, also of pairs that share no clique. Knows no data and no noise."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from manikin.synthesizers.tables.graphical.inference import Floats, Marginals, summed
from manikin.synthesizers.tables.graphical.junction_tree import Scope

LEAST = 1e-300


def pair_marginals(marginals: Marginals) -> dict[tuple[int, int], npt.NDArray[np.float64]]:
    """P(first, second) for all first < second, float64 (size of first, size of second).

    Within a clique it is a sum. For others the joint of a column and a separator is carried from clique to clique, as columns on both
    sides of a separator are independent given it.
    """
    walk = _Walk(marginals)
    return {(first, second): table for first in range(len(marginals.tree.sizes)) for second, table in walk.from_column(first)}


class _Walk:
    """Conditional tables along the edges of a tree, made once and used for every column."""

    def __init__(self, marginals: Marginals) -> None:
        self.marginals, self.tree = marginals, marginals.tree
        self.given = cache(self._given)
        self.onward = cache(self._onward)

    def from_column(self, first: int) -> list[tuple[int, Floats]]:
        """P(first, second) for every second column after the first."""
        tree, columns = self.tree, self.marginals.columns
        found: dict[int, Floats] = {}
        waiting: list[tuple[int, int, Floats]] = []
        holders = {i for i, clique in enumerate(tree.cliques) if first in clique}
        for i in holders:
            clique, table = tree.cliques[i], self.marginals.cliques[i]
            for second in clique:
                if second > first and second not in found:
                    found[second] = summed(table, clique, (first, second))
            for further in tree.neighbours[i]:
                shared = self.shared(i, further)
                if further not in holders and shared:
                    waiting.append((i, further, summed(table, clique, (first, *shared)).reshape(tree.sizes[first], -1)))
        while waiting:
            before, here, joint = waiting.pop()
            for second in tree.cliques[here]:
                if second > first and second not in found:
                    found[second] = joint @ self.given(before, here, second)
            onward = [one for one in tree.neighbours[here] if one != before and self.shared(here, one)]
            waiting += [(here, further, self.onward(before, here, further)(joint)) for further in onward]
        rest = range(first + 1, len(columns))
        return [(second, found[second] if second in found else np.outer(columns[first], columns[second])) for second in rest]

    def shared(self, first: int, second: int) -> Scope:
        """The separator of two neighbours."""
        return self.tree.separators[second if self.tree.parents[second] == first else first]

    def _given(self, before: int, here: int, column: int) -> Floats:
        """P(column | separator through which one comes), float64 (cells of the separator, size of the column)."""
        shared = self.shared(before, here)
        table = summed(self.marginals.cliques[here], self.tree.cliques[here], (*shared, column))
        flat = table.reshape(-1, self.tree.sizes[column])
        return np.asarray(flat / np.maximum(flat.sum(axis=1, keepdims=True), LEAST))

    def _onward(self, before: int, here: int, further: int) -> _Step:
        shared, onward = self.shared(before, here), self.shared(here, further)
        kept = tuple(column for column in shared if column in onward)
        dropped = tuple(column for column in shared if column not in onward)
        new = tuple(column for column in onward if column not in shared)
        table = summed(self.marginals.cliques[here], self.tree.cliques[here], (*kept, *dropped, *new))
        flat = table.reshape(self.tree.cells_of(kept), self.tree.cells_of(dropped), self.tree.cells_of(new))
        flat = flat / np.maximum(flat.sum(axis=2, keepdims=True), LEAST)
        return _Step(self.tree.sizes, shared, (*kept, *dropped), flat, (*kept, *new), onward)


class _Step:
    """From the joint of a column and one separator of a clique to its joint with another."""

    def __init__(self, sizes: Scope, shared: Scope, arranged: Scope, table: Floats, made: Scope, onward: Scope) -> None:
        self.table = table
        self.shape_in = [sizes[column] for column in shared]
        self.order_in = [0, *(1 + shared.index(column) for column in arranged)]
        self.shape_out = [sizes[column] for column in made]
        self.order_out = [0, *(1 + made.index(column) for column in onward)]

    def __call__(self, joint: Floats) -> Floats:
        n_kept, n_dropped, _ = self.table.shape
        own = joint.reshape(-1, *self.shape_in).transpose(self.order_in).reshape(len(joint), n_kept, n_dropped)
        out = np.matmul(own.transpose(1, 0, 2), self.table).transpose(1, 0, 2)
        return out.reshape(-1, *self.shape_out).transpose(self.order_out).reshape(len(joint), -1)
