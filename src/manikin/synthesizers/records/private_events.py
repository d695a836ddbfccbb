"""How the transformer over events learns under a privacy ledger: a bought chain teaches it, then DP-SGD on patients. Opens no seal.

A chain (`private_markov`) is bought for a share of the budget; patients whom it draws teach everything that the model has: plans, sizes,
the network of static columns and the transformer. That costs nothing more. What is left of the budget then moves the transformer towards
real patients: a patient's gradient is that of all her events that count, clipped as one, so that it does not matter how many they are.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from manikin.codecs.records.base import Records
from manikin.codecs.records.bought import as_readable, read_records
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.seeds import derive, generator
from manikin.privacy import dpsgd, mechanisms
from manikin.privacy.answers_kept import AnswersKept
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import EVERYBODY
from manikin.synthesizers.records.markov import Markov
from manikin.synthesizers.records.plan import PlanFields, in_hindsight
from manikin.training.control import Control
from manikin.training.loop import refuse_time_budget, train
from manikin.training.networks.event_history import History, Plan, Vocabulary
from manikin.training.networks.event_packed import PackedNats, Packing, packed
from manikin.training.networks.event_transformer import EventNet, EventShape
from manikin.training.objectives.event_private import PrivateEventObjective, PrivateEventRecipe

if TYPE_CHECKING:
    from manikin.synthesizers.records.event_transformer import EventTransformer

BY = "event_transformer"
CHAIN_SHARE = 0.6  # of the ledger's precision, for the chain
STEPS, TAUGHT_STEPS = 100, 800  # of DP-SGD, and at most on what the chain draws
MOST_EVENTS = 512  # of a patient, her first ones
WINDOW = 64  # events of a patient in a step
DRAWN_PATIENTS, DRAWN_EVENTS = 2_000, 400_000  # of the chain, to learn from; no more than either
ROOM = 1 << 26  # numbers that all rows may take


@dataclass(frozen=True)
class PrivateSettings:
    """Public numbers of a fit under a ledger; set once, on the train parts of tables.

    Attributes
    ----------
    steps : of DP-SGD. expected_batch : patients in a step, on average. clip_norm : most that a patient adds to a step's sum.
    most_events : of a patient that count, her first ones. window : of these, at random, in a step. learning_rate : the peak.
    """

    steps: int
    expected_batch: float
    most_events: int
    window: int
    clip_norm: float = 1.0
    learning_rate: float = 2e-2


def learn(model: EventTransformer, data: Dataset, *, seed: int, ledger: Ledger, control: Control) -> EventTransformer:
    """Buys a chain, learns from what it draws, then spends what is left of the ledger on real patients.

    Raises
    ------
    BudgetError : the ledger does not allow it, a time budget was asked for, or the tables are such as cannot be learned under one.
    FitError : nothing stands clear of the noise.
    """
    refuse_time_budget(control)
    if control.checkpoint is not None:
        ledger.answers = AnswersKept(control.checkpoint, ledger)
    private = mechanisms.seal_records(as_readable(data), ledger)
    chain = Markov().buy(private, ledger, share=CHAIN_SHARE)
    model.codec_ = codec = chain.codec_
    taught = replace(control, checkpoint=None, planned_steps=None, stop_at=None, time_budget_seconds=None).at_most(TAUGHT_STEPS)
    model.learn_records(drawn_by(chain, seed), seed=derive(seed, "taught"), control=taught, shape=shape_for(model.width, model.layers))
    network, vocabulary = copy.deepcopy(model.events_), Vocabulary.of(model.events_.tables)
    settings = settings_for(ledger.n_patients or 1, network, codec.layout.width, most_steps=control.max_steps)
    packing = Packing.of(network, codec.layout.width, settings.most_events)
    rows = private.map(lambda own: _rows(codec, model.plan_, vocabulary, packing, own))
    plan = dpsgd.plan(
        ledger, expected_batch=settings.expected_batch, steps=settings.steps, clip_norm=settings.clip_norm, by=BY
    )
    sampler = dpsgd.Sampler(plan, rows[EVERYBODY], private.patients, ledger, columns=_columns(codec), by=BY)
    recipe = PrivateEventRecipe(settings.steps, settings.learning_rate)
    objective = PrivateEventObjective(PackedNats(network, vocabulary, packing, settings.window), recipe)
    own = replace(control, checkpoint=None if control.checkpoint is None else control.checkpoint / "steps", device="cpu")
    training = train(objective, seed=seed, control=own, ledger=ledger, private=sampler)
    training.seconds = 0.0  # how long it took tells how many patients there are
    model.events_ = (objective.average if training.steps else network).requires_grad_(requires_grad=False).eval()
    model.training_ = training.to_json() | {"taught": {**model.training_, "seconds": 0.0}}
    return model


def drawn_by(chain: Markov, seed: int) -> Records:
    """Patients of the chain: as many as there are events to learn from, 200 at least."""
    drawn = chain.draw(DRAWN_PATIENTS, generator(seed, "drawn"))
    n = int(np.searchsorted(drawn.starts[1:], DRAWN_EVENTS, side="right"))
    return drawn.subset(np.arange(min(max(n, 200), len(drawn))))


def shape_for(width: int | None, layers: int | None) -> EventShape:
    """A small network, since noise falls on every weight."""
    width = width or 64
    return EventShape(width=width, layers=layers or 1, heads=max(1, width // 32), row_width=min(32, width), dropout=0.1)


def settings_for(n_patients: int, network: EventNet, width: int, *, most_steps: int | None) -> PrivateSettings:
    """More patients a step where there are more; fewer events of each where there are so many that they would not fit."""
    batch = float(np.clip(n_patients / 20, 64, 2048))  # the noise of all steps together is hardly less with larger ones
    room = ROOM / (1.2 * n_patients * Packing.of(network, width, 0).each)
    most = int(np.clip(room, 32, MOST_EVENTS))
    return PrivateSettings(min(STEPS, most_steps or STEPS), batch, most, min(WINDOW, most))


def _rows(codec: RecordsCodec, plan: PlanFields, vocabulary: Vocabulary, packing: Packing, data: Dataset) -> dict[str, Any]:
    """Each patient as one row of numbers, by herself."""
    records, _ = read_records(codec, data)
    times = codec.times(records.starts, records.table, records.tokens)
    history = History.of(vocabulary, records.starts, records.table, records.tokens, times)
    numbers = in_hindsight(plan.slots, history, vocabulary)
    static = np.concatenate([records.static, plan.tokens(numbers)], 1)
    told = Plan(numbers.counts.astype(np.float32), numbers.days.astype(np.float32), numbers.total.astype(np.float32))
    return {EVERYBODY: (packed(packing, history, static, told), np.arange(data.n_records))}


def _columns(codec: RecordsCodec) -> list[str]:
    names = [field.column for field in codec.layout.static.fields]
    names += [f"{table.name}.{field.column}" for table in codec.layout.tables for field in table.layout.fields]
    return list(dict.fromkeys(names))
