"""Junction trees: how columns that interact are gathered into cliques, so that exact inference is local. Knows no probabilities.

The interaction graph has an edge between columns that stand in one scope. It is triangulated by greedy elimination, least fill-in first
(Koller & Friedman 2009, section 9.4.3), and its maximal cliques are joined by a spanning tree of largest separators, which gives them
the running intersection property (Jensen & Jensen 1994, arXiv 1302.6822).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

Scope = tuple[int, ...]


@dataclass(frozen=True)
class JunctionTree:
    """Cliques in an order in which every parent stands before its children.

    Attributes
    ----------
    sizes : number of values of each column.
    cliques : columns of each clique, those that it shares with its parent first.
    parents : position of each clique's parent, -1 for the root of each tree.
    """

    sizes: tuple[int, ...]
    cliques: tuple[Scope, ...]
    parents: tuple[int, ...]

    @cached_property
    def separators(self) -> tuple[Scope, ...]:
        """The columns that each clique shares with its parent; none for a root."""
        out = []
        for clique, parent in zip(self.cliques, self.parents, strict=True):
            shared = set(self.cliques[parent]) if parent >= 0 else set()
            out.append(tuple(column for column in clique if column in shared))
        return tuple(out)

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Parent and children of each clique."""
        out: list[list[int]] = [[] for _ in self.cliques]
        for child, parent in enumerate(self.parents):
            if parent >= 0:
                out[child].append(parent)
                out[parent].append(child)
        return tuple(map(tuple, out))

    @cached_property
    def n_cells(self) -> int:
        """Cells of all cliques' tables together."""
        return sum(self.cells_of(clique) for clique in self.cliques)

    def cells_of(self, scope: Scope) -> int:
        """Cells of a table over some columns."""
        return prod(self.sizes[column] for column in scope)

    def home(self, scope: Scope) -> int:
        """The clique with the fewest cells that holds all columns of a scope.

        Raises
        ------
        ValueError : none does.
        """
        holders = [i for i, clique in enumerate(self.cliques) if set(scope) <= set(clique)]
        if not holders:
            raise ValueError("No clique holds all columns of this scope.")
        return min(holders, key=lambda i: self.cells_of(self.cliques[i]))

    def cells_with(self, first: int, second: int) -> int:
        """Cells of the junction tree of `scopes_with`, at most."""
        path = self._path(first, second)
        if path is None:
            return self.n_cells + self.sizes[first] * self.sizes[second]
        return self.n_cells + (min(self._carried(first, path[1:]), self._carried(second, path[:-1])) if len(path) > 1 else 0)

    def scopes_with(self, first: int, second: int) -> list[Scope]:
        """The cliques after one of two columns is carried to the other along the tree, whichever is cheaper.

        Columns of two trees are joined by a clique of the pair alone. What results needs no fill-in.
        """
        path = self._path(first, second)
        if path is None:
            return [*self.cliques, (first, second)]
        if len(path) == 1:
            return list(self.cliques)
        is_first = self._carried(first, path[1:]) <= self._carried(second, path[:-1])
        column, along = (first, path[1:]) if is_first else (second, path[:-1])
        return [(*clique, column) if i in along else clique for i, clique in enumerate(self.cliques)]

    def _carried(self, column: int, along: Sequence[int]) -> int:
        return sum(self.cells_of(self.cliques[i]) for i in along) * (self.sizes[column] - 1)

    def _path(self, first: int, second: int) -> list[int] | None:
        """Shortest way through the tree from a clique with `first` to one with `second`; None where there is none."""
        before = {i: -1 for i, clique in enumerate(self.cliques) if first in clique}
        waiting = list(before)
        for i in waiting:  # grows while it is walked
            if second in self.cliques[i]:
                path = [i]
                while before[path[-1]] >= 0:
                    path.append(before[path[-1]])
                return path[::-1]
            for neighbour in self.neighbours[i]:
                if neighbour not in before:
                    before[neighbour] = i
                    waiting.append(neighbour)
        return None


def junction_tree(sizes: Sequence[int], scopes: Sequence[Scope]) -> JunctionTree:
    """A junction tree in which every scope lies within a clique; columns in no scope are cliques of their own.

    >>> junction_tree((2, 2, 2), [(0, 1), (1, 2)]).cliques
    ((0, 1), (1, 2))
    """
    cliques = _maximal(_eliminate(sizes, scopes))
    parents, order = _spanning_tree(cliques, sizes)
    place = {old: new for new, old in enumerate(order)}
    arranged, above = [], []
    for old in order:
        parent = parents[old]
        shared = cliques[parent] & cliques[old] if parent >= 0 else frozenset()
        arranged.append((*sorted(shared), *sorted(cliques[old] - shared)))
        above.append(place[parent] if parent >= 0 else -1)
    return JunctionTree(tuple(sizes), tuple(arranged), tuple(above))


def _eliminate(sizes: Sequence[int], scopes: Sequence[Scope]) -> list[frozenset[int]]:
    """Each column with its neighbours when it is eliminated, least fill-in first, then fewest cells."""
    near: dict[int, set[int]] = {column: set() for column in range(len(sizes))}
    for scope in scopes:
        for column in scope:
            near[column] |= set(scope) - {column}

    def price(column: int) -> tuple[int, int, int]:
        around = near[column]
        missing = sum(len(around - near[other]) - 1 for other in around)
        return missing, sizes[column] * prod(sizes[other] for other in around), column

    prices = {column: price(column) for column in near}
    out = []
    while near:
        column = min(prices, key=prices.__getitem__)
        around = near.pop(column)
        del prices[column]
        out.append(frozenset(around | {column}))
        for other in around:
            near[other] |= around - {other}
            near[other].discard(column)
        for other in around.union(*(near[one] for one in around)):
            prices[other] = price(other)
    return out


def _maximal(cliques: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    return [one for i, one in enumerate(cliques) if not any(one < other or (one == other and j < i) for j, other in enumerate(cliques))]


def _spanning_tree(cliques: Sequence[frozenset[int]], sizes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Parent of each clique (-1: none) in a spanning forest of largest separators, and the cliques with parents first (Prim)."""
    parents, order = [-1] * len(cliques), list[int]()
    best: dict[int, tuple[int, int]] = dict.fromkeys(range(len(cliques)), (0, -1))
    while best:
        i = max(best, key=lambda one: (best[one][0], prod(sizes[c] for c in cliques[one]) if not order else 0, -one))
        parents[i] = best.pop(i)[1]
        order.append(i)
        for other, (shared, _) in best.items():
            more = len(cliques[i] & cliques[other])
            if more > shared:
                best[other] = (more, i)
    return parents, order
