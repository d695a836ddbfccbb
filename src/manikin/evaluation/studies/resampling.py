"""Raising the rarer class with real rows: drawn again, weighted, or interpolated (SMOTE-NC). Knows no generator.

All work on the same wishes, so that arms of a study differ in where added rows come from and not in how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.errors import MissingExtraError
from manikin.data.seeds import derive, generator
from manikin.evaluation.prepared import Feature, Sample

N_NEIGHBOURS = 5
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Wish:
    """`n` more rows like these (positions of the rarer class in one group)."""

    rows: npt.NDArray[np.int64]
    n: int


def wishes(is_positive: npt.NDArray[np.bool_], groups: Sequence[Array] = ()) -> list[Wish]:
    """How many rows of the rarer class each combination of groups lacks to have as many as of the other class.

    Parameters
    ----------
    is_positive : bool (n_rows,).
    groups : labels of any hashable kind, (n_rows,) each; without any, all rows are one group.

    A combination that holds one class only is left as it is: there is nothing to learn the other from.
    """
    cells = np.zeros(len(is_positive), dtype=np.int64)
    for labels in groups:
        codes, uniques = pd.factorize(labels, sort=False)
        cells = cells * (len(uniques) + 1) + codes
    made = []
    for cell in np.unique(cells):
        inside = cells == cell
        positive, negative = np.flatnonzero(inside & is_positive), np.flatnonzero(inside & ~is_positive)
        few, many = sorted((positive, negative), key=len)
        if len(few) and len(many) > len(few):
            made.append(Wish(few, len(many) - len(few)))
    return made


def weighted(n_rows: int, wanted: Sequence[Wish]) -> npt.NDArray[np.float64]:
    """Weights that give every wish's rows the mass that the wished rows would add, (n_rows,); what drawing again does in the mean."""
    weights = np.ones(n_rows)
    for wish in wanted:
        weights[wish.rows] = 1 + wish.n / len(wish.rows)
    return weights


