"""Which rows break a rule. Knows nothing of how a rule is kept while generating, nor of where it came from.

A row with a missing cell where a rule needs a value satisfies the rule; an implied rule looks at missing codes as at any other cell.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import column_texts
from manikin.data.dataset import Table
from manikin.data.errors import ParameterError, SchemaError
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule, UniqueRule
from manikin.data.schema import Column, TableSchema

Broken = npt.NDArray[np.bool_]
Combinations = Collection[tuple[str, ...]]

ROUNDING = 1e-9  # relative slack of sums and ranges: decimals are not exact in binary


def violations(rule: Rule, table: Table, schema: TableSchema, *, allowed: Combinations | None = None) -> Broken:
    """Which rows break the rule, bool (n_rows,).

    Parameters
    ----------
    allowed : for a combination rule without a list of its own, the combinations of cell texts that may occur, as `combinations` gives
        them of the training data. Other rules do not use it.

    Raises
    ------
    ParameterError : a combination rule without any list.
    SchemaError : the rule compares columns that cannot be compared (a time with a number), or is of an unknown class.
    """
    match rule:
        case OrderRule():
            return _order(rule, table, schema)
        case SumRule():
            return _sum(rule, table, schema)
        case ImpliedRule():
            when = holds(table, schema[rule.columns[0]], rule.when)
            return when & ~holds(table, schema[rule.columns[1]], rule.then)
        case CombinationRule():
            return _combination(rule, table, schema, rule.allowed if rule.allowed is not None else allowed)
        case UniqueRule():
            return _unique(rule, table, schema)
        case RangeRule():
            return _range(rule, table, schema)
    raise SchemaError(f"There is no check for a rule of the kind {rule.kind!r}. Remove it from the schema.")


def combinations(rule: CombinationRule, table: Table, schema: TableSchema) -> frozenset[tuple[str, ...]]:
    """The combinations of cell texts in the rule's columns that occur in a table."""
    texts = _texts(rule, table, schema).drop_duplicates()
    return frozenset(texts.itertuples(index=False, name=None))


def holds(table: Table, column: Column, wanted: Collection[str]) -> Broken:
    """Which rows hold one of the wanted cell texts, bool (n_rows,). "" is the empty cell; numbers are compared as numbers."""
    mark = table.mark(column.name)
    codes = [i for i, code in enumerate(column.missing, start=1) if code.value in wanted]
    out = np.isin(mark, codes) if codes else np.zeros(len(table), dtype=bool)
    series = table.frame[column.name]
    if column.kind.is_number:
        numbers = pd.to_numeric(pd.Series(list(wanted), dtype=object), errors="coerce").dropna().to_numpy(dtype=float)
        return out | ((mark == 0) & np.isin(series.to_numpy(dtype=float), numbers))
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels = [i for i, level in enumerate(series.cat.categories) if level in wanted]
        return out | ((mark == 0) & np.isin(series.cat.codes.to_numpy(), levels))
    return out | ((mark == 0) & np.isin(column_texts(table, column), list(wanted)))


def _comparable(table: Table, column: Column) -> npt.NDArray[Any]:
    """Values that can be compared: float64, or datetime64 for times; NaN/NaT where missing or, for levels, where no number is written."""
    series = table.frame[column.name]
    if column.kind.is_number:
        return series.to_numpy(dtype=float)
    if column.kind.is_time:
        return series.to_numpy(dtype="datetime64[us]")
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels = pd.to_numeric(pd.Series(series.cat.categories, dtype=object), errors="coerce").to_numpy(dtype=float)
        return np.append(levels, np.nan)[series.cat.codes.to_numpy()]
    return pd.to_numeric(series, errors="coerce").to_numpy(dtype=float)


def _order(rule: OrderRule, table: Table, schema: TableSchema) -> Broken:
    first, second = (_comparable(table, schema[name]) for name in rule.columns)
    if (first.dtype.kind == "M") != (second.dtype.kind == "M"):
        raise SchemaError(f"The {rule.about} compares a time with a number. Correct it, or remove it from the schema.")
    broken: Broken = first >= second if rule.strict else first > second
    return broken


def _sum(rule: SumRule, table: Table, schema: TableSchema) -> Broken:
    whole, *parts = (_comparable(table, schema[name]) for name in rule.columns)
    if any(values.dtype.kind == "M" for values in (whole, *parts)):
        raise SchemaError(f"The {rule.about} adds up times. Correct it, or remove it from the schema.")
    total = np.sum(parts, axis=0)
    slack = ROUNDING * np.maximum(np.sum(np.abs(parts), axis=0), 1.0)
    broken: Broken = np.abs(whole - total) > rule.tolerance + slack
    return broken


def _texts(rule: Rule, table: Table, schema: TableSchema) -> pd.DataFrame:
    return pd.DataFrame({name: column_texts(table, schema[name]) for name in rule.columns}, dtype=object)


def _combination(rule: CombinationRule, table: Table, schema: TableSchema, allowed: Combinations | None) -> Broken:
    if allowed is None:
        raise ParameterError(
            f"The {rule.about} has no list of combinations. Pass `allowed=combinations(rule, train, schema)`, "
            "or list them under `allowed` in the schema."
        )
    texts = _texts(rule, table, schema)
    if not len(texts):
        return np.zeros(0, dtype=bool)
    known = frozenset(allowed)
    codes = texts.groupby(list(texts.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, firsts, inverse = np.unique(codes, return_index=True, return_inverse=True)
    is_unknown = np.array(
        [tuple(row) not in known for row in texts.iloc[firsts].itertuples(index=False, name=None)], dtype=bool
    )
    broken: Broken = is_unknown[inverse]
    return broken


def _unique(rule: UniqueRule, table: Table, schema: TableSchema) -> Broken:
    """The second and later of equal rows."""
    has_all = np.ones(len(table), dtype=bool)
    for name in rule.columns:
        has_all &= table.mark(name) == 0
    return _texts(rule, table, schema).duplicated(keep="first").to_numpy() & has_all


def _range(rule: RangeRule, table: Table, schema: TableSchema) -> Broken:
    values = _comparable(table, schema[rule.columns[0]])
    if values.dtype.kind == "M":
        raise SchemaError(
            f"The {rule.about} is for numbers. Write the ends under `minimum` and `maximum` of the column instead."
        )
    broken: Broken = np.zeros(len(values), dtype=bool)
    if rule.minimum is not None:
        broken |= values < rule.minimum - ROUNDING * max(abs(rule.minimum), 1.0)
    if rule.maximum is not None:
        broken |= values > rule.maximum + ROUNDING * max(abs(rule.maximum), 1.0)
    return broken
