"""Three-way tables: against their definition, and a failure that no pair shows."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, table
from manikin.data.schema import Column, Kind, TableSchema
from manikin.evaluation.dependence import pair_trends
from manikin.evaluation.marginals import chosen_triples, three_way
from manikin.evaluation.prepared import prepare

SCHEMA = TableSchema("t", tuple(Column(name, Kind.CATEGORICAL) for name in "abc"))


def parity(n: int, seed: int, *, holds: bool = True):
    """Three fair coins, any two independent; the third is settled by the other two, or not."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(2, size=n), rng.integers(2, size=n)
    c = a ^ b if holds else rng.integers(2, size=n)
    return table({name: [f"{name}{v}" for v in values] for name, values in zip("abc", (a, b, c), strict=True)}, SCHEMA)


def test_a_relation_of_three_columns_is_missed_by_pairs_and_caught_here():
    data = evidence(parity(2000, 1), parity(1000, 2), parity(2000, 3, holds=False), "c")
    pairs, triples = pair_trends(data, seed=0), three_way(data, seed=0)
    assert pairs.value > 0.95
    assert triples.value == pytest.approx(0.5, abs=0.05)
    assert triples.interval[1] < triples.reference
    fresh = three_way(evidence(parity(2000, 1), parity(1000, 2), parity(2000, 3), "c"), seed=0)
    assert fresh.interval[1] >= fresh.reference


def test_it_is_one_minus_total_variation():
    train, holdout, fake = parity(500, 1), parity(500, 2), parity(500, 3, holds=False)
    cells = [side.table.frame.astype(str).agg("".join, axis=1).value_counts(normalize=True) for side in (train, fake)]
    gap = cells[0].sub(cells[1], fill_value=0).abs().sum() / 2
    assert three_way(evidence(train, holdout, fake, "c"), seed=0).value == pytest.approx(1 - gap, abs=1e-6)


def test_triples_are_bounded_and_the_targets_are_among_them():
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(20)]
    schema = TableSchema("t", tuple(Column(name, Kind.CATEGORICAL) for name in names))
    sides = [table({name: rng.choice(["u", "v"], 60).tolist() for name in names}, schema) for _ in range(3)]
    data = prepare(evidence(*sides, "x7"))
    triples = chosen_triples(data, names, seed=0)
    assert len(triples) == len(set(triples)) == 100
    assert sum(7 in triple for triple in triples) >= 40
    assert chosen_triples(data, names, seed=0) == triples
    assert three_way(data, seed=0).details["n_triples"] == 100
