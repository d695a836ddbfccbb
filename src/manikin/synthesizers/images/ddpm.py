"""Denoising diffusion of images (Ho, Jain & Abbeel 2020, arXiv 2006.11239), by default preconditioned by Karras et al. (arXiv 2206.00364).

One file and one name, since both are one process in other units: `parameterisation="ddpm"` says the noise at steps of the cosine schedule
(Nichol & Dhariwal 2021, arXiv 2102.09672), "edm" an image of unit variance at log-normal levels. Sampling by DPM-Solver++ (arXiv
2211.01095), Heun's steps or DDIM (Song, Meng & Ermon 2021, arXiv 2010.02502); attributes by classifier-free guidance (arXiv 2207.12598).
Written from the papers alone. Departures in docs/synthesizers/ddpm.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from manikin.codecs.images import EncodedImages
from manikin.data.errors import parameter_error
from manikin.synthesizers.images.network import ImageNetwork
from manikin.synthesizers.tables.one_shot import check_at_most, check_layers, check_numbers
from manikin.training.networks.image_augmentation import n_told
from manikin.training.networks.image_diffusion import (
    PARAMETERISATIONS,
    SAMPLERS,
    ImageDiffusion,
    Noise,
    Parameterisation,
    Sampler,
)
from manikin.training.networks.unet import UNetShape
from manikin.training.objective import Objective
from manikin.training.objectives.image_diffusion import DiffusionRecipe, ImageDenoising

PRECISIONS = ("auto", "float32", "bfloat16")
MOST_PATCH, MOST_LOOKS, MOST_LEVELS = 8, 1000, 6
EDGES: dict[str, tuple[float, float]] = {  # hyperparameters that are numbers within bounds
    "guidance": (0.0, 20.0),
    "unsaid": (0.0, 1.0),
    "augment": (0.0, 1.0),
    "dropout": (0.0, 0.9),
    "churn": (0.0, 1000.0),
    "eta": (0.0, 1.0),
    "noise_mean": (-20.0, 20.0),
}


@dataclass(kw_only=True)
class DDPM(ImageNetwork):
    """Diffusion of pictures and small volumes of 8 to 64 pixels; larger ones are for `latent_ddpm`.

    Parameters
    ----------
    parameterisation : "edm" or "ddpm".
    steps, batch_size, learning_rate : gradient steps of the plan, images of each, largest rate of Adam.
    piece : images that go through the network at a time while learning; their gradients add up. None takes the batch at once.
    channels, blocks, patch : of the U-net: of each grid, the finest first; residual blocks on each; pixels that become one cell.
    dropout : in its blocks. average : width of the average of weights, as a share of the steps done.
    unsaid : share of images that are told without their attributes. guidance : 1 is none, more pushes images towards their attributes.
    augment : chance that an image is shifted, sized, turned while it is learned; the network is told, so none of it is generated.
    mirrored : whether these may be mirror images too. Anatomy has sides, so only where yours has none.
    noise_mean, noise_spread : of log sigma while "edm" learns. diffusion_steps : of the process of "ddpm".
    sigma_min, sigma_max : levels between which "edm" samples.
    sampler : "heun", "multistep" or "ddim". sampling_steps : levels that it goes through; heun looks twice at each but the last.
    churn : fresh noise on the way of "heun". eta : of "ddim"; 1 at all steps of the process is the first paper's sampler.
    precision : "bfloat16" where the network's products may be; "auto" is that on CUDA, and float32 elsewhere.
    max_steps : most gradient steps, whatever the plan.

    Examples
    --------
    >>> DDPM(steps=100).parameterisation
    'edm'
    """

    name: ClassVar[str] = "ddpm"
    held_out: ClassVar[float] = 0.04
    most_held_out: ClassVar[int] = 1 << 20
    fewest_to_hold_out: ClassVar[int] = 50
    parameterisation: Parameterisation = "edm"
    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 1e-3
    piece: int | None = None
    channels: tuple[int, ...] = (32, 64)
    blocks: int = 1
    patch: int = 2
    dropout: float = 0.0
    average: float = 0.05
    unsaid: float = 0.1
    guidance: float = 1.0
    augment: float = 0.0
    mirrored: bool = False
    noise_mean: float = -1.2
    noise_spread: float = 1.2
    diffusion_steps: int = 1000
    sigma_min: float = 0.005
    sigma_max: float = 80.0
    sampler: Sampler = "multistep"
    sampling_steps: int = 20
    churn: float = 0.0
    eta: float = 0.0
    precision: str = "auto"
    multiple: int = field(init=False, repr=False, default=1)  # type: ignore[misc]

    def __post_init__(self) -> None:
        self.channels = tuple(self.channels) if isinstance(self.channels, Sequence) else self.channels  # a folder has a list
        self.multiple = self.patch if isinstance(self.patch, int) and 1 <= self.patch <= MOST_PATCH else 1

    def _check(self) -> None:
        whole = ("steps", "batch_size", "piece", "blocks", "patch", "diffusion_steps", "sampling_steps", "max_steps")
        positive = ("learning_rate", "average", "noise_spread", "sigma_min", "sigma_max")
        check_numbers(self, self.name, whole=whole, positive=positive)
        check_layers(self, self.name, ("channels",))
        if any(width % 8 or width > 1024 for width in self.channels) or len(self.channels) > MOST_LEVELS:
            raise parameter_error("channels", self.name, f"at most {MOST_LEVELS} multiples of 8 up to 1024", self.channels)
        check_at_most(self, self.name, {"patch": MOST_PATCH, "blocks": 16, "sampling_steps": MOST_LOOKS, "diffusion_steps": 10_000})
        for key, (low, high) in EDGES.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise parameter_error(key, self.name, f"a number in [{low:g}, {high:g}]", value)
        if not self.average < 0.28:
            raise parameter_error("average", self.name, "a number in (0, 0.28)", self.average)
        if self.sigma_min >= self.sigma_max:
            raise parameter_error("sigma_min", self.name, "below sigma_max", self.sigma_min)
        for key, allowed in (("parameterisation", PARAMETERISATIONS), ("sampler", SAMPLERS), ("precision", PRECISIONS)):
            if getattr(self, key) not in allowed:
                raise parameter_error(key, self.name, f"one of {', '.join(allowed)}", getattr(self, key))
        if type(self.mirrored) is not bool:
            raise parameter_error("mirrored", self.name, "True or False", self.mirrored)

    def _noise(self) -> Noise:
        return Noise(
            self.parameterisation,
            mean=self.noise_mean,
            spread=self.noise_spread,
            steps=self.diffusion_steps,
            least=self.sigma_min,
            most=self.sigma_max,
        )

    def _build(self) -> nn.Module:
        own = next(iter(self.codec_.fields_.values()))
        return ImageDiffusion(
            own.form.channels,
            own.padded,
            self.attributes,
            shape=UNetShape(self.channels, self.blocks, self.patch),
            noise=self._noise(),
            n_augmented=n_told(len(own.padded)) if self.augment else 0,
            dropout=self.dropout,
        )

    def _recipe(self, device: torch.device) -> DiffusionRecipe:
        return DiffusionRecipe(
            steps=self.steps,
            batch_size=self.batch_size,
            piece=self.piece,
            learning_rate=self.learning_rate,
            average=self.average,
            unsaid=self.unsaid,
            augment=self.augment,
            mirrored=self.mirrored,
            half=self.precision == "bfloat16" or (self.precision == "auto" and device.type == "cuda"),
        )

    def _objective(self, network: nn.Module, images: EncodedImages, *, seed: int, device: torch.device) -> tuple[Objective, nn.Module]:
        assert isinstance(network, ImageDiffusion)
        column = next(iter(images.fields))
        inside, outside = self._hold_out(images, seed)
        objective = ImageDenoising(
            network,
            lambda rows: images.pixels(column, rows),
            images.tokens.astype(np.int64),
            inside=inside,
            outside=outside,
            recipe=self._recipe(device),
            seed=seed,
            device=device,
            column=column,
        )
        return objective, objective.average

    def _images(self, network: nn.Module, tokens: Tensor) -> Tensor:
        assert isinstance(network, ImageDiffusion)
        network.precision = torch.bfloat16 if self.precision == "bfloat16" else None
        return network.draw(torch.randn(len(tokens), network.channels, *network.size), tokens, **self._way())

    def _way(self) -> dict[str, Any]:
        return {
            "n_steps": self.sampling_steps,
            "sampler": self.sampler,
            "guidance": float(self.guidance),
            "churn": float(self.churn),
            "eta": float(self.eta),
        }
