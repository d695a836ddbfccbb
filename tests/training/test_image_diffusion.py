"""The diffusion of images as a network: preconditioning, patches, alterations that do not leak, gradients in pieces, averages."""

from __future__ import annotations

import math

import pytest
import torch

from manikin.training.accumulated import in_pieces
from manikin.training.networks.image_augmentation import altered, n_told
from manikin.training.networks.image_conditioning import Attribute
from manikin.training.networks.image_diffusion import SIGMA_DATA, ImageDiffusion, Noise
from manikin.training.networks.unet import UNet, UNetShape, folded, unfolded
from manikin.training.objectives.image_diffusion import _power

SMALL = UNetShape((8, 16), 1, 2, 16)


def diffusion(size: tuple[int, ...] = (8, 8), channels: int = 1, **noise: object) -> ImageDiffusion:
    torch.manual_seed(0)
    return ImageDiffusion(channels, size, [Attribute(3)], shape=SMALL, noise=Noise(**noise))  # type: ignore[arg-type]


def test_edm_gives_its_network_inputs_and_targets_of_unit_variance() -> None:
    net = diffusion()
    sigma = torch.tensor([0.003, 0.1, 0.5, 3.0, 70.0], dtype=torch.float64)
    skip, out, scale = net.preconditioning(sigma)
    assert torch.allclose(scale**2 * (SIGMA_DATA**2 + sigma**2), torch.ones(5, dtype=torch.float64))
    target = ((1 - skip) ** 2 * SIGMA_DATA**2 + skip**2 * sigma**2) / out**2
    assert torch.allclose(target, torch.ones(5, dtype=torch.float64))
    # c_skip lets the network's errors through as little as possible: any other one has a larger c_out
    for other in (skip * 0.9, skip + 0.01):
        assert bool(((1 - other) ** 2 * SIGMA_DATA**2 + other**2 * sigma**2 >= out**2).all())


def test_ddpm_says_the_noise_of_its_process() -> None:
    net = diffusion(parameterisation="ddpm")
    sigma = net.levels[[10, 500, 900]].double()
    skip, out, scale = net.preconditioning(sigma)
    bar = 1 / (1 + sigma**2)
    assert torch.allclose(scale, bar.sqrt())  # c_in x = sqrt(bar) image + sqrt(1 - bar) noise
    assert torch.equal(skip, torch.ones(3, dtype=torch.float64))
    assert torch.equal(out, -sigma)


@pytest.mark.parametrize("parameterisation", ["edm", "ddpm"])
def test_a_network_that_says_nothing_has_the_loss_of_its_targets(parameterisation: str) -> None:
    net = diffusion(parameterisation=parameterisation)  # its last layer starts at 0
    images = net.outer(SIGMA_DATA * torch.randn(512, 1, 8, 8))
    loss = net.loss(images, torch.zeros(512, 1, dtype=torch.long), net.drawn_levels(512, images.device))
    assert loss.shape == (512,)
    assert float(loss.mean().detach()) == pytest.approx(1.0, abs=0.05)


def test_levels_follow_their_distribution() -> None:
    drawn = diffusion().drawn_levels(4096, torch.device("cpu")).log()
    assert float(drawn.mean()) == pytest.approx(-1.2, abs=0.01)
    assert float(drawn.std()) == pytest.approx(1.2, abs=0.01)
    steps = diffusion(parameterisation="ddpm", steps=50).drawn_levels(100, torch.device("cpu"))
    assert len(set(steps.tolist())) == 50


@pytest.mark.parametrize(("size", "patch"), [((6, 10), 2), ((5, 7), 1), ((1, 1), 1), ((4, 6, 4), 2), ((8, 8), 4)])
def test_any_size_goes_through_and_everything_learns(size: tuple[int, ...], patch: int) -> None:
    net = UNet(len(size), 3, 3, size, UNetShape((8, 16, 24), 1, patch, 16))
    torch.nn.init.normal_(net.last.weight)
    for block in (module for module in net.modules() if hasattr(module, "second")):
        torch.nn.init.normal_(block.second.weight, std=0.1)
    if hasattr(net.attention, "answer"):
        torch.nn.init.normal_(net.attention.answer.weight, std=0.1)
    made = net(torch.randn(2, 3, *size), torch.randn(2, 16))
    assert made.shape == (2, 3, *size)
    made.square().sum().backward()
    assert all(one.grad is not None for one in net.parameters())


