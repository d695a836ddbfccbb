"""Real and made rows put together in the columns of the real table: new keys, a mark on every row, cells as they were written.

Knows no generator and no proportions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import column_texts, texts_of
from manikin.data.dataset import Dataset, Marks, Table, concat, flat
from manikin.data.errors import ParameterError
from manikin.data.schema import EMPTY, Column, Kind, Role, Storage, TableSchema

REAL, SYNTHETIC, PARTIAL = "real", "synthetic", "partial"
ORIGINS = (REAL, SYNTHETIC, PARTIAL)
DEFAULT_MARK = "row_origin"

Texts = npt.NDArray[np.object_]


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


def with_origin(data: Dataset, origins: Sequence[str], name: str) -> Dataset:
    """The table with one column more, the last: where each row comes from ("real", "synthetic" or "partial")."""
    column = Column(name, Kind.CATEGORICAL, Storage.TEXT, levels=ORIGINS, missing=())
    frame = data.table.frame.copy()
    frame[name] = pd.Categorical(list(origins), categories=list(ORIGINS))
    schema = replace(data.columns, columns=(*data.columns.columns, column))
    return flat(Table(frame, data.table.marks), schema, data.native)


def stacked(real: Dataset, made: Dataset) -> Dataset:
    """The real rows, unchanged, then the made ones in the same columns; cells that no generator makes are empty in these."""
    alike = in_columns_of(real, made)
    return concat([flat(real.table, alike.columns, real.native), alike])


def in_columns_of(real: Dataset, made: Dataset) -> Dataset:
    """Made rows in the columns of the real table; a missing code that it does not have becomes the empty cell."""
    schema, columns, marks = real.columns, {}, {}
    for column in real.columns:
        own = real.table.frame[column.name]
        if is_key(column):
            columns[column.name] = keys(real, column, len(made))
            continue
        if column.name in made.columns:
            columns[column.name] = made.table.frame[column.name]
            mark, theirs = made.table.mark(column.name), [code.value for code in made.columns[column.name].missing]
        else:
            columns[column.name] = _nothing(own, len(made))
            mark, theirs = np.ones(len(made), dtype=np.int8), [""]
        if mark.any():
            missing = _with_empty(column, [theirs[i - 1] for i in np.unique(mark[mark > 0])])
            schema = schema.replace_column(replace(column, missing=missing))
            marks[column.name] = _places(theirs, [code.value for code in missing])[mark]
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(made)))[real.columns.names]
    return flat(Table(frame, marks), schema, real.native)


def with_new_keys(made: Dataset, real: Dataset) -> Dataset:
    """Made rows as they are, with keys that no real row has."""
    new = {column.name: keys(real, column, len(made)) for column in real.columns if is_key(column)}
    known = {name: cells for name, cells in new.items() if name in made.columns}
    return made.with_table(Table(made.table.frame.assign(**known), made.table.marks))


def _with_empty(column: Column, used: Collection[str]) -> tuple[Any, ...]:
    known = {code.value for code in column.missing}
    return column.missing if known.issuperset(used) else (*column.missing, EMPTY)


def _places(theirs: Sequence[str], ours: Sequence[str]) -> Marks:
    """For each of their codes (0 is none) the place of ours of the same text; of the empty cell where there is none."""
    empty = ours.index("") + 1 if "" in ours else 0
    return np.array([0, *(ours.index(text) + 1 if text in ours else empty for text in theirs)], dtype=np.int8)


def _nothing(like: pd.Series, n: int) -> Any:
    if isinstance(like.dtype, pd.CategoricalDtype):
        return pd.Categorical.from_codes(np.full(n, -1), categories=like.cat.categories[:0])
    if like.dtype.kind == "M":
        return np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
    return np.full(n, np.nan) if like.dtype.kind == "f" else pd.Series([None] * n, dtype=object)


def with_columns(data: Dataset, made: Dataset, names: Collection[str]) -> Dataset:
    """The rows of `data` with the named columns of `made`; all other cells stay as they are."""
    alike = in_columns_of(data, made)
    frame, marks, schema = data.table.frame.copy(), dict(data.table.marks), data.columns
    for name in names:
        frame[name] = alike.table.frame[name]
        marks.pop(name, None)
        if name in alike.table.marks:
            marks[name] = alike.table.marks[name]
            schema = schema.replace_column(alike.columns[name])
    return flat(Table(frame, marks), schema, data.native)


def is_key(column: Column) -> bool:
    """Whether made rows get a key of their own in the column: patient keys, and identifiers that are no person's."""
    return column.has_role(Role.PATIENT_KEY) or (column.kind is Kind.IDENTIFIER and not column.has_role(Role.DIRECT_IDENTIFIER))


