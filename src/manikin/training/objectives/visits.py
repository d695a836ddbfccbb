"""Trains the two-level network of visits by likelihood. Knows sets of parts, not what they mean."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manikin.training.adam import decaying
from manikin.training.networks.visits import Sets, VisitBatch, VisitNet
from manikin.training.objective import Phase, Stage
from manikin.training.objectives.averaged import AveragedOverSteps

Ints = npt.NDArray[np.int64]
WARM = 0.05  # of the plan
ENDS = 1  # the part that says so
MOST_HELD_OUT = 2_000  # patients


@dataclass(frozen=True)
class VisitData:
    """Encoded patients: visits of patient i from starts[i] to starts[i + 1], the parts of visit v from edges[v] to edges[v + 1].

    Attributes
    ----------
    static : int64 (n_patients, n_static_fields). starts : int64 (n_patients + 1,). edges : int64 (n_visits + 1,). parts : int64.
    """

    static: Ints
    starts: Ints
    edges: Ints
    parts: Ints

    @property
    def lengths(self) -> Ints:
        """Visits of each patient, int64 (n_patients,)."""
        return np.diff(self.starts)

    def batch(self, patients: Ints) -> VisitBatch:
        """Some patients, ready for the network."""
        lengths = self.lengths[patients]
        visits = _ranges(self.starts[patients], lengths)
        sizes = (self.edges[1:] - self.edges[:-1])[visits]
        parts = self.parts[_ranges(self.edges[visits], sizes)]
        first = np.cumsum(sizes) - sizes
        is_visit = np.ones(len(visits) + len(patients), dtype=bool)
        is_visit[np.cumsum(lengths + 1) - 1] = False
        asked_sizes = np.ones(len(is_visit), dtype=np.int64)
        asked_sizes[is_visit] = sizes
        asked = np.full(int(asked_sizes.sum()), ENDS, dtype=np.int64)
        asked[np.repeat(is_visit, asked_sizes)] = parts
        as_tensor = torch.from_numpy
        return VisitBatch(
            static=as_tensor(self.static[patients]),
            lengths=as_tensor(lengths),
            visits=Sets(as_tensor(parts), as_tensor(first)),
            asked=Sets(as_tensor(asked), as_tensor(np.cumsum(asked_sizes) - asked_sizes)),
            is_visit=as_tensor(is_visit),
        )


@dataclass(frozen=True)
class VisitRecipe:
    """How the network is trained.

    Attributes
    ----------
    batch_visits : visits per step, about. epochs : passes that the plan is made of. learning_rate : the peak of the schedule.
    weight_decay : on matrices. patience : looks at held-out patients without a better one; None goes on. validations : looks.
    """

    batch_visits: int
    epochs: int
    learning_rate: float
    weight_decay: float
    patience: int | None = 5
    validations: int = 20
    average_steps: int = 100


class VisitObjective(AveragedOverSteps[VisitNet]):
    """Negative log-likelihood of whole patients; `average` holds the weights to keep.

    Parameters
    ----------
    inside, outside : patients to learn from and to stop by, int64.
    """

    has_fixed_batches = True

    def __init__(
        self, network: VisitNet, data: VisitData, inside: Ints, outside: Ints, recipe: VisitRecipe, device: torch.device
    ) -> None:
        self.network, self.data, self.recipe, self.device = network.to(device), data, recipe, device
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.inside, self.outside = inside, outside[:MOST_HELD_OUT]
        visits = int((data.lengths[inside] + 1).sum())
        self.per_patient = visits / max(len(inside), 1)
        self.planned_steps = max(1, math.ceil(visits / recipe.batch_visits)) * recipe.epochs
        self.validate_every = max(1, self.planned_steps // recipe.validations)
        self.patience = recipe.patience
        super().__init__(recipe.average_steps)

    def stages(self) -> Sequence[Stage]:
        """One stage of one phase."""
        optimiser = decaying(self.network, self.recipe.learning_rate, self.recipe.weight_decay)
        return [Stage([Phase("likelihood", self.network, optimiser, self._loss, clip_norm=1.0, schedule=_warm_cosine)])]

    def batches(self, rng: np.random.Generator) -> Iterator[VisitBatch]:
        """Patients of like length together, in about `batch_visits` visits; the batches in any order."""
        lengths = self.data.lengths[self.inside] + 1
        order = np.argsort(lengths * np.exp(0.1 * rng.standard_normal(len(lengths))), kind="stable")
        number = np.cumsum(lengths[order]) // self.recipe.batch_visits
        edges = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [len(order)]])
        for b in rng.permutation(len(edges) - 1):
            yield on(self.data.batch(self.inside[order[edges[b] : edges[b + 1]]]), self.device)

    def _loss(self, batch: VisitBatch) -> Tensor:
        """Nats of each patient per visit of an average one, (n,)."""
        self.network.train()
        static, visits = self.network.nats(batch)
        return (static + visits) / self.per_patient

    @torch.no_grad()
    def validate(self) -> float | None:
        """Held-out nats per visit; None without held-out patients."""
        if not len(self.outside):
            return None
        self.average.eval()
        lost = 0.0
        for start in range(0, len(self.outside), 256):
            static, visits = self.average.nats(on(self.data.batch(self.outside[start : start + 256]), self.device))
            lost += float((static + visits).sum())
        return lost / int((self.data.lengths[self.outside] + 1).sum())


def on(batch: VisitBatch, device: torch.device) -> VisitBatch:
    """The batch on a device."""
    move = lambda sets: Sets(sets.parts.to(device), sets.starts.to(device))  # noqa: E731
    return VisitBatch(
        batch.static.to(device), batch.lengths.to(device), move(batch.visits), move(batch.asked), batch.is_visit.to(device)
    )


def _ranges(first: Ints, sizes: Ints) -> Ints:
    """The numbers first[i] … first[i] + sizes[i] - 1, one range behind the other."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(first - before, sizes) + np.arange(int(sizes.sum()))


def _warm_cosine(fraction: float) -> float:
    """Rises over a twentieth of the plan, then falls to a hundredth."""
    if fraction < WARM:
        return max(fraction / WARM, 0.05)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (fraction - WARM) / (1 - WARM)))
