"""StyleGAN2's parts against slow and obvious ones; changes that a critic is shown; a share of them that moves the right way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

from manikin.training.networks.augmentation import KINDS, augmented
from manikin.training.networks.dcgan import group_spread
from manikin.training.networks.image_conditioning import Attribute
from manikin.training.networks.image_frame import Frame
from manikin.training.networks.style import GAIN, Modulated, Scaled, StyleCritic, StyleGenerator, doubled
from manikin.training.objectives.image_batches import ImageRows
from manikin.training.objectives.image_game import GameRecipe
from manikin.training.objectives.style_game import MOST_P, StyleGame, StyleRecipe, next_p, path_lengths


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_is_one_of_its_own_for_each_image(demodulate: bool) -> None:
    torch.manual_seed(0)
    layer = Modulated(3, 5, 3, 4, demodulate=demodulate)
    grid, style = torch.randn(6, 3, 7, 5), torch.randn(6, 4)
    slow = []
    for image, s in zip(grid, layer.style(style), strict=True):
        weight = layer.weight * layer.scale * s[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        slow.append(F.conv2d(image[None], weight, padding=1))
    assert torch.allclose(layer(grid, style), torch.cat(slow), atol=1e-5)
    if demodulate:  # a grouped convolution, as in the paper
        weight = layer.weight[None] * layer.scale * layer.style(style)[:, None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        grouped = F.conv2d(grid.reshape(1, 18, 7, 5), weight.reshape(30, 3, 3, 3), padding=1, groups=6).reshape(6, 5, 7, 5)
        assert torch.allclose(layer(grid, style), grouped, atol=1e-5)


def test_path_length_of_a_linear_map() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(4, 2 * 6 * 6, requires_grad=True)
    styles = torch.randn(3, 4, requires_grad=True)
    images = (styles @ matrix).reshape(3, 2, 6, 6)
    torch.manual_seed(1)
    lengths = path_lengths(images, styles)
    torch.manual_seed(1)
    noise = torch.randn(3, 2, 6, 6).reshape(3, 72)
    wanted = ((noise / 6) @ matrix.t()).norm(dim=1)
    assert torch.allclose(lengths, wanted, rtol=1e-4)
    lengths.sum().backward()
    (expected,) = torch.autograd.grad(((noise / 6) @ matrix.t()).norm(dim=1).sum(), matrix)
    assert torch.allclose(matrix.grad, expected, rtol=1e-3, atol=1e-5)


def test_every_weight_learns_by_the_game_its_paths_and_its_slope() -> None:
    torch.manual_seed(0)
    frame, told = Frame(3, (12, 8)), [Attribute(2)]
    network = StyleGenerator(frame, told, n_noise=4, style=6, mapping=2, width=4)
    critic = StyleCritic(frame, told, width=4, told=6)
    tokens = torch.tensor([0, 1, 1, 0])[:, None]
    styles = network.styles(torch.randn(4, 4), tokens)
    critic(network.image(styles), tokens).square().sum().backward()
    for name, one in (*network.named_parameters(), *critic.named_parameters()):
        if not name.endswith("values"):
            assert one.grad is not None, name
            assert bool((one.grad != 0).any()), name
    network.zero_grad()
    styles = network.styles(torch.randn(4, 4), tokens)
    path_lengths(network.image(styles), styles).sum().backward()
    assert bool((network.layers[0].conv.weight.grad != 0).any())
    images = torch.randn(4, 3, 12, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(images, tokens).sum(), images, create_graph=True)
    slope.square().sum().backward()
    assert bool((critic.first.weight.grad != 0).any())


def test_styles_are_drawn_in_towards_their_mean_and_mixed_by_layer() -> None:
    network = StyleGenerator(Frame(1, (16, 16)), [], n_noise=4, style=6, mapping=2, width=4)
    assert network.n_styles == 6
    tokens = torch.zeros(5, 0, dtype=torch.long)
    styles = network.styles(torch.randn(5, 4), tokens)
    network.note(styles)
    assert torch.equal(network.truncated(styles, 1.0), styles)
    assert torch.allclose(network.truncated(styles, 0.0), network.mean.expand(5, 6))
    assert torch.allclose(network.image(styles), network.image(styles[:, None].expand(-1, 6, -1)))


def test_spread_of_groups() -> None:
    grid, same = torch.randn(8, 3, 2, 2), torch.zeros(8, 0, dtype=torch.long)
    assert float(group_spread(grid.new_ones(8, 3, 2, 2), same).max()) < 1e-3
    by_hand = grid.reshape(2, 4, 3, 2, 2).std(1, unbiased=False).mean((1, 2, 3))
    assert torch.allclose(group_spread(grid, same)[:, 0, 0, 0], by_hand.repeat_interleave(4), atol=1e-4)
    assert group_spread(grid[:5], same[:5]).shape == (5, 1, 2, 2)


def test_groups_are_of_images_that_were_told_the_same() -> None:
    """One image for each label has no spread, however the labels lie in the batch and whatever they differ by."""
    told = torch.tensor([[0, 5], [1, 5], [0, 5], [1, 5], [1, 5], [0, 5], [1, 5], [0, 5]])
    grid = torch.randn(2, 3, 2, 2)[told[:, 0]]
    spread = group_spread(grid, told)[:, 0, 0, 0]
    assert float(spread.max()) < 1e-3
    grid = torch.where(told[:, :1, None, None] == 0, grid, torch.randn_like(grid))
    spread = group_spread(grid, told)[:, 0, 0, 0]
    assert float(spread[told[:, 0] == 0].max()) < 1e-3
    assert float(spread[told[:, 0] == 1].min()) > 0.3


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_that_halves_is_the_mean_of_four_pixels(kernel: int) -> None:
    torch.manual_seed(0)
    layer, grid = Scaled(3, 5, kernel), torch.randn(2, 3, 8, 6)
    assert torch.allclose(layer(grid, 2.0, halves=True), 2 * F.avg_pool2d(layer(grid), 2), atol=1e-5)


def test_gains_on_weights_are_gains_behind_the_layer() -> None:
    torch.manual_seed(0)
    layer, grid, style = Modulated(3, 5, 3, 4), torch.randn(2, 3, 4, 4), torch.randn(2, 4)
    assert torch.allclose(layer(grid, style, GAIN, doubles=True), GAIN * layer(doubled(grid), style), atol=1e-5)
    dense = Scaled(3, 5, bias=0.5, pace=0.1)
    rows = torch.randn(4, 3)
    assert torch.allclose(dense.leaky(rows), GAIN * F.leaky_relu(dense(rows), 0.2), atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (3, 3, 9, 14), (2, 2, 1, 1)])
@pytest.mark.parametrize("flips", [False, True])
def test_changes_keep_the_shape_and_at_0_the_image(shape: tuple[int, ...], flips: bool) -> None:
    torch.manual_seed(0)
    images = torch.randn(shape, requires_grad=True)
    assert augmented(images, 0.0, kinds=KINDS, flips=flips) is images
    for p in (0.5, 1.0):
        changed = augmented(images, p, kinds=KINDS, flips=flips)
        assert changed.shape == images.shape
        assert bool(changed.isfinite().all())
        (slope,) = torch.autograd.grad(changed.sum(), images)
        assert bool(slope.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
def test_few_images_are_changed_at_a_small_share(kind: str) -> None:
    torch.manual_seed(0)
    images = torch.randn(400, 1, 8, 8)
    changed = (augmented(images, 0.05, kinds=[kind]) != images).flatten(1).any(1)
    assert 0.01 < float(changed.float().mean()) < 0.4


def test_whole_shifts_and_mirrors_move_pixels_and_make_none() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 9, (40, 1, 12, 12)).float()
    changed = augmented(images, 1.0, kinds=["blit"], flips=True)
    assert torch.allclose(changed, changed.round(), atol=1e-3)
    assert not torch.allclose(changed, images)


@pytest.mark.parametrize("kind", KINDS)
def test_changes_do_not_leak(kind: str) -> None:
    """What differs between two kinds of images before the changes differs after them, too: what is learned from changed images
    can only be right where the images themselves are right (arXiv 2006.06676, 3.1)."""
    torch.manual_seed(0)
    left, right = torch.full((2000, 1, 16, 16), -0.5), torch.full((2000, 1, 16, 16), -0.5)
    left[..., :8], right[..., 8:] = 0.5, 0.5
    a, b = (augmented(one, 0.5, kinds=[kind], flips=True).mean(0)[0] for one in (left, right))
    assert float(a[:, :8].mean() - a[:, 8:].mean()) > 0.05
    assert float(b[:, 8:].mean() - b[:, :8].mean()) > 0.05


def test_hue_turns_keep_grey_and_brightness() -> None:
    torch.manual_seed(0)
    grey = torch.full((200, 3, 2, 2), 0.25)
    changed = augmented(grey, 1.0, kinds=["colour"])
    assert torch.allclose(changed, changed.mean(1, keepdim=True).expand_as(changed), atol=1e-4)


def test_p_moves_towards_its_target() -> None:
    assert math.isclose(next_p(0.1, 0.9, 0.6, 0.01), 0.11)
    assert math.isclose(next_p(0.1, 0.3, 0.6, 0.01), 0.09)
    assert next_p(0.0, -1.0, 0.6, 0.01) == 0.0
    assert next_p(MOST_P, 1.0, 0.6, 0.01) == MOST_P


class Judge(torch.nn.Module):
    """A critic of one opinion: bright pictures, which are real, get it, and dark ones the opposite."""

    def __init__(self) -> None:
        super().__init__()
        self.opinion = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        del tokens
        return self.opinion * images.mean((1, 2, 3)).sign()


def test_p_follows_the_signs_of_real_images_in_images_of_the_plan() -> None:
    """Of 400 steps of 8 images p could go from 0 to 1 over a fifth, 640 images: 32 of them, 4 steps, move it by 1/20."""

    class Bright:
        tokens = np.zeros((64, 0), dtype=np.int32)

        def pixels(self, column: str, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
            del column
            return np.full((len(rows), 1, 8, 8), 0.5, dtype=np.float32)

    def dark(noise: torch.Tensor) -> torch.Tensor:
        return torch.full((len(noise), 1, 8, 8), -0.5)

    network = StyleGenerator(Frame(1, (8, 8)), [], n_noise=2, style=2, mapping=1, width=4)
    data = ImageRows(Bright(), "file", np.arange(64), batch_size=8, device=torch.device("cpu"))
    game = StyleGame(network, Judge(), data, recipe=GameRecipe(steps=400), style=StyleRecipe(kinds=("noise",), target=0.6), seed=0)
    game.network.image = dark  # type: ignore[method-assign,assignment]
    batch, steps = data.batch(np.arange(8)), 0

    def go(n: int, opinion: float) -> float:
        """So many steps of a critic of this opinion, and p after them."""
        nonlocal steps
        with torch.no_grad():
            game.critic.opinion.fill_(opinion)
        for _ in range(n):
            game.critic_loss(batch)
            steps += 1
            game.after_step(steps / 400)
        return game.p

    assert go(3, 1.0) == 0.0
    assert go(1, 1.0) == pytest.approx(1 / 20)
    assert go(8, 1.0) == pytest.approx(3 / 20)  # real pictures alone count: those of the generator got the opposite
    assert go(4, -1.0) == pytest.approx(2 / 20)
    state = {key: value.clone() for key, value in game.state().items()}
    assert go(60, 1.0) == pytest.approx(MOST_P)
    game.load_state(state)
    assert game.p == pytest.approx(2 / 20)
    assert go(40, -1.0) == 0.0
    game.validate()
    assert game.signals()["augmented"] == 0.0
