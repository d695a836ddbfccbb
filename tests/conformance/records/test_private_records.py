"""Nothing of linked patients reaches a private model but what its ledger lists: every private generator of records.

As `test_private.py` does for flat tables, by playing answers back: a generator learns on one ward while everything that leaves a seal is
recorded, then on an entirely different one that is given the first one's answers, and must come out the same to the byte. With one
patient more every query must have been answered from the same rows but hers, and every score must move within its sensitivity.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from linked_tables import LINKED, built, identifier, linked_bytes, visits

sys.path.append(str(Path(__file__).parents[1]))
from private_runs import Query, Tape, bytes_of, remembered

from manikin.codecs.records.bought import as_readable
from manikin.codecs.records.public_plan import readable
from manikin.data.dataset import Dataset, concat, split
from manikin.data.errors import BudgetError, FitError
from manikin.data.rules import OrderRule
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, Source, Storage, TableSchema
from manikin.privacy import accountant, mechanisms
from manikin.privacy.ledger import Ledger
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.synthesizers.records import private_events, private_visits, taught
from manikin.synthesizers.storage import load, save

PRIVATE = sorted(name for name, entry in SYNTHESIZERS.items() if entry.private and entry.modality == "records")
TIME = "%Y-%m-%d %H:%M"


@pytest.fixture(params=PRIVATE)
def private(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets are added up as one Gaussian event, which is never too little and takes no time; a few patients of a chain
    teach networks, which look at a few events of each patient."""
    monkeypatch.setattr(accountant, "MOST_PRECISION", 0.0)
    monkeypatch.setattr(taught, "DRAWN_PATIENTS", 40)
    monkeypatch.setattr(private_events, "MOST_EVENTS", 64)
    monkeypatch.setattr(private_events, "WINDOW", 8)
    monkeypatch.setattr(private_visits, "MOST_VISITS", 6)


def new(name: str) -> Any:
    """An unfitted generator; one that learns in steps takes one."""
    return synthesizer(name, max_steps=1) if SYNTHESIZERS[name].is_neural else synthesizer(name)


def ward(n: int = 400, *, seed: int = 0, other: bool = False, first: int = 0) -> Dataset:
    """Patients, their stays and the laboratory values of each stay; `other`: with other codes, sizes, units, ranges and lengths."""
    rng = np.random.default_rng(seed)
    stays = 1 + rng.poisson(0.7 if not other else 3.0, n)
    owner = np.repeat(np.arange(n), stays)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(stays) - stays, stays) + 1
    day = np.datetime64("2019-01-01" if not other else "1875-06-01") + rng.integers(0, 300, n)[owner] + 30 * number
    begin = day + rng.integers(0, 1440, len(owner)) * np.timedelta64(1, "m") * (not other)
    labs = 1 + rng.poisson(4, len(owner))
    stay = np.repeat(np.arange(len(owner)), labs)
    at = begin[stay] + rng.integers(0, 2000, len(stay)) * np.timedelta64(1, "m") * (not other)
    what = rng.choice(["K", "Na", "pH"] if not other else ["zzz", "HbA1c"], len(stay))
    value = rng.normal(np.select([what == "K", what == "Na"], [4.0, 140.0], 7.4), 0.5)
    key = [f"p{first + i}" for i in range(n)]
    return built(
        [
            (
                TableSchema(
                    "people",
                    (
                        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
                        Column("sex", Kind.CATEGORICAL, levels=("f", "m") if not other else ("1", "2", "3")),
                        Column("weight", Kind.CONTINUOUS, Storage.REAL, decimals=1 if not other else 3),
                    ),
                    form=Form.STATIC,
                    primary_key=("id",),
                ),
                {
                    "id": key,
                    "sex": rng.choice(["f", "m"] if not other else ["1", "2", "3"], n),
                    "weight": [f"{w:.1f}" if not other else f"{1e4 * w:.3f}" for w in rng.normal(75, 10, n)],
                },
            ),
            (
                TableSchema(
                    "stays",
                    (
                        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
                        Column("number", Kind.COUNT, Storage.INTEGER, decimals=0),
                        Column("admitted", Kind.DATETIME, Storage.TEXT, time_format=TIME),
                        Column("ward", Kind.CATEGORICAL, levels=("icu", "ward") if not other else ("x",)),
                    ),
                    form=Form.EVENTS,
                    primary_key=("id", "number"),
                    foreign_keys=(ForeignKey(("id",), "people", ("id",)),),
                    start="admitted",
                ),
                {
                    "id": [key[i] for i in owner],
                    "number": number.astype(str),
                    "admitted": [str(t.astype("datetime64[m]")).replace("T", " ") for t in begin],
                    "ward": rng.choice(["icu", "ward"], len(owner)) if not other else ["x"] * len(owner),
                },
            ),
            (
                TableSchema(
                    "labs",
                    (
                        identifier("row"),
                        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
                        Column("stay", Kind.COUNT, Storage.INTEGER, decimals=0),
                        Column("at", Kind.DATETIME, Storage.TEXT, time_format=TIME),
                        Column("what", Kind.CODE),
                        Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=1, by="what"),
                    ),
                    form=Form.EVENTS,
                    primary_key=("row",),
                    foreign_keys=(ForeignKey(("id", "stay"), "stays", ("id", "number")),),
                    start="at",
                ),
                {
                    "row": [str(10**6 * (1 + first) + i) for i in range(len(stay))],
                    "id": [key[i] for i in owner[stay]],
                    "stay": number[stay].astype(str),
                    "at": [str(t.astype("datetime64[m]")).replace("T", " ") for t in at],
                    "what": what,
                    "value": [f"{v:.1f}" if not other else f"{v * 1000:.0f}" for v in value],
                },
            ),
        ]
    )


