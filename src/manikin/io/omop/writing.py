"""Writes OMOP tables as a folder, one file a table, in pieces of patients if wished; whole or not at all. Knows no kinds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import EMPTY, Column, Form, Kind, Schema, Storage, TableSchema
from manikin.io.arrow_types import types_of
from manikin.io.omop.build import check_columns
from manikin.io.omop.cdm54 import BY_NAME, LEFT_OUT, CdmTable, CdmType
from manikin.io.omop.checks import check_keys
from manikin.io.omop.derived import completed
from manikin.io.omop.folder import PARQUET, TEXTS, TableFile, files_of, header_of
from manikin.io.tabular import TableWriter
from manikin.io.whole import whole_folder

DEFAULT = ".csv"
ARROW_WORDS = {
    CdmType.INTEGER: "int64",
    CdmType.NUMERIC: "double",
    CdmType.DATE: "date32[day]",
    CdmType.DATETIME: "timestamp[us]",
    CdmType.TEXT: "string",
}
Like = str | os.PathLike[str] | None


def write(data: Dataset, target: str | os.PathLike[str], *, like: Like = None, force: bool = False) -> Path:
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
    with OmopWriter(target, data.schema, like=like, force=force) as writer:
        writer.append(data)
    return Path(target)


class OmopWriter:
    """Writes OMOP tables in pieces of patients, in the memory of one piece; the folder appears when the last one is in, and not at all
    after an error. Tables of nobody are taken from the first piece.

    Examples
    --------
    >>> with OmopWriter("synthetic", schema, like="cdm") as writer:  # doctest: +SKIP
    ...     for batch in model.sample_batches(1_000_000, seed=0):
    ...         writer.append(batch)
    """

    def __init__(self, target: str | os.PathLike[str], schema: Schema, *, like: Like = None, force: bool = False) -> None:
        self.target = Path(target)
        self.schema = schema
        self.files = _files(schema, like)
        self._force = force
        self._folder = ExitStack()
        self._tables = ExitStack()
        self._writers: dict[str, TableWriter] = {}
        self._headers: dict[str, list[str]] = {}
        self._beside = Path()

    def __enter__(self) -> Self:
        for table in self.schema.tables:
            if table.name.lower() not in BY_NAME:
                raise DataError(f"The data have a table {table.name!r}, which is none of the OMOP CDM 5.4. Leave it out.")
            file = self.files[table.name]
            self._headers[table.name] = header_of(file) if file.path.is_file() else []
        self._beside = self._folder.enter_context(whole_folder(self.target, force=self._force, is_ours=_is_ours))
        self._tables.callback(self._rename)  # the first to be called is the last to be done
        return self

    def append(self, data: Dataset) -> None:
        """Adds the rows of patients whose keys no earlier piece has.

        Raises
        ------
        DataError : a required column is absent, or keys do not hold. SchemaError : the piece has other tables.
        """
        if [table.name for table in data.schema.tables] != [table.name for table in self.schema.tables]:
            raise SchemaError(f"Patients with other tables cannot be added to {self.target}. Give every piece the same schema.")
        check_keys(data, "The data set")
        for schema in data.schema.tables:
            if schema.form is not Form.REFERENCE or schema.name not in self._writers:
                self._append(data.tables[schema.name], schema)

    def _append(self, table: Table, schema: TableSchema) -> None:
        laid_out = _laid_out(table, schema, self._headers[schema.name])
        if schema.name not in self._writers:
            self._writers[schema.name] = self._tables.enter_context(self._writer(laid_out, self.files[schema.name]))
        self._writers[schema.name].append(laid_out)

    def _writer(self, laid_out: Dataset, file: TableFile) -> TableWriter:
        cdm = BY_NAME[laid_out.columns.name.lower()]
        types: Mapping[str, str] = {}
        if file.is_parquet:
            theirs = types_of(file.path) if file.path.is_file() else {}
            known = {name: cdm.get(name.lower()) for name in laid_out.columns.names}
            types = {name: ARROW_WORDS[column.type] for name, column in known.items() if column is not None} | theirs
        suffix = file.suffix.lower().replace(".txt", ".csv")
        return TableWriter(self._beside / f"{file.name}{suffix}", laid_out.schema, types=types)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._tables.__exit__(kind, error, trace)
            self._folder.__exit__(kind, error, trace)
            return
        with self._folder, self._tables:
            for schema in self.schema.tables:
                if schema.name not in self._writers:
                    self._append(_no_rows(schema), schema)

    def _rename(self) -> None:
        """Gives files whose suffix the writer of flat tables does not know (.txt.gz) their own name."""
        for name, writer in self._writers.items():
            if writer.path.is_file():
                writer.path.rename(self._beside / f"{self.files[name].name}{self.files[name].suffix}")


def _is_ours(path: Path) -> bool:
    name, dot, ending = path.name.partition(".")
    return path.is_file() and (dot + ending).lower() in (*TEXTS, *PARQUET) and name.lower() in {*BY_NAME, *LEFT_OUT}


def _files(schema: Schema, like: Like) -> dict[str, TableFile]:
    """The file that each table's own is like; its path is a file that is there where its columns are to be repeated."""
    names = [table.name for table in schema.tables]
    if like is None or str(like).lower() in (*TEXTS, *PARQUET):
        return {name: TableFile(Path(), name, str(like or DEFAULT)) for name in names}
    folder = Path(like)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder} to write like. Check the path, or name a suffix such as .parquet.")
    known = {name.lower(): file for name, file in files_of(folder).items()}
    first = next(iter(known.values()), TableFile(Path(), "", DEFAULT))
    return {name: known.get(name.lower(), TableFile(Path(), name, first.suffix)) for name in names}


