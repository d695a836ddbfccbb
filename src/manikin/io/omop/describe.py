"""What the columns of an OMOP table hold: kinds as the CDM declares them, ranges and levels as they are found. Knows no files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from manikin.clinical.codes import recognise
from manikin.data.cells import HEADER_LINES, parse_times
from manikin.data.errors import DataError
from manikin.data.schema import EMPTY, Column, ForeignKey, Form, Kind, MissingCode, Role, Source, Sources, Storage, TableSchema
from manikin.io import missing_codes, resolution
from manikin.io.column_names import word_set
from manikin.io.identifiers import direct_identifier, is_identifier
from manikin.io.kinds import describe
from manikin.io.omop.cdm54 import BY_NAME, HINTS, IDENTIFIES, SAYS_WHO, UNTRACED, CdmColumn, CdmTable, CdmType, referred
from manikin.io.profiles import EXACT, Profile, profile_typed

MAX_LISTED_LEVELS = 200  # longer lists of levels are left to the codec
DECLARED = Sources(kind=Source.DECLARED)
_WHOLE = re.compile(r"\s*[-+]?\d+(\.0*)?\s*")
QUASI = word_set(
    "gender_concept_id gender_source_value race_concept_id race_source_value ethnicity_concept_id ethnicity_source_value year_of_birth "
    "month_of_birth day_of_birth birth_datetime location_id death_date death_datetime"
)


@dataclass(frozen=True)
class Place:
    """How the source spells a table and its key."""

    table: str
    key: str | None


@dataclass(frozen=True)
class Described:
    """A table's schema, and the profiles of the columns that it names."""

    schema: TableSchema
    profiles: list[Profile]


def describe_table(cdm: CdmTable, name: str, profiles: list[Profile], places: Mapping[str, Place], where: str) -> Described:
    """The schema of a table.

    Parameters
    ----------
    name, profiles : as the source spells them.
    places : each table that is there, by the CDM's name.
    where : how messages call the table.

    Raises
    ------
    DataError : a cell is not what the CDM says that it is; the message names column and row.
    """
    columns: list[Column] = []
    kept: list[Profile] = []
    keys: list[ForeignKey] = []
    gone: dict[str, list[str]] = {}
    spelled = {profile.name.lower(): profile.name for profile in profiles}
    for profile in profiles:
        known = cdm.get(profile.name.lower())
        reason = _why_left_out(cdm, profile, places)
        if reason is not None:
            gone.setdefault(reason, []).append(profile.name)
            continue
        if known is not None and known.type is CdmType.INTEGER:
            profile = as_whole_numbers(profile, where)
        column = _described(cdm, known, profile, places, where)
        is_made = profile.n_present > 0 or profile.n_rows == 0
        other = referred(cdm, profile.name.lower()) if is_made else None
        place = places.get(str(other))
        if place is not None and place.key is not None:
            keys.append(ForeignKey((profile.name,), place.table, (place.key,)))
        columns.append(column)
        kept.append(profile)
    notes = tuple(f"Left out, {reason}: {', '.join(map(repr, left))}." for reason, left in gone.items())
    schema = TableSchema(
        name,
        tuple(columns),
        notes=notes,
        form=cdm.form,
        primary_key=(spelled[cdm.primary_key],) if cdm.primary_key in spelled else (),
        foreign_keys=tuple(keys),
    )
    return Described(_with_subject(cdm, schema, kept), kept)


def _why_left_out(cdm: CdmTable, profile: Profile, places: Mapping[str, Place]) -> str | None:
    name = profile.name.lower()
    if name in SAYS_WHO.get(cdm.name, ()):
        return "since the table is given back as it is and they tell homes or names"
    if not profile.n_present:
        return None
    if name in UNTRACED:
        return "since it names a row of a table that another column says"
    other = referred(cdm, name)
    if other is not None and other not in places and BY_NAME[other].patient_key is not None:
        return f"since there is no table {other!r}"
    return None


def _described(cdm: CdmTable, known: CdmColumn | None, profile: Profile, places: Mapping[str, Place], where: str) -> Column:
    name = profile.name.lower()
    if known is not None and name in (cdm.primary_key, cdm.patient_key):
        roles = (Role.PATIENT_KEY,) if name == cdm.patient_key else ()
        return _identifier(profile, roles)
    if profile.n_rows and not profile.n_present:
        return describe(profile)  # stays empty
    if known is None:
        return _coded(profile) if name.endswith("_concept_id") else _of_the_site(profile)
    column = _of_the_cdm(cdm, known, profile, places, where)
    if cdm.name in ("person", "death") and name in QUASI:
        column = replace(column, roles=(*column.roles, Role.QUASI_IDENTIFIER))
    if name == "birth_datetime":
        column = replace(column, roles=(*column.roles, Role.BIRTH))
    return column


