"""A real PostgreSQL: every odd type, keys of several columns, one transaction, and no password anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.schema import Form, Kind, Role
from manikin.io import interchange, sql

DDL = """
CREATE TYPE severity AS ENUM ('mild', 'grave');
CREATE TABLE "Patients" (subject_id integer PRIMARY KEY, "select" varchar(10), born date NOT NULL, "Größe" numeric(5, 2), photo bytea);
CREATE TABLE stays (
  subject_id integer NOT NULL REFERENCES "Patients", number smallint, admitted timestamptz NOT NULL, discharged timestamptz,
  previous smallint, ward text, "a""b %(x)s :y" boolean, PRIMARY KEY (subject_id, number),
  FOREIGN KEY (subject_id, previous) REFERENCES stays (subject_id, number));
CREATE TABLE labs (
  lab_id bigint PRIMARY KEY, subject_id integer NOT NULL, number smallint, taken timestamp, code varchar(20), value double precision,
  exact numeric, huge bigint, wide numeric(38, 0), grade severity, key uuid, extra jsonb, parts integer[], day date, at time,
  FOREIGN KEY (subject_id, number) REFERENCES stays (subject_id, number));
CREATE VIEW recent AS SELECT * FROM labs;
CREATE TABLE audit (message text);
CREATE TABLE vitals (vital_id integer, subject_id integer NOT NULL REFERENCES "Patients", measured date, pulse integer)
  PARTITION BY RANGE (measured);
CREATE TABLE vitals_2020 PARTITION OF vitals FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE vitals_rest PARTITION OF vitals DEFAULT;
"""


@pytest.fixture
def ward(postgres: str) -> str:
    import psycopg

    rng = np.random.default_rng(0)
    with psycopg.connect(postgres) as connection:
        connection.execute(DDL)
        for i in range(1, 31):
            word = None if i == 1 else "" if i == 2 else "it's" if i == 3 else "FM"[i % 2]
            connection.execute(
                'INSERT INTO "Patients" VALUES (%s, %s, %s, %s, %s)', (i, word, f"19{40 + i}-05-06", 150 + i / 4, b"\x00\xff")
            )
            for n in (1, 2):
                connection.execute(
                    "INSERT INTO stays VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    (i, n, f"2020-0{n}-{i % 28 + 1:02} 23:30:00+02", None, None if n == 1 else 1, "AB"[n - 1] * 3, i % 3 == 0),
                )
                for k in range(3):
                    row = i * 100 + n * 10 + k
                    taken = {0: "infinity", 1: "0044-03-15 10:00:00 BC"}.get(row - 110, f"2020-0{n}-{i % 28 + 1:02} 10:00:00.25")
                    connection.execute(
                        "INSERT INTO labs VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, gen_random_uuid(), %s, %s, %s, %s)",
                        (
                            row, i, n, taken, ["K", "Na"][k % 2], float(np.round(rng.normal() + 140 * (k % 2), 2)), "1.5",
                            2**60 + row, 10**30 + row, ["mild", "grave"][k % 2], '{"a": 1}', [1, 2], f"2020-0{n}-01", "10:00",
                        ),
                    )  # fmt: skip
            connection.execute("INSERT INTO vitals VALUES (%s, %s, %s, %s)", (i, i, f"20{19 + i % 3}-06-01", 60 + i))
        connection.execute("INSERT INTO audit VALUES ('login of admin')")
    return postgres


def same(first: Dataset, second: Dataset) -> None:
    assert set(first.tables) == set(second.tables)
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(*(in_order(each.frame) for each in (table, second.tables[name])))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in an order of their cells: a database keeps none."""
    plain = frame.astype(object)
    return plain.loc[plain.astype(str).sort_values(list(plain.columns)).index].reset_index(drop=True)


def test_tables_types_and_keys_are_the_databases(ward: str) -> None:
    assert interchange.format_of(ward) == "sql"
    data = interchange.read(ward)
    assert data.n_records == 30
    assert set(data.tables) == {"Patients", "stays", "labs", "vitals"}  # no view, no partition, no log of nobody
    patients, stays, labs = data.schema["Patients"], data.schema["stays"], data.schema["labs"]
    assert patients.primary_key == ("subject_id",)
    assert patients["subject_id"].has_role(Role.PATIENT_KEY)
    assert "photo" not in patients
    assert stays.primary_key == ("subject_id", "number")
    assert (("subject_id", "number"), "stays", ("subject_id", "number")) in [(k.columns, k.table, k.references) for k in labs.foreign_keys]
    assert (("subject_id", "previous"), "stays") in [(k.columns, k.table) for k in stays.foreign_keys]
    assert (stays.form, stays.start) == (Form.EVENTS, "admitted")
    assert stays['a"b %(x)s :y'].kind is Kind.BOOLEAN
    assert len(data.tables["vitals"]) == 30


