"""Infers a table's schema from its cells: kinds, resolution, missing codes, roles and rules. Everything it finds is a proposal.

Knows no files: `tabular` hands it profiles, or a frame of texts or of native types. Facts it learns are marked as learned from data.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from manikin.clinical.plausibility import plausible_range
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.rare_values import has_code_book, rare_values
from manikin.data.schema import Column, Kind, Role, Schema, Storage, TableSchema
from manikin.io.frames import profiles_of_frame
from manikin.io.identifiers import direct_identifier, is_identifier, patient_key
from manikin.io.kinds import describe
from manikin.io.profiles import EXACT, Profile
from manikin.io.roles import roles_of
from manikin.io.rule_discovery import discover
from manikin.io.typed import table_of

MANY_LEVELS = 1000
CODE_BOOK = "is a published code book: if every code may be released, write"  # marks the note that a yes makes void
DECLARE = 'source = { levels = "declared" }'


def infer_schema(frame: pd.DataFrame, name: str = "table") -> Schema:
    """The schema of a frame of texts or of native types.

    Parameters
    ----------
    frame : (n_rows, n_columns); a column of str is read as cell texts ("" is the empty cell), any other by its type.
    name : the table's name.

    Raises
    ------
    DataError : no rows, no columns, or double names.
    """
    return infer_from_profiles(profiles_of_frame(frame, f"The table {name!r}"), name)[0]


def infer_from_profiles(profiles: list[Profile], name: str, notes: tuple[str, ...] = ()) -> tuple[Schema, Table]:
    """The schema of profiled columns, and their typed cells."""
    columns = {profile.name: describe(profile) for profile in profiles}
    key = patient_key(profiles, columns)
    identified = [identify(profile, columns[profile.name], key) for profile in profiles]
    schema, table = settle(profiles, identified, TableSchema(name, (), notes=notes))
    return Schema((schema,)), table


def settle(profiles: list[Profile], columns: list[Column], like: TableSchema) -> tuple[TableSchema, Table]:
    """The schema of one table whose kinds and keys are decided, with the roles, notes and rules that follow, and its typed cells.

    Parameters
    ----------
    columns : of the profiles, in their order.
    like : the table's name, and what else is known of it already; its columns and rules are exchanged.
    """
    roles = roles_of(columns)
    described = [_with_roles(column, roles[column.name]) for column in columns]
    described = [_with_notes(profile, column) for profile, column in zip(profiles, described, strict=True)]
    schema = replace(like, columns=tuple(described), rules=(), notes=like.notes + _table_notes(profiles, described))
    table = table_of(profiles, schema, f"The table {like.name!r}")
    schema = _with_code_books(flat(table, schema))
    return replace(schema, rules=discover(table, schema)), table


def identify(profile: Profile, column: Column, key: str | None) -> Column:
    """The column as the patient key, as a direct identifier or as a name of rows, where it is one; `key` is the patient key's name."""
    finding = direct_identifier(profile, column)
    if profile.name == key:
        return as_identifier(
            profile, column, (Role.PATIENT_KEY,), "Says which rows are the same patient's; made anew in a release."
        )
    if finding is not None:
        kept = column if column.kind.is_time else as_identifier(profile, column, (), "")
        return replace(kept, roles=(*kept.roles, Role.DIRECT_IDENTIFIER), notes=(*column.notes, finding.note))
    if is_identifier(profile, column):
        return as_identifier(profile, column, (), "Numbers or names rows: nothing to learn from; not learned.")
    return column


def as_identifier(profile: Profile, column: Column, roles: tuple[Role, ...], note: str) -> Column:
    """An identifier's cells are texts, whatever they look like; numbers too long for a float64 are also stored as texts."""
    is_long = column.storage in (Storage.INTEGER, Storage.REAL) and bool(
        np.nanmax(np.abs(profile.numbers), initial=0.0) >= EXACT
    )
    return Column(
        column.name,
        Kind.IDENTIFIER,
        Storage.TEXT if is_long else column.storage,
        roles=roles,
        missing=column.missing,
        notes=(note,) if note else (),
    )


def _with_roles(column: Column, roles: tuple[Role, ...]) -> Column:
    added = tuple(role for role in roles if role not in column.roles)
    return replace(column, roles=(*column.roles, *added))


def _with_notes(profile: Profile, column: Column) -> Column:
    notes = column.notes
    if profile.n_distinct == 1 and profile.n_present == profile.n_rows:
        notes += ("Every row holds the same value; the column is kept and copied.",)
    if column.kind.is_discrete and profile.n_distinct > MANY_LEVELS and column.code_system is None:
        notes += (
            f"{profile.n_distinct:,} levels: most are too rare to be released; they fall back to a parent or to a merged group.",
        )
    notes += _implausible(profile, column)
    return replace(column, notes=notes)


def _with_code_books(data: Dataset) -> TableSchema:
    """The schema with a note at each column of codes some of which few patients hold: what becomes of them, and what a person may say."""
    schema = data.columns
    for column in schema:
        if not has_code_book(column):
            continue
        rare = rare_values(data, column)
        if rare.n_rare:
            held = f"{rare.n_rare:,} of {rare.n_values:,} codes are held by fewer than {rare.min_patients} patients"
            what = f"{held} ({rare.share:.1%} of the cells); they are released as their group."
            note = f"{what} {column.code_system} {CODE_BOOK} {DECLARE}."
            schema = schema.replace_column(replace(column, notes=(*column.notes, note)))
    return schema


def without_code_book_note(column: Column) -> Column:
    """The column without the note that asks whether its code book is public, once that is answered."""
    return replace(column, notes=tuple(note for note in column.notes if CODE_BOOK not in note))


def _implausible(profile: Profile, column: Column) -> tuple[str, ...]:
    """How many cells lie where no living person's value does, for vitals whose name is plain; sentinels that were suggested apart."""
    if not column.kind.is_number:
        return ()
    suggested = {code.value for code in column.suggested_missing}
    is_value = ~np.isnan(profile.numbers) & np.array([text not in suggested for text in profile.texts], dtype=bool)
    numbers, counts = profile.numbers[is_value], profile.counts[is_value]
    order = np.argsort(numbers)
    if not len(order):
        return ()
    median = float(numbers[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)])
    known = plausible_range(profile.name, median=median)
    n_outside = int(counts[(numbers < known.minimum) | (numbers > known.maximum)].sum()) if known else 0
    if known is None or n_outside == 0:
        return ()
    source = f"{known.citation.authors} {known.citation.year}" if known.citation.year else known.citation.authors
    what = f"Cells outside {known.minimum:g} to {known.maximum:g} {known.unit}, which a {known.quantity} cannot be ({source})"
    return (f"{what}: {n_outside:,}. They are kept as they are.",)


def _table_notes(profiles: list[Profile], columns: list[Column]) -> tuple[str, ...]:
    notes: list[str] = []
    left_out = [column.name for column in columns if column.has_role(Role.DIRECT_IDENTIFIER)]
    if left_out:
        notes.append(f"Direct identifiers, left out of a release: {', '.join(left_out)}.")
    if profiles[0].n_rows == 1:
        notes.append("There is one row: nothing can be learned from it.")
    return tuple(notes)
