"""Copies, authenticity and the DCR share: planted copies are found, and the peers' known slips are not repeated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.simulated import evidence, simulate, table
from manikin.data.dataset import concat, split
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.closeness import authenticity, copies, dcr_share
from manikin.evaluation.features import embedding
from manikin.evaluation.intervals import clopper_pearson
from manikin.evaluation.prepared import prepare


def half_copied(parts):
    train, holdout = parts
    fresh = simulate(500, 9)
    return evidence(train, holdout, concat([train.take(np.arange(500)), fresh]))


def test_planted_copies_are_counted(parts):
    result = copies(half_copied(parts), seed=0)
    assert result.value == pytest.approx(0.5, abs=0.005)
    assert result.details["n_copies"] >= 500
    assert result.interval == pytest.approx(clopper_pearson(result.details["n_copies"], 1000), abs=1e-6)
    assert result.details["excess_interval"][0] > 0.4
    assert result.reference < 0.01
    assert 490 <= result.details["n_unique_train_rows_copied"] <= result.details["n_train_rows_copied"]


def test_a_copied_row_that_others_share_is_not_unique(parts):
    train, holdout = parts
    twins = concat([train, train.take(np.arange(50))])
    assert copies(evidence(twins, holdout, train.take(np.arange(50))), seed=0).details["n_unique_train_rows_copied"] == 0
    shared = concat([holdout, train.take(np.arange(50))])
    assert copies(evidence(train, shared, train.take(np.arange(50))), seed=0).details["n_unique_train_rows_copied"] == 0


def test_authenticity_is_by_its_definition(good):
    prepared = prepare(evidence(simulate(150, 1), simulate(150, 2), simulate(150, 3)))
    real, fake = (embedding(prepared).points(side).astype(float) for side in (prepared.real, prepared.fake))
    own = np.linalg.norm(real[:, None] - real[None], axis=2) + np.diag(np.full(len(real), np.inf))
    across = np.linalg.norm(fake[:, None] - real[None], axis=2)
    slow = (across.min(axis=1) > own.min(axis=1)[across.argmin(axis=1)]).mean()
    assert authenticity(prepared, seed=0).value == pytest.approx(slow, abs=0.01)


def test_copies_are_not_authentic_in_order_or_not(parts):
    train, holdout = parts
    same = authenticity(evidence(train, holdout, train), seed=0)
    turned = authenticity(evidence(train, holdout, train.take(np.random.default_rng(0).permutation(len(train)))), seed=0)
    assert same.value == turned.value == 0.0  # SynthEval calls the copy in order perfectly private
    half = authenticity(half_copied(parts), seed=0)
    assert half.value == pytest.approx(half.reference / 2, abs=0.08)


def test_dcr_share_says_that_it_is_a_diagnostic(good, copied):
    clean, leak = dcr_share(good, seed=0), dcr_share(copied, seed=0)
    assert clean.interval[0] < 0.5 < clean.interval[1]
    assert leak.interval[0] > 0.6
    assert clean.reference == 0.5
    assert "diagnostic" in clean.title
    assert "diagnostic" in clean.note


def test_a_small_holdout_does_not_move_the_dcr_share(parts):
    """SynthEval divides the holdout's count by train's size: independent data with a quarter-size holdout look leaky there."""
    train, holdout = parts
    small = evidence(train, holdout.take(np.arange(250)), simulate(1000, 2))
    result = dcr_share(small, seed=0)
    assert result.details["n_train"] == result.details["n_holdout"] == 250
    assert result.interval[0] < 0.5 < result.interval[1]


def test_true_duplicates_of_a_real_table_show_in_the_reference(shared):
    """A third of the maternal health rows are repeated: fresh real rows copy train rows too, and only the excess accuses."""
    texts = pd.read_csv(shared / "maternal_health" / "maternal_health_risk.csv", dtype=str, keep_default_na=False)
    kinds = {
        name: (Kind.CATEGORICAL, Storage.TEXT) if name == "RiskLevel" else (Kind.CONTINUOUS, Storage.REAL) for name in texts
    }
    schema = TableSchema("maternal", tuple(Column(name, kind, storage) for name, (kind, storage) in kinds.items()))
    data = table({name: list(texts[name]) for name in texts}, schema)
    rest, holdout = split(data, holdout=0.25, seed=0)
    train, fresh = split(rest, holdout=0.4, seed=1)
    honest = copies(evidence(train, holdout, fresh, "RiskLevel"), seed=0)
    assert honest.value > 0.3
    assert honest.reference == pytest.approx(honest.value, abs=0.08)
    assert honest.details["excess_interval"][0] < 0 < honest.details["excess_interval"][1]
    assert honest.details["train_rows_with_a_twin"] > 0.3
    crowded = authenticity(evidence(train, holdout, fresh, "RiskLevel"), seed=0)
    assert crowded.value == pytest.approx(crowded.reference, abs=0.1)
    guilty = copies(evidence(train, holdout, train, "RiskLevel"), seed=0)
    assert guilty.details["excess_interval"][0] > 0.3


def test_rows_of_one_patient_widen_the_interval():
    columns = (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), Column("a", Kind.COUNT, Storage.INTEGER, decimals=0))
    schema = TableSchema("t", columns)
    keys = [f"p{i // 5}" for i in range(400)]
    train = table({"id": keys, "a": [str(i) for i in range(400)]}, schema)
    fake = table({"id": keys, "a": [str(i if i // 5 % 4 == 0 else 10_000 + i) for i in range(400)]}, schema)
    alone = fake.table.frame.assign(id=[f"q{i}" for i in range(400)])
    apart = fake.with_table(type(fake.table)(alone, fake.table.marks))
    wide, narrow = (copies(evidence(train, train, side, None), seed=0) for side in (fake, apart))
    assert wide.value == narrow.value == 0.25
    assert (wide.interval[1] - wide.interval[0]) > 1.8 * (narrow.interval[1] - narrow.interval[0])
