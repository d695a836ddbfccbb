"""Trains a network by DP-SGD on one row a patient: no held-out patients, passes or batch size. Knows neither the network nor anybody's row.

What of a row a step looks at may be drawn for each patient by herself; who else is in a step changes nothing about her loss.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.averaged import Averaged

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


class PrivateRowObjective(Averaged[N], Generic[N]):
    """The objective that the loop trains under a ledger; `average` holds the weights to keep, which are post-processing."""

    has_fixed_batches = False
    patience: int | None = None

    def __init__(self, loss: RowLoss[N], recipe: RowRecipe) -> None:
        self.network, self.loss, self.recipe = loss.network.eval(), loss, recipe
        for name, one in self.network.named_parameters():
            one.requires_grad = loss.learns(name)
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        self.planned_steps = self.validate_every = recipe.steps
        self._done = torch.zeros(1)

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase, private by DP-SGD."""
        learning = [one for one in self.network.parameters() if one.requires_grad]
        optimiser = Adam(learning, lr=self.recipe.learning_rate, betas=(0.9, 0.99))
        return [Stage([Phase("likelihood", self.network, optimiser, self.row_losses, private_by="dpsgd", schedule=_warm_cosine)])]

    def batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """None: real patients come through DP-SGD alone."""
        del rng
        return iter(())

    def row_losses(self, rows: Tensor) -> Tensor:
        """The losses of one patient's rows, (k,): hers stands first, the others fill up and weigh nothing."""
        own = self.loss.drawn(rows[0])
        return torch.cat([own[None], own.new_zeros(rows.shape[0] - 1)])

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; the memory grows from nothing so that early weights are forgotten."""
        del fraction
        self._done += 1
        memory = min(self.recipe.average * self.recipe.steps + 1, 1 + 0.2 * float(self._done))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 / memory)

    def validate(self) -> float | None:
        """None: held-out patients are not paid for."""
        return None

    def state(self) -> Tensors:
        """How many steps the average has seen."""
        return {"done": self._done}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._done = tensors["done"].clone()


def _warm_cosine(fraction: float) -> float:
    return min(1.0, fraction / 0.05 + 0.05) * 0.5 * (1 + math.cos(math.pi * fraction))
