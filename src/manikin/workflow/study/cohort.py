"""The patients of a study: a binary outcome, at most so many rows, and repeated splits by patient. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import Column, Kind, Schema, Storage
from manikin.data.seeds import generator
from manikin.evaluation.studies.question import MISSING, Question, band_edges
from manikin.workflow.sources import with_target
from manikin.workflow.wishes import check_columns

REST = "rest"
FEWEST_POSITIVE = 30
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
    positive : the level or levels that count as positive, or for a number one comparison such as ">0"; without any the rarer
        one of two levels.

    Raises
    ------
    ParameterError : a column or level is unknown, or cannot be used so. DataError : fewer than 30 rows of either class.
    """
    check_columns([*groups, *balance], data.columns, "--groups or --balance")
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
    n_positive = int(is_positive(data, target, name).sum())
    if min(n_positive, len(data) - n_positive) < FEWEST_POSITIVE:
        raise DataError(
            f"A study needs at least {FEWEST_POSITIVE} rows of each class; the rarer one has {min(n_positive, len(data) - n_positive)}."
        )
    learned = [column.name for column in data.columns.learned]
    edges = {}
    for column in (data.columns[group] for group in dict.fromkeys([*groups, *balance])):
        if column.name not in learned or column.kind.is_time or column.kind is Kind.CODE_SET or column.name == target:
            raise ParameterError(
                f"{column.name!r} cannot form groups: name a column of levels or numbers that is not the target."
            )
        if column.kind.is_number:
            if column.name in balance:
                raise ParameterError(f"--balance names {column.name!r}, which holds numbers. Name columns of levels only.")
            edges[column.name] = band_edges(data.table.frame[column.name].to_numpy(dtype=float))
    question = Question(target, name, tuple(groups), tuple(balance), edges)
    return Cohort(data, question, tuple(notices))


def is_positive(data: Dataset, target: str, positive: str) -> npt.NDArray[np.bool_]:
    """Which rows hold the positive level, bool (n_rows,)."""
    return np.asarray(data.table.frame[target].astype(object) == positive)


def _binary(data: Dataset, target: str, positive: Sequence[str]) -> tuple[Dataset, str]:
    column, series = data.columns[target], data.table.frame[target]
    if column.kind.is_number:
        found = _COMPARISON.fullmatch(positive[0]) if len(positive) == 1 else None
        if found is None:
            raise ParameterError(f"{target!r} holds numbers: say which are positive, for example --positive '>0'.")
        sign, limit = found[1], float(found[2])
        values = series.to_numpy(dtype=float)
        tests = {">": values > limit, ">=": values >= limit, "<": values < limit, "<=": values <= limit}
        return _recoded(data, column, tests[sign], positive[0].strip())
    if not column.kind.is_discrete:
        raise ParameterError(f"--target names {target!r}, which is {column.kind}. Name a column of levels or numbers.")
    texts = series.astype(object)
    counts = texts.value_counts()
    levels = [str(level) for level in counts.index if counts[level] > 0]
    if not positive and len(levels) == 2:
        return data, levels[-1]
    if not positive:
        raise ParameterError(
            f"{target!r} has {len(levels)} levels: say which is positive with --positive LEVEL; may be repeated."
        )
    unknown = [level for level in positive if level not in levels]
    if unknown:
        raise ParameterError(
            f"--positive names a level that {target!r} does not hold. `manikin inspect` shows how levels are written."
        )
    if len(levels) == 2 and len(positive) == 1:
        return data, positive[0]
    return _recoded(data, column, np.asarray(texts.isin(list(positive))), " or ".join(positive))


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
