"""Trains an autoencoder of images, then a diffusion of its latents (Rombach et al. 2022, arXiv 2112.10752): two stages of the one loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.networks.image_autoencoder import ImageAutoencoder, drawn
from manikin.training.networks.image_diffusion import ImageDiffusion
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.image_diffusion import MOST_FOR_MOMENTS, ImageDenoising, Rows, falling

MOST_AT_ONCE, NUMBERS_AT_ONCE = 64, 1 << 21  # images that become latents or images at a time, and pixels of all of them
MOST_TO_BEGIN = 256  # images whose patches the autoencoder begins with


class LatentDiffusion(nn.Module):
    """Both networks, as they sample."""

    def __init__(self, coder: ImageAutoencoder, diffusion: ImageDiffusion) -> None:
        super().__init__()
        self.coder, self.diffusion = coder, diffusion

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents, a few at a time: layers at half an image's size are much larger than latents."""
        return torch.cat([self.coder.decode(part) for part in latents.split(at_once(self.coder.n_pixels(latents)))])


def at_once(n_pixels: int) -> int:
    """Images of so many pixels that go through the autoencoder together."""
    return max(1, min(MOST_AT_ONCE, NUMBERS_AT_ONCE // max(n_pixels, 1)))


class LatentDenoising(ImageDenoising):
    """As `ImageDenoising`, of latents, whose means and variances are kept and which are drawn anew for every batch.

    Parameters
    ----------
    both : the networks. share : of the plan, for the autoencoder. coder_rate : Adam's there. divergence : weight of its latents'.
    crop : side of the piece of each image that it learns from, a multiple of what it makes one cell.
    """

    def __init__(
        self, both: LatentDiffusion, *given: Any, share: float, coder_rate: float, divergence: float, crop: int, **named: Any
    ) -> None:
        self.both, self.coder, self.crop = both, both.coder.to(named["device"]), crop
        self.share, self.coder_rate, self.divergence = share, coder_rate, divergence
        self._kept: tuple[Tensor, Tensor] | None = None
        super().__init__(both.diffusion, *given, **named)

    def _settle_scale(self) -> None:
        """Latents have none before there is an encoder, which begins with what is linear in some images."""
        some = self.inside[:: max(1, -(-len(self.inside) // MOST_TO_BEGIN))]
        self.coder.begin_linear(ImageDenoising.images(self, some))

    def stages(self) -> Sequence[Stage]:
        """The autoencoder, then the diffusion."""
        optimiser = Adam(self.coder.parameters(), lr=self.coder_rate, betas=(0.9, 0.99))

        def first(fraction: float) -> float:
            """The learning rate's factor within the first stage."""
            return falling(min(fraction / self.share, 1.0))

        coding = Phase("autoencoder", self.coder, optimiser, self._coding, clip_norm=1.0, schedule=first)
        return [Stage([coding], self.share, "autoencoder"), Stage([self.phase()], 1 - self.share, "denoising")]

    def _schedule(self, fraction: float) -> float:
        return falling(min(max((fraction - self.share) / (1 - self.share), 0.0), 1.0))

    def _coding(self, rows: Rows) -> Tensor:
        return self.coder.loss(cropped(super().images(rows), self.crop), self.divergence)

    def images(self, rows: Rows) -> Tensor:
        """Latents of rows, drawn anew."""
        mean, log_variance = self._latents()
        chosen = torch.from_numpy(rows)
        return drawn(mean[chosen].float(), log_variance[chosen].float()).to(self.device)

    @torch.no_grad()
    def _latents(self) -> tuple[Tensor, Tensor]:
        """Means and log variances of all images, by the encoder as it is when the first stage has ended."""
        if self._kept is None:
            n = at_once(ImageDenoising.images(self, self.inside[:1]).numel())
            rows = np.arange(len(self.tokens), dtype=np.int64)
            parts = [self.coder.encode(ImageDenoising.images(self, rows[at : at + n])) for at in range(0, len(rows), n)]
            mean, log_variance = (torch.cat([part[i].half().cpu() for part in parts]) for i in (0, 1))
            some = torch.from_numpy(self.inside[:: max(1, len(self.inside) // MOST_FOR_MOMENTS)])
            learned = mean[some].transpose(0, 1).flatten(1).double()
            noise = log_variance[some].double().exp().transpose(0, 1).flatten(1).mean(1)
            centre, spread = learned.mean(1).float(), (learned.var(1) + noise).sqrt().float()
            for net in (self.network, self.average):
                net.standardise(centre.to(self.device), spread.to(self.device))
            self._kept = mean, log_variance
        return self._kept

    def after_step(self, fraction: float) -> None:
        """Averages the diffusion's weights once it learns."""
        if self._kept is not None:
            super().after_step(fraction)

    def validate(self) -> float | None:
        """As the diffusion's; None while the autoencoder learns."""
        return None if self._kept is None else super().validate()

    def pictures(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """As the diffusion's; none while the autoencoder learns."""
        return {} if self._kept is None else super().pictures()

    def shown(self, made: Tensor) -> Tensor:
        """Images of latents."""
        return self.both.decode(made)

    def modules(self) -> Mapping[str, nn.Module]:
        """The autoencoder too."""
        return {**super().modules(), "coder": self.coder}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back; latents are made anew where they are asked for."""
        super().load_state(tensors)
        self._kept = None


def cropped(images: Tensor, side: int) -> Tensor:
    """A piece of each image, at most so long along each axis, from a place of its own, (n, channels, *pieces)."""
    size = images.shape[2:]
    if max(size) <= side:
        return images
    places = [torch.randint(0, max(length - side, 0) + 1, (len(images),)).tolist() for length in size]
    return torch.stack([one[(slice(None), *(slice(at, at + side) for at in own))] for one, *own in zip(images, *places, strict=True)])
