"""Attribute inference: memory is found, the population's own correlations are not called a leak, signs and rare classes do not mislead."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evaluation.simulated import evidence, reordered, shuffled_columns, simulate, table
from manikin.data.dataset import concat
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.attacks.attribute_inference import attribute_inference
from manikin.evaluation.attacks.secrets import secret, secrets
from manikin.evaluation.prepared import prepare


def clinic(n, seed, prevalence=0.3, shift=0.0):
    """Base excess around 0 hangs on age; a disease of given prevalence by itself; five levels of a rare gene in the last column."""
    schema = TableSchema(
        "clinic",
        (
            Column("age", Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.QUASI_IDENTIFIER,)),
            Column("sex", Kind.CATEGORICAL, roles=(Role.QUASI_IDENTIFIER,)),
            Column("weight", Kind.CONTINUOUS, Storage.REAL, decimals=1),
            Column("excess", Kind.CONTINUOUS, Storage.REAL, decimals=2, roles=(Role.SENSITIVE,)),
            Column("hiv", Kind.CATEGORICAL, roles=(Role.SENSITIVE,)),
        ),
    )
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    excess = (age - 54) / 10 + rng.normal(0, 3, n) + shift
    return table(
        {
            "age": [str(v) for v in age],
            "sex": list(rng.choice(["F", "M"], n)),
            "weight": [f"{v:.1f}" for v in rng.normal(75, 12, n)],
            "excess": [f"{v:.2f}" for v in excess],
            "hiv": list(np.where(rng.random(n) < prevalence, "yes", "no")),
        },
        schema,
    )


@pytest.fixture(scope="module")
def sides():
    return simulate(1500, 1), simulate(800, 2), simulate(1500, 3)


def test_the_train_rows_themselves_tell_the_secret(sides):
    train, holdout, _ = sides
    result = attribute_inference(evidence(train, holdout, train), seed=0)
    assert result.value > 0.8
    assert result.interval[0] > 0.75
    assert result.details["secret"] == "died"
    assert result.details["attacker"] == "nearest"
    assert result.groups[0]["interval"][0] > 0.3


@pytest.mark.parametrize("seed", range(3))
def test_correlations_of_the_population_are_no_leak(sides, seed):
    """Age tells death: the attack beats the majority by far, and does so for people who are in no data."""
    train, holdout, _ = sides
    result = attribute_inference(evidence(train, holdout, simulate(1500, 30 + seed)), seed=seed)
    assert result.interval[0] < 0 < result.interval[1]
    trees = next(t for t in result.details["trials"] if t["attacker"] == "trees" and t["knows"] == "all other columns")
    assert trees["attack"] > trees["baseline"] + 0.05
    assert trees["control"] > trees["baseline"] + 0.05


def test_a_release_without_any_dependence_says_nothing(sides):
    train, holdout, _ = sides
    result = attribute_inference(evidence(train, holdout, shuffled_columns(train, 3)), seed=0)
    assert result.interval[0] < 0 < result.interval[1]


def test_a_fifth_of_copies_is_found(sides):
    train, holdout, fresh = sides
    leak = concat([train.take(np.arange(450)), fresh.take(np.arange(450, 1500))])
    assert attribute_inference(evidence(train, holdout, leak), seed=0).interval[0] > 0


def test_negative_guesses_are_not_right_because_they_are_negative():
    """Anonymeter 1.1.0 divides the error by the signed guess: guesses -1, -5, -3 for 10, 20, -99 all counted as hits."""
    data = prepare(evidence(clinic(400, 1), clinic(300, 2), clinic(400, 3), None))
    excess = secret(data.features[3], data.real)
    assert not excess.right(np.array([-1.0, -5.0, -3.0]), np.array([10.0, 20.0, -99.0])).any()
    assert excess.right(np.array([-3.0, 3.0, 0.0]), np.array([-3.1, 2.9, 0.1])).all()
    assert not excess.right(np.array([np.nan]), np.array([0.0])).any()


@pytest.mark.parametrize("shift", [-40.0, 0.0, 273.15])
def test_the_zero_of_a_scale_changes_nothing(shift):
    """Base excess, z-scores, temperatures in degrees C or in kelvin: rates are the same, and far from 1."""
    moved, usual = (
        attribute_inference(evidence(clinic(400, 1, shift=s), clinic(300, 2, shift=s), clinic(400, 3, shift=s), None), seed=0)
        for s in (shift, 0.0)
    )
    of = [{(t["knows"], t["attacker"]): t for t in r.details["trials"] if t["secret"] == "excess"} for r in (moved, usual)]
    for way, trial in of[0].items():
        assert trial["control"] < 0.4
        assert trial["control"] == pytest.approx(of[1][way]["control"], abs=0.02)
        assert trial["baseline"] == pytest.approx(of[1][way]["baseline"], abs=0.01)


@pytest.mark.parametrize("prevalence", [0.02, 0.1, 0.5])
def test_prevalence_alone_makes_no_column_leak_or_safe(prevalence):
    """SDMetrics' DisclosureProtection takes 1 / number of categories for its baseline: a rare disease always looks guessed."""
    real, held = clinic(1500, 1, prevalence), clinic(1500, 2, prevalence)
    fresh = attribute_inference(evidence(real, held, clinic(1500, 3, prevalence), None), seed=0)
    ways = [t for t in fresh.details["trials"] if t["secret"] == "hiv"]
    assert all(t["risk_interval"][0] < 0 < t["risk_interval"][1] for t in ways)
    assert all(t["uncommon_only"] is (prevalence < 0.25) for t in ways)
    copied = attribute_inference(evidence(real, held, real, None), seed=0)
    best = max((t for t in copied.details["trials"] if t["secret"] == "hiv"), key=lambda t: t["risk_interval"][0])
    assert best["risk_interval"][0] > 0.6
    named = next(c for c in copied.details["classes"] if (c["secret"], c["level"]) == ("hiv", "yes"))
    assert named["interval"][0] > 0.6
    assert named["right_when_named"] > 0.8 > named["right_when_named_control"] or prevalence == 0.5


