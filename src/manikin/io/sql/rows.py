"""Rows of a database's table as profiles of columns, fetched in pieces by a cursor of the server. Knows no kinds and no keys.

Times come as text and are read here: a database holds dates that no calendar of Python does (infinity, 44 BC), which become empty cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from manikin.data.cells import parse_times
from manikin.data.errors import DataError
from manikin.data.schema import Storage
from manikin.io.profiles import EXACT, Profile, profile_texts, profile_typed
from manikin.io.sql.place import Place
from manikin.io.sql.tables import DbColumn, DbTable, Sort

if TYPE_CHECKING:
    from sqlalchemy import Connection

CHUNK_ROWS = 20_000
MOSTLY = 0.9  # of a time's distinct cells that must be times


@dataclass
class _Pieces:
    """The pieces of one column as they come."""

    column: DbColumn
    arrays: list[Any] = field(default_factory=list)
    is_text: bool = False

    def add(self, cells: tuple[Any, ...]) -> None:
        """Takes the cells of some rows."""
        if not self.is_text and self.column.sort in (Sort.WHOLE, Sort.REAL, Sort.DECIMAL, Sort.BOOLEAN):
            made = _typed(cells, self.column.sort)
            if made is not None:
                self.arrays.append(made)
                return
            self.arrays = [_texts(array.to_pylist()) for array in self.arrays]
            self.is_text = True  # SQLite holds any value in any column; long decimals stay exact
        self.arrays.append(_texts(cells))


def _typed(cells: tuple[Any, ...], sort: Sort) -> Any:
    """The cells as Arrow of their type; None where one does not fit it."""
    if sort is Sort.WHOLE:
        cells = tuple(int(cell) if isinstance(cell, Decimal) and cell == cell.to_integral_value() else cell for cell in cells)
    elif sort is Sort.DECIMAL:
        cells = tuple(_number(cell) if isinstance(cell, Decimal) else cell for cell in cells)
    kind = {Sort.WHOLE: pa.int64(), Sort.BOOLEAN: pa.bool_()}.get(sort, pa.float64())
    allowed: tuple[type, ...] = {Sort.WHOLE: (int,), Sort.BOOLEAN: (bool, int)}.get(sort, (float, int))
    if not all(cell is None or isinstance(cell, allowed) for cell in cells):
        return None
    if sort is Sort.BOOLEAN:
        if not all(cell in (None, False, True) for cell in cells):
            return None
        cells = tuple(None if cell is None else bool(cell) for cell in cells)
    try:
        return pa.array(cells, type=kind)
    except (OverflowError, pa.ArrowInvalid):
        return None


def _number(cell: Decimal) -> float | Decimal | None:
    """A decimal as a number, itself where a float64 would not give it back; NaN is no value."""
    if cell.is_nan():
        return None
    number = float(cell)
    return number if Decimal(repr(number)) == cell else cell


def _texts(cells: Any) -> Any:
    """The cells as Arrow's texts with a dictionary; no value and the empty text are one."""
    plain = ["" if cell is None else cell if isinstance(cell, str) else _spelled(cell) for cell in cells]
    return pa.array(plain, type=pa.large_string()).dictionary_encode()


def _spelled(cell: Any) -> str:
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell).hex()
    return repr(cell) if isinstance(cell, float) else str(cell)


def profiles_of(connection: Connection, table: DbTable, place: Place) -> tuple[list[Profile], tuple[str, ...]]:
    """The profiles of a table's columns, and notes on what was done to read them.

    Raises
    ------
    DataError : the table cannot be read, or a number is infinite.
    """
    import sqlalchemy as sa

    read = [column for column in table if column.sort is not Sort.BINARY]
    left = [column.name for column in table if column.sort is Sort.BINARY]
    notes = [f"Left out, being binary: {', '.join(map(repr, left))}."] if left else []
    if not read:
        return [], tuple(notes)
    source = sa.table(table.name, *(sa.column(column.name) for column in read), schema=place.schema)
    wanted = [_expression(source.c[column.name], column, connection.dialect.name).label(f"c{i}") for i, column in enumerate(read)]
    pieces = [_Pieces(column) for column in read]
    n_rows = 0
    query = sa.select(*wanted)
    if connection.dialect.name != "sqlite":  # which gives rows as they were put in
        query = query.order_by(*(source.c[name] for name in table.primary_key if name in source.c))
    try:
        result = connection.execution_options(stream_results=True, yield_per=CHUNK_ROWS).execute(query)
        for part in result.partitions():
            n_rows += len(part)
            for piece, cells in zip(pieces, zip(*part, strict=True), strict=True):
                piece.add(cells)
    except (sa.exc.SQLAlchemyError, UnicodeError):
        raise DataError(f"Table {table.name!r} of {place.name} cannot be read. Check the user's rights on it, and its encoding.") from None
    made = []
    for piece in pieces:
        profile, said = _profile(piece, n_rows, place, table.name)
        made.append(profile)
        notes += said
    return made, tuple(notes)


