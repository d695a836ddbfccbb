"""SQLite and what holds for every database: keys, what is left out, what is refused, and that data come back."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, MissingExtraError, SchemaError
from manikin.data.schema import Form, Kind, Role
from manikin.io import interchange, omop, sql
from manikin.io.sql.place import place_of

DDL = """
CREATE TABLE patients (patient_id INTEGER PRIMARY KEY, sex TEXT, birth_date DATE, "order" INTEGER);
CREATE TABLE visits (
  patient_id INTEGER NOT NULL REFERENCES patients (patient_id), visit_no INTEGER NOT NULL, came TIMESTAMP, weight NUMERIC(5, 1),
  well BOOLEAN, scan BLOB, PRIMARY KEY (patient_id, visit_no));
CREATE TABLE tests (
  id INTEGER PRIMARY KEY, patient_id INTEGER, visit_no INTEGER, code TEXT REFERENCES codes, value REAL, odd INTEGER,
  FOREIGN KEY (patient_id, visit_no) REFERENCES visits);
CREATE TABLE codes (code TEXT PRIMARY KEY, label TEXT);
CREATE TABLE log (line TEXT);
CREATE VIEW heavy AS SELECT * FROM visits WHERE weight > 100;
"""


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    path = tmp_path / "ward.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(DDL)
        connection.executemany("INSERT INTO codes VALUES (?, ?)", [("K", "potassium"), ("Na", "sodium")])
        for i in range(1, 31):
            born = str(date(1950, 1, 1) + timedelta(400 * i))
            connection.execute("INSERT INTO patients VALUES (?, ?, ?, ?)", (i, "FM"[i % 2], born, i % 4))
            for n in range(1, 1 + i % 3):
                came = f"2020-0{n}-{i % 28 + 1:02} 10:{i % 60:02}:00"
                row = (i, n, came if i > 1 else "soon after", 70.5 + i, i % 2, b"\x00")
                connection.execute("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)", row)
                tests = [(i, n, "K", 4 + i / 10, 1 if i != 5 else "one"), (i, n, "Na", 140.0 + i, 2)]
                connection.executemany("INSERT INTO tests (patient_id, visit_no, code, value, odd) VALUES (?, ?, ?, ?, ?)", tests)
        connection.execute("INSERT INTO log VALUES ('started')")
    connection.close()
    return path


def same(first: Dataset, second: Dataset) -> None:
    assert set(first.tables) == set(second.tables)
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(*(in_order(each.frame) for each in (table, second.tables[name])))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in an order of their cells: a database keeps none."""
    plain = frame.astype(object)
    return plain.loc[plain.astype(str).sort_values(list(plain.columns)).index].reset_index(drop=True)


def test_keys_and_forms(ward: Path) -> None:
    data = sql.read(f"sqlite:///{ward}")
    assert set(data.tables) == {"patients", "visits", "tests", "codes"}
    assert data.schema.root is not None
    assert data.schema.root.name == "patients"
    assert data.schema["patients"]["patient_id"].has_role(Role.PATIENT_KEY)
    assert data.schema["patients"]["birth_date"].has_role(Role.BIRTH)
    assert data.schema["visits"].primary_key == ("patient_id", "visit_no")
    assert data.schema["visits"]["well"].kind is Kind.BOOLEAN
    assert data.schema["codes"].form is Form.REFERENCE
    keys = [(key.columns, key.table, key.references) for key in data.schema["tests"].foreign_keys]
    assert (("patient_id", "visit_no"), "visits", ("patient_id", "visit_no")) in keys
    assert (("code",), "codes", ("code",)) in keys


def test_what_is_odd_is_said(ward: Path) -> None:
    data = sql.read(ward)  # a path will do
    said = " ".join(note for table in data.schema.tables for note in table.notes)
    assert "Views are not read: 'heavy'" in said
    assert "'log'" in said
    assert "Left out, being binary: 'scan'" in said
    assert "'odd' holds more than its type (whole)" in said
    assert "1 times of 'came'" in said or "'came' is a time by its type" in said


