"""A generator against a critic of which only the critic sees patients, by DP-SGD (DPGAN; with clipped weights, DPWGAN). Knows no columns.

Xie et al. 2018, arXiv 1802.06739: the critic's gradients are clipped per patient and get noise; whatever the generator learns from the
critic is post-processing and free, so that it may take as many steps as it likes. The critic's loss on real rows and that on made rows are
steps of their own: the first is clipped and gets noise, the second touches no patient, takes the same number of rows always, and needs
neither, so a patient changes only half of what the paper's step lets her change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.descent import Descent
from manikin.training.networks.mixed import LEAK
from manikin.training.networks.pairs import PairFeatures, PlainGenerator
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.held_to_shares import HeldToShares


@dataclass(frozen=True)
class Recipe:
    """How the pair is trained.

    Attributes
    ----------
    game : "original" (non-saturating, arXiv 1406.2661) or "wasserstein" (arXiv 1701.07875, weights clipped to `weight_clip`).
    steps : rounds of critic_steps critic steps and generator_steps generator steps.
    batch_size : made rows in a generator's step, and real rows in a critic's where there is no ledger.
    critic_rate, critic_decay : of the critic's plain gradient descent; 1 / (rate * decay) is the number of steps whose noise averages out.
    learning_rate, generator_decay : of the generator's Adam; the decay pulls its columns towards independence, against dependence that only
        noise speaks for. weight_clip : of the Wasserstein critic.
    score, anchor : weights of the critic's score and of the known shares in the generator's loss.
    temperature : of the Gumbel-softmax. average_steps : memory of the averaged generator, in rounds.
    """

    game: Literal["original", "wasserstein"]
    steps: int
    critic_steps: int = 1
    generator_steps: int = 3
    batch_size: int = 256
    critic_rate: float = 1.0
    critic_decay: float = 0.03
    learning_rate: float = 2e-3
    weight_clip: float = 0.3
    anchor: float = 1.0
    score: float = 10.0
    generator_decay: float = 0.0
    temperature: float = 0.5
    average_steps: int = 100


class PairCritic(nn.Module):
    """Scores from fixed features of pairs of columns: linear, or with hidden units. No unit sees more than one row.

    Parameters
    ----------
    n_features : of a row. hidden : units per layer; none for a linear critic.
    """

    def __init__(self, n_features: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, units) for before, units in pairwise([n_features, *hidden, 1]))
        with torch.no_grad():
            last = self.layers[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.0 if not hidden else 1.0)
            last.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, n_features) to scores (n,)."""
        hidden = features
        for layer in self.layers[:-1]:
            hidden = F.leaky_relu(layer(hidden), LEAK)
        score: Tensor = self.layers[-1](hidden)
        return score.squeeze(1)


class PrivateGame(HeldToShares):
    """The objective that the loop trains; `average` is the generator to keep.

    Parameters
    ----------
    features : of a row's vector; `rows` are those of real rows, float32 (n, n_features), where there is no ledger, else None: they come
        from the sampler that the loop is given.
    shares : per group, the chances that are known already.
    """

    def __init__(
        self,
        network: PlainGenerator,
        critic: nn.Module,
        features: PairFeatures,
        *,
        shares: Sequence[npt.NDArray[np.float64]],
        recipe: Recipe,
        rows: npt.NDArray[np.float32] | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(network, features, shares, recipe, device)
        self.critic, self.recipe, self.rows = critic.to(self.device), recipe, rows
        self.planned_steps = recipe.steps
        self.has_fixed_batches = rows is not None

    def stages(self) -> Sequence[Stage]:
        """One stage: the critic on patients, as often on made rows, then the generator."""
        own = self.recipe
        limit = own.weight_clip if own.game == "wasserstein" else None
        critic = [
            Phase(
                f"critic on {what} rows",
                self.critic,
                Descent(self.critic.parameters(), lr=own.critic_rate, weight_decay=decay, limit=limit),
                loss,
                repeats=own.critic_steps,
                touches_records=is_real,
                mixes_records=is_real and int(getattr(self.critic, "pack", 1)) > 1,
                private_by="dpsgd" if is_real else None,
                drifts=True,
            )
            for what, loss, is_real, decay in (
                ("real", self.loss_on_real, True, 0.0),
                ("made", self.loss_on_made, False, own.critic_decay),
            )
        ]
        makes = Phase(
            "generator",
            self.network,
            self.optimiser(),
            self.generator_loss,
            repeats=own.generator_steps,
            touches_records=False,
            schedule=_slowing,
            drifts=True,
        )
        return [Stage([*critic, makes])]

    def batches(self, rng: np.random.Generator) -> Iterator[Tensor | None]:
        """Features of shuffled real rows where there is no ledger; nothing under one."""
        if self.rows is None:
            yield from (None for _ in range(1 << 10))
            return
        size = min(self.recipe.batch_size, len(self.rows))
        order = rng.permutation(len(self.rows))
        for at in range(0, len(order) - size + 1, size):
            yield torch.from_numpy(self.rows[order[at : at + size]]).to(self.device)

    def loss_on_real(self, rows: Tensor) -> Tensor:
        """One loss per real row, of that row alone, (n,)."""
        score = self.critic(rows)
        return F.softplus(-score) if self.recipe.game == "original" else -score

    def loss_on_made(self, batch: object) -> Tensor:
        """One loss per made row, as many as always, (batch_size,): no patient is near, so this has no noise."""
        del batch
        with torch.no_grad():
            made = self.made(self.recipe.batch_size, hard=True)[0]
        score = self.critic(made)
        return F.softplus(score) if self.recipe.game == "original" else score

    def generator_loss(self, batch: object) -> Tensor:
        """The critic's score of each made row, and how far the columns' shares are from the known ones, (batch_size,)."""
        del batch
        made, given = self.made(self.recipe.batch_size)
        score = self.critic(made)
        lost = F.softplus(-score) if self.recipe.game == "original" else -score
        return self.recipe.score * lost + self.recipe.anchor * self.shares.divergence(given)

    def modules(self) -> Mapping[str, nn.Module]:
        """Both players and the averaged generator."""
        return {"generator": self.network, "critic": self.critic, "average": self.average}

    def state(self) -> Tensors:
        """The rounds averaged over, and what was bought before."""
        return {"rounds": self._rounds, **self.bought}

    def load_state(self, tensors: Tensors) -> None:
        """Takes them back."""
        self._rounds = tensors["rounds"].clone()


def _slowing(done: float) -> float:
    """The generator's rate: whole until half of the plan, then falling to a twentieth, so that it comes to rest in the noise."""
    return float(np.clip(2 - 2 * done, 0.05, 1.0))
