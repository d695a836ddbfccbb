"""A table's schema as JSON-able values and back, for model folders and results. The commented schema.toml is io's."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from manikin.data.errors import SchemaError
from manikin.data.rules import RULES, Rule
from manikin.data.schema import (
    Column,
    ForeignKey,
    Form,
    ImageForm,
    Kind,
    MissingCode,
    Role,
    Schema,
    Source,
    Sources,
    Storage,
    TableSchema,
)


def table_to_json(schema: TableSchema) -> dict[str, Any]:
    """Every fact of the schema, as plain JSON values."""
    links: dict[str, Any] = {}
    if schema.form is not None:
        links["form"] = str(schema.form)
    if schema.primary_key:
        links["primary_key"] = list(schema.primary_key)
    if schema.foreign_keys:
        links["foreign_keys"] = [asdict(key) for key in schema.foreign_keys]
    links |= {key: name for key, name in (("start", schema.start), ("end", schema.end)) if name is not None}
    return {
        "name": schema.name,
        "min_patients": schema.min_patients,
        "notes": list(schema.notes),
        **links,
        "columns": [column_to_json(column) for column in schema.columns],
        "rules": [{"kind": rule.kind, **asdict(rule)} for rule in schema.rules],
    }


def schema_to_json(schema: Schema) -> list[dict[str, Any]]:
    """Every table of a schema, in order."""
    return [table_to_json(table) for table in schema.tables]


def schema_from_json(values: list[dict[str, Any]]) -> Schema:
    """The schema back; anything unknown in it is refused."""
    return Schema(tuple(table_from_json(table) for table in values))


def column_to_json(column: Column) -> dict[str, Any]:
    """One column, facts without a value left out."""
    empty = Column(column.name, column.kind)
    plain = asdict(column)
    return {key: plain[key] for key in plain if key in ("name", "kind") or getattr(column, key) != getattr(empty, key)}


def table_from_json(values: dict[str, Any]) -> TableSchema:
    """The schema back; anything unknown in it is refused."""
    try:
        return TableSchema(
            values["name"],
            tuple(column_from_json(column) for column in values["columns"]),
            tuple(_rule(rule) for rule in values["rules"]),
            int(values["min_patients"]),
            tuple(values["notes"]),
            form=Form(values["form"]) if "form" in values else None,
            primary_key=tuple(values.get("primary_key", ())),
            foreign_keys=tuple(
                ForeignKey(tuple(key["columns"]), key["table"], tuple(key["references"])) for key in values.get("foreign_keys", ())
            ),
            start=values.get("start"),
            end=values.get("end"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(
            f"The stored schema cannot be read ({type(error).__name__}). It was changed or comes from another version."
        ) from error


def column_from_json(values: dict[str, Any]) -> Column:
    """One column back."""
    made = dict(values)
    made["kind"] = Kind(made["kind"])
    if "storage" in made:
        made["storage"] = Storage(made["storage"])
    made["roles"] = tuple(Role(role) for role in made.get("roles", ()))
    if made.get("levels") is not None:
        made["levels"] = tuple(made["levels"])
    for key in ("missing", "suggested_missing"):
        if key in made:
            made[key] = tuple(MissingCode(c["value"], c["meaning"], Source(c["source"])) for c in made[key])
    if "source" in made:
        made["source"] = Sources(**{key: Source(source) for key, source in made["source"].items()})
    if made.get("image") is not None:
        image = dict(made["image"])
        made["image"] = ImageForm(**image | {key: tuple(image[key]) for key in ("size", "spacing") if image.get(key) is not None})
    made["notes"] = tuple(made.get("notes", ()))
    return Column(**made)


def _rule(values: dict[str, Any]) -> Rule:
    made = RULES[values["kind"]]
    known = {f.name for f in fields(made)}
    plain = {key: _tuples(value) for key, value in values.items() if key in known}
    return made(**plain)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
