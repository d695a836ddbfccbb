"""The pMSE ratio: its null by simulation, planted shifts, separable rows, several rows a patient."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, simulate, table
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.propensity import propensity

SCHEMA = TableSchema("t", tuple(Column(name, Kind.CONTINUOUS, Storage.REAL, decimals=4) for name in "abcd"))
KEYED = TableSchema("t", (Column("who", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), *SCHEMA.columns))


def numbers(n: int, seed: int, shift: float = 0.0, repeats: int = 1, prefix: str = "p"):
    rng = np.random.default_rng(seed)
    cells = {name: [f"{v:.4f}" for v in np.repeat(rng.normal(size=n) + shift, repeats)] for name in "abcd"}
    if repeats == 1:
        return table(cells, SCHEMA)
    return table({"who": [f"{prefix}{i}" for i in np.repeat(np.arange(n), repeats)], **cells}, KEYED)


def test_fresh_rows_have_a_ratio_of_one_on_average():
    found = [propensity(evidence(numbers(300, 3 * i), numbers(300, 3 * i + 1), numbers(300, 3 * i + 2), None), seed=0) for i in range(25)]
    ratios = np.array([[result.value, result.reference] for result in found])
    # d = 4: the ratio's standard deviation is √(2/4), and 50 draws (train rows shared by two) give the mean an error of 0.12
    assert ratios.mean() == pytest.approx(1.0, abs=0.35)
    assert found[0].details["freedom"] == pytest.approx(4, abs=0.2)
    assert found[0].details["pmse"] == pytest.approx(found[0].value * found[0].details["pmse_null"], rel=1e-3)


def test_a_shift_is_found_and_independent_columns_are_not(good, bad):
    shifted = propensity(evidence(numbers(600, 1), numbers(600, 2), numbers(600, 3, shift=0.3), None), seed=0)
    assert shifted.interval[0] > 3
    assert shifted.details["z"] > 5
    for data in (good, bad):
        result = propensity(data, seed=0)
        assert result.interval[0] < 1.5


def test_rows_of_one_patient_are_not_taken_for_independent_ones():
    fresh = [
        propensity(
            evidence(*(numbers(80, 10 * i + j, repeats=6, prefix="xyz"[j]) for j in range(3)), None), seed=0
        )
        for i in range(8)
    ]
    assert fresh[0].details["freedom"] > 12  # 4 terms, six equal rows a patient
    assert np.mean([result.value for result in fresh]) < 2.5


def test_separable_rows_stay_finite():
    result = propensity(evidence(numbers(100, 1), numbers(100, 2), numbers(100, 3, shift=50.0), None), seed=0)
    assert result.details["pmse"] == pytest.approx(0.25, abs=0.05)
    assert np.isfinite(result.interval).all()
    few = propensity(evidence(simulate(20, 1), simulate(20, 2), simulate(20, 3)), seed=0)
    assert few.value is not None
