"""What the plots of linked patients are drawn from, as JSON-able numbers. Knows nothing of drawing.

The views of one row a patient, as of a flat table, and under `records` what is of histories. `timelines` show whole real patients:
whatever holds them is internal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Form, Kind
from manikin.evaluation.base import MetricResult
from manikin.evaluation.definition import clean
from manikin.evaluation.records.codes import frequent, may_be_named, texts
from manikin.evaluation.records.lengths import gaps_of, lengths_of
from manikin.evaluation.records.linked import LinkedData, Side
from manikin.evaluation.records.timelines import timelines
from manikin.evaluation.records.transitions import steps_between
from manikin.evaluation.records.vocabulary import code_column, sequences
from manikin.evaluation.views import views as views_of_rows

Floats = npt.NDArray[np.float64]
N_BINS = 24
N_STEPS = 12  # codes of which the steps are drawn
FAR = 0.2  # difference of the shares of filled rows from which it is told
MINUTE = 1 / 1_440  # the least gap that is drawn, in days


def views(data: LinkedData, results: Sequence[MetricResult], *, seed: int) -> dict[str, Any]:
    """The views of one row a patient, and under `records` those of histories."""
    return {**views_of_rows(data.patients, results, seed=seed), "records": views_of_histories(data, seed=seed)}


def views_of_histories(data: LinkedData, *, seed: int) -> dict[str, Any]:
    """What is drawn of events:

    tables : per table of patients its name, `form`, the column of its code, and rows on each side.
    columns : what a reader misses: columns that are empty, that hold one value, or that are filled in far fewer (or more) rows than in
        train: `table`, `column`, `what`, and the shares of rows that are filled in train and in the synthetic data.
    patients, visits, events : how many there are on each side.
    lengths : per part `edges` and shares of patients on each side. gaps : the same, edges as log10 of days.
    steps : `codes`, and for train and synthetic the share of the steps from a code to the next moment that hold each code.
    timelines : see `timelines`.
    """
    real, held, fake = data.drawn(seed)
    made: dict[str, Any] = {
        "tables": [_table(data, name) for name in (table.name for table in data.tables)],
        "columns": _lost_columns(data),
        **_sizes(data),
        "lengths": [_overlay(name, parts) for name, parts in _parts(data, lengths_of, (real, held, fake)).items()],
        "gaps": [_overlay(name, parts, is_log=True) for name, parts in _parts(data, gaps_of, (real, held, fake)).items()],
        "steps": _steps(data, real, fake),
        "timelines": timelines(data),
    }
    return {key: clean(value) for key, value in made.items()}


def _sizes(data: LinkedData) -> dict[str, dict[str, int]]:
    sides = {"train": data.real, "holdout": data.held, "synthetic": data.fake}
    return {
        "patients": {name: side.n_patients for name, side in sides.items()},
        "visits": {name: side.n_visits for name, side in sides.items()},
        "events": {name: len(side) for name, side in sides.items()},
    }


def _table(data: LinkedData, name: str) -> dict[str, Any]:
    table = next(table for table in data.tables if table.name == name)
    code = code_column(table) if table in sequences(data.tables) else None
    rows = {side: len(part.tables[name]) for side, part in zip(("train", "holdout", "synthetic"), data.sides, strict=True)}
    return {"table": name, "form": str(table.form or Form.STATIC), "code": code.name if code else None, **rows}


def _lost_columns(data: LinkedData) -> list[dict[str, Any]]:
    train, _, fake = data.sides
    out: list[dict[str, Any]] = []
    for table in data.tables:
        real, made = train.tables[table.name], fake.tables[table.name]
        for column in table if len(real.frame) and len(made.frame) else ():
            if column.kind is Kind.IDENTIFIER or column.name not in made.frame or column.name not in real.frame:
                continue
            filled = [float((side.mark(column.name) == 0).mean()) for side in (real, made)]
            several = column.kind.is_discrete and real.frame[column.name].nunique() > 1
            what = "empty" if filled[0] > 0 and not filled[1] else ""
            what = what or ("one value" if several and made.frame[column.name].nunique() == 1 else "")
            what = what or ("emptier" if filled[0] - filled[1] > FAR else "fuller" if filled[1] - filled[0] > FAR else "")
            if what:
                out.append({"table": table.name, "column": column.name, "what": what, "train": filled[0], "synthetic": filled[1]})
    return out


def _parts(data: LinkedData, of: Any, sides: tuple[Side, Side, Side]) -> dict[str, list[Floats]]:
    """The values of each part that all sides have."""
    found = [of(data, side) for side in sides]
    return {name: [side[name][0] for side in found] for name in found[0] if all(name in side for side in found)}


def _overlay(name: str, parts: Sequence[Floats], *, is_log: bool = False) -> dict[str, Any]:
    """Shares of train, holdout and synthetic values by bin; what lies beyond the middle 99.8 % of train counts in the outermost."""
    values = [np.log10(np.maximum(part[part > 0], MINUTE)) if is_log else part for part in parts]
    low, high = np.quantile(values[0], [0.001, 0.999]) if len(values[0]) else (0.0, 1.0)
    if not is_log:
        low, high = np.floor(low) - 0.5, np.ceil(high) + 0.5
        width = max(1, int(np.ceil((high - low) / N_BINS)))
        edges = low + width * np.arange(int(np.ceil((high - low) / width)) + 1)
    else:
        edges = np.linspace(low, high if high > low else low + 1, N_BINS + 1)
    made: dict[str, Any] = {"part": name, "edges": [float(f"{edge:.6g}") for edge in edges]}
    for side, part in zip(("train", "holdout", "synthetic"), values, strict=True):
        codes = np.clip(np.searchsorted(edges, part, side="right") - 1, 0, len(edges) - 2)
        made[side] = np.bincount(codes, minlength=len(edges) - 1) / max(len(part), 1)
    return made


def _steps(data: LinkedData, real: Side, fake: Side) -> dict[str, Any]:
    """How often b is in the patient's next moment after one that holds a, for train's commonest codes; {} where there are no steps."""
    items = frequent(data, N_STEPS)
    items = items[may_be_named(data, items)] if len(items) else items
    if len(items) < 2:
        return {}
    found = [steps_between(side, items, len(data.vocabulary.items)) for side in (real, fake)]
    if any(part is None for part in found):
        return {}
    return {"codes": texts(data.vocabulary, items), "train": found[0], "synthetic": found[1]}
