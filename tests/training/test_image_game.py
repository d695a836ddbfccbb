"""What a look at a game of images tells: one image for each label shows, whatever else is told, and the monitor speaks and stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from manikin.training.monitors import Narrowing, Seen
from manikin.training.objectives.image_batches import ImageRows
from manikin.training.objectives.image_game import LOOK, MOST_TOLD, GameRecipe, ImageGame, held, spread, told_alike

RNG = np.random.default_rng


class Pictures:
    """Noise around a level that the first attribute gives."""

    def __init__(self, tokens: npt.NDArray[np.int32]) -> None:
        self.tokens = tokens
        first = tokens[:, 0] if tokens.shape[1] else np.zeros(len(tokens))
        self._pixels = (first[:, None, None, None] + RNG(0).normal(0, 0.1, (len(tokens), 1, 8, 8))).astype(np.float32)

    def pixels(self, column: str, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        del column
        return self._pixels[rows]


class Maker(torch.nn.Module):
    """The level of a label, with the variety that it is given: 0 makes one image for each."""

    n_noise = 4

    def __init__(self, variety: float) -> None:
        super().__init__()
        self.variety = torch.nn.Parameter(torch.tensor(variety))

    def forward(self, noise: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        level = tokens[:, :1, None, None].float() if tokens.shape[1] else torch.zeros(len(noise), 1, 1, 1)
        return level + self.variety * torch.randn(len(noise), 1, 8, 8)


def rows(tokens: npt.NDArray[Any]) -> ImageRows:
    images = Pictures(tokens.astype(np.int32))
    return ImageRows(images, "file", np.arange(len(tokens)), batch_size=8, device=torch.device("cpu"))


def looked(tokens: npt.NDArray[Any], variety: float) -> float:
    game = ImageGame(Maker(variety), torch.nn.Linear(1, 1), rows(tokens), recipe=GameRecipe(), seed=0)
    assert game.validate() is None
    return game.signals()["spread"]


LABELS = RNG(1).integers(0, 2, (400, 1))
WITH_AGES = np.concatenate([LABELS, RNG(2).permutation(400)[:, None]], axis=1)


@pytest.mark.parametrize("tokens", [LABELS, WITH_AGES, np.zeros((400, 0))], ids=["labels", "ages", "none"])
def test_one_image_for_each_label_has_no_spread(tokens: npt.NDArray[Any]) -> None:
    assert looked(tokens, 0.0) < 0.01
    assert looked(tokens, 0.1) > (0.1 if tokens is WITH_AGES else 0.8)  # with ages, real images of any label stand beside


def test_images_are_compared_within_the_commonest_labels() -> None:
    groups = told_alike(rows(np.array([0] * 30 + [1] * 20 + [2])[:, None]), RNG(0))
    assert [set(told[:, 0].tolist()) for told, _ in groups] == [{0}, {1}]
    assert all(len(told) == LOOK // MOST_TOLD and 0 < real < 2 for told, real in groups)
    assert told_alike(rows(np.arange(20)[:, None]), RNG(0))[0][0].shape == (16, 1)


def test_nothing_is_told_of_a_label_of_few_images() -> None:
    few = np.array([0] * 40 + [1] * 15)[:, None]
    assert [set(told[:, 0].tolist()) for told, _ in told_alike(rows(few), RNG(0))] == [{0}]
    assert {len(told) for told, _ in told_alike(rows(np.repeat([[0], [1]], 10, 0)), RNG(0))} == {16}  # any images, not ten of a label
    assert told_alike(rows(np.zeros((15, 1))), RNG(0)) == []
    apart = looked(few, 0.0837)
    assert apart == round(apart, 2)


def test_equal_images_have_no_spread_and_others_have() -> None:
    assert spread(torch.ones(4, 1, 28, 28)) == 0
    assert spread(torch.arange(2.0)[:, None, None, None].expand(2, 1, 8, 8)) == pytest.approx(8)


def test_the_monitor_warns_and_then_stops() -> None:
    class Told:
        """An objective with these signals."""

        def __init__(self, look: int, apart: float) -> None:
            self.signals = lambda: {"look": float(look), "spread": apart}

    monitor = Narrowing()
    said = [monitor.observe(Seen(50 + k, 100, {}), Told(k, 0.2)) for k in range(1, 8)]  # type: ignore[arg-type]
    assert [one.action if one else "" for one in said] == ["", "warn", "", "", "", "stop", "stop"]
    assert said[1] is not None
    assert "of one label lie 20% as far apart" in said[1].message
    assert Narrowing().observe(Seen(90, 100, {}), Told(1, 0.9)) is None  # type: ignore[arg-type]


def test_the_generators_step_leaves_the_critic_without_gradients() -> None:
    network, critic = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    made = network(torch.ones(3, 2))
    with held(critic):
        score = critic(made)
    score.sum().backward()
    assert network.weight.grad is not None
    assert critic.weight.grad is None
    assert critic.weight.requires_grad
