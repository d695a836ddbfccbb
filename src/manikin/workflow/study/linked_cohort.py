"""Linked patients as an augmentation study sees them: generators learn whole patients, models one summary row of each. Knows no model.

The target and the columns of groups are what a patient has once; they stand in the summary under their full names, "table.column", which
are also the names by which a generator of linked patients is given a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import DataError
from manikin.data.schema import EMPTY, Schema
from manikin.evaluation.records.summary import Plan, per_patient, planned
from manikin.evaluation.records.vocabulary import tables_of_patients
from manikin.report.nouns import throughout
from manikin.workflow.linked import column_named, shared_schema, static_name
from manikin.workflow.linked_statics import NUMBER, statics_of
from manikin.workflow.study.cohort import Cohort, cohort, parts


@dataclass(frozen=True)
class LinkedCohort(Cohort):
    """The patients of a study with their rows, `whole`; `data` holds a row a patient with the columns that the question names."""

    whole: Dataset

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the question names, once each."""
        question = self.question
        return tuple(dict.fromkeys((question.target, *question.groups, *question.balance)))


@dataclass(frozen=True)
class Sides:
    """One split: the rows that models learn from and are tested on, what a generator is handed, and how what it makes becomes rows.

    Attributes
    ----------
    rows : "train", "tune" and "test" as flat rows, of linked patients one summary row each.
    learned_from : the train part as a generator is handed it.
    """

    rows: Mapping[str, Dataset]
    learned_from: Dataset
    plan: Plan | None = None
    names: tuple[str, ...] = ()

    def drawing(self, model: Any) -> Any:
        """A fitted generator whose samples are rows as those of `rows`."""
        return model if self.plan is None else Summarised(model, self.plan, self.names)


@dataclass(frozen=True)
class Summarised:
    """A generator of linked patients whose samples are summary rows, for what asks it for rows."""

    model: Any
    plan: Plan
    names: tuple[str, ...]
    least_drawn: ClassVar[int] = 50  # patients at a time: one with all her rows may cost as much as thousands of rows

    def sample(self, n: int, *, seed: int, conditions: Dataset | None = None) -> Dataset:
        """`n` patients, a summary row each, in order; `conditions` as the generator takes them, by full names."""
        given = {} if conditions is None else {"conditions": conditions}
        return summary_of(self.model.sample(n, seed=seed, **given), self.plan, self.names, f"synthetic {seed}")


def sides_of(patients: Cohort, number: int, seed: int) -> Sides:
    """The sides of one split."""
    rows = parts(patients.data, patients.question, number, seed)
    if not isinstance(patients, LinkedCohort):
        return Sides(rows, rows["train"])
    whole = {name: patients.whole.subset(side.table.frame[NUMBER].to_numpy().astype(np.int64)) for name, side in rows.items()}
    train = whole["train"]
    plan = planned(train, tables_of_patients(shared_schema([train])))
    made = {name: summary_of(side, plan, patients.names, name) for name, side in whole.items()}
    return Sides(made, train, plan, patients.names)


def summary_of(data: Dataset, plan: Plan, names: Sequence[str], side: str) -> Dataset:
    """One row a patient, in which the columns that a question names have their full names."""
    rows, schema = per_patient(data, plan, side=side), plan.schema
    own = {known: name for name in names if (known := plan.column_of(name)) is not None}
    columns = tuple(replace(column, name=own.get(column.name, column.name)) for column in schema)
    marks = {own.get(name, name): mark for name, mark in rows.table.marks.items()}
    return flat(Table(rows.table.frame.rename(columns=own), marks), replace(schema, columns=columns), data.native)


def linked_cohort(
    patients: Dataset,
    *,
    target: str,
    groups: Sequence[str] = (),
    balance: Sequence[str] = (),
    max_rows: int | None = None,
    seed: int = 0,
    positive: Sequence[str] = (),
) -> LinkedCohort:
    """The patients who hold the target, with the target made binary in their tables, at most `max_rows` of them; as `cohort` of a table.

    Raises
    ------
    ParameterError : a column or level is unknown, or changes from row to row of a patient. DataError : as `cohort`.
    """
    target = static_name(target, patients.schema, "--target")
    groups = tuple(static_name(name, patients.schema, "--groups") for name in groups)
    balance = tuple(static_name(name, patients.schema, "--balance") for name in balance)
    names = tuple(dict.fromkeys((target, *groups, *balance)))
    rows = statics_of(patients, names)
    try:
        found = cohort(rows, target=target, positive=positive, groups=groups, balance=balance, max_rows=max_rows, seed=seed)
    except DataError as error:
        raise DataError(throughout(str(error), "patients")) from None
    whole = _with_target(patients, found.data, target)
    notices = tuple(throughout(notice, "patients").replace(", whole patients at random", " at random") for notice in found.notices)
    return LinkedCohort(statics_of(whole, names), found.question, notices, whole)


def _with_target(patients: Dataset, rows: Dataset, target: str) -> Dataset:
    """The patients who stand in `rows`, with the target that they have there in their own table; its rules are dropped where it changed."""
    numbers = rows.table.frame[NUMBER].to_numpy().astype(np.int64)
    table, column = column_named(target, patients.schema, "--target")
    made = rows.columns[target]
    if made.levels != column.levels or made.kind is not column.kind:
        own, cells = patients.tables[table.name], np.full(len(patients), None, dtype=object)
        cells[numbers] = rows.table.frame[target].astype(object)
        binary = pd.Categorical(cells[patients.owners[table.name]], categories=list(made.levels or ()))
        frame = own.frame.assign(**{column.name: binary})
        kept = tuple(rule for rule in table.rules if column.name not in rule.columns)
        known = replace(made, name=column.name, roles=column.roles, missing=made.missing or (EMPTY,))
        schema = replace(table.replace_column(known), rules=kept)
        marks = {**own.marks, column.name: binary.codes.__lt__(0).astype(np.int8)}
        tables = tuple(schema if one.name == table.name else one for one in patients.schema.tables)
        patients = replace(patients, tables={**patients.tables, table.name: Table(frame, marks)}, schema=Schema(tables))
    return patients.subset(numbers)
