"""How large linked tables are, as numbers and in words. Counts and names only."""

from __future__ import annotations

from collections.abc import Mapping

from manikin.data.dataset import Dataset
from manikin.data.schema import Form


def sizes(data: Dataset) -> dict[str, int]:
    """Rows of each table of patients."""
    return {table.name: len(data.tables[table.name]) for table in data.schema.of_patients}


def size_words(data: Dataset) -> str:
    """`100 patients, 103,212 rows in 16 tables (and 4 tables of codes)`."""
    rows = sizes(data)
    n_nobody = sum(table.form is Form.REFERENCE for table in data.schema.tables)
    of_nobody = f" (and {n_nobody} table{'s' if n_nobody > 1 else ''} of nobody)" if n_nobody else ""
    return f"{len(data):,} patients, {sum(rows.values()):,} rows in {len(rows)} table{'s' if len(rows) != 1 else ''}{of_nobody}"


def parts_of_run(parts: Mapping[str, Dataset]) -> dict[str, dict[str, int]]:
    """Rows of each table by part, for results.json: {"stays": {"train": 80, …}, …}."""
    out: dict[str, dict[str, int]] = {}
    for part, data in parts.items():
        for name, n in sizes(data).items():
            out.setdefault(name, {})[part] = n
    return out
