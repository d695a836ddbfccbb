"""Writes linked tables into a new SQLite file or an empty schema: tables, types, keys and rows in one transaction, or nothing at all."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import DataError
from manikin.data.links import parent_rows
from manikin.data.schema import Form, Schema, TableSchema
from manikin.io import omop
from manikin.io.arrow import to_arrow
from manikin.io.sql.place import Place, opened, place_of
from manikin.io.sql.tables import DbTable, Sort, reflect
from manikin.io.sql.values import insert, plain_type, typed_cells

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Written:
    """A table as it is made: SQLAlchemy's table, and its rows as Arrow in the types of its columns."""

    table: Any
    rows: Any


def write(
    data: Dataset, target: str | os.PathLike[str], *, like: str | os.PathLike[str] | None = None, force: bool = False
) -> str | os.PathLike[str]:
    """Writes linked tables into a database that has none, whole or not at all; what is there is never replaced.

    Parameters
    ----------
    target : the URL of a database whose schema (?schema=NAME, made if it is not there) has no table, or of an SQLite file that is not
        there.
    like : the URL of the database that the data came from: its columns and types are repeated as far as every database knows them.
        Columns that the data do not have stay empty.
    force : has no effect: a database is never replaced.

    Raises
    ------
    DataError : the target has tables, cannot be opened, or refuses a cell; nothing is left there then.
    MissingExtraError : SQLAlchemy or the driver is not installed.
    """
    with SqlWriter(target, data.schema, like=like, force=force) as writer:
        writer.append(data)
    return target


class SqlWriter:
    """Writes linked tables into a database in pieces of patients, in the memory of one piece and in one transaction: all pieces are there
    when the last one is in, and nothing after an error.

    The first piece settles types and which keys the database itself keeps; tables of nobody are taken from it.

    Examples
    --------
    >>> with SqlWriter("sqlite:///made.sqlite", schema) as writer:  # doctest: +SKIP
    ...     for batch in model.sample_batches(1_000_000, seed=0):
    ...         writer.append(batch)
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        schema: Schema,
        *,
        like: str | os.PathLike[str] | None = None,
        force: bool = False,
    ) -> None:
        del force
        self.schema, self.place = schema, place_of(target)
        self._like, self._open = like, ExitStack()
        self._of_nobody = {table.name for table in schema.tables if table.form is Form.REFERENCE}
        self._known: dict[str, DbTable] = {}
        self._connection: Connection | None = None
        self._made: dict[str, Written] = {}
        self._order: list[str] = []

    def __enter__(self) -> Self:
        self._known = _reflected(self._like)
        place = self.place
        if place.file is not None:
            place = self._open.enter_context(_beside(place))
        try:
            self._connection = self._open.enter_context(opened(place, is_read_only=False))
        except BaseException:
            self._open.__exit__(*sys.exc_info())
            raise
        return self

    def append(self, data: Dataset) -> None:
        """Adds the rows of patients whose keys no earlier piece has.

        Raises
        ------
        DataError : the database has tables, or refuses a type or a row; cells of the piece are not of the first one's types.
        """
        assert self._connection is not None
        if not self._made:
            self._made = {one.table.name: one for one in _made(self._connection, data, self.place, self._known)}
            self._order = list(self._made)
            return
        for one in _tables(data, _scratch(self.place), self._known):
            first = self._made[one.table.name]
            if one.table.name in self._of_nobody:
                continue
            try:
                rows = one.rows.select(first.rows.column_names).cast(first.rows.schema)
            except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
                what = f"Rows of table {one.table.name!r} are of other types than those of the first piece"
                raise DataError(f"{what}. Give every piece the same schema.") from None
            self._made[one.table.name] = Written(first.table, rows)
        for name in self._order:
            if name not in self._of_nobody:
                insert(self._connection, self._made[name].table, self._made[name].rows, self.place)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.__exit__(kind, error, trace)


def _reflected(like: str | os.PathLike[str] | None) -> dict[str, DbTable]:
    if like is None:
        return {}
    place = place_of(like)
    with opened(place, is_read_only=True) as connection:
        return {table.name: table for table in reflect(connection, replace(place, tables=None)).tables}


@contextmanager
def _beside(place: Place) -> Iterator[Place]:
    """An SQLite file beside a place, which takes its name when all went well."""
    path = Path(str(place.file)).absolute()
    if path.exists():
        raise DataError(f"{path} exists already, and databases are never replaced. Choose another name.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent}. Make it first, or choose another.")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield replace(place, url=place.url.set(database=str(beside)))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _scratch(place: Place) -> Any:
    import sqlalchemy as sa

    return sa.MetaData(schema=place.schema)


def _made(connection: Connection, data: Dataset, place: Place, known: Mapping[str, DbTable]) -> list[Written]:
    """Makes the tables and fills them, parents first; the caller's transaction makes it whole. In the order in which they are filled."""
    import sqlalchemy as sa

    schema = place.schema
    try:
        if schema is not None and connection.dialect.name != "sqlite" and schema not in sa.inspect(connection).get_schema_names():
            connection.execute(sa.schema.CreateSchema(schema))
        n_there = len(sa.inspect(connection).get_table_names(schema=schema))
        if n_there:
            there = f"There are tables in {place.name} already ({n_there})"
            raise DataError(f"{there}, and databases are never replaced. Name an empty schema.")
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
        metadata = _scratch(place)
        written = _tables(data, metadata, known)
        metadata.create_all(connection)
        order = {table: i for i, table in enumerate(metadata.sorted_tables)}
        written = sorted(written, key=lambda one: order[one.table])
        for one in written:
            insert(connection, one.table, one.rows, place)
    except sa.exc.SQLAlchemyError:
        what = f"The tables cannot be made in {place.name}: it refuses a type, a key or the user"
        raise DataError(f"{what}. Check the user's rights, or write them as files.") from None
    return written


