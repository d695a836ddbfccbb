"""Networks over regular grids: patients as sequences of steps of mixed columns, with what never changes beside them. Knows vectors only.

TimeVAE   a variational autoencoder (Desai et al. 2021, arXiv 2111.08095): convolutions over time, a trend in time beside them
TimeGAN   five recurrent networks around a latent sequence (Yoon et al. 2019, NeurIPS 32): embedder, recovery, supervisor, generator,
          discriminator

Both give, per step, scalars and choices of `mixed.MixedHead`; whether a cell is missing is one of the choices, so that missingness is
learned with the rest. A patient's number of steps is a choice, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.mixed import Given, Group, MixedHead
from manikin.training.networks.variational import LEAST_LOG_SIGMA, LOG_TWO_PI, MOST_LOG_VARIANCE, FlowPrior

STRIDE = 2
KERNEL = 4


@dataclass(frozen=True)
class GridShape:
    """What a network is built for.

    Attributes
    ----------
    steps : most steps of a patient. rows, static : what is given at each step, and once for a patient (may be empty).
    log_lengths : log of the shares of lengths 0 … steps, where the length's bias starts.
    """

    steps: int
    rows: tuple[Group, ...]
    static: tuple[Group, ...]
    log_lengths: tuple[float, ...]

    @property
    def row_width(self) -> int:
        """Length of a step's vector."""
        return sum(group.width for group in self.rows)

    @property
    def static_width(self) -> int:
        """Length of a patient's own vector."""
        return sum(group.width for group in self.static)


@dataclass(frozen=True)
class GridBatch:
    """Patients as a network takes and is asked for them.

    Attributes
    ----------
    rows : float32 (n, steps, row_width), 0 behind a patient's last step. alive : float32 (n, steps), 1 where there is a step.
    lengths : int64 (n,). static : float32 (n, static_width).
    scalars, counts : float32 (n * steps, n_scalars), options : int64 (n * steps, n_groups), of the steps; static_… likewise, (n, …).
    """

    rows: Tensor
    alive: Tensor
    lengths: Tensor
    static: Tensor
    scalars: Tensor
    counts: Tensor
    options: Tensor
    static_scalars: Tensor
    static_counts: Tensor
    static_options: Tensor


class MixedOutput(nn.Module):
    """A head with a deviation around each scalar, so that what it gives has a likelihood."""

    def __init__(self, width: int, groups: Sequence[Group]) -> None:
        super().__init__()
        self.head = MixedHead(width, groups)
        self.log_sigma = nn.Parameter(torch.full((sum(group.has_scalar for group in groups),), math.log(0.3)))

    def forward(self, hidden: Tensor, more: Tensor | None = None) -> Given:
        """Scalars and logits of hidden units (n, width)."""
        given: Given = self.head(hidden, more)
        return given

    def sigma(self) -> Tensor:
        """Deviation of each scalar, (n_scalars,)."""
        return self.log_sigma.clamp(LEAST_LOG_SIGMA, 0.0).exp()

    def log_likelihood(self, given: Given, scalars: Tensor, counts: Tensor, options: Tensor) -> Tensor:
        """Log-probability of each row, (n,); scalars count where `counts` is 1."""
        out = self.head.log_likelihood(given, options).sum(1)
        if not scalars.shape[1]:
            return out
        sigma = self.sigma()
        distance = (given.scalars - scalars) / sigma
        return out - (counts * (0.5 * distance.square() + sigma.log() + 0.5 * LOG_TWO_PI)).sum(1)


