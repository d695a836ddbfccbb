"""The values that a rule names, as tokens and numbers of a column's codec. Knows no masks.

Messages name kinds and columns of rules, never the values in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import NumberCodec, to_units
from manikin.codecs.rule_settling import ColumnCodec
from manikin.data.errors import SchemaError
from manikin.data.rules import Rule
from manikin.data.schema import Column, Storage


def tokens_and_numbers(
    rule: Rule, texts: Sequence[str], column: Column, codec: ColumnCodec
) -> tuple[set[int], tuple[float, ...]]:
    """Cell texts as tokens of missing codes and levels, and as numbers on the column's grid.

    A level that is never generated (too few patients hold it) binds nothing; a text that is no value of the column is refused.
    """
    tokens: set[int] = set()
    values: list[float] = []
    codes = [code.value for code in column.missing]
    for text in texts:
        if text in codes:
            tokens.add(codes.index(text))
        elif isinstance(codec, LevelCodec):
            tokens |= {codec.n_missing + codec.levels.index(text)} if text in codec.levels else set()
        else:
            value = _number(rule, text, column, codec)
            if _is_on_grid(value, column, codec):
                values.append(value)
    return tokens, tuple(values)


def drawable(codec: ColumnCodec, values: Sequence[float]) -> tuple[float, ...]:
    """The numbers that lie in some group of the codec; others (extremes of few patients) are never generated, but may be given."""
    if not isinstance(codec, NumberCodec):
        return ()
    low, high = codec.token_bounds()
    return tuple(value for value in values if ((low <= value) & (value <= high)).any())


def _number(rule: Rule, text: str, column: Column, codec: NumberCodec) -> float:
    """A cell text in the column's units."""
    if codec.unit:
        times = pd.to_datetime(pd.Series([text], dtype=object), format=column.time_format or "ISO8601", errors="coerce")
        value = np.nan if times.isna().any() else float(to_units(times, codec.unit)[0])
    else:
        value = float(pd.to_numeric(pd.Series([text], dtype=object), errors="coerce").to_numpy(dtype=float)[0])
    if not np.isfinite(value):
        raise SchemaError(
            f"The confirmed {rule.about} lists something that is no {column.kind} of {column.name!r} and none of its missing codes. "
            "Correct the rule, or do not confirm it."
        )
    return value


def _is_on_grid(value: float, column: Column, codec: NumberCodec) -> bool:
    is_whole = bool(codec.unit) or (column.decimals is None and column.storage is Storage.INTEGER)
    return bool(value == np.round(value, 0 if is_whole else 15 if column.decimals is None else column.decimals))


def holding(codec: ColumnCodec, values: Sequence[float], *, exact: bool) -> set[int]:
    """The tokens that can decode to one of the numbers; with `exact`, those that decode to nothing else."""
    if not isinstance(codec, NumberCodec):
        return set()
    low, high = codec.token_bounds()
    held = [(low <= value) & (value <= high) & ((low == high) if exact else True) for value in values]
    return {codec.n_missing + int(token) for there in held for token in np.flatnonzero(there)}


def groups(codec: LevelCodec) -> list[tuple[int, set[int]]]:
    """The tokens that are released as one of several levels, with the tokens of these."""
    return [
        (codec.n_missing + group, {codec.n_missing + level for level in levels}) for group, levels in codec.siblings.items()
    ]
