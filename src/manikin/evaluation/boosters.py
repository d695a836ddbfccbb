"""One feature matrix for tree boosters: native categories, native missing values, one thread. Knows no metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from manikin.evaluation.prepared import Feature, Sample

Matrix = npt.NDArray[np.float64]
MAX_LEVELS = 254  # the booster's limit is 255 categories; one is kept for all levels beyond the most frequent 254
N_TREES = 150
LEAST_LEAF = 20


@dataclass(frozen=True)
class TreeInput:
    """How samples become a matrix: numbers as they are, discrete columns as their rank by frequency, missing as NaN.

    The levels beyond the 254 most frequent share one category; with several missing codes each code that is not the only one is a
    category too (discrete columns), or a number column of its own (number columns).
    """

    features: tuple[Feature, ...]
    ranks: tuple[npt.NDArray[np.float64] | None, ...]
    coded: tuple[str, ...]

    @classmethod
    def fit(cls, features: Sequence[Feature], samples: Sequence[Sample]) -> TreeInput:
        """Takes the most frequent levels of these samples together."""
        ranks: list[npt.NDArray[np.float64] | None] = []
        coded = []
        for feature in features:
            marks = [sample.marks[feature.name] for sample in samples]
            if max((int(mark.max(initial=0)) for mark in marks), default=0) > 1:
                coded.append(feature.name)
            if feature.levels is None:
                ranks.append(None)
                continue
            codes = np.concatenate([sample.values[feature.name] for sample in samples])
            frequency = np.bincount(codes[codes >= 0], minlength=len(feature.levels))
            rank = np.empty(len(frequency) + 1)
            rank[np.argsort(-frequency, kind="stable")] = np.minimum(np.arange(len(frequency)), MAX_LEVELS)
            rank[-1] = np.nan  # level number -1: missing
            ranks.append(rank)
        return cls(tuple(features), tuple(ranks), tuple(coded))

    def matrix(self, sample: Sample) -> Matrix:
        """The sample as float64 (n_rows, n_features + n_coded)."""
        columns = [
            sample.values[feature.name] if rank is None else rank[sample.values[feature.name]]
            for feature, rank in zip(self.features, self.ranks, strict=True)
        ]
        columns += [sample.marks[name].astype(float) for name in self.coded]
        return np.column_stack(columns) if columns else np.empty((len(sample), 0))

    @property
    def is_category(self) -> list[bool]:
        """Which columns of the matrix hold categories."""
        return [rank is not None for rank in self.ranks] + [False] * len(self.coded)


@dataclass
class Booster:
    """Gradient-boosted trees for the matrix of a `TreeInput`, without early stopping; columns without any value are left out.

    Attributes
    ----------
    is_classifier : classes are predicted, otherwise a number.
    least_leaf : rows of a leaf at least.
    """

    inputs: TreeInput
    is_classifier: bool = True
    n_trees: int = N_TREES
    seed: int = 0
    least_leaf: int = LEAST_LEAF

    def fit(self, X: Matrix, y: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None) -> Self:
        """Learns, with a weight per row if given; of a matrix without any value it learns nothing but the targets' shares."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        self.columns_ = np.flatnonzero(~np.isnan(X).all(axis=0))
        make = HistGradientBoostingClassifier if self.is_classifier else HistGradientBoostingRegressor
        self.model_ = make(
            max_iter=self.n_trees,
            min_samples_leaf=self.least_leaf,
            categorical_features=[self.inputs.is_category[i] for i in self.columns_] or None,
            early_stopping=False,
            random_state=self.seed & 0x7FFFFFFF,
        ).fit(self._cut(X), y, sample_weight=weights)
        return self

    def scores(self, X: Matrix) -> npt.NDArray[np.float64]:
        """Log-odds of the second class, (n_rows,)."""
        return np.asarray(self.model_.decision_function(self._cut(X)), dtype=float)

    def predict_proba(self, X: Matrix) -> npt.NDArray[np.float64]:
        """Class probabilities, (n_rows, n_classes)."""
        return np.asarray(self.model_.predict_proba(self._cut(X)), dtype=float)

    def predict(self, X: Matrix) -> npt.NDArray[np.float64]:
        """Predicted numbers, (n_rows,)."""
        return np.asarray(self.model_.predict(self._cut(X)), dtype=float)

    def _cut(self, X: Matrix) -> Matrix:
        return X[:, self.columns_] if len(self.columns_) else np.zeros((len(X), 1))


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits OpenMP and BLAS to one thread: a second one on a busy machine was seen to cost ten times the time."""
    import sklearn.ensemble  # noqa: F401  the limit reaches only thread pools that are already loaded
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1):
        yield
