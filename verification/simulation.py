"""Simulated tables of which the truth is known, for the slow statistical checks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation.base import EvaluationData

SCHEMA = TableSchema(
    "simulated",
    (
        Column("x", Kind.CONTINUOUS, Storage.REAL, decimals=3),
        Column("y", Kind.CONTINUOUS, Storage.REAL, decimals=3),
        Column("group", Kind.CATEGORICAL),
        Column("site", Kind.CATEGORICAL),
        Column("outcome", Kind.CATEGORICAL),
    ),
)


def draw(n: int, rng: np.random.Generator, *, shift: float = 0.0, slope: float = 0.7, missing: float = 0.1) -> Dataset:
    """`n` rows: y hangs on x by `slope`, group on x, outcome on y; site is by itself. `shift` moves x."""
    x = rng.normal(shift, 1, n)
    y = slope * x + np.sqrt(max(1 - slope**2, 0)) * rng.normal(0, 1, n)
    group = np.where(x + rng.normal(0, 1, n) > 0, "b", "a")
    outcome = np.where(rng.random(n) < 1 / (1 + np.exp(-1.5 * y)), "yes", "no")
    texts = pd.DataFrame(
        {
            "x": np.char.mod("%.3f", x),
            "y": np.where(rng.random(n) < missing, "", np.char.mod("%.3f", y)),
            "group": group,
            "site": rng.choice(["s1", "s2", "s3", "s4"], n),
            "outcome": outcome,
        },
        dtype=object,
    )
    return flat(parse_table(texts, SCHEMA), SCHEMA)


def evidence(train: Dataset, holdout: Dataset, synthetic: Dataset) -> EvaluationData:
    """Evaluation data with `outcome` as the target."""
    return EvaluationData(train, holdout, (synthetic,), SCHEMA, "outcome")
