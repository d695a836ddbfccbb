"""What the private GANs share: a generator that is held to known shares, averaged, and watched by nobody. Knows no game."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manikin.training.adam import Adam
from manikin.training.networks.mixed import Given
from manikin.training.networks.pairs import PairFeatures, PlainGenerator, Shares
from manikin.training.objective import Tensors


class OfGenerator(Protocol):
    """What a recipe says of the generator: Adam's rate and decay, temperature of the Gumbel-softmax, memory of the average in rounds."""

    @property
    def learning_rate(self) -> float: ...  # noqa: D102

    @property
    def generator_decay(self) -> float: ...  # noqa: D102

    @property
    def temperature(self) -> float: ...  # noqa: D102

    @property
    def average_steps(self) -> int: ...  # noqa: D102


class HeldToShares:
    """The generator of an objective; `average` is the one to keep.

    Parameters
    ----------
    features : of a row's vector. shares : per group, the chances that are known already. of_generator : the objective's recipe.
    """

    validate_every = 1 << 30
    patience: int | None = None

    def __init__(
        self,
        network: PlainGenerator,
        features: PairFeatures,
        shares: Sequence[npt.NDArray[np.float64]],
        of_generator: OfGenerator,
        device: torch.device | None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.network, self.features = network.to(self.device), features.to(self.device)
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.shares, self._of_generator = Shares(network.head, shares), of_generator
        self.bought: Tensors = {}  # what a checkpoint must hold beside, such as what was paid for before training
        self._rounds = torch.zeros(1)

    def optimiser(self) -> Adam:
        """The generator's."""
        own = self._of_generator
        return Adam(
            self.network.parameters(), lr=own.learning_rate, betas=(0.5, 0.99), weight_decay=own.generator_decay, decoupled=True
        )

    def made(self, n: int, *, hard: bool = False) -> tuple[Tensor, Given]:
        """Features of made rows (n, n_features), and what the network's head gave for them; `hard` for whole rows."""
        given: Given = self.network(torch.randn(n, self.network.n_noise, device=self.device))
        rows = self.network.head.soft(given, temperature=self._of_generator.temperature, hard=hard)
        features: Tensor = self.features(rows)
        return features, given

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the generator's weights."""
        del fraction
        self._rounds += 1
        memory = min(self._of_generator.average_steps, 1 + 0.1 * float(self._rounds))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 / memory)

    def validate(self) -> float | None:
        """None: no patient is kept to stop by."""
        return None

    def signals(self) -> Mapping[str, float]:
        """Nothing: monitors look at real rows."""
        return {}

    def film(self) -> Mapping[str, Sequence[float]]:
        """Nothing."""
        return {}
