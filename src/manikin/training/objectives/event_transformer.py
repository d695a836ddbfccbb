"""Trains a transformer over patients' events: windows of like length, averaged weights, held-out likelihood. Knows tokens alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.training.adam import decaying
from manikin.training.networks.event_history import History, Ints, Plan, Vocabulary
from manikin.training.networks.event_transformer import EventNet
from manikin.training.networks.event_windows import Windows, cut, window_nats
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.averaged import Averaged


@dataclass(frozen=True)
class EventRecipe:
    """How the network is trained.

    Attributes
    ----------
    batch_events : events per step. epochs : passes over the events that the plan is made of.
    window, overlap : most events of a window, and how many of these a later window of the same record sees for context alone.
    learning_rate : the peak, after a warm-up of 5 % of the plan; then a cosine to 1 % of it.
    weight_decay : decoupled, on weights and embeddings, not on biases and scales.
    without_plan : share of windows that are not told the plan.
    last_phase : share of the plan over which dropout falls to zero.
    average : share of the steps done that the averaged weights remember.
    validations : looks at the held-out patients within the plan; patience : of these without a better one before the run stops.
    held_out_events : most events that a look scores.
    """

    batch_events: int = 4096
    epochs: float = 4.0
    window: int = 512
    overlap: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    without_plan: float = 0.2
    last_phase: float = 0.3
    average: float = 0.1
    validations: int = 12
    patience: int | None = 3
    held_out_events: int = 60_000


@dataclass(frozen=True)
class EventData:
    """What is learned from.

    Attributes
    ----------
    static : int64 (n_patients, n_fields), the plan's fields behind the patient's own.
    plan : draws every patient's plan within its groups, as it is drawn for new patients, so that neither is told more exactly.
    """

    history: History
    vocabulary: Vocabulary
    static: Tensor
    plan: Callable[[np.random.Generator], Plan]


Batch = tuple[Windows, npt.NDArray[np.bool_]]


class EventObjective(Averaged[EventNet]):
    """The objective that the loop trains; `average` holds the weights to keep.

    Parameters
    ----------
    inside, outside : patients to learn from, and others to stop by, int64.
    """

    has_fixed_batches = True

    def __init__(self, network: EventNet, data: EventData, inside: Ints, outside: Ints, recipe: EventRecipe) -> None:
        self.network, self.data, self.recipe, self.inside = network, data, recipe, inside
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self._ours: list[Tensor] = list(network.parameters())
        self._averaged: list[Tensor] = list(self.average.parameters())
        self.n_events = int(data.history.lengths[inside].sum())
        positions = self.n_events + len(inside)
        self.steps_per_epoch = max(1, round(positions / recipe.batch_events))
        self.planned_steps = max(1, round(self.steps_per_epoch * recipe.epochs))
        self.validate_every = max(1, self.planned_steps // recipe.validations)
        self.patience = recipe.patience
        self._done = torch.zeros(2)  # steps, and the share of the plan that they are
        self._held_out = self._some(outside)
        self._plan = self._plan_of_look = data.plan(np.random.default_rng(0))

    def _some(self, outside: Ints) -> Windows | None:
        lengths = self.data.history.lengths[outside]
        outside = outside[: max(1, int((np.cumsum(lengths) <= self.recipe.held_out_events).sum()))]
        if not len(outside):
            return None
        return cut(self.data.history.starts, outside, window=self.recipe.window, overlap=self.recipe.overlap)

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase."""
        optimiser = decaying(self.network, self.recipe.learning_rate, self.recipe.weight_decay)
        return [Stage([Phase("likelihood", self.network, optimiser, self._loss, clip_norm=1.0, schedule=_warm_cosine)])]

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows of like length together, in about `batch_events` positions; the batches in any order."""
        r = self.recipe
        self._plan = self.data.plan(rng)
        windows = cut(self.data.history.starts, self.inside, window=r.window, overlap=r.overlap, rng=rng)
        told = rng.random(len(windows)) >= r.without_plan
        lengths = windows.lengths * np.exp(0.1 * rng.standard_normal(len(windows)))  # so that not always the same meet
        order = np.argsort(lengths, kind="stable")
        per_batch = _grouped(windows.lengths[order], r.batch_events)
        for b in rng.permutation(len(per_batch) - 1):
            rows = order[per_batch[b] : per_batch[b + 1]]
            yield windows[rows], told[rows]

    def _loss(self, batch: Batch) -> Tensor:
        """Nats of each window, scaled so that their mean is nats per event, (n_windows,)."""
        windows, told = batch
        late = max(0.0, (float(self._done[1]) - 1 + self.recipe.last_phase) / self.recipe.last_phase)
        self.network.dropout_scale = 1.0 - late
        self.network.train()
        out = self._nats(self.network, windows, told, self._plan)
        n_asked = int((windows.stop - windows.asked).sum()) + 1
        return out * (len(out) / n_asked)

    def _nats(self, network: nn.Module, windows: Windows, told: npt.NDArray[np.bool_], plan: Plan) -> Tensor:
        assert isinstance(network, EventNet)
        data = self.data
        return window_nats(network, data.vocabulary, data.history, data.static, plan, windows, told)

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; the memory grows with the steps, so that early weights are forgotten."""
        self._done += 1
        self._done[1] = fraction
        memory = max(1.0, min(float(self._done[0]) * self.recipe.average, self.planned_steps * self.recipe.average))
        torch._foreach_lerp_(self._averaged, self._ours, 1 / memory)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Held-out nats per event, the mean of those told of a plan and those not; None without held-out patients."""
        windows = self._held_out
        if windows is None:
            return None
        self.average.eval()
        lost = 0.0
        for rows in grouped_windows(windows, self.recipe.batch_events):
            lost += float(self._nats(self.average, windows[rows], rows % 2 == 0, self._plan_of_look).sum())
        return lost / max(int((windows.stop - windows.asked).sum()), 1)

    def state(self) -> Tensors:
        """How many steps the average has seen, and how much of the plan is done."""
        return {"done": self._done}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._done = tensors["done"].clone()


def grouped_windows(windows: Windows, most: int) -> list[Ints]:
    """Windows of like length together, in about `most` positions."""
    order = np.argsort(windows.lengths, kind="stable")
    edges = _grouped(windows.lengths[order], most)
    return [order[a:b] for a, b in pairwise(edges)]


def _grouped(lengths: Ints, most: int) -> Ints:
    """Edges of groups of about `most` positions, each window in one of them, int64 (n_groups + 1,)."""
    if not len(lengths):
        return np.zeros(1, dtype=np.int64)
    group = np.cumsum(lengths) - lengths
    group = group // max(most, 1)
    return np.concatenate([np.flatnonzero(np.diff(group, prepend=-1)), [len(lengths)]]).astype(np.int64)


def _warm_cosine(fraction: float) -> float:
    return min(1.0, fraction / 0.05) * (0.99 * 0.5 * (1 + math.cos(math.pi * fraction)) + 0.01)
