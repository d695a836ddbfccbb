"""Translators of images: targets follow from sources, what is given stays, both ways where promised, and refusals say the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import FitError, ParameterError
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema
from manikin.synthesizers import synthesizer
from manikin.synthesizers.storage import load, save
from manikin.training.networks.image_frame import Frame
from manikin.training.networks.translator import PatchCritic, Translator
from manikin.training.objectives.translation import Translation, _distance

SMALL: dict[str, dict[str, Any]] = {
    "pix2pix": {"width": 8, "critic_width": 8, "epochs": 1000, "learning_rate": 2e-3},
    "cyclegan": {"width": 8, "critic_width": 8, "blocks": 1, "epochs": 1000, "learning_rate": 2e-3},
}
SIZE = 12


def sides(n: int = 80, *, seed: int = 0, gaps: bool = False, target: bool = True, only: str = "") -> Dataset:
    """Bright squares at any place, and the same inverted. With gaps, every row has one of the two images."""
    rng = np.random.default_rng(seed)
    first = rng.normal(60, 4, (n, 1, SIZE, SIZE))
    for image, (y, x) in zip(first, rng.integers(0, SIZE - 4, (n, 2)), strict=True):
        image[:, y : y + 4, x : x + 4] += 120
    arrays = {"mr": first.clip(0, 255).astype(np.uint8), "ct": (255 - first).clip(0, 255).astype(np.uint8)}
    arrays = {name: array for name, array in arrays.items() if only in ("", name)}
    images = {}
    for i, (name, array) in enumerate(arrays.items()):
        places = np.arange(n)
        if gaps:
            places = np.where(places % 2 == i, places, -1)
        images[name] = Images(Images.of_array(array).source, places)
    frame: dict[str, Any] = {name: pd.Series([f"{name}{i}.png" for i in range(n)], dtype=object) for name in arrays}
    columns = [Column(name, Kind.IMAGE, image=ImageForm(1, (SIZE, SIZE))) for name in arrays]
    frame["label"] = pd.Series(pd.Categorical(np.where(np.arange(n) % 2, "yes", "no")))
    columns.append(Column("label", Kind.CATEGORICAL, levels=("no", "yes"), roles=(Role.TARGET,)))
    return flat(Table(pd.DataFrame(frame), images=images), TableSchema("pairs", tuple(columns)))


def pixels(data: Dataset, name: str) -> Any:
    return data.table.images[name].array()


@pytest.mark.verify
@pytest.mark.parametrize("name", SMALL)
def test_a_target_follows_from_its_source(name: str, tmp_path: Path) -> None:
    model = synthesizer(name, **SMALL[name], max_steps=150).fit(sides(gaps=name == "cyclegan"), seed=0)
    asked, truth = sides(20, seed=9, only="mr"), sides(20, seed=9)
    made = model.sample(20, seed=1, conditions=asked)
    assert np.array_equal(pixels(made, "mr"), pixels(asked, "mr"))
    if name == "pix2pix":
        assert np.abs(pixels(made, "ct") - pixels(truth, "ct")).mean() < 15  # of 255; a mean image is 27 off
    else:
        back = model.sample(20, seed=1, conditions=made.only(["ct"]))  # which side is bright nobody says; there and back must agree
        assert np.corrcoef(pixels(back, "mr").ravel(), pixels(asked, "mr").ravel())[0, 1] > 0.7
    save(model, tmp_path / "model")
    again = load(tmp_path / "model").sample(20, seed=5, conditions=asked)
    assert np.array_equal(pixels(again, "ct"), pixels(made, "ct"))
    assert made.columns.names == ["mr", "ct"]
    assert made.table.frame["mr"].is_unique
    drawn = model.sample(300, seed=3)
    assert len(drawn) == 300
    theirs = {image.tobytes() for image in pixels(sides(), "mr")}
    assert not any(image.tobytes() in theirs for image in pixels(drawn, "mr"))


def test_only_two_ways_go_back() -> None:
    both = synthesizer("cyclegan", **SMALL["cyclegan"], max_steps=3).fit(sides(gaps=True), seed=0)
    back = both.sample(5, seed=0, conditions=sides(5, only="ct"))
    assert np.array_equal(pixels(back, "ct"), pixels(sides(5, only="ct"), "ct"))
    assert pixels(back, "mr").shape == (5, 1, SIZE, SIZE)
    mixed = both.sample(6, seed=0, conditions=sides(6, gaps=True))
    whole, given = pixels(sides(6), "mr"), pixels(mixed, "mr")
    assert np.array_equal(given[::2], whole[::2])
    assert mixed.table.images["ct"].present.all()
    one = synthesizer("pix2pix", **SMALL["pix2pix"], max_steps=3).fit(sides(), seed=0)
    with pytest.raises(ParameterError, match="Fit 'cyclegan', which goes both ways"):
        one.sample(5, seed=0, conditions=sides(5, only="ct"))


def test_what_cannot_be_translated_is_refused() -> None:
    model = synthesizer("pix2pix", **SMALL["pix2pix"], max_steps=2).fit(sides(), seed=0)
    with pytest.raises(ParameterError, match="translates images and takes no other conditions"):
        model.sample(3, seed=0, conditions={"label": "yes"})
    empty = sides(4, only="mr")
    images = {"mr": Images(empty.table.images["mr"].source, np.array([0, -1, 2, 3]))}
    with pytest.raises(ParameterError, match="Row 2 of the conditions has no image"):
        model.sample(4, seed=0, conditions=flat(Table(empty.table.frame, images=images), empty.columns))
    with pytest.raises(FitError, match="2 images at least; there are 0"):
        synthesizer("pix2pix", **SMALL["pix2pix"]).fit(sides(gaps=True), seed=0)
    with pytest.raises(FitError, match="2 columns of images; these data have 1"):
        synthesizer("cyclegan").fit(sides(only="mr"), seed=0)
    with pytest.raises(ParameterError, match="distance"):
        synthesizer("cyclegan", distance=0).fit(sides(), seed=0)
    with pytest.raises(ParameterError, match="focus"):
        synthesizer("pix2pix", focus=-1).fit(sides(), seed=0)


def test_focus_weighs_pixels_that_are_far_off_and_leaves_even_errors_alone() -> None:
    even = torch.full((2, 1, 4, 4), 0.25)
    assert torch.equal(_distance(even, torch.zeros_like(even), 1.0), _distance(even, torch.zeros_like(even)))
    uneven = torch.full((1, 1, 10, 10), 0.01)
    uneven[0, 0, :2, :2] = 0.5
    uneven.requires_grad_()
    plain = _distance(uneven, torch.zeros_like(uneven))
    focused = _distance(uneven, torch.zeros_like(uneven), 1.0)
    mean = float(plain.detach())
    assert float(focused.detach()) == pytest.approx((4 * 0.5 * min(0.5 / mean, 10) + 96 * 0.01 * 0.01 / mean) / 100, rel=1e-5)
    focused.sum().backward()
    assert uneven.grad is not None
    share = uneven.grad[0, 0, :2, :2].sum() / uneven.grad.sum()
    assert float(share) > 0.5  # of the gradient, where a plain distance gives four of a hundred pixels 0.04
    assert _distance(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), 1.0).tolist() == [0.0]


@pytest.mark.parametrize("size", [(1, 1), (13, 9), (6, 8, 5)])
def test_every_weight_of_a_translator_and_a_critic_learns(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = Translator(Frame(1, size), 3, width=8, halvings=2, blocks=1, crosses=True)
    critic = PatchCritic(Frame(1, size), 3, width=8)
    made = network(torch.rand(2, 1, *size))
    assert made.shape == (2, 3, *size)
    critic(made).square().sum().backward()
    assert all(one.grad is not None for one in (*network.parameters(), *critic.parameters()))


def test_sides_of_different_size_are_refused_until_one_is_asked_for() -> None:
    data = sides(30)
    small = np.zeros((30, 1, 8, 8), dtype=np.uint8)
    images = {**data.table.images, "ct": Images.of_array(small)}
    columns = tuple(
        Column(one.name, Kind.IMAGE, image=ImageForm(1, (8, 8) if one.name == "ct" else (SIZE, SIZE))) if one.kind is Kind.IMAGE else one
        for one in data.columns
    )
    mixed = flat(Table(data.table.frame, images=images), TableSchema("pairs", columns))
    with pytest.raises(FitError, match="--set size=64"):
        synthesizer("pix2pix", **SMALL["pix2pix"], max_steps=1).fit(mixed, seed=0)
    made = synthesizer("pix2pix", **SMALL["pix2pix"], max_steps=1, size=8).fit(mixed, seed=0).sample(2, seed=0)
    assert pixels(made, "ct").shape == (2, 1, 8, 8)


@pytest.mark.parametrize("name", SMALL)
def test_the_film_shows_no_translated_patient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[Any] = []
    original = Translation.pictures

    def kept(self: Translation) -> Any:
        frames.append(self._filmed.numpy())
        return original(self)

    monkeypatch.setattr(Translation, "pictures", kept)
    data = sides()
    synthesizer(name, **SMALL[name], max_steps=2).fit(data, seed=0)
    real = pixels(data, "mr") / 127.5 - 1
    assert frames
    assert all(np.abs(real - one).max(axis=(1, 2, 3)).min() > 0.02 for one in frames[0])
