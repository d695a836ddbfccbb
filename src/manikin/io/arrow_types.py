"""The Arrow types of a Parquet file as words that JSON can hold, and back: what is read as a plain number or text is given back as it was.

Knows no tables' schemas: names, words and Arrow arrays only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from manikin.data.errors import DataError

_WORDS = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string(), pa.date32(), pa.date64()),
        *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    )
}
CATEGORY = "dictionary"
_ZONED = re.compile(r"timestamp\[(s|ms|us|ns), tz=([\w+:/-]+)\]")
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def types_of(path: Path) -> dict[str, str]:
    """The type of each column of a Parquet file as a word, for those that can be given back; none for a file that is no Parquet."""
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return {}
    words = {field.name: _word(field.type) for field in schema}
    return {name: word for name, word in words.items() if word is not None}


def _word(kind: Any) -> str | None:
    if pa.types.is_dictionary(kind):
        return CATEGORY if pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type) else None
    return str(kind) if str(kind) in _WORDS or _ZONED.fullmatch(str(kind)) else None


def type_of(word: str) -> Any:
    """The Arrow type that a word stands for, None for an unknown one.

    >>> str(type_of("int16")), str(type_of("timestamp[us, tz=UTC]")), type_of("list<int>")
    ('int16', 'timestamp[us, tz=UTC]', None)
    """
    if word == CATEGORY:
        return pa.dictionary(pa.int32(), pa.string())
    zoned = _ZONED.fullmatch(word)
    return pa.timestamp(zoned[1], tz=zoned[2]) if zoned else _WORDS.get(word)


def as_types(table: Any, types: Mapping[str, str]) -> Any:
    """The Arrow table with these columns as these types; a column that cannot be so without loss keeps its own.

    Raises
    ------
    DataError : a number does not fit its type; the message names the column.
    """
    for place, field in enumerate(table.schema):
        kind = type_of(types[field.name]) if field.name in types else None
        if kind is not None and kind != field.type and _is_sensible(field.type, kind):
            try:
                column = _cast(table.column(place), kind)
            except pa.ArrowInvalid:
                raise DataError(
                    f"Column {field.name!r} holds a cell that is no {types[field.name]}, as which its file stores it. Write a .csv instead."
                ) from None
            table = table.set_column(place, pa.field(field.name, kind), column)
    return table


def _is_sensible(found: Any, kind: Any) -> bool:
    """Whether one type is the other, more narrowly or in other units."""
    is_number = pa.types.is_integer(found) or pa.types.is_floating(found)
    if is_number:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_duration(kind))
    if pa.types.is_timestamp(found):
        return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    return bool(pa.types.is_string(found) and (pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)))


def _cast(column: Any, kind: Any) -> Any:
    if pa.types.is_duration(kind):
        parts = pc.round(pc.multiply(column.cast(pa.float64()), float(_PER_SECOND[kind.unit])))
        return parts.cast(pa.int64()).cast(kind)
    if pa.types.is_floating(kind):
        return column.cast(kind, safe=False)  # the nearest number of its width
    return column.cast(kind)
