"""Slow truth of the attacks on real tables: nothing is found where there is nothing, and a memorising generator is caught.

Three releases of each table: columns drawn independently of each other, fresh real rows of other patients (a third of the table, which
neither train nor holdout holds), and the train rows themselves. The first two must not be accused, the last must be. Some minutes; skips
the tables that are absent.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from real_tables import SHARED

from manikin.data.dataset import Dataset
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import AttackResult, EvaluationData, Results
from manikin.evaluation.suite import evaluate
from manikin.synthesizers import synthesizer
from manikin.workflow.judge import shared_columns
from manikin.workflow.sources import read, target_of

TABLES = {
    "heart": "heart_uci/heart_4sites.csv",
    "maternal": "maternal_health/maternal_health_risk.csv",
    "support2": "support2/support2.csv.gz",
    "cardio": "cardio70k/cardio_train.csv.gz",
    "diabetes": "diabetes130/diabetic_data.csv.gz",
}
MOST_ROWS = 9_000
CAUGHT = 0.9
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@cache
def parts(name: str) -> tuple[Dataset, Dataset, Dataset]:
    """Train, holdout and fresh rows, a third of the patients each."""
    path = SHARED / TABLES[name]
    if not path.is_file():
        pytest.skip(f"the table {TABLES[name]} is not here")
    data = read(path)
    order = np.random.default_rng(0).permutation(data.n_records)[:MOST_ROWS]
    return tuple(data.subset(part) for part in np.array_split(order, 3))  # type: ignore[return-value]


@cache
def attacked(name: str, release: str) -> Results:
    train, holdout, fresh = parts(name)
    made = {
        "independent": lambda: synthesizer("independent").fit(train, seed=0).sample(len(train), seed=1),
        "fresh": lambda: fresh,
        "memorised": lambda: train,
    }[release]()
    schema = shared_columns(train, holdout, (made,))
    data = EvaluationData(train, holdout, (made,), schema, target_of(train.columns))
    return evaluate(data, seed=0, metrics=["copies"], with_views=False)


def attacks() -> list[str]:
    return [name for name, entry in ATTACKS.items() if not entry.needs_refit]


@pytest.mark.parametrize("attack", attacks())
def test_where_there_is_nothing_to_find_the_interval_holds_the_control(attack: str) -> None:
    """Of ten intervals of 95 % one may miss by a hair: that two do, or one by much, has a probability below 3 %."""
    missed = {}
    for name in TABLES:
        if not (SHARED / TABLES[name]).is_file():
            continue
        for release in ("independent", "fresh"):
            found = attacked(name, release)[attack]
            assert isinstance(found, AttackResult)
            if found.value is None:
                continue
            highest = found.reference_interval[1] if found.reference_interval else found.reference
            if found.interval[0] > highest:
                missed[name, release] = (found.value, found.interval, found.reference)
    if not any((SHARED / path).is_file() for path in TABLES.values()):
        pytest.skip("the real tables are not here")
    assert len(missed) <= 1, missed
    assert all(interval[0] < 0.05 for _, interval, _ in missed.values()), missed


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("attack", attacks())
def test_a_memorising_generator_is_caught(name: str, attack: str) -> None:
    results = attacked(name, "memorised")
    found = results[attack]
    if found.value is None:
        pytest.skip(found.note)
    if attack == "identity_disclosure" and found.details["risk_of_train_itself"] < 0.05:
        pytest.skip("three coarse quasi-identifiers single nobody out, so that even the train rows themselves are safe from this attack")
    twins = results["copies"].reference  # strangers who equal a train row: on a coarse table nobody can be told from his twin
    if attack == "membership" and twins >= 0.01:  # his twin is named with him, but he is ranked above others
        assert max(part["auc_interval"][0] for part in found.details["attacks"].values()) > 0.5
        return
    assert found.interval[0] > found.reference, (found.value, found.interval, found.reference)
    if attack in ("membership", "reconstruction") and twins < 0.01:
        assert found.value > CAUGHT