def _tables(data: Dataset, metadata: Any, known: Mapping[str, DbTable]) -> list[Written]:
    full = omop.completed_tables(data) if omop.is_omop_data(data) else data
    written = {schema.name: _table(full, schema, metadata, known.get(schema.name)) for schema in full.schema.tables}
    tables = {name: one.table for name, one in written.items()}
    for schema in data.schema.tables:
        for number, key in enumerate(schema.foreign_keys):
            _refer(data, schema, number, tables[schema.name], tables[key.table])
    return list(written.values())


def _refer(data: Dataset, schema: TableSchema, number: int, child: Any, parent: Any) -> None:
    """Adds a foreign key if it holds in all rows and both sides are of one type; the key it refers to becomes unique if it is not."""
    import sqlalchemy as sa

    key = schema.foreign_keys[number]
    mine, theirs = [child.c[name] for name in key.columns], [parent.c[name] for name in key.references]
    frame = data.tables[schema.name].frame[list(key.columns)]
    refers = frame.notna().all(axis=1).to_numpy()
    is_whole = bool((parent_rows(data, schema, number)[refers] >= 0).all())
    other = data.tables[key.table].frame[list(key.references)].astype(object)
    is_unique = not bool(other.duplicated().any()) and not bool(other.isna().any(axis=None))
    alike = all(type(a.type) is type(b.type) for a, b in zip(mine, theirs, strict=True))
    if not (is_whole and is_unique and alike):
        return
    if tuple(parent.primary_key.columns.keys()) != key.references and not _is_unique(parent, key.references):
        parent.append_constraint(sa.UniqueConstraint(*theirs))
    waits = child is parent  # a row may name a later one
    made = sa.ForeignKeyConstraint(list(key.columns), theirs, deferrable=waits or None, initially="DEFERRED" if waits else None)
    child.append_constraint(made)


def _is_unique(table: Any, names: tuple[str, ...]) -> bool:
    import sqlalchemy as sa

    found = (constraint for constraint in table.constraints if isinstance(constraint, sa.UniqueConstraint))
    return any({column.name for column in constraint.columns} == set(names) for constraint in found)


def _table(data: Dataset, schema: TableSchema, metadata: Any, known: DbTable | None) -> Written:
    import sqlalchemy as sa

    alone = replace(schema, form=None, primary_key=(), foreign_keys=(), start=None, end=None)
    rows = to_arrow(flat(data.tables[schema.name], alone))
    columns, cells = [], []
    for column in schema:
        theirs = known.get(column.name) if known is not None else None
        mine = rows[column.name]
        if theirs is not None and theirs.sort in (Sort.TEXT, Sort.OTHER):
            mine = pa.array([text or None for text in column_texts(data.tables[schema.name], column)], pa.string())
        kind, typed = typed_cells(column, mine, theirs)
        columns.append(sa.Column(column.name, kind, primary_key=column.name in schema.primary_key, autoincrement=False))
        cells.append(typed)
    names = [column.name for column in known.columns] if known is not None else []
    absent = [c for c in known or () if c.name not in schema and c.sort is not Sort.BINARY]
    columns += [sa.Column(column.name, plain_type(column)) for column in absent]
    columns.sort(key=lambda column: names.index(column.name) if column.name in names else len(names))
    return Written(sa.Table(schema.name, metadata, *columns), pa.table(cells, names=schema.names))
