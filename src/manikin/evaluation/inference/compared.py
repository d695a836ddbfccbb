"""One analysis on train, on every synthetic table, and on holdout beside as much of train. Knows no headline.

Every table gets the design that was settled on train; terms that train itself cannot give are dropped, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.inference.agreement import Agreement, Z, agreement, overlap_draws
from manikin.evaluation.inference.combining import Combined, combine
from manikin.evaluation.inference.defaults import MAX_LEVELS, least_patients
from manikin.evaluation.inference.design import MOST_LEVELS, Design, Explained, codings, design, explained
from manikin.evaluation.inference.formula import Analysis
from manikin.evaluation.inference.models import Fit, fit
from manikin.evaluation.prepared import Prepared, Sample, prepare_sides

Floats = npt.NDArray[np.float64]
MAX_REFITS = 4
WHY = {
    "constant": "has one value in the train data",
    "collinear": "is determined by the terms before it",
    "separated": "separates the outcome perfectly in the train data",
}


@dataclass(frozen=True)
class Pair:
    """A real analysis against a synthetic one (or train against holdout): agreement, and draws of the summed overlap."""

    real: Fit
    made: Combined
    agreement: Agreement
    naive_overlap: Floats
    draws: Floats

    @property
    def n(self) -> int:
        """Number of coefficients."""
        return len(self.agreement.overlap)


@dataclass(frozen=True)
class Compared:
    """One analysis on all tables; `reference` is None where holdout and train together are too few."""

    analysis: Analysis
    outcome: Explained
    design: Design
    left_out: tuple[tuple[str, str], ...]
    synthetic: Pair
    fits: tuple[Fit, ...]
    reference: Pair | None


def compared(analysis: Analysis, data: Prepared, *, seed: int) -> Compared:
    """Runs one analysis everywhere.

    Raises
    ------
    UndefinedMetricError : the train rows do not allow it.
    """
    shared = {feature.name for feature in data.features}
    absent = [name for name in analysis.columns if name not in shared or any(name not in s.columns for s in data.synthetic)]
    if absent:
        raise UndefinedMetricError(f"not all tables hold {', '.join(map(repr, absent))}")
    sides = (data.train, data.holdout, *data.synthetic)
    features, (train, held, *made) = prepare_sides(data.schema.only(analysis.columns), sides)
    by_name = {feature.name: feature for feature in features}
    outcome = explained(analysis, by_name, train, least=data.schema.min_patients)
    least = {name: least_patients(data, feature, is_default=analysis.is_default) for name, feature in by_name.items()}
    most = MAX_LEVELS if analysis.is_default else MOST_LEVELS
    codes = codings(analysis, by_name, train, least=least, most=most)
    plan, real, left_out = _on_train(design(analysis, codes, train, outcome.of(train)[1]), outcome, train)
    fits = tuple(_fitted(plan, outcome, sample) for sample in made)
    sizes = (train.n_records, float(np.mean([sample.n_records for sample in made])))
    rule = "partially" if data.partial else "fully"
    pair = _pair(real, fits, rule, sizes, generator(seed, "inference", analysis.text, "draws"))
    reference = _reference(plan, outcome, train, held, generator(seed, "inference", analysis.text, "reference"), rule)
    return Compared(analysis, outcome, plan, (*analysis.left_out, *left_out), pair, fits, reference)


def _on_train(plan: Design, outcome: Explained, train: Sample) -> tuple[Design, Fit, list[tuple[str, str]]]:
    """The fit on train, again without the terms that have no coefficient there, until all have one."""
    left_out: list[tuple[str, str]] = []
    for _ in range(MAX_REFITS):
        real = _fitted(plan, outcome, train)
        if "too few" in real.why:
            raise UndefinedMetricError("the train data hold too few patients, or too few of either outcome, with every value")
        if real.is_known.all():
            return plan, real, left_out
        known = np.flatnonzero(real.is_known)
        lost = np.flatnonzero(~real.is_known)
        left_out += [(plan.terms[j].name, WHY.get(real.why[j], "has no finite estimate")) for j in lost]
        if not len(known):
            break
        plan = plan.only([int(j) for j in known])
    raise UndefinedMetricError("no term has a finite coefficient in the train data")


def _fitted(plan: Design, outcome: Explained, sample: Sample) -> Fit:
    """The model on the rows of one table that hold every cell."""
    X = plan.matrix(sample)
    y, is_there = outcome.of(sample)
    rows = np.flatnonzero(is_there & np.isfinite(X).all(axis=1))
    clusters = sample.records[rows] if sample.has_patients else None
    return fit(outcome.kind, X[rows], y.take(rows), clusters)


def _pair(real: Fit, fits: Sequence[Fit], rule: str, sizes: tuple[float, float], rng: np.random.Generator) -> Pair:
    """Real against synthetic, on the standardised scale: agreement is the same on every one. What any synthetic table lacks is missing."""
    estimates = np.array([made.estimates for made in fits])
    variances = np.array([np.where(made.is_known, np.diag(made.covariance), np.nan) for made in fits])
    n_real, n_synthetic = sizes
    made = combine(estimates, variances, rule=rule, n_real=n_real, n_synthetic=n_synthetic)
    naive = combine(estimates, variances, rule="naive")
    spread = np.mean([made.covariance for made in fits], axis=0) / len(fits)
    return Pair(
        real,
        made,
        agreement(real.estimates, real.errors, made),
        agreement(real.estimates, real.errors, naive).overlap,
        overlap_draws(real.estimates, real.covariance, made, spread, rng),
    )


def _reference(
    plan: Design, outcome: Explained, train: Sample, held: Sample, rng: np.random.Generator, rule: str
) -> Pair | None:
    """Holdout in the place of one synthetic table, against as many train patients; terms that either side lacks are passed over."""
    n = min(train.n_records, held.n_records)
    first, second = (_fitted(plan, outcome, _patients(side, n, rng)) for side in (train, held))
    both = np.flatnonzero(first.is_known & second.is_known)
    if not len(both):
        return None
    return _pair(_only(first, both), [_only(second, both)], rule, (n, n), rng)


def _patients(sample: Sample, n: int, rng: np.random.Generator) -> Sample:
    if n >= sample.n_records:
        return sample
    chosen = np.zeros(sample.n_records, dtype=bool)
    chosen[rng.permutation(sample.n_records)[:n]] = True
    return sample.take(np.flatnonzero(chosen[sample.records]))


def _only(made: Fit, at: npt.NDArray[np.int64]) -> Fit:
    why = tuple(made.why[j] for j in at)
    return replace(made, estimates=made.estimates[at], covariance=made.covariance[np.ix_(at, at)], why=why)


def told(result: Compared) -> Mapping[str, Any]:
    """The analysis for `details`: the model, its sizes, its agreement and every coefficient on its reported scale."""
    pair, reference = result.synthetic, result.reference
    real, made, how, per = pair.real, pair.made, pair.agreement, result.design.per
    rows = []
    for j, term in enumerate(result.design.terms):
        beta, error, scale = float(real.estimates[j]), float(real.errors[j]), float(per[j])
        row: dict[str, Any] = {
            "term": term.name,
            "real": beta * scale,
            "real_se": error * scale,
            "real_interval": [(beta - Z * error) * scale, (beta + Z * error) * scale],
        }
        missing = bool(how.is_missing[j])
        row |= {
            "synthetic": None if missing else float(made.estimate[j]) * scale,
            "synthetic_se": None if missing else float(made.standard_error[j]) * scale,
            "naive_se": None if missing else float(made.naive_standard_error[j]) * scale,
            "synthetic_interval": None if missing else [float(end[j]) * scale for end in made.interval],
            "overlap": float(how.overlap[j]),
            "difference": None if missing else float(how.difference[j]),
        }
        row |= {name: bool(getattr(how, name)[j]) for name in ("same_sign", "same_significance", "same_conclusion")}
        row |= {"covered": bool(how.is_covered[j]), "missing": missing}
        rows.append(row)
    return {
        "formula": result.analysis.text,
        "model": result.outcome.kind,
        "outcome": result.outcome.words,
        "is_default": result.analysis.is_default,
        "why": "",
        "n_rows": {"train": real.n_rows, "synthetic": [made.n_rows for made in result.fits]},
        "n_events": {"train": real.n_events, "synthetic": [made.n_events for made in result.fits]},
        "overlap": float(np.mean(how.overlap)),
        "overlap_reference": None if reference is None else float(np.mean(reference.agreement.overlap)),
        "left_out": [{"term": name, "reason": reason} for name, reason in result.left_out],
        "coefficients": rows,
    }
