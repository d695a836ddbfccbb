"""Delimited text files to cell texts and back. Knows no kinds: every cell is text, and the empty cell is ""."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from manikin.data.errors import DataError
from manikin.io.sniffing import Text, open_text

ROW_NAMES = "Unnamed: 0"  # what pandas calls the nameless first column that R and pandas write for row names


def read_texts(
    path: Path, *, each_by_itself: bool = False, may_be_empty: bool = False
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """All cells of a delimited file as texts, and notes on how it was read; the options as in `sniffing.open_text`.

    Returns
    -------
    texts : object columns of str (n_rows, n_columns), "" where the cell is empty; "NA" and "None" stay texts.
    notes : decisions that a person may want to know.
    """
    text = open_text(path, each_by_itself=each_by_itself, may_be_empty=may_be_empty)
    names, notes = check_names(text.names, path)
    if text.encoding == "cp1252":
        notes += ("The file is not UTF-8; it was read as Windows-1252.",)
    return _parse(text, names, path), notes


def check_names(
    names: tuple[str, ...], path: Path | str, *, may_be_numbers: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The column names, refused when empty or double. A nameless first column is row names, as R and pandas write them."""
    notes: tuple[str, ...] = ()
    if len(names) > 1 and names[0].strip() == "":
        names = (ROW_NAMES, *names[1:])
        notes = (f"The first column has no name; it is taken for row names and called {ROW_NAMES!r}.",)
    empty = [i for i, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        raise DataError(f"{path}, row 1: column {empty[0]} has no name. Give every column a name.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        positions = [i for i, name in enumerate(names, start=1) if name == twice[0]]
        raise DataError(
            f"{path}, row 1: the column name {twice[0]!r} stands {len(positions)} times (columns {', '.join(map(str, positions))}). "
            "Rename all but one."
        )
    numbers = [name for name in names if re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?\s*", name)]
    if not may_be_numbers and len(numbers) == len(names) > 1 and list(names) != [str(i) for i in range(len(names))]:
        raise DataError(
            f"{path}, row 1: every column name is a number, so the header seems to be absent. Add a row of names on top."
        )
    return names, notes


def _parse(text: Text, names: tuple[str, ...], path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            io.BytesIO(text.data),
            sep=text.separator,
            header=0,
            names=list(names),
            index_col=False,
            dtype=str,
            na_filter=False,
            skip_blank_lines=len(names) > 1,
            engine="c",
            encoding="utf-8",
        )
    except pd.errors.ParserError as error:
        opened = re.search(r"EOF inside string starting at row (\d+)", str(error))
        where = f", row {int(opened[1]) + 1}: a quote is never closed" if opened else " is not regular delimited text"
        raise DataError(f"{path}{where}. Quote cells that hold separators, and double the quotes inside them.") from None
    return frame.astype(object)


def texts_to_csv(texts: pd.DataFrame, *, separator: str = ",", header: bool = True) -> str:
    """Cell texts as delimited text with "\\n" line ends; cells are quoted only where they must be, row by row.

    With "\\n" line ends, Python 3.11 leaves a cell with a carriage return unquoted, and readers end the row there: a piece that has one
    is written with "\\r\\n", for which such cells are quoted, and each row gets its line end back.
    """
    cells = (text for name in texts.columns for text in (name, *pd.unique(texts[name])))
    if any("\r" in text for text in cells if isinstance(text, str)):
        lines = _Lines()
        writer = csv.writer(lines, delimiter=separator, lineterminator="\r\n")
        if header:
            writer.writerow(texts.columns)
        writer.writerows(texts.itertuples(index=False, name=None))
        return "".join(lines.rows)
    return texts.to_csv(index=False, header=header, sep=separator, lineterminator="\n", na_rep="")


@dataclass
class _Lines:
    """Rows as a csv.writer hands them over, one each call, with "\\n" in place of their line end."""

    rows: list[str] = field(default_factory=list)

    def write(self, row: str) -> None:
        """Takes a row."""
        self.rows.append(row.removesuffix("\r\n") + "\n")
