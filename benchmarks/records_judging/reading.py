"""Reads a folder of linked tables as one cohort: who the patients are, and all that happened to them as (patient, time, code, value).

judge.json, written with the tables, says where to look. What is text and what is a number comes from there and from the files of train,
so that a generator which writes text into a column of numbers loses these cells. Knows no score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True)
class Cohort:
    """Patients 0..n-1 and their events, by patient and time.

    Attributes
    ----------
    statics : one row a patient; floats for numbers, text for categories. events : columns patient, time (the unit of the file, days for
    dates), code (text; name of the column where the table is wide), value (NaN where there is none). tables : the files, cells as text.
    """

    statics: pd.DataFrame
    events: pd.DataFrame
    tables: dict[str, pd.DataFrame]

    def __len__(self) -> int:
        return len(self.statics)

    def of(self, patients: np.ndarray) -> Cohort:
        """Some patients, numbered anew in the order given; one named twice comes twice."""
        rows = pd.DataFrame({"patient": patients, "new": np.arange(len(patients))})
        events = self.events.merge(rows, on="patient").drop(columns="patient").rename(columns={"new": "patient"})
        events = events.sort_values(["patient", "time"], kind="stable", na_position="first").reset_index(drop=True)
        return Cohort(self.statics.iloc[patients].reset_index(drop=True), events[self.events.columns], {})


def facts_of(folder: Path) -> dict:
    """What judge.json says."""
    return json.loads((folder / "judge.json").read_text())


def load(folder: Path, facts: Mapping) -> Cohort:
    """The cohort of a folder of CSV files; a table that a generator left out counts as empty."""
    files = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    tables = {name: pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""]) for name, path in files.items()}
    statics, keys = _statics(tables, facts)
    parts = [_events(tables, spec, keys, len(facts["events"]) > 1) for spec in facts["events"] if spec["table"] in tables]
    events = pd.concat(parts, ignore_index=True) if parts else _no_events()
    events = events.sort_values(["patient", "time"], kind="stable", na_position="first").reset_index(drop=True)
    return Cohort(statics, events, tables)


def _statics(tables: Mapping[str, pd.DataFrame], facts: Mapping) -> tuple[pd.DataFrame, pd.Index]:
    """Typed statics of each patient, and the patients' keys in the same order."""
    told = facts["patients"]
    if told["table"] is None:
        events = facts["events"][0]
        keys = pd.Index(pd.unique(tables[events["table"]][events["key"]].dropna()))
        return pd.DataFrame(index=range(len(keys))), keys
    table = tables[told["table"]].drop_duplicates(told["key"]).reset_index(drop=True)
    names = told.get("only", [name for name in table if name != told["key"]])
    typed = {name: _text(table[name]) if name in told["categories"] else number(table[name]) for name in names if name in table}
    return pd.DataFrame(typed, index=table.index), pd.Index(table[told["key"]])


def _events(tables: Mapping[str, pd.DataFrame], spec: Mapping, keys: pd.Index, named: bool) -> pd.DataFrame:
    """The rows of one table as events; rows of no known patient are left to the score of key integrity."""
    table = tables[spec["table"]]
    patient = keys.get_indexer(table[spec["key"]])
    time = moment(table[spec["time"]]) if spec.get("time") in table else _time_of(table, tables, spec.get("time_of"))
    frame = pd.DataFrame({"patient": patient, "time": np.asarray(time, dtype=float)})
    if spec.get("wide"):
        cells = table[[name for name in table if name not in (spec["key"], spec["time"])]].apply(number)
        events = frame.join(cells).melt(["patient", "time"], var_name="code", value_name="value").dropna(subset="value")
    else:
        code = _text(table[spec["code"]]).fillna("(none)")
        value = number(table[spec["value"]]) if spec.get("value") in table else np.nan
        events = frame.assign(code=f"{spec['table']}:" + code if named else code, value=value)
    return events[events["patient"] >= 0]


def _time_of(table: pd.DataFrame, tables: Mapping[str, pd.DataFrame], told: Mapping | None) -> np.ndarray:
    """The times of the rows that a table's rows name (a diagnosis at its admission), NaN where nothing is told."""
    if told is None or told["table"] not in tables or told["on"] not in table:
        return np.full(len(table), np.nan)
    visits = tables[told["table"]].drop_duplicates(told["on"])
    place = pd.Index(visits[told["on"]]).get_indexer(table[told["on"]])
    return np.append(moment(visits[told["time"]]), np.nan)[place]


def _no_events() -> pd.DataFrame:
    return pd.DataFrame({"patient": np.array([], int), "time": np.array([], float), "code": [], "value": np.array([], float)})


def number(cells: pd.Series) -> pd.Series:
    """Floats; what is no number is missing."""
    return pd.to_numeric(cells, errors="coerce").astype(float)


def moment(cells: pd.Series) -> np.ndarray:
    """Times as floats: numbers as they are, dates in days."""
    numbers = number(cells)
    if numbers.notna().any() or cells.isna().all():
        return numbers.to_numpy()
    stamps = pd.to_datetime(cells, errors="coerce", format="ISO8601")
    return ((stamps - pd.Timestamp("2100-01-01")).dt.total_seconds() / SECONDS_PER_DAY).to_numpy()


def _text(cells: pd.Series) -> pd.Series:
    """Text in which 1 and 1.0 are one value."""
    return cells.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
