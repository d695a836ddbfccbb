"""What a gradient-trained model brings to the one loop: stages of phases, batches, and what to keep. Knows no table and no image.

GAN                 one stage, two phases: critic (repeats=5, touches_records) and generator (touches_records=False)
medGAN, TimeGAN     several stages: an autoencoder first, then the adversarial pair
PATE                teachers with private_by="aggregate", each on its own partition; a student that touches no record
VAE, diffusion, autoregressive    one stage, one phase
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from manikin.training.adam import Optimiser

Batch = Any
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Phase:
    """One kind of gradient step.

    Attributes
    ----------
    module : what is trained here; only its parameters are stepped.
    loss : a batch to one loss per unit, shape (n_units,): a unit is a patient, or a pac of them when `mixes_records`. Under a ledger, by
        DP-SGD: rows to one loss per row, of that row and of draws of its own; phases that touch no records get None for a batch.
    repeats : gradient steps in a row, each on a batch of its own. every : do the phase at each such step only.
    touches_records : whether the loss sees real rows; a phase that does not is post-processing.
    mixes_records : whether one unit's loss depends on several patients (pacs, batch statistics, contrasts).
    private_by : how the phase is private under a ledger; None is refused there if it touches records.
    clip_norm : largest gradient norm, None for no limit.
    schedule : learning-rate factor for the share of the plan that is done, in [0, 1].
    drifts : the loss's level means nothing (a critic's scores); only an infinite or undefined one counts as diverged.
    """

    name: str
    module: torch.nn.Module
    optimiser: Optimiser
    loss: Callable[[Batch], torch.Tensor]
    repeats: int = 1
    every: int = 1
    touches_records: bool = True
    mixes_records: bool = False
    private_by: Literal["dpsgd", "aggregate"] | None = None
    clip_norm: float | None = None
    schedule: Callable[[float], float] | None = None
    drifts: bool = False


@dataclass(frozen=True)
class Stage:
    """Phases that take turns until the stage's share of the planned steps is done.

    Attributes
    ----------
    share : this stage's share of the plan; shares are taken relative to their sum.
    until : an end of its own, asked after every step; None runs the whole share.
    """

    phases: Sequence[Phase]
    share: float = 1.0
    name: str = "training"
    until: Callable[[], bool] | None = None


class Objective(Protocol):
    """A model in training. Its randomness comes from the loop: numpy's through `batches`, torch's through the step's own seed."""

    planned_steps: int
    validate_every: int
    patience: int | None
    has_fixed_batches: bool

    def stages(self) -> Sequence[Stage]:
        """The stages, made once per run."""
        ...

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One pass over the data; called again with the next pass's generator. Shuffled, balanced, unpaired, Poisson: its choice."""
        ...

    def after_step(self, fraction: float) -> None:
        """Averages weights, adapts augmentation, …; `fraction` of the plan is done."""
        ...

    def validate(self) -> float | None:
        """Loss on held-out rows, lower is better; None where the model has none."""
        ...

    def signals(self) -> Mapping[str, float]:
        """What monitors watch besides losses, as last measured; names and meanings stand in `training.monitors`. Often empty."""
        ...

    def film(self) -> Mapping[str, Sequence[float]]:
        """A frame of the filmstrip: per encoded field the shares of a few bins in what is generated now; empty where nothing is."""
        ...

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Everything that learns or averages, by name; a checkpoint holds their state."""
        ...

    def state(self) -> Tensors:
        """Further tensors that a checkpoint must hold (augmentation probability, running statistics)."""
        ...

    def load_state(self, tensors: Tensors) -> None:
        """Takes these back."""
        ...


@runtime_checkable
class FilmsPictures(Protocol):
    """What an objective of images brings besides: frames of pictures."""

    def pictures(self) -> Mapping[str, npt.NDArray[Any]]:
        """What is generated now: by column of images a few of them, float in [-1, 1] or uint8 (n, channels, *size), never real ones.

        Eight are shown. They come from the same noise and attributes each time, so that each picture can be seen taking shape. Asked for
        at eight moments spread over the plan and where the run ends; while there are none to show, again after the next step.
        """
        ...
