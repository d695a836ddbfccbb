"""The patients of a study: a binary outcome, at most so many rows, and repeated splits by patient. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import column_texts, is_number
from manikin.data.dataset import Dataset, Marks, Table
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import Column, Kind, Schema, Storage
from manikin.data.seeds import generator
from manikin.evaluation.studies.question import MISSING, Question, band_edges
from manikin.workflow.sources import with_target
from manikin.workflow.wishes import check_columns

REST = "rest"
FEWEST_POSITIVE = 30
FEWEST_PATIENTS = 10  # of each class: fewer cannot be on three sides of a split
SHARES = {"train": 0.60, "tune": 0.15, "test": 0.25}
_COMPARISON = re.compile(r"\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True)
class Cohort:
    """The rows of a study, with a binary target, and what was done to get there."""

    data: Dataset
    question: Question
    notices: tuple[str, ...]


def cohort(
    data: Dataset,
    *,
    target: str,
    positive: Sequence[str] = (),
    groups: Sequence[str] = (),
    balance: Sequence[str] = (),
    max_rows: int | None = None,
    seed: int = 0,
) -> Cohort:
    """The rows that hold the target, with the target made binary, at most `max_rows` of them (whole patients drawn at random).

    Parameters
    ----------
    positive : the level or levels that count as positive, or for numbers (levels that are numbers too) one comparison such as ">0";
        without any the rarer one of two levels.

    Raises
    ------
    ParameterError : a column or level is unknown, or cannot be used so. DataError : the target has one value only, or fewer than 30 rows
        or 10 patients of either class.
    """
    for option, names in (("--groups", groups), ("--balance", balance)):
        check_columns(names, data.columns, option)
    data = with_target(data, target)
    notices = []
    present = data.table.mark(target) == 0
    if not present.all():
        notices.append(f"{int((~present).sum()):,} rows without a value of {target!r} are left out.")
        data = data.take(present)
    data, name = _binary(data, target, positive)
    if max_rows is not None and len(data) > max_rows:
        n_before, data = len(data), at_most(data, max_rows, seed)
        notices.append(f"{len(data):,} of {n_before:,} rows were drawn, whole patients at random.")
    _check_enough(data, is_positive(data, target, name))
    edges = _edges(data, target, groups, balance)
    question = Question(target, name, tuple(groups), tuple(balance), edges)
    return Cohort(data, question, tuple(notices))


def _check_enough(data: Dataset, positive: npt.NDArray[np.bool_]) -> None:
    """Refuses a study of too few rows or patients of a class; with several rows a patient may count for both."""
    n_rows = min(int(positive.sum()), int((~positive).sum()))
    n_patients = min(len(np.unique(data.records[side])) for side in (positive, ~positive))
    for n, least, what in ((n_rows, FEWEST_POSITIVE, "rows"), (n_patients, FEWEST_PATIENTS, "patients")):
        if n < least:
            raise DataError(
                f"A study needs at least {least} {what} of each class; the rarer one has {n or 'none'}. Bring more, or say with --positive "
                "which other values are positive."
            )


def _edges(data: Dataset, target: str, groups: Sequence[str], balance: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The edges of the bands that columns of numbers are cut into, after a look at whether all columns can form groups."""
    learned, edges = {column.name for column in data.columns.learned}, {}
    for option, names in (("--groups", groups), ("--balance", balance)):
        for column in (data.columns[name] for name in names):
            if column.name not in learned or column.kind.is_time or column.kind is Kind.CODE_SET or column.name == target:
                raise ParameterError(
                    f"{option} names {column.name!r}, which cannot form groups. Name a column of levels that is not the target."
                )
            if column.kind.is_number:
                if option == "--balance":
                    raise ParameterError(f"--balance names {column.name!r}, which holds numbers. Name columns of levels only.")
                edges[column.name] = band_edges(data.table.frame[column.name].to_numpy(dtype=float))
    return edges


def is_positive(data: Dataset, target: str, positive: str) -> npt.NDArray[np.bool_]:
    """Which rows hold the positive level, bool (n_rows,)."""
    return np.asarray(data.table.frame[target].astype(object) == positive)


