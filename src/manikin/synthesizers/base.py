"""What a synthesizer is, and how one is saved: config.json beside weights.safetensors, never pickle. Knows no model.

Implementers need not inherit. A synthesizer is a keyword-only dataclass whose fields are its hyperparameters; fitted state ends in an
underscore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.schema import ImageForm

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


@runtime_checkable
class Translates(Protocol):
    """An optional ability of a synthesizer of images, `pairs` in its registry line: given rows with one image of two it makes the other.

    Attributes
    ----------
    is_two_way : whether either can be given.
    """

    is_two_way: bool

    @property
    def forms(self) -> Mapping[str, ImageForm]:
        """What each of its two columns of images is, at the size that was learned; the source first."""
        ...


@runtime_checkable
class Continues(Protocol):
    """An optional ability of a synthesizer of linked patients, `continues` in its registry line: it goes on where given records end."""

    def continue_(
        self,
        data: Dataset,
        *,
        until: npt.NDArray[np.float64],
        draws: int,
        seed: int,
        set: Mapping[str, Any] | None = None,  # noqa: A002 (the command's word)
    ) -> Iterator[Dataset]:
        """The given patients' records and how they might go on, `draws` times, each drawn for itself.

        Parameters
        ----------
        data : the patients up to now, in the schema that was learned; a part of the columns may be absent.
        until : days since each patient's first event up to which she is continued, float64 (n_patients,). What would come later is not
            drawn; nothing is drawn for a patient whose record reaches that far or ends before (she has died, or the model ends it).
        draws : how many continuations each patient gets, 1 or more.
        set : column ("column" or "table.column") -> value that holds in what is drawn. A static column is changed before the record is
            read, so that the continuation follows from it; a column of rows holds in every new row of its table. A model refuses by name
            what it cannot hold.

        Yields
        ------
        Dataset : one for each draw, with all patients of `data` in their order: first the rows that were given, in the order of the
            patient's time and with the values they had (keys made anew), then the new ones.

        Raises
        ------
        ParameterError : `set` names a column that there is not or that cannot be held. DataError : `data` is not of that schema.
        """
        ...


@dataclass(frozen=True)
class Likelihood:
    """How likely a model holds given patients to be, in nats: the higher (nearer to 0), the less surprising.

    Attributes
    ----------
    static : float64 (n_patients,), of the patient's static fields. end : float64 (n_patients,), that her record ends where it does.
    parts : by table of events the names of what an event is drawn by, in that order: "kind" (that it is of this table), "gap" (the time
        since the event before), "link TABLE" for each of its parents, then its columns.
    events : by table float64 (n_rows, n_parts), in the order of the table's rows; 0 where a part is certain or does not apply.
    """

    static: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]
    parts: Mapping[str, tuple[str, ...]]
    events: Mapping[str, npt.NDArray[np.float64]]


@runtime_checkable
class Scores(Protocol):
    """An optional ability of a synthesizer of linked patients, `scores` in its registry line: it says how likely given patients are."""

    def log_likelihood(self, data: Dataset) -> Likelihood:
        """Of each patient and each event of `data`, which is in the schema that was learned.

        Raises
        ------
        DataError : `data` is not of that schema.
        """
        ...


Arrays = dict[str, npt.NDArray[Any]]
State = tuple[dict[str, Any], Arrays]

__all__ = ["Arrays", "Conditions", "Continues", "Likelihood", "Path", "Sampler", "Scores", "State", "Synthesizer", "np"]
