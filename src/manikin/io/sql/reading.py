"""Reads a database's schema as linked tables: its own keys first, what its cells show for the rest; OMOP tables as the CDM says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Schema
from manikin.io import omop
from manikin.io.linked.declared import Declared, reference_of
from manikin.io.linked.inference import infer_links
from manikin.io.linked.integrity import settled
from manikin.io.linked.references import Reference
from manikin.io.linked.sheets import Sheet
from manikin.io.profiles import Profile
from manikin.io.sql.place import opened, place_of
from manikin.io.sql.rows import profiles_of
from manikin.io.sql.tables import DbTable, reflect
from manikin.io.tabular import refuse_strangers
from manikin.io.typed import table_of


def read(source: str | os.PathLike[str], *, schema: Schema | None = None) -> Dataset:
    """The linked tables of one schema of a database, read in one state of it; nothing is written there.

    Parameters
    ----------
    source : a URL as SQLAlchemy has it, with `?schema=` and `?tables=` if wished, or the path of an SQLite file.
    schema : of a data set that was read before; without it the database's keys and the tables' cells say it.

    Raises
    ------
    DataError : the database cannot be opened or read, has no tables, or does not show who the patients are; no message has a password.
    MissingExtraError : SQLAlchemy or the driver is not installed.
    """
    place = place_of(source)
    with opened(place, is_read_only=True) as connection:
        found = reflect(connection, place)
        if not found.tables:
            raise DataError(f"There is no table in {place.name}. Check its name, and the schema (?schema=NAME at the end of the URL).")
        wanted = [table for table in found.tables if schema is None or any(table.name == known.name for known in schema.tables)]
        profiles = {}
        notes = {}
        for table in wanted:
            if table.columns:
                profiles[table.name], notes[table.name] = profiles_of(connection, table, place)
    if schema is not None and not omop.is_omop(_names(profiles)):
        return _by_schema(profiles, schema, place.name)
    if omop.is_omop(_names(profiles)):
        return _noted(omop.dataset_of(profiles, place.name, schema=schema), notes if schema is None else {})
    data = _linked(profiles, {table.name: table for table in wanted}, place.name)
    first = data.schema.tables[0].name
    return _noted(data, {**notes, first: (*notes.get(first, ()), *found.notes)})


def _names(profiles: Mapping[str, list[Profile]]) -> dict[str, list[str]]:
    return {name: [profile.name for profile in columns] for name, columns in profiles.items()}


def _noted(data: Dataset, notes: Mapping[str, tuple[str, ...]]) -> Dataset:
    tables = tuple(replace(table, notes=(*table.notes, *notes.get(table.name, ()))) for table in data.schema.tables)
    return Dataset(data.tables, Schema(tables), data.native)


def _by_schema(profiles: Mapping[str, list[Profile]], schema: Schema, where: str) -> Dataset:
    absent = [known.name for known in schema.tables if known.name not in profiles]
    if absent:
        raise SchemaError(f"There is no table {absent[0]!r} in {where}, which the schema names. Correct one of the two.")
    tables = {}
    for known in schema.tables:
        refuse_strangers([profile.name for profile in profiles[known.name]], known, f"{where}, table {known.name!r}")
        tables[known.name] = table_of(profiles[known.name], known, f"{where}, table {known.name!r}")
    return Dataset(tables, schema)


def _linked(profiles: Mapping[str, list[Profile]], tables: Mapping[str, DbTable], where: str) -> Dataset:
    sheets = [
        Sheet(name, {profile.name: profile for profile in columns}, columns[0].n_rows if columns else 0)
        for name, columns in profiles.items()
        if columns
    ]
    by_name = {sheet.name: sheet for sheet in sheets}
    keys = {name: key for name in by_name if (key := tables[name].primary_key) and set(key) <= set(by_name[name].profiles)}
    return settled(infer_links(sheets, where, declared=Declared(_references(by_name, tables), keys)).data, where)[0]


def _references(sheets: Mapping[str, Sheet], tables: Mapping[str, DbTable]) -> list[Reference]:
    """The database's own foreign keys, with how many of the rows they hold for."""
    return [
        reference_of(sheets, name, key.columns, key.table, key.references)
        for name, sheet in sheets.items()
        for key in tables[name].foreign_keys
        if key.table in sheets and set(key.columns) <= set(sheet.profiles) and set(key.references) <= set(sheets[key.table].profiles)
    ]
