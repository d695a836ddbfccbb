"""Folders of OMOP tables, as CSV or Parquet: which files are tables, and how they are read and written. Knows no kinds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import DataError
from manikin.data.schema import Schema, Storage, TableSchema
from manikin.io import tabular
from manikin.io.arrow import arrow_type, to_arrow
from manikin.io.delimited import read_texts
from manikin.io.frames import profiles_of_frame, profiles_of_texts, read_parquet
from manikin.io.header_only import first_row, header_only
from manikin.io.omop.build import check_columns, dataset_of, is_omop
from manikin.io.omop.cdm54 import BY_NAME, LEFT_OUT, CdmTable, CdmType
from manikin.io.omop.checks import check_keys
from manikin.io.omop.derived import completed
from manikin.io.profiles import Profile, profile_texts
from manikin.io.whole import whole_folder

TEXTS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt", ".txt.gz")
PARQUET = (".parquet", ".pq")
DEFAULT = ".csv"


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
        return list(_parquet_schema(file.path).names)
    return list(first_row(file.path))


def _parquet_schema(path: Path) -> Any:
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


def write(
    data: Dataset, target: str | os.PathLike[str], *, like: str | os.PathLike[str] | None = None, force: bool = False
) -> Path:
    """Writes OMOP tables into a folder, one file a table, whole or not at all.

    Parameters
    ----------
    like : the folder whose file names, formats and columns are repeated, or a suffix such as ".parquet" for all; .csv without it.
        Columns of that folder that the data do not have are written empty where the CDM allows it.
    force : whether a folder of OMOP tables that is there may be replaced.

    Raises
    ------
    DataError : the target is taken, a table is none of the CDM, a required column is absent, or keys do not hold.
    """
    check_keys(data, "The data set")
    files = _like(data, like)
    with whole_folder(target, force=force, is_ours=_is_ours) as beside:
        for schema in data.schema.tables:
            cdm = BY_NAME.get(schema.name.lower())
            if cdm is None:
                raise DataError(f"The data set has a table {schema.name!r}, which is none of the OMOP CDM 5.4. Leave it out.")
            table, full = completed(data.tables[schema.name], schema, cdm)
            check_columns(cdm, schema.name, full.names, "The data set")
            full = replace(full, form=None, primary_key=(), foreign_keys=(), start=None, end=None)
            _write_table(flat(table, full), cdm, beside, files[schema.name])
    return Path(target)


def _is_ours(path: Path) -> bool:
    name, dot, ending = path.name.partition(".")
    return path.is_file() and (dot + ending).lower() in (*TEXTS, *PARQUET) and name.lower() in {*BY_NAME, *LEFT_OUT}


def _like(data: Dataset, like: str | os.PathLike[str] | None) -> dict[str, TableFile]:
    """The file that each table's own is like; its path is a file that is there where its columns are to be repeated."""
    names = [table.name for table in data.schema.tables]
    if like is None or str(like).lower() in (*TEXTS, *PARQUET):
        return {name: TableFile(Path(), name, str(like or DEFAULT)) for name in names}
    folder = Path(like)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder} to write like. Check the path, or name a suffix such as .parquet.")
    known = {name.lower(): file for name, file in files_of(folder).items()}
    first = next(iter(known.values()), TableFile(Path(), "", DEFAULT))
    return {name: known.get(name.lower(), TableFile(Path(), name, first.suffix)) for name in names}


def _write_table(data: Dataset, cdm: CdmTable, folder: Path, file: TableFile) -> None:
    header = header_of(file) if file.path.is_file() else data.columns.names
    target = folder / f"{file.name}{file.suffix}"
    if file.is_parquet:
        _write_parquet(data, cdm, target, header, file.path if file.path.is_file() else None)
        return
    suffix = file.suffix.lower().replace(".txt", ".csv")
    beside = folder / f"{file.name}{suffix}"
    tabular.write(_with_columns(data, header), beside)
    beside.rename(target)


def _with_columns(data: Dataset, header: Sequence[str]) -> Dataset:
    """The data in the columns of a header, which is spelled as it likes; those that there are not stay empty."""
    from manikin.data.schema import Column, Kind

    table, schema = data.table, data.columns
    spelled = {column.name.lower(): column for column in schema}
    columns, cells, marks = [], {}, {}
    for name in header:
        column = spelled.pop(name.lower(), None)
        if column is None:
            columns.append(Column(name, Kind.TEXT))
            cells[name] = pd.Series([None] * len(table), dtype=object)
            continue
        columns.append(replace(column, name=name, by=None))
        cells[name] = table.frame[column.name]
        if column.name in table.marks:
            marks[name] = table.marks[column.name]
    for column in spelled.values():
        known = BY_NAME[schema.name.lower()].get(column.name.lower())
        if known is None or known.is_required:
            columns.append(replace(column, by=None))
            cells[column.name] = table.frame[column.name]
            marks |= {column.name: table.marks[column.name]} if column.name in table.marks else {}
    frame = pd.DataFrame(cells, index=pd.RangeIndex(len(table)))
    return flat(Table(frame, marks), TableSchema(schema.name, tuple(columns)))


def _write_parquet(data: Dataset, cdm: CdmTable, target: Path, header: Sequence[str], like: Path | None) -> None:
    """Parquet with the types of the file it is like, or those of the CDM."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wide = _with_columns(data, header)
    arrow = to_arrow(wide)
    known = _parquet_schema(like) if like is not None else None
    fields = []
    for column in wide.columns:
        kind = _cdm_type(cdm, column.name) or arrow_type(column)
        if known is not None and column.name in known.names:
            kind = known.field(column.name).type
        if column.storage is Storage.TEXT and pa.types.is_integer(kind) and arrow.schema.field(column.name).type == pa.string():
            kind = pa.string() if not _all_fit(arrow[column.name], kind) else kind
        fields.append(pa.field(column.name, kind))
    try:
        typed = arrow.cast(pa.schema(fields), safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise DataError(
            f"The table {data.columns.name!r} holds cells that do not fit the types of {like or 'the OMOP CDM 5.4'}. Write it as .csv."
        ) from None
    pq.write_table(typed, target, compression="zstd", row_group_size=tabular.GROUP_ROWS)


def _cdm_type(cdm: CdmTable, name: str) -> Any:
    import pyarrow as pa

    known = cdm.get(name.lower())
    if known is None:
        return None
    return {
        CdmType.INTEGER: pa.int64(),
        CdmType.NUMERIC: pa.float64(),
        CdmType.DATE: pa.date32(),
        CdmType.DATETIME: pa.timestamp("us"),
        CdmType.TEXT: pa.string(),
    }[known.type]


def _all_fit(cells: Any, kind: Any) -> bool:
    import pyarrow as pa

    try:
        cells.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
