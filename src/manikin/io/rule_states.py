"""A table seen for rules: comparable values per number or time, and small integer states per column. Knows no rules.

A state is a level, or one of the column's missing codes; for a column of many numbers it is only "there is a value" or a missing code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import number_texts
from manikin.data.dataset import Table
from manikin.data.schema import Column, TableSchema

MAX_STATES = 120  # columns with more levels or distinct numbers say nothing about another column's value
MAX_COLUMNS = 200  # of each sort; the pairs grow with the square

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Quantity:
    """A column of numbers or times as comparable numbers.

    Attributes
    ----------
    values : float64 (n_rows,); times in days since 1970; NaN where missing.
    """

    column: Column
    values: Numbers


@dataclass(frozen=True, eq=False)
class States:
    """A column as small integers.

    Attributes
    ----------
    codes : int64 (n_rows,), 0 … n_states - 1.
    texts : the cell text of each state; None for "there is a value" of a column with too many of them.
    counts : rows per state.
    n_values : how many states are values; the missing codes follow.
    is_ordered : whether the values stand in the order of their numbers.
    """

    column: Column
    codes: Codes
    texts: tuple[str | None, ...]
    counts: Codes
    n_values: int
    is_ordered: bool

    @property
    def n_states(self) -> int:
        """Values and missing codes together."""
        return len(self.texts)


def quantities(table: Table, schema: TableSchema) -> list[Quantity]:
    """The columns of numbers and times that are learned."""
    out = []
    for column in schema.learned:
        series = table.frame[column.name]
        if column.kind.is_number:
            out.append(Quantity(column, series.to_numpy(dtype=float)))
        elif column.kind.is_time:
            times = series.to_numpy(dtype="datetime64[us]")
            days = times.astype(np.int64) / 86_400_000_000
            out.append(Quantity(column, np.where(np.isnat(times), np.nan, days)))
    return out[:MAX_COLUMNS]


def states(table: Table, schema: TableSchema) -> list[States]:
    """The learned columns as small integers."""
    return [_states(table, column) for column in schema.learned[:MAX_COLUMNS]]


def _states(table: Table, column: Column) -> States:
    series, mark = table.frame[column.name], table.mark(column.name).astype(np.int64)
    texts: list[str | None]
    is_ordered = False
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        texts = [str(level) for level in series.cat.categories]
    else:
        codes, uniques = pd.factorize(series, sort=True)
        codes = codes.astype(np.int64)
        if column.kind.is_number and len(uniques) <= MAX_STATES:
            texts = [str(text) for text in number_texts(np.asarray(uniques, dtype=float), column)]
            is_ordered = True
        else:
            codes = np.where(mark == 0, 0, -1)
            texts = [None]
    n_values = len(texts)
    codes = np.where(mark > 0, n_values + mark - 1, codes)
    texts += [code.value for code in column.missing]
    counts = np.bincount(codes, minlength=len(texts))
    return States(column, codes, tuple(texts), counts, n_values, is_ordered)
