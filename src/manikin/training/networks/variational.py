"""A variational autoencoder over mixed columns: encoder, decoder, and a prior that may learn its shape. Knows vectors, no columns.

Network of TVAE (Xu et al. 2019, arXiv 1907.00503, section 4.5); the learned prior is a flow of affine couplings (Dinh et al. 2017,
arXiv 1605.08803), learned with the rest (Chen et al. 2017, arXiv 1611.02731).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.mixed import Given, Group, MixedHead

LOG_TWO_PI = math.log(2 * math.pi)
LEAST_LOG_SIGMA = math.log(0.01)  # of a scalar in [-1, 1], as in the original; the most is 1
MOST_STRETCH = 2.0  # log-scale of one coupling, at most
MOST_LOG_VARIANCE = 6.0  # of a posterior, either way


def layers(width: int, hidden: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Linear layers with ReLU, and the units of the last one."""
    made: list[nn.Module] = []
    for units in hidden:
        made += [nn.Linear(width, units), nn.ReLU()]
        width = units
    return nn.Sequential(*made), width


class Coupling(nn.Module):
    """One affine coupling: half of the dimensions moved and stretched by what the other half says; starts as the identity."""

    def __init__(self, kept: int, moved: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(kept, hidden)
        self.outer = nn.Linear(hidden, 2 * moved)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log-scale of the other half, from the half that stays."""
        shift, stretch = self.outer(F.silu(self.inner(kept))).chunk(2, dim=1)
        return shift, MOST_STRETCH * torch.tanh(stretch / MOST_STRETCH)


class FlowPrior(nn.Module):
    """A density of latent vectors: couplings in turn towards a standard normal; none of them is a standard normal itself.

    The halves are held apart from the first coupling to the last, since putting them together each time costs more than the couplings do.

    Parameters
    ----------
    width : latent dimensions. n_couplings : how many. hidden : units of each.
    """

    def __init__(self, width: int, n_couplings: int, hidden: int) -> None:
        super().__init__()
        self.split = width // 2
        sizes = [(self.split, width - self.split), (width - self.split, self.split)]
        self.couplings = nn.ModuleList(Coupling(*sizes[i % 2], hidden) for i in range(n_couplings if width > 1 else 0))

    def log_density(self, latent: Tensor) -> Tensor:
        """Log-density of latent vectors (n, width), (n,)."""
        halves, total = [latent[:, : self.split], latent[:, self.split :]], torch.zeros(len(latent), device=latent.device)
        for i, coupling in enumerate(self.couplings):
            shift, stretch = coupling(halves[i % 2])
            halves[1 - i % 2] = (halves[1 - i % 2] + shift) * torch.exp(stretch)
            total = total + stretch.sum(1)
        squares = halves[0].square().sum(1) + halves[1].square().sum(1)
        return total - 0.5 * (squares + latent.shape[1] * LOG_TWO_PI)

    def from_normal(self, noise: Tensor) -> Tensor:
        """Latent vectors from standard normal noise, (n, width)."""
        halves = [noise[:, : self.split], noise[:, self.split :]]
        for i, coupling in reversed(list(enumerate(self.couplings))):
            shift, stretch = coupling(halves[i % 2])
            halves[1 - i % 2] = halves[1 - i % 2] * torch.exp(-stretch) - shift
        return torch.cat(halves, dim=1)


class VariationalNetwork(nn.Module):
    """Encoder, decoder and prior.

    Parameters
    ----------
    n_latent : dimensions of the latent vector. encoder, decoder : hidden units per layer. groups : what is given, in the codec's order.
    n_couplings : of the prior; 0 for the standard normal.
    """

    def __init__(
        self, n_latent: int, encoder: Sequence[int], decoder: Sequence[int], groups: Sequence[Group], n_couplings: int
    ) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.encoder, units = layers(sum(group.width for group in groups), encoder)
        self.posterior = nn.Linear(units, 2 * n_latent)
        self.decoder, units = layers(n_latent, decoder)
        self.head = MixedHead(units, groups)
        self.log_sigma = nn.Parameter(torch.full((sum(group.has_scalar for group in groups),), math.log(0.1)))
        self.prior = FlowPrior(n_latent, n_couplings, max(64, n_latent))

    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior, each (n, n_latent), of rows (n, width)."""
        mean, log_variance = self.posterior(self.encoder(rows)).chunk(2, dim=1)
        return mean, log_variance.clamp(-MOST_LOG_VARIANCE - 4, MOST_LOG_VARIANCE)

    def forward(self, latent: Tensor) -> Given:
        """What the head gives for latent vectors (n, n_latent)."""
        given: Given = self.head(self.decoder(latent))
        return given

    def sigma(self) -> Tensor:
        """Deviation of each scalar around what the decoder says, (n_scalars,)."""
        return self.log_sigma.clamp(LEAST_LOG_SIGMA, 0.0).exp()

    def log_likelihood(self, given: Given, rows: Tensor, options: Tensor, counts: Tensor) -> Tensor:
        """Log-probability of each row given its latent vector, (n,).

        Parameters
        ----------
        rows : scalars (n, n_scalars). options : int64 (n, n_groups). counts : (n, n_scalars), 1 where the scalar means something.
        """
        log_sigma = self.log_sigma.clamp(LEAST_LOG_SIGMA, 0.0)
        off = (rows - given.scalars) * torch.exp(-log_sigma)
        scalars = (counts * (-0.5 * (off.square() + LOG_TWO_PI) - log_sigma)).sum(1)
        return scalars + self.head.log_likelihood(given, options).sum(1)
