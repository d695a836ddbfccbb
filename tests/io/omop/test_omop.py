"""OMOP CDM 5.4 folders: what is read, what is left out and said, and that what is written is what was read."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Form, Kind, Role, Schema
from manikin.io import omop
from manikin.io.omop.cdm54 import BY_NAME, TABLES, referred

PERSON = """person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,race_concept_id,ethnicity_concept_id,location_id
7,8507,1951,4,30,0,0,1
9,8532,1962,1,1,8527,0,1
12,8532,1980,12,31,8527,0,2
"""
VISITS = """visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_start_datetime,visit_end_date,visit_end_datetime,\
visit_type_concept_id,preceding_visit_occurrence_id
70,7,9201,2020-01-01,2020-01-01 10:00:00,2020-01-05,2020-01-05 12:30:00,32817,
71,7,9202,2020-03-01,2020-03-01 09:00:00,2020-03-01,2020-03-01 11:00:00,32817,70
90,9,9201,2021-02-01,2021-02-01 23:59:00,2021-02-03,2021-02-03 08:00:00,32817,
"""
MEASUREMENTS = """measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,measurement_time,\
measurement_type_concept_id,value_as_number,visit_occurrence_id,measurement_source_value,provider_id,site_note
1,7,3004249,2020-01-01,2020-01-01 10:10:00,10:10:00,32817,120.5,70,SBP,3,a
2,7,3004249,2020-01-02,2020-01-02 10:10:00,10:10:00,32817,118.0,70,SBP,3,a
3,9,3025315,2021-02-01,2021-02-01 23:59:30,23:59:30,32817,,90,WEIGHT,4,b
"""
DEATHS = "person_id,death_date,death_type_concept_id\n9,2021-02-03,32817\n"
PERIODS = """observation_period_id,person_id,observation_period_start_date,observation_period_end_date,period_type_concept_id
1,7,2020-01-01,2020-01-31,32817
2,9,2021-01-01,2021-12-31,32817
"""
LOCATIONS = "location_id,city,zip,state\n1,Springfield,12345,NT\n2,Shelbyville,54321,NT\n"
NOTES = "note_id,person_id,note_text\n1,7,Mr Burns was seen\n"
SPECIMENS = "specimen_id,person_id,specimen_concept_id,specimen_type_concept_id,specimen_date\n"
FILES = {
    "person": PERSON,
    "visit_occurrence": VISITS,
    "measurement": MEASUREMENTS,
    "death": DEATHS,
    "observation_period": PERIODS,
    "location": LOCATIONS,
    "note": NOTES,
    "specimen": SPECIMENS,
}


@pytest.fixture
def cdm(tmp_path: Path) -> Path:
    folder = tmp_path / "cdm"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def same(first: Dataset, second: Dataset) -> None:
    assert first.schema == second.schema
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table.frame, second.tables[name].frame)
        for column in table.frame.columns:
            np.testing.assert_array_equal(table.mark(column), second.tables[name].mark(column))


def test_the_cdm_says_what_the_columns_are(cdm: Path) -> None:
    data = omop.read(cdm)
    assert data.n_records == 3
    assert data.schema.root is not None
    assert data.schema.root.name == "person"
    person, visits, values = data.schema["person"], data.schema["visit_occurrence"], data.schema["measurement"]
    assert person["gender_concept_id"].kind is Kind.CODE
    assert person["birth_datetime"].has_role(Role.BIRTH)
    assert "year_of_birth" not in person  # the birth date says it
    assert (visits.form, visits.start, visits.end) == (Form.INTERVALS, "visit_start_datetime", "visit_end_datetime")
    assert [(key.columns, key.table) for key in visits.foreign_keys] == [
        (("person_id",), "person"),
        (("preceding_visit_occurrence_id",), "visit_occurrence"),
    ]
    assert values["value_as_number"].by == "measurement_concept_id"
    assert values["provider_id"].kind is Kind.CODE  # there is no table of providers: the number is all that is known
    assert "measurement_time" not in values
    assert "measurement_date" not in values
    assert data.schema["death"].form is Form.STATIC
    assert data.schema["death"]["death_date"].has_role(Role.DEATH)
    assert len(data.tables["specimen"]) == 0


def test_homes_and_notes_are_not_read_and_it_is_said(cdm: Path) -> None:
    data = omop.read(cdm)
    assert data.schema["location"].names == ["location_id", "state"]
    assert any("'city', 'zip'" in note for note in data.schema["location"].notes)
    assert any("'note' (free text)" in note for note in data.schema["person"].notes)
    assert any("1 of 3 rows begin outside" in note for note in data.schema["visit_occurrence"].notes)


def test_unknown_concepts_are_measured_by_their_source_value(cdm: Path) -> None:
    (cdm / "measurement.csv").write_text(MEASUREMENTS.replace("3004249", "0").replace("3025315", "0"))
    assert omop.read(cdm).schema["measurement"]["value_as_number"].by == "measurement_source_value"


def test_a_folder_is_written_as_it_was(cdm: Path, tmp_path: Path) -> None:
    data = omop.read(cdm)
    omop.write(data, tmp_path / "again", like=cdm)
    for name in ("person", "visit_occurrence", "measurement", "death", "observation_period", "specimen"):
        assert (tmp_path / "again" / f"{name}.csv").read_text() == FILES[name]
    assert (tmp_path / "again" / "location.csv").read_text().splitlines()[1] == "1,,,NT"
    assert not (tmp_path / "again" / "note.csv").exists()


def test_what_others_say_is_written_without_notes_too(cdm: Path, tmp_path: Path) -> None:
    data = omop.read(cdm)  # a generator's schema has lost its notes
    tables = (replace(t, columns=tuple(replace(c, notes=()) for c in t)) for t in data.schema.tables)
    made = Dataset(data.tables, Schema(tuple(tables)))
    omop.write(made, tmp_path / "again", like=cdm)
    for name in ("person", "visit_occurrence", "measurement", "death", "observation_period"):
        assert (tmp_path / "again" / f"{name}.csv").read_text() == FILES[name]
    omop.write(made, tmp_path / "plain")
    assert (tmp_path / "plain" / "visit_occurrence.csv").read_text() == FILES["visit_occurrence"]


def test_patients_are_written_in_pieces(cdm: Path, tmp_path: Path) -> None:
    data = omop.read(cdm)
    with omop.OmopWriter(tmp_path / "pieces", data.schema, like=cdm) as writer:
        for i in range(data.n_records):
            writer.append(data.subset(np.array([i])))
    omop.write(data, tmp_path / "whole", like=cdm)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "pieces" / path.name).read_bytes()
    with omop.OmopWriter(tmp_path / "nobody", data.schema):
        pass
    assert (tmp_path / "nobody" / "death.csv").read_text() == "person_id,death_date,death_type_concept_id\n"
    data.tables["death"].frame.loc[0, "person_id"] = "8"
    with pytest.raises(DataError, match="no such row"), omop.OmopWriter(tmp_path / "half", data.schema) as writer:
        writer.append(data)
    assert not list(tmp_path.glob("*half*"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".tsv.gz"])
def test_what_is_written_is_read_again(cdm: Path, tmp_path: Path, suffix: str) -> None:
    data = omop.read(cdm, schema=omop.read(cdm).schema)
    omop.write(data, tmp_path / "again", like=suffix)
    same(omop.read(tmp_path / "again", schema=data.schema), data)
    for name, table in omop.read(tmp_path / "again").tables.items():
        pd.testing.assert_frame_equal(table.frame, data.tables[name].frame)


def test_upper_case_stays(cdm: Path, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    for name in ("person", "visit_occurrence", "death"):
        head, _, rows = FILES[name].partition("\n")
        (upper / f"{name.upper()}.csv").write_text(f"{head.upper()}\n{rows}")
    assert omop.recognises(upper)
    data = omop.read(upper)
    assert data.schema["VISIT_OCCURRENCE"].foreign_keys[0].references == ("PERSON_ID",)
    omop.write(data, tmp_path / "again")
    assert (tmp_path / "again" / "PERSON.csv").read_text() == (upper / "PERSON.csv").read_text()


def test_parquet_has_the_types_of_the_cdm(cdm: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    omop.write(omop.read(cdm), tmp_path / "again", like=".parquet")
    kinds = pq.read_schema(tmp_path / "again" / "measurement.parquet")
    assert kinds.field("person_id").type == pa.int64()
    assert kinds.field("measurement_date").type == pa.date32()
    assert kinds.field("measurement_datetime").type == pa.timestamp("us")
    assert kinds.field("value_as_number").type == pa.float64()
    again = omop.read(tmp_path / "again")
    assert again.schema["person"]["birth_datetime"].has_role(Role.BIRTH)


def test_only_a_folder_with_persons_is_omop(cdm: Path, tmp_path: Path) -> None:
    assert omop.recognises(cdm)
    assert not omop.recognises(tmp_path)
    (tmp_path / "person.csv").write_text("id,name\n1,a\n")
    assert not omop.recognises(tmp_path)
    assert not omop.recognises(tmp_path / "person.csv")


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("person", "gender_concept_id", "sex", "'person' lacks 'gender_concept_id', which the OMOP CDM 5.4 requires"),
        ("person", "8507", "male", "column 'gender_concept_id', row 2: the cell is no whole number"),
        ("person", "9,8532", "7,8532", "column 'person_id', row 3: the key stands in an earlier row"),
        ("visit_occurrence", "90,9,", "90,8,", "column 'person_id', row 4: there is no such row in 'person'"),
        ("visit_occurrence", "90,9,", ",9,", "column 'visit_occurrence_id', row 4: the cell is empty"),
        ("visit_occurrence", "2020-01-01,", "soon,", "column 'visit_start_date', row 2: the cell is no date"),
        ("measurement", "120.5", "much", "column 'value_as_number', row 2: the cell is no number"),
    ],
)
def test_what_the_cdm_forbids_is_said_in_a_sentence(cdm: Path, name: str, old: str, new: str, words: str) -> None:
    path = cdm / f"{name}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=words):
        omop.read(cdm)


def test_nothing_is_written_where_something_is(cdm: Path, tmp_path: Path) -> None:
    data = omop.read(cdm)
    target = omop.write(data, tmp_path / "out")
    with pytest.raises(DataError, match="exists already"):
        omop.write(data, target)
    omop.write(data, target, force=True)
    (target / "thesis.docx").write_text("mine")
    with pytest.raises(DataError, match=r"also holds 'thesis\.docx'"):
        omop.write(data, target, force=True)
    assert (target / "thesis.docx").read_text() == "mine"


def test_nothing_is_left_of_a_write_that_fails(cdm: Path, tmp_path: Path) -> None:
    data = omop.read(cdm)
    visits = data.tables["visit_occurrence"].frame
    visits.loc[2, "visit_occurrence_id"] = "70"
    with pytest.raises(DataError, match="the key stands in an earlier row"):
        omop.write(data, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdm"]


def test_other_columns_than_the_schema_has_are_refused(cdm: Path) -> None:
    schema = omop.read(cdm).schema
    (cdm / "measurement.csv").write_text(MEASUREMENTS.replace("site_note", "other"))
    with pytest.raises(SchemaError, match="'site_note', which the schema names"):
        omop.read(cdm, schema=schema)


def test_every_reference_of_the_cdm_leads_to_a_key() -> None:
    for table in TABLES:
        names = [column.name for column in table]
        assert len(names) == len(set(names))
        assert table.primary_key is None or table.primary_key in names
        assert table.patient_key is None or table.patient_key in names
        assert table.subject is None or table.subject in names
        for stem in (table.start, table.end):
            assert stem is None or f"{stem}_date" in names
        for name in names:
            other = referred(table, name)
            assert other is None or BY_NAME[other].primary_key is not None


cells = st.sampled_from(["", "0", "8527", "4"])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), cells, st.dates(), st.floats(-1e6, 1e6), st.text("aé,\"' \n", max_size=4)), max_size=12)
)
def test_any_table_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, object, float, str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "cdm").mkdir()
    (folder / "cdm" / "person.csv").write_text(PERSON)
    frame = pd.DataFrame(
        {
            "observation_id": [str(i) for i in range(len(rows))],
            "person_id": [("7", "9", "12")[row[0]] for row in rows],
            "observation_concept_id": [row[1] for row in rows],
            "observation_date": [str(row[2]) for row in rows],
            "observation_type_concept_id": ["0"] * len(rows),
            "value_as_number": [repr(round(row[3], 3)) for row in rows],
            "observation_source_value": [row[4] for row in rows],
        }
    )
    frame.to_csv(folder / "cdm" / "observation.csv", index=False)
    data = omop.read(folder / "cdm")
    omop.write(data, folder / "again")
    same(omop.read(folder / "again"), data)


def test_mimic_as_omop_is_written_to_the_byte(shared: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
    try:
        from omop_from_mimic import tables_of
    finally:
        sys.path.pop(0)
    (tmp_path / "omop").mkdir()
    for name, frame in tables_of(shared / "mimic_iii_demo").items():
        frame.to_csv(tmp_path / "omop" / f"{name}.csv", index=False)
    data = omop.read(tmp_path / "omop")
    assert data.n_records == 100
    assert data.schema["condition_occurrence"]["condition_source_value"].code_system == "ICD-9-CM"
    omop.write(data, tmp_path / "again", like=tmp_path / "omop")
    for path in (tmp_path / "omop").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
