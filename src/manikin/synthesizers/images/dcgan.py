"""DCGAN (Radford, Metz & Chintala 2016, arXiv 1511.06434), told attributes: the plain convolutional GAN that others are compared with.

From the paper: strided convolutions, batch normalisation in the generator, leaky units in the critic, Adam with a first moment of 0.5,
weights that start at a spread of 0.02. Departures: attributes are told (a projection in the critic, arXiv 1802.05637), the critic's slope
is held (R1 or spectral normalisation) where the paper has batch normalisation, and an average of the generators samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from manikin.codecs.images import EncodedImages
from manikin.data.errors import parameter_error
from manikin.synthesizers.images.network import ImageNetwork
from manikin.synthesizers.tables.one_shot import check_at_most, check_numbers
from manikin.training.monitors import Monitor, Narrowing, standard_monitors
from manikin.training.networks.dcgan import DCCritic, DCGenerator
from manikin.training.objective import Objective
from manikin.training.objectives.image_batches import ImageRows
from manikin.training.objectives.image_game import GameRecipe, ImageGame

HOLDS = ("r1", "spectral", "none")
MOST_WIDTH, MOST_NOISE = 512, 4096


@dataclass(kw_only=True)
class DCGAN(ImageNetwork):
    """Convolutional GAN for pictures and small volumes.

    Parameters
    ----------
    steps : of the plan. batch_size : of both players. learning_rate, critic_rate : of Adam, of the generator and the critic.
    noise : length of the noise. width : channels at the finest grid, doubled at each halving. told : length of what attributes become.
    hold : what holds the critic's slope: "r1", "spectral" or "none". r1 : gamma of the first. r1_every : steps between two penalties.
    average_images : images after which an early weight counts half in the generator that samples.
    max_steps : most steps, whatever the plan.

    Examples
    --------
    >>> DCGAN(steps=500).hold
    'r1'
    """

    name: ClassVar[str] = "dcgan"
    steps: int = 2600
    batch_size: int = 64
    learning_rate: float = 4e-4
    critic_rate: float = 1.2e-3
    noise: int = 64
    width: int = 16
    told: int = 32
    hold: Literal["r1", "spectral", "none"] = "r1"
    r1: float = 0.05
    r1_every: int = 8
    average_images: int = 10_000

    def _check(self) -> None:
        whole = ("steps", "batch_size", "noise", "width", "told", "r1_every", "average_images", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "critic_rate", "r1"))
        check_at_most(self, self.name, {"width": MOST_WIDTH, "noise": MOST_NOISE, "told": MOST_NOISE})
        if self.hold not in HOLDS:
            raise parameter_error("hold", self.name, f"one of {', '.join(HOLDS)}", self.hold)

    def _build(self) -> nn.Module:
        return DCGenerator(self.frame, self.attributes, n_noise=self.noise, width=self.width, told=self.told)

    def _objective(self, network: nn.Module, images: EncodedImages, *, seed: int, device: torch.device) -> tuple[Objective, nn.Module]:
        critic = DCCritic(self.frame, self.attributes, width=self.width, is_spectral=self.hold == "spectral")
        rows = np.arange(len(images), dtype=np.int64)
        data = ImageRows(images, next(iter(images.fields)), rows, batch_size=self.batch_size, device=device)
        recipe = GameRecipe(
            steps=self.steps,
            learning_rate=self.learning_rate,
            critic_rate=self.critic_rate,
            r1=self.r1 if self.hold == "r1" else 0.0,
            r1_every=self.r1_every,
            average_images=self.average_images,
        )
        game = ImageGame(network, critic, data, recipe=recipe, seed=seed)
        return game, game.average

    def _monitors(self) -> list[Monitor]:
        return [*standard_monitors(), Narrowing()]

    def _settle(self, objective: Objective) -> None:
        assert isinstance(objective, ImageGame)
        objective.settle()

    def _images(self, network: nn.Module, tokens: Tensor) -> Tensor:
        assert isinstance(network, DCGenerator)
        return network(torch.randn(len(tokens), self.noise), tokens)
