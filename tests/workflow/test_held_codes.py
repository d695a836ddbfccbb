"""A diagnosis that is held while patients are continued is one that their sex and age allow, or is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import manikin as mk
import records_fake
from manikin.data.errors import ParameterError
from manikin.data.schema import Kind, Role
from manikin.synthesizers.storage import save
from manikin.workflow.continuation import continue_patients
from manikin.workflow.held_codes import refuse_excluded

DELIVERY, NEWBORN, PROSTATE, DIABETES = "650", "V3000", "60000", "25000"


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """A woman of 30, a man of 50, and one of whom neither sex nor birth is known, with a diagnosis each in 2020."""
    folder = tmp_path / "clinic"
    folder.mkdir()
    people = pd.DataFrame({"id": [1, 2, 3], "sex": ["F", "M", ""], "born": ["1990-01-01", "1970-01-01", ""]})
    people.to_csv(folder / "people.csv", index=False)
    codes = pd.DataFrame({"id": [1, 1, 2, 2, 3, 3], "day": ["2020-01-01", "2020-02-01"] * 3, "code": [DIABETES, "4019"] * 3})
    codes.to_csv(folder / "diagnoses.csv", index=False)
    return folder


@pytest.fixture
def given(clinic: Path) -> mk.Dataset:
    schema = mk.infer(clinic)
    code, born = schema["diagnoses"]["code"], schema["people"]["born"]
    coded = schema["diagnoses"].replace_column(replace(code, kind=Kind.CODE, code_system="ICD-9-CM"))
    known = {"diagnoses": coded, "people": schema["people"].replace_column(replace(born, roles=(Role.BIRTH,)))}
    return mk.read(clinic, schema=replace(schema, tables=tuple(known[table.name] for table in schema.tables)))


def held(given: mk.Dataset, code: str, **more: str) -> None:
    refuse_excluded(given, {"diagnoses.code": code, **more}, given.schema, np.full(len(given), 400.0))


@pytest.mark.parametrize(
    ("code", "n", "title"), [(DELIVERY, 1, "childbirth"), (PROSTATE, 1, "male genital organs"), (NEWBORN, 2, "liveborn")]
)
def test_what_sex_or_age_excludes_is_refused(given: mk.Dataset, code: str, n: int, title: str) -> None:
    with pytest.raises(ParameterError, match=rf"--set diagnoses.code holds a diagnosis .*{title}.* for {n} of the 3 given patients"):
        held(given, code)


def test_what_anybody_may_have_holds(given: mk.Dataset) -> None:
    held(given, DIABETES)
    refuse_excluded(given, {"sex": "M"}, given.schema, np.full(len(given), 400.0))
    held(given.subset(np.array([0])), DELIVERY)
    held(given.subset(np.array([2])), NEWBORN)  # nothing is known of her


def test_a_sex_that_is_held_too_counts(given: mk.Dataset) -> None:
    with pytest.raises(ParameterError, match="for 3 of the 3 given patients"):
        held(given, PROSTATE, sex="F")


def test_the_command_refuses_before_anything_is_written(
    clinic: Path, given: mk.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records_fake.registered(monkeypatch)
    model = save(records_fake.Repeats().fit(given, seed=0), tmp_path / "model")
    with pytest.raises(ParameterError, match="that sex or age excludes for 1 of the 3"):
        continue_patients(clinic, model, until="+30d", draws=1, out=tmp_path / "out", set={"diagnoses.code": DELIVERY})
    assert not (tmp_path / "out").exists()
