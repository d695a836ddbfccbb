"""The downstream models of a study: they learn from one sample and give the probability of the positive class in others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.boosters import Booster, TreeInput, one_thread
from manikin.evaluation.features import Embedding
from manikin.evaluation.prepared import Feature, Sample

Floats = npt.NDArray[np.float64]
LEARNERS = {"booster": "gradient-boosted trees", "logistic": "logistic regression"}
N_TREES = 100


def predict(
    learner: str,
    inputs: Sequence[Feature],
    train: Sample,
    is_positive: npt.NDArray[np.bool_],
    others: Sequence[Sample],
    *,
    seed: int,
    weights: Floats | None = None,
) -> list[Floats]:
    """Probability of the positive class in each of the other samples, (n_rows,) each, in [0, 1].

    Parameters
    ----------
    learner : "booster" (100 trees, native categories and missing values, no early stopping) or "logistic" (L2 with C = 1, on
        quantile-placed numbers and one-hot levels, standardised).
    weights : a weight per training row.

    Rows of one class only give that class's share, 0 or 1, to everybody.
    """
    if is_positive.all() or not is_positive.any():
        return [np.full(len(other), float(is_positive.all())) for other in others]
    with one_thread():
        model, matrices = (_booster if learner == "booster" else _logistic)(inputs, train, others, seed)
        learn = {"weights": weights} if learner == "booster" else {"logisticregression__sample_weight": weights}
        with warnings.catch_warnings():
            from sklearn.exceptions import ConvergenceWarning

            warnings.simplefilter("ignore", ConvergenceWarning)  # one step from its optimum it ranks as well
            model.fit(matrices[0], is_positive.astype(np.int64), **learn)
        return [np.asarray(model.predict_proba(X)[:, 1], dtype=float) for X in matrices[1:]]


def _booster(inputs: Sequence[Feature], train: Sample, others: Sequence[Sample], seed: int) -> tuple[Any, list[Floats]]:
    trees = TreeInput.fit(inputs, (train,))
    return Booster(trees, True, N_TREES, seed), [trees.matrix(sample) for sample in (train, *others)]  # noqa: FBT003


def _logistic(inputs: Sequence[Feature], train: Sample, others: Sequence[Sample], seed: int) -> tuple[Any, list[Floats]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    del seed  # nothing is drawn
    points = Embedding.fit(inputs, train)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    return model, [points.points(sample).astype(float) for sample in (train, *others)]
