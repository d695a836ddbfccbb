"""Training-by-sampling finds a row for every level that it asks for."""

from __future__ import annotations

import numpy as np

from manikin.training.objectives.by_level import LevelAsker, Levels


def test_a_level_that_only_held_out_rows_hold_is_not_asked_for() -> None:
    tokens = np.array([[0], [1], [0], [1]], dtype=np.int32)
    asker = LevelAsker([Levels(0, np.array([2, 2, 1]))], tokens)
    rng = np.random.default_rng(0)
    asked = asker.ask(500, rng, by_log=True)
    rows = asker.rows(asked, rng)
    assert set(asked.token.tolist()) == {0, 1}
    assert np.array_equal(tokens[rows, 0], asked.token)
