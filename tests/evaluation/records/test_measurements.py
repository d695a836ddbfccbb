from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.records.made import evidence, patients, shuffled, with_table
from manikin.data.dataset import split
from manikin.evaluation.records.calendar import calendar
from manikin.evaluation.records.measurements import autocorrelation, event_values, measured_together
from manikin.evaluation.records.next_visit import next_visit
from manikin.evaluation.records.plausible import plausible_values
from manikin.evaluation.records.transitions import transitions

ALL = (transitions, event_values, autocorrelation, measured_together, calendar, plausible_values, next_visit)


@pytest.mark.parametrize("metric", ALL)
def test_fresh_patients_score_like_the_reference(metric, good):
    result = metric(good, seed=0)
    assert result.value is not None, result.note
    assert abs(result.value - result.reference) < 0.08
    low, high = result.interval
    assert low <= result.value <= high


def test_shuffled_times_lose_transitions_and_shuffled_values_lose_their_course(good):
    fake = good.synthetic[0]
    times = evidence(good.train, good.holdout, shuffled(fake, "labs", ["taken"], 1))
    assert transitions(times, seed=0).value < transitions(good, seed=0).value - 0.3
    drawn = evidence(good.train, good.holdout, _values_drawn_anew(fake))
    assert event_values(drawn, seed=0).value > event_values(good, seed=0).value - 0.02
    lost = autocorrelation(drawn, seed=0)
    assert lost.value > 0.4
    row = {row["part"]: row for row in lost.details["parts"]}["sodium"]
    assert row["lag_1_train"] > 0.8
    assert abs(row["lag_1_synthetic"]) < 0.1


def _values_drawn_anew(data):
    """Values of each test in another order."""
    frame, rng = data.tables["labs"].frame.copy(), np.random.default_rng(0)
    for test in frame["test"].cat.categories:
        rows = np.flatnonzero(frame["test"] == test)
        frame.loc[rows, "value"] = frame["value"].to_numpy()[rng.permutation(rows)]
    return with_table(data, "labs", frame)


def test_a_correlation_is_that_counted_by_hand(good):
    labs = good.train.tables["labs"].frame.assign(owner=good.train.owners["labs"])
    sodium = labs[labs["test"] == "sodium"].sort_values(["owner", "taken"])
    ranks = sodium["value"].rank(pct=True)
    later = ranks.groupby(sodium["owner"]).shift(-1)
    row = {row["part"]: row for row in autocorrelation(good, seed=0).details["parts"]}["sodium"]
    assert np.isclose(row["lag_1_train"], ranks.corr(later), atol=0.03)


def test_a_test_that_nobody_orders_any_more_is_seen(good):
    fake = good.synthetic[0]
    frame = fake.tables["labs"].frame
    without = evidence(good.train, good.holdout, with_table(fake, "labs", frame[frame["test"] != "lactate"]))
    result = measured_together(without, seed=0)
    assert result.value > measured_together(good, seed=0).value + 0.05
    worst = result.details["measures"][0]
    assert worst["part"] == "lactate"
    assert worst["patients_synthetic"] == 0


def test_impossible_numbers_are_counted_by_their_code(good):
    fake = good.synthetic[0]
    frame = fake.tables["labs"].frame.copy()
    rows = frame.index[frame["test"] == "sodium"][:40]
    frame.loc[rows, "value"] = 900.0
    result = plausible_values(evidence(good.train, good.holdout, with_table(fake, "labs", frame)), seed=0)
    sodium = next(row for row in result.details["measures"] if row["part"] == "sodium")
    assert (sodium["synthetic"], sodium["quantity"]) == (40, "sodium")
    assert result.value > result.reference


def test_all_admissions_on_mondays_are_seen(good):
    fake = good.synthetic[0]
    frame = fake.tables["admissions"].frame.copy()
    monday = frame["admitted"] - pd.to_timedelta(frame["admitted"].dt.weekday, unit="D")
    moved = with_table(fake, "admissions", frame.assign(admitted=monday))
    result = calendar(evidence(good.train, good.holdout, moved), seed=0)
    assert result.value < calendar(good, seed=0).value - 0.05
    part = next(row for row in result.details["parts"] if (row["unit"], row["cycle"]) == ("visits", "weekday"))
    assert part["synthetic"][0] > 0.8


def test_the_next_visit_is_told_by_histories_and_not_by_noise():
    train, holdout = split(patients(700, 1), holdout=0.5, seed=0)
    good, noise = evidence(train, holdout, patients(350, 2)), evidence(train, holdout, _codes_drawn_anew(patients(350, 2)))
    told, lost = next_visit(good, seed=0), next_visit(noise, seed=0)
    assert told.value > lost.value + 0.03
    assert lost.details["gap"] < 0
    assert told.reference > 0.55


def _codes_drawn_anew(data):
    """Diagnoses and tests of other patients."""
    return shuffled(shuffled(data, "diagnoses", ["icd"], 1), "labs", ["admission"], 2)


def test_nothing_to_measure_is_said(good):
    bare = good.synthetic[0]
    for name in ("labs", "diagnoses", "admissions"):
        bare = with_table(bare, name, bare.tables[name].frame.iloc[:0])
    data = evidence(good.train, good.holdout, bare)
    for metric in ALL:
        result = metric(data, seed=0)
        assert result.value is None or metric is measured_together
        assert result.note.startswith("Not computed") or metric is measured_together
