"""How good predictions are, under many weightings of the same rows at once: ranking, decisions, calibration, error. Knows no model.

Every figure is taken under each row of a matrix of weights, (n_draws, n_rows), so that a bootstrap costs one matrix product. With more
than two classes each class is set against the rest and the figures are averaged over the classes that occur (macro averages).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.evaluation.prediction.task import Task

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
N_BINS = 10
CHUNK = 40_000  # weights that are looked at at once: what a processor's near memory holds
LEAST = 1e-4  # probabilities are kept this far from 0 and 1 before their log-odds are taken


@dataclass(frozen=True)
class Answers:
    """What a model said of rows of which the truth is known.

    Attributes
    ----------
    truth : class numbers, or numbers, (n_rows,).
    predicted : class probabilities (n_rows, n_classes), or numbers (n_rows, 1).
    decided : the class that is decided for, (n_rows,); none for numbers.
    """

    truth: npt.NDArray[np.generic]
    predicted: Floats
    decided: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.generic]) -> Answers:
        """The answers of some rows."""
        return Answers(self.truth[rows], self.predicted[rows], self.decided[rows])


def decide(predicted: Floats, shares: Floats) -> npt.NDArray[np.int64]:
    """The class whose probability is largest beside its share of the training rows, (n_rows,).

    With two classes a case is flagged where its probability is at least the share of cases in the training rows: a threshold fixed
    without a look at the test, and the one of largest balanced accuracy if the model is calibrated.
    """
    if not shares.size:
        return np.zeros(len(predicted), dtype=np.int64)
    lift = predicted / np.where(shares > 0, shares, np.inf)
    return np.asarray(lift.shape[1] - 1 - np.argmax(lift[:, ::-1], axis=1), dtype=np.int64)


def scores(task: Task, answers: Answers, weights: Floats) -> dict[str, Floats]:
    """All figures under every row of weights, (n_draws,) each; NaN where a draw does not define one.

    Of classes: auroc, auprc (average precision), accuracy, balanced_accuracy, precision, recall, f1, brier, calibration_slope,
    calibration_intercept, calibration_error. Of numbers: r2, rmse, mae.
    """
    if task.n_classes == 0:
        return _of_numbers(answers.truth.astype(float), answers.predicted[:, 0], weights)
    found = [_ranked(answers.truth == c, answers.predicted[:, c], weights) for c in classes_of(task, answers.truth)]
    made = {"auroc": _mean([area for area, _ in found], weights), "auprc": _mean([precision for _, precision in found], weights)}
    return made | _decisions(task, answers, weights) | _calibration(task, answers, weights)


def headline(task: Task, answers: Answers, weights: Floats) -> Floats:
    """AUROC or R² alone, (n_draws,)."""
    if task.n_classes == 0:
        return _of_numbers(answers.truth.astype(float), answers.predicted[:, 0], weights)["r2"]
    areas = [_ranked(answers.truth == c, answers.predicted[:, c], weights)[0] for c in classes_of(task, answers.truth)]
    return _mean(areas, weights)


def classes_of(task: Task, truth: npt.NDArray[np.generic]) -> list[int]:
    """The classes that are set against the rest: the case of two, of more all that occur beside others."""
    if task.n_classes == 2:
        return [1]
    return [c for c in range(task.n_classes) if (truth == c).any() and (truth != c).any()]


def _mean(figures: list[Floats], weights: Floats) -> Floats:
    """Mean over classes, those left out that a draw does not hold."""
    if not figures:
        return np.full(len(weights), np.nan)
    table = np.asarray(figures)
    known = ~np.isnan(table)
    total = np.where(known, table, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(len(weights), np.nan), where=known.any(axis=0))


def _of_numbers(truth: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
    centre = truth.mean()  # large numbers far from zero would lose their spread in the squares
    total = weights.sum(axis=1)
    columns = np.column_stack([truth - centre, (truth - centre) ** 2, (truth - predicted) ** 2, np.abs(truth - predicted)])
    mean, square, error, absolute = (weights @ columns / total[:, None]).T
    spread = np.maximum(square - mean**2, 1e-300)
    return {"r2": 1 - error / spread, "rmse": np.sqrt(error), "mae": absolute}


def _ranked(is_positive: Flags, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """AUROC (ties half) and average precision under each row of weights; 0.5 and NaN where a draw holds one class only."""
    order = np.argsort(scores, kind="stable")[::-1]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) < 0]))
    is_untied, truth = len(starts) == len(order), is_positive[order]
    area, precision = np.full(len(weights), 0.5), np.full(len(weights), np.nan)
    n_at_once = max(1, CHUNK // max(len(order), 1))
    for begin in range(0, len(weights), n_at_once):
        every = weights[begin : begin + n_at_once, order]
        positive = every * truth
        if not is_untied:
            every, positive = np.add.reduceat(every, starts, axis=1), np.add.reduceat(positive, starts, axis=1)
        above, hits = np.cumsum(every, axis=1), np.cumsum(positive, axis=1)
        n_positive, n_negative = hits[:, -1], above[:, -1] - hits[:, -1]
        part = slice(begin, begin + n_at_once)
        np.divide((positive * hits / np.maximum(above, 1e-300)).sum(axis=1), n_positive, out=precision[part], where=n_positive > 0)
        below = (positive * (above - hits - (every - positive) / 2)).sum(axis=1)
        pairs = n_positive * n_negative
        area[part] = 1 - np.divide(below, pairs, out=np.full(len(below), 0.5), where=pairs > 0)
    return area, precision


def _decisions(task: Task, answers: Answers, weights: Floats) -> dict[str, Floats]:
    classes = range(task.n_classes)
    hit = answers.truth == answers.decided
    columns = [hit & (answers.truth == c) for c in classes] + [answers.truth == c for c in classes]
    columns += [answers.decided == c for c in classes]
    counts = (weights @ np.column_stack(columns).astype(float)).T
    hits, cases, flagged = (counts[i * task.n_classes : (i + 1) * task.n_classes] for i in range(3))
    recall, precision = _ratio(hits, cases), np.where(cases > 0, _ratio(hits, flagged, 0.0), np.nan)
    f1 = np.where(cases > 0, _ratio(2 * hits, cases + flagged), np.nan)
    shown = [1] if task.n_classes == 2 else list(classes)
    return {
        "accuracy": hits.sum(axis=0) / cases.sum(axis=0),
        "balanced_accuracy": _mean(list(recall), weights),
        "precision": _mean(list(precision[shown]), weights),
        "recall": _mean(list(recall[shown]), weights),
        "f1": _mean(list(f1[shown]), weights),
    }


def _ratio(above: Floats, below: Floats, otherwise: float = np.nan) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(np.broadcast(above, below).shape, otherwise), where=below > 0))


def _calibration(task: Task, answers: Answers, weights: Floats) -> dict[str, Floats]:
    """Brier score, and by class: slope, calibration in the large, expected calibration error."""
    total = weights.sum(axis=1)
    classes = classes_of(task, answers.truth)
    wrong = [(answers.predicted[:, c] - (answers.truth == c)) ** 2 for c in ([1] if task.n_classes == 2 else range(task.n_classes))]
    parts = [calibration(answers.truth == c, answers.predicted[:, c], weights) for c in classes]
    names = ("calibration_slope", "calibration_intercept", "calibration_error")
    return {"brier": weights @ np.sum(wrong, axis=0) / total} | {
        name: _mean([part[i] for part in parts], weights) for i, name in enumerate(names)
    }


def calibration(is_case: Flags, probability: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Slope, intercept and expected calibration error under each row of weights, (n_draws,) each.

    Slope: that of a logistic regression of the outcome on the predicted log-odds; 1 is best, less is overconfident. Intercept: with the
    slope held at 1, how far the log-odds are too low on the whole (calibration in the large); 0 is best. Both after Cox 1958, as in
    Van Calster et al. 2016 (doi:10.1016/j.jclinepi.2015.12.005). The first row of weights is fitted to convergence, the others take one
    Newton step from there. Error: mean |predicted - observed| over ten bins of equally many rows (Naeini et al. 2015).
    """
    y = is_case.astype(float)
    bounded = np.clip(probability, LEAST, 1 - LEAST)
    odds = np.log(bounded / (1 - bounded))
    intercept = _newton(np.ones((len(y), 1)), odds, y, weights)[:, 0]
    slope = _newton(np.column_stack([np.ones(len(y)), odds]), np.zeros(len(y)), y, weights)[:, 1]
    rank = np.empty(len(y), dtype=np.int64)
    rank[np.argsort(probability, kind="stable")] = np.arange(len(y)) * min(N_BINS, len(y)) // len(y)
    off = np.zeros((len(y), N_BINS))
    off[np.arange(len(y)), rank] = probability - y
    return slope, intercept, np.asarray(np.abs(weights @ off).sum(axis=1) / weights.sum(axis=1))


