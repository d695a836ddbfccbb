"""Small linked patients with known truth: admissions, laboratory values on a path of their own, diagnoses that go together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.evaluation.base import EvaluationData

LABS = ("creatinine", "glucose", "lactate", "sodium")
DIAGNOSES = ("I10", "I50", "E11", "N18", "J44", "K70")
_OF_ADMISSION = ForeignKey(("admission",), "admissions", ("admission",))
SCHEMA = Schema(
    (
        TableSchema(
            "patients",
            (
                Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
                Column("sex", Kind.CATEGORICAL, roles=(Role.QUASI_IDENTIFIER,)),
                Column("born", Kind.DATE, Storage.TIMESTAMP, roles=(Role.BIRTH, Role.QUASI_IDENTIFIER)),
                Column("died", Kind.BOOLEAN, levels=("no", "yes"), roles=(Role.TARGET, Role.SENSITIVE)),
            ),
            form=Form.STATIC,
            primary_key=("patient",),
        ),
        TableSchema(
            "admissions",
            (
                Column("admission", Kind.IDENTIFIER),
                Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
                Column("admitted", Kind.DATETIME, Storage.TIMESTAMP),
                Column("discharged", Kind.DATETIME, Storage.TIMESTAMP),
                Column("way", Kind.CATEGORICAL),
            ),
            form=Form.INTERVALS,
            primary_key=("admission",),
            foreign_keys=(ForeignKey(("patient",), "patients", ("patient",)),),
            start="admitted",
            end="discharged",
        ),
        TableSchema(
            "labs",
            (
                Column("admission", Kind.IDENTIFIER),
                Column("taken", Kind.DATETIME, Storage.TIMESTAMP),
                Column("test", Kind.CODE),
                Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=2, by="test"),
            ),
            form=Form.EVENTS,
            foreign_keys=(_OF_ADMISSION,),
            start="taken",
        ),
        TableSchema(
            "diagnoses",
            (Column("admission", Kind.IDENTIFIER), Column("icd", Kind.CODE)),
            form=Form.EVENTS,
            foreign_keys=(_OF_ADMISSION,),
        ),
    )
)


def patients(n: int, seed: int, *, prefix: str = "p") -> Dataset:
    """Patients with one to four admissions; laboratory values wander about a level of the patient, I50 brings N18 along."""
    rng = np.random.default_rng(seed)
    keys = np.array([f"{prefix}{seed}-{i}" for i in range(n)], dtype=object)
    ill = rng.normal(size=n)
    age = rng.uniform(30, 90, n)
    first = pd.Timestamp("2019-01-01") + pd.to_timedelta(np.round(rng.uniform(0, 700, n) * 1440), unit="min")
    died = np.where(rng.random(n) < 1 / (1 + np.exp(-2 * ill + 1)), "yes", "no")
    people = pd.DataFrame(
        {
            "patient": keys,
            "sex": pd.Categorical(rng.choice(["F", "M"], n)),
            "born": (first - pd.to_timedelta(np.round(age * 365.25), unit="D")).floor("D").astype("datetime64[us]"),
            "died": pd.Categorical(died, categories=["no", "yes"]),
        }
    )
    who = np.repeat(np.arange(n), rng.integers(1, 5, n))
    later = np.concatenate([np.arange(k) for k in np.bincount(who, minlength=n)])
    hours = later * 24 * 60 + np.round(rng.uniform(0, 24 * 20, len(who)), 1)
    start = first[who] + pd.to_timedelta(hours, unit="h")
    stay = np.round(rng.uniform(1, 12, len(who)), 2)
    stays = pd.DataFrame(
        {
            "admission": np.array([f"{prefix}{seed}-a{i}" for i in range(len(who))], dtype=object),
            "patient": keys[who],
            "admitted": start.astype("datetime64[us]"),
            "discharged": (start + pd.to_timedelta(stay, unit="D")).astype("datetime64[us]"),
            "way": pd.Categorical(rng.choice(["emergency", "planned"], len(who), p=[0.7, 0.3])),
        }
    )
    return Dataset(
        {
            "patients": Table(people),
            "admissions": Table(stays),
            "labs": Table(_labs(rng, stays, who, stay, ill)),
            "diagnoses": Table(_diagnoses(rng, stays, who, ill)),
        },
        SCHEMA,
    )


def _labs(rng: np.random.Generator, stays: pd.DataFrame, who: np.ndarray, stay: np.ndarray, ill: np.ndarray) -> pd.DataFrame:
    """Creatinine, then sodium, then glucose, in rounds; lactate for the ill; each value half of the one before."""
    n_rounds = 1 + rng.poisson(3, len(who))
    of = np.repeat(np.arange(len(who)), n_rounds)
    day = np.concatenate([np.sort(rng.uniform(0, s, k)) for s, k in zip(stay, n_rounds, strict=True)])
    tests = np.tile(np.array(["creatinine", "sodium", "glucose"]), len(of))
    rows = np.repeat(np.arange(len(of)), 3)
    minutes = np.tile([0, 30, 60], len(of))
    extra = np.flatnonzero(rng.random(len(of)) < 1 / (1 + np.exp(-2 * ill[who[of]] + 1)))
    tests, rows = np.concatenate([tests, np.full(len(extra), "lactate")]), np.concatenate([rows, extra])
    minutes = np.concatenate([minutes, np.full(len(extra), 90)])
    level = {"creatinine": (1.0, 0.5), "sodium": (140, 3), "glucose": (6, 1.5), "lactate": (2, 0.7)}
    base = np.array([level[t][0] for t in tests]) + np.array([level[t][1] for t in tests]) * ill[who[of[rows]]]
    value = np.maximum(0.1, base + 0.3 * np.array([level[t][1] for t in tests]) * rng.normal(size=len(tests)))
    taken = stays["admitted"].to_numpy()[of[rows]] + (day[rows] * 1440 + minutes).round().astype("timedelta64[m]")
    frame = pd.DataFrame(
        {
            "admission": stays["admission"].to_numpy()[of[rows]],
            "taken": taken.astype("datetime64[us]"),
            "test": pd.Categorical(tests, categories=list(LABS)),
            "value": np.round(value, 2),
        }
    )
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def _diagnoses(rng: np.random.Generator, stays: pd.DataFrame, who: np.ndarray, ill: np.ndarray) -> pd.DataFrame:
    shares = np.tile([0.5, 0.2, 0.3, 0.05, 0.15, 0.05], (len(who), 1))
    has = rng.random(shares.shape) < shares
    has[:, 1] |= rng.random(len(who)) < 0.3 * (ill[who] > 0.5)
    has[:, 3] |= has[:, 1] & (rng.random(len(who)) < 0.7)
    of, code = np.nonzero(has)
    return pd.DataFrame(
        {
            "admission": stays["admission"].to_numpy()[of],
            "icd": pd.Categorical(np.array(DIAGNOSES)[code], categories=list(DIAGNOSES)),
        }
    )


def with_table(data: Dataset, name: str, frame: pd.DataFrame) -> Dataset:
    """The data with other rows of one table."""
    return replace(data, tables={**data.tables, name: Table(frame.reset_index(drop=True))})


def evidence(train: Dataset, holdout: Dataset, *synthetic: Dataset, target: str | None = "died") -> EvaluationData:
    """Evaluation data of linked patients."""
    return EvaluationData(train, holdout, synthetic, SCHEMA, target)


def shuffled(data: Dataset, table: str, columns: list[str], seed: int) -> Dataset:
    """The data with some columns of a table in another order, so that they hang on nothing."""
    frame = data.tables[table].frame.copy()
    order = np.random.default_rng(seed).permutation(len(frame))
    for column in columns:
        frame[column] = frame[column].iloc[order].reset_index(drop=True)
    return with_table(data, table, frame)


def reordered(data: Dataset, seed: int) -> Dataset:
    """The same rows of every table in another order."""
    rng = np.random.default_rng(seed)
    tables = {name: table.take(rng.permutation(len(table))) for name, table in data.tables.items()}
    return replace(data, tables=tables)
