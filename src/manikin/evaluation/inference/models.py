"""Linear, logistic and Cox regression with standard errors, patients as clusters. Knows no column and no table.

scikit-learn has no standard errors, and lifelines' robust ones take minutes on large tables; these are a page of Newton steps each, tested
against lifelines and closed forms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MAX_STEPS = 30
CONVERGED = 1e-9  # relative gain of the log-likelihood
MIN_TOLERANCE = 1e-4  # 1 - R² of a term on those before it: a variance inflation of 10,000
UNBOUNDED = 100.0  # a standard error so many times that of a lone term has no finite estimate behind it (separation)
MIN_CASES = 5  # events, and patients without


@dataclass(frozen=True)
class Outcome:
    """What is explained: `y` (floats, or 0 and 1), or for Cox `y` as time and `event`, (n_rows,) each."""

    y: Floats
    event: Flags | None = None

    def take(self, rows: npt.NDArray[Any]) -> Outcome:
        """The outcome of these rows."""
        return Outcome(self.y[rows], None if self.event is None else self.event[rows])


@dataclass(frozen=True)
class Fit:
    """Coefficients without the intercept: NaN where the data give none (constant, collinear, separated).

    Attributes
    ----------
    estimates, covariance : (n_terms,), (n_terms, n_terms).
    why : per term "", "constant", "collinear" or "separated".
    n_rows, n_units, n_events : rows, patients, and events (the rarer class; 0 for a linear model).
    """

    estimates: Floats
    covariance: Floats
    why: tuple[str, ...]
    n_rows: int
    n_units: int
    n_events: int

    @property
    def errors(self) -> Floats:
        """Standard errors, (n_terms,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def is_known(self) -> Flags:
        """Which terms have an estimate, bool (n_terms,)."""
        return np.isfinite(self.estimates) & np.isfinite(self.errors)


def fit(kind: str, X: Floats, outcome: Outcome, clusters: npt.NDArray[np.int64] | None = None) -> Fit:
    """Fits a "linear", "logistic" or "cox" model by maximum likelihood.

    Parameters
    ----------
    X : (n_rows, n_terms), no missing cells; columns are best of scale 1.
    clusters : the patient of each row: the variance is then the sandwich over patients' summed scores, times G / (G − 1) (Liang & Zeger
        1986, doi:10.1093/biomet/73.1.13; for Cox Lin & Wei 1989, doi:10.1080/01621459.1989.10478874). Model-based without.

    Returns
    -------
    Fit : all terms NaN where too few rows, or too few of either outcome, are there.
    """
    n, k = X.shape
    n_units = n if clusters is None else len(np.unique(clusters))
    n_events = _n_events(kind, outcome)
    why = _dependent(X) if n else ["too few"] * k
    kept = [j for j in range(k) if not why[j]]
    empty = Fit(np.full(k, np.nan), np.full((k, k), np.nan), tuple(word or "too few" for word in why), n, n_units, n_events)
    is_flat = kind == "linear" and (n < 3 or float(np.ptp(outcome.y)) == 0)
    if not kept or is_flat or n_units < len(kept) + 3 or (kind != "linear" and n_events < MIN_CASES):
        return empty
    centred = X[:, kept] - X[:, kept].mean(axis=0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what overflows has no finite variance and is told
        solved = _SOLVERS[kind](centred, outcome)
    lone = _lone_variance(kind, centred, n_events)
    for j, variance in zip(kept, np.diag(solved.inverse), strict=True):
        if not np.isfinite(variance) or (kind != "linear" and variance > UNBOUNDED**2 * lone[kept.index(j)]):
            why[j] = "separated"
    covariance = solved.inverse if clusters is None else _sandwich(solved, clusters)
    estimates, spread = np.full(k, np.nan), np.full((k, k), np.nan)
    known = [i for i, j in enumerate(kept) if not why[j]]
    at = [kept[i] for i in known]
    estimates[at] = solved.estimates[known]
    spread[np.ix_(at, at)] = covariance[np.ix_(known, known)]
    return Fit(estimates, spread, tuple(why), n, n_units, n_events)


@dataclass(frozen=True)
class _Solved:
    """Estimates, inverse information (model-based variance), and `bread` with each row's score, for the sandwich."""

    estimates: Floats
    inverse: Floats
    bread: Floats
    scores: Floats


def _n_events(kind: str, outcome: Outcome) -> int:
    if kind == "linear":
        return 0
    n = int(np.sum(outcome.y > 0.5 if outcome.event is None else outcome.event))
    return n if kind == "cox" else min(n, len(outcome.y) - n)


def _lone_variance(kind: str, X: Floats, n_events: int) -> Floats:
    """What the variance would be about, if each term stood alone and had no effect."""
    n = len(X)
    weight = n_events if kind == "cox" else n_events * (n - n_events) / n
    return np.asarray(1 / np.maximum(weight * X.var(axis=0), 1e-300))


def _dependent(X: Floats) -> list[str]:
    """Per term why it has no coefficient: it is constant, or terms before it determine it; "" where neither."""
    centred = X - X.mean(axis=0)
    gram = centred.T @ centred
    size = np.diag(gram).copy()
    # A constant column may leave rounding behind: compare with its level.
    floor = 1e-12 * np.maximum((X**2).sum(axis=0), 1e-300)
    why, kept = [], list[int]()
    for j in range(X.shape[1]):
        if size[j] <= floor[j]:
            why.append("constant")
            continue
        left = size[j]
        if kept:
            cross = gram[np.ix_(kept, [j])][:, 0]
            left -= float(cross @ np.linalg.lstsq(gram[np.ix_(kept, kept)], cross, rcond=None)[0])
        why.append("" if left > MIN_TOLERANCE * size[j] else "collinear")
        if not why[-1]:
            kept.append(j)
    return why


def _sandwich(solved: _Solved, clusters: npt.NDArray[np.int64]) -> Floats:
    _, dense = np.unique(clusters, return_inverse=True)
    n = int(dense.max()) + 1
    summed = np.column_stack([np.bincount(dense, weights=column, minlength=n) for column in solved.scores.T])
    meat = summed.T @ summed * n / max(n - 1, 1)
    full = solved.bread @ meat @ solved.bread
    k = len(solved.estimates)
    return np.asarray(full[-k:, -k:])


def _linear(X: Floats, outcome: Outcome) -> _Solved:
    n, k = X.shape
    y = outcome.y - outcome.y.mean()
    bread = _inverse(X.T @ X)
    estimates = bread @ (X.T @ y)
    residual = y - X @ estimates
    variance = float(residual @ residual) / max(n - k - 1, 1)
    return _Solved(estimates, variance * bread, bread, X * residual[:, None])


def _logistic(X: Floats, outcome: Outcome) -> _Solved:
    from scipy.special import expit, logit

    n, k = X.shape
    y = outcome.y
    Z = np.column_stack([np.ones(n), X])

    def state(beta: Floats) -> tuple[float, Floats, Floats]:
        """Log-likelihood, its gradient and the information."""
        eta = Z @ beta
        p = expit(eta)
        likelihood = float(y @ eta - np.logaddexp(0.0, eta).sum())
        return likelihood, Z.T @ (y - p), (Z * (p * (1 - p))[:, None]).T @ Z

    start = np.zeros(k + 1)
    start[0] = logit(y.mean())
    beta, information = _newton(state, start)
    inverse = _inverse(information)
    return _Solved(beta[1:], inverse[1:, 1:], inverse, Z * (y - expit(Z @ beta))[:, None])


def _newton(state: Callable[[Floats], tuple[float, Floats, Floats]], beta: Floats) -> tuple[Floats, Floats]:
    """Newton's steps, halved while they lose; the estimate and the information there."""
    value, gradient, information = state(beta)
    for _ in range(MAX_STEPS):
        step = _inverse(information) @ gradient
        for _ in range(12):
            next_value, next_gradient, next_information = state(beta + step)
            if np.isfinite(next_value) and next_value >= value - 1e-9 * abs(value):
                break
            step = step / 2
        else:
            break
        gain = next_value - value
        beta, value, gradient, information = beta + step, next_value, next_gradient, next_information
        if gain < CONVERGED * (abs(value) + 1):
            break
    return beta, information


def _inverse(matrix: Floats) -> Floats:
    """The inverse of a positive matrix; a nearly singular one (separation) gets a vanishing ridge."""
    if not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan)
    scale = max(float(np.trace(matrix)) / len(matrix), 1e-300)
    return np.asarray(np.linalg.pinv(matrix + 1e-13 * scale * np.eye(len(matrix)), hermitian=True, rcond=1e-16))


class _RiskSets:
    """Sums over those still at risk, in the order of time, for Efron's treatment of ties (1977, doi:10.1080/01621459.1977.10480613).

    The l-th of d deaths at one time counts against the risk set less l/d of those who die there: with S the sum over the risk set and D
    over the d deaths, φ = S₀ − (l/d) D₀ and z = (S₁ − (l/d) D₁) / φ.
    """

    def __init__(self, X: Floats, time: Floats, event: Flags) -> None:
        self.order = np.lexsort((~event, time))
        self.x, self.t, self.d = X[self.order], time[self.order], event[self.order]
        self.dead = np.flatnonzero(self.d)
        self.first = np.searchsorted(self.t, self.t[self.dead], "left")
        _, start, self.tie, size = np.unique(self.t[self.dead], return_index=True, return_inverse=True, return_counts=True)
        self.n_ties = len(size)
        self.fraction = (np.arange(len(self.dead)) - start[self.tie]) / size[self.tie]
        self.n_before = np.searchsorted(self.t[self.dead], self.t, "right")

    def state(self, beta: Floats) -> tuple[float, Floats, Floats]:
        """Log partial likelihood, its gradient and its information."""
        eta = self.x @ beta
        eta = eta - eta.max()
        w, phi, z = self.sums(eta)
        a = self.hazard(phi)
        likelihood = float(eta[self.dead].sum() - np.log(phi).sum())
        gradient = self.x[self.dead].sum(axis=0) - z.sum(axis=0)
        return likelihood, gradient, (self.x * (w * a)[:, None]).T @ self.x - z.T @ z

    def sums(self, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """Weights exp(η), and φ and z of each death."""
        w = np.exp(eta)
        wx = w[:, None] * self.x
        s0, s1 = (np.cumsum(part[::-1], axis=0)[::-1][self.first] for part in (w, wx))
        d0, d1 = self.by_tie(w[self.dead]), self.by_tie(wx[self.dead])
        phi = s0 - self.fraction * d0
        return w, phi, (s1 - self.fraction[:, None] * d1) / phi[:, None]

    def by_tie(self, parts: Floats) -> Floats:
        """Sums over the deaths of one time, given back to each of these deaths."""
        out = np.zeros((self.n_ties, *parts.shape[1:]))
        np.add.at(out, self.tie, parts)
        return np.asarray(out[self.tie])

    def hazard(self, phi: Floats) -> Floats:
        """Σ 1/φ over the deaths up to each row's time, less the fraction that a death does not count against itself."""
        a = np.concatenate([[0.0], np.cumsum(1 / phi)])[self.n_before]
        a[self.dead] -= self.by_tie(self.fraction / phi)
        return np.asarray(a)

    def scores(self, beta: Floats) -> Floats:
        """Score residuals in the order of the rows that were given, (n_rows, n_terms); they sum to the gradient."""
        eta = self.x @ beta
        w, phi, z = self.sums(eta - eta.max())
        a = self.hazard(phi)
        c = np.concatenate([np.zeros((1, self.x.shape[1])), np.cumsum(z / phi[:, None], axis=0)])[self.n_before]
        c[self.dead] -= self.by_tie(self.fraction[:, None] * z / phi[:, None])
        out = -w[:, None] * (a[:, None] * self.x - c)
        size = self.by_tie(np.ones(len(self.dead)))
        out[self.dead] += self.x[self.dead] - self.by_tie(z) / size[:, None]
        back = np.empty_like(out)
        back[self.order] = out
        return back


def _cox(X: Floats, outcome: Outcome) -> _Solved:
    sets = _RiskSets(X, outcome.y, np.asarray(outcome.event, dtype=bool))
    beta, information = _newton(sets.state, np.zeros(X.shape[1]))
    inverse = _inverse(information)
    return _Solved(beta, inverse, inverse, sets.scores(beta))


_SOLVERS: dict[str, Callable[[Floats, Outcome], _Solved]] = {"linear": _linear, "logistic": _logistic, "cox": _cox}