def _of_the_cdm(cdm: CdmTable, known: CdmColumn, profile: Profile, places: Mapping[str, Place], where: str) -> Column:
    other = referred(cdm, known.name)
    if known.type is CdmType.INTEGER:
        if other in places and BY_NAME[str(other)].patient_key is not None:
            return _identifier(profile, ())
        return _coded(profile) if known.is_concept or other is not None else number_column(profile, where)
    if known.type is CdmType.NUMERIC:
        return number_column(profile, where)
    if known.type in (CdmType.DATE, CdmType.DATETIME):
        return time_column(profile, where)
    if known.name in IDENTIFIES:
        return _identifier(profile, (Role.DIRECT_IDENTIFIER,))
    return _text(profile, is_code=known.name.endswith("_source_value"))


def _empties(profile: Profile) -> tuple[MissingCode, ...]:
    """The missing codes of a column: the empty cell, and words for no value such as NULL."""
    empty = (EMPTY,) if profile.n_present < profile.n_rows else ()
    if profile.storage is not Storage.TEXT:
        return empty
    words = [(str(text), missing_codes.word_meaning(str(text))) for text in profile.texts[profile.is_present]]
    return empty + tuple(MissingCode(text, meaning) for text, meaning in words if meaning is not None)


def _identifier(profile: Profile, roles: tuple[Role, ...]) -> Column:
    return Column(profile.name, Kind.IDENTIFIER, profile.storage, roles, missing=_empties(profile), source=DECLARED)


def _coded(profile: Profile) -> Column:
    """A column of concept ids, or of ids of a reference table."""
    return Column(profile.name, Kind.CODE, profile.storage, missing=_empties(profile), source=DECLARED)


def _text(profile: Profile, *, is_code: bool) -> Column:
    """Texts of the source: its codes, levels, or prose; never numbers, however they look."""
    found = describe(profile) if profile.n_present else Column(profile.name, Kind.CATEGORICAL)
    if is_identifier(profile, found) and found.kind is not Kind.CODE and profile.n_rows > MAX_LISTED_LEVELS:
        note = "Numbers or names rows in the source: left out of a release."
        return replace(_identifier(profile, (Role.DIRECT_IDENTIFIER,)), notes=(note,))
    if found.kind is Kind.TEXT:
        return found
    missing = _empties(profile)
    if found.kind is Kind.CODE:
        return replace(found, missing=missing, source=DECLARED)
    levels = sorted(set(map(str, profile.texts[profile.is_present])) - {code.value for code in missing})
    system = recognise(levels, hint=HINTS.get(profile.name.lower(), "")) if is_code and levels else None
    kind = Kind.CODE if is_code else Kind.CATEGORICAL
    listed = tuple(levels) if kind is Kind.CATEGORICAL and len(levels) <= MAX_LISTED_LEVELS else None
    return Column(profile.name, kind, profile.storage, levels=listed, code_system=system, missing=missing, source=DECLARED)


def _of_the_site(profile: Profile) -> Column:
    """A column that the CDM does not know: what it seems to hold; a reference or a name of somebody is not learned."""
    found = describe(profile)
    who = direct_identifier(profile, found)
    note = "Not a column of the CDM 5.4."
    if who is not None or is_identifier(profile, found) or profile.name.lower().endswith("_id"):
        roles = () if who is None else (Role.DIRECT_IDENTIFIER,)
        return replace(_identifier(profile, roles), source=Sources(), notes=(note, *(() if who is None else (who.note,))))
    return replace(found, notes=(*found.notes, note))


def number_column(profile: Profile, where: str) -> Column:
    """A number, with its range and resolution.

    Raises
    ------
    DataError : a cell is none.
    """
    missing = _empties(profile)
    is_gap = ~profile.is_present | np.isin(profile.texts.astype(str), [code.value for code in missing])
    _refuse(profile, np.isnan(profile.numbers) & ~is_gap, "number", where)
    values, inverse = np.unique(profile.numbers[~is_gap], return_inverse=True)
    if not len(values):
        return Column(profile.name, Kind.CONTINUOUS, Storage.REAL, missing=missing, source=DECLARED)
    counts = np.bincount(inverse, weights=profile.counts[~is_gap]).astype(np.int64)
    decimals = resolution.decimals_of(values)
    is_whole = decimals == 0
    storage = profile.storage
    if storage is Storage.TEXT:
        is_plain = is_whole and np.abs(values).max() < EXACT and all("." not in str(text) for text in profile.texts[~is_gap])
        storage = Storage.INTEGER if is_plain else Storage.REAL
    return Column(
        profile.name,
        Kind.COUNT if is_whole and values[0] >= 0 and storage is Storage.INTEGER else Kind.CONTINUOUS,
        storage,
        minimum=float(values[0]),
        maximum=float(values[-1]),
        decimals=decimals,
        significant=resolution.significant_of(values, counts),
        missing=missing,
        source=DECLARED,
    )


