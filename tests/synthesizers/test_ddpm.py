"""Diffusion of images: it learns, attributes bind, runs resume to the same bytes, shapes and values of every kind go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.images import EncodedImages
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import ModelFolderError, ParameterError
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, TableSchema
from manikin.synthesizers.images.ddpm import DDPM
from manikin.synthesizers.storage import load, save
from manikin.training import loop
from manikin.training.control import Control

SMALL: dict[str, Any] = {"channels": (16,), "blocks": 1, "batch_size": 16, "sampling_steps": 6, "sampler": "multistep"}


def bars(n: int = 160, *, size: tuple[int, ...] = (8, 6), channels: int = 1, highest: int = 255, labels: bool = True) -> Dataset:
    """Images with a bright first or last half of their first axis, as their label says, at a brightness that their age says."""
    rng = np.random.default_rng(0)
    label, age = rng.random(n) < 0.5, rng.integers(20, 80, n)
    pixels = rng.normal(0.2, 0.03, (n, channels, *size))
    half = size[0] // 2
    pixels[label, :, :half] += (0.2 + age[label] / 200)[(..., *[None] * (len(size) + 1))]
    pixels[~label, :, half:] += (0.2 + age[~label] / 200)[(..., *[None] * (len(size) + 1))]
    frame: dict[str, Any] = {"file": pd.Series([f"{i}.png" for i in range(n)], dtype=object)}
    columns = [Column("file", Kind.IMAGE, image=ImageForm(channels, size, highest=float(highest)))]
    if labels:
        frame["label"] = pd.Categorical(np.where(label, "top", "bottom"))
        frame["age"] = age.astype(float)
        columns.append(Column("label", Kind.CATEGORICAL, levels=("bottom", "top")))
        columns.append(Column("age", Kind.COUNT, minimum=0.0, maximum=120.0, decimals=0))
    stored = (pixels.clip(0, 1) * highest).astype(np.uint8 if highest < 256 else np.uint16)
    return flat(Table(pd.DataFrame(frame), images={"file": Images.of_array(stored)}), TableSchema("bars", tuple(columns)))


def brightness(data: Dataset) -> tuple[Any, Any]:
    """Of the first and the last half, (n,) each, as a share of the highest value."""
    images = data.table.images["file"].array() / data.columns["file"].image.highest  # type: ignore[union-attr]
    half = images.shape[2] // 2
    axes = tuple(range(1, images.ndim))
    return images[:, :, :half].mean(axes), images[:, :, half:].mean(axes)


def is_top(data: Dataset) -> Any:
    first, last = brightness(data)
    return first > last


@pytest.fixture(scope="module")
def model() -> DDPM:
    return DDPM(steps=200, learning_rate=4e-3, **SMALL).fit(bars(), seed=0)


def test_the_loss_falls_and_attributes_bind(model: DDPM) -> None:
    curve = [entry[1] for entry in model.training_["curve"]]
    assert curve[-1] < 0.5 * curve[0]
    made = model.sample(200, seed=1)
    assert (is_top(made) == (made.table.frame["label"] == "top")).mean() > 0.95
    old = model.sample(64, seed=1, conditions={"label": "top", "age": 75})
    young = model.sample(64, seed=1, conditions={"label": "top", "age": 25})
    assert is_top(old).all()
    assert brightness(old)[0].mean() > brightness(young)[0].mean() + 0.1  # 0.25 in the data
    assert (old.table.frame["age"] == 75).all()


def test_without_guidance_nothing_binds_and_a_film_is_kept(model: DDPM, tmp_path: Path) -> None:
    save(model, tmp_path / "model")
    other: DDPM = load(tmp_path / "model")
    other.guidance = 0.0
    assert 0.2 < is_top(other.sample(64, seed=1, conditions={"label": "top"})).mean() < 0.8
    other.guidance = 1.5
    assert is_top(other.sample(32, seed=1, conditions={"label": "top"})).all()
    frames = model.training_["film"]
    assert len(frames) > 3
    assert set(frames[-1]["pictures"]) == {"file"}


def test_the_same_whatever_the_batches_and_after_loading(model: DDPM, tmp_path: Path) -> None:
    whole = model.sample(300, seed=3).table.images["file"].array()
    parts = list(model.sample_batches(300, seed=3, batch_size=77))
    assert np.array_equal(np.concatenate([part.table.images["file"].array() for part in parts]), whole)
    save(model, tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").sample(300, seed=3).table.images["file"].array(), whole)


def test_every_sampler_draws(model: DDPM, tmp_path: Path) -> None:
    save(model, tmp_path / "model")
    other: DDPM = load(tmp_path / "model")
    for settings in ({"sampler": "heun"}, {"sampler": "heun", "churn": 4.0}, {"sampler": "ddim"}, {"sampler": "ddim", "eta": 1.0}):
        for key, value in settings.items():
            setattr(other, key, value)
        assert is_top(other.sample(32, seed=1, conditions={"label": "top"})).mean() > 0.9




@pytest.mark.parametrize("settings", [{}, {"parameterisation": "ddpm", "sampler": "ddim", "augment": 0.3, "piece": 10}])
def test_a_killed_run_ends_in_the_same_bytes(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bars(80)
    made = DDPM(steps=14, **(SMALL | settings))
    whole = made.fit(data, seed=2).sample(8, seed=0).table.images["file"].array()

    def killed(progress: Any) -> None:
        if progress.step >= 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "REPORT_SECONDS", -1.0)
    control = Control(checkpoint=tmp_path / "run", checkpoint_seconds=1e9, on_progress=killed)
    with pytest.raises(KeyboardInterrupt):
        DDPM(steps=14, **(SMALL | settings)).fit(data, seed=2, control=control)
    again = DDPM(steps=14, **(SMALL | settings)).fit(data, seed=2, control=Control(checkpoint=tmp_path / "run"))
    assert again.training_["resumed"]
    assert np.array_equal(again.sample(8, seed=0).table.images["file"].array(), whole)


@pytest.mark.parametrize(
    ("form", "settings"),
    [
        ({"size": (9, 5), "channels": 3}, {}),
        ({"size": (6, 4, 4)}, {"mirrored": True, "augment": 0.5}),
        ({"highest": 60_000}, {"parameterisation": "ddpm"}),
        ({"labels": False}, {"guidance": 2.0}),
        ({"n": 2, "size": (1, 1)}, {}),
    ],
)
def test_shapes_and_values_of_every_kind(form: dict[str, Any], settings: dict[str, Any]) -> None:
    data = bars(**({"n": 12} | form))
    made = DDPM(steps=3, **(SMALL | {"sampling_steps": 2} | settings)).fit(data, seed=0).sample(3, seed=0)
    images, real = made.table.images["file"], data.table.images["file"]
    assert images.image(0).shape == real.image(0).shape
    assert images.image(0).dtype == real.image(0).dtype
    assert made.columns.names == data.columns.names


def test_constant_images_come_back() -> None:
    data = bars(20, labels=False)
    one = np.full((20, 1, 8, 6), 77, dtype=np.uint8)
    data = flat(Table(data.table.frame, images={"file": Images.of_array(one)}), data.columns)
    made = DDPM(steps=3, **SMALL).fit(data, seed=0).sample(4, seed=0)
    assert np.abs(made.table.images["file"].array() - 77).max() <= 1


def test_whole_patients_are_held_out() -> None:
    def held(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return DDPM()._hold_out(EncodedImages({}, {}, {}, np.zeros((len(records), 0), np.int32), records), 1)

    inside, outside = held(np.arange(200))
    assert len(outside) == 8
    assert sorted([*inside, *outside]) == list(range(200))
    twice = np.repeat(np.arange(200), 2)
    inside, outside = held(twice)
    assert len(outside) == 16
    assert not set(twice[inside]) & set(twice[outside])
    assert len(held(np.arange(49))[1]) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parameterisation", "vp"),
        ("sampler", "euler"),
        ("channels", (12,)),
        ("channels", ()),
        ("patch", 9),
        ("guidance", -1),
        ("guidance", float("nan")),
        ("average", 0.5),
        ("sigma_min", 100.0),
        ("mirrored", 1),
        ("sampling_steps", 0),
        ("unsaid", True),
        ("precision", "float16"),
    ],
)
def test_hyperparameters_outside_their_domain_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=key):
        DDPM(**{key: value}).fit(bars(4), seed=0)


def test_weights_of_another_network_are_refused(model: DDPM) -> None:
    values, arrays = model.state()
    with pytest.raises(ModelFolderError):
        DDPM(steps=200, **(SMALL | {"channels": (24,)})).restore(values, arrays)
