"""Survival curves against lifelines, planted failures, fresh releases, and what a curve must not show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.followed import SCHEMA, judged, trial
from evaluation.simulated import shuffled_columns
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, Kind, Role, Schema, Storage
from manikin.evaluation.prepared import prepare
from manikin.evaluation.survival_curves import Followed, clock, curves, distances, followed
from manikin.evaluation.time_to_event import survival_view, time_to_event


@pytest.fixture(scope="module")
def fresh():
    return time_to_event(judged(trial(1500, 1), trial(700, 2), trial(1500, 3)), seed=0)


def test_curves_are_those_of_lifelines():
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(0)
    times, is_event = rng.integers(1, 30, 200).astype(float), rng.random(200) < 0.6
    grid = np.unique(times)
    survival, censoring = curves(Followed(times, is_event), grid)
    model = KaplanMeierFitter().fit(times, is_event)
    assert survival[0] == pytest.approx(model.survival_function_at_times(grid).to_numpy())
    # Censorings come after the events of the same day: half a day later they are at risk alone.
    later = KaplanMeierFitter().fit(times + 0.5 * ~is_event, ~is_event)
    assert censoring[0] == pytest.approx(later.survival_function_at_times(grid + 0.5).to_numpy())


def test_the_distance_is_the_area_between_two_steps():
    never = Followed(np.full(10, 10.0), np.zeros(10, dtype=bool))
    at_five = Followed(np.array([5.0] * 5 + [10.0] * 5), np.array([True] * 5 + [False] * 5))
    assert distances(never, at_five, 10.0)[0][0] == pytest.approx(0.25)
    assert distances(never, never, 10.0)[0][0] == 0


def test_fresh_patients_are_not_accused(fresh):
    assert fresh.interval[0] <= fresh.reference + 0.02
    assert fresh.value < 0.04
    assert abs(fresh.details["log_hazard_ratio_gap"]) < 0.25
    arm = next(row for row in fresh.details["hazard_ratios"] if row["column"] == "arm")
    assert abs(arm["train"]) == pytest.approx(0.8, abs=0.25)
    assert arm["difference_interval"][0] < 0 < arm["difference_interval"][1]
    assert {"arm drug", "arm placebo"} <= set(fresh.subgroups)


def test_a_lost_treatment_effect_is_found_by_arm_and_in_the_hazard_ratio(fresh):
    result = time_to_event(judged(trial(1500, 1), trial(700, 2), trial(1500, 3, log_ratio=0.0, hazard=0.72)), seed=0)
    arms = {row["group"]: row for row in result.details["groups"]}
    assert arms["arm drug"]["value"] > arms["arm drug"]["reference"] + 0.05
    arm = next(row for row in result.details["hazard_ratios"] if row["column"] == "arm")
    assert not arm["difference_interval"][0] <= 0 <= arm["difference_interval"][1]
    assert result.details["log_hazard_ratio_gap"] > 2 * fresh.details["log_hazard_ratio_gap"]


def test_a_shorter_life_and_shuffled_follow_up_are_caught():
    train, holdout = trial(1500, 1), trial(700, 2)
    for fake in (trial(1500, 3, hazard=2.0), shuffled_columns(train, 4)):
        result = time_to_event(judged(train, holdout, fake), seed=0)
        assert result.interval[0] > result.reference
        assert result.value > 0.04


def test_censoring_that_differs_shows_while_survival_agrees():
    train, holdout, fake = trial(1500, 1), trial(700, 2), trial(1500, 3)
    frame = fake.table.frame.copy()
    is_late = frame["days"].to_numpy() > 350
    frame.loc[is_late, "days"] = 350.0
    frame.loc[is_late, "status"] = "alive"
    result = time_to_event(judged(train, holdout, fake.with_table(Table(frame, {}))), seed=0)
    assert result.details["censoring"] > 0.2 > result.details["censoring_reference"] + 0.1


def test_without_roles_it_says_how_to_name_them():
    plain = replace(SCHEMA, columns=tuple(replace(column, roles=()) for column in SCHEMA.columns))
    result = time_to_event(judged(*(trial(100, seed, schema=plain) for seed in (1, 2, 3))), seed=0)
    assert result.value is None
    assert "--time COL --event COL" in result.note
    assert survival_view(prepare(judged(*(trial(100, seed, schema=plain) for seed in (1, 2, 3))))) == {}


def with_event_levels(data: Dataset, words: dict[str, str], **column: object) -> Dataset:
    schema = data.columns.replace_column(replace(data.columns["status"], **column))
    frame = data.table.frame.copy()
    frame["status"] = frame["status"].astype(str).map(words).astype("category")
    return Dataset({schema.name: Table(frame, {})}, Schema((schema,)))


@pytest.mark.parametrize(
    ("words", "column"),
    [
        ({"alive": "0", "dead": "1"}, {"storage": Storage.INTEGER}),
        ({"alive": "1", "dead": "2"}, {"storage": Storage.INTEGER}),
        ({"alive": "censored", "dead": "aaa"}, {}),
        ({"alive": "zz", "dead": "aa"}, {"kind": Kind.BOOLEAN, "levels": ("zz", "aa")}),
    ],
)
def test_which_level_is_the_event(words, column):
    sides = [with_event_levels(trial(300, seed), words, **column) for seed in (1, 2, 3)]
    data = prepare(judged(*sides))
    share = followed(clock(data), data.real).is_event.mean()
    assert share == pytest.approx((sides[0].table.frame["status"] == words["dead"]).mean())


def test_odd_follow_ups_give_notes():
    few = time_to_event(judged(trial(30, 1), trial(30, 2), trial(30, 3)), seed=0)
    assert few.value is not None or few.note
    train = trial(200, 1)
    frame = train.table.frame.copy()
    frame["days"] = np.nan
    hollow = train.with_table(Table(frame, {"days": np.ones(200, dtype=np.int8)}))
    for case in (judged(hollow, train, train), judged(train, hollow, train), judged(train, train, hollow)):
        assert time_to_event(case, seed=0).note.startswith("Not computed")
    dated = SCHEMA.replace_column(replace(SCHEMA["days"], roles=())).replace_column(replace(SCHEMA["admitted"], roles=(Role.TIME,)))
    case = judged(*(trial(60, seed, schema=dated) for seed in (1, 2, 3)))
    assert "holds no durations" in time_to_event(case, seed=0).note


def test_no_step_of_a_curve_is_one_patients():
    train = trial(400, 1)
    view = survival_view(prepare(judged(train, trial(200, 2), trial(400, 3))))
    assert view["curves"][0]["group"] == "everybody"
    days, is_event = train.table.frame["days"].to_numpy(), (train.table.frame["status"] == "dead").to_numpy()
    curve = view["curves"][0]
    for start, end in zip(curve["times"][:-1], curve["times"][1:], strict=True):
        assert ((days > start) & (days <= end) & is_event).sum() >= SCHEMA.min_patients
    assert all(row["n"]["train"] >= SCHEMA.min_patients for row in view["curves"])
    low, middle, high = (np.array(curve["train"][key]) for key in ("low", "survival", "high"))
    assert ((low <= middle) & (middle <= high)).all()
    assert (np.diff(middle) <= 0).all()


def test_no_term_of_the_hazard_ratios_is_named_by_the_rows_of_one_patient():
    """One patient's 120 rows hold a level of her own: enough rows for a term, and far too few patients."""
    key = Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    schema = replace(SCHEMA, columns=(key, *SCHEMA.columns))

    def keyed(seed):
        data = trial(800, seed)
        frame = data.table.frame.copy()
        frame["arm"] = np.where(np.arange(800) < 120, "own", frame["arm"].astype(str))
        frame["arm"] = frame["arm"].astype("category")
        frame.insert(0, "id", np.where(np.arange(800) < 120, "q", [f"p{i}" for i in range(800)]))
        return Dataset({"trial": Table(frame, data.table.marks)}, Schema((schema,)))

    result = time_to_event(judged(keyed(1), keyed(2), keyed(3)), seed=0)
    assert {row["column"] for row in result.details["hazard_ratios"]} == {"age", "arm"}
    assert "own" not in str(result)
