"""Looking at linked tables without learning: their forms, keys, times, how they refer to each other, what does not fit. Shows no cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset
from manikin.data.rare_values import code_books, quiet_columns, quiet_words
from manikin.data.schema import Form, Kind, Role, Schema, TableSchema, is_left_out
from manikin.io import linked
from manikin.io.linked.integrity import Link, histories, settled
from manikin.workflow.places import Place, name_of


@dataclass(frozen=True)
class InspectedTables:
    """What was found in linked tables. `notes` are of the folder; tables and columns have their own in the schema."""

    name: str
    data: Dataset
    links: tuple[Link, ...]
    notes: tuple[str, ...]
    out: Path | None

    @property
    def schema(self) -> Schema:
        """Of all tables."""
        return self.data.schema


def inspected(data: Dataset | None, source: Place, out: Path | None) -> InspectedTables:
    """Linked tables as they are seen: `data` where they were read already, else those of the folder `source`."""
    name = name_of(source)
    if data is None:
        found = linked.look(source)
        return InspectedTables(name, found.data, found.links, found.notes, out)
    data, links = settled(data, name)
    return InspectedTables(name, data, links, (), out)


def table_facts(found: InspectedTables) -> list[dict[str, Any]]:
    """Each table as plain values: form, rows, keys, times, rows per patient, and how many columns are of which kind."""
    rows = histories(found.data)
    return [_table_facts(table, found.data, rows[table.name].to_numpy() if table.name in rows else None) for table in found.schema.tables]


def _table_facts(table: TableSchema, data: Dataset, per_patient: Any) -> dict[str, Any]:
    keys = [column.name for column in table.with_role(Role.PATIENT_KEY)]
    counts = None
    if per_patient is not None and len(per_patient):
        with_rows = per_patient[per_patient > 0]
        counts = {
            "median": float(np.median(with_rows)) if len(with_rows) else 0.0,
            "most": int(per_patient.max()),
            "patients_with_none": int((per_patient == 0).sum()),
        }
    return {
        "name": table.name,
        "form": None if table.form is None else str(table.form),
        "rows": len(data.tables[table.name]),
        "patient_key": keys[0] if keys else None,
        "primary_key": list(table.primary_key),
        "start": table.start,
        "end": table.end,
        "rows_per_patient": counts,
        "scaled_by": {column.name: column.by for column in table if column.by is not None},
        "kinds": dict(Counter(str(column.kind) for column in table)),
        "rules": [{"kind": rule.kind, "text": rule.text, "confirmed": rule.confirmed} for rule in table.rules],
        "notes": list(table.notes),
    }


def link_facts(link: Link) -> dict[str, Any]:
    """A foreign key as plain values."""
    return {
        "table": link.table,
        "columns": list(link.columns),
        "refers_to": link.parent,
        "references": list(link.references),
        "cardinality": link.cardinality,
        "rows": link.n_rows,
        "orphans": link.n_orphans,
        "parents": link.n_parents,
        "parents_with_rows": link.n_with,
        "most_rows_of_a_parent": link.most,
    }


def table_lines(facts: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The tables as rows of texts: name, rows, form, time, primary key, rows per patient."""
    out: list[tuple[str, ...]] = []
    for fact in facts:
        time = " to ".join(part for part in (fact["start"], fact["end"]) if part)
        counts = fact["rows_per_patient"]
        per_patient = "" if counts is None else f"{counts['median']:g}, at most {counts['most']:,}"
        if counts is not None and counts["patients_with_none"]:
            per_patient += f" ({counts['patients_with_none']:,} patients with none)"
        out.append((fact["name"], f"{fact['rows']:,}", fact["form"] or "", time, ", ".join(fact["primary_key"]), per_patient))
    return out


def link_lines(links: Sequence[Link]) -> list[tuple[str, ...]]:
    """The foreign keys as rows of texts: from, to, cardinality, rows that match."""
    out: list[tuple[str, ...]] = []
    for link in links:
        child, parent = f"{link.table}.{'+'.join(link.columns)}", f"{link.parent}.{'+'.join(link.references)}"
        match = f"{link.n_rows - link.n_orphans:,} of {link.n_rows:,} rows match"
        out.append((child, parent, link.cardinality, match + (f"; {link.n_orphans:,} orphans" if link.n_orphans else "")))
    return out


def warnings_of_tables(found: InspectedTables) -> list[str]:
    """What a person should look at: notes of the folder, columns left out, missing codes to confirm, unconfirmed rules, tables of none."""
    out = list(found.notes)
    for table in found.schema.tables:
        if table.form is Form.REFERENCE:
            continue
        left = [c.name for c in table if is_left_out(c) and not c.has_role(Role.PATIENT_KEY)]
        if left:
            out.append(f"{table.name}: left out of the release, being free text or direct identifiers: {', '.join(left)}.")
        for column in table:
            if column.suggested_missing:
                codes = ", ".join(f"{code.value!r} ({code.meaning})" for code in column.suggested_missing)
                out.append(f"{table.name}.{column.name}: {codes} may stand for no value; confirm in the schema.")
        names = [c.name for c in table if c.kind is Kind.IDENTIFIER and not _is_key(c.name, table) and not is_left_out(c)]
        if names:
            out.append(f"{table.name}: numbers or names of rows that refer to no table here, not learned: {', '.join(names)}.")
        out += [f"{table.name}: {note}" for note in table.notes if note.startswith("Other times") or "UTC" in note]
    books = code_books(found.data)
    if books:
        options = " ".join(f"--public {table}.{column}" for table, column, _ in books)
        n_rare, n_values = (sum(getattr(counts, field) for *_, counts in books) for field in ("n_rare", "n_values"))
        share = sum(counts.n_rare_cells for *_, counts in books) / max(sum(counts.n_cells for *_, counts in books), 1)
        out.append(
            f"{n_rare:,} of {n_values:,} codes are held by too few patients to be shown ({share:.0%} of the cells with a code): a row "
            f"about one is left out, or it is released as its group. Where the list of all codes is public knowledge, every code may "
            f"come, and tells then that somebody in the data has it (not for few patients): {options}"
        )
    out += quiet_words(quiet_columns(found.data), min(table.min_patients for table in found.schema.tables))
    waiting = sum(not rule.confirmed for table in found.schema.tables for rule in table.rules)
    if waiting:
        out.append(f"{waiting} rules found; set confirmed = true in the schema for those that always hold.")
    return out


def _is_key(name: str, table: TableSchema) -> bool:
    referring = {column for key in table.foreign_keys for column in key.columns}
    return name in table.primary_key or name in referring or table[name].has_role(Role.PATIENT_KEY)
