"""What tables a schema of a database has: columns, types, primary and foreign keys, and what is not read and why. Reads no row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from manikin.data.errors import DataError
from manikin.data.schema import ForeignKey
from manikin.io.sql.place import Place

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Sort(StrEnum):
    """What a database's type holds, as far as it matters here."""

    WHOLE = "whole"
    REAL = "real"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIME = "time"
    TEXT = "text"
    OTHER = "other"  # read as text
    BINARY = "binary"  # not read


@dataclass(frozen=True)
class DbColumn:
    """A column of a database's table: its name, SQLAlchemy type, what that is, and whether it must be filled."""

    name: str
    type: Any
    sort: Sort
    is_required: bool

    @property
    def has_zone(self) -> bool:
        """Whether it is a time that knows its zone."""
        return self.sort is Sort.TIME and bool(getattr(self.type, "timezone", False))


@dataclass(frozen=True)
class DbTable:
    """A table of a database."""

    name: str
    columns: tuple[DbColumn, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]

    def __iter__(self) -> Iterator[DbColumn]:
        return iter(self.columns)

    def get(self, name: str) -> DbColumn | None:
        """The column of this name, None where there is none."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Reflected:
    """The tables of a schema, and notes on what else it holds."""

    tables: tuple[DbTable, ...]
    notes: tuple[str, ...]


def reflect(connection: Connection, place: Place) -> Reflected:
    """The tables of the place's schema, by name.

    Raises
    ------
    DataError : a table that was named is not there.
    """
    from sqlalchemy import inspect

    inspector = inspect(connection)
    parts = _partitions(connection, place)
    names = [name for name in sorted(inspector.get_table_names(schema=place.schema)) if name not in parts]
    if place.tables is not None:
        absent = [name for name in place.tables if name not in names]
        if absent:
            raise DataError(f"There is no table {absent[0]!r} in {place.name}. Correct the names after tables= in the URL.")
        names = list(place.tables)
    views = sorted(inspector.get_view_names(schema=place.schema))
    notes = (f"Views are not read: {', '.join(map(repr, views))}.",) if views else ()
    return Reflected(tuple(_table(inspector, name, place, set(names)) for name in names), notes)


def _partitions(connection: Connection, place: Place) -> set[str]:
    """Tables that hold a part of another one's rows (PostgreSQL); that other one gives them all."""
    from sqlalchemy import text

    if connection.dialect.name != "postgresql":
        return set()
    rows = connection.execute(
        text(
            "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relispartition AND n.nspname = coalesce(:schema, current_schema())"
        ),
        {"schema": place.schema},
    )
    return {str(row[0]) for row in rows}


def _table(inspector: Any, name: str, place: Place, names: set[str]) -> DbTable:
    columns = tuple(
        DbColumn(str(column["name"]), column["type"], sort_of(column["type"]), not column["nullable"])
        for column in inspector.get_columns(name, schema=place.schema)
    )
    primary = tuple(map(str, inspector.get_pk_constraint(name, schema=place.schema)["constrained_columns"]))
    keys = []
    for key in inspector.get_foreign_keys(name, schema=place.schema):
        other = key["referred_table"]
        if key["referred_schema"] in (None, place.schema) and other in names:
            theirs = tuple(key["referred_columns"]) or _primary_of(inspector, other, place)
            keys.append(ForeignKey(tuple(key["constrained_columns"]), other, theirs))
    return DbTable(name, columns, primary, tuple(sorted(keys, key=lambda key: (key.columns, key.table))))


def _primary_of(inspector: Any, name: str, place: Place) -> tuple[str, ...]:
    """The key that a reference means which names none, as SQLite allows."""
    return tuple(map(str, inspector.get_pk_constraint(name, schema=place.schema)["constrained_columns"]))


def sort_of(kind: Any) -> Sort:
    """What a type holds."""
    import sqlalchemy as sa

    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float) and kind.scale == 0 and kind.precision is not None:
        return Sort.WHOLE
    for sort, types in _sorts(sa):
        if isinstance(kind, tuple(types)):
            return sort
    return Sort.OTHER


def _sorts(sa: Any) -> Iterable[tuple[Sort, list[Any]]]:
    return (
        (Sort.BOOLEAN, [sa.Boolean]),
        (Sort.WHOLE, [sa.Integer]),
        (Sort.REAL, [sa.Float]),
        (Sort.DECIMAL, [sa.Numeric]),
        (Sort.TIME, [sa.Date, sa.DateTime]),
        (Sort.TEXT, [sa.String]),
        (Sort.BINARY, [sa.LargeBinary, sa.types._Binary]),
    )
