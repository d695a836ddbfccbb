"""What watches a training run and acts in plain words. Knows losses and the objective's modules, no model in particular."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from manikin.training.objective import Objective


@dataclass(frozen=True)
class Finding:
    """What a monitor saw. `stop` ends the run, with the best weights so far where there are any."""

    action: Literal["warn", "stop"]
    message: str


class Monitor(Protocol):
    """Asked after every step."""

    def observe(self, step: int, losses: Mapping[str, float], objective: Objective) -> Finding | None:
        """`losses` are the phases' mean losses of this step."""
        ...


@dataclass
class Divergence:
    """Stops a run whose loss is no number any more, or lies far above where it began.

    Parameters
    ----------
    factor : how many times the first losses' size counts as diverged.
    """

    factor: float = 50.0
    _first: dict[str, float] | None = None

    def observe(self, step: int, losses: Mapping[str, float], objective: Objective) -> Finding | None:
        """Looks at every phase's loss."""
        del objective  # only the losses speak here
        bad = [name for name, loss in losses.items() if not math.isfinite(loss)]
        if bad:
            return Finding("stop", f"diverged: the {bad[0]} loss became infinite or undefined at step {step}")
        if self._first is None:
            self._first = {name: max(abs(loss), 1.0) for name, loss in losses.items()}
        for name, loss in losses.items():
            if abs(loss) > self.factor * self._first.setdefault(name, max(abs(loss), 1.0)):
                return Finding("stop", f"diverged: the {name} loss grew more than {self.factor:g} times by step {step}")
        return None
