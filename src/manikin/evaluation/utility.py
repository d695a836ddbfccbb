"""Is the release good for the work that real data are good for? A model trained on synthetic rows, tested on real ones (TSTR)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import Booster, TreeInput, one_thread
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError, measured
from manikin.evaluation.features import Embedding
from manikin.evaluation.group_fidelity import with_subgroups
from manikin.evaluation.groups import groups
from manikin.evaluation.intervals import bootstrap_weights
from manikin.evaluation.prepared import Feature, Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_ROWS = 20_000
MAX_CLASSES = 10
MIN_ROWS = 20
MIN_GROUP_ROWS, MIN_GROUP_CASES = 50, 10  # holdout rows of a group, and cases of its second most frequent class
N_TREES = 100
N_BOOTSTRAP = 200
TSTR = Definition("tstr", "Model trained on synthetic, tested on real (TSTR)", Section.UTILITY, Direction.REFERENCE)


@dataclass(frozen=True)
class Task:
    """What is predicted: `classes` levels of a discrete target, or a number where `n_classes` is 0."""

    target: Feature
    inputs: tuple[Feature, ...]
    kept: npt.NDArray[np.int64]
    n_classes: int

    @property
    def measure(self) -> str:
        """AUROC (mean over classes against the rest), or R²."""
        return "AUROC" if self.n_classes else "R2"

    def truth(self, sample: Sample) -> npt.NDArray[Any]:
        """The target: class numbers, or floats."""
        values = sample.values[self.target.name]
        return self.kept[values] if self.n_classes else values


@measured(TSTR, min_rows=MIN_ROWS)
def tstr(data: Prepared, *, seed: int) -> MetricResult:
    """AUROC (R² for a number) on the holdout of a model trained on synthetic rows; the reference trained on as many train rows (TRTR).

    Two learners, gradient-boosted trees and a linear model (logistic or ridge) on the shared embedding; the figure is of the one that
    does better when trained on real rows, details hold both, with the paired gap TSTR - TRTR and the excess TSTR,
    (TSTR - 0.5) / (TRTR - 0.5) for AUROC and TSTR / TRTR for R², which unlike the plain ratio does not saturate. `subgroups` and
    `details.groups` hold the same among the rows of one group of patients alone, where it has 50 rows and 10 cases. Intervals are a
    bootstrap of the holdout's patients (200 draws, both models on the same draws): they carry the noise of the test, not of training.
    """
    task = _task(data)
    real, held, fake = (_with_target(side, task) for side in (data.real, data.held, data.fake))
    n = min(len(real), len(fake), MAX_ROWS)
    held = held.draw(MAX_ROWS, seed, "tstr", "holdout")
    if min(n, len(held)) < MIN_ROWS:
        raise UndefinedMetricError(f"fewer than {MIN_ROWS} rows hold a value of the target")
    _refuse_flat(task, real, held)
    sides = {"tstr": fake.draw(n, seed, "tstr", "synthetic"), "trtr": real.draw(n, seed, "tstr", "train")}
    truth = task.truth(held)
    weights = bootstrap_weights(held.records, N_BOOTSTRAP, generator(seed, "tstr", "bootstrap"))
    weights = np.concatenate([np.ones((1, len(held)), dtype=np.float32), weights])
    learners: dict[str, dict[str, Any]] = {}
    predicted: dict[str, dict[str, Floats]] = {}
    with one_thread():
        for name, predict in (("booster", _booster), ("linear", _linear)):
            predicted[name] = {side: predict(task, sample, held, seed) for side, sample in sides.items()}
            scored = {side: _scores(task, truth, made, weights) for side, made in predicted[name].items()}
            learners[name] = _compared(scored, task)
    headline = max(learners, key=lambda name: learners[name]["trtr"])
    best = learners[headline]
    within = _within_groups(data, task, held, predicted[headline])
    made = TSTR.result(
        best["tstr"],
        interval=best["tstr_interval"],
        n=len(held),
        reference=best["trtr"],
        reference_interval=best["trtr_interval"],
        details={
            "target": task.target.name,
            "measure": task.measure,
            "headline": headline,
            "n_train": n,
            "n_classes": task.n_classes,
            "learners": learners,
            "groups": within,
        },
    )
    return with_subgroups(made, {row["group"]: row["tstr"] for row in within})


def _within_groups(data: Prepared, task: Task, held: Sample, predicted: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """The headline learner's figure among the holdout rows of each group that has enough of them, both outcomes among them."""
    rows = []
    for group in groups(data):
        member = group.holds(held)
        truth = task.truth(held)[member]
        counts = np.unique(truth, return_counts=True)[1]
        if task.target.name in group.columns or len(truth) < MIN_GROUP_ROWS or len(counts) < 2:
            continue
        if task.n_classes and np.sort(counts)[-2] < MIN_GROUP_CASES:
            continue
        one = np.ones((1, len(truth)), dtype=np.float32)
        scores = {side: float(_scores(task, truth, made[member], one)["score"][0]) for side, made in predicted.items()}
        rows.append({"group": group.name, "n": len(truth), **scores})
    return rows


