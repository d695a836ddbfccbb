"""What a delimited text file is made of: compression, encoding, separator, rows. Knows nothing of columns' kinds, nor of frames.

Everything that can be wrong with the bytes is found here and said in one or two sentences, never with a cell's content.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from manikin.data.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
MAX_CELL_CHARACTERS = 1_000_000  # a longer cell is a forgotten quote or not a table of patients
MAX_EXPANSION = 200  # gzip of real tables shrinks 3 to 50 times; a "bomb" 1,000 times
FREE_EXPANSION_BYTES = 64 << 20  # below this a high ratio harms nobody

GZIP = b"\x1f\x8b"
BINARY = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx)", "Export the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls)", "Export the sheet as CSV."),
    (b"PAR1", "a Parquet file", "Give it the suffix .parquet."),
    (b"ARROW1", "an Arrow or Feather file", "Load it with pyarrow or polars and pass the frame."),
    (b"\x89PNG", "a PNG image", "Give a CSV or Parquet file."),
    (b"\xff\xd8\xff", "a JPEG image", "Give a CSV or Parquet file."),
    (b"GIF8", "a GIF image", "Give a CSV or Parquet file."),
    (b"%PDF", "a PDF document", "Give a CSV or Parquet file."),
    (b"\x89HDF", "an HDF5 file", "Export the table as CSV or Parquet."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV or Parquet."),
    (b"BZh", "compressed by bzip2", "Unpack it, or compress it by gzip."),
    (b"\xfd7zXZ", "compressed by xz", "Unpack it, or compress it by gzip."),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "Unpack it, or compress it by gzip."),
    (b"$FL2", "an SPSS file", "Export the table as CSV or Parquet."),
    (b"\x80\x02", "a Python pickle", "Pickles are never opened, since they can run code: export the table as CSV or Parquet."),
    (b"\x80\x03", "a Python pickle", "Pickles are never opened, since they can run code: export the table as CSV or Parquet."),
    (b"\x80\x04", "a Python pickle", "Pickles are never opened, since they can run code: export the table as CSV or Parquet."),
    (b"\x80\x05", "a Python pickle", "Pickles are never opened, since they can run code: export the table as CSV or Parquet."),
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f")) + b"\x7f"


@dataclass(frozen=True)
class Text:
    """The text of a delimited file, as UTF-8 bytes with "\\n" or "\\r\\n" line ends.

    Attributes
    ----------
    encoding : what the file was written in.
    separator : what stands between two cells.
    names : the header's cells.
    n_rows : rows below the header.
    """

    data: bytes
    encoding: str
    separator: str
    names: tuple[str, ...]
    n_rows: int


def open_text(path: Path, *, each_by_itself: bool = False, may_be_empty: bool = False) -> Text:
    """Reads and checks a delimited text file whole.

    Parameters
    ----------
    each_by_itself : whether each line's encoding is found for itself, so that one odd cell does not change how others are read.
    may_be_empty : whether a header without rows will do.

    Raises
    ------
    DataError : the file is missing, a folder, empty, binary, damaged, of an unknown encoding, ragged, or only a header.
    """
    raw = read_bytes(path)
    if raw.startswith(GZIP):
        raw = inflate(raw, path)
    refuse_binary(raw, path)
    data, encoding = as_utf8(_line_by_line(raw) if each_by_itself else raw, path)
    if not data.strip():
        raise DataError(f"{path} is empty. Give a file with a header and at least one row.")
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    data = data.rstrip(b"\n\r") + b"\n" if _has_wide_rows(data) else data
    separator = find_separator(data, path)
    names = tuple(next(csv.reader(io.StringIO(_first_lines(data)), delimiter=separator)))
    n_rows = check_rows(data, separator, names, path)
    if n_rows == 0 and not may_be_empty:
        raise DataError(f"{path} has a header of {len(names)} columns and no rows. Give a file with at least one row of data.")
    return Text(data, encoding, separator, names, n_rows)


def read_bytes(path: Path, size: int = -1) -> bytes:
    """The bytes of a file that must be there, or the first `size` of them."""
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name the table's file in it.")
    try:
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Check the path.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from None


def inflate(raw: bytes, path: Path) -> bytes:
    """The content of a gzip file (of all its members), refused when it is damaged or grows beyond reason."""
    parts: list[bytes] = []
    size, rest = 0, raw
    while rest.startswith(GZIP):
        stream = zlib.decompressobj(wbits=31)
        try:
            while not stream.eof:
                chunk = stream.decompress(rest, 16 << 20)
                rest = stream.unconsumed_tail
                size += len(chunk)
                parts.append(chunk)
                if size > FREE_EXPANSION_BYTES and size > MAX_EXPANSION * len(raw):
                    raise DataError(
                        f"{path} unpacks to more than {MAX_EXPANSION} times its size, which no table does. "
                        "Unpack it yourself if you trust it."
                    )
                if not chunk and not rest and not stream.eof:
                    raise zlib.error("cut off")
        except zlib.error:
            raise DataError(f"{path} is a damaged or cut-off gzip file. Fetch or write it again.") from None
        rest = stream.unused_data
    return b"".join(parts)


def refuse_binary(raw: bytes, path: Path) -> None:
    """Names the format where the first bytes tell it; control characters are the sign of the others."""
    for magic, what, way_out in BINARY:
        if raw.startswith(magic):
            raise DataError(f"{path} is {what}, not a delimited text file. {way_out}")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_utf16(raw):
        return
    head = raw[: 1 << 16]
    n_control = len(head) - len(head.translate(None, _CONTROL))
    if n_control > max(0.01 * len(head), 8):
        raise DataError(f"{path} is a binary file, not a delimited text file. Give a CSV or Parquet file.")


def as_utf8(raw: bytes, path: Path) -> tuple[bytes, str]:
    """The text as UTF-8 bytes, and the encoding it was found in: utf-8, utf-8-sig, utf-16 or cp1252."""
    if raw.startswith(b"\xef\xbb\xbf"):
        encoding, raw = "utf-8-sig", raw[3:]
    elif raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = _looks_utf16(raw) or "utf-8"
    if encoding.startswith("utf-16"):
        try:
            return raw.decode(encoding).encode(), "utf-16"
        except UnicodeError:
            raise DataError(f"{path} begins as UTF-16 and is not valid UTF-16. Save it as UTF-8.") from None
    if b"\0" in raw:
        row = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise DataError(f"{path}, row {row} holds a NUL byte, which no text has. Write the file again, or remove these bytes.")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return _from_cp1252(raw, error.start, path)
    return raw, encoding


def _line_by_line(raw: bytes) -> bytes:
    """The text with every line that is not valid UTF-8 read as Windows-1252; UTF-16 as it is."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_utf16(raw):
        return raw
    return re.sub(rb"[^\r\n]*[\x80-\xff][^\r\n]*", lambda line: _line_as_utf8(line[0]), raw)