@cache
def asks_for_visits(name: str) -> bool:
    """Whether a generator refuses tables of visits whose laboratory values have times of their own."""
    try:
        new(name).fit(ward(12), seed=0, ledger=Ledger(epsilon=0.5, delta=1e-3))
    except FitError as error:
        return "has a time of its own" in str(error)
    return False


def home(name: str, n: int, **wishes: Any) -> Dataset:
    """The ward as a generator takes it: the laboratory values of some have no times."""
    data = ward(n, **wishes)
    if not asks_for_visits(name):
        return data
    labs = data.schema["labs"]
    table = replace(labs, columns=tuple(c for c in labs if c.name != "at"), start=None)
    held = data.tables["labs"]
    tables = data.tables | {"labs": replace(held, frame=held.frame.drop(columns="at"))}
    return replace(data, tables=tables, schema=Schema(tuple(table if t.name == "labs" else t for t in data.schema.tables)))


def run(name: str, data: Dataset, *, answers: list[Query] | None = None, rows: int = 1) -> tuple[Any, Ledger, Tape, str]:
    ledger, tape = Ledger(epsilon=20.0, delta=1e-5, rows_per_patient=rows), Tape(answers=answers)
    with tape.running():
        model = new(name).fit(data, seed=0, ledger=ledger)
    assert answers is None or len(tape.queries) == len(answers), "the other run asked more"
    return model, ledger, tape, remembered(model)


@cache
def first(name: str) -> tuple[Any, Ledger, Tape, str]:
    return run(name, home(name, 200 if SYNTHESIZERS[name].is_neural else 400))


@pytest.mark.parametrize("other", ["other patients", "hardly anybody"])
def test_the_model_is_made_of_bought_answers_alone(private: str, other: str) -> None:
    model, ledger, tape, held = first(private)
    again, spent, _, theirs = run(private, home(private, 150 if other == "other patients" else 3, seed=9, other=True), answers=tape.queries)
    assert spent.spends == ledger.spends
    assert {**spent.public} == {**ledger.public}
    assert bytes_of(again) == bytes_of(model)
    assert theirs == held, "nor does anything else that the object holds"
    assert linked_bytes(again.sample(20, seed=1)) == linked_bytes(model.sample(20, seed=1))


def odd(data: Dataset, name: str = "markov") -> Dataset:
    """One patient more, the last, who is like nobody and whose keys are those of others where they can be."""
    more = home(name, 1, seed=77, other=True, first=900_000)
    return concat([as_readable(data), _with_schema(as_readable(more), as_readable(data).schema)])


def _with_schema(data: Dataset, schema: Schema) -> Dataset:
    return replace(data, schema=schema)


@pytest.mark.parametrize("rows", [1, 3])
def test_one_patient_more_moves_no_other_row(private: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "private_generator", lambda: np.random.default_rng(3))  # the same chance for the same patients
    data = home(private, 120 if SYNTHESIZERS[private].is_neural else 200)
    model, ledger, tape, _ = run(private, data, rows=rows)
    again, spent, more, _ = run(private, odd(data, private), answers=tape.queries, rows=rows)
    assert spent.spends == ledger.spends
    assert bytes_of(again) == bytes_of(model)
    n_checked = 0
    for ours, others in zip(tape.queries, more.queries, strict=True):
        if ours.rows is not None:
            assert 0 <= len(others.rows) - len(ours.rows) <= rows * (3 if ours.name == "noisy_counts" else 1)
            assert same(ours.rows, others.rows), f"{ours.name}: other patients' rows were changed"
            n_checked += 1
        if ours.scores is not None:
            assert np.abs(ours.scores - others.scores).max() <= ours.sensitivity * (1 + 1e-9)
    assert n_checked > 10


def same(ours: np.ndarray, others: np.ndarray) -> bool:
    """Whether all rows of ours are among the others', as often, whatever the order: hers are all that came."""
    left = pd.Series([repr(row) for row in others.tolist()]).value_counts()
    mine = pd.Series([repr(row) for row in ours.tolist()]).value_counts()
    return bool((left.reindex(mine.index).fillna(0) >= mine).all())


