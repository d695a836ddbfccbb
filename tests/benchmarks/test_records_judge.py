"""The judge of linked patients on cohorts whose scores are known: fresh patients, copies, shuffled values, lost rows, broken keys."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import records_judge as judge  # noqa: E402
import records_page  # noqa: E402
import records_scale  # noqa: E402
import records_tables  # noqa: E402
from records_judging import detection, features, fidelity, halves, integrity, privacy, reading, utility  # noqa: E402

N = 300
FACTS = {
    "patients": {"table": "patients", "key": "id", "categories": ["sex", "died"], "target": "died", "positive": "1"},
    "events": [{"table": "tests", "key": "id", "time": "hour", "code": "code", "value": "value"}],
    "keys": {"patients": ["id"]},
    "links": [{"table": "tests", "columns": ["id"], "to": "patients", "references": ["id"]}],
}


def tables(n: int, seed: int, first_key: int) -> dict[str, pd.DataFrame]:
    """Patients whose lactate drifts with a level of their own, which decides who dies; sodium that is not always measured."""
    generator = np.random.default_rng(seed)
    keys = np.arange(first_key, first_key + n)
    level = generator.normal(0, 1, n)
    died = (generator.random(n) < 1 / (1 + np.exp(-2.5 * level))).astype(int)
    patients = pd.DataFrame({"id": keys, "age": generator.integers(20, 90, n), "sex": generator.choice(["f", "m"], n), "died": died})
    parts = []
    for place, key in enumerate(keys):
        hours = np.sort(generator.choice(48, generator.integers(3, 12), replace=False))
        lactate = np.round(2 + level[place] + 0.2 * generator.normal(size=len(hours)).cumsum(), 2)
        parts.append(pd.DataFrame({"id": key, "hour": hours, "code": "lactate", "value": lactate}))
        if generator.random() < 0.5:
            parts.append(pd.DataFrame({"id": key, "hour": hours, "code": "sodium", "value": generator.normal(140, 4, len(hours)).round()}))
    return {"patients": patients, "tests": pd.concat(parts, ignore_index=True)}


def written(folder: Path, made: dict[str, pd.DataFrame]) -> Path:
    folder.mkdir(parents=True)
    for name, table in made.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> judge.Given:
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "judge.json").write_text(json.dumps(FACTS))
    written(folder / "train", tables(N, 0, 0))
    written(folder / "holdout", tables(N, 1, N))
    return judge.load(folder)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> reading.Cohort:
    return reading.load(written(tmp_path_factory.mktemp("fresh") / "made", tables(N, 2, 2 * N)), FACTS)


def test_fresh_patients_score_as_real_ones(given: judge.Given, fresh: reading.Cohort) -> None:
    scores = judge.fidelity_scores(given, fresh)
    assert scores["codes"]["rate_r2"] > 0.5  # two codes only
    assert scores["values"]["mean"] > 0.85
    assert scores["timing"]["n_rows"] > 0.85
    assert scores["in_time"]["worst_error"] < 0.15
    rows = features.rows(fresh, given.known)
    assert detection.c2st(given.holdout_rows, rows, given.is_category)["auc"] == pytest.approx(0.5, abs=0.12)
    assert privacy.membership(given.train_rows, given.holdout_rows, rows, given.is_category)["auc"] == pytest.approx(0.5, abs=0.1)
    real = judge.learned(given, given.train_rows, given.labels(given.train))
    assert utility.excess(judge.learned(given, rows, given.labels(fresh)), real)["logistic"]["value"] == pytest.approx(1, abs=0.15)


def test_copies_are_members(given: judge.Given) -> None:
    found = privacy.membership(given.train_rows, given.holdout_rows, given.train_rows, given.is_category)
    assert found["copies"] == 1
    assert found["auc"] > 0.95
    assert found["tpr_interval"][0] > 0.9


def test_values_given_to_other_patients_lose_dependence_in_time(given: judge.Given) -> None:
    events = given.train.events.copy()
    generator = np.random.default_rng(0)
    events["value"] = events.groupby("code")["value"].transform(lambda cells: generator.permutation(cells.to_numpy()))
    made = reading.Cohort(given.train.statics, events, {})
    assert fidelity.values(made, given.train, given.known)["mean"] == pytest.approx(1)
    assert fidelity.dependence_in_time(made, given.train, given.known)["worst_error"] > 0.5
    assert detection.c2st(given.holdout_rows, features.rows(made, given.known), given.is_category)["auc"] > 0.7


def test_lost_rows_show_in_lengths_and_rates(given: judge.Given) -> None:
    events = given.train.events
    made = reading.Cohort(given.train.statics, events[events.groupby("patient").cumcount() < 3].reset_index(drop=True), {})
    assert fidelity.timing(made, given.train)["n_rows"] < 0.2
    assert fidelity.codes(made, given.train, given.known)["rate_r2"] < 0


def test_keys_that_name_nobody_and_keys_of_train() -> None:
    train, made = tables(5, 0, 0), tables(5, 1, 3)
    made["tests"]["id"] = made["tests"]["id"].replace(7, 70)
    text = [{name: table.astype(str) for name, table in part.items()} for part in (made, train)]
    scores = integrity.integrity(*text, FACTS)
    assert scores["references_held"] < 1
    assert scores["references_held_in_train"] == 1
    assert scores["keys_of_train"] == pytest.approx(2 / 5)
    assert scores["keys_twice"] == 0


def test_a_cohort_of_nothing_is_judged(given: judge.Given, tmp_path: Path) -> None:
    empty = {name: table.iloc[:0] for name, table in tables(3, 0, 0).items()}
    made = reading.load(written(tmp_path / "made", empty), FACTS)
    scores = judge.fidelity_scores(given, made)
    assert scores["values"]["mean"] == 0
    assert scores["codes"]["share_of_codes_found"] == 0
    lone = reading.load(written(tmp_path / "lone", {"patients": tables(3, 0, 0)["patients"]}), FACTS)
    assert len(lone) == 3
    assert features.rows(lone, given.known)["n_rows"].eq(0).all()


def test_wide_tables_and_dates_are_read(tmp_path: Path) -> None:
    days = ["2101-01-01", "2101-01-03", "2101-02-01"]
    visits = pd.DataFrame({"id": [1, 1, 2], "day": days, "bili": [1.5, None, 2.0], "stage": [1, 2, 3]})
    facts = {"patients": {"table": None, "key": "id", "categories": []}, "keys": {}, "links": []}
    facts |= {"events": [{"table": "visits", "key": "id", "time": "day", "wide": True}]}
    cohort = reading.load(written(tmp_path / "made", {"visits": visits}), facts)
    assert len(cohort) == 2
    assert sorted(cohort.events["code"]) == ["bili", "bili", "stage", "stage", "stage"]
    assert features.lengths(cohort)["span"].tolist() == [2, 0]


def test_a_patient_stands_on_one_side_only() -> None:
    made = {"a": pd.DataFrame({"id": [1, 1, 2, 3], "x": range(4)}), "codes": pd.DataFrame({"code": ["x"]})}
    kept = records_tables.chosen_for_train([1, 2, 3], 2)
    part = records_tables.of_patients(made, {"a": made["a"]["id"]}, kept)
    rest = records_tables.of_patients(made, {"a": made["a"]["id"]}, {1, 2, 3} - set(kept))
    assert not set(part["a"]["id"]) & set(rest["a"]["id"])
    assert len(part["a"]) + len(rest["a"]) == 4
    assert len(part["codes"]) == len(rest["codes"]) == 1


def test_physionet_schema_is_one_that_manikin_reads(tmp_path: Path) -> None:
    from manikin.io.schema_file import read_schema

    (tmp_path / "schema.toml").write_text(records_tables.PHYSIONET_SCHEMA)
    schema = read_schema(tmp_path / "schema.toml")
    assert schema.root is not None
    assert schema.root.name == "patients"
    assert schema["events"]["Value"].by == "Parameter"


def test_patients_repeat_under_new_keys_until_there_are_enough_events(tmp_path: Path) -> None:
    train = tables(10, 0, 0)
    n = records_scale.repeated(written(tmp_path / "train", train), FACTS, 3 * len(train["tests"]), tmp_path / "made")
    made = {name: pd.read_csv(tmp_path / "made" / f"{name}.csv") for name in train}
    assert len(made["tests"]) == n >= 3 * len(train["tests"])
    assert set(made["tests"]["id"]) == set(made["patients"]["id"])
    assert made["patients"]["id"].is_unique
    assert not set(made["patients"]["id"]) & set(train["patients"]["id"])


def test_page_shows_scores_costs_and_failures(given: judge.Given, tmp_path: Path) -> None:
    scores = judge.fidelity_scores(given, given.holdout)
    cost = {"fit_cpu_s": 12.3, "sample_cpu_s": 4.0, "peak_mb": 500.0, "after_imports_mb": 300.0, "notes": ["30 epochs"]}
    base = {"table": "cohort", "seed": 0}
    rows = [base | {"synthesizer": "peer:a", "cost": cost, "scores": scores | {"reference": scores}}]
    rows += [base | {"synthesizer": "peer:b", "failed": "not finished after 2400 CPU s, the limit of this run"}]
    told = {"date": "2026-01-01", "commands": ["python run"], "machine": {"cores": 2}, "rows": rows}
    (tmp_path / "results.json").write_text(json.dumps(told))
    text = records_page.page([tmp_path / "results.json"])
    assert "| *real patients* |" in text
    assert "| 12 + 4 | 500 (+200) |" in text
    assert "* peer:b, seed 0: not finished after 2400 CPU s" in text
    assert "* peer:a: 30 epochs" in text


def test_fresh_patients_lie_within_the_halves_of_real_ones_and_shuffled_values_do_not(given: judge.Given, fresh: reading.Cohort) -> None:
    real = judge.halves_of(given)
    told = halves.compared(judge.halves_of(given, fresh), real)
    assert sum(figure["inside"] for figure in told.values()) >= len(told) - 2
    events = given.train.events.assign(value=given.train.events["value"].sample(frac=1, random_state=0).to_numpy())
    shuffled = reading.Cohort(given.train.statics, events, {})
    told = halves.compared(judge.halves_of(given, shuffled), real)
    assert not told["in_time mean_error"]["inside"]
    assert not told["values mean"]["inside"]


def test_few_patients_are_told_apart_by_a_forest() -> None:
    generator = np.random.default_rng(0)
    real, made = (pd.DataFrame(generator.normal(shift, 1, (20, 4))) for shift in (0, 2))
    assert detection.c2st(real, made, np.zeros(4, dtype=bool))["auc"] > 0.9


def test_a_measurement_that_nobody_made_has_is_no_error(given: judge.Given) -> None:
    events = given.train.events[given.train.events["code"] != "sodium"].reset_index(drop=True)
    rows = features.rows(reading.Cohort(given.train.statics, events, {}), given.known)
    assert detection.c2st(given.holdout_rows, rows, given.is_category)["auc"] > 0.7
    assert judge.learned(given, rows, given.labels(given.train))["booster"][0] > 0.7
