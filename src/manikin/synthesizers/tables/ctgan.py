"""CTGAN: a conditional Wasserstein GAN for mixed columns (Xu, Skoularidou, Cuesta-Infante & Veeramachaneni 2019, arXiv 1907.00503).

From the paper: mode-specific normalisation, a condition on one level of one column, training-by-sampling, residual generator,
Wasserstein loss with gradient penalty, a critic that can judge packs of rows (PacGAN, arXiv 1712.04086; packs of one by default).

Departures, each for a reason measured on inner splits of train parts (docs/synthesizers/ctgan.md): numbers are decoded to the cells of
the table codec, so format, spikes and protected tails survive; missing codes and heavy spikes are options beside the modes; number
columns of few values are levels; vocabularies above `max_onehot` are fixed random codes with a factorised head, so memory does not grow
with them; the sampling generator is an average of the trained ones, and the best by held-out rows is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import Numbers, Part, VectorCodec
from manikin.data.errors import parameter_error
from manikin.synthesizers.tables.one_shot import OneShot, Prepared, batch_rows, check_encoding, check_layers, check_numbers
from manikin.training.networks.mixed import PackedCritic, ResidualGenerator, Vocabulary
from manikin.training.objective import Objective
from manikin.training.objectives.adversarial import Adversarial, Recipe
from manikin.training.objectives.by_level import LevelAsker, Levels


@dataclass(kw_only=True)
class CTGAN(OneShot):
    """Conditional tabular GAN.

    Parameters
    ----------
    epochs, batch_size, learning_rate : of Adam for both players; batch_size None is set from the number of rows.
    noise : width of the generator's input. generator, critic : hidden units per layer.
    pack : rows that the critic judges together. dropout : rate in the critic. critic_steps : per generator step. penalty : of the gradient.
    numbers : "modes" (the paper), "quantile" or "standard". levels_below : number columns with fewer values are levels.
    max_onehot : larger vocabularies are given as random codes. patience : looks at held-out rows without a better one before the run
    stops, out of 30 over the plan; None goes through with it. max_steps : most steps, whatever the epochs.
    """

    name: ClassVar[str] = "ctgan"
    epochs: int = 300
    batch_size: int | None = None
    learning_rate: float = 1e-3
    noise: int = 128
    generator: tuple[int, ...] = (128, 128)
    critic: tuple[int, ...] = (128, 128)
    pack: int = 1
    dropout: float = 0.0
    critic_steps: int = 1
    penalty: float = 10.0
    numbers: Numbers = "modes"
    levels_below: int = 24
    max_onehot: int = 64
    patience: int | None = 10
    max_steps: int | None = None
    _asker: LevelAsker = field(init=False, repr=False, compare=False)

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "noise", "pack", "critic_steps", "levels_below", "max_onehot", "patience", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "penalty"))
        check_layers(self, self.name, ("generator", "critic"))
        check_encoding(self, self.name)
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise parameter_error("dropout", self.name, "a number in [0, 1)", self.dropout)

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers=self.numbers, levels_below=self.levels_below, max_onehot=self.max_onehot)

    def _asked_for(self) -> list[Part]:
        """Every part that is given as levels can be asked for."""
        return [part for part in self.vectors_.parts_ if not part.is_number]

    def _vocabularies(self) -> list[Vocabulary]:
        return [Vocabulary(part.n_tokens, part.codes) for part in self._asked_for()]

    def _levels(self) -> list[Levels]:
        return [Levels(part.index, self.codec_.counts_[part.index]) for part in self._asked_for()]

    def _build(self) -> nn.Module:
        return ResidualGenerator(self.noise, 0, self.generator, self._groups(), self._vocabularies())

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        tokens = prepared.tokens[prepared.inside]
        asker = LevelAsker(self._levels(), tokens)
        self._asker = LevelAsker(self._levels())
        objective = Adversarial(
            network,
            PackedCritic(self.vectors_.width, self.pack, self.critic, self.dropout, vocabularies=self._vocabularies()),
            tokens,
            encode=self.vectors_.encode,
            draw=self._draw,
            likeness=self._likeness(prepared),
            recipe=self._recipe(len(tokens)),
            seed=prepared.seed,
            asker=asker if asker.levels else None,
            device=prepared.device,
        )
        return objective, objective.average

    def _recipe(self, rows: int) -> Recipe:
        return Recipe(
            batch_size=self.batch_size or batch_rows(rows),
            epochs=self.epochs,
            critic_steps=self.critic_steps,
            penalty=self.penalty,
            learning_rate=self.learning_rate,
            patience=self.patience,
        )

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        device = next(network.parameters()).device
        noise = torch.randn(n, self.noise).to(device)
        condition = None
        if self._asker.levels:
            condition = torch.from_numpy(self._asker.ask(n, rng, by_log=False).level).to(device)
        return self._tokens(network, network(noise, condition), rng, tokens=tokens, given=given)

    def _restore_own(self, values: dict[str, Any], arrays: Any) -> None:
        del values, arrays
        self._asker = LevelAsker(self._levels())
