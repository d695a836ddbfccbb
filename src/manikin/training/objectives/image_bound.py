"""Trains a variational autoencoder of images by its evidence lower bound; averaged weights, chosen on held-out images. Knows no network."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.data.seeds import derive
from manikin.training.adam import Adam
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.averaged import Averaged
from manikin.training.objectives.image_batches import ImageBatch, ImageRows
from manikin.training.pictures import MOST_PICTURES


@dataclass(frozen=True)
class BoundRecipe:
    """How the network is trained.

    Attributes
    ----------
    steps : that the plan is made of. learning_rate : Adam's. calm : share of the plan, at its end, in which it
        sinks. warm_up : share of the plan over which the divergence's weight grows from a tenth.
    validations : looks at held-out images over the plan. average_steps : memory of the averaged weights, in steps.
    """

    steps: int = 2600
    learning_rate: float = 2e-3
    calm: float = 0.4
    warm_up: float = 0.1
    validations: int = 15
    average_steps: int = 300


class ImageBound(Averaged[nn.Module]):
    """The objective that the loop trains; `average` is the network to keep.

    Parameters
    ----------
    network : has `bound(images, tokens)` to log likelihood and divergence, each (n,). held_out : may have no rows.
    """

    has_fixed_batches = True

    def __init__(self, network: nn.Module, data: ImageRows, held_out: ImageRows | None, *, recipe: BoundRecipe, seed: int) -> None:
        self.data, self.held_out, self.recipe, self.seed = data, held_out, recipe, seed
        self.network = network.to(data.device)
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self.planned_steps = recipe.steps
        self.validate_every = max(1, math.ceil(self.planned_steps / recipe.validations))
        self.patience: int | None = None
        self._progress = torch.zeros(2)  # steps, share of the plan

    def stages(self) -> Sequence[Stage]:
        """One stage of one phase."""
        optimiser = Adam(self.network.parameters(), lr=self.recipe.learning_rate, betas=(0.9, 0.99))
        return [Stage([Phase("bound", self.network, optimiser, self.loss, clip_norm=1.0, schedule=self._rate, drifts=True)])]

    def _rate(self, fraction: float) -> float:
        return min(1.0, 0.05 + fraction * 50) * (1.0 if fraction < 1 - self.recipe.calm else max(0.03, (1 - fraction) / self.recipe.calm))

    def batches(self, rng: np.random.Generator) -> Iterator[ImageBatch]:
        """Shuffled images."""
        return self.data.shuffled(rng)

    def loss(self, batch: ImageBatch) -> Tensor:
        """The negative bound, nats per pixel and channel, (n,)."""
        weight = min(1.0, 0.1 + 0.9 * float(self._progress[1]) / max(self.recipe.warm_up, 1e-9))
        likely, divergence = self.network.bound(batch.pixels, batch.tokens)  # type: ignore[operator]
        return (weight * divergence - likely) / batch.pixels[0].numel()

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; early ones are forgotten."""
        self._progress[0] += 1
        self._progress[1] = fraction
        memory = min(self.recipe.average_steps, 1 + 0.1 * float(self._progress[0]))
        averaged: list[Tensor] = list(self.average.parameters())
        ours: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averaged, ours, 1 / memory)

    @torch.no_grad()
    def validate(self) -> float | None:
        """The averaged network's negative bound on held-out images, bits per pixel and channel; the same noise at every look."""
        if self.held_out is None:
            return None
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "look"))
            losses = []
            rows, size = self.held_out.rows, self.held_out.batch_size
            for at in range(0, len(rows), size):
                batch = self.held_out.batch(rows[at : at + size])
                likely, divergence = self.average.bound(batch.pixels, batch.tokens)  # type: ignore[operator]
                losses.append((divergence - likely) / batch.pixels[0].numel())
        return float(torch.cat(losses).mean()) / math.log(2)

    @torch.no_grad()
    def pictures(self) -> Mapping[str, npt.NDArray[Any]]:
        """What the averaged network draws for the same attributes from the same noise each time."""
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "film"))
            tokens = self.data.batch(self.data.rows[:MOST_PICTURES]).tokens
            made = self.average.draw(tokens, temperature=1.0, has_noise=False)  # type: ignore[operator]
        return {self.data.column: made.cpu().numpy()}

    def state(self) -> Tensors:
        """Where the run stands."""
        return {"progress": self._progress}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._progress = tensors["progress"].clone()
