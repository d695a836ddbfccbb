"""The command that looks: inspect, for one table and for linked ones."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table

if TYPE_CHECKING:
    from manikin.workflow.look import Inspected
    from manikin.workflow.look_linked import InspectedTables

WIDEST = 120  # characters of a rule that are shown; the schema has all of it


def inspect(
    data: opt.Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the schema here, to be corrected by a person.")
    ] = None,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """What a table, a folder of linked tables or images hold: kinds, keys, missing codes, identifiers, rules found, warnings.

    Example:

        manikin inspect patients.csv -o schema.toml

        manikin inspect hospital -o schema.toml

        manikin inspect xrays
    """
    from manikin.workflow.look import Inspected
    from manikin.workflow.look import inspect as run

    found = run(data, out=out, force=force)
    if isinstance(found, Inspected):
        _say_table_found(found, as_json=as_json)
    else:
        _say_tables_found(found, as_json=as_json)


def _say_table_found(found: Inspected, *, as_json: bool) -> None:
    from manikin.workflow.look import budget_words, column_facts

    columns = [column_facts(column) for column in found.schema]
    if as_json:
        rules = [{"kind": rule.kind, "text": rule.text, "confirmed": rule.confirmed} for rule in found.schema.rules]
        sizes = {"data": found.name, "rows": found.n_rows, "patients": found.n_patients}
        sizes |= {"images": found.images} if found.images else {}
        say_json({**sizes, "columns": columns, "rules": rules, "warnings": list(found.warnings), "out": found.out})
        return
    what = found.images or f"{found.n_rows:,} rows, {len(columns)} columns"
    say(f"{found.name}: {what}, {found.n_patients:,} patients\n")
    rows = [
        (
            fact["name"],
            fact["kind"],
            "" if fact["n_levels"] is None else str(fact["n_levels"]),
            ", ".join("empty" if code == "" else code for code in fact["missing"]),
            ", ".join(fact["roles"]),
        )
        for fact in columns
    ]
    say_table(("column", "kind", "levels", "missing codes", "roles"), rows)
    if found.schema.rules:
        say("\nRules found:")
        for rule in found.schema.rules:
            say(f"  {shorten(rule.text, WIDEST, placeholder=' …')}{' (confirmed)' if rule.confirmed else ''}")
    if found.warnings:
        say("\nPlease look at:")
        for warning in found.warnings:
            say(f"  {warning}")
    if not found.images:
        say(f"\n{budget_words(found.schema)}")
    if found.out is not None:
        say(f"\nThe schema, for you to correct: {found.out}")


def _say_tables_found(found: InspectedTables, *, as_json: bool) -> None:
    from manikin.workflow.look import column_facts
    from manikin.workflow.look_linked import link_facts, link_lines, table_facts, table_lines, warnings_of_tables

    facts = table_facts(found)
    n_rows = sum(fact["rows"] for fact in facts)
    warnings = warnings_of_tables(found)
    if as_json:
        for fact, table in zip(facts, found.schema.tables, strict=True):
            fact["columns"] = [column_facts(column) for column in table]
        sizes = {"data": found.name, "rows": n_rows, "patients": len(found.data)}
        links = [link_facts(link) for link in found.links]
        say_json({**sizes, "tables": facts, "links": links, "warnings": warnings, "out": found.out})
        return
    say(f"{found.name}: {len(facts)} tables, {n_rows:,} rows, {len(found.data):,} patients\n")
    say_table(("table", "rows", "form", "time", "primary key", "rows of a patient who has any"), table_lines(facts))
    if found.links:
        say("\nForeign keys:")
        say_table(("from", "to", "rows", "matching"), link_lines(found.links))
    scaled = [f"  {fact['name']}.{name} by {code}" for fact in facts for name, code in fact["scaled_by"].items()]
    if scaled:
        say("\nNumbers whose scale depends on a code:")
        for line in scaled:
            say(line)
    if warnings:
        say("\nPlease look at:")
        for warning in warnings:
            say(f"  {warning}")
    if found.out is not None:
        say(f"\nThe schema, for you to correct: {found.out}")