def time_column(profile: Profile, where: str) -> Column:
    """A date, or a date with time where a clock is told.

    Raises
    ------
    DataError : the cells are no times.
    """
    if not profile.n_present:
        return Column(profile.name, Kind.DATE, Storage.TIMESTAMP, missing=_empties(profile), source=DECLARED)
    found = _iso_times(profile) or describe(profile)
    if not found.kind.is_time:
        times = pd.to_datetime(pd.Series(profile.texts, dtype=object), format="ISO8601", errors="coerce").isna().to_numpy()
        _refuse(profile, times & profile.is_present, "date", where)
        raise DataError(f"{where}, column {profile.name!r} holds no dates that can be read. Write them as 2024-12-31.")
    return replace(found, source=DECLARED)


def _iso_times(profile: Profile) -> Column | None:
    """The times of a column of texts that are all written as the CDM's own tools do; None for others."""
    if profile.storage is not Storage.TEXT:
        return None
    texts = pd.Series(profile.texts[profile.is_present], dtype=object)
    for pattern in ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S"):
        times = parse_times(texts, pattern)
        if times.notna().all():
            days = times.dt.floor("D")
            kind = Kind.DATE if (days == times).all() else Kind.DATETIME
            unit: Literal["D", "s"] = "D" if kind is Kind.DATE else "s"
            least, most = np.datetime_as_string(np.array([times.min(), times.max()], "datetime64[us]"), unit=unit)
            gaps = _empties(profile)
            return Column(profile.name, kind, minimum=str(least), maximum=str(most), time_format=pattern, missing=gaps)
    return None


def as_whole_numbers(profile: Profile, where: str) -> Profile:
    """The column as whole numbers: 8507, "8507" and 8507.0 are one. Numbers of more digits than a float64 keeps stay texts.

    Raises
    ------
    DataError : a cell is no whole number.
    """
    if profile.storage is Storage.INTEGER or not profile.n_present:
        return profile
    if profile.storage is Storage.REAL:
        whole = np.isnan(profile.numbers) | (profile.numbers == np.round(profile.numbers))
        _refuse(profile, ~whole, "whole number", where)
        return profile_typed(profile.name, np.asarray(profile.values, dtype=float), Storage.INTEGER)
    texts = [str(text) for text in profile.texts]
    is_whole = np.array([_WHOLE.fullmatch(text) is not None for text in texts])
    is_word = np.array([text == "" or missing_codes.word_meaning(text) is not None for text in texts])
    _refuse(profile, ~is_whole & ~is_word, "whole number", where)
    numbers = np.array([float(text) if whole else np.nan for text, whole in zip(texts, is_whole, strict=True)])
    if (is_word & (profile.texts != "")).any() or np.nanmax(np.abs(numbers), initial=0.0) >= EXACT:
        return profile
    return profile_typed(profile.name, numbers[profile.codes], Storage.INTEGER)


def _refuse(profile: Profile, bad: np.ndarray[tuple[int], np.dtype[np.bool_]], what: str, where: str) -> None:
    if bad.any():
        rows = np.flatnonzero(bad[profile.codes])
        others = f" (and {len(rows) - 1:,} more rows)" if len(rows) > 1 else ""
        raise DataError(
            f"{where}, column {profile.name!r}, row {rows[0] + 1 + HEADER_LINES}{others}: the cell is no {what}, as the OMOP CDM 5.4 "
            "asks for. Correct it, or leave it empty."
        )


def _with_subject(cdm: CdmTable, schema: TableSchema, profiles: list[Profile]) -> TableSchema:
    """The schema in which numbers are measured by what the row is about: its concept, or its source code where concepts are unknown."""
    if cdm.subject is None or cdm.form is Form.REFERENCE:
        return schema
    by = _subject(cdm.subject, profiles)
    if by is None or not schema[by].kind.is_discrete:
        return schema
    numbers = {column.name for column in schema if column.kind.is_number and not _is_count(column.name)}
    return replace(schema, columns=tuple(replace(c, by=by) if c.name in numbers else c for c in schema))


def _is_count(name: str) -> bool:
    return name.lower().endswith("_count") or name.lower() in ("episode_number", "gap_days")


def _subject(concept: str, profiles: list[Profile]) -> str | None:
    found = {profile.name.lower(): profile for profile in profiles}
    ids, texts = found.get(concept), found.get(concept.replace("_concept_id", "_source_value"))
    if texts is None or not texts.n_present:
        return None if ids is None else ids.name
    unknown = 0 if ids is None else ids.rows_where(~ids.is_present | (ids.numbers == 0))
    return texts.name if ids is None or 2 * unknown > ids.n_rows else ids.name


def places_of(tables: Mapping[str, Collection[str]]) -> dict[str, Place]:
    """The tables of the CDM among tables and their columns, by the CDM's names."""
    found = {}
    for name, columns in tables.items():
        cdm = BY_NAME.get(name.lower())
        if cdm is not None:
            found[cdm.name] = Place(name, next((column for column in columns if column.lower() == cdm.primary_key), None))
    return found
