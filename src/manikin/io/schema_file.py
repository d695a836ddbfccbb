"""schema.toml: a schema as a commented file that a person corrects, and back. Knows no patients' tables.

What is written is read back equal, except that lists of more than 200 levels are left out.
"""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError
from tomlkit.items import Array, Table

from manikin.data.errors import SchemaError
from manikin.data.rules import RULES
from manikin.data.schema import Column, Form, Kind, Role, Schema, Source, Storage, TableSchema, is_left_out
from manikin.io.schema_models import ColumnModel, FlatModel, LinkedModel, column_facts, link_facts, rule_facts

MAX_WRITTEN_LEVELS = 200
MAX_INLINE_CHARACTERS = 100

HEADER = """\
What Manikin found in the table. Correct what is wrong and give the file back with --schema.

kind               continuous, count, duration (numbers) | categorical, ordinal, boolean, code | date, datetime | code_set
                   | image | identifier, text (neither is learned)
roles              patient_key, direct_identifier, quasi_identifier, sensitive, target, time, event, birth, death
missing            cells that mean "no value", each apart from the others; "" is the empty cell
suggested_missing  cells that may mean "no value": no effect here. Move a code into `missing` if it is right, else delete it.
source             "data": learned from the patients. Write "declared" only for public knowledge (a code book, a protocol):
                   declared levels are released however rare they are, and cost no privacy budget. Under --epsilon what is "data" is
                   not used: kind, levels, range, decimals and missing codes of such a column are bought again.
image              of images: channels, size in pixels, lowest and highest value, spacing in mm, modality in DICOM's words
by                 the column of codes that says what a number measures: the scale is that code's own
min_patients       a value held by fewer patients is not released (for all columns here, or in one column)
[[rules]]          found in the data. Write confirmed = true, and the rule holds in every synthetic row; delete what is chance.
"""

LINKED_HEADER = (
    HEADER.replace("in the table.", "in the tables.")
    + """\

Each table, under [tables.NAME]:
form               static (at most one row a patient), events, intervals (rows that start and end), grid (rows at regular steps),
                   reference (a dictionary: rows of nobody, given back as they are)
primary_key        the columns that no two rows share; that of the table of patients is the patient key
foreign_keys       columns that name a row of another table; the first that leads to a table of patients says whose the rows are, where
                   no column has the role patient_key
start, end         when a row happens or begins, and ends: a date, a date with time, or a number. Without a start its parent's is taken.
"""
)


def write_schema(schema: Schema, path: str | os.PathLike[str], *, force: bool = False, header: str | None = None) -> Path:
    """Writes schema.toml with comments at its top; the file appears when it is complete.

    Raises
    ------
    SchemaError : the file exists and `force` is not set, or its folder is not there.
    """
    path = Path(path)
    if path.exists() and not force:
        raise SchemaError(f"{path} exists already. Choose another name, or overwrite it with --force.")
    if not path.parent.is_dir():
        raise SchemaError(f"There is no folder {path.parent}. Make it first, or choose another.")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        beside.write_text(schema_text(schema, header=header), encoding="utf-8", newline="\n")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def schema_text(schema: Schema, *, header: str | None = None) -> str:
    """The content of schema.toml."""
    document = tomlkit.document()
    for line in ((LINKED_HEADER if schema.is_linked else HEADER) if header is None else header).splitlines():
        document.add(tomlkit.comment(line) if line else tomlkit.comment(""))
    if len(schema.tables) == 1:
        document.add(tomlkit.nl())
        document.add("name", tomlkit.item(schema.only.name))
        for key, value in _table_items(schema.only):
            document.add(key, value)
    else:
        tables = tomlkit.table(is_super_table=True)
        for table in schema.tables:
            entry = tomlkit.table()
            for key, value in _table_items(table):
                entry.add(key, value)
            tables.add(table.name, entry)
        document.add("tables", tables)
    return tomlkit.dumps(document)


def _table_items(table: TableSchema) -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = [("min_patients", tomlkit.item(table.min_patients))]
    if table.notes:
        items.append(("notes", _value(list(table.notes))))
    items += [(key, _value(value)) for key, value in link_facts(table).items()]
    columns = tomlkit.table(is_super_table=bool(table.columns))
    for column in table.columns:
        columns.add(column.name, _column_item(column))
    items.append(("columns", columns))
    if table.rules:
        rules = tomlkit.aot()
        for rule in table.rules:
            entry = tomlkit.table()
            entry.add(tomlkit.comment(_one_line(rule.text)))
            _fill(entry, rule_facts(rule))
            rules.append(entry)
        items.append(("rules", rules))
    return items


def _column_item(column: Column) -> Table:
    entry = tomlkit.table()
    kept = column
    if column.levels is not None and len(column.levels) > MAX_WRITTEN_LEVELS:
        kept = replace(column, levels=None)
    for line in _comments(column, kept):
        entry.add(tomlkit.comment(line))
    _fill(entry, column_facts(kept))
    return entry


