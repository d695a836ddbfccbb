"""Diffusion of images: a U-net behind a preconditioning, its loss, and images drawn from it with guidance. Knows no optimiser.

Two parameterisations of one process x = image + sigma * noise. "edm" (Karras et al. 2022, arXiv 2206.00364, table 1): inputs and targets
have unit variance at every sigma, which is log-normal while training. "ddpm" (Ho et al. 2020, arXiv 2006.11239; cosine schedule, arXiv
2102.09672): the network says the noise, at a step drawn evenly. In the units of sigma that is c_skip = 1, c_out = -sigma,
c_in = 1 / sqrt(1 + sigma^2), so that both share loss, guidance and samplers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from manikin.training.networks.diffusion_samplers import Denoise, cosine_levels, ddim, heun, karras_levels, multistep
from manikin.training.networks.image_conditioning import Attribute, AttributeEmbedding
from manikin.training.networks.unet import UNet, UNetShape

Parameterisation = Literal["edm", "ddpm"]
Sampler = Literal["heun", "multistep", "ddim"]
PARAMETERISATIONS, SAMPLERS = get_args(Parameterisation), get_args(Sampler)
SIGMA_DATA = 0.5  # spread of the images as the network sees them; they are brought to it
FREQUENCIES = 26  # of the moment
LEAST_SPREAD = 1e-3  # of a channel, so that constant images can be learned


@dataclass(frozen=True)
class Noise:
    """The levels of noise.

    Attributes
    ----------
    parameterisation : of the network. mean, spread : of log sigma while training by "edm". steps : of the process of "ddpm".
    least, most : levels between which "edm" draws, in units of images with spread 1/2.
    """

    parameterisation: Parameterisation = "edm"
    mean: float = -1.2
    spread: float = 1.2
    steps: int = 1000
    least: float = 0.002
    most: float = 80.0


class ImageDiffusion(nn.Module):
    """Noise to images (n, channels, *size) in [-1, 1].

    Parameters
    ----------
    channels, size : of the images. attributes : what the network is told. n_augmented : numbers that say how an image was altered.
    """

    centre: Tensor
    scale: Tensor
    frequencies: Tensor
    levels: Tensor

    def __init__(
        self,
        channels: int,
        size: Sequence[int],
        attributes: Sequence[Attribute],
        *,
        shape: UNetShape,
        noise: Noise,
        n_augmented: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels, self.size, self.noise = channels, tuple(size), noise
        self.net = UNet(len(size), channels, channels, size, shape, dropout=dropout)
        self.attributes = AttributeEmbedding(attributes, shape.told)
        self.altered = nn.Linear(n_augmented, shape.told, bias=False) if n_augmented else None
        self.moment = nn.Sequential(nn.Linear(2 * FREQUENCIES, shape.told), nn.SiLU(), nn.Linear(shape.told, shape.told))
        self.precision: torch.dtype | None = None  # of the U-net's products; None is float32
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(100.0), FREQUENCIES)), persistent=False)
        self.register_buffer("levels", torch.tensor(cosine_levels(noise.steps), dtype=torch.float32), persistent=False)

    def standardise(self, mean: Tensor, spread: Tensor) -> None:
        """Takes the channels' mean and spread, (channels,), to which images are brought."""
        self.centre.copy_(mean)
        self.scale.copy_(spread.clamp(min=LEAST_SPREAD) / SIGMA_DATA)

    def inner(self, images: Tensor) -> Tensor:
        """Images as the network sees them, spread 1/2 around 0."""
        axes = (..., *[None] * len(self.size))
        return (images - self.centre[axes]) / self.scale[axes]

    def outer(self, inner: Tensor) -> Tensor:
        """Images as they are."""
        axes = (..., *[None] * len(self.size))
        return inner * self.scale[axes] + self.centre[axes]

    def preconditioning(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c_skip, c_out and c_in of levels (n,)."""
        if self.noise.parameterisation == "ddpm":
            return torch.ones_like(sigma), -sigma, (1 + sigma.square()).rsqrt()
        total = sigma.square() + SIGMA_DATA**2
        return SIGMA_DATA**2 / total, sigma * SIGMA_DATA * total.rsqrt(), total.rsqrt()

    def denoised(
        self, x: Tensor, sigma: Tensor, tokens: Tensor, *, dropped: Tensor | None = None, altered: Tensor | None = None
    ) -> Tensor:
        """What noisy images most likely were on average, (n, channels, *size), for levels (n,)."""
        skip, out, scale = (c[(..., *[None] * (x.dim() - 1))] for c in self.preconditioning(sigma))
        return skip * x + out * self._raw(scale * x, sigma, tokens, dropped, altered)

    def _raw(self, scaled: Tensor, sigma: Tensor, tokens: Tensor, dropped: Tensor | None, altered: Tensor | None) -> Tensor:
        waves = sigma.log()[:, None] / 4 * self.frequencies
        told = self.moment(torch.cat([waves.sin(), waves.cos()], 1)) + self.attributes(tokens, dropped)
        if self.altered is not None and altered is not None:
            told = told + self.altered(altered)
        told = nn.functional.silu(told)
        if self.precision is None:
            return self.net(scaled, told)
        with torch.autocast(scaled.device.type, dtype=self.precision):
            return self.net(scaled, told).float()

    def loss(
        self, images: Tensor, tokens: Tensor, sigma: Tensor, *, dropped: Tensor | None = None, altered: Tensor | None = None
    ) -> Tensor:
        """Mean squared error of what the network itself has to give, (n,): weights 1 / c_out^2 on the denoised image."""
        clean = self.inner(images)
        shape = (..., *[None] * (clean.dim() - 1))
        noisy = clean + sigma[shape] * torch.randn_like(clean)
        skip, out, scale = (c[shape] for c in self.preconditioning(sigma))
        wanted = (clean - skip * noisy) / out
        return (self._raw(scale * noisy, sigma, tokens, dropped, altered) - wanted).square().flatten(1).mean(1)

    def drawn_levels(self, n: int, device: torch.device) -> Tensor:
        """Levels to train at, (n,), one in each of n even strata of their distribution, in any order."""
        place = (torch.randperm(n, device=device) + torch.rand(n, device=device)) / n
        if self.noise.parameterisation == "ddpm":
            return self.levels[(place * len(self.levels)).long().clamp(max=len(self.levels) - 1)]
        normal = torch.special.ndtri(place.double().clamp(1e-6, 1 - 1e-6)).float()
        return (self.noise.mean + self.noise.spread * normal).exp()

    def falling_levels(self, n_steps: int) -> list[float]:
        """Levels to sample at, falling: by "edm" those of its paper, by "ddpm" even steps of the process, the last one first."""
        if self.noise.parameterisation == "edm":
            return karras_levels(n_steps, self.noise.least, self.noise.most)
        n = min(n_steps, self.noise.steps)
        steps = [round((i + 1) * self.noise.steps / n) - 1 for i in range(n)]
        return [float(self.levels[t]) for t in reversed(steps)]

    @torch.no_grad()
    def draw(
        self,
        noise: Tensor,
        tokens: Tensor,
        *,
        n_steps: int,
        sampler: Sampler,
        guidance: float = 1.0,
        churn: float = 0.0,
        eta: float = 0.0,
    ) -> Tensor:
        """Images from standard normal noise (n, channels, *size).

        Parameters
        ----------
        guidance : w of arXiv 2207.12598 as unsaid + w (said - unsaid): 1 is none and takes one look instead of two.
        churn, eta : fresh noise on the way of "heun", of "ddim".
        """
        levels = self.falling_levels(n_steps)
        denoise = self._guided(tokens, guidance)
        if sampler == "heun":
            made = heun(denoise, noise, levels, churn=churn)
        elif sampler == "ddim":
            made = ddim(denoise, noise, levels, eta=eta)
        else:
            made = multistep(denoise, noise, levels)
        return self.outer(made)

    def _guided(self, tokens: Tensor, guidance: float) -> Denoise:
        is_guided = guidance != 1.0 and not self.attributes.is_empty
        everyone = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)

        def denoise(x: Tensor, level: float) -> Tensor:
            """What the images were, pushed towards what they are told."""
            sigma = torch.full((len(x),), level, device=x.device)
            if not is_guided:
                return self.denoised(x, sigma, tokens)
            both = torch.cat([~everyone, everyone])
            said, unsaid = self.denoised(torch.cat([x, x]), sigma.repeat(2), tokens.repeat(2, 1), dropped=both).chunk(2)
            return unsaid + guidance * (said - unsaid)

        return denoise
