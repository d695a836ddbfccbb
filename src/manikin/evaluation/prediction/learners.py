"""Four learners of different kinds, from scikit-learn: boosted trees, a linear model, a random forest, one small tree. Know no metric."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.boosters import Booster, TreeInput
from manikin.evaluation.features import Embedding
from manikin.evaluation.prediction.task import Task
from manikin.evaluation.prepared import Sample

Floats = npt.NDArray[np.float64]
Spans = tuple[tuple[int, ...], ...]
N_TREES, N_FOREST = 100, 50
MAX_FOREST_ROWS = 10_000
LARGEST = 3e38  # scikit-learn's trees hold 32-bit floats


@dataclass(frozen=True)
class Predictor:
    """A fitted model.

    Attributes
    ----------
    matrix : a sample as the model's matrix, (n_rows, n_columns).
    spans : for each input of the task, its columns of the matrix.
    model : None where the training rows held one class, or one number, only.
    present : the classes that the training rows held; or the number, where they held one only.
    shares : each class's share of the training rows, (n_classes,); empty for a number.
    """

    task: Task
    matrix: Callable[[Sample], Floats]
    spans: Spans
    model: Any
    present: npt.NDArray[Any]
    shares: Floats
    n_train: int

    def predict(self, sample: Sample) -> Floats:
        """Class probabilities, (n_rows, n_classes), or predicted numbers, (n_rows, 1)."""
        return self.answers(self.matrix(sample))

    def answers(self, X: Floats) -> Floats:
        """The same of rows of the matrix."""
        n_classes = self.task.n_classes
        if n_classes == 0:
            made = np.full(len(X), float(self.present[0])) if self.model is None else self.model.predict(X)
            return np.asarray(made, dtype=float)[:, None]
        out = np.zeros((len(X), n_classes))
        out[:, self.present] = 1.0 if self.model is None else self.model.predict_proba(X)
        return out


Learner = Callable[[Task, Sample, int], tuple[Any, Callable[[Sample], Floats], Spans]]


def fit(name: str, task: Task, train: Sample, seed: int) -> Predictor:
    """One learner's model of the task, learned from these rows (at most as many as the learner takes)."""
    from sklearn.exceptions import ConvergenceWarning

    if name == "forest":
        train = train.draw(MAX_FOREST_ROWS, seed, "forest", "rows")
    y = task.truth(train)
    model, matrix, spans = LEARNERS[name](task, train, seed)
    present = np.unique(y)
    shares = np.bincount(y, minlength=task.n_classes) / max(len(y), 1) if task.n_classes else np.empty(0)
    if len(present) < 2:
        return Predictor(task, matrix, spans, None, present, shares, len(train))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a logistic model one step from its optimum ranks as well
        model.fit(matrix(train), y)
    return Predictor(task, matrix, spans, model, present, shares, len(train))


def _booster(task: Task, train: Sample, seed: int) -> tuple[Any, Callable[[Sample], Floats], Spans]:
    inputs = TreeInput.fit(task.inputs, (train,))
    # A booster of k classes grows k trees a round.
    n_trees = max(30, 2 * N_TREES // task.n_classes) if task.n_classes > 2 else N_TREES
    return Booster(inputs, bool(task.n_classes), n_trees, seed), inputs.matrix, _tree_spans(inputs)


def _linear(task: Task, train: Sample, seed: int) -> tuple[Any, Callable[[Sample], Floats], Spans]:
    del seed
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    points = Embedding.fit(task.inputs, train)
    model = LogisticRegression(max_iter=200) if task.n_classes else Ridge(alpha=1.0)
    widths = [2 if feature.is_number else len(kept) + 2 for feature, kept in zip(points.features, points.kept, strict=True)]
    ends = np.cumsum(widths).tolist()
    spans = tuple(tuple(range(end - width, end)) for end, width in zip(ends, widths, strict=True))
    return make_pipeline(StandardScaler(), model), lambda sample: points.points(sample).astype(float), spans


def _forest(task: Task, train: Sample, seed: int) -> tuple[Any, Callable[[Sample], Floats], Spans]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    make = RandomForestClassifier if task.n_classes else RandomForestRegressor
    settings = {"min_samples_leaf": min(10, max(1, len(train) // 50)), "max_samples": 0.5, "max_features": "sqrt"}
    return _of_trees(make(N_FOREST, random_state=seed & 0x7FFFFFFF, **settings), task, train)


def _tree(task: Task, train: Sample, seed: int) -> tuple[Any, Callable[[Sample], Floats], Spans]:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    make = DecisionTreeClassifier if task.n_classes else DecisionTreeRegressor
    settings = {"max_leaf_nodes": 32, "min_samples_leaf": min(20, max(1, len(train) // 20))}
    return _of_trees(make(random_state=seed & 0x7FFFFFFF, **settings), task, train)


def _of_trees(model: Any, task: Task, train: Sample) -> tuple[Any, Callable[[Sample], Floats], Spans]:
    """Levels stand at their rank by frequency; columns without any value hold zeros, since these trees refuse them."""
    inputs = TreeInput.fit(task.inputs, (train,))
    is_empty = np.isnan(inputs.matrix(train)).all(axis=0)

    def matrix(sample: Sample) -> Floats:
        """The rows within the range of the trees' numbers."""
        return np.where(is_empty, 0.0, np.clip(inputs.matrix(sample), -LARGEST, LARGEST))

    return model, matrix, _tree_spans(inputs)


def _tree_spans(inputs: TreeInput) -> Spans:
    n, place = len(inputs.features), {name: i for i, name in enumerate(inputs.coded)}
    return tuple((i, n + place[f.name]) if f.name in place else (i,) for i, f in enumerate(inputs.features))


LEARNERS: dict[str, Learner] = {"booster": _booster, "linear": _linear, "forest": _forest, "tree": _tree}
TITLES = {"booster": "boosted trees", "linear": "logistic or ridge regression", "forest": "random forest", "tree": "a small tree"}
