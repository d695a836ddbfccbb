"""Trains the small autoencoder of patients' summaries by its bound. Knows rows of numbers and flags."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manikin.data.seeds import derive
from manikin.training.adam import Adam
from manikin.training.networks.summary_vae import SummaryVAE
from manikin.training.objective import Phase, Stage
from manikin.training.objectives.averaged import AveragedOverSteps

Rows = npt.NDArray[np.float32]
AVERAGED = 100  # steps


@dataclass(frozen=True)
class SummaryRows:
    """Rows of patients: numbers, whether each is known (1 or 0), flags (1 or 0); all float32 (n, …)."""

    values: Rows
    known: Rows
    flags: Rows

    def __len__(self) -> int:
        return len(self.values)

    def tensors(self, rows: npt.NDArray[np.int64] | slice = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
        """Some rows for the network."""
        values, known, flags = (torch.from_numpy(np.ascontiguousarray(one[rows])) for one in (self.values, self.known, self.flags))
        return values, known, flags


class SummaryObjective(AveragedOverSteps[SummaryVAE]):
    """The negative bound per row; `average` holds the weights to keep, chosen by the rows held out."""

    has_fixed_batches = True
    patience: int | None = 8

    def __init__(
        self, network: SummaryVAE, inside: SummaryRows, outside: SummaryRows, *, epochs: int, learning_rate: float, seed: int
    ) -> None:
        self.network, self.inside, self.outside, self.seed = network, inside, outside, seed
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.learning_rate = learning_rate
        self.batch_size = int(np.clip(len(inside) // 8, 8, 128))
        self.planned_steps = max(1, math.ceil(len(inside) / self.batch_size)) * epochs
        self.validate_every = max(1, self.planned_steps // 40)
        super().__init__(AVERAGED)

    def stages(self) -> Sequence[Stage]:
        """One stage of one phase."""
        optimiser = Adam(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-2, decoupled=True)
        return [Stage([Phase("bound", self.network, optimiser, self._loss, clip_norm=5.0, schedule=_calm, drifts=True)])]

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Shuffled rows."""
        order = rng.permutation(len(self.inside))
        for start in range(0, len(order), self.batch_size):
            yield self.inside.tensors(order[start : start + self.batch_size])

    def _loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        self.network.train()
        return _bound(self.network, batch, torch.randn(len(batch[0]), self.network.posterior.out_features // 2))

    @torch.no_grad()
    def validate(self) -> float | None:
        """The averaged network's negative bound of the rows held out, with the same noise at every look."""
        if not len(self.outside):
            return None
        self.average.eval()
        made = torch.Generator().manual_seed(derive(self.seed, "look"))
        noise = torch.randn(len(self.outside), self.average.posterior.out_features // 2, generator=made)
        return float(_bound(self.average, self.outside.tensors(), noise).mean())


def _bound(network: SummaryVAE, batch: tuple[Tensor, Tensor, Tensor], noise: Tensor) -> Tensor:
    parts, divergence = network.nats(*batch, noise)
    return parts.sum(1) + divergence


def _calm(fraction: float) -> float:
    return 1.0 if fraction < 0.6 else max(0.05, (1 - fraction) / 0.4)
