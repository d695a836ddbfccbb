"""Several ways of making one attack: which is most surely dangerous, how dangerous at most, and for whom. Knows no attack.

Whoever tries many ways finds one that looks good by chance: the intervals count how many were tried (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.attacks.base import MIN_GROUP, least_risk, rate, residual_risk
from manikin.evaluation.base import Rate
from manikin.evaluation.definition import Interval, UndefinedMetricError, rounded
from manikin.evaluation.groups import groups
from manikin.evaluation.prepared import Prepared, Sample

Flags = npt.NDArray[np.bool_]
Whom = npt.NDArray[np.int64]
MIN_TARGETS = 20  # of train and of holdout, for a way to be judged
MAX_LISTED = 40


@dataclass(frozen=True)
class Trial:
    """One way of attacking.

    Attributes
    ----------
    labels : what sets it apart, by name.
    attack, control : which attempts succeeded on people of train and of holdout, bool.
    attacked, controls : what the attempts are about, one row each: the people, or the released rows that they were taken from.
    baseline : success of a guess without a release.
    found, found_control : whom each attempt found, int, where several may find one person: such successes are not independent.
    scale : the control's rate is multiplied by it, where its population is of another size.
    """

    labels: Mapping[str, Any]
    attack: Flags
    control: Flags
    baseline: Rate
    attacked: Sample
    controls: Sample
    found: Whom | None = None
    found_control: Whom | None = None
    scale: float = 1.0

    def within(self, attacked: Flags, controls: Flags) -> Trial:
        """The attempts about some people only."""
        return replace(
            self,
            attack=self.attack[attacked],
            control=self.control[controls],
            found=None if self.found is None else self.found[attacked],
            found_control=None if self.found_control is None else self.found_control[controls],
        )


@dataclass(frozen=True)
class Outcome:
    """What one way of attacking reached; `interval` counts how many ways were tried, `counted` are as many independent attempts."""

    trial: Trial
    attack: Rate
    control: Rate
    value: float
    interval: Interval
    counted: tuple[Rate, Rate]

    @property
    def certainty(self) -> float:
        """The lower end where it is above 0, else how far the value goes towards that; it grows with how sure the danger is."""
        low = self.interval[0]
        return low if low > 0 else low / max(self.value - low, 1e-9)

    @property
    def is_idle(self) -> bool:
        """Whether it surely does worse than a guess without a release, and so says nothing."""
        return self.attack.interval[1] < self.trial.baseline.value

    @property
    def summary(self) -> dict[str, Any]:
        """For the details."""
        return {
            **self.trial.labels,
            "risk": self.value,
            "risk_interval": self.interval,
            "attack": self.attack.value,
            "control": self.control.value,
            "baseline": self.trial.baseline.value,
            "n": self.attack.n,
            "n_control": self.control.n,
        }


@dataclass(frozen=True)
class Finding:
    """All ways together.

    Attributes
    ----------
    worst : the most surely dangerous way: the highest lower end; where none is above 0, the risk that lies most standard errors above it.
    interval : where the largest true risk of all ways lies with 95 % confidence: the highest lower and the highest upper end.
    power : the least risk that the worst way tells from its control with probability 0.8.
    """

    worst: Outcome
    outcomes: tuple[Outcome, ...]
    interval: Interval
    power: float
    n_left_out: int = 0
    note: str = ""

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """Of the ways, most surely dangerous first."""
        return [outcome.summary for outcome in self.outcomes[:MAX_LISTED]]


def found(trials: Sequence[Trial]) -> Finding:
    """Judges trials together; those with fewer than 20 targets a side, or with a control that never fails, are left out."""
    usable = [t for t in trials if min(len(t.attack), len(t.control)) >= MIN_TARGETS and not t.control.all()]
    if not usable:
        raise UndefinedMetricError(
            f"no way of attacking has {MIN_TARGETS} targets in train and in the holdout and a control that sometimes fails"
        )
    alpha = 0.05 / len(usable)
    outcomes = sorted((_outcome(trial, alpha) for trial in usable), key=lambda outcome: -outcome.certainty)
    worst = outcomes[0]
    return Finding(
        worst,
        tuple(outcomes),
        (min(worst.value, max(o.interval[0] for o in outcomes)), max(o.interval[1] for o in outcomes)),
        least_risk(worst.counted[0].n, worst.counted[1], alpha=alpha / 2),
        n_left_out=len(trials) - len(usable),
        note="The attack does worse than guessing without a release: it says nothing." if worst.is_idle else "",
    )


def judged_groups(data: Prepared, finding: Finding) -> list[dict[str, Any]]:
    """The worst way's residual risk within groups of patients, most surely bad first.

    The intervals count the groups and the ways (Bonferroni): the way was chosen for its success on the same people.
    """
    return by_group(data, finding.worst.trial, n_ways=len(finding.outcomes))


def by_group(data: Prepared, trial: Trial, *, n_ways: int = 1) -> list[dict[str, Any]]:
    """Residual risk within groups of patients with enough targets on both sides, intervals Bonferroni over these, most surely bad first."""
    parts = []
    for group in groups(data):
        part = trial.within(group.holds(trial.attacked), group.holds(trial.controls))
        if min(len(part.attack), len(part.control)) >= MIN_GROUP and not part.control.all():
            parts.append((group.name, part))
    alpha = 0.05 / max(len(parts) * n_ways, 1)
    made = []
    for name, part in parts:
        outcome = _outcome(part, alpha)
        made.append({"group": name, "n": outcome.attack.n, "value": outcome.value, "interval": outcome.interval})
    return most_surely_bad(made)


def most_surely_bad(made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries with an `interval`, highest lower end first."""
    return sorted((dict(entry) for entry in made), key=lambda entry: -entry["interval"][0])


def _outcome(trial: Trial, alpha: float) -> Outcome:
    attack, counted = _rates(trial.attack, trial.found, 1.0, alpha)
    control, counted_control = _rates(trial.control, trial.found_control, trial.scale, alpha)
    low, high = residual_risk(counted, counted_control, alpha=alpha)[1]
    value = 1 - (1 - attack.value) / (1 - control.value)
    return Outcome(trial, attack, control, value, (min(low, value), max(high, value)), (counted, counted_control))


def _rates(flags: Flags, whom: Whom | None, scale: float, alpha: float) -> tuple[Rate, Rate]:
    """A rate as it is shown, times `scale`, and the unclustered one that knows as much: of so many independent attempts.

    The variance of a rate p of n attempts that found person f s_f times is that of clusters, (Σ s_f² (1 - p)² + (n - Σ s_f) p²) / n².
    """
    n, hits = len(flags), int(flags.sum())
    p = hits / n
    variance = p * (1 - p) / n
    if whom is not None and 0 < hits < n:
        sizes = np.unique(whom[flags], return_counts=True)[1].astype(float)
        variance = max(variance, float((sizes**2).sum() * (1 - p) ** 2 + (n - hits) * p**2) / n**2)
    value = min(scale * p, 1 - 1 / n) if scale != 1.0 else p
    effective = n / scale if variance == 0 else value * (1 - value) / (scale**2 * variance)
    effective = max(1, round(min(effective, n)))
    alike = rate(round(value * effective), effective, alpha=alpha)
    if scale == 1.0 and effective == n:
        return alike, alike
    low, high = alike.interval
    return Rate(rounded(value) or 0.0, (min(low, value), max(high, value)), hits, n), alike


__all__ = ["Finding", "Outcome", "Trial", "by_group", "found", "judged_groups", "most_surely_bad"]
