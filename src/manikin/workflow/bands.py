"""Numbers of given and of continued patients over time, and the bands that many draws make. Knows no model and no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.schema import Role
from manikin.workflow.linked_times import days, first_and_last

N_STEPS = 8  # between what was given and the end
LOW, HIGH = 0.05, 0.95
COLUMNS = ("patient", "table", "column", "code", "from_days", "to_days", "draws", "low", "median", "high")
FEWEST_DRAWS = 5  # that make a band in a picture
HISTORY = 4.0  # spans of what was given, before the span that is drawn
MOST_PATIENTS, MOST_CODES, MOST_GIVEN = 6, 4, 300


@dataclass(frozen=True)
class Values:
    """The numbers of some patients that were measured at a time.

    Attributes
    ----------
    cells : columns patient (number), table, column, code, days (since the patient's first event) and value, one row a number.
    patients : what each patient is called. last : days at which the last given event of each lies, float64 (n_patients,).
    """

    cells: pd.DataFrame
    patients: tuple[str, ...]
    last: npt.NDArray[np.float64]

    @classmethod
    def of(cls, data: Dataset, *, beyond: Dataset | None = None) -> Values:
        """The numbers of a data set; with `beyond` only those of rows that come after the rows of that one, patient by patient."""
        first, last = first_and_last(data)
        parts = []
        for name, times in days(data).items():
            table, owner = data.schema[name], data.owners[name]
            since = times - first[owner]
            chosen = ~np.isnan(since)
            if beyond is not None:
                given = np.bincount(beyond.owners[name], minlength=len(data))
                chosen &= pd.Series(owner).groupby(owner).cumcount().to_numpy() >= given[owner]
            frame = data.tables[name].frame
            for column in table.learned:
                if not column.kind.is_number or column.name in (table.start, table.end):
                    continue
                values = frame[column.name].to_numpy(dtype=float)
                rows = np.flatnonzero(chosen & np.isfinite(values))
                code = np.full(len(rows), "", dtype=object)
                if column.by is not None:
                    code = frame[column.by].astype(object).to_numpy()[rows]
                parts.append(
                    pd.DataFrame(
                        {
                            "patient": owner[rows],
                            "table": name,
                            "column": column.name,
                            "code": pd.Series(code, dtype=object).fillna("").astype(str).to_numpy(),
                            "days": since[rows],
                            "value": values[rows],
                        }
                    )
                )
        empty = pd.DataFrame({"patient": [], "table": [], "column": [], "code": [], "days": [], "value": []})
        return cls(pd.concat(parts, ignore_index=True) if parts else empty, names_of(data), np.nan_to_num(last - first))


def bands_of(given: Values, draws: Sequence[Values], until: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Where nine of ten draws lie, by patient, number and step of time.

    A step is an eighth of the time between a patient's last given event and the end. In each draw the mean of what it holds in a step
    counts; `draws` says how many draws hold anything there. `low`, `median` and `high` are the 5, 50 and 95 % quantiles over these, those
    of Weibull (place p (n + 1) of n), between which one more draw lies nine times of ten; below 19 draws, the least and the greatest.
    """
    cells = pd.concat([draw.cells.assign(draw=i) for i, draw in enumerate(draws)], ignore_index=True)
    if cells.empty:
        return pd.DataFrame({name: [] for name in COLUMNS})
    patient = cells["patient"].to_numpy(dtype=np.int64)
    width = np.maximum(until - given.last, 1e-9) / N_STEPS
    step = np.clip(((cells["days"].to_numpy() - given.last[patient]) / width[patient]).astype(np.int64), 0, N_STEPS - 1)
    by = ["patient", "table", "column", "code", "step"]
    means = cells.assign(step=step, patient=patient).groupby([*by, "draw"], sort=True)["value"].mean()
    sizes = means.groupby(by).size()
    ends = np.cumsum(sizes.to_numpy(), dtype=np.int64)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends])[:-1]
    ordered = means.reset_index().sort_values([*by, "value"], kind="stable")["value"].to_numpy()
    quantiles = {
        name: quantile_of(ordered, starts, ends, share)
        for name, share in (("low", LOW), ("median", 0.5), ("high", HIGH))
    }
    out = sizes.rename("draws").reset_index().assign(**quantiles)
    number = out["patient"].to_numpy(dtype=np.int64)
    out["from_days"] = (given.last[number] + out["step"] * width[number]).round(6)
    out["to_days"] = (given.last[number] + (out["step"] + 1) * width[number]).round(6)
    out["patient"] = np.array(given.patients, dtype=object)[number]
    return out[list(COLUMNS)]


def quantile_of(
    ordered: npt.NDArray[np.float64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], share: float
) -> npt.NDArray[np.float64]:
    """A quantile of each group of rising numbers that lie from `starts` to `ends`: place `share` (n + 1) of n, between two if need be.

    >>> quantile_of(np.arange(1.0, 20.0), np.array([0]), np.array([19]), 0.05)
    array([1.])
    """
    place = np.clip(share * (ends - starts + 1) - 1, 0, ends - starts - 1)
    below = np.floor(place).astype(np.int64)
    rest = place - below
    above = np.minimum(starts + below + 1, ends - 1)
    return np.asarray(ordered[starts + below] * (1 - rest) + ordered[above] * rest)


def panels_of(given: Values, steps: pd.DataFrame, until: npt.NDArray[np.float64], *, draws: int) -> list[dict[str, Any]]:
    """What a page shows: of the first patients the numbers that most draws hold, with what was given of them shortly before.

    Of what was given, four times the span that is drawn is shown; a step that fewer than five draws reach makes no band.
    """
    panels: list[dict[str, Any]] = []
    steps = steps[steps["draws"] >= min(FEWEST_DRAWS, draws)]
    for patient in list(dict.fromkeys(steps["patient"]))[:MOST_PATIENTS]:
        mine = steps[steps["patient"] == patient]
        order = mine.groupby(["table", "column", "code"], sort=True)["draws"].sum().sort_values(ascending=False, kind="stable")
        number = given.patients.index(patient)
        for table, column, code in list(order.index)[:MOST_CODES]:
            own = mine[(mine["table"] == table) & (mine["column"] == column) & (mine["code"] == code)]
            before = given.cells
            chosen = (before["patient"] == number) & (before["table"] == table) & (before["column"] == column) & (before["code"] == code)
            since = given.last[number] - HISTORY * max(until[number] - given.last[number], 0.0)
            points = before[chosen & (before["days"] >= since)].sort_values("days").tail(MOST_GIVEN)
            panels.append(
                {
                    "patient": f"patient {patient}",
                    "table": table,
                    "column": column,
                    "code": code,
                    "given": [[round(day, 6), value] for day, value in zip(points["days"], points["value"], strict=True)],
                    "steps": [
                        {"days": round((start + end) / 2, 6), "low": low, "median": middle, "high": high}
                        for start, end, low, middle, high in zip(
                            own["from_days"], own["to_days"], own["low"], own["median"], own["high"], strict=True
                        )
                    ],
                }
            )
    return panels


def names_of(data: Dataset) -> tuple[str, ...]:
    """What each patient is called: her key as it was given."""
    out = [str(i + 1) for i in range(len(data))]
    for table in data.schema.of_patients:
        for column in table.with_role(Role.PATIENT_KEY)[:1]:
            cells = data.tables[table.name].frame[column.name].astype(object).to_numpy()
            for owner, cell in zip(data.owners[table.name].tolist(), cells, strict=True):
                out[owner] = str(int(cell)) if isinstance(cell, float) else str(cell)
    return tuple(out)
