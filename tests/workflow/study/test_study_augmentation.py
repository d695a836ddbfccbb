from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.errors import FitError, ParameterError
from manikin.workflow.sources import read
from manikin.workflow.study import augmentation
from manikin.workflow.study.arms import arms, rows_for
from manikin.workflow.study.augmentation import AugmentationOptions, study_augmentation
from manikin.workflow.study.cohort import cohort, is_positive, parts

SMALL: dict[str, Any] = {"target": "event", "synthesizers": ("independent",), "learners": ("logistic",), "splits": 2}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The breast cancer trial with a patient number."""
    from lifelines.datasets import load_gbsg2

    frame: pd.DataFrame = load_gbsg2().head(400)
    frame["event"] = np.where(frame.pop("cens").to_numpy() == 1, "yes", "no")
    frame.insert(0, "patient_id", [f"P{number:05d}" for number in range(len(frame))])
    path = tmp_path_factory.mktemp("study") / "women.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def studied(table: Path, tmp_path_factory: pytest.TempPathFactory) -> augmentation.Studied:
    options = AugmentationOptions(**SMALL, groups=("menostat",), seed=3)
    return study_augmentation(table, out=tmp_path_factory.mktemp("out") / "study", options=options)


def test_the_folder_holds_the_figures_and_the_page(studied: augmentation.Studied) -> None:
    pytest.importorskip("imblearn")
    assert sorted(path.name for path in studied.out.iterdir()) == ["study.html", "study.json"]
    assert "in the house" in studied.document["internal"]
    document = json.loads(studied.files["results"].read_text())
    assert document == json.loads(json.dumps(studied.document))
    keys = [arm["key"] for arm in document["arms"]]
    assert keys == ["real", "weighted", "oversampled", "smote", "with-independent", "only-independent"]
    added = {arm["key"]: arm["n_added"] for arm in document["arms"]}
    assert added["oversampled"] == added["smote"] == added["with-independent"] > 0 == added["weighted"]
    assert len(document["sentences"]) == 5
    assert {line["group"] for line in document["groups"]} == {"Pre", "Post"}


def test_groups_with_a_single_row_of_the_rarer_class_are_told_of(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("imblearn")
    frame = pd.read_csv(table)
    frame["site"] = np.where(frame.index % 9 == 0, "small", "large")
    frame.loc[frame["site"] == "small", "event"] = "no"
    frame.loc[frame.index[frame["site"] == "small"][:2], "event"] = "yes"
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = AugmentationOptions(**SMALL | {"splits": 3, "skip": ("alone",)}, balance=("site",), seed=1)
    done = study_augmentation(tmp_path / "t.csv", out=tmp_path / "out", options=options)
    n_single = [trial["n_single"] for trial in done.document["trials"]["smote"]]
    assert set(n_single) == {0, 1}
    told = [text for text in done.document["notices"] if text.startswith("SMOTE had a single row")]
    assert len(told) == 1
    assert f"on {sum(n_single)} of 3 splits" in told[0]
    assert not any(name in told[0] for name in ("small", "large"))


def test_columns_drawn_apart_hurt_when_learned_from_alone(studied: augmentation.Studied) -> None:
    means = {line["arm"]: line["mean"] for line in studied.document["results"] if line["measure"] == "auroc"}
    assert means["only-independent"] < means["real"] - 0.1


def test_the_same_seed_gives_the_same_figures(table: Path, studied: augmentation.Studied, tmp_path: Path) -> None:
    options = AugmentationOptions(**SMALL, groups=("menostat",), seed=3)
    again = study_augmentation(table, out=tmp_path / "again", options=options).document
    for key in ("results", "groups", "sentences", "trials"):
        assert again[key] == studied.document[key]


def test_an_interrupted_study_goes_on_and_ends_alike(
    table: Path, studied: augmentation.Studied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from manikin.evaluation.studies import trial

    real, done = trial.run_trial, []

    def stopped(*args: Any, **kwargs: Any) -> Any:
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(args[0])
        return real(*args, **kwargs)

    monkeypatch.setattr(trial, "run_trial", stopped)
    options = AugmentationOptions(**SMALL, groups=("menostat",), seed=3)
    with pytest.raises(KeyboardInterrupt):
        study_augmentation(table, out=tmp_path / "study", options=options)
    assert not (tmp_path / "study").exists()
    again: list[str] = []
    monkeypatch.setattr(trial, "run_trial", lambda *args, **kwargs: (again.append(args[0]), real(*args, **kwargs))[1])
    resumed = study_augmentation(table, out=tmp_path / "study", options=options)
    assert len(again) == 12 - 7
    assert resumed.document["trials"] == studied.document["trials"]


def test_no_generator_sees_a_tuning_or_a_test_patient(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = augmentation.fit, []

    def watched(name: str, data: Any, **kwargs: Any) -> Any:
        seen.append(set(data.table.frame["patient_id"]))
        return real(name, data, **kwargs)

    monkeypatch.setattr(augmentation, "fit", watched)
    options = AugmentationOptions(**SMALL, seed=5, skip=("smote", "oversampled", "weighted"))
    study_augmentation(table, out=tmp_path / "study", options=options)
    found = cohort(read(table), target="event", seed=5)
    for number, patients in enumerate(seen):
        sides = parts(found.data, found.question, number, 5)
        assert patients == set(sides["train"].table.frame["patient_id"])
        assert not patients & (set(sides["test"].table.frame["patient_id"]) | set(sides["tune"].table.frame["patient_id"]))
    assert len(seen) == 2


def test_a_generator_that_fails_is_told_of_and_costs_the_others_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = augmentation.fit, []

    def failing(name: str, data: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if len(calls) == 2:
            raise FitError("It did not converge.")
        return real(name, data, **kwargs)

    monkeypatch.setattr(augmentation, "fit", failing)
    options = AugmentationOptions(**SMALL, skip=("smote", "oversampled", "alone"))
    document = study_augmentation(table, out=tmp_path / "study", options=options).document
    assert [arm["key"] for arm in document["arms"]] == ["real", "weighted"]
    assert any("failed on 1 of 2 splits" in notice and "converge" in notice for notice in document["notices"])


@pytest.mark.parametrize("name", ["independent", "resample"])
def test_added_rows_are_of_the_wished_class_and_group(table: Path, name: str) -> None:
    """The one takes conditions, the other is asked until enough rows of each kind have come."""
    from manikin.synthesizers import synthesizer

    found = cohort(read(table), target="event", balance=["menostat"])
    model = synthesizer(name).fit(found.data, seed=0)
    (arm,) = [arm for arm in arms([name]) if arm.way == "added"]
    rows = rows_for(arm, model, found.data, found.question, seed=0)
    for state in ("Pre", "Post"):
        counts = []
        for data in (found.data, rows):
            inside = (data.table.frame["menostat"].astype(object) == state).to_numpy()
            flags = is_positive(data, "event", found.question.positive)
            counts.append((int((inside & flags).sum()), int((inside & ~flags).sum())))
        assert counts[0][0] + counts[1][0] == counts[0][1] + counts[1][1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"splits": 1}, "splits"),
        ({"learners": ("forest",)}, "learner"),
        ({"synthesizers": ("auto",)}, "auto"),
        ({"synthesizers": ("forst",)}, "forest"),
        ({"skip": ("real",)}, "--skip"),
        ({"max_rows": 10}, "max-rows"),
    ],
)
def test_options_outside_their_domain_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        AugmentationOptions(**{**SMALL, **wrong}).check()


def test_a_generator_that_is_told_its_columns_gives_every_row_that_is_asked_for(table: Path, tmp_path: Path) -> None:
    options = AugmentationOptions(
        **{**SMALL, "synthesizers": ("cgan",)}, balance=("menostat",), skip=("smote", "alone"), max_steps=3
    )
    found = study_augmentation(table, out=tmp_path / "study", options=options)
    added = {arm["key"]: arm["n_added"] for arm in found.document["arms"]}
    assert added["with-cgan"] == added["oversampled"] > 0
    assert not any("asked for" in notice for notice in found.document["notices"])


def test_rows_that_sifting_did_not_find_are_told_of(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from manikin.workflow.study import arms as rooms

    monkeypatch.setattr(rooms, "MOST_DRAWS", 0)
    options = AugmentationOptions(**{**SMALL, "synthesizers": ("wgan",)}, skip=("smote", "alone"), max_steps=3)
    found = study_augmentation(table, out=tmp_path / "study", options=options)
    assert {arm["key"]: arm["n_added"] for arm in found.document["arms"]}["with-wgan"] == 0
    (told,) = [notice for notice in found.document["notices"] if "asked for" in notice]
    assert told.startswith("'real rows and wgan' got 0% of the rows that it asked for")
