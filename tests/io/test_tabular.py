"""Tables go in and come out: what is read is what is written."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Kind, MissingCode, Schema, Storage
from manikin.io.arrow import to_arrow
from manikin.io.tabular import TableWriter, read, write

TABLE = "id,age,sex,site\n1,34,F,a\n2,51,M,b\n3,,F,?\n4,40,M,a\n"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".parquet"])
def test_a_table_survives_writing_and_reading(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "patients.csv"
    source.write_text(TABLE)
    data = read(source)
    out = write(data, tmp_path / f"out{suffix}")
    again = read(out, schema=data.schema)
    assert again.table.frame.equals(data.table.frame)
    assert {name: list(mark) for name, mark in again.table.marks.items()} == {
        name: list(mark) for name, mark in data.table.marks.items()
    }


def test_a_csv_comes_out_as_it_went_in(tmp_path: Path) -> None:
    source = tmp_path / "patients.csv"
    source.write_text(TABLE)
    assert write(read(source), tmp_path / "out.csv").read_text() == TABLE


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    source = tmp_path / "patients.csv"
    source.write_text(TABLE)
    data = read(source)
    with pytest.raises(DataError, match="exists already"):
        write(data, source)
    write(data, source, force=True)


def test_an_error_half_way_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "patients.csv"
    source.write_text(TABLE)
    data = read(source)
    with pytest.raises(RuntimeError), TableWriter(tmp_path / "out.parquet", data.schema) as writer:  # noqa: PT012
        writer.append(data)
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patients.csv"]


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    source = tmp_path / "patients.csv"
    source.write_text(TABLE)
    data = read(source)
    with pytest.raises(SchemaError, match="other columns"), TableWriter(source, data.schema, force=True) as writer:
        writer.append(data.only(["age", "sex"]))
    assert source.read_text() == TABLE


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_pieces_are_written_as_one_table(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "patients.csv"
    source.write_text(TABLE)
    data = read(source)
    with TableWriter(tmp_path / f"out{suffix}", data.schema) as writer:
        for i in range(4):
            writer.append(data.take(np.array([i])))
    assert writer.n_rows == 4
    assert texts(read(tmp_path / f"out{suffix}", schema=data.schema)) == texts(data)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".parquet"])
def test_the_bytes_do_not_depend_on_the_pieces(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manikin.io.tabular.GROUP_ROWS", 40)
    wards = ["a", 'b,\t"c"', "d\n", "e", ""] * 20
    wards[57] = "with\ra return"
    data = read(pd.DataFrame({"ward": wards, "n": np.arange(100), "x": np.arange(100) / 7}))

    def written(size: int) -> bytes:
        with TableWriter(tmp_path / f"{size}{suffix}", data.schema) as writer:
            for start in range(0, 100, size):
                writer.append(data.take(np.arange(start, min(start + size, 100))))
        return (tmp_path / f"{size}{suffix}").read_bytes()

    assert len({written(size) for size in (1, 7, 40, 43, 99, 100)}) == 1
    assert texts(read(tmp_path / f"7{suffix}", schema=data.schema)) == texts(data)


def texts(data: Dataset) -> list[dict[str, str]]:
    return texts_of(data.table, data.columns).to_dict("records")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_no_rows_has_its_header(tmp_path: Path, suffix: str) -> None:
    data = read(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    path = tmp_path / f"out{suffix}"
    with TableWriter(path, data.schema):
        pass
    frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert list(frame.columns) == ["a", "b"]
    assert len(frame) == 0


def test_streaming_takes_the_memory_of_one_piece(tmp_path: Path) -> None:
    data = read(pd.DataFrame({"a": np.arange(20_000) % 977, "b": np.arange(20_000) / 7, "c": ["x", "y"] * 10_000}))

    def peak(n: int) -> int:
        tracemalloc.start()
        with TableWriter(tmp_path / "out.parquet", data.schema, force=True) as writer:
            for _ in range(n):
                writer.append(data)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    few = peak(4)  # a group of rows is full
    assert peak(20) < 1.2 * few
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 400_000


@pytest.mark.parametrize("name", ["out", "out.xlsx", "out.gz", "out.json"])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    data = read(pd.DataFrame({"a": [1, 2]}))
    with pytest.raises(DataError, match="no suffix that names a format"):
        write(data, tmp_path / name)
    with pytest.raises(DataError, match="There is no folder"):
        write(data, tmp_path / "absent" / "out.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_separators_and_line_ends(tmp_path: Path, encoding: str, separator: str, line_end: str) -> None:
    rows = [["name", "city", "age"], ["Zoë", '"Køln, ""am"" | Rhein; x"', "34"], ["François", "Malmö", "51"], ["Ana", "", "40"]]
    path = tmp_path / "t.csv"
    path.write_bytes((line_end.join(separator.join(row) for row in rows) + line_end).encode(encoding))
    data = read(path)
    assert texts(data) == [
        {"name": "Zoë", "city": 'Køln, "am" | Rhein; x', "age": "34"},
        {"name": "François", "city": "Malmö", "age": "51"},
        {"name": "Ana", "city": "", "age": "40"},
    ]
    assert ("Windows-1252" in " ".join(data.columns.notes)) == (encoding == "cp1252")


def test_words_for_missing_stay_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("test,ward\nNone,NA\nNorm,nan\n,null\nNone,N/A\n")
    data = read(path)
    assert data.table.frame["test"].tolist()[0] == "None"
    assert [row["ward"] for row in texts(data)] == ["NA", "nan", "null", "N/A"]
    assert not data.columns["ward"].missing


def test_one_column_and_inches(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age\n34\n\n51\n")
    assert [row["age"] for row in texts(read(path))] == ["34", "", "51"]
    path.write_text('tube,age\n5" long,34\n6" long,35\n"7"" long",36\n5" long,37\n')
    assert [row["tube"] for row in texts(read(path))] == ['5" long', '6" long', '7" long', '5" long']


def test_a_nameless_first_column_is_row_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",age\n" + "".join(f"{i},{20 + i % 40}\n" for i in range(1, 60)))
    data = read(path)
    assert data.columns.names == ["Unnamed: 0", "age"]
    assert data.columns["Unnamed: 0"].kind is Kind.IDENTIFIER
    assert "row names" in data.columns.notes[0]


FRAME = pd.DataFrame(
    {
        "n": pd.array([1, 2, None, 40], dtype="Int64"),
        "k": [10, 20, 30, 47],
        "x": [0.1, 2.25, np.nan, 3.0],
        "flag": [True, False, True, True],
        "maybe": pd.array([True, None, False, True], dtype="boolean"),
        "seen": pd.to_datetime(["2020-01-01 10:00:00", None, "2021-05-05 00:00:01", "2022-02-02 00:00:00"]),
        "ward": ["a", None, "b", "a"],
    }
)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_frames_come_back_in_kind(kind: str) -> None:
    frame: Any = FRAME
    if kind == "polars":
        frame = pl.from_pandas(FRAME)
    elif kind == "pyarrow":
        frame = pa.Table.from_pandas(FRAME, preserve_index=False)
    data = read(frame)
    assert data.native == kind
    assert {column.name: column.storage for column in data.columns} == {
        "n": Storage.INTEGER,
        "k": Storage.INTEGER,
        "x": Storage.REAL,
        "flag": Storage.BOOLEAN,
        "maybe": Storage.BOOLEAN,
        "seen": Storage.TIMESTAMP,
        "ward": Storage.TEXT,
    }
    back = data.to_native()
    assert type(back) is type(frame)
    plain = data.to_pandas()
    assert plain["n"].tolist()[:2] == [1, 2]
    assert pd.isna(plain["n"][2])
    assert plain["x"].equals(FRAME["x"])
    assert plain["maybe"].isna().tolist() == [False, True, False, False]
    assert plain["seen"].equals(FRAME["seen"].astype("datetime64[us]"))
    assert texts(read(back, schema=data.schema)) == texts(data)


def test_parquet_keeps_dtypes(tmp_path: Path) -> None:
    data = read(FRAME)
    path = write(data, tmp_path / "t.parquet")
    assert {field.name: str(field.type) for field in pq.read_schema(path)} == {
        "n": "int64",
        "k": "int64",
        "x": "double",
        "flag": "bool",
        "maybe": "bool",
        "seen": "timestamp[us]",
        "ward": "string",
    }
    again = read(path)
    assert again.schema.only.columns == data.schema.only.columns
    assert texts(again) == texts(data)


def test_a_frame_and_its_csv_are_the_same_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"v": rng.normal(size=300).round(3), "n": rng.integers(0, 90, 300), "g": rng.choice(["a", "b"], 300)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    native, text = read(frame, name="t"), read(tmp_path / "t.csv")
    assert native.schema == text.schema
    assert native.table.frame.equals(text.table.frame)


def test_numbers_of_a_schema_with_sentinels_are_marked_without_a_detour() -> None:
    frame = pd.DataFrame({"bmi": [21.5, 0.0, np.nan, 33.25] * 10})
    schema = read(frame).schema
    column = replace(schema.only["bmi"], missing=(*schema.only["bmi"].missing, MissingCode("0.0", "not measured")))
    data = read(frame, schema=Schema((schema.only.replace_column(column),)))
    assert data.table.mark("bmi")[:4].tolist() == [0, 2, 1, 0]
    assert np.isnan(data.table.frame["bmi"][1])
    assert data.to_pandas()["bmi"].equals(frame["bmi"])


def test_a_missing_cell_under_a_schema_without_gaps_is_refused() -> None:
    schema = read(pd.DataFrame({"a": np.arange(50) / 4})).schema
    with pytest.raises(DataError, match="column 'a', row 3: the cell is not a number"):
        read(pd.DataFrame({"a": [0.25, np.nan]}), schema=schema)


def test_short_floats_and_long_integers() -> None:
    narrow = read(pd.DataFrame({"x": np.array([0.1, 0.25, 3.7] * 20, dtype=np.float32)}))
    assert narrow.columns["x"].decimals == 2
    long = read(pd.DataFrame({"key": np.arange(2**60, 2**60 + 50)}))
    assert texts(long)[7]["key"] == str(2**60 + 7)


def test_real_tables_come_out_as_they_went_in(shared: Path, tmp_path: Path) -> None:
    for name in ("survival/gbsg2.csv", "heart_uci/heart_cleveland.csv", "rct/indo_rct.csv", "pima/pima.csv", "wdbc/wdbc.csv"):
        source = shared / name
        assert write(read(source), tmp_path / "out.csv", force=True).read_text() == source.read_text().replace("\r\n", "\n"), (
            name
        )


def test_dates_of_a_csv_are_times_in_parquet_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    days = pd.date_range("1999-12-20", periods=40)
    path.write_text(
        "seen,left\n"
        + "".join(f"{day:%d.%m.%Y},{'' if i % 7 == 0 else f'{day:%Y-%m-%d %H:%M}'}\n" for i, day in enumerate(days))
    )
    data = read(path)
    assert [column.kind for column in data.columns] == [Kind.DATE, Kind.DATE]
    out = write(data, tmp_path / "t.parquet")
    assert {str(field.type) for field in pq.read_schema(out)} == {"timestamp[us]"}
    assert texts(read(out, schema=data.schema)) == texts(data)


def test_long_numbers_that_name_rows_keep_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("record_id,age\n" + "".join(f"{900000000000000001 + 3 * i},{20 + i % 50}\n" for i in range(60)))
    data = read(path)
    assert data.columns["record_id"].kind is Kind.IDENTIFIER
    assert data.to_pandas()["record_id"][1] == "900000000000000004"
    assert write(data, tmp_path / "out.csv").read_text() == path.read_text()


def test_arrow_has_the_cells_of_the_plain_frame() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "stage": pd.array(rng.choice([1, 2, 3, 4], 200), dtype="Int64"),
            "half": rng.choice([0.0, 1.0, np.nan], 200),
            "flag": pd.array(rng.choice([True, False, None], 200), dtype="boolean"),
            "ward": rng.choice(["a", "b", "?", None], 200),
            "n": rng.integers(0, 90, 200),
        }
    )
    frame.loc[rng.random(200) < 0.2, "stage"] = pd.NA
    schema = read(frame).schema.only
    for name, code in (("stage", "4"), ("ward", "?"), ("half", "1.0")):
        column = schema[name]
        schema = schema.replace_column(replace(column, missing=(*column.missing, MissingCode(code, "unknown"))))
    data = read(frame, schema=Schema((schema,)))
    assert {str(column.kind) for column in schema} >= {"ordinal", "boolean", "categorical", "count"}
    arrow, plain = to_arrow(data).to_pylist(), data.to_pandas().astype(object)
    assert arrow == plain.where(plain.notna(), None).to_dict("records")


def test_a_level_with_a_point_is_the_same_level(tmp_path: Path) -> None:
    data = read(pd.DataFrame({"stage": [1, 2, 3, 4] * 20}))
    again = read(pd.DataFrame({"stage": [1.0, 4.0]}), schema=data.schema)
    assert again.table.frame["stage"].tolist() == ["1", "4"]
    assert list(again.table.frame["stage"].cat.categories) == ["1", "2", "3", "4"]


def test_decimal_commas_are_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("weight;age\n" + "".join(f"{60 + i},{i % 10};{20 + i}\n" for i in range(40)))
    assert "decimal commas" in " ".join(read(path).columns["weight"].notes)


def test_a_carriage_return_in_a_cell_does_not_split_the_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ward": ["a\rb", "c", ""] * 4, "n": list(range(12))})
    data = read(frame)
    back = pd.read_csv(write(data, tmp_path / "out.csv"), dtype=str, na_filter=False, lineterminator="\n")
    assert back["ward"].tolist() == frame["ward"].tolist()
    assert texts(read(tmp_path / "out.csv", schema=data.schema)) == texts(data)


LONG = 2**53 + 1


@pytest.mark.parametrize(
    "cells",
    [
        [LONG, LONG + 2, LONG + 4] * 20,
        np.array([2**63 + 1, 2**63 + 3, 2**63 + 5] * 20, dtype=np.uint64),
        [10**30 + 1, 10**30 + 2, 10**30 + 3] * 20,
        [str(LONG), str(LONG + 2), str(LONG + 4)] * 20,
    ],
    ids=["int64", "uint64", "python", "text"],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("name", ["device_code", "reading"])
def test_long_whole_numbers_stay_exact(tmp_path: Path, cells: Any, suffix: str, name: str) -> None:
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object if isinstance(cells, list) else None), "n": list(range(60))})
    data = read(frame)
    assert not data.columns[name].kind.is_number
    assert data.to_pandas()[name].tolist() == [str(cell) for cell in cells]
    again = read(write(data, tmp_path / f"out{suffix}"))
    assert again.to_pandas()[name].tolist() == [str(cell) for cell in cells]
    assert any("more digits" in note for note in again.columns[name].notes)


def test_long_levels_of_a_persons_own_schema_stay_exact(tmp_path: Path) -> None:
    frame = pd.DataFrame({"site": ["1", "2"] * 20, "n": list(range(40))})
    for levels, expected in [((str(LONG), "1"), [LONG, 1]), ((str(2**64 + 1), "1"), [str(2**64 + 1), "1"])]:
        table = read(frame).columns
        column = replace(table["site"], kind=Kind.CATEGORICAL, storage=Storage.INTEGER, levels=levels)
        long = frame.assign(site=[levels[0], levels[1]] * 20)
        data = read(long, schema=Schema((table.replace_column(column),)))
        assert data.to_pandas()["site"].tolist() == expected * 20
        assert to_arrow(data)["site"].to_pylist() == expected * 20


def test_a_level_that_is_no_number_is_missing_among_numbers() -> None:
    data = read(pd.DataFrame({"site_code": [1, 2, 3] * 20, "n": list(range(60))}))
    column = data.columns["site_code"]
    assert column.kind is Kind.CATEGORICAL
    frame = data.table.frame.copy()
    frame["site_code"] = pd.Categorical(["(rare)", "2", "3"] * 20)
    made = data.with_table(Table(frame, data.table.marks))
    assert made.to_pandas()["site_code"].fillna(-1).tolist() == [-1, 2, 3] * 20
    assert to_arrow(made)["site_code"].to_pylist() == [None, 2, 3] * 20


def test_a_column_without_anything_to_release_is_written_empty() -> None:
    data = read(pd.DataFrame({"site": ["a", "b"] * 20, "n": list(range(40))}))
    frame = data.table.frame.assign(site=pd.Categorical([None] * 40, categories=pd.Index([], dtype=object)))
    made = data.with_table(Table(frame, {"site": np.ones(40, dtype=np.int8)}))
    assert data.columns["site"].missing == ()
    assert to_arrow(made)["site"].to_pylist() == [None] * 40


def test_dates_of_far_years_in_a_frame(tmp_path: Path) -> None:
    days = [date(2001, 1, 1 + i % 28) for i in range(40)] + [date(9999, 12, 31), date(950, 2, 3)]
    data = read(pd.DataFrame({"seen": pd.Series(days, dtype=object), "n": list(range(42))}))
    assert data.columns["seen"].kind is Kind.DATE
    assert str(data.columns["seen"].maximum).startswith("9999-12-31")
    for suffix in (".csv", ".parquet"):
        again = read(write(data, tmp_path / f"out{suffix}"), schema=data.schema)
        assert again.table.frame["seen"].tolist() == data.table.frame["seen"].tolist()


def test_half_a_character_is_refused_by_column() -> None:
    with pytest.raises(DataError, match=r"column 'ward' holds half of a character"):
        read(pd.DataFrame({"ward": ["a", "b\ud800"], "n": [1, 2]}))
