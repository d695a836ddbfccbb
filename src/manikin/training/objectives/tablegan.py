"""table-GAN's losses (arXiv 1806.03384, section 4.2): the original game, the information loss, the classification loss. Knows no columns.

The hinges of the information loss are a dial for how near generated rows come to real ones. They bound nothing that could be proved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.networks.matrices import MatrixCritic
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.adversarial import Adversarial, Batch

MEMORY = 0.99  # of the features' moments, as in the paper


class TableGame(Adversarial):
    """The original game with two further losses for the generator.

    Parameters
    ----------
    classifier : rows without the label's cells to the label's cells; None where there is no label.
    label : the label's cells in a row. activate : what the classifier gives to cells of a row (softmax, tanh).
    information : weight of the information loss (1 in the paper). delta_mean, delta_sd : distances of the features' means and standard
        deviations below which it is silent; 0 asks for the nearest rows.
    """

    critic: MatrixCritic

    def __init__(
        self,
        *players: Any,
        classifier: nn.Module | None,
        label: slice,
        activate: Any,
        information: float,
        delta_mean: float,
        delta_sd: float,
        **rest: Any,
    ) -> None:
        super().__init__(*players, **rest)
        self.classifier = None if classifier is None else classifier.to(self.device)
        self.label, self.activate = label, activate
        self.information, self.delta_mean, self.delta_sd = information, delta_mean, delta_sd
        self._moments = torch.zeros(
            4, self.critic.n_features, device=self.device
        )  # mean, sd of real features; then of synthetic ones

    def stages(self) -> Sequence[Stage]:
        """Critic, classifier, generator in turn."""
        (stage,) = super().stages()
        critic, network = stage.phases
        phases = [critic]
        if self.classifier is not None:
            rate, betas = self.recipe.learning_rate, self.recipe.betas
            adam = Adam(self.classifier.parameters(), lr=rate, betas=betas)
            phases.append(Phase("classifier", self.classifier, adam, self.classifier_loss, mixes_records=True))
        return [Stage([*phases, replace(network, touches_records=True, mixes_records=True)])]  # it sees moments of real rows

    def classifier_loss(self, batch: Batch) -> Tensor:
        """How far labels of real rows lie from what the classifier says of the rest, (n,)."""
        return self._mislabelled(batch.real)

    def _mislabelled(self, rows: Tensor) -> Tensor:
        """|l(x) - C(remove(x))|, halved and summed over the label's cells, (n,): 0 … 1 for a label of levels."""
        assert self.classifier is not None
        rest = torch.cat(
            [rows[:, : self.label.start], torch.zeros_like(rows[:, self.label]), rows[:, self.label.stop :]], dim=1
        )
        return (rows[:, self.label] - self.activate(self.classifier(rest))).abs().sum(1) / 2

    def further_loss(self, batch: Batch, made: Tensor) -> Tensor:
        """Information loss (the same for every row of the batch) and classification loss, (n,)."""
        loss = self._information_loss(batch.real, made).expand(len(made))
        return loss if self.classifier is None else loss + self._mislabelled(made)

    def _information_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Hinged distances of the features' exponentially averaged means and standard deviations (paper, equations 2 to 4)."""
        with torch.no_grad():
            on_real = self.critic.features(real)
        on_made = self.critic.features(made)
        seen = torch.stack([on_real.mean(0), on_real.std(0), on_made.mean(0), on_made.std(0)])
        is_first = not bool(self._moments.any())
        moments = seen if is_first else MEMORY * self._moments + (1 - MEMORY) * seen
        self._moments = moments.detach()
        mean_gap = torch.linalg.vector_norm(moments[0] - moments[2])
        sd_gap = torch.linalg.vector_norm(moments[1] - moments[3])
        return self.information * (torch.relu(mean_gap - self.delta_mean) + torch.relu(sd_gap - self.delta_sd))

    def modules(self) -> Mapping[str, nn.Module]:
        """The classifier too."""
        return {**super().modules(), **({} if self.classifier is None else {"classifier": self.classifier})}

    def state(self) -> Tensors:
        """The features' moments, beside the rest."""
        return {**super().state(), "moments": self._moments}

    def load_state(self, tensors: Tensors) -> None:
        """Takes them back."""
        super().load_state(tensors)
        self._moments = tensors["moments"].to(self.device, copy=True)
