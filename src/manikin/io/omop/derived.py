"""Columns of the CDM that another one says already: the day of a datetime, the parts of a birth date. Knows no files.

They are left out of what is read, so that nothing generated can contradict itself, and are made again when the table is written.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Marks, Table
from manikin.data.schema import EMPTY, Column, Kind, Role, Storage, TableSchema
from manikin.io.omop.cdm54 import CdmTable, CdmType

ALSO, ONLY = "Also written as", "Written only as"
_WRITTEN = re.compile(rf"(?P<how>{ALSO}|{ONLY}) (?P<names>[^.]+)\.")
BIRTH = ("year_of_birth", "month_of_birth", "day_of_birth")
CLOCK = "%H:%M:%S"


def source_of(cdm: CdmTable, name: str) -> str | None:
    """The column of the CDM that says all that a column does; None where none does."""
    if name in BIRTH and cdm.name == "person":
        return "birth_datetime"
    if name == "measurement_time":
        return "measurement_datetime"
    known = cdm.get(name)
    wide = name.removesuffix("_date") + "_datetime"
    return wide if known is not None and known.type is CdmType.DATE and cdm.get(wide) is not None else None


def settled(table: Table, schema: TableSchema, cdm: CdmTable) -> tuple[Table, TableSchema]:
    """The table without the columns that others say, which keep a note of it; a birth date is put together from its parts."""
    if not len(table):
        return table, schema
    spelled = {column.name.lower(): column.name for column in schema}
    table, schema, born = _with_birth(table, schema, spelled) if cdm.name == "person" else (table, schema, ())
    said: dict[str, list[str]] = {}
    for name, own in spelled.items():
        wide = spelled.get(source_of(cdm, name) or "")
        if own not in born and wide is not None and _agree(table, schema[own], schema[wide], name):
            said.setdefault(wide, []).append(own)
    gone = {name for names in said.values() for name in names} | set(born)
    for wide, names in said.items():
        schema = schema.replace_column(_noted(schema[wide], ALSO, names))
    kept = [name for name in schema.names if name not in gone]
    return table.only(kept), schema.only(kept)


def _noted(column: Column, how: str, names: list[str]) -> Column:
    return replace(column, notes=(*column.notes, f"{how} {', '.join(names)}."))


def _agree(table: Table, narrow: Column, wide: Column, name: str) -> bool:
    """Whether a column says nothing that the wider one does not, and would be written as it stood."""
    if not wide.kind.is_time or any(code.value for code in (*narrow.missing, *wide.missing)):
        return False
    times = table.frame[wide.name]
    if name.endswith("_date") and narrow.kind is Kind.DATE and narrow.time_format in (None, "%Y-%m-%d"):
        return bool((table.frame[narrow.name].fillna(pd.Timestamp(0)) == times.dt.floor("D").fillna(pd.Timestamp(0))).all())
    if times.isna().any() or narrow.missing:
        return False
    if narrow.kind.is_number:
        return bool((table.frame[narrow.name].to_numpy() == _part(times, name)).all())
    cells = table.frame[narrow.name].astype(object)
    return name == "measurement_time" and bool((cells == times.dt.strftime(CLOCK)).all())


def _part(times: pd.Series, name: str) -> Any:
    """Year, month or day of times, int (n_rows,)."""
    return getattr(times.dt, name.split("_")[0]).to_numpy()


def _with_birth(table: Table, schema: TableSchema, spelled: dict[str, str]) -> tuple[Table, TableSchema, tuple[str, ...]]:
    """The birth date from year, month and day, as far as they are told in every row, where there is none; and the columns it stands for."""
    wide = spelled.get("birth_datetime")
    if wide is not None and table.frame[wide].notna().any():
        return table, schema, ()
    parts = []
    for name in BIRTH:
        column = schema[spelled[name]] if name in spelled else None
        if column is None or not column.kind.is_number or column.missing:
            break
        parts.append(column.name)
    if not parts:
        return table, schema, ()
    texts = table.frame[parts].astype(int).assign(**dict.fromkeys(BIRTH[len(parts):], 1))
    texts.columns = pd.Index(["year", "month", "day"])
    born = pd.to_datetime(texts, errors="coerce")
    if born.isna().any():
        return table, schema, ()
    name = wide or ("BIRTH_DATETIME" if parts[0].isupper() else "birth_datetime")
    bounds = (str(born.min().date()), str(born.max().date()))
    storage = Storage.TIMESTAMP if schema[parts[0]].storage is not Storage.TEXT else Storage.TEXT
    made = _noted(
        Column(name, Kind.DATE, storage, (Role.QUASI_IDENTIFIER, Role.BIRTH), minimum=bounds[0], maximum=bounds[1], missing=()), ONLY, parts
    )
    place = schema.names.index(parts[-1]) + 1
    old = [column for column in schema if column.name != name]
    place -= sum(column.name == name for column in schema.columns[:place])
    columns = (*old[:place], made, *old[place:])
    frame = table.frame.drop(columns=[name], errors="ignore").assign(**{name: born.astype("datetime64[us]")})
    marks = {key: mark for key, mark in table.marks.items() if key != name}
    made_table = Table(frame[[column.name for column in columns]], marks)
    return made_table, replace(schema, columns=columns), tuple(parts)


def completed(table: Table, schema: TableSchema, cdm: CdmTable, asked: Collection[str] = ()) -> tuple[Table, TableSchema]:
    """The table as it is written: with the columns that were left out because others say them, and all that the CDM requires.

    Parameters
    ----------
    asked : the columns of the file that it is to be like; what others say of them is made, too. Without them, and without the notes of a
        table that was read, every day and every part of a birth date is made.
    """
    frame: dict[str, Any] = {}
    marks: dict[str, Marks] = {}
    columns: list[Column] = []
    there = {name.lower() for name in schema.names}
    for column in schema:
        wanted, is_itself = _wanted(column, cdm, there, asked)
        before = [_made(table, column, name) for name in wanted if name.lower() != "measurement_time"]
        after = [_made(table, column, name) for name in wanted if name.lower() == "measurement_time"]
        itself = [(column, table.frame[column.name], table.mark(column.name))] if is_itself else []
        for described, cells, mark in (*before, *itself, *after):
            columns.append(described)
            frame[described.name] = cells
            if mark.any():
                marks[described.name] = mark
    made = Table(pd.DataFrame(frame, index=pd.RangeIndex(len(table))), marks)
    return made, replace(schema, columns=tuple(columns), rules=())


def _wanted(column: Column, cdm: CdmTable, there: set[str], asked: Collection[str]) -> tuple[list[str], bool]:
    """The columns to make from one, and whether it is written itself."""
    if not column.kind.is_time:
        return [], True
    own = [name for name in asked if name.lower() not in there and source_of(cdm, name.lower()) == column.name.lower()]
    if asked and (own or column.name in asked):
        made = {name.lower() for name in own}
        own += [known.name for known in cdm if known.is_required and known.name not in made | there and _says(cdm, known.name, column)]
        return own, column.name in asked
    for note in column.notes:
        found = _WRITTEN.fullmatch(note)
        if found:
            names = [name for name in found["names"].split(", ") if source_of(cdm, name.lower()) == column.name.lower()]
            return [name for name in names if name.lower() not in there], found["how"] == ALSO
    said = [known.name for known in cdm if _says(cdm, known.name, column) and known.name != "measurement_time"]
    own = [name.upper() if column.name.isupper() else name for name in said if name not in there]
    return own, True


def _says(cdm: CdmTable, name: str, column: Column) -> bool:
    return source_of(cdm, name) == column.name.lower()


def _made(table: Table, column: Column, name: str) -> tuple[Column, Any, Marks]:
    times, mark = table.frame[column.name], table.mark(column.name)
    missing = tuple(replace(EMPTY) for _ in column.missing)
    if name.lower().endswith("_date"):
        return Column(name, Kind.DATE, column.storage, missing=missing, time_format="%Y-%m-%d"), times.dt.floor("D"), mark
    if name.lower() == "measurement_time":
        cells = times.dt.strftime(CLOCK).astype(object).where(mark == 0, None)
        return Column(name, Kind.CATEGORICAL, missing=missing), cells, mark
    numbers = _part(times, name.lower()).astype(float)
    return Column(name, Kind.COUNT, Storage.INTEGER, decimals=0, missing=missing), np.where(mark > 0, np.nan, numbers), mark
