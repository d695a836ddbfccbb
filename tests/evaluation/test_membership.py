"""The membership attack catches a leak that the DCR share passes, and stays quiet where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.simulated import evidence, reordered, simulate, table
from manikin.data.dataset import concat
from manikin.data.schema import EMPTY, Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.attacks.membership import _people, membership
from manikin.evaluation.closeness import dcr_share
from manikin.evaluation.prepared import prepare

MANY = TableSchema("many", tuple(Column(f"x{i}", Kind.CONTINUOUS, Storage.REAL, decimals=2) for i in range(16)))


def cloud(n: int, seed: int):
    """Rows of sixteen heavy-tailed numbers, alike enough that the distance to the closest record says nothing."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(4, (n, 16)) + rng.normal(size=(n, 1))
    return table({f"x{i}": [f"{v:.2f}" for v in values[:, i]] for i in range(16)}, MANY)


@pytest.fixture(scope="module")
def sides():
    return simulate(3000, 1), simulate(1500, 2), simulate(3000, 3)


@pytest.fixture(scope="module")
def quiet(sides):
    return membership(evidence(*sides), seed=0)


def test_five_percent_of_copies_are_caught(sides):
    train, holdout, fresh = sides
    leak = concat([train.take(np.arange(150)), fresh.take(np.arange(150, 3000))])
    result = membership(evidence(train, holdout, leak), seed=0)
    assert result.interval[0] > result.reference
    assert result.value == pytest.approx(0.05, abs=0.025)
    diagnostic = dcr_share(evidence(train, holdout, leak), seed=0)
    assert diagnostic.value < 0.56
    assert result.details["auc"] < 0.56


def test_fresh_rows_give_nothing_away(quiet):
    assert quiet.interval[0] < 0.01 < quiet.interval[1]
    low, high = quiet.details["auc_interval"]
    assert low - 0.02 < 0.5 < high + 0.02
    assert quiet.n == quiet.details["n_members"] == 1500
    assert quiet.details["n_strangers"] == quiet.control.n == 1500
    assert quiet.interval[0] <= quiet.control.value <= quiet.interval[1]


def test_the_train_rows_themselves_are_all_found(copied):
    result = membership(copied, seed=0)
    assert result.value > 0.95
    assert result.details["auc"] > 0.95
    assert result.details["vulnerable"]["tpr"] > 0.9


def test_planted_near_copies_are_found_and_the_dcr_share_passes_them():
    result = membership(evidence(cloud(2000, 1), cloud(1000, 2), cloud(2000, 3), None), seed=0)
    planted = result.details["controls"]["planted"]
    assert planted["is_found"]
    assert planted["tpr_interval"][0] > 0.01 > result.interval[0]
    assert planted["dcr_share"] < 0.56
    assert planted["n_planted"] == 105
    assert "no power" not in result.note


def test_a_table_too_coarse_for_the_attack_is_said_to_give_it_no_power():
    coarse = TableSchema("coarse", (Column("sex", Kind.CATEGORICAL), Column("ward", Kind.CATEGORICAL)))

    def people(n: int, seed: int):
        rng = np.random.default_rng(seed)
        return table({"sex": list(rng.choice(["F", "M"], n)), "ward": list(rng.choice(["a", "b", "c"], n))}, coarse)

    result = membership(evidence(people(600, 1), people(400, 2), people(600, 3), None), seed=0)
    assert result.interval[0] <= 0.01
    assert "no power" in result.note


def test_where_everybody_has_a_twin_the_auc_tells_what_the_hit_rate_cannot():
    """Most strangers equal a member, so that no threshold names members at 1 % false alarms; the note says what is left."""
    lattice = TableSchema("lattice", tuple(Column(f"x{i}", Kind.CATEGORICAL) for i in range(5)))

    def people(n: int, seed: int):
        rng = np.random.default_rng(seed)
        return table({f"x{i}": list(rng.choice(["a", "b", "c", "d"], n)) for i in range(5)}, lattice)

    train = people(1500, 1)
    result = membership(evidence(train, people(1500, 2), train, None), seed=0)
    assert result.value < 0.2
    assert max(part["auc_interval"][0] for part in result.details["attacks"].values()) > 0.5
    assert result.interval[0] > 0.01 or "ranked above others" in result.note


