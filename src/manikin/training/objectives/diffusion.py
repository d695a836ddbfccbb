"""Trains a denoiser: mean squared error of the numbers' noise beside the bound of the choices (arXiv 2209.15421). Knows no columns."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manikin.data.seeds import derive, generator
from manikin.training.adam import Adam
from manikin.training.networks.mixed_diffusion import MixedDiffusion, Rows
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.averaged import Averaged

Tokens = npt.NDArray[np.int32]
Encode = Callable[[Tokens, np.random.Generator], tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]
LEAST_LOOK = 8000  # noised rows behind a held-out loss, so that its own noise does not choose
CHUNK = 2048


@dataclass(frozen=True)
class Recipe:
    """How the denoiser is trained.

    Attributes
    ----------
    steps : gradient steps of the plan. batch_size : rows per step. learning_rate, weight_decay : of AdamW; the rate falls to nothing.
    validations : looks at held-out rows over the plan. patience : looks without a better one before the run stops; None goes through.
    average_share : memory of the averaged weights, as a share of the steps done.
    """

    steps: int = 6000
    batch_size: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    validations: int = 30
    patience: int | None = 6
    average_share: float = 0.05


class Denoising(Averaged[MixedDiffusion]):
    """The objective that the loop trains; `average` is the diffusion to keep.

    Parameters
    ----------
    network : the diffusion. tokens, held_out : int32 (n, n_fields), to learn from and to stop by. encode : tokens to numbers and options.
    """

    has_fixed_batches = True

    def __init__(
        self,
        network: MixedDiffusion,
        tokens: Tokens,
        held_out: Tokens,
        *,
        encode: Encode,
        recipe: Recipe,
        seed: int,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.network = network.to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False).eval()
        self.tokens, self.held_out, self.encode = tokens, held_out, encode
        self.recipe, self.seed = recipe, seed
        self.batch_size = min(recipe.batch_size, len(tokens))
        self.planned_steps = recipe.steps
        self.validate_every = max(1, math.ceil(recipe.steps / recipe.validations))
        self.patience = recipe.patience
        self._averaged: list[Tensor] = list(self.average.parameters())
        self._ours: list[Tensor] = list(self.network.parameters())
        self._steps = torch.zeros(1)

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase."""
        optimiser = Adam(
            self.network.parameters(),
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
            decoupled=True,
        )
        return [Stage([Phase("denoising", self.network, optimiser, self._loss, clip_norm=5.0, schedule=_falling)])]

    def batches(self, rng: np.random.Generator) -> Iterator[Rows]:
        """Shuffled rows, numbers placed within their tokens anew at each pass; the rest that fills no batch waits for the next."""
        rows = self._rows(self.tokens[rng.permutation(len(self.tokens))], rng)
        for b in range(len(self.tokens) // self.batch_size):
            span = slice(b * self.batch_size, (b + 1) * self.batch_size)
            yield Rows(rows.scalars[span], rows.options[span])

    def _rows(self, tokens: Tokens, rng: np.random.Generator) -> Rows:
        scalars, options = self.encode(tokens, rng)
        return Rows(torch.from_numpy(scalars).to(self.device), torch.from_numpy(options).to(self.device))

    def _loss(self, rows: Rows) -> Tensor:
        numbers, choices = self.network.loss(rows, self._moments(len(rows.options)))
        return numbers + self.network.n_steps * choices

    def _moments(self, n: int) -> Tensor:
        """Steps 1 … n_steps, one in each of n even strata, int64 (n,)."""
        place = (torch.arange(n) + torch.rand(n)) / n
        return (place * self.network.n_steps).long().clamp_max(self.network.n_steps - 1).add(1).to(self.device)

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights over the latest share of the steps."""
        del fraction
        self._steps += 1
        memory = 1 + self.recipe.average_share * float(self._steps)
        torch._foreach_lerp_(self._averaged, self._ours, 1 / memory)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Loss on held-out rows with the same noise at every look; None without held-out rows."""
        if not len(self.held_out):
            return None
        times = math.ceil(LEAST_LOOK / len(self.held_out))
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "look"))
            rows = self._rows(np.tile(self.held_out, (times, 1)), generator(self.seed, "look"))
            moments = self._moments(len(rows.options))[torch.randperm(len(rows.options))]
            total, head = 0.0, self.average.denoiser.head
            most = CHUNK if head is None else min(CHUNK, head.rows_at_once)
            for start in range(0, len(moments), most):
                span = slice(start, start + most)
                numbers, choices = self.average.loss(Rows(rows.scalars[span], rows.options[span]), moments[span])
                total += float((numbers + self.network.n_steps * choices).sum())
        return total / len(moments)

    def state(self) -> Tensors:
        """Steps averaged over."""
        return {"steps": self._steps}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._steps = tensors["steps"].clone()


def _falling(fraction: float) -> float:
    return min(1.0, fraction / 0.03) * (0.99 * 0.5 * (1 + math.cos(math.pi * fraction)) + 0.01)
