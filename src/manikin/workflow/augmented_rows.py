"""Real and made rows put together in the columns of the real table: new keys, a mark on every row, cells as they were written.

Knows no generator and no proportions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import column_texts, texts_of
from manikin.data.dataset import Dataset, Marks, Table, flat
from manikin.data.errors import ParameterError
from manikin.data.schema import EMPTY, Column, Kind, Role, Storage, TableSchema

REAL, SYNTHETIC, PARTIAL = "real", "synthetic", "partial"
ORIGINS = (REAL, SYNTHETIC, PARTIAL)
DEFAULT_MARK = "row_origin"

Texts = npt.NDArray[np.object_]
Keys = Mapping[str, Any]  # column -> the cells of some rows


def check_mark(name: str, schema: TableSchema) -> None:
    """Refuses a name for the column of marks that is empty or that the table has already, however it is spelled.

    Raises
    ------
    ParameterError : names the column and the option that chooses another.
    """
    taken = [own for own in schema.names if own.strip().lower() == name.strip().lower()]
    if not name.strip() or taken:
        has = f"is named {name!r}, and the table has a column {taken[0]!r}" if taken else "has no name"
        raise ParameterError(f"The column that marks every row {has}. Choose another name with --mark NAME.")


def with_origin(data: Dataset, origin: str, name: str) -> Dataset:
    """The table with one column more, the last: where its rows come from ("real", "synthetic" or "partial")."""
    column = Column(name, Kind.CATEGORICAL, Storage.TEXT, levels=ORIGINS, missing=())
    frame = data.table.frame.copy()
    frame[name] = pd.Categorical([origin], categories=list(ORIGINS)).repeat(len(data))
    schema = replace(data.columns, columns=(*data.columns.columns, column))
    return flat(Table(frame, data.table.marks, data.table.images), schema, data.native)


def with_holes_of(real: TableSchema, made: TableSchema) -> TableSchema:
    """The real table's schema, with the empty cell among the codes of columns whose made cells it may have to stand in for."""
    for column in real:
        if is_key(column):
            continue
        ours = {code.value for code in column.missing}
        theirs = {code.value for code in made[column.name].missing} if column.name in made else {EMPTY.value}
        if EMPTY.value not in ours and not theirs <= ours:
            real = real.replace_column(replace(column, missing=(*column.missing, EMPTY)))
    return real


def in_columns_of(real: Dataset, schema: TableSchema, made: Dataset, keys: Keys) -> Dataset:
    """Made rows in the columns of the real table; a missing code that it does not have becomes the empty cell.

    Parameters
    ----------
    schema : that of the real table, as `with_holes_of` gives it.
    keys : new ones for these rows, by column. Cells that no generator makes are empty.
    """
    columns, marks = {}, {}
    for column in schema:
        if column.name in keys:
            columns[column.name] = keys[column.name]
            continue
        if column.name in made.columns:
            columns[column.name] = made.table.frame[column.name]
            mark, theirs = made.table.mark(column.name), [code.value for code in made.columns[column.name].missing]
        else:
            columns[column.name] = _nothing(real.table.frame[column.name], len(made))
            mark, theirs = np.ones(len(made), dtype=np.int8), [EMPTY.value]
        if mark.any():
            marks[column.name] = _places(theirs, [code.value for code in column.missing])[mark]
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(made)))[schema.names]
    return flat(Table(frame, marks, made.table.images), schema, real.native)


def with_keys(made: Dataset, keys: Keys) -> Dataset:
    """Made rows with these keys in place of those that the generator gave them."""
    known = {name: cells for name, cells in keys.items() if name in made.columns}
    return made.with_table(Table(made.table.frame.assign(**known), made.table.marks, made.table.images))


def _places(theirs: Sequence[str], ours: Sequence[str]) -> Marks:
    """For each of their codes (0 is none) the place of ours of the same text; of the empty cell where there is none."""
    empty = ours.index("") + 1 if "" in ours else 0
    return np.array([0, *(ours.index(text) + 1 if text in ours else empty for text in theirs)], dtype=np.int8)


def _nothing(like: pd.Series, n: int) -> Any:
    if isinstance(like.dtype, pd.CategoricalDtype):
        return pd.Categorical.from_codes(np.full(n, -1), categories=like.cat.categories[:0])
    if like.dtype.kind == "M":
        return np.full(n, np.datetime64("NaT", "us"), dtype="datetime64[us]")
    return np.full(n, np.nan) if like.dtype.kind == "f" else pd.Series([None] * n, dtype=object)


def with_columns(data: Dataset, made: Dataset, names: Collection[str]) -> Dataset:
    """The rows of `data` with the named columns of `made`; all other cells stay as they are."""
    known = with_holes_of(data.columns, made.columns)
    alike = in_columns_of(data, known, made, {})
    frame, marks, schema = data.table.frame.copy(), dict(data.table.marks), data.columns
    for name in names:
        frame[name] = alike.table.frame[name]
        marks.pop(name, None)
        if name in alike.table.marks:
            marks[name] = alike.table.marks[name]
            schema = schema.replace_column(known[name])
    return flat(Table(frame, marks), schema, data.native)


