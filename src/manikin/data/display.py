"""How schemas and data sets show themselves in a notebook: what is in them, never a patient's row; of images a few, small."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from manikin.data.dataset import Dataset
from manikin.data.schema import ImageForm, Schema
from manikin.data.thumbnails import png, strip

SHOWN, THUMBNAIL = 10, 64  # images, and pixels of a thumbnail's longer side


def schema_html(schema: Schema) -> str:
    """An HTML table of every column with its kind, roles and what else is known."""
    return "".join(f"<p><b>{escape(table.name)}</b></p>{_columns_html(schema, table.name)}" for table in schema.tables)


def dataset_html(data: Dataset) -> str:
    """Sizes, columns, and of images a strip of the first; cells are not shown, since a notebook is easily shared."""
    sizes = "".join(
        f"<p><b>{escape(name)}</b>: {len(table)} rows, {table.frame.shape[1]} columns</p>"
        for name, table in data.tables.items()
    )
    return sizes + "".join(_columns_html(data.schema, name) for name in data.tables) + _strips_html(data)


def _strips_html(data: Dataset) -> str:
    """The first images of each column of images as thumbnails; empty for tables."""
    if data.modality != "images":
        return ""
    found = []
    for column in data.columns.images:
        sheet = strip(data.table.images[column.name], column.image or ImageForm(), n=SHOWN, most=THUMBNAIL)
        picture = b64encode(png(sheet)).decode("ascii")
        size = f'width="{2 * sheet.shape[2]}" style="image-rendering:pixelated;max-width:100%"' if sheet.shape[1] <= THUMBNAIL // 2 else ""
        found.append(
            f'<p><b>{escape(column.name)}</b>, the first {min(SHOWN, len(data))}:<br>'
            f'<img alt="thumbnails" {size} src="data:image/png;base64,{picture}"></p>'
        )
    return "".join(found)


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
