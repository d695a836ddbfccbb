"""How far a classifier falls from clean images to shifted ones: paired intervals, the strength where it fails, groups. Knows no shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ParameterError
from manikin.data.seeds import generator
from manikin.evaluation.intervals import bootstrap_weights

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Measure = Literal["auc", "accuracy"]
N_BINS = 10
CHUNK = 4_000_000  # weights that are sorted at once
LEAST_OF_CLASS = 5  # images of a class that a group must have, with LEAST_OF_GROUP in all
LEAST_OF_GROUP = 20


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """A classifier at one strength.

    Attributes
    ----------
    auc : area under the ROC curve, of several classes the mean of one against the rest; 0.5 is guessing, 1 best.
    accuracy : share right, by the largest probability. calibration_error : mean |confidence - share right| over ten bins, 0 is best.
    confidence : mean of the largest probability. loss : how far the judged measure fell below that of the clean images, paired.
    groups : the loss in each group, by "column = value".
    """

    strength: float
    auc: Figure
    accuracy: Figure
    calibration_error: Figure
    confidence: float
    loss: Figure
    fails: bool
    groups: Mapping[str, Figure]


@dataclass(frozen=True)
class Curve:
    """One shift: the points by strength, the first without shift, and the first strength that fails, None where none does."""

    shift: str
    points: tuple[Point, ...]
    fails_at: float | None
    worst_group: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Judge:
    """What all curves share: truth, draws of patients, groups.

    Attributes
    ----------
    truth : int (n,) places in the classes. n_classes : how many. records : int (n,), whose image it is; 0 to the number of patients.
    groups : "column = value" -> bool (n,).
    measure : what the loss is of. tolerance : how much of it may be lost. n_draws : of the bootstrap.
    """

    truth: Array
    n_classes: int
    records: Array
    groups: Mapping[str, Array]
    measure: Measure = "auc"
    tolerance: float = 0.05
    n_draws: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        present = np.unique(self.truth)
        if self.measure == "auc" and len(present) < 2:
            raise ParameterError(
                "The images are all of one class, so no AUC can be measured. Add another class, or measure accuracy."
            )
        weights = np.ones((self.n_draws + 1, len(self.truth)), np.float32)  # the first row: all images once
        weights[1:] = bootstrap_weights(self.records, self.n_draws, generator(self.seed, "stress"))
        object.__setattr__(self, "_weights", weights)

    def curve(self, shift: str, strengths: Sequence[float], probabilities: Sequence[Floats]) -> Curve:
        """The curve of one shift.

        Parameters
        ----------
        strengths : the first is none. probabilities : (n, n_classes) at each strength.
        """
        clean: Floats | None = None
        clean_groups: dict[str, Floats] = {}
        points = []
        for strength, given in zip(strengths, probabilities, strict=True):
            draws = self._draws(given)
            judged = draws[self.measure]
            in_groups = {name: self._figure(given, mask) for name, mask in self.groups.items()}
            if clean is None:
                clean, clean_groups = judged, in_groups
            loss = _figure(clean - judged)
            groups = {name: _figure(clean_groups[name] - found) for name, found in in_groups.items()}
            points.append(
                Point(
                    float(strength),
                    _figure(draws["auc"]),
                    _figure(draws["accuracy"]),
                    _figure(draws["calibration_error"]),
                    float(given.max(axis=1).mean()),
                    loss,
                    bool(loss.low > self.tolerance),
                    groups,
                )
            )
        fails_at = next((point.strength for point in points if point.fails), None)
        last = points[-1].groups
        worst = max(last, key=lambda name: last[name].value) if last and len(points) > 1 else None
        return Curve(shift, tuple(points), fails_at, worst)

    def _figure(self, given: Floats, mask: Array) -> Floats:
        weights: Floats = self._weights[:, mask]  # type: ignore[attr-defined]
        if self.measure == "auc":
            return area(self.truth[mask], given[mask], weights)
        return _mean(given[mask].argmax(axis=1) == self.truth[mask], weights)

    def _draws(self, given: Floats) -> dict[str, Floats]:
        weights: Floats = self._weights  # type: ignore[attr-defined]
        right = given.argmax(axis=1) == self.truth
        many = len(np.unique(self.truth)) > 1
        return {
            "auc": area(self.truth, given, weights) if many else np.full(len(weights), np.nan),
            "accuracy": _mean(right, weights),
            "calibration_error": _calibration(given.max(axis=1), right, weights),
        }


def groups_of(columns: Mapping[str, Array], truth: Array, measure: Measure) -> dict[str, Array]:
    """The groups that are large enough to be judged: "column = value" -> bool (n,). A column in which nothing, or one value only, is large
    enough gives none.
    """
    found: dict[str, Array] = {}
    for name, values in columns.items():
        texts = np.array([str(value) for value in values])
        own = {}
        for value in np.unique(texts):
            mask = texts == value
            per_class = np.unique(truth[mask], return_counts=True)[1]
            enough = mask.sum() >= LEAST_OF_GROUP and (
                measure != "auc" or (len(per_class) > 1 and per_class.min() >= LEAST_OF_CLASS)
            )
            if value not in ("nan", "None", "") and enough:
                own[f"{name} = {value}"] = mask
        if len(own) > 1:
            found |= own
    return found


def area(truth: Array, given: Floats, weights: Floats) -> Floats:
    """AUC under each row of weights, (n_draws,); ties count half. Of several classes the mean over those that are present."""
    classes = [1] if given.shape[1] == 2 else [int(c) for c in np.unique(truth)]
    return np.mean([_area(truth == c, given[:, c], weights) for c in classes], axis=0)


def _area(is_positive: Array, scores: Floats, weights: Floats) -> Floats:
    n_at_once = max(1, CHUNK // max(len(scores), 1))
    if len(weights) > n_at_once:
        parts = [weights[i : i + n_at_once] for i in range(0, len(weights), n_at_once)]
        return np.concatenate([_area(is_positive, scores, part) for part in parts])
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) > 0]))
    every = weights[:, order].astype(float)
    positive = np.add.reduceat(every * is_positive[order], starts, axis=1)
    negative = np.add.reduceat(every * ~is_positive[order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    won = (positive * (below + negative / 2)).sum(axis=1)
    return np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _mean(values: Array, weights: Floats) -> Floats:
    total = weights.sum(axis=1, dtype=float)
    return np.divide(weights @ values.astype(float), total, out=np.full(len(total), np.nan), where=total > 0)


def _calibration(confidence: Floats, right: Array, weights: Floats) -> Floats:
    bins = np.clip((confidence * N_BINS).astype(int), 0, N_BINS - 1)
    off = np.zeros((len(confidence), N_BINS))
    off[np.arange(len(confidence)), bins] = confidence - right
    return np.asarray(np.abs(weights @ off).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9))


def _figure(draws: Floats) -> Figure:
    """The first value with percentiles of the others; draws without a figure (a class is missing) are passed over."""
    others = draws[1:][np.isfinite(draws[1:])]
    low, high = np.percentile(others, [2.5, 97.5]) if len(others) else (np.nan, np.nan)
    return Figure(float(draws[0]), float(low), float(high))
