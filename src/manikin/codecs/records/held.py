"""What holds in every row that is drawn: levels of columns that change from row to row, as tokens of their fields. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manikin.codecs.levels import LevelCodec
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.plan import key_columns
from manikin.data.errors import ParameterError

Held = dict[tuple[int, int], int]  # (table of events, field in drawing order) -> the token of its rows


def parted_conditions(codec: RecordsCodec, conditions: Mapping[str, Any]) -> tuple[dict[str, Any], Held]:
    """What holds of patients throughout, by static column, and what holds in their new rows, as tokens.

    Parameters
    ----------
    conditions : values by "column" or "table.column".

    Raises
    ------
    ParameterError : a column of rows is no column of levels or follows from other cells, several tables have it, or the model cannot draw
        its value.
    """
    static, held = {}, Held()
    for name, value in conditions.items():
        places = [
            (t, f, f"{own.plan.name}.{column}")
            for t, own in enumerate(codec.events_)
            for f, column in enumerate(own.names)
            if name in (column, f"{own.plan.name}.{column}") and own.fields[f] >= 0
        ]
        is_static = any(name in (own.name, own.column, f"{own.table}.{own.column}") for own in codec.plan_.static)
        if not is_static and any(name in said for said in _said(codec)):
            raise ParameterError(f"Column {name!r} is worked out from other cells of its table and cannot be held. Leave it out.")
        if is_static or not places:
            static[name] = value
            continue
        if len(places) > 1:
            raise ParameterError(f"Several tables have a column {name!r}. Name one of {', '.join(repr(place) for *_, place in places)}.")
        t, f, place = places[0]
        held[t, f] = _token(codec, t, f, place, value)
    return static, held


def _said(codec: RecordsCodec) -> list[set[str]]:
    """By table of events the columns that are worked out from other cells, by their names with and without the table's."""
    out = []
    for own in codec.plan_.events:
        names = [told.column for told in own.told if not told.has_field]
        out.append({*names, *(f"{own.name}.{name}" for name in names)})
    return out


def _token(codec: RecordsCodec, t: int, f: int, place: str, value: Any) -> int:
    own = codec.events_[t]
    field = own.flat.fields_[int(own.fields[f])]
    column = own.names[f]
    if not isinstance(field, LevelCodec) or column not in codec.schema_[own.plan.name] or column in _bound(codec, t):
        raise ParameterError(f"Column {place!r} of rows is a number, a time or a key, which cannot be held. Hold a column of levels.")
    if str(value) not in field.levels[: field.n_frequent]:
        raise ParameterError(f"The model never learned the value given for column {place!r}, or too few patients hold it. Give another.")
    token = field.n_missing + field.levels.index(str(value))
    if not own.emitted(f)[token]:
        raise ParameterError(f"The value given for column {place!r} is none that the model may draw. Give another.")
    return token


def _bound(codec: RecordsCodec, t: int) -> set[str]:
    """Keys, and columns that lead to rows of other tables."""
    own = codec.events_[t].plan
    return set(key_columns(codec.schema_[own.name], codec.schema_)) | {link.name for link in own.links}