def _binary(data: Dataset, target: str, positive: Sequence[str]) -> tuple[Dataset, str]:
    column, series = data.columns[target], data.table.frame[target]
    if not (column.kind.is_number or column.kind.is_discrete):
        what = "a set of codes" if column.kind is Kind.CODE_SET else f"a {column.kind}"
        raise ParameterError(f"--target names {target!r}, which is {what}. Name a column of levels or numbers.")
    check_varies(data, target)
    compared = _COMPARISON.fullmatch(positive[0]) if len(positive) == 1 else None
    if column.kind.is_number:
        if compared is None:
            raise ParameterError(f"{target!r} holds numbers: say which are positive, for example --positive '>0'.")
        return _recoded(data, column, _passes(series.to_numpy(dtype=float), compared), positive[0].strip())
    texts = series.astype(object)
    counts = texts.value_counts()
    levels = [str(level) for level in counts.index if counts[level] > 0]
    are_numbers = all(map(is_number, levels))
    if not positive and len(levels) == 2:
        return data, levels[-1]
    if not positive:
        or_so = " or, as they are numbers, with --positive '>0'" if are_numbers else ""
        raise ParameterError(
            f"{target!r} has {len(levels)} levels: say which is positive with --positive LEVEL, which may be repeated{or_so}."
        )
    unknown = [level for level in positive if level not in levels]
    if unknown and compared and are_numbers:
        return _recoded(data, column, _passes(texts.to_numpy(dtype=float), compared), positive[0].strip())
    if unknown:
        raise ParameterError(
            f"--positive names a level that {target!r} does not hold. `manikin inspect` shows how levels are written."
        )
    if len(levels) == 2 and len(positive) == 1:
        return data, positive[0]
    return _recoded(data, column, np.asarray(texts.isin(list(positive))), " or ".join(positive))


def check_varies(data: Dataset, target: str) -> None:
    """Refuses a target that has one value only.

    Raises
    ------
    DataError : names the column.
    """
    check_values(target, data.table.frame[target], data.table.mark(target))


def check_values(target: str, cells: pd.Series, mark: Marks) -> None:
    """The same of a column's cells and of which of them are missing."""
    n_values = cells[mark == 0].nunique()
    if n_values < 2:
        has = "one value" if n_values else "no value"
        raise DataError(f"The target {target!r} has {has} only, so there is nothing to predict. Name another with --target.")


def _passes(values: npt.NDArray[np.float64], comparison: re.Match[str]) -> npt.NDArray[np.bool_]:
    """Which numbers pass a comparison such as >0, bool (n_rows,)."""
    sign, limit = comparison[1], float(comparison[2])
    tests = {">": values > limit, ">=": values >= limit, "<": values < limit, "<=": values <= limit}
    return np.asarray(tests[sign])


def _recoded(data: Dataset, column: Column, positive: npt.NDArray[np.bool_], name: str) -> tuple[Dataset, str]:
    """The data set with two levels in place of the target's own; rules that speak of it are dropped."""
    rest = REST if name != REST else f"not {REST}"
    levels = (rest, name)
    made = replace(
        column,
        kind=Kind.CATEGORICAL,
        storage=Storage.TEXT,
        levels=levels,
        minimum=None,
        maximum=None,
        decimals=None,
        significant=None,
        suggested_missing=(),
    )
    schema = data.columns
    rules = tuple(rule for rule in schema.rules if column.name not in rule.columns)
    schema = replace(schema, rules=rules).replace_column(made)
    frame = data.table.frame.copy()
    frame[column.name] = pd.Categorical(np.where(positive, name, rest), categories=list(levels))
    marks = {key: mark for key, mark in data.table.marks.items() if key != column.name}
    return Dataset({schema.name: Table(frame, marks)}, Schema((schema,)), data.native), name


def at_most(data: Dataset, max_rows: int, seed: int) -> Dataset:
    """At most so many rows: whole patients in a random order, as many as fit."""
    order = generator(seed, "study", "subsample").permutation(data.n_records)
    sizes = np.bincount(data.records)[order].cumsum()
    return data.subset(order[: max(int(np.searchsorted(sizes, max_rows, side="right")), 1)])


def parts(data: Dataset, question: Question, number: int, seed: int) -> dict[str, Dataset]:
    """The train, tuning and test rows of one split: 60, 15 and 25 % of the patients, stratified by whether a patient has a positive row."""
    rng = generator(seed, "study", "split", number)
    flags = np.zeros(data.n_records, dtype=bool)
    np.logical_or.at(flags, data.records, is_positive(data, question.target, question.positive))
    side = np.empty(data.n_records, dtype=np.int64)
    bounds = np.cumsum(list(SHARES.values()))[:-1]
    for stratum in (np.flatnonzero(flags), np.flatnonzero(~flags)):
        order = rng.permutation(stratum)
        side[order] = np.searchsorted(np.rint(bounds * len(order)), np.arange(len(order)), side="right")
    return {name: data.take(side[data.records] == i) for i, name in enumerate(SHARES)}


def group_labels(data: Dataset, name: str) -> npt.NDArray[np.object_]:
    """The level of each row as text, object (n_rows,); all missing codes are one group, as they are where figures are measured."""
    labels = np.asarray(column_texts(data.table, data.columns[name]), dtype=object)
    labels[data.table.mark(name) > 0] = MISSING
    return labels
