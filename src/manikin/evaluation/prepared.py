"""The three tables of an evaluation as plain arrays, in an order that depends on their content alone. Knows no metric.

Files are written in any order, and a figure must not depend on it: rows are sorted by a hash of their cells before anything is drawn,
folded or grouped, so that the same rows and seed give the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, TableSchema
from manikin.data.seeds import generator
from manikin.evaluation.base import EvaluationData

Array = npt.NDArray[Any]
DAY_IN_US = 86_400e6


@dataclass(frozen=True)
class Feature:
    """A judged column: a number (times too, in days), or discrete with its levels, sorted, of all three tables."""

    column: Column
    levels: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def is_number(self) -> bool:
        """Whether values have a distance; discrete columns are only equal or not."""
        return self.levels is None


@dataclass(frozen=True)
class Sample:
    """Rows of one side.

    Attributes
    ----------
    values : per column, float64 (n_rows,) with NaN where missing, or int32 level numbers with -1 where missing.
    marks : per column, int8 (n_rows,): which missing code a cell holds, 0 where there is a value.
    records : int64 (n_rows,), the patient that each row belongs to, 0 … n_records - 1.
    hashes : uint64 (n_rows,), equal where all judged cells are equal.
    """

    values: Mapping[str, Array]
    marks: Mapping[str, Array]
    records: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def n_records(self) -> int:
        """Number of patients."""
        return int(self.records.max()) + 1 if len(self) else 0

    @property
    def has_patients(self) -> bool:
        """Whether some patient has several rows."""
        return self.n_records < len(self)

    def take(self, rows: Array) -> Sample:
        """The sample of these rows; patients are numbered anew."""
        values = {name: value[rows] for name, value in self.values.items()}
        marks = {name: mark[rows] for name, mark in self.marks.items()}
        return Sample(values, marks, _renumbered(self.records[rows]), self.hashes[rows])

    def draw(self, n: int, seed: int, *purpose: str) -> Sample:
        """At most `n` rows drawn without replacement, in their canonical order."""
        if n >= len(self):
            return self
        return self.take(np.sort(generator(seed, *purpose).permutation(len(self))[:n]))

    def groups(self, n_groups: int, seed: int, *purpose: str) -> npt.NDArray[np.int64]:
        """A random group for each row, int64 (n_rows,) in 0 … n_groups - 1; groups are equally large and never split a patient."""
        order = generator(seed, *purpose).permutation(self.n_records)
        return (order % n_groups)[self.records]

    def halves(self, seed: int, *purpose: str) -> tuple[Sample, Sample]:
        """Two random halves that share no patient."""
        side = self.groups(2, seed, *purpose)
        return self.take(np.flatnonzero(side == 0)), self.take(np.flatnonzero(side == 1))


@dataclass(frozen=True)
class Prepared(EvaluationData):
    """Evaluation data with its arrays, made once and shared by all metrics; `release` says which synthetic table is judged."""

    schema: TableSchema
    release: int = 0

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The judged columns: learned ones that all three tables hold, in schema order."""
        frames = [side.table.frame for side in self._sides]
        shared = [column for column in self.schema.learned if all(column.name in frame.columns for frame in frames)]
        return tuple(_feature(column, self._sides) for column in shared)

    @cached_property
    def real(self) -> Sample:
        """The train rows."""
        return _sample(self.train, self.features)

    @cached_property
    def held(self) -> Sample:
        """The holdout rows."""
        return _sample(self.holdout, self.features)

    @cached_property
    def fake(self) -> Sample:
        """The synthetic rows."""
        return _sample(self.synthetic[self.release], self.features)

    @cached_property
    def memory(self) -> dict[Any, Any]:
        """Where several metrics keep what they share (embeddings, neighbours, pair tables)."""
        return {}

    @property
    def numbers(self) -> list[Feature]:
        """The judged columns that have a distance."""
        return [feature for feature in self.features if feature.is_number]

    @property
    def _sides(self) -> tuple[Dataset, Dataset, Dataset]:
        return self.train, self.holdout, self.synthetic[self.release]

    def equal_n(self, cap: int) -> int:
        """The number of rows at which synthetic and holdout are both compared: the smaller of the two, at most `cap`."""
        return min(len(self.held), len(self.fake), cap)


