"""Adversarial training behind an autoencoder (medGAN, arXiv 1703.06490): it learns first, then feeds what is generated. Knows no table.

Stage 1 fits encoder and decoder by reconstruction and ends when held-out rows are reconstructed no better. Stage 2 is the original game:
the generator's rows, decoded, against real ones; the decoder goes on learning with the generator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.data.seeds import generator
from manikin.training.adam import Adam
from manikin.training.networks.latent import LatentGenerator, RowEncoder
from manikin.training.networks.mixed import Given
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.adversarial import Adversarial, Batch

Tokens = npt.NDArray[np.int32]
ENOUGH = 0.005  # a held-out reconstruction counts as better when its loss falls by this share
LOOKS = 2  # looks without a better one that end the first stage
MOST_HELD_OUT = 2000
CHOSEN_FROM = 0.5  # share of the plan from which weights are chosen


@dataclass(frozen=True)
class Coded(Batch):
    """A batch with what its rows are to be reconstructed as: `target` int64 (n, n_groups), the option of each group."""

    target: Tensor | None = None


class Autoencoded(Adversarial):
    """Adversarial training of a latent generator, with the autoencoder's stage before it.

    Parameters
    ----------
    encoder : rows to latents. outside : int32 (n, n_fields), rows of other patients that end the first stage; train rows when none.
    pretrain_epochs : most passes of the first stage. soft_temperature : of the Gumbel-softmax; None hands the critic shares, as the paper.
    critic_decay : Adam's weight decay of the critic, and of the autoencoder.
    """

    def __init__(
        self,
        network: LatentGenerator,
        critic: nn.Module,
        tokens: Tokens,
        *,
        encoder: RowEncoder,
        outside: Tokens,
        pretrain_epochs: int,
        soft_temperature: float | None,
        critic_decay: float,
        **rest: Any,
    ) -> None:
        super().__init__(network, critic, tokens, **rest)
        self.encoder = encoder.to(self.device)
        self.pretrain_steps = self.steps_per_epoch * pretrain_epochs
        self.adversarial_steps = self.planned_steps
        self.planned_steps += self.pretrain_steps
        self.validate_every = max(1, math.ceil(self.planned_steps / self.recipe.validations))
        self.soft_temperature, self.critic_decay = soft_temperature, critic_decay
        self._is_pretraining, self._fraction = True, 0.0
        self._held_out = outside if len(outside) else tokens
        self._reconstructed = torch.tensor([math.inf, 0.0])  # least loss on held-out rows, looks since then
        widths = [group.width for group in self.head.groups]
        starts = np.cumsum([0, *widths[:-1]]) if widths else np.zeros(0, dtype=np.int64)
        self._scalars = torch.tensor(
            [int(start) for start, group in zip(starts, self.head.groups, strict=True) if group.has_scalar], dtype=torch.long
        )

    def stages(self) -> Sequence[Stage]:
        """The autoencoder, then the critic's steps and one of the generator with its decoder."""
        rate, betas = self.recipe.learning_rate, self.recipe.betas

        def adam(module: nn.Module, decay: float) -> Adam:
            return Adam(module.parameters(), lr=rate, betas=betas, weight_decay=decay)

        coder = nn.ModuleList([self.encoder, self.head])
        return [
            Stage(
                [Phase("autoencoder", coder, adam(coder, self.critic_decay), self.autoencoder_loss)],
                share=self.pretrain_steps,
                name="autoencoder",
                until=self._is_reconstructed,
            ),
            Stage(
                [
                    Phase(
                        "critic",
                        self.critic,
                        adam(self.critic, self.critic_decay),
                        self.critic_loss,
                        repeats=self.recipe.critic_steps,
                        mixes_records=True,
                        drifts=True,
                    ),
                    Phase(
                        "generator",
                        self.network,
                        adam(self.network, self.recipe.weight_decay),
                        self.generator_loss,
                        touches_records=False,
                        drifts=True,
                    ),
                ],
                share=self.adversarial_steps,
            ),
        ]

    def batch(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Coded:
        """Rows with the options to reconstruct them as."""
        return self._coded(self.tokens[rows], rng)

    def _coded(self, tokens: Tokens, rng: np.random.Generator) -> Coded:
        vectors = self.encode(tokens, rng)
        return Coded(self._tensor(vectors), target=self._tensor(self.options(tokens, vectors)))

    def options(self, tokens: Tokens, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The option of each of the head's groups, (n, n_groups): the token itself for levels, the mode or constant for numbers."""
        out, at = tokens.astype(np.int64), 0
        for g, group in enumerate(self.head.groups):
            if group.has_scalar:
                out[:, g] = vectors[:, at + 1 : at + 1 + group.n_choices].argmax(1) if group.n_choices else 0
            at += group.width
        return out

    def autoencoder_loss(self, batch: Coded) -> Tensor:
        """What is lost of each row, (n,): cross-entropy of every choice and squared error of every scalar, summed."""
        self._is_pretraining = True
        return self._lost(batch)

    def _lost(self, batch: Coded) -> Tensor:
        given: Given = self.head(self.encoder(batch.real))
        assert batch.target is not None
        chosen = -self.head.log_likelihood(given, batch.target).sum(1)
        if not len(self._scalars):
            return chosen
        return chosen + F.mse_loss(given.scalars, batch.real[:, self._scalars], reduction="none").sum(1)

    def critic_loss(self, batch: Batch) -> Tensor:
        """One loss per row, (n,)."""
        self._is_pretraining = False
        return super().critic_loss(batch)

    def _soft(self, batch: Batch) -> tuple[Tensor, object]:
        noise = torch.randn(len(batch.real), int(self.network.n_noise), device=self.device)  # type: ignore[arg-type]
        given = self.network(noise, batch.condition)
        return self.head.soft(given, temperature=self.soft_temperature), given

    def after_step(self, fraction: float) -> None:
        """Averages the generator's weights from the second stage on; before, the average is the network itself."""
        self._fraction = fraction
        if self._is_pretraining:
            self.average.load_state_dict(self.network.state_dict())
            return
        super().after_step(fraction)

    def validate(self) -> float | None:
        """In the first stage the reconstruction is remembered; then as every adversarial model, told from the middle of the plan on.

        A generator that has not learned yet draws codes by their shares alone, which lies nearer to held-out rows than its first attempts
        at patients do: chosen by that, no run would ever be better than where it began.
        """
        if not self._is_pretraining:
            measured = super().validate()
            return measured if self._fraction >= CHOSEN_FROM else None
        with torch.no_grad():
            rng = generator(self.seed, "reconstruction")
            rows = rng.permutation(len(self._held_out))[:MOST_HELD_OUT]
            lost = float(self._lost(self._coded(self._held_out[rows], rng)).mean())
        if lost < float(self._reconstructed[0]) * (1 - ENOUGH):
            self._reconstructed = torch.tensor([lost, 0.0])
        else:
            self._reconstructed[1] += 1
        return None

    def signals(self) -> Mapping[str, float]:
        """What the monitors watch; in the first half of the plan neither coverage nor drift, so that nobody stops a generator whose first
        attempts repeat themselves before it had its time."""
        told = super().signals()
        return (
            told if self._fraction >= CHOSEN_FROM else {name: told[name] for name in told if name not in ("coverage", "drift")}
        )

    def _is_reconstructed(self) -> bool:
        return float(self._reconstructed[1]) >= LOOKS

    def modules(self) -> Mapping[str, nn.Module]:
        """The encoder too."""
        return {**super().modules(), "encoder": self.encoder}

    def state(self) -> Tensors:
        """How well held-out rows were reconstructed, beside the rest."""
        return {**super().state(), "reconstructed": self._reconstructed, "fraction": torch.tensor([self._fraction])}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        super().load_state(tensors)
        self._reconstructed = tensors["reconstructed"].clone()
        self._fraction = float(tensors["fraction"])
