"""What becomes of linked tables that do not hold together: refused by table and row, or mended by a rule that is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import ForeignKey, Form, Kind, Schema, Storage
from manikin.io.linked import look, read
from manikin.io.schema_file import write_schema
from manikin.io.tabular import read as read_flat

Put = Callable[[str, str, str], None]


@pytest.fixture
def put(ward: Path) -> Put:
    """Exchanges a piece of one of the ward's files."""

    def exchange(name: str, old: str, new: str) -> None:
        text = (ward / name).read_text()
        assert old in text
        (ward / name).write_text(text.replace(old, new, 1))

    return exchange


@pytest.fixture
def schema(ward: Path) -> Schema:
    """The schema of the ward as it was found."""
    return read(ward).schema


def with_table(schema: Schema, name: str, **changes: object) -> Schema:
    return Schema(tuple(replace(t, **changes) if t.name == name else t for t in schema.tables))  # type: ignore[arg-type]


def test_a_patient_whom_no_table_lists_is_a_patient(ward: Path, put: Put) -> None:
    put("labs.csv", "102,,2020-03-08", "104,,2020-03-08")
    found = look(ward)
    assert len(found.data) == 4
    assert found.data.owners["labs"].tolist() == [0, 0, 0, 1, 3]
    labs = found.data.schema["labs"]
    assert [key.table for key in labs.foreign_keys] == ["stays", "d_items"]
    assert "1 rows name patients whom patients does not list; they count as patients." in labs["patient_id"].notes[-1]


def test_a_reference_to_a_row_that_is_not_there_becomes_none(ward: Path, put: Put) -> None:
    put("labs.csv", "102,9003", "102,9999")
    found = look(ward)
    labs = found.data.schema["labs"]
    assert found.data.tables["labs"].frame["stay_id"].tolist() == ["9001", "9001", "9002", None, None]
    assert found.data.tables["labs"].mark("stay_id").tolist() == [0, 0, 0, 1, 1]
    assert "75.0% of the rows match. 1 rows name a row that is not there; they refer to none." in labs["stay_id"].notes[-1]
    assert [link.n_orphans for link in found.links if link.columns == ("stay_id",)] == [1]


def test_a_code_that_the_vocabulary_lacks_stays(ward: Path, schema: Schema, put: Put) -> None:
    put("d_items.csv", "50002,sodium\n", "")
    found = look(ward, schema=schema)
    assert found.data.tables["labs"].frame["itemid"].astype(str).tolist() == ["50001", "50002", "50001", "50002", "50002"]
    assert [link.n_orphans for link in found.links if link.columns == ("itemid",)] == [3]


def test_a_row_that_names_nobody_is_refused_by_its_number(ward: Path, put: Put) -> None:
    put("labs.csv", "101,9001,2020-01-02", ",9001,2020-01-02")
    with pytest.raises(DataError, match="table 'labs', row 3: the row names nobody, since its patient key 'patient_id' is empty"):
        read(ward)


def test_a_row_whose_only_way_leads_nowhere_is_refused(ward: Path, put: Put) -> None:
    table = pd.read_csv(ward / "labs.csv", dtype=str).drop(columns="patient_id").dropna()
    table.to_csv(ward / "labs.csv", index=False)
    data = read(ward)
    assert data.owners["labs"].tolist() == [0, 0, 0, 1]
    put("labs.csv", "9002", "9777")
    with pytest.raises(DataError, match=r"table 'labs', row 4: the row names nobody, since 'stay_id' lead to no patient \(1 such"):
        read(ward, schema=data.schema)


def test_a_double_primary_key_is_refused_by_its_row(ward: Path, schema: Schema, put: Put) -> None:
    put("stays.csv", "9003", "9001")
    with pytest.raises(DataError, match=r"table 'stays', row 4: its primary key 'stay_id' stands in an earlier row already \(1 such"):
        read(ward, schema=schema)
    assert read(ward).schema["stays"].primary_key == ("patient_id", "stay_id")  # no two rows of a patient are alike
    put("stays.csv", "9001,102", ",102")
    with pytest.raises(DataError, match="table 'stays', row 4: the primary key 'stay_id' is empty"):
        read(ward, schema=schema)


def test_a_circle_of_keys_is_refused_and_none_is_proposed(ward: Path, schema: Schema) -> None:
    stays = pd.read_csv(ward / "stays.csv", dtype=str).assign(lab_id=["1", "3", "4"])
    labs = pd.read_csv(ward / "labs.csv", dtype=str).assign(lab_id=["1", "2", "3", "4", "5"])
    stays.to_csv(ward / "stays.csv", index=False)
    labs.to_csv(ward / "labs.csv", index=False)
    found = read(ward).schema
    assert next(t.name for t in found.of_patients) == "patients"
    keys = {(t.name, key.table) for t in found.tables for key in t.foreign_keys}
    assert len(keys & {("stays", "labs"), ("labs", "stays")}) == 1
    circle = with_table(found, "stays", foreign_keys=(ForeignKey(("lab_id",), "labs", ("lab_id",)),))
    circle = with_table(circle, "labs", foreign_keys=(ForeignKey(("stay_id",), "stays", ("stay_id",)),))
    with pytest.raises(SchemaError, match="form a circle"):
        read(ward, schema=circle)


