"""Do linked tables hang together? Keys that resolve, are unique and are nobody's; and times in an order that can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.links import parent_rows
from manikin.data.schema import Form, Role, TableSchema
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import clopper_pearson
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData
from manikin.evaluation.records.times import Times, days_of, times
from manikin.evaluation.records.vocabulary import key_columns

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
NEARLY = 0.001  # a rule of time that more train rows break is none
TINY = 1 / 86_400  # a second, in days
KEYS = Definition("key_integrity", "Keys that resolve, are unique and are new", Section.VALIDITY, Direction.HIGHER, unit="keys")
CHRONOLOGY = Definition("chronology", "Rows at a time that cannot be", Section.VALIDITY, Direction.LOWER, unit="rows")


@dataclass(frozen=True)
class Checked:
    """How many keys of one kind there are, how many are wrong, and in what."""

    key: str
    what: str
    n: int
    n_wrong: int


@of_patients(KEYS, least=1)
def key_integrity(data: LinkedData, *, seed: int) -> MetricResult:
    """Share of the release's keys that are sound; in [0, 1], must be 1.

    Three checks, each key counted once in each: a foreign key that is not empty names a row that exists; a primary key is in no other
    row and not empty; a key of a patient, or a primary key of one column in a table of patients, is none of train's or holdout's (keys
    that merely count the rows, 1 to n, are no one's and not held against a release). The reference is the share of the holdout's keys
    that resolve and are unique, for real tables have orphans too. `details.keys` has every key; a key itself is never named.
    """
    del seed
    made = _keys(data.synthetic[data.release], data)
    if data.n_orphans:
        made.append(Checked("rows", "belongs to a patient", sum(data.n_orphans.values()), sum(data.n_orphans.values())))
    other = _resolved(data.holdout, data)
    n, n_held = sum(check.n for check in made), sum(check.n for check in other)
    if n == 0:
        raise UndefinedMetricError("the schema names no keys")
    wrong, wrong_held = sum(check.n_wrong for check in made), sum(check.n_wrong for check in other)
    return KEYS.result(
        1 - wrong / n,
        interval=clopper_pearson(n - wrong, n),
        n=n,
        reference=1 - wrong_held / n_held if n_held else None,
        details={
            "n_wrong": wrong,
            "n_reused": sum(check.n_wrong for check in made if check.what == "is new"),
            "n_unresolved": sum(check.n_wrong for check in made if check.what in ("resolves", "belongs to a patient")),
            "n_repeated": sum(check.n_wrong for check in made if check.what == "is unique"),
            "keys": [vars(check) for check in sorted(made, key=lambda check: (-check.n_wrong, check.key, check.what))],
        },
    )


def _keys(release: Dataset, data: LinkedData) -> list[Checked]:
    return [*_resolved(release, data), *_new(release, data)]


def _resolved(side: Dataset, data: LinkedData) -> list[Checked]:
    """Foreign keys that resolve and primary keys that are unique."""
    made = []
    for table in data.schema.tables:
        if table.name not in side.tables:
            continue
        frame = side.tables[table.name].frame
        for number, key in enumerate(table.foreign_keys):
            if not _has(frame, key.columns) or key.table not in side.tables or not _has(side.tables[key.table].frame, key.references):
                continue
            filled = frame[list(key.columns)].notna().all(axis=1).to_numpy()
            if data.schema[key.table].form is Form.REFERENCE and not _always_resolves(data.train, table, number):
                continue
            lost = filled & (parent_rows(side, table, number) < 0)
            made.append(Checked(f"{table.name}.{'+'.join(key.columns)} -> {key.table}", "resolves", int(filled.sum()), int(lost.sum())))
        if table.primary_key and table.form is not Form.REFERENCE and _has(frame, table.primary_key):
            keys = frame[list(table.primary_key)]
            wrong = keys.isna().any(axis=1) | keys.duplicated(keep="first")
            made.append(Checked(f"{table.name}.{'+'.join(table.primary_key)}", "is unique", len(frame), int(wrong.sum())))
    return made


def _always_resolves(train: Dataset, table: TableSchema, number: int) -> bool:
    filled = train.tables[table.name].frame[list(table.foreign_keys[number].columns)].notna().all(axis=1).to_numpy()
    return not bool((filled & (parent_rows(train, table, number) < 0)).any())


def _new(release: Dataset, data: LinkedData) -> list[Checked]:
    """Keys of patients and of their rows that real ones do not have."""
    made = []
    for table in data.schema.of_patients:
        if table.name not in release.tables:
            continue
        names = {c.name for c in table.with_role(Role.PATIENT_KEY)} | (set(table.primary_key) if len(table.primary_key) == 1 else set())
        frame = release.tables[table.name].frame
        for name in sorted(names & set(frame.columns)):
            keys = frame[name].dropna()
            texts = pd.Series(keys.unique()).astype(str)
            real = {str(key) for side in (data.train, data.holdout) for key in side.tables[table.name].frame[name].dropna().unique()}
            reused = 0 if _counts_up(texts) else int(texts.isin(real).sum())
            made.append(Checked(f"{table.name}.{name}", "is new", len(texts), reused))
    return made


def _counts_up(texts: pd.Series) -> bool:
    """Whether keys are the whole numbers from 0 or 1 to their number."""
    numbers = pd.to_numeric(texts, errors="coerce")
    if numbers.isna().any() or not len(numbers):
        return False
    ordered = np.sort(numbers.to_numpy(dtype=float))
    return bool(ordered[0] in (0.0, 1.0) and (np.diff(ordered) == 1).all())


def _has(frame: pd.DataFrame, names: tuple[str, ...]) -> bool:
    return all(name in frame.columns for name in names)


@of_patients(CHRONOLOGY, least=1)
def chronology(data: LinkedData, *, seed: int) -> MetricResult:
    """Share of the release's rows that happen when they cannot: after their own end, outside their parent, before birth or after death.

    In [0, 1], must be 0 where the reference is. Rules are looked for in train and kept where at most 1 in 1,000 of its rows breaks them,
    so that a table whose rows outlive their parent sets none: an interval ends no earlier than it starts; a row starts within its parent
    interval, and an interval ends within it; no row starts before the day of birth, or after the day of death. A second is no breach.
    The reference is the share of holdout rows. `details.rules` counts each rule on each side. Rules that a person confirmed for single
    tables are `rule_violations`.
    """
    del seed
    sides = (data.train, data.holdout, data.synthetic[data.release])
    found = [_breaches(side, data.tables) for side in sides]
    kept = [rule for rule, flags in found[0].items() if _applies(flags) and _broken(flags) <= NEARLY * _applies(flags)]
    kept = [rule for rule in kept if all(rule in side for side in found)]
    if not kept:
        raise UndefinedMetricError("no rule of time holds in the train data")
    totals = []
    for side in found:
        by_table: dict[str, Ints] = {}
        for rule in kept:
            flags = side[rule]
            old = by_table.get(rule[0], np.full(len(flags), -1, dtype=np.int64))
            by_table[rule[0]] = np.maximum(old, flags)
        totals.append((sum(_broken(flags) for flags in by_table.values()), sum(_applies(flags) for flags in by_table.values())))
    (wrong_held, n_held), (wrong, n) = totals[1], totals[2]
    if n == 0:
        raise UndefinedMetricError("no row of the release has the times that the rules speak of")
    rows: list[dict[str, Any]] = [
        {
            "table": rule[0],
            "rule": rule[1],
            **{name: _broken(side[rule]) for name, side in zip(("train", "holdout", "synthetic"), found, strict=True)},
            "n": _applies(found[2][rule]),
        }
        for rule in kept
    ]
    rows.sort(key=lambda row: (-int(row["synthetic"]), row["table"], row["rule"]))
    return CHRONOLOGY.result(
        wrong / n,
        interval=clopper_pearson(wrong, n),
        n=n,
        reference=wrong_held / n_held if n_held else None,
        reference_interval=clopper_pearson(wrong_held, n_held) if n_held else None,
        details={"n_rules": len(rows), "n_wrong": wrong, "rules": rows},
    )


def _applies(flags: Ints) -> int:
    return int((flags >= 0).sum())


def _broken(flags: Ints) -> int:
    return int((flags > 0).sum())


def _breaches(side: Dataset, tables: tuple[TableSchema, ...]) -> dict[tuple[str, str], Ints]:
    """By table and rule, for each row 1 where it breaks it, 0 where it keeps it, -1 where it does not apply."""
    when = times(side)
    born, died = (_day(side, tables, when, role) for role in (Role.BIRTH, Role.DEATH))
    made: dict[tuple[str, str], Ints] = {}
    for table in tables:
        if table.form in (Form.STATIC, Form.REFERENCE):
            continue
        start, end, owner = when.start[table.name], when.end[table.name], side.owners[table.name]
        made[table.name, "ends after it starts"] = _flags(start, end)
        if table.start is not None:
            made[table.name, "not before birth"] = _flags(np.floor(born[owner]) if len(owner) else start, start)
            made[table.name, "not after death"] = _flags(start, died[owner] + 1 if len(owner) else start)
        for number, key in enumerate(table.foreign_keys):
            if table.start is None or key.table == table.name or key.table not in when.start:
                continue
            parent = parent_rows(side, table, number)
            first, last = (np.append(of[key.table], np.nan)[parent] for of in (when.start, when.end))
            made[table.name, f"starts no earlier than its {key.table}"] = _flags(first, start)
            made[table.name, f"starts no later than its {key.table} ends"] = _flags(start, last)
            made[table.name, f"ends no later than its {key.table}"] = _flags(end, last)
    return made


def _flags(earlier: npt.NDArray[np.float64], later: npt.NDArray[np.float64]) -> Ints:
    known = ~np.isnan(earlier) & ~np.isnan(later)
    with np.errstate(invalid="ignore"):
        return np.where(known, (earlier > later + TINY).astype(np.int64), -1)


def _day(side: Dataset, tables: tuple[TableSchema, ...], when: Times, role: Role) -> npt.NDArray[np.float64]:
    """The day of each patient's birth or death in days since her anchor, NaN where it is not known."""
    out = np.full(side.n_records, np.nan)
    for table in tables:
        for column in table.with_role(role):
            if column.kind.is_time and column.name not in key_columns(table):
                day = days_of(side.tables[table.name].frame, column)
                np.fmin.at(out, side.owners[table.name], day)
    return np.floor(out) - when.anchor
