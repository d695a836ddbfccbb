"""How a metric or an attack of flat tables is taken of linked patients: of one row a patient, or table by table. Knows none by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from manikin.evaluation.base import Linked, Metric, MetricResult
from manikin.evaluation.intervals import clopper_pearson
from manikin.evaluation.records.linked import LinkedData

OF_PATIENTS = "whole patients"
COUNTED = frozenset({"cells", "levels"})  # units of figures that count; others are shares of rows


def of_linked(measure: Metric, how: Linked, data: LinkedData, *, seed: int, pools: bool = False) -> MetricResult:
    """One figure of linked patients; `pools` says that the measure sees all releases at once."""
    if how is Linked.PATIENTS:
        return _of_patients(measure(data.all_patients if pools else data.patients, seed=seed))
    if how is Linked.TABLES:
        return _of_tables(measure, data, seed)
    return measure(data, seed=seed)


def _of_patients(result: MetricResult) -> MetricResult:
    unit = "patients" if result.unit == "rows" else result.unit
    return replace(result, title=f"{result.title}, {OF_PATIENTS}", unit=unit)


def _of_tables(measure: Metric, data: LinkedData, seed: int) -> MetricResult:
    """The sum of counts, or the share of the rows of all tables; tables for which it is not defined are left out."""
    found = {name: measure(rows, seed=seed) for name, rows in data.by_table.items()}
    known = {name: result for name, result in found.items() if result.value is not None}
    if not known:
        first = next(iter(found.values()), None)
        if first is None:
            return measure(data.patients, seed=seed)
        return replace(first, title=f"{first.title}, all tables")
    first = next(iter(known.values()))
    n = sum(result.n for result in known.values())
    details = _together({name: result.details for name, result in known.items()})
    notes = " ".join(dict.fromkeys(result.note for result in known.values() if result.note))
    made = replace(first, title=f"{first.title}, all tables", n=n, details={"tables": len(known), **details}, note=notes)
    if first.unit in COUNTED:
        return replace(made, value=sum(r.value or 0.0 for r in known.values()), reference=sum(r.reference or 0.0 for r in known.values()))
    hits = sum((result.value or 0.0) * result.n for result in known.values())
    sizes = {name: len(data.by_table[name].held) for name in known}
    held = sum((result.reference or 0.0) * sizes[name] for name, result in known.items())
    n_held = sum(sizes.values())
    return replace(
        made,
        value=round(hits / max(n, 1), 6),
        interval=_interval(hits, n),
        reference=round(held / max(n_held, 1), 6),
        reference_interval=_interval(held, n_held),
    )


def _interval(hits: float, n: int) -> tuple[float, float]:
    low, high = clopper_pearson(round(hits), n)
    return round(low, 6), round(high, 6)


def _together(by_table: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Counts added up, lists put together with the table's name in each entry; other details are told of no table."""
    made: dict[str, Any] = {}
    for table, details in by_table.items():
        for key, value in details.items():
            if isinstance(value, bool) or value is None or isinstance(value, str | float | Mapping):
                continue
            if isinstance(value, int):
                made[key] = max(made.get(key, 0), value) if key == "threshold" else made.get(key, 0) + value
            elif isinstance(value, list):
                made.setdefault(key, []).extend(_named(entry, table) for entry in value)
    return made


def _named(entry: Any, table: str) -> Any:
    """An entry that says whose it is: `column` and plain names get the table's name before them."""
    if isinstance(entry, str):
        return f"{table}.{entry}"
    if isinstance(entry, Mapping):
        named = {"column": f"{table}.{entry['column']}"} if "column" in entry else {}
        return {"table": table, **entry, **named}
    return entry
