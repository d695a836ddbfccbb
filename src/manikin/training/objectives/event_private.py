"""Trains a transformer over patients' events by DP-SGD: no held-out patients, passes or batch size. Knows nobody and no number of them.

A patient's loss is the mean over a part of her events, which is drawn for her by herself at each step; who else is in a step changes
nothing about it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manikin.training.adam import Adam
from manikin.training.networks.event_packed import PackedNats
from manikin.training.networks.event_transformer import EventNet
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.averaged import Averaged

FROZEN = ("embed", "basis", "value_of_key", "start", "digest", "recall_key", "static_in", "static_out")  # begin the names of what stays


@dataclass(frozen=True)
class PrivateEventRecipe:
    """How the network is trained under a ledger.

    Attributes
    ----------
    steps : of DP-SGD. learning_rate : the peak, after a warm-up of 5 % of the plan; then a cosine to 0.
    average : share of the plan that the averaged weights remember.
    """

    steps: int
    learning_rate: float = 2e-2
    average: float = 0.1


class PrivateEventObjective(Averaged[EventNet]):
    """The objective that the loop trains under a ledger; `average` holds the weights to keep, which are post-processing."""

    has_fixed_batches = False
    patience: int | None = None

    def __init__(self, nats: PackedNats, recipe: PrivateEventRecipe) -> None:
        self.network, self.nats, self.recipe = nats.network.eval(), nats, recipe
        for name, one in self.network.named_parameters():
            one.requires_grad = _learns(name)
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        self.planned_steps = self.validate_every = recipe.steps
        self._done = torch.zeros(1)

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase, private by DP-SGD."""
        learning = [one for one in self.network.parameters() if one.requires_grad]
        optimiser = Adam(learning, lr=self.recipe.learning_rate, betas=(0.9, 0.99))
        return [Stage([Phase("likelihood", self.network, optimiser, self._loss, private_by="dpsgd", schedule=_warm_cosine)])]

    def batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """None: real patients come through DP-SGD alone."""
        del rng
        return iter(())

    def _loss(self, rows: Tensor) -> Tensor:
        """Nats of one patient, (k,): her row stands first, the others fill up and weigh nothing."""
        uniform, told = torch.rand((), device=rows.device), torch.rand((), device=rows.device)
        is_told = (told >= self.nats.without_plan).to(rows.dtype)
        own = self.nats(rows[0], uniform, is_told)
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


def _learns(name: str) -> bool:
    """Whether a parameter learns: vocabularies stay as they are, since noise would fall on each of their numbers."""
    return not any(part in name.split(".")[0] for part in FROZEN)


def _warm_cosine(fraction: float) -> float:
    return min(1.0, fraction / 0.05 + 0.05) * 0.5 * (1 + math.cos(math.pi * fraction))
