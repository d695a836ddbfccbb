"""What a network is told: a linear layer over a level's vector, without the vector and without a table of all levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from manikin.training.networks import mixed
from manikin.training.networks.told import Told, Vocabulary

CODES = np.random.default_rng(0).standard_normal((5000, 3)).astype(np.float32)
MIXES = {
    "one-hot": [Vocabulary(3), Vocabulary(4)],
    "codes": [Vocabulary(9, CODES[:9])],
    "both": [Vocabulary(3), Vocabulary(9, CODES[:9]), Vocabulary(2), Vocabulary(7, CODES[9:16])],
}


@pytest.mark.parametrize("mix", MIXES)
def test_it_is_a_linear_layer_over_the_levels_vector(mix: str) -> None:
    vocabularies = MIXES[mix]
    width, n = sum(one.width for one in vocabularies), sum(one.n for one in vocabularies)
    vectors, level, at = torch.zeros(n, width), 0, 0
    for one in vocabularies:
        codes = np.eye(one.n, dtype=np.float32) if one.codes is None else one.codes
        vectors[level : level + one.n, at : at + one.width] = torch.from_numpy(codes)
        level, at = level + one.n, at + one.width
    told = Told(vocabularies, 6, 10)
    for levels in (torch.arange(n), torch.randint(n, (50,)), torch.zeros(4, dtype=torch.long)):
        found, wanted = told(levels), vectors[levels] @ told.weight
        torch.testing.assert_close(found, wanted)
        slopes = [torch.autograd.grad((one**2).sum(), told.weight)[0] for one in (found, wanted)]
        torch.testing.assert_close(*slopes)


class Largest(TorchDispatchMode):
    """The size of the largest tensor that comes out of an operation."""

    n = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            self.n = max(self.n, one.numel() if isinstance(one, torch.Tensor) else 0)
        return out


def test_a_large_vocabulary_costs_no_more_than_a_batch() -> None:
    told = Told([Vocabulary(3), Vocabulary(5000, CODES)], 100, 10)
    with Largest() as largest:
        told(torch.arange(20) * 200).sum().backward()
    assert largest.n <= 20 * 100


def test_a_wide_table_is_told_through_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [mixed.Group(4, has_scalar=False)] * 10
    assert mixed.ResidualGenerator(3, 0, (8,), groups, [Vocabulary(4)] * 10).told.weight.shape == (40, 8 + 40)  # type: ignore[union-attr]
    monkeypatch.setattr(mixed, "MOST_TOLD", 40 * 40 - 1)
    network = mixed.ResidualGenerator(3, 0, (8,), groups, [Vocabulary(4)] * 10).eval()
    assert network.told is not None
    assert network.told.weight.shape == (40, 8)
    logits = [network.head.logits(network(torch.zeros(1, 3), torch.tensor([level]))) for level in (0, 17)]
    assert not torch.equal(*logits)
