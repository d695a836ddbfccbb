"""TSTR against TRTR: numbers, two classes, many classes, and targets that cannot be learned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from evaluation.simulated import SCHEMA, evidence, shuffled_columns, table
from manikin.data.dataset import Table, split
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation.intervals import bootstrap_weights
from manikin.evaluation.prediction.scores import Answers, _ranked, calibration, decide, scores
from manikin.evaluation.prediction.task import Task
from manikin.evaluation.prepared import prepare
from manikin.evaluation.utility import tstr


def test_fresh_rows_train_as_well_as_real_ones(good):
    result = tstr(good, seed=0)
    assert result.details["measure"] == "AUROC"
    assert result.value == pytest.approx(result.reference, abs=0.03)
    for learner in result.details["learners"].values():
        assert learner["gap_interval"][0] <= learner["gap"] <= learner["gap_interval"][1]
        assert learner["gap_interval"][0] < 0.03
        assert learner["excess"] == pytest.approx(1.0, abs=0.15)
        assert learner["excess_interval"][0] <= learner["excess"] <= learner["excess_interval"][1]
        assert set(learner["measures"]) == {
            "auroc", "auprc", "accuracy", "balanced_accuracy", "precision", "recall", "f1", "brier",
            "calibration_slope", "calibration_intercept", "calibration_error",
        }  # fmt: skip
        assert learner["measures"]["auroc"]["gap"] == learner["gap"]
        assert learner["tsts"] == pytest.approx(learner["tstr"], abs=0.12)
        for figure in learner["measures"].values():
            assert figure["gap"] == pytest.approx(figure["tstr"] - figure["trtr"], abs=2e-6)
            assert figure["gap_interval"][0] <= figure["gap"] <= figure["gap_interval"][1]
    assert set(result.details["learners"]) == {"booster", "linear", "forest", "tree"}
    assert result.details["chosen_by"] == "train"


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
    truth, told = rng.random(200) < 0.3, rng.integers(0, 20, 200).astype(float)
    weights = rng.integers(0, 4, (5, 200)).astype(np.float32)
    slow = [roc_auc_score(truth, told, sample_weight=row) for row in weights]
    area, precision = _ranked(truth, told, weights)
    np.testing.assert_allclose(area, slow)
    np.testing.assert_allclose(precision, [average_precision_score(truth, told, sample_weight=row) for row in weights])


def test_a_release_that_agrees_with_itself_alone_is_seen(good):
    """Its outcome hangs on sex, which in patients it does not: TSTS is high where TSTR is a coin."""
    frame = good.synthetic[0].table.frame.copy()
    frame["died"] = pd.Categorical(np.where(frame["sex"] == "F", "yes", "no"), categories=["no", "yes"])
    fake = good.synthetic[0].with_table(Table(frame, good.synthetic[0].table.marks))
    best = tstr(evidence(good.train, good.holdout, fake), seed=0).details["learners"]
    for learner in best.values():
        assert learner["tsts"] > 0.95
        assert learner["tstr"] < 0.6
        assert learner["gap_interval"][1] < -0.2


def test_shuffled_outcomes_leave_no_utility(good):
    frame = good.synthetic[0].table.frame.copy()
    frame["died"] = frame["died"].to_numpy()[np.random.default_rng(0).permutation(len(frame))]
    fake = good.synthetic[0].with_table(Table(frame, good.synthetic[0].table.marks))
    result = tstr(evidence(good.train, good.holdout, fake), seed=0)
    best = result.details["learners"][result.details["headline"]]
    assert best["excess"] < 0.3
    assert best["gap_interval"][1] < -0.1
    assert abs(best["tsts"] - 0.5) < 0.12


def test_scores_are_scikit_learns():
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.3).astype(np.int64)
    p = np.clip(0.3 + 0.3 * (truth - 0.3) + rng.normal(0, 0.2, 400), 0.02, 0.98)
    task = Task(None, (), np.arange(2), 2)
    given = Answers(truth, np.column_stack([1 - p, p]), decide(np.column_stack([1 - p, p]), np.array([0.7, 0.3])))
    made = {name: figure[0] for name, figure in scores(task, given, np.ones((3, 400))).items()}
    flagged = p >= 0.3
    assert made["accuracy"] == pytest.approx(accuracy_score(truth, flagged))
    assert made["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, flagged))
    assert made["precision"] == pytest.approx(precision_score(truth, flagged))
    assert made["recall"] == pytest.approx(recall_score(truth, flagged))
    assert made["f1"] == pytest.approx(f1_score(truth, flagged))
    assert made["brier"] == pytest.approx(brier_score_loss(truth, p))
    odds = np.log(p / (1 - p))[:, None]
    assert made["calibration_slope"] == pytest.approx(LogisticRegression(C=1e8).fit(odds, truth).coef_[0, 0], abs=1e-3)


def test_calibration_knows_the_overconfident_and_the_too_low():
    rng = np.random.default_rng(0)
    odds = rng.normal(-1, 1, 20_000)
    case = rng.random(20_000) < 1 / (1 + np.exp(-odds))
    weights = np.concatenate([np.ones((1, 20_000)), bootstrap_weights(np.arange(20_000), 20, rng)])

    def told(shown):
        return [figure[0] for figure in calibration(case, 1 / (1 + np.exp(-shown)), weights)]

    slope, intercept, error = told(odds)
    assert (slope, intercept) == pytest.approx((1, 0), abs=0.06)
    assert error < 0.012
    assert told(2 * odds)[0] == pytest.approx(0.5, abs=0.03)
    assert told(odds - 1)[1] == pytest.approx(1, abs=0.06)
    assert told(odds - 1)[2] > 0.1
    exact = [figure[5] for figure in calibration(case, 1 / (1 + np.exp(-odds)), weights)]
    alone = [figure[0] for figure in calibration(case, 1 / (1 + np.exp(-odds)), weights[5:6])]
    assert exact == pytest.approx(alone, abs=2e-3)  # one Newton step is enough


def test_odd_predictions_have_no_calibration_slope():
    one = np.ones((3, 40))
    slope, intercept, _ = calibration(np.arange(40) < 10, np.full(40, 0.25), one)
    assert np.isnan(slope).all()
    assert intercept == pytest.approx(0, abs=1e-6)
    assert np.isnan(calibration(np.zeros(40, dtype=bool), np.full(40, 0.25), one)[1]).all()


def test_patients_are_kept_whole_on_both_sides_of_the_synthetic_split(good):
    fake = prepare(good).fake
    twice = fake.take(np.repeat(np.arange(len(fake)), 2))
    is_back = twice.groups(4, 0, "tstr", "kept back", "synthetic") == 0
    assert not set(twice.records[is_back]) & set(twice.records[~is_back])
