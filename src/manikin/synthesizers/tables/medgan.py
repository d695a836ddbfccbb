"""medGAN: bags of diagnosis and medication codes by a GAN behind an autoencoder (Choi et al. 2017, arXiv 1703.06490).

From the paper: an autoencoder of one hidden layer learned first, a residual generator with batch normalisation in its latent space whose
rows go through the same decoder, a critic that sees each row beside its batch's mean, two critic steps to one of the generator, decay
1e-3, batches of 1,000. `game="original"` and `temperature=None` are the paper's.

Departures (docs/synthesizers/medgan.md): the game is Wasserstein with gradient penalty (medWGAN, Baowaly et al. 2019,
doi:10.1093/jamia/ocy142), since in the original one the critic wins and rows repeat; columns beside the codes are taken along as levels
and numbers; how often a code stands in a set is a choice among the counts that k patients hold, not a rounded ReLU; the critic sees
near-discrete draws (Gumbel-softmax) and rows are drawn likewise, where the paper shows it probabilities and rounds them at one half; the
autoencoder's stage ends when held-out rows are reconstructed no better; the sampling generator is an average, and the best by held-out
rows is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import Numbers, VectorCodec
from manikin.data.errors import parameter_error
from manikin.data.seeds import generator
from manikin.synthesizers.tables.one_shot import OneShot, Prepared, check_encoding, check_layers, check_numbers
from manikin.training.networks.latent import AveragingCritic, LatentGenerator, RowEncoder
from manikin.training.objective import Objective
from manikin.training.objectives.adversarial import Recipe
from manikin.training.objectives.autoencoded import Autoencoded
from manikin.training.objectives.likeness import Likeness

MOST_LOOKED_AT = 3000  # held-out rows
FEWEST_IN_BATCH = 50  # a smaller table repeats its rows


@dataclass(kw_only=True)
class MedGAN(OneShot):
    """GAN behind an autoencoder, made for sets of codes.

    Parameters
    ----------
    epochs, pretrain_epochs : passes of the game, and most passes of the autoencoder before it.
    batch_size, learning_rate, weight_decay : of Adam for every network; a batch is no larger than the table.
    latent : width of code, noise and blocks. blocks : of the generator. critic : hidden units per layer. critic_steps : per generator
    step. game : "wasserstein" or "original" (the paper's). temperature : of the near-discrete draws that the critic sees; None shows it
    probabilities, as in the paper.
    numbers : how number columns beside the codes are given, "modes", "quantile" or "standard". levels_below, max_onehot : as in `ctgan`.
    patience : looks at held-out rows without a better one before the run stops, out of 40 over the plan; None goes through with it.
    max_codes : most codes of a set that are learned, the most frequent ones. max_steps : most steps, whatever the epochs.
    """

    name: ClassVar[str] = "medgan"
    epochs: int = 1000
    pretrain_epochs: int = 100
    batch_size: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    latent: int = 128
    blocks: int = 2
    critic: tuple[int, ...] = (256, 128)
    critic_steps: int = 2
    game: Literal["original", "wasserstein"] = "wasserstein"
    temperature: float | None = 0.66
    numbers: Numbers = "modes"
    levels_below: int = 24
    max_onehot: int = 64
    max_codes: int = 1024
    patience: int | None = 12
    max_steps: int | None = None

    def _check(self) -> None:
        whole = (
            "epochs",
            "pretrain_epochs",
            "batch_size",
            "latent",
            "blocks",
            "critic_steps",
            "levels_below",
            "max_onehot",
            "max_codes",
        )
        positive = ("learning_rate", "temperature")
        check_numbers(self, self.name, whole=(*whole, "patience", "max_steps"), positive=positive)
        check_layers(self, self.name, ("critic",))
        check_encoding(self, self.name)
        if self.game not in ("original", "wasserstein"):
            raise parameter_error("game", self.name, "original or wasserstein", self.game)
        if (
            isinstance(self.weight_decay, bool)
            or not isinstance(self.weight_decay, int | float)
            or not 0 <= self.weight_decay < 1
        ):
            raise parameter_error("weight_decay", self.name, "a number in [0, 1)", self.weight_decay)
        if self.latent > 4096 or self.blocks > 16:
            raise parameter_error("latent", self.name, "at most 4096, with at most 16 blocks", (self.latent, self.blocks))

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers=self.numbers, levels_below=self.levels_below, max_onehot=self.max_onehot)

    def _build(self) -> nn.Module:
        return LatentGenerator(self.latent, self.blocks, self._groups())

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        assert isinstance(network, LatentGenerator)
        objective = Autoencoded(
            network,
            AveragingCritic(self._groups(), self.critic),
            prepared.tokens[prepared.inside],
            encoder=RowEncoder(self._groups(), self.latent),
            outside=prepared.tokens[prepared.outside],
            pretrain_epochs=self.pretrain_epochs,
            soft_temperature=self.temperature,
            critic_decay=self.weight_decay,
            encode=self.vectors_.encode,
            draw=self._draw,
            likeness=self._likeness(prepared),
            recipe=self._recipe(len(prepared.inside)),
            seed=prepared.seed,
            device=prepared.device,
        )
        return objective, objective.average

    def _likeness(self, prepared: Prepared) -> Likeness:
        """A look at a table of many codes is dear: samples are held against at most 3,000 rows."""
        rows = generator(prepared.seed, "looks").permutation(prepared.outside)[:MOST_LOOKED_AT]
        return super()._likeness(replace(prepared, outside=rows))

    def _recipe(self, n_rows: int) -> Recipe:
        return Recipe(
            game=self.game,
            batch_size=min(self.batch_size, max(n_rows, FEWEST_IN_BATCH)),
            epochs=self.epochs,
            critic_steps=self.critic_steps,
            learning_rate=self.learning_rate,
            betas=(0.9, 0.999),
            weight_decay=self.weight_decay,
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
        noise = torch.randn(n, self.latent).to(device)
        return self._tokens(network, network(noise), rng, tokens=tokens, given=given)