def _comments(column: Column, kept: Column) -> list[str]:
    lines = list(column.notes)
    if kept is not column:
        lines.append(f"{len(column.levels or ()):,} levels, too many to list here.")
    if is_left_out(column) and not column.has_role(Role.PATIENT_KEY):
        lines.append("Left out of a release.")
    if column.suggested_missing:
        quoted = ", ".join(f'"{code.value}" ({code.meaning})' for code in column.suggested_missing)
        lines.append(f"Looks like no value: {quoted}. Move to `missing` if right.")
    return [_one_line(line) for line in lines]


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text)


def _fill(entry: Table, facts: Mapping[str, Any]) -> None:
    for key, value in facts.items():
        if key != "notes" or value:
            entry.add(key, _value(value))


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return _array(value)
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update(value)
        return inline
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return tomlkit.item(int(value))
    return tomlkit.item(value)


def _array(values: Sequence[Any]) -> Array:
    array = tomlkit.array()
    for value in values:
        array.append(_value(value))
    return array.multiline(sum(len(str(value)) + 4 for value in values) > MAX_INLINE_CHARACTERS)


def read_schema(path: str | os.PathLike[str]) -> Schema:
    """Reads schema.toml.

    Raises
    ------
    SchemaError : no such file, no TOML, or a key that is unknown, absent or of a wrong value; the message names line, column and key.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SchemaError(f"There is no schema file {path}. Write one with `manikin inspect DATA -o {path.name}`.") from None
    except (OSError, UnicodeDecodeError):
        raise SchemaError(f"{path} cannot be read as UTF-8 text. Give the schema.toml that `manikin inspect` wrote.") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{path} is not valid TOML: {error}. Correct the line; texts stand in double quotes.") from None
    try:
        model = LinkedModel.model_validate(raw) if "tables" in raw else FlatModel.model_validate(raw)
    except ValidationError as error:
        raise SchemaError(_explain(error, path, text)) from None
    try:
        return model.to_schema()
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from None


ALLOWED = {
    "kind": tuple(Kind),
    "storage": tuple(Storage),
    "roles": tuple(Role),
    "source": tuple(Source),
    "form": tuple(Form),
}


def _explain(error: ValidationError, path: Path, text: str) -> str:
    """The first problem in one or two sentences; never a value, since levels are patients' values."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    where, key = _place(place)
    line = _line_of(text, place, key)
    start = f"{path}{f', line {line}' if line else ''}{where}"
    others = f" ({error.error_count() - 1} more problems follow.)" if error.error_count() > 1 else ""
    if first["type"] == "missing":
        return f"{start}: the key {key!r} is absent. Add it.{others}"
    if first["type"] == "extra_forbidden":
        return f"{start}: the key {key!r} is not known. Remove it, or correct its spelling.{others}"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{start}: `kind` must be one of {', '.join(RULES)}.{others}"
    allowed = ALLOWED.get(key) if first["type"] == "enum" else None
    if allowed:
        return f"{start}: {key!r} must be one of {', '.join(allowed)}.{others}"
    message = str(first["msg"])
    return f"{start}: {key!r} is wrong: {message[0].lower()}{message[1:]}.{others}"


def _place(place: list[str]) -> tuple[str, str]:
    """Where in the file, in words, and the key."""
    table = f", table {place[1]!r}" if place[:1] == ["tables"] and len(place) > 1 else ""
    rest = place[2:] if table else place
    if rest[:1] == ["columns"] and len(rest) > 1:
        keys = [part for part in rest[2:] if not part.isdigit() and part in COLUMN_KEYS]
        return f"{table}, column {rest[1]!r}", keys[0] if keys else (rest[2] if len(rest) > 2 else "columns")
    if rest[:1] == ["rules"] and len(rest) > 1:
        keys = [part for part in rest[2:] if not part.isdigit() and part not in RULES]
        return f"{table}, rule {int(rest[1]) + 1}", keys[0] if keys else "kind"
    return table, rest[0] if rest else "name"


COLUMN_KEYS = frozenset(ColumnModel.model_fields)


def _line_of(text: str, place: list[str], key: str) -> int | None:
    """The line of a key (or else of its table's head), counted from 1; None when it is not to be found."""
    lines = text.splitlines()
    start = 0
    if "columns" in place[:3] and len(place) > place.index("columns") + 1:
        name = place[place.index("columns") + 1]
        heads = [i for i, line in enumerate(lines) if line.startswith("[") and line.rstrip("] \t").rstrip('"').endswith(name)]
        if not heads:
            return None
        start = heads[0]
    elif "rules" in place[:3]:
        number = int(place[place.index("rules") + 1])
        heads = [i for i, line in enumerate(lines) if line.startswith("[[") and "rules" in line]
        if number >= len(heads):
            return None
        start = heads[number]
    for i in range(start, len(lines)):
        if i > start and lines[i].startswith("["):
            break
        if re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", lines[i]):
            return i + 1
    return start + 1 if start else None
