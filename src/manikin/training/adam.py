"""Adam for the loop (arXiv 1412.6980), its weight decay in the gradient or apart from it (AdamW, arXiv 1711.05101). Knows no model.

The arithmetic is `torch.optim.adam.adam`. The class that torch has around it imports torch's compiler when it is made: 64 MB of memory and
1.5 CPU seconds in every process that trains anything, for what nothing here uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam


class Optimiser(Protocol):
    """What the loop asks of an optimiser; those of torch.optim have it too."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any:
        """Moves the parameters along their gradients."""
        ...

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """`state`: what is remembered of each parameter, by its number."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes that back."""
        ...


class Adam:
    """One or several groups of parameters with their own settings.

    Parameters
    ----------
    parameters : what is moved, or groups: `params` and whatever differs from the settings that follow.
    lr, betas, eps : as in the paper. weight_decay : pulls parameters towards 0. decoupled : apart from the moments, as AdamW does.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter] | Sequence[Mapping[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        given: list[Any] = list(parameters)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "decoupled": decoupled}
        self.param_groups = [{**settings, **group, "params": list(group["params"])} for group in groups]
        self._state: dict[Tensor, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Moves every parameter that has a gradient."""
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            kept = [self._kept(parameter) for parameter in moved]
            if not moved:
                continue
            adam(
                moved,
                [parameter.grad for parameter in moved],
                [one["exp_avg"] for one in kept],
                [one["exp_avg_sq"] for one in kept],
                [],
                [one["step"] for one in kept],
                foreach=False,
                fused=True,
                decoupled_weight_decay=group["decoupled"],
                amsgrad=False,
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=False,
            )

    def _kept(self, parameter: Tensor) -> dict[str, Tensor]:
        if parameter not in self._state:
            self._state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self._state[parameter]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients, or makes them 0."""
        for parameter in (one for group in self.param_groups for one in group["params"]):
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Both moments and the number of steps of each parameter, by its number among all groups."""
        every = [one for group in self.param_groups for one in group["params"]]
        return {"state": {i: dict(self._state[one]) for i, one in enumerate(every) if one in self._state}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back; parameters that are not named there start anew."""
        every = [one for group in self.param_groups for one in group["params"]]
        self._state = {
            every[i]: {
                name: tensor.detach().to(every[i].device).clone() if name == "step" else torch.zeros_like(every[i]).copy_(tensor)
                for name, tensor in moments.items()  # laid out in memory as the parameter is: the step goes through both at once
            }
            for i, moments in state_dict["state"].items()
        }


def decaying(network: torch.nn.Module, learning_rate: float, weight_decay: float) -> Adam:
    """For transformers: decay apart from the moments, of matrices alone and not of biases and scales; betas of 0.9 and 0.98."""
    decayed = [one for one in network.parameters() if one.dim() > 1]
    plain = [one for one in network.parameters() if one.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return Adam(groups, lr=learning_rate, betas=(0.9, 0.98), decoupled=True)
