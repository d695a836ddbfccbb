"""Plausible values: planted impossible ones are counted by column, the real table's own errors accuse nobody."""

from __future__ import annotations

import numpy as np

from evaluation.simulated import evidence, table
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.plausibility import plausibility
from manikin.workflow.sources import read

SCHEMA = TableSchema(
    "t",
    (
        Column("age", Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.QUASI_IDENTIFIER,)),
        Column("SystolicBP", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("DiastolicBP", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("HeartRate", Kind.COUNT, Storage.INTEGER, decimals=0),
    ),
)


def people(n: int, seed: int, *, n_slow: int = 0, n_reversed: int = 0):
    rng = np.random.default_rng(seed)
    systolic = rng.integers(100, 180, n)
    diastolic = systolic - rng.integers(20, 60, n)
    rate = rng.integers(50, 110, n)
    rate[:n_slow] = 7
    last = slice(n - n_reversed, n)
    systolic[last], diastolic[last] = diastolic[last].copy(), systolic[last].copy()
    cells = {"age": rng.integers(20, 90, n), "SystolicBP": systolic, "DiastolicBP": diastolic, "HeartRate": rate}
    return table({name: values.astype(str).tolist() for name, values in cells.items()}, SCHEMA)


def test_impossible_values_and_orders_are_counted_apart():
    result = plausibility(evidence(people(500, 1), people(300, 2), people(400, 3, n_slow=20, n_reversed=30), None), seed=0)
    assert result.value == 50 / 400
    assert result.reference == 0
    assert result.interval[0] > 0.08
    columns = {row["column"]: row for row in result.details["columns"]}
    assert columns["HeartRate"]["synthetic"] == 20
    assert columns["HeartRate"]["unit"] == "/min"
    assert columns["HeartRate"]["citation"].startswith("doi:")
    assert result.details["orders"][0]["synthetic"] == 30
    assert result.subgroups


def test_errors_of_the_real_table_are_the_reference():
    result = plausibility(evidence(people(500, 1, n_slow=25), people(300, 2, n_slow=15), people(400, 3, n_slow=20), None), seed=0)
    assert result.interval[0] <= result.reference <= result.interval[1]


def test_names_that_say_nothing_are_not_judged_and_missing_cells_are_no_error():
    schema = TableSchema("t", (Column("x1", Kind.COUNT, Storage.INTEGER), Column("HeartRate", Kind.COUNT, Storage.INTEGER)))
    empty = table({"x1": ["5"] * 40, "HeartRate": [""] * 40}, schema)
    assert "plausible range" in plausibility(evidence(empty, empty, empty, None), seed=0).note
    some = table({"x1": ["5000"] * 40, "HeartRate": ["70", ""] * 20}, schema)
    assert plausibility(evidence(some, some, some, None), seed=0).value == 0


def test_the_error_in_maternal_health_and_the_pressures_of_cardio70k_are_seen(shared):
    maternal = read(shared / "maternal_health" / "maternal_health_risk.csv")
    result = plausibility(evidence(maternal, maternal, maternal, None), seed=0)
    assert {row["column"] for row in result.details["columns"] if row["synthetic"]} == {"HeartRate"}
    cardio = read(shared / "cardio70k" / "cardio_train.csv.gz")
    result = plausibility(evidence(cardio, cardio, cardio, None), seed=0)
    assert {row["column"]: row["synthetic"] for row in result.details["columns"]}["ap_hi"] >= 7
    assert result.details["orders"][0]["synthetic"] > 100

def test_how_few_real_patients_hold_an_error_is_not_told():
    result = plausibility(evidence(people(500, 1, n_slow=3), people(300, 2, n_slow=0), people(400, 3, n_slow=2), None), seed=0)
    rate = next(row for row in result.details["columns"] if row["column"] == "HeartRate")
    assert (rate["train"], rate["holdout"], rate["synthetic"]) == (None, 0, 2)
