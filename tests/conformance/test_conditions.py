"""Conditions are kept to the digit and pull the other columns along, or are refused by name; nothing is written over afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from models import fitted, table
from tables import RARE_LEVEL, cells, csv_bytes

from manikin.data.errors import ParameterError
from manikin.synthesizers import SYNTHESIZERS

STEPS_TO_LEARN = 400  # of a neural synthesizer, where a test asks what it learned

CONDITIONS: dict[str, dict[str, Any]] = {
    "categorical": {"sex": "f"},
    "boolean": {"sick": "True"},
    "ordinal": {"stage": "II"},
    "code": {"code": "I10"},
    "whole number": {"age": 61},
    "number within a group": {"weight kg": 71.3},
    "count": {"visits": 0},
    "date": {"admitted": "14.07.2021"},
    "missing code": {"pregnant": "not applicable"},
    "another missing code": {"pregnant": "?"},
    "missing number": {"weight kg": None},
    "missing number code": {"dose": -1},
    "two columns": {"sex": "f", "sick": "True"},
    "three kinds": {"age": 70, "stage": "III", "admitted": "02.01.2022"},
}


def text(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize("case", CONDITIONS)
def test_condition_is_kept_or_refused_by_name(name: str, case: str) -> None:
    model, conditions = fitted(name, "mixed"), CONDITIONS[case]
    entry = SYNTHESIZERS[name]
    if not entry.conditions and not (entry.some_conditions and set(conditions) <= set(model.conditionable())):
        with pytest.raises(ParameterError, match=name):
            model.sample(30, seed=1, conditions=conditions)
        return
    sample = cells(model.sample(30, seed=1, conditions=conditions))
    for column, value in conditions.items():
        assert set(sample[column]) == {text(value)}, column
    others = [column for column in sample if column not in conditions and column != "patient"]
    assert sample[others].nunique().gt(1).any(), "the other columns are still drawn"


@pytest.mark.parametrize("columns", [["age"], ["sex", "weight kg", "pregnant"], ["admitted", "code", "dose", "sick"]])
def test_partial_rows_are_kept_to_the_digit(name: str, columns: list[str]) -> None:
    if not SYNTHESIZERS[name].conditions:
        pytest.skip("takes no conditions; that it says so is tested above")
    partial = table("mixed").take(np.arange(5, 45)).only(columns)
    sample = fitted(name, "mixed").sample(40, seed=1, conditions=partial)
    pd.testing.assert_frame_equal(cells(sample)[partial.columns.names], cells(partial))


def test_partial_rows_must_be_as_many_as_asked(name: str) -> None:
    if not SYNTHESIZERS[name].conditions:
        pytest.skip("takes no conditions")
    partial = table("mixed").take(np.arange(5)).only(["age"])
    with pytest.raises(ParameterError, match="4 rows were asked"):
        fitted(name, "mixed").sample(4, seed=1, conditions=partial)


def test_partial_rows_come_in_batches(name: str) -> None:
    if not SYNTHESIZERS[name].conditions:
        pytest.skip("takes no conditions")
    partial, model = table("mixed").take(np.arange(40)).only(["age", "sex"]), fitted(name, "mixed")
    parts = list(model.sample_batches(40, seed=1, conditions=partial, batch_size=15))
    assert b"".join(csv_bytes(part).split(b"\n", 1)[1] for part in parts) == csv_bytes(
        model.sample(40, seed=1, conditions=partial)
    ).split(b"\n", 1)[1]


def test_no_conditions_are_no_conditions(name: str) -> None:
    model = fitted(name, "mixed")
    assert csv_bytes(model.sample(20, seed=1, conditions=None)) == csv_bytes(model.sample(20, seed=1))


def test_unknown_column_is_refused_by_name(name: str) -> None:
    with pytest.raises(ParameterError, match="'no such column'|" + name):
        fitted(name, "mixed").sample(3, seed=1, conditions={"no such column": "x"})


@pytest.mark.parametrize("level", ["never seen", RARE_LEVEL])
def test_unknown_level_names_the_column_and_no_patient(name: str, level: str) -> None:
    with pytest.raises(ParameterError) as caught:
        fitted(name, "mixed").sample(3, seed=1, conditions={"code": level})
    message = str(caught.value)
    assert "'code'" in message or name in message
    assert RARE_LEVEL not in message, "a message never shows what too few patients hold"


def shares(frame: pd.DataFrame, column: str) -> pd.Series:
    """Shares of a column's levels; numbers in five groups of the real column."""
    real = table("mixed").table.frame[column]
    if not table("mixed").columns[column].kind.is_number:
        return frame[column].value_counts(normalize=True)
    numbers = pd.to_numeric(frame[column], errors="coerce")
    edges = np.unique(np.nanquantile(real.to_numpy(dtype=float), [0.2, 0.4, 0.6, 0.8]))
    return pd.Series(np.searchsorted(edges, numbers)).value_counts(normalize=True)


def distance(a: pd.DataFrame, b: pd.DataFrame, column: str) -> float:
    """Total variation distance, 0 … 1, lower is nearer."""
    return float(shares(a, column).sub(shares(b, column), fill_value=0).abs().sum() / 2)


@pytest.mark.parametrize(
    ("conditions", "moved"),
    [
        ({"sick": "True"}, ["age", "visits", "stage", "code", "dose"]),
        ({"sex": "f"}, ["weight kg", "pregnant"]),
        ({"dose": -1}, ["sick", "visits", "code"]),
        ({"visits": 0, "sex": "m"}, ["sick", "pregnant", "code"]),
    ],
)
def test_the_other_columns_follow(name: str, conditions: dict[str, Any], moved: list[str]) -> None:
    entry = SYNTHESIZERS[name]
    if not entry.conditions or not entry.releasable:
        pytest.skip("takes no conditions, or is a floor without any dependence")
    real = cells(table("mixed"))
    match = np.logical_and.reduce([real[column] == text(value) for column, value in conditions.items()])
    sample = cells(fitted(name, "mixed", STEPS_TO_LEARN).sample(1_500, seed=1, conditions=conditions))
    for column in moved:
        apart = distance(real[~match], real[match], column)
        assert apart > 0.2, "the test asks for something that the data do not hold"
        assert distance(sample, real[match], column) < 0.5 * apart, column


def test_reference_floor_without_dependence_stays_put() -> None:
    floor = fitted("independent", "mixed")
    free, held = cells(floor.sample(2_000, seed=1)), cells(floor.sample(2_000, seed=1, conditions={"sick": "True"}))
    assert distance(free, held, "visits") < 0.05


@pytest.mark.parametrize("empty", [{}, None], ids=["empty mapping", "none"])
def test_no_condition_is_no_condition(name: str, empty: Any) -> None:
    model = fitted(name, "mixed")
    assert csv_bytes(model.sample(30, seed=1, conditions=empty)) == csv_bytes(model.sample(30, seed=1))
