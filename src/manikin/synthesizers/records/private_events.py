"""How the transformer over events learns under a privacy ledger: taught by a bought chain, moved on by DP-SGD (`taught`). Opens no seal."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.seeds import derive
from manikin.privacy.ledger import Ledger
from manikin.synthesizers.records.plan import in_hindsight
from manikin.synthesizers.records.taught import teacher, told
from manikin.training.control import Control
from manikin.training.networks.event_history import History, Plan, Vocabulary
from manikin.training.networks.event_packed import PackedNats, Packing, packed
from manikin.training.networks.event_transformer import EventShape

if TYPE_CHECKING:
    from manikin.synthesizers.records.event_transformer import EventTransformer

BY = "event_transformer"
MOST_EVENTS = 512  # of a patient, her first ones
WINDOW = 64  # events of a patient in a step


def learn(model: EventTransformer, data: Dataset, *, seed: int, ledger: Ledger, control: Control) -> EventTransformer:
    """Buys a chain, learns from what it draws, then spends what is left of the ledger on real patients.

    Raises
    ------
    BudgetError : the ledger does not allow it, a time budget was asked for, or the tables are such as cannot be learned under one.
    FitError : nothing stands clear of the noise.
    """
    own = teacher(data, ledger, control)
    model.codec_ = own.codec
    shape = shape_for(model.width, model.layers)
    model.learn_records(own.patients(seed), seed=derive(seed, "taught"), control=own.lesson, shape=shape)
    network, vocabulary, width = copy.deepcopy(model.events_), Vocabulary.of(model.events_.tables), own.codec.layout.width
    most = own.room(Packing.of(network, width, 0).each, MOST_EVENTS)
    packing = Packing.of(network, width, most)

    def rows_of(codec: RecordsCodec, records: Records) -> npt.NDArray[np.float32]:
        """Each patient's fields, the plan that she fulfilled, and her first events."""
        del codec
        history = History.of(vocabulary, records.starts, records.table, records.tokens, records.times)
        numbers = in_hindsight(model.plan_.slots, history, vocabulary)
        static = np.concatenate([records.static, model.plan_.tokens(numbers)], 1)
        plan = Plan(numbers.counts.astype(np.float32), numbers.days.astype(np.float32), numbers.total.astype(np.float32))
        return packed(packing, history, static, plan)

    loss = PackedNats(network, vocabulary, packing, min(WINDOW, most))
    model.events_, training = own.descend(loss, rows_of, own.settings(), seed=seed, by=BY)
    model.training_ = told(training, model.training_)
    return model


def shape_for(width: int | None, layers: int | None) -> EventShape:
    """A small network, since noise falls on every weight."""
    width = width or 64
    return EventShape(width=width, layers=layers or 1, heads=max(1, width // 32), row_width=min(32, width), dropout=0.1)
