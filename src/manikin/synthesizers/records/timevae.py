"""TimeVAE: a variational autoencoder of whole grids (Desai et al. 2021, arXiv 2111.08095), with missing cells, statics and lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from manikin.data.errors import parameter_error
from manikin.synthesizers.records.grids import GridModel, Made, drawn_lengths
from manikin.synthesizers.tables.one_shot import check_layers, check_numbers
from manikin.training.networks.grids import GridBatch, MixedOutput, TimeVAENetwork
from manikin.training.networks.mixed import Given
from manikin.training.objectives.grids import GridObjective, GridRecipe, GridVariational, Indices


@dataclass(kw_only=True)
class TimeVAE(GridModel):
    """TimeVAE over regular grids.

    Parameters
    ----------
    epochs : passes over the patients that the plan is made of.
    batch_size : patients per step.
    learning_rate : Adam's.
    latent : dimensions of a patient's latent vector.
    channels : of the encoder's convolutions, each of which halves the time axis; the decoder's in reverse.
    trend : degree of the polynomials in time that the decoder adds; 0 for none.
    couplings : of the prior that is learned with the rest; 0 for a standard normal, as in the paper.
    weight : of the reconstruction against the divergence; the paper weighs it from 0.5 to 3.5.
    patience : looks at held-out patients without a better bound before the run stops; None goes on.
    max_steps : most gradient steps.

    Notes
    -----
    Beyond the paper: whether a cell is missing, and by which code, is a choice of its own per cell; statics and the number of steps come
    from the same latent vector; scalars have a learned deviation that is carried on from step to
    step as far as the train patients' are, so that draws are neither smooth means nor jitter.
    """

    name: ClassVar[str] = "timevae"
    unpaid: ClassVar[str] = "the scales of its columns, its lengths and its weights are taken from patients unpaid"
    epochs: int = 300
    batch_size: int = 64
    learning_rate: float = 1e-3
    latent: int = 16
    channels: tuple[int, ...] = (64, 96)
    trend: int = 2
    couplings: int = 4
    weight: float = 1.0
    patience: int | None = 8
    max_steps: int | None = None

    def _check(self) -> None:
        check_numbers(
            self,
            self.name,
            whole=("epochs", "batch_size", "latent", "patience", "max_steps"),
            positive=("learning_rate", "weight"),
        )
        check_layers(self, self.name, ("channels",))
        for key, most in (("trend", 8), ("couplings", 64), ("latent", 4096)):
            value = getattr(self, key)
            if not isinstance(value, int) or not 0 <= value <= most:
                raise parameter_error(key, self.name, f"an int in [0, {most}]", value)

    def _build(self) -> nn.Module:
        return TimeVAENetwork(self._shape(), n_latent=self.latent, channels=self.channels, trend=self.trend, couplings=self.couplings)

    def _objective(
        self, network: nn.Module, encode: Any, inside: Indices, outside: Indices, seed: int, device: torch.device
    ) -> GridObjective:
        recipe = GridRecipe(self.batch_size, self.epochs, self.learning_rate, weight=self.weight, patience=self.patience)
        return GridVariational(network, encode, inside, outside, recipe=recipe, seed=seed, device=device)

    def _said(self, network: nn.Module, batch: GridBatch) -> tuple[Given, MixedOutput]:
        assert isinstance(network, TimeVAENetwork)
        return network.steps(network.encode(batch)[0]), network.output

    def _made(self, network: nn.Module, n: int, rng: np.random.Generator) -> Made:
        assert isinstance(network, TimeVAENetwork)
        latent = network.prior.from_normal(torch.randn(n, self.latent))
        lengths = drawn_lengths(network.length(latent), self.lengths_, rng)
        static = None if network.static is None else network.static(latent)
        return Made(lengths, network.steps(latent), network.output, static, network.static)
