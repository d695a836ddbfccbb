"""Slow truth of reconstruction, identity disclosure and property inference: intervals cover what simulated releases disclose.

    python verification/test_release_attacks.py        or        make verify

A hundred triples of train, holdout and release from one law. Fresh rows and rows without any dependence disclose nothing, and the interval
is asked to hold that in at least 85 % of the triples (a nominal 95 % interval fails that once in ten thousand runs); releases of
which half the rows are train's disclose a half, and the interval is asked to hold the mean figure as often. Two CPU minutes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from simulation import SCHEMA, draw

from manikin.data.dataset import Dataset, Table, concat
from manikin.data.schema import Role, TableSchema
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import AttackResult, EvaluationData

N, N_TRIPLES = 600, 100
KNOWN = ("group", "site")
NAMES = ["reconstruction", "identity_disclosure", "property_inference"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def schema() -> TableSchema:
    """The simulated table with two quasi-identifiers, and x, a number, as a third."""
    columns = [replace(c, roles=(Role.QUASI_IDENTIFIER,)) if c.name in (*KNOWN, "x") else c for c in SCHEMA.columns]
    return replace(SCHEMA, columns=tuple(columns))


def independent(data: Dataset, rng: np.random.Generator) -> Dataset:
    """Every column in an order of its own."""
    frame, marks = {}, {}
    for name in data.columns.names:
        order = rng.permutation(len(data))
        frame[name] = data.table.frame[name].iloc[order].reset_index(drop=True)
        marks[name] = data.table.mark(name)[order]
    return data.with_table(Table(data.table.frame.assign(**frame), marks))


@cache
def attacked(kind: str) -> dict[str, list[AttackResult]]:
    """Every attack on every triple."""
    made: dict[str, list[AttackResult]] = {name: [] for name in NAMES}
    for i in range(N_TRIPLES):
        rng = np.random.default_rng([i, 7])
        train, holdout, fresh = draw(N, rng), draw(N, rng), draw(N, rng)
        release = {
            "fresh": lambda fresh=fresh: fresh,
            "independent": lambda train=train, rng=rng: independent(train, rng),
            "half": lambda train=train, fresh=fresh: concat([train.take(np.arange(N // 2)), fresh.take(np.arange(N // 2))]),
            "memorised": lambda train=train: train,
        }[kind]()
        data = EvaluationData(train, holdout, (release,), schema(), "outcome")
        for name in NAMES:
            made[name].append(ATTACKS.load(name)(data, seed=i))
    return made


def interval(result: AttackResult) -> tuple[float, float]:
    """What is gained by having been in the data."""
    low, high = result.details["excess_interval"] if result.name == "identity_disclosure" else result.interval
    return low, high


# Train's columns in orders of their own hold its numbers to the last digit: whoever is known by x is found, and that is disclosed.
NOTHING = [(name, kind) for name in NAMES for kind in ("fresh", "independent") if (name, kind) != ("identity_disclosure", "independent")]


@pytest.mark.parametrize(("name", "kind"), NOTHING)
def test_where_nothing_is_disclosed_the_interval_holds_nothing(name: str, kind: str) -> None:
    results = attacked(kind)[name]
    ends = np.array([interval(result) for result in results])
    assert ((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean() >= 0.85
    gains = [result.details["excess"] if name == "identity_disclosure" else result.value for result in results]
    assert abs(np.mean(gains)) < 4 * np.std(gains, ddof=1) / np.sqrt(len(gains)) + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_what_half_a_copy_discloses_is_in_the_interval(name: str) -> None:
    results = attacked("half")[name]
    ends, values = np.array([result.interval for result in results]), np.array([result.value for result in results])
    truth = values.mean()
    assert ((ends[:, 0] <= truth) & (ends[:, 1] >= truth)).mean() >= 0.85
    if name != "identity_disclosure":
        assert truth == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_memorising_generator_stands_clear(name: str) -> None:
    results = attacked("memorised")[name]
    assert np.mean([result.interval[0] > result.reference for result in results]) > 0.95
    if name != "identity_disclosure":
        assert np.mean([result.value for result in results]) > 0.9


def test_property_inference_is_as_sure_as_it_says() -> None:
    """Under chance the slope over its standard error has the variance 1."""
    for kind in ("fresh", "independent"):
        ratios = [r.details["slope"] / r.details["slope_error"] for r in attacked(kind)["property_inference"]]
        assert np.std(ratios, ddof=1) == pytest.approx(1, abs=0.25)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q"]))
