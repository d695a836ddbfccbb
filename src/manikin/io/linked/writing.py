"""Writes linked tables as a folder, a file for each table, under the names and in the formats in which they came; whole or not at all.

A folder is built beside its place and renamed at the end. It may be written in pieces of patients, in the memory of one piece.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeGuard

from manikin.data.dataset import Dataset, flat
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Form, Schema, TableSchema
from manikin.io.linked.files import ENDINGS, SCHEMA_FILE, list_tables, table_name
from manikin.io.publishing import beside, publish
from manikin.io.tabular import TableWriter

Like = str | os.PathLike[str] | Mapping[str, Any] | None


def write(data: Dataset, folder: str | os.PathLike[str], *, like: Like = None, force: bool = False) -> Path:
    """Writes linked tables as a folder, a file for each.

    Parameters
    ----------
    like : how files are called, and thereby in which format and packing they are written: a folder of which each table takes its file's
        name (and in Parquet its columns' types), what `layout_of` says of one, names by table, or an ending for all of them (".csv",
        ".csv.gz", ".tsv", ".parquet"); ".csv" where it says nothing.
    force : whether a folder that holds such tables already is replaced.

    Raises
    ------
    DataError : the folder is there and `force` is not set, or it holds what is no table of these; a name has no known ending.
    """
    with FolderWriter(folder, data.schema, like=like, force=force) as writer:
        writer.append(data)
    return Path(folder)


class FolderWriter:
    """Writes linked tables in pieces of patients, in the memory of one piece; the folder appears when the last one is in, and not at
    all after an error.

    Tables of nobody are taken from the first piece.

    Examples
    --------
    >>> with FolderWriter("synthetic", schema, like="real") as writer:  # doctest: +SKIP
    ...     for batch in model.sample_batches(1_000_000, seed=0):
    ...         writer.append(batch)
    """

    def __init__(self, folder: str | os.PathLike[str], schema: Schema, *, like: Like = None, force: bool = False) -> None:
        self.folder = Path(folder)
        self.schema = schema
        known = layout_of(like) if _is_folder(like) else like
        self.names = file_names(schema, known)
        self.types = _types(known)
        _refuse_taken(self.folder, schema, force=force)
        self._beside = beside(self.folder)
        self._writers: dict[str, TableWriter] = {}
        self._open = ExitStack()
        self._is_first = True

    def __enter__(self) -> Self:
        self._beside.mkdir()
        for table in self.schema.tables:
            writer = TableWriter(self._beside / self.names[table.name], Schema((_alone(table),)), types=self.types.get(table.name))
            self._writers[table.name] = self._open.enter_context(writer)
        return self

    def append(self, data: Dataset) -> None:
        """Adds the rows of patients whose keys no earlier piece has.

        Raises
        ------
        SchemaError : the piece has other tables or columns.
        """
        if [table.name for table in data.schema.tables] != [table.name for table in self.schema.tables]:
            raise SchemaError(f"Patients with other tables cannot be added to {self.folder}. Give every piece the same schema.")
        for table in data.schema.tables:
            if table.form is not Form.REFERENCE or self._is_first:
                self._writers[table.name].append(flat(data.tables[table.name], _alone(table)))
        self._is_first = False

    @property
    def n_rows(self) -> dict[str, int]:
        """The rows written so far, by table."""
        return {name: writer.n_rows for name, writer in self._writers.items()}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._open.__exit__(kind, error, trace)
            if kind is None:
                publish(self._beside, self.folder)
        finally:
            shutil.rmtree(self._beside, ignore_errors=True)


def file_names(schema: Schema, like: Like = None) -> dict[str, str]:
    """The file name of each table, by the table's name; what `like` may be, `write` says.

    Raises
    ------
    DataError : a name has no ending that says a format, or is another table's.
    """
    known, ending = {}, ".csv"
    if _is_folder(like):
        like = layout_of(like)
    if isinstance(like, Mapping):
        known = {name: Path(said["file"] if isinstance(said, Mapping) else said).name for name, said in like.items()}
    elif like is not None:
        ending = str(like) if str(like).startswith(".") else f".{like}"
    names = {table.name: known.get(table.name, f"{table.name}{ending}") for table in schema.tables}
    for table, name in names.items():
        if table_name(Path(name)) != table:
            raise DataError(
                f"Table {table!r} cannot be written as {name!r}, from which it would not be read again. "
                f"Call it {table}.csv, {table}.csv.gz, {table}.tsv or {table}.parquet."
            )
    return names


def layout_of(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """How the tables of a folder are stored, for `like` and as JSON can hold it: by table its file's name, or for a Parquet file a
    mapping of `file` to its name and `types` to its columns' types.

    Raises
    ------
    DataError : there is no such folder, or no table in it.
    """
    from manikin.io.arrow_types import types_of

    out: dict[str, Any] = {}
    for name, path in list_tables(Path(folder)).tables.items():
        types = types_of(path) if path.suffix.lower() in (".parquet", ".pq") else {}
        out[name] = {"file": path.name, "types": types} if types else path.name
    return out


def _is_folder(like: Like) -> TypeGuard[str | os.PathLike[str]]:
    if like is None or isinstance(like, Mapping):
        return False
    is_ending = str(like).startswith(".") or f".{like}" in ENDINGS
    return not is_ending or Path(like).is_dir()


def _types(like: Like) -> dict[str, Mapping[str, str]]:
    """The types of the columns of Parquet files, by table."""
    if not isinstance(like, Mapping):
        return {}
    return {name: said["types"] for name, said in like.items() if isinstance(said, Mapping) and "types" in said}


def unlinked(data: Dataset) -> Dataset:
    """A data set of one table as a flat one."""
    return flat(data.table, _alone(data.schema.only), data.native)


def _alone(table: TableSchema) -> TableSchema:
    """The schema of a table without what binds it to others."""
    return replace(table, form=None, primary_key=(), foreign_keys=(), start=None, end=None)


def _refuse_taken(folder: Path, schema: Schema, *, force: bool) -> None:
    """Refuses a place that is taken, or that cannot be written to; what is replaced holds tables of these names and nothing else."""
    if not Path(os.path.abspath(folder)).parent.is_dir():
        raise DataError(f"There is no folder {folder.parent}. Make it first, or choose another.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(f"{folder} is a file or a link; linked tables need a folder. Choose another name.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not force:
        raise DataError(f"{folder} exists already. Choose another name, or replace it with --force.")
    names = {table.name.casefold() for table in schema.tables}
    for path in sorted(folder.iterdir()):
        known = path.is_file() and not path.is_symlink() and (table_name(path) or "").casefold() in names
        if not known and path.name != SCHEMA_FILE:
            raise DataError(f"{folder} holds {path.name}, which is none of these tables; it is not replaced. Choose another name.")
