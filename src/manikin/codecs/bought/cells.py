"""The rows of a column as its bought description reads them: grid points and words for numbers and times, texts for levels, tokens for all.

Every function here sees each row by itself. A cell that the description has no place for becomes a missing cell where the column has any,
else the column's most frequent token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.clinical.codes import code_system
from manikin.codecs.bought.forms import format_places, is_listed
from manikin.codecs.bought.reading import Texts, read, read_time, texts
from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import NumberCodec, to_units
from manikin.data.cells import column_texts, is_number
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, Source

Floats = npt.NDArray[np.float64]


def cell_texts(data: Dataset, name: str) -> Texts:
    """The cell texts of a column."""
    own = column_texts(data.table, data.columns[name])
    own[pd.isna(own)] = ""
    return texts(own)


def level_texts(data: Dataset, column: Column) -> npt.NDArray[np.object_]:
    """The texts of a column of levels in their one spelling, object (n_rows,)."""
    own, spell = cell_texts(data, column.name), _spelling(column)
    return np.array([spell(text) for text in own.distinct], dtype=object)[own.codes]


def _spelling(column: Column) -> Callable[[str], str]:
    """The one spelling of a cell text: as it is where the kind is declared, a declared level where it is one in other digits."""
    if column.kind is Kind.CODE and column.code_system and not is_listed(column):
        system = code_system(column.code_system)
        return lambda text: system.normalise(text) if system.is_code(text) else text.strip()
    if column.source.kind is Source.DECLARED:
        return str
    if is_listed(column):
        known = {read(level).text: level for level in (*(column.levels or ()), *(code.value for code in column.missing))}
        return lambda text: known.get(read(text).text, read(text).text)
    return lambda text: read(text).text


def points(data: Dataset, column: Column, words: Sequence[str], step: float, unit: int) -> tuple[Floats, Floats]:
    """Grid points float64 (n_rows,), NaN where a cell holds none, and the place of its word (len(words) for other texts)."""
    own = cell_texts(data, column.name)
    place = {word: i for i, word in enumerate(words)}
    spelled = [read(text).text for text in own.distinct]
    word = np.array([place.get(text, place.get(raw, -1)) for text, raw in zip(spelled, own.distinct, strict=True)], dtype=float)
    if unit and column.source.kind is Source.DECLARED:
        values = to_units(data.table.frame[column.name], unit)
    else:
        values = np.array([_value(text, column, unit) for text in own.distinct], dtype=float)[own.codes]
    word = word[own.codes]
    values = np.where(word >= 0, np.nan, values)
    return _on_grid(values, step, unit), np.where(word >= 0, word, len(words))


def _value(text: str, column: Column, unit: int) -> float:
    if not unit:
        return float(text) if column.source.kind is Source.DECLARED and is_number(text) else read(text).number
    places = format_places(column.time_format)
    return read_time(text.strip(), *places) / unit if places else np.nan


def _on_grid(values: Floats, step: float, unit: int) -> Floats:
    """The nearest grid point; times are cut down to the grid."""
    values = np.where(np.isfinite(values), values, np.nan)
    return np.floor(values + 1e-9) if unit else np.rint(values / step)


def tokens(
    data: Dataset, column: Column, codec: NumberCodec | LevelCodec, counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """The token of each row, int32 (n_rows,)."""
    codes = [code.value for code in column.missing]
    lost = codes.index("") if "" in codes else 0 if codes else int(np.argmax(counts))
    if isinstance(codec, LevelCodec):
        return _level_tokens(level_texts(data, column), column, codec, codes, lost).astype(np.int32)
    spelled = [read(code).text for code in codes]
    at, word = points(data, column, spelled, codec.step, codec.unit)
    there = ~np.isnan(at)
    out = np.where(word < len(codes), word, lost).astype(np.int64)
    if codec.n_tokens > codec.n_missing:
        out[there] = codec.encode(np.round(at[there] * codec.step, 12))
    return out.astype(np.int32)


def _level_tokens(
    own: npt.NDArray[np.object_], column: Column, codec: LevelCodec, codes: Sequence[str], lost: int
) -> npt.NDArray[Any]:
    place, distinct = pd.factorize(own)
    if not len(distinct):
        return np.empty(0, dtype=np.int64)
    value = np.full(len(distinct), lost, dtype=np.int64)
    held = [i for i, text in enumerate(distinct) if text not in codes and text != ""]
    if held and codec.levels:
        spell, beside = _spelling(column), _beside(codec, column)
        level_of = {spell(level): level for level in codec.levels}  # codes may be written otherwise than they are compared
        texts_held = [level_of.get(distinct[i], distinct[i]) for i in held]
        value[held] = codec.encode(pd.Series(pd.Categorical(texts_held)), column)[0]
        for i in held:
            value[i] = beside(distinct[i], value[i])
    for i, text in enumerate(distinct):
        if text in codes:
            value[i] = codes.index(text)
    return value[place]


def _beside(codec: LevelCodec, column: Column) -> Callable[[str, Any], Any]:
    """For a code that has no token of its own nor one above it: a token of its block or chapter, by the code alone, so that rare codes
    spread over the tokens as the rows of these do.
    """
    if column.kind is not Kind.CODE or not column.code_system:
        return lambda _, token: token
    system = code_system(column.code_system)
    known = {system.normalise(level) for level in codec.levels}
    inside: dict[str, list[int]] = {}
    for i, level in enumerate(codec.levels):
        for group in system.ancestors(level):
            inside.setdefault(group, []).append(i)

    def token_of(text: str, token: Any) -> Any:
        """The token as it is, or one of the nearest group that has any."""
        above = system.ancestors(text)
        if system.normalise(text) in known or known & set(above):
            return token
        own = next((inside[up] for up in above if up in inside), None)
        if own is None:
            return token
        shares = np.cumsum(codec.counts[own] + 1e-9)
        at = np.searchsorted(shares, shares[-1] * crc32(text.encode()) / 2**32, side="right")
        return own[min(int(at), len(own) - 1)] + codec.n_missing

    return token_of
