"""Counts of rare values: by patient, in cells, in sets; on columns where the answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.data.rare_values import empty_columns, quiet_columns, quiet_words, rare_values
from manikin.data.schema import Column, Kind, Role, Schema, Storage, TableSchema
from manikin.io import linked
from manikin.io.tabular import read
from manikin.workflow.sources import empty_notice


def test_patients_are_counted_by_their_key_and_not_by_their_rows() -> None:
    frame = pd.DataFrame({"patient_id": [f"p{i}" for i in range(20) for _ in range(3)], "ward": ["a"] * 45 + ["b"] * 15})
    rare = rare_values(data := read(frame), data.columns["ward"])
    assert (rare.n_values, rare.n_rare, rare.n_cells, rare.n_rare_cells) == (2, 1, 60, 15)  # 15 rows of 5 patients
    assert rare.share == pytest.approx(0.25)
    without = read(frame.drop(columns="patient_id"))
    assert rare_values(without, without.columns["ward"]).n_rare == 0


def test_a_set_counts_once_however_many_rare_codes_it_holds() -> None:
    cells = (
        ["E11.9;I10.0"] * 30 + ["E11.9;J45.20;N18.3", "J45.20; J45.20"] + ["C34.11;F32.9;K21.0;M54.5;G47.33;E78.5;R07.9"] * 12
    )
    data = read(pd.DataFrame({"diagnoses": cells}))
    assert data.columns["diagnoses"].code_system == "ICD-10-CM"
    rare = rare_values(data, data.columns["diagnoses"])
    assert (rare.n_rare, rare.n_cells, rare.n_rare_cells) == (2, 44, 2)


def test_missing_cells_are_no_values_and_an_empty_column_has_none() -> None:
    data = read(pd.DataFrame({"a": ["x"] * 12 + [None] * 3, "b": [None] * 15}))
    assert rare_values(data, data.columns["a"]).n_cells == 12
    empty = rare_values(data, data.columns["b"])
    assert (empty.n_values, empty.n_rare_cells, empty.share) == (0, 0, 0.0)


def test_columns_that_say_nothing_once_rare_values_are_gone(tmp_path: Path) -> None:
    n = 60
    people = pd.DataFrame({"subject_id": range(n), "sex": ["f", "m"] * 30, "race": ["a"] * 55 + list("bcdef")})
    stays = pd.DataFrame({"stay_id": range(900, 900 + n), "subject_id": range(n), "on": ["2140-01-02"] * n})
    stays["reason"] = [f"reason {i % 20}" for i in range(n)]
    stays["same"] = "x"
    for name, frame in (("patients", people), ("stays", stays)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    found = quiet_columns(linked.read(tmp_path))
    assert found == [("patients", "race", 1), ("stays", "reason", 0)]
    assert quiet_words(found, 11) == [
        "Come out empty, since no value of theirs, or hardly a cell's, is held by 11 patients: stays.reason.",
        "Come out with one value, since fewer than 11 patients hold any other: patients.race.",
    ]
    assert quiet_words([], 11) == []


def test_columns_of_a_flat_table_that_come_out_empty_are_told_and_do() -> None:
    n = 300
    few = ["common"] * 12 + [f"own {i}" for i in range(n - 12)]
    frame = pd.DataFrame({"few": few, "none": [f"own {i % 150}" for i in range(n)], "some": (["a", "b", "c"] * n)[:n], "age": range(n)})
    levels = [Column(name, Kind.CATEGORICAL, Storage.TEXT) for name in ("few", "none", "some")]
    data = read(frame, schema=Schema((TableSchema("t", (*levels, Column("age", Kind.COUNT, Storage.INTEGER, decimals=0))),)))
    assert empty_columns(data) == ["few", "none"]
    assert empty_notice(data) == "Come out empty, since no value of theirs, or hardly a cell's, is held by enough patients: few, none."
    codec = TableCodec().fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0)).table
    assert (made.mark("few") > 0).all()
    assert (made.mark("none") > 0).all()
    assert not (made.mark("some") > 0).any()
    target = data.columns.replace_column(replace(data.columns["few"], roles=(Role.TARGET,)))
    assert empty_columns(Dataset(data.tables, Schema((target,)))) == ["none"], "a target keeps the class that may be shown"
