"""Trains an any-order network by DP-SGD: no held-out rows, no passes, no batch size. Knows neither rows nor their number.

Every row gets one of a few random orders by a draw of its own, so that who else is in a step changes nothing about a row's loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from manikin.training.networks.any_order import AnyOrderNet, draw_masks
from manikin.training.objective import Tensors
from manikin.training.objectives.private import PrivateObjective


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


class PrivateAnyOrderObjective(PrivateObjective[AnyOrderNet]):
    """The objective that the loop trains under a ledger.

    Parameters
    ----------
    extra : tensors that a checkpoint must hold beside the weights, such as what was bought before training.
    """

    def __init__(self, network: AnyOrderNet, recipe: PrivateRecipe, extra: Tensors | None = None) -> None:
        super().__init__(network, recipe)
        self.recipe, self._extra = recipe, extra or {}

    def losses(self, rows: Tensor) -> Tensor:
        """Nats per row, (n_rows,), in an order that is drawn for each row by itself."""
        masks = draw_masks(self.network.n_columns, self.recipe.n_masks, self.recipe.causal_share).to(rows.device)
        which = torch.randint(len(masks), (len(rows),), device=rows.device) if len(masks) > 1 else None
        return self.network.nll(rows, masks, which=which).sum(0)

    def state(self) -> Tensors:
        """How many steps the average has seen, and what was bought before."""
        return {**super().state(), **self._extra}
