from __future__ import annotations

import numpy as np
import pytest

from manikin.evaluation.base import Direction
from manikin.evaluation.studies.measures import by_group, gap_name, measure_of, measured, recalibrated, threshold


def test_figures_against_hand_counts() -> None:
    truth = np.array([True, True, True, False, False, False, False, False])
    scores = np.array([0.9, 0.8, 0.3, 0.7, 0.2, 0.1, 0.1, 0.1])
    found = measured(truth, scores, scores >= 0.5, scores)
    assert found["auroc"] == pytest.approx(14 / 15)  # one of 15 pairs stands the wrong way
    assert (found["recall"], found["precision"]) == pytest.approx((2 / 3, 2 / 3))
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["brier"] == pytest.approx(np.mean((scores - truth) ** 2))
    assert found["overprediction"] == pytest.approx(scores.mean() - 3 / 8)


def test_calibration_error_sees_what_ranking_does_not() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=4000)
    truth = rng.uniform(size=4000) < scores
    right = measured(truth, scores, scores > 0.5, scores)
    shifted = scores**0.3
    wrong = measured(truth, shifted, scores > 0.5, recalibrated(truth, shifted, shifted))
    assert right["calibration_error"] < 0.04
    assert wrong["calibration_error"] > 0.2
    assert wrong["auroc"] == pytest.approx(right["auroc"])
    assert wrong["brier_recalibrated"] < wrong["brier"] - 0.03


def test_the_threshold_has_the_largest_youden_index() -> None:
    truth = np.array([False, False, True, False, False, True, True])
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.6])
    assert threshold(truth, scores) == pytest.approx(0.5)
    assert threshold(np.array([True, True]), np.array([0.1, 0.2])) == 0.5


def test_groups_with_too_few_rows_or_positives_are_not_measured() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["big"] * 100 + ["other"] * 100 + ["small"] * 29 + ["healthy"] * 60, dtype=object)
    truth = rng.uniform(size=len(labels)) < 0.4
    truth[labels == "healthy"] = False
    scores = rng.uniform(size=len(labels))
    groups, gap = by_group(truth, scores, scores > 0.5, labels)
    assert {label for label, group in groups.items() if group["figures"] is None} == {"small", "healthy"}
    assert groups["small"]["n"] == 29
    inside = labels == "big"
    expected = (truth & (scores > 0.5))[inside].sum() / truth[inside].sum()
    assert groups["big"]["figures"]["recall"] == pytest.approx(expected)
    recalls, alarms = [], []
    for label in ("big", "other"):
        own, flagged = labels == label, scores > 0.5
        recalls.append(flagged[own & truth].mean())
        alarms.append(flagged[own & ~truth].mean())
    assert gap == pytest.approx(max(abs(recalls[0] - recalls[1]), abs(alarms[0] - alarms[1])))


def test_one_group_has_no_gap() -> None:
    truth, scores = np.arange(40) % 2 == 0, np.linspace(0, 1, 40)
    assert by_group(truth, scores, scores > 0.5, np.full(40, "all", dtype=object))[1] is None


def test_every_figure_has_a_title_and_a_direction() -> None:
    assert measure_of(gap_name("sex")).title == "Equalised-odds gap by sex"
    assert measure_of(gap_name("sex")).direction is Direction.LOWER
    assert measure_of("auroc").direction is Direction.HIGHER
