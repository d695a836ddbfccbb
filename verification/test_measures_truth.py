"""Slow statistical truth of the fidelity measures: intervals cover, fresh rows score the reference or the null, differences are found.

    python verification/test_measures_truth.py        or        make verify

As in `test_evaluation_truth`, with other measures: 60 triples of train, holdout and synthetic rows from a known law, of which an interval
must hold the figure's mean in at least 85 %, without being twice as wide as it needs to be. The survival law has two arms.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulation import draw, evidence

from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation import METRICS
from manikin.evaluation.base import EvaluationData, MetricResult

N = 600
N_TRIPLES = 60
OF_TABLES = ["wasserstein", "three_way", "correlations", "propensity", "mode_collapse"]
OF_SURVIVAL = ["time_to_event", "intervals_between", "duplicates", "plausibility"]
DIFFERENT = {"shift": 0.3, "slope": 0.4}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
TRIAL = TableSchema(
    "trial",
    (
        Column("arm", Kind.CATEGORICAL),
        Column("HeartRate", Kind.COUNT, Storage.INTEGER, decimals=0),
        Column("admitted", Kind.DATE, Storage.TEXT, time_format="%Y-%m-%d"),
        Column("discharged", Kind.DATE, Storage.TEXT, time_format="%Y-%m-%d"),
        Column("days", Kind.CONTINUOUS, Storage.REAL, decimals=0, roles=(Role.TIME,)),
        Column("status", Kind.CATEGORICAL, roles=(Role.EVENT,)),
    ),
)


def trial(n: int, rng: np.random.Generator, *, hazard: float = 1.0, stay: float = 5.0, errors: float = 0.05) -> Dataset:
    """`n` patients of two arms; a twentieth has an impossible heart rate; days and times are few, so that rows repeat."""
    is_drug = rng.random(n) < 0.5
    dies, leaves = rng.exponential(12 / (hazard * np.exp(-0.7 * is_drug))), rng.integers(3, 20, n)
    start = np.datetime64("2020-01-01") + rng.integers(0, 2, n)
    texts = pd.DataFrame(
        {
            "arm": np.where(is_drug, "drug", "placebo"),
            "HeartRate": np.where(rng.random(n) < errors, 7, rng.choice([60, 80], n)).astype(str),
            "admitted": pd.to_datetime(start).strftime("%Y-%m-%d"),
            "discharged": pd.to_datetime(start + rng.poisson(stay, n)).strftime("%Y-%m-%d"),
            "days": np.ceil(np.minimum(dies, leaves)).astype(int).astype(str),
            "status": np.where(dies < leaves, "dead", "alive"),
        },
        dtype=object,
    )
    return flat(parse_table(texts, TRIAL), TRIAL)


def of_tables(i: int, law: dict[str, float]) -> EvaluationData:
    rng = np.random.default_rng([i, len(law), 7])
    return evidence(draw(2 * N, rng), draw(N, rng), draw(N, rng, **law))


def of_trials(i: int, law: dict[str, float]) -> EvaluationData:
    rng = np.random.default_rng([i, len(law), 8])
    return EvaluationData(trial(2 * N, rng), trial(N, rng), (trial(N, rng, **law),), TRIAL, None)


def summarised(results: list[MetricResult]) -> dict[str, float]:
    values = np.array([result.value for result in results], dtype=float)
    ends = np.array([result.interval for result in results], dtype=float)
    truth, spread = values.mean(), values.std(ddof=1)
    return {
        "mean": truth,
        "reference": float(np.mean([result.reference for result in results])),
        "error": spread / np.sqrt(len(values)),
        "coverage": float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()),
        "width": float((ends[:, 1] - ends[:, 0]).mean() / (2 * 1.96 * spread)),
    }


def simulated(tables: dict[str, float], trials: dict[str, float]) -> dict[str, dict[str, float]]:
    results: dict[str, list[MetricResult]] = {name: [] for name in OF_TABLES + OF_SURVIVAL}
    for i in range(N_TRIPLES):
        for names, data in ((OF_TABLES, of_tables(i, tables)), (OF_SURVIVAL, of_trials(i, trials))):
            for name in names:
                results[name].append(METRICS.load(name)(data, seed=i))
    return {name: summarised(found) for name, found in results.items()}


@pytest.fixture(scope="module")
def perfect() -> dict[str, dict[str, float]]:
    return simulated({}, {})


@pytest.fixture(scope="module")
def different() -> dict[str, dict[str, float]]:
    return simulated(DIFFERENT, {"hazard": 1.6, "stay": 7.0, "errors": 0.15})


@pytest.mark.parametrize("name", OF_TABLES + OF_SURVIVAL)
def test_intervals_of_a_perfect_release_cover(perfect, name):
    assert perfect[name]["coverage"] >= 0.85, perfect[name]
    assert perfect[name]["width"] < 2, perfect[name]


@pytest.mark.parametrize("name", OF_TABLES + OF_SURVIVAL)
def test_intervals_of_a_wrong_release_cover(different, name):
    assert different[name]["coverage"] >= 0.85, different[name]
    assert different[name]["width"] < 2, different[name]


@pytest.mark.parametrize("name", OF_TABLES + OF_SURVIVAL)
def test_a_perfect_release_scores_its_reference(perfect, name):
    assert abs(perfect[name]["mean"] - perfect[name]["reference"]) < 4 * 1.5 * perfect[name]["error"], perfect[name]


def test_the_null_of_the_propensity_error_is_one(perfect):
    assert perfect["propensity"]["mean"] == pytest.approx(1, abs=4 * perfect["propensity"]["error"])


@pytest.mark.parametrize("name", [name for name in OF_TABLES + OF_SURVIVAL if name not in ("duplicates", "mode_collapse")])
def test_a_wrong_release_is_found(different, name):
    assert abs(different[name]["mean"] - different[name]["reference"]) > 8 * different[name]["error"], different[name]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q"]))
