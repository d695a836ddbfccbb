"""Durations, conditions and names as users write them."""

from __future__ import annotations

import pytest

from manikin.data.errors import ParameterError
from manikin.data.schema import Column, Kind, TableSchema
from manikin.workflow.options import Options
from manikin.workflow.wishes import candidates, check_columns, parse_duration, parse_settings, parse_where


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200), ("45", 45), ("1.5h", 5400), (" 5M ", 300)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "soon", "-5m", "10 m", "m10", "5d", "1m1h", "nan", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="90s, 10m or 1h30m"):
        parse_duration(text)


def test_conditions_keep_everything_behind_the_first_equals_sign() -> None:
    assert parse_where(["a=b=c", "x y=", "n=3.5"]) == {"a": "b=c", "x y": "", "n": "3.5"}


@pytest.mark.parametrize("texts", [["sex"], ["=F"], ["sex=F", "sex=M"]])
def test_wrong_conditions_are_refused(texts: list[str]) -> None:
    with pytest.raises(ParameterError, match=r"COL=VALUE|named by two"):
        parse_where(texts)


def test_an_unknown_name_gets_its_neighbours() -> None:
    assert candidates("aeg", ["age", "sex"]) == "Did you mean 'age'?"
    assert candidates("SEX", ["age", "sex"]) == "Did you mean 'sex'?"
    assert "(and 18 more)" in candidates("zzz", [f"column {i}" for i in range(30)])


def test_check_columns_names_the_option_and_the_stranger() -> None:
    schema = TableSchema("t", (Column("age", Kind.COUNT), Column("sex", Kind.CATEGORICAL)))
    assert check_columns(["sex"], schema, "--keep") == ["sex"]
    with pytest.raises(ParameterError, match=r"--keep names 'agee', which is no column.*Did you mean 'age'"):
        check_columns(["agee"], schema, "--keep")


def test_settings_are_json_or_text() -> None:
    assert parse_settings(["a=1", "b=1.5", "c=true", "d=[1, 2]", "e=sex,age", "f=null", "g=x=y"]) == {
        "a": 1, "b": 1.5, "c": True, "d": [1, 2], "e": "sex,age", "f": None, "g": "x=y",
    }  # fmt: skip
    for texts in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(ParameterError, match="--set"):
            parse_settings(texts)


def test_settings_of_a_generator_are_refused_by_name() -> None:
    assert Options(synthesizer="cgan", hyperparameters={"columns": "sex,age"}).settings == {"columns": ["sex", "age"]}
    Options(synthesizer="ctgan", hyperparameters={"critic": [8], "batch_size": None}).check()
    wrong = [
        ("auto", {"epochs": 3}, "no generator is named"),
        ("ctgan", {"epoch": 3}, "one of its hyperparameters"),
        ("ctgan", {"pack": None}, "must be a value"),
        ("ctgan", {"critic": 64}, "must be a list"),
        ("cgan", {"columns": ["sex", 3]}, "must be a list"),
    ]
    for name, settings, told in wrong:
        with pytest.raises(ParameterError, match=told):
            Options(synthesizer=name, hyperparameters=settings).check()
