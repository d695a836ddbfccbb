"""Whom a study is made of, rows of a flat table or linked patients: read, bounded, and held beside what was made. Knows no study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import Kind, Schema, TableSchema
from manikin.data.seeds import generator
from manikin.evaluation.base import EvaluationData
from manikin.workflow import linked
from manikin.workflow.judge import shared_columns
from manikin.workflow.learn import check_modality
from manikin.workflow.linked_sources import is_linked_source
from manikin.workflow.places import Place, name_of
from manikin.workflow.sources import as_wished, read, read_each_by_itself, read_flat, target_in
from manikin.workflow.study.cohort import at_most, check_values

Names = tuple[str, ...]


def read_patients(place: Place, target: str | None, *, schema: str | Path | None = None) -> Dataset:
    """A flat table or linked tables with their target; of linked ones "column" or "table.column".

    Raises
    ------
    ParameterError : they are images, or there is no such column. DataError, SchemaError : they cannot be read.
    """
    if is_linked_source(place, schema):
        return as_wished(read(place, schema=schema), target=target)
    return as_wished(read_flat(place, "`manikin study`", schema=schema), target=target)


def check_generators(names: Sequence[str], patients: Dataset, place: Place) -> None:
    """Refuses generators of other data than these.

    Raises
    ------
    ParameterError : names those that fit.
    """
    for name in names:
        check_modality(name, patients, name_of(place), with_auto=False)


def default_of(patients: Dataset, defaults: Mapping[str, Names], asked: Names | None) -> Names:
    """The generators that are compared: those that were asked for, or the usual ones of such data."""
    return defaults[patients.modality] if asked is None else asked


def bounded(patients: Dataset, n: int | None, seed: int) -> tuple[Dataset, str | None]:
    """At most `n` rows, whole patients at random, or of linked tables at most `n` patients; and what is told of it."""
    if n is None or len(patients) <= n:
        return patients, None
    n_before = len(patients)
    if patients.is_linked:
        order = generator(seed, "study", "subsample").permutation(n_before)
        return patients.subset(order[:n]), f"{n:,} of {n_before:,} patients were drawn at random."
    patients = at_most(patients, n, seed)
    return patients, f"{len(patients):,} of {n_before:,} rows were drawn, whole patients at random."


def check_target(patients: Dataset) -> str | None:
    """The target, of linked tables as "table.column", after a look at whether it can be predicted; None where there is none.

    Raises
    ------
    ParameterError : it is nothing that a model predicts. DataError : it has one value only.
    """
    target = target_in(patients)
    if target is None:
        return None
    if not patients.is_linked:
        check_values(target, patients.table.frame[target], patients.table.mark(target))
        return target
    table, column = linked.column_named(target, patients.schema, "--target")
    if column.kind is Kind.CODE_SET or column.name in (table.start, table.end):
        what = "a set of codes" if column.kind is Kind.CODE_SET else f"the time of a row of table {table.name!r}"
        raise ParameterError(f"--target names {target!r}, which is {what}. Name a column of levels or numbers.")
    own = patients.tables[table.name]
    check_values(target, own.frame[column.name], own.mark(column.name))
    return target


def compared_with(train: Dataset, holdout: Dataset, made: Dataset, target: str | None) -> EvaluationData:
    """What is measured: a release beside train and holdout, by the columns that all three have."""
    if train.is_linked:
        return EvaluationData(train, holdout, (made,), linked.shared_schema([train, holdout, made]), target)
    schema = shared_columns(train, holdout, [made])
    return EvaluationData(train, holdout, (made,), schema, target if target in schema else None)


def first(patients: Dataset, n: int) -> Dataset:
    """The first `n` rows, or the first `n` patients of linked tables."""
    return patients.subset(np.arange(n)) if patients.is_linked else patients.take(np.arange(n))


def each_by_itself(place: Place, patients: Dataset, n: int | None, seed: int) -> Dataset:
    """The same patients as they are handed to a generator under a budget: each cell read for itself.

    Raises
    ------
    DataError : keys are written in more than one way, so that the two readings are not of the same patients.
    ParameterError, BudgetError : linked tables that no budget can be kept of; the message says why.
    """
    like: Schema | TableSchema = patients.schema if patients.is_linked else patients.columns
    if patients.is_linked:
        linked.check_private(place)
    plain, _ = bounded(read_each_by_itself(place, like), n, seed)
    if not _are_alike(plain, patients):
        raise DataError("The patients' keys are written in more than one way. Write them alike, or declare the column's kind in a schema.")
    return plain


def _are_alike(plain: Dataset, patients: Dataset) -> bool:
    """Whether rows belong to the same patients by number."""
    if not patients.is_linked:
        return np.array_equal(plain.records, patients.records)
    return all(np.array_equal(plain.owners[name], own) for name, own in patients.owners.items())

