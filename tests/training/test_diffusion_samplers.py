"""Samplers of diffusions against a Gaussian, whose denoiser is known: order of convergence, the process, what each ends in."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from manikin.training.networks.diffusion_samplers import cosine_levels, ddim, heun, karras_levels, multistep

MEAN, SPREAD = 0.3, 0.5


def gaussian(x: Tensor, level: float) -> Tensor:
    """E[image | x] where images are N(MEAN, SPREAD^2)."""
    return MEAN + (x - MEAN) * SPREAD**2 / (SPREAD**2 + level**2)


def exact(noise: Tensor, most: float) -> Tensor:
    """Where the flow takes noise * most: deviations from the mean shrink as the spread of x does."""
    return MEAN + (noise * most - MEAN) * SPREAD / math.sqrt(SPREAD**2 + most**2)


@pytest.mark.parametrize(("sampler", "order"), [(heun, 2.0), (multistep, 2.0)])
def test_second_order_samplers_are_of_second_order(sampler, order: float) -> None:  # type: ignore[no-untyped-def]
    noise = torch.linspace(-2, 2, 41, dtype=torch.float64)
    errors = []
    for n in (40, 80, 160):
        # down to a level at which the last step no longer counts
        made = sampler(gaussian, noise, karras_levels(n, 1e-6, 20.0))
        errors.append(float((made - exact(noise, 20.0)).abs().max()))
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(abs(rate - order) < 0.35 for rate in rates), rates


def test_ddim_is_of_first_order_and_ends_in_the_distribution() -> None:
    noise = torch.linspace(-2, 2, 41, dtype=torch.float64)
    errors = []
    for n in (100, 200, 400):
        levels = karras_levels(n, 1e-6, 20.0)
        start = math.sqrt(1 + levels[0] ** 2) / levels[0]  # DDIM starts from the process's unit variance
        errors.append(float((ddim(gaussian, noise, levels) - exact(noise * start, 20.0)).abs().max()))
    assert all(abs(math.log2(a / b) - 1) < 0.2 for a, b in pairwise(errors))


def ancestral(noise: Tensor, levels: list[float]) -> Tensor:
    """Algorithm 2 of arXiv 2006.11239 in its own units, with the variance of the posterior."""
    bars = [1.0, *(1 / (1 + level**2) for level in levels)]
    x = noise
    for t in range(len(levels), 0, -1):
        alpha = bars[t] / bars[t - 1]
        eps = (x - math.sqrt(bars[t]) * gaussian(x / math.sqrt(bars[t]), levels[t - 1])) / math.sqrt(1 - bars[t])
        mean = (x - (1 - alpha) / math.sqrt(1 - bars[t]) * eps) / math.sqrt(alpha)
        variance = (1 - bars[t - 1]) / (1 - bars[t]) * (1 - alpha)
        x = mean + math.sqrt(variance) * torch.randn_like(x)
    return x


def test_ddim_with_all_steps_and_fresh_noise_is_the_ancestral_sampler() -> None:
    levels = cosine_levels(200)
    noise = torch.randn(40_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        ours = ddim(gaussian, noise, levels[::-1], eta=1.0)
        torch.manual_seed(1)
        theirs = ancestral(noise, levels)
    assert torch.allclose(ours, theirs, atol=1e-6)
    quiet = ddim(gaussian, noise, levels[::-1])
    for made in (ours, quiet):
        assert abs(float(made.mean()) - MEAN) < 0.01
        assert abs(float(made.std()) - SPREAD) < 0.01


def test_churn_keeps_the_distribution() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = heun(gaussian, torch.randn(40_000, dtype=torch.float64), karras_levels(160, 0.002, 80.0), churn=20.0)
    assert abs(float(made.mean()) - MEAN) < 0.01
    assert abs(float(made.std()) - SPREAD) < 0.01


def test_levels() -> None:
    levels = cosine_levels(1000)
    assert len(levels) == 1000
    assert all(a < b for a, b in pairwise(levels))
    bar = (math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2  # equation 17 at t = T / 2
    assert levels[499] == pytest.approx(math.sqrt((1 - bar) / bar), rel=1e-9)
    falling = karras_levels(10, 0.002, 80.0)
    assert falling[0] == pytest.approx(80.0)
    assert falling[-1] == pytest.approx(0.002)
    assert karras_levels(1, 0.002, 80.0) == [80.0]
    assert float(multistep(gaussian, torch.zeros(1), [80.0])) == pytest.approx(MEAN, abs=1e-4)
