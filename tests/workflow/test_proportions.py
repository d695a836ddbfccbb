"""Whole numbers out of shares, and shares out of words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import manikin as mk
from manikin.data.errors import DataError
from manikin.workflow.proportions import apportion, cells_of, mixed, planned, shares_of
from manikin.workflow.wanted_shares import parse_to

WEIGHTS = st.lists(st.floats(0.01, 1), min_size=1, max_size=8)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 50), st.integers(0, 9))
def test_a_mixed_order_holds_each_cell_as_often_as_asked(counts: list[int], block: int, seed: int) -> None:
    asked = np.array(counts)
    parts = list(mixed(asked, np.random.default_rng(seed), block=block))
    assert [len(part) for part in parts] == [block] * (sum(counts) // block) + [sum(counts) % block] * bool(sum(counts) % block)
    assert np.bincount(np.concatenate([np.empty(0, int), *parts]), minlength=len(counts)).tolist() == counts
    assert asked.tolist() == counts


def test_every_place_of_a_mixed_order_is_as_likely_to_hold_each_cell() -> None:
    orders = [list(mixed(np.array([2, 6]), np.random.default_rng(i), block=3)) for i in range(4000)]
    share = np.mean(
        [np.concatenate(parts) == 0 for parts in orders], axis=0
    )  # of the rarer cell, by place; 0.25 if all are alike
    assert np.abs(share - 0.25).max() < 0.03  # more than four standard errors


@given(st.integers(0, 5000), WEIGHTS, st.integers(1, 3))
def test_rows_add_up_and_each_group_is_within_one_of_its_share(total: int, weights: list[float], n_groups: int) -> None:
    shares = np.array(weights) / sum(weights)
    groups = np.unique(np.arange(len(weights)) % n_groups, return_inverse=True)[1]
    made = apportion(total, shares, groups)
    assert made.sum() == total
    assert (made >= 0).all()
    exact = total * np.bincount(groups, weights=shares)
    assert (np.abs(np.bincount(groups, weights=made) - exact) < 1 + 1e-6).all()


@given(st.lists(st.integers(11, 400), min_size=2, max_size=5), st.data())
def test_real_rows_always_fit_and_no_smaller_table_holds_them(counts: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(1, 20), min_size=len(counts), max_size=len(counts)))
    levels = [f"l{i}" for i in range(len(counts))]
    cells = cells_of(mk.read(pd.DataFrame({"x": np.repeat(levels, counts), "y": np.arange(sum(counts)) / 7})), ["x"])
    asked = {"x": {level: weight / sum(weights) for level, weight in zip(levels, weights, strict=True)}}
    made = planned(cells, shares_of(cells, asked), asked, keeps_real=True, rows=None, n_rows=0)
    assert (made >= 0).all()
    whole = made + cells.n_rows
    share = np.array([asked["x"][own[0]] for own in cells.levels])
    assert (np.abs(whole - share * whole.sum()) < 1 + 1e-6).all()
    assert whole.sum() <= max(cells.n_rows / share) + len(counts)


def two_columns(*counts: tuple[str, str, int]) -> mk.Dataset:
    rows = [(a, b) for a, b, n in counts for _ in range(n)]
    return mk.read(pd.DataFrame(rows, columns=["died", "sex"]).assign(x=np.arange(len(rows)) / 3))


def test_each_column_gets_its_proportions_where_a_cell_is_too_small() -> None:
    data = two_columns(("no", "F", 50), ("no", "M", 40), ("yes", "F", 3), ("yes", "M", 20))
    cells = cells_of(data, ["died", "sex"])
    asked = parse_to(["died:no=0.75,died:yes=0.25", "sex:F=0.3,sex:M=0.7"], cells, "died")
    made = planned(cells, shares_of(cells, asked), asked, keeps_real=False, rows=400, n_rows=0)
    assert {cells.levels[i]: int(made[i]) for i in range(4)} == {
        ("no", "F"): 120,
        ("no", "M"): 180,
        ("yes", "F"): 0,
        ("yes", "M"): 100,
    }


def test_proportions_that_no_cell_can_carry_are_refused() -> None:
    data = two_columns(("no", "F", 50), ("yes", "M", 20))
    cells = cells_of(data, ["died", "sex"])
    with pytest.raises(DataError, match="cannot be reached"):
        shares_of(cells, {"died": {"no": 0.75, "yes": 0.25}, "sex": {"F": 0.5, "M": 0.5}})


def test_a_level_with_a_comma_or_a_colon_in_it_can_be_named() -> None:
    data = mk.read(pd.DataFrame({"stage": ["I, early"] * 30 + ["b:II"] * 20, "x": np.arange(50) / 3}))
    cells = cells_of(data, ["stage"])
    assert parse_to(["I, early=0.5", "stage:b:II=0.5"], cells, "stage") == {"stage": {"I, early": 0.5, "b:II": 0.5}}
    assert parse_to({"I, early": 0.5, "b:II": 0.5}, cells, "stage") == {"stage": {"I, early": 0.5, "b:II": 0.5}}
    assert parse_to(" Equal ", cells, "stage") is None


def test_public_levels_make_no_small_cell_stand() -> None:
    data = mk.declare_public(two_columns(("yes", "F", 20), ("no", "F", 20), ("yes", "M", 3), ("no", "M", 20)), ["died", "sex"])
    cells = cells_of(data, ["died", "sex"])
    assert dict(zip(cells.levels, cells.stands.tolist(), strict=True))["yes", "M"] is False
