"""The MEDS form: its columns and Arrow types, its files, and which of a path's files are it. Knows no patients.

Medical Event Data Standard 0.4 (https://github.com/Medical-Event-Data-Standard/meds): one row an event, of a subject, at a time (none
for what never changes), with a code and perhaps a value. A folder holds data/**/*.parquet and metadata/; a single Parquet file of the
same columns, the value called `value`, is the plain form in which copies of such data are passed on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manikin.data.errors import DataError

VERSION = "0.4.1"
SUBJECT, TIME, CODE, NUMBER, TEXT, PLAIN_NUMBER = "subject_id", "time", "code", "numeric_value", "text_value", "value"
BIRTH, DEATH = "MEDS_BIRTH", "MEDS_DEATH"
SPLIT = "split"
BETWEEN = "//"  # parts of a code
SUBJECTS, EVENTS = "subjects", "events"
CODES_FILE, SPLITS_FILE, ABOUT_FILE = "codes.parquet", "subject_splits.parquet", "dataset.json"
SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class Files:
    """The files of a source: shards of events in order, and the folder of metadata (None for a single file)."""

    shards: tuple[Path, ...]
    metadata: Path | None


def standard_type(name: str) -> Any:
    """The Arrow type that the standard gives a column; None for a column of the site's own."""
    import pyarrow as pa

    return {
        SUBJECT: pa.int64(),
        TIME: pa.timestamp("us"),
        CODE: pa.string(),
        NUMBER: pa.float32(),
        PLAIN_NUMBER: pa.float32(),
        TEXT: pa.large_string(),
    }.get(name)


def files_of(source: str | os.PathLike[str]) -> Files:
    """The files of a MEDS source.

    Raises
    ------
    DataError : there is none.
    """
    path = Path(source)
    if path.is_file():
        return Files((path,), None)
    shards = tuple(sorted((path / "data").rglob("*.parquet"))) if path.is_dir() else ()
    if not shards:
        raise DataError(f"{path} holds no MEDS data: no data/**/*.parquet in it. Name the folder that holds data and metadata.")
    return Files(shards, path / "metadata")


def recognises(source: str | os.PathLike[str]) -> bool:
    """Whether a Parquet file or a folder holds events of subjects. Reads the schema of one file alone."""
    path = Path(source)
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        return False
    try:
        names = schema_of(files_of(path).shards[0]).names
    except DataError:
        return False
    return {SUBJECT, TIME, CODE} <= set(names)


def schema_of(path: Path) -> Any:
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
