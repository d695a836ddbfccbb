"""Curves of a stress test: weighted AUC, paired losses, the strength that fails, groups."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from manikin.data.errors import ParameterError
from manikin.evaluation.robustness import Judge, area, groups_of

N = 300


def answers(noise: float, truth: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    odds = (truth * 2 - 1) * 2.0 + rng.normal(0, 1, len(truth)) + np.random.default_rng(9).normal(0, noise, len(truth))
    p = 1 / (1 + np.exp(-odds))
    return np.column_stack([1 - p, p])


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, N)


def test_area_is_that_of_scikit_learn_with_weights_and_ties(truth: np.ndarray) -> None:
    given = np.round(answers(2, truth), 1)
    weights = np.random.default_rng(2).integers(0, 4, (5, N)).astype(np.float32)
    expected = [roc_auc_score(truth, given[:, 1], sample_weight=w) for w in weights]
    assert area(truth, given, weights) == pytest.approx(expected)
    three = np.random.default_rng(3).integers(0, 3, N)
    shares = np.random.default_rng(4).dirichlet(np.ones(3), N)
    one = np.ones((1, N), np.float32)
    assert area(three, shares, one)[0] == pytest.approx(roc_auc_score(three, shares, multi_class="ovr", average="macro"))
    whole = area(truth, given, weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("manikin.evaluation.robustness.CHUNK", 2 * N)
        assert np.array_equal(area(truth, given, weights), whole)
    assert np.isnan(area(np.zeros(4, int), np.full((4, 2), 0.5), np.ones((1, 4), np.float32))).all()


def test_a_strength_fails_when_the_whole_interval_of_its_loss_lies_above_the_tolerance(truth: np.ndarray) -> None:
    judge = Judge(truth, 2, np.arange(N), {}, "auc", 0.05, 200)
    curve = judge.curve("noise", [0, 1, 3, 9], [answers(noise, truth) for noise in (0, 1, 3, 9)])
    losses = [point.loss for point in curve.points]
    assert losses[0].value == losses[0].low == losses[0].high == 0
    assert [loss.value for loss in losses] == sorted(loss.value for loss in losses)
    assert curve.fails_at == next(point.strength for point in curve.points if point.loss.low > 0.05)
    assert not curve.points[0].fails
    assert curve.worst_group is None
    first, last = curve.points[0], curve.points[-1]
    assert first.auc.low < first.auc.value < first.auc.high
    assert first.auc.value - last.auc.value == pytest.approx(last.loss.value)
    assert last.calibration_error.value > first.calibration_error.value
    lenient = Judge(truth, 2, np.arange(N), {}, "auc", 0.9, 50).curve("noise", [0, 9], [answers(0, truth), answers(9, truth)])
    assert lenient.fails_at is None


def test_paired_losses_are_told_more_closely_than_the_curve_itself(truth: np.ndarray) -> None:
    judge = Judge(truth, 2, np.arange(N), {}, "accuracy", 0.05, 300)
    point = judge.curve("little", [0, 1], [answers(0, truth), answers(0.3, truth)]).points[1]
    assert point.loss.high - point.loss.low < 0.7 * (point.accuracy.high - point.accuracy.low)


def test_images_of_one_patient_widen_the_interval(truth: np.ndarray) -> None:
    given = answers(3, np.repeat(truth[:30], 10))
    given = np.repeat(given[::10], 10, axis=0)
    many = np.repeat(truth[:30], 10)
    apart = Judge(many, 2, np.arange(N), {}, "accuracy", 0.05, 300).curve("x", [0], [given]).points[0].accuracy
    together = Judge(many, 2, np.repeat(np.arange(30), 10), {}, "accuracy", 0.05, 300).curve("x", [0], [given]).points[0].accuracy
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_the_group_that_loses_most_is_named(truth: np.ndarray) -> None:
    dark = np.arange(N) % 3 == 0
    groups = groups_of({"skin": np.where(dark, "dark", "light"), "site": np.array(["a"] * N), "rare": np.arange(N)}, truth, "auc")
    assert set(groups) == {"skin = dark", "skin = light"}
    bad = np.where(dark[:, None], answers(9, truth), answers(0, truth))
    curve = Judge(truth, 2, np.arange(N), groups, "auc", 0.05, 100).curve("x", [0, 1], [answers(0, truth), bad])
    assert curve.worst_group == "skin = dark"
    assert curve.points[1].groups["skin = light"].value == pytest.approx(0)
    assert curve.points[1].groups["skin = dark"].value > 0.2
    assert curve.to_json()["points"][1]["groups"]["skin = dark"]["low"] > 0


def test_one_class_has_no_area() -> None:
    with pytest.raises(ParameterError, match="all of one class"):
        Judge(np.zeros(5, int), 2, np.arange(5), {})
    found = Judge(np.zeros(5, int), 2, np.arange(5), {}, "accuracy", 0.05, 20).curve("x", [0], [np.tile([0.8, 0.2], (5, 1))])
    assert found.points[0].accuracy.value == 1
    assert np.isnan(found.points[0].auc.value)