def test_columns_and_files_that_differ_from_the_schema_are_named(ward: Path, schema: Schema, put: Put) -> None:
    put("labs.csv", "charttime", "time")
    with pytest.raises(SchemaError, match=r"names 'charttime', which .*labs\.csv does not have"):
        read(ward, schema=schema)
    (ward / "labs.csv").unlink()
    with pytest.raises(SchemaError, match=r"names the table 'labs', for which .*ward has no file"):
        read(ward, schema=schema)


def test_a_table_that_the_schema_does_not_name_is_passed_over(ward: Path, schema: Schema) -> None:
    without = Schema(tuple(table for table in schema.tables if table.name != "labs"))
    write_schema(without, ward / "schema.toml")
    found = look(ward)
    assert sorted(found.data.tables) == ["d_items", "patients", "stays"]
    assert found.notes[1:] == (
        "Read by schema.toml of the folder.",
        "Passed over, since the schema does not name their tables: labs.csv.",
    )


def test_dates_before_birth_are_counted(ward: Path, put: Put) -> None:
    put("patients.csv", "1950-02-01", "2020-01-15")
    found = look(ward)
    assert "stays: 1 rows start before their patient is born; they stay." in found.notes
    assert "labs: 2 rows start before their patient is born; they stay." in found.notes
    assert found.data.schema["labs"].notes[-1] == "2 rows start before their patient is born; they stay."


def test_dates_after_death_are_counted(ward: Path) -> None:
    patients = pd.read_csv(ward / "patients.csv").assign(dod=["2020-01-03", None, None])
    patients.to_csv(ward / "patients.csv", index=False)
    found = look(ward)
    assert "stays: 1 rows start on a day after their patient's death; they stay." in found.notes
    assert "labs: 1 rows start on a day after their patient's death; they stay." in found.notes


def test_times_of_several_zones_are_read_as_utc(ward: Path, put: Put) -> None:
    put("labs.csv", "01-01 12:00:00", "01-01T12:00:00+01:00")
    put("labs.csv", "01-02 12:00:00", "01-02T12:00:00+02:00")
    put("labs.csv", "02-02 12:00:00", "02-02T12:00:00Z")
    put("labs.csv", "03-01 09:00:00", "03-01T09:00:00-05:00")
    with pytest.raises(DataError, match=r"labs\.csv, column 'charttime', row 6: the time tells no zone, while others .* \(1 rows"):
        read(ward)
    put("labs.csv", "03-08 09:00:00", "03-08T09:00:00.000+00:00")
    found = look(ward)
    hours = found.data.tables["labs"].frame["charttime"].dt.hour.tolist()
    assert hours == [11, 10, 12, 14, 9]
    assert found.data.schema["labs"]["charttime"].time_format == "%Y-%m-%dT%H:%M:%SZ"
    assert "read as UTC" in found.data.schema["labs"].notes[0]
    assert found.notes[-1] == "Times tell a zone (UTC) in labs and none in stays: these are read as if UTC."
    assert look(ward, schema=found.data.schema).data.tables["labs"].frame["charttime"].dt.hour.tolist() == hours


def test_a_table_without_a_way_to_a_patient_must_be_declared(ward: Path, schema: Schema) -> None:
    (ward / "staffing.csv").write_text("date,nurses\n2020-01-01,4\n2020-01-02,5\n")
    with pytest.raises(DataError, match=r"Table 'staffing' of .* no column that leads to a patient.*form = \"reference\""):
        read(ward)
    staffing = replace(read_flat(ward / "staffing.csv").columns, form=Form.REFERENCE)
    assert len(read(ward, schema=Schema((*schema.tables, staffing))).tables["staffing"]) == 2
    with pytest.raises(DataError, match="no column of table 'staffing' leads to a patient"):
        read(ward, schema=Schema((*schema.tables, replace(staffing, form=Form.EVENTS))))


def test_nothing_that_says_who_the_patients_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1.5,2\n2.5,3\n")
    with pytest.raises(DataError, match="does not show who the patients are"):
        read(tmp_path)


