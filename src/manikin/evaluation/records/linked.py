"""Linked patients prepared for judging: their histories, one summary row each, and each table by itself. Knows no metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Table, concat, flat
from manikin.data.links import known_owners
from manikin.data.schema import Column, Kind, Role, Schema, TableSchema
from manikin.data.seeds import generator
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.intervals import N_GROUPS
from manikin.evaluation.prepared import Prepared, prepare
from manikin.evaluation.records.history import History, history
from manikin.evaluation.records.summary import PATIENT, Plan, per_patient, planned
from manikin.evaluation.records.vocabulary import Vocabulary, tables_of_patients, vocabulary

Ints = npt.NDArray[np.int64]
MAX_PATIENTS = 10_000
MAX_EVENTS = 4_000_000  # of a side; with more, fewer patients are looked at
SIDES = ("train", "holdout", "synthetic")


@dataclass(frozen=True)
class Side:
    """Patients of one side that a figure looks at, with the group of each, int64 (n_patients,) in 0 … 19."""

    history: History
    groups: Ints

    def __len__(self) -> int:
        return self.history.n_patients


@dataclass(frozen=True)
class LinkedData(EvaluationData):
    """Evaluation data of linked patients with their arrays, made once and shared by all metrics; `release` says which one is judged.

    `n_orphans` counts, by table, the rows of that release that name no patient: they are taken out before anything but keys is judged.
    """

    schema: Schema
    release: int = 0
    n_orphans: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def sides(self) -> tuple[Dataset, Dataset, Dataset]:
        """Train, holdout and the release."""
        return self.train, self.holdout, self.synthetic[self.release]

    @cached_property
    def tables(self) -> tuple[TableSchema, ...]:
        """The tables of patients that all sides have, parents first, with the columns that all of them have."""
        made = []
        for table in tables_of_patients(self.schema):
            if all(table.name in side.tables for side in self.sides):
                frames = [side.tables[table.name].frame for side in self.sides]
                made.append(table.only([name for name in table.names if all(name in frame.columns for frame in frames)]))
        return tuple(made)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Codes, levels and measures of all sides."""
        return vocabulary(self.tables, self.sides)

    @cached_property
    def real(self) -> History:
        """The train patients' events."""
        return history(self.train, self.vocabulary)

    @cached_property
    def held(self) -> History:
        """The holdout patients' events."""
        return history(self.holdout, self.vocabulary)

    @cached_property
    def fake(self) -> History:
        """The synthetic patients' events."""
        return history(self.sides[2], self.vocabulary)

    @cached_property
    def plan(self) -> Plan:
        """The columns of the summary, fixed by train alone."""
        return planned(self.train, self.tables, target=self.target, known=self.vocabulary, events=self.real)

    @cached_property
    def memory(self) -> dict[Any, Any]:
        """Where several metrics keep what they share."""
        return {}

    @cached_property
    def patients(self) -> Prepared:
        """One row a patient, as flat data, for all that judges rows; the release that is judged alone."""
        events = (self.real, self.held, self.fake)
        rows = [per_patient(s, self.plan, side=name, events=e) for name, s, e in zip(SIDES, self.sides, events, strict=True)]
        given = {entry.name: getattr(self, entry.name) for entry in fields(EvaluationData)}
        given |= {"train": rows[0], "holdout": rows[1], "synthetic": (rows[2],), "schema": self.plan.schema}
        given |= {"target": self.plan.column_of(self.target), "refit": self._refit()}
        return Prepared(**given)

    @cached_property
    def all_patients(self) -> Prepared:
        """The same with all releases, for what pools them."""
        if len(self.synthetic) == 1:
            return self.patients
        rows = [
            self.patients.synthetic[0] if i == self.release else per_patient(part, self.plan, side=f"synthetic {i}")
            for i, part in enumerate(self.synthetic)
        ]
        given = {entry.name: getattr(self.patients, entry.name) for entry in fields(EvaluationData)}
        return Prepared(**given | {"synthetic": tuple(rows)}, release=self.release)

    @cached_property
    def by_table(self) -> Mapping[str, Prepared]:
        """Each table of patients as flat data whose patient key says whose a row is; tables without rows on a side are left out."""
        made = {}
        for table in self.tables:
            parts = [_with_patients(side, table, name) for name, side in zip(SIDES, self.sides, strict=True)]
            if all(len(part) for part in parts):
                made[table.name] = prepare(
                    EvaluationData(parts[0], parts[1], (parts[2],), parts[0].columns, None, partial=self.partial)
                )
        return made

    def drawn(self, seed: int) -> tuple[Side, Side, Side]:
        """Train patients, and as many of holdout as of the release, each in twenty groups of whole patients; drawn once.

        At most 10,000 patients of a side, fewer where they have more than four million events.
        """
        key = ("drawn", seed)
        if key not in self.memory:
            all_sides = (self.real, self.held, self.fake)
            n = min(self.held.n_patients, self.fake.n_patients, *(_affordable(side) for side in all_sides))
            sizes = (_affordable(self.real), n, n)
            self.memory[key] = tuple(
                _drawn(side, size, seed, name) for side, size, name in zip(all_sides, sizes, SIDES, strict=True)
            )
        made: tuple[Side, Side, Side] = self.memory[key]
        return made

    def _refit(self) -> Callable[[Dataset, int], Dataset] | None:
        """Retrains on the patients whose summary rows are given, and sums up what comes."""
        if self.refit is None:
            return None
        ask, plan, real = self.refit, self.plan, {"train": self.train, "holdout": self.holdout}

        def refit(rows: Dataset, seed: int) -> Dataset:
            """The summary of what the generator makes from these patients."""
            keys = pd.Series(rows.table.frame[PATIENT]).str.rsplit(" ", n=1, expand=True)
            parts = [
                side.subset(np.sort(keys[1][keys[0] == name].astype(np.int64).to_numpy()))
                for name, side in real.items()
                if (keys[0] == name).any()
            ]
            return per_patient(ask(concat(parts), seed), plan, side="synthetic")

        return refit


