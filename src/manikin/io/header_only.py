"""The header of a text file, and files of a header alone, which linked tables often have (an export without deaths). Knows no kinds."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

import pandas as pd

from manikin.data.errors import DataError
from manikin.io.sniffing import GZIP, as_utf8, find_separator, inflate, read_bytes, refuse_binary

MOST_BYTES = 1 << 20  # of a header


def first_row(path: Path) -> tuple[str, ...]:
    """The column names of a delimited file; the rest of it is not read.

    Raises
    ------
    DataError : the file cannot be read, or its first row is longer than a megabyte.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path) if packed else open(path, "rb") as file:
            raw = file.readline(MOST_BYTES)
    except (OSError, EOFError, zlib.error):
        raise DataError(f"{path} cannot be read, or is a damaged gzip file. Check it, or write it again.") from None
    refuse_binary(raw, path)
    text = as_utf8(raw, path)[0]
    if not text.strip() or len(raw) == MOST_BYTES:
        raise DataError(f"{path} has no header in its first row. Give a table with column names on top.")
    return tuple(next(csv.reader(io.StringIO(text.decode()), delimiter=find_separator(text, path))))


def header_only(path: Path) -> pd.DataFrame | None:
    """The columns of a delimited file without rows, as a frame of texts; None where the file has rows, or none but blank lines."""
    raw = read_bytes(path)
    if raw.startswith(GZIP):
        raw = inflate(raw, path)
    refuse_binary(raw, path)
    text = as_utf8(raw, path)[0].strip()
    if not text or b"\n" in text or b"\r" in text:
        return None
    names = next(csv.reader(io.StringIO(text.decode()), delimiter=find_separator(text + b"\n", path)))
    return pd.DataFrame({name: pd.Series([], dtype=object) for name in names})
