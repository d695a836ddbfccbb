"""The whole suite: every metric of the registry, on tables kind and unkind, in any order of rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from evaluation.simulated import evidence, reordered, simulate, table
from manikin.data.errors import ParameterError
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation import METRICS
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import EvaluationData, MetricEntry
from manikin.evaluation.definition import Definition
from manikin.evaluation.results_file import read_results, write_results
from manikin.evaluation.suite import FAILED, _joined, evaluate

NAMES = {
    "column_shapes", "pair_trends", "dependence", "missingness", "c2st", "giveaway", "tstr",
    "subgroup_gap", "survival_utility", "importance",
    "inference",
    "representation", "alpha_precision", "beta_recall", "coverage",
    "authenticity", "copies", "identifiers", "rare_levels", "rare_values", "rule_violations", "dcr_share",
    "wasserstein", "three_way", "correlations", "propensity", "time_to_event", "intervals_between",
    "duplicates", "mode_collapse", "plausibility",
}  # fmt: skip
UNDEFINED_HERE = {"rule_violations", "time_to_event", "survival_utility", "intervals_between"}  # no rules, no follow-up, one date column
OF_LEVELS = ["column_shapes", "pair_trends", "dependence", "missingness", "rare_levels", "rare_values", "copies", "coverage"]
OF_LEVELS += ["three_way", "correlations", "propensity", "duplicates", "mode_collapse"]


@pytest.fixture(scope="module")
def results(good):
    return evaluate(good, seed=0)


def finite(value):
    if isinstance(value, dict):
        return all(finite(part) for part in value.values())
    if isinstance(value, list | tuple):
        return all(finite(part) for part in value)
    return not isinstance(value, float) or math.isfinite(value)


def test_the_registry_names_every_metric():
    assert {name for name, entry in METRICS.items() if entry.modality == "table"} == NAMES
    assert all(callable(METRICS.load(name)) for name in METRICS)


def test_every_attack_has_a_control_a_threat_model_and_its_power(results):
    fit = [name for name, entry in ATTACKS.items() if not entry.needs_refit and entry.modality == "table"]
    assert [attack.name for attack in results.attacks] == fit
    for attack in results.attacks:
        assert attack.value is not None, attack.note
        assert attack.section == "privacy"
        assert attack.threat_model.knows.startswith("holds ")
        assert attack.threat_model.wants.startswith("wants ")
        assert attack.threat_model.succeeds.startswith("succeeds ")
        low, high = attack.interval
        assert low <= attack.value <= high
        assert attack.reference is not None
        assert 0 < attack.n <= attack.n_requested
        assert attack.control.n > 0
        assert 0 < attack.power <= 1


def test_every_metric_has_value_interval_n_and_reference(results):
    assert [metric.name for metric in results.metrics] == [name for name in METRICS if name in NAMES]
    for metric in results.metrics:
        if metric.name in UNDEFINED_HERE:
            assert metric.value is None
            continue
        assert metric.value is not None, metric.note
        assert metric.reference is not None
        assert metric.n > 0
        assert metric.section == METRICS[metric.name].section
        assert FAILED not in metric.note
        if metric.name not in ("rare_values", "identifiers"):
            low, high = metric.interval
            assert low <= metric.value <= high
    assert finite(json.loads(json.dumps([metric.details for metric in results.metrics])))


def test_the_order_of_rows_changes_nothing(good, results, tmp_path):
    again = evaluate(reordered(good, 7), seed=0)
    first, second = (
        write_results(made, tmp_path / name).read_bytes() for made, name in ((results, "a.json"), (again, "b.json"))
    )
    assert first == second


def test_another_seed_draws_anew(good):
    first, second = (evaluate(good, seed=seed, metrics=[], attacks=["membership"], with_views=False)["membership"] for seed in (0, 1))
    assert first.details["auc"] != second.details["auc"]


def test_progress_counts_up_to_the_end(good):
    calls: list[tuple[str, int, int]] = []
    evaluate(good, seed=0, metrics=["copies", "rare_values"], attacks=[], progress=lambda *call: calls.append(call), with_views=False)
    assert calls == [("copies", 0, 2), ("rare_values", 1, 2), ("done", 2, 2)]


def test_an_unknown_metric_is_refused_before_work(good):
    with pytest.raises(ParameterError, match="no metric named 'nonsense'"):
        evaluate(good, seed=0, metrics=["copies", "nonsense"])
    with pytest.raises(ParameterError, match="no attack named 'nonsense'"):
        evaluate(good, seed=0, metrics=[], attacks=["nonsense"])


def test_no_release_is_refused(good):
    with pytest.raises(ParameterError, match="at least one synthetic table"):
        evaluate(EvaluationData(good.train, good.holdout, (), good.schema), seed=0)


def test_several_releases_are_averaged(good):
    releases = (good.synthetic[0], simulate(1000, 4), simulate(1000, 5))
    both = EvaluationData(good.train, good.holdout, releases, good.schema, "died")
    pooled = evaluate(both, seed=0, metrics=["column_shapes"], attacks=[], with_views=False)["column_shapes"]
    parts = [evidence(good.train, good.holdout, release) for release in releases]
    single = [evaluate(part, seed=0, metrics=["column_shapes"], attacks=[], with_views=False)["column_shapes"] for part in parts]
    assert pooled.value == pytest.approx(np.mean([result.value for result in single]), abs=1e-6)
    assert pooled.details["releases"] == [result.value for result in single]
    width = np.mean([result.interval[1] - result.interval[0] for result in single])
    assert pooled.interval[1] - pooled.interval[0] >= 0.95 * width
    assert "3 releases" in pooled.note


def test_what_one_of_several_releases_does_not_allow_is_not_told_of_all(good, monkeypatch):
    def odd(data, *, seed):
        whole = Definition("odd", "Odd", "utility", "higher")
        return whole.result(0.0, n=1) if len(data.fake) > 500 else whole.undefined("too few rows")

    monkeypatch.setattr(METRICS, "_all", {"odd": MetricEntry("nowhere:odd", "needs rows")})
    monkeypatch.setattr(METRICS, "load", lambda name: odd)
    both = EvaluationData(good.train, good.holdout, (good.synthetic[0], simulate(200, 4)), good.schema)
    result = evaluate(both, seed=0, attacks=[], with_views=False)["odd"]
    assert result.value is None
    assert "release 2 of 2" in result.note


def test_a_metric_that_pools_sees_all_releases_at_once(good, monkeypatch):
    seen = []

    def counted(data, *, seed):
        seen.append(len(data.synthetic))
        return Definition("whole", "Whole", "utility", "higher").result(0.5, n=1)

    monkeypatch.setattr(METRICS, "_all", {"whole": MetricEntry("nowhere:whole", "pools", pools=True)})
    monkeypatch.setattr(METRICS, "load", lambda name: counted)
    both = EvaluationData(good.train, good.holdout, (good.synthetic[0], simulate(200, 4)), good.schema)
    result = evaluate(both, seed=0, attacks=[], with_views=False)["whole"]
    assert seen == [2]
    assert "mean of 2 releases" not in result.note


def test_an_attacker_holds_all_tables_at_once(good):
    half = len(good.train) // 2
    parts = tuple(good.train.take(rows) for rows in (np.arange(half), np.arange(half, len(good.train))))
    sides = good.train, good.holdout
    whole, split = (
        evaluate(EvaluationData(*sides, made, good.schema), seed=0, metrics=[], attacks=["membership"], with_views=False)
        for made in ((good.train,), parts)
    )
    assert split["membership"].value == whole["membership"].value > 0.9, "either table alone shows half of the patients"


def test_patients_of_different_tables_stay_different_patients(good):
    key = Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    schema = TableSchema("visits", (key, Column("x", Kind.CONTINUOUS, Storage.REAL)))
    parts = [table({"id": ["1", "1", "2"], "x": ["1", "2", "3"]}, schema), table({"id": ["1", "2", "2"], "x": ["4", "5", "6"]}, schema)]
    joined = _joined(EvaluationData(parts[0], parts[0], tuple(parts), schema))
    assert joined.records.tolist() == [0, 0, 1, 2, 3, 3]


def test_a_failure_nobody_foresaw_becomes_a_note_without_its_message(good, monkeypatch, caplog):
    def broken(data, *, seed):
        raise ValueError("cell 'Mrs Miller' is odd")

    monkeypatch.setattr(METRICS, "_all", {"copies": METRICS["copies"], "odd": MetricEntry("nowhere:odd", "breaks")})
    monkeypatch.setattr(METRICS, "load", lambda name: broken)
    results = evaluate(good, seed=0, metrics=["odd"], with_views=False)
    assert results["odd"].value is None
    assert FAILED in results["odd"].note
    assert "ValueError" in results["odd"].note
    assert "Miller" not in results["odd"].note + caplog.text


NUMBERS = TableSchema("t", (Column("a", Kind.CONTINUOUS, Storage.REAL), Column("b", Kind.COUNT, Storage.INTEGER, decimals=0)))
LEVELS = TableSchema("t", (Column("a", Kind.CATEGORICAL), Column("b", Kind.CODE)))


def unkind() -> dict[str, EvaluationData]:
    rng = np.random.default_rng(0)
    one, many = simulate(1, 1), simulate(120, 2)
    numbers = {"a": [f"{v:.3f}" for v in rng.normal(size=100)], "b": [str(i) for i in range(100)]}
    constant = table({"a": ["1.5"] * 100, "b": ["3"] * 100}, NUMBERS)
    hollow = table({"a": [""] * 100, "b": [""] * 100}, NUMBERS)
    levels = table({"a": ["x"] * 100, "b": [f"c{i}" for i in range(100)]}, LEVELS)
    plain = table(numbers, NUMBERS)
    codes = table({"a": [f"l{i}" for i in range(10_000)], "b": [f"c{i}" for i in range(10_000)]}, LEVELS)
    single = TableSchema("t", (Column("a", Kind.CATEGORICAL),))
    alone = table({"a": ["x", "y"] * 50}, single)
    keyed = TableSchema("t", (Column("a", Kind.TEXT),))
    texts = table({"a": ["x", "y"] * 50}, keyed)
    return {
        "one row on every side": evidence(one, one, one),
        "one synthetic row": evidence(many, many, one),
        "no synthetic row": evidence(many, many, many.take(np.arange(0))),
        "no holdout row": evidence(many, many.take(np.arange(0)), many),
        "seven rows": evidence(simulate(7, 3), simulate(7, 4), simulate(7, 5)),
        "thirty rows": evidence(simulate(30, 3), simulate(30, 4), simulate(30, 5)),
        "constant columns": evidence(constant, constant, constant, "b"),
        "constant in synthetic only": evidence(plain, plain, constant, "b"),
        "no value anywhere": evidence(hollow, hollow, hollow, "b"),
        "no value in synthetic": evidence(plain, plain, hollow, "b"),
        "all levels unique": evidence(levels, levels, levels, "b"),
        "numbers only": evidence(plain, plain, plain, "a"),
        "10,000 levels": evidence(codes, codes, codes, None),
        "one column": evidence(alone, alone, alone, "a"),
        "no judged column": evidence(texts, texts, texts, None),
    }


@pytest.mark.parametrize("case", list(unkind()))
def test_unkind_tables_give_notes_and_neither_exceptions_nor_nan(case, tmp_path):
    data = unkind()[case]
    is_large = case == "10,000 levels"
    results = evaluate(data, seed=0, metrics=OF_LEVELS if is_large else None, with_views=not is_large)
    for metric in results.metrics:
        assert FAILED not in metric.note, metric.note
        if metric.value is None:
            assert metric.note.startswith("Not computed: ")
        else:
            assert math.isfinite(metric.value)
            assert metric.n > 0 or metric.name in ("rare_values", "identifiers")  # which count texts, and some tables have none
    assert finite(json.loads(write_results(results, tmp_path / "results.json").read_text()))
    assert [metric.value for metric in read_results(tmp_path / "results.json").metrics] == [
        metric.value for metric in results.metrics
    ]


def test_importing_the_registry_is_light():
    import subprocess
    import sys

    code = "import sys, manikin.evaluation, manikin.evaluation.base; print([m for m in ('sklearn', 'scipy', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    assert pd.__version__
