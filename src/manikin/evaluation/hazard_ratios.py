"""The same Cox model on train, holdout and synthetic rows: do its hazard ratios agree? lifelines fits it; knows no curve."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.evaluation.definition import rounded
from manikin.evaluation.levels import patients_per_level
from manikin.evaluation.prepared import Feature, Prepared, Sample
from manikin.evaluation.survival_curves import Clock

Floats = npt.NDArray[np.float64]
MAX_ROWS = 5_000
MAX_COLUMNS = 6
MAX_LEVELS = 5  # levels of a column that have a term, beside the commonest, which they are compared with
MOST_MISSING = 0.1
EVENTS_PER_TERM = 10
RIDGE = 0.01  # lifelines' penalizer, the same on every side: a level without any event keeps a finite hazard ratio
CLIP = 3.0  # numbers count in train's standard deviations, at most three from the mean


@dataclass(frozen=True)
class Term:
    """One coefficient: a number in train's standard deviations, or a level against the commonest one."""

    feature: Feature
    label: str
    code: int | None = None
    centre: float = 0.0
    scale: float = 1.0

    def values(self, sample: Sample) -> Floats:
        """Its value in each row, NaN where the column has none, (n_rows,)."""
        values = sample.values[self.feature.name]
        if self.code is None:
            return np.asarray(np.clip((values - self.centre) / self.scale, -CLIP, CLIP))
        return np.where(sample.marks[self.feature.name] > 0, np.nan, values == self.code)


def hazard_ratios(data: Prepared, of: Clock, first: Sequence[str], *, seed: int) -> dict[str, Any]:
    """Log hazard ratios of one Cox model on each side, and how far they are apart; empty where it cannot be fitted.

    Parameters
    ----------
    first : columns that come into the model before others, such as the treatment.

    Returns
    -------
    dict : `log_hazard_ratio_gap` and `log_hazard_ratio_gap_reference`, the mean absolute difference to train of synthetic and of
        holdout rows at equal n; `hazard_ratios`, per term `column`, `term`, the log hazard ratio on each side, `difference`
        (synthetic - train) and `difference_interval` (95 %, normal; patients' sandwich where a patient has several rows).
    """
    n = data.equal_n(MAX_ROWS)
    sides = {
        "train": data.real.draw(MAX_ROWS, seed, "hazard", "train"),
        "holdout": data.held.draw(n, seed, "hazard", "holdout"),
        "synthetic": data.fake.draw(n, seed, "hazard", "synthetic"),
    }
    terms = chosen_terms(data, of, first, sides["train"])
    fitted = {side: _fit(of, terms, sample) for side, sample in sides.items()} if terms else {}
    if not fitted or fitted["train"] is None:
        return {"log_hazard_ratio_gap": None, "log_hazard_ratio_gap_reference": None, "hazard_ratios": []}
    rows = [_row(terms[i], {side: None if part is None else part[i] for side, part in fitted.items()}) for i in range(len(terms))]
    return {
        "log_hazard_ratio_gap": _gap(rows, "synthetic"),
        "log_hazard_ratio_gap_reference": _gap(rows, "holdout"),
        "hazard_ratios": rows,
    }


def chosen_terms(data: Prepared, of: Clock, first: Sequence[str], real: Sample) -> list[Term]:
    """The model: the columns asked for, quasi-identifiers, then those that tell most about survival in train; one term for ten events."""
    times, is_event, is_known = of.times(real)
    residual = is_event - _cumulative_hazard(times, is_event)
    strength: dict[str, float] = {}
    by_column: dict[str, list[Term]] = {}
    for feature in data.features:
        if feature.name in (of.time.name, of.event.name) or feature.column.kind.is_time:
            continue
        if (real.marks[feature.name] > 0).mean() > MOST_MISSING:
            continue
        terms = _terms(data, feature, real)
        if terms:
            by_column[feature.name] = terms
            strength[feature.name] = max(_score(term.values(real)[is_known], residual) for term in terms)
    is_quasi = {name: data.schema[name].has_role(Role.QUASI_IDENTIFIER) for name in by_column}
    order = sorted(by_column, key=lambda name: (name not in first, not is_quasi[name], -strength[name], name))
    most = int(is_event.sum()) // EVENTS_PER_TERM
    made: list[Term] = []
    for name in order[:MAX_COLUMNS]:
        if len(made) + len(by_column[name]) <= most:
            made += by_column[name]
    return made


