from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluation.simulated import shuffled_columns
from manikin.data.dataset import Dataset, split
from manikin.data.errors import DataError
from manikin.evaluation.studies.question import MISSING, Question, band_edges, band_names
from manikin.evaluation.studies.trial import run_trial
from manikin.workflow.study.cohort import cohort


@pytest.fixture(scope="module")
def asked() -> tuple[Question, dict[str, Dataset]]:
    from sklearn.datasets import load_breast_cancer

    from manikin.workflow.sources import read

    frame = load_breast_cancer(as_frame=True).frame[["mean radius", "mean texture", "mean smoothness", "target"]]
    frame["target"] = np.where(frame["target"] == 0, "malignant", "benign")
    frame.loc[frame.index % 9 == 0, "mean texture"] = np.nan
    found = cohort(read(frame), target="target", groups=["mean texture"])
    rest, test = split(found.data, holdout=0.4, seed=0)
    train, tune = split(rest, holdout=0.3, seed=0)
    return found.question, {"train": train, "tune": tune, "test": test}


def run(way: str, asked: Any, **more: Any) -> dict[str, Any]:
    question, sides = asked
    return run_trial(way, question, sides["train"].columns, **{**sides, "seed": 1, "learner_names": ("booster",), **more})


def test_real_rows_teach_and_shuffled_ones_do_not(asked: Any) -> None:
    train = asked[1]["train"]
    real = run("real", asked, learner_names=("booster", "logistic"))
    shuffled = run("alone", asked, made=shuffled_columns(train, 0))
    assert min(real["learners"][name]["figures"]["auroc"] for name in ("booster", "logistic")) > 0.9
    assert shuffled["learners"]["booster"]["figures"]["auroc"] < 0.75
    assert (shuffled["n_real"], shuffled["n_added"]) == (0, len(train))


def test_the_threshold_does_not_look_at_the_test_rows(asked: Any) -> None:
    question, sides = asked
    turned = {**sides, "test": shuffled_columns(sides["test"], 0)}
    first, second = run("real", asked), run("real", (question, turned))
    assert first["learners"]["booster"]["threshold"] == second["learners"]["booster"]["threshold"]
    assert first["learners"]["booster"]["figures"] != second["learners"]["booster"]["figures"]


def test_every_resampling_arm_reaches_as_many_rows_of_each_class(asked: Any) -> None:
    pytest.importorskip("imblearn")
    for way in ("oversampled", "smote"):
        found = run(way, asked)
        assert found["n_positive"] * 2 == found["n_train"]
        assert found["n_added"] > 0
    assert run("weighted", asked)["n_added"] == 0


def test_the_same_seed_gives_the_same_figures(asked: Any) -> None:
    assert run("oversampled", asked) == run("oversampled", asked)


def test_bands_of_a_number_hold_every_row(asked: Any) -> None:
    groups = run("real", asked)["learners"]["booster"]["groups"]["mean texture"]
    assert sum(group["n"] for group in groups.values()) == len(asked[1]["test"])
    assert MISSING in groups
    assert len(groups) == 5


def test_test_rows_of_one_class_are_refused_without_a_value(asked: Any) -> None:
    question, sides = asked
    negative = sides["test"].take(sides["test"].table.frame["target"].astype(object).to_numpy() != question.positive)
    with pytest.raises(DataError, match="one class only") as caught:
        run("real", (question, {**sides, "test": negative}))
    assert "malignant" not in str(caught.value)


def test_names_of_bands() -> None:
    assert band_names(()) == ["all"]
    assert band_edges(np.array([1.0, 1.0, 1.0, np.nan])) == (1.0,)
