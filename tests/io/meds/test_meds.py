"""MEDS in and out: what becomes a column of the subjects, and that the rows come back in order and in the standard's types."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Form, Kind, Role
from manikin.io import interchange, meds

TYPES = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
        ("text_value", pa.large_string()),
    ]
)
ROWS: list[tuple[int, datetime | None, str, float | None, str | None]] = [
    (4, None, "GENDER//F", None, None),
    (4, datetime(1950, 2, 3), "MEDS_BIRTH", None, None),
    (4, datetime(2020, 1, 1, 8), "LAB//K//mmol/L", 4.1, None),
    (4, datetime(2020, 1, 1, 8), "LAB//K//mmol/L", 4.3, None),
    (4, datetime(2020, 1, 2, 9), "NOTE", None, "fine"),
    (4, datetime(2020, 1, 3), "MEDS_DEATH", None, None),
    (2, None, "GENDER//M", None, None),
    (2, None, "RACE", None, None),
    (2, datetime(2019, 5, 5, 5, 5, 5), "LAB//Na", None, None),
]


def arrow(rows: list[Any] = ROWS, types: pa.Schema = TYPES) -> pa.Table:
    return pa.table([pa.array([row[i] for row in rows], kind.type) for i, kind in enumerate(types)], schema=types)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "meds"
    for split, rows in (("train", ROWS[:6]), ("held_out", ROWS[6:])):
        (source / "data" / split).mkdir(parents=True)
        pq.write_table(arrow(rows), source / "data" / split / "0.parquet")
    (source / "metadata").mkdir()
    splits = pa.table({"subject_id": pa.array([4, 2]), "split": ["train", "held_out"]})
    pq.write_table(splits, source / "metadata" / "subject_splits.parquet")
    codes = pa.table({"code": ["LAB//Na", "RARE"], "description": ["sodium", "rare"], "parent_codes": [["LOINC/2951-2"], None]})
    pq.write_table(codes, source / "metadata" / "codes.parquet")
    (source / "metadata" / "dataset.json").write_text(json.dumps({"dataset_name": "ward", "meds_version": "0.4.1"}))
    return source


def same(first: Dataset, second: Dataset) -> None:
    assert first.schema == second.schema
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table.frame.astype(object), second.tables[name].frame.astype(object))
        for column in table.frame.columns:
            np.testing.assert_array_equal(table.mark(column), second.tables[name].mark(column))


def test_what_never_changes_is_a_column_of_the_subjects(folder: Path) -> None:
    data = meds.read(folder)
    subjects, events = data.schema["subjects"], data.schema["events"]
    assert data.schema.root is subjects
    assert subjects.names == ["subject_id", "MEDS_BIRTH", "MEDS_DEATH", "GENDER", "RACE", "split"]
    assert subjects["MEDS_BIRTH"].has_role(Role.BIRTH)
    assert subjects["MEDS_DEATH"].has_role(Role.DEATH)
    assert subjects["GENDER"].levels == ("GENDER//F", "GENDER//M")
    assert (events.form, events.start) == (Form.EVENTS, "time")
    assert events["numeric_value"].by == "code"
    assert events["code"].code_system == "MEDS"
    assert len(data.tables["events"]) == 4
    assert data.n_records == 2


def test_shards_splits_types_and_metadata_come_back(folder: Path, tmp_path: Path) -> None:
    data = meds.read(folder)
    meds.write(data, tmp_path / "again", like=folder)
    same(meds.read(tmp_path / "again"), data)
    for split in ("train", "held_out"):
        first, second = (pq.read_table(place / "data" / split / "0.parquet") for place in (folder, tmp_path / "again"))
        assert first.schema == second.schema
        assert first.equals(second)
    codes = pq.read_table(tmp_path / "again" / "metadata" / "codes.parquet").to_pylist()
    assert {row["code"]: row["description"] for row in codes}["LAB//Na"] == "sodium"
    assert "RARE" not in {row["code"] for row in codes}  # no written row has it
    assert json.loads((tmp_path / "again" / "metadata" / "dataset.json").read_text())["etl_name"] == "manikin"


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_pieces_of_subjects_are_what_is_written_at_once(folder: Path, tmp_path: Path, name: str) -> None:
    data = meds.read(folder)
    at_once = meds.write(data, tmp_path / f"once-{name}", like=folder)
    with meds.MedsWriter(tmp_path / name, data.schema, like=folder) as writer:
        for subject in range(data.n_records):
            writer.append(data.subset(np.array([subject])))
        assert not (tmp_path / name).exists(), "it appears when the last piece is in"
    same(meds.read(tmp_path / name), meds.read(at_once))
    if name == "out":
        files = [sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file()) for place in (at_once, tmp_path / name)]
        assert files[0] == files[1]
        for file in files[0]:
            if file.suffix == ".parquet":
                assert pq.read_table(at_once / file).equals(pq.read_table(tmp_path / name / file)), file


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_after_an_error_between_pieces_nothing_is_there(folder: Path, tmp_path: Path, name: str) -> None:
    data = meds.read(folder)
    before = sorted(tmp_path.iterdir())

    def broken() -> None:
        with meds.MedsWriter(tmp_path / name, data.schema) as writer:
            writer.append(data.subset(np.array([0])))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert sorted(tmp_path.iterdir()) == before


def test_without_a_likeness_the_types_are_the_standards(folder: Path, tmp_path: Path) -> None:
    data = meds.read(folder)
    meds.write(data, tmp_path / "again")
    assert pq.read_schema(tmp_path / "again" / "data" / "0.parquet") == TYPES
    same(meds.read(tmp_path / "again"), data)


def test_one_file_is_read_and_written(tmp_path: Path) -> None:
    plain = pa.schema([TYPES.field(0), TYPES.field(1), ("code", pa.dictionary(pa.int16(), pa.string())), ("value", pa.float32())])
    rows = [row for row in ROWS if row[2] != "NOTE"]
    rows = sorted(rows, key=lambda row: (-row[0], row[1] is None, row[1] or datetime(1, 1, 1)))  # those without a time last
    pq.write_table(arrow(rows, plain), tmp_path / "events.parquet")
    assert interchange.format_of(tmp_path / "events.parquet") == "meds"
    data = meds.read(tmp_path / "events.parquet")
    assert data.schema["events"]["value"].by == "code"
    meds.write(data, tmp_path / "again.parquet", like=tmp_path / "events.parquet")
    first, second = (pq.read_table(tmp_path / name) for name in ("events.parquet", "again.parquet"))
    assert first.schema.equals(second.schema)
    assert first.to_pandas().equals(second.to_pandas())


def test_what_recurs_without_a_time_stays_an_event(tmp_path: Path) -> None:
    rows = [(1, None, "ALLERGY//a", None, None), (1, None, "ALLERGY//b", None, None), (1, None, "WEIGHT", 70.0, None), *ROWS]
    pq.write_table(arrow(rows), tmp_path / "events.parquet")
    data = meds.read(tmp_path / "events.parquet")
    assert "ALLERGY" not in data.schema["subjects"]
    assert "WEIGHT" not in data.schema["subjects"]  # it has a value
    assert "3 events have no time" in data.schema["events"].notes[0]
    meds.write(data, tmp_path / "again.parquet")
    same(meds.read(tmp_path / "again.parquet"), data)


def test_rows_out_of_order_are_put_in_order_and_it_is_said(tmp_path: Path) -> None:
    pq.write_table(arrow([ROWS[3], *ROWS[:3], *ROWS[6:], ROWS[4]]), tmp_path / "events.parquet")
    data = meds.read(tmp_path / "events.parquet")
    assert "put in order" in data.schema["events"].notes[0]
    times = data.tables["events"].frame["time"]
    for _, part in times.groupby(data.tables["events"].frame["subject_id"]):
        assert part.is_monotonic_increasing


def test_another_part_is_read_by_the_same_schema(folder: Path, tmp_path: Path) -> None:
    data = meds.read(folder)
    same(meds.read(folder, schema=data.schema), data)
    part = data.subset(np.array([1]))
    meds.write(part, tmp_path / "part", like=folder)
    same(meds.read(tmp_path / "part", schema=data.schema), part)
    twice = [*ROWS[6:], (2, None, "GENDER//F", None, None)]
    (tmp_path / "other" / "data").mkdir(parents=True)
    pq.write_table(arrow(twice), tmp_path / "other" / "data" / "0.parquet")
    with pytest.raises(DataError, match="several events of 'GENDER'"):
        meds.read(tmp_path / "other", schema=data.schema)
    pq.write_table(arrow(ROWS[6:]).drop_columns(["text_value"]), tmp_path / "other" / "data" / "0.parquet")
    with pytest.raises(SchemaError, match="'text_value'"):
        meds.read(tmp_path / "other", schema=data.schema)


@pytest.mark.parametrize(
    ("rows", "change", "words"),
    [
        ([(None, None, "A", None, None)], {}, "column 'subject_id', row 1: the cell is empty"),
        ([(1, None, None, None, None)], {}, "column 'code', row 1: the cell is empty"),
        (ROWS, {"code": "event"}, "has no column 'code', which MEDS data have"),
    ],
)
def test_bad_rows_are_told_by_place(tmp_path: Path, rows: list[Any], change: dict[str, str], words: str) -> None:
    table = arrow(rows)
    pq.write_table(table.rename_columns([change.get(name, name) for name in table.column_names]), tmp_path / "events.parquet")
    with pytest.raises(DataError, match=words):
        meds.read(tmp_path / "events.parquet")


def test_a_text_for_a_subject_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"subject_id": ["a"], "time": [datetime(2020, 1, 1)], "code": ["A"]}), tmp_path / "events.parquet")
    with pytest.raises(DataError, match="'subject_id' holds no whole numbers"):
        meds.read(tmp_path / "events.parquet")


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    data = meds.read(folder)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(DataError, match=r"exists already|mine\.txt"):
            meds.write(data, tmp_path / "out", force=force)
    (tmp_path / "cars.parquet").write_bytes(b"not ours")
    with pytest.raises(DataError, match="holds no MEDS data"):
        meds.write(data, tmp_path / "cars.parquet", force=True)
    assert not list(tmp_path.glob(".*.part"))


def test_damaged_files_are_not_meds(tmp_path: Path) -> None:
    (tmp_path / "events.parquet").write_bytes(b"PAR1 and no more")
    assert not meds.recognises(tmp_path / "events.parquet")
    assert not meds.recognises(tmp_path / "absent")
    with pytest.raises(DataError, match="no Parquet"):
        meds.read(tmp_path / "events.parquet")


moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)) | st.none()
codes = st.sampled_from(["A", "A//b", "MEDS_BIRTH", "MEDS_DEATH", "GENDER//F", "GENDER//M", "//", "é \n", "subject_id", "split"])
numbers = st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(-5, 5), moments, codes, numbers, st.none() | st.sampled_from(["x", "y", ""])), min_size=1))
def test_any_events_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    place = tmp_path_factory.mktemp("any")
    pq.write_table(arrow(rows), place / "events.parquet")
    data = meds.read(place / "events.parquet")
    meds.write(data, place / "again.parquet")
    again = meds.read(place / "again.parquet", schema=data.schema)
    for name, table in data.tables.items():
        pd.testing.assert_frame_equal(table.frame, again.tables[name].frame)
    sent, back = (pq.read_table(place / name).to_pylist() for name in ("events.parquet", "again.parquet"))
    assert sorted(map(repr, _told(sent))) == sorted(map(repr, _told(back)))


def _told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(cell or None for cell in row.values()) for row in rows]


def test_the_demo_of_mimic_iv(shared: Path, tmp_path: Path) -> None:
    source = shared / "mimic_iv_demo_meds" / "events.parquet"
    data = meds.read(source)
    assert data.n_records == 100
    assert len(data.tables["events"]) + 100 + 100 + 31 == 916_166
    assert data.schema["subjects"].names == ["subject_id", "MEDS_BIRTH", "MEDS_DEATH", "GENDER"]
    assert data.schema["events"]["code"].kind is Kind.CODE
    some = data.subset(np.arange(10))
    meds.write(some, tmp_path / "again.parquet", like=source)
    second = pq.read_table(tmp_path / "again.parquet")
    first = pq.read_table(source)[: len(second)]
    assert first.schema.equals(second.schema)
    assert first["time"].equals(second["time"])
    assert sorted(map(str, first["code"].to_pylist())) == sorted(map(str, second["code"].to_pylist()))
    assert float(np.nansum(first["value"].to_numpy())) == pytest.approx(float(np.nansum(second["value"].to_numpy())))
