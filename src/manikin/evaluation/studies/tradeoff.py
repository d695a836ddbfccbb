"""What a release is worth and what it gives away, at each privacy budget: the figures of one release, and their summary over seeds.

Knows no generator, no ledger and no page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite
from statistics import fmean, median, variance
from typing import Any

from manikin.evaluation.attacks.hit_rates import FALSE_POSITIVES
from manikin.evaluation.base import EvaluationData, MetricResult, Results
from manikin.evaluation.definition import clean
from manikin.evaluation.suite import evaluate

METRICS = ("column_shapes", "pair_trends", "dependence", "c2st")
LIKENESS_AND_USE = (*METRICS, "tstr")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A figure of the trade-off: how it is called, of which side it is, which way is better, and the range of its values."""

    title: str
    side: str
    better: str
    low: float = -inf
    high: float = inf


FIGURES = {
    "column_shapes": Figure("One-way tables", "fidelity", "higher", 0.0, 1.0),
    "pair_trends": Figure("Tables of pairs", "fidelity", "higher", 0.0, 1.0),
    "dependence": Figure("Dependence", "fidelity", "higher"),
    "c2st": Figure("C2ST AUC", "fidelity", "lower", 0.0, 1.0),
    "excess": Figure("Excess TSTR", "utility", "higher"),
    "loss": Figure("Utility lost", "utility", "lower"),
    "membership": Figure("Membership attack", "attack", "lower", 0.0, 1.0),
    "control": Figure("The same attack on strangers", "attack", "", 0.0, 1.0),
    "cpu_seconds": Figure("CPU seconds", "cost", "lower", 0.0),
}


def measured(data: EvaluationData, *, seed: int) -> dict[str, Any]:
    """The figures of one release, each with `value`, `interval`, `reference` and `note`; JSON-able, None where there is no figure.

    `excess` is (TSTR - floor) / (TRTR - floor), `loss` is TRTR - TSTR in the units of `measure` (AUROC or R²), both with the bootstrap
    interval over the holdout's patients, both models on the same draws.
    """
    attacks = ["membership"]
    metrics = list(METRICS) if data.target is None else list(LIKENESS_AND_USE)
    results = evaluate(data, seed=seed, metrics=metrics, attacks=attacks, with_views=False)
    made: dict[str, Any] = {name: _figure(results[name]) for name in METRICS}
    utility = _utility(results) if data.target is not None else {"excess": _none(), "loss": _none()}
    attack = results["membership"]
    made |= utility | {"membership": _figure(attack), "control": _figure_of(attack.reference, attack.reference_interval)}
    measure = results["tstr"].details.get("measure") if data.target is not None else None
    return dict(clean({"figures": made, "measure": measure, "n_attacked": attack.n}))


def _utility(results: Results) -> dict[str, Any]:
    found = results["tstr"]
    best = found.details.get("learners", {}).get(found.details.get("headline"), {})
    gap, interval = best.get("gap"), best.get("gap_interval")
    loss = None if gap is None else -gap
    return {
        "excess": _figure_of(best.get("excess"), best.get("excess_interval"), note=found.note),
        "loss": _figure_of(loss, None if interval is None else (-interval[1], -interval[0]), note=found.note),
    }


def _figure(result: MetricResult) -> dict[str, Any]:
    return {"value": result.value, "interval": result.interval, "reference": result.reference, "note": result.note}


def _figure_of(value: float | None, interval: Sequence[float] | None, note: str = "") -> dict[str, Any]:
    return {"value": value, "interval": interval, "reference": None, "note": note}


def _none() -> dict[str, Any]:
    return _figure_of(None, None)


def ceiling(epsilon: float, delta: float) -> float:
    """The most that any attack on membership can reach at 1 % false alarms: min(1, e^epsilon * 0.01 + delta).

    Kairouz et al. 2015 (arXiv 1311.0776), for neighbours that differ by one patient. 1 where epsilon is infinite.

    >>> round(ceiling(1.0, 1e-5), 4)
    0.0272
    """
    return 1.0 if epsilon > 100 else min(1.0, exp(epsilon) * FALSE_POSITIVES + delta)


def summary(figure: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One figure at one point over its seeds: median, range, and a 95 % interval.

    The interval reaches from the median as far as the root of the mean squared reach of single measurements, which are not divided by
    the number of seeds since these share patients, and of 1.96² s² / n for the differences between n seeds. It is cut at the ends of
    what the figure can be.

    Parameters
    ----------
    found : per seed `value` and `interval`, None where there is none.

    Returns
    -------
    `n` seeds with a figure, `median`, `low` and `high` (the range over seeds), `interval`.
    """
    known = [(one["value"], one["interval"] or (one["value"], one["value"])) for one in found if one["value"] is not None]
    if not known:
        return {"n": 0, "median": None, "low": None, "high": None, "interval": None}
    values = [value for value, _ in known]
    middle = median(values)
    between = 1.96**2 * variance(values) / len(values) if len(values) > 1 else 0.0
    below = fmean((value - ends[0]) ** 2 for value, ends in known)
    above = fmean((ends[1] - value) ** 2 for value, ends in known)
    limits = FIGURES[figure]
    low = max(limits.low, middle - (below + between) ** 0.5)
    high = min(limits.high, middle + (above + between) ** 0.5)
    return dict(clean({"n": len(known), "median": middle, "low": min(values), "high": max(values), "interval": (low, high)}))


def breaks_ceiling(attacks: Sequence[Mapping[str, Any]], ceilings: Sequence[float]) -> bool:
    """Whether the attack's lower end lies above the ceiling of the budget on every seed: the guarantee does not hold then.

    One seed's interval misses by chance once in 40 times, so that one is enough where there is one only, and that is said.
    """
    ends = [one["interval"][0] for one in attacks if one["value"] is not None and one["interval"]]
    known = [most for one, most in zip(attacks, ceilings, strict=True) if one["value"] is not None and one["interval"]]
    return bool(ends) and all(isfinite(most) and end > most for end, most in zip(ends, known, strict=True))
