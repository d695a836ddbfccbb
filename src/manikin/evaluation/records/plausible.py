"""Could a living person have these numbers? By what each measures, in whatever table it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.clinical.plausibility import PlausibleRange, plausible_range
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import mean_interval
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.history import History
from manikin.evaluation.records.linked import LinkedData
from manikin.evaluation.records.measured import names, numbers_of, patients_per_measure

VALUES = Definition("plausible_values", "Numbers that cannot be", Section.VALIDITY, Direction.LOWER, unit="values")


@dataclass(frozen=True)
class Judged:
    """A measure, the range that its values may lie in, and where the range is from."""

    measure: int
    name: str
    low: float
    high: float
    known: PlausibleRange | None


@of_patients(VALUES, least=1)
def plausible_values(data: LinkedData, *, seed: int) -> MetricResult:
    """Share of the release's measured numbers that no living person can have; in [0, 1], 0 is best, the reference or less is enough.

    A number is known by its code or its column's name, conservatively, and its unit by train's median (see `clinical.plausibility`, each
    range with its source). A number that is not known is held against the range of the train patients' own values instead: what lies
    outside was never seen. The reference is the share of holdout values, for real tables hold errors too. All rows are looked at;
    intervals count patients. `details.known` and `details.unseen` are the shares of either kind, `details.measures` the known numbers and
    those outside most.
    """
    del seed
    judged = _judged(data)
    if not judged:
        raise UndefinedMetricError("no number is measured in the train data")
    sides = {"train": data.real, "holdout": data.held, "synthetic": data.fake}
    counts = {side: [_outside(of, one) for one in judged] for side, of in sides.items()}
    value, interval = _share(data.fake, judged)
    reference, reference_interval = _share(data.held, judged)
    n = sum(total for _, total in counts["synthetic"])
    if n == 0:
        raise UndefinedMetricError("the release holds no such number")
    return VALUES.result(
        value,
        interval=interval,
        n=n,
        reference=reference,
        reference_interval=reference_interval,
        details={
            "n_known": sum(one.known is not None for one in judged),
            **{
                f"{kind}{suffix}": _part(counts[side], judged, is_known)
                for kind, is_known in (("known", True), ("unseen", False))
                for suffix, side in (("", "synthetic"), ("_reference", "holdout"))
            },
            "measures": _listed(judged, counts, max((table.min_patients for table in data.tables), default=1)),
        },
    )


def _judged(data: LinkedData) -> list[Judged]:
    patients = patients_per_measure(data)
    chosen = np.flatnonzero(patients > 0)
    made = []
    for name, measure in zip(names(data, chosen), chosen, strict=True):
        values, _ = numbers_of(data.real, int(measure))
        what = data.vocabulary.measures[measure]
        known = plausible_range(what.code or what.column, median=float(np.median(values)))
        low, high = (known.minimum, known.maximum) if known is not None else (float(values.min()), float(values.max()))
        made.append(Judged(int(measure), name, low, high, known))
    return made


def _outside(of: History, one: Judged) -> tuple[int, int]:
    values, _ = numbers_of(of, one.measure)
    return int(((values < one.low) | (values > one.high)).sum()), len(values)


def _share(of: History, judged: list[Judged]) -> tuple[float, tuple[float, float] | None]:
    """The share of values outside, and its interval, clustered by patient."""
    flags, patients = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for one in judged:
        values, events = numbers_of(of, one.measure)
        flags.append(((values < one.low) | (values > one.high)).astype(float))
        patients.append(of.patient[events])
    together = np.concatenate(flags)
    if not len(together):
        return 0.0, None
    return float(together.mean()), mean_interval(together, np.concatenate(patients))


def _part(counts: list[tuple[int, int]], judged: list[Judged], is_known: bool) -> float | None:
    chosen = [count for count, one in zip(counts, judged, strict=True) if (one.known is not None) is is_known]
    total = sum(n for _, n in chosen)
    return sum(wrong for wrong, _ in chosen) / total if total else None


def _listed(judged: list[Judged], counts: dict[str, list[tuple[int, int]]], least: int) -> list[dict[str, Any]]:
    """Known numbers, and of the others those with values outside; a real range is not told, nor a real count below the threshold."""
    rows = []
    for i, one in enumerate(judged):
        wrong = {side: found[i][0] for side, found in counts.items()}
        if one.known is None and wrong["synthetic"] == 0:
            continue
        row: dict[str, Any] = {"part": one.name, "n": counts["synthetic"][i][1]}
        row |= {side: None if side != "synthetic" and 0 < n < least else n for side, n in wrong.items()}
        if one.known is not None:
            sources = dict.fromkeys(c.identifier for c in (one.known.citation, one.known.citation_maximum) if c is not None)
            row |= {"quantity": one.known.quantity, "minimum": one.low, "maximum": one.high, "unit": one.known.unit}
            row |= {"citation": ", ".join(sources)}
        rows.append(row)
    rows.sort(key=lambda row: (-row["synthetic"] / max(row["n"], 1), row["part"]))
    return rows[:60]
