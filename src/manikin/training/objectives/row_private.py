"""Trains a network by DP-SGD on one row a patient: no held-out patients, passes or batch size. Knows neither the network nor anybody's row.

What of a row a step looks at may be drawn for each patient by herself; who else is in a step changes nothing about her loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from manikin.training.objectives.private import PrivateObjective

N = TypeVar("N", bound=nn.Module)


class RowLoss(Protocol[N]):
    """A network with the loss of one patient's row, by operations that torch.func maps over patients."""

    network: N

    def drawn(self, row: Tensor) -> Tensor:
        """The loss of a row (size,), a scalar; what it looks at is drawn from torch's generator."""
        ...

    def learns(self, name: str) -> bool:
        """Whether a parameter learns; the others stay as they are, so that no noise falls on them."""
        ...


@dataclass(frozen=True)
class RowRecipe:
    """How a network is trained under a ledger.

    Attributes
    ----------
    steps : of DP-SGD. learning_rate : the peak, after a warm-up of 5 % of the plan; then a cosine to 0.
    average : share of the plan that the averaged weights remember.
    """

    steps: int
    learning_rate: float = 2e-2
    average: float = 0.1


class PrivateRowObjective(PrivateObjective[N]):
    """The objective that the loop trains under a ledger."""

    def __init__(self, loss: RowLoss[N], recipe: RowRecipe) -> None:
        for name, one in loss.network.eval().named_parameters():
            one.requires_grad = loss.learns(name)
        super().__init__(loss.network, recipe)
        self.loss = loss

    def losses(self, rows: Tensor) -> Tensor:
        """The losses of one patient's rows, (k,): hers stands first, the others fill up and weigh nothing."""
        own = self.loss.drawn(rows[0])
        return torch.cat([own[None], own.new_zeros(rows.shape[0] - 1)])
