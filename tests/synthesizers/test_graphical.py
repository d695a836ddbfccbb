"""The graphical model against brute force: every clever step equals the full joint distribution on small domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from manikin.synthesizers.tables.graphical.drawing import chain
from manikin.synthesizers.tables.graphical.estimation import Measurement, distribution, estimate
from manikin.synthesizers.tables.graphical.inference import Marginals, expanded, propagate, summed
from manikin.synthesizers.tables.graphical.junction_tree import JunctionTree, junction_tree
from manikin.synthesizers.tables.graphical.pairs import pair_marginals

SEEDS = range(60)


def model(seed: int) -> tuple[JunctionTree, Marginals, Any]:
    """A random tree, its marginals by propagation, and the joint distribution cell by cell."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    sizes = tuple(rng.integers(1, 4, n).tolist())
    scopes = [tuple(rng.choice(n, min(n, rng.integers(1, 4)), replace=False).tolist()) for _ in range(rng.integers(0, 6))]
    tree = junction_tree(sizes, scopes)
    potentials = [rng.normal(size=[sizes[column] for column in clique]) for clique in tree.cliques]
    joint = np.zeros(sizes)
    for potential, clique in zip(potentials, tree.cliques, strict=True):
        joint = joint + expanded(potential, clique, tuple(range(n)))
    made = propagate(tree, [potential.copy() for potential in potentials])
    assert made.log_partition == pytest.approx(np.log(np.exp(joint).sum()))
    assert all(any(set(scope) <= set(clique) for clique in tree.cliques) for scope in scopes)
    return tree, made, np.exp(joint) / np.exp(joint).sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_marginals_are_those_of_the_joint(seed: int) -> None:
    tree, made, joint = model(seed)
    every = tuple(range(len(tree.sizes)))
    for clique, table in zip(tree.cliques, made.cliques, strict=True):
        np.testing.assert_allclose(table, summed(joint, every, clique), atol=1e-12)
    for pair, table in pair_marginals(made).items():
        np.testing.assert_allclose(table, summed(joint, every, pair), atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_chances_given_any_columns_are_those_of_the_joint(seed: int) -> None:
    tree, made, joint = model(seed)
    every = tuple(range(len(tree.sizes)))
    given = np.random.default_rng(seed).random(len(every)) < 0.5
    rows = np.stack(np.meshgrid(*[np.arange(size) for size in tree.sizes], indexing="ij"), axis=-1).reshape(-1, len(every))
    drawn, chances = chain(made), np.ones(len(rows))
    messages = drawn.messages(rows, given)
    for k, column in enumerate(drawn.order):
        if not given[column]:
            own = drawn.chances(k, rows, messages)
            chances *= own[np.arange(len(rows)), rows[:, column]] / own.sum(axis=1)
    known = tuple(column for column in every if given[column])
    np.testing.assert_allclose(chances, joint.ravel() / summed(joint, every, known)[tuple(rows[:, c] for c in known)], atol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_running_intersection_and_the_promised_size_of_a_larger_tree(seed: int) -> None:
    tree, *_ = model(seed)
    for column in range(len(tree.sizes)):
        holders = [i for i, clique in enumerate(tree.cliques) if column in clique]
        assert sum(tree.parents[i] not in holders for i in holders) == 1, "the cliques of a column hang together"
    for first in range(len(tree.sizes)):
        for second in range(first):
            larger = junction_tree(tree.sizes, tree.scopes_with(first, second))
            assert larger.home((first, second)) >= 0
            assert larger.n_cells <= tree.cells_with(first, second)


def test_consistent_marginals_are_recovered_and_noise_is_smoothed() -> None:
    rng = np.random.default_rng(0)
    sizes, total, every = (3, 4, 2, 3), 5_000.0, (0, 1, 2, 3)
    joint = rng.dirichlet(np.full(72, 0.5)).reshape(sizes)
    scopes = [(0,), (1,), (2,), (3,), (0, 1), (1, 2), (2, 3), (0, 3)]
    exact = {scope: total * summed(joint, every, scope) for scope in scopes}
    base = [distribution(exact[(column,)], total) for column in every]
    tree = junction_tree(sizes, scopes)
    fitted = estimate(tree, [Measurement(s, exact[s], 0.5) for s in scopes], base, total, n_steps=300, shrinkage=1e-3)
    for scope in scopes:
        np.testing.assert_allclose(fitted.marginals.of(scope), exact[scope] / total, atol=1e-3)
    noise, worse, better = 60.0, 0.0, 0.0
    noisy = {s: exact[s] + rng.normal(scale=noise if len(s) == 2 else 5.0, size=exact[s].shape) for s in scopes}
    tables = [Measurement(s, noisy[s], noise if len(s) == 2 else 5.0) for s in scopes]
    smooth = estimate(tree, tables, base, total, n_steps=300, shrinkage=0.05)
    for scope in scopes[4:]:
        worse += np.abs(noisy[scope] - exact[scope]).sum()
        better += np.abs(total * smooth.marginals.of(scope) - exact[scope]).sum()
    assert better < worse


@pytest.mark.parametrize("seed", range(20))
def test_nearest_shares(seed: int) -> None:
    """Against the slow search for the shift that makes shares add up."""
    rng = np.random.default_rng(seed)
    counts = rng.normal(20, 60, int(rng.integers(1, 12)))
    total = float(rng.integers(10, 400))
    least = min(0.5, total / (2 * len(counts)))
    low, high = counts.min() - 2 * total, counts.max() + 2 * total
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(counts - middle, least).sum() > total else (low, middle)
    np.testing.assert_allclose(distribution(counts, total), np.maximum(counts - low, least) / total, atol=1e-6)
