"""The any-order network's columns can be moved to given shares while what they have to do with each other stays."""

from __future__ import annotations

import numpy as np
import torch

from manikin.training.networks.any_order import AnyOrderNet, Shape, TokenColumn
from manikin.training.networks.any_order_sampler import AnyOrderSampler, calibrate


def network() -> AnyOrderNet:
    nothing = np.full(4, np.nan, dtype=np.float32)
    columns = [TokenColumn(4, nothing, nothing, np.log(np.full(4, 0.25)).astype(np.float32), 8) for _ in range(3)]
    made = AnyOrderNet(columns, Shape(blocks=1), generator=torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for head in made.head:
            head.normal_(std=1.0, generator=torch.Generator().manual_seed(1))
        for bias in made.head_bias:
            bias.add_(torch.randn(bias.shape, generator=torch.Generator().manual_seed(2)))
    return made


def drawn(made: AnyOrderNet, emitted: list[np.ndarray]) -> np.ndarray:
    uniform = np.random.default_rng(7).random((20_000, 3), dtype=np.float32)
    return AnyOrderSampler([made], emitted).sample(uniform)


def dependence(rows: np.ndarray) -> float:
    table = np.zeros((4, 4))
    np.add.at(table, (rows[:, 0], rows[:, 1]), 1 / len(rows))
    return float(np.abs(table - table.sum(1, keepdims=True) * table.sum(0)).sum())


def test_drawn_columns_have_the_wanted_shares_and_still_depend_on_each_other() -> None:
    made, emitted = network(), [np.ones(4, dtype=bool), np.ones(4, dtype=bool), np.array([True, True, True, False])]
    shares = [np.array([0.7, 0.1, 0.1, 0.1]), np.array([0.05, 0.05, 0.3, 0.6]), np.array([0.36, 0.36, 0.08, 0.2])]
    before = drawn(made, emitted)
    assert abs(np.bincount(before[:, 0], minlength=4) / len(before) - shares[0]).max() > 0.1
    calibrate(made, shares, emitted, np.random.default_rng(3))
    rows = drawn(made, emitted)
    for j, wanted in enumerate([shares[0], shares[1], np.array([0.45, 0.45, 0.1, 0.0])]):
        assert abs(np.bincount(rows[:, j], minlength=4) / len(rows) - wanted).max() < 0.025
    assert dependence(before) > 0.1
    assert dependence(rows) > 0.05
