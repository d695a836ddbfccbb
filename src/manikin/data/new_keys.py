"""Keys of linked tables made anew: no key of a real row is used again, and every reference leads where it led. Knows nothing of files.

Columns that refer to each other hold the same keys; together they are a *family*, whose keys are exchanged alike in all of its tables. A
reference to a table of nobody (a code of a vocabulary) is no key and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.links import NOWHERE, comparable, parent_rows
from manikin.data.schema import EMPTY, Column, Form, Kind, Role, Schema, TableSchema, is_left_out

Rows = npt.NDArray[np.int64]
Place = tuple[str, str]  # table and column
ROOM = 10**9  # keys in a row that no real one may be among: more than anybody makes
MOST = 2**62


@dataclass(frozen=True)
class Family:
    """Columns that hold the same keys, those of the tables that are referred to first, and the first number of keys made for them."""

    places: tuple[Place, ...]
    first: int = 1


def families(schema: Schema) -> tuple[Family, ...]:
    """The columns of each family of keys that are made anew, in the order of the tables, parents first.

    These are identifiers, patient keys, and keys that rows of patients are referred to by, whatever their kind. A part of a composite key
    that is learned (the number of a diagnosis within a visit) is none. Identifiers of people (`direct_identifier`) are left out instead.
    """
    tables = schema.of_patients
    names = {table.name for table in tables}
    places = [(table.name, column.name) for table in tables for column in table]
    same: dict[Place, Place] = {place: place for place in places}

    def root(place: Place) -> Place:
        """The column that stands for its family."""
        while same[place] != place:
            place = same[place]
        return place

    patients = [(table.name, column.name) for table in tables for column in table.with_role(Role.PATIENT_KEY)]
    pairs = list(pairwise(patients))
    given: set[Place] = set()  # by a table of nobody
    referred = set(patients)
    for table in tables:
        for key in table.foreign_keys:
            mine = [(table.name, column) for column in key.columns]
            if key.table not in names:
                given.update(mine)
                continue
            theirs = [(key.table, column) for column in key.references]
            pairs += zip(theirs, mine, strict=True)
            referred.update(theirs if len(theirs) == 1 else ())
    for one, other in pairs:
        same[root(other)] = root(one)
    groups: dict[Place, list[Place]] = {}
    for place in places:
        groups.setdefault(root(place), []).append(place)
    return tuple(
        Family(tuple(sorted(group, key=lambda place: not _is_primary(schema, place))))
        for group in groups.values()
        if not given & set(group) and any(place in referred or _is_identifier(schema, place) for place in group)
    )


def _is_primary(schema: Schema, place: Place) -> bool:
    table, column = place
    return schema[table].primary_key == (column,)


def _is_identifier(schema: Schema, place: Place) -> bool:
    column = schema[place[0]][place[1]]
    return column.kind is Kind.IDENTIFIER and not column.has_role(Role.DIRECT_IDENTIFIER)


def is_left_out_of(schema: Schema, table: TableSchema, column: Column) -> bool:
    """Whether a release leaves out a column of linked tables: keys stay, made anew, and tables of nobody stay whole."""
    if table.form is Form.REFERENCE or any((table.name, column.name) in family.places for family in families(schema)):
        return False
    return is_left_out(column)


def released_schema(schema: Schema) -> Schema:
    """The schema of what is made: without the columns that are left out; a reference that may lead nowhere can be empty."""
    kept = {place for family in families(schema) for place in family.places}
    names, of_patients = {table.name for table in schema.of_patients}, _patient_places(schema)
    tables = []
    for table in schema.tables:
        if table.form is Form.REFERENCE:
            tables.append(table)
            continue
        own = table.only([c.name for c in table if not is_left_out(c) or (table.name, c.name) in kept])
        for name in {name for key in own.foreign_keys if key.table in names for name in key.columns}:
            column = own[name]
            if not column.missing and (own.name, name) not in of_patients and name not in own.primary_key:
                own = own.replace_column(replace(column, missing=(EMPTY,)))
        tables.append(own)
    return Schema(tuple(tables))


def lost_references(before: Sequence[TableSchema], after: Sequence[TableSchema]) -> list[str]:
    """The foreign keys of tables of patients that other schemas of them lack, as "labs.caregiver to staff", in the order of tables."""
    tables = {table.name: table for table in after}
    return [
        f"{table.name}.{'+'.join(key.columns)} to {key.table}"
        for table in before
        if table.form is not Form.REFERENCE and table.name in tables
        for key in table.foreign_keys
        if key not in tables[table.name].foreign_keys
    ]


def above_real_keys(data: Dataset) -> tuple[Family, ...]:
    """The families of keys, with a first number behind which no real key of any family lies for a billion; it tells no more than that."""
    found = families(data.schema)
    cells = [pd.to_numeric(_cells(data, place), errors="coerce").to_numpy(dtype=float) for family in found for place in family.places]
    real = np.concatenate([*cells, np.zeros(0)])
    real = real[np.isfinite(real)]
    first = 1
    while first < MOST and ((real >= first) & (real < first + ROOM)).any():
        first *= 10
    return tuple(replace(family, first=min(first, MOST)) for family in found)


def renewed(
    data: Dataset, made: Sequence[Family], *, groups: Mapping[str, Rows] | None = None, used: Sequence[int] | None = None
) -> tuple[Dataset, list[int]]:
    """The data set with its keys made anew, in order of appearance.

    Parameters
    ----------
    groups : by table which copy each row is of, int64 (n_rows,): the same key in two copies becomes two keys. None for one copy.
    used : how many keys of each family have been made before, so that pieces of one release share none; none when None.

    Returns
    -------
    The data set, and how many keys of each family have been made so far. A reference to a row that is not of the same copy is emptied.
    """
    tables = {name: (table.frame.copy(), dict(table.marks)) for name, table in data.tables.items()}
    for (name, column), lost in _lost_references(data, groups):
        _empty(*tables[name], data.schema[name][column], lost)
    counts = list(used or [0] * len(made))
    for i, family in enumerate(made):
        parts = [comparable(tables[name][0][column]) for name, column in family.places]
        codes = pd.factorize(pd.concat(parts, ignore_index=True))[0].astype(np.int64)
        if groups is not None:
            copies = np.concatenate([groups[name] for name, _ in family.places])
            apart = copies * (int(codes.max(initial=0)) + 1) + codes
            codes = _dense(np.where(codes < 0, NOWHERE, apart))
        numbers = codes + family.first + counts[i]
        counts[i] += int(codes.max(initial=NOWHERE)) + 1
        ends = np.cumsum([len(part) for part in parts])[:-1]
        for (name, column), own, code in zip(family.places, np.split(numbers, ends), np.split(codes, ends), strict=True):
            frame = tables[name][0]
            frame[column] = _keys(own, code < 0, data.schema[name][column])
    return Dataset({name: Table(*parts) for name, parts in tables.items()}, data.schema, data.native), counts


def _dense(codes: Rows) -> Rows:
    """Numbers from 0 without a gap, in order of appearance; -1 stays."""
    there = codes >= 0
    out = np.full(len(codes), NOWHERE, dtype=np.int64)
    out[there] = pd.factorize(codes[there])[0]
    return out


def _lost_references(data: Dataset, groups: Mapping[str, Rows] | None) -> list[tuple[Place, npt.NDArray[np.bool_]]]:
    """Columns that can be emptied, with the rows whose reference leads to no row of the same patient, bool (n_rows,)."""
    found = []
    names = {table.name for table in data.schema.of_patients}
    of_patients = _patient_places(data.schema)
    for table in data.schema.of_patients:
        for number, key in enumerate(table.foreign_keys):
            if key.table not in names:
                continue
            able = [c for c in key.columns if (table.name, c) not in of_patients and _can_be_empty(table, table[c])]
            lost = parent_rows(data, table, number) < 0 if groups is None else _lost_of_copies(data, table, number, groups)
            if able and lost.any():
                found += [((table.name, column), lost) for column in able]
    return found


def _lost_of_copies(data: Dataset, table: TableSchema, number: int, groups: Mapping[str, Rows]) -> npt.NDArray[np.bool_]:
    """The rows whose parent is not among the rows of the same copy, bool (n_rows,)."""
    key = table.foreign_keys[number]
    parts = []
    for theirs, mine in zip(key.references, key.columns, strict=True):
        both = [comparable(data.tables[key.table].frame[theirs]), comparable(data.tables[table.name].frame[mine])]
        parts.append(pd.factorize(pd.concat(both, ignore_index=True))[0])
    codes = pd.DataFrame(dict(enumerate([*parts, np.concatenate([groups[key.table], groups[table.name]])])))
    has_all = (codes >= 0).all(axis=1).to_numpy()
    number_of = codes.groupby(list(codes.columns), sort=False).ngroup().to_numpy()
    n_parents = len(data.tables[key.table])
    there = np.unique(number_of[:n_parents][has_all[:n_parents]])
    out: npt.NDArray[np.bool_] = ~has_all[n_parents:] | ~np.isin(number_of[n_parents:], there)
    return out


def _can_be_empty(table: TableSchema, column: Column) -> bool:
    return bool(column.missing) and column.name not in table.primary_key


def _patient_places(schema: Schema) -> set[Place]:
    """Where the keys of patients stand, which are never emptied: a row without one would be nobody's."""
    keyed = {(table.name, column.name) for table in schema.of_patients for column in table.with_role(Role.PATIENT_KEY)}
    return {place for family in families(schema) if keyed & set(family.places) for place in family.places}


def _empty(frame: pd.DataFrame, marks: dict[str, npt.NDArray[np.int8]], column: Column, lost: npt.NDArray[np.bool_]) -> None:
    mark = marks.get(column.name, np.zeros(len(frame), dtype=np.int8)).copy()
    code = next((i for i, one in enumerate(column.missing, start=1) if one.value == ""), 1)
    mark[lost & (mark == 0)] = code
    marks[column.name] = mark
    frame[column.name] = frame[column.name].mask(lost)


def _cells(data: Dataset, place: Place) -> pd.Series:
    return comparable(data.tables[place[0]].frame[place[1]])


def _keys(numbers: Rows, is_empty: npt.NDArray[np.bool_], column: Column) -> Any:
    """Numbers as cells of a column of keys."""
    if column.kind.is_number:
        return np.where(is_empty, np.nan, numbers.astype(float))
    texts = pd.Series(numbers.astype(str), dtype=object)
    texts[is_empty] = None
    return pd.Categorical(texts) if column.kind.is_discrete else texts
