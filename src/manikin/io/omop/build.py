"""From the profiles of OMOP tables to a data set: described, settled, checked. Knows no files: folders and databases come here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Form, Role, Schema, TableSchema
from manikin.io.omop.cdm54 import BY_NAME, LEFT_OUT, TABLES, CdmTable
from manikin.io.omop.checks import check_keys, noted
from manikin.io.omop.derived import completed, settled, source_of
from manikin.io.omop.describe import describe_table, places_of
from manikin.io.profiles import Profile
from manikin.io.typed import table_of

MARKS = frozenset({"person_id", "gender_concept_id", "year_of_birth"})  # the columns by which a person table is known


def is_omop(tables: Mapping[str, Sequence[str]]) -> bool:
    """Whether tables with these columns are an OMOP CDM: a table of persons that the CDM would know, whatever the case."""
    return any(name.lower() == "person" and {column.lower() for column in columns} >= MARKS for name, columns in tables.items())


def is_omop_data(data: Dataset) -> bool:
    """Whether a data set was read from OMOP tables, some of whose columns are made again when it is written."""
    tables = {table.name.lower(): table for table in data.schema.tables}
    person = tables.get("person")
    return person is not None and set(tables) <= set(BY_NAME) and "gender_concept_id" in map(str.lower, person.names)


def completed_tables(data: Dataset) -> Dataset:
    """The data set with the columns that were left out because others say them.

    Raises
    ------
    DataError : a table lacks what the CDM requires.
    """
    tables, schemas = {}, []
    for schema in data.schema.tables:
        cdm = BY_NAME[schema.name.lower()]
        tables[schema.name], full = completed(data.tables[schema.name], schema, cdm)
        check_columns(cdm, schema.name, full.names, "The data set")
        schemas.append(full)
    return Dataset(tables, Schema(tuple(schemas)), data.native)


def dataset_of(tables: Mapping[str, list[Profile]], where: str, *, schema: Schema | None = None) -> Dataset:
    """The data set of OMOP tables.

    Parameters
    ----------
    tables : the profiles of each table's columns, as the source spells the names.
    where : how messages call the source.
    schema : of a data set that was read before; these tables are read alike.

    Raises
    ------
    DataError : a required column is absent, a cell is not what the CDM asks for, or keys do not hold.
    """
    data = _by_the_cdm(tables, where) if schema is None else _by_schema(tables, schema, where)
    check_keys(data, where)
    return noted(data) if schema is None else data


def _by_the_cdm(tables: Mapping[str, list[Profile]], where: str) -> Dataset:
    places = places_of({name: [profile.name for profile in profiles] for name, profiles in tables.items()})
    made: dict[str, Table] = {}
    schemas: dict[str, TableSchema] = {}
    for cdm in TABLES:
        if cdm.name not in places:
            continue
        name = places[cdm.name].table
        profiles = tables[name]
        check_columns(cdm, name, [profile.name for profile in profiles], where)
        described = describe_table(cdm, name, profiles, places, f"{where}, table {name!r}")
        table = table_of(described.profiles, described.schema, f"{where}, table {name!r}")
        made[name], schemas[name] = settled(table, described.schema, cdm)
        schemas[name] = _formed(made[name], _timed(cdm, made[name], schemas[name]))
    person = places["person"].table
    left = [f"{name!r} ({LEFT_OUT[name.lower()]})" for name in tables if name.lower() in LEFT_OUT]
    left += [f"{name!r} (not a table of the CDM 5.4)" for name in tables if name.lower() not in LEFT_OUT and name not in made]
    if left:
        schemas[person] = replace(schemas[person], notes=(*schemas[person].notes, f"Tables left out: {', '.join(left)}."))
    order = [name for name in tables if name in made]
    return Dataset({name: made[name] for name in order}, Schema(tuple(schemas[name] for name in order)))


def check_columns(cdm: CdmTable, name: str, columns: Sequence[str], where: str) -> None:
    """Refuses a table that lacks a column which the CDM requires and no other column tells.

    Raises
    ------
    DataError : with the names of the columns.
    """
    there = {column.lower() for column in columns}
    lost = [known.name for known in cdm if known.is_required and known.name not in there and source_of(cdm, known.name) not in there]
    if lost:
        raise DataError(
            f"{where}, table {name!r} lacks {', '.join(map(repr, lost))}, which the OMOP CDM 5.4 requires. Add what is absent; an unknown "
            "concept is 0."
        )


def _timed(cdm: CdmTable, table: Table, schema: TableSchema) -> TableSchema:
    """The schema that says which columns are the times: the finest that every row has, else the day."""
    return replace(schema, start=_time(cdm.start, table, schema), end=_time(cdm.end, table, schema))


def _time(stem: str | None, table: Table, schema: TableSchema) -> str | None:
    found = {column.name.lower(): column for column in schema if column.kind.is_time}
    wide, day = found.get(f"{stem}_datetime"), found.get(f"{stem}_date")
    if wide is not None and (day is None or not (table.mark(wide.name) > 0).any()):
        return wide.name
    return None if day is None else day.name


def _formed(table: Table, schema: TableSchema) -> TableSchema:
    """The schema with a form that its rows have, and the role of a death's time."""
    if schema.name.lower() == "death":
        key = schema.with_role(Role.PATIENT_KEY)[0].name
        if table.frame[key].duplicated().any():
            note = "Some persons have several rows of death; the CDM 5.4 allows one."
            return replace(schema, form=Form.EVENTS, notes=(*schema.notes, note))
        if schema.start is not None:
            column = schema[schema.start]
            schema = schema.replace_column(replace(column, roles=(*column.roles, Role.DEATH)))
        return replace(schema, start=None)
    if schema.form is Form.INTERVALS and schema.end is None:
        return replace(schema, form=Form.EVENTS)
    return schema


def _by_schema(tables: Mapping[str, list[Profile]], schema: Schema, where: str) -> Dataset:
    """The same tables and columns as the schema has, read as it says."""
    made = {}
    for known in schema.tables:
        found = next((name for name in tables if name.lower() == known.name.lower()), None)
        cdm = BY_NAME.get(known.name.lower())
        if found is None or cdm is None:
            raise SchemaError(f"{where} has no table {known.name!r} of the CDM, which the schema names. Correct one of the two.")
        made[known.name] = _read_alike(cdm, known, tables[found], f"{where}, table {found!r}")
    return Dataset(made, schema)


def _read_alike(cdm: CdmTable, known: TableSchema, profiles: list[Profile], where: str) -> Table:
    from manikin.io.omop.again import profiles_again

    return table_of(profiles_again(cdm, known, profiles, where), known, where)
