"""StyleGAN2 with adaptive augmentation, in plain torch, from the papers alone (Karras et al. 2020, arXiv 1912.04958 and 2006.06676).

From the papers: mapping network, modulated and demodulated convolutions, noise at every layer, skips in the generator and residuals in the
critic, style mixing, path length regularisation and R1 at every k-th step, spread within groups of the batch, truncation, a projection of
attributes, changes of what the critic is shown with a probability that adapts, the learning rate, and gamma = 0.0002 pixels / batch.

Departures: grids of any size (28 pixels: 7, 14, 28); halves by means of 2 x 2 pixels, in the convolution before; geometric changes by
bilinear resampling; R1 is taken at images as the critic is shown them; the spread within groups is that of images told the same; no
mirrors, large turns or inversions unless asked, as anatomy has sides. No code of others was looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from manikin.codecs.images import EncodedImages
from manikin.data.errors import parameter_error
from manikin.synthesizers.images.network import ImageNetwork
from manikin.synthesizers.tables.one_shot import check_at_most, check_numbers
from manikin.training.monitors import Monitor, Narrowing, standard_monitors
from manikin.training.networks.augmentation import KINDS
from manikin.training.networks.style import StyleCritic, StyleGenerator
from manikin.training.objective import Objective
from manikin.training.objectives.image_batches import ImageRows
from manikin.training.objectives.image_game import GameRecipe
from manikin.training.objectives.style_game import StyleGame, StyleRecipe

MOST_WIDTH, MOST_STYLE, MOST_MAPPING = 512, 2048, 16


@dataclass(kw_only=True)
class StyleGAN2ADA(ImageNetwork):
    """StyleGAN2 with adaptive discriminator augmentation, for pictures.

    Parameters
    ----------
    steps : of the plan. batch_size, learning_rate : of Adam, for both players.
    noise, style, mapping : length of noise and of styles, layers of the mapping network. width : channels at the finest grid, doubled at
        each halving.
    r1 : gamma; None takes the papers' 0.0002 pixels / batch. r1_every : steps between two penalties.
    path : weight of the path length penalty; None takes ln 2 / (ln r - ln 2) for r pixels a side, 0 leaves it out. path_every : likewise.
    mixing : share of images with two styles. truncation : of styles when sampling; below 1 images are better and more alike.
    augment : kinds of changes that the critic is shown, with commas between; an empty text switches them off.
        flips : whether mirrors, turns by any angle and inverted brightness are among them. target : of r_t, how sure the critic may be of
        real images. augment_over : images over which p could go from 0 to 1; None takes a fifth of the plan, 500,000 at most.
    average_images : images after which an early weight counts half in the generator that samples.
    max_steps : most steps, whatever the plan.

    Examples
    --------
    >>> StyleGAN2ADA(steps=500).augment
    'blit, geometry, colour'
    """

    name: ClassVar[str] = "stylegan2ada"
    steps: int = 2600
    batch_size: int = 32
    learning_rate: float = 2.5e-3
    noise: int = 96
    style: int = 96
    mapping: int = 2
    width: int = 16
    r1: float | None = None
    r1_every: int = 16
    path: float | None = None
    path_every: int = 4
    mixing: float = 0.9
    truncation: float = 1.0
    augment: str = "blit, geometry, colour"
    flips: bool = False
    target: float = 0.6
    augment_over: int | None = None
    average_images: int = 10_000

    def _check(self) -> None:
        whole = ("steps", "batch_size", "noise", "style", "mapping", "width", "r1_every", "path_every", "augment_over")
        check_numbers(self, self.name, whole=(*whole, "average_images", "max_steps"), positive=("learning_rate", "r1"))
        check_at_most(self, self.name, {"width": MOST_WIDTH, "noise": MOST_STYLE, "style": MOST_STYLE, "mapping": MOST_MAPPING})
        for key, least in (("mixing", 0.0), ("truncation", 0.0), ("target", -1.0)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= 1:
                raise parameter_error(key, self.name, f"a number in [{least:g}, 1]", value)
        if self.path is not None and (not isinstance(self.path, (int, float)) or not 0 <= self.path < math.inf):
            raise parameter_error("path", self.name, "a number of 0 or more", self.path)
        if not isinstance(self.augment, str) or any(kind not in KINDS for kind in self._kinds):
            raise parameter_error("augment", self.name, f"some of {', '.join(KINDS)}, with commas between", self.augment)

    @property
    def _kinds(self) -> tuple[str, ...]:
        return tuple(kind.strip() for kind in self.augment.split(",") if kind.strip())

    def _build(self) -> nn.Module:
        return StyleGenerator(
            self.frame, self.attributes, n_noise=self.noise, style=self.style, mapping=self.mapping, width=self.width
        )

    def _objective(self, network: nn.Module, images: EncodedImages, *, seed: int, device: torch.device) -> tuple[Objective, nn.Module]:
        assert isinstance(network, StyleGenerator)
        critic = StyleCritic(self.frame, self.attributes, width=self.width, told=self.style)
        rows = np.arange(len(images), dtype=np.int64)
        data = ImageRows(images, next(iter(images.fields)), rows, batch_size=self.batch_size, device=device)
        pixels, side = math.prod(self.frame.size), max(max(self.frame.size), 5)
        recipe = GameRecipe(
            steps=self.steps,
            learning_rate=self.learning_rate,
            critic_rate=self.learning_rate,
            betas=(0.0, 0.99),
            r1=2e-4 * pixels / data.batch_size if self.r1 is None else self.r1,
            r1_every=self.r1_every,
            average_images=self.average_images,
        )
        style = StyleRecipe(
            mixing=self.mixing,
            path=math.log(2) / (math.log(side) - math.log(2)) if self.path is None else self.path,
            path_every=self.path_every,
            kinds=self._kinds,
            flips=self.flips,
            target=self.target,
            augment_over=self.augment_over,
        )
        game = StyleGame(network, critic, data, recipe=recipe, style=style, seed=seed)
        return game, game.average

    def _monitors(self) -> list[Monitor]:
        return [*standard_monitors(), Narrowing()]

    def _images(self, network: nn.Module, tokens: Tensor) -> Tensor:
        assert isinstance(network, StyleGenerator)
        styles = network.styles(torch.randn(len(tokens), self.noise), tokens)
        return network.image(network.truncated(styles, self.truncation))
