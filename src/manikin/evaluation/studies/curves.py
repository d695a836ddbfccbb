"""Learning curves: figures over the number of real patients, and from which number on more of them change nothing visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manikin.evaluation.base import EvaluationData, MetricResult
from manikin.evaluation.definition import clean
from manikin.evaluation.suite import evaluate

Estimate = tuple[float, float]  # a figure, and half the width of its 95 % interval
FIGURES = {"c2st": "C2ST AUC", "excess": "excess TSTR"}


def point(data: EvaluationData, *, seed: int, with_c2st: bool = True) -> dict[str, Any]:
    """C2ST and TSTR of one release, by the metrics of the same names; JSON-able, None where a metric could not be computed."""
    results = evaluate(data, seed=seed, metrics=["c2st", "tstr"] if with_c2st else ["tstr"], attacks=[], with_views=False)
    tstr = results["tstr"]
    made: dict[str, Any] = {
        "c2st": results["c2st"].value if with_c2st else None,
        "c2st_interval": results["c2st"].interval if with_c2st else None,
        "c2st_reference": results["c2st"].reference if with_c2st else None,
        "measure": tstr.details.get("measure"),
        "tstr": _by_learner(tstr, "tstr"),
        "tstr_interval": _by_learner(tstr, "tstr_interval"),
        "trtr": _by_learner(tstr, "trtr"),
        "note": tstr.note,
    }
    return dict(clean(made))


def _by_learner(result: MetricResult, side: str) -> dict[str, Any]:
    return {name: part[side] for name, part in result.details.get("learners", {}).items()}


def c2st_of(found: Mapping[str, Any]) -> Estimate | None:
    """The C2ST AUC with half the width of its own interval; None where it failed."""
    return None if found["c2st"] is None else (found["c2st"], _half(found["c2st_interval"]))


def excess(found: Mapping[str, Any], whole: Mapping[str, Any]) -> Estimate | None:
    """(TSTR - floor) / (TRTR of the whole pool - floor), by the learner that does better on the whole pool of real rows.

    The floor is 0.5 for AUROC and 0 for R². None where real rows hold too little to compare with (0.01 above the floor). The interval
    is that of TSTR on the same scale; the noise of the whole pool's TRTR, which all sizes share, is left out.
    """
    if not whole["trtr"] or not found["tstr"]:
        return None
    best = max(whole["trtr"], key=lambda name: whole["trtr"][name])
    floor = 0.5 if whole["measure"] == "AUROC" else 0.0
    room = whole["trtr"][best] - floor
    if room <= 0.01:
        return None
    return (found["tstr"][best] - floor) / room, _half(found["tstr_interval"][best]) / room


def _half(interval: Sequence[float] | None) -> float:
    return 0.0 if interval is None else (interval[1] - interval[0]) / 2


def curve(values: Mapping[int, Sequence[Estimate | None]]) -> list[dict[str, Any]]:
    """Per size the mean over repeats with its 95 % interval, in ascending order of size.

    The variance is that of one measurement (the mean over repeats, not divided by their number, since they share patients and one
    holdout bounds what can be seen) and that between repeats over their number: the rule by which releases are pooled elsewhere. A t
    interval of two or three repeats alone would be so wide that every size lay within it.

    Parameters
    ----------
    values : size -> one (figure, half width of its interval) per repeat, None where it failed.
    """
    lines: list[dict[str, Any]] = []
    for size in sorted(values):
        known = [value for value in values[size] if value is not None]
        if not known:
            lines.append({"size": size, "mean": None, "interval": None, "n": 0})
            continue
        figures, halves = zip(*known, strict=True)
        between = float(np.var(figures, ddof=1)) / len(known) if len(known) > 1 else 0.0
        half = 1.96 * (float(np.mean(np.square(halves))) / 1.96**2 + between) ** 0.5
        mean = float(np.mean(figures))
        lines.append({"size": size, "mean": mean, "interval": (mean - half, mean + half), "n": len(known)})
    return list(clean(lines))


def enough_from(lines: Sequence[Mapping[str, Any]]) -> int | None:
    """The smallest size from which on every mean lies inside the interval of the largest size; None without such an interval.

    >>> enough_from([{"size": 100, "mean": 0.9, "interval": None}, {"size": 200, "mean": 0.62, "interval": None},
    ...              {"size": 500, "mean": 0.6, "interval": (0.57, 0.63)}])
    200
    """
    if not lines or lines[-1]["interval"] is None:
        return None
    low, high = lines[-1]["interval"]
    found: int | None = None
    for line in reversed(lines):
        if line["mean"] is None or not low <= line["mean"] <= high:
            break
        found = int(line["size"])
    return found


def sentence(title: str, figure: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """What a curve says, in words."""
    known = [line for line in lines if line["mean"] is not None]
    if not known:
        return f"{title}: the {figure} could not be measured at any size."
    first, last = known[0], known[-1]
    walk = f"{first['mean']:.3f} with {first['size']:,} patients, {last['mean']:.3f} with {last['size']:,}"
    found = enough_from(known)
    if found is None:
        return f"{title}: {figure} {walk}."
    if found == last["size"]:
        return f"{title}: {figure} {walk}; it still changes at the largest size, so more patients may help."
    low, high = last["interval"]
    return (
        f"{title}: {figure} {walk}; from {found:,} on it stays within the interval of the largest size [{low:.3f}, {high:.3f}]."
    )
