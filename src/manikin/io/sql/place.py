"""Which database a URL means, how it is opened, and how messages call it: never with a password. Knows no tables.

A URL is SQLAlchemy's (`postgresql+psycopg://user@host/name`, `sqlite:///file.db`); the path of an SQLite file will do, too. Two words
of its query are ours: `schema=` names the schema (else the connection's own), `tables=` the tables to read, with commas between.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manikin.data.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

_URL = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\+[A-Za-z0-9_]+)?://")
SQLITE_MARK = b"SQLite format 3\x00"
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}  # where a URL names none
OURS = ("schema", "tables")


@dataclass(frozen=True)
class Place:
    """A database.

    Attributes
    ----------
    url : without the words of the query that are ours; it may hold a password and is never shown.
    schema : the schema's name, None for the connection's own.
    tables : the tables to read, None for all.
    """

    url: URL
    schema: str | None
    tables: tuple[str, ...] | None

    def __repr__(self) -> str:
        return f"Place({self.name})"

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None for others."""
        is_file = self.url.get_backend_name() == "sqlite" and self.url.database not in (None, "", ":memory:")
        return Path(str(self.url.database)) if is_file else None

    @property
    def name(self) -> str:
        """How messages call it: kind, name and host, without user, password and options."""
        kind = self.url.get_backend_name()
        if kind == "sqlite":
            return f"the SQLite database {self.url.database}"
        host = f" at {self.url.host}" if self.url.host else ""
        within = f", schema {self.schema!r}" if self.schema else ""
        return f"the {kind} database {self.url.database!r}{host}{within}"


def is_database(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a URL of a database, or an SQLite file."""
    match = _URL.match(os.fspath(source))
    if match is not None:
        return match[0].partition(":")[0].partition("+")[0].lower() in _kinds()
    path = Path(source)
    try:
        with open(path, "rb") as file:
            return file.read(len(SQLITE_MARK)) == SQLITE_MARK
    except (OSError, ValueError):
        return False


@cache
def _kinds() -> frozenset[str]:
    """Kinds of databases that SQLAlchemy knows: its own, and those of packages that are installed beside it."""
    own = {"postgresql", "postgres", "sqlite", "mysql", "mariadb", "oracle", "mssql"}
    return frozenset(own | {point.name.partition(".")[0] for point in entry_points(group="sqlalchemy.dialects")})


def shown(source: str | os.PathLike[str]) -> str:
    """A source as it may be written into messages, logs and manifests: a URL without user, password and options."""
    text = os.fspath(source)
    match = _URL.match(text)
    if match is None:
        return text
    rest = text[match.end() :].partition("?")[0].partition("#")[0]
    return match[0] + rest.rpartition("@")[2]


def place_of(source: str | os.PathLike[str]) -> Place:
    """The database that a URL or the path of an SQLite file means.

    Raises
    ------
    DataError : the URL cannot be read. MissingExtraError : SQLAlchemy is not installed.
    """
    sqlalchemy = _sqlalchemy()
    text = os.fspath(source)
    if not _URL.match(text):
        return Place(sqlalchemy.engine.URL.create("sqlite", database=str(Path(text).absolute())), None, None)
    try:
        url = sqlalchemy.engine.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise DataError("The URL of the database cannot be read. Write it as postgresql+psycopg://user@host:5432/name.") from None
    said = {word: url.query.get(word) for word in OURS}
    words = {word: ",".join(value) if isinstance(value, tuple) else value for word, value in said.items()}
    url = url.difference_update_query(OURS)
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    tables = tuple(name for name in (words["tables"] or "").split(",") if name)
    return Place(url, words["schema"] or None, tables or None)


def _sqlalchemy() -> Any:
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        raise MissingExtraError("Databases need SQLAlchemy. Install it with: pip install 'manikin[records]'.") from None
    return sqlalchemy


@contextmanager
def opened(place: Place, *, is_read_only: bool) -> Iterator[Connection]:
    """A connection in one transaction, which is undone unless all went well; read only, it sees one state of the database throughout.

    Raises
    ------
    DataError : the database cannot be opened, or refuses what is asked. MissingExtraError : there is no driver for it.
    """
    sqlalchemy = _sqlalchemy()
    try:
        url = _driven(place, is_read_only=is_read_only)
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, hide_parameters=True)
    except (ModuleNotFoundError, sqlalchemy.exc.NoSuchModuleError):
        raise MissingExtraError(
            f"There is no driver for {place.name}. Install the one that its URL names; pip install 'manikin[records]' brings psycopg."
        ) from None
    try:
        connection = engine.connect()
    except Exception as error:  # drivers raise what they like here, with the password in the text
        if not isinstance(error, sqlalchemy.exc.SQLAlchemyError | OSError | ValueError | TypeError | UnicodeError):
            raise
        raise DataError(
            f"{_capital(place.name)} cannot be opened. Check that it is there and running, and its name, host, user and password."
        ) from None
    with connection:
        if is_read_only and engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection
    engine.dispose()


def _driven(place: Place, *, is_read_only: bool) -> URL:
    if place.file is None or not is_read_only:
        return place.url
    if not place.file.is_file():
        raise DataError(f"There is no file {place.file}. Check the path.")
    from urllib.parse import quote

    return place.url.set(database=f"file:{quote(str(place.file.absolute()))}", query={"mode": "ro", "uri": "true"})


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
