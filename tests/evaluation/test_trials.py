"""Several ways of attacking: the most surely dangerous one is shown, the interval holds for all, clusters widen it."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, simulate, table
from manikin.data.schema import Column, Kind, Role, TableSchema
from manikin.evaluation.attacks.base import rate, residual_risk, targets
from manikin.evaluation.attacks.trials import Trial, found, judged_groups
from manikin.evaluation.base import Rate
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.prepared import prepare


@pytest.fixture(scope="module")
def data():
    return prepare(evidence(simulate(400, 1), simulate(200, 2), simulate(100, 3)))


def trial(data, hits, control_hits, n=400, n_control=200, baseline=0.0, **more):
    return Trial(
        {"way": hits},
        np.arange(n) < hits,
        np.arange(n_control) < control_hits,
        Rate(baseline, (baseline, baseline), 0, 0),
        data.real.take(np.arange(n)),
        data.held.take(np.arange(n_control)),
        **more,
    )


def test_the_most_surely_dangerous_way_is_shown_and_the_interval_holds_for_all(data):
    sure, wild, none = trial(data, 100, 10), trial(data, 12, 2, n=30, n_control=30), trial(data, 20, 10)
    finding = found([none, wild, sure])
    assert finding.worst.trial is sure
    assert finding.worst.value == pytest.approx((0.25 - 0.05) / 0.95, abs=1e-6)
    highs = [outcome.interval[1] for outcome in finding.outcomes]
    assert finding.interval == (finding.worst.interval[0], max(highs))
    assert max(highs) > finding.worst.interval[1]


def test_each_rate_has_its_own_n_and_the_number_of_ways_widens_the_interval(data):
    alone = found([trial(data, 100, 10)])
    assert alone.worst.interval == residual_risk(rate(100, 400), rate(10, 200))[1]
    assert (alone.worst.attack.n, alone.worst.control.n) == (400, 200)
    many = found([trial(data, 100, 10), trial(data, 20, 10), trial(data, 20, 11)])
    assert many.worst.interval[0] < alone.worst.interval[0]
    assert many.power > alone.power


def test_worse_than_guessing_is_said(data):
    assert "worse than guessing" in found([trial(data, 20, 10, baseline=0.5)]).note
    assert found([trial(data, 20, 10, baseline=0.051)]).note == ""  # within chance


def test_too_few_targets_or_a_control_that_never_fails_are_left_out(data):
    assert found([trial(data, 100, 10), trial(data, 5, 5, n=10), trial(data, 400, 200)]).n_left_out == 2
    with pytest.raises(UndefinedMetricError, match="no way of attacking"):
        found([trial(data, 400, 200)])


def test_attempts_that_found_one_person_count_as_one_cluster(data):
    whom = np.where(np.arange(400) < 100, np.arange(400) // 10, -1)
    plain, clustered = found([trial(data, 100, 10)]), found([trial(data, 100, 10, found=whom)])
    assert clustered.worst.value == plain.worst.value
    assert clustered.worst.attack.n == 400
    width = [made.worst.interval[1] - made.worst.interval[0] for made in (plain, clustered)]
    assert width[1] > 2 * width[0]


def test_a_scaled_control_is_larger_and_less_sure(data):
    plain, scaled = found([trial(data, 100, 10)]), found([trial(data, 100, 10, scale=3.0)])
    assert scaled.worst.control.value == pytest.approx(0.15)
    assert scaled.worst.value == pytest.approx((0.25 - 0.15) / 0.85)
    low, high = scaled.worst.control.interval
    assert high - low > 1.5 * (plain.worst.control.interval[1] - plain.worst.control.interval[0])


def test_a_group_of_which_all_leak_is_the_worst(data):
    made = trial(data, 0, 0)
    is_woman = np.array([data.features[3].levels[code] == "F" for code in made.attacked.values["sex"]])
    leaky = Trial(made.labels, is_woman & (np.arange(400) % 2 == 0), made.control, made.baseline, made.attacked, made.controls)
    alone = judged_groups(data, found([leaky]))[0]
    assert alone["group"].startswith("sex F")
    assert alone["interval"][0] > 0.2
    chosen = judged_groups(data, found([leaky, trial(data, 0, 0), trial(data, 0, 1)]))[0]
    assert chosen["value"] == alone["value"]
    assert chosen["interval"][0] < alone["interval"][0]  # it was chosen among three


def test_patients_are_attacked_alike_whatever_their_number_of_rows():
    """Ten of 100 patients have 30 rows each: they are a tenth of the targets, and not three quarters."""
    schema = TableSchema("t", (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), Column("a", Kind.CATEGORICAL)))
    ids = np.concatenate([np.repeat(np.arange(10), 30), np.arange(10, 100)])
    side = table({"id": [f"p{i}" for i in ids], "a": np.where(ids < 10, "often", "once").tolist()}, schema)
    real = prepare(evidence(side, side, side, None)).real
    drawn = [targets(real, 20, seed, "test") for seed in range(50)]
    assert all(sample.n_records == len(sample) == 20 for sample in drawn)
    assert np.mean([sample.values["a"] for sample in drawn]) == pytest.approx(0.9, abs=0.03)  # "often" is level 0, "once" level 1
    assert len(targets(real, 1_000, 0, "test")) == 100
