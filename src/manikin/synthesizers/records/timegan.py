"""TimeGAN: an adversarial pair in a learned latent space, held to real transitions by a supervisor (Yoon et al. 2019, NeurIPS 32)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from manikin.data.errors import parameter_error
from manikin.synthesizers.records.grids import GridModel, Made
from manikin.synthesizers.tables.one_shot import check_numbers
from manikin.training.networks.grids import GridBatch, MixedOutput, TimeGANNetwork
from manikin.training.networks.mixed import Given
from manikin.training.objectives.grids import GridAdversarial, GridObjective, GridRecipe, Indices


@dataclass(kw_only=True)
class TimeGAN(GridModel):
    """TimeGAN over regular grids.

    Parameters
    ----------
    epochs : passes over the patients that the plan is made of, for the three stages together.
    batch_size : patients per step. learning_rate : Adam's.
    hidden, layers : units and depth of the recurrent networks. noise : numbers of noise per step.
    max_steps : most gradient steps.

    Notes
    -----
    The three stages are those of the paper: embedder and recovery; supervisor; all of them with generator and discriminator. Whether a
    cell is missing is a choice of its own, so that the 80 % of an intensive-care grid that nobody measured are learned too; a patient's
    number of steps is drawn from the lengths of the train patients, as in the paper.
    """

    name: ClassVar[str] = "timegan"
    unpaid: ClassVar[str] = "its autoencoder, its supervisor, its critic and the moments that its generator is held to all see patients"
    epochs: int = 200
    batch_size: int = 64
    learning_rate: float = 1e-3
    hidden: int = 48
    layers: int = 2
    noise: int = 16
    max_steps: int | None = None

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "hidden", "layers", "noise", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate",))
        for key, most in (("hidden", 1024), ("layers", 8), ("noise", 1024)):
            if getattr(self, key) > most:
                raise parameter_error(key, self.name, f"an int in [1, {most}]", getattr(self, key))

    def _build(self) -> nn.Module:
        return TimeGANNetwork(self._shape(), hidden=self.hidden, layers=self.layers, noise=self.noise)

    def _objective(
        self, network: nn.Module, encode: Any, inside: Indices, outside: Indices, seed: int, device: torch.device
    ) -> GridObjective:
        recipe = GridRecipe(self.batch_size, self.epochs, self.learning_rate, patience=None)
        return GridAdversarial(network, encode, inside, outside, recipe=recipe, seed=seed, device=device)

    def _said(self, network: nn.Module, batch: GridBatch) -> tuple[Given, MixedOutput]:
        assert isinstance(network, TimeGANNetwork)
        return network.recover(*network.embed(batch)), network.output

    def _made(self, network: nn.Module, n: int, rng: np.random.Generator) -> Made:
        assert isinstance(network, TimeGANNetwork)
        steps = len(self.lengths_) - 1
        latent, static = network.generate(torch.randn(n, steps, self.noise), torch.randn(n, self.noise))
        given = network.recover(network.supervise(latent, static), static)
        lengths = rng.choice(steps + 1, size=n, p=self.lengths_ / self.lengths_.sum()).astype(np.int64)
        own = None if network.static is None or static is None else network.static(static)
        return Made(lengths, given, network.output, own, network.static)
