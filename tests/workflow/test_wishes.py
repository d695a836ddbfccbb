"""Durations, conditions and names as users write them."""

from __future__ import annotations

import pytest

from manikin.data.errors import ParameterError
from manikin.data.schema import Column, Kind, TableSchema
from manikin.workflow.wishes import candidates, check_columns, parse_duration, parse_where


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
