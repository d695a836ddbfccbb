"""Folders of OMOP tables, as CSV or Parquet: which files are tables, and how they are read. Knows no kinds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.schema import Schema
from manikin.io.delimited import read_texts
from manikin.io.frames import profiles_of_frame, profiles_of_texts, read_parquet
from manikin.io.header_only import first_row, header_only
from manikin.io.omop.build import dataset_of, is_omop
from manikin.io.omop.cdm54 import BY_NAME
from manikin.io.profiles import Profile, profile_texts

TEXTS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt", ".txt.gz")
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class TableFile:
    """A table's file: where it is, its name without the suffix, and the suffix."""

    path: Path
    name: str
    suffix: str

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet, and not text."""
        return self.suffix.lower() in PARQUET


def files_of(folder: Path) -> dict[str, TableFile]:
    """The tables' files of a folder by table, in the order of their names.

    Raises
    ------
    DataError : two files of one table.
    """
    found: dict[str, TableFile] = {}
    seen: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        name, dot, ending = path.name.partition(".")
        suffix = dot + ending
        if path.is_file() and suffix.lower() in (*TEXTS, *PARQUET):
            if name.lower() in seen:
                raise DataError(f"{folder} has the table {name!r} twice: {seen[name.lower()]} and {path.name}. Remove one.")
            seen[name.lower()] = path.name
            found[name] = TableFile(path, name, suffix)
    return found


def recognises(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds OMOP tables: a file of persons with the CDM's columns. Reads its header alone."""
    folder = Path(path)
    if not folder.is_dir():
        return False
    person = next((p for p in sorted(folder.iterdir()) if p.is_file() and p.name.lower().partition(".")[0] == "person"), None)
    if person is None or "." + person.name.lower().partition(".")[2] not in (*TEXTS, *PARQUET):
        return False
    return is_omop({"person": header_of(TableFile(person, "person", "." + person.name.partition(".")[2]))})


def header_of(file: TableFile) -> list[str]:
    """The column names of a table's file.

    Raises
    ------
    DataError : the file cannot be read.
    """
    if file.is_parquet:
        return list(parquet_schema(file.path).names)
    return list(first_row(file.path))


def parquet_schema(path: Path) -> Any:
    """The Arrow schema of a Parquet file.

    Raises
    ------
    DataError : it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError):
        raise DataError(f"{path} is not a Parquet file, or it is damaged. Write it again.") from None


def read(source: str | os.PathLike[str], *, schema: Schema | None = None) -> Dataset:
    """The data set of a folder of OMOP CDM 5.4 tables, one file a table: CSV, TSV or Parquet, in upper or lower case.

    Parameters
    ----------
    schema : of a data set that was read before; without it the CDM says what the tables hold.

    Raises
    ------
    DataError : no folder, no table of persons, a required column is absent, or a cell is not what the CDM asks for.

    Notes
    -----
    Vocabulary tables, notes and tables whose rows are named by number alone are left out, and the table of persons says so. A day that
    a datetime says already is left out and written again. What falls short of the CDM is noted on its table.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Name the folder that holds person.csv and the other tables.")
    files = files_of(folder)
    if not any(name.lower() == "person" for name in files):
        raise DataError(f"{folder} has no table 'person', which the OMOP CDM starts from. Name the folder that holds it.")
    wanted = {name: file for name, file in files.items() if name.lower() in BY_NAME}
    tables: dict[str, list[Profile]] = {name: [] for name in files if name.lower() not in BY_NAME}
    tables |= {name: _profiles(file) for name, file in wanted.items()}
    return dataset_of({name: tables[name] for name in files}, str(folder), schema=schema)


def _profiles(file: TableFile) -> list[Profile]:
    if file.is_parquet:
        frame = read_parquet(file.path)
        return profiles_of_frame(frame, str(file.path)) if len(frame) else _no_rows(list(frame.columns))
    texts = header_only(file.path)
    return profiles_of_texts(read_texts(file.path)[0]) if texts is None else _no_rows(list(texts.columns))


def _no_rows(names: list[str]) -> list[Profile]:
    return [profile_texts(name, pd.Series([], dtype=object)) for name in names]
