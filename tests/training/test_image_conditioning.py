"""What networks of images are told: every attribute by its token, numbers by their value too, and nothing where nothing is said."""

from __future__ import annotations

import numpy as np
import torch

from manikin.training.networks.image_conditioning import Attribute, AttributeEmbedding, drawn_unsaid

LABEL = Attribute(3)
AGE = Attribute(101, np.concatenate([[np.nan], np.linspace(-1, 1, 100)]).astype(np.float32))


def embedding(*attributes: Attribute) -> AttributeEmbedding:
    torch.manual_seed(0)
    return AttributeEmbedding(attributes, 16)


def test_numbers_are_near_their_neighbours_and_missing_ones_are_not() -> None:
    told = embedding(LABEL, AGE)
    ages = torch.stack([torch.zeros(101, dtype=torch.long), torch.arange(101)], 1)
    vectors = told(ages).detach()
    step = (vectors[2:] - vectors[1:-1]).norm(dim=1)
    far = (vectors[1] - vectors[-1]).norm()
    assert float(step.max()) < 0.2 * float(far)
    assert float((vectors[0] - vectors[1]).norm()) > 3 * float(step.max())


def test_what_is_left_unsaid_makes_no_difference() -> None:
    told = embedding(LABEL, AGE)
    tokens = torch.tensor([[0, 4], [2, 90], [1, 0]])
    nothing = told(tokens, torch.ones(3, dtype=torch.bool))
    assert torch.equal(nothing[0], nothing[1])
    assert torch.equal(nothing[0], nothing[2])
    part = told(tokens, torch.tensor([[False, True]] * 3))
    assert torch.allclose(part, told(torch.tensor([[0, 7], [2, 7], [1, 7]]), torch.tensor([[False, True]] * 3)))
    assert not torch.allclose(part[0], part[1])
    assert not torch.allclose(told(tokens)[0], nothing[0])


def test_without_attributes_the_vector_is_zero() -> None:
    told = embedding()
    assert told.is_empty
    assert torch.equal(told(torch.zeros(5, 0, dtype=torch.long)), torch.zeros(5, 16))
    assert torch.equal(told(torch.zeros(5, 0, dtype=torch.long), torch.ones(5, dtype=torch.bool)), torch.zeros(5, 16))


def test_every_token_and_value_learns_and_state_is_small() -> None:
    told = embedding(LABEL, AGE)
    told(torch.tensor([[1, 50]])).square().sum().backward()
    assert told.tokens.grad is not None
    assert sorted(torch.nonzero(told.tokens.grad.abs().sum(1)).flatten().tolist()) == [1, 4 + 50]
    assert told.values.grad is not None
    assert float(told.values.grad[0].abs().sum()) == 0.0
    assert float(told.values.grad[1].abs().sum()) > 0.0
    assert set(told.state_dict()) == {"tokens", "values"}


def test_a_share_of_rows_is_told_nothing() -> None:
    torch.manual_seed(1)
    assert abs(float(drawn_unsaid(20_000, 0.1, torch.device("cpu")).float().mean()) - 0.1) < 0.01
    assert not drawn_unsaid(100, 0.0, torch.device("cpu")).any()
