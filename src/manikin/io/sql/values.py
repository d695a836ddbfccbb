"""Cells on their way into a database: which type a column gets, its cells in that type, and how rows are handed over. Knows no schemas."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from manikin.data.errors import DataError
from manikin.data.schema import Column, Kind
from manikin.io.sql.place import Place
from manikin.io.sql.tables import DbColumn, Sort

if TYPE_CHECKING:
    from sqlalchemy import Connection

CHUNK_ROWS = 10_000


def plain_type(known: DbColumn) -> Any:
    """The type of a source's column as every database knows it; what is special to one becomes text."""
    import sqlalchemy as sa

    kind = known.type
    if known.sort is Sort.WHOLE:
        small = isinstance(kind, sa.SmallInteger | sa.BigInteger)
        return sa.Numeric(kind.precision, 0) if isinstance(kind, sa.Numeric) else kind.as_generic() if small else sa.Integer()
    if known.sort is Sort.REAL:
        return sa.Double()
    if known.sort is Sort.DECIMAL:
        return sa.Numeric(kind.precision, kind.scale)
    if known.sort is Sort.BOOLEAN:
        return sa.Boolean()
    if known.sort is Sort.TIME:
        return sa.Date() if isinstance(kind, sa.Date) else sa.DateTime(timezone=known.has_zone)
    if known.sort is Sort.TEXT and not isinstance(kind, sa.Enum) and kind.length is not None:
        return sa.CHAR(kind.length) if isinstance(kind, sa.CHAR) else sa.String(kind.length)
    return sa.Text()


def typed_cells(column: Column, cells: Any, known: DbColumn | None) -> tuple[Any, Any]:
    """The type of a column, and its cells as Arrow in it: as in the source where they fit, else as they are stored."""
    import sqlalchemy as sa

    if known is not None and (found := _fitted(cells, known)) is not None:
        return plain_type(known), found
    if pa.types.is_integer(cells.type):
        return sa.BigInteger(), cells
    if pa.types.is_floating(cells.type):
        return sa.Double(), cells
    if pa.types.is_boolean(cells.type):
        return sa.Boolean(), cells
    if pa.types.is_timestamp(cells.type):
        return (sa.Date(), cells.cast(pa.date32())) if column.kind is Kind.DATE else (sa.DateTime(), cells)
    return sa.Text(), cells


def _fitted(cells: Any, known: DbColumn) -> Any:
    """The cells in the Arrow type that a source's column stands for; None where they do not fit."""
    import sqlalchemy as sa

    kind = {
        Sort.WHOLE: pa.int64(),
        Sort.REAL: pa.float64(),
        Sort.DECIMAL: pa.float64(),
        Sort.BOOLEAN: pa.bool_(),
        Sort.TIME: pa.date32() if isinstance(known.type, sa.Date) else pa.timestamp("us"),
    }.get(known.sort, pa.string())
    if known.sort in (Sort.WHOLE, Sort.DECIMAL) and isinstance(known.type, sa.Numeric) and pa.types.is_string(cells.type):
        kind = pa.string()  # of more digits than a number keeps
    try:
        return cells.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


def insert(connection: Connection, table: Any, rows: Any, place: Place) -> None:
    """Puts rows into a table that is there and empty.

    Raises
    ------
    DataError : the database refuses a row.
    """
    import sqlalchemy as sa

    if not len(rows):
        return
    try:
        if connection.dialect.driver == "psycopg":
            _copy(connection, table, rows)
            return
        for batch in rows.to_batches(CHUNK_ROWS):
            connection.execute(table.insert(), batch.to_pylist())
    except (sa.exc.SQLAlchemyError, _RefusedError):
        why = "a key is double or leads nowhere, a text is too long, or a number too large"
        whose = f"{place.name[:1].upper()}{place.name[1:]} refuses rows of table {table.name!r}"
        raise DataError(f"{whose}: {why}. Write the data without `like`, or as files.") from None


class _RefusedError(Exception):
    """What PostgreSQL's own driver raised, without its words, which quote cells."""


def _copy(connection: Connection, table: Any, rows: Any) -> None:
    """Hands rows over by COPY, as text with a mark for no value."""
    import psycopg
    from psycopg.sql import SQL, Identifier
    from pyarrow import csv

    where = Identifier(*([table.schema] if table.schema else []), table.name)
    names = SQL(", ").join(map(Identifier, rows.column_names))
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv)").format(where, names)) as copy:
            for batch in rows.to_batches(CHUNK_ROWS):
                sink = io.BytesIO()
                csv.write_csv(batch, sink, csv.WriteOptions(include_header=False))
                copy.write(sink.getvalue())
    except psycopg.Error:
        raise _RefusedError from None
    finally:
        cursor.close()