def test_a_rare_class_is_told_apart_from_false_alarms():
    real, held = clinic(1500, 1, 0.05), clinic(1500, 2, 0.05)
    result = attribute_inference(evidence(real, held, clinic(1500, 3, 0.05), None), seed=0)
    named = next(c for c in result.details["classes"] if (c["secret"], c["level"]) == ("hiv", "yes"))
    assert named["right_when_named"] is None or named["right_when_named"] < 0.3  # weighed by how many hold the common value


def test_no_class_below_the_threshold_is_named():
    data = evidence(clinic(300, 1, 0.02), clinic(300, 2, 0.02), clinic(300, 1, 0.02), None)
    holders = int((data.train.table.frame["hiv"] == "yes").sum())
    assert 0 < holders < data.schema.min_patients
    result = attribute_inference(data, seed=0)
    assert '"yes"' not in json.dumps([result.details, result.note, result.groups])


def test_sensitive_columns_come_before_the_target_and_that_before_others(sides):
    assert [s.name for s in secrets(prepare(evidence(clinic(200, 1), clinic(200, 2), clinic(200, 3), "sex")))[0]] == ["excess", "hiv"]
    assert [s.name for s in secrets(prepare(evidence(*sides)))[0]] == ["died"]
    schema = TableSchema("t", tuple(Column(name, Kind.CATEGORICAL) for name in "abcdefg"))
    rng = np.random.default_rng(0)
    plain = table({name: list(rng.choice(["u", "v"], 50)) for name in "abcdefg"}, schema)
    assert len(secrets(prepare(evidence(plain, plain, plain, None)))[0]) == 4


def test_the_order_of_rows_changes_nothing_and_no_global_generator_is_used(sides):
    data = evidence(*(side.take(np.arange(300)) for side in sides))
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert attribute_inference(data, seed=5) == attribute_inference(reordered(data, 2), seed=5)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_one_column_a_constant_secret_and_thirty_rows():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL), Column("b", Kind.CATEGORICAL, roles=(Role.SENSITIVE,))))
    constant = table({"a": ["u", "v"] * 50, "b": ["x"] * 100}, schema)
    assert "holds two values" in attribute_inference(evidence(constant, constant, constant, None), seed=0).note
    alone = table({"a": ["u", "v"] * 50}, schema.only(["a"]))
    assert "one column" in attribute_inference(evidence(alone, alone, alone, None), seed=0).note
    small = attribute_inference(evidence(simulate(30, 1), simulate(30, 2), simulate(30, 3)), seed=0)
    assert small.value is not None
    assert small.power > 0.2
