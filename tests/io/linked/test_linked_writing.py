"""Folders are written whole or not at all, and what is written is read back equal."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manikin as mk
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import EMPTY, Column, ForeignKey, Form, Kind, MissingCode, Role, Schema, Storage, TableSchema
from manikin.io.linked import FolderWriter, layout_of, look, read, write

KEY = Column("subject", Kind.IDENTIFIER, Storage.INTEGER, roles=(Role.PATIENT_KEY,), missing=())
GAPS = (EMPTY, MissingCode("?", "unknown"))
PATIENTS = TableSchema(
    "patients",
    (KEY, Column("sex", Kind.CATEGORICAL, missing=GAPS), Column("born", Kind.DATE, roles=(Role.BIRTH,), time_format="%d.%m.%Y")),
    form=Form.STATIC,
    primary_key=("subject",),
)
STAYS = TableSchema(
    "stays",
    (
        KEY,
        Column("stay", Kind.IDENTIFIER, missing=()),
        Column("began", Kind.DATETIME, time_format="%Y-%m-%d %H:%M:%S"),
        Column("days", Kind.DURATION, Storage.REAL, decimals=2),
    ),
    form=Form.EVENTS,
    primary_key=("subject", "stay"),
    foreign_keys=(ForeignKey(("subject",), "patients", ("subject",)),),
    start="began",
)
TESTS = TableSchema(
    "tests",
    (
        KEY,
        Column("stay", Kind.IDENTIFIER),
        Column("code", Kind.CODE),
        Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=3, missing=GAPS, by="code"),
        Column("abnormal", Kind.BOOLEAN, levels=("no", "yes")),
    ),
    form=Form.EVENTS,
    foreign_keys=(ForeignKey(("subject", "stay"), "stays", ("subject", "stay")), ForeignKey(("code",), "codes", ("code",))),
)
CODES = TableSchema("codes", (Column("code", Kind.CODE), Column("label", Kind.TEXT)), form=Form.REFERENCE, primary_key=("code",))
SCHEMA = Schema((TESTS, PATIENTS, CODES, STAYS))
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(lambda t: t != "?")


@st.composite
def hospitals(draw: st.DrawFn) -> Dataset:
    """Linked data of up to four patients, with empty tables, patients without rows, and gaps of both kinds."""
    subjects = draw(st.lists(st.integers(1, 999), max_size=4, unique=True).map(lambda found: [str(n) for n in found]))
    stays = [(subject, str(n)) for subject in subjects for n in range(draw(st.integers(0, 2)))]
    gap = st.sampled_from(["", "?"])
    numbers = st.floats(-1e6, 1e6).map(lambda value: repr(round(value, 3)))
    dates = st.dates().map(lambda day: f"{day.day:02d}.{day.month:02d}.{day.year:04d}")
    moments = st.datetimes(pd.Timestamp("1900-01-01").to_pydatetime(), pd.Timestamp("2200-01-01").to_pydatetime())
    codes = draw(st.lists(LABELS, min_size=1, max_size=3, unique=True))
    owners = st.sampled_from([*stays, *((subject, "") for subject in subjects)]) if subjects else st.nothing()
    cells = st.tuples(st.sampled_from([*codes, ""]), numbers | gap, st.sampled_from(["no", "yes", ""]))
    tests = [(*owner, *row) for owner, row in draw(st.lists(st.tuples(owners, cells), max_size=5))] if subjects else []
    rows = {
        "patients": [(subject, draw(LABELS | gap), draw(dates | st.just(""))) for subject in subjects],
        "stays": [(*stay, draw(moments).strftime("%Y-%m-%d %H:%M:%S"), draw(st.sampled_from(["0.25", "3.0", ""]))) for stay in stays],
        "tests": tests,
        "codes": [(code, draw(LABELS)) for code in codes],
    }
    tables = {t.name: parse_table(pd.DataFrame(rows[t.name], columns=t.names, dtype=object), t) for t in SCHEMA.tables}
    return Dataset(tables, SCHEMA)


def assert_equal(first: Dataset, second: Dataset) -> None:
    assert first.schema == second.schema
    for name, table in first.tables.items():
        other = second.tables[name]
        for column in table.frame.columns:
            left, right = table.frame[column], other.frame[column]
            if isinstance(left.dtype, pd.CategoricalDtype):
                left, right = left.astype(object), right.astype(object)
            pd.testing.assert_series_equal(left, right, check_dtype=False)
            assert np.array_equal(table.mark(column), other.mark(column))


@settings(max_examples=25, deadline=None)
@given(hospitals(), st.sampled_from([".csv", ".tsv", ".csv.gz"]))
def test_what_is_written_is_read_back_equal(data: Dataset, ending: str) -> None:
    with TemporaryDirectory() as place:
        assert_equal(read(write(data, Path(place) / "out", like=ending), schema=SCHEMA), data)


def _links(schema: Schema) -> list[tuple[object, ...]]:
    return [(t.name, t.names, t.form, t.primary_key, t.foreign_keys, t.start, t.end) for t in schema.tables]


def _plain(folder: Path) -> pd.DataFrame:
    """The laboratory's file without what pandas writes beside it."""
    return pq.read_table(folder / "labs.parquet").replace_schema_metadata().to_pandas()


