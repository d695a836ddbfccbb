"""What is found in linked tables that show less, or less plainly: few patients, names that say nothing, times that are numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.rules import RangeRule
from manikin.data.schema import ForeignKey, Form, Kind, Role, Schema
from manikin.io.linked import read, write
from manikin.io.linked.scales import between
from manikin.io.linked.times import grid_step, is_pair


def links(schema: Schema) -> set[tuple[object, ...]]:
    return {(t.name, key.columns, key.table, key.references) for t in schema.tables for key in t.foreign_keys}


def test_a_part_of_the_patients_shows_the_same_keys(hospital: Dataset, tmp_path: Path) -> None:
    """Ten patients with one stay each: any table could be that of the patients, and small numbers are shared by chance."""
    part = hospital.subset(np.random.default_rng(3).choice(100, 10, replace=False))
    found = read(write(part, tmp_path / "part")).schema
    assert links(found) == links(hospital.schema)
    assert found.root is not None
    assert found.root.name == "PATIENTS"
    assert (found["ADMISSIONS"].start, found["ADMISSIONS"].end) == ("admittime", "dischtime")


def test_the_text_of_a_code_is_no_free_text(hospital: Dataset) -> None:
    description = hospital.schema["DRGCODES"]["description"]
    assert description.kind is Kind.CATEGORICAL
    assert description.notes == ("The label of 'drg_code': 99.0% of the rows of a code have the same text.",)


def tables(folder: Path, **frames: pd.DataFrame) -> Path:
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_values_alone_show_a_key_that_chance_could_not_give(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    numbers = rng.choice(10**8, 40, replace=False)
    people = pd.DataFrame({"subject": numbers, "group": rng.choice(["a", "b"], 40)})
    rows = pd.DataFrame({"owner": rng.choice(numbers, 300), "day": rng.integers(0, 90, 300), "result": rng.normal(size=300).round(2)})
    schema = read(tables(tmp_path, people=people, rows=rows)).schema
    assert schema["rows"].foreign_keys == (ForeignKey(("owner",), "people", ("subject",)),)
    assert "by its values alone" in schema["rows"]["owner"].notes[-1]
    assert (schema["rows"].form, schema["rows"].start, schema["rows"]["day"].unit) == (Form.EVENTS, "day", "d")


def test_a_row_may_refer_to_another_of_its_table(tmp_path: Path) -> None:
    """As the OMOP CDM's preceding visits do; a row that names itself, as the head of a group, refers to none."""
    visits = pd.DataFrame({"visit_id": range(1000, 1060), "person_id": np.repeat(range(1, 31), 2), "date": "2020-01-01"})
    visits["preceding_visit_id"] = [None if i % 2 == 0 else 999 + i for i in range(60)]
    visits["group_visit_id"] = [1000 + i - i % 2 for i in range(60)]
    data = read(tables(tmp_path, visits=visits))
    assert data.schema["visits"].foreign_keys == (ForeignKey(("preceding_visit_id",), "visits", ("visit_id",)),)
    assert (len(data), data.schema.root) == (30, None)


def test_one_table_with_an_id_is_a_table_of_patients(tmp_path: Path) -> None:
    data = read(tables(tmp_path, a=pd.DataFrame({"id": [1, 2, 3], "sex": ["M", "F", "M"]})))
    assert (len(data), data.schema.only.form, data.schema.root) == (3, Form.STATIC, data.schema.only)


def test_small_numbers_that_happen_to_be_shared_are_no_key(tmp_path: Path) -> None:
    people = pd.DataFrame({"person_id": range(1, 31), "site_id": range(1, 31), "age": range(30, 60)})
    visits = pd.DataFrame({"person_id": list(range(1, 31)) * 3, "day": np.repeat([0, 7, 30], 30), "score": [1, 2, 3] * 30})
    schema = read(tables(tmp_path, people=people, visits=visits)).schema
    assert links(schema) == {("visits", ("person_id",), "people", ("person_id",))}
    assert schema["people"].primary_key == ("person_id",)


def test_offsets_from_admission_are_times(tmp_path: Path) -> None:
    """As eICU writes them: minutes since the unit's admission, in lower case and one word."""
    rng = np.random.default_rng(2)
    stays = pd.DataFrame({"patientunitstayid": range(141168, 141198), "age": rng.integers(20, 90, 30)})
    owner = np.repeat(stays["patientunitstayid"], 10).to_numpy()
    start = rng.integers(-100, 5000, 300)
    drugs = pd.DataFrame({"patientunitstayid": owner, "drugstartoffset": start, "drugstopoffset": start + rng.integers(0, 900, 300)})
    labs = pd.DataFrame({"patientunitstayid": owner, "labresultoffset": start, "labname": rng.choice(["Na", "K", "Hb"], 300)})
    labs["labresult"] = labs["labname"].map({"Na": 140.0, "K": 4.0, "Hb": 12.0}) + rng.normal(size=300).round(1)
    schema = read(tables(tmp_path, patient=stays, medication=drugs.assign(drug=rng.choice(["a", "b"], 300)), lab=labs)).schema
    assert (schema["medication"].form, schema["medication"].start) == (Form.INTERVALS, "drugstartoffset")
    assert (schema["lab"].start, schema["lab"]["labresultoffset"].unit) == ("labresultoffset", "min")
    assert schema["lab"]["labresult"].by == "labname"


