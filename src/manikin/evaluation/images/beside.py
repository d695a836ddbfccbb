"""The columns beside images: whether people may be told by them, so that the attacks on tables are made on them too. Measures nothing.

What is measured of images is measured of their pixels; the cells beside them may be a whole clinical table of real patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from manikin.data.schema import DEFAULT_MIN_PATIENTS, Column, Kind, TableSchema, is_left_out

MOST = 3
COARSE = (Kind.CATEGORICAL, Kind.ORDINAL, Kind.BOOLEAN)


def beside(table: TableSchema) -> tuple[Column, ...]:
    """The columns of a table of images that leave beside them."""
    return tuple(column for column in table if column.kind is not Kind.IMAGE and not is_left_out(column))


def may_tell(columns: Sequence[Column], n_patients: int) -> bool:
    """Whether a person may be told by these cells: numbers, dates, codes and identifiers, many columns, or many combinations of levels."""
    if len(columns) > MOST or any(column.kind not in COARSE or not column.levels for column in columns):
        return True
    return bool(columns) and prod(len(column.levels or ()) for column in columns) * DEFAULT_MIN_PATIENTS > n_patients
