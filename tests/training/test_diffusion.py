"""The objective of a diffusion: moments are spread evenly, held-out looks share their noise, averages forget, choices are learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manikin.training.loop import train
from manikin.training.networks.denoiser import Denoiser
from manikin.training.networks.mixed import Group, log_shares
from manikin.training.networks.mixed_diffusion import MixedDiffusion, Rows
from manikin.training.objectives.diffusion import Denoising, Recipe


def encode(tokens: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    scalars = (2.0 * tokens[:, :1] - 1 + 0.1 * rng.standard_normal((len(tokens), 1))).astype(np.float32)
    return scalars, tokens.astype(np.int64)


def objective(n: int = 400, n_held_out: int = 100, steps: int = 200) -> Denoising:
    """Two columns of two levels that are always the same, and a number that follows them."""
    level = np.random.default_rng(0).integers(0, 2, n)
    tokens = np.stack([level, level], axis=1).astype(np.int32)
    torch.manual_seed(0)
    groups = [Group(n_choices=2, has_scalar=False, log_shares=log_shares(np.array([1, 1])))] * 2
    denoiser = Denoiser([*groups, Group(n_choices=0, has_scalar=True)], (32, 32))
    network = MixedDiffusion(denoiser, n_steps=100)
    recipe = Recipe(steps=steps, batch_size=100, learning_rate=5e-3, patience=None)
    return Denoising(network, tokens, tokens[:n_held_out], encode=encode, recipe=recipe, seed=0)


def test_moments_fall_in_even_strata() -> None:
    made = objective()
    moments = made._moments(50)
    assert torch.equal((moments - 1) // 2, torch.arange(50))
    assert made._moments(1000).min() == 1
    assert made._moments(1000).max() == 100


def test_looks_at_the_same_weights_agree() -> None:
    made = objective()
    one = made.validate()
    torch.rand(3)
    assert made.validate() == one
    assert objective(n_held_out=0).validate() is None


def test_relations_are_learned_and_the_average_knows_them() -> None:
    made = objective()
    before = made.validate()
    result = train(made, seed=0)
    after = made.validate()
    assert before is not None
    assert after is not None
    assert after < 0.5 * before
    assert result.best_step is not None
    torch.manual_seed(1)
    scalars, given = made.average.sample(Rows(torch.zeros(500, 1), torch.zeros(500, 2, dtype=torch.long)), 10)
    head = made.average.denoiser.head
    assert head is not None
    logits = head.logits(given)
    level = logits[:, :2].argmax(1)
    assert float((level == logits[:, 2:].argmax(1)).float().mean()) > 0.95
    assert float(((scalars[:, 0] > 0) == (level == 1)).float().mean()) > 0.95
    assert 0.3 < float(level.float().mean()) < 0.7


def test_the_average_forgets_early_weights() -> None:
    made = objective(steps=10)
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.zero_()
    for _ in range(400):
        made.after_step(0.5)
    largest = max(float(p.abs().max()) for p in made.average.parameters())
    assert largest == pytest.approx(0.0, abs=1e-6)
