"""Linked tables behind a seal: which rows count hangs on each patient alone, and nothing but a mechanism looks in."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError
from manikin.data.schema import Column, Form, Kind, Role, Schema, TableSchema
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import EVENTS, EVERYBODY

TABLES = tuple(
    TableSchema(name, (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), Column("x", Kind.CATEGORICAL)), form=Form.EVENTS)
    for name in ("a", "b")
)


def rows_of(n: int, each: int, *, more: bool = False) -> Dataset:
    tables = {}
    for table in TABLES:
        ids = [f"p{i % n}" for i in range(n * each)] + ["new"] * (50 if more else 0)
        texts = pd.DataFrame({"id": ids, "x": [f"{table.name}{i}" for i in range(len(ids))]}, dtype=object)
        tables[table.name] = parse_table(texts, table, where=table.name)
    return Dataset(tables, Schema(TABLES))


def sealed(data: Dataset, rows: int) -> dict[str, list[str]]:
    """The cells of the rows that count, by table and of all tables together."""
    private = mechanisms.seal_records(data, Ledger(epsilon=1.0, delta=1e-6, rows_per_patient=rows))
    texts = {name: table.frame["x"].astype(str).to_numpy(dtype=object) for name, table in data.tables.items()}
    every = np.concatenate(list(texts.values()))
    out = private.map(lambda _: {name: (own, np.arange(len(own))) for name, own in {**texts, EVENTS: every}.items()})
    return {name: list(mechanisms.opened(own)) for name, own in out.items()}


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_of_each_patient_as_many_rows_of_each_table_count(rows: int) -> None:
    found = sealed(rows_of(7, 10), rows)
    for name in ("a", "b"):
        held = pd.Series([int(cell[1:]) % 7 for cell in found[name]]).value_counts()
        assert (held == min(rows, 10)).all()
        assert len(held) == 7
    assert len(found[EVENTS]) == 7 * min(rows, 20)


def test_one_patient_more_changes_nobody_elses_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "private_generator", lambda: np.random.default_rng(5))
    one, two = sealed(rows_of(30, 9), 2), sealed(rows_of(30, 9, more=True), 2)
    for name in (*("a", "b"), EVENTS):
        hers = [cell for cell in two[name] if int(cell[1:]) >= 270]
        assert sorted(one[name]) == sorted(set(two[name]) - set(hers))
        assert len(hers) == 2


def test_every_row_counts_equally_often() -> None:
    counts = np.zeros(10)
    for _ in range(300):
        for cell in sealed(rows_of(5, 10), 1)["a"]:
            counts[int(cell[1:]) // 5] += 1
    assert counts.sum() == 1500
    assert (abs(counts - 150) < 6 * np.sqrt(150 * 0.9)).all()


def test_nothing_looks_in() -> None:
    private = mechanisms.seal_records(rows_of(40, 3), Ledger(epsilon=1.0, delta=1e-6))
    for look in (lambda: len(private), lambda: private.owners, lambda: pickle.dumps(private)):
        with pytest.raises(BudgetError):
            look()
    assert "40" not in repr(private)
    with pytest.raises(BudgetError, match="words are kept back"):
        private.map(lambda data: {EVERYBODY: (1 / 0, data)})
    looser = Ledger(epsilon=1.0, delta=1e-6, rows_per_patient=1)
    more = mechanisms.seal_records(rows_of(40, 3), Ledger(epsilon=1.0, delta=1e-6, rows_per_patient=2))
    with pytest.raises(BudgetError, match="Seal the data set anew"):
        mechanisms.seal_records(more, looser)
