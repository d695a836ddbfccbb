"""Reads tables of patients from files and frames, and writes them: CSV, TSV and Parquet. The one door for flat data.

What is written appears under its name only when it is complete (written beside, then renamed), and nothing is overwritten unasked.
"""

from __future__ import annotations

import gzip
import io
import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pandas as pd

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Schema, TableSchema
from manikin.io.delimited import read_texts, texts_to_csv
from manikin.io.frames import profiles_of_frame, profiles_of_texts, read_parquet, to_pandas
from manikin.io.inference import infer_from_profiles
from manikin.io.profiles import Profile
from manikin.io.sniffing import read_bytes
from manikin.io.typed import table_of

DELIMITED = (".csv", ".tsv", ".txt", ".tab", ".dat", ".data")
COMPRESSED_LEVEL = 6
GROUP_ROWS = 65_536  # of a Parquet file, however large the pieces are in which it is written


def read(source: Any, *, schema: Schema | None = None, name: str | None = None, each_by_itself: bool = False) -> Dataset:
    """A data set from a file (CSV, TSV, Parquet) or a frame (pandas, polars, pyarrow).

    Parameters
    ----------
    source : a path, or a frame. Separator, encoding and gzip of a text file are found.
    schema : of one table; without it one is inferred.
    name : the table's name; by default the schema's, or the file's.
    each_by_itself : whether a text file's encoding is found line by line, so that one row does not change how others are read.

    Raises
    ------
    DataError : the source cannot be read, or a cell does not fit the schema; the message names column and row.
    SchemaError : the schema names columns that the data do not have, or lacks columns that they have.
    """
    profiles, where, native, notes = _profiles(source, each_by_itself=each_by_itself)
    if schema is None:
        schema, table = infer_from_profiles(profiles, name or _name_of(source), notes)
        return Dataset({schema.only.name: table}, schema, native)
    if name is not None and name != schema.only.name:
        schema = Schema((replace(schema.only, name=name),))
    refuse_strangers([profile.name for profile in profiles], schema.only, where)
    table = table_of(profiles, schema.only, where)
    return Dataset({schema.only.name: table}, schema, native)


def _profiles(source: Any, *, each_by_itself: bool) -> tuple[list[Profile], str, str, tuple[str, ...]]:
    if not isinstance(source, str | os.PathLike):
        frame, native = to_pandas(source)
        return profiles_of_frame(frame), f"The {native} frame", native, ()
    profiles, notes = profiles_of_file(Path(source), each_by_itself=each_by_itself)
    return profiles, str(source), "pandas", notes


def profiles_of_file(
    path: Path, *, each_by_itself: bool = False, may_be_empty: bool = False
) -> tuple[list[Profile], tuple[str, ...]]:
    """The profiles of a file's columns, and notes on how it was read.

    Raises
    ------
    DataError : the file cannot be read, or has no rows unless it `may_be_empty`.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        if not read_bytes(path, 4).startswith(b"PAR1"):
            raise DataError(f"{path} is not a Parquet file. Give it the suffix of its format, or write it again.")
        return profiles_of_frame(read_parquet(path), str(path), may_be_empty=may_be_empty), ()
    texts, notes = read_texts(path, each_by_itself=each_by_itself, may_be_empty=may_be_empty)
    return profiles_of_texts(texts), notes


def _name_of(source: Any) -> str:
    if not isinstance(source, str | os.PathLike):
        return "table"
    return Path(source).name.split(".")[0] or "table"


def refuse_strangers(names: list[str], schema: TableSchema, where: str) -> None:
    """Refuses a table whose columns are not those of its schema.

    Raises
    ------
    SchemaError : a column is named by one of the two alone.
    """
    unknown = [name for name in schema.names if name not in names]
    if unknown:
        raise SchemaError(
            f"The schema names {', '.join(map(repr, unknown))}, which {where} does not have. "
            "Correct the name, or take the column out of the schema."
        )
    unnamed = [name for name in names if name not in schema]
    if unnamed:
        raise SchemaError(
            f"{where} has {', '.join(map(repr, unnamed))}, which the schema does not name. "
            "Add the column to the schema, or remove it from the data."
        )


def write(data: Dataset, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Writes a flat data set; the suffix says the format: .csv, .csv.gz, .tsv, .tsv.gz, .parquet.

    Raises
    ------
    DataError : the file exists and `force` is not set, the suffix is unknown, or the folder is not there.
    """
    with TableWriter(path, data.schema, force) as writer:
        writer.append(data)
    return Path(path)


