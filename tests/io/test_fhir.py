"""FHIR R4 in and out: the same resources come back, what R4 forbids is refused, and hostile files end in one sentence."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Column, Form, Kind, Schema, TableSchema
from manikin.io import fhir
from manikin.io.fhir.checks import problems_of
from manikin.io.schema_file import read_schema, write_schema

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"


def concept(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **({"display": display} if display else {})}], "text": "free words"}


def bundle() -> dict[str, Any]:
    """Two patients as a server might export them: addresses of every kind, offsets, components, a contained medicine."""
    entries = [
        (
            "urn:uuid:aaa-1",
            {
                "resourceType": "Patient",
                "id": "p1",
                "name": [{"family": "Nobody"}],
                "gender": "female",
                "birthDate": "1950-03",
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                        "extension": [{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16", "code": "2106-3"}}],
                    }
                ],
            },
        ),
        ("http://ehr.test/fhir/Patient/p2", {"resourceType": "Patient", "id": "p2", "deceasedDateTime": "2020-05-01T10:00:00-04:00"}),
        (
            "urn:uuid:bbb-1",
            {
                "resourceType": "Encounter",
                "id": "e1",
                "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "subject": {"reference": "urn:uuid:aaa-1"},
                "period": {"start": "2020-01-01T23:30:00-05:00", "end": "2020-01-03T08:00:00-05:00"},
            },
        ),
        (
            "",
            {
                "resourceType": "Observation",
                "id": "o1",
                "status": "final",
                "code": concept(LOINC, "85354-9", "Blood pressure"),
                "subject": {"reference": "urn:uuid:aaa-1"},
                "encounter": {"reference": "urn:uuid:bbb-1"},
                "effectiveDateTime": "2020-01-02T06:15:30.250-05:00",
                "component": [
                    {"code": concept(LOINC, "8480-6"), "valueQuantity": quantity(121)},
                    {"code": concept(LOINC, "8462-4"), "valueQuantity": quantity(77.5)},
                ],
            },
        ),
        (
            "",
            {
                "resourceType": "Observation",
                "id": "o2",
                "status": "final",
                "code": concept(LOINC, "2160-0"),
                "subject": {"reference": "http://ehr.test/fhir/Patient/p2/_history/3"},
                "valueQuantity": {"value": 1.25, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
            },
        ),
        (
            "",
            {
                "resourceType": "MedicationRequest",
                "id": "m1",
                "status": "active",
                "intent": "order",
                "contained": [{"resourceType": "Medication", "id": "inside", "code": concept("http://rx.test", "11")}],
                "medicationReference": {"reference": "#inside"},
                "subject": {"reference": "Patient/p2"},
            },
        ),
        ("", {"resourceType": "Claim", "id": "c1"}),
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": u, "resource": r} for u, r in entries]}


def quantity(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(bundle()))
    return path


def same(first: Dataset, second: Dataset) -> None:
    assert first.schema == second.schema
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table.frame, second.tables[name].frame)
        assert {k: v.tolist() for k, v in table.marks.items()} == {k: v.tolist() for k, v in second.tables[name].marks.items()}


def test_references_of_every_kind_find_their_patient_and_times_keep_the_wall_clock(source: Path) -> None:
    data = fhir.read(source)
    assert len(data) == 2
    assert {name: owner.tolist() for name, owner in data.owners.items()} == {
        "Patient": [0, 1],
        "Encounter": [0],
        "Observation": [0, 1],
        "Observation.component": [0, 0],
        "MedicationRequest": [1],
    }
    assert data.tables["Encounter"].frame["start"][0] == pd.Timestamp("2020-01-01 23:30")
    assert data.tables["Observation"].frame["effective"][0] == pd.Timestamp("2020-01-02 06:15:30.250")
    assert data.tables["Patient"].frame["birth_date"][0] == pd.Timestamp("1950-03-01")
    assert data.tables["MedicationRequest"].frame["medication"].tolist() == ["http://rx.test|11"]
    assert data.schema["Observation.component"]["value"].by == "code"
    assert data.schema["Observation.component"]["unit"].code_system == "http://unitsofmeasure.org"
    assert "Claim (1)" in data.schema.tables[0].notes[-1]
    assert "name" not in data.schema["Patient"]


@pytest.mark.parametrize("like", fhir.LAYOUTS)
def test_a_round_trip_loses_nothing_that_the_schema_declares(source: Path, tmp_path: Path, like: str) -> None:
    data = fhir.read(source)
    target = fhir.write(data, tmp_path / ("out.json" if like == "bundle" else "out"), like=like)
    again = fhir.read(target)
    if like == "bundles":
        again = again.subset(np.arange(2))
    assert fhir.layout_of(target) == like
    assert fhir.layout_of(fhir.write(data, tmp_path / ("again.json" if like == "bundle" else "again"), like=target)) == like
    first = data.schema.tables[0]
    plain = Dataset(data.tables, Schema((type(first)(**{**vars(first), "notes": ()}), *data.schema.tables[1:])))
    same(plain, again)


def test_a_writer_of_pieces_takes_endings_and_folders_as_they_come(source: Path, tmp_path: Path) -> None:
    data = fhir.read(source)
    for ending, wanted in ((".ndjson", "ndjson"), (".json", "bundles"), (".csv", "ndjson"), ("bundle", "bundle")):
        target = tmp_path / f"pieces{ending}x"
        with fhir.FhirWriter(target, data.schema, like=ending) as writer:
            writer.append(data.subset(np.array([0])))
            writer.append(data.subset(np.array([1])))
        assert target.is_dir()
        assert fhir.layout_of(target) == wanted
        assert len(fhir.read(target)) == 2


def test_what_is_written_is_tagged_and_holds_r4(source: Path, tmp_path: Path) -> None:
    target = fhir.write(fhir.read(source), tmp_path / "out.json")
    entries = json.loads(target.read_text())["entry"]
    assert all(entry["resource"]["meta"]["security"][0]["code"] == "HTEST" for entry in entries)
    assert [problems_of(entry["resource"]) for entry in entries] == [[]] * len(entries)
    assert len({entry["fullUrl"] for entry in entries}) == len(entries)
    pressure = next(e["resource"] for e in entries if e["resource"]["id"] == "o1")
    assert pressure["component"][1]["valueQuantity"] == quantity(77.5)
    assert pressure["effectiveDateTime"] == "2020-01-02T06:15:30.250+00:00"
    dead = next(e["resource"] for e in entries if e["resource"]["id"] == "p2")
    assert "deceasedBoolean" not in dead


def test_ndjson_of_several_types_packed_or_not_and_single_resources(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "bulk"
    out.mkdir()
    by_type: dict[str, list[str]] = {}
    for entry in bundle()["entry"]:
        held = entry["resource"]
        if held["resourceType"] in ("Patient", "MedicationRequest"):
            by_type.setdefault(held["resourceType"], []).append(json.dumps(held))
    (out / "Patient.ndjson").write_text("\n".join(by_type["Patient"]) + "\n\n")
    (out / "rx.ndjson.gz").write_bytes(gzip.compress("\n".join(by_type["MedicationRequest"]).encode()))
    assert fhir.is_fhir(out)
    assert {name: len(table) for name, table in fhir.read(out).tables.items()} == {"Patient": 2, "MedicationRequest": 1, "Coding": 2}


BROKEN = {
    "no JSON": ("{", "is not valid JSON"),
    "NaN": ('{"resourceType": "Patient", "id": "a", "x": NaN}', "is not valid JSON"),
    "deep": ("[" * 100_000, "is not valid JSON"),
    "no resource": ('{"a": 1}', "has no resourceType"),
    "no patient": ('{"resourceType": "Observation", "id": "a"}', "holds no Patient"),
    "no id": ('{"resourceType": "Patient"}', "neither an id nor a fullUrl"),
    "bad gender": ('{"resourceType": "Patient", "id": "a", "gender": "Zzyzx"}', "'gender' holds a code that R4 does not know"),
    "bad date": ('{"resourceType": "Patient", "id": "a", "birthDate": "Zzyzx"}', "'birth_date' is no date"),
    "list for text": ('{"resourceType": "Patient", "id": "a", "gender": ["male"]}', "'gender' is no text"),
    "entries": ('{"resourceType": "Bundle", "entry": 3}', "entries are no list"),
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_a_broken_file_is_one_sentence_with_its_name_and_no_value(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(DataError, match=words) as error:
        fhir.read(path)
    assert "broken.json" in str(error.value)
    assert "Zzyzx" not in str(error.value)


def test_rows_of_nobody_twins_and_foreign_schemas_are_refused(tmp_path: Path, source: Path) -> None:
    made = bundle()
    made["entry"][2]["resource"]["subject"] = {"reference": "Patient/somebody-else"}
    path = tmp_path / "lost.json"
    path.write_text(json.dumps(made))
    with pytest.raises(DataError, match="Encounter number 1 refers to no Patient"):
        fhir.read(path)
    path.write_text(json.dumps({**made, "entry": [made["entry"][0]] * 2}))
    with pytest.raises(DataError, match="a second Patient has the id of an earlier one"):
        fhir.read(path)
    other = Schema((TableSchema("Patient", (Column("id", Kind.IDENTIFIER),), form=Form.STATIC),))
    with pytest.raises(SchemaError, match="differ in table"):
        fhir.read(source, schema=other)


def test_a_schema_comes_back_from_its_file(source: Path, tmp_path: Path) -> None:
    data = fhir.read(source)
    known = read_schema(write_schema(data.schema, tmp_path / "schema.toml"))
    assert known == data.schema
    assert fhir.read(source, schema=known).schema == known


def test_nothing_is_written_where_fhir_has_no_place_or_something_is_there(source: Path, tmp_path: Path) -> None:
    data = fhir.read(source)
    wards = TableSchema("wards", (Column("id", Kind.IDENTIFIER),), form=Form.REFERENCE)
    strange = Dataset({**data.tables, "wards": Table(pd.DataFrame({"id": ["1"]}))}, Schema((*data.schema.tables, wards)))
    with pytest.raises(DataError, match="FHIR has no place for table 'wards'"):
        fhir.write(strange, tmp_path / "out")
    bad = data.tables["Patient"].frame.assign(id=["not an id!", "p2"])
    with pytest.raises(DataError, match="Row 1 of table 'Patient' cannot be written as FHIR R4: id must be"):
        fhir.write(Dataset({**data.tables, "Patient": Table(bad, data.tables["Patient"].marks)}, data.schema), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [p for p in tmp_path.iterdir() if ".part" in p.name] == []
    fhir.write(data, tmp_path / "out")
    with pytest.raises(DataError, match="exists already"):
        fhir.write(data, tmp_path / "out")
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    with pytest.raises(DataError, match="holds more than FHIR files"):
        fhir.write(data, tmp_path / "out", force=True)


WRONG = {
    "status is required.": {"status": None},
    "status is not one of the codes that R4 allows.": {"status": "done"},
    "subject must be a reference.": {"subject": "Patient/1"},
    "category must be no list.": {"category": [concept(SNOMED, "1")]},
    "reasonCode must be a list.": {"reasonCode": concept(SNOMED, "1")},
    "performed[x] is written in 2 forms; R4 allows one.": {"performedDateTime": "2020-01-01", "performedString": "then"},
    "performedPeriod must be a date, or a time with its offset, such as 2026-11-26T08:30:00+01:00.": {
        "performedPeriod": {"start": "2020-01-01T10:00:00"}
    },
    "performedPeriod ends before it starts (per-1).": {"performedPeriod": {"start": "2020-01-02", "end": "2020-01-01"}},
    "id must be 1 to 64 letters, digits, hyphens or points.": {"id": "a b"},
}


@pytest.mark.parametrize("problem", sorted(WRONG))
def test_each_rule_of_r4_is_told_when_it_is_broken(problem: str) -> None:
    right = {"resourceType": "Procedure", "id": "a", "status": "completed", "subject": {"reference": "Patient/1"}}
    assert problems_of(right) == []
    assert problems_of({key: value for key, value in {**right, **WRONG[problem]}.items() if value is not None}) == [problem]


def test_invariants_between_elements() -> None:
    clinical = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
    condition = {"resourceType": "Condition", "id": "a", "subject": {"reference": "Patient/1"}, "clinicalStatus": clinical}
    assert problems_of(condition) == []
    assert "(con-4)" in problems_of({**condition, "abatementDateTime": "2020-01-01"})[0]
    seen = {"resourceType": "Observation", "id": "a", "status": "final", "subject": {"reference": "Patient/1"}}
    seen["code"] = concept(LOINC, "1")
    assert "(obs-6)" in problems_of({**seen, "valueBoolean": True, "dataAbsentReason": concept(SNOMED, "2")})[0]


names = st.text(alphabet="abcdefgh0123456789.-", min_size=1, max_size=12)
moments = st.none() | st.datetimes(min_value=pd.Timestamp("1000-01-01"), max_value=pd.Timestamp("9000-01-01")).map(
    lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)
)
observations = st.lists(
    st.tuples(names, st.none() | st.decimals(min_value=-1000, max_value=1000, places=3), moments, st.none() | st.booleans()),
    max_size=12,
    unique_by=lambda row: row[0],
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(names, min_size=1, max_size=4, unique=True), rows=observations, like=st.sampled_from(["ndjson", "bundle"]))
def test_whatever_was_read_is_read_again_the_same(tmp_path: Path, ids: list[str], rows: list[Any], like: str) -> None:
    made: list[dict[str, Any]] = [{"resourceType": "Patient", "id": name} for name in ids]
    for number, (name, value, moment, truth) in enumerate(rows):
        one: dict[str, Any] = {"resourceType": "Observation", "id": name, "status": "final", "code": concept(LOINC, f"c{number % 3}")}
        one["subject"] = {"reference": f"Patient/{ids[number % len(ids)]}"}
        if value is not None:
            one["valueQuantity"] = {"value": float(value)}
        if moment is not None:
            one["effectiveDateTime"] = moment.isoformat() + "Z"
        if truth is not None:
            one["valueBoolean"] = truth
        if value is not None and truth is not None:
            del one["valueBoolean"]
        made.append(one)
    source, target = tmp_path / "in.ndjson", tmp_path / ("out.json" if like == "bundle" else "out")
    source.write_text("".join(json.dumps(one) + "\n" for one in made))
    data = fhir.read(source)
    same(data, fhir.read(fhir.write(data, target, like=like, force=True)))


def test_real_records_come_back_the_same(shared: Path, tmp_path: Path) -> None:
    maker = Path(__file__).parents[2] / "benchmarks" / "mimic_to_fhir.py"
    subprocess.run([sys.executable, str(maker), str(shared / "mimic_iii_demo"), str(tmp_path / "in")], check=True)
    data = fhir.read(tmp_path / "in")
    assert len(data) == 100
    same(data, fhir.read(fhir.write(data, tmp_path / "out")))
