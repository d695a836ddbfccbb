"""What objectives share that keep an average of one network: nothing for monitors to watch, and the average itself. Knows no loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


class Averaged(Generic[N]):
    """Base of such objectives; `network` is in training, `average` is kept."""

    network: N
    average: N

    def signals(self) -> Mapping[str, float]:
        """None: the losses say it all."""
        return {}

    def film(self) -> Mapping[str, Sequence[float]]:
        """None."""
        return {}

    def modules(self) -> Mapping[str, nn.Module]:
        """The network in training and the averaged one."""
        return {"network": self.network, "average": self.average}


class AveragedOverSteps(Averaged[N]):
    """Base of those whose average is over the latest tenth of the steps and over `memory` steps at most."""

    def __init__(self, memory: float) -> None:
        self._memory, self._steps = memory, torch.zeros(1)

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; early ones are forgotten."""
        del fraction
        self._steps += 1
        averaged: list[Tensor] = list(self.average.parameters())
        ours: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averaged, ours, 1 / min(self._memory, 1 + 0.1 * float(self._steps)))

    def state(self) -> dict[str, Tensor]:
        """How far the average is."""
        return {"steps": self._steps}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes that back."""
        self._steps = tensors["steps"].clone()
