"""Generators of images by networks: labels bind, sizes fit, runs resume to the same bytes, folders load, and no real image comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_images import brighter, halves, nearest

from manikin.data.errors import BudgetError, FitError, ModelFolderError, ParameterError
from manikin.synthesizers import synthesizer
from manikin.synthesizers.storage import load, save
from manikin.training.control import Control
from manikin.training.networks.image_frame import Frame
from manikin.training.networks.image_vae import log_logistic
from manikin.training.networks.unet import folded, unfolded

SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"width": 8, "noise": 8, "batch_size": 32, "learning_rate": 1e-3, "critic_rate": 3e-3},
    "stylegan2ada": {"width": 8, "noise": 8, "style": 16, "batch_size": 16, "average_images": 500, "learning_rate": 6e-3},
    "image_vae": {"width": 8, "latents": 2, "maps": 1, "batch_size": 32, "learning_rate": 5e-3},
}


def made(name: str, **more: Any) -> Any:
    more = {"steps": 2000} | more
    return synthesizer(name, **(SMALL[name] | more))


def variety(data: Any, label: str) -> float:
    """Mean spread of a pixel among images of one label."""
    return float(data.table.images["file"].array()[(data.table.frame["label"].astype(str) == label).to_numpy()].std(0).mean())


@pytest.mark.verify
@pytest.mark.parametrize("name", SMALL)
def test_labels_bind_and_no_real_image_comes_out(name: str) -> None:
    data = halves()
    model = made(name, max_steps=120).fit(data, seed=1)
    sample = model.sample(80, seed=2)
    assert (brighter(sample) == sample.table.frame["label"].astype(str)).mean() > 0.9
    given = model.sample(20, seed=3, conditions={"label": "left"})
    assert (brighter(given) == "left").mean() > 0.85
    assert (nearest(sample, data) > 8).all()
    for label in ("left", "right"):  # not one image for each
        apart = [variety(one, label) for one in (sample, data)]
        assert apart[0] > 0.4 * apart[1], label
    assert model.training_["film"][-1]["pictures"]["file"].startswith("iVBO")


@pytest.mark.parametrize("name", SMALL)
def test_runs_repeat_resume_and_load_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    data = halves(40)

    def images(model: Any) -> Any:
        return model.sample(20, seed=3).table.images["file"].array()

    whole = made(name, max_steps=6).fit(data, seed=1)
    control = Control(checkpoint=tmp_path / "run", checkpoint_seconds=0.0, planned_steps=6, stop_at=3)
    made(name).fit(data, seed=1, control=control)
    resumed = made(name).fit(data, seed=1, control=Control(checkpoint=tmp_path / "run", planned_steps=6))
    assert resumed.training_["resumed"]
    save(whole, tmp_path / "model")
    assert np.array_equal(images(resumed), images(whole))
    assert np.array_equal(images(load(tmp_path / "model")), images(whole))
    values, arrays = whole.state()
    one = next(key for key in arrays if key.startswith("model."))
    for wrong in ({one: arrays[one][..., :1]}, {"model.strange": arrays[one]}):
        with pytest.raises(ModelFolderError, match="Save the model again"):
            made(name).restore(values, arrays | wrong)
    with pytest.raises(BudgetError, match="privacy ledger"):
        made(name).fit(data, seed=1, ledger=object())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("size", "channels", "labels"), [((1, 1), 1, True), ((11, 6), 3, False), ((6, 8, 9), 1, True), ((28, 28), 1, True)]
)
def test_any_size_is_learned(name: str, size: tuple[int, ...], channels: int, labels: bool) -> None:
    if name == "stylegan2ada" and len(size) == 3:
        with pytest.raises(FitError, match="volumes"):
            made(name).fit(halves(12, size=size), seed=0)
        return
    sample = made(name, max_steps=2).fit(halves(12, size=size, channels=channels, labels=labels), seed=0).sample(3, seed=0)
    assert sample.table.images["file"].array().shape == (3, channels, *size)
    assert len(made(name, max_steps=1).fit(halves(2, size=size), seed=0).sample(0, seed=0)) == 0


def test_constant_images_are_learned() -> None:
    data = halves(12, step=0)
    sample = made("image_vae", max_steps=60).fit(data, seed=0).sample(4, seed=0)
    assert sample.table.images["file"].array().mean() < 40
    made("dcgan", max_steps=3, hold="spectral").fit(data, seed=0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("dcgan", {"hold": "tight"}),
        ("dcgan", {"width": 0}),
        ("image_vae", {"maps": 99}),
        ("stylegan2ada", {"augment": "blit, paint"}),
        ("stylegan2ada", {"truncation": 1.5}),
    ],
)
def test_hyperparameters_outside_their_domain_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        made(name, **wrong).fit(halves(4), seed=0)


def test_every_weight_of_the_pair_learns() -> None:
    from manikin.training.networks.dcgan import DCCritic, DCGenerator
    from manikin.training.networks.image_conditioning import Attribute

    frame, told = Frame(1, (12, 8)), [Attribute(3)]
    network, critic = DCGenerator(frame, told, n_noise=4, width=4, told=4), DCCritic(frame, told, width=4, is_spectral=False)
    tokens = torch.tensor([0, 1, 2])[:, None]
    critic(network(torch.randn(3, 4), tokens), tokens).sum().backward()
    for name, one in (*network.named_parameters(), *critic.named_parameters()):
        if "values" not in name:  # of numbers; there are none
            assert one.grad is not None, name
            assert bool((one.grad != 0).any()), name


def test_r1_of_a_function_that_is_known() -> None:
    from manikin.training.objectives.image_game import squared_slope

    images = torch.randn(5, 1, 3, 3, requires_grad=True)
    weight = torch.randn(1, 3, 3, requires_grad=True)
    linear = squared_slope((images * weight).flatten(1).sum(1), images)
    assert torch.allclose(linear, weight.square().sum().expand(5))
    square = squared_slope(images.square().flatten(1).sum(1), images)
    assert torch.allclose(square, 4 * images.square().flatten(1).sum(1), rtol=1e-5)
    linear.sum().backward()
    assert torch.allclose(weight.grad, 10 * weight.detach(), rtol=1e-5)


def test_a_discretised_logistic_has_a_mass_of_one() -> None:
    steps = 15
    images = torch.linspace(-1, 1, steps + 1)[:, None, None, None]
    for mean, log_scale in ((0.0, -2.0), (0.9, -1.0), (-3.0, 0.0)):
        mass = log_logistic(images, torch.full_like(images, mean), torch.full_like(images, log_scale), steps).exp().sum()
        assert abs(float(mass) - 1) < 1e-4


def test_patches_become_channels_and_come_back() -> None:
    for shape in ((2, 3, 8, 6), (2, 1, 4, 6, 2)):
        images = torch.randn(shape)
        assert torch.equal(unfolded(folded(images, 2), 2), images)


@pytest.mark.parametrize(("size", "sizes"), [((28, 28), [(7, 7), (14, 14), (28, 28)]), ((1, 5), [(1, 5)]), ((64, 64), [(4, 4)] * 0)])
def test_grids_of_a_frame(size: tuple[int, ...], sizes: list[tuple[int, ...]]) -> None:
    frame = Frame(1, size)
    assert not sizes or frame.sizes == sizes
    images = torch.randn(2, 1, *size)
    assert torch.equal(frame.crop(frame.pad(images)), images)
    assert frame.pad(images).shape[2:] == frame.sizes[-1]
