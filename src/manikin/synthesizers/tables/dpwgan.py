"""DPWGAN: a Wasserstein GAN with clipped weights whose critic learns by DP-SGD (Arjovsky et al. 2017, arXiv 1701.07875; 1802.06739).

Knows no mechanism: samples, clipping and noise are `privacy.dpsgd`'s. Without a ledger the same networks learn from plain gradients. Weight
clipping bounds the critic's slope; it is not what makes it private. What the entry to NIST's challenge of this name got wrong
(arXiv 2405.10994) and why it cannot happen here stands in docs/synthesizers/dpwgan.md.

Departures from the papers: as `dpgan` from its own; plain gradient descent for the critic, whose step and decay say how many steps' noise
averages out, instead of RMSProp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import VectorCodec
from manikin.privacy import dpsgd
from manikin.synthesizers.tables.one_shot import (
    OneShot,
    Prepared,
    SealedRows,
    check_layers,
    check_numbers,
    check_onehot,
)
from manikin.synthesizers.tables.private_rows import (
    at_known_shares,
    check_share,
    draw_rows,
    features_of,
    game_of,
    levels_only,
    pair_features,
    recipe_of,
    sampler_of,
)
from manikin.training.networks.pairs import PlainGenerator
from manikin.training.objective import Objective
from manikin.training.objectives.private_game import Recipe


@dataclass(kw_only=True)
class DPWGAN(OneShot):
    """Wasserstein GAN with a private critic.

    Parameters
    ----------
    rounds : of critic_steps critic steps on patients, each with noise, and generator_steps generator steps, which are free.
    sampling_rate : chance of each patient to be in a critic step. clip_norm : most that one of them adds to a step.
    weight_clip : largest weight of the critic.
    features : random features of pairs of columns that the critic looks at. critic : its hidden units per layer, none for a linear one.
    noise, generator : input and hidden units of the generator. batch_size : made rows in a step.
    critic_rate, critic_decay : of the critic's gradient descent. learning_rate, generator_decay : of the generator's Adam.
    score, anchor : weights of the critic's score and of the known shares in the generator's loss.
    max_tokens : most bins of a number column. max_onehot : larger vocabularies are given as random codes. max_steps : most rounds.
    """

    name: ClassVar[str] = "dpwgan"
    is_private: ClassVar[bool] = True
    holds_out: ClassVar[bool] = False
    rounds: int = 200
    critic_steps: int = 1
    generator_steps: int = 3
    sampling_rate: float = 0.1
    clip_norm: float = 1.0
    weight_clip: float = 0.3
    features: int = 2048
    critic: tuple[int, ...] = ()
    noise: int = 32
    generator: tuple[int, ...] = (64, 64)
    batch_size: int = 512
    critic_rate: float = 1.0
    critic_decay: float = 0.03
    learning_rate: float = 2e-3
    generator_decay: float = 4.0
    score: float = 30.0
    anchor: float = 1.0
    max_tokens: int = 32
    max_onehot: int = 64
    max_steps: int | None = None

    def _check(self) -> None:
        whole = ("rounds", "critic_steps", "generator_steps", "features", "noise", "batch_size", "max_tokens", "max_onehot")
        rates = ("weight_clip", "critic_rate", "critic_decay", "learning_rate", "generator_decay", "score", "anchor")
        check_numbers(self, self.name, whole=(*whole, "max_steps"), positive=("sampling_rate", "clip_norm", *rates))
        check_share(self, self.name, "sampling_rate")
        check_layers(self, self.name, ("generator", *(("critic",) if self.critic else ())))
        check_onehot(self, self.name)

    def _max_tokens(self) -> int:
        return self.max_tokens

    def _vector_codec(self) -> VectorCodec:
        return levels_only(self.max_onehot)

    def _build(self) -> nn.Module:
        return PlainGenerator(self.noise, self.generator, self._groups())

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        features = pair_features(self, self.features, prepared.seed)
        game = game_of(self, network, features, features_of(self, features, prepared.tokens), prepared.device, self._recipe())
        return game, game.average

    def _private_objective(self, network: nn.Module, rows: SealedRows) -> tuple[Objective, nn.Module, dpsgd.Sampler | None]:
        features = pair_features(self, self.features, rows.seed)
        sampler = sampler_of(self, rows, features, rounds=self.rounds)
        game = game_of(self, network, features, None, rows.device, self._recipe())
        return game, game.average, sampler

    def _recipe(self) -> Recipe:
        return recipe_of(self, game="wasserstein", weight_clip=self.weight_clip)

    def _finish(self, network: nn.Module, seed: int) -> nn.Module:
        return at_known_shares(self, network, seed)

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        return draw_rows(self, network, self.noise, n, rng, tokens, given)
