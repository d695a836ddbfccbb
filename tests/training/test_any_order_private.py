"""An any-order network's gradients by patient: recorded products against a backward pass for each patient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manikin.privacy.per_patient import clipped_sum
from manikin.training.networks.any_order import AnyOrderNet, Shape, TokenColumn, draw_masks


def network(blocks: int = 1) -> AnyOrderNet:
    columns = []
    for n_tokens, is_ordered in ((2, False), (9, True), (5, False), (30, True), (3, True)):
        places = np.linspace(-1, 1, n_tokens, dtype=np.float32) if is_ordered else np.full(n_tokens, np.nan, dtype=np.float32)
        columns.append(TokenColumn(n_tokens, places, places, np.full(n_tokens, -np.log(n_tokens), dtype=np.float32), 8))
    made = AnyOrderNet(columns, Shape(dropout=0.0, blocks=blocks), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for one in made.head_basis:
            one.normal_(generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize(("blocks", "k", "n_masks"), [(0, 1, 1), (1, 1, 3), (2, 3, 2), (1, 2, 1)])
@pytest.mark.parametrize("clip", [0.5, 1e4])
def test_recorded_gradients_are_those_of_a_backward_pass_per_patient(blocks: int, k: int, n_masks: int, clip: float) -> None:
    net, n = network(blocks), 6
    torch.manual_seed(3)
    rows = torch.stack([torch.randint(column.n_tokens, (n * k,)) for column in net.columns], 1)
    weights = torch.full((n, k), 1 / k)
    weights[1] = torch.tensor([1.0] + [0.0] * (k - 1))
    masks, which = draw_masks(5, n_masks, 0.2), torch.randint(n_masks, (n * k,))
    keep = (torch.rand(n * k, 5) > 0.3).float()

    def loss(batch: torch.Tensor) -> torch.Tensor:
        return net.nll(batch, masks, keep, which).sum(0)

    made = clipped_sum(net, loss, rows, weights, clip_norm=clip, is_recorded=True)
    true = [torch.zeros_like(one) for one in net.parameters()]
    for i in range(n):
        own = slice(i * k, (i + 1) * k)
        net.zero_grad()
        (net.nll(rows[own], masks, keep[own], which[own]).sum(0) * weights[i]).sum().backward()
        grads = [one.grad if one.grad is not None else torch.zeros_like(one) for one in net.parameters()]
        norm = float(sum(one.square().sum() for one in grads)) ** 0.5
        for total, one in zip(true, grads, strict=True):
            total += one * min(1.0, clip / norm)
    for mine, other in zip(made, true, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()) if other.numel() else 0.0)


def test_a_mask_for_each_row_gives_what_equal_parts_give() -> None:
    net = network()
    masks = draw_masks(5, 2, 0.0)
    rows = torch.stack([torch.randint(column.n_tokens, (8,)) for column in net.columns], 1)
    parts, order = net.nll(rows, masks), torch.randperm(8)
    which = torch.arange(2).repeat_interleave(4)[order]
    torch.testing.assert_close(net.nll(rows[order], masks, which=which), parts[:, order])
