"""Repeated rows: a generator's repetition is caught, true duplicates accuse nobody."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence
from manikin.data.dataset import split
from manikin.evaluation.repeats import duplicates
from manikin.workflow.sources import read


def test_the_share_counts_every_row_that_has_a_twin(good):
    fake = good.synthetic[0]
    doubled = fake.take(np.concatenate([np.arange(300), np.arange(100)]))
    result = duplicates(evidence(good.train, good.holdout, doubled), seed=0)
    assert result.value == pytest.approx(200 / 400)
    assert result.reference == 0
    assert result.interval[0] > 0.3
    assert duplicates(good, seed=0).value == 0


def test_one_row_over_and_over(good):
    one = good.synthetic[0].take(np.zeros(200, dtype=np.int64))
    result = duplicates(evidence(good.train, good.holdout, one), seed=0)
    assert result.value == 1
    assert result.details["distinct_share"] == pytest.approx(1 / 200)


@pytest.mark.parametrize("name", ["maternal_health/maternal_health_risk.csv", "cardio70k/cardio_train.csv.gz"])
def test_true_duplicates_accuse_nobody(shared, name):
    data = read(shared / name)
    data = data.only([column for column in data.columns.names if column != "id"])
    train, rest = split(data.take(np.arange(min(len(data), 20_000))), holdout=0.6, seed=1)
    holdout, fresh = split(rest, holdout=0.5, seed=2)
    result = duplicates(evidence(train, holdout, fresh, None), seed=0)
    assert result.interval[0] <= result.reference <= result.interval[1] + 0.03
    if name.startswith("maternal"):
        assert result.reference > 0.2
