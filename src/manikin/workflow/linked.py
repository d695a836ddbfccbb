"""What the jobs ask of linked tables where a flat table has one answer: which column is meant, what is left out, what does not go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.new_keys import families, released_schema
from manikin.data.schema import Column, Form, Kind, Role, Schema, Source, TableSchema, is_left_out
from manikin.io.formats import FOLDER
from manikin.io.inference import without_code_book_note
from manikin.workflow.options import Options
from manikin.workflow.places import Place, linked_format, name_of
from manikin.workflow.wishes import candidates

FLAT_ONLY = {  # options that mean nothing for linked tables (yet), and what to do instead
    "time": "Give the columns their roles (time, event) in the schema instead.",
    "event": "Give the columns their roles (time, event) in the schema instead.",
    "analyses": "Run the regression on a flat table made from them, with `manikin evaluate`.",
    "audit_canaries": "Leave it out.",
    "holdout": "Leave it out: a fifth of the patients is drawn.",
}
KEY = "key, made anew"
NAMES = {"analyses": "--analysis", "audit_canaries": "--audit-canaries"}


def check_options(options: Options) -> None:
    """Refuses what does not go with linked tables.

    Raises
    ------
    ParameterError : names the option and the way out.
    """
    for name, way_out in FLAT_ONLY.items():
        if getattr(options, name) not in (None, (), 0):
            raise ParameterError(f"{NAMES.get(name, f'--{name}')} does not go with linked tables yet. {way_out}")


def check_private(place: Place) -> None:
    """Refuses a privacy budget for linked tables that are read from anything but a folder of files.

    Raises
    ------
    ParameterError : names the way out.
    """
    if linked_format(place) not in (None, FOLDER):
        raise ParameterError(
            f"--epsilon takes linked tables from a folder of CSV or Parquet files, and {name_of(place)} is none: what reading it learns "
            "from all patients is not paid for. Write the tables into a folder first."
        )


def column_named(name: str, schema: Schema, option: str) -> tuple[TableSchema, Column]:
    """The column that "column" or "table.column" names, among the tables of patients.

    Raises
    ------
    ParameterError : there is none, or several tables have it; the message names candidates.
    """
    places = {f"{table.name}.{column.name}": (table, column) for table in schema.of_patients for column in table}
    if name in places:
        return places[name]
    same = [place for place, (_, column) in places.items() if column.name == name]
    if len(same) == 1:
        return places[same[0]]
    if same:
        raise ParameterError(f"{option} names {name!r}, which several tables have. Say which: {' or '.join(map(repr, same))}.")
    known = list(places) if "." in name else list(dict.fromkeys(column.name for _, column in places.values()))
    raise ParameterError(f"{option} names {name!r}, which is no column of a table of patients. {candidates(name, known)}")


def static_name(name: str, schema: Schema, option: str) -> str:
    """The full name of a column that a patient has once.

    Raises
    ------
    ParameterError : there is none, or it changes from row to row; the message names those that there are.
    """
    table, column = column_named(name, schema, option)
    if table.form is Form.STATIC and column in table.learned:
        return f"{table.name}.{column.name}"
    static = [f"{own.name}.{one.name}" for own in schema.of_patients if own.form is Form.STATIC for one in own.learned]
    why = f"changes from row to row of table {table.name!r}" if column in table.learned else "is an identifier or free text"
    once = ", ".join(static) or "there is no such column"
    raise ParameterError(f"{option} names {name!r}, which {why}. Name what a patient has once: {once}.")


def as_wished(data: Dataset, *, target: str | None = None, public: Sequence[str] = (), **others: Any) -> Dataset:
    """The data set with what the options of a job say of its columns; `others` must be empty.

    Raises
    ------
    ParameterError : an option names a column that there is not, or one that it cannot mean.
    """
    for name, value in others.items():
        if value not in (None, ()):
            raise ParameterError(f"--{name} does not go with linked tables yet. {FLAT_ONLY.get(name, '')}".rstrip())
    return with_public(_with_target(data, target), public)


def _with_target(data: Dataset, target: str | None) -> Dataset:
    if target is None:
        return data
    table, column = column_named(target, data.schema, "--target")
    if column not in table.learned:
        raise ParameterError(f"--target names {target!r}, which is an identifier or free text and is not learned. Name another.")
    tables = []
    for own in data.schema.tables:
        for other in own:
            is_it = own.name == table.name and other.name == column.name
            roles = tuple(role for role in other.roles if role is not Role.TARGET) + ((Role.TARGET,) if is_it else ())
            if roles != other.roles:
                own = own.replace_column(replace(other, roles=roles))
        tables.append(own)
    return replace(data, schema=Schema(tuple(tables)))


def with_public(data: Dataset, public: Sequence[str], option: str = "--public") -> Dataset:
    """The data set with the lists of these columns' values declared public knowledge.

    Raises
    ------
    ParameterError : there is no such column, or it has no list of values.
    """
    schema = data.schema
    for name in public:
        table, column = column_named(name, schema, option)
        if is_left_out(column) or not (column.kind.is_discrete or column.kind is Kind.CODE_SET):
            what = "is left out of a release" if is_left_out(column) else f"is {column.kind} and has no list of values"
            raise ParameterError(f"{option} names {name!r}, which {what}. Name columns of levels or codes only.")
        declared = replace(column, source=replace(column.source, levels=Source.DECLARED))
        own = table.replace_column(without_code_book_note(declared))
        schema = Schema(tuple(own if known.name == own.name else known for known in schema.tables))
    return replace(data, schema=schema) if public else data


def target_of(schema: Schema) -> str | None:
    """The column that the schema calls the target, as "table.column"."""
    found = [f"{table.name}.{column.name}" for table in schema.of_patients for column in table.with_role(Role.TARGET)]
    return found[0] if found else None


def shared_schema(parts: Sequence[Dataset]) -> Schema:
    """The tables and columns that all parts have and that a release holds."""
    kept = released_schema(parts[0].schema)
    tables = []
    for table in kept.tables:
        if not all(table.name in [own.name for own in part.schema.tables] for part in parts):
            continue
        names = [name for name in table.names if all(name in part.schema[table.name] for part in parts)]
        tables.append(table.only(names))
    known = {table.name for table in tables}
    return Schema(tuple(replace(t, foreign_keys=tuple(k for k in t.foreign_keys if k.table in known)) for t in tables))


def left_out(schema: Schema) -> list[tuple[str, str]]:
    """The columns that a release does not have, or has anew, as "table.column" with the reason; keys are told together."""
    keys = {place for family in families(schema) for place in family.places}
    reasons = []
    for table in schema.of_patients:
        for column in table:
            if (table.name, column.name) in keys:
                reasons.append((f"{table.name}.{column.name}", KEY))
            elif column.has_role(Role.DIRECT_IDENTIFIER):
                reasons.append((f"{table.name}.{column.name}", "direct identifier"))
            elif column.kind is Kind.TEXT:
                reasons.append((f"{table.name}.{column.name}", "free text"))
    return reasons


def n_learned(schema: Schema) -> int:
    """Columns that generators learn, of all tables of patients."""
    return sum(len(table.learned) for table in schema.of_patients)