def _task(data: Prepared) -> Task:
    if data.target is None:
        raise UndefinedMetricError("no target column is named")
    found = [feature for feature in data.features if feature.name == data.target]
    inputs = tuple(feature for feature in data.features if feature.name != data.target)
    if not found or not inputs:
        raise UndefinedMetricError("the target is not a judged column of all three tables, or it is the only one")
    target = found[0]
    if target.is_number:
        return Task(target, inputs, np.empty(0, dtype=np.int64), 0)
    codes = data.real.values[target.name]
    frequency = np.bincount(codes[codes >= 0], minlength=len(target.levels or ()))
    order = np.argsort(-frequency, kind="stable")
    n_found = int((frequency > 0).sum())
    kept = np.full(len(frequency) + 1, min(n_found, MAX_CLASSES) - 1, dtype=np.int64)
    kept[order[: MAX_CLASSES - 1]] = np.arange(min(len(order), MAX_CLASSES - 1))
    # Levels that train lacks count with the rarest class, as do those beyond the first nine.
    return Task(target, inputs, np.minimum(kept, max(n_found, 1) - 1), max(1, min(n_found, MAX_CLASSES)))


def _with_target(sample: Sample, task: Task) -> Sample:
    return sample.take(np.flatnonzero(sample.marks[task.target.name] == 0))


def _refuse_flat(task: Task, real: Sample, held: Sample) -> None:
    for side, sample in (("train", real), ("holdout", held)):
        if len(np.unique(task.truth(sample))) < 2:
            raise UndefinedMetricError(f"the target has a single value in the {side} data")


def _booster(task: Task, train: Sample, test: Sample, seed: int) -> Floats:
    inputs = TreeInput.fit(task.inputs, (train,))
    # A booster of k classes grows k trees a round.
    n_trees = max(30, 2 * N_TREES // task.n_classes) if task.n_classes > 2 else N_TREES
    model = Booster(inputs, bool(task.n_classes), n_trees, seed)
    return _predicted(task, model, inputs.matrix(train), task.truth(train), inputs.matrix(test))


def _linear(task: Task, train: Sample, test: Sample, seed: int) -> Floats:
    del seed
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    points = Embedding.fit(task.inputs, train)
    model = LogisticRegression(max_iter=200) if task.n_classes else Ridge(alpha=1.0)
    return _predicted(
        task,
        make_pipeline(StandardScaler(), model),
        points.points(train).astype(float),
        task.truth(train),
        points.points(test).astype(float),
    )


def _predicted(task: Task, model: Any, X: Floats, y: npt.NDArray[Any], test: Floats) -> Floats:
    """Class probabilities (n_test, n_classes), or predictions (n_test, 1); constant where the training target is."""
    from sklearn.exceptions import ConvergenceWarning

    present = np.unique(y)
    if len(present) < 2:
        return np.zeros((len(test), max(task.n_classes, 1))) + (0.0 if task.n_classes else present[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a logistic model one step from its optimum ranks as well
        model.fit(X, y)
    if not task.n_classes:
        return np.asarray(model.predict(test), dtype=float)[:, None]
    out = np.zeros((len(test), task.n_classes))
    out[:, present] = model.predict_proba(test)
    return out


def _scores(task: Task, truth: npt.NDArray[Any], predicted: Floats, weights: npt.NDArray[np.float32]) -> dict[str, Floats]:
    """The figures under every row of weights, (n_draws,) each."""
    if task.n_classes == 0:
        return _regression_scores(truth.astype(float), predicted[:, 0], weights)
    classes = [1] if task.n_classes == 2 else [c for c in range(task.n_classes) if (truth == c).any() and (truth != c).any()]
    areas = [_weighted_auc(truth == c, predicted[:, c], weights) for c in classes]
    return {"score": np.mean(areas, axis=0)}


def _regression_scores(truth: Floats, predicted: Floats, weights: npt.NDArray[np.float32]) -> dict[str, Floats]:
    total = weights.sum(axis=1)
    mean = weights @ truth / total
    spread = weights @ truth**2 / total - mean**2
    error = weights @ (truth - predicted) ** 2 / total
    return {"score": 1 - error / np.maximum(spread, 1e-300), "rmse": np.sqrt(error)}


def _weighted_auc(is_positive: npt.NDArray[np.bool_], scores: Floats, weights: npt.NDArray[np.float32]) -> Floats:
    """AUC under each row of weights, ties half, (n_draws,); 0.5 where a draw holds one class only."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) > 0]))
    out = np.full(len(weights), 0.5)
    for i, row in enumerate(weights):
        sorted_weights = row[order].astype(float)
        positive = np.add.reduceat(sorted_weights * is_positive[order], starts)
        negative = np.add.reduceat(sorted_weights * ~is_positive[order], starts)
        pairs = positive.sum() * negative.sum()
        if pairs > 0:
            out[i] = float((positive * (np.cumsum(negative) - negative / 2)).sum() / pairs)
    return out


def _compared(scored: Mapping[str, Mapping[str, Floats]], task: Task) -> dict[str, Any]:
    """One learner's figures, with the paired gap and the excess."""
    synthetic, real = scored["tstr"]["score"], scored["trtr"]["score"]
    floor = 0.5 if task.n_classes else 0.0
    room = real - floor
    made: dict[str, Any] = {
        "tstr": float(synthetic[0]),
        "tstr_interval": _percentiles(synthetic),
        "trtr": float(real[0]),
        "trtr_interval": _percentiles(real),
        "gap": float(synthetic[0] - real[0]),
        "gap_interval": _percentiles(synthetic - real),
        "excess": None,
        "excess_interval": None,
    }
    if room[0] > 0.01:
        made["excess"] = float((synthetic[0] - floor) / room[0])
        if room.min() > 0.01:
            made["excess_interval"] = _percentiles((synthetic - floor) / room)
    if "rmse" in scored["tstr"]:
        made["tstr_rmse"], made["trtr_rmse"] = float(scored["tstr"]["rmse"][0]), float(scored["trtr"]["rmse"][0])
    return made


def _percentiles(draws: Floats) -> Interval:
    """The 95 % percentile interval of all draws but the first, which is the figure itself."""
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    return float(low), float(high)
