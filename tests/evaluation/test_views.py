"""What the plots are drawn from: shares that add up, small files, no rare level by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evaluation.simulated import evidence, table
from manikin.data.schema import EMPTY, Column, Kind, Storage, TableSchema
from manikin.evaluation.dependence import pair_trends
from manikin.evaluation.prepared import prepare
from manikin.evaluation.projections import principal_axes
from manikin.evaluation.shapes import column_shapes
from manikin.evaluation.views import OTHER, overlay, views


@pytest.fixture(scope="module")
def made(bad):
    prepared = prepare(bad)
    return views(prepared, [column_shapes(prepared, seed=0), pair_trends(prepared, seed=0)], seed=0)


def test_every_column_has_an_overlay_whose_shares_add_up(made, bad):
    assert [view["column"] for view in made["columns"]] == bad.schema.names
    for view in made["columns"]:
        n_cells = len(view["edges"]) - 1 if "edges" in view else len(view["levels"])
        for side in ("train", "holdout", "synthetic"):
            assert len(view[side]) == n_cells
            assert sum(view[side]) == pytest.approx(1, abs=0.001)
        if "edges" in view:
            assert view["edges"] == sorted(view["edges"])


def test_missing_cells_and_dates_are_shown_apart(made):
    columns = {view["column"]: view for view in made["columns"]}
    assert columns["pressure"]["missing"]["train"] == pytest.approx(0.145, abs=0.03)
    assert columns["pressure"]["n"]["train"] < 1005
    assert columns["admitted"]["ticks"][0].startswith("20")
    assert len(columns["admitted"]["ticks"]) == len(columns["admitted"]["edges"])
    assert columns["died"]["levels"] == ["no", "yes"]


def test_matrices_share_one_clustered_order_and_their_difference(made, bad):
    view = made["associations"]
    assert sorted(view["columns"]) == sorted(bad.schema.names)
    real, fake, gap = (np.array(view[key]) for key in ("train", "synthetic", "difference"))
    np.testing.assert_allclose(gap, fake - real, atol=2e-3)
    np.testing.assert_allclose(real, real.T)
    i, j = view["columns"].index("age"), view["columns"].index("ward")
    assert real[i, j] > 0.3 > 0.12 > fake[i, j]


def test_worst_parts_come_first(made):
    for key in ("worst_columns", "worst_pairs"):
        gaps = [row["gap"] for row in made[key]]
        assert gaps == sorted(gaps, reverse=True)
    assert set(made["worst_pairs"][0]["columns"]) <= {"age", "pressure", "ward", "died"}


def test_maps_have_points_of_both_sides(made):
    assert len(made["pca"]["train"]) == len(made["pca"]["synthetic"]) == 1000
    assert len(made["tsne"]["train"]) == len(made["tsne"]["synthetic"]) == 500
    assert 0 < made["pca"]["explained"][1] <= made["pca"]["explained"][0] < 1


def test_the_map_shows_what_was_lost(made):
    """Real rows spread along the first axis, which carries dependence; shuffled columns spread less."""
    real, fake = (np.array(made["pca"][side])[:, 0] for side in ("train", "synthetic"))
    assert fake.std() < 0.9 * real.std()


def test_views_are_small_json(made):
    assert len(json.dumps(made, allow_nan=False)) < 200_000


def test_principal_axes_find_the_long_direction():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 1)) @ np.array([[3.0, 4.0]]) / 5 + 0.01 * rng.normal(size=(500, 2))
    centre, axes, explained = principal_axes(points)
    np.testing.assert_allclose(axes[0], [0.6, 0.8], atol=0.01)
    np.testing.assert_allclose(centre, points.mean(axis=0))
    assert explained[0] > 0.99


def test_a_rare_level_is_not_named_but_counted():
    schema = TableSchema("t", (Column("code", Kind.CODE), Column("n", Kind.COUNT, Storage.INTEGER, decimals=0)))
    codes = ["common"] * 90 + ["one of a kind"] * 10
    data = table({"code": codes, "n": [str(i % 7) for i in range(100)]}, schema)
    prepared = prepare(evidence(data, data, data, None))
    view = overlay(prepared, prepared.features[0])
    assert view["levels"] == ["common", OTHER]
    assert view["train"] == [0.9, 0.1]
    few = overlay(prepared, prepared.features[1])
    assert few["levels"] == [str(i) for i in range(7)]


def test_many_levels_become_twenty_and_the_others():
    schema = TableSchema("t", (Column("code", Kind.CODE), Column("n", Kind.COUNT, Storage.INTEGER, decimals=0)))
    data = table({"code": [f"c{i % 40}" for i in range(1000)], "n": [str(i) for i in range(1000)]}, schema)
    prepared = prepare(evidence(data, data, data, None))
    view = overlay(prepared, prepared.features[0])
    assert len(view["levels"]) == 21
    assert view["synthetic"][-1] == pytest.approx(0.5)
    number = overlay(prepared, prepared.features[1])
    widths = np.diff(number["edges"])
    assert len(widths) <= 31
    np.testing.assert_allclose(widths, widths[0])
    assert widths[0] == round(widths[0])  # whole numbers: no comb of bins with one value more


def test_a_number_that_few_patients_hold_is_not_named_nor_summed_up():
    schema = TableSchema(
        "t", (Column("stays", Kind.COUNT, Storage.INTEGER, decimals=0), Column("dose", Kind.CONTINUOUS, Storage.REAL, missing=(EMPTY,)))
    )
    stays, doses = ["1"] * 60 + ["2"] * 30 + ["17"] * 3 + ["1"] * 7, ["41.7", "", "43.9"] + [""] * 97
    real = table({"stays": stays, "dose": doses}, schema)
    made = table({"stays": ["1"] * 90 + ["3"] * 10, "dose": doses}, schema)
    data = prepare(evidence(real, real, made, None))
    shown = views(data, [], seed=0)
    stays_view = shown["columns"][0]
    assert stays_view["levels"] == ["1", "2", "3", OTHER]
    assert stays_view["train"] == [0.67, 0.3, 0, 0.03]
    assert stays_view["synthetic"] == [0.9, 0, 0.1, 0]
    dose = shown["summary"][1]
    assert set(dose["train"]) == set(dose["holdout"]) == {"missing"}
    assert "median" in dose["synthetic"]
    assert "43.9" not in json.dumps([shown["summary"][1]["train"], shown["summary"][1]["holdout"], stays_view])
