"""Reads a folder of linked tables, by its schema.toml or by what its tables show. The one door for folders.

Each table is read by the readers of flat tables; what is added here is what binds them: keys, forms, times, and how rows fit together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from manikin.data.dataset import Dataset
from manikin.data.errors import SchemaError
from manikin.data.schema import EMPTY, Kind, Schema, TableSchema
from manikin.io.linked.files import Listing, list_tables
from manikin.io.linked.inference import infer_links
from manikin.io.linked.integrity import Link, after_death, before_birth, settled
from manikin.io.linked.sheets import Sheet
from manikin.io.linked.tidying import tidied
from manikin.io.profiles import Profile
from manikin.io.schema_file import read_schema
from manikin.io.tabular import profiles_of_file, refuse_strangers
from manikin.io.typed import table_of


@dataclass(frozen=True)
class Look:
    """Linked data, and what was found while they were read.

    Attributes
    ----------
    links : the foreign keys, with how many rows match, as they were before references to rows that are not there were set to none.
    files : the file of each table.
    notes : what a person may want to know of the folder; no cell in it.
    """

    data: Dataset
    links: tuple[Link, ...]
    files: dict[str, Path]
    notes: tuple[str, ...]


def read(folder: str | os.PathLike[str], *, schema: Schema | None = None, each_by_itself: bool = False) -> Dataset:
    """The linked tables of a folder: a file for each, .csv, .csv.gz, .tsv or .parquet, named as the table.

    Parameters
    ----------
    schema : of the tables; without it the folder's own schema.toml, and without that what the tables show.
    each_by_itself : whether nothing of a cell's reading may hang on other cells: encodings are found line by line, and neither zones of
        times nor keys with a point (101.0) are made alike. Needs a schema.

    Raises
    ------
    DataError : a file cannot be read, two are of one name, a row names no patient, a key is double, a table leads to no patient; the
        message names the table and the row.
    SchemaError : the schema and the files do not agree.
    """
    return look(folder, schema=schema, each_by_itself=each_by_itself).data


def look(folder: str | os.PathLike[str], *, schema: Schema | None = None, each_by_itself: bool = False) -> Look:
    """The linked tables of a folder as `read` gives them, with what was found on the way."""
    listing = list_tables(Path(folder))
    notes = []
    if listing.passed:
        notes.append(f"Passed over, being no tables: {', '.join(listing.passed)}.")
    if schema is None and listing.schema is not None:
        schema = read_schema(listing.schema)
        notes.append(f"Read by {listing.schema.name} of the folder.")
    is_given = schema is not None
    if schema is None:
        sheets = [_sheet(name, path) for name, path in listing.tables.items()]
        data = infer_links(sheets, str(folder)).data
        files = dict(listing.tables)
    else:
        data, files, told = _by_schema(listing, schema, each_by_itself)
        notes += told
        others = [path.name for name, path in listing.tables.items() if name not in files]
        if others:
            notes.append(f"Passed over, since the schema does not name their tables: {', '.join(others)}.")
    notes += _zones(data.schema)
    data, links = settled(data, str(folder))
    for counts, words in ((before_birth(data), EARLY), (after_death(data), LATE)):
        notes += [f"{name}: {words.format(n=n)}" for name, n in counts.items()]
        if not is_given:
            data = _with_notes(data, {name: words.format(n=n) for name, n in counts.items()})
    return Look(data, links, files, tuple(notes))


def _zones(schema: Schema) -> list[str]:
    """A note where some tables tell the zone of their times and others do not."""
    zoned: set[str] = set()
    local: set[str] = set()
    for table in schema.of_patients:
        for column in table:
            if column.kind is Kind.DATETIME and column.time_format:
                (zoned if column.time_format.endswith("Z") else local).add(table.name)
    if not zoned or not local:
        return []
    return [f"Times tell a zone (UTC) in {', '.join(sorted(zoned))} and none in {', '.join(sorted(local))}: these are read as if UTC."]


EARLY = "{n:,} rows start before their patient is born; they stay."
LATE = "{n:,} rows start on a day after their patient's death; they stay."


def _with_notes(data: Dataset, notes: Mapping[str, str]) -> Dataset:
    """The data with notes at their tables."""
    tables = (replace(t, notes=(*t.notes, notes[t.name])) if t.name in notes else t for t in data.schema.tables)
    return Dataset(data.tables, Schema(tuple(tables)), data.native)


def _sheet(name: str, path: Path) -> Sheet:
    profiles, notes = _profiles(path)
    return Sheet(name, {profile.name: profile for profile in profiles}, profiles[0].n_rows, notes)


def _profiles(path: Path) -> tuple[list[Profile], tuple[str, ...]]:
    profiles, notes = profiles_of_file(path, may_be_empty=True)
    profiles, more = tidied(profiles, str(path))
    return profiles, notes + more


def _by_schema(listing: Listing, schema: Schema, each_by_itself: bool) -> tuple[Dataset, dict[str, Path], list[str]]:
    absent = [table.name for table in schema.tables if table.name not in listing.tables]
    if absent:
        raise SchemaError(
            f"The schema names the table {absent[0]!r}, for which {listing.folder} has no file. "
            "Put the file there, or take the table out of the schema."
        )
    tables, files, notes, schemas = {}, {}, [], []
    for table in schema.tables:
        path = listing.tables[table.name]
        profiles, told = profiles_of_file(path, each_by_itself=True, may_be_empty=True) if each_by_itself else _profiles(path)
        notes += [f"{table.name}: {note}" for note in told]
        refuse_strangers([profile.name for profile in profiles], table, str(path))
        known = _with_holes(table, profiles)
        schemas.append(known)
        tables[table.name] = table_of(profiles, known, str(path))
        files[table.name] = path
    return Dataset(tables, Schema(tuple(schemas))), files, notes


def _with_holes(table: TableSchema, profiles: list[Profile]) -> TableSchema:
    """The schema in which an empty cell of a column of names is no name, whether it was known to have any or not."""
    for profile in profiles:
        column = table[profile.name]
        if column.kind is Kind.IDENTIFIER and not profile.is_present.all() and all(code.value != "" for code in column.missing):
            table = table.replace_column(replace(column, missing=(*column.missing, EMPTY)))
    return table
