"""Shadow models find a generator that memorises, and accuse none that does not know its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.simulated import evidence, reordered, simulate
from manikin.data.dataset import concat
from manikin.data.errors import FitError
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.attacks.shadow import _balanced, _pool, shadow_membership
from manikin.evaluation.prepared import prepare
from manikin.evaluation.suite import evaluate


@pytest.fixture(scope="module")
def sides():
    return simulate(600, 1), simulate(400, 2), simulate(600, 3)


def memorised(rows, seed: int):
    """A generator that draws its rows again, as many as are released."""
    return rows.take(np.random.default_rng(seed).integers(len(rows), size=600))


def unknowing(rows, seed: int):
    """A generator that knows the law and not the rows."""
    return simulate(600, seed % 10_000 + 100)


def judged(sides, refit, release, n_refits: int = 8):
    train, holdout, _ = sides
    return replace(evidence(train, holdout, release), refit=refit, n_refits=n_refits)


def test_a_generator_that_draws_its_rows_again_is_found(sides):
    result = shadow_membership(judged(sides, memorised, memorised(sides[0], 5)), seed=0)
    assert result.value > 0.4  # 63 % of the rows are drawn
    assert result.interval[0] > result.reference_interval[1]
    assert result.details["game"]["auc"] > 0.8
    assert result.details["advantage_interval"][0] > 0.2


def test_an_unknowing_generator_is_not_accused(sides):
    made = [shadow_membership(judged(sides, unknowing, simulate(600, 30 + seed)), seed=seed) for seed in range(8)]
    assert np.mean([result.interval[0] <= 0.01 for result in made]) >= 0.75
    assert np.mean([result.value for result in made]) < 0.03
    assert np.mean([result.details["game"]["auc"] for result in made]) == pytest.approx(0.5, abs=0.04)
    low, high = made[0].details["advantage_interval"]
    assert low < 0 < high


def test_a_copier_is_found_whole(sides):
    result = shadow_membership(judged(sides, lambda rows, seed: rows.take(np.arange(600) % len(rows)), sides[0]), seed=0)
    assert result.value > 0.9
    assert result.control.value < 0.1


def test_targets_are_in_half_of_the_shadows_and_whole_patients_are():
    is_in = _balanced(31, 8, 0)
    assert (is_in.sum(axis=1) == 4).all()
    assert len(np.unique(is_in, axis=0)) > 15


def test_a_shadow_learns_from_the_targets_that_are_in_and_from_half_of_the_others(sides):
    data = prepare(judged(sides, memorised, sides[2]))
    pool, people = _pool(data, 0)
    assert len(people.points) == pool.n_targets
    none = pool.half(np.zeros(pool.n_targets, dtype=bool), np.random.default_rng(0))
    every = pool.half(np.ones(pool.n_targets, dtype=bool), np.random.default_rng(0))
    wanted = concat([pool.train.take(pool.members), pool.holdout.take(pool.strangers)])
    texts = [set(map(tuple, part.to_pandas().astype(str).to_numpy())) for part in (none, every, wanted)]
    assert texts[2] <= texts[1]
    assert len(texts[2] & texts[0]) < 3
    assert 200 < len(none) < 330


def test_targets_are_unlike_others(sides):
    data = prepare(judged(sides, memorised, sides[2]))
    pool, _ = _pool(data, 0)
    assert len(pool.members) == 50
    assert len(pool.strangers) == 67
    is_missing = pool.held.marks["pressure"] > 0  # what few others share
    assert is_missing[pool.strangers].mean() > 2 * is_missing.mean()


def test_without_a_refit_it_is_left_out_of_a_suite_and_noted_when_asked_for(sides):
    assert ATTACKS["shadow_membership"].needs_refit
    plain = evidence(*sides)
    assert "shadow_membership" not in evaluate(plain, seed=0, metrics=[], with_views=False)
    asked = evaluate(plain, seed=0, metrics=[], attacks=["shadow_membership"], with_views=False)["shadow_membership"]
    assert asked.value is None
    assert "trained again" in asked.note


def test_a_generator_that_cannot_learn_from_half_is_noted(sides):
    def failing(rows, seed: int):
        raise FitError("too few")

    result = shadow_membership(judged(sides, failing, sides[2]), seed=0)
    assert result.value is None
    assert "could not learn" in result.note


def test_the_order_of_rows_changes_nothing(sides):
    data = judged(sides, unknowing, sides[2], n_refits=4)
    again = replace(reordered(data, 1), refit=unknowing, n_refits=4)
    assert shadow_membership(data, seed=2) == shadow_membership(again, seed=2)
