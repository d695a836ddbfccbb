"""Plain gradient descent for the loop, which remembers nothing: no checkpoint holds what its gradients saw. Knows no model."""

from __future__ import annotations

from typing import Any

import torch


class Descent:
    """Plain gradient descent that keeps every weight within a limit, as the Wasserstein game asks (arXiv 1701.07875); None for no limit.

    It remembers nothing. The weights that are clipped have their noise already, so this is post-processing.
    """

    def __init__(self, parameters: Any, *, lr: float, weight_decay: float, limit: float | None = None) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr, "weight_decay": weight_decay}]
        self.limit = limit

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters along their gradients, then clips them."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(parameter.grad, alpha=group["lr"])
                if self.limit is not None:
                    parameter.clamp_(-self.limit, self.limit)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients."""
        del set_to_none
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {"state": {}, "param_groups": []}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes nothing back."""
        del state_dict
