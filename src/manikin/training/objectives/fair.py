"""FairGAN's game (arXiv 1805.11202): beside the critic a second one guesses the protected group from generated rows alone. Knows no table.

The generator is to leave it nothing to guess by. What is learned is parity between the groups, at the price of likeness to the real rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.networks.latent import Cells
from manikin.training.networks.mixed import Group
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.adversarial import Batch
from manikin.training.objectives.autoencoded import Autoencoded, Coded

Tokens = npt.NDArray[np.int32]


class GroupCritic(nn.Module):
    """Rows without the protected cells to one score per group.

    Parameters
    ----------
    groups : what a row is made of. hidden : units per layer. n_out : protected groups.
    """

    def __init__(self, groups: Sequence[Group], hidden: Sequence[int], n_out: int) -> None:
        super().__init__()
        self.cells = Cells(groups)
        layers: list[nn.Module] = []
        size = self.cells.width
        for units in hidden:
            layers += [nn.Linear(size, units), nn.LeakyReLU(0.2)]
            size = units
        self.layers = nn.Sequential(*layers, nn.Linear(size, n_out))

    def forward(self, rows: Tensor) -> Tensor:
        """(n, width) to (n, n_out)."""
        scores: Tensor = self.layers(self.cells(rows))
        return scores


class FairGame(Autoencoded):
    """Adversarial training around a protected column that is given, with a second critic that guesses it.

    Parameters
    ----------
    protected : the field that is given. outcome : a field whose parity counts as much as that of all others when the run looks for
        its best weights, or None. given, made : cells of a row's vector. parts : which of the fields are made, in the head's order.
    shares : of the protected groups, (n_groups,). fairness : weight of the second critic, lambda in the paper.
    group_critic : guesses the group.
    """

    def __init__(
        self,
        *players: Any,
        protected: int,
        outcome: int | None,
        given: slice,
        parts: Sequence[int],
        shares: npt.NDArray[np.float32],
        fairness: float,
        group_critic: GroupCritic,
        **rest: Any,
    ) -> None:
        super().__init__(*players, **rest)
        self.protected, self.outcome, self.given, self.parts = protected, outcome, given, list(parts)
        self.shares = torch.from_numpy(shares).to(self.device)
        self.fairness, self.group_critic = fairness, group_critic.to(self.device)
        self._drawn: Tokens | None = None
        self._apart = torch.full((1,), torch.nan)  # the groups' distance from each other at the last look
        draw = self.draw

        def remembered(network: nn.Module, n: int, rng: np.random.Generator) -> Tokens:
            """The sample of a look, kept to see how far its groups lie apart."""
            self._drawn = draw(network, n, rng)
            return self._drawn

        self.draw = remembered

    def _coded(self, tokens: Tokens, rng: np.random.Generator) -> Coded:
        """What is made as `real`, the protected group as `condition` and as `option`."""
        vectors = self.encode(tokens, rng)
        made = np.concatenate([vectors[:, : self.given.start], vectors[:, self.given.stop :]], axis=1)
        target = self.options(tokens[:, self.parts], made)
        return Coded(
            self._tensor(made),
            self._tensor(vectors[:, self.given]),
            option=self._tensor(tokens[:, self.protected].astype(np.int64)),
            target=self._tensor(target),
        )

    def stages(self) -> Sequence[Stage]:
        """The autoencoder; then both critics and the generator in turn."""
        first, second = super().stages()
        critic, network = second.phases
        rate, betas = self.recipe.learning_rate, self.recipe.betas
        adam = Adam(self.group_critic.parameters(), lr=rate, betas=betas, weight_decay=self.critic_decay)
        fair = Phase(
            "group critic",
            self.group_critic,
            adam,
            self.group_loss,
            repeats=self.recipe.critic_steps,
            touches_records=False,
            mixes_records=True,
            drifts=True,
        )
        return [first, Stage([critic, *([fair] if self.fairness else []), network], share=second.share)]

    def group_loss(self, batch: Batch) -> Tensor:
        """How badly the group of generated rows is guessed, (n,); only the groups of the batch are taken from it, no row."""
        assert batch.option is not None
        with torch.no_grad():
            made = self.synthetic(batch)
        return F.cross_entropy(self.group_critic(made), batch.option, reduction="none")

    def further_loss(self, batch: Batch, made: Tensor) -> Tensor | None:
        """Fairness times the cross-entropy between the groups' shares and the guesses, (n,): least where guesses say nothing."""
        del batch
        if not self.fairness:
            return None
        return -self.fairness * (self.shares * torch.log_softmax(self.group_critic(made), 1)).sum(1)

    def validate(self) -> float | None:
        """Distance from held-out rows and, weighted by fairness, of the groups' rows from each other."""
        drift = super().validate()
        if drift is None or not self.fairness or self._drawn is None:
            return drift
        apart = self.likeness.disparity(self._drawn, self.protected)
        others = np.delete(apart, self.protected)
        mean = float(others.mean()) if len(others) else 0.0
        disparity = mean if self.outcome is None else (mean + float(apart[self.outcome])) / 2
        self._apart = torch.tensor([disparity])
        return drift + self.fairness * disparity

    def modules(self) -> Mapping[str, nn.Module]:
        """The second critic too."""
        return {**super().modules(), "group critic": self.group_critic}

    def signals(self) -> Mapping[str, float]:
        """How far the groups lie apart, 0 … 1, beside what the monitors watch."""
        return {**super().signals(), "disparity": float(self._apart)}

    def state(self) -> Tensors:
        """That too."""
        return {**super().state(), "apart": self._apart}

    def load_state(self, tensors: Tensors) -> None:
        """Takes it back."""
        super().load_state(tensors)
        self._apart = tensors["apart"].clone()
