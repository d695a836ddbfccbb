"""Could a living person have these values? Cells outside the ranges of `clinical`, and pressures that exclude each other.

Knows no range by itself: `clinical.plausibility` has them with their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.clinical.plausibility import PlausibleRange, plausible_range
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.by_group import by_group, subgroup_values
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.group_fidelity import with_subgroups
from manikin.evaluation.intervals import mean_interval
from manikin.evaluation.prepared import Feature, Prepared, Sample

Flags = npt.NDArray[np.bool_]
PLAUSIBILITY = Definition("plausibility", "Rows with impossible values", Section.VALIDITY, Direction.LOWER)
ORDERS = (  # the first cannot lie above the second, by what the words mean
    ("diastolic pressure", "systolic pressure"),
    ("diastolic pressure", "mean arterial pressure"),
    ("mean arterial pressure", "systolic pressure"),
)


@dataclass(frozen=True)
class Known:
    """A column of which the quantity is known."""

    feature: Feature
    range: PlausibleRange

    def outside(self, sample: Sample) -> Flags:
        """Which rows hold a value out of the range, bool (n_rows,)."""
        values = sample.values[self.feature.name]
        with np.errstate(invalid="ignore"):
            return np.asarray((values < self.range.minimum) | (values > self.range.maximum))


@measured(PLAUSIBILITY, min_rows=1)
def plausibility(data: Prepared, *, seed: int) -> MetricResult:
    """Share of synthetic rows with a value that no living person can have, or with pressures in an impossible order; in [0, 1], 0 is best.

    Columns are known by their names, conservatively, and their units by train's median; a column that is not plainly recognised is not
    judged (`details.columns` lists those that are, each with range, unit and source). The ranges are wide: a value outside is an error,
    one inside need not be healthy. The reference is the share of holdout rows, for real tables hold errors too, and a generator that
    repeats these has invented nothing. All rows are looked at.
    """
    del seed
    known = known_columns(data)
    if not known:
        raise UndefinedMetricError("no column's name plainly says a quantity of which the plausible range is known")
    sides = {"train": data.real, "holdout": data.held, "synthetic": data.fake}
    wrong = {side: implausible(sample, known) for side, sample in sides.items()}
    columns = [_column(one, sides, data.schema.min_patients) for one in known]
    columns.sort(key=lambda row: (-row["synthetic"], row["column"]))
    orders = [_order(low, high, sides, data.schema.min_patients) for low, high in _orders(known)]
    intervals = {side: mean_interval(wrong[side], *_patients(sides[side])) for side in ("holdout", "synthetic")}
    features = [one.feature for one in known]
    within = by_group(data, features, lambda _, other, asked: _share(other, known, asked))
    made = PLAUSIBILITY.result(
        float(wrong["synthetic"].mean()),
        interval=intervals["synthetic"],
        n=len(data.fake),
        reference=float(wrong["holdout"].mean()),
        reference_interval=intervals["holdout"],
        details={
            "n_columns": len(known),
            "n_implausible_rows": int(wrong["synthetic"].sum()),
            "train": float(wrong["train"].mean()),
            "columns": columns,
            "orders": orders,
        },
    )
    return with_subgroups(made, subgroup_values(within))


def known_columns(data: Prepared) -> list[Known]:
    """The numbers whose quantity and unit are plain from name and train's median, in schema order."""
    made = []
    for feature in data.numbers:
        values = data.real.values[feature.name]
        present = values[~np.isnan(values)]
        if feature.column.kind.is_time or not len(present):
            continue
        found = plausible_range(feature.name, median=float(np.median(present)))
        if found is not None:
            made.append(Known(feature, found))
    return made


def implausible(sample: Sample, known: Sequence[Known]) -> Flags:
    """Which rows hold a value out of its range or pressures in an impossible order, bool (n_rows,)."""
    flags = [one.outside(sample) for one in known]
    flags += [_is_reversed(sample, low, high) for low, high in _orders(known)]
    return np.asarray(np.any(flags, axis=0)) if flags else np.zeros(len(sample), dtype=bool)


def _orders(known: Sequence[Known]) -> list[tuple[Known, Known]]:
    """Pairs of columns of which the first cannot lie above the second; only where each quantity has one column."""
    by_quantity: dict[str, list[Known]] = {}
    for one in known:
        by_quantity.setdefault(one.range.quantity, []).append(one)
    pairs = [(by_quantity.get(low, []), by_quantity.get(high, [])) for low, high in ORDERS]
    return [(low[0], high[0]) for low, high in pairs if len(low) == len(high) == 1]


def _is_reversed(sample: Sample, low: Known, high: Known) -> Flags:
    with np.errstate(invalid="ignore"):
        return np.asarray(sample.values[low.feature.name] > sample.values[high.feature.name])


def _share(sample: Sample, known: Sequence[Known], asked: Sequence[Feature]) -> float:
    names = {feature.name for feature in asked}
    return float(implausible(sample, [one for one in known if one.feature.name in names]).mean())


def _column(one: Known, sides: dict[str, Sample], least: int) -> dict[str, Any]:
    found = one.range
    sources = dict.fromkeys(cited.identifier for cited in (found.citation, found.citation_maximum) if cited is not None)
    return {
        "column": one.feature.name,
        "quantity": found.quantity,
        "minimum": found.minimum,
        "maximum": found.maximum,
        "unit": found.unit,
        "citation": ", ".join(sources),
        **_counts({side: int(one.outside(sample).sum()) for side, sample in sides.items()}, least),
    }


def _order(low: Known, high: Known, sides: dict[str, Sample], least: int) -> dict[str, Any]:
    counts = _counts({side: int(_is_reversed(sample, low, high).sum()) for side, sample in sides.items()}, least)
    return {"columns": [low.feature.name, high.feature.name], "text": f"{low.range.quantity} above {high.range.quantity}", **counts}


def _patients(sample: Sample) -> list[npt.NDArray[np.int64]]:
    return [sample.records] if sample.has_patients else []


def _counts(rows: dict[str, int], least: int) -> dict[str, int | None]:
    """Rows by side; of real ones none is told that is below the small-cell threshold and not 0."""
    return {side: None if side != "synthetic" and 0 < n < least else n for side, n in rows.items()}
