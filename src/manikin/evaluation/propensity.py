"""Propensity score error against its null: can main effects alone tell synthetic from train rows? Knows no trees (see `c2st`)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.features import embedding
from manikin.evaluation.intervals import N_GROUPS, N_REPLICATES, replicate_interval, subsets
from manikin.evaluation.prepared import Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_ROWS = 10_000
MAX_TERMS = 150
PATIENTS_PER_TERM = 10
MIN_ROWS = 20
RIDGE = 1.0  # precision of the normal prior on each standardised term: keeps separable rows finite, else weighs as a few rows
PROPENSITY = Definition("propensity", "Propensity score error over its null (pMSE ratio)", Section.FIDELITY, Direction.LOWER)


@dataclass(frozen=True)
class Comparison:
    """Train rows and other rows, in this order, as the terms of a logistic model.

    Attributes
    ----------
    X : standardised terms, a column of ones first, (n_rows, 1 + n_terms).
    is_other : (n_rows,).
    groups : group of each row, for replicates, (n_rows,).
    patients : patient of each row, (n_rows,), None where every row is a patient.
    """

    X: Floats
    is_other: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.int64]
    patients: npt.NDArray[np.int64] | None

    @property
    def share(self) -> float:
        """c, the share of other rows."""
        return float(self.is_other.mean())


@dataclass(frozen=True)
class Found:
    """pMSE with its expectation under the null, the degrees of freedom behind that, and pMSE on each replicate, (N_REPLICATES + 1,)."""

    null: float
    freedom: float
    replicates: Floats
    has_patients: bool

    @property
    def z(self) -> float | None:
        """The ratio's distance from 1 in the null's standard deviations, √(2/d); None with several rows of a patient, where it is wider."""
        return None if self.has_patients else (self.ratio - 1) * (self.freedom / 2) ** 0.5

    @property
    def ratio(self) -> float:
        """pMSE over its expectation under the null; 1 for fresh rows."""
        return float(self.replicates[0]) / self.null

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the ratio, taken on the square root: like a distance it grows linearly, while pMSE is flat at the null."""
        low, high = replicate_interval(np.sqrt(self.replicates), low=0.0)
        return low**2 / self.null, high**2 / self.null


@measured(PROPENSITY, min_rows=MIN_ROWS)
def propensity(data: Prepared, *, seed: int) -> MetricResult:
    """pMSE of a logistic model that tells synthetic from train rows, over what fresh rows are expected to give; 1 is best, no upper end.

    pMSE = 1/N Σ (p̂ᵢ - c)² with c the share of synthetic rows (Woo et al. 2009, doi:10.29012/jpc.v1i1.568). The model has main effects:
    each number as its quantile in train, frequent levels, whether a cell is missing; at most 150 terms and one for ten patients. Two
    independent samples of one law give pMSE = c(1 - c) d / N on average, d being the model's degrees of freedom; with several rows of a
    patient, d is inflated by their likeness (sandwich). Snoke et al. 2018 (doi:10.1111/rssa.12358) divide by (1 - c) times that, the
    null of rows drawn from a model that was fitted to these very train rows; here the null is fresh patients, as everywhere, so that a
    release below 1 is nearer to the train rows than fresh patients are. The reference is the holdout's ratio at equal n. The ratio of a
    release that differs grows with n; pMSE itself (`details.pmse`, 0 … 0.25) does not.
    """
    n = min(data.equal_n(MAX_ROWS), len(data.real))
    real = data.real.draw(n, seed, "propensity", "train")
    found = {}
    for side, sample in (("synthetic", data.fake), ("holdout", data.held)):
        other = sample.draw(n, seed, "propensity", side)
        with one_thread():
            found[side] = _found(_comparison(data, real, other, seed, side))
    made, reference = found["synthetic"], found["holdout"]
    return PROPENSITY.result(
        made.ratio,
        interval=made.interval,
        n=2 * n,
        reference=reference.ratio,
        reference_interval=reference.interval,
        details={
            "pmse": float(made.replicates[0]),
            "pmse_reference": float(reference.replicates[0]),
            "pmse_null": made.null,
            "freedom": made.freedom,
            "z": made.z,
            "z_reference": reference.z,
        },
    )


