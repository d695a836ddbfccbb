"""Gaussian diffusion of numbers beside multinomial diffusion of choices, forward and back (arXiv 2209.15421). Knows no columns.

alpha(t) is the cumulative share of the signal, by the cosine schedule (arXiv 2102.09672). A number at t is
sqrt(alpha) x_0 + sqrt(1 - alpha) e. A choice at t is still the first one with probability alpha, else drawn anew from the noise m
(arXiv 2102.05379). For s < t, given x_t and what the network says the choice was, x^:

    p(x_s | x_t)  ~  [alpha_s x^ + (1 - alpha_s) m]  *  [a 1(x_s = x_t) + (1 - a) m(x_t)],   a = alpha_t / alpha_s

The second factor is what x_t itself says, so that x^ is learned from the other columns; both hold for any s, not t - 1 alone, which
is what few steps stand on. All columns are treated at once: groups of like size as (n_members, size, n), rows beside rows, as `MixedHead`
lays them out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from manikin.training.networks.denoiser import Denoiser
from manikin.training.networks.mixed import Given, picked, softmax

MOST_BETA = 0.999  # of one step, as in the paper of the schedule
CLOSER = 1.5  # power by which looks come closer to each other towards the end
FURTHEST = 4.0  # of a number that is predicted
TINY = 1e-30
Kernel = Literal["uniform", "shares"]


@dataclass(frozen=True)
class Rows:
    """Rows in the diffusion. scalars : (n, n_scalars). options : int64 (n, n_chosen), of the groups with a choice."""

    scalars: Tensor
    options: Tensor


class MixedDiffusion(nn.Module):
    """A denoiser and the process that it undoes.

    Parameters
    ----------
    denoiser : what predicts noise and choices. n_steps : of the whole process.
    kernel : what choices turn into, "uniform" as in the paper, or the "shares" of the train rows.
    clean : positions among the groups with a choice that are never noised; the network is conditioned on them.
    """

    alpha: Tensor

    def __init__(
        self, denoiser: Denoiser, *, n_steps: int = 1000, kernel: Kernel = "uniform", clean: int | None = None
    ) -> None:
        super().__init__()
        self.denoiser, self.n_steps, self.clean = denoiser, n_steps, clean
        self.register_buffer("alpha", _cosine(n_steps), persistent=False)
        self.members: list[list[int]] = denoiser.head.members if denoiser.head is not None else []
        self.n_learned = len(denoiser.chosen) - (clean is not None)
        sizes = [denoiser.groups[g].n_choices for g in denoiser.chosen]
        padded = denoiser.head.sizes if denoiser.head is not None else []
        for b, members in enumerate(self.members):
            shares = torch.zeros(len(members), padded[b])
            for i, c in enumerate(members):
                start = denoiser.groups[denoiser.chosen[c]].log_shares
                even = torch.zeros(sizes[c])
                shares[i, : sizes[c]] = torch.softmax(
                    even if start is None or kernel == "uniform" else torch.from_numpy(start), 0
                )
            self.register_buffer(f"shares{b}", shares, persistent=False)
            left = (
                shares.flip(1).cumsum(1).flip(1)[:, 1:]
            )  # sums of shares may end just below 1: past the last choice nothing is drawn
            self.register_buffer(
                f"ends{b}", shares.cumsum(1)[:, :-1].masked_fill(left <= 0, 2.0).contiguous(), persistent=False
            )
            learned = torch.tensor([float(c != clean) for c in members])
            self.register_buffer(f"learned{b}", learned, persistent=False)

    def noised(self, rows: Rows, t: Tensor) -> tuple[Rows, Tensor]:
        """Rows at step t, int64 (n,) in 1 … n_steps, and the noise (n, n_scalars) that came to the numbers."""
        alpha = self.alpha[t][:, None]
        noise = torch.randn_like(rows.scalars)
        scalars = alpha.sqrt() * rows.scalars + (1 - alpha).sqrt() * noise
        keeps = torch.rand(rows.options.shape, device=alpha.device) < alpha
        return Rows(scalars, self._unless_clean(torch.where(keeps, rows.options, self.random_options(len(t))), rows)), noise

    def random_options(self, n: int) -> Tensor:
        """Choices that are nothing but noise, int64 (n, n_chosen)."""
        device = self.alpha.device
        out = torch.zeros((n, len(self.denoiser.chosen)), dtype=torch.long, device=device)
        for b, members in enumerate(self.members):
            drawn = torch.searchsorted(self._buffer("ends", b), torch.rand((len(members), n), device=device), right=True)
            out[:, members] = drawn.T
        return out

    def _unless_clean(self, options: Tensor, rows: Rows) -> Tensor:
        if self.clean is not None:
            options[:, self.clean] = rows.options[:, self.clean]
        return options

    def _buffer(self, name: str, b: int) -> Tensor:
        found = getattr(self, f"{name}{b}")
        assert isinstance(found, Tensor)
        return found

    def predict(self, rows: Rows, t: Tensor) -> tuple[Tensor, Given]:
        """The numbers' noise (n, n_scalars), and what is said of rows at step t, int64 (n,) or (1,)."""
        given = self.denoiser(rows.scalars, rows.options, t / self.n_steps)
        alpha = self.alpha[t][:, None]
        # the network gives the part of the noise that the noisy number itself does not show (arXiv 2202.00512, appendix D)
        return (1 - alpha).sqrt() * rows.scalars + alpha.sqrt() * given.scalars, given

    def loss(self, rows: Rows, t: Tensor) -> tuple[Tensor, Tensor]:
        """Of the numbers: mean squared error of the noise; of the choices: nats of the bound at t, their mean. (n,) each."""
        noisy, noise = self.noised(rows, t)
        predicted, given = self.predict(noisy, t)
        numbers = ((predicted - noise) ** 2).mean(1) if noise.shape[1] else torch.zeros(len(t), device=t.device)
        choices = torch.zeros(len(t), device=t.device)
        for b, logits in enumerate(_all_logits(given)):
            choices = choices + self._buffer("learned", b) @ self._bound(b, _shares(logits), rows.options, noisy.options, t)
        return numbers, choices / max(self.n_learned, 1)

    def _bound(self, b: int, predicted: Tensor, first: Tensor, now: Tensor, t: Tensor) -> Tensor:
        """KL of p(x_{t-1} | x_t) from q(x_{t-1} | x_t, x_0) per group, (n_members, n); at t = 1 the first choice's surprise."""
        m, members = self._buffer("shares", b), self.members[b]
        before = self.alpha[t - 1]
        stays = self.alpha[t] / before
        first, now = first.t()[members], now.t()[members]
        noise_now = m.gather(1, now) * (1 - stays)
        with torch.no_grad():
            truth = ((1 - before) * m[:, :, None]).scatter_add(1, first[:, None], before.expand(len(m), 1, -1))
            truth_now = truth.gather(1, now[:, None]).squeeze(1)
            truth_sum = noise_now + stays * truth_now  # the sum over choices of both factors' product
            posterior = truth * noise_now[:, None]
            posterior = posterior.scatter_add_(1, now[:, None], (stays * truth_now)[:, None]) / truth_sum[:, None]
            known = torch.special.xlogy(posterior, truth).sum(1) - truth_sum.log()
        said = before * predicted + (1 - before) * m[:, :, None]
        said_sum = noise_now + stays * said.gather(1, now[:, None]).squeeze(1)
        return known - (posterior * said.clamp_min(TINY).log()).sum(1) + said_sum.clamp_min(TINY).log()

    @torch.no_grad()
    def sample(self, rows: Rows, n_steps: int, *, noise: float = 0.0) -> tuple[Tensor, Given]:
        """From nothing but noise, with the clean choices of `rows`, to numbers (n, n_scalars) and logits of choices.

        Parameters
        ----------
        n_steps : looks of the network, closer to each other towards the end. noise : 1 draws numbers from their posterior at each step
        (the paper), 0 follows the noise that is there (arXiv 2010.02502), two looks at a time (DPM-Solver++ 2M, arXiv 2211.01095).
        """
        n, before = len(rows.options), None
        grid = self._looks(n_steps)
        now = Rows(torch.randn_like(rows.scalars), self._unless_clean(self.random_options(n), rows))
        for t, s in pairwise(grid[:-1]):
            predicted, given = self.predict(now, t[None])
            options = now.options.clone()
            for b, logits in enumerate(_all_logits(given)):
                options[:, self.members[b]] = self._earlier(b, logits, now.options, self.alpha[t], self.alpha[s]).t()
            first = _first_numbers(now.scalars, predicted, self.alpha[t])
            if noise:
                scalars = self._earlier_numbers(now.scalars, first, self.alpha[t], self.alpha[s], noise)
            else:
                stride = self._log_snr(s) - self._log_snr(t)
                aim = first
                if before is not None:  # where the first numbers were heading between the last two looks, half a stride on
                    aim = first + (first - before[0]) * (stride / (2 * before[1]))
                alpha_t, alpha_s = self.alpha[t], self.alpha[s]
                scalars = ((1 - alpha_s) / (1 - alpha_t)).sqrt() * now.scalars - alpha_s.sqrt() * torch.expm1(-stride) * aim
                before = (first, stride)
            now = Rows(scalars, self._unless_clean(options, rows))
        last = grid[-2]
        predicted, given = self.predict(now, last[None])
        alpha = self.alpha[last]
        return _first_numbers(now.scalars, predicted, alpha), self._with_now(given, now.options, alpha)

    def _earlier(self, b: int, logits: Tensor, options: Tensor, alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
        """Choices at s drawn from p(x_s | x_t), (n_members, n): x_t stays, or is drawn from x^ or from the noise."""
        m, now = self._buffer("shares", b), options.t()[self.members[b]]
        predicted = _shares(logits)
        stays = alpha_t / alpha_s
        m_now = m.gather(1, now)
        said_now = alpha_s * predicted.gather(1, now[:, None]).squeeze(1) + (1 - alpha_s) * m_now
        is_kept = torch.rand_like(m_now) * ((1 - stays) * m_now + stays * said_now) < stays * said_now
        drawn = picked(alpha_s * predicted + (1 - alpha_s) * m[:, :, None], torch.rand_like(m_now))
        return torch.where(is_kept, now, drawn)

    def _earlier_numbers(self, now: Tensor, first: Tensor, alpha_t: Tensor, alpha_s: Tensor, noise: float) -> Tensor:
        implied = (now - alpha_t.sqrt() * first) / (1 - alpha_t).sqrt()
        deviation = noise * ((1 - alpha_s) / (1 - alpha_t) * (1 - alpha_t / alpha_s)).sqrt()
        out = alpha_s.sqrt() * first + (1 - alpha_s - deviation**2).clamp_min(0).sqrt() * implied
        return out + deviation * torch.randn_like(out)

    def _looks(self, n_steps: int) -> Tensor:
        """Steps at which the network looks, from the last one down, and 0: int64, falling."""
        n_steps = min(n_steps, self.n_steps)
        grid = (self.n_steps * torch.linspace(1, 0, n_steps + 1, dtype=torch.float64) ** CLOSER).round().long()
        least = torch.arange(n_steps, -1, -1)
        return torch.maximum(grid, least).to(self.alpha.device)

    def _log_snr(self, t: Tensor) -> Tensor:
        """Half the log of signal over noise at t."""
        alpha = self.alpha[t]
        return 0.5 * torch.log(alpha / (1 - alpha))

    def _with_now(self, given: Given, options: Tensor, alpha: Tensor) -> Given:
        """Logits of p(x_0 | x_t): what the network says, and what x_t itself says."""
        out = []
        for b, logits in enumerate(_all_logits(given)):
            now = options.t()[self.members[b]]
            m_now = self._buffer("shares", b).gather(1, now)
            gain = torch.log1p(alpha / ((1 - alpha) * m_now).clamp_min(TINY))
            out.append(logits.scatter_add(1, now[:, None], gain[:, None]))
        n = len(given.padded)
        padded = [logits.permute(2, 0, 1) for logits in out[:n]]
        return Given(given.scalars, padded, [logits.squeeze(0).t() for logits in out[n:]])


def _first_numbers(now: Tensor, predicted: Tensor, alpha: Tensor) -> Tensor:
    return ((now - (1 - alpha).sqrt() * predicted) / alpha.sqrt()).clamp(-FURTHEST, FURTHEST)


def _all_logits(given: Given) -> list[Tensor]:
    """Every tensor of logits as (n_members, size, n)."""
    return [logits.permute(1, 2, 0) for logits in given.padded] + [logits.t()[None] for logits in given.large]


def _shares(logits: Tensor) -> Tensor:
    """Softmax over the choices of (n_members, size, n), in the layout that the logits have."""
    return softmax(logits.permute(2, 0, 1)).permute(1, 2, 0)


def _cosine(n_steps: int) -> Tensor:
    """alpha(0 … n_steps), float32 (n_steps + 1,), from 1 to nearly 0."""
    at = (torch.arange(n_steps + 1, dtype=torch.float64) / n_steps + 0.008) / 1.008 * math.pi / 2
    whole = torch.cos(at) ** 2
    beta = (1 - whole[1:] / whole[:-1]).clamp_max(MOST_BETA)
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta, 0)]).float()
