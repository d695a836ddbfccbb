"""Real patients: halves of them are told from each other by nothing, and copies of them by every attack."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, Table, split
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.records.linked import prepare_linked
from manikin.evaluation.suite import evaluate

SHARED = Path(os.environ.get("MANIKIN_SHARED_DATA", "/nowhere"))
STAYS, MIMIC = SHARED / "physionet2012", SHARED / "mimic_iii_demo"
SCHEMA = Schema(
    (
        TableSchema(
            "outcomes",
            (
                Column("RecordID", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
                Column("In-hospital_death", Kind.BOOLEAN, levels=("0", "1"), roles=(Role.TARGET,)),
            ),
            form=Form.STATIC,
            primary_key=("RecordID",),
        ),
        TableSchema(
            "events",
            (
                Column("RecordID", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
                Column("minute", Kind.COUNT, Storage.INTEGER, unit="min", decimals=0),
                Column("Parameter", Kind.CODE),
                Column("Value", Kind.CONTINUOUS, Storage.REAL, decimals=2, by="Parameter"),
            ),
            form=Form.EVENTS,
            start="minute",
            foreign_keys=(ForeignKey(("RecordID",), "outcomes", ("RecordID",)),),
        ),
    )
)


def stays(n: int) -> Dataset:
    """The first stays of physionet2012."""
    outcomes = pd.read_csv(STAYS / "outcomes_a.csv", nrows=n)
    events = pd.read_parquet(STAYS / "set_a_events.parquet")
    events = events[events["RecordID"].astype(int).isin(outcomes["RecordID"]) & (events["Parameter"] != "RecordID")].reset_index(drop=True)
    people = pd.DataFrame(
        {
            "RecordID": outcomes["RecordID"].astype(str).astype(object),
            "In-hospital_death": pd.Categorical(outcomes["In-hospital_death"].astype(str), categories=["0", "1"]),
        }
    )
    rows = pd.DataFrame(
        {
            "RecordID": events["RecordID"].astype(int).astype(str).astype(object),
            "minute": events["minute"].astype(float),
            "Parameter": pd.Categorical(events["Parameter"]),
            "Value": events["Value"].astype(float).round(2),
        }
    )
    return Dataset({"outcomes": Table(people), "events": Table(rows)}, SCHEMA)


def rekeyed(data: Dataset) -> Dataset:
    """The same patients under other keys."""
    frames = {name: table.frame.assign(RecordID=("s" + table.frame["RecordID"]).astype(object)) for name, table in data.tables.items()}
    return Dataset({name: Table(frame) for name, frame in frames.items()}, data.schema)


@pytest.mark.skipif(not STAYS.is_dir(), reason="MANIKIN_SHARED_DATA with physionet2012 is not there")
def test_half_of_the_stays_is_like_the_other_and_a_copy_is_found_out():
    train, holdout = split(stays(450), holdout=1 / 3, seed=0)
    first, second = split(train, holdout=0.5, seed=1)
    names = ["code_prevalence", "code_pairs", "transitions", "autocorrelation", "c2st"]
    attacks = ["membership", "trajectory_membership", "trajectory_copies"]
    fresh = EvaluationData(first, holdout, (rekeyed(second),), SCHEMA, "In-hospital_death")
    found = evaluate(fresh, seed=0, metrics=names, attacks=attacks, with_views=False)
    assert found["c2st"].interval[0] <= 0.5 <= found["c2st"].interval[1]
    assert found["code_prevalence"].value > 0.98
    assert found["code_pairs"].value > 0.95
    for name in attacks:
        assert found[name].interval[0] <= 0.02
    copied = EvaluationData(train, holdout, (rekeyed(train),), SCHEMA, "In-hospital_death")
    leaks = evaluate(copied, seed=0, metrics=[], attacks=attacks, with_views=False)
    for name in attacks:
        assert leaks[name].value > 0.9
        assert leaks[name].value > leaks[name].control.value + 0.8


@pytest.mark.skipif(not MIMIC.is_dir(), reason="MANIKIN_SHARED_DATA with mimic_iii_demo is not there")
def test_a_folder_of_twenty_tables_is_judged():
    from manikin.io import linked

    data = linked.read(MIMIC)
    train, holdout = split(data, holdout=0.5, seed=0)
    names = ["key_integrity", "chronology", "code_prevalence", "record_lengths"]
    judged = EvaluationData(train, holdout, (holdout,), data.schema, "hospital_expire_flag")
    prepared = prepare_linked(judged)
    assert prepared.patients.target == "hospital_expire_flag"
    assert 100 < len(prepared.plan.schema.columns) <= 151
    results = evaluate(prepared, seed=0, metrics=names, attacks=[], with_views=False)
    assert results["record_lengths"].value == results["record_lengths"].reference
    assert results["key_integrity"].details["n_reused"] > 100
    codes = {row["code"] for row in results["code_prevalence"].details["codes"]}
    assert "Foley" in codes, "the label of D_ITEMS stands for its code"
    assert np.isfinite(results["chronology"].value)
