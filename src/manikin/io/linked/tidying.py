"""Cells of linked tables that must be read alike in all of them: times of several zones, and keys that a tool wrote as 101.0.

What is changed is changed for a whole column, exactly, and told; what cannot be told apart is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from manikin.data.cells import HEADER_LINES
from manikin.data.errors import DataError
from manikin.data.schema import Storage
from manikin.io.identifiers import says_identifier
from manikin.io.linked.references import ends_in_key
from manikin.io.profiles import Profile, profile_texts

_MOMENT = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"
_ZONED = re.compile(_MOMENT + r" ?(Z|[+-]\d{2}(?::?\d{2})?)")
_LOCAL = re.compile(_MOMENT)
_WHOLE = re.compile(r"-?\d+\.0+")
LOOKED_AT = 64  # distinct cells that show whether a column tells zones
ZONE_NOTE = "The times of {name!r} tell zones; they are read as UTC, and written so."
WHOLE_NOTE = "The numbers of {name!r} were written with a point (101.0); they are read as whole numbers, as keys are elsewhere."


def tidied(profiles: Sequence[Profile], where: str) -> tuple[list[Profile], tuple[str, ...]]:
    """The profiles with times in one zone and whole keys without a point, and a note for each column that was changed.

    Raises
    ------
    DataError : a column has times with a zone and times without one.
    """
    out, notes = [], []
    for profile in profiles:
        changed = _in_one_zone(profile, where)
        note = ZONE_NOTE
        if changed is None:
            changed, note = _without_points(profile), WHOLE_NOTE
        if changed is not None:
            notes.append(note.format(name=profile.name))
        out.append(profile if changed is None else changed)
    return out, tuple(notes)


def _in_one_zone(profile: Profile, where: str) -> Profile | None:
    """The column with its times in UTC, None where they tell no zone other than it."""
    if profile.storage is not Storage.TEXT:
        return None
    present = np.flatnonzero(profile.is_present)
    sample = [profile.texts[i].strip() for i in present[:LOOKED_AT]]
    if not any(_ZONED.fullmatch(text) for text in sample):
        return None
    texts = profile.texts.copy()
    found = {int(i): match[1] for i in present if (match := _ZONED.fullmatch(texts[i].strip()))}
    local = [int(i) for i in present if int(i) not in found and _LOCAL.fullmatch(texts[i].strip())]
    if local:
        rows = np.flatnonzero(np.isin(profile.codes, local)) + 1 + HEADER_LINES
        raise DataError(
            f"{where}, column {profile.name!r}, row {rows[0]}: the time tells no zone, while others of the column do "
            f"({len(rows):,} rows do not). Write all times of the column with a zone, or none."
        )
    if set(found.values()) <= {"Z"}:
        return None
    places = list(found)
    times = pd.to_datetime(pd.Series([texts[i].strip() for i in places], dtype=object), utc=True, format="ISO8601", errors="coerce")
    known = times.notna().to_numpy()
    has_parts = bool((times.dt.microsecond.to_numpy()[known] != 0).any())
    written = times.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if has_parts else "%Y-%m-%dT%H:%M:%SZ")
    for place, text, is_known in zip(places, written, known, strict=True):
        if is_known:
            texts[place] = text
    return profile_texts(profile.name, pd.Series(texts[profile.codes], dtype=object))


def _without_points(profile: Profile) -> Profile | None:
    """The column of keys without the points that a tool gave to whole numbers beside gaps; None where there are none."""
    if not (says_identifier(profile.name) or ends_in_key(profile.name)) or profile.n_present == 0:
        return None
    if profile.storage is Storage.REAL:
        numbers = np.asarray(profile.keys, dtype=float)[profile.is_present]
        is_whole = bool((numbers == np.rint(numbers)).all() and np.abs(numbers).max() < 2**53)
        return replace(profile, storage=Storage.INTEGER) if is_whole and profile.unit is None else None
    if profile.storage is not Storage.TEXT:
        return None
    present = np.flatnonzero(profile.is_present)
    if not all(_WHOLE.fullmatch(profile.texts[i]) for i in present):
        return None
    texts = profile.texts.copy()
    texts[present] = [texts[i].partition(".")[0] for i in present]
    return profile_texts(profile.name, pd.Series(texts[profile.codes], dtype=object))
