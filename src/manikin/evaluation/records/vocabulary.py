"""What the sides of an evaluation of linked patients speak of: tables of events, codes, levels and measured numbers. Knows no metric.

- An *event* is a row of a table that may have several a patient. Its *code* is its cell in the table's code column: the column that its
  numbers are measured by, else its first column of kind code, else its first other categorical or ordinal one. A table without one has
  one code, its own name.
- *Marks* are all that a row says in levels: each discrete cell, and each code of a code set, not only the code.
- A *measure* is what a number means: its column, for each code apart where the column is measured `by` one; of a time it is the days since
  the row's start, so that of an interval's end it is the interval's length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Form, Kind, Role, Schema, TableSchema

MAX_LEVELS = 20_000  # of one column; one with more names things, not kinds of things
LABELS = ("label", "short_title", "concept_name", "display", "title", "long_title", "name", "description")  # of tables of reference
LABEL_LENGTH = 48


@dataclass(frozen=True, order=True)
class Item:
    """A level of a discrete column, or a table by itself (`column` and `level` are empty)."""

    table: str
    column: str = ""
    level: str = ""

    @property
    def text(self) -> str:
        """How it is called in a figure."""
        return self.level if self.column else self.table


@dataclass(frozen=True, order=True)
class Measure:
    """A number's column, of one code where it is measured by one."""

    table: str
    column: str
    code: str = ""

    @property
    def text(self) -> str:
        """How it is called in a figure."""
        return f"{self.code}: {self.column}" if self.code else f"{self.table}: {self.column}"


@dataclass(frozen=True)
class Vocabulary:
    """The tables that all sides have, and the items and measures that occur on any of them, sorted.

    `labels` has, by table and column, what a table of reference calls the codes.
    """

    tables: tuple[TableSchema, ...]
    items: tuple[Item, ...]
    measures: tuple[Measure, ...]
    labels: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def text(self, item: Item) -> str:
        """How an item is called: by the label that a table of reference gives its code, where it does."""
        return self.labels.get((item.table, item.column), {}).get(item.level, item.text)

    def code_text(self, measure: Measure) -> str:
        """How a measure's code is called; empty where it has none."""
        table = next(table for table in self.tables if table.name == measure.table)
        by = table[measure.column].by
        return self.labels.get((measure.table, by), {}).get(measure.code, measure.code) if by else measure.code

    @cached_property
    def item_number(self) -> Mapping[Item, int]:
        """The place of each item."""
        return {item: i for i, item in enumerate(self.items)}

    @cached_property
    def measure_number(self) -> Mapping[Measure, int]:
        """The place of each measure."""
        return {measure: i for i, measure in enumerate(self.measures)}


def tables_of_patients(schema: Schema) -> tuple[TableSchema, ...]:
    """The tables whose rows belong to patients, parents first, with references to one another alone: one to a vocabulary is a code."""
    made = schema.of_patients
    names = {table.name for table in made}
    return tuple(replace(t, foreign_keys=tuple(key for key in t.foreign_keys if key.table in names)) for t in made)


def labels_of(data: Dataset) -> dict[tuple[str, str], dict[str, str]]:
    """By table and column, what the table of reference that the column's codes stand in calls them; none where it has no such column."""
    made = {}
    for table in data.schema.of_patients:
        for key in table.foreign_keys:
            other = data.schema[key.table]
            named = [column.name for name in LABELS for column in other if column.name.lower() == name]
            if other.form is Form.REFERENCE and len(key.columns) == 1 and named and key.table in data.tables:
                frame = data.tables[key.table].frame
                codes, texts = (frame[name].astype(object).map(str, na_action="ignore") for name in (key.references[0], named[0]))
                held = (codes.notna() & texts.notna()).to_numpy()
                cut = (text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 1]}…" for text in texts[held])
                made[table.name, key.columns[0]] = dict(zip(codes[held], cut, strict=True))
    return made


def sequences(tables: Sequence[TableSchema]) -> tuple[TableSchema, ...]:
    """The tables whose rows are events."""
    return tuple(table for table in tables if table.form is not Form.STATIC and table.form is not Form.REFERENCE)


def discrete_columns(table: TableSchema) -> list[Column]:
    """The columns whose cells are marks: learned levels, codes and code sets, no keys."""
    keys = key_columns(table)
    return [c for c in table.learned if (c.kind.is_discrete or c.kind is Kind.CODE_SET) and c.name not in keys]


