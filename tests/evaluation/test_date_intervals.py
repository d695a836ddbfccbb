"""Intervals between dates: each date right and the time between them wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evaluation.followed import SCHEMA, judged, trial
from evaluation.simulated import shuffled_columns, simulate
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, Kind, Role, Schema
from manikin.evaluation.date_intervals import intervals_between


def test_a_fresh_release_scores_its_reference():
    result = intervals_between(judged(trial(800, 1), trial(400, 2), trial(800, 3)), seed=0)
    assert result.interval[1] >= result.reference - 0.01
    pair = result.details["pairs"][0]
    assert pair["columns"] == ["admitted", "discharged"]
    assert pair["reversed_synthetic"] == 0
    assert 3 < pair["median_days_synthetic"] < 7


def test_dates_drawn_by_themselves_are_caught():
    train = trial(800, 1)
    result = intervals_between(judged(train, trial(400, 2), shuffled_columns(train, 3)), seed=0)
    assert result.interval[1] < result.reference - 0.3
    assert result.details["worst_reversed"] > 0.3
    assert result.details["worst_reversed_reference"] == 0


def test_one_date_column_and_no_two_dates_in_a_row_are_notes():
    one = [simulate(50, seed) for seed in (1, 2, 3)]
    assert "fewer than two date columns" in intervals_between(judged(*one), seed=0).note
    fake = trial(50, 3)
    frame = fake.table.frame.copy()
    frame["admitted"] = np.datetime64("NaT", "us")
    hollow = fake.with_table(Table(frame, {"admitted": np.ones(50, dtype=np.int8)}))
    assert intervals_between(judged(trial(50, 1), trial(50, 2), hollow), seed=0).note.startswith("Not computed")


def test_a_median_of_few_rows_is_not_told():
    result = intervals_between(judged(trial(15, 1), trial(400, 2), trial(400, 3)), seed=0)
    assert result.details["pairs"][0]["median_days_train"] is None


def test_the_rows_of_one_patient_give_no_median_away():
    schema = replace(SCHEMA, columns=(Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), *SCHEMA.columns))
    data = trial(400, 1)
    frame = data.table.frame.copy()
    frame.insert(0, "id", ["q"] * 380 + [f"p{i}" for i in range(20)])
    keyed = Dataset({"trial": Table(frame, data.table.marks)}, Schema((schema,)))
    pair = intervals_between(judged(keyed, trial(400, 2), trial(400, 3)), seed=0).details["pairs"][0]
    assert pair["median_days_train"] is None
    assert pair["median_days_holdout"] is not None