def prepare(data: EvaluationData, release: int = 0) -> Prepared:
    """The prepared form of evaluation data; prepared data are given back as they are, linked patients as one row each.

    Of images it holds the columns that stand beside them.
    """
    if isinstance(data, Prepared):
        return data
    if data.is_linked:
        from manikin.evaluation.records.linked import prepare_linked

        return prepare_linked(data, release).patients
    given = {entry.name: getattr(data, entry.name) for entry in fields(EvaluationData)}
    return Prepared(**given, release=release)


def prepare_sides(schema: TableSchema, sides: Sequence[Dataset]) -> tuple[tuple[Feature, ...], tuple[Sample, ...]]:
    """The columns that any number of tables share, learned ones only, and the arrays of each table."""
    shared = [column for column in schema.learned if all(column.name in side.table.frame.columns for side in sides)]
    features = tuple(_feature(column, sides) for column in shared)
    return features, tuple(_sample(side, features) for side in sides)


def _feature(column: Column, sides: Sequence[Dataset]) -> Feature:
    if column.kind.is_number or column.kind.is_time:
        return Feature(column)
    found: set[str] = set()
    for side in sides:
        series = side.table.frame[column.name]
        found.update(str(level) for level in pd.unique(series.dropna()))
    return Feature(column, tuple(sorted(found)))


def in_order(data: Dataset, features: Sequence[Feature]) -> tuple[Dataset, Sample]:
    """The rows in their canonical order, as a data set and as arrays: row i of one is row i of the other, and so are patients."""
    sample, order = _ordered(data, features)
    return data.take(order), sample


def _sample(data: Dataset, features: Sequence[Feature]) -> Sample:
    return _ordered(data, features)[0]


def _ordered(data: Dataset, features: Sequence[Feature]) -> tuple[Sample, npt.NDArray[np.int64]]:
    """The arrays in canonical order, and the row of `data` that each row was, int64 (n_rows,)."""
    table = data.table
    values = {feature.name: _values(table, feature) for feature in features}
    marks = {feature.name: _marks(table, feature, values[feature.name]) for feature in features}
    hashes = np.zeros(len(table), dtype=np.uint64)
    for feature in features:
        cell = bits(values[feature.name]) ^ marks[feature.name].astype(np.uint64) << np.uint64(56)
        hashes = mixed(hashes * np.uint64(31) + mixed(cell))
    # Rows that are equal belong to patients who may differ in their other rows: a sum over the patient's rows settles their order.
    patients = np.zeros(data.n_records, dtype=np.uint64)
    np.add.at(patients, data.records, hashes)
    order = np.lexsort((patients[data.records], hashes))
    return Sample(values, marks, data.records, hashes).take(order), order


def _values(table: Table, feature: Feature) -> Array:
    series, column = table.frame[feature.name], feature.column
    if column.kind.is_time:
        stamps = series.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / DAY_IN_US)
    if feature.levels is None:
        numbers = series.to_numpy(dtype=float)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        return (numbers if column.decimals is None else np.round(numbers, column.decimals)) + 0.0  # -0.0 becomes 0.0
    if isinstance(series.dtype, pd.CategoricalDtype):
        place = {level: i for i, level in enumerate(feature.levels)}
        lookup = np.array([place.get(str(level), -1) for level in series.cat.categories] + [-1], dtype=np.int32)
        return lookup[series.cat.codes.to_numpy()]
    texts = series.map(str, na_action="ignore")
    return pd.Categorical(texts, categories=list(feature.levels)).codes.astype(np.int32)


def _marks(table: Table, feature: Feature, values: Array) -> npt.NDArray[np.int8]:
    """The table's own marks; a missing cell that it did not mark counts as the first missing code."""
    is_missing = np.isnan(values) if feature.is_number else values < 0
    return np.where(is_missing, np.maximum(table.mark(feature.name), 1), 0).astype(np.int8)


def bits(values: Array) -> npt.NDArray[np.uint64]:
    """The 64 bits of each cell, all missing numbers alike."""
    if values.dtype == np.float64:
        return np.where(np.isnan(values), 0.5, values).view(np.uint64)
    return values.astype(np.int64).view(np.uint64)


def mixed(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64 (doi:10.1145/2714064.2660195): every bit of the input moves every bit of the output."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _renumbered(records: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return pd.factorize(records)[0].astype(np.int64)