def test_tables_keep_their_names_formats_columns_and_cells(ward: Path, tmp_path: Path) -> None:
    pd.read_csv(ward / "labs.csv").astype({"stay_id": "Int64"}).to_parquet(ward / "labs.parquet", index=False)
    (ward / "labs.csv").unlink()
    with gzip.open(ward / "stays.csv.gz", "wt") as file:
        file.write((ward / "stays.csv").read_text())
    (ward / "stays.csv").unlink()
    data = read(ward)
    out = write(data, tmp_path / "out", like=ward)
    assert sorted(path.name for path in out.iterdir()) == ["d_items.csv", "labs.parquet", "patients.csv", "stays.csv.gz"]
    assert (out / "patients.csv").read_text() == (ward / "patients.csv").read_text()
    assert gzip.decompress((out / "stays.csv.gz").read_bytes()) == gzip.decompress((ward / "stays.csv.gz").read_bytes())
    pd.testing.assert_frame_equal(_plain(out), _plain(ward))
    again = read(out)
    assert _links(again.schema) == _links(data.schema)


def test_parquet_files_keep_the_types_of_their_columns(ward: Path, tmp_path: Path) -> None:
    labs = pd.read_csv(ward / "labs.csv", parse_dates=["charttime"])
    since = pd.Series(pd.to_timedelta([60, 120, None, 0, 5], unit="s")).astype("timedelta64[s]")
    typed = {"patient_id": "int32", "stay_id": "Int16", "itemid": "category", "value": "float32"}
    narrow = labs.assign(itemid=labs["itemid"].astype(str)).astype(typed).assign(since=since, text=["a", None, "b", "a", "a"])
    narrow["charttime"] = narrow["charttime"].astype("datetime64[ns]").dt.tz_localize("UTC")
    narrow.to_parquet(ward / "labs.parquet", index=False)
    (ward / "labs.csv").unlink()
    data = read(ward)
    stored = json.loads(json.dumps(layout_of(ward)))
    assert stored["stays"] == "stays.csv"
    for like in (ward, stored):
        out = write(data, tmp_path / "out", like=like, force=True)
        pd.testing.assert_frame_equal(_plain(out), _plain(ward))
        assert str(pq.read_schema(out / "labs.parquet").field("stay_id").type) == "int16"
    with pytest.raises(DataError, match="Column 'stay_id' holds a cell that is no int8, as which its file stores it"):
        write(data, tmp_path / "new", like={"labs": {"file": "labs.parquet", "types": {"stay_id": "int8"}}})


def test_pieces_of_patients_give_the_same_files(ward: Path, tmp_path: Path) -> None:
    data = read(ward)
    whole = write(data, tmp_path / "whole", like=ward)
    with FolderWriter(tmp_path / "pieces", data.schema, like=look(ward).files) as writer:
        for i in range(len(data)):
            writer.append(data.subset(np.array([i])))
        assert writer.n_rows == {"d_items": 3, "labs": 5, "patients": 3, "stays": 3}
    for path in whole.iterdir():
        assert (tmp_path / "pieces" / path.name).read_bytes() == path.read_bytes()


def _write_and_fail(data: Dataset, folder: Path) -> None:
    with FolderWriter(folder, data.schema) as writer:
        writer.append(data)
        _ = 1 // 0


def test_a_failed_writing_leaves_nothing(ward: Path, tmp_path: Path) -> None:
    data = read(ward)
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(data, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["ward"]
    with pytest.raises(SchemaError, match="other tables"), FolderWriter(tmp_path / "out", data.schema) as writer:
        writer.append(Dataset({"patients": data.tables["patients"]}, Schema((data.schema["patients"],))))
    assert [path.name for path in tmp_path.iterdir()] == ["ward"]


def test_a_folder_is_replaced_by_force_and_only_if_it_holds_these_tables(ward: Path, tmp_path: Path) -> None:
    data = read(ward)
    out = write(data, tmp_path / "out", like=".parquet")
    with pytest.raises(DataError, match=r"exists already.*--force"):
        write(data, out)
    write(data, out, force=True)
    assert {path.suffix for path in out.iterdir()} == {".csv"}
    with pytest.raises(DataError, match=r"holds LICENSE\.txt, which is none of these tables"):
        write(data, ward, force=True)
    with pytest.raises(DataError, match="need a folder"):
        write(data, ward / "labs.csv", force=True)
    with pytest.raises(DataError, match=r"cannot be written as 'labs\.xlsx'"):
        write(data, tmp_path / "new", like={"labs": "labs.xlsx"})


def test_the_public_door_reads_and_writes_folders(ward: Path, tmp_path: Path) -> None:
    data = mk.read(ward)
    mk.write(data, tmp_path / "out", like=ward)
    mk.write_schema(mk.infer(ward), tmp_path / "out" / "schema.toml")
    assert_equal(mk.read(tmp_path / "out"), data)


def test_one_table_of_visits_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_text("id,day,bili\n1,0,1.5\n1,30,2.5\n2,0,0.5\n")
    flat = mk.infer(tmp_path / "visits.csv").only
    data = mk.read(tmp_path / "visits.csv", schema=replace(flat, form=Form.EVENTS, start="day"))
    assert data.is_linked
    assert len(data) == 2
    mk.write(data, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == (tmp_path / "visits.csv").read_text()
