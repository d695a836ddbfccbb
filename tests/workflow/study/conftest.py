"""Private generators that need no training: rows that are real ones with a chance that grows with epsilon, and mixed columns otherwise."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from math import inf
from types import ModuleType
from typing import Any, Self

import numpy as np
import pytest

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import FitError
from manikin.privacy import mechanisms
from manikin.privacy.events import Gaussian
from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry

CALLS: list[tuple[float, float | None, int]] = []  # epsilon, delta as bought and spends of each fit


@dataclass(kw_only=True)
class Mixer:
    """The larger epsilon, the more rows are real; no privacy at all, which a test of the attack's ceiling is made of."""

    honest: float = 1.0
    data_: Dataset = field(init=False, repr=False)
    share_: float = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:
        assert seed >= 0
        epsilon = inf if ledger is None else ledger.epsilon
        if ledger is not None:
            mechanisms.seal(data, ledger)
            ledger.spend(Gaussian(ledger.precision_left**-0.5 * 1.01), purpose="everything", by="mixer")
        self.data_, self.share_ = data, self._share(epsilon)
        CALLS.append((epsilon, None if ledger is None else ledger.delta, 0 if ledger is None else len(ledger.spends)))
        return self

    def _share(self, epsilon: float) -> float:
        return float(min(0.9, epsilon / 10))

    def sample(self, n: int, *, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        frame, marks = self.data_.table.frame, self.data_.table.marks
        rows = rng.integers(len(frame), size=n)
        mixed = rng.random(n) >= self.share_
        taken = {name: np.where(mixed, rng.permutation(rows), rows) for name in frame.columns}
        out = frame.iloc[rows].reset_index(drop=True)
        for name, own in taken.items():
            out[name] = frame[name].iloc[own].reset_index(drop=True)
        return self.data_.with_table(Table(out, {name: mark[taken[name]] for name, mark in marks.items()}))


@dataclass(kw_only=True)
class Leaky(Mixer):
    """Gives real rows whatever the budget: a broken guarantee."""

    def _share(self, epsilon: float) -> float:
        return 1.0


@dataclass(kw_only=True)
class Moody(Mixer):
    """Refuses small budgets, and breaks down without one."""

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:
        if ledger is None:
            raise ZeroDivisionError("a patient's value")
        if ledger.epsilon < 1:
            raise FitError("Too little budget.")
        return super().fit(data, seed=seed, ledger=ledger)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float | None, int]]:
    """Registers `mixer`, `leaky` and `moody`; gives what they were fitted with."""
    module = ModuleType("manikin_test_mixers")
    known = SYNTHESIZERS._entries()
    for made in (Mixer, Leaky, Moody):
        setattr(module, made.__name__, made)
        entry = SynthesizerEntry(f"{module.__name__}:{made.__name__}", "a fake", private=True)
        monkeypatch.setitem(known, made.__name__.lower(), entry)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    CALLS.clear()
    return CALLS
