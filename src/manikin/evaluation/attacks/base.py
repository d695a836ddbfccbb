"""What attacks share: who is attacked, how rates become a residual risk, how much an attack could have found. Knows no attack.

A target is one record: of a patient with several rows one row is drawn, so that targets are independent and binomial intervals hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import wraps
from math import sqrt
from typing import Any, Protocol

import numpy as np

from manikin.data.seeds import generator
from manikin.evaluation.base import Attack, AttackResult, Direction, EvaluationData, Rate, Section, ThreatModel
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError, clean, rounded, unmet
from manikin.evaluation.intervals import clopper_pearson, wilson
from manikin.evaluation.prepared import Prepared, Sample, prepare

MIN_GROUP = 20  # targets of each side that a group needs


class Assault(Protocol):
    """The body of an attack: it works on prepared data and may raise UndefinedMetricError."""

    def __call__(self, data: Prepared, *, seed: int) -> AttackResult:
        """Attacks."""
        ...


@dataclass(frozen=True)
class AttackDefinition:
    """What an attack is called and who attacks. `direction` is LOWER: whatever an attacker gains is bad."""

    name: str
    title: str
    threat_model: ThreatModel
    unit: str = "targets"

    def result(
        self,
        value: float,
        *,
        n: int,
        interval: Interval | None,
        reference: float | None,
        reference_interval: Interval | None = None,
        attack: Rate | None = None,
        control: Rate | None = None,
        baseline: Rate | None = None,
        n_requested: int = 0,
        power: float | None = None,
        groups: Sequence[Mapping[str, Any]] = (),
        details: Mapping[str, Any] | None = None,
        note: str = "",
    ) -> AttackResult:
        """What was found; `groups` stand most surely bad first, so that the first is the worst."""
        plain = self._plain.result(
            value,
            n=n,
            interval=interval,
            reference=reference,
            reference_interval=reference_interval,
            details=details,
            note=note,
        )
        return AttackResult(
            **_fields(plain),
            threat_model=self.threat_model,
            attack=attack,
            control=control,
            baseline=baseline,
            n_requested=n_requested or n,
            power=rounded(power),
            worst_group=str(groups[0]["group"]) if groups else "",
            groups=tuple(clean(group) for group in groups),
        )

    def undefined(self, reason: str, *, n: int = 0) -> AttackResult:
        """The result of an attack that cannot be made, with the reason as its note."""
        return AttackResult(**_fields(self._plain.undefined(reason, n=n)), threat_model=self.threat_model)

    @property
    def _plain(self) -> Definition:
        return Definition(self.name, self.title, Section.PRIVACY, Direction.LOWER, self.unit)


def attacking(definition: AttackDefinition, *, min_rows: int = 2) -> Callable[[Assault], Attack]:
    """Makes an attack of its body: prepares the data, asks for `min_rows` rows on every side, and notes what is undefined."""

    def decorate(assault: Assault) -> Attack:
        """The attack of one body, under the body's own name and docstring."""

        @wraps(assault)
        def attack(data: EvaluationData, *, seed: int) -> AttackResult:
            """Attacks where there is something to attack, and says why where there is not."""
            prepared = prepare(data)
            reason = unmet(prepared, min_rows)
            if reason:
                return definition.undefined(reason)
            try:
                return assault(prepared, seed=seed)
            except UndefinedMetricError as error:
                return definition.undefined(str(error))

        return attack

    return decorate


def targets(sample: Sample, n: int, seed: int, *purpose: str) -> Sample:
    """One row each of at most `n` patients, who are all as likely to be drawn, however many rows they have; in canonical order."""
    rng = generator(seed, *purpose)
    order = rng.permutation(len(sample))
    _, first = np.unique(sample.records[order], return_index=True)  # a row of each patient
    chosen = first if n >= len(first) else rng.permutation(first)[:n]
    return sample.take(np.sort(order[chosen]))


def rate(hits: int, n: int, *, alpha: float = 0.05) -> Rate:
    """A rate with its Clopper-Pearson interval; `alpha` is smaller where several are looked at."""
    return Rate(rounded(hits / max(n, 1)) or 0.0, clopper_pearson(int(hits), int(n), alpha=alpha), int(hits), int(n))


def residual_risk(attack: Rate, control: Rate, *, alpha: float = 0.05) -> tuple[float, Interval]:
    """Success beyond what the population gives away, (a - c) / (1 - c); at most 1, negative where the control does better.

    It is 1 - (1 - a) / (1 - c), one less a ratio of two shares of failures, so its interval is that of a ratio by Donner & Zou's MOVER
    (2012, doi:10.1177/0962280210383082) from the Wilson interval of each. Both rates have their own n. Anonymeter's delta method instead
    takes the attacks' n for the control too, and clips at 0, which hides how sure the figure is.

    >>> risk, interval = residual_risk(rate(30, 100), rate(10, 100))
    >>> round(risk, 3), [round(end, 2) for end in interval]
    (0.222, [0.09, 0.34])
    """
    if attack.n == 0 or control.n == 0:
        raise UndefinedMetricError("no attack or no control could be made")
    missed = [(rate.n - rate.hits) / rate.n for rate in (attack, control)]
    if missed[1] == 0:
        raise UndefinedMetricError("the attack always succeeds on people who are not in the data, so that nothing is left to gain")
    (l1, u1), (l2, u2) = (wilson(rate.n - rate.hits, rate.n, alpha=alpha) for rate in (attack, control))
    product = missed[0] * missed[1]
    low = (product - sqrt(max(0.0, product**2 - l1 * u2 * (2 * missed[0] - l1) * (2 * missed[1] - u2)))) / (u2 * (2 * missed[1] - u2))
    high_divisor = l2 * (2 * missed[1] - l2)
    high = (product + sqrt(max(0.0, product**2 - u1 * l2 * (2 * missed[0] - u1) * (2 * missed[1] - l2)))) / max(high_divisor, 1e-12)
    return 1 - missed[0] / missed[1], (1 - high, min(1.0, 1 - low))


def least_rate(n: int, null: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The least true rate that n targets tell from `null` with this power, by the one-sided exact binomial test; 1 where none does.

    >>> round(least_rate(500, 0.01), 3), round(least_rate(50, 0.01), 3)
    (0.026, 0.084)
    """
    from scipy.optimize import brentq
    from scipy.stats import binom

    if n == 0:
        return 1.0
    critical = int(binom.isf(alpha, n, null)) + 1  # hits that would be surprising under the null
    if critical > n:
        return 1.0
    return float(brentq(lambda true: binom.sf(critical - 1, n, true) - power, null, 1.0))


def least_risk(n: int, control: Rate, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The least residual risk that n targets tell from this control (one-sided) with the power given; normal approximation, in [0, 1]."""
    from scipy.special import ndtri

    if n == 0 or control.n == 0:
        return 1.0
    c = min(max(control.value, 0.5 / control.n), 1 - 0.5 / control.n)
    factor = float(ndtri(1 - alpha) + ndtri(power))
    gain = 0.0
    for _ in range(30):  # the variance of the attack's rate hangs on the rate itself
        a = min(1.0, c + gain)
        gain = factor * sqrt(a * (1 - a) / n + c * (1 - c) / control.n)
    return min(1.0, gain / (1 - c))


def _fields(result: Any) -> dict[str, Any]:
    return {name: getattr(result, name) for name in asdict(result)}


__all__ = [
    "AttackDefinition",
    "Rate",
    "ThreatModel",
    "attacking",
    "least_rate",
    "least_risk",
    "rate",
    "residual_risk",
    "targets",
    "wilson",
]
