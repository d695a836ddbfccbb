"""Could this patient have this diagnosis? By her sex and her age at the time, where the schema names the system of the codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.clinical.bound_codes import (
    DAYS_IN_YEAR,
    MCE,
    OLDEST,
    UNKNOWN,
    Limits,
    bounds_on,
    diagnosis,
    is_age,
    limits,
    sexes_of,
    system_of,
)
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Form, Kind, Role, TableSchema
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import mean_interval
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData
from manikin.evaluation.records.times import DAY_IN_US, Times, times

Floats = npt.NDArray[np.float64]
CONFLICTS = Definition(
    "code_conflicts", "Diagnoses that sex or age excludes", Section.VALIDITY, Direction.LOWER, unit="diagnoses"
)


@dataclass(frozen=True)
class Checked:
    """Rows of one column of codes whose patient's sex or age is known: whether each is excluded, whose it is, and what excludes it."""

    wrong: npt.NDArray[np.bool_]
    owner: npt.NDArray[np.int64]
    titles: dict[str, int]


@of_patients(CONFLICTS, least=1)
def code_conflicts(data: LinkedData, *, seed: int) -> MetricResult:
    """Share of the release's diagnoses that the patient's sex or age excludes; in [0, 1], 0 is best, the reference or less is enough.

    The codes are those of columns whose code system the schema names (ICD-9-CM, ICD-10-CM, and the diagnoses
    among those of MEDS); the ranges that one sex or an age alone can
    have are those of `clinical.bound_codes`, coarse and after the Medicare Code Editor. Sex is a static column that says so by its name
    and levels; age is counted to the row's time from a static date of birth, else a static number of years is taken as it is. Rows of
    patients of whom neither is known are left out. The reference is the holdout's share, for real tables hold errors too. `details.ranges`
    says which ranges are broken.
    """
    del seed
    found = {name: _checked(side, data) for name, side in (("holdout", data.holdout), ("synthetic", data.sides[2]))}
    ours = found["synthetic"]
    if not any(len(one.wrong) for one in ours):
        raise UndefinedMetricError("no table has codes whose system is known, of patients whose sex or age is")
    value, interval, n = _share(ours)
    reference, reference_interval, n_held = _share(found["holdout"])
    titles = sorted({title for one in ours for title in one.titles})
    return CONFLICTS.result(
        value,
        interval=interval,
        n=n,
        reference=reference if n_held else None,
        reference_interval=reference_interval,
        details={
            "n_wrong": int(sum(one.wrong.sum() for one in ours)),
            "ranges": [{"range": title, "synthetic": sum(one.titles.get(title, 0) for one in ours)} for title in titles],
            "citation": MCE.identifier,
        },
    )


def _share(parts: list[Checked]) -> tuple[float, tuple[float, float] | None, int]:
    """The share of excluded rows, its interval clustered by patient, and how many rows there are."""
    wrong = np.concatenate([np.zeros(0), *(one.wrong.astype(float) for one in parts)])
    owner = np.concatenate([np.zeros(0, dtype=np.int64), *(one.owner for one in parts)])
    return (float(wrong.mean()), mean_interval(wrong, owner), len(wrong)) if len(wrong) else (0.0, None, 0)


def _checked(side: Dataset, data: LinkedData) -> list[Checked]:
    when = times(side)
    sex, born = sex_of_patients(side, data.tables), days_from_birth(side, data.tables, when)
    out = []
    for table in data.tables:
        for column in table:
            system = system_of(column.code_system) if column.kind is Kind.CODE else None
            if system is None:
                continue
            cells, owner = side.tables[table.name].frame[column.name], side.owners[table.name]
            start = when.start[table.name]
            age = (born[owner] + np.where(np.isnan(start), 0.0, start)) / DAYS_IN_YEAR
            known = np.flatnonzero(_is_diagnosis(cells, system) & ((sex[owner] != UNKNOWN) | ~np.isnan(age)))
            held = cells.iloc[known].astype(str)
            codes = sorted(set(held))
            place = {code: i for i, code in enumerate(codes)}
            code = np.array([place[one] for one in held], dtype=np.int64)
            allowed = _open(limits(system, [[one] for one in codes]), code, sex[owner[known]], age[known])
            broken = [bound.title for i in code[~allowed].tolist() for bound in bounds_on(system, codes[i])[:1]]
            out.append(Checked(~allowed, owner[known], {title: broken.count(title) for title in set(broken)}))
    return out


def _is_diagnosis(cells: pd.Series, system: str) -> npt.NDArray[np.bool_]:
    """Which cells hold a diagnosis, bool (n_rows,)."""
    codes, texts = pd.factorize(cells.astype(object))
    of_text = np.array([diagnosis(system, str(text)) is not None for text in texts] + [False])
    return of_text[codes]


def _open(known: Limits, code: npt.NDArray[np.int64], sex: npt.NDArray[np.int8], age: Floats) -> npt.NDArray[np.bool_]:
    """Whether each row's patient may have its code, bool (n_rows,)."""
    return known.sexes[code, sex] & ~((age < known.least[code]) | (age >= known.below[code]))


def _static(tables: tuple[TableSchema, ...]) -> list[tuple[TableSchema, Column]]:
    return [(table, column) for table in tables if table.form is Form.STATIC for column in table]


def sex_of_patients(side: Dataset, tables: tuple[TableSchema, ...]) -> npt.NDArray[np.int8]:
    """The sex of each patient, int8 (n_patients,)."""
    out = np.full(side.n_records, UNKNOWN, dtype=np.int8)
    for table, column in _static(tables):
        cells = side.tables[table.name].frame[column.name]
        if column.kind not in (Kind.CATEGORICAL, Kind.CODE, Kind.TEXT, Kind.BOOLEAN):
            continue
        texts = cells.astype(object).where(cells.notna(), "").astype(str)
        said = sexes_of(column.name, sorted(set(texts)))
        if said:
            out[side.owners[table.name]] = np.array([said.get(text, UNKNOWN) for text in texts], dtype=np.int8)
            return out
    return out


def days_from_birth(side: Dataset, tables: tuple[TableSchema, ...], when: Times) -> Floats:
    """Days from birth to each patient's anchor, float64 (n_patients,), NaN where it is not known."""
    out = np.full(side.n_records, np.nan)
    for table, column in _static(tables):
        cells, owner = side.tables[table.name].frame[column.name], side.owners[table.name]
        if column.has_role(Role.BIRTH) and column.kind.is_time:
            stamps = cells.to_numpy(dtype="datetime64[us]")
            days = np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / DAY_IN_US)
            out[owner] = np.minimum(when.anchor[owner] - days, OLDEST * DAYS_IN_YEAR)
            return out
    for table, column in _static(tables):
        if column.kind.is_number and is_age(column.name, column.unit):
            out[side.owners[table.name]] = side.tables[table.name].frame[column.name].to_numpy(dtype=float) * DAYS_IN_YEAR
            return out
    return out
