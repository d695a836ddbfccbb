"""The variational network and its objective: densities that are densities, bounds that are bounds, runs that repeat."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from manikin.training.networks.mixed import Group
from manikin.training.networks.variational import FlowPrior, VariationalNetwork
from manikin.training.objectives.variational import VariationalBatch, bound_parts

GROUPS = (Group(0, has_scalar=True), Group(3, has_scalar=False), Group(2, has_scalar=True))


def _stirred(module: torch.nn.Module, size: float = 0.3) -> None:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn_like(parameter))


def test_flow_starts_as_the_standard_normal() -> None:
    prior = FlowPrior(5, 4, 16)
    latent = torch.randn(20, 5)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(latent).sum(1)
    assert torch.allclose(prior.log_density(latent), expected, atol=1e-5)
    assert torch.equal(prior.from_normal(latent), latent)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_flow_density_is_the_change_of_variables(width: int) -> None:
    prior = FlowPrior(width, 3, 16)
    _stirred(prior)
    noise = torch.randn(8, width, dtype=torch.float32)
    latent = prior.from_normal(noise)
    for one, drawn in zip(noise, latent, strict=True):
        slope = torch.autograd.functional.jacobian(lambda u: prior.from_normal(u[None])[0], one)
        expected = torch.distributions.Normal(0.0, 1.0).log_prob(one).sum() - torch.linalg.slogdet(slope)[1]
        assert torch.allclose(prior.log_density(drawn[None])[0], expected, atol=1e-3)


def test_flow_density_integrates_to_one() -> None:
    prior = FlowPrior(2, 4, 8)
    _stirred(prior)
    line = torch.linspace(-12, 12, 500)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        total = prior.log_density(grid).exp().sum() * (line[1] - line[0]) ** 2
    assert float(total) == pytest.approx(1.0, abs=0.02)


def _batch(network: VariationalNetwork, n: int) -> VariationalBatch:
    rng = np.random.default_rng(0)
    scalars = torch.from_numpy(rng.uniform(-1, 1, (n, 2)).astype(np.float32))
    options = torch.from_numpy(np.stack([np.zeros(n), rng.integers(3, size=n), rng.integers(2, size=n)], 1).astype(np.int64))
    counts = torch.ones(n, 2)
    return VariationalBatch(torch.randn(n, network.head.width), scalars, counts, options)


def test_divergence_of_the_normal_prior_is_what_draws_of_it_average_to() -> None:
    torch.manual_seed(0)
    network = VariationalNetwork(4, (8,), (8,), GROUPS, 0)
    batch = _batch(network, 1)
    with torch.no_grad():
        _, exact = bound_parts(network, batch)
        mean, log_variance = network.encode(batch.rows)
        noise = torch.randn(200_000, 4)
        latent = mean + noise * torch.exp(0.5 * log_variance)
        drawn = (-0.5 * (noise.square() + log_variance) + 0.5 * latent.square()).sum(1).mean()
    assert float(exact[0]) == pytest.approx(float(drawn), abs=0.02)


def test_likelihood_ignores_the_scalar_of_a_missing_code() -> None:
    network = VariationalNetwork(4, (8,), (8,), GROUPS, 2)
    batch = _batch(network, 6)
    given = network(torch.zeros(6, 4))
    counts = batch.counts.clone()
    counts[:, 1] = 0
    moved = batch.scalars.clone()
    moved[:, 1] += 0.5
    there = network.log_likelihood(given, batch.scalars, batch.options, counts)
    assert torch.equal(there, network.log_likelihood(given, moved, batch.options, counts))
    assert not torch.equal(
        network.log_likelihood(given, batch.scalars, batch.options, batch.counts),
        network.log_likelihood(given, moved, batch.options, batch.counts),
    )


def test_scalars_are_gaussian_around_what_the_decoder_says() -> None:
    network = VariationalNetwork(4, (8,), (8,), (Group(0, has_scalar=True),), 0)
    given = network(torch.zeros(1, 4))
    off = 0.07
    told = network.log_likelihood(given, given.scalars + off, torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1))
    sigma = float(network.sigma()[0].detach())
    assert float(told.detach()) == pytest.approx(
        -0.5 * (off / sigma) ** 2 - math.log(sigma) - 0.5 * math.log(2 * math.pi), abs=1e-4
    )
