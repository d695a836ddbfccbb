"""Which files of a folder are tables, under which names, and in which format each is written. Reads no cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manikin.data.errors import DataError
from manikin.io.tabular import DELIMITED

SCHEMA_FILE = "schema.toml"
ENDINGS = (*(ending for ending in DELIMITED if ending != ".txt"), ".parquet", ".pq")


@dataclass(frozen=True)
class Listing:
    """The files of a folder.

    Attributes
    ----------
    tables : the file of each table, by the table's name, in the order of names.
    schema : the folder's schema.toml, None where there is none.
    passed : names of the other files and folders, which are passed over.
    """

    folder: Path
    tables: dict[str, Path]
    schema: Path | None
    passed: tuple[str, ...]


def list_tables(folder: Path) -> Listing:
    """The tables of a folder: its files that end in .csv, .tsv or .parquet, packed with gzip or not, each called as its file.

    Raises
    ------
    DataError : there is no such folder, no table in it, or two files of one name.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Check the path.")
    tables: dict[str, Path] = {}
    passed: list[str] = []
    schema = None
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        name = table_name(path) if path.is_file() else None
        if path.name == SCHEMA_FILE:
            schema = path
        elif name is None:
            passed.append(path.name)
        else:
            twin = next((other for known, other in tables.items() if known.casefold() == name.casefold()), None)
            if twin is not None:
                raise DataError(
                    f"{folder} has two files for the table {name!r}: {twin.name} and {path.name}. Take one of them out, or rename it."
                )
            tables[name] = path
    if not tables:
        raise DataError(f"{folder} holds no table. Put files in it that end in .csv, .csv.gz, .tsv or .parquet.")
    return Listing(folder, tables, schema, tuple(passed))


def table_name(path: Path) -> str | None:
    """The name of the table that a file holds, None where its ending names no format of tables.

    >>> table_name(Path("PATIENTS.csv.gz")), table_name(Path("LICENSE.txt"))
    ('PATIENTS', None)
    """
    name = path.name
    if name.lower().endswith(".gz"):
        name = name[: -len(".gz")]
        endings: tuple[str, ...] = tuple(ending for ending in ENDINGS if ending in DELIMITED)
    else:
        endings = ENDINGS
    ending = next((ending for ending in endings if name.lower().endswith(ending)), None)
    return None if ending is None else name[: -len(ending)] or None