def keys(real: Dataset, column: Column, n: int) -> Any:
    """`n` keys that no real row has: numbers with one digit more than any real one, or texts that begin as none of them does."""
    present = column_texts(real.table, column)[real.table.mark(column.name) == 0]
    found = [re.fullmatch(r"(\d+)(\.0+)?", text) for text in pd.unique(present)]
    numbers = [match for match in found if match is not None]
    if numbers and len(numbers) == len(found):
        most = max(int(match[1]) for match in numbers)
        first = 10 ** len(str(most))
        if first + n >= (2**53 if column.kind.is_number else 2**63):
            first = most + 1
        if column.kind.is_number:
            return np.arange(first, first + n, dtype=np.float64)
        texts = [f"{first + i}{numbers[0][2] or ''}" for i in range(n)]
    else:
        begin = "synthetic-"
        while any(text.startswith(begin) for text in present):
            begin = f"new-{begin}"
        texts = [f"{begin}{i + 1}" for i in range(n)]
    is_category = isinstance(real.table.frame[column.name].dtype, pd.CategoricalDtype)
    return pd.Categorical(texts) if is_category else pd.Series(texts, dtype=object)


def written_as(source: Path, real: Dataset, out: Dataset, *, n_kept: int, kept: Collection[str]) -> Dataset:
    """The rows as cell texts: kept cells letter for letter as in the source file, made ones written as its columns write theirs.

    Parameters
    ----------
    source : the delimited file that `real` was read from.
    n_kept, kept : the first rows of `out` are those of the file, in its order, and their cells in these columns are as they were.
    """
    from manikin.io.delimited import read_texts

    original, texts = read_texts(source)[0], texts_of(out.table, out.columns)
    for column in out.columns:
        if column.name not in original.columns:
            continue
        theirs = original[column.name].to_numpy(dtype=object)
        ours = column_texts(real.table, real.columns[column.name])
        own = texts[column.name].to_numpy(dtype=object).copy()
        if (theirs != ours).any():
            spelling = _spelling(ours, theirs, real.records, real.columns.threshold(column))
            own = _styled(own, out.table.mark(column.name) == 0, column, spelling, theirs)
        if column.name in kept:
            own[:n_kept] = theirs[:n_kept]
        texts[column.name] = own
    plain = tuple(Column(name, Kind.TEXT, Storage.TEXT, missing=()) for name in texts.columns)
    return flat(Table(texts), TableSchema(out.columns.name, plain))


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


def _styled(own: Texts, present: npt.NDArray[np.bool_], column: Column, spelling: Mapping[str, str], theirs: Texts) -> Texts:
    """Texts in the way that the file writes them: 63.0 where it writes all its numbers with one decimal, its spelling of each level."""
    out = np.array([spelling.get(text, text) for text in own], dtype=object)
    decimals = {len(text.partition(".")[2]) for text in pd.unique(theirs) if re.fullmatch(r"-?\d+(\.\d+)?", text)}
    if column.kind.is_number and len(decimals) == 1:
        n = decimals.pop()
        out[present] = [f"{float(text):.{n}f}" for text in own[present]]
    return out
