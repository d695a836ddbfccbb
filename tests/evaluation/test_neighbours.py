"""The embedding and its exact nearest neighbours against plain distances."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, table
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation import neighbours
from manikin.evaluation.features import Embedding, embedding
from manikin.evaluation.neighbours import counts_within, nearest
from manikin.evaluation.prepared import prepare


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 7)).astype(np.float32), rng.normal(size=(90, 7)).astype(np.float32)


@pytest.mark.parametrize("cells", [8_000_000, 200])
def test_neighbours_are_those_of_the_full_matrix(clouds, monkeypatch, cells):
    monkeypatch.setattr(neighbours, "CHUNK_CELLS", cells)
    queries, points = clouds
    full = np.linalg.norm(queries[:, None].astype(float) - points[None], axis=2)
    distances, positions = nearest(queries, points, 4)
    np.testing.assert_array_equal(positions, np.argsort(full, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :4], rtol=1e-5)


def test_a_row_is_not_its_own_neighbour_but_its_twin_is():
    points = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    distances, positions = nearest(points, points, 1, itself=np.arange(3))
    assert positions[:2, 0].tolist() == [1, 0]
    assert distances[:, 0].tolist() == [0.0, 0.0, 5.0]


def test_more_neighbours_than_points_gives_what_there_is(clouds):
    assert nearest(clouds[0], clouds[1][:3], 10)[0].shape == (60, 3)


def test_balls_are_counted(clouds):
    queries, points = clouds
    radii = np.linspace(0.5, 4, 90).astype(np.float32)
    full = np.linalg.norm(queries[:, None] - points[None], axis=2)
    np.testing.assert_array_equal(counts_within(queries, points, radii), (full <= radii).sum(axis=1))


def test_distance_is_a_gower_like_sum():
    schema = TableSchema("t", (Column("a", Kind.CONTINUOUS, Storage.REAL), Column("b", Kind.CATEGORICAL)))
    data = table({"a": ["0", "1", "2", "3", "", "3"], "b": ["x", "x", "y", "", "x", "z"]}, schema)
    prepared = prepare(evidence(data, data, data, None))
    points = Embedding.fit(prepared.features, prepared.real).points(prepared.real).astype(float)
    values, levels = prepared.real.values["a"], prepared.real.values["b"]
    squares = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    zero, one, two, three = (int(np.flatnonzero(values == value)[0]) for value in (0, 1, 2, 3))
    hole = int(np.flatnonzero(np.isnan(values))[0])
    assert squares[zero, one] == pytest.approx((1 / 5) ** 2)  # mid-quantiles 0.1 and 0.3 of five values
    assert squares[zero, two] == pytest.approx((2 / 5) ** 2 + 1)
    assert squares[zero, hole] == pytest.approx((0.5 - 0.1) ** 2 + 1)
    assert levels[three] != levels[two]
    assert squares[two, three] == pytest.approx((0.8 - 0.5) ** 2 + 1)


def test_ten_thousand_levels_stay_within_bounds():
    schema = TableSchema("t", (Column("code", Kind.CODE), Column("n", Kind.COUNT, Storage.INTEGER)))
    data = table({"code": [f"c{i}" for i in range(10_000)], "n": [str(i) for i in range(10_000)]}, schema)
    prepared = prepare(evidence(data, data, data, None))
    assert embedding(prepared).points(prepared.real).shape == (10_000, 36)


@pytest.mark.parametrize("k", [1, 3])
def test_tiles_and_blocks_change_no_neighbour(monkeypatch, k):
    monkeypatch.setattr(neighbours, "TILE", 700)
    monkeypatch.setattr(neighbours, "BLOCK", 16)
    rng = np.random.default_rng(1)
    queries, points = rng.normal(size=(50, 5)).astype(np.float32), rng.normal(size=(2_000, 5)).astype(np.float32)
    full = np.linalg.norm(queries[:, None].astype(float) - points[None], axis=2)
    np.testing.assert_array_equal(nearest(queries, points, k)[1], np.argsort(full, axis=1)[:, :k])
    itself = np.argmin(full, axis=1)
    np.testing.assert_array_equal(nearest(queries, points, k, itself=itself)[1], np.argsort(full, axis=1)[:, 1 : k + 1])
