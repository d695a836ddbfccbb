"""The floor and the ceiling of generators of images, and what all of them share: labels, conditions, blocks, folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import BudgetError, FitError, ModelFolderError, ParameterError
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema
from manikin.synthesizers import names_of, synthesizer
from manikin.synthesizers.images.pca import ImagePCA
from manikin.synthesizers.images.resample_images import ResampleImages
from manikin.synthesizers.storage import load, save

SIZE = 8


def blobs(n: int = 120, *, seed: int = 0, with_age: bool = True, labels: bool = True) -> Dataset:
    """Grey images whose brighter half says their label."""
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(n) < 0.3, "left", "right")
    pixels = rng.normal(80, 15, (n, 1, SIZE, SIZE))
    pixels[label == "left", :, :, : SIZE // 2] += 100
    pixels[label == "right", :, :, SIZE // 2 :] += 100
    frame: dict[str, Any] = {"file": pd.Series([f"{i}.png" for i in range(n)], dtype=object)}
    columns = [Column("file", Kind.IMAGE, image=ImageForm(1, (SIZE, SIZE)))]
    if labels:
        frame["label"] = pd.Series(pd.Categorical(label))
        columns.append(Column("label", Kind.CATEGORICAL, levels=("left", "right"), roles=(Role.TARGET,)))
    if labels and with_age:
        frame["age"] = rng.integers(20, 90, n).astype(float)
        columns.append(Column("age", Kind.COUNT, minimum=0.0, maximum=120.0, decimals=0))
    images = {"file": Images.of_array(pixels.clip(0, 255).astype(np.uint8))}
    return flat(Table(pd.DataFrame(frame), images=images), TableSchema("blobs", tuple(columns)))


def brighter_half(data: Dataset) -> Any:
    pixels = data.table.images["file"].array()[:, 0]
    is_left = pixels[:, :, : SIZE // 2].mean((1, 2)) > pixels[:, :, SIZE // 2 :].mean((1, 2))
    return np.where(is_left, "left", "right")


@pytest.mark.parametrize("name", ["image_pca", "resample_images"])
@pytest.mark.parametrize("with_age", [False, True])
def test_images_go_with_their_labels(name: str, with_age: bool) -> None:
    model = synthesizer(name).fit(blobs(with_age=with_age), seed=1)
    made = model.sample(300, seed=2)
    assert (brighter_half(made) == made.table.frame["label"].astype(str)).mean() > 0.97
    assert abs((made.table.frame["label"] == "left").mean() - 0.3) < 0.12
    assert made.columns.names == blobs(with_age=with_age).columns.names
    assert made.table.frame["file"].is_unique
    given = model.sample(20, seed=2, conditions={"label": "left"})
    assert (brighter_half(given) == "left").all()
    rows = model.sample(30, seed=2).only(["label"])
    kept = model.sample(30, seed=5, conditions=rows)
    assert kept.table.frame["label"].tolist() == rows.table.frame["label"].tolist()


@pytest.mark.parametrize("name", ["image_pca", "resample_images"])
def test_the_same_whatever_the_batches_and_after_loading(name: str, tmp_path: Path) -> None:
    model = synthesizer(name).fit(blobs(), seed=1)
    whole = model.sample(600, seed=3).table.images["file"].array()
    parts = list(model.sample_batches(600, seed=3, batch_size=100))
    assert [len(part) for part in parts] == [100] * 6
    assert np.array_equal(np.concatenate([part.table.images["file"].array() for part in parts]), whole)
    save(model, tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").sample(600, seed=3).table.images["file"].array(), whole)
    again = synthesizer(name).fit(blobs(), seed=1).sample(600, seed=3).table.images["file"].array()
    assert np.array_equal(again, whole)
    assert len(model.sample(0, seed=1)) == 0


def test_images_without_labels() -> None:
    model = ImagePCA(components=5).fit(blobs(labels=False), seed=0)
    made = model.sample(10, seed=0)
    assert made.columns.names == ["file"]
    assert made.table.images["file"].array().shape == (10, 1, SIZE, SIZE)
    with pytest.raises(ParameterError, match="without attributes"):
        model.sample(3, seed=0, conditions={"label": "left"})


def test_what_cannot_be_learned_is_refused() -> None:
    data = blobs(4)
    with pytest.raises(FitError, match="2 images at least; there are 1"):
        ImagePCA().fit(data.take(np.array([0])), seed=0)
    with pytest.raises(FitError, match="1 column of images; these data have 0"):
        ImagePCA().fit(data.only(["label"]), seed=0)
    with pytest.raises(BudgetError, match="privacy ledger"):
        ImagePCA().fit(data, seed=0, ledger=object())
    with pytest.raises(ParameterError, match="components"):
        ImagePCA(components=0).fit(data, seed=0)


@pytest.mark.parametrize("model", [ImagePCA(components=4), ResampleImages()])
def test_arrays_of_another_model_are_refused(model: Any) -> None:
    fitted = model.fit(blobs(), seed=0)
    values, arrays = fitted.state()
    one = next(name for name in arrays if name.startswith("model."))
    for wrong in ({one: arrays[one][..., :1]}, {one: arrays[one].astype(np.float64)}, {"strange": arrays[one]}):
        with pytest.raises(ModelFolderError, match="Save the model again"):
            type(model)().restore(values, arrays | wrong)


def test_generators_of_images_are_in_the_registry() -> None:
    assert {"image_pca", "resample_images"} <= set(names_of("images"))
