"""What watches a training run and acts in plain words. Knows losses and an objective's signals, no model in particular.

Signals an objective may tell (each optional; a monitor whose signals are missing stays silent):

look                                number of the look at samples that the others come from, so that equal figures of two looks count twice
accuracy real, accuracy synthetic   share of rows of either kind that the critic puts on their side of the middle; 0.5 is a draw
wasserstein                         the critic's mean score of real rows less that of synthetic ones (arXiv 1701.07875), no unit
coverage                            share of the train rows' levels (those with 1 % or more) that occur in a sample, 0 … 1
duplicates                          share of a sample's rows that repeat an earlier one
duplicates of train                 the same of as many train rows
spread                              mean distance between a sample's images that were told the same over that of real ones, about 1; of
                                    the commonest labels the least
drift                               mean total variation distance of a sample's columns and pairs from held-out rows, 0 … 1
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from manikin.training.objective import Objective


@dataclass(frozen=True)
class Finding:
    """What a monitor saw. `stop` ends the run, with the best weights so far where there are any."""

    action: Literal["warn", "stop"]
    message: str


@dataclass(frozen=True)
class Seen:
    """What the loop shows after a step.

    Attributes
    ----------
    step, planned_steps : where the run stands.
    losses : the phases' mean losses of this step.
    drifting : phases whose loss has no level of its own (critic scores).
    """

    step: int
    planned_steps: int
    losses: Mapping[str, float]
    drifting: frozenset[str] = frozenset()


class Monitor(Protocol):
    """Asked after every step; what it remembers goes into checkpoints."""

    def observe(self, seen: Seen, objective: Objective) -> Finding | None:
        """A finding to act on, or None."""
        ...

    def state(self) -> dict[str, Any]:
        """What it remembers, as JSON values."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes that back."""
        ...


def standard_monitors() -> list[Monitor]:
    """The monitors of every run, each with a memory of its own."""
    return [Divergence(), Collapse(), LostBalance(), Worsening()]


