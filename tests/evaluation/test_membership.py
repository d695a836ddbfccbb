"""The membership attack catches a leak that the DCR share passes, and stays quiet where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, simulate
from manikin.data.dataset import concat
from manikin.evaluation.attacks.membership import _outcome, _targets, membership
from manikin.evaluation.closeness import dcr_share
from manikin.evaluation.prepared import prepare


@pytest.fixture(scope="module")
def sides():
    return simulate(3000, 1), simulate(1500, 2), simulate(3000, 3)


def test_five_percent_of_copies_are_caught(sides):
    train, holdout, fresh = sides
    leak = concat([train.take(np.arange(150)), fresh.take(np.arange(150, 3000))])
    result = membership(evidence(train, holdout, leak), seed=0)
    assert result.interval[0] > result.reference
    assert result.value == pytest.approx(0.05, abs=0.025)
    diagnostic = dcr_share(evidence(train, holdout, leak), seed=0)
    assert diagnostic.value < 0.56


def test_fresh_rows_give_nothing_away(sides):
    result = membership(evidence(*sides), seed=0)
    assert result.interval[0] < 0.01 < result.interval[1]
    low, high = result.details["auc_interval"]
    assert low - 0.02 < 0.5 < high + 0.02
    assert result.details["n_calibration"] == result.details["n_control"] == 750
    assert result.n == result.details["n_members"] == 1500


def test_the_train_rows_themselves_are_all_found(copied):
    result = membership(copied, seed=0)
    assert result.value > 0.95
    assert result.details["auc"] > 0.95


def test_targets_share_no_row_with_each_other_or_the_reference(sides):
    targets, others = _targets(prepare(evidence(*sides)), 0)
    parts = [targets.members, targets.calibration, targets.control, others]
    assert sum(len(part) for part in parts) == 4500
    rows = np.concatenate([part.hashes for part in parts])
    assert len(np.unique(rows)) > 4490


def test_the_threshold_lets_one_in_a_hundred_strangers_pass(sides):
    targets, _ = _targets(prepare(evidence(*sides)), 0)
    rates = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = {side: rng.normal(size=len(getattr(targets, side))) for side in ("members", "calibration", "control")}
        rates.append(_outcome(scores, targets, 1).hits / len(targets.members))
    assert np.mean(rates) == pytest.approx(0.01, abs=0.001)


def test_few_strangers_are_said_to_be_few():
    result = membership(evidence(simulate(200, 1), simulate(60, 2), simulate(200, 3)), seed=0)
    assert "too few" in result.note
    tiny = membership(evidence(simulate(200, 1), simulate(12, 2), simulate(200, 3)), seed=0)
    assert tiny.value is None
