"""Images are judged by figures of their own, and the columns beside them by those of tables that make sense of few columns."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.images.films import evidence, films
from evaluation.simulated import evidence as flat_evidence
from evaluation.simulated import simulate
from manikin.data.errors import ParameterError
from manikin.data.images import Images
from manikin.evaluation import METRICS
from manikin.evaluation.images.pictures import matched, prepare_images, resized
from manikin.evaluation.suite import evaluate, fits


def test_labels_beside_images_are_judged_as_columns_of_a_table():
    data = evidence(films(120, 1), films(60, 2), films(80, 3, share=0.9))
    assert data.modality == "images"
    results = evaluate(data, seed=0, metrics=["column_shapes", "rare_values"], attacks=[])
    shapes = results["column_shapes"]
    assert shapes.title == "Column shapes, labels and attributes"
    assert shapes.unit != "rows"
    assert shapes.value < 0.7 < shapes.reference
    assert [column["column"] for column in results.views["columns"]] == ["label"]


def test_what_does_not_fit_is_refused_by_name():
    data = evidence(films(30, 1), films(30, 2), films(30, 3))
    with pytest.raises(ParameterError, match="'c2st' judges one flat table"):
        evaluate(data, seed=0, metrics=["c2st"], attacks=[])
    own = [name for name, entry in METRICS.items() if entry.modality == "images"]
    table = flat_evidence(simulate(60, 1), simulate(60, 2), simulate(60, 3))
    for name in own:
        with pytest.raises(ParameterError, match=f"'{name}' judges images"):
            evaluate(table, seed=0, metrics=[name], attacks=[])
    assert all(fits(METRICS[name], "images") for name in own)


def test_several_releases_of_images_are_joined_for_whoever_holds_them_all():
    data = evidence(films(40, 1), films(40, 2), films(30, 3), films(30, 4))
    results = evaluate(data, seed=0, metrics=["column_shapes"], attacks=[], with_views=False)
    assert len(results["column_shapes"].details["releases"]) == 2


def test_images_of_any_size_channel_and_scale_become_alike():
    data = films(40, 1)
    rng = np.random.default_rng(0)
    strange = films(12, 2)
    volumes = [rng.normal(size=(3, 20, 10)) * 1e3, np.full((1, 16, 16), np.nan), np.ones((1, 1, 1))]

    class Mixed:
        def __len__(self) -> int:
            return 12

        def image(self, i: int) -> np.ndarray:
            return volumes[i % 3]

    table = strange.table
    mixed = strange.with_table(type(table)(table.frame, table.marks, {"file": Images(Mixed(), np.array([-1, *range(1, 12)]))}))
    prepared = prepare_images(evidence(data, data, mixed))
    made = prepared.pictures["synthetic"]
    assert made.pixels.shape == (11, 1, 16, 16)
    assert np.isfinite(made.pixels).all()
    assert made.pixels.min() >= -0.5
    assert made.pixels.max() <= 1.5


def test_the_order_of_rows_is_forgotten():
    data, order = films(50, 1), np.random.default_rng(0).permutation(50)
    first, second = (prepare_images(evidence(one, one, one)).pictures["train"] for one in (data, data.take(order)))
    assert (first.pixels == second.pixels).all()
    assert (first.labels == second.labels).all()


def test_labels_are_matched_where_that_leaves_images_enough():
    data = prepare_images(evidence(films(200, 1, share=0.5), films(100, 2, share=0.2), films(100, 3, share=0.2)))
    held, real = data.pictures["holdout"], data.pictures["train"]
    (a, b), is_matched = matched([held, real], 1_000, 0, "test")
    assert is_matched
    assert len(a) == len(b) >= 98
    assert (np.bincount(held.labels[a]) == np.bincount(real.labels[b])).all()
    one_sided = prepare_images(evidence(films(50, 1), films(50, 2, share=0.5), films(50, 3, share=0.01)))
    chosen, is_matched = matched([one_sided.pictures["holdout"], one_sided.pictures["synthetic"]], 40, 0, "test")
    assert not is_matched
    assert [len(part) for part in chosen] == [40, 40]


def test_smaller_images_are_averages():
    fine = np.zeros((1, 1, 8, 8), dtype=np.float32)
    fine[:, :, ::2] = 1.0
    assert np.allclose(resized(fine, (2, 2)), 0.5, atol=0.1)
    assert resized(np.ones((2, 1, 4, 4, 4), dtype=np.float32), (2, 2, 2)).shape == (2, 1, 2, 2, 2)
