"""What objectives share that keep an average of one network and have nothing for monitors to watch. Knows no loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from torch import nn

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
