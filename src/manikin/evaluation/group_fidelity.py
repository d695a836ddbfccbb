"""Who is represented: the share of each group of patients in the release, and how alike the group's rows are. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError, measured
from manikin.evaluation.groups import Group, groups
from manikin.evaluation.prepared import Feature, Prepared, Sample

MAX_SHAPED = 40  # groups whose columns are compared
MAX_ROWS = 20_000
MIN_ROWS = 50  # rows of a group on every side for its columns to be compared
SHORTFALL = 0.9  # a group is called short when surely below its share, and by a tenth at least
REPRESENTATION = Definition("representation", "Who is represented (worst group)", Section.DIVERSITY, Direction.HIGHER)


@measured(REPRESENTATION)
def representation(data: Prepared, *, seed: int) -> MetricResult:
    """Share of the worst represented group among synthetic patients over its share among train patients; 1 is best, 0 is absence.

    Groups are the levels (or bands, of numbers) of the schema's quasi-identifiers and sensitive columns, and two of them at once; none
    that fewer train patients hold than the schema's threshold. The worst is the group whose ratio is most surely low: the one with the
    lowest upper end of its interval. Intervals are those of a ratio of two rates (Katz et al. 1978, doi:10.2307/2530610), with patients
    as draws; the figure's own is widened for the number of groups (Bonferroni), and so is the one by which a group is called short
    (`is_short`: surely below its share, and by a tenth at least). The reference is the worst group of the holdout. Both use all rows
    they have, since a small group needs them: a note tells where the holdout is the smaller.
    """
    del seed
    named = groups(data)
    if not named:
        raise UndefinedMetricError(
            "the schema names no quasi-identifier or sensitive column with a group that enough train patients hold"
        )
    sides = {"train": data.real, "holdout": data.held, "synthetic": data.fake}
    counts = {side: [_patients(sample, group) for group in named] for side, sample in sides.items()}
    totals = {side: sample.n_records for side, sample in sides.items()}
    level = 0.05 / len(named)
    shapes = within_groups(data)
    rows = []
    for i, group in enumerate(named):
        held = {side: counts[side][i] for side in sides}
        row: dict[str, Any] = {"group": group.name, "columns": group.columns, "n_train": held["train"]}
        row |= {side: held[side] / totals[side] for side in sides}
        for side in ("synthetic", "holdout"):
            both = held[side], totals[side], held["train"], totals["train"]
            row |= {f"ratio_{side}": _ratio(*both), f"ratio_{side}_interval": ratio_interval(*both)}
            row[f"wide_{side}"] = ratio_interval(*both, alpha=level)
        row["is_short"] = bool(row["wide_synthetic"][1] < 1 and row["ratio_synthetic"] < SHORTFALL)
        row |= dict(zip(("shapes", "shapes_reference"), shapes.get(group.name, (None, None)), strict=True))
        rows.append(row)
    worst, luckiest = (min(rows, key=lambda row: (row[f"wide_{side}"][1], row["group"])) for side in ("synthetic", "holdout"))
    value, interval = worst["ratio_synthetic"], worst["wide_synthetic"]
    reference, reference_interval = luckiest["ratio_holdout"], luckiest["wide_holdout"]
    rows.sort(
        key=lambda row: (
            not row["is_short"],
            row["wide_synthetic" if row["is_short"] else "ratio_synthetic_interval"][1],
            row["group"],
        )
    )
    shown = [{key: part for key, part in row.items() if not key.startswith("wide")} for row in rows]
    note = ""
    if totals["holdout"] < totals["synthetic"]:
        note = f"The reference rests on {totals['holdout']} patients, fewer than the {totals['synthetic']} of the figure."
    made = REPRESENTATION.result(
        value,
        interval=interval,
        n=len(data.fake),
        reference=reference,
        reference_interval=reference_interval,
        details={
            "worst_group": worst["group"],
            "n_groups": len(named),
            "n_short": sum(row["is_short"] for row in rows),
            "by": list(dict.fromkeys(column for group in named for column in group.columns)),
            "groups": shown,
        },
        note=note,
    )
    return with_subgroups(made, {row["group"]: row["ratio_synthetic"] for row in rows})


def with_subgroups(result: MetricResult, values: dict[str, float]) -> MetricResult:
    """The result with a figure for each group, rounded."""
    from dataclasses import replace

    return replace(result, subgroups={name: round(value, 6) for name, value in values.items()})


def within_groups(data: Prepared) -> dict[str, tuple[float, float]]:
    """Mean shape score of synthetic and of holdout rows against train rows within each large enough group, at equal n; found once.

    Groups are taken in their order, at most 40; the columns that make the group are left out.
    """
    if "within groups" not in data.memory:
        made: dict[str, tuple[float, float]] = {}
        real, held, fake = (side.draw(MAX_ROWS, 0, "groups", "rows") for side in (data.real, data.held, data.fake))
        for group in groups(data):
            if len(made) == MAX_SHAPED:
                break
            parts = [side.take(np.flatnonzero(group.holds(side))) for side in (real, held, fake)]
            n = min(len(parts[1]), len(parts[2]))
            features = [feature for feature in data.features if feature.name not in group.columns]
            if n < MIN_ROWS or len(parts[0]) < MIN_ROWS or not features:
                continue
            scores = [_mean_likeness(parts[0], side.draw(n, 0, "groups", "equal"), features) for side in (parts[2], parts[1])]
            if scores[0] is not None and scores[1] is not None:
                made[group.name] = (scores[0], scores[1])
        data.memory["within groups"] = made
    found: dict[str, tuple[float, float]] = data.memory["within groups"]
    return found


def likeness(real: Sample, other: Sample, feature: Feature) -> float | None:
    """1 - KS (numbers) or 1 - TV (levels) over cells with a value, in [0, 1]; None where a side has none."""
    first, second = (side.values[feature.name][side.marks[feature.name] == 0] for side in (real, other))
    if min(len(first), len(second)) == 0:
        return None
    if feature.is_number:
        grid = np.unique(np.concatenate([first, second]))
        below = [np.searchsorted(np.sort(side), grid, side="right") / len(side) for side in (first, second)]
        return 1 - float(np.abs(below[0] - below[1]).max())
    n_levels = len(feature.levels or ())
    shares = [np.bincount(side, minlength=n_levels) / len(side) for side in (first, second)]
    return 1 - float(np.abs(shares[0] - shares[1]).sum() / 2)


def ratio_interval(x: int, n: int, y: int, m: int, *, alpha: float = 0.05) -> Interval:
    """Interval of (x/n) / (y/m), normal on the log scale (Katz et al. 1978); half a count is added where x is 0.

    >>> [round(end, 2) for end in ratio_interval(50, 100, 50, 100)]
    [0.76, 1.32]
    """
    from scipy.special import ndtri

    hits = max(x, 0.5)
    spread = max(0.0, 1 / hits - 1 / n + 1 / y - 1 / m) ** 0.5
    centre, half = (hits / n) / (y / m), float(ndtri(1 - alpha / 2)) * spread
    return (0.0 if x == 0 else float(centre * np.exp(-half))), float(centre * np.exp(half))


def _ratio(x: int, n: int, y: int, m: int) -> float:
    return (x / n) / (y / m)


def _patients(sample: Sample, group: Group) -> int:
    rows: npt.NDArray[np.bool_] = group.holds(sample)
    return len(np.unique(sample.records[rows])) if sample.has_patients else int(rows.sum())


def _mean_likeness(real: Sample, other: Sample, features: Sequence[Feature]) -> float | None:
    scores = [score for feature in features if (score := likeness(real, other, feature)) is not None]
    return float(np.mean(scores)) if scores else None
