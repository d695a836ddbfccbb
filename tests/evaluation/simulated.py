"""Small typed tables for the metrics: schemas and cells are written out, so that nothing here depends on readers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Role, Storage, TableSchema
from manikin.evaluation.base import EvaluationData

SCHEMA = TableSchema(
    "patients",
    (
        Column("age", Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.QUASI_IDENTIFIER,)),
        Column("pressure", Kind.CONTINUOUS, Storage.REAL, decimals=1, missing=(EMPTY, MissingCode("-1", "refused"))),
        Column("admitted", Kind.DATE, Storage.TEXT, time_format="%Y-%m-%d"),
        Column("sex", Kind.CATEGORICAL, roles=(Role.QUASI_IDENTIFIER,)),
        Column("ward", Kind.CATEGORICAL, missing=(EMPTY, MissingCode("NA", "not applicable"))),
        Column("died", Kind.BOOLEAN, levels=("no", "yes"), roles=(Role.TARGET,)),
    ),
)


def simulate(n: int, seed: int) -> Dataset:
    """Patients whose pressure, ward and death hang on age; a third code of missingness and dates come along."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n)
    pressure = np.round(100 + 0.5 * age + rng.normal(0, 8, n), 1)
    sex = rng.choice(["F", "M"], n)
    ward = np.where(
        age > 65, rng.choice(["geriatrics", "surgery", "ICU"], n, p=[0.6, 0.35, 0.05]), rng.choice(["medicine", "surgery"], n)
    )
    died = np.where(rng.random(n) < 1 / (1 + np.exp(-(age - 75) / 8)), "yes", "no")
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
    texts = pd.DataFrame(
        {
            "age": age.astype(str),
            "pressure": np.where(rng.random(n) < 0.1, "", np.where(rng.random(n) < 0.05, "-1", pressure.astype(str))),
            "admitted": days.strftime("%Y-%m-%d"),
            "sex": sex,
            "ward": np.where(rng.random(n) < 0.08, "NA", ward),
            "died": died,
        },
        dtype=object,
    )
    return flat(parse_table(texts, SCHEMA), SCHEMA)


def shuffled_columns(data: Dataset, seed: int) -> Dataset:
    """The same columns, each in its own random order: no dependence is left."""
    rng = np.random.default_rng(seed)
    frame, marks = {}, {}
    for name in data.columns.names:
        order = rng.permutation(len(data))
        frame[name] = data.table.frame[name].iloc[order].reset_index(drop=True)
        marks[name] = data.table.mark(name)[order]
    return data.with_table(Table(pd.DataFrame(frame), marks))


def evidence(train: Dataset, holdout: Dataset, synthetic: Dataset, target: str | None = "died") -> EvaluationData:
    """Evaluation data with the train part's schema."""
    return EvaluationData(train, holdout, (synthetic,), train.columns, target)


def table(columns: dict[str, list[str]], schema: TableSchema) -> Dataset:
    """A data set from cell texts written out."""
    return flat(parse_table(pd.DataFrame(columns, dtype=object), schema), schema)


def reordered(data: EvaluationData, seed: int) -> EvaluationData:
    """The same rows on every side, in another order."""
    rng = np.random.default_rng(seed)
    sides = [side.take(rng.permutation(len(side))) for side in (data.train, data.holdout, *data.synthetic)]
    return EvaluationData(sides[0], sides[1], tuple(sides[2:]), data.schema, data.target)
