"""What is predicted from what: the target, its classes, and the columns that a model may use. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.prepared import Feature, Prepared, Sample

MAX_CLASSES = 10


@dataclass(frozen=True)
class Task:
    """What is predicted: `n_classes` levels of a discrete target, or a number where `n_classes` is 0.

    Attributes
    ----------
    kept : the class of each level number; class 0 is train's most frequent level. Of two classes the second is "the case".
    """

    target: Feature
    inputs: tuple[Feature, ...]
    kept: npt.NDArray[np.int64]
    n_classes: int

    @property
    def measure(self) -> str:
        """AUROC (mean over classes against the rest), or R²."""
        return "AUROC" if self.n_classes else "R2"

    @property
    def headline(self) -> str:
        """The key of that measure among the scores."""
        return "auroc" if self.n_classes else "r2"

    @property
    def floor(self) -> float:
        """What a model that knows nothing scores."""
        return 0.5 if self.n_classes else 0.0

    def truth(self, sample: Sample) -> npt.NDArray[Any]:
        """The target: class numbers, or floats."""
        values = sample.values[self.target.name]
        return self.kept[values] if self.n_classes else values

    def with_target(self, sample: Sample) -> Sample:
        """The rows that hold a value of the target."""
        return sample.take(np.flatnonzero(sample.marks[self.target.name] == 0))


def task_of(data: Prepared) -> Task:
    """The task that the named target sets.

    Raises
    ------
    UndefinedMetricError : no target is named, or it is not a judged column, or nothing is left to predict it from.
    """
    if data.target is None:
        raise UndefinedMetricError("no target column is named; name one with --target, or mark it in schema.toml")
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
