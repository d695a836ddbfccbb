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

    def __init__(self, width: int, hidden: int, *, moves_first: bool) -> None:
        super().__init__()
        self.moves_first = moves_first
        self.split = width // 2
        moved = self.split if moves_first else width - self.split
        self.inner = nn.Linear(width - moved, hidden)
        self.outer = nn.Linear(hidden, 2 * moved)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def _parts(self, values: Tensor) -> tuple[Tensor, Tensor]:
        first, second = values[:, : self.split], values[:, self.split :]
        return (first, second) if self.moves_first else (second, first)

    def _whole(self, moved: Tensor, kept: Tensor) -> Tensor:
        return torch.cat([moved, kept] if self.moves_first else [kept, moved], dim=1)

    def _says(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        shift, stretch = self.outer(F.silu(self.inner(kept))).chunk(2, dim=1)
        return shift, MOST_STRETCH * torch.tanh(stretch / MOST_STRETCH)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Towards the normal distribution: values (n, width), and the log-determinant (n,)."""
        moved, kept = self._parts(values)
        shift, stretch = self._says(kept)
        return self._whole((moved + shift) * torch.exp(stretch), kept), stretch.sum(1)

    def inverse(self, values: Tensor) -> Tensor:
        """Back from it."""
        moved, kept = self._parts(values)
        shift, stretch = self._says(kept)
        return self._whole(moved * torch.exp(-stretch) - shift, kept)


class FlowPrior(nn.Module):
    """A density of latent vectors: couplings in turn towards a standard normal; none of them is a standard normal itself.

    Parameters
    ----------
    width : latent dimensions. n_couplings : how many. hidden : units of each.
    """

    def __init__(self, width: int, n_couplings: int, hidden: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(
            Coupling(width, hidden, moves_first=bool(i % 2)) for i in range(n_couplings if width > 1 else 0)
        )

    def log_density(self, latent: Tensor) -> Tensor:
        """Log-density of latent vectors (n, width), (n,)."""
        total = torch.zeros(len(latent), device=latent.device)
        for coupling in self.couplings:
            latent, stretch = coupling(latent)
            total = total + stretch
        return total - 0.5 * (latent.square().sum(1) + latent.shape[1] * LOG_TWO_PI)

    def from_normal(self, noise: Tensor) -> Tensor:
        """Latent vectors from standard normal noise, (n, width)."""
        for coupling in reversed(self.couplings):
            noise = coupling.inverse(noise)  # type: ignore[operator]
        return noise


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
