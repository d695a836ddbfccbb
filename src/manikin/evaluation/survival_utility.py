"""Is the release good for predicting when something happens? A Cox model trained on synthetic rows, tested on real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.group_fidelity import with_subgroups
from manikin.evaluation.groups import groups
from manikin.evaluation.intervals import bootstrap_weights
from manikin.evaluation.prediction.comparison import percentiles
from manikin.evaluation.prediction.survival import MIN_EVENTS, Risk, brier_parts, concordance, fit, grid
from manikin.evaluation.prepared import Prepared, Sample
from manikin.evaluation.survival_curves import Clock, clock

Floats = npt.NDArray[np.float64]
MAX_ROWS, MAX_TEST = 5_000, 3_000
MIN_ROWS = 30
MIN_GROUP_ROWS, MIN_GROUP_EVENTS = 50, 20
N_BOOTSTRAP = 200
SURVIVAL = Definition("survival_utility", "Cox model trained on synthetic, tested on real", Section.UTILITY, Direction.REFERENCE)


@measured(SURVIVAL, min_rows=MIN_ROWS)
def survival_utility(data: Prepared, *, seed: int) -> MetricResult:
    """Harrell's C on the holdout of a Cox model trained on synthetic rows; the reference is trained on as many train rows.

    In [0, 1], 0.5 is guessing. Time and event are the columns with these roles; covariates are all others but the target and dates (a
    day of death would tell all), numbers at their quantiles in the training rows and the eight most frequent levels. The model has a
    ridge penalty of 0.1 (lifelines). At most 5,000 rows a side learn and 3,000 test. `details.measures` also holds the integrated Brier
    score, which asks whether the probabilities are right and not only their order; `kaplan_meier_brier` is that of train's curve
    without any covariate. Intervals are a bootstrap of the holdout's patients, both models on the same draws.
    """
    of = clock(data)
    inputs = [f for f in data.features if f not in (of.time, of.event) and f.name != data.target and not f.column.kind.is_time]
    if not inputs:
        raise UndefinedMetricError("no column is left to predict the event from")
    real, held, fake = (side.take(np.flatnonzero(of.times(side)[2])) for side in (data.real, data.held, data.fake))
    n = min(len(real), len(fake), MAX_ROWS)
    held = held.draw(MAX_TEST, seed, "survival", "holdout")
    if min(n, len(held)) < MIN_ROWS:
        raise UndefinedMetricError(f"fewer than {MIN_ROWS} rows hold follow-up and event")
    sides = {"tstr": fake.draw(n, seed, "survival", "synthetic"), "trtr": real.draw(n, seed, "survival", "train")}
    n_events = {side: int(of.times(sample)[1].sum()) for side, sample in (*sides.items(), ("holdout", held))}
    if min(n_events["trtr"], n_events["holdout"]) < MIN_EVENTS:
        raise UndefinedMetricError(f"train or holdout holds fewer than {MIN_EVENTS} events")
    draws = bootstrap_weights(held.records, N_BOOTSTRAP, generator(seed, "survival", "bootstrap"))
    weights = np.concatenate([np.ones((1, len(held))), draws])
    with one_thread():
        models = {side: fit(of, inputs, sample) for side, sample in sides.items()}
    return _result(data, of, held, models, weights, {"n_train": n, "n_events": n_events, "n_columns": len(inputs)})


def _result(
    data: Prepared, of: Clock, held: Sample, models: dict[str, Risk], weights: Floats, told: dict[str, Any]
) -> MetricResult:
    times, is_event, _ = of.times(held)
    at = grid(times, is_event)
    predicted = {side: model.of(held, at) for side, model in models.items()}
    areas = {side: concordance(times, is_event, risk, weights) for side, (risk, _) in predicted.items()}
    total = weights.sum(axis=1)
    brier = {side: weights @ brier_parts(times, is_event, survival, at) / total for side, (_, survival) in predicted.items()}
    within = _within_groups(data, of, held, {side: risk for side, (risk, _) in predicted.items()})
    made = SURVIVAL.result(
        areas["tstr"][0],
        interval=percentiles(areas["tstr"]),
        n=len(held),
        reference=areas["trtr"][0],
        reference_interval=percentiles(areas["trtr"]),
        details={
            "time": of.time.name,
            "event": of.event.name,
            **told,
            "gap": areas["tstr"][0] - areas["trtr"][0],
            "gap_interval": percentiles(areas["tstr"] - areas["trtr"]),
            "measures": {"c_index": _measure(areas), "integrated_brier": _measure(brier)},
            "kaplan_meier_brier": float(brier_parts(times, is_event, _curve(data, of, len(held), at), at).mean()),
            "groups": within,
        },
    )
    return with_subgroups(made, {row["group"]: row["tstr"] for row in within})


def _measure(sides: dict[str, Floats]) -> dict[str, Any]:
    gap = sides["tstr"] - sides["trtr"]
    made: dict[str, Any] = {side: float(draws[0]) for side, draws in sides.items()}
    return made | {"gap": float(gap[0]), "gap_interval": percentiles(gap)}


def _curve(data: Prepared, of: Clock, n: int, at: Floats) -> Floats:
    """Train's Kaplan-Meier curve for everybody, (n, n_times)."""
    from lifelines import KaplanMeierFitter

    times, is_event, _ = of.times(data.real)
    curve = KaplanMeierFitter().fit(times, is_event).survival_function_at_times(at).to_numpy(dtype=float)
    return np.tile(curve, (n, 1))


def _within_groups(data: Prepared, of: Clock, held: Sample, risks: dict[str, Floats]) -> list[dict[str, Any]]:
    """C among the holdout rows of each group that has 50 rows and 20 events."""
    times, is_event, _ = of.times(held)
    rows = []
    for group in groups(data):
        member = np.flatnonzero(group.holds(held))
        if len(member) < MIN_GROUP_ROWS or is_event[member].sum() < MIN_GROUP_EVENTS or {of.time.name, of.event.name} & set(group.columns):
            continue
        one = np.ones((1, len(member)))
        figures = {side: float(concordance(times[member], is_event[member], risk[member], one)[0]) for side, risk in risks.items()}
        rows.append({"group": group.name, "n": len(member), "n_events": int(is_event[member].sum()), **figures})
    return rows
