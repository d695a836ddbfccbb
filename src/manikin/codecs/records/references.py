"""Codes that name rows of tables of nobody: what is generated must be listed there. Knows no tokens of other columns.

A rolled-up code is released as the listed code of the same spelling, else as one of its frequent siblings that are listed; a code of the
training data that is not listed may be learned but is never generated. Combinations of several columns are checked when a row is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.levels import LevelCodec
from manikin.codecs.table import TableCodec
from manikin.data.cells import column_texts
from manikin.data.dataset import Table
from manikin.data.schema import Column, Form, Kind, Schema

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reference:
    """A foreign key to a table of nobody: its columns, and the rows that are listed, object (n_rows, n_columns) of cell texts."""

    columns: tuple[str, ...]
    listed: pd.MultiIndex

    def known(self, place: int) -> set[str]:
        """What is listed for one of its columns."""
        return set(self.listed.get_level_values(place))


def references_of(table: str, schema: Schema, tables: Mapping[str, Table]) -> tuple[Reference, ...]:
    """The foreign keys of a table of patients to tables of nobody, those of empty tables left out."""
    out = []
    for key in schema[table].foreign_keys:
        parent = schema[key.table]
        if parent.form is not Form.REFERENCE or not len(tables[parent.name]):
            continue
        cells = [column_texts(tables[parent.name], parent[name]) for name in key.references]
        out.append(Reference(key.columns, pd.MultiIndex.from_arrays(cells).unique()))
    return tuple(out)


def release_listed(codec: TableCodec, references: tuple[Reference, ...]) -> None:
    """Gives merged groups of codes a text that is listed, in place: their own, or those of their frequent siblings."""
    fields, columns = list(codec.fields_), list(codec.columns_)
    for reference in references:
        for place, name in enumerate(reference.columns):
            found = [i for i, column in enumerate(codec.schema_.learned) if column.name == name]
            own = columns[found[0]] if found else None
            if not isinstance(own, LevelCodec):
                continue
            made = _listed(own, reference.known(place), codec.schema_[name])
            columns[found[0]] = fields[codec.spans_[found[0]].start] = made
    codec.columns_, codec.fields_ = tuple(columns), tuple(fields)


def _listed(codec: LevelCodec, known: set[str], column: Column) -> LevelCodec:
    levels, siblings, released = list(codec.levels), dict(codec.siblings), list(codec.released)
    spelt: dict[str, str] = {}
    above: dict[int, set[str]] = {}
    if column.kind is Kind.CODE and column.code_system:
        from manikin.clinical.codes import code_system

        system = code_system(column.code_system)
        spelt = {system.normalise(text): text for text in sorted(known)}
        above = {i: {*system.ancestors(levels[i]), system.normalise(levels[i])} for i in range(codec.n_frequent)}
        named = {i: system.normalise(levels[i]) for i in released}
        for group, name in named.items():
            if name in spelt and spelt[name] not in levels:
                levels[group] = spelt[name]
            elif levels[group] not in known:
                released.remove(group)
                siblings[group] = tuple(i for i in range(codec.n_frequent) if name in above[i])
    listed = {group: tuple(i for i in options if levels[i] in known) for group, options in siblings.items()}
    siblings = {group: options for group, options in listed.items() if options}
    return replace(codec, levels=tuple(levels), siblings=siblings, released=tuple(released))


def listed_tokens(codec: LevelCodec, known: set[str]) -> Bools:
    """Which tokens may be generated: missing codes, groups, and frequent levels that are listed; all where none is. bool (n_tokens,)."""
    out = np.ones(codec.n_tokens, dtype=bool)
    out[codec.n_missing : codec.n_missing + codec.n_frequent] = [text in known for text in codec.levels[: codec.n_frequent]]
    return out if out[codec.n_missing :].any() else np.ones(codec.n_tokens, dtype=bool)


def settle(table: Table, references: tuple[Reference, ...], rng: np.random.Generator) -> Table:
    """Decoded rows whose codes are not listed together get those of another row; where no row is sound, they are left as they are."""
    frame, marks = table.frame, dict(table.marks)
    for reference in references:
        if not all(name in frame for name in reference.columns):
            continue
        names = list(reference.columns)
        missing = np.any([table.mark(name) > 0 for name in names], axis=0)
        if len(names) == 1:  # by level, not by row
            cells = frame[names[0]]
            known = np.append(pd.Index(cells.cat.categories.astype(str)).isin(reference.listed.get_level_values(0)), True)
            is_listed = known[cells.cat.codes.to_numpy()]
        else:
            is_listed = pd.MultiIndex.from_arrays([frame[name].astype(object) for name in names]).isin(reference.listed)
        lost, sound = np.flatnonzero(~missing & ~is_listed), np.flatnonzero(~missing & is_listed)
        if not len(lost) or not len(sound):
            continue
        rows = np.arange(len(frame))
        rows[lost] = sound[rng.integers(len(sound), size=len(lost))]
        frame = frame.assign(**{name: frame[name].take(rows).reset_index(drop=True) for name in names})
    return Table(frame, marks)
