"""Patients that are hard to judge: figures give notes, and never an exception."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.records.made import SCHEMA, evidence, patients, with_table
from manikin.data.dataset import Dataset
from manikin.data.schema import Schema
from manikin.evaluation import METRICS
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.suite import FAILED, evaluate

NAMES = [name for name, entry in METRICS.items() if entry.modality == "records"]


def timeless(data: Dataset) -> Dataset:
    """The data without any time."""
    for name, column in (("labs", "taken"), ("admissions", "admitted")):
        frame = data.tables[name].frame.copy()
        frame[column] = np.full(len(frame), np.datetime64("NaT"), dtype="datetime64[us]")
        data = with_table(data, name, frame)
    return data


def without(data: Dataset, name: str) -> Dataset:
    """The data without a table."""
    tables = {key: table for key, table in data.tables.items() if key != name}
    return Dataset(tables, Schema(tuple(table for table in SCHEMA.tables if table.name != name)))


def with_labs(data: Dataset, **columns: object) -> Dataset:
    """The data with these columns of laboratory values."""
    return with_table(data, "labs", data.tables["labs"].frame.assign(**columns))


def cases() -> dict[str, EvaluationData]:
    """Each what its name says."""
    train, holdout, fake = (patients(40, seed) for seed in (1, 2, 3))
    n = len(fake.tables["labs"])
    strange = pd.Series(np.where(np.arange(n) < 50, "nowhere", fake.tables["labs"].frame["admission"]), dtype=object)
    return {
        "no times in the release": evidence(train, holdout, timeless(fake)),
        "no times at all": evidence(*(timeless(side) for side in (train, holdout, fake))),
        "a table is lacking": evidence(train, holdout, without(fake, "labs")),
        "rows of nobody": evidence(train, holdout, with_labs(fake, admission=strange)),
        "no values": evidence(train, holdout, with_labs(fake, value=np.nan)),
        "one patient": evidence(patients(1, 1), patients(1, 2), patients(1, 3)),
        "nobody": evidence(train, holdout, fake.subset(np.array([], dtype=np.int64))),
    }


@pytest.mark.parametrize("case", list(cases()))
def test_hard_cases_give_notes(case):
    data = cases()[case]
    attacks = ["trajectory_membership", "trajectory_copies"]
    results = evaluate(data, seed=0, metrics=[*NAMES, "column_shapes", "rare_values"], attacks=attacks, with_views="at all" in case)
    assert [figure.name for figure in results.figures if FAILED in figure.note] == []
    for figure in results.figures:
        assert figure.value is not None or figure.note.startswith("Not computed"), figure.name


def test_rows_of_nobody_are_counted_and_taken_out():
    data = cases()["rows of nobody"]
    result = evaluate(data, seed=0, metrics=["key_integrity"], attacks=[], with_views=False)["key_integrity"]
    assert result.details["n_unresolved"] == 50
    again = evaluate(replace(data, target=None), seed=0, metrics=["record_lengths"], attacks=[], with_views=False)
    assert again["record_lengths"].value is not None