def test_other_real_rows_in_place_of_the_release_are_the_negative_control(quiet):
    independent = quiet.details["controls"]["independent"]
    low, high = independent["tpr_interval"]
    assert low < 0.01 < high
    assert independent["n"] == quiet.n


def test_nobody_plays_two_parts(sides):
    """DOMIAS in synthcity takes the attacker's reference rows and the non-members from one table, and they may be the same rows."""
    people = _people(prepare(evidence(*sides)), 0)
    parts = [people.members, people.strangers, *people.known]
    assert sum(len(part) for part in parts) == 4500
    rows = np.concatenate([part.hashes for part in parts])
    assert len(np.unique(rows)) > 4490


def test_a_patient_of_many_rows_is_one_target():
    keyed = replace(
        MANY, columns=(Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,), missing=(EMPTY,)), *MANY.columns)
    )
    rng = np.random.default_rng(5)

    def visits(n_patients: int, seed: int):
        values = np.repeat(np.random.default_rng(seed).normal(size=(n_patients, 16)), 4, axis=0)
        columns = {f"x{i}": [f"{v:.2f}" for v in values[:, i] + rng.normal(0, 0.05, len(values))] for i in range(16)}
        return table({"id": [f"p{seed}-{i // 4}" for i in range(4 * n_patients)], **columns}, keyed)

    train, holdout, fresh = visits(400, 1), visits(200, 2), visits(400, 3)
    assert train.n_records == 400
    result = membership(evidence(train, holdout, fresh, None), seed=0)
    assert (result.n, result.control.n) == (200, 200)
    assert result.interval[0] < 0.02


def test_groups_are_attacked_at_the_same_threshold(quiet):
    assert quiet.worst_group == quiet.groups[0]["group"]
    assert all(group["n"] >= 50 for group in quiet.groups)
    lows = [group["interval"][0] for group in quiet.groups]
    assert lows == sorted(lows, reverse=True)


def test_a_group_that_was_copied_is_the_worst(sides):
    train, holdout, fresh = sides
    women = np.flatnonzero((train.table.frame["sex"] == "F").to_numpy())[:400]
    leak = concat([train.take(women), fresh.take(np.arange(len(women), 3000))])
    result = membership(evidence(train, holdout, leak), seed=0)
    assert "sex F" in result.worst_group
    assert result.groups[0]["interval"][0] > result.groups[0]["control"]


def test_one_in_a_thousand_takes_five_thousand_strangers(quiet):
    assert quiet.details["strict"] is None
    assert "5,000 people of the holdout" in quiet.note
    result = membership(evidence(simulate(600, 1), simulate(5200, 2), simulate(600, 3)), seed=0)
    strict = result.details["strict"]
    assert strict["false_positives"] == 0.001
    assert strict["tpr_interval"][0] <= 0.001
    assert 0 <= strict["fpr_control"] < 0.004


def test_few_strangers_are_said_to_be_few():
    result = membership(evidence(simulate(200, 1), simulate(60, 2), simulate(200, 3)), seed=0)
    assert "too few" in result.note
    tiny = membership(evidence(simulate(200, 1), simulate(12, 2), simulate(200, 3)), seed=0)
    assert tiny.value is None


def test_the_order_of_rows_changes_nothing(sides):
    data = evidence(*(side.take(np.arange(400)) for side in sides))
    assert membership(data, seed=3) == membership(reordered(data, 1), seed=3)


@pytest.mark.parametrize("cells", [["7.5"] * 80, [""] * 80, [f"{i}" for i in range(80)]])
def test_odd_single_columns_are_measured_or_noted(cells):
    one = TableSchema("one", (Column("x", Kind.CONTINUOUS, Storage.REAL, decimals=2, missing=(EMPTY,)),))
    data = table({"x": cells}, one)
    result = membership(evidence(data, data.take(np.arange(40)), data, None), seed=0)
    assert result.value is None or 0 <= result.value <= 1
