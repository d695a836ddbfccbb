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
from manikin.training.objectives.image_diffusion import ImageDenoising, Rows, falling

AT_ONCE = 64  # images that become latents at a time


class LatentDiffusion(nn.Module):
    """Both networks, as they sample."""

    def __init__(self, coder: ImageAutoencoder, diffusion: ImageDiffusion) -> None:
        super().__init__()
        self.coder, self.diffusion = coder, diffusion


class LatentDenoising(ImageDenoising):
    """As `ImageDenoising`, of latents, whose means and variances are kept and which are drawn anew for every batch.

    Parameters
    ----------
    coder : the autoencoder. share : of the plan, for it. coder_rate : Adam's there. divergence : weight of the latents' divergence.
    """

    def __init__(
        self, both: LatentDiffusion, *given: Any, share: float, coder_rate: float, divergence: float, **named: Any
    ) -> None:
        self.coder: ImageAutoencoder = both.coder.to(named["device"])
        self.share, self.coder_rate, self.divergence = share, coder_rate, divergence
        self._kept: tuple[Tensor, Tensor] | None = None
        super().__init__(both.diffusion, *given, **named)

    def _settle_scale(self) -> None:
        """Latents have none before there is an encoder."""

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
        return self.coder.loss(super().images(rows), self.divergence)

    def images(self, rows: Rows) -> Tensor:
        """Latents of rows, drawn anew."""
        mean, log_variance = self._latents()
        chosen = torch.from_numpy(rows)
        return drawn(mean[chosen], log_variance[chosen]).to(self.device)

    @torch.no_grad()
    def _latents(self) -> tuple[Tensor, Tensor]:
        """Means and log variances of all images, by the encoder as it is when the first stage has ended."""
        if self._kept is None:
            rows = np.arange(len(self.tokens), dtype=np.int64)
            parts = [self.coder.encode(ImageDenoising.images(self, rows[at : at + AT_ONCE])) for at in range(0, len(rows), AT_ONCE)]
            mean, log_variance = (torch.cat([part[i].cpu() for part in parts]) for i in (0, 1))
            learned = mean[torch.from_numpy(self.inside)].transpose(0, 1).flatten(1).double()
            noise = log_variance[torch.from_numpy(self.inside)].exp().transpose(0, 1).flatten(1).double().mean(1)
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
        return self.coder.decode(made)

    def modules(self) -> Mapping[str, nn.Module]:
        """The autoencoder too."""
        return {**super().modules(), "coder": self.coder}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back; latents are made anew where they are asked for."""
        super().load_state(tensors)
        self._kept = None
