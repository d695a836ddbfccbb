"""The schema that leaves with a release: what a person declared public, and what the released rows themselves show. Knows no real row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.schema import DEFAULT_MIN_PATIENTS, Column, ImageForm, Role, Schema, Source, Sources, TableSchema

PUBLIC_HEADER = """\
The columns of these synthetic rows. Levels, ranges, decimals and missing codes are those that occur in the released rows, or were declared
public knowledge (source = "declared"); none was taken from a patient's row.
"""
BYTES = (0.0, 255.0)
KEPT_ROLES = (Role.PATIENT_KEY, Role.QUASI_IDENTIFIER, Role.SENSITIVE, Role.TARGET, Role.TIME, Role.EVENT)


def public_schema(release: Dataset) -> Schema:
    """The schema of a release: declared facts stay; levels, ranges, decimals and missing codes are those that occur in it.

    Rules, notes and suggestions go, since they were learned from real rows. How linked tables refer to each other stays.
    """
    if release.is_linked:
        tables = (replace(_public_table(release.tables[table.name], table), name=table.name) for table in release.schema.tables)
        return Schema(tuple(tables))
    return Schema((replace(_public_table(release.table, release.columns), name="synthetic"),))


def _public_table(rows: Table, table: TableSchema) -> TableSchema:
    columns = tuple(_public(rows, column) for column in table)
    return replace(table, columns=columns, rules=(), notes=(), min_patients=DEFAULT_MIN_PATIENTS)


def _public(rows: Table, column: Column) -> Column:
    series = rows.frame[column.name]
    seen = {int(i) for i in np.unique(rows.mark(column.name)) if i > 0}
    missing = tuple(code for i, code in enumerate(column.missing, start=1) if i in seen or code.source is Source.DECLARED)
    roles = tuple(role for role in column.roles if role in KEPT_ROLES)
    public = Column(
        column.name,
        column.kind,
        column.storage,
        roles=roles,
        unit=column.unit,
        code_system=column.code_system,
        separator=column.separator,
        time_format=column.time_format,
        significant=column.significant,
        missing=missing,
        by=column.by,
        image=shown_form(rows, column),
        source=Sources(range=column.source.range, levels=column.source.levels),
    )
    return _with_levels(public, column, series) if column.levels is not None else _with_range(public, column, series)


def shown_form(rows: Table, column: Column) -> ImageForm | None:
    """What the images have in common, with the range of the released pixels unless it is declared, or that of every picture of bytes."""
    form = column.image
    if form is None or column.source.range is Source.DECLARED or (form.is_whole and (form.lowest, form.highest) == BYTES):
        return form
    images = rows.images[column.name]
    low, high = np.inf, -np.inf
    for row in np.flatnonzero(images.present):
        pixels = images.image(int(row))
        values = pixels[np.isfinite(pixels)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not low < high:  # one value, or none
        low, high = (low, low + 1) if np.isfinite(low) else BYTES
    return replace(form, lowest=low, highest=high)


def _with_levels(public: Column, column: Column, series: pd.Series) -> Column:
    if column.has_public_levels:
        return replace(public, levels=column.levels)
    seen = set(map(str, pd.unique(series.dropna())))
    return replace(public, levels=tuple(level for level in column.levels or () if level in seen))


def _with_range(public: Column, column: Column, series: pd.Series) -> Column:
    low: float | str | None = None
    high: float | str | None = None
    if column.kind.is_number:
        values = series.to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        public = replace(public, decimals=_decimals(values, column))
        if len(values):
            low, high = float(values.min()), float(values.max())
    elif column.kind.is_time and series.notna().any():
        low, high = str(series.min()), str(series.max())
    if column.source.range is Source.DECLARED:
        low, high = column.minimum, column.maximum
    return replace(public, minimum=low, maximum=high)


def _decimals(values: np.ndarray[tuple[int], np.dtype[np.float64]], column: Column) -> int | None:
    """Most decimals that the released numbers have, at most those of the column."""
    if column.decimals is None:
        return None
    return next((d for d in range(column.decimals) if np.allclose(np.round(values, d), values, rtol=0, atol=1e-12)), column.decimals)
