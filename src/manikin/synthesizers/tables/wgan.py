"""WGAN-GP: the plain Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028; Arjovsky et al. 2017, 1701.07875).

From the papers: five critic steps per generator step, penalty weight 10, no batch normalisation in the critic, Adam with betas (0, 0.9).
Departures: columns become vectors as in `ctgan` (modes for numbers, one-hot or random codes for levels), choices pass the Gumbel-softmax,
the sampling generator is an average of the trained ones, and the best by held-out rows is kept. No conditions: that is what `cgan` is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import Numbers, VectorCodec
from manikin.synthesizers.tables.one_shot import OneShot, Prepared, batch_rows, check_encoding, check_layers, check_numbers
from manikin.training.networks.mixed import PackedCritic, ResidualGenerator
from manikin.training.objective import Objective
from manikin.training.objectives.adversarial import Adversarial, Recipe


@dataclass(kw_only=True)
class WGAN(OneShot):
    """Wasserstein GAN with gradient penalty.

    Parameters
    ----------
    epochs, batch_size, learning_rate : of Adam for both players; batch_size None is set from the number of rows.
    noise : width of the generator's input. generator, critic : hidden units per layer.
    critic_steps : per generator step. penalty : of the gradient.
    numbers : "modes", "quantile" or "standard". levels_below : number columns with fewer values are levels.
    max_onehot : larger vocabularies are given as random codes. patience : looks at held-out rows without a better one before the run
    stops, out of 30 over the plan; None goes through with it. max_steps : most steps, whatever the epochs.
    """

    name: ClassVar[str] = "wgan"
    epochs: int = 300
    batch_size: int | None = None
    learning_rate: float = 2e-4
    noise: int = 128
    generator: tuple[int, ...] = (256, 256)
    critic: tuple[int, ...] = (256, 256)
    critic_steps: int = 5
    penalty: float = 10.0
    numbers: Numbers = "modes"
    levels_below: int = 24
    max_onehot: int = 64
    patience: int | None = 10
    max_steps: int | None = None

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "noise", "critic_steps", "levels_below", "max_onehot", "patience", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "penalty"))
        check_layers(self, self.name, ("generator", "critic"))
        check_encoding(self, self.name)

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers=self.numbers, levels_below=self.levels_below, max_onehot=self.max_onehot)

    def _build(self) -> nn.Module:
        return ResidualGenerator(self.noise, 0, self.generator, self._groups())

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        recipe = Recipe(
            batch_size=self.batch_size or batch_rows(len(prepared.inside)),
            epochs=self.epochs,
            critic_steps=self.critic_steps,
            penalty=self.penalty,
            learning_rate=self.learning_rate,
            betas=(0.0, 0.9),
            patience=self.patience,
        )
        objective = Adversarial(
            network,
            PackedCritic(self.vectors_.width, 1, self.critic, dropout=0.0),
            prepared.tokens[prepared.inside],
            encode=self.vectors_.encode,
            draw=self._draw,
            likeness=self._likeness(prepared),
            recipe=recipe,
            seed=prepared.seed,
            device=prepared.device,
        )
        return objective, objective.average

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        noise = torch.from_numpy(rng.standard_normal((n, self.noise), dtype=np.float32))
        return self._tokens(network, network(noise.to(next(network.parameters()).device)), rng, tokens=tokens, given=given)
