"""One fitted model per synthesizer and table, shared by the whole suite."""

from __future__ import annotations

from functools import cache
from typing import Any

from tables import TABLES

from manikin.data.dataset import Dataset
from manikin.synthesizers import SYNTHESIZERS, synthesizer

NEURAL_STEPS = 8


def new(name: str, *, steps: int = NEURAL_STEPS) -> Any:
    """An unfitted synthesizer; neural ones take few steps here."""
    return synthesizer(name, max_steps=steps) if SYNTHESIZERS[name].is_neural else synthesizer(name)


@cache
def table(name: str) -> Dataset:
    """One of the three tables."""
    return TABLES[name]()


@cache
def fitted(name: str, table_name: str, steps: int = NEURAL_STEPS) -> Any:
    """A model fitted with seed 0; no test may change it."""
    return new(name, steps=steps).fit(table(table_name), seed=0)
