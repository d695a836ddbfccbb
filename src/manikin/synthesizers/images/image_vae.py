"""A variational autoencoder of images (Kingma & Welling 2014, arXiv 1312.6114) in several levels, told attributes.

A single latent vector with independent pixels gives blurred images. This one has maps of latents from coarse to fine, each drawn from a
prior that is learned with the rest (arXiv 1602.02282, 1606.04934, 2011.10650); pixels have a discretised logistic of a learned scale.
No pretrained network judges likeness; the bound of held-out images, in bits per pixel, chooses the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from manikin.codecs.images import EncodedImages
from manikin.synthesizers.images.network import ImageNetwork
from manikin.synthesizers.tables.one_shot import check_at_most, check_numbers
from manikin.training.networks.image_vae import ImageVAENetwork
from manikin.training.objective import Objective
from manikin.training.objectives.image_batches import ImageRows
from manikin.training.objectives.image_bound import BoundRecipe, ImageBound

MOST_WIDTH, MOST_LATENTS, MOST_MAPS = 256, 64, 8


@dataclass(kw_only=True)
class ImageVAE(ImageNetwork):
    """Hierarchical variational autoencoder for pictures and small volumes.

    Parameters
    ----------
    steps : of the plan. batch_size, learning_rate : of Adam.
    width : channels at the finest latent grid. latents : of each cell of a map. maps : of latents on each grid. told : length of what
        attributes become.
    temperature : of the latents when sampling; below 1 images are plainer and more alike.
    noise : pixels are drawn around their mean, as the model has it; False gives the mean, which is smoother than real images are.
    max_steps : most steps, whatever the plan.

    Examples
    --------
    >>> ImageVAE(steps=500).maps
    2
    """

    name: ClassVar[str] = "image_vae"
    steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 2e-3
    width: int = 32
    latents: int = 6
    maps: int = 2
    told: int = 32
    temperature: float = 1.0
    noise: bool = True

    def _check(self) -> None:
        whole = ("steps", "batch_size", "width", "latents", "maps", "told", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "temperature"))
        check_at_most(self, self.name, {"width": MOST_WIDTH, "latents": MOST_LATENTS, "maps": MOST_MAPS, "told": 4096})

    def _build(self) -> nn.Module:
        own = next(iter(self.codec_.fields_.values()))
        return ImageVAENetwork(
            self.frame,
            self.attributes,
            n_steps=own.n_steps,
            width=self.width,
            latents=self.latents,
            maps=self.maps,
            told=self.told,
        )

    def _objective(self, network: nn.Module, images: EncodedImages, *, seed: int, device: torch.device) -> tuple[Objective, nn.Module]:
        inside, outside = self._hold_out(images, seed)
        column = next(iter(images.fields))

        def rows(chosen: np.ndarray) -> ImageRows:
            """These rows."""
            return ImageRows(images, column, chosen, batch_size=self.batch_size, device=device)

        recipe = BoundRecipe(steps=self.steps, learning_rate=self.learning_rate)
        objective = ImageBound(network, rows(inside), rows(outside) if len(outside) else None, recipe=recipe, seed=seed)
        return objective, objective.average

    def _images(self, network: nn.Module, tokens: Tensor) -> Tensor:
        assert isinstance(network, ImageVAENetwork)
        return network.draw(tokens, temperature=self.temperature, has_noise=self.noise)
