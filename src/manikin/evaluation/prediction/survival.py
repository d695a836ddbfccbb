"""Cox models that predict who is at risk, and how well they rank and time events in rows they have not seen. Knows no metric.

Proportional hazards are fitted by lifelines with a ridge penalty, so that many or collinear covariates do no harm to prediction. What
effects are worth is another question: `inference` asks it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.features import Embedding
from manikin.evaluation.prepared import Feature, Sample
from manikin.evaluation.survival_curves import Clock

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
PENALTY = 0.1
MAX_LEVELS = 8  # covariates per column of levels: its most frequent ones
MIN_SPREAD = 0.01  # standard deviation below which a covariate is left out: an indicator of one row in ten thousand
MIN_EVENTS = 10
N_TIMES = 40
CHUNK = 256


@dataclass(frozen=True)
class Risk:
    """A fitted model: `risk` ranks rows (n_rows,), `survival` is the probability of no event by each time (n_rows, n_times)."""

    model: Any
    points: Embedding
    kept: npt.NDArray[np.int64]

    def of(self, sample: Sample, times: Floats) -> tuple[Floats, Floats]:
        """Risk and survival of these rows; all alike where nothing was learned."""
        if self.model is None:
            return np.zeros(len(sample)), np.ones((len(sample), len(times)))
        frame = _frame(self.points, self.kept, sample)
        risk = np.asarray(self.model.predict_log_partial_hazard(frame), dtype=float)
        hazard = self.model.baseline_cumulative_hazard_.iloc[:, 0]
        place = np.searchsorted(hazard.index.to_numpy(dtype=float), times, side="right")
        upto = np.concatenate([[0.0], hazard.to_numpy(dtype=float)])[place]
        with np.errstate(over="ignore"):
            return risk, np.exp(-upto[None, :] * np.exp(np.clip(risk, -50, 50))[:, None])


def fit(of: Clock, inputs: Sequence[Feature], train: Sample) -> Risk:
    """A Cox model from these rows, all of which hold follow-up and event; one that knows nothing where there are under ten events."""
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    points = Embedding.fit(inputs, train)
    points = replace(points, kept=tuple(kept[:MAX_LEVELS] for kept in points.kept))
    times, is_event, _ = of.times(train)
    X = points.points(train).astype(float)
    kept = np.flatnonzero(X.std(axis=0) > MIN_SPREAD)
    if is_event.sum() < MIN_EVENTS or not len(kept):
        return Risk(None, points, kept)
    frame = _frame(points, kept, train).assign(time_=times, event_=is_event)
    for penalty in (PENALTY, 10 * PENALTY):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lifelines warns of rare levels and of separation, which the penalty is there for
            try:
                model = CoxPHFitter(penalizer=penalty).fit(frame, "time_", "event_")
            except (ConvergenceError, np.linalg.LinAlgError, ValueError):
                continue
        return Risk(model, points, kept)
    return Risk(None, points, kept)


def _frame(points: Embedding, kept: npt.NDArray[np.int64], sample: Sample) -> Any:
    import pandas as pd

    return pd.DataFrame(points.points(sample).astype(float)[:, kept], columns=[f"x{i}" for i in kept])


def concordance(times: Floats, is_event: Flags, risk: Floats, weights: Floats) -> Floats:
    """Harrell's C under each row of weights, (n_draws,); 0.5 where no pair can be compared.

    Of pairs in which the earlier time is an event, how often the row with the earlier event has the higher risk; ties in risk count
    half (Harrell et al. 1996, doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4). One that is censored at the time
    of an event outlived it. Pairs are looked at 256 events at a time.
    """
    right, all_pairs = np.zeros(len(weights)), np.zeros(len(weights))
    events = np.flatnonzero(is_event)
    turned = np.ascontiguousarray(weights.T)
    for begin in range(0, len(events), CHUNK):
        chosen = events[begin : begin + CHUNK]
        outlived = (times[None, :] > times[chosen, None]) | ((times[None, :] == times[chosen, None]) & ~is_event[None, :])
        higher = (risk[chosen, None] > risk[None, :]) + 0.5 * (risk[chosen, None] == risk[None, :])
        mine = turned[chosen]
        right += (mine * ((outlived * higher) @ turned)).sum(axis=0)
        all_pairs += (mine * (outlived.astype(float) @ turned)).sum(axis=0)
    return np.asarray(np.divide(right, all_pairs, out=np.full(len(weights), 0.5), where=all_pairs > 0))


def grid(times: Floats, is_event: Flags) -> Floats:
    """Forty times up to the last by which a tenth of these rows is still under observation, at quantiles of the events before it."""
    end = np.quantile(times, 0.9)
    seen = times[is_event & (times <= end)]
    return np.unique(np.quantile(seen if len(seen) else times, np.linspace(0.02, 1, N_TIMES)))


def brier_parts(times: Floats, is_event: Flags, survival: Floats, at: Floats) -> Floats:
    """Each row's part in the integrated Brier score, (n_rows,): its mean is the score; 0 is best, 0.25 knows nothing at even odds.

    Rows that are censored before a time count for others like them by inverse probability of censoring, the Kaplan-Meier curve of
    censoring on these rows (Graf et al. 1999, doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5). The mean over
    time is by the trapezium rule.
    """
    from lifelines import KaplanMeierFitter

    censoring = KaplanMeierFitter().fit(times, ~is_event).survival_function_.iloc[:, 0]
    steps, left = censoring.index.to_numpy(dtype=float), np.maximum(censoring.to_numpy(dtype=float), 0.05)

    def stays(when: Floats, side: str) -> Floats:
        """Probability of not being censored by (right) or before (left) these times."""
        place = np.searchsorted(steps, when, side=side) - 1  # type: ignore[call-overload]
        return np.where(place >= 0, left[np.maximum(place, 0)], 1.0)

    had = (times[:, None] <= at[None, :]) & is_event[:, None]
    still = times[:, None] > at[None, :]
    weight = had / stays(times, "left")[:, None] + still / stays(at, "right")[None, :]
    squares = weight * np.where(had, survival, 1 - survival) ** 2
    if len(at) < 2:
        return np.asarray(squares[:, 0])
    return np.asarray(np.trapezoid(squares, at, axis=1) / (at[-1] - at[0]))
