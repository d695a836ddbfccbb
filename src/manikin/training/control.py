"""What a user may ask of a training run, and what the run tells back. Knows no torch, so that command lines can build it quickly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes
    ----------
    step, total_steps : gradient steps done and planned.
    fraction : share of the plan that is done, in [0, 1].
    loss, validation : latest training and validation loss, None before the first one.
    seconds : wall seconds of training so far, earlier parts of a resumed run included.
    message : the stage's name.
    signals : what monitors watch, as last measured (see `training.monitors`); empty for models that have none.
    warning : the latest warning of a monitor, in plain words; empty when there is none.
    """

    step: int
    total_steps: int
    fraction: float
    loss: float | None = None
    validation: float | None = None
    seconds: float = 0.0
    message: str = ""
    signals: Mapping[str, float] = field(default_factory=dict)
    warning: str = ""


@dataclass(frozen=True)
class Control:
    """What a user may ask of a training run.

    Parameters
    ----------
    time_budget_seconds : wall seconds for training; the run plans as many steps as fit and records how many it took.
    max_steps : most gradient steps; the plan (and with it the learning-rate schedule) shrinks to it.
    planned_steps, stop_at : a replay's plan and last step, as recorded by the run that is replayed; they overrule the two above.
    checkpoint : folder for resuming; written now and then, removed by whoever made it.
    checkpoint_seconds : least wall seconds between two checkpoints.
    on_progress : called a few times a second at most.
    device : "cpu", "cuda", or "auto" (cuda where there is one).
    """

    time_budget_seconds: float | None = None
    max_steps: int | None = None
    planned_steps: int | None = None
    stop_at: int | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 20.0
    on_progress: Callable[[Progress], None] | None = None
    device: str = "auto"

    def at_most(self, steps: int | None) -> Control:
        """The same wishes with no more than these steps; unchanged for None."""
        if steps is None:
            return self
        return replace(self, max_steps=steps if self.max_steps is None else min(steps, self.max_steps))


@dataclass
class Training:
    """What a run did, as it goes into the manifest and the report.

    Attributes
    ----------
    planned_steps, steps : the plan and what was done.
    stopped_because : "plan done", "time budget", "no better on held-out rows", "stop asked by replay" or a monitor's reason.
    curve : [step, mean training loss since the last entry, validation loss or None].
    best_step : the step whose weights were kept, None where the last ones were.
    warnings : what monitors said.
    signals : at each entry of the curve the mean loss and last gradient norm of every phase ("loss: critic", "gradient: critic") and the
        objective's signals, with "step".
    film : a few moments of training, each {"step": …, "bins": {field: shares of bins in what was generated}}, of images
        {"step": …, "pictures": {column: a sheet of generated images, PNG in base64}}, which are spread over runs of any length.
    """

    planned_steps: int = 0
    steps: int = 0
    stopped_because: str = ""
    curve: list[list[float | None]] = field(default_factory=list)
    best_step: int | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    is_resumed: bool = False
    device: str = "cpu"
    signals: list[dict[str, float]] = field(default_factory=list)
    film: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain values; wall seconds are rounded."""
        return {
            "planned_steps": self.planned_steps,
            "steps": self.steps,
            "stopped_because": self.stopped_because,
            "best_step": self.best_step,
            "curve": self.curve,
            "warnings": self.warnings,
            "seconds": round(self.seconds, 1),
            "resumed": self.is_resumed,
            "device": self.device,
            "signals": self.signals,
            "film": self.film,
        }
