"""Latent diffusion: stages in order, latents drawn anew, attributes bind, runs resume in either stage, volumes and folders."""

from __future__ import annotations

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
    return LatentDDPM(steps=260, learning_rate=4e-3, coder_rate=4e-3, coder_share=0.4, **SMALL).fit(bars(size=(16, 12)), seed=0)


def test_both_stages_learn_and_attributes_bind(model: LatentDDPM, tmp_path: Path) -> None:
    signals = model.training_["signals"]
    coder = [entry["loss: autoencoder"] for entry in signals if "loss: autoencoder" in entry]
    denoising = [entry["loss: denoising"] for entry in signals if "loss: denoising" in entry]
    assert coder[-1] < 0.5 * coder[0]
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


def test_latents_are_drawn_anew() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.zeros(20_000), torch.full((20_000,), -2.0)
    assert float(drawn(mean, log_variance).var()) == pytest.approx(float(torch.tensor(-2.0).exp()), rel=0.05)
    assert not torch.equal(drawn(mean, log_variance), drawn(mean, log_variance))
    coder = ImageAutoencoder(2, 3, halvings=3, width=8, latents=5)
    mean, log_variance = coder.encode(torch.randn(2, 3, 16, 24))
    assert mean.shape == log_variance.shape == (2, 5, 2, 3)
    assert coder.decode(mean).shape == (2, 3, 16, 24)


@pytest.mark.parametrize(("key", "value"), [("halvings", 0), ("width", 12), ("coder_share", 1.0), ("latents", 65), ("divergence", 0)])
def test_hyperparameters_outside_their_domain_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=key):
        LatentDDPM(**{key: value}).fit(bars(4), seed=0)


def test_weights_of_another_autoencoder_are_refused(model: LatentDDPM) -> None:
    values, arrays = model.state()
    with pytest.raises(ModelFolderError):
        LatentDDPM(steps=260, **(SMALL | {"width": 16})).restore(values, arrays)