def is_key(column: Column) -> bool:
    """Whether made rows get a key of their own in the column: patient keys, and identifiers that are no person's."""
    return column.has_role(Role.PATIENT_KEY) or (column.kind is Kind.IDENTIFIER and not column.has_role(Role.DIRECT_IDENTIFIER))


def new_keys(real: Dataset, n: int) -> Callable[[int, int], Keys]:
    """What gives the rows start … stop - 1 of `n` made ones their keys, which no real row has and no two rows share."""
    makers = {column.name: _new_keys(real, column, n) for column in real.columns if is_key(column)}
    return lambda start, stop: {name: make(start, stop) for name, make in makers.items()}


def _new_keys(real: Dataset, column: Column, n: int) -> Callable[[int, int], Any]:
    """Keys of one column: numbers with one digit more than any real one, or texts that begin as none of them does."""
    present = column_texts(real.table, column)[real.table.mark(column.name) == 0]
    found = [re.fullmatch(r"(\d+)(\.0+)?", text) for text in pd.unique(present)]
    numbers = [match for match in found if match is not None]
    first, begin, end = 1, "synthetic-", ""
    if numbers and len(numbers) == len(found):
        most = max(int(match[1]) for match in numbers)
        first, begin, end = 10 ** len(str(most)), "", numbers[0][2] or ""
        if first + n >= (2**53 if column.kind.is_number else 2**63):
            first = most + 1
        if column.kind.is_number:
            return lambda start, stop: np.arange(first + start, first + stop, dtype=np.float64)
    while begin and any(text.startswith(begin) for text in present):
        begin = f"new-{begin}"
    is_category = isinstance(real.table.frame[column.name].dtype, pd.CategoricalDtype)

    def make(start: int, stop: int) -> Any:
        texts = [f"{begin}{first + i}{end}" for i in range(start, stop)]
        return pd.Categorical(texts) if is_category else pd.Series(texts, dtype=object)

    return make


@dataclass(frozen=True)
class Handwriting:
    """How a delimited file writes its cells, so that other rows of its columns can be written alike. Made by `handwriting`.

    Attributes
    ----------
    cells : the file's own cells, object (n_rows,) for each of its columns.
    spelling : for each column that the file does not write as its schema would, its spelling of each text.
    decimals : for columns of numbers among these, the number of decimals that all its cells have.
    """

    cells: Mapping[str, Texts]
    spelling: Mapping[str, Mapping[str, str]]
    decimals: Mapping[str, int]

    def write(self, rows: Dataset, *, kept: Collection[str] = ()) -> Dataset:
        """The rows as cell texts.

        Parameters
        ----------
        kept : columns whose cells are as they were, where the rows are those of the file in its order: they come letter for letter.
        """
        texts = texts_of(rows.table, rows.columns)
        for column in rows.columns:
            if column.name in kept:
                texts[column.name] = self.cells[column.name]
            elif column.name in self.spelling:
                own = texts[column.name].to_numpy(dtype=object)
                texts[column.name] = self._styled(own, rows.table.mark(column.name) == 0, column)
        plain = tuple(Column(name, Kind.TEXT, Storage.TEXT, missing=()) for name in texts.columns)
        return flat(Table(texts), TableSchema(rows.columns.name, plain))

    def _styled(self, own: Texts, present: npt.NDArray[np.bool_], column: Column) -> Texts:
        """63.0 where the file writes all numbers of the column with one decimal, its spelling of each level elsewhere."""
        spelling = self.spelling[column.name]
        out = np.array([spelling.get(text, text) for text in own], dtype=object)
        if column.kind.is_number and column.name in self.decimals:
            n = self.decimals[column.name]
            out[present] = [f"{float(text):.{n}f}" for text in own[present]]
        return out


def handwriting(source: Path, real: Dataset) -> Handwriting:
    """How the file `source`, of which `real` was read, writes its cells."""
    from manikin.io.delimited import read_texts

    original = read_texts(source)[0]
    cells = {str(name): original[name].to_numpy(dtype=object) for name in original.columns}
    spelling, decimals = {}, {}
    for column in real.columns:
        theirs, ours = cells[column.name], column_texts(real.table, column)
        if not (theirs != ours).any():
            continue
        spelling[column.name] = _spelling(ours, theirs, real.records, real.columns.threshold(column))
        found = {len(text.partition(".")[2]) for text in pd.unique(theirs) if re.fullmatch(r"-?\d+(\.\d+)?", text)}
        if len(found) == 1:
            decimals[column.name] = found.pop()
    return Handwriting(cells, spelling, decimals)


def _spelling(ours: Texts, theirs: Texts, patients: npt.NDArray[np.int64], least: int) -> dict[str, str]:
    """How the file writes each text most often, where that means the same (1.0 for 1) and enough patients have it so."""
    pairs = pd.DataFrame({"ours": ours, "theirs": theirs, "patient": patients}).drop_duplicates()
    counts = pairs.groupby(["ours", "theirs"], sort=False).size()
    counts = counts[counts >= least].sort_values(ascending=False, kind="stable")
    found: dict[str, str] = {}
    for own, other in counts.index:
        if _mean_the_same(own, other):
            found.setdefault(own, other)
    return found


def _mean_the_same(text: str, other: str) -> bool:
    try:
        return float(text) == float(other)
    except ValueError:
        return text.strip() == other.strip()