def number_columns(table: TableSchema) -> list[Column]:
    """The columns whose cells are measured: learned numbers and times, no keys and not the row's start."""
    skipped = {*key_columns(table), table.start}
    return [c for c in table.learned if (c.kind.is_number or c.kind.is_time) and c.name not in skipped]


def code_column(table: TableSchema) -> Column | None:
    """The column that says what an event is; None where the table has none."""
    columns = [column for column in discrete_columns(table) if column.kind is not Kind.CODE_SET]
    measured_by = [column.by for column in number_columns(table) if column.by is not None]
    named = [column for column in columns if column.name in measured_by]
    codes = [column for column in columns if column.kind is Kind.CODE]
    others = [column for column in columns if column.kind in (Kind.CATEGORICAL, Kind.ORDINAL)]
    chosen = (*named, *codes, *others)
    return chosen[0] if chosen else None


def key_columns(table: TableSchema) -> set[str]:
    """Columns that name rows: of the patient, of foreign keys, and a primary key of one column."""
    keys = {name for key in table.foreign_keys for name in key.columns}
    keys |= {column.name for column in table.with_role(Role.PATIENT_KEY)}
    return keys | ({table.primary_key[0]} if len(table.primary_key) == 1 else set())


def vocabulary(tables: Sequence[TableSchema], sides: Sequence[Dataset]) -> Vocabulary:
    """The items and measures that occur on any side."""
    items: set[Item] = set()
    measures: set[Measure] = set()
    for table in sequences(tables):
        if code_column(table) is None:
            items.add(Item(table.name))
        for column in discrete_columns(table):
            levels = _levels_of(sides, table, column)
            items.update(Item(table.name, column.name, level) for level in levels)
        for column in number_columns(table):
            if column.by is None or column.by not in table:
                measures.add(Measure(table.name, column.name))
            else:
                levels = _levels_of(sides, table, table[column.by])
                measures.update(Measure(table.name, column.name, level) for level in levels)
    return Vocabulary(tuple(tables), tuple(sorted(items)), tuple(sorted(measures)), labels_of(sides[0]))


def cells(series: pd.Series, column: Column) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
    """Row and level of each mark of a column, (n_marks,) as places, and the list of levels; a code set gives several marks a row."""
    if column.kind is Kind.CODE_SET:
        return _set_cells(series, column)
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, levels = series.cat.codes.to_numpy(), [str(level) for level in series.cat.categories]
    else:
        codes, found = pd.factorize(series.astype(object))
        levels = [str(level) for level in found]
    rows = np.flatnonzero(codes >= 0)
    return rows, codes[rows].astype(np.int64), levels


def _set_cells(series: pd.Series, column: Column) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
    codes, texts = pd.factorize(series.astype(object))
    parts = [sorted({part.strip() for part in str(text).split(column.separator or ";")} - {""}) for text in texts]
    levels = sorted({part for part_list in parts for part in part_list})
    place = {level: i for i, level in enumerate(levels)}
    sizes = np.array([len(part_list) for part_list in parts], dtype=np.int64)
    flat = np.array([place[part] for part_list in parts for part in part_list], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.flatnonzero(codes >= 0)
    n_each = sizes[codes[rows]] if len(rows) else np.empty(0, dtype=np.int64)
    within = np.arange(int(n_each.sum())) - np.repeat(np.cumsum(n_each) - n_each, n_each)
    return np.repeat(rows, n_each), flat[np.repeat(offsets[codes[rows]], n_each) + within], levels


def _levels_of(sides: Sequence[Dataset], table: TableSchema, column: Column) -> set[str]:
    """The levels that occur; none where they are too many to be kinds of things."""
    found: set[str] = set()
    for side in sides:
        _, places, levels = cells(side.tables[table.name].frame[column.name], column)
        found.update(levels[i] for i in np.unique(places))
    return found if len(found) <= MAX_LEVELS else set()


def lookup(levels: Sequence[str], numbers: Mapping[Any, int], named: Any) -> npt.NDArray[np.int32]:
    """The number of each level by `named(level)`, -1 where it has none; int32 (n_levels + 1,), the last -1."""
    return np.array([*(numbers.get(named(level), -1) for level in levels), -1], dtype=np.int32)