def prepare_linked(data: EvaluationData, release: int = 0) -> LinkedData:
    """The prepared form of linked evaluation data; prepared data are given back as they are."""
    if isinstance(data, LinkedData):
        return data
    given = {entry.name: getattr(data, entry.name) for entry in fields(EvaluationData)}
    sound = [without_orphans(part) for part in data.synthetic]
    given["synthetic"] = tuple(part for part, _ in sound)
    return LinkedData(**given, release=release, n_orphans=sound[release][1])


def without_orphans(part: Dataset) -> tuple[Dataset, dict[str, int]]:
    """The release without rows that name no patient, and how many each table had of them."""
    owners = known_owners(part)
    lost = {name: int((records < 0).sum()) for name, records in owners.items() if (records < 0).any()}
    if not lost:
        return part, {}
    kept = {name: part.tables[name].take(np.flatnonzero(owners[name] >= 0)) for name in lost}
    return replace(part, tables={**part.tables, **kept}), lost


def _affordable(side: History) -> int:
    """How many patients of a side are looked at."""
    share = min(1.0, MAX_EVENTS / max(len(side), 1))
    return max(1, min(side.n_patients, MAX_PATIENTS, int(share * side.n_patients)))


def _drawn(side: History, n: int, seed: int, name: str) -> Side:
    chosen = np.arange(side.n_patients)
    if n < side.n_patients:
        chosen = np.sort(generator(seed, "records", name).permutation(side.n_patients)[:n])
    groups = generator(seed, "records", name, "groups").permutation(len(chosen)) % N_GROUPS
    return Side(side if len(chosen) == side.n_patients else side.take(chosen), groups)


def _with_patients(data: Dataset, table: TableSchema, side: str) -> Dataset:
    """One table as flat data, with a patient key made of the record's number where it has none of its own."""
    own = data.tables[table.name].only(table.names)
    plain = replace(table, form=None, primary_key=(), foreign_keys=(), start=None, end=None)
    if table.with_role(Role.PATIENT_KEY):
        return flat(own, plain)
    name = PATIENT if PATIENT not in table else f"{PATIENT} of {table.name}"
    keys = pd.Series([f"{side} {record}" for record in data.owners[table.name]], dtype=object)
    schema = replace(plain, columns=(Column(name, Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), *plain.columns))
    return flat(Table(pd.concat([keys.rename(name), own.frame], axis=1), own.marks), schema)


def with_own_keys(part: Dataset, number: int) -> Dataset:
    """The release with keys that no other release has: those of patients, and those that rows of patients' tables refer to."""
    of_patients = {table.name for table in part.schema.of_patients}
    named: dict[str, set[str]] = {table.name: {c.name for c in table.with_role(Role.PATIENT_KEY)} for table in part.schema.tables}
    for table in part.schema.tables:
        for key in table.foreign_keys:
            if key.table in of_patients:
                named[table.name].update(key.columns)
                named[key.table].update(key.references)
    tables = {}
    for table in part.schema.tables:
        own = part.tables[table.name]
        made = {name: _marked(own.frame[name], number) for name in table.names if name in named[table.name] and table.name in of_patients}
        tables[table.name] = Table(own.frame.assign(**made), own.marks)
    return Dataset(tables, part.schema, part.native)


def _marked(keys: pd.Series, number: int) -> pd.Series:
    """Keys as texts with a number before them; empty ones stay empty."""
    texts = keys.astype(object)
    return texts.map(lambda key: f"{number}-{key:g}" if isinstance(key, float) else f"{number}-{key}", na_action="ignore")


def joined(parts: Sequence[Dataset]) -> Dataset:
    """All releases as one, with keys made anew."""
    return concat([with_own_keys(part, i) for i, part in enumerate(parts)])

