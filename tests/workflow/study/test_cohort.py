from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import MissingCode
from manikin.evaluation.studies.question import MISSING
from manikin.workflow.sources import read
from manikin.workflow.study.cohort import cohort, group_labels, is_positive, parts


def visits(n_patients: int = 300) -> Dataset:
    """Two visits a patient; an outcome of three levels, a number, and a third of the wards unknown."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(n_patients), 2)
    frame = pd.DataFrame(
        {
            "patient_id": [f"P{number:05d}" for number in patient],
            "age": rng.integers(20, 90, len(patient)),
            "ward": rng.choice(["A", "B"], len(patient)),
            "outcome": rng.choice(["NO", ">30", "<30"], len(patient), p=[0.5, 0.3, 0.2]),
            "score": rng.integers(0, 5, len(patient)) + rng.uniform(0, 0.9, len(patient)).round(2),
        }
    )
    return read(frame)


def test_one_level_against_the_rest() -> None:
    data = visits()
    found = cohort(data, target="outcome", positive=["<30"], groups=["ward", "age"])
    texts = found.data.table.frame["outcome"].astype(object)
    assert set(texts) == {"<30", "rest"}
    assert (texts == "<30").sum() == (data.table.frame["outcome"].astype(object) == "<30").sum()
    assert found.question.positive == "<30"
    assert len(found.question.edges["age"]) == 3


def test_several_levels_and_a_comparison() -> None:
    data = visits()
    both = cohort(data, target="outcome", positive=["<30", ">30"])
    assert both.question.positive == "<30 or >30"
    above = cohort(data, target="score", positive=[">2"])
    wanted = data.table.frame["score"].to_numpy() > 2
    assert np.array_equal(is_positive(above.data, "score", ">2"), wanted)


def test_of_two_levels_the_rarer_one_is_positive() -> None:
    frame = pd.DataFrame({"x": np.arange(200.0), "sick": np.where(np.arange(200) % 5 == 0, "yes", "no")})
    found = cohort(read(frame), target="sick")
    assert found.question.positive == "yes"


def test_rows_without_the_target_are_left_out_with_a_notice() -> None:
    frame = pd.DataFrame({"x": np.arange(400.0), "sick": np.where(np.arange(400) % 4 == 0, "yes", "no")})
    frame.loc[:9, "sick"] = None
    found = cohort(read(frame), target="sick")
    assert len(found.data) == 390
    assert "10 rows" in found.notices[0]


def test_whole_patients_are_drawn() -> None:
    found = cohort(visits(), target="outcome", positive=["<30"], max_rows=301)
    assert len(found.data) == 300
    assert found.data.n_records == 150


def test_splits_share_no_patient_and_are_stratified() -> None:
    found = cohort(visits(), target="outcome", positive=["<30"])
    shares = []
    for number in range(3):
        sides = parts(found.data, found.question, number, seed=0)
        keys = [set(side.table.frame["patient_id"]) for side in sides.values()]
        assert sum(map(len, keys)) == 300 == len(set.union(*keys))
        assert [len(key) for key in keys] == pytest.approx([180, 45, 75], abs=2)
        for side in sides.values():
            flags = pd.Series(is_positive(side, "outcome", "<30")).groupby(side.records).any()
            shares.append(flags.mean())
    assert max(shares) - min(shares) < 0.02
    first, second = (parts(found.data, found.question, n, seed=0)["test"].table.frame["patient_id"] for n in (0, 1))
    assert set(first) != set(second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "outcome"}, "say which is positive"),
        ({"target": "score"}, "--positive '>0'"),
        ({"target": "outcome", "positive": ["never"]}, "does not hold"),
        ({"target": "nothing"}, "no column"),
        ({"target": "outcome", "positive": ["<30"], "groups": ["wards"]}, "--groups names 'wards'.*Did you mean 'ward'"),
        ({"target": "outcome", "positive": ["<30"], "balance": ["wards"]}, "--balance names 'wards'.*Did you mean 'ward'"),
        ({"target": "outcome", "positive": ["<30"], "groups": ["patient_id"]}, "--groups names .* cannot form groups"),
        ({"target": "outcome", "positive": ["<30"], "balance": ["age"]}, "levels only"),
        ({"target": "outcome", "positive": ["<30"], "groups": ["outcome"]}, "not the target"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(options: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cohort(visits(), **options)  # type: ignore[arg-type]


def test_too_few_positive_rows_are_refused() -> None:
    frame = pd.DataFrame({"x": np.arange(400.0), "sick": np.where(np.arange(400) < 29, "yes", "no")})
    with pytest.raises(DataError, match="at least 30"):
        cohort(read(frame), target="sick")


def test_too_few_patients_of_a_class_are_refused_however_many_rows_they_have() -> None:
    data = visits().to_pandas()
    data["outcome"] = "no"
    data.loc[data["patient_id"].isin(data["patient_id"].unique()[:9]), "outcome"] = "yes"
    many = pd.concat([data, *[data[data["outcome"] == "yes"]] * 4], ignore_index=True)  # 90 rows of 9 patients
    with pytest.raises(DataError, match="at least 10 patients of each class; the rarer one has 9"):
        cohort(read(many), target="outcome")


def test_a_comparison_of_levels_that_are_numbers() -> None:
    frame = pd.DataFrame({"x": np.arange(300.0), "stage": np.arange(300) % 5})
    data = read(frame)
    assert data.columns["stage"].kind.is_discrete
    for wish, n in ((">0", 240), (">= 3", 120), ("<1", 60), ("2", 60)):
        found = cohort(data, target="stage", positive=[wish])
        assert is_positive(found.data, "stage", found.question.positive).sum() == n
    with pytest.raises(DataError, match="the rarer one has none"):
        cohort(data, target="stage", positive=[">4"])
    with pytest.raises(ParameterError, match=r"5 levels: .* or, as they are numbers, with --positive '>0'"):
        cohort(data, target="stage")


@pytest.mark.parametrize(("target", "has"), [("same", "one value"), ("void", "no value")])
def test_a_target_of_one_value_is_refused(target: str, has: str) -> None:
    frame = pd.DataFrame({"x": np.arange(300.0), "same": "yes", "void": [None] * 300})
    with pytest.raises(DataError, match=f"'{target}' has {has} only, so there is nothing to predict") as refused:
        cohort(read(frame), target=target)
    assert "yes" not in str(refused.value)


def test_a_time_is_no_target() -> None:
    frame = pd.DataFrame({"x": np.arange(300.0), "seen": pd.date_range("2020-01-01", periods=300).astype(str)})
    with pytest.raises(ParameterError, match=r"which is a date\. Name a column of levels or numbers"):
        cohort(read(frame), target="seen")


def test_missing_codes_are_one_group() -> None:
    wards = np.array(["A", "", "NA", "B"] * 100, dtype=object)
    frame = pd.DataFrame({"x": np.arange(400.0), "ward": wards, "sick": np.where(np.arange(400) % 3 == 0, "yes", "no")})
    data = read(frame)
    codes = [*data.columns["ward"].missing, MissingCode("NA", "not applicable")]
    known = data.columns.replace_column(replace(data.columns["ward"], missing=tuple(dict.fromkeys(codes))))
    again = read(frame, schema=known)
    assert set(group_labels(again, "ward")) == {"A", "B", MISSING}
