"""A figure within each group of patients, with its reference, for any metric that compares two samples. Knows no metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from manikin.evaluation.definition import rounded
from manikin.evaluation.groups import Group, groups
from manikin.evaluation.prepared import Feature, Prepared, Sample

MAX_ROWS = 20_000
MAX_GROUPS = 40
MIN_ROWS = 50  # rows of a group on every side
Figure = Callable[[Sample, Sample, Sequence[Feature]], float | None]


def by_group(
    data: Prepared, features: Sequence[Feature], figure: Figure, *, named: Sequence[Group] | None = None
) -> list[dict[str, Any]]:
    """The figure of synthetic and of holdout rows against train rows within each group that is large enough, at equal n.

    Parameters
    ----------
    features : the columns that the figure looks at; those that make a group are left out within it.
    figure : of train rows, other rows and columns; None where it has no value.
    named : the groups; those of `groups` when None.

    Returns
    -------
    Rows of `group`, `n`, `value` and `reference`, in the order of the groups; at most 40.
    """
    asked = groups(data) if named is None else named
    names = {feature.name for feature in features} | {column for group in asked for column in group.columns}
    sides = [_narrowed(side.draw(MAX_ROWS, 0, "groups", "rows"), names) for side in (data.real, data.held, data.fake)]
    made: list[dict[str, Any]] = []
    for group in asked:
        if len(made) == MAX_GROUPS:
            break
        found = _within(sides, group, features, figure)
        if found is not None:
            made.append({"group": group.name, **found})
    return made


def _within(
    sides: Sequence[Sample], group: Group, features: Sequence[Feature], figure: Figure
) -> dict[str, float | int | None] | None:
    rows = [np.flatnonzero(group.holds(side)) for side in sides]
    n = min(len(rows[1]), len(rows[2]))
    asked = [feature for feature in features if feature.name not in group.columns]
    if min(n, len(rows[0])) < MIN_ROWS or not asked:
        return None
    real, held, fake = (side.take(part) for side, part in zip(sides, rows, strict=True))
    reference, value = (figure(real, other.draw(n, 0, "groups", "equal"), asked) for other in (held, fake))
    if value is None or reference is None:
        return None
    return {"n": n, "value": rounded(value), "reference": rounded(reference)}


def subgroup_values(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The figure of each group by the group's name."""
    return {row["group"]: float(row["value"]) for row in rows}


def _narrowed(sample: Sample, names: set[str]) -> Sample:
    """The same rows with some of their columns."""
    values = {name: value for name, value in sample.values.items() if name in names}
    return Sample(values, {name: sample.marks[name] for name in values}, sample.records, sample.hashes)
