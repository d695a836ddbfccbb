"""How schemas and data sets show themselves in a notebook: what is in them, never a patient's row."""

from __future__ import annotations

from html import escape

from manikin.data.dataset import Dataset
from manikin.data.schema import Schema


def schema_html(schema: Schema) -> str:
    """An HTML table of every column with its kind, roles and what else is known."""
    return "".join(f"<p><b>{escape(table.name)}</b></p>{_columns_html(schema, table.name)}" for table in schema.tables)


def dataset_html(data: Dataset) -> str:
    """Sizes and columns; cells are not shown, since a notebook is easily shared."""
    sizes = "".join(
        f"<p><b>{escape(name)}</b>: {len(table)} rows, {table.frame.shape[1]} columns</p>"
        for name, table in data.tables.items()
    )
    return sizes + "".join(_columns_html(data.schema, name) for name in data.tables)


def _columns_html(schema: Schema, name: str) -> str:
    head = "".join(f"<th>{title}</th>" for title in ("column", "kind", "roles", "levels or range", "missing codes"))
    rows = []
    for column in schema[name]:
        span = f"{len(column.levels)} levels" if column.levels is not None else ""
        if column.minimum is not None or column.maximum is not None:
            span = f"{column.minimum} … {column.maximum}"
        codes = ", ".join("empty" if code.value == "" else code.value for code in column.missing)
        cells = (column.name, str(column.kind), ", ".join(column.roles), span, codes)
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