def test_a_grid_has_one_step(tmp_path: Path) -> None:
    hours = pd.DataFrame([(i, h) for i in range(20) for h in range(24)], columns=["subject_id", "hour"])
    hours["pulse"] = np.random.default_rng(0).integers(50, 120, len(hours))
    found = read(tables(tmp_path, hours=hours)).schema.only
    assert (found.form, found.start) == (Form.GRID, "hour")
    owners = np.repeat([0, 1], 10)
    assert grid_step(np.tile(np.arange(10.0), 2), owners) is not None
    assert grid_step(np.tile(np.arange(10.0) ** 2, 2), owners) is None
    assert grid_step(np.tile(np.repeat(np.arange(5.0), 2), 2), owners) is None  # two rows at one time


def test_the_wearables_of_a_study_are_grids(shared: Path) -> None:
    schema = read(shared / "fitbit").schema
    assert schema.root is None
    grids = {table.name.removesuffix("_merged") for table in schema.tables if table.form is Form.GRID}
    assert grids == {"dailyActivity", "hourlyCalories", "hourlyIntensities", "hourlySteps", "minuteStepsWide"}
    assert {table.form for table in schema.tables} == {Form.GRID, Form.EVENTS}


def test_names_of_starts_and_ends() -> None:
    pairs = [("START", "STOP"), ("visit_start_datetime", "visit_end_datetime"), ("admit_dt", "discharge_dt"), ("intime", "outtime")]
    assert all(is_pair(*pair) for pair in pairs)
    assert not any(is_pair(end, start) for start, end in pairs)


def test_ranks_between_codes() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, 4000)
    noise = between(rng.normal(size=4000), codes)
    scaled = between(rng.normal(size=4000) + 100 * codes, codes)
    assert noise is not None
    assert scaled is not None
    assert abs(noise) < 0.01
    assert scaled > 0.98
    assert between(rng.normal(size=30), codes[:30]) is None


def test_a_number_of_the_patient_is_not_scaled_by_whoever_wrote_it_down(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(40), 25)
    weight = rng.normal(80, 15, 40).round(1)[patient]
    nurse = (patient // 2) * 3 + rng.integers(0, 3, 1000)
    value = rng.normal(size=1000).round(2) + 50 * (np.arange(1000) % 5)
    rows = pd.DataFrame({"subject_id": patient, "day": rng.integers(0, 30, 1000), "nurse": nurse, "weight": weight})
    rows = rows.assign(nurse="n" + rows["nurse"].astype(str), test=list("abcde") * 200, value=value)
    table = read(tables(tmp_path, rows=rows)).schema.only
    assert table["value"].by == "test"
    assert table["weight"].by is None


def test_numbers_of_staff_are_persons_too_and_rules_are_offered_only_where_they_could_be_kept(tmp_path: Path) -> None:
    """A caregiver's number is no code of the row; nor is a rule proposed that a confirmed schema would be refused for."""
    rng = np.random.default_rng(0)
    n = 400
    patient, code = np.sort(rng.integers(0, 40, n)), rng.integers(0, 8, n)
    at = pd.Timestamp("2140-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 9_000, n)), unit="h")
    given = pd.DataFrame(
        {
            "subject_id": patient + 500,
            "charttime": at.astype(str),
            "itemid": code + 220_000,
            "value": code * 100 + rng.integers(0, 5, n),
            "uom": np.where(code < 4, "ml", "mg"),
            "cgid": rng.integers(14_000, 14_060, n),
            "order_provider_id": [f"P{i:02d}XY" for i in rng.integers(0, 60, n)],
            "nurse_visits": rng.integers(0, 30, n),
        }
    )
    people = pd.DataFrame({"subject_id": np.arange(40) + 500, "sex": np.where(np.arange(40) % 2, "f", "m")})
    items = pd.DataFrame({"itemid": np.arange(8) + 220_000, "label": list("abcdefgh")})
    found = read(tables(tmp_path, patients=people, given=given, d_items=items)).schema["given"]
    assert all(found[name].has_role(Role.DIRECT_IDENTIFIER) for name in ("cgid", "order_provider_id"))
    assert "member of staff" in found["cgid"].notes[0]
    assert not found["nurse_visits"].has_role(Role.DIRECT_IDENTIFIER)
    assert found["value"].by == "itemid"
    assert found.rules
    assert all("value" not in rule.columns for rule in found.rules if not isinstance(rule, RangeRule))
    confirmed = replace(found, rules=tuple(replace(rule, confirmed=True) for rule in found.rules))
    data = read(tmp_path)
    schema = Schema(tuple(confirmed if table.name == "given" else table for table in data.schema.tables))
    RecordsCodec().fit(Dataset(data.tables, schema))
