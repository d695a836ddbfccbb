"""One split of an augmentation study: every training set meets the same real test rows. Knows no generator by name.

Train rows are learned from, tuning rows (real, of other patients) choose the threshold and the recalibration, test rows are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.schema import TableSchema
from manikin.data.seeds import derive
from manikin.evaluation.definition import clean
from manikin.evaluation.prepared import Feature, Sample, prepare_sides
from manikin.evaluation.studies import learners
from manikin.evaluation.studies.measures import by_group, gap_name, measured, recalibrated, threshold
from manikin.evaluation.studies.question import Question
from manikin.evaluation.studies.resampling import Wish, joined, oversampled, single, smoted, weighted, wishes

WAYS = ("real", "weighted", "oversampled", "smote", "added", "alone")


def run_trial(
    way: str,
    question: Question,
    schema: TableSchema,
    *,
    train: Dataset,
    tune: Dataset,
    test: Dataset,
    made: Dataset | None = None,
    learner_names: Sequence[str] = ("booster", "logistic"),
    seed: int,
) -> dict[str, Any]:
    """Figures of the models that learn from one training set, on one split; JSON-able.

    Parameters
    ----------
    way : what is learned from: "real" rows, real rows "weighted", "oversampled" or with "smote", real rows with generated ones
        "added", or generated ones "alone".
    train, tune, test : real rows of three disjoint sets of patients.
    made : generated rows, for "added" and "alone".

    Returns
    -------
    n_train, n_real, n_added, n_positive, for "smote" n_single (groups of one row, which is drawn again), and per learner
    "figures", "threshold" and "groups".

    Raises
    ------
    DataError : the test or tuning rows hold one class only.
    """
    sides = [train, tune, test] if made is None else [train, tune, test, made]
    features, samples = prepare_sides(schema, sides)
    real, tuning, testing = samples[:3]
    rows, weights = _training_set(way, question, features, real, samples[3] if made is not None else None, seed)
    truths = [question.is_positive(features, sample) for sample in (rows, tuning, testing)]
    for what, truth in (("tuning", truths[1]), ("test", truths[2])):
        if truth.all() or not truth.any():
            raise DataError(f"The {what} rows of a split hold one class only. Bring more rows of the rare class.")
    n_real = 0 if way == "alone" else len(real)
    result: dict[str, Any] = {
        "n_train": len(rows),
        "n_real": n_real,
        "n_added": len(rows) - n_real,
        "n_positive": int(truths[0].sum()),
        "n_test": len(testing),
        "n_test_positive": int(truths[2].sum()),
        "learners": {},
    }
    if way == "smote":
        result["n_single"] = len(single(_wanted(question, features, real)))
    inputs = question.inputs(features)
    for name in learner_names:
        tuned, scores = learners.predict(
            name,
            inputs,
            rows,
            truths[0],
            [tuning, testing],
            seed=derive(seed, "study", name) % 2**31,
            weights=weights,
        )
        result["learners"][name] = _figures(question, features, testing, truths[1:], tuned, scores)
    return dict(clean(result))


def _training_set(
    way: str, question: Question, features: Sequence[Feature], real: Sample, made: Sample | None, seed: int
) -> tuple[Sample, npt.NDArray[np.float64] | None]:
    if way == "real":
        return real, None
    if way in ("added", "alone"):
        if made is None:
            raise DataError(f"The way {way!r} learns from generated rows, and none were given.")
        return (made if way == "alone" else joined(real, made)), None
    wanted = _wanted(question, features, real)
    if way == "weighted":
        return real, weighted(len(real), wanted)
    if way == "oversampled":
        return oversampled(real, wanted, seed=seed), None
    return smoted(features, real, wanted, seed=seed), None


def _wanted(question: Question, features: Sequence[Feature], real: Sample) -> list[Wish]:
    groups = [question.labels(features, real, name) for name in question.balance]
    return wishes(question.is_positive(features, real), groups)


def _figures(
    question: Question,
    features: Sequence[Feature],
    testing: Sample,
    truths: Sequence[npt.NDArray[np.bool_]],
    tuned: npt.NDArray[np.float64],
    scores: npt.NDArray[np.float64],
) -> dict[str, Any]:
    tuning_truth, truth = truths
    cut = threshold(tuning_truth, tuned)
    flagged = scores >= cut
    figures: dict[str, float | None] = dict(measured(truth, scores, flagged, recalibrated(tuning_truth, tuned, scores)).items())
    groups = {}
    for name in question.groups:
        groups[name], figures[gap_name(name)] = by_group(truth, scores, flagged, question.labels(features, testing, name))
    return {"threshold": cut, "figures": figures, "groups": groups}