def _expression(column: Any, known: DbColumn, dialect: str) -> Any:
    """What is asked for: times as text, in UTC where they know a zone; what Python has no type for as text; from SQLite what is there."""
    import sqlalchemy as sa

    if dialect == "sqlite":
        return sa.type_coerce(column, sa.types.NullType())
    if dialect == "postgresql":
        if known.sort is Sort.TIME:
            plain = sa.func.timezone("UTC", column) if known.has_zone else column
            return sa.cast(plain, sa.Text())
        if known.sort is Sort.OTHER:
            return sa.cast(column, sa.Text())
    return sa.type_coerce(column, sa.types.NullType()) if known.sort is Sort.TEXT else sa.type_coerce(column, known.type)


def _profile(piece: _Pieces, n_rows: int, place: Place, table: str) -> tuple[Profile, list[str]]:
    column, name = piece.column, piece.column.name
    if not n_rows:
        return profile_texts(name, pd.Series([], dtype=object)), []
    is_text = piece.is_text or column.sort in (Sort.TEXT, Sort.TIME, Sort.OTHER)
    if is_text:
        profile = _of_texts(name, piece.arrays)
        if column.sort is Sort.TIME:
            return _of_times(profile, has_zone=column.has_zone)
        if column.sort is Sort.OTHER:
            return profile, [f"{name!r} is of the type {_type_name(column)}, which is read as text."]
        if piece.is_text:
            return profile, [f"{name!r} holds more than its type ({column.sort}) or more digits than a number keeps; it is read as text."]
        return profile, []
    cells = pa.chunked_array(piece.arrays)
    if column.sort is Sort.BOOLEAN:
        return profile_typed(name, cells.to_numpy().astype(object), Storage.BOOLEAN), []
    if column.sort is Sort.WHOLE:
        widest = max(abs(pc.max(cells).as_py() or 0), abs(pc.min(cells).as_py() or 0))
        if widest >= EXACT:
            return _of_texts(name, [_texts(array.to_pylist()) for array in piece.arrays]), []
        return profile_typed(name, cells.cast(pa.float64()).to_numpy(), Storage.INTEGER), []
    values = cells.to_numpy()
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0]) + 1
        raise DataError(f"Table {table!r} of {place.name}, column {name!r}, row {row}: the number is infinite. Set it to NULL.")
    return profile_typed(name, values, Storage.REAL), []


def _of_texts(name: str, arrays: list[Any]) -> Profile:
    whole = pa.chunked_array(arrays).unify_dictionaries().combine_chunks()
    codes, keys = whole.indices.to_numpy().astype(np.int64), whole.dictionary.to_numpy(zero_copy_only=False).astype(object)
    return Profile(name, codes, np.bincount(codes, minlength=len(keys)), keys)


def _of_times(profile: Profile, *, has_zone: bool) -> tuple[Profile, list[str]]:
    """Times from their texts; a column that mostly holds other texts stays one of texts."""
    present = profile.is_present
    times = np.full(len(profile.keys), np.datetime64("NaT", "us"))
    times[present] = parse_times(pd.Series(profile.texts[present], dtype=object), None).to_numpy(dtype="datetime64[us]")
    lost = present & np.isnat(times)
    if not present.any():
        return profile, []
    if lost.sum() > (1 - MOSTLY) * present.sum() and not _is_far(profile, lost):
        return profile, [f"{profile.name!r} is a time by its type, but its cells are not in ISO 8601; they are read as text."]
    notes = [f"{profile.name!r} knows its zone; its times are read in UTC."] if has_zone else []
    if lost.any():
        notes.append(f"{profile.rows_where(lost):,} times of {profile.name!r} lie outside the years 1 to 9999 and are read as empty.")
    return profile_typed(profile.name, times[profile.codes], Storage.TIMESTAMP), notes


def _is_far(profile: Profile, lost: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bool:
    """Whether all that is no time is one of PostgreSQL's far ones."""
    return all(str(text).endswith(("infinity", " BC")) or str(text).partition("-")[0].isdigit() for text in profile.texts[lost])


def _type_name(column: DbColumn) -> str:
    return str(getattr(column.type, "__visit_name__", "unknown")).lower()