def test_patches_come_back() -> None:
    for shape in ((2, 3, 4, 6), (2, 1, 4, 2, 6)):
        images = torch.randn(shape)
        assert torch.equal(unfolded(folded(images, 2), 2), images)
        assert folded(images, 2).shape[1] == shape[1] * 2 ** (len(shape) - 2)
    assert torch.equal(folded(torch.arange(16.0).view(1, 1, 4, 4), 2)[0, :, 0, 0], torch.tensor([0.0, 1.0, 4.0, 5.0]))


def test_alterations_are_told_and_mirror_only_when_asked() -> None:
    torch.manual_seed(0)
    images = torch.randn(64, 1, 9, 13)
    same, said = altered(images, 0.0, mirrored=True)
    assert torch.equal(same, images)
    assert said.shape == (64, n_told(2))
    assert not said.any()
    other, said = altered(images, 0.3)
    is_told = said.abs().sum(1) > 0
    assert torch.equal(other[~is_told], images[~is_told])
    assert not said[:, -1].any()
    mirrored, said = altered(images, 0.3, mirrored=True)
    only = (said[:, :-1].abs().sum(1) == 0) & (said[:, -1] == 1)
    assert bool(only.any())
    assert torch.allclose(mirrored[only], images[only].flip(-1), atol=1e-5)
    volume, said = altered(torch.randn(8, 2, 4, 6, 6), 1.0)
    assert volume.shape == (8, 2, 4, 6, 6)
    assert said.shape == (8, n_told(3))


def test_a_shift_moves_what_it_says() -> None:
    torch.manual_seed(1)
    images = torch.zeros(400, 1, 16, 16)
    images[:, :, 8, 8] = 1.0
    moved, said = altered(images, 0.4)
    only = (said[:, 0].abs() > 0) & (said[:, 1:].abs().sum(1) == 0)
    columns = (moved[only, 0].sum(1) * torch.arange(16.0)).sum(1) / moved[only, 0].sum((1, 2))
    assert torch.allclose(columns, 8 - 0.125 * 16 * said[only, 0], atol=0.05)  # x is the first number told


def test_pieces_have_the_gradient_of_the_whole() -> None:
    torch.manual_seed(0)
    layer, rows = torch.nn.Linear(4, 1), torch.randn(10, 4)

    def loss(part: slice) -> torch.Tensor:
        return layer(rows[part]).square().flatten()

    for piece in (None, 3, 10):
        layer.zero_grad()
        given = in_pieces(loss, 10, piece, list(layer.parameters()))
        assert given.shape == (10,)
        given.mean().backward()
        assert layer.weight.grad is not None
        whole = 2 * (layer(rows) * rows).mean(0)
        assert torch.allclose(layer.weight.grad[0], whole.detach(), atol=1e-6)


def test_the_average_is_as_wide_as_asked() -> None:
    g = _power(0.1)
    assert g == pytest.approx(6.94, abs=0.01)  # arXiv 2312.02696
    times = torch.arange(1, 20_001, dtype=torch.float64) / 20_000
    weights = times**g / (times**g).sum()
    mean = float((weights * times).sum())
    assert math.sqrt(float((weights * (times - mean) ** 2).sum())) == pytest.approx(0.1, abs=0.001)


def test_products_may_be_in_half_precision() -> None:
    net = diffusion()
    torch.nn.init.normal_(net.net.last.weight, std=0.05)
    x, tokens, sigma = torch.randn(4, 1, 8, 8), torch.zeros(4, 1, dtype=torch.long), torch.full((4,), 0.5)
    with torch.no_grad():
        whole = net.denoised(x, sigma, tokens)
        net.precision = torch.bfloat16
        half = net.denoised(x, sigma, tokens)
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    assert torch.allclose(half, whole, atol=0.1)


def test_guidance_is_what_its_formula_says() -> None:
    net = diffusion()
    for one in (one for block in net.net.up for one in (block.second, net.net.last)):
        torch.nn.init.normal_(one.weight, std=0.5)
    x, tokens, sigma = torch.randn(3, 1, 8, 8), torch.tensor([[0], [1], [2]]), torch.full((3,), 0.7)
    with torch.no_grad():
        said = net.denoised(x, sigma, tokens)
        unsaid = net.denoised(x, sigma, tokens, dropped=torch.ones(3, dtype=torch.bool))
        assert not torch.allclose(said, unsaid)
        for w in (0.0, 1.0, 2.5):
            assert torch.allclose(net._guided(tokens, w)(x, 0.7), unsaid + w * (said - unsaid), atol=1e-5)
