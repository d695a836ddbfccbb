"""table-GAN's further losses: hinges that fall silent, labels that must fit the rest of the row, matrices that hold whole rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from manikin.training.networks.matrices import MatrixCritic, MatrixGenerator, as_matrices, side_of
from manikin.training.networks.mixed import Group
from manikin.training.objectives.adversarial import Recipe
from manikin.training.objectives.likeness import Column, Likeness
from manikin.training.objectives.tablegan import TableGame

WIDTH = 5


def game(**changed: Any) -> TableGame:
    torch.manual_seed(0)
    tokens = np.random.default_rng(0).integers(0, 2, (200, WIDTH)).astype(np.int32)
    columns = [Column(str(j), 2, 0, is_ordered=False) for j in range(WIDTH)]
    settings: dict[str, Any] = {
        "classifier": None,
        "label": slice(0, 0),
        "activate": torch.tanh,
        "information": 1.0,
        "delta_mean": 0.0,
        "delta_sd": 0.0,
    }
    return TableGame(
        MatrixGenerator(8, 4, [Group(0, has_scalar=True)] * WIDTH, is_direct=True),
        MatrixCritic(WIDTH, 4),
        tokens,
        encode=lambda rows, _: (2.0 * rows - 1).astype(np.float32),
        draw=lambda *_: tokens,
        likeness=Likeness(columns, tokens, tokens, np.random.default_rng(0)),
        recipe=Recipe(game="original", batch_size=50, epochs=2),
        seed=0,
        **{**settings, **changed},
    )


def value(loss: torch.Tensor) -> float:
    return float(loss.detach())


def test_information_loss_is_the_distance_of_moments_above_the_hinges() -> None:
    real, made = torch.randn(50, WIDTH), torch.randn(50, WIDTH) * 3 + 1
    torch.manual_seed(0)
    plain = game()
    on_real, on_made = plain.critic.features(real), plain.critic.features(made)
    mean = value(torch.linalg.vector_norm(on_real.mean(0) - on_made.mean(0)))
    sd = value(torch.linalg.vector_norm(on_real.std(0) - on_made.std(0)))
    assert value(plain._information_loss(real, made)) == pytest.approx(mean + sd, rel=1e-4)
    assert value(game(delta_mean=mean / 2)._information_loss(real, made)) == pytest.approx(mean / 2 + sd, rel=1e-4)
    assert value(game(delta_mean=10 * mean, delta_sd=10 * sd)._information_loss(real, made)) == 0
    assert value(game(information=0.0)._information_loss(real, made)) == 0


def test_moments_are_averaged_exponentially_and_checkpointed() -> None:
    one, other = game(), game()
    first = one._information_loss(torch.ones(50, WIDTH), torch.randn(50, WIDTH))
    assert torch.isfinite(first)
    kept = one._moments.clone()
    one._information_loss(-torch.ones(50, WIDTH), torch.randn(50, WIDTH))
    assert 0 < float((one._moments - kept).norm()) < 0.05 * float(kept.norm()), "one batch moves them by a hundredth"
    other.load_state(one.state())
    assert torch.equal(other._moments, one._moments)
    other.device = torch.device("meta")  # stands for a GPU: a checkpoint is read into the processor's memory
    other.load_state(one.state())
    assert other._moments.device == other.device


class Copies(nn.Module):
    """A classifier that says what stands beside the label."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[:, 1:2]


def test_labels_are_held_against_the_rest_of_the_row_and_never_read() -> None:
    one = game(classifier=Copies(), label=slice(0, 1), activate=lambda scores: scores)
    rows = torch.tensor([[1.0, 1.0, 0, 0, 0], [1.0, -1.0, 0, 0, 0]])
    assert one._mislabelled(rows).detach().tolist() == [0.0, 1.0]
    blind = game(classifier=nn.Sequential(nn.Linear(WIDTH, 1)), label=slice(2, 3), activate=torch.tanh)
    assert blind.classifier is not None
    with torch.no_grad():
        for parameter in blind.classifier.parameters():
            parameter.fill_(1.0)
    apart = torch.zeros(2, WIDTH)
    apart[1, 2] = 1.0
    gaps = blind._mislabelled(apart)
    assert value(gaps[0]) == pytest.approx(np.tanh(1.0) / 2, rel=1e-5), "the label's own cell is blanked before it is guessed"
    assert value(gaps[1]) == pytest.approx((1 - np.tanh(1.0)) / 2, rel=1e-4)


def test_phases_that_see_real_rows_say_so() -> None:
    named = {phase.name: phase for phase in game(classifier=nn.Linear(WIDTH, 1), label=slice(0, 1)).stages()[0].phases}
    assert named["generator"].touches_records, "the information loss sees moments of real rows"
    assert named["critic"].touches_records


@pytest.mark.parametrize(("n_cells", "side"), [(1, 4), (16, 4), (17, 8), (64, 8), (65, 16), (1000, 32)])
def test_rows_fill_the_smallest_square(n_cells: int, side: int) -> None:
    assert side_of(n_cells) == side
    rows = torch.randn(3, n_cells)
    matrices = as_matrices(rows, side)
    assert matrices.shape == (3, 1, side, side)
    assert torch.equal(matrices.flatten(1)[:, :n_cells], rows)
    assert not matrices.flatten(1)[:, n_cells:].any()


@pytest.mark.parametrize("is_direct", [True, False])
@pytest.mark.parametrize("n", [3, 20, 100])
def test_networks_take_tables_of_any_width(n: int, is_direct: bool) -> None:
    groups = [Group(0, has_scalar=True)] * n
    given = MatrixGenerator(8, 4, groups, is_direct=is_direct)(torch.randn(6, 8))
    assert given.scalars.shape == (6, n)
    assert MatrixCritic(n, 4)(given.scalars).shape == (6,)
    assert MatrixCritic(n, 4, 3)(given.scalars).shape == (6, 3)
