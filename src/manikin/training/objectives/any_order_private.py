"""Trains an any-order network by DP-SGD: no held-out rows, no passes, no batch size. Knows neither rows nor their number.

Every row gets one of a few random orders by a draw of its own, so that who else is in a step changes nothing about a row's loss.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.networks.any_order import AnyOrderNet, draw_masks
from manikin.training.objective import Phase, Stage, Tensors


@dataclass(frozen=True)
class PrivateRecipe:
    """How the network is trained under a ledger.

    Attributes
    ----------
    steps : of DP-SGD. n_masks : orders per step. causal_share : share of orders that are the table's own.
    learning_rate : the peak, after a warm-up of 5 % of the plan; then a cosine to 0.
    average : share of the plan that the averaged weights remember.
    """

    steps: int
    n_masks: int = 4
    causal_share: float = 0.4
    learning_rate: float = 4e-3
    average: float = 0.1


class PrivateAnyOrderObjective:
    """The objective that the loop trains under a ledger; `averages` holds the weights to keep, which are post-processing.

    Parameters
    ----------
    extra : tensors that a checkpoint must hold beside the weights, such as what was bought before training.
    """

    has_fixed_batches = False
    patience: int | None = None

    def __init__(self, network: AnyOrderNet, recipe: PrivateRecipe, extra: Tensors | None = None) -> None:
        self.network, self.recipe = network, recipe
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.planned_steps = self.validate_every = recipe.steps
        self._done, self._extra = torch.zeros(1), extra or {}

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase, private by DP-SGD."""
        optimiser = Adam(self.network.parameters(), lr=self.recipe.learning_rate, betas=(0.9, 0.99))
        return [Stage([Phase("likelihood", self.network, optimiser, self._loss, private_by="dpsgd", schedule=_warm_cosine)])]

    def batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """None: real rows come through DP-SGD alone."""
        del rng
        return iter(())

    def _loss(self, rows: Tensor) -> Tensor:
        """Nats per row, (n_rows,), in an order that is drawn for each row by itself."""
        masks = draw_masks(self.network.n_columns, self.recipe.n_masks, self.recipe.causal_share).to(rows.device)
        which = torch.randint(len(masks), (len(rows),), device=rows.device) if len(masks) > 1 else None
        return self.network.nll(rows, masks, which=which).sum(0)

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; the memory grows from nothing so that early weights are forgotten."""
        del fraction
        self._done += 1
        memory = min(self.recipe.average * self.recipe.steps + 1, 1 + 0.2 * float(self._done))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 / memory)

    def validate(self) -> float | None:
        """None: held-out rows are not paid for."""
        return None

    def signals(self) -> Mapping[str, float]:
        """None."""
        return {}

    def film(self) -> Mapping[str, Sequence[float]]:
        """None."""
        return {}

    def modules(self) -> Mapping[str, nn.Module]:
        """The network and its average."""
        return {"network": self.network, "average": self.average}

    def state(self) -> Tensors:
        """How many steps the average has seen, and what was bought before."""
        return {"done": self._done, **self._extra}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._done = tensors["done"].clone()


def _warm_cosine(fraction: float) -> float:
    return min(1.0, fraction / 0.05 + 0.05) * 0.5 * (1 + math.cos(math.pi * fraction))