def test_of_a_patient_with_1000_rows_as_many_count_as_is_said(private: str) -> None:
    data = LINKED["events"]()
    table = data.tables["vitals"]
    many = table.take(np.concatenate([np.zeros(1000, dtype=np.int64), np.arange(len(table))]))
    tape = run(private, replace(data, tables={"vitals": many}))[2]
    sizes = {len(query.rows) for query in tape.queries if query.rows is not None}
    assert sizes <= {len(data)}, "of her 1,000 rows one counts"


def test_a_code_of_one_patient_is_not_released(private: str) -> None:
    model = run(private, LINKED["visits"]())[0]
    made = model.sample(400, seed=1)
    assert "zzz-rare" not in set(made.tables["diagnoses"].frame["code"].astype(str))


def test_keys_hold_and_the_model_is_saved(private: str, tmp_path: Path) -> None:
    model = first(private)[0]
    made = model.sample(60, seed=2)
    assert made.n_records == 60
    assert (made.owners["labs"] >= 0).all()
    rows = made.tables["labs"].frame
    stays = {tuple(key) for key in made.tables["stays"].frame[["id", "number"]].astype(str).to_numpy().tolist()}
    named = rows[rows["stay"].notna()][["id", "stay"]].astype(str).to_numpy().tolist()
    assert all(tuple(key) in stays for key in named)
    assert not rows["row"].duplicated().any()
    again = load(save(model, tmp_path / "model"))
    assert linked_bytes(again.sample(60, seed=2)) == linked_bytes(made)


def test_with_a_large_budget_what_is_made_is_like_what_was_learned(private: str) -> None:
    is_neural = SYNTHESIZERS[private].is_neural  # then one step was taken, and values lie about where they should
    data = home(private, 300 if is_neural else 1500)
    model = new(private).fit(data, seed=0, ledger=Ledger(epsilon=50.0, delta=1e-6))
    made = model.sample(len(data), seed=1)
    for name in ("stays", "labs"):
        assert len(made.tables[name]) / len(made) == pytest.approx(len(data.tables[name]) / len(data), rel=0.5 if is_neural else 0.25)
    values = made.tables["labs"].frame
    for code, mean in {"K": 4.0, "Na": 140.0, "pH": 7.4}.items():
        own = values["value"][values["what"].astype(str) == code]
        assert own.median() == pytest.approx(mean, rel=0.2 if is_neural else 0.05)
        assert (own.round(1) == own).all()
    assert set(made.tables["people"].frame["sex"].dropna().astype(str)) == {"f", "m"}


# ---- what is refused, by name ----


def changed(data: Dataset, name: str, **facts: Any) -> Dataset:
    tables = tuple(replace(t, **facts) if t.name == name else t for t in data.schema.tables)
    return replace(data, schema=Schema(tables))


def test_a_table_without_a_patient_key_is_refused_by_name(private: str) -> None:
    data = ward(30)
    columns = tuple(replace(c, roles=()) if c.name == "id" else c for c in data.schema["labs"])
    with pytest.raises(BudgetError, match="'labs' names its patients through another table"):
        run(private, changed(data, "labs", columns=columns))


def test_a_declared_rule_is_refused_by_name(private: str) -> None:
    rule = OrderRule(("admitted", "discharged"), confirmed=True, source=Source.DECLARED)
    with pytest.raises(BudgetError, match="'stays'"):
        run(private, changed(visits(), "stays", rules=(rule,)))


def test_a_circle_within_a_table_is_refused_by_name(private: str) -> None:
    keys = (ForeignKey(("id",), "people", ("id",)), ForeignKey(("ward",), "stays", ("ward",)))
    with pytest.raises(Exception, match="'stays' refer to rows of the same table"):
        run(private, changed(ward(60), "stays", foreign_keys=keys))


def test_so_few_patients_that_nothing_stands_clear_are_refused(private: str) -> None:
    with pytest.raises(FitError, match="stand clear of the noise"):
        new(private).fit(home(private, 12), seed=0, ledger=Ledger(epsilon=0.5, delta=1e-3))


# ---- what reading and splitting look at ----


def test_cells_are_read_by_themselves_whatever_was_inferred() -> None:
    data = as_readable(ward(20))
    assert data.schema["labs"]["value"].kind is Kind.CONTINUOUS, "a number by a code is structure"
    assert data.schema["people"]["weight"].kind is Kind.CATEGORICAL, "other columns are texts"
    assert data.schema["labs"]["what"].levels is None
    assert as_readable(data).schema == data.schema
    assert readable(data.schema) == data.schema


def test_one_patient_more_moves_nobody_to_the_other_side() -> None:
    data = as_readable(ward(80))
    sides = [{*part.tables["people"].frame["id"]} for part in split(data, seed=3, each_by_itself=True)]
    more = [{*part.tables["people"].frame["id"]} for part in split(odd(ward(80)), seed=3, each_by_itself=True)]
    assert sides[0] <= more[0]
    assert sides[1] <= more[1]