def test_odd_cells_are_read_and_it_is_said(ward: str) -> None:
    data = sql.read(ward)
    labs, stays = data.tables["labs"].frame, data.tables["stays"].frame
    assert str(stays["admitted"][0]) == "2020-01-02 21:30:00"  # in UTC
    assert labs["huge"][0] == str(2**60 + 110)
    assert labs["wide"][0] == str(10**30 + 110)
    assert labs["taken"].isna().sum() == 2
    notes = " ".join(data.schema["labs"].notes)
    assert "2 times of 'taken' lie outside the years 1 to 9999" in notes
    assert "'extra' is of the type jsonb, which is read as text" in notes
    said = " ".join(note for table in data.schema.tables for note in table.notes)
    assert "Views are not read: 'recent'" in said
    assert "Left out, being binary: 'photo'" in said
    assert "'audit'" in said
    word = data.schema["Patients"]["select"]
    assert data.tables["Patients"].mark("select").tolist()[:3] == [1, 1, 0]
    assert [code.value for code in word.missing] == [""]


def test_a_database_is_written_with_its_types_and_keys(ward: str) -> None:
    import psycopg

    data = sql.read(ward)
    target = f"{ward}&schema=copy"
    sql.write(data, target, like=ward)
    again = sql.read(target)
    same(again, data)
    for table in again.schema.tables:
        assert (table.primary_key, table.foreign_keys) == (data.schema[table.name].primary_key, data.schema[table.name].foreign_keys)
    with psycopg.connect(ward) as connection:
        kinds = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'copy'"
        ).fetchall()
    found = {(table, column): kind for table, column, kind in kinds}
    assert found["stays", "admitted"] == "timestamp with time zone"
    assert found["stays", "number"] == "smallint"
    assert found["labs", "wide"] == "numeric"
    assert found["Patients", "select"] == "character varying"
    assert found["Patients", "born"] == "date"


def test_writing_is_whole_or_not_at_all(ward: str) -> None:
    import psycopg

    data = sql.read(ward)
    with pytest.raises(DataError, match=r"There are tables in the postgresql database .* already"):
        sql.write(data, ward, force=True)
    data.tables["labs"].frame.loc[3, "lab_id"] = data.tables["labs"].frame["lab_id"][2]
    with pytest.raises(DataError, match="refuses rows of table 'labs'"):
        sql.write(data, f"{ward}&schema=half")
    with psycopg.connect(ward) as connection:
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'half'").fetchone() == (0,)


def test_reading_cannot_write(ward: str) -> None:
    import sqlalchemy as sa

    from manikin.io.sql.place import opened, place_of

    with pytest.raises(sa.exc.SQLAlchemyError, match="read-only"), opened(place_of(ward), is_read_only=True) as connection:
        connection.execute(sa.text("INSERT INTO audit VALUES ('x')"))


@pytest.mark.parametrize("change", [("/ward_", "/absent_"), ("postgres:", "nobody:"), ("host=", "host=/nowhere")])
def test_no_message_has_the_password(ward: str, change: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="cannot be opened") as caught:
        sql.read(ward.replace(*change))
    assert "s3cret" not in f"{caught.value!r}{caught.value.__cause__}{caught.value.__suppress_context__}"
    assert caught.value.__suppress_context__
    assert "s3cret" not in sql.shown(ward)


def test_some_tables_may_be_named(ward: str) -> None:
    data = sql.read(f"{ward}&tables=Patients,vitals")
    assert set(data.tables) == {"Patients", "vitals"}
    with pytest.raises(DataError, match="no table 'wards'"):
        sql.read(f"{ward}&tables=Patients,wards")


def test_a_known_schema_reads_alike(ward: str) -> None:
    data = sql.read(ward)
    same(sql.read(ward, schema=data.schema), data)


def test_mimic_goes_in_and_comes_back(postgres: str, shared: Path, tmp_path: Path) -> None:
    from manikin.io import linked

    for name in ("PATIENTS", "ADMISSIONS", "ICUSTAYS", "SERVICES"):
        (tmp_path / f"{name}.csv.gz").write_bytes((shared / "mimic_iii_demo" / f"{name}.csv.gz").read_bytes())
    sql.write(linked.read(tmp_path), postgres)
    data = sql.read(postgres)
    assert data.n_records == 100
    assert (("hadm_id",), "ADMISSIONS") in [(key.columns, key.table) for key in data.schema["SERVICES"].foreign_keys]
    sql.write(data, f"{postgres}&schema=again", like=postgres)
    same(sql.read(f"{postgres}&schema=again"), data)
