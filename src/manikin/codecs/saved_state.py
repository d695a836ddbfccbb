"""What the saved state of a table codec must look like: sizes, types and places, checked before a codec is built. Knows no model.

A model folder may be damaged or forged. Whatever its config.json says of a column must fit the schema beside it and the arrays that are
really there; nothing is repaired, and messages name columns and arrays, never levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from manikin.codecs.numbers import MICROSECONDS
from manikin.data.errors import ModelFolderError
from manikin.data.rules import CombinationRule
from manikin.data.schema import Column, Kind, TableSchema

Arrays = Mapping[str, npt.NDArray[Any]]
MOST_REPEATS = 1 << 16  # of one code in one cell
MOST_TOKENS = 1 << 20  # of one column, far above what a table of levels has
NATIVES = ("pandas", "polars", "pyarrow")
PARTS = {
    "NumberCodec": ("low", "high", "count", "token", "spikes"),
    "LevelCodec": ("counts",),
    "CodeSetCodec": ("counts",),
}


def check_columns(values: Mapping[str, Any], arrays: Arrays, schema: TableSchema) -> None:
    """Refuses column states that contradict the schema, their own arrays, or each other.

    Raises
    ------
    ModelFolderError : names the column and what is wrong with it.
    """
    columns = values["columns"]
    if type(values["max_tokens"]) is not int or values["max_tokens"] < 1 or values["native"] not in NATIVES:
        _refuse("'max_tokens' or 'native' is none that a codec has")
    if not isinstance(columns, list) or len(columns) != len(schema.learned):
        _refuse(f"there are not as many columns as the schema learns ({len(schema.learned)})")
    wanted: set[str] = set()
    for j, (own, column) in enumerate(zip(columns, schema.learned, strict=True)):
        kind = own.get("codec") if isinstance(own, dict) else None
        if kind != _codec_of(column):
            _refuse(f"column {column.name!r} has not the codec of its kind")
        names = {f"column{j}.{part}": part for part in PARTS[kind]}
        for name in names:
            if name not in arrays:
                _refuse(f"the array {name!r} is missing")
        wanted |= set(names)
        if own.get("n_missing") != len(column.missing) or type(own["n_missing"]) is not int:
            _refuse(f"'n_missing' of column {column.name!r} is not the number of its missing codes")
        _CHECKS[kind](own, {part: arrays[name] for name, part in names.items()}, column)
    for name in sorted(set(arrays) - wanted):
        if name.startswith("column"):
            _refuse(f"the array {name[:60]!r} is left over")


def check_fields(arrays: Arrays, sizes: Sequence[int]) -> None:
    """Refuses rows per token that are not whole numbers, one for each token of each field.

    Raises
    ------
    ModelFolderError : names the array.
    """
    wanted = {f"field{j}.rows" for j in range(len(sizes))}
    for j, size in enumerate(sizes):
        _counts(f"'field{j}.rows'", arrays.get(f"field{j}.rows"), size)
    for name in sorted(arrays):
        if name not in wanted and not name.startswith(("column", "rules.")):
            _refuse(f"the array {name[:60]!r} is left over")


def check_rules(
    values: Mapping[str, Any], arrays: Arrays, schema: TableSchema, place: Mapping[str, int], sizes: Sequence[int]
) -> None:
    """Refuses masks of rules that are not those of the schema's confirmed rules.

    Parameters
    ----------
    arrays : those of the rules, without "rules." before their names. place : the field of each column that rules can bind.
    sizes : tokens per field.

    Raises
    ------
    ModelFolderError : names the array.
    """
    confirmed = [rule for rule in schema.confirmed_rules if isinstance(rule, CombinationRule)]
    asked = [[place.get(name) for name in rule.columns] for rule in confirmed]
    if values["combinations"] != asked:
        _refuse("its combinations are not those of its confirmed rules")
    wanted = {f"combination{i}" for i in range(len(asked))}
    for i, columns in enumerate(asked):
        own = arrays.get(f"combination{i}")
        if own is None or own.dtype != np.int32 or own.ndim != 2 or own.shape[1] != len(columns):
            _refuse(f"the array 'rules.combination{i}' is not of whole numbers, one for each of its columns")
        if (own < 0).any() or (own >= np.array([sizes[c] for c in columns if c is not None])).any():
            _refuse(f"the array 'rules.combination{i}' names tokens that its columns do not have")
    for name, own in arrays.items():
        if name in wanted:
            continue
        j = name.removeprefix("static")
        if not name.startswith("static") or not j.isdecimal() or int(j) >= len(sizes):
            _refuse(f"the array {'rules.' + name[:60]!r} is left over")
        if own.dtype != np.uint8 or own.shape != (sizes[int(j)],) or own.max(initial=0) > 1:
            _refuse(f"the array {'rules.' + name!r} does not say of each token whether it may be drawn")


def _codec_of(column: Column) -> str:
    if column.kind.is_number or column.kind.is_time:
        return "NumberCodec"
    return "CodeSetCodec" if column.kind is Kind.CODE_SET else "LevelCodec"


def _number(own: Mapping[str, Any], arrays: Arrays, column: Column) -> None:
    """Cells sorted by token, tokens without a gap, finite ends in order, a step and a unit that a grid has."""
    low, high, token, spikes = (arrays[name] for name in ("low", "high", "token", "spikes"))
    n, where = len(low) if low.ndim == 1 else -1, f"column {column.name!r}"
    for name, part, size in (("low", low, n), ("high", high, n), ("spikes", spikes, None)):
        is_list = part.dtype == np.float64 and part.ndim == 1 and (size is None or len(part) == size)
        if not is_list or not np.isfinite(part).all():
            _refuse(f"the array {name!r} of {where} is not of finite numbers, one for each of its cells")
    _counts(f"'count' of {where}", arrays["count"], n)
    if token.dtype != np.int64 or token.shape != (n,):
        _refuse(f"the array 'token' of {where} is not of whole numbers, one for each of its cells")
    if n and (token[0] != 0 or not np.isin(np.diff(token), (0, 1)).all()):
        _refuse(f"the array 'token' of {where} has gaps or falls")
    if (low > high).any():
        _refuse(f"the arrays 'low' and 'high' of {where} cross")
    step, significant, unit = own["step"], own["significant"], own["unit"]
    if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step < np.inf:
        _refuse(f"'step' of {where} is no number above 0")
    if significant is not None and (type(significant) is not int or not 1 <= significant <= 17):
        _refuse(f"'significant' of {where} is no number of digits")
    if type(unit) is not int or (unit not in MICROSECONDS.values() if column.kind.is_time else unit != 0):
        _refuse(f"'unit' of {where} is not one of its kind")


def _levels(own: Mapping[str, Any], arrays: Arrays, column: Column) -> None:
    """Texts, each once; groups behind the frequent levels, released as themselves or as some of these."""
    levels, n_frequent, where = own["levels"], own["n_frequent"], f"column {column.name!r}"
    if not _are_texts(levels) or len(levels) > MOST_TOKENS:
        _refuse(f"'levels' of {where} are not texts that differ")
    if type(n_frequent) is not int or not 0 <= n_frequent <= len(levels):
        _refuse(f"'n_frequent' of {where} is not within its levels")
    if type(own["is_ordered"]) is not bool:
        _refuse(f"'is_ordered' of {where} is neither true nor false")
    _counts(f"'counts' of {where}", arrays["counts"], len(levels))
    siblings, released = own["siblings"], own["released"]
    groups = range(n_frequent, len(levels))
    if not isinstance(released, list) or any(type(group) is not int or group not in groups for group in released):
        _refuse(f"'released' of {where} names something else than its groups")
    if not isinstance(siblings, dict):
        _refuse(f"'siblings' of {where} is no table")
    for group, options in siblings.items():
        is_group = group.isdecimal() and int(group) in groups
        if not is_group or not options or any(type(level) is not int or not 0 <= level < n_frequent for level in options):
            _refuse(f"'siblings' of {where} name something else than its groups and frequent levels")


def _code_set(own: Mapping[str, Any], arrays: Arrays, column: Column) -> None:
    """Codes, each once; how many rows hold them, and how many hold any."""
    where = f"column {column.name!r}"
    if not _are_texts(own["codes"]) or len(own["codes"]) > MOST_TOKENS:
        _refuse(f"'codes' of {where} are not texts that differ")
    if not isinstance(own["separator"], str) or not own["separator"]:
        _refuse(f"'separator' of {where} is no text")
    if type(own["n_present"]) is not int or own["n_present"] < 0:
        _refuse(f"'n_present' of {where} is no number of rows")
    steps = own.get("steps", [[[1, 1]]] * len(own["codes"]))
    if not isinstance(steps, list) or len(steps) != len(own["codes"]) or not all(_are_steps(own_steps) for own_steps in steps):
        _refuse(f"'steps' of {where} are not rising groups of counts from 1 up, some for each code")
    _counts(f"'counts' of {where}", arrays["counts"], sum(len(own_steps) for own_steps in steps))


_CHECKS = {"NumberCodec": _number, "LevelCodec": _levels, "CodeSetCodec": _code_set}


def _are_steps(values: Any) -> bool:
    """Pairs of whole numbers, least and shown count, each pair above the one before."""
    is_list = isinstance(values, list) and values and all(isinstance(pair, list) and len(pair) == 2 for pair in values)
    if not is_list or any(type(number) is not int for pair in values for number in pair):
        return False
    numbers = [0] + [number for pair in values for number in pair]
    risen = all(low < high if i % 2 == 0 else low <= high for i, (low, high) in enumerate(pairwise(numbers)))
    return risen and numbers[-1] <= MOST_REPEATS


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(text, str) for text in values) and len(set(values)) == len(values)


def _counts(what: str, array: npt.NDArray[Any] | None, size: int) -> None:
    if array is None or array.dtype != np.int64 or array.shape != (size,) or (array < 0).any():
        _refuse(f"the array {what} is not of {max(size, 0)} whole numbers from 0 up")


def _refuse(why: str) -> NoReturn:
    raise ModelFolderError(f"The encoded columns of the model folder contradict themselves: {why}. Save the model again.")