def _line_as_utf8(line: bytes) -> bytes:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace").encode()
    return line


def _from_cp1252(raw: bytes, start: int, path: Path) -> tuple[bytes, str]:
    try:
        return raw.decode("cp1252").encode(), "cp1252"
    except UnicodeDecodeError:
        row = raw[:start].count(b"\n") + 1
        raise DataError(
            f"{path}, row {row}: the text is neither UTF-8 nor UTF-16 nor Windows-1252. Save the file as UTF-8."
        ) from None


def _looks_utf16(raw: bytes) -> str:
    head = np.frombuffer(raw[:4096], dtype=np.uint8)
    head = head[: len(head) // 2 * 2].reshape(-1, 2)
    if len(head) < 4:
        return ""
    zeros = (head == 0).mean(axis=0)
    if zeros[1] > 0.7 and zeros[0] < 0.05:
        return "utf-16-le"
    if zeros[0] > 0.7 and zeros[1] < 0.05:
        return "utf-16-be"
    return ""


def _first_lines(data: bytes, size: int = 1 << 18) -> str:
    head = data[:size]
    if len(data) > size and b"\n" in head:
        head = head[: head.rindex(b"\n") + 1]
    return head.decode("utf-8", errors="ignore")


def _has_wide_rows(data: bytes) -> bool:
    """Whether the header has several cells: then blank lines at the end are no rows; with one column they are empty cells."""
    header = data.split(b"\n", 1)[0]
    return any(separator.encode() in header for separator in SEPARATORS)


def find_separator(data: bytes, path: Path) -> str:
    """The separator under which the first rows have the most equally long records; a comma when the file has one column."""
    lines = _first_lines(data)
    best, best_score = ",", (0.0, 0)
    for separator in ("\t", *SEPARATORS) if ".tsv" in path.suffixes else SEPARATORS:
        try:
            records = [
                record for record, _ in zip(csv.reader(io.StringIO(lines), delimiter=separator), range(200), strict=False)
            ]
        except csv.Error:
            continue
        width = len(records[0]) if records else 0
        if width > 1:
            agreeing = sum(len(record) == width for record in records) / len(records)
            score = (round(agreeing, 1), width)
            if score > best_score:
                best, best_score = separator, score
    return best


def check_rows(data: bytes, separator: str, names: tuple[str, ...], path: Path) -> int:
    """Number of rows below the header; refuses ragged rows, endless cells and quotes that never close."""
    counts, longest, is_open = _count_cells(data, separator)
    if longest.max(initial=0) > MAX_CELL_CHARACTERS:
        row = int(np.argmax(longest > MAX_CELL_CHARACTERS)) + 1
        raise DataError(
            f"{path}, row {row}: a cell is longer than {MAX_CELL_CHARACTERS:,} characters. Look for a quote that is not closed there."
        )
    bad = np.flatnonzero(counts != len(names))
    if is_open or (len(bad) and b'"' in data):
        return _count_carefully(data, separator, len(names), path)
    if len(bad):
        raise _ragged(path, int(bad[0]) + 1, int(counts[bad[0]]), len(names), len(bad) - 1)
    return len(counts) - 1


def _ragged(path: Path, row: int, n_cells: int, width: int, n_others: int) -> DataError:
    others = f" (and {n_others} more rows)" if n_others else ""
    return DataError(
        f"{path}, row {row}{others}: the row has {n_cells} cells and the header has {width}. "
        "Correct the row; a cell that holds the separator must stand in quotes."
    )


def _count_carefully(data: bytes, separator: str, width: int, path: Path) -> int:
    """Rows below the header, by a full CSV parser: the judge where quotes stand in unusual places."""
    row = 0
    try:
        for row, record in enumerate(
            csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator, strict=True), start=1
        ):
            if max(len(record), 1) != width:  # a blank line is an empty cell of a table of one column
                raise _ragged(path, row, len(record), width, 0)
    except csv.Error as error:
        if "unexpected end" in str(error) or "field larger" in str(error):
            raise DataError(
                f"{path}: the quote opened in row {row + 1} is never closed. Close it, or double quotes that stand inside a cell."
            ) from None
        return sum(1 for _ in csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator)) - 1
    return row - 1


def _count_cells(data: bytes, separator: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]:
    """Cells per record, length of the longest cell per record, and whether a quote is still open at the end."""
    marks = np.frombuffer(data, dtype=np.uint8)
    edges = np.flatnonzero((marks == ord(separator)) | (marks == 10))
    is_open = False
    if b'"' in data:
        quotes = np.flatnonzero(marks == 34)
        inside = np.searchsorted(quotes, edges) % 2 == 1
        edges = edges[~inside]
        is_open = len(quotes) % 2 == 1
    if not len(edges) or edges[-1] != len(data) - 1:
        edges = np.append(edges, len(data))
    ends = np.flatnonzero((marks[np.minimum(edges, len(data) - 1)] == 10) | (edges == len(data)))
    lengths = np.diff(edges, prepend=-1) - 1
    starts = np.append(0, ends[:-1] + 1)
    return np.diff(ends, prepend=-1), np.maximum.reduceat(lengths, starts), is_open
