"""Meaningful identity disclosure: small tables worked by hand, copies with many quasi-identifiers, and strangers who suffer the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evaluation.simulated import evidence, reordered, shuffled_columns, simulate, table
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.attacks.identity_disclosure import ERRONEOUS, VERIFIED, _nearest_gap, identity_disclosure

QI, SENSITIVE = (Role.QUASI_IDENTIFIER,), (Role.SENSITIVE,)
TOWNS = TableSchema("t", (Column("town", Kind.CATEGORICAL, roles=QI), Column("illness", Kind.CATEGORICAL, roles=SENSITIVE)))
FACTOR = (1 + VERIFIED * (1 - ERRONEOUS)) / 2


def towns(pairs):
    return table({"town": [town for town, _ in pairs], "illness": [illness for _, illness in pairs]}, TOWNS)


def test_by_hand():
    """Two are alone in their towns and rarely ill; eight share a town. Only who is matched with a rare illness counts."""
    train = towns([("a", "gout"), ("b", "flu"), *[("c", "flu")] * 6, ("c", "gout"), ("c", "gout")])
    holdout = towns([("a", "gout"), ("d", "gout"), ("c", "flu"), ("c", "gout")])
    release = towns([("a", "gout"), ("b", "gout"), ("c", "gout"), ("c", "flu")])
    result = identity_disclosure(evidence(train, holdout, release, None), seed=0)
    # a: 1/1; b: matched but told wrongly, and flu is no news; c: flu is no news (6 + 1 of 10), gout for two of eight: 2/8
    assert result.details["uncorrected"] == pytest.approx((1 + 2 / 8) / 10)
    assert result.value == pytest.approx(FACTOR * 1.25 / 10, abs=1e-6)
    # holdout: a is the second there: 1/2; d is not released; of c one has gout: 1/9
    assert result.reference == pytest.approx(FACTOR * (1 / 2 + 1 / 9) / 4, abs=1e-6)
    assert (result.attack.hits, result.control.hits) == (3, 2)
    assert result.details["risk_of_train_itself"] == pytest.approx(FACTOR * 3 / 10, abs=1e-6)


def many(n, seed):
    rng = np.random.default_rng(seed)
    names = [f"q{i}" for i in range(5)]
    schema = TableSchema(
        "t",
        (
            *(Column(name, Kind.COUNT, Storage.INTEGER, decimals=0, roles=QI) for name in names),
            Column("level", Kind.CATEGORICAL, roles=SENSITIVE),
            Column("value", Kind.CONTINUOUS, Storage.REAL),
        ),
    )
    cells = {name: rng.integers(0, 40, n).astype(str).tolist() for name in names}
    cells["level"] = rng.choice(["x", "y", "z"], n).tolist()
    cells["value"] = [f"{v:.3f}" for v in rng.normal(size=n)]
    return table(cells, schema)


def test_copies_exceed_the_threshold_and_fresh_rows_do_not():
    train, holdout, fresh = many(600, 1), many(300, 2), many(600, 3)
    copied, honest = (identity_disclosure(evidence(train, holdout, release, None), seed=0) for release in (train, fresh))
    assert copied.interval[0] > 0.3 > 0.09
    assert copied.reference < 0.2
    assert copied.details["excess_interval"][0] > 0.3
    low, high = honest.details["excess_interval"]
    assert low <= 0 <= high
    assert honest.value < 0.5 * copied.value


@pytest.mark.parametrize("seed", range(3))
def test_a_stranger_suffers_the_same_from_fresh_rows(seed):
    train, holdout, fresh = simulate(1200, 10 + seed), simulate(600, 20 + seed), simulate(1200, 30 + seed)
    for release in (fresh, shuffled_columns(train, seed)):
        result = identity_disclosure(evidence(train, holdout, release), seed=seed)
        low, high = result.details["excess_interval"]
        assert low <= 0 <= high
        assert result.interval[0] <= result.value <= result.interval[1]
        assert 0 <= result.value <= result.details["risk_of_train_itself"] + 1e-9
        assert result.groups[0]["interval"][0] == max(group["interval"][0] for group in result.groups)


def test_the_least_gap_within_a_key_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    keys, values = rng.integers(0, 30, 200), rng.integers(0, 50, 200).astype(float)
    fake_keys, released = rng.integers(0, 40, 60), rng.integers(0, 50, 60).astype(float)
    slow = [
        min((abs(value - other) for at, other in zip(fake_keys, released, strict=True) if at == key), default=np.inf)
        for key, value in zip(keys, values, strict=True)
    ]
    assert _nearest_gap(keys, values, fake_keys, released).tolist() == slow


def test_without_quasi_identifiers_the_way_out_is_told():
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL),))
    data = table({"a": ["x", "y"] * 20}, schema)
    result = identity_disclosure(evidence(data, data, data, None), seed=0)
    assert result.value is None
    assert 'roles = ["quasi_identifier"]' in result.note
    only = TableSchema("t", (Column("a", Kind.CATEGORICAL, roles=QI),))
    data = table({"a": ["x", "y"] * 20}, only)
    assert "nothing is left" in identity_disclosure(evidence(data, data, data, None), seed=0).note


def test_missing_and_constant_cells_tell_nothing():
    schema = TableSchema("t", (Column("a", Kind.COUNT, Storage.INTEGER, decimals=0, roles=QI), Column("b", Kind.CONTINUOUS, Storage.REAL)))
    data = table({"a": ["", "1", "2", "3"] * 10, "b": ["", "5", "5", "5"] * 10}, schema)
    result = identity_disclosure(evidence(data, data, data, None), seed=0)
    assert result.value == 0
    assert result.interval[1] > 0
    empty = table({"a": ["1"] * 20, "b": [""] * 20}, schema)
    assert identity_disclosure(evidence(empty, empty, empty, None), seed=0).value == 0


def test_patients_count_once():
    columns = (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), *TOWNS.columns)
    schema = TableSchema("t", columns)
    data = table({"id": [f"p{i // 4}" for i in range(80)], "town": [f"t{i // 8}" for i in range(80)], "illness": ["x", "y"] * 40}, schema)
    result = identity_disclosure(evidence(data, data, data, None), seed=0)
    assert result.n == 20
    assert result.details["risk_of_train_itself"] == pytest.approx((1 + VERIFIED * (1 - ERRONEOUS)) / 2 / 2, abs=1e-6)


def test_the_order_of_rows_changes_nothing_and_no_cell_is_shown(good):
    first, second = identity_disclosure(good, seed=0), identity_disclosure(reordered(good, 5), seed=0)
    assert first == second
    assert "ICU" not in json.dumps(first.details)


def test_a_number_that_most_share_hides_no_other_number():
    """Two thirds cost nothing, so the MAD is 0; whose bill comes back is told of, and nothing is learned of the others."""
    schema = TableSchema("t", (Column("town", Kind.CATEGORICAL, roles=QI), Column("bill", Kind.CONTINUOUS, Storage.REAL, roles=SENSITIVE)))

    def billed(seed):
        bills = np.random.default_rng(seed).lognormal(6, 1, 100)
        return table(
            {"town": [f"t{i}" for i in range(300)], "bill": ["0"] * 200 + [f"{bill:.2f}" for bill in bills]}, schema
        )

    train = billed(1)
    copied, other = (identity_disclosure(evidence(train, billed(2), release, None), seed=0) for release in (train, billed(3)))
    assert copied.attack.hits == 100
    assert other.attack.hits < 95
