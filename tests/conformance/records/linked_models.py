"""One fitted model per generator and set of tables, shared by the whole suite."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from linked_tables import LINKED

from manikin.data.dataset import Dataset
from manikin.data.errors import FitError
from manikin.synthesizers import SYNTHESIZERS, synthesizer

STEPS = 20


def new(name: str) -> Any:
    """An unfitted generator; one that learns in steps takes few here."""
    return synthesizer(name, max_steps=STEPS) if SYNTHESIZERS[name].is_neural else synthesizer(name)


@cache
def _fitted(name: str, tables: str) -> Any:
    try:
        return new(name).fit(LINKED[tables](), seed=0)
    except FitError as error:
        return error


def fitted(name: str, tables: str) -> Any:
    """A model fitted with seed 0; no test may change it. A generator that refuses these tables does so by its name."""
    made = _fitted(name, tables)
    if isinstance(made, FitError):
        assert name in str(made), "a refusal names the generator"
        pytest.skip(f"refused: {made}")
    return made


@cache
def sampled(name: str, tables: str, n: int = 80) -> Dataset:
    """Its patients of seed 1."""
    made: Dataset = fitted(name, tables).sample(n, seed=1)
    return made


def home(name: str) -> str:
    """The first set of tables that a generator learns: visits, unless it learns grids only."""
    return next(tables for tables in LINKED if not isinstance(_fitted(name, tables), FitError))
