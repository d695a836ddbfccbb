"""Patients who are given to a model of linked tables: read by the schema that it learned, whatever else their tables hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, InputError, ParameterError
from manikin.data.schema import EMPTY, Form, Schema, TableSchema
from manikin.io.formats import FOLDER
from manikin.synthesizers import SYNTHESIZERS
from manikin.synthesizers.storage import name_of as name_of_model
from manikin.workflow.models import modality_of, open_model
from manikin.workflow.places import Place, linked_format, name_of, place_of, read_linked
from manikin.workflow.stages import Stages


def able_model(model: str | Path, ability: str, verb: str) -> Any:
    """The model of a folder, which must learn linked tables and have an ability: a flag of the registry, "continues" or "scores".

    Raises
    ------
    ParameterError : it has not; the message names the generators that have.
    """
    able = ", ".join(name for name, entry in SYNTHESIZERS.items() if getattr(entry, ability))
    way_out = f"Those that do: {able}." if able else "None that is installed does."
    if modality_of(model) != "records":
        open_model(model)  # says what is wrong with a folder that is none
        raise ParameterError(f"The model in {model} learned one flat table and {verb} no patients. {way_out}")
    fitted = open_model(model)
    name = name_of_model(fitted)
    if not getattr(SYNTHESIZERS[name], ability):
        raise ParameterError(f"The synthesizer {name!r} {verb} no patients. {way_out}")
    return fitted


def schema_of_patients(model: Any) -> Schema | None:
    """The schema of linked tables that a model learned by; None where it learned none."""
    schemas = (getattr(owner, "schema_", None) for owner in (model, getattr(model, "codec_", None)))
    return next((schema for schema in schemas if isinstance(schema, Schema)), None)


def learned_schema(model: Any) -> Schema:
    """The schema of linked tables that a model learned by.

    Raises
    ------
    ParameterError : it does not tell.
    """
    schema = schema_of_patients(model)
    if schema is not None:
        return schema
    raise ParameterError(f"A model of {type(model).__name__} does not tell the tables that it learned. Save it again with this version.")


def read_given(place: Place | Dataset, schema: Schema) -> Dataset:
    """Patients in a schema that was learned: other tables and columns are passed over, tables that are not there are empty.

    Raises
    ------
    DataError : a column is absent that cannot be empty, or a cell does not fit; the message names table, column and row.
    """
    if isinstance(place, Dataset):
        found = {name: texts_of(table, place.schema[name]) for name, table in place.tables.items()}
        return _conformed(found, schema, "The data set")
    where = place_of(place)
    name = linked_format(where)
    if name is None and not Path(where).exists():
        raise DataError(f"There is nothing at {where}. Check the path.")
    if name == FOLDER or name is None:
        return _conformed(_texts_of_files(Path(where)), schema, name_of(where))
    try:
        data = read_linked(where, schema=schema)
    except InputError:
        data = read_linked(where)
    return _conformed({name: texts_of(table, data.schema[name]) for name, table in data.tables.items()}, schema, name_of(where))


def tell_empty(data: Dataset, place: Place, stages: Stages) -> None:
    """Warns of tables of which the given patients have no row at all, as when one file of several was given."""
    empty = [table.name for table in data.schema.of_patients if not len(data.tables[table.name])]
    if empty and len(data):
        stages.warn(
            f"{name_of(place)} has no row of {', '.join(empty)}: these patients are taken to have none, which alone may make them look "
            "unlike others. Bring all tables, unless this is so."
        )


def _texts_of_files(path: Path) -> dict[str, pd.DataFrame]:
    """Cell texts of the tables of a folder, or of one file."""
    from manikin.io.linked.files import list_tables
    from manikin.io.tabular import profiles_of_file

    files = list_tables(path).tables if path.is_dir() else {path.name.partition(".")[0]: path}
    out = {}
    for name, file in files.items():
        profiles, _ = profiles_of_file(file, may_be_empty=True)
        out[name] = pd.DataFrame({profile.name: profile.texts[profile.codes] for profile in profiles}, dtype=object)
    return out


def _conformed(found: Mapping[str, pd.DataFrame], schema: Schema, where: str) -> Dataset:
    tables, schemas = {}, []
    names = {name.casefold(): name for name in found}
    if not any(table.name.casefold() in names for table in schema.of_patients):
        known = ", ".join(table.name for table in schema.of_patients)
        raise DataError(f"{where} has none of the tables that the model learned ({known}). Name the folder that holds them.")
    for table in schema.tables:
        texts = found.get(names.get(table.name.casefold(), ""))
        own, cells = _filled(texts, table, where) if texts is not None else (table, pd.DataFrame(columns=table.names, dtype=object))
        tables[table.name] = parse_table(cells, own, where=f"{where}, table {table.name!r}")
        schemas.append(own)
    return Dataset(tables, Schema(tuple(schemas)))


def _filled(texts: pd.DataFrame, table: TableSchema, where: str) -> tuple[TableSchema, pd.DataFrame]:
    """The learned columns of a table; those that are absent are empty where they may be."""
    cells = pd.DataFrame(index=texts.index)
    for column in table:
        if column.name in texts:
            cells[column.name] = texts[column.name]
            continue
        is_key = column.name in table.primary_key or any(column.name in key.columns for key in table.foreign_keys)
        if table.form is not Form.REFERENCE and (is_key or not any(code.value == "" for code in column.missing)):
            raise DataError(
                f"Table {table.name!r} of {where} has no column {column.name!r}, which the model learned and which is never empty. Add it."
            )
        cells[column.name] = ""
        if EMPTY not in column.missing and not any(code.value == "" for code in column.missing):
            table = table.replace_column(replace(column, missing=(*column.missing, EMPTY)))
    return table, cells
