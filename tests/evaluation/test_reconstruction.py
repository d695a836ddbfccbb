"""The reconstruction attack finds records that stand in the release, outliers first, and accuses no release of fresh rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from evaluation.simulated import evidence, reordered, shuffled_columns, simulate, table
from manikin.data.dataset import Dataset, Table, concat
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.attacks.reconstruction import Lookup, _targets, reconstruction
from manikin.evaluation.prepared import prepare


@pytest.fixture(scope="module")
def sides():
    return simulate(2000, 1), simulate(1000, 2), simulate(2000, 3)


def noisy(data: Dataset, seed: int) -> Dataset:
    """Pressures that differ by about a hundredth of their spread; all else copied."""
    rng = np.random.default_rng(seed)
    frame = data.table.frame.assign(pressure=(data.table.frame["pressure"] + rng.normal(0, 0.8, len(data))).round(1))
    return data.with_table(Table(frame, data.table.marks))


def test_the_train_rows_themselves_are_rebuilt(sides):
    train, holdout, _ = sides
    for release in (train, noisy(train, 0)):
        result = reconstruction(evidence(train, holdout, release), seed=0)
        assert result.value > 0.9
        assert result.interval[0] > 0.9
        assert result.attack.value > 0.95
        assert result.control.value < 0.3
        assert result.groups[0]["interval"][0] > 0.5
    exact = result.details["outliers"]["exact"]
    assert exact["risk"] < 0.6  # noise hides most copies from those who look for exact ones only


@pytest.mark.parametrize("seed", range(3))
def test_fresh_and_independent_rows_rebuild_nobody(sides, seed):
    train, holdout, fresh = sides
    for release in (fresh, shuffled_columns(train, seed)):
        result = reconstruction(evidence(train, holdout, release), seed=seed)
        assert result.interval[0] <= 0 < result.interval[1] + 0.05
        assert result.interval[1] < 0.2
        for name in ("outliers", "typical"):
            low, high = result.details[name]["completion"]["gain_interval"]
            assert low - 0.02 <= 0 <= high + 0.02


def test_half_a_copy_is_half_a_risk(sides):
    train, holdout, fresh = sides
    leak = concat([train.take(np.arange(1000)), fresh.take(np.arange(1000))])
    result = reconstruction(evidence(train, holdout, leak), seed=0)
    assert result.interval[0] < 0.5 < result.interval[1]
    assert result.power < 0.2


def test_copied_outliers_are_found_first(sides):
    """A generator that copies only the few who are like nobody else: typical targets show nothing, outliers all."""
    train, holdout, fresh = sides
    frame = train.table.frame
    odd = np.flatnonzero(frame["ward"].isna() | (frame["ward"] == "ICU") | frame["pressure"].isna())
    leak = concat([train.take(odd), fresh])
    result = reconstruction(evidence(train, holdout, leak), seed=0)
    assert result.interval[0] > 0.3
    assert result.value > 2 * result.details["typical"]["near"]["risk"]


def test_who_knows_a_rare_combination_completes_the_row():
    """With many quasi-identifiers a copy gives the rest of the row away; the population does not."""
    rng = np.random.default_rng(0)
    names = [f"q{i}" for i in range(4)]
    schema = TableSchema(
        "t",
        (
            *(Column(name, Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.QUASI_IDENTIFIER,)) for name in names),
            *(Column(name, Kind.CATEGORICAL) for name in ("a", "b")),
        ),
    )

    def drawn(n):
        cells = {name: rng.integers(0, 30, n).astype(str).tolist() for name in names}
        return table({**cells, **{name: rng.choice(["x", "y", "z"], n).tolist() for name in ("a", "b")}}, schema)

    train, holdout = drawn(600), drawn(300)
    made = reconstruction(evidence(train, holdout, train, None), seed=0).details["outliers"]["completion"]
    assert made["attack"] == 1
    assert made["gain_interval"][0] > 0.5


def test_both_sides_are_chosen_by_one_rule(sides):
    data = prepare(evidence(*sides))
    outliers, typical, n_reference = _targets(data, 0)
    assert len(outliers.members) == len(outliers.control) == 200
    assert n_reference == 1000
    hashes = [part.hashes for part in (outliers.members, typical.members)]
    assert not np.isin(*hashes).any()
    seen = Lookup(data)
    assert [feature.name for feature in seen.known] == ["age", "sex"]


def test_the_order_of_rows_changes_nothing_and_no_cell_is_shown(sides):
    data = evidence(*sides)
    first, second = reconstruction(data, seed=0), reconstruction(reordered(data, 5), seed=0)
    assert first == second
    assert "2020-" not in json.dumps(first.details)


def test_without_quasi_identifiers_rows_are_compared_as_a_whole():
    schema = TableSchema("t", tuple(Column(name, Kind.CONTINUOUS, Storage.REAL) for name in "abc"))
    rng = np.random.default_rng(0)
    train, holdout = (table({name: [f"{v:.3f}" for v in rng.normal(size=200)] for name in "abc"}, schema) for _ in range(2))
    result = reconstruction(evidence(train, holdout, train, None), seed=0)
    assert result.value > 0.9
    assert "schema.toml" in result.note
    assert result.details["outliers"]["completion"] is None


def test_a_coarse_table_leaves_nothing_to_gain():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL),))
    data = table({"a": ["x", "y"] * 100}, schema)
    result = reconstruction(evidence(data, data, data, None), seed=0)
    assert result.value is None
    assert "always succeeds" in result.note


def test_rows_of_one_patient_give_one_target():
    columns = (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), Column("a", Kind.CONTINUOUS, Storage.REAL))
    schema = TableSchema("t", columns)
    rng = np.random.default_rng(0)

    def drawn(side):
        frame = pd.DataFrame({"id": [f"{side}{i // 5}" for i in range(500)], "a": [f"{v:.4f}" for v in rng.normal(size=500)]})
        return table({name: frame[name].tolist() for name in frame}, schema)

    train, holdout = drawn("t"), drawn("h")
    result = reconstruction(evidence(train, holdout, train, None), seed=0)
    assert result.n <= 50