class TableWriter:
    """Writes a table in pieces, in the memory of one piece and one group of rows; the file appears when the last one is in, and
    not at all after an error.

    The file is the same to the byte however the rows are cut into pieces.

    Examples
    --------
    >>> with TableWriter("synthetic.parquet", schema) as writer:  # doctest: +SKIP
    ...     for batch in model.sample_batches(10_000_000, seed=0):
    ...         writer.append(batch)
    """

    def __init__(
        self, path: str | os.PathLike[str], schema: Schema, force: bool = False, *, types: Mapping[str, str] | None = None
    ) -> None:
        self.path = Path(path)
        self.types = types or {}  # of the columns of a Parquet file, as `arrow_types` words them
        self.schema = schema
        self.format = _format_of(self.path)
        self.n_rows = 0
        if self.path.is_dir():
            raise DataError(f"{self.path} is a folder. Name a file in it.")
        if self.path.exists() and not force:
            raise DataError(f"{self.path} exists already. Choose another name, or overwrite it with --force.")
        if not self.path.parent.is_dir():
            raise DataError(f"There is no folder {self.path.parent}. Make it first, or choose another.")
        self._beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        self._sink: Any = None
        self._file: BinaryIO | None = None
        self._waiting: list[Any] = []  # Arrow tables that do not fill a group yet

    def __enter__(self) -> Self:
        return self

    def append(self, data: Dataset) -> None:
        """Adds the rows of a flat data set with the writer's schema."""
        if data.columns.names != self.schema.only.names:
            raise SchemaError(
                f"Rows with other columns than the file's cannot be added to {self.path}. Give every piece the same schema."
            )
        if self.format == "parquet":
            self._append_parquet(data)
        else:
            self._append_text(data)
        self.n_rows += len(data)

    def _append_text(self, data: Dataset) -> None:
        is_first = self._sink is None
        if is_first:
            self._file = open(self._beside, "wb")  # noqa: SIM115 - closed by __exit__
            self._sink = _text_sink(self._file, is_packed=self.path.suffix.lower() == ".gz")
        separator = "\t" if ".tsv" in self.path.suffixes else ","
        self._sink.write(texts_to_csv(texts_of(data.table, data.columns), separator=separator, header=is_first))

    def _append_parquet(self, data: Dataset) -> None:
        import pyarrow.parquet as pq

        from manikin.io.arrow import to_arrow
        from manikin.io.arrow_types import as_types

        as_text = [name for name, word in self.types.items() if word in ("string", "large_string")]
        rows = as_types(to_arrow(data, as_text), self.types)
        if self._sink is None:
            self._sink = pq.ParquetWriter(self._beside, rows.schema, compression="zstd")
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._write_groups(is_last=False)

    def _write_groups(self, *, is_last: bool) -> None:
        """Writes what waits as groups of `GROUP_ROWS`; a rest that does not fill one waits on, unless it is the last."""
        import pyarrow as pa

        rows = pa.concat_tables(self._waiting).combine_chunks()
        whole = len(rows) if is_last else len(rows) // GROUP_ROWS * GROUP_ROWS
        for start in range(0, whole, GROUP_ROWS):
            self._sink.write_table(rows.slice(start, min(GROUP_ROWS, whole - start)))
        self._waiting = [rows.slice(whole)] if len(rows) > whole else []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._sink is None:
                self.append(_no_rows(self.schema))
            if kind is None and self._waiting:
                self._write_groups(is_last=True)
            if self._sink is not None:
                self._sink.close()
            if self._file is not None:
                self._file.close()
            if kind is None:
                os.replace(self._beside, self.path)
        finally:
            self._beside.unlink(missing_ok=True)


def _no_rows(schema: Schema) -> Dataset:
    from manikin.data.cells import parse_table

    texts = pd.DataFrame({name: pd.Series([], dtype=object) for name in schema.only.names})
    return Dataset({schema.only.name: parse_table(texts, schema.only)}, schema)


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".parquet", ".pq"):
        return "parquet"
    if suffixes and (suffixes[-1] in DELIMITED or (suffixes[-1] == ".gz" and len(suffixes) > 1 and suffixes[-2] in DELIMITED)):
        return "text"
    raise DataError(f"{path} has no suffix that names a format. Use .csv, .csv.gz, .tsv or .parquet.")


def _text_sink(file: BinaryIO, *, is_packed: bool) -> io.TextIOWrapper:
    """Text on its way into a file; packed without name and time, so that the same rows give the same bytes."""
    if is_packed:
        packed = gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSED_LEVEL, fileobj=file, mtime=0)
        return io.TextIOWrapper(packed, encoding="utf-8", newline="")
    return io.TextIOWrapper(file, encoding="utf-8", newline="")
