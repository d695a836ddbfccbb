"""What objectives share that are trained by DP-SGD alone: one phase, no batches, no held-out patients, an average. Knows no loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.averaged import Averaged

N = TypeVar("N", bound=nn.Module)


class PrivateRecipe(Protocol):
    """`steps` of DP-SGD; `learning_rate` is the peak; `average` is the share of the plan that the averaged weights remember."""

    @property
    def steps(self) -> int:
        """Steps."""
        ...

    @property
    def learning_rate(self) -> float:
        """The peak."""
        ...

    @property
    def average(self) -> float:
        """A share."""
        ...


class PrivateObjective(Averaged[N]):
    """Base of such objectives; `average` holds the weights to keep, which are post-processing. The rate warms up over 5 % of the plan."""

    has_fixed_batches = False
    patience: int | None = None

    def __init__(self, network: N, recipe: PrivateRecipe) -> None:
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.planned_steps = self.validate_every = recipe.steps
        self._rate, self._memory = recipe.learning_rate, recipe.average * recipe.steps + 1
        self._done = torch.zeros(1)

    def losses(self, rows: Tensor) -> Tensor:
        """The loss of each of a patient's rows, (n_rows,), the same whoever else is in a step."""
        raise NotImplementedError

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase, private by DP-SGD; parameters that need no gradient stay as they are."""
        learning = [one for one in self.network.parameters() if one.requires_grad]
        optimiser = Adam(learning, lr=self._rate, betas=(0.9, 0.99))
        return [Stage([Phase("likelihood", self.network, optimiser, self.losses, private_by="dpsgd", schedule=_warm_cosine)])]

    def batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """None: real rows come through DP-SGD alone."""
        del rng
        return iter(())

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; the memory grows from nothing so that early weights are forgotten."""
        del fraction
        self._done += 1
        memory = min(self._memory, 1 + 0.2 * float(self._done))
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
