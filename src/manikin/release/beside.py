"""The columns beside released images: which they are, and what is said where nobody attacked them. Measures nothing."""

from __future__ import annotations

from collections.abc import Sequence

from manikin.data.schema import Column, Schema
from manikin.evaluation.images.beside import beside

SHOWN = 5  # columns that a sentence names
NOT_ATTACKED = (
    "Nobody attacked the columns beside the images ({names}), neither for copies nor for membership, and people may be told by them: "
    "without an attack at most three columns leave, each of categories from a list, and of so few that eleven patients stand behind each "
    "combination on average. Evaluate again, with the attacks on tables; or leave the columns out in the schema, or release them as a "
    "table of their own."
)
UNSEEN = (
    "No attack looks at the columns {names} beside the images, which are no numbers, dates, codes or categories. Leave them out in the "
    "schema, or say there what they are."
)


def columns_beside(schema: Schema) -> tuple[Column, ...]:
    """The columns that leave beside images; none where the schema is not of images."""
    if schema.modality != "images":
        return ()
    return tuple(column for table in schema.tables for column in beside(table))


def named(columns: Sequence[Column]) -> str:
    """The columns' names for a sentence."""
    shown = ", ".join(column.name for column in columns[:SHOWN])
    return f"{shown} and {len(columns) - SHOWN:,} more" if len(columns) > SHOWN else shown
