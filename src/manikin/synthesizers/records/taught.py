"""What private generators of linked patients share: a bought chain that teaches them, then DP-SGD on one row a patient. Opens no seal.

A chain (`private_markov`) is bought for a share of the budget; patients whom it draws teach a network and whatever else a generator knows.
That costs nothing more. What is left of the budget then moves the network towards real patients: a patient's gradient is that of all that
counts of her, clipped as one, so that it does not matter how many rows that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from torch import nn

from manikin.codecs.records.base import Records
from manikin.codecs.records.bought import as_readable, read_records
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.seeds import generator
from manikin.privacy import dpsgd, mechanisms
from manikin.privacy.answers_kept import AnswersKept
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import EVERYBODY, PrivateRecords
from manikin.synthesizers.records.continued import joined
from manikin.synthesizers.records.markov import Markov
from manikin.training.control import Control, Training
from manikin.training.loop import refuse_time_budget, train
from manikin.training.objectives.row_private import PrivateRowObjective, RowLoss, RowRecipe

CHAIN_SHARE = 0.6  # of the ledger's precision, for the chain
STEPS, TAUGHT_STEPS = 100, 800  # of DP-SGD, and at most on what the chain draws
DRAWN_PATIENTS, DRAWN_EVENTS = 2_000, 400_000  # of the chain, to learn from; no more than either
ROOM = 1 << 26  # numbers that all rows may take
N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Settings:
    """Public numbers of DP-SGD; set once, on the train parts of tables.

    Attributes
    ----------
    expected_batch : patients in a step, on average. clip_norm : most that a patient adds to a step's sum. learning_rate : the peak.
    """

    steps: int
    expected_batch: float
    clip_norm: float = 1.0
    learning_rate: float = 2e-2


@dataclass(frozen=True)
class Teacher:
    """Patients behind a seal, and the chain that was bought of them."""

    private: PrivateRecords
    chain: Markov
    ledger: Ledger
    control: Control

    @property
    def codec(self) -> RecordsCodec:
        """The codec, all of whose facts were bought or are public."""
        return self.chain.codec_

    @property
    def n_patients(self) -> int:
        """As bought."""
        return self.ledger.n_patients or 1

    def patients(self, seed: int) -> Records:
        """Patients of the chain: as many as there are events to learn from, 200 at least."""
        parts, rng = [], generator(seed, "drawn")
        for first in range(0, DRAWN_PATIENTS, self.chain.block):
            parts.append(self.chain.draw(min(self.chain.block, DRAWN_PATIENTS - first), rng))
            if sum(part.n_events for part in parts) > DRAWN_EVENTS:
                break
        drawn = joined(parts)
        n = int(np.searchsorted(drawn.starts[1:], DRAWN_EVENTS, side="right"))
        return drawn.subset(np.arange(min(max(n, 200), len(drawn))))

    @property
    def lesson(self) -> Control:
        """How a generator learns from them."""
        return replace(self.control, checkpoint=None, planned_steps=None, stop_at=None).at_most(TAUGHT_STEPS)

    def room(self, each: int, most: int) -> int:
        """How many parts of `each` numbers a patient's row may have, up to `most`."""
        return int(np.clip(ROOM / (1.2 * self.n_patients * each), min(32, most), most))

    def settings(self) -> Settings:
        """More patients a step where there are more; the noise of all steps together is hardly less with larger ones."""
        return Settings(min(STEPS, self.control.max_steps or STEPS), float(np.clip(self.n_patients / 20, 64, 2048)))

    def descend(
        self,
        loss: RowLoss[N],
        rows_of: Callable[[RecordsCodec, Records], npt.NDArray[np.float32]],
        settings: Settings,
        *,
        seed: int,
        by: str,
    ) -> tuple[N, Training]:
        """Spends what is left of the ledger on real patients; gives the network to keep and what the run did.

        Parameters
        ----------
        rows_of : encoded patients to one row each, (n_patients, size), whose size is public, by a change that sees each by herself.
        """

        def packed(data: Dataset) -> dict[str, Any]:
            """Each patient as one row of numbers."""
            records, _ = read_records(self.codec, data)
            times = self.codec.times(records.starts, records.table, records.tokens)
            return {EVERYBODY: (rows_of(self.codec, replace(records, times=times)), np.arange(data.n_records))}

        rows, ledger = self.private.map(packed)[EVERYBODY], self.ledger
        plan = dpsgd.plan(
            ledger, expected_batch=settings.expected_batch, steps=settings.steps, clip_norm=settings.clip_norm, by=by
        )
        sampler = dpsgd.Sampler(plan, rows, self.private.patients, ledger, columns=_columns(self.codec), by=by)
        objective = PrivateRowObjective(loss, RowRecipe(settings.steps, settings.learning_rate))
        place = None if self.control.checkpoint is None else self.control.checkpoint / "steps"
        own = replace(self.control, checkpoint=place, device="cpu")
        training = train(objective, seed=seed, control=own, ledger=ledger, private=sampler)
        training.seconds = 0.0  # how long it took tells how many patients there are
        network = objective.average if training.steps else loss.network
        return network.requires_grad_(requires_grad=False).eval(), training


def teacher(data: Dataset, ledger: Ledger, control: Control) -> Teacher:
    """Buys a chain for a share of the budget.

    Raises
    ------
    BudgetError : the ledger does not allow it, a time budget was asked for, or the tables are such as cannot be learned under one.
    FitError : nothing stands clear of the noise.
    """
    refuse_time_budget(control)
    if control.checkpoint is not None:
        ledger.answers = AnswersKept(control.checkpoint, ledger)
    private = mechanisms.seal_records(as_readable(data), ledger)
    return Teacher(private, Markov().buy(private, ledger, share=CHAIN_SHARE), ledger, control)


def told(training: Training, lesson: dict[str, Any]) -> dict[str, Any]:
    """What a run did, with what it was taught before; wall seconds, which tell of patients, left out."""
    return training.to_json() | {"taught": {**lesson, "seconds": 0.0}}


def _columns(codec: RecordsCodec) -> Sequence[str]:
    names = [field.column for field in codec.layout.static.fields]
    names += [f"{table.name}.{field.column}" for table in codec.layout.tables for field in table.layout.fields]
    return list(dict.fromkeys(names))