def test_a_new_file_has_the_same_tables(ward: Path, tmp_path: Path) -> None:
    data = sql.read(ward)
    sql.write(data, f"sqlite:///{tmp_path}/again.db", like=ward)
    again = sql.read(tmp_path / "again.db")
    same(again, data)
    for table in again.schema.tables:
        assert (table.primary_key, table.foreign_keys) == (data.schema[table.name].primary_key, data.schema[table.name].foreign_keys)
    with sqlite3.connect(tmp_path / "again.db") as connection:
        made = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'visits'").fetchone()[0]
    connection.close()
    assert "weight NUMERIC(5, 1)" in made
    assert "PRIMARY KEY (patient_id, visit_no)" in made
    assert "FOREIGN KEY(patient_id) REFERENCES patients (patient_id)" in made


def test_pieces_of_patients_are_what_is_written_at_once(ward: Path, tmp_path: Path) -> None:
    data = sql.read(ward)
    sql.write(data, f"sqlite:///{tmp_path}/once.db")
    with sql.SqlWriter(f"sqlite:///{tmp_path}/pieces.db", data.schema) as writer:
        for patient in range(data.n_records):
            writer.append(data.subset(np.array([patient])))
        assert not (tmp_path / "pieces.db").exists(), "it appears when the last piece is in"
    once, pieces = sql.read(tmp_path / "once.db"), sql.read(tmp_path / "pieces.db")
    for name, table in once.tables.items():
        rows = [sorted(map(repr, own.frame.itertuples(index=False))) for own in (table, pieces.tables[name])]
        assert rows[0] == rows[1], name


def test_after_an_error_between_pieces_nothing_is_there(ward: Path, tmp_path: Path) -> None:
    data = sql.read(ward)

    def broken() -> None:
        with sql.SqlWriter(f"sqlite:///{tmp_path}/half.db", data.schema) as writer:
            writer.append(data.subset(np.array([0])))
            writer.append(data.subset(np.array([0])))  # the same keys again

    with pytest.raises(DataError, match="refuses rows"):
        broken()
    assert [path.name for path in tmp_path.iterdir()] == ["ward.db"]


def test_nothing_is_replaced_and_nothing_half_made(ward: Path, tmp_path: Path) -> None:
    data = sql.read(ward)
    with pytest.raises(DataError, match="databases are never replaced"):
        sql.write(data, ward, force=True)
    with pytest.raises(DataError, match="There is no folder"):
        sql.write(data, f"sqlite:///{tmp_path}/absent/ward.db")
    data.tables["tests"].frame.loc[1, "id"] = data.tables["tests"].frame["id"][0]
    with pytest.raises(DataError, match="refuses rows of table 'tests'"):
        sql.write(data, f"sqlite:///{tmp_path}/half.db")
    assert [path.name for path in tmp_path.iterdir()] == ["ward.db"]


def test_a_file_that_is_read_is_not_touched(ward: Path) -> None:
    before = ward.read_bytes()
    ward.chmod(0o444)
    sql.read(ward)
    assert ward.read_bytes() == before
    assert not list(ward.parent.glob("*-journal"))


def test_by_a_known_schema(ward: Path) -> None:
    data = sql.read(ward)
    same(sql.read(ward, schema=data.schema), data)
    with sqlite3.connect(ward) as connection:
        connection.execute("ALTER TABLE tests RENAME COLUMN value TO result")
    connection.close()
    with pytest.raises(SchemaError, match="'value', which"):
        sql.read(ward, schema=data.schema)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////absent/ward.db", "There is no file /absent/ward.db"),
        ("postgresql://bob:s3cret@[::1", "URL of the database cannot be read"),
        ("postgresql://bob:s3cret@127.0.0.1:1/ward?connect_timeout=1", "cannot be opened"),
        ("postgresql://bob:s3cret@127.0.0.1:port/ward", "cannot be read"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_its_password(url: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        interchange.read(url)
    assert "s3cret" not in str(caught.value)
    assert "bob" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_absent_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError, match="no driver"):
        sql.read("nosuch+driver://bob:s3cret@host/ward")
    import sys

    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingExtraError, match=r"manikin\[records\]"):
        sql.read("sqlite:///ward.db")


