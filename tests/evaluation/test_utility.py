"""TSTR against TRTR: numbers, two classes, many classes, and targets that cannot be learned."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.simulated import SCHEMA, evidence, shuffled_columns, table
from manikin.data.dataset import split
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation.utility import _weighted_auc, tstr


def test_fresh_rows_train_as_well_as_real_ones(good):
    result = tstr(good, seed=0)
    assert result.details["measure"] == "AUROC"
    assert result.value == pytest.approx(result.reference, abs=0.03)
    for learner in result.details["learners"].values():
        assert learner["gap_interval"][0] <= learner["gap"] <= learner["gap_interval"][1]
        assert learner["gap_interval"][0] < 0.03
        assert learner["excess"] == pytest.approx(1.0, abs=0.15)
        assert learner["excess_interval"][0] <= learner["excess"] <= learner["excess_interval"][1]


def test_rows_without_dependence_train_nothing(parts):
    train, holdout = parts
    result = tstr(evidence(train, holdout, shuffled_columns(train, 11)), seed=0)
    assert result.reference > 0.85
    assert abs(result.details["learners"]["booster"]["excess"]) < 0.75
    assert result.details["learners"]["booster"]["gap_interval"][1] < 0


def test_a_number_as_target_gives_r2_and_rmse(good):
    result = tstr(evidence(good.train, good.holdout, good.synthetic[0], "pressure"), seed=0)
    assert result.details["measure"] == "R2"
    best = result.details["learners"][result.details["headline"]]
    assert 0.4 < best["trtr"] < 0.9
    assert best["trtr_rmse"] == pytest.approx(8, abs=1.5)
    assert result.n < len(good.holdout)  # rows without a value of the target are left out


def test_many_classes_are_pooled_to_ten():
    rng = np.random.default_rng(0)
    code = rng.integers(0, 14, 900)
    texts = {"code": [f"c{c:02d}" for c in code], "x": [f"{v:.2f}" for v in code + rng.normal(0, 1.0, 900)]}
    data = table(texts, TableSchema("t", (Column("code", Kind.CODE), Column("x", Kind.CONTINUOUS, Storage.REAL))))
    train, holdout = split(data, seed=0)
    result = tstr(evidence(train, holdout, train, "code"), seed=0)
    assert result.details["n_classes"] == 10
    assert result.value > 0.7
    assert result.value == result.reference


def test_a_release_with_one_class_trains_a_coin(good):
    fake = good.synthetic[0]
    one = fake.take(np.flatnonzero((fake.table.frame["died"] == "no").to_numpy()))
    result = tstr(evidence(good.train, good.holdout, one), seed=0)
    assert result.value == 0.5
    assert result.reference > 0.85


def test_levels_that_train_lacks_do_not_break_it(good):
    frame = good.synthetic[0].table.frame.copy()
    frame["died"] = frame["died"].cat.add_categories(["unknown"])
    frame.loc[:30, "died"] = "unknown"
    fake = good.synthetic[0].with_table(type(good.synthetic[0].table)(frame, good.synthetic[0].table.marks))
    assert tstr(evidence(good.train, good.holdout, fake), seed=0).value > 0.8


@pytest.mark.parametrize("target", [None, "nowhere"])
def test_no_target_is_said(good, target):
    result = tstr(evidence(good.train, good.holdout, good.synthetic[0], target), seed=0)
    assert result.value is None
    assert "target" in result.note


def test_a_constant_target_is_said(good):
    train = good.train.take(np.flatnonzero((good.train.table.frame["died"] == "no").to_numpy()))
    result = tstr(evidence(train, good.holdout, train), seed=0)
    assert result.value is None
    assert "single value in the train data" in result.note
    assert len(SCHEMA.columns) == 6


def test_weighted_auc_is_sklearns():
    rng = np.random.default_rng(1)
    truth, scores = rng.random(200) < 0.3, rng.integers(0, 20, 200).astype(float)
    weights = rng.integers(0, 4, (5, 200)).astype(np.float32)
    slow = [roc_auc_score(truth, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(_weighted_auc(truth, scores, weights), slow)
