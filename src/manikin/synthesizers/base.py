"""What a synthesizer is, and how one is saved: config.json beside weights.safetensors, never pickle. Knows no model.

Implementers need not inherit. A synthesizer is a keyword-only dataclass whose fields are its hyperparameters; fitted state ends in an
underscore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset

Conditions = Mapping[str, Any] | Dataset


@runtime_checkable
class Sampler(Protocol):
    """What workflow and evaluation ask of a simulator and a synthesizer alike."""

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` rows of a flat table, `n` patients of linked ones.

        Parameters
        ----------
        conditions : a mapping column -> value that every row holds, or a data set of `n` partial rows whose cells are kept exactly.
        """
        ...

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The same rows in pieces; `sample` is their concatenation, whatever the batch size asked of `sample`."""
        ...


@runtime_checkable
class Synthesizer(Sampler, Protocol):
    """Learns from patients and makes new ones."""

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:
        """Learns; fitting twice equals fitting once. A ledger that cannot be honoured is refused by name."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted: JSON-able values and arrays."""
        ...

    def restore(self, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Takes fitted state back; `save` and `load` of this package call `state` and `restore`."""
        ...


Arrays = dict[str, npt.NDArray[Any]]
State = tuple[dict[str, Any], Arrays]

__all__ = ["Arrays", "Conditions", "Path", "Sampler", "State", "Synthesizer", "np"]
