"""Folders of linked tables: what is found in them, what is refused, and what is mended and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.data.dataset import Dataset
from manikin.data.schema import ForeignKey, Form, Kind, Role, Schema
from manikin.io.linked import look, read
from manikin.io.schema_file import write_schema


def test_a_folder_shows_its_keys_forms_and_times(ward: Path) -> None:
    found = look(ward)
    schema = found.data.schema
    assert len(found.data) == 3
    assert found.notes == ("Passed over, being no tables: LICENSE.txt.",)
    assert {table.name: table.form for table in schema.tables} == {
        "d_items": Form.REFERENCE,
        "labs": Form.EVENTS,
        "patients": Form.STATIC,
        "stays": Form.INTERVALS,
    }
    assert schema.root is schema["patients"]
    assert {table.name: table.primary_key for table in schema.tables} == {
        "d_items": ("itemid",),
        "labs": (),
        "patients": ("patient_id",),
        "stays": ("stay_id",),
    }
    assert schema["labs"].foreign_keys == (
        ForeignKey(("patient_id",), "patients", ("patient_id",)),
        ForeignKey(("stay_id",), "stays", ("stay_id",)),
        ForeignKey(("itemid",), "d_items", ("itemid",)),
    )
    assert (schema["stays"].start, schema["stays"].end) == ("admittime", "dischtime")
    assert schema["labs"].start == "charttime"
    assert schema["labs"]["itemid"].kind is Kind.CODE
    assert schema["labs"]["stay_id"].kind is Kind.IDENTIFIER
    assert schema["patients"]["dob"].has_role(Role.BIRTH)
    assert not schema["patients"]["dob"].has_role(Role.DIRECT_IDENTIFIER)


def test_formats_mix(ward: Path) -> None:
    whole = read(ward)
    pd.read_csv(ward / "labs.csv").to_parquet(ward / "labs.parquet", index=False)
    (ward / "labs.csv").unlink()
    stays = pd.read_csv(ward / "stays.csv")
    stays.to_csv(ward / "stays.tsv", sep="\t", index=False)
    (ward / "stays.csv").unlink()
    mixed = read(ward)
    assert [t.foreign_keys for t in mixed.schema.tables] == [t.foreign_keys for t in whole.schema.tables]
    assert {name: owner.tolist() for name, owner in mixed.owners.items()} == {n: o.tolist() for n, o in whole.owners.items()}


def test_the_tables_of_a_real_hospital(hospital: Dataset) -> None:
    schema = hospital.schema
    assert len(hospital) == 100
    root = schema.root
    assert root is not None
    assert root.name == "PATIENTS"
    of_nobody = {table.name for table in schema.tables if table.form is Form.REFERENCE}
    assert of_nobody == {"D_ICD_DIAGNOSES", "D_ICD_PROCEDURES", "D_ITEMS", "D_LABITEMS"}
    assert {table.name for table in schema.tables if table.form is Form.INTERVALS} == {
        "ADMISSIONS", "ICUSTAYS", "INPUTEVENTS_MV", "PRESCRIPTIONS", "PROCEDUREEVENTS_MV", "TRANSFERS",
    }  # fmt: skip
    assert {(table.name, key.columns, key.table) for table in schema.tables for key in table.foreign_keys} >= {
        ("ICUSTAYS", ("hadm_id",), "ADMISSIONS"),
        ("OUTPUTEVENTS", ("icustay_id",), "ICUSTAYS"),
        ("OUTPUTEVENTS", ("itemid",), "D_ITEMS"),
        ("MICROBIOLOGYEVENTS", ("ab_itemid",), "D_ITEMS"),
        ("DIAGNOSES_ICD", ("icd9_code",), "D_ICD_DIAGNOSES"),
        ("PROCEDURES_ICD", ("icd9_code",), "D_ICD_PROCEDURES"),
    }
    assert {table.name: (table.start, table.end) for table in schema.tables if table.start} == {
        "ADMISSIONS": ("admittime", "dischtime"),
        "CALLOUT": ("createtime", None),
        "DATETIMEEVENTS": ("charttime", None),
        "ICUSTAYS": ("intime", "outtime"),
        "INPUTEVENTS_MV": ("starttime", "endtime"),
        "MICROBIOLOGYEVENTS": ("chartdate", None),
        "OUTPUTEVENTS": ("charttime", None),
        "PRESCRIPTIONS": ("startdate", "enddate"),
        "PROCEDUREEVENTS_MV": ("starttime", "endtime"),
        "SERVICES": ("transfertime", None),
        "TRANSFERS": ("intime", "outtime"),
    }
    assert schema["OUTPUTEVENTS"]["value"].by == "itemid"
    assert schema["INPUTEVENTS_MV"]["amount"].by == "itemid"
    assert schema["INPUTEVENTS_MV"]["patientweight"].by is None


def test_a_table_of_events_beside_one_of_outcomes(shared: Path, tmp_path: Path) -> None:
    for name in ("set_a_events.parquet", "outcomes_a.csv"):
        (tmp_path / name).symlink_to(shared / "physionet2012" / name)
    data = read(tmp_path)
    events, outcomes = data.schema["set_a_events"], data.schema["outcomes_a"]
    assert len(data) == 4000
    assert data.schema.root is outcomes
    assert (outcomes.form, events.form, events.start) == (Form.STATIC, Form.EVENTS, "minute")
    assert events["minute"].unit == "min"
    assert events["Value"].by == "Parameter"
    assert events.foreign_keys == (ForeignKey(("RecordID",), "outcomes_a", ("RecordID",)),)


@pytest.mark.parametrize(("name", "form", "start", "n"), [("pbcseq", Form.EVENTS, "day", 312), ("colon", Form.EVENTS, "time", 929)])
def test_one_file_of_repeated_rows_is_linked_by_its_schema(
    shared: Path, tmp_path: Path, name: str, form: Form, start: str, n: int
) -> None:
    path = shared / "survival" / f"{name}.csv"
    table = replace(mk.infer(path).only, form=form, start=start)
    data = mk.read(path, schema=mk.read_schema(write_schema(Schema((table,)), tmp_path / "schema.toml")))
    assert data.is_linked
    assert len(data) == n
    assert int(np.bincount(data.owners[table.name]).sum()) == len(data.table)
    mk.write(data, tmp_path / f"{name}.csv")
    real, back = (pd.read_csv(place, dtype=str) for place in (path, tmp_path / f"{name}.csv"))
    pd.testing.assert_frame_equal(real.iloc[:, :4], back.iloc[:, :4].set_axis(real.columns[:4], axis=1))