def drawn(wanted: Sequence[Wish], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Positions of rows drawn with replacement, as many as wished, wish by wish."""
    parts = [rng.choice(wish.rows, wish.n) for wish in wanted]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def oversampled(sample: Sample, wanted: Sequence[Wish], *, seed: int) -> Sample:
    """The sample with the wished rows drawn again from its own (random oversampling)."""
    return joined(sample, sample.take(drawn(wanted, generator(seed, "study", "oversample"))))


def smoted(features: Sequence[Feature], sample: Sample, wanted: Sequence[Wish], *, seed: int) -> Sample:
    """The sample with the wished rows interpolated between neighbours of the same class and group.

    SMOTE-NC (Chawla et al. 2002, doi:10.1613/jair.953, section 6.1) of imbalanced-learn with five neighbours, or with all other rows
    of a group that has fewer, whatever the others have; a single row has no neighbour and is drawn again. SMOTE takes no missing values:
    a missing number stands at its median while neighbours are sought, and whether it is missing is a category that the neighbours vote
    on, as levels and missing codes are.

    Raises
    ------
    MissingExtraError : imbalanced-learn is not installed.
    """
    made = oversampled(sample, single(wanted), seed=seed)
    wide = [wish for wish in wanted if len(wish.rows) > 1]
    if not wide:
        return made
    grid = _Grid.of(features, sample)
    X, y = grid.matrix(sample), np.zeros(len(sample), dtype=np.int64)
    for number, wish in enumerate(wide, start=1):
        y[wish.rows] = number
    if not (y == 0).any():  # the sampler wants a class that it leaves alone
        X, y = np.concatenate([X, X[:1]]), np.append(y, 0)
    own = derive(seed, "study", "smote") % 2**31  # the same for all groups, as when they are drawn in one go
    for number, wish in enumerate(wide, start=1):
        k = min(N_NEIGHBOURS, len(wish.rows) - 1)
        sampler = _sampler(grid.is_category, {number: len(wish.rows) + wish.n}, k, own)
        made = joined(made, grid.sample(sampler.fit_resample(X, y)[0][len(X) :]))
    return made


def single(wanted: Sequence[Wish]) -> list[Wish]:
    """The wishes for more rows like one single row: SMOTE has no neighbour to interpolate towards."""
    return [wish for wish in wanted if len(wish.rows) == 1]


def require_smote() -> None:
    """Refuses at once what would fail after the first trials.

    Raises
    ------
    MissingExtraError : imbalanced-learn is not installed.
    """
    try:
        import imblearn.over_sampling  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "SMOTE needs imbalanced-learn. Install it with: pip install 'manikin[imbalanced]', or leave it out with --skip smote"
        ) from error


def _sampler(is_category: Sequence[bool], counts: Mapping[int, int], k: int, seed: int) -> Any:
    require_smote()
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

    common = {"sampling_strategy": dict(counts), "k_neighbors": k, "random_state": seed}
    if all(is_category):
        return SMOTEN(**common)
    if not any(is_category):
        return SMOTE(**common)
    return SMOTENC(categorical_features=[i for i, found in enumerate(is_category) if found], **common)


@dataclass(frozen=True)
class _Grid:
    """A sample as one matrix without missing values, and back."""

    features: tuple[Feature, ...]
    medians: dict[str, float]
    marked: tuple[str, ...]

    @classmethod
    def of(cls, features: Sequence[Feature], sample: Sample) -> _Grid:
        """The grid of these rows: the median of each number, and which numbers are sometimes missing."""
        numbers = [feature.name for feature in features if feature.is_number]
        medians = {}
        for name in numbers:
            present = sample.values[name][sample.marks[name] == 0]
            medians[name] = float(np.median(present)) if len(present) else 0.0
        return cls(tuple(features), medians, tuple(name for name in numbers if sample.marks[name].any()))

    @property
    def is_category(self) -> list[bool]:
        """Which columns of the matrix are categories: the marks of missing numbers are."""
        return [not feature.is_number for feature in self.features] + [True] * len(self.marked)

    def matrix(self, sample: Sample) -> npt.NDArray[np.float64]:
        """The rows as numbers, (n_rows, n_columns); a missing number is the median beside its mark."""
        columns = []
        for feature in self.features:
            values, marks = sample.values[feature.name], sample.marks[feature.name].astype(float)
            if feature.is_number:
                columns.append(np.where(marks > 0, self.medians[feature.name], values))
            else:
                columns.append(np.where(marks > 0, len(feature.levels or ()) + marks - 1.0, values))
        columns += [sample.marks[name].astype(float) for name in self.marked]
        return np.column_stack(columns)

    def sample(self, X: npt.NDArray[np.float64]) -> Sample:
        """Rows of such a matrix as values and marks again, numbers rounded as in the data."""
        values: dict[str, Array] = {}
        marks: dict[str, Array] = {}
        own_marks = dict(zip(self.marked, X[:, len(self.features) :].T, strict=True))
        for feature, column in zip(self.features, X.T[: len(self.features)], strict=True):
            if feature.is_number:
                mark = np.rint(own_marks.get(feature.name, np.zeros(len(X)))).astype(np.int8)
                decimals = feature.column.decimals
                rounded = column if decimals is None else np.round(column, decimals)
                values[feature.name] = np.where(mark > 0, np.nan, rounded)
            else:
                codes, n_levels = np.rint(column).astype(np.int32), len(feature.levels or ())
                mark = np.maximum(codes - n_levels + 1, 0).astype(np.int8)
                values[feature.name] = np.where(mark > 0, -1, codes).astype(np.int32)
            marks[feature.name] = mark
        return Sample(values, marks, np.arange(len(X), dtype=np.int64), np.zeros(len(X), dtype=np.uint64))


def joined(first: Sample, second: Sample) -> Sample:
    """The rows of two samples of the same features, one after the other; their patients are taken to be different ones."""
    values = {name: np.concatenate([value, second.values[name]]) for name, value in first.values.items()}
    marks = {name: np.concatenate([mark, second.marks[name]]) for name, mark in first.marks.items()}
    records = np.concatenate([first.records, second.records + first.n_records])
    return Sample(values, marks, records, np.concatenate([first.hashes, second.hashes]))
