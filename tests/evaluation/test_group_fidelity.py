"""Groups: who may be named, who is missing, and that figures within a group are of that group."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, simulate, table
from manikin.data.schema import EMPTY, Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.detection import c2st
from manikin.evaluation.group_fidelity import likeness, ratio_interval, representation
from manikin.evaluation.groups import MAX_GROUPS, groups
from manikin.evaluation.prepared import prepare
from manikin.evaluation.shapes import _likeness, column_shapes, grouped
from manikin.evaluation.utility import tstr

QUASI = (Role.QUASI_IDENTIFIER,)


@pytest.fixture(scope="module")
def parts():
    return simulate(2000, 1), simulate(900, 2), simulate(2000, 3)


def thinned(data, mask, keep, seed=0):
    """The rows without most of those under the mask."""
    return data.take(~mask | (np.random.default_rng(seed).random(len(data)) < keep))


def test_a_group_left_out_on_purpose_is_named_the_worst(parts):
    train, holdout, fake = parts
    frame = fake.table.frame
    old_women = ((frame["age"] > 75) & (frame["sex"] == "F")).to_numpy()
    result = representation(evidence(train, holdout, thinned(fake, old_women, 0.3)), seed=0)
    worst = result.details["groups"][0]
    assert "sex F" in result.details["worst_group"]
    assert "age above" in result.details["worst_group"]
    assert worst["is_short"]
    assert result.interval[1] < 0.8
    assert result.reference == pytest.approx(1, abs=0.2)


def test_of_fresh_patients_no_group_is_short(parts):
    result = representation(evidence(*parts), seed=0)
    assert result.details["n_short"] == 0
    assert result.interval[1] > 1
    assert set(result.subgroups) == {row["group"] for row in result.details["groups"]}
    assert result.details["by"] == ["age", "sex"]


def test_a_group_that_is_not_there_has_ratio_zero(parts):
    train, holdout, fake = parts
    gone = fake.take((fake.table.frame["sex"] == "F").to_numpy())
    result = representation(evidence(train, holdout, gone), seed=0)
    assert result.value == 0
    assert result.interval[0] == 0
    assert "sex M" in result.details["worst_group"]


def test_a_group_of_too_few_patients_is_never_formed():
    schema = TableSchema("t", (Column("race", Kind.CATEGORICAL, roles=QUASI), Column("a", Kind.CONTINUOUS, Storage.REAL)))
    rng = np.random.default_rng(0)
    races = ["white"] * 300 + ["black"] * 40 + ["rare"] * 10
    data = table({"race": races, "a": [f"{v:.2f}" for v in rng.normal(size=350)]}, schema)
    assert {group.name for group in groups(prepare(evidence(data, data, data, None)))} == {"race white", "race black"}


def test_patients_not_rows_make_a_group_large_enough():
    key = Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    schema = TableSchema("t", (key, Column("race", Kind.CATEGORICAL, roles=QUASI)))
    ids = [f"p{i}" for i in range(60)] + ["q"] * 40
    data = table({"id": ids, "race": ["white"] * 40 + ["black"] * 20 + ["rare"] * 40}, schema)
    assert {group.name for group in groups(prepare(evidence(data, data, data, None)))} == {"race white", "race black"}


def test_bands_cover_every_row_once_and_missing_cells_are_a_group():
    column = Column("age", Kind.CONTINUOUS, Storage.REAL, roles=QUASI, missing=(EMPTY,))
    rng = np.random.default_rng(0)
    ages = [f"{v:.1f}" if v > 30 else "" for v in rng.normal(60, 20, 1000)]
    data = prepare(evidence(*[table({"age": ages}, TableSchema("t", (column,)))] * 3, None))
    made = groups(data)
    assert np.sum([group.holds(data.real) for group in made], axis=0).tolist() == [1] * 1000
    assert "age not recorded" in {group.name for group in made}


def test_no_band_ends_at_a_number_that_few_patients_hold():
    schema = TableSchema("t", (Column("grade", Kind.CONTINUOUS, Storage.REAL, roles=QUASI),))
    data = table({"grade": ["0"] * 100 + ["7.1234"] + ["9"] * 99}, schema)
    assert [group.name for group in groups(prepare(evidence(data, data, data, None)))] == ["grade up to 0", "grade above 0"]


def test_bands_of_numbers_far_from_zero_are_told_apart():
    schema = TableSchema("t", (Column("born", Kind.COUNT, Storage.INTEGER, decimals=0, roles=QUASI),))
    years = [str(year) for year in np.random.default_rng(0).integers(1950, 2001, 600)]
    data = prepare(evidence(*[table({"born": years}, schema)] * 3, None))
    made = groups(data)
    assert len(made) == 6
    assert all(0 < group.holds(data.real).mean() < 0.4 for group in made)


def test_no_more_groups_than_can_be_read():
    columns = tuple(Column(f"q{i}", Kind.CATEGORICAL, roles=QUASI) for i in range(8))
    rng = np.random.default_rng(0)
    data = table({f"q{i}": [f"l{v}" for v in rng.integers(12, size=3000)] for i in range(8)}, TableSchema("t", columns))
    assert len(groups(prepare(evidence(data, data, data, None)))) == MAX_GROUPS


def test_without_roles_the_figure_says_what_it_needs(parts):
    schema = TableSchema("t", (Column("a", Kind.CATEGORICAL),))
    data = table({"a": ["x", "y"] * 40}, schema)
    assert "quasi-identifier" in representation(evidence(data, data, data, None), seed=0).note


def test_figures_within_groups_see_a_fault_in_one_group_alone(parts):
    train, holdout, fake = parts
    frame = fake.table.frame.copy()
    women = (frame["sex"] == "F").to_numpy()
    frame.loc[women, "pressure"] = np.random.default_rng(0).normal(140, 8, women.sum()).round(1)
    spoilt = evidence(
        train, holdout, fake.with_table(type(fake.table)(frame, {k: v for k, v in fake.table.marks.items() if k != "pressure"}))
    )
    told = c2st(spoilt, seed=0).subgroups
    assert told["sex F"] > 0.6 > told["sex M"]
    shapes = column_shapes(spoilt, seed=0).subgroups
    assert shapes["sex F"] < shapes["sex M"] - 0.03
    assert set(tstr(spoilt, seed=0).subgroups) >= {"sex F", "sex M"}


def test_the_quick_likeness_is_the_one_of_the_metric(parts):
    data = prepare(evidence(*parts))
    real, _, fake = grouped(data, cap=10_000, seed=0)
    for feature in data.features:
        assert likeness(real.sample, fake.sample, feature) == pytest.approx(_likeness(real, fake, feature)[0])


def test_the_interval_of_a_ratio_is_that_of_the_textbook():
    # Katz et al. 1978: exp(log(RR) -+ 1.96 sqrt(1/x - 1/n + 1/y - 1/m)), here by hand for 15/100 against 30/100.
    half = 1.959964 * (1 / 15 - 1 / 100 + 1 / 30 - 1 / 100) ** 0.5
    assert ratio_interval(15, 100, 30, 100) == pytest.approx((0.5 * np.exp(-half), 0.5 * np.exp(half)))
    assert ratio_interval(0, 100, 30, 100)[0] == 0