def _newton(X: Floats, offset: Floats, y: Floats, weights: Floats) -> Floats:
    """Coefficients of a logistic regression under each row of weights, (n_draws, n_columns); NaN where it has no finite optimum."""
    k = X.shape[1]
    beta, first = np.zeros(k), weights[:1]
    for _ in range(25):
        step = _step(X, offset, y, beta, first)[0]
        beta = beta + np.clip(step, -2, 2)
        if not np.isfinite(beta).all() or np.abs(beta).max() > 50:
            return np.full((len(weights), k), np.nan)
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(beta + np.concatenate([np.zeros((1, k)), _step(X, offset, y, beta, weights[1:])]), dtype=float)


def _step(X: Floats, offset: Floats, y: Floats, beta: Floats, weights: Floats) -> Floats:
    k = X.shape[1]
    mean = 1 / (1 + np.exp(-(X @ beta + offset)))
    pairs = (X[:, :, None] * X[:, None, :]).reshape(len(X), k * k)
    sums = weights @ np.column_stack([(y - mean)[:, None] * X, (mean * (1 - mean))[:, None] * pairs])
    curvature = sums[:, k:].reshape(-1, k, k)
    with np.errstate(divide="ignore", invalid="ignore"):
        is_flat = ~(np.linalg.det(curvature) > 1e-9 * len(X))
    curvature[is_flat] = np.eye(k)
    step = np.linalg.solve(curvature, sums[:, :k, None])[:, :, 0]
    step[is_flat] = np.nan
    return np.asarray(step, dtype=float)