class TimeVAENetwork(nn.Module):
    """Encoder, prior and decoder of TimeVAE.

    Parameters
    ----------
    n_latent : dimensions of a patient's latent vector. channels : of each convolution; every one halves the time axis.
    trend : degree of the polynomials in time that are added to every scalar and logit; 0 for none.
    """

    time: Tensor

    def __init__(self, shape: GridShape, *, n_latent: int, channels: Sequence[int], trend: int, couplings: int) -> None:
        super().__init__()
        self.shape, self.n_latent, self.trend = shape, n_latent, trend
        self.short = math.ceil(shape.steps / STRIDE ** len(channels))
        self.padded = self.short * STRIDE ** len(channels)
        down, width = [], shape.row_width + 1
        for n in channels:
            down += [nn.Conv1d(width, n, KERNEL, stride=STRIDE, padding=1), nn.ReLU()]
            width = n
        self.down = nn.Sequential(*down)
        self.posterior = nn.Linear(width * self.short + shape.static_width + 1, 2 * n_latent)
        self.up_from = nn.Linear(n_latent, width * self.short)
        up: list[nn.Module] = []
        for n in [*reversed(channels[:-1]), channels[0]]:
            up += [nn.ConvTranspose1d(width, n, KERNEL, stride=STRIDE, padding=1), nn.ReLU()]
            width = n
        self.up = nn.Sequential(*up)
        self.output = MixedOutput(width + n_latent, shape.rows)
        self.coefficients = nn.Linear(n_latent, trend * self.output.head.n_cells) if trend and self.output.head.cells is not None else None
        self.static = MixedOutput(n_latent, shape.static) if shape.static else None
        self.length = nn.Sequential(nn.Linear(n_latent, 2 * n_latent), nn.ReLU(), nn.Linear(2 * n_latent, shape.steps + 1))
        with torch.no_grad():
            last = self.length[2]
            assert isinstance(last, nn.Linear)
            last.bias.copy_(torch.tensor(shape.log_lengths))
        self.prior = FlowPrior(n_latent, couplings, max(64, n_latent))
        clock = torch.linspace(0, 1, shape.steps)
        powers = torch.stack([clock**p for p in range(1, trend + 1)]) if trend else torch.zeros(0, shape.steps)
        self.register_buffer("time", powers, persistent=False)

    def encode(self, batch: GridBatch) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior, each (n, n_latent)."""
        rows = torch.cat([batch.rows, batch.alive.unsqueeze(2)], 2).transpose(1, 2)
        rows = F.pad(rows, (0, self.padded - self.shape.steps))
        share = (batch.lengths.float() / max(self.shape.steps, 1)).unsqueeze(1)
        mean, log_variance = self.posterior(torch.cat([self.down(rows).flatten(1), batch.static, share], 1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-MOST_LOG_VARIANCE - 4, MOST_LOG_VARIANCE)

    def steps(self, latent: Tensor) -> Given:
        """What is given at every step, of n * steps rows, patient by patient."""
        hidden = self.up(self.up_from(latent).view(len(latent), -1, self.short))[:, :, : self.shape.steps].transpose(1, 2)
        hidden = torch.cat([hidden, latent.unsqueeze(1).expand(-1, self.shape.steps, -1)], 2)
        more = None
        if self.coefficients is not None:
            each = self.coefficients(latent).view(len(latent), self.trend, -1)
            more = torch.einsum("npc,pt->ntc", each, self.time).reshape(len(latent) * self.shape.steps, -1)
        return self.output(hidden.reshape(len(latent) * self.shape.steps, -1), more)

    def log_likelihood(self, latent: Tensor, batch: GridBatch) -> Tensor:
        """Log-probability of each patient given her latent vector, (n,)."""
        per_step = self.output.log_likelihood(self.steps(latent), batch.scalars, batch.counts, batch.options)
        out = (per_step.view(len(latent), -1) * batch.alive).sum(1)
        out = out + torch.log_softmax(self.length(latent), 1).gather(1, batch.lengths.unsqueeze(1)).squeeze(1)
        if self.static is not None:
            given = self.static(latent)
            out = out + self.static.log_likelihood(given, batch.static_scalars, batch.static_counts, batch.static_options)
        return out

    def bound_parts(self, batch: GridBatch) -> tuple[Tensor, Tensor]:
        """log p(x | z) and log q(z | x) - log p(z) for one draw of z, each (n,)."""
        mean, log_variance = self.encode(batch)
        noise = torch.randn_like(mean)
        latent = mean + noise * torch.exp(0.5 * log_variance)
        log_posterior = -0.5 * (noise.square() + log_variance + LOG_TWO_PI).sum(1)
        return self.log_likelihood(latent, batch), log_posterior - self.prior.log_density(latent)


class Recurrent(nn.Module):
    """A stack of gated recurrent units and a layer into [0, 1], the building block of TimeGAN."""

    def __init__(self, width: int, hidden: int, layers: int, out: int, *, both_ways: bool = False) -> None:
        super().__init__()
        self.units = nn.GRU(width, hidden, layers, batch_first=True, bidirectional=both_ways)
        self.out = nn.Linear(hidden * (2 if both_ways else 1), out)

    def forward(self, sequence: Tensor) -> Tensor:
        """Sequences (n, steps, width) to (n, steps, out), before the squashing."""
        out: Tensor = self.out(self.units(sequence)[0])
        return out


class TimeGANNetwork(nn.Module):
    """TimeGAN's networks; what never changes is told to every step's input and made from the latent sequence's own vector."""

    def __init__(self, shape: GridShape, *, hidden: int, layers: int, noise: int) -> None:
        super().__init__()
        self.shape, self.hidden, self.noise = shape, hidden, noise
        static = hidden if shape.static else 0
        self.static_embedder = nn.Sequential(nn.Linear(shape.static_width, hidden), nn.Sigmoid()) if shape.static else None
        self.embedder = Recurrent(shape.row_width + static, hidden, layers, hidden)
        self.recovery = Recurrent(hidden + static, hidden, layers, hidden)
        self.output = MixedOutput(hidden, shape.rows)
        self.static = MixedOutput(hidden, shape.static) if shape.static else None
        self.generator = Recurrent(noise + static, hidden, layers, hidden)
        self.static_generator = (
            nn.Sequential(nn.Linear(noise, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.Sigmoid()) if shape.static else None
        )
        self.supervisor = Recurrent(hidden + static, hidden, max(layers - 1, 1), hidden)
        self.discriminator = Recurrent(hidden + static, hidden, layers, 1, both_ways=True)

    def told(self, sequence: Tensor, static: Tensor | None) -> Tensor:
        """Sequences with the patient's own latent vector at every step."""
        return sequence if static is None else torch.cat([sequence, static.unsqueeze(1).expand(-1, sequence.shape[1], -1)], 2)

    def embed(self, batch: GridBatch) -> tuple[Tensor, Tensor | None]:
        """Latent sequences (n, steps, hidden) of patients, and their own latent vectors (n, hidden)."""
        static = None if self.static_embedder is None else self.static_embedder(batch.static)
        return torch.sigmoid(self.embedder(self.told(batch.rows, static))), static

    def recover(self, latent: Tensor, static: Tensor | None) -> Given:
        """What is given at every step of latent sequences, of n * steps rows."""
        hidden = torch.tanh(self.recovery(self.told(latent, static)))
        return self.output(hidden.reshape(-1, self.hidden))

    def generate(self, noise: Tensor, static_noise: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latent sequences from noise (n, steps, noise) before the supervisor's hand, and the patients' own vectors."""
        static = None if self.static_generator is None else self.static_generator(static_noise)
        return torch.sigmoid(self.generator(self.told(noise, static))), static

    def supervise(self, latent: Tensor, static: Tensor | None) -> Tensor:
        """The next step's latent vector at every step."""
        return torch.sigmoid(self.supervisor(self.told(latent, static)))

    def judge(self, latent: Tensor, static: Tensor | None) -> Tensor:
        """Scores (n, steps), high for what is taken for real."""
        return self.discriminator(self.told(latent, static)).squeeze(2)

    def reconstruction(self, batch: GridBatch, latent: Tensor, static: Tensor | None) -> Tensor:
        """Negative log-likelihood of each patient's steps (and own fields) per cell, (n,)."""
        given = self.recover(latent, static)
        per_step = self.output.log_likelihood(given, batch.scalars, batch.counts, batch.options).view(batch.alive.shape)
        n_cells = max(len(self.shape.rows), 1)
        out = -(per_step * batch.alive).sum(1) / (batch.alive.sum(1).clamp_min(1) * n_cells)
        if self.static is not None and static is not None:
            own = self.static.log_likelihood(self.static(static), batch.static_scalars, batch.static_counts, batch.static_options)
            out = out - own / max(len(self.shape.static), 1)
        return out
