"""Property inference: 0 for fresh and for independent rows, 1 for the train rows, and never a fact that rests on few people."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, reordered, shuffled_columns, simulate, table
from manikin.data.dataset import Table, concat, flat
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.attacks.property_inference import _distinct, _facts, _scores, _slope, _traits, property_inference
from manikin.evaluation.groups import groups, traits
from manikin.evaluation.prepared import prepare


@pytest.fixture(scope="module")
def sides():
    return simulate(1500, 1), simulate(1500, 2), simulate(1500, 3)


def test_the_train_rows_themselves_tell_all(sides):
    train, holdout, _ = sides
    result = property_inference(evidence(train, holdout, train), seed=0)
    assert result.value == pytest.approx(1, abs=0.01)
    assert result.interval[0] > 0.5
    assert result.attack.value > result.control.value
    assert result.reference == 0


def test_half_a_copy_tells_half(sides):
    train, holdout, fresh = sides
    values = [
        property_inference(evidence(train, holdout, concat([train.take(rows), fresh.take(rows)])), seed=0).details["slope"]
        for rows in (np.arange(750), np.arange(750, 1500))
    ]
    assert np.mean(values) == pytest.approx(0.5, abs=0.25)


def test_fresh_and_independent_rows_tell_nothing_of_train():
    """Twenty simulated triples: the mean slope is 0, and the interval holds 0 as often as it says."""
    slopes, hits = [], []
    for seed in range(20):
        train, holdout, fresh = (simulate(400, 100 * seed + i) for i in range(3))
        for release in (fresh, shuffled_columns(train, seed)):
            result = property_inference(evidence(train, holdout, release), seed=seed)
            slopes.append(result.details["slope"] / result.details["slope_error"])
            hits.append(result.interval[0] <= 0 <= result.interval[1])
    assert abs(np.mean(slopes)) < 0.5
    assert np.std(slopes) == pytest.approx(1, abs=0.3)
    assert np.mean(hits) >= 0.85


def test_the_slope_is_that_of_the_facts(sides):
    """By scores of people as by the weighted regression of departures on departures that the docstring defines."""
    data = prepare(evidence(*sides))
    asked, properties = groups(data), traits(data, data.features)
    train, holdout, release = (_traits(side, asked, properties) for side in (data.real, data.held, data.fake))
    facts = _facts(train, holdout, release, _distinct(asked, properties), 11)
    slope, _ = _slope([_scores(side, facts) for side in (train, holdout)], (train.records, holdout.records), facts)
    own = facts.own * len(holdout) / (len(train) + len(holdout))
    slow = (facts.weight * facts.departure * own).sum() / (facts.weight * own**2).sum()
    assert slope == pytest.approx(slow, rel=1e-3)


def test_no_fact_rests_on_a_small_cell(sides):
    train, holdout, fresh = sides
    data = prepare(evidence(train, holdout, fresh))
    result = property_inference(data, seed=0)
    assert 0 < len(result.details["facts"]) <= 30
    for fact in result.details["facts"]:
        assert fact["property"].startswith("died ")  # the target is marked, so only it is listed
        assert 11 <= round(fact["train"] * fact["n"]) <= fact["n"] - 11
        if fact["holdout"] is not None:
            assert 0 < fact["holdout"] < 1


def test_patients_with_several_rows_are_the_unit():
    """Four equal rows each: the train rows still score 1, and the interval is as wide as with one row each."""
    one = (simulate(600, 1), simulate(600, 2), simulate(600, 3))
    schema = TableSchema("t", (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), *one[0].columns.columns))

    def repeated(data, n):
        frame = data.table.frame.loc[np.repeat(np.arange(len(data)), n)].reset_index(drop=True)
        frame.insert(0, "id", [f"p{i // n}" for i in range(len(frame))])
        marks = {name: np.repeat(mark, n) for name, mark in data.table.marks.items()}
        return flat(Table(frame, marks), schema)

    single, several = (property_inference(evidence(*(repeated(side, n) for side in one)), seed=0) for n in (1, 4))
    assert several.n == single.n == several.attack.n == 600
    assert several.details["slope_error"] == pytest.approx(single.details["slope_error"], rel=0.25)
    train, holdout, _ = (repeated(side, 4) for side in one)
    assert property_inference(evidence(train, holdout, train), seed=0).value == pytest.approx(1, abs=0.01)


def test_without_roles_the_way_out_is_told():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL), Column("b", Kind.CONTINUOUS, Storage.REAL)))
    rng = np.random.default_rng(0)
    data = table({"a": ["x", "y"] * 50, "b": [f"{v:.2f}" for v in rng.normal(size=100)]}, schema)
    result = property_inference(evidence(data, data, data, None), seed=0)
    assert result.value is None
    assert 'roles = ["quasi_identifier"]' in result.note


def test_alike_sides_and_one_column_are_undefined():
    role = (Role.QUASI_IDENTIFIER,)
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL, roles=role), Column("b", Kind.CATEGORICAL)))
    data = table({"a": ["x", "y"] * 50, "b": ["u", "u", "v", "v"] * 25}, schema)
    assert "agree in every fact" in property_inference(evidence(data, data, data, None), seed=0).note
    single = TableSchema("t", (Column("a", Kind.CATEGORICAL, roles=role),))
    alone = table({"a": ["x", "y"] * 50}, single)
    assert "no property of another column" in property_inference(evidence(alone, alone, alone, None), seed=0).note


def test_the_order_of_rows_changes_nothing(good):
    assert property_inference(good, seed=0) == property_inference(reordered(good, 5), seed=0)
