"""FairGAN's second critic: it guesses the group from generated rows alone, and the generator leaves it nothing to guess by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manikin.training.loop import train
from manikin.training.networks.latent import AveragingCritic, LatentGenerator, RowEncoder
from manikin.training.networks.mixed import Group
from manikin.training.objectives.adversarial import Recipe
from manikin.training.objectives.fair import FairGame, GroupCritic
from manikin.training.objectives.likeness import Column, Likeness

GROUPS = [Group(2, has_scalar=False) for _ in range(3)]


def rows(n: int, seed: int) -> np.ndarray:
    """A protected column first; the second column follows it closely, the third a little, the fourth not."""
    rng = np.random.default_rng(seed)
    group = rng.random(n) < 0.4
    shares = np.stack([np.where(group, 0.9, 0.15), np.where(group, 0.6, 0.4), np.full(n, 0.3)], axis=1)
    return np.concatenate([group[:, None], rng.random((n, 3)) < shares], axis=1).astype(np.int32)


def vectors(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    del rng
    return np.stack([1 - tokens, tokens], axis=2).reshape(len(tokens), -1).astype(np.float32)


def draw(network: torch.nn.Module, n: int, rng: np.random.Generator) -> np.ndarray:
    group = (rng.random(n) < 0.4).astype(np.int32)
    with torch.no_grad():
        noise = torch.from_numpy(rng.standard_normal((n, 16), dtype=np.float32))
        given = network(noise, torch.eye(2)[torch.from_numpy(group.astype(np.int64))])
        shares = torch.softmax(given.padded[0], -1)[:, :, 1].numpy()
    return np.concatenate([group[:, None], rng.random(shares.shape) < shares], axis=1).astype(np.int32)


def game(fairness: float, epochs: int = 80) -> FairGame:
    torch.manual_seed(0)
    tokens, outside = rows(600, 1), rows(300, 2)
    columns = [Column(str(j), 2, 0, is_ordered=False) for j in range(4)]
    return FairGame(
        LatentGenerator(16, 2, GROUPS, 2),
        AveragingCritic(GROUPS, (32,), 2),
        tokens,
        protected=0,
        outcome=1,
        given=slice(0, 2),
        parts=[1, 2, 3],
        shares=np.array([0.6, 0.4], dtype=np.float32),
        fairness=fairness,
        group_critic=GroupCritic(GROUPS, (32,), 2),
        encoder=RowEncoder(GROUPS, 16),
        outside=outside,
        pretrain_epochs=10,
        soft_temperature=0.66,
        critic_decay=1e-3,
        encode=vectors,
        draw=draw,
        likeness=Likeness(columns, tokens, outside, np.random.default_rng(0)),
        recipe=Recipe(game="original", batch_size=200, epochs=epochs, critic_steps=2, learning_rate=2e-3, validations=10),
        seed=0,
    )


def risk_difference(tokens: np.ndarray) -> float:
    return float(tokens[tokens[:, 0] == 1, 1].mean() - tokens[tokens[:, 0] == 0, 1].mean())


def test_without_weight_the_groups_differ_as_in_the_data_and_with_weight_they_do_not() -> None:
    apart = {}
    for fairness in (0.0, 3.0):
        one = game(fairness)
        train(one, seed=0, monitors=[])
        apart[fairness] = risk_difference(draw(one.average.eval(), 4000, np.random.default_rng(0)))
    assert risk_difference(rows(4000, 5)) > 0.7
    assert apart[0.0] > 0.4
    assert apart[3.0] < 0.7 * apart[0.0]


def test_the_second_critic_touches_no_record() -> None:
    phases = {phase.name: phase for phase in game(1.0).stages()[1].phases}
    assert not phases["group critic"].touches_records
    one = game(1.0)
    batch = one.batch(np.arange(200), np.random.default_rng(0))
    torch.manual_seed(1)
    before = one.group_loss(batch)
    torch.manual_seed(1)
    after = one.group_loss(type(batch)(torch.zeros_like(batch.real), batch.condition, None, batch.option))
    assert torch.equal(before, after)


def test_without_weight_there_is_no_second_critic_and_no_further_loss() -> None:
    one = game(0.0)
    assert [phase.name for phase in one.stages()[1].phases] == ["critic", "generator"]
    assert one.further_loss(one.batch(np.arange(200), np.random.default_rng(0)), torch.zeros(200, 6)) is None


def test_further_loss_is_least_where_guesses_are_the_shares() -> None:
    one = game(2.0)
    made = torch.zeros(4, 6)
    batch = one.batch(np.arange(200), np.random.default_rng(0))
    last = one.group_critic.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.log(torch.tensor([0.6, 0.4])))
        least = one.further_loss(batch, made)
        last.bias.copy_(torch.tensor([3.0, 0.0]))
        more = one.further_loss(batch, made)
    assert least is not None
    assert more is not None
    assert float(least[0]) == pytest.approx(-2 * (0.6 * np.log(0.6) + 0.4 * np.log(0.4)), rel=1e-5)
    assert (more > least).all()


def test_disparity_is_the_distance_of_groups_from_all() -> None:
    tokens = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]], dtype=np.int32)
    columns = [Column(str(j), 2, 0, is_ordered=False) for j in range(3)]
    measured = Likeness(columns, tokens, tokens, np.random.default_rng(0)).disparity(tokens, 0)
    assert measured.tolist() == [0.5, 0.5, 0.0]


def test_state_goes_with_checkpoints() -> None:
    one, other = game(1.0, epochs=2), game(1.0, epochs=2)
    train(one, seed=0, monitors=[])
    assert 0 <= one.signals()["disparity"] <= 1
    other.load_state(one.state())
    assert other.signals() == one.signals()
