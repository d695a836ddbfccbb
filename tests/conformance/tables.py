"""Three small tables that every synthesizer must cope with: a real trial, a mixed record, and a nasty one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, MissingCode, Role, Schema, Sources, Storage, TableSchema
from manikin.io.tabular import read

RARE_LEVEL = "zzz-rare"


def gbsg2() -> Dataset:
    """686 women of the German Breast Cancer Study Group trial 2 (carried by lifelines)."""
    from lifelines.datasets import load_gbsg2

    return read(load_gbsg2().rename(columns=str), name="gbsg2")


def mixed(n: int = 360) -> Dataset:
    """Every kind of column a flat table can hold, missing codes that mean different things, and a patient key."""
    rng = np.random.default_rng(20)
    sex = rng.choice(["f", "m"], n)
    age = np.clip(rng.normal(62, 12, n), 18, 95).round().astype(int)
    sick = rng.random(n) < 1 / (1 + np.exp(-(age - 62) / 6))
    weight = np.where(sex == "f", 66, 82) + rng.normal(0, 6, n)
    stage = np.where(sick, rng.choice(["II", "III"], n), rng.choice(["I", "II"], n)).astype(object)
    pregnant = np.where(sex == "m", "not applicable", rng.choice(["yes", "no", "?"], n, p=[0.2, 0.7, 0.1])).astype(object)
    code = np.where(sick, rng.choice(["I10", "I25.1"], n), rng.choice(["E11.9", "J45.0"], n)).astype(object)
    code[:3] = RARE_LEVEL
    admitted = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    texts = pd.DataFrame(
        {
            "patient": [f"p{i:04d}" for i in range(n)],
            "name": [f"Patient Number{i}" for i in range(n)],
            "sex": sex,
            "age": age.astype(str),
            "weight kg": [f"{value:.1f}" for value in weight],
            "visits": np.where(sick, rng.poisson(4, n), rng.poisson(0.5, n)).astype(str),
            "stage": stage,
            "pregnant": pregnant,
            "code": code,
            "admitted": admitted.strftime("%d.%m.%Y"),
            "sick": np.where(sick, "True", "False"),
            "dose": np.where(sick, rng.choice(["5", "10", "20"], n), "-1"),
        },
        dtype=object,
    )
    texts.loc[rng.random(n) < 0.15, "weight kg"] = ""
    columns = (
        Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
        Column("name", Kind.TEXT, roles=(Role.DIRECT_IDENTIFIER,)),
        Column("sex", Kind.CATEGORICAL, levels=("f", "m"), source=Sources()),
        Column("age", Kind.CONTINUOUS, Storage.INTEGER, decimals=0),
        Column("weight kg", Kind.CONTINUOUS, Storage.REAL, decimals=1, unit="kg"),
        Column("visits", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("stage", Kind.ORDINAL, levels=("I", "II", "III")),
        Column(
            "pregnant",
            Kind.CATEGORICAL,
            levels=("no", "yes"),
            missing=(MissingCode("?"), MissingCode("not applicable", "not applicable")),
        ),
        Column("code", Kind.CODE, code_system="ICD-10", levels=("E11.9", "I10", "I25.1", "J45.0", RARE_LEVEL)),
        Column("admitted", Kind.DATE, time_format="%d.%m.%Y"),
        Column("sick", Kind.BOOLEAN, levels=("False", "True")),
        Column("dose", Kind.CONTINUOUS, Storage.INTEGER, decimals=0, missing=(MissingCode("-1", "not given"),)),
    )
    return read(_frame(texts), schema=Schema((TableSchema("mixed", columns),)))


def nasty(n: int = 90) -> Dataset:
    """Names, levels and shapes that break naive code: no value, one value, all different, huge, texts that look like gaps."""
    rng = np.random.default_rng(7)
    texts = pd.DataFrame(
        {
            'quote " and, comma': rng.choice(["None", "nan", "NULL"], n),
            "Größe (µg/l)": [f"{value:.3f}" for value in rng.lognormal(0, 3, n)],
            "constant": ["1"] * n,
            "empty": [""] * n,
            "nearly empty": ["x" if i < 15 else "" for i in range(n)],
            "one of a kind": [f"{i * 7919 % 100_003}" for i in range(n)],
            "huge": [str(int(value)) for value in rng.integers(10**14, 10**15, n)],
            "zero": np.where(rng.random(n) < 0.9, "0", "1000000"),
            "level": rng.choice(["1", "1.0", " 1", "01"], n),
        },
        dtype=object,
    )
    columns = (
        Column('quote " and, comma', Kind.CATEGORICAL, levels=("None", "nan", "NULL")),
        Column("Größe (µg/l)", Kind.CONTINUOUS, Storage.REAL, decimals=3),
        Column("constant", Kind.CONTINUOUS, Storage.INTEGER, decimals=0),
        Column("empty", Kind.CATEGORICAL, levels=()),
        Column("nearly empty", Kind.CATEGORICAL, levels=("x",)),
        Column("one of a kind", Kind.CONTINUOUS, Storage.INTEGER, decimals=0),
        Column("huge", Kind.CONTINUOUS, Storage.INTEGER, decimals=0),
        Column("zero", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("level", Kind.CATEGORICAL, levels=("1", "1.0", " 1", "01")),
    )
    return read(_frame(texts), schema=Schema((TableSchema("nasty", columns),)))


TABLES = {"gbsg2": gbsg2, "mixed": mixed, "nasty": nasty}


def single(column: Column, values: list[str], *, beside: bool = True) -> Dataset:
    """A table of one odd column, with an ordinary one beside it."""
    texts = pd.DataFrame({column.name: values}, dtype=object)
    columns: tuple[Column, ...] = (column,)
    if beside:
        texts["sex"] = [("f", "m")[i % 2] for i in range(len(values))]
        columns += (Column("sex", Kind.CATEGORICAL, levels=("f", "m")),)
    return read(_frame(texts), schema=Schema((TableSchema("odd", columns),)))


def csv_bytes(data: Dataset) -> bytes:
    """The cells as a file would hold them."""
    texts = texts_of(data.table, data.columns)
    return texts.to_csv(index=False, lineterminator="\n").encode()


def cells(data: Dataset) -> pd.DataFrame:
    """Cell texts, object columns."""
    return texts_of(data.table, data.columns)


def without_rare(data: Dataset, name: str) -> Dataset:
    """The same data with the threshold for rare values lifted from one column, for tables too small for it."""
    column = replace(data.columns[name], min_patients=1)
    return replace(data, schema=Schema((data.columns.replace_column(column),)))


def _frame(texts: pd.DataFrame) -> pd.DataFrame:
    return texts.astype(object)
