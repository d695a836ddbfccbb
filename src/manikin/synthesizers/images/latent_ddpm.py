"""Latent diffusion of larger images (Rombach et al. 2022, arXiv 2112.10752): an autoencoder makes them smaller, `ddpm` learns what is left.

Written from the paper. Departures: no perceptual or adversarial loss, since both ask for a network learned elsewhere or a game; the error
of bands of detail and of their strength stands for them, and the autoencoder begins with the best linear code of patches, so that it needs
a small share of the steps. It learns from pieces of images. Latents are kept as mean and variance and drawn for every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from manikin.codecs.images import EncodedImages
from manikin.data.errors import parameter_error
from manikin.synthesizers.images.ddpm import DDPM
from manikin.synthesizers.tables.one_shot import check_at_most, check_numbers
from manikin.training.networks.image_augmentation import n_told
from manikin.training.networks.image_autoencoder import ImageAutoencoder, latent_size
from manikin.training.networks.image_diffusion import ImageDiffusion
from manikin.training.networks.unet import UNetShape
from manikin.training.objective import Objective
from manikin.training.objectives.latent_diffusion import LatentDenoising, LatentDiffusion

MOST_HALVINGS, MOST_WIDTH, MOST_LATENTS = 6, 512, 64
BELOW, ABOVE = 2, (128, 3)  # halvings, and pixels above which there are more
EACH, FEWEST, MOST = 6, 4, 16  # numbers of an image that become one of the latents', fewest of a cell, most of a cell


@dataclass(kw_only=True)
class LatentDDPM(DDPM):
    """Diffusion in the latent space of an autoencoder that is learned first; for images above 64 pixels.

    Parameters
    ----------
    halvings : of each axis by the autoencoder: 2 makes 128 pixels 32 cells. None is 2 up to 128 pixels, 3 above.
    latents : numbers in each cell; None is one for six of the image's, 4 to 16.
    width : channels of the autoencoder at half the size. coder_share : of the plan's steps, for it. coder_rate : Adam's there.
    crop : pixels along each axis of the pieces that it learns from.
    divergence : weight of the latents' divergence from a standard normal; small, as the paper has it.
    patch : latent cells of each axis that become one of the U-net's. The others are those of `ddpm`.

    Examples
    --------
    >>> LatentDDPM(halvings=2).multiple
    4
    """

    name: ClassVar[str] = "latent_ddpm"
    patch: int = 1
    batch_size: int = 32
    halvings: int | None = None
    latents: int | None = None
    width: int = 32
    crop: int = 64
    coder_share: float = 0.15
    coder_rate: float = 1e-3
    divergence: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.halvings is None:
            self.multiple *= 2**ABOVE[1]
        elif isinstance(self.halvings, int) and 1 <= self.halvings <= MOST_HALVINGS:
            self.multiple *= 2**self.halvings

    def _check(self) -> None:
        super()._check()
        whole = ("halvings", "latents", "width", "crop")
        check_numbers(self, self.name, whole=whole, positive=("coder_share", "coder_rate", "divergence"))
        limits = {"halvings": MOST_HALVINGS, "latents": MOST_LATENTS, "width": MOST_WIDTH}
        check_at_most(self, self.name, {key: most for key, most in limits.items() if getattr(self, key) is not None})
        if self.width % 8:
            raise parameter_error("width", self.name, "a multiple of 8", self.width)
        if self.coder_share >= 1:
            raise parameter_error("coder_share", self.name, "a number in (0, 1)", self.coder_share)

    @property
    def code(self) -> tuple[int, int]:
        """Halvings of each axis of the learned images, and numbers in each cell."""
        own = next(iter(self.codec_.fields_.values()))
        halvings = self.halvings or (BELOW if max(own.padded) <= ABOVE[0] else ABOVE[1])
        return halvings, self.latents or min(max(own.form.channels * 2 ** (halvings * len(own.padded)) // EACH, FEWEST), MOST)

    def _build(self) -> nn.Module:
        own = next(iter(self.codec_.fields_.values()))
        axes, (halvings, latents) = len(own.padded), self.code
        coder = ImageAutoencoder(axes, own.form.channels, halvings=halvings, width=self.width, latents=latents)
        diffusion = ImageDiffusion(
            latents,
            latent_size(own.padded, halvings),
            self.attributes,
            shape=UNetShape(self.channels, self.blocks, self.patch),
            noise=self._noise(),
            n_augmented=n_told(axes) if self.augment else 0,
            dropout=self.dropout,
        )
        return LatentDiffusion(coder, diffusion)

    def _objective(self, network: nn.Module, images: EncodedImages, *, seed: int, device: torch.device) -> tuple[Objective, nn.Module]:
        assert isinstance(network, LatentDiffusion)
        column = next(iter(images.fields))
        inside, outside = self._hold_out(images, seed)
        objective = LatentDenoising(
            network,
            lambda rows: images.pixels(column, rows),
            images.tokens.astype(np.int64),
            inside=inside,
            outside=outside,
            recipe=self._recipe(device),
            seed=seed,
            device=device,
            column=column,
            share=self.coder_share,
            coder_rate=self.coder_rate,
            divergence=self.divergence,
            crop=max(self.crop >> self.code[0], 1) << self.code[0],
        )
        return objective, LatentDiffusion(objective.coder, objective.average)

    def _images(self, network: nn.Module, tokens: Tensor) -> Tensor:
        assert isinstance(network, LatentDiffusion)
        return network.decode(super()._images(network.diffusion, tokens))
