"""The classifier two-sample test sees what is there and no more."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, simulate, table
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Role, Storage, TableSchema
from manikin.evaluation.boosters import TreeInput
from manikin.evaluation.detection import N_FOLDS, _folds, c2st
from manikin.evaluation.prepared import prepare


def test_fresh_rows_are_not_told_apart_and_shuffled_ones_are(good, bad):
    fresh, free = c2st(good, seed=0), c2st(bad, seed=0)
    assert fresh.interval[0] < 0.5 < fresh.interval[1]
    assert free.interval[0] > 0.7
    assert free.reference < 0.6
    assert len(free.details["folds"]) == N_FOLDS
    assert free.n == 2 * free.details["n_per_side"] == 2 * len(bad.holdout)


def test_twenty_rows_a_side_can_be_told_apart_and_what_could_not_is_said():
    fresh, far = simulate(20, 2), simulate(20, 3)
    frame = far.table.frame.assign(pressure=far.table.frame["pressure"] + 200.0)
    marks = dict(far.table.marks)
    told = c2st(evidence(simulate(80, 1), fresh, far.with_table(type(far.table)(frame, marks))), seed=0)
    assert told.interval[0] > 0.5
    assert 0.75 < told.details["least_seen"] < 0.8
    assert c2st(evidence(simulate(100, 1), simulate(100, 2), simulate(100, 3)), seed=0).details["least_seen"] < 0.63


def test_a_judge_without_anything_to_go_by_is_not_sure():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL),))
    same = table({"a": ["x"] * 20}, schema)
    told = c2st(evidence(same, same, same, None), seed=0)
    assert told.value == 0.5
    assert told.interval[0] < 0.25
    assert told.interval[1] > 0.75


def test_missingness_alone_gives_a_release_away():
    train, holdout, fake = simulate(600, 1), simulate(400, 2), simulate(400, 3)
    frame = fake.table.frame.assign(pressure=np.where(fake.table.frame["pressure"].isna(), 140.0, fake.table.frame["pressure"]))
    marks = {name: mark for name, mark in fake.table.marks.items() if name != "pressure"}
    result = c2st(evidence(train, holdout, fake.with_table(type(fake.table)(frame, marks))), seed=0)
    assert result.interval[0] > 0.52


def test_which_missing_code_it_is_gives_a_release_away():
    codes = (EMPTY, MissingCode("NA"))
    schema = TableSchema("t", (Column("a", Kind.CONTINUOUS, Storage.REAL, missing=codes), Column("b", Kind.CATEGORICAL)))
    texts = {"a": ["1", "2", "3", ""] * 50, "b": ["x", "y"] * 100}
    real, fake = table(texts, schema), table({**texts, "a": ["1", "2", "3", "NA"] * 50}, schema)
    assert c2st(evidence(real, real, fake, None), seed=0).value > 0.6


def test_the_254_most_frequent_levels_are_kept_apart():
    schema = TableSchema("t", (Column("code", Kind.CODE),))
    codes = [f"c{i}" for i in range(400)] + [f"c{i}" for i in range(300, 400)] * 2
    data = prepare(evidence(*[table({"code": codes}, schema)] * 3, None))
    matrix = TreeInput.fit(data.features, (data.real,)).matrix(data.real)
    assert matrix.max() == 254
    frequent = np.array([level in {f"c{i}" for i in range(300, 400)} for level in data.features[0].levels])
    ranks = TreeInput.fit(data.features, (data.real,)).ranks[0][:-1]
    assert set(ranks[frequent]) == set(range(100))


def test_folds_do_not_split_patients_who_have_several_rows():
    schema = TableSchema(
        "t", (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), Column("a", Kind.CONTINUOUS, Storage.REAL))
    )
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(size=60), 10)
    data = table({"id": [f"p{i // 10}" for i in range(600)], "a": [f"{v:.3f}" for v in means]}, schema)
    sample = prepare(evidence(data, data, data, None)).real
    folds = _folds(sample, 0, "test")
    assert all(len(np.unique(folds[sample.records == record])) == 1 for record in range(60))


def test_few_rows_are_said():
    result = c2st(evidence(simulate(50, 1), simulate(19, 2), simulate(50, 3)), seed=0)
    assert result.value is None
    assert "19 rows" in result.note


def test_a_small_train_part_leaves_a_note_on_the_reference():
    result = c2st(evidence(simulate(60, 1), simulate(200, 2), simulate(200, 3)), seed=0)
    assert "30 against 30 train rows" in result.note
    assert result.value == pytest.approx(0.5, abs=0.15)
