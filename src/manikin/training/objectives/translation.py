"""Trains networks that turn one image into another: from pairs (pix2pix), or from two heaps without pairs (CycleGAN). Knows no network.

pix2pix (arXiv 1611.07004): a game of patches given the source, and the mean absolute distance from the target, its weight 100.
CycleGAN (arXiv 1703.10593): two translators and two critics, least squares (arXiv 1611.04076), there and back again gives the image (10),
and an image of the target's kind stays as it is (half of that).
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.image_batches import Encoded

Rows = npt.NDArray[np.int64]
MOST_WEIGHT = 10.0  # of one pixel


@dataclass(frozen=True)
class TranslationRecipe:
    """How translators are trained.

    Attributes
    ----------
    epochs, batch_size, learning_rate : of Adam (betas 0.5, 0.999); the rate sinks over the second half of the plan.
    distance : weight of the distance from the target, or of the way there and back. focus : how much more pixels weigh in it that are
        far off than those that are nearly right; 0 weighs all alike. identity : weight of staying the same.
    average_steps : memory of the averaged weights, in steps. validations : looks at held-out pairs over the plan.
    """

    epochs: int = 60
    batch_size: int = 16
    learning_rate: float = 2e-4
    distance: float = 100.0
    focus: float = 0.0
    identity: float = 0.0
    average_steps: int = 200
    validations: int = 15


@dataclass(frozen=True)
class SidesBatch:
    """Images of the source and of the target, (n, channels, *size) each; of the same rows where they are pairs."""

    source: Tensor
    target: Tensor


class Translation(ABC):
    """What both share; `average` is what is kept.

    Parameters
    ----------
    translators : "there", and "back" where there is one. critics : by the side whose images they judge.
    columns : of the source and of the target. sources, targets : rows to learn from. held_out : rows of pairs to choose weights by.
    filmed : drawn sources, of no patient, whose translations the filmstrip shows, (n, channels, *size).
    """

    has_fixed_batches = True

    def __init__(
        self,
        translators: nn.ModuleDict,
        critics: nn.ModuleDict,
        images: Encoded,
        columns: tuple[str, str],
        *,
        sources: Rows,
        targets: Rows,
        held_out: Rows,
        filmed: npt.NDArray[np.float32],
        recipe: TranslationRecipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self.images, self.columns, self.recipe, self.seed, self.device = images, columns, recipe, seed, device
        self.sources, self.targets, self.held_out = sources, targets, held_out
        self.network, self.critics = translators.to(device), critics.to(device)
        self.average = copy.deepcopy(translators).requires_grad_(requires_grad=False).eval()
        self.batch_size = max(1, min(recipe.batch_size, len(sources), len(targets)))
        self.n_batches = max(1, max(len(sources), len(targets)) // self.batch_size)
        self.planned_steps = self.n_batches * recipe.epochs
        self.validate_every = max(1, math.ceil(self.planned_steps / recipe.validations))
        self.patience: int | None = None
        self._steps = torch.zeros(1)
        self._filmed = torch.from_numpy(filmed).to(device)

    @abstractmethod
    def critic_loss(self, batch: SidesBatch) -> Tensor:
        """One loss per image, (n,)."""

    @abstractmethod
    def translator_loss(self, batch: SidesBatch) -> Tensor:
        """One loss per image, (n,)."""

    @abstractmethod
    def batches(self, rng: np.random.Generator) -> Iterator[SidesBatch]:
        """One pass; each phase has a batch of its own."""

    def stages(self) -> Sequence[Stage]:
        """One stage: the critics, then the translators."""
        rate, betas = self.recipe.learning_rate, (0.5, 0.999)
        critics = Adam(self.critics.parameters(), lr=rate, betas=betas)
        network = Adam(self.network.parameters(), lr=rate, betas=betas)
        return [
            Stage(
                [
                    Phase("critic", self.critics, critics, self.critic_loss, schedule=_sinking, drifts=True),
                    Phase("translator", self.network, network, self.translator_loss, schedule=_sinking, drifts=True),
                ]
            )
        ]

    def side(self, which: int, rows: Rows) -> Tensor:
        """Images of the source (0) or target (1) of these rows."""
        return torch.from_numpy(self.images.pixels(self.columns[which], rows)).to(self.device)

    def orders(self, rng: np.random.Generator, rows: Rows) -> Iterator[Rows]:
        """Rows in batches, shuffled again where they have run out."""
        order = np.empty(0, dtype=np.int64)
        for _ in range(2 * self.n_batches):
            while len(order) < self.batch_size:
                order = np.concatenate([order, rows[rng.permutation(len(rows))]])
            yield order[: self.batch_size]
            order = order[self.batch_size :]

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; early ones are forgotten."""
        del fraction
        self._steps += 1
        memory = min(self.recipe.average_steps, 1 + 0.1 * float(self._steps))
        averaged: list[Tensor] = list(self.average.parameters())
        ours: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averaged, ours, 1 / memory)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Mean absolute distance of translated from true held-out targets, in [0, 2]; None without pairs."""
        if not len(self.held_out):
            return None
        losses = []
        for at in range(0, len(self.held_out), 64):
            rows = self.held_out[at : at + 64]
            losses.append((self.average["there"](self.side(0, rows)) - self.side(1, rows)).abs().flatten(1).mean(1))
        return float(torch.cat(losses).mean())

    def signals(self) -> Mapping[str, float]:
        """None: the losses say it all."""
        return {}

    def film(self) -> Mapping[str, Sequence[float]]:
        """None."""
        return {}

    @torch.no_grad()
    def pictures(self) -> Mapping[str, npt.NDArray[Any]]:
        """What a few sources become that are nobody's: what real ones become is nearly their patients' targets."""
        return {self.columns[1]: self.average["there"](self._filmed).cpu().numpy()}

    def modules(self) -> Mapping[str, nn.Module]:
        """Translators, critics, and the averaged translators."""
        return {"translators": self.network, "critics": self.critics, "average": self.average}

    def state(self) -> Tensors:
        """Steps averaged over."""
        return {"steps": self._steps}

    def load_state(self, tensors: Tensors) -> None:
        """Takes them back."""
        self._steps = tensors["steps"].clone()


class Paired(Translation):
    """pix2pix: the critic sees source and target together."""

    def batches(self, rng: np.random.Generator) -> Iterator[SidesBatch]:
        """Pairs."""
        for rows in self.orders(rng, self.sources):
            yield SidesBatch(self.side(0, rows), self.side(1, rows))

    def critic_loss(self, batch: SidesBatch) -> Tensor:
        """The original game, mean over patches, halved as in the paper."""
        with torch.no_grad():
            made = self.network["there"](batch.source)
        critic = self.critics["target"]
        real, fake = critic(torch.cat([batch.source, batch.target], 1)), critic(torch.cat([batch.source, made], 1))
        return (F.softplus(-real) + F.softplus(fake)).mean(1) / 2

    def translator_loss(self, batch: SidesBatch) -> Tensor:
        """The game, and the distance from the target."""
        made = self.network["there"](batch.source)
        score = self.critics["target"](torch.cat([batch.source, made], 1))
        return F.softplus(-score).mean(1) + self.recipe.distance * _distance(made, batch.target, self.recipe.focus)


class Cyclic(Translation):
    """CycleGAN: each side is shuffled for itself, even where rows have both."""

    def batches(self, rng: np.random.Generator) -> Iterator[SidesBatch]:
        """Sources and targets that have nothing to do with each other."""
        ours, theirs = rng.spawn(2)
        for rows, others in zip(self.orders(ours, self.sources), self.orders(theirs, self.targets), strict=True):
            yield SidesBatch(self.side(0, rows), self.side(1, others))

    def critic_loss(self, batch: SidesBatch) -> Tensor:
        """Least squares, both critics."""
        with torch.no_grad():
            there, back = self.network["there"](batch.source), self.network["back"](batch.target)
        total = torch.zeros(len(batch.source), device=self.device)
        for side, real, made in (("target", batch.target, there), ("source", batch.source, back)):
            total = total + ((self.critics[side](real) - 1).square() + self.critics[side](made).square()).mean(1) / 2
        return total

    def translator_loss(self, batch: SidesBatch) -> Tensor:
        """Least squares, there and back again, staying the same."""
        there, back = self.network["there"], self.network["back"]
        to_target, to_source = there(batch.source), back(batch.target)
        game = (self.critics["target"](to_target) - 1).square().mean(1) + (self.critics["source"](to_source) - 1).square().mean(1)
        focus = self.recipe.focus
        again = _distance(back(to_target), batch.source, focus) + _distance(there(to_source), batch.target, focus)
        loss = game + self.recipe.distance * again
        if self.recipe.identity and batch.source.shape[1] == batch.target.shape[1]:
            same = _distance(there(batch.target), batch.target) + _distance(back(batch.source), batch.source)
            loss = loss + self.recipe.identity * same
        return loss


def _distance(made: Tensor, wanted: Tensor, focus: float = 0.0) -> Tensor:
    """Mean absolute distance of each image, (n,).

    With focus f a pixel at distance d weighs (d / the image's mean d)^f, at most `MOST_WEIGHT`: among a thousand nearly right pixels
    twenty of a missed lesion would not be heard (the idea of focal losses, Lin et al. 2017, arXiv 1708.02002). Weights are constants.
    """
    distance = (made - wanted).abs().flatten(1)
    if not focus:
        return distance.mean(1)
    with torch.no_grad():
        weight = (distance / distance.mean(1, keepdim=True).clamp_min(1e-6)).pow(focus).clamp(max=MOST_WEIGHT)
    return (weight * distance).mean(1)


def _sinking(fraction: float) -> float:
    """Full over the first half of the plan, then down in a line, to a fiftieth."""
    return 1.0 if fraction < 0.5 else max(2 * (1 - fraction), 0.02)
