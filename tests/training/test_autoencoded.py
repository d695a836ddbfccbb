"""Training behind an autoencoder: stages, what each of them steps, held-out reconstruction, resuming to the same result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from manikin.training.control import Control
from manikin.training.loop import train
from manikin.training.networks.latent import AveragingCritic, Cells, LatentGenerator, RowEncoder
from manikin.training.networks.mixed import Group
from manikin.training.objectives.adversarial import Recipe
from manikin.training.objectives.autoencoded import Autoencoded
from manikin.training.objectives.likeness import Column, Likeness

N_CODES = 6
GROUPS = [Group(2, has_scalar=False) for _ in range(N_CODES)]


def rows(n: int, seed: int) -> np.ndarray:
    """Two kinds of patients, each with three codes of its own."""
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < 0.5
    shares = np.where(kind[:, None], [0.9] * 3 + [0.05] * 3, [0.05] * 3 + [0.9] * 3)
    return (rng.random((n, N_CODES)) < shares).astype(np.int32)


def vectors(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    del rng
    return np.stack([1 - tokens, tokens], axis=2).reshape(len(tokens), -1).astype(np.float32)


def draw(network: torch.nn.Module, n: int, rng: np.random.Generator) -> np.ndarray:
    with torch.no_grad():
        noise = torch.from_numpy(rng.standard_normal((n, 16), dtype=np.float32))
        shares = torch.softmax(network(noise).padded[0], -1)[:, :, 1].numpy()
    return (rng.random(shares.shape) < shares).astype(np.int32)


def objective(*, epochs: int = 40, pretrain_epochs: int = 20, rate: float = 2e-3) -> Autoencoded:
    torch.manual_seed(0)
    tokens, outside = rows(400, 1), rows(200, 2)
    columns = [Column(f"code {j}", 2, 0, is_ordered=False) for j in range(N_CODES)]
    return Autoencoded(
        LatentGenerator(16, 2, GROUPS),
        AveragingCritic(GROUPS, (32,)),
        tokens,
        encoder=RowEncoder(GROUPS, 16),
        outside=outside,
        pretrain_epochs=pretrain_epochs,
        soft_temperature=0.66,
        critic_decay=1e-3,
        encode=vectors,
        draw=draw,
        likeness=Likeness(columns, tokens, outside, np.random.default_rng(0)),
        recipe=Recipe(game="original", batch_size=100, epochs=epochs, critic_steps=2, learning_rate=rate, validations=10),
        seed=0,
    )


def test_the_autoencoder_comes_first_and_the_game_afterwards() -> None:
    game = objective()
    critic = [p.clone() for p in game.critic.parameters()]
    first, _ = game.stages()
    (phase,) = first.phases
    batch = next(iter(game.batches(np.random.default_rng(0))))
    before = float(phase.loss(batch).detach().mean())
    for _ in range(60):
        phase.optimiser.zero_grad()
        phase.loss(batch).mean().backward()
        phase.optimiser.step()
    game.after_step(0.1)
    assert float(phase.loss(batch).detach().mean()) < 0.5 * before, "rows are reconstructed"
    assert game.validate() is None, "samples of a generator that has not learned yet choose no weights"
    assert all(torch.equal(a, b) for a, b in zip(critic, game.critic.parameters(), strict=True))
    weights = dict(game.network.named_parameters())
    assert all(torch.equal(p, weights[name]) for name, p in game.average.named_parameters()), "nothing is averaged yet"


def test_a_reconstruction_that_gets_no_better_ends_the_first_stage() -> None:
    game = objective(epochs=10, pretrain_epochs=500)
    game.validate_every = 10
    training = train(game, seed=0, control=Control(max_steps=3000), monitors=[])
    n_looks = sum(1 for _, _, loss in training.curve if loss is None)
    assert 3 <= n_looks < 400, "the first stage ended long before its share of the plan"


def test_codes_that_go_together_are_made_together() -> None:
    game = objective(epochs=120)
    train(game, seed=0, monitors=[])
    made = draw(game.average.eval(), 3000, np.random.default_rng(5))
    real = rows(3000, 9)
    assert np.abs(made.mean(0) - real.mean(0)).max() < 0.15
    gap = np.abs(np.corrcoef(made.T) - np.corrcoef(real.T)).max()
    assert gap < 0.45, "independent codes would be off by more than 0.6"
    assert game.signals()["drift"] < 0.15


@pytest.mark.parametrize("at", [15, 60])
def test_a_killed_run_goes_on_to_the_same_result(tmp_path: Path, at: int) -> None:
    whole = objective(epochs=12, pretrain_epochs=8)
    train(whole, seed=3, monitors=[])
    cut = objective(epochs=12, pretrain_epochs=8)
    step, n = cut.after_step, 0

    def killed(fraction: float) -> None:
        nonlocal n
        step(fraction)
        n += 1
        if n == at:
            raise KeyboardInterrupt

    cut.after_step = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(cut, seed=3, control=Control(checkpoint=tmp_path), monitors=[])
    again = objective(epochs=12, pretrain_epochs=8)
    train(again, seed=3, control=Control(checkpoint=tmp_path), monitors=[])
    for a, b in zip(whole.average.state_dict().values(), again.average.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_critic_sees_its_batch() -> None:
    critic = AveragingCritic(GROUPS, (8,))
    batch = torch.from_numpy(vectors(rows(20, 0), np.random.default_rng(0)))
    alone = torch.cat([critic(batch[i : i + 1]) for i in range(20)])
    assert not torch.allclose(critic(batch), alone, atol=1e-4)


def test_a_code_is_one_cell() -> None:
    groups = [Group(2, has_scalar=False), Group(3, has_scalar=False), Group(2, has_scalar=True)]
    cells = Cells(groups, n_conditions=1)
    assert cells(torch.arange(9.0)[None]).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert cells.width == 8
