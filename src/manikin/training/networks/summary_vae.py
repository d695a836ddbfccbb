"""A small variational autoencoder of numbers and flags, some numbers unknown (Kingma & Welling 2014, arXiv 1312.6114). Knows no column.

Its negative bound per row, reconstruction and divergence together, says how unlike the rows that it learned from a row is (An & Cho 2015).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.variational import LOG_TWO_PI, layers

LEAST_LOG_SIGMA, MOST_LOG_SIGMA = math.log(0.05), math.log(3.0)
MOST_LOG_VARIANCE = 6.0


class SummaryVAE(nn.Module):
    """Encoder and decoder; the prior is a standard normal.

    Parameters
    ----------
    n_values, n_flags : numbers and flags of a row. hidden : units of each of two layers. n_latent : dimensions of the latent vector.
    odds : float32 (n_flags,), log odds where the flags' logits start.
    """

    def __init__(self, n_values: int, n_flags: int, *, hidden: int, n_latent: int, odds: Tensor, dropout: float) -> None:
        super().__init__()
        self.n_values, self.dropout = n_values, dropout
        self.encoder, units = layers(2 * n_values + n_flags, (hidden, hidden))
        self.posterior = nn.Linear(units, 2 * n_latent)
        self.decoder, units = layers(n_latent, (hidden, hidden))
        self.out = nn.Linear(units, n_values + n_flags)
        self.log_sigma = nn.Parameter(torch.zeros(n_values))
        with torch.no_grad():
            self.out.bias[n_values:] = odds

    def posterior_of(self, values: Tensor, known: Tensor, flags: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, each (n, n_latent), of numbers (0 where `known` is 0) and flags."""
        rows = F.dropout(torch.cat([values * known, known, flags], 1), self.dropout, self.training)
        mean, log_variance = self.posterior(self.encoder(rows)).chunk(2, dim=1)
        return mean, log_variance.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)

    def nats(self, values: Tensor, known: Tensor, flags: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What each number and flag costs, (n, n_values + n_flags), and the divergence from the prior, (n,), for one draw of noise."""
        mean, log_variance = self.posterior_of(values, known, flags)
        given = self.out(self.decoder(mean + noise * torch.exp(0.5 * log_variance)))
        log_sigma = self.log_sigma.clamp(LEAST_LOG_SIGMA, MOST_LOG_SIGMA)
        off = (values - given[:, : self.n_values]) * torch.exp(-log_sigma)
        numbers = known * (0.5 * (off.square() + LOG_TWO_PI) + log_sigma)
        marked = F.binary_cross_entropy_with_logits(given[:, self.n_values :], flags, reduction="none")
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return torch.cat([numbers, marked], 1), divergence
