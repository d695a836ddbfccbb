"""Relational databases as linked tables, through SQLAlchemy: PostgreSQL, SQLite, and whatever else has a driver; read and written."""

from __future__ import annotations

from manikin.io.sql.place import is_database as recognises
from manikin.io.sql.place import shown
from manikin.io.sql.reading import read
from manikin.io.sql.writing import SqlWriter, write

__all__ = ["SqlWriter", "read", "recognises", "shown", "write"]
