"""Attribution against scorers of which the truth is known, and against the slow, obvious sum over all coalitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from manikin.evaluation.attribution import Unseen, drops, shapley, win_rates

SPANS = ((0,), (1,), (2,))


def crooked(X):
    """A scorer with an interaction and an idle column."""
    return 2 * X[:, 0] + X[:, 0] * X[:, 1]


def test_contributions_sum_to_the_score_less_its_baseline():
    rng = np.random.default_rng(0)
    rows, background = rng.normal(size=(20, 3)), rng.normal(size=(50, 3))
    values, baseline = shapley(crooked, rows, background, SPANS, n_paths=7, rng=rng)
    assert values.sum(axis=1) + baseline == pytest.approx(crooked(rows))
    assert values[:, 2] == pytest.approx(0)


def test_sampled_values_are_those_of_all_orders():
    rng = np.random.default_rng(1)
    rows, background = rng.normal(size=(2, 3)), rng.normal(size=(4, 3))
    exact = np.zeros((2, 3))
    for order in permutations(range(3)):
        for start in background:
            walk = np.repeat(start[None], 2, axis=0)
            for column in order:
                before = crooked(walk)
                walk[:, column] = rows[:, column]
                exact[:, column] += (crooked(walk) - before) / 24
    sampled, baseline = shapley(crooked, rows, background, SPANS, n_paths=6000, rng=rng)
    assert sampled == pytest.approx(exact, abs=0.12)
    assert baseline == pytest.approx(crooked(background).mean(), abs=0.12)


def test_columns_of_one_span_move_together():
    rng = np.random.default_rng(2)
    rows, background = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    values, baseline = shapley(crooked, rows, background, ((0, 1), (2,)), n_paths=4, rng=rng)
    assert values[:, 0] == pytest.approx(crooked(rows) - baseline)


def classes(X, is_positive, score):
    return Unseen(score, X, is_positive, tuple((i,) for i in range(X.shape[1])))


def test_a_column_that_tells_is_found_and_its_twin_does_not_hide_it():
    rng = np.random.default_rng(3)
    is_positive = np.repeat([True, False], 400)
    told = rng.normal(size=800) + 2 * is_positive
    rows = classes(np.column_stack([told, told, rng.normal(size=800)]), is_positive, lambda X: np.maximum(X[:, 0], X[:, 1]))
    lost = drops(rows, [(0,), (1,), (0, 1), (2,)], n_repeats=5, rng=rng).mean(axis=1)
    assert lost[2] > 2.5 * max(lost[0], lost[1])  # each hides behind the other
    assert lost[3] == 0
    won = win_rates(rows, [(0,), (1,), (2,)], n_repeats=5, rng=rng).mean(axis=1)
    assert min(won[:2]) > 0.65
    assert won[2] == 0.5


def test_a_relation_is_told_from_what_its_columns_tell_alone():
    rng = np.random.default_rng(4)
    is_positive = np.repeat([True, False], 500)
    a = rng.normal(size=1000)
    b = np.where(is_positive, rng.normal(size=1000), a)
    rows = classes(np.column_stack([a, b]), is_positive, lambda X: np.abs(X[:, 0] - X[:, 1]))
    singles = win_rates(rows, [(0,), (1,)], n_repeats=6, rng=rng).mean(axis=1)
    together = win_rates(rows, [(0, 1)], n_repeats=6, rng=rng).mean()
    apart = win_rates(rows, [(0, 1)], n_repeats=6, rng=rng, is_apart=True).mean()
    assert singles == pytest.approx(0.5, abs=0.05)
    assert apart == pytest.approx(0.5, abs=0.05)
    assert together > 0.99
