"""Everything that can be wrong with a file: one clear error of the input class, naming the place, never a cell, and nothing written."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.errors import DataError, InputError, SchemaError
from manikin.io import sniffing
from manikin.io.tabular import read

SECRET = "Zaphod"  # a patient's value: it must not come up in any message
GOOD = f"id,name,age\n1,{SECRET},34\n2,Trillian,31\n3,Arthur,42\n"


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    return buffer.getvalue()


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b"\n\n  \n", "is empty"),
    "headers only": (b"id,age\n", "no rows"),
    "short row": (f"id,age,x\n1,2,3\n2,{SECRET}\n3,4,5\n".encode(), "row 3.*has 2 cells and the header has 3"),
    "long row": (f"id,age\n1,2\n2,{SECRET},9\n3,4,4\n".encode(), r"row 3 \(and 1 more rows\).*has 3 cells"),
    "ragged with quotes": (b'id,age\n"1,1",2\n"2",3,4\n', "row 3.*has 3 cells"),
    "ragged after a cell of two lines": (b'id,age\n"1\n1",2\n2\n', "row 3.*has 1 cells"),
    "blank row in the middle": (b"id,age\n1,2\n\n3,4\n", "row 3"),
    "double names": (b"id,age,age\n1,2,3\n", r"'age' stands 2 times \(columns 2, 3\)"),
    "empty name": (b"id,,age\n1,2,3\n", "column 2 has no name"),
    "no header": (b"1,2\n3,4\n5,6\n", "every column name is a number"),
    "NUL byte": (b"id,age\n1,2\n3,\x004\n", "row 3 holds a NUL byte"),
    "open quote": (f'id,age\n1,2\n2,"{SECRET}\n3,4\n'.encode(), "quote opened in row 3 is never closed"),
    "no known encoding": (b"id,name\n1,\x81\x8d\n2,\xff\x81\n", "row 2.*neither UTF-8"),
    "endless cell": (b"id,note\n1," + b"x" * 5_000_000 + b"\n2,y\n", "row 2: a cell is longer than 1,000,000"),
    "endless quoted cell": (b'id,note\n1,"' + b"x\n" * 2_500_000 + b'"\n2,y\n', "row 2: a cell is longer than 1,000,000"),
    "xlsx": (_zip(), r"Excel workbook \(.xlsx\)"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "a PNG image"),
    "pickle": (pickle.dumps({"a": SECRET}), "a Python pickle"),
    "parquet under a wrong name": (b"PAR1" + b"\0" * 50, "a Parquet file"),
    "random bytes": (np.random.default_rng(0).bytes(5000), "binary file"),
    "cut-off gzip": (gzip.compress(GOOD.encode() * 500)[:-20], "damaged or cut-off gzip"),
    "corrupt gzip": (b"\x1f\x8b" + b"nonsense" * 10, "damaged or cut-off gzip"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "gzip of a pickle": (gzip.compress(pickle.dumps([1, 2, 3])), "a Python pickle"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused(tmp_path: Path, what: str) -> None:
    content, message = BAD[what]
    path = tmp_path / "patients.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    text = str(caught.value)
    assert str(path) in text
    assert SECRET not in text
    assert len(text) < 400
    assert [p.name for p in tmp_path.iterdir()] == ["patients.csv"]


def test_a_bomb_is_stopped_before_it_bursts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sniffing, "FREE_EXPANSION_BYTES", 1 << 20)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * 10_000_000))
    with pytest.raises(DataError, match="more than 200 times its size"):
        read(path)


def test_a_gzip_of_several_members_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,x\n") + gzip.compress(b"2,y\n"))
    assert len(read(path)) == 2


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path / "absent.parquet")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 200 + b"PAR1", b"id,age\n1,2\n"])
def test_damaged_parquet(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match="Parquet"):
        read(path)


@pytest.mark.parametrize("what", [3, None, [1, 2], {"a": [1]}, pd.Series([1, 2])])
def test_what_is_no_frame_is_refused(what: object) -> None:
    with pytest.raises(DataError, match="neither a path nor a data frame"):
        read(what)


def test_frames_that_are_no_tables() -> None:
    with pytest.raises(DataError, match="no rows"):
        read(pd.DataFrame({"a": []}))
    with pytest.raises(DataError, match="no columns"):
        read(pd.DataFrame(index=[0, 1]))
    with pytest.raises(DataError, match="'a' stands 2 times"):
        read(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="holds lists or records"):
        read(pd.DataFrame({"a": [[1], [2]]}))
    with pytest.raises(DataError, match="column 'a', row 2 of the data is infinite"):
        read(pd.DataFrame({"a": [1.0, np.inf]}))


def test_a_schema_that_does_not_fit(tmp_path: Path) -> None:
    good, more, fewer = (tmp_path / name for name in ("good.csv", "more.csv", "fewer.csv"))
    good.write_text("a,b\n1,x\n2,y\n")
    more.write_text("a,b,c\n1,x,3\n2,y,4\n")
    fewer.write_text("a\n1\n2\n")
    schema = read(good).schema
    with pytest.raises(SchemaError, match="does not name"):
        read(more, schema=schema)
    with pytest.raises(SchemaError, match=r"The schema names 'b', which .*fewer.csv does not have"):
        read(fewer, schema=schema)


def test_a_cell_that_does_not_fit_the_schema_is_named_by_its_row(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("age,when\n" + "".join(f"{a},2020-01-{a - 19:02d}\n" for a in range(20, 40)))
    schema = read(good).schema
    bad.write_text(f"age,when\n20,2020-01-01\n21,2020-01-02\n{SECRET},2020-01-03\n")
    with pytest.raises(DataError, match="column 'age', row 4: the cell is not a number") as caught:
        read(bad, schema=schema)
    assert SECRET not in str(caught.value)
    bad.write_text("age,when\n20,2020-01-01\n21,02/03/2020\n22,\n")
    with pytest.raises(DataError, match=r"column 'when', row 3 \(and 1 more rows\): the cell is not a date"):
        read(bad, schema=schema)


def test_every_refusal_is_of_the_class_that_exits_with_2() -> None:
    assert issubclass(DataError, InputError)
    assert issubclass(SchemaError, InputError)


def test_one_row_is_read_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("age,sex\n34,F\n")
    data = read(path)
    assert len(data) == 1
    assert "one row" in " ".join(data.columns.notes)


def test_constant_and_empty_columns_are_kept_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age,gone,same\n" + "".join(f"{age},,x\n" for age in range(30, 60)))
    data = read(path)
    assert data.table.frame["gone"].isna().all()
    assert "Every cell is empty" in data.columns["gone"].notes[0]
    assert "Every row holds the same value" in data.columns["same"].notes[0]
    empty = read(pd.DataFrame({"a": [1, 2, 3], "b": [np.nan] * 3, "c": [None] * 3}))
    assert all("Every cell is empty" in empty.columns[name].notes[0] for name in "bc")


def test_ten_thousand_levels_are_read_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("ward,age\n" + "".join(f"w{i % 10_000},{i % 70}\n" for i in range(20_000)))
    column = read(path).columns["ward"]
    assert column.levels is None
    assert any("10,000 levels" in note for note in column.notes)