def test_empty_tables_are_read_with_their_keys(ward: Path) -> None:
    (ward / "labs.csv").write_text("patient_id,stay_id,charttime,itemid,value\n")
    pd.DataFrame({"patient_id": pd.Series([], dtype="int64"), "note": pd.Series([], dtype=object)}).to_parquet(ward / "notes.parquet")
    data = read(ward)
    assert {name: len(table) for name, table in data.tables.items()} == {"d_items": 3, "labs": 0, "notes": 0, "patients": 3, "stays": 3}
    labs = data.schema["labs"]
    assert [key.table for key in labs.foreign_keys] == ["patients", "stays", "d_items"]
    assert labs["stay_id"].notes[-1] == "Refers to stay_id of stays, by its name: no row refers to one."
    assert data.schema["notes"].form is Form.EVENTS
    assert len(data) == 3


def test_two_files_of_one_name(ward: Path) -> None:
    (ward / "LABS.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(DataError, match=r"two files for the table 'labs': LABS\.tsv and labs\.csv"):
        read(ward)


def test_no_folder_and_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no table"):
        read(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        read(tmp_path / "nowhere")


def test_keys_that_a_tool_wrote_with_points_match_those_without(ward: Path, put: Put) -> None:
    labs = pd.read_csv(ward / "labs.csv")
    labs.to_csv(ward / "labs.csv", index=False)
    assert "9001.0" in (ward / "labs.csv").read_text()
    text = look(ward)
    labs.to_parquet(ward / "labs.parquet", index=False)
    (ward / "labs.csv").unlink()
    typed = look(ward)
    for found in (text, typed):
        stay = found.data.schema["labs"]["stay_id"]
        assert (stay.kind, stay.storage) == (Kind.IDENTIFIER, Storage.INTEGER)
        assert found.data.tables["labs"].frame["stay_id"].tolist() == ["9001", "9001", "9002", "9003", None]
        assert [link.n_orphans for link in found.links if link.columns == ("stay_id",)] == [0]
        assert any("with a point" in note for note in found.data.schema["labs"].notes)


def test_a_patient_with_fifty_thousand_events_and_one_with_none(ward: Path) -> None:
    n = 50_000
    times = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(n), unit="min")
    value = np.round(np.random.default_rng(0).normal(size=n), 2)
    frame = pd.DataFrame({"patient_id": 101, "stay_id": 9001, "charttime": times, "itemid": 50001 + np.arange(n) % 3, "value": value})
    frame.to_csv(ward / "labs.csv", index=False)
    start = time.process_time()
    data = read(ward)
    assert time.process_time() - start < 10
    assert np.bincount(data.owners["labs"], minlength=3).tolist() == [n, 0, 0]
    assert len(data) == 3


def test_composite_keys_are_found(tmp_path: Path) -> None:
    patients = pd.DataFrame({"subject_id": range(30), "sex": ["F", "M"] * 15})
    visits = pd.DataFrame([(s, v, f"2020-0{v}-01") for s in range(30) for v in (1, 2, 3)], columns=["subject_id", "visit_num", "date"])
    drugs = visits.loc[visits.index.repeat(2), ["subject_id", "visit_num"]].assign(drug=["a", "b", "c", "a", "b"] * 36)
    for name, frame in (("patients", patients), ("visits", visits), ("drugs", drugs)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    schema = read(tmp_path).schema
    assert schema["visits"].primary_key == ("subject_id", "visit_num")
    assert ForeignKey(("subject_id", "visit_num"), "visits", ("subject_id", "visit_num")) in schema["drugs"].foreign_keys
    assert schema["drugs"]["visit_num"].kind is Kind.IDENTIFIER


def test_keys_that_are_called_after_their_tables(tmp_path: Path) -> None:
    """As Synthea writes them: Id in each table, and columns that are called as the table to which they refer."""
    ids = [f"{i:08x}-0000-4000-8000-000000000000" for i in range(200)]
    patients = pd.DataFrame({"Id": ids[:20], "BIRTHDATE": "1980-01-01", "GENDER": ["F", "M"] * 10})
    encounters = pd.DataFrame(
        {"Id": ids[50:150], "START": "2020-01-01T10:00:00Z", "STOP": "2020-01-01T11:00:00Z", "PATIENT": ids[:20] * 5, "CODE": "185349003"}
    )
    conditions = pd.DataFrame({"START": "2020-01-01", "PATIENT": ids[:20] * 5, "ENCOUNTER": ids[50:150], "CODE": ["38341003"] * 100})
    for name, frame in (("patients", patients), ("encounters", encounters), ("conditions", conditions)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    schema = read(tmp_path).schema
    assert schema.root is schema["patients"]
    assert schema["encounters"].primary_key == ("Id",)
    assert [c.name for c in schema["encounters"].with_role("patient_key")] == ["PATIENT"]  # type: ignore[arg-type]
    assert ForeignKey(("ENCOUNTER",), "encounters", ("Id",)) in schema["conditions"].foreign_keys
    assert (schema["encounters"].start, schema["encounters"].end) == ("START", "STOP")
    assert schema["conditions"].start == "START"
