"""Do models learned from synthetic and from real rows look at the same columns? Agreement of feature importances, beside real halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError, measured
from manikin.evaluation.intervals import bootstrap_weights
from manikin.evaluation.prediction import scores
from manikin.evaluation.prediction.learners import Predictor
from manikin.evaluation.prediction.scores import Answers
from manikin.evaluation.prediction.trained import MIN_ROWS, Trained, half_predictors, trained
from manikin.evaluation.prepared import Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_TEST = 1_500
N_REPEATS = 2
N_BOOTSTRAP = 200
N_SHOWN, N_TOP = 30, 5
CHUNK = 40_000  # rows that a model answers at once
SIDES = (("fake", 0), ("fake", 1), ("real", 0), ("real", 1))
IMPORTANCE = Definition("importance", "The same columns matter", Section.UTILITY, Direction.REFERENCE, unit="columns")


@dataclass(frozen=True)
class Reliance:
    """How far a model's answer to each row moves when a column is exchanged, (n_rows, n_columns), and the score lost, (n_columns,)."""

    moved: Floats
    drops: Floats


@measured(IMPORTANCE, min_rows=MIN_ROWS)
def importance(data: Prepared, *, seed: int) -> MetricResult:
    """Rank correlation of the columns' importances to a model of synthetic and to one of real rows; in [-1, 1].

    A column's importance is how far the model's answers (class probabilities, or a number) move on the mean over holdout rows when the
    column's cells are permuted (permutation importance, Breiman 2001, doi:10.1023/A:1010933404324, of the answers instead of the error:
    it needs fewer rows and counts what a model relies on, whether rightly or not; `drop` is the loss of AUROC or R² as Breiman has
    it). The correlation is Kendall's with additive hyperbolic weights, so that the first ranks count most (Vigna 2015,
    doi:10.1145/2736277.2741088). The headline learner of `tstr` learns from two halves of the synthetic and two of the train rows, all
    equally many; the figure is the mean over the four pairs of a synthetic and a real half, the reference is between the two real
    halves, which is where real patients agree with themselves. Intervals are 200 bootstrap samples of the holdout's patients and of
    the pairs. `details.top` is the share of each model's five first columns that are the other's too.
    """
    of = trained(data, seed)
    if len(of.task.inputs) < 3:
        raise UndefinedMetricError("ranks of importance need three columns beside the target")
    most = MAX_TEST if of.task.n_classes <= 2 else MAX_TEST // 3
    held = of.held.draw(most, seed, "importance", "holdout")
    parts = {side: half_predictors(data, seed, side) for side in ("fake", "real")}
    with one_thread():
        found = {(side, i): reliance(of, parts[side][i], held, seed) for side, i in SIDES}
    draws = bootstrap_weights(held.records, N_BOOTSTRAP, generator(seed, "importance", "bootstrap"))
    weights = np.concatenate([np.ones((1, len(held))), draws])
    means = {key: weights @ of_one.moved / weights.sum(axis=1)[:, None] for key, of_one in found.items()}
    pairs = [(("fake", i), ("real", j)) for i in range(2) for j in range(2)]
    agreed = np.array([agreement(means[one], means[two]) for one, two in pairs])
    between = agreement(means["real", 0], means["real", 1])
    value = float(agreed[:, 0].mean())
    tops = [_top(means[one][0], means[two][0]) for one, two in pairs]
    return IMPORTANCE.result(
        value,
        interval=_interval(value, agreed[:, 1:].ravel()),
        n=len(of.task.inputs),
        reference=float(between[0]),
        reference_interval=_interval(float(between[0]), between[1:]),
        details={
            "target": of.task.target.name,
            "learner": of.headline,
            "measure": of.task.measure,
            "n_train": parts["real"][0].n_train,
            "n_test": len(held),
            "top": float(np.mean(tops)),
            "top_reference": _top(means["real", 0][0], means["real", 1][0]),
            "columns": _columns(of, {key: draws[0] for key, draws in means.items()}, found),
        },
    )


def reliance(of: Trained, model: Predictor, held: Sample, seed: int) -> Reliance:
    """Asks a model about the rows as they are, and with one column after another permuted; the same permutations for every model."""
    X, n = model.matrix(held), len(held)
    truth = of.task.truth(held)
    plain = model.answers(X)
    score = _score(of, truth, plain)
    rng = generator(seed, "importance", "permutations")
    orders = [rng.permutation(n) for _ in range(N_REPEATS)]
    tasks = [(j, order) for j in range(len(model.spans)) for order in orders]
    moved, drops = np.zeros((n, len(model.spans))), np.zeros(len(model.spans))
    per_chunk = max(1, CHUNK // n)
    for begin in range(0, len(tasks), per_chunk):
        part = tasks[begin : begin + per_chunk]
        stacked = np.tile(X, (len(part), 1, 1))
        for place, (j, order) in zip(stacked, part, strict=True):
            columns = list(model.spans[j])
            place[:, columns] = X[order][:, columns]
        told = model.answers(stacked.reshape(-1, X.shape[1])).reshape(len(part), n, -1)
        for (j, _), answer in zip(part, told, strict=True):
            moved[:, j] += np.abs(answer - plain).sum(axis=1) / (2 if of.task.n_classes else 1) / N_REPEATS
            drops[j] += (score - _score(of, truth, answer)) / N_REPEATS
    return Reliance(moved, drops)


def agreement(first: Floats, second: Floats) -> Floats:
    """Weighted Kendall correlation of each row of importances, (n_draws,); 0 where a model relies on nothing."""
    from scipy.stats import weightedtau

    made = [weightedtau(a, b).statistic for a, b in zip(first, second, strict=True)]
    return np.nan_to_num(np.asarray(made, dtype=float))


def _score(of: Trained, truth: npt.NDArray[Any], predicted: Floats) -> float:
    given = Answers(truth, predicted, np.zeros(len(truth), dtype=np.int64))
    return float(scores.headline(of.task, given, np.ones((1, len(truth))))[0])


def _top(first: Floats, second: Floats) -> float:
    k = min(N_TOP, len(first) // 2)
    one, two = (set(np.argsort(-side, kind="stable")[:k].tolist()) for side in (first, second))
    return len(one & two) / k


def _interval(value: float, draws: Floats) -> Interval:
    """Percentiles, stretched to hold the figure itself where all draws lie on one side of it."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return min(float(low), value), max(float(high), value)


def _columns(of: Trained, means: dict[tuple[str, int], Floats], found: dict[tuple[str, int], Reliance]) -> list[dict[str, Any]]:
    """Each column's importance as a share of all, and the score that its permutation loses, most important to real rows first."""
    shares = {side: np.mean([means[side, i] / max(means[side, i].sum(), 1e-300) for i in range(2)], axis=0) for side in ("fake", "real")}
    drops = {side: np.mean([found[side, i].drops for i in range(2)], axis=0) for side in ("fake", "real")}
    order = np.argsort(-np.maximum(shares["real"], shares["fake"]), kind="stable")[:N_SHOWN]
    return [
        {
            "column": of.task.inputs[j].name,
            "real": float(shares["real"][j]),
            "synthetic": float(shares["fake"][j]),
            "drop_real": float(drops["real"][j]),
            "drop_synthetic": float(drops["fake"][j]),
        }
        for j in order
    ]
