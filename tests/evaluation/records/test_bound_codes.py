from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.records.made import SCHEMA, evidence
from manikin.data.dataset import Dataset
from manikin.data.schema import Schema
from manikin.evaluation.base import EvaluationData, MetricResult
from manikin.evaluation.records.bound_codes import code_conflicts


def coded(data: Dataset, codes: np.ndarray, system: str | None = "ICD-10-CM") -> Dataset:
    """The data with these diagnoses in turn, in a column of a known system."""
    table = SCHEMA["diagnoses"]
    told = table.replace_column(replace(table["icd"], code_system=system))
    frame = data.tables["diagnoses"].frame.copy()
    frame["icd"] = pd.Categorical(codes)
    schema = Schema(tuple(told if one.name == "diagnoses" else one for one in data.schema.tables))
    tables = dict(data.tables) | {"diagnoses": replace(data.tables["diagnoses"], frame=frame)}
    return Dataset(tables, schema, data.native)


def judged(sides: list[Dataset]) -> MetricResult:
    """The figure of sides whose column of codes names its system."""
    return code_conflicts(replace(evidence(*sides), schema=sides[0].schema), seed=0)


def everywhere(good: EvaluationData, code: str, system: str | None) -> list[Dataset]:
    """All sides with one diagnosis alone."""
    sides = (good.train, good.holdout, good.synthetic[0])
    return [coded(side, np.full(len(side.tables["diagnoses"].frame), code, dtype=object), system) for side in sides]


def sexes(data: Dataset) -> np.ndarray:
    """The sex of the patient of each diagnosis."""
    return data.tables["patients"].frame["sex"].astype(str).to_numpy()[data.owners["diagnoses"]]


def test_the_share_of_excluded_diagnoses_is_counted(good):
    sides = []
    for side, n_wrong in ((good.train, 0), (good.holdout, 0), (good.synthetic[0], 7)):
        sex = sexes(side)
        codes = np.where(sex == "M", "N40.1", "N80.0").astype(object)
        men, women = np.flatnonzero(sex == "M"), np.flatnonzero(sex == "F")
        codes[men[:n_wrong]] = "N80.0"
        codes[women[: 2 * (n_wrong > 0)]] = "C61"
        sides.append(coded(side, codes))
    result = judged(sides)
    n = len(sides[2].tables["diagnoses"])
    assert result.value == pytest.approx(9 / n, abs=1e-6)
    assert (result.n, result.reference, result.details["n_wrong"]) == (n, 0, 9)
    assert {one["range"]: one["synthetic"] for one in result.details["ranges"]} == {
        "malignant neoplasms of male genital organs": 2,
        "noninflammatory disorders of female genital tract": 7,
    }
    assert result.interval[0] < result.value < result.interval[1]


def test_age_at_the_time_counts(good):
    result = judged(everywhere(good, "Z38.0", "ICD-10-CM"))
    assert (result.value, result.reference) == (1, 1), "nobody of thirty is newborn"


def test_codes_of_no_known_system_are_not_checked(good):
    result = judged(everywhere(good, "C61", None))
    assert result.value is None
    assert "no table has codes" in result.note


def test_diagnoses_within_codes_of_meds_are_checked_and_nothing_else(good):
    """Every second code is a laboratory test, which is not counted; a delivery is excluded by the sex of men."""
    sides = []
    for side in everywhere(good, "DIAGNOSIS//ICD//10//N80.0", "MEDS"):
        frame = side.tables["diagnoses"].frame
        codes = np.where(np.arange(len(frame)) % 2 == 0, "LAB//51301//K/uL", frame["icd"].astype(str)).astype(object)
        sides.append(coded(side, codes, "MEDS"))
    result = judged(sides)
    is_man = sexes(sides[2])[1::2] == "M"
    assert result.n == len(is_man)
    assert result.details["n_wrong"] == is_man.sum() > 0