def _terms(data: Prepared, feature: Feature, real: Sample) -> list[Term]:
    values = real.values[feature.name]
    if feature.is_number:
        present = values[~np.isnan(values)]
        scale = float(present.std()) if len(present) else 0.0
        return [Term(feature, "per standard deviation", None, float(present.mean()), scale)] if scale > 1e-9 else []
    frequency = np.bincount(values[values >= 0], minlength=len(feature.levels or ()))
    order = np.argsort(-frequency, kind="stable")
    patients = patients_per_level(real, feature)  # rows of one patient must not name her level
    least = max(data.schema.threshold(feature.column), data.schema.min_patients, 0.02 * real.n_records)
    kept = [int(i) for i in order[1 : MAX_LEVELS + 1] if patients[i] >= least]
    return [Term(feature, f"{(feature.levels or ())[i]} against the commonest", i) for i in kept]


def _cumulative_hazard(times: Floats, is_event: npt.NDArray[np.bool_]) -> Floats:
    """The Nelson-Aalen estimate at each row's own time."""
    grid, place = np.unique(times, return_inverse=True)
    leaving, events = np.bincount(place, minlength=len(grid)), np.bincount(place[is_event], minlength=len(grid))
    at_risk = np.cumsum(leaving[::-1])[::-1]
    return np.asarray(np.cumsum(events / np.maximum(at_risk, 1))[place])


def _score(x: Floats, residual: Floats) -> float:
    """How much a term tells about survival: the standardised score of a Cox model without terms."""
    filled = np.nan_to_num(x - np.nanmean(x)) if (~np.isnan(x)).any() else np.zeros(len(x))
    size = float(np.sqrt(((filled * residual) ** 2).sum()))
    return round(abs(float((filled * residual).sum())) / size, 6) if size > 0 else 0.0


def _fit(of: Clock, terms: Sequence[Term], sample: Sample) -> list[tuple[float, float]] | None:
    """Coefficient and standard error of each term; None where lifelines finds no fit. A term that is constant on this side has a NaN."""
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    times, is_event, is_known = of.times(sample)
    X = np.column_stack([term.values(sample)[is_known] for term in terms])
    is_whole = ~np.isnan(X).any(axis=1)
    X, times, is_event = X[is_whole], times[is_whole], is_event[is_whole]
    varies = [i for i in range(len(terms)) if len(X) and X[:, i].std() > 1e-9]
    if not varies or is_event.sum() < max(2, len(varies)):
        return None
    frame = pd.DataFrame(X[:, varies], columns=[f"x{i}" for i in varies]).assign(time=times, event=is_event)
    has_patients = sample.has_patients
    if has_patients:
        frame["patient"] = sample.records[is_known][is_whole]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines warns of columns that tell much; the ridge keeps them finite
        try:
            model = CoxPHFitter(penalizer=RIDGE).fit(frame, "time", "event", cluster_col="patient" if has_patients else None)
        except (ConvergenceError, np.linalg.LinAlgError, ValueError):
            return None
    found = {i: (float(model.params_[f"x{i}"]), float(model.standard_errors_[f"x{i}"])) for i in varies}
    return [found.get(i, (float("nan"), float("nan"))) for i in range(len(terms))]


def _row(term: Term, sides: dict[str, tuple[float, float] | None]) -> dict[str, Any]:
    row: dict[str, Any] = {"column": term.feature.name, "term": term.label}
    for side in ("train", "holdout", "synthetic"):
        found = sides[side]
        row[side] = None if found is None else rounded(found[0])
    row["difference"], row["difference_interval"] = None, None
    real, fake = sides["train"], sides["synthetic"]
    if real is not None and fake is not None and np.isfinite(fake[0] - real[0]):
        difference, half = fake[0] - real[0], 1.96 * float(np.hypot(real[1], fake[1]))
        row["difference"], row["difference_interval"] = rounded(difference), [difference - half, difference + half]
    return row


def _gap(rows: Sequence[dict[str, Any]], side: str) -> float | None:
    """Mean absolute difference to train; a term that cannot be had on the side has a log hazard ratio of 0 there."""
    known = [row for row in rows if row["train"] is not None]
    if not known or all(row[side] is None for row in known):
        return None
    return float(np.mean([abs((row[side] or 0.0) - row["train"]) for row in known]))
