"""Whatever looks at private rows from outside is an error, by whichever way numpy, pandas or Python go about it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from register import people

from manikin.data.errors import BudgetError, DataError
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset, Sealed, opened

SECRET = "a patient's own value"
LOOKS: dict[str, Callable[[Any], Any]] = {
    "len": len,
    "list": list,
    "iter": iter,
    "next": lambda x: next(iter(x)),
    "first": lambda x: x[0],
    "slice": lambda x: x[:2],
    "mask": lambda x: x[x > 0],
    "in": lambda x: 3 in x,
    "bool": bool,
    "int": int,
    "float": float,
    "sum": sum,
    "min": min,
    "max": max,
    "sorted": sorted,
    "set": set,
    "equal": lambda x: x == 3,
    "unequal": lambda x: x != 3,
    "less": lambda x: x < 3,
    "at least": lambda x: x >= 3,
    "plus": lambda x: x + 1,
    "plus from the right": lambda x: 1 + x,
    "array plus": lambda x: np.ones(5) + x,
    "array equal": lambda x: np.ones(5) == x,
    "times": lambda x: x * 2,
    "over": lambda x: x / 2,
    "modulo": lambda x: x % 2,
    "matrix": lambda x: x @ x,
    "negative": lambda x: -x,
    "round": round,
    "hash": hash,
    "reversed": reversed,
    "np.min": np.min,
    "np.max": np.max,
    "np.unique": np.unique,
    "np.mean": np.mean,
    "np.sort": np.sort,
    "np.asarray": np.asarray,
    "np.array": np.array,
    "np.quantile": lambda x: np.quantile(x, 0.5),
    "np.bincount": np.bincount,
    "np.add": lambda x: np.add(x, 1),
    "np.add.reduce": np.add.reduce,
    "np.frombuffer": lambda x: np.frombuffer(x),
    "memoryview": memoryview,
    "bytes": bytes,
    "pd.Series": lambda x: pd.Series(x).nunique(),
    "pd.unique": pd.unique,
    "pd.factorize": pd.factorize,
    "pd.isna": lambda x: pd.isna(x).sum(),
    ".max()": lambda x: x.max(),
    ".shape": lambda x: x.shape,
    ".dtype": lambda x: x.dtype,
    ".size": lambda x: x.size,
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "vars": vars,
}


@pytest.mark.parametrize("look", LOOKS)
def test_sealed_rows_answer_nothing(look: str) -> None:
    sealed = Sealed(np.array([3, 1, 4, 1, 5]))
    with pytest.raises((BudgetError, TypeError, ValueError)) as caught:
        LOOKS[look](sealed)
    assert not any(digit in str(caught.value) for digit in "1345")


DATA_LOOKS: dict[str, Callable[[Any], Any]] = {
    **{
        name: LOOKS[name]
        for name in ("len", "list", "first", "slice", "in", "bool", "int", "plus", "pickle", "copy", "deepcopy", "vars")
    },
    "table": lambda x: x.table,
    "tables": lambda x: x.tables,
    "records": lambda x: x.records,
    "n_records": lambda x: x.n_records,
    "to_pandas": lambda x: x.to_pandas(),
    "take": lambda x: x.take(np.arange(2)),
    "only": lambda x: x.only(["value"]),
    "html": lambda x: x._repr_html_(),
    "pd.DataFrame": lambda x: pd.DataFrame(x),
}


@pytest.mark.parametrize("look", DATA_LOOKS)
def test_a_private_table_answers_nothing(look: str, ledger: Ledger) -> None:
    private = mechanisms.seal(people(["a", "b"], [SECRET, "y"]), ledger)
    with pytest.raises((BudgetError, TypeError, ValueError)) as caught:
        DATA_LOOKS[look](private)
    assert SECRET not in str(caught.value)


def test_nothing_is_shown(ledger: Ledger) -> None:
    private = mechanisms.seal(people(["a", "b"], [SECRET, "y"]), ledger)
    sealed = private.map(lambda data: data.table.frame["value"].to_numpy())
    for thing in (private, sealed, private.patients):
        for shown in (repr(thing), str(thing), f"{thing}", f"{[thing]}"):
            assert SECRET not in shown
            assert "2" not in shown.replace("2 columns", ""), "not even how many rows there are"


@pytest.mark.parametrize("change", [lambda x: x[:-1], lambda x: np.unique(x), lambda x: np.append(x, 0), lambda x: [x.max()]])
def test_a_change_gives_one_entry_per_row(change: Callable[[Any], Any]) -> None:
    with pytest.raises(BudgetError, match="one entry per row"):
        Sealed(np.array([3, 1, 1])).map(change)


def test_a_number_of_all_rows_is_no_change() -> None:
    with pytest.raises(BudgetError):
        Sealed(np.array([3, 1, 1])).map(np.max)


def test_rows_can_be_changed_one_by_one(ledger: Ledger) -> None:
    private = mechanisms.seal(people(["a", "b", "c"], ["x", "y", "x"]), ledger)
    cells = private.map(lambda data: (data.table.frame["value"] == "x").to_numpy()).map(lambda x: x.astype(np.int64) * 2)
    assert opened(cells).tolist() == [2, 0, 2]


def test_an_error_in_a_change_keeps_the_patients_value_back(ledger: Ledger) -> None:
    """numpy quotes the cell that it cannot read."""
    private = mechanisms.seal(people(["a", "b"], [SECRET, "y"]), ledger)
    texts = private.map(lambda data: data.table.frame["value"].to_numpy(dtype=object))
    for broken in (lambda: texts.map(lambda x: x.astype(float)), lambda: private.map(lambda _: {}[SECRET])):
        with pytest.raises(BudgetError, match="its words are kept back") as caught:
            broken()
        assert SECRET not in str(caught.value)
        assert caught.value.__suppress_context__


def test_rows_that_do_not_fit_the_bought_schema_are_refused(ledger: Ledger) -> None:
    private = mechanisms.seal(people(["a", "b"], ["x", "y"]), ledger)
    with pytest.raises(DataError):
        private.with_schema(private.columns, lambda data: data.take(np.array([0])))
    assert isinstance(private.with_schema(private.columns, lambda data: data), PrivateDataset)
    assert private.with_schema(private.columns, lambda data: data).rows_per_patient == ledger.rows_per_patient


def test_rows_sealed_for_more_rows_a_patient_are_refused() -> None:
    """Their sensitivity is larger than the other ledger's noise is made for."""
    data = people(["a", "a", "b"], ["x", "y", "x"])
    wide, narrow = (Ledger(epsilon=1.0, delta=1e-6, rows_per_patient=k) for k in (2, 1))
    private = mechanisms.seal(data, wide)
    with pytest.raises(BudgetError, match="sealed with up to 2 rows"):
        mechanisms.seal(private, narrow)
    assert mechanisms.seal(mechanisms.seal(data, narrow), wide).rows_per_patient == 1


def test_every_ledger_buys_its_own_number_of_patients(ledger: Ledger) -> None:
    other = Ledger(epsilon=1.0)
    private = mechanisms.seal(people(["a", "b"], ["x", "y"]), ledger)
    assert mechanisms.seal(private, other) is private
    assert other.n_patients is not None
    assert len(other.spends) == 1
