"""An augmentation study of linked patients: generators learn whole patients, models one summary row of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import Schema
from manikin.evaluation.records.linked import joined
from manikin.workflow.linked_statics import statics_of
from manikin.workflow.study import augmentation
from manikin.workflow.study.arms import arms, n_wanted, rows_for
from manikin.workflow.study.augmentation import AugmentationOptions, study_augmentation
from manikin.workflow.study.linked_cohort import LinkedCohort, linked_cohort, sides_of


@pytest.fixture(scope="module")
def patients(ward: Path) -> Dataset:
    return mk.read(ward)


class Echo:
    """Gives whole patients of a data set, in order and again; with conditions those that have the classes asked for."""

    def __init__(self, data: Dataset, *, takes: bool) -> None:
        self.data, self.takes = data, takes
        self.asked: list[bool] = []
        self.drawn: list[int] = []

    def sample(self, n: int, *, seed: int, conditions: Dataset | None = None) -> Dataset:
        self.asked.append(conditions is not None)
        self.drawn.append(n)
        if conditions is None:
            return joined([self.data] * (n // len(self.data) + 1)).subset(np.arange(n))
        assert self.takes
        held, wanted = (one.table.frame[conditions.columns.names] for one in (statics_of(self.data, conditions.columns.names), conditions))
        return joined([self.data.subset(np.flatnonzero((held == row).all(axis=1))[:1]) for _, row in wanted.iterrows()])


def test_a_side_is_the_same_patients_as_rows_and_as_tables(patients: Dataset) -> None:
    found = linked_cohort(patients, target="died", groups=["sex"], balance=["patients.sex"])
    assert found.question.target == "patients.died"
    assert found.question.positive == "yes"  # the rarer one
    sides = sides_of(found, 0, seed=0)
    assert {name: len(rows) for name, rows in sides.rows.items()} == {"train": 72, "tune": 18, "test": 30}
    of_train = sides.learned_from.tables["patients"].frame
    rows = sides.rows["train"].table.frame
    assert rows["patients.died"].astype(str).tolist() == of_train["died"].astype(str).tolist()
    assert rows["patients.sex"].astype(str).tolist() == of_train["sex"].astype(str).tolist()
    n_labs = np.bincount(sides.learned_from.owners["labs"], minlength=72)
    assert rows["labs: rows"].tolist() == n_labs.tolist()
    keys = [set(side.table.frame.iloc[:, 0]) for side in sides.rows.values()]
    assert not set.intersection(*keys)


def test_a_target_of_numbers_or_many_levels_becomes_binary_in_its_table(patients: Dataset) -> None:
    table = patients.schema["patients"]
    grade = replace(table["sex"], name="grade", levels=("1", "2", "3"))
    cells = pd.Categorical(np.array(["1", "2", "3"])[np.arange(120) % 3], categories=["1", "2", "3"])
    own = patients.tables["patients"]
    frame = own.frame.assign(grade=cells)
    frame["grade"] = frame["grade"].where(np.arange(120) >= 6)  # of six patients it is not known
    marks = {**own.marks, "grade": (np.arange(120) < 6).astype(np.int8)}
    known = replace(table, columns=(*table.columns, grade))
    tables = tuple(known if one.name == "patients" else one for one in patients.schema.tables)
    graded = replace(patients, tables={**patients.tables, "patients": Table(frame, marks)}, schema=Schema(tables))
    found = linked_cohort(graded, target="patients.grade", positive=["3"])
    assert found.notices == ("6 patients without a value of 'patients.grade' are left out.",)
    assert len(found.whole) == 114
    assert found.whole.schema["patients"]["grade"].levels == ("rest", "3")
    counts = found.whole.tables["patients"].frame["grade"].value_counts()
    assert counts.to_dict() == {"rest": 76, "3": 38}
    held = found.whole.tables["patients"].frame["grade"]
    assert found.data.table.frame["patients.grade"].astype(str).tolist() == held.astype(str).tolist()
    fewer = linked_cohort(graded, target="patients.grade", positive=["3"], max_rows=105, seed=1)
    assert fewer.notices[1] == "105 of 114 patients were drawn at random."
    assert len(fewer.whole) == len(fewer.data) == 105
    with pytest.raises(ParameterError, match="has 3 levels: say which is positive"):
        linked_cohort(graded, target="patients.grade")


@pytest.mark.parametrize(
    ("wished", "message"),
    [
        ({"target": "labs.code"}, r"changes from row to row of table 'labs'. Name what a patient has once: patients.sex, patients.born"),
        ({"target": "died", "groups": ["stays.unit"]}, r"--groups names 'stays.unit', which changes from row to row"),
        ({"target": "died", "balance": ["patients.born"]}, r"cannot form groups"),
        ({"target": "patients.subject_id"}, r"is an identifier or free text"),
        ({"target": "diead"}, r"no column of a table of patients"),
    ],
)
def test_what_a_patient_has_not_once_is_refused(patients: Dataset, wished: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        linked_cohort(patients, **wished)


def test_too_few_of_a_class_are_refused(patients: Dataset) -> None:
    with pytest.raises(DataError, match="at least 30 patients of each class"):
        linked_cohort(patients.subset(np.arange(60)), target="died")


@pytest.mark.parametrize(("name", "takes"), [("event_transformer", True), ("markov", False)])
def test_a_generator_is_given_a_class_by_its_full_name_or_sifted(patients: Dataset, name: str, takes: bool) -> None:
    found = linked_cohort(patients, target="died")
    assert isinstance(found, LinkedCohort)
    sides = sides_of(found, 0, seed=0)
    echo = Echo(sides.learned_from, takes=takes)
    added, alone = (arm for arm in arms([name]) if arm.generator == name)
    model, train = sides.drawing(echo), sides.rows["train"]
    made = rows_for(added, model, train, found.question, seed=3)
    assert set(made.table.frame["patients.died"].astype(str)) == {"yes"}
    assert len(made) == n_wanted(added, train, found.question)
    assert made.columns.names == train.columns.names
    assert set(echo.asked) == {takes}
    assert made.n_records == len(made)
    assert echo.drawn[0] <= max(50, len(made))  # not a thousand patients with all their rows
    assert len(rows_for(alone, model, train, found.question, seed=3)) == 72


def test_the_study_learns_from_train_patients_and_speaks_of_patients(ward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[Dataset] = []

    def fitted(name: str, data: Dataset, **_: Any) -> Any:
        assert name == "markov"
        learned.append(data)
        return Echo(data, takes=False)

    monkeypatch.setattr(augmentation, "fit", fitted)
    options = AugmentationOptions(
        target="died", synthesizers=("markov",), learners=("logistic",), skip=("smote", "weighted", "alone"), splits=2, groups=("sex",)
    )
    done = study_augmentation(ward, out=tmp_path / "s", options=options)
    assert [len(data) for data in learned] == [72, 72]
    assert [arm["title"] for arm in done.document["arms"]] == ["real patients", "real patients, drawn again", "real patients and markov"]
    assert done.document["data"]["patients"] == 120
    page = done.files["report"].read_text()
    assert "positive patients are spread evenly" in page
    assert " rows" not in page.split("How it was made")[0].split("In short")[-1]
    with pytest.raises(ParameterError, match="'forest' learns one flat table"):
        study_augmentation(ward, out=tmp_path / "x", options=replace(options, synthesizers=("forest",)))