def test_what_is_shown_of_a_url() -> None:
    url = "postgresql+psycopg://bob:s3@cret@host:5433/ward?password=s3cret&schema=a"
    assert sql.shown(url) == "postgresql+psycopg://host:5433/ward"
    assert "s3" not in repr(place_of(url))
    assert place_of(url).schema == "a"
    assert sql.shown("cohort/patients.csv") == "cohort/patients.csv"
    assert not sql.recognises("https://example.org/patients.csv")
    assert not any(sql.recognises(f"{kind}://host/ward") for kind in ("ftp", "sftp", "mongodb", "mongodb+srv", "redis", "gs"))
    assert all(sql.recognises(f"{kind}://host/ward") for kind in ("postgresql", "postgresql+psycopg", "mysql", "mssql+pyodbc"))


def test_an_empty_database_and_one_of_nobody(tmp_path: Path) -> None:
    for name, statement in (("none", "SELECT 1"), ("nobody", "CREATE TABLE log (line TEXT)")):
        with sqlite3.connect(tmp_path / f"{name}.db") as connection:
            connection.execute(statement)
        connection.close()
        with pytest.raises(DataError, match=r"There is no table in|does not show who the patients are"):
            sql.read(f"sqlite:///{tmp_path}/{name}.db")


def test_omop_tables_are_known_in_a_database(tmp_path: Path) -> None:
    (tmp_path / "cdm").mkdir()
    (tmp_path / "cdm" / "person.csv").write_text(
        "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n1,8507,1950,0,0\n2,8532,1961,0,0\n"
    )
    (tmp_path / "cdm" / "death.csv").write_text("person_id,death_date\n2,2021-03-04\n")
    data = omop.read(tmp_path / "cdm")
    sql.write(data, f"sqlite:///{tmp_path}/cdm.db")
    again = sql.read(f"sqlite:///{tmp_path}/cdm.db")
    assert again.schema["death"]["death_date"].has_role(Role.DEATH)
    for name, table in data.tables.items():
        pd.testing.assert_frame_equal(table.frame, again.tables[name].frame)


names = st.text("aé\"'%:$ .", min_size=1, max_size=5).filter(str.strip)
cells: dict[str, Any] = {
    "TEXT": st.none() | st.text("ab\"',\\%é\t", min_size=1, max_size=5),
    "REAL": st.none() | st.floats(-1e9, 1e9).map(lambda x: round(x, 3)),
    "INTEGER": st.none() | st.integers(-(2**62), 2**62),
    "DATE": st.none() | st.dates().map(str),
    "BOOLEAN": st.none() | st.booleans(),
}


@settings(max_examples=10, deadline=None)
@given(data=st.data(), kinds=st.lists(st.sampled_from(sorted(cells)), min_size=1, max_size=4), n=st.integers(0, 8))
def test_any_table_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kinds: list[str], n: int) -> None:
    folder = tmp_path_factory.mktemp("any")
    columns = data.draw(st.lists(names, min_size=len(kinds), max_size=len(kinds), unique_by=lambda name: name.strip().lower()))
    quoted = ['"' + name.replace('"', '""') + '"' for name in columns]
    with sqlite3.connect(folder / "first.db") as connection:
        connection.execute("CREATE TABLE patients (patient_id INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO patients VALUES (?)", [(1,), (2,), (3,)])
        types = ", ".join(f"{name} {kind}" for name, kind in zip(quoted, kinds, strict=True))
        connection.execute(f"CREATE TABLE notes (patient_id INTEGER REFERENCES patients (patient_id), {types})")
        for _ in range(n):
            row = [data.draw(st.integers(1, 3)), *(data.draw(cells[kind]) for kind in kinds)]
            connection.execute(f"INSERT INTO notes VALUES ({', '.join('?' * len(row))})", row)
    connection.close()
    made = sql.read(folder / "first.db")
    sql.write(made, f"sqlite:///{folder}/second.db", like=folder / "first.db")
    same(sql.read(folder / "second.db", schema=made.schema), made)
