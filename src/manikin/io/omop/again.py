"""Reads OMOP tables a second time by a schema that is known: the same columns, put together in the same way."""

from __future__ import annotations

import numpy as np
import pandas as pd

from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.io.omop.cdm54 import CdmTable, CdmType
from manikin.io.omop.derived import BIRTH
from manikin.io.omop.describe import as_whole_numbers
from manikin.io.profiles import Profile, profile_typed


def profiles_again(cdm: CdmTable, known: TableSchema, profiles: list[Profile], where: str) -> list[Profile]:
    """The profiles of the columns that a schema names, under its spelling; a birth date is put together where only its parts are there.

    Raises
    ------
    SchemaError : a column of the schema is absent, or one that the CDM does not know is not in the schema.
    """
    found = {profile.name.lower(): profile for profile in profiles}
    out = []
    for column in known:
        name = column.name.lower()
        if name in found:
            profile = found[name]
        elif name == "birth_datetime" and "year_of_birth" in found:
            profile = _born(found, where)
        else:
            raise SchemaError(f"{where} has no column {column.name!r}, which the schema names. Correct one of the two.")
        declared = cdm.get(name)
        if declared is not None and declared.type is CdmType.INTEGER and column.storage is not Storage.TEXT:
            profile = as_whole_numbers(profile, where)
        out.append(_named(profile, column))
    strangers = [profile.name for name, profile in found.items() if cdm.get(name) is None and name not in map(str.lower, known.names)]
    if strangers:
        raise SchemaError(f"{where} has {', '.join(map(repr, strangers))}, which the schema does not name. Add or remove it.")
    return out


def _named(profile: Profile, column: Column) -> Profile:
    if not profile.n_present and column.kind is Kind.CATEGORICAL:
        profile = Profile(profile.name, profile.codes, profile.counts, np.full(len(profile.keys), "", dtype=object))
    return Profile(column.name, profile.codes, profile.counts, profile.keys, profile.storage, profile.values)


def _born(found: dict[str, Profile], where: str) -> Profile:
    parts = {}
    for name, part in zip(BIRTH, ("year", "month", "day"), strict=True):
        profile = found.get(name)
        is_told = profile is not None and profile.n_present == profile.n_rows
        numbers = as_whole_numbers(profile, where).numbers[profile.codes] if profile is not None and is_told else None
        parts[part] = np.ones(found["year_of_birth"].n_rows) if numbers is None else numbers
    times = pd.to_datetime(pd.DataFrame(parts), errors="coerce")
    if times.isna().any():
        row = int(np.flatnonzero(times.isna().to_numpy())[0])
        raise DataError(f"{where}, row {row + 2}: year, month and day of birth are no date. Correct them.")
    return profile_typed("birth_datetime", times.to_numpy(dtype="datetime64[us]"), Storage.TIMESTAMP)