def _no_rows(schema: TableSchema) -> Table:
    plain = replace(schema, columns=tuple(replace(column, by=None) for column in schema))
    return parse_table(pd.DataFrame({name: pd.Series([], dtype=object) for name in schema.names}), plain)


def _laid_out(table: Table, schema: TableSchema, header: Sequence[str]) -> Dataset:
    """A table as its file has it: with the columns that others say, in the header's order and spelling where there is one."""
    cdm = BY_NAME[schema.name.lower()]
    table, full = completed(table, schema, cdm, header)
    check_columns(cdm, schema.name, full.names, "The data set")
    spelled = {column.name.lower(): column for column in full}
    names = list(header) or full.names
    asked = {name.lower() for name in names}
    names += [c.name for low, c in spelled.items() if low not in asked and ((known := cdm.get(low)) is None or known.is_required)]
    columns, cells, marks = [], {}, {}
    for name in names:
        column = spelled.get(name.lower())
        if column is None or (column.kind is Kind.CATEGORICAL and column.levels == ()):
            described = _empty(cdm, name)
            columns.append(described)
            cells[name] = _nothing(described, len(table))
            marks[name] = np.ones(len(table), dtype=np.int8)
            continue
        columns.append(replace(column, name=name, by=None))
        cells[name] = table.frame[column.name]
        if column.name in table.marks:
            marks[name] = table.marks[column.name]
    return flat(Table(pd.DataFrame(cells, index=pd.RangeIndex(len(table))), marks), TableSchema(schema.name, tuple(columns)))


def _empty(cdm: CdmTable, name: str) -> Column:
    """A column without a value, of the type that the CDM gives it."""
    known = cdm.get(name.lower())
    if known is not None and known.type in (CdmType.INTEGER, CdmType.NUMERIC):
        storage = Storage.INTEGER if known.type is CdmType.INTEGER else Storage.REAL
        return Column(name, Kind.CONTINUOUS, storage, missing=(EMPTY,))
    if known is not None and known.type in (CdmType.DATE, CdmType.DATETIME):
        return Column(name, Kind.DATE, Storage.TIMESTAMP, missing=(EMPTY,))
    return Column(name, Kind.TEXT, missing=(EMPTY,))


def _nothing(column: Column, n_rows: int) -> Any:
    if column.kind.is_number:
        return np.full(n_rows, np.nan)
    if column.kind.is_time:
        return np.full(n_rows, np.datetime64("NaT", "us"))
    return pd.Series([None] * n_rows, dtype=object)
