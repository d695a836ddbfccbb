"""The columns beside released images: whether people may be told by them. Measures nothing; no attack looks at these columns.

What is measured of images is measured of their pixels. Labels beside them may be a whole clinical table of real patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from manikin.data.schema import DEFAULT_MIN_PATIENTS, Column, Kind, Schema, is_left_out

MOST = 3
SHOWN = 5  # columns that a sentence names
COARSE = (Kind.CATEGORICAL, Kind.ORDINAL, Kind.BOOLEAN)
NOT_ATTACKED = (
    "Nobody attacked the columns beside the images ({names}), neither for copies nor for membership, and people may be told by them: "
    "without an attack at most three columns leave, each of categories from a list, and of so few that eleven patients stand behind each "
    "combination on average. Leave the columns out in the schema, or release them as a table of their own."
)


def columns_beside(schema: Schema) -> tuple[Column, ...]:
    """The columns that leave beside images; none where the schema is not of images."""
    if schema.modality != "images":
        return ()
    return tuple(column for table in schema.tables for column in table if column.kind is not Kind.IMAGE and not is_left_out(column))


def may_tell(columns: Sequence[Column], n_patients: int) -> bool:
    """Whether a person may be told by these cells: numbers, dates, codes and identifiers, many columns, or many combinations of levels."""
    if len(columns) > MOST or any(column.kind not in COARSE or not column.levels for column in columns):
        return True
    return bool(columns) and prod(len(column.levels or ()) for column in columns) * DEFAULT_MIN_PATIENTS > n_patients


def named(columns: Sequence[Column]) -> str:
    """The columns' names for a sentence."""
    shown = ", ".join(column.name for column in columns[:SHOWN])
    return f"{shown} and {len(columns) - SHOWN:,} more" if len(columns) > SHOWN else shown
