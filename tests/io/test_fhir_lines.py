"""FHIR resources written many at a time: the lines are those of the slow way, and what R4 forbids is found in the same rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.io import fhir
from manikin.io.fhir.building import resources_of, sheets_of
from manikin.io.fhir.lines import dumped, lines_of

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Three patients; observations alike and not, with components, percent signs, quotes, -0.0; periods the wrong way round."""
    rng = np.random.default_rng(0)
    patients = [{"resourceType": "Patient", "id": str(i), "gender": ("male", "female")[i % 2], "birthDate": "1950-01-03"} for i in range(3)]
    observations: list[dict[str, Any]] = []
    for i in range(120):
        made: dict[str, Any] = {"resourceType": "Observation", "id": f"o{i}", "status": ("final", "amended")[i % 7 == 0]}
        code = {"system": LOINC, "code": ("1975-2", "2-%s")[i % 5 == 0]}
        made |= {"subject": {"reference": f"Patient/{i % 3}"}, "code": {"coding": [code]}}
        if i % 4:
            value = (float(rng.integers(5, 50)) / 10, -0.0, 0.0)[0 if i % 6 else i % 3]
            made["valueQuantity"] = {"value": value, "unit": ("%", '"x"', "mg/dL")[i % 3], "system": UCUM, "code": "1"}
        if i % 3:
            made["effectiveDateTime"] = ("2020-01-02T10:00:00.250Z", "2020-01-02T10:00:00Z", f"2020-02-{1 + i % 28:02d}")[i % 3]
        if i % 50 == 1:
            made["component"] = [{"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": {"value": i}}]
        observations.append(made)
    encounters = []
    for i in range(9):
        period = {"start": f"2020-01-{1 + i:02d}T10:00:00Z", "end": f"2020-01-{(1 if i % 4 == 3 else 2) + i:02d}T09:00:00Z"}
        made = {"resourceType": "Encounter", "id": f"e{i}", "status": "finished", "class": {"code": "IMP"}, "period": period}
        encounters.append(made | {"subject": {"reference": f"Patient/{i % 3}"}})
    source = tmp_path / "export"
    source.mkdir()
    (source / "all.ndjson").write_text("".join(json.dumps(one) + "\n" for one in [*patients, *observations, *encounters]))
    return fhir.read(source)


def test_lines_are_those_of_one_resource_after_another(data: Dataset) -> None:
    """Of 132 resources, few are built one by one; each problem is counted as often as the slow way finds it."""
    slow: Counter[str] = Counter(problem for resource in resources_of(data) for problem in fhir.problems_of(resource))
    found: Counter[str] = Counter()
    n_built = 0

    def note(resource: dict[str, Any], row: int, n_alike: int) -> None:
        nonlocal n_built
        n_built += 1
        found.update(dict.fromkeys(fhir.problems_of(resource), n_alike))

    lines = [line for sheet in sheets_of(data) for line in lines_of(sheet, note)]
    assert lines == [dumped(resource) for resource in resources_of(data)]
    assert found == slow
    assert sum(slow.values()) == 2
    assert n_built < 60


def test_the_first_row_that_breaks_r4_is_named(data: Dataset, tmp_path: Path) -> None:
    """Of an id too long and a status that no list has, the earlier row ends the writing, and nothing is left behind."""
    frame = data.tables["Observation"].frame.copy()
    frame["id"] = frame["id"].astype(object)
    frame["status"] = frame["status"].astype(object)
    for column, row in (("id", 40), ("status", 60)):
        broken = frame.copy()
        broken.loc[row, column] = "x" * 65
        if column == "status":
            broken.loc[70, "id"] = "x" * 65
        tables = data.tables | {"Observation": type(data.tables["Observation"])(broken, data.tables["Observation"].marks)}
        with pytest.raises(DataError, match=f"Row {row + 1} of table 'Observation'.*{column}"):
            fhir.write(Dataset(tables, data.schema), tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_table_without_rows_and_one_of_gaps(data: Dataset, tmp_path: Path) -> None:
    """No row gives no line; a column of gaps alone leaves no element."""
    nobody = data.subset(np.zeros(len(data), dtype=bool))
    fhir.write(nobody, tmp_path / "none")
    assert all(not file.read_text() for file in (tmp_path / "none").iterdir())
    frame = data.tables["Observation"].frame.assign(value=np.nan, unit=pd.NA)
    tables = data.tables | {"Observation": type(data.tables["Observation"])(frame, {})}
    written = list(resources_of(Dataset(tables, data.schema)))
    assert not any("valueQuantity" in resource for resource in written)
