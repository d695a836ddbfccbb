"""Tables go in and come out: what is read is what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from manikin.data.errors import DataError
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
