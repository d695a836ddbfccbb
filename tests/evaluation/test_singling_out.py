"""Singling out finds memorised people at any size of holdout, accuses no fresh release, and says how little it could build."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evaluation.simulated import evidence, reordered, simulate, table
from manikin.data.dataset import concat
from manikin.data.schema import Column, Kind, Role, TableSchema
from manikin.evaluation.attacks.predicates import Condition, Scale, condition, lone_patient, matching
from manikin.evaluation.attacks.singling_out import N_REQUESTED, _multivariate, _univariate, singling_out
from manikin.evaluation.prepared import prepare

COARSE = TableSchema("coarse", tuple(Column(name, Kind.CATEGORICAL) for name in "abc"))


@pytest.fixture(scope="module")
def sides():
    return simulate(1600, 1), simulate(800, 2), simulate(1600, 3)


@pytest.mark.parametrize("n_holdout", [400, 1600, 3000])
def test_the_train_rows_themselves_single_out_whatever_the_size_of_the_holdout(sides, n_holdout):
    train, _, _ = sides
    result = singling_out(evidence(train, simulate(n_holdout, 2), train), seed=0)
    assert result.value > 0.9
    assert result.interval[0] > 0.85
    assert result.details["kind"] == "multivariate"


@pytest.mark.parametrize("n_holdout", [400, 1600])
@pytest.mark.parametrize("seed", range(3))
def test_a_fresh_release_is_not_accused(sides, seed, n_holdout):
    train, _, _ = sides
    result = singling_out(evidence(train, simulate(n_holdout, 20 + seed), simulate(1600, 30 + seed)), seed=seed)
    assert result.interval[0] < 0.01
    assert result.interval[1] > -0.01


def test_one_tenth_of_copies_is_found(sides):
    train, holdout, fresh = sides
    leak = concat([train.take(np.arange(160)), fresh.take(np.arange(160, 1600))])
    result = singling_out(evidence(train, holdout, leak), seed=0)
    assert result.interval[0] > 0.02
    assert result.interval[1] > 0.08


def test_descriptions_are_unique_in_the_release_and_differ(sides):
    data = prepare(evidence(*sides))
    scales = {feature.name: Scale.of(data.fake, feature) for feature in data.features}
    for made in (_multivariate(data.features, data.fake, scales, 0, n=200), _univariate(data.features, data.fake, 0)):
        assert made
        assert len({frozenset(p.conditions) for p in made}) == len(made)
        for predicate in made[:100]:
            assert lone_patient(predicate.conditions, data.fake) == data.fake.records[predicate.row]


def test_it_says_how_many_could_be_built():
    """Anonymeter built 6 and 120 of 500, and one had to look for it."""
    rng = np.random.default_rng(0)
    train, holdout, fresh = (table({name: list(rng.choice(["u", "v", "w"], 300)) for name in "abc"}, COARSE) for _ in range(3))
    result = singling_out(evidence(train, holdout, fresh, None), seed=0)
    assert result.value is None
    assert "fits exactly one released row" in result.note or "no way of attacking" in result.note
    usual = singling_out(evidence(simulate(300, 1), simulate(200, 2), simulate(300, 3)), seed=0)
    assert usual.n_requested == N_REQUESTED
    assert usual.n == usual.details["n_made"][usual.details["kind"]] < N_REQUESTED


def test_the_same_seed_gives_the_same_and_the_global_generator_is_left_alone(sides):
    """Anonymeter's head drew from a global generator without a seed."""
    data = evidence(*(side.take(np.arange(400)) for side in sides))
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (singling_out(d, seed=s) for d, s in ((data, 5), (reordered(data, 1), 5), (data, 6)))
    assert first == again
    assert first != other
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize(("n", "m"), [(500, 500), (1000, 250), (250, 1000)])
def test_chance_is_the_same_for_train_and_holdout_of_any_sizes(n, m):
    """Descriptions of known weights: those that fit one of n + m people fit one of the n as often as n / m times one of the m."""
    rng = np.random.default_rng(0)
    weights = np.concatenate([rng.gamma(0.3, 1 / m, 40_000), np.full(10_000, 5 / n)])
    in_train, in_holdout = rng.binomial(n, weights), rng.binomial(m, weights)
    attack, control = ((in_train == 1) & (in_holdout == 0)).mean(), ((in_train == 0) & (in_holdout == 1)).mean()
    assert attack == pytest.approx(n / m * control, rel=0.08)
    naive = (in_holdout == 1).mean()  # of a population of another size
    assert n == m or abs((in_train == 1).mean() / naive - 1) > 0.2


def test_conditions_are_bands_tails_levels_and_empty_cells(sides):
    data = prepare(evidence(*sides))
    real = data.real
    scales = {feature.name: Scale.of(real, feature) for feature in data.features}
    age, pressure = data.features[0], data.features[1]
    oldest, youngest = (int(f(real.values["age"])) for f in (np.argmax, np.argmin))
    middle = int(np.argmin(np.abs(real.values["age"] - 50)))
    assert condition(real, oldest, age, scales).high == np.inf
    assert condition(real, youngest, age, scales).low == -np.inf
    band = condition(real, middle, age, scales)
    assert band.low < 50 < band.high < 60
    empty = int(np.flatnonzero(real.marks["pressure"] == 2)[0])
    made = condition(real, empty, pressure, scales)
    assert made == Condition("pressure", mark=2)
    assert (real.marks["pressure"][matching([made], real)] == 2).all()


def test_no_value_is_told(sides):
    result = singling_out(evidence(*sides), seed=0)
    text = json.dumps([result.details, result.note])
    assert "geriatrics" not in text
    assert "2020" not in text


def test_a_release_of_one_patient_who_never_changes_is_no_failure():
    key = Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    schema = TableSchema("keyed", (key, *COARSE.columns))
    rng = np.random.default_rng(0)

    def keyed(n):
        return table({"id": [f"p{i}" for i in range(n)], **{name: rng.choice(["x", "y"], n).tolist() for name in "abc"}}, schema)

    alone = table({"id": ["q"] * 40, **{name: ["x"] * 40 for name in "abc"}}, schema)
    result = singling_out(evidence(keyed(200), keyed(100), alone, None), seed=0)
    assert result.value is None or result.interval[0] <= 0
