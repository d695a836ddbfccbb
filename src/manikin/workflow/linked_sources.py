"""Linked tables of several places that belong together: read by one schema, and copied as they are. Knows no format by name."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, InputError, ParameterError
from manikin.data.new_keys import lost_references, released_schema
from manikin.data.schema import Form, Schema, TableSchema
from manikin.io.formats import is_url
from manikin.workflow.places import Place, hash_place, linked_format, name_of
from manikin.workflow.sources import read, read_schema
from manikin.workflow.stages import Stages


def is_linked_source(place: object, schema: Schema | str | Path | None = None) -> bool:
    """Whether a place holds linked tables: a folder or database, or a file whose schema gives it a form."""
    if not isinstance(place, str | Path):
        return isinstance(place, Dataset) and place.is_linked
    if linked_format(place) is not None:
        return True
    known = read_schema(schema) if isinstance(schema, str | Path) else schema
    return known is not None and known.is_linked


def are_linked(parts: Mapping[str, object], schema: Schema | str | Path | None = None) -> bool:
    """Whether parts that are judged together ("train", "holdout", …) hold linked tables; all of them, or none.

    Raises
    ------
    ParameterError : some do and some do not; the message names one of each.
    """
    linked = {name: is_linked_source(place, schema) for name, place in parts.items()}
    if len(set(linked.values())) > 1:
        ours, theirs = (next(name for name, is_linked in linked.items() if is_linked is wanted) for wanted in (True, False))
        raise ParameterError(
            f"The {ours} part holds linked tables and the {theirs} part is one flat table. Name a folder (or database) of the same tables "
            "for each part, or one file of the same table for each."
        )
    return linked[next(iter(linked))]


def read_linked_alike(
    first: Place | Dataset, others: Sequence[Place | Dataset], *, schema: Schema | str | Path | None = None
) -> tuple[Dataset, list[Dataset]]:
    """Linked tables of one kind, read by one schema: that of the first, or the given one. A release may lack what a release leaves out.

    Raises
    ------
    DataError, SchemaError : a place cannot be read, or does not fit the schema; the message names table, column and row.
    """
    real = read(first, schema=schema)
    return real, [read_linked_like(other, real.schema) for other in others]


def read_linked_like(place: Place | Dataset, schema: Schema) -> Dataset:
    """Linked tables by the schema of those that they belong to; what a release leaves out they need not have.

    Raises
    ------
    DataError, SchemaError : they cannot be read, or do not fit the schema.
    """
    if isinstance(place, Dataset):
        return place
    try:
        return read(place, schema=released_schema(schema))
    except InputError as error:
        try:
            return read(place, schema=schema)
        except InputError:
            raise error from None


def tell_absent(place: Place, data: Dataset, like: Schema, stages: Stages) -> None:
    """Says which tables and columns of the train part another part has not."""
    known = {table.name for table in data.schema.tables}
    wanted = released_schema(like).tables
    tables = [table.name for table in wanted if table.form is not Form.REFERENCE and table.name not in known]
    if tables:
        stages.warn(f"{name_of(place)} has no table {', '.join(map(repr, tables))}; left out of the comparison.")
    kept = tuple(table for table in wanted if table.name in known)
    lost = lost_references(wanted, [_within(table, data.schema[table.name], known) for table in kept])
    if lost:
        stages.warn(f"Foreign keys that {name_of(place)} does not have, so that nothing is asked of them: {', '.join(lost)}.")
    for table in wanted:
        if table.name in known:
            absent = [name for name in table.names if name not in data.schema[table.name]]
            if absent:
                which = ", ".join(map(repr, absent))
                stages.warn(f"Table {table.name!r} of {name_of(place)} has no column {which}; left out of the comparison.")


def _within(table: TableSchema, other: TableSchema, tables: set[str]) -> TableSchema:
    """A table with the columns that another one has too, and with references to these tables alone."""
    own = table.only([name for name in table.names if name in other])
    return replace(own, foreign_keys=tuple(key for key in own.foreign_keys if key.table in tables))


def keep_copy(place: Place, name: str, folder: Path, *, sha256: str, data: Dataset) -> str:
    """Copies the judged files into a folder; the name there. What is in a database stays there: empty then.

    Raises
    ------
    DataError : they were changed while they were judged.
    """
    if is_url(place):
        return ""
    source = Path(place)
    if source.is_file():
        copy = folder / name
        copy.mkdir()
        shutil.copyfile(source, copy / source.name)
        same = hash_place(copy / source.name, data)[0].sha256 == sha256
    else:
        copy = Path(shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(".*")))
        same = hash_place(copy, data)[0].sha256 == sha256
    if not same:
        raise DataError(f"{source} was changed while it was judged. Run the command again.")
    return name