@dataclass
class Divergence:
    """Stops a run whose loss is no number any more, or lies far above where it began.

    Parameters
    ----------
    factor : how many times the first losses' size counts as diverged; losses that drift by nature are only asked to be finite.
    """

    factor: float = 50.0
    _first: dict[str, float] = field(default_factory=dict)

    def observe(self, seen: Seen, objective: Objective) -> Finding | None:
        """Looks at every phase's loss."""
        del objective  # only the losses speak here
        bad = [name for name, loss in seen.losses.items() if not math.isfinite(loss)]
        if bad:
            return Finding("stop", f"diverged: the {bad[0]} loss became infinite or undefined at step {seen.step}")
        for name, loss in seen.losses.items():
            limit = self.factor * self._first.setdefault(name, max(abs(loss), 1.0))
            if name not in seen.drifting and abs(loss) > limit:
                return Finding("stop", f"diverged: the {name} loss grew more than {self.factor:g} times by step {seen.step}")
        return None

    def state(self) -> dict[str, Any]:
        """The first losses."""
        return {"first": dict(self._first)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self._first = dict(state["first"])


@dataclass
class _Patient:
    """Counts how often in a row something was seen, once per new measurement; speaks once."""

    _last: float = -1.0
    _n_bad: int = 0
    _has_spoken: bool = False

    def _count(self, signals: Mapping[str, float], *, is_bad: bool) -> bool:
        """Whether this is a new measurement; the run of bad ones is counted on."""
        look = signals.get("look", signals.get("drift", 0.0))
        if look == self._last:
            return False
        self._last = look
        self._n_bad = self._n_bad + 1 if is_bad else 0
        return True

    def state(self) -> dict[str, Any]:
        """The latest measurement and the count."""
        return {"last": self._last, "n_bad": self._n_bad, "has_spoken": self._has_spoken}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self._last, self._n_bad, self._has_spoken = state["last"], state["n_bad"], state["has_spoken"]


@dataclass
class Collapse(_Patient):
    """Mode collapse: a sample repeats itself far more than patients do, or leaves out most levels that patients hold.

    Parameters
    ----------
    least_coverage : share of common levels below which a sample counts as collapsed.
    more_duplicates : repeated rows above those of as many train rows.
    warm_up : share of the plan before which nothing is said.
    warn_after, stop_after : bad measurements in a row.
    """

    least_coverage: float = 0.5
    more_duplicates: float = 0.3
    warm_up: float = 0.1
    warn_after: int = 2
    stop_after: int = 6

    def observe(self, seen: Seen, objective: Objective) -> Finding | None:
        """Looks at the coverage of levels and at repeated rows."""
        signals = objective.signals()
        if "coverage" not in signals or seen.step < self.warm_up * seen.planned_steps:
            return None
        coverage, repeated = signals["coverage"], signals.get("duplicates", 0.0)
        usual = signals.get("duplicates of train", 0.0)
        is_bad = coverage < self.least_coverage or repeated > usual + self.more_duplicates
        if not self._count(signals, is_bad=is_bad) or not is_bad:
            return None
        what = (
            f"a sample holds {coverage:.0%} of the common levels and repeats {repeated:.0%} of its rows (patients: {usual:.0%})"
        )
        if self._n_bad >= self.stop_after:
            return Finding("stop", f"collapsed: {what} at step {seen.step}, {self._n_bad} looks in a row")
        if self._n_bad >= self.warn_after and not self._has_spoken:
            self._has_spoken = True
            return Finding("warn", f"Mode collapse shows at step {seen.step}: {what}.")
        return None


@dataclass
class LostBalance(_Patient):
    """Warns when the critic tells real from synthetic rows almost without error long into the run: the generator learns little then.

    Parameters
    ----------
    accuracy : on both kinds; 0.5 is a draw.
    warm_up : share of the plan before which nothing is said. warn_after : measurements in a row.
    """

    accuracy: float = 0.97
    warm_up: float = 0.4
    warn_after: int = 4

    def observe(self, seen: Seen, objective: Objective) -> Finding | None:
        """Looks at the critic's accuracy where the generator was measured."""
        signals = objective.signals()
        if "accuracy real" not in signals or self._has_spoken or seen.step < self.warm_up * seen.planned_steps:
            return None
        both = (signals["accuracy real"], signals["accuracy synthetic"])
        if not self._count(signals, is_bad=min(both) > self.accuracy) or self._n_bad < self.warn_after:
            return None
        self._has_spoken = True
        return Finding(
            "warn",
            f"At step {seen.step} the critic still tells {both[0]:.0%} of real and {both[1]:.0%} of synthetic rows (50 % would be a draw).",
        )


@dataclass
class Worsening(_Patient):
    """Warns when samples move away from held-out rows again: marginals drift. The loop keeps the best averaged weights anyway.

    Parameters
    ----------
    factor : how many times the best distance counts as far. warn_after : measurements in a row.
    """

    factor: float = 1.5
    least: float = 0.02
    warn_after: int = 3
    _best: float = math.inf

    def observe(self, seen: Seen, objective: Objective) -> Finding | None:
        """Looks at the distance of columns and pairs."""
        signals = objective.signals()
        drift = signals.get("drift")
        if drift is None or self._has_spoken:
            return None
        is_bad = drift > max(self.factor * self._best, self._best + self.least)
        if not self._count(signals, is_bad=is_bad):
            return None
        self._best = min(self._best, drift)
        if self._n_bad < self.warn_after:
            return None
        self._has_spoken = True
        return Finding(
            "warn",
            f"By step {seen.step} samples have drifted from held-out rows (distance {drift:.3f}, best {self._best:.3f}); "
            "the best averaged weights are kept.",
        )

    def state(self) -> dict[str, Any]:
        """The best distance too; None before the first."""
        return super().state() | {"best": None if math.isinf(self._best) else self._best}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        super().load_state(state)
        self._best = math.inf if state["best"] is None else state["best"]


@dataclass
class Narrowing(_Patient):
    """Mode collapse of images: those of one label lie far nearer to each other than real ones do (signal "spread").

    Parameters
    ----------
    least : share of the real images' mean distance below which a sample counts as collapsed. warm_up : share of the plan before which
        nothing is said. warn_after, stop_after : bad looks in a row.
    """

    least: float = 0.3
    warm_up: float = 0.2
    warn_after: int = 2
    stop_after: int = 6

    def observe(self, seen: Seen, objective: Objective) -> Finding | None:
        """Looks at how far apart a sample's images lie."""
        signals = objective.signals()
        if "spread" not in signals or seen.step < self.warm_up * seen.planned_steps:
            return None
        apart = signals["spread"]
        if not self._count(signals, is_bad=apart < self.least) or apart >= self.least:
            return None
        what = f"the images of one label lie {apart:.0%} as far apart as real ones"
        if self._n_bad >= self.stop_after:
            return Finding("stop", f"collapsed: {what} at step {seen.step}, {self._n_bad} looks in a row")
        if self._n_bad >= self.warn_after and not self._has_spoken:
            self._has_spoken = True
            return Finding("warn", f"Mode collapse shows at step {seen.step}: {what}.")
        return None
