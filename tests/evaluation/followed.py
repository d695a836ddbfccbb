"""Simulated patients with two arms, a follow-up, an event and dates, for the measures that ask for these."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.simulated import table
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.base import EvaluationData

SCHEMA = TableSchema(
    "trial",
    (
        Column("age", Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.QUASI_IDENTIFIER,)),
        Column("arm", Kind.CATEGORICAL),
        Column("admitted", Kind.DATE, Storage.TEXT, time_format="%Y-%m-%d"),
        Column("discharged", Kind.DATE, Storage.TEXT, time_format="%Y-%m-%d"),
        Column("days", Kind.CONTINUOUS, Storage.REAL, decimals=0, roles=(Role.TIME,)),
        Column("status", Kind.CATEGORICAL, roles=(Role.EVENT,)),
    ),
)


def trial(n: int, seed: int, *, log_ratio: float = -0.8, hazard: float = 1.0, schema: TableSchema = SCHEMA) -> Dataset:
    """`n` patients; the drug changes the hazard by exp(`log_ratio`), age raises it; uniform censoring; a stay of five days on average."""
    rng = np.random.default_rng(seed)
    age, is_drug = rng.integers(40, 80, n), rng.random(n) < 0.5
    rate = hazard * np.exp(log_ratio * is_drug + 0.03 * (age - 60)) / 400
    dies, leaves = rng.exponential(1 / rate), rng.uniform(100, 1000, n)
    admitted = np.datetime64("2020-01-01") + rng.integers(0, 700, n)
    stay = rng.poisson(5, n)
    return table(
        {
            "age": age.astype(str).tolist(),
            "arm": np.where(is_drug, "drug", "placebo").tolist(),
            "admitted": pd.to_datetime(admitted).strftime("%Y-%m-%d").tolist(),
            "discharged": pd.to_datetime(admitted + stay).strftime("%Y-%m-%d").tolist(),
            "days": np.ceil(np.minimum(dies, leaves)).astype(int).astype(str).tolist(),
            "status": np.where(dies < leaves, "dead", "alive").tolist(),
        },
        schema,
    )


def judged(train: Dataset, holdout: Dataset, synthetic: Dataset) -> EvaluationData:
    """Evaluation data of trials."""
    return EvaluationData(train, holdout, (synthetic,), train.columns, None)
