"""Latent diffusion: stages in order, latents drawn anew, attributes bind, runs resume in either stage, volumes and folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_ddpm import bars, is_top

from manikin.data.dataset import Dataset
from manikin.data.errors import ModelFolderError, ParameterError
from manikin.synthesizers.images.latent_ddpm import LatentDDPM
from manikin.synthesizers.storage import load, save
from manikin.training import loop
from manikin.training.control import Control
from manikin.training.networks.image_autoencoder import ImageAutoencoder, drawn
from manikin.training.networks.image_pyramid import strong, unlikeness
from manikin.training.objectives.latent_diffusion import LatentDiffusion, at_once, cropped

SMALL: dict[str, Any] = {
    "channels": (16,),
    "blocks": 1,
    "width": 8,
    "batch_size": 16,
    "sampling_steps": 6,
    "sampler": "multistep",
}


def pixels(data: Dataset) -> Any:
    return data.table.images["file"].array()


@pytest.fixture(scope="module")
def model() -> LatentDDPM:
    return LatentDDPM(steps=200, learning_rate=4e-3, coder_share=0.1, **SMALL).fit(bars(size=(16, 8)), seed=0)


def test_both_stages_learn_and_attributes_bind(model: LatentDDPM, tmp_path: Path) -> None:
    signals = model.training_["signals"]
    coder = [entry["loss: autoencoder"] for entry in signals if "loss: autoencoder" in entry]
    denoising = [entry["loss: denoising"] for entry in signals if "loss: denoising" in entry]
    assert coder[-1] < 0.3  # of 2 that black and white lie apart: the best linear code of patches is where it began
    assert denoising[-1] < denoising[0]
    made = model.sample(128, seed=1)
    assert (is_top(made) == (made.table.frame["label"] == "top")).mean() > 0.9
    save(model, tmp_path / "model")
    assert np.array_equal(pixels(load(tmp_path / "model").sample(20, seed=3)), pixels(model.sample(20, seed=3)))
    assert "file" in model.training_["film"][-1]["pictures"]


@pytest.mark.parametrize("stop", [3, 9])
def test_a_run_killed_in_either_stage_ends_in_the_same_bytes(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bars(60)
    whole = pixels(LatentDDPM(steps=14, **SMALL).fit(data, seed=2).sample(8, seed=0))

    def killed(progress: Any) -> None:
        if progress.step >= stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "REPORT_SECONDS", -1.0)
    control = Control(checkpoint=tmp_path / "run", checkpoint_seconds=1e9, on_progress=killed)
    with pytest.raises(KeyboardInterrupt):
        LatentDDPM(steps=14, **SMALL).fit(data, seed=2, control=control)
    again = LatentDDPM(steps=14, **SMALL).fit(data, seed=2, control=Control(checkpoint=tmp_path / "run"))
    assert again.training_["resumed"]
    assert np.array_equal(pixels(again.sample(8, seed=0)), whole)


def test_a_time_budget_leaves_no_trace_of_its_trial() -> None:
    made = LatentDDPM(steps=9, **SMALL).fit(bars(40), seed=1, control=Control(time_budget_seconds=600))
    plain = LatentDDPM(steps=9, **SMALL).fit(bars(40), seed=1)
    assert np.array_equal(pixels(made.sample(4, seed=0)), pixels(plain.sample(4, seed=0)))


def test_volumes_and_colour_go_through() -> None:
    for data in (bars(12, size=(6, 4, 4)), bars(12, size=(9, 5), channels=3)):
        made = LatentDDPM(steps=4, **(SMALL | {"sampling_steps": 2})).fit(data, seed=0).sample(3, seed=0)
        assert made.table.images["file"].image(0).shape == data.table.images["file"].image(0).shape


def waves(n: int, size: tuple[int, ...], channels: int = 1) -> torch.Tensor:
    """Smooth images whose borders are as bright as the rest."""
    torch.manual_seed(1)
    small = torch.randn(n, channels, *(max(length // 8, 2) for length in size))
    return 0.5 + 0.2 * torch.nn.functional.interpolate(small, size=size, mode="bilinear" if len(size) == 2 else "trilinear")


@torch.no_grad()
def test_the_autoencoder_begins_with_the_best_linear_code_of_patches() -> None:
    images = waves(6, (16, 24), channels=3)
    coder = ImageAutoencoder(2, 3, halvings=2, width=8, latents=8)
    coder.begin_linear(images)
    mean, _ = coder.encode(images)
    assert mean.flatten(2).std((0, 2)).tolist() == pytest.approx([1.0] * 8, rel=0.25)
    patches = images.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 48)
    patches = patches - images.mean((0, 2, 3)).repeat_interleave(16)
    left_over = torch.linalg.svdvals(patches.double())[8:].square().sum() / patches.numel()
    assert float((coder.decode(mean) - images).square().mean()) == pytest.approx(float(left_over), rel=0.05, abs=1e-7)


@torch.no_grad()
@pytest.mark.parametrize(("size", "halvings"), [((16, 16), 1), ((32, 32), 4), ((8, 8, 8), 2)])
def test_a_linear_beginning_fits_more_latents_than_patches_and_more_numbers_than_patches(size: tuple[int, ...], halvings: int) -> None:
    images = waves(3, size)
    coder = ImageAutoencoder(len(size), 1, halvings=halvings, width=8, latents=12)
    coder.begin_linear(images)
    made = coder.decode(coder.encode(images)[0])
    assert float((made - images).abs().mean()) < 0.02
    coder.begin_linear(torch.zeros(2, 1, *size))
    assert all(bool(parameter.isfinite().all()) for parameter in coder.parameters())


@torch.no_grad()
def test_borders_are_as_bright_as_the_rest() -> None:
    coder = ImageAutoencoder(2, 1, halvings=2, width=8, latents=4)
    torch.manual_seed(0)
    for parameter in (coder.encoder[-1].weight, coder.decoder[-1].weight):
        torch.nn.init.normal_(parameter, std=0.2)
    flat = torch.full((1, 1, 32, 32), 0.5)
    made = coder.decode(coder.encode(flat)[0])
    assert float(made[..., ::4, ::4].std()) < 1e-5, "every cell of an even image is the same, whichever side it stands at"


def test_what_is_blurred_is_less_like_than_what_has_the_right_grain_elsewhere() -> None:
    torch.manual_seed(0)
    grain, other = 0.2 * torch.randn(2, 1, 1, 64, 64)
    assert float(unlikeness(grain, grain)) == 0.0
    strength = [float(strong(grain, made)) for made in (other, torch.zeros_like(grain))]
    assert strength[0] < 0.3 * strength[1]


def test_pieces_are_of_the_images_and_from_places_of_their_own() -> None:
    torch.manual_seed(0)
    images = torch.arange(2 * 20 * 12, dtype=torch.float32).reshape(2, 1, 20, 12)
    pieces = cropped(images, 8)
    assert pieces.shape == (2, 1, 8, 8)
    first = pieces[:, 0, 0, 0] - images[:, 0, 0, 0]
    assert first[0] != first[1]
    for piece, image, start in zip(pieces, images, first.int().tolist(), strict=True):
        assert torch.equal(piece[0], image[0][start // 12 : start // 12 + 8, start % 12 : start % 12 + 8])
    assert cropped(images, 32) is images


def test_sizes_tell_how_often_axes_are_halved_and_how_many_latents_there_are() -> None:
    made = LatentDDPM(steps=2, **SMALL).fit(bars(4, size=(6, 4)), seed=0)
    assert made.code == (2, 4)
    own = made.codec_.fields_["file"]
    made.codec_.fields_["file"] = replace(own, padded=(256, 136), form=replace(own.form, channels=3))
    assert made.code == (3, 16)


def test_latents_are_drawn_anew() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.zeros(20_000), torch.full((20_000,), -2.0)
    assert float(drawn(mean, log_variance).var()) == pytest.approx(float(torch.tensor(-2.0).exp()), rel=0.05)
    assert not torch.equal(drawn(mean, log_variance), drawn(mean, log_variance))
    coder = ImageAutoencoder(2, 3, halvings=3, width=8, latents=5)
    mean, log_variance = coder.encode(torch.randn(2, 3, 16, 24))
    assert mean.shape == log_variance.shape == (2, 5, 2, 3)
    assert LatentDiffusion(coder, None).decode(mean).shape == (2, 3, 16, 24)  # type: ignore[arg-type]
    assert at_once(1 << 22) == 1
    assert at_once(1) == 64


@pytest.mark.parametrize(("key", "value"), [("halvings", 0), ("width", 12), ("coder_share", 1.0), ("latents", 65), ("crop", 0)])
def test_hyperparameters_outside_their_domain_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=key):
        LatentDDPM(**{key: value}).fit(bars(4), seed=0)


def test_weights_of_another_autoencoder_are_refused(model: LatentDDPM) -> None:
    values, arrays = model.state()
    with pytest.raises(ModelFolderError):
        LatentDDPM(steps=260, **(SMALL | {"width": 16})).restore(values, arrays)
