"""Rows from a Markov random field: each column given those drawn before it, exactly, also around given cells. Knows no data.

In a junction tree every column is independent of all columns drawn before it but those of its clique, so a field is a chain of conditional
tables P(column | its parents) along the tree. Given cells send messages back along the same chain: the probability of what is given
further down, as a function of the parents, worked out once for each different combination of given values (bucket elimination, Dechter
1999, doi:10.1016/S0004-3702(99)00059-4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from manikin.synthesizers.tables.graphical.inference import Floats, Marginals, summed
from manikin.synthesizers.tables.graphical.junction_tree import Scope

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_CELLS_AT_ONCE = 4_000_000  # of a message to many rows, 32 MB
LEAST = 1e-12  # chance that any value keeps, so that no given row is impossible


@dataclass(frozen=True)
class Chain:
    """Columns in the order in which they are drawn.

    Attributes
    ----------
    order : the columns. parents : for each place in the order, columns drawn before it. tables : for each place, P(column | parents),
        float64 (sizes of the parents …, size of the column).
    """

    order: Scope
    parents: tuple[Scope, ...]
    tables: tuple[Floats, ...]

    @cached_property
    def place(self) -> dict[int, int]:
        """Where in the order each column stands."""
        return {column: k for k, column in enumerate(self.order)}

    @cached_property
    def target(self) -> tuple[int, ...]:
        """For each place, the last drawn of its parents, which its message goes to; -1 where there are none."""
        return tuple(max((self.place[column] for column in own), default=-1) for own in self.parents)

    def messages(self, values: Ints, given: Bools) -> Messages:
        """What given cells say to the columns drawn before them.

        Parameters
        ----------
        values : (n_rows, n_columns). given : bool (n_columns,), which of them are given, the same in all rows.
        """
        return Messages(self, values, given)

    def chances(self, k: int, values: Ints, messages: Messages | None = None) -> Floats:
        """P(column at place k | columns drawn before it, and given cells), float64 (n_rows, size), up to a factor for each row."""
        rows = tuple(values[:, column] for column in self.parents[k])
        own = self.tables[k][rows] if rows else np.repeat(self.tables[k][None], len(values), axis=0)
        return own if messages is None else messages.onto(k, own, values)


def chain(marginals: Marginals) -> Chain:
    """The chain of a field: clique after clique, in each the columns that are new."""
    tree = marginals.tree
    order: list[int] = []
    parents, tables = [], []
    for clique, separator, table in zip(tree.cliques, tree.separators, marginals.cliques, strict=True):
        for i in range(len(separator), len(clique)):
            scope = clique[: i + 1]
            own = summed(table, clique, scope) + LEAST / tree.cells_of(scope)
            order.append(clique[i])
            parents.append(scope[:-1])
            tables.append(own / own.sum(axis=-1, keepdims=True))
    return Chain(tuple(order), tuple(parents), tuple(tables))


class Messages:
    """Messages of given cells: for each place that has something given behind it, P(that | its parents)."""

    def __init__(self, chain: Chain, values: Ints, given: Bools) -> None:
        self.chain, self.values, self.given = chain, values, given
        n = len(chain.order)
        self.behind: list[set[int]] = [set() for _ in range(n)]  # given columns at or behind each place
        self.sources: list[list[int]] = [[] for _ in range(n)]
        self.sent: dict[int, tuple[Scope, Floats, Ints]] = {}  # free parents, message (n_combinations, their sizes …), row -> combination
        for k in range(n - 1, -1, -1):
            if given[chain.order[k]]:
                self.behind[k].add(chain.order[k])
            to = chain.target[k]
            if to >= 0 and self.behind[k]:
                self.behind[to] |= self.behind[k]
                self.sources[to].append(k)
        for k in range(n - 1, -1, -1):
            if self.behind[k] and any(not given[column] for column in chain.parents[k]):
                self.sent[k] = self._send(k)

    def _send(self, k: int) -> tuple[Scope, Floats, Ints]:
        """Sums the bucket of a place over its column, for each combination of given values that it depends on."""
        column, parents = self.chain.order[k], self.chain.parents[k]
        needed = sorted(self.behind[k] | {one for one in parents if self.given[one]})
        combinations, first, of_row = _combinations(self.values[:, needed])
        free = tuple(one for one in parents if not self.given[one])
        scope = free if self.given[column] else (*free, column)
        sizes = dict(zip((*parents, column), self.chain.tables[k].shape, strict=True))
        out = np.empty((combinations, *(sizes[one] for one in free)))
        step = max(1, MOST_CELLS_AT_ONCE // prod(sizes[one] for one in scope))
        for start in range(0, combinations, step):
            rows = first[start : start + step]
            table = self._sliced(self.chain.tables[k], (*parents, column), scope, rows)
            for source in self.sources[k]:
                if source in self.sent:
                    theirs, message, their_row = self.sent[source]
                    table *= _spread(message[their_row[rows]], theirs, scope)
            own = table if self.given[column] else table.sum(axis=-1)
            flat = own.reshape(len(rows), -1)
            flat /= np.maximum(flat.max(axis=1, keepdims=True), 1e-300)
            out[start : start + step] = own
        return free, out, of_row

    def _sliced(self, table: Floats, scope: Scope, free: Scope, rows: Ints) -> Floats:
        """The table at the given values of some rows, float64 (n_rows, sizes of the free columns …)."""
        held = [one for one in scope if self.given[one]]
        turned = table.transpose([scope.index(one) for one in (*held, *free)])
        if not held:
            return np.repeat(turned[None], len(rows), axis=0)
        return np.asarray(turned[tuple(self.values[rows, one] for one in held)])

    def onto(self, k: int, chances: Floats, values: Ints) -> Floats:
        """The chances of a place times what the places behind it say."""
        column = self.chain.order[k]
        for source in self.sources[k]:
            if source in self.sent:
                free, message, of_row = self.sent[source]
                if column not in free:
                    continue
                at = [of_row, *(values[:, one] for one in free if one != column)]
                turned = np.moveaxis(message, 1 + free.index(column), -1)
                chances = chances * turned[tuple(at)]
        return chances


def _spread(message: Floats, own: Scope, onto: Scope) -> Floats:
    """A message (n_rows, sizes of own …) that broadcasts against (n_rows, sizes of onto …)."""
    order = sorted(range(len(own)), key=lambda axis: onto.index(own[axis]))
    turned = message.transpose([0, *(1 + axis for axis in order)])
    shape = [message.shape[0], *([1] * len(onto))]
    for axis in order:
        shape[1 + onto.index(own[axis])] = message.shape[1 + axis]
    return turned.reshape(shape)


def _combinations(values: Ints) -> tuple[int, Ints, Ints]:
    """Number of different rows, the first row of each, and which of them each row is."""
    _, first, of_row = np.unique(values, axis=0, return_index=True, return_inverse=True)
    return len(first), first, of_row.ravel()


def sizes_of(chain: Chain) -> Sequence[int]:
    """Number of values of each column."""
    sizes = [0] * len(chain.order)
    for column, table in zip(chain.order, chain.tables, strict=True):
        sizes[column] = table.shape[-1]
    return sizes