def _comparison(data: Prepared, real: Sample, other: Sample, seed: int, side: str) -> Comparison:
    points = np.concatenate([embedding(data).points(real), embedding(data).points(other)]).astype(float)
    most = max(1, min(MAX_TERMS, (real.n_records + other.n_records) // PATIENTS_PER_TERM))
    spread = np.round(points.std(axis=0), 9)
    kept = np.sort(np.argsort(-spread, kind="stable")[:most])
    terms = points[:, kept[spread[kept] > 0]]
    if not terms.shape[1]:
        raise UndefinedMetricError("no column varies")
    terms = (terms - terms.mean(axis=0)) / terms.std(axis=0)
    groups = np.concatenate(
        [sample.groups(N_GROUPS, seed, "propensity", name, "groups") for name, sample in (("train", real), (side, other))]
    )
    patients = np.concatenate([real.records, other.records + real.n_records])
    has_patients = real.has_patients or other.has_patients
    X = np.column_stack([np.ones(len(terms)), terms])
    return Comparison(X, np.arange(len(X)) >= len(real), groups, patients if has_patients else None)


def _found(of: Comparison) -> Found:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where a step fails it goes on by another solver
        model.fit(of.X[:, 1:], of.is_other)
    coefficients = np.concatenate([model.intercept_, model.coef_[0]])
    c, freedom = of.share, _freedom(of)
    scores = _replicated(of, coefficients)
    p = 1 / (1 + np.exp(-np.clip(of.X @ scores.T, -30, 30)))
    kept = np.concatenate([np.ones((1, len(of.X)), dtype=bool), subsets()[:, of.groups]])
    squares = np.where(kept.T, (p - c) ** 2, 0.0).sum(axis=0) / np.maximum(kept.sum(axis=1), 1)
    return Found(c * (1 - c) * freedom / len(of.X), freedom, squares, of.patients is not None)


def _freedom(of: Comparison) -> float:
    """tr(H A B A), H = c(1 - c) X'X, A = (H + ridge)⁻¹, B the score's covariance by patient: n_terms but for ridge and patients."""
    X, c = of.X[:, 1:], of.share
    H = c * (1 - c) * X.T @ X
    A = np.linalg.inv(H + RIDGE * np.eye(len(H)))
    if of.patients is None:
        return float(np.trace(H @ A @ H @ A))
    score = np.zeros((int(of.patients.max()) + 1, X.shape[1]))
    np.add.at(score, of.patients, (of.is_other - c)[:, None] * X)
    return float(np.trace(H @ A @ score.T @ score @ A))


def _replicated(of: Comparison, coefficients: Floats) -> Floats:
    """The coefficients on all rows, then after one Newton step on each replicate's rows, (N_REPLICATES + 1, 1 + n_terms)."""
    p = 1 / (1 + np.exp(-np.clip(of.X @ coefficients, -30, 30)))
    weighted, residual = of.X * (p * (1 - p))[:, None], of.is_other - p
    k = len(coefficients)
    gram, score = np.zeros((N_GROUPS, k, k)), np.zeros((N_GROUPS, k))
    for group in range(N_GROUPS):
        rows = of.groups == group
        gram[group], score[group] = weighted[rows].T @ of.X[rows], of.X[rows].T @ residual[rows]
    penalty = np.full(k, RIDGE)
    penalty[0] = 1e-6
    out = np.tile(coefficients, (N_REPLICATES + 1, 1))
    for i, kept in enumerate(subsets(), start=1):
        slope = score[kept].sum(axis=0) - penalty * coefficients
        out[i] += np.linalg.solve(gram[kept].sum(axis=0) + np.diag(penalty), slope)
    return out
