"""How an any-order autoregressive network learns under a privacy ledger: bought columns, DP-SGD for their dependence. Opens no seal.

Before the first step the network's output is the bought marginals, so a budget too small for dependence leaves independent columns. The
network is small, since noise is added to every weight, and its size is set by public numbers and by what was bought. After the last step
its output is moved back to the bought marginals, which noise has shifted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.data.seeds import derive, generator
from manikin.privacy import dpsgd, mechanisms
from manikin.privacy.ledger import Ledger
from manikin.synthesizers.tables.kept_codec import as_tensors, kept_codec
from manikin.training.control import Control
from manikin.training.loop import choose_device, train
from manikin.training.networks.any_order import AnyOrderNet, Shape, TokenColumn, hidden_width
from manikin.training.networks.any_order_sampler import calibrate
from manikin.training.objectives.any_order_private import PrivateAnyOrderObjective, PrivateRecipe

BY = "autoregressive"
STEPS = 150
CODEC_SHARE = 0.2  # of the ledger's precision, for the columns by themselves


@dataclass(frozen=True)
class PrivateSettings:
    """Public numbers of a fit under a ledger; set once, on the train parts of tables.

    Attributes
    ----------
    steps : of DP-SGD. expected_batch : patients in a step, on average. clip_norm : most that a patient adds to a step's sum, in nats.
    n_masks : orders per step. causal_share : share of orders that are the table's own. learning_rate : the peak.
    max_tokens : most bins of a number column. scale : hidden units of a column of middling entropy.
    """

    steps: int
    expected_batch: float
    clip_norm: float = 1.0
    n_masks: int = 4
    causal_share: float = 0.6
    learning_rate: float = 5e-2
    max_tokens: int = 32
    scale: int = 4
    shape: Shape = field(default_factory=lambda: Shape(embed_scale=2.0, blocks=0, basis_in=2, basis_out=3, dropout=0.0))


@dataclass(frozen=True)
class Learned:
    """What a fit under a ledger leaves: a codec whose every fact was bought or is public, a network, and what the run did."""

    codec: TableCodec
    network: AnyOrderNet
    training: dict[str, Any]


def learn(data: Dataset, wishes: Mapping[str, Any], *, seed: int, ledger: Ledger, control: Control) -> Learned:
    """Buys the columns, then spends what is left of the ledger on the network.

    Parameters
    ----------
    wishes : settings to take instead of those for the number of patients that was bought, None for no wish; and "epochs".

    Raises
    ------
    BudgetError : the ledger does not allow it, or a time budget was asked for.
    """
    private = mechanisms.seal(data, ledger)
    settings = settings_for(ledger.n_patients or 1, wishes, most_steps=control.max_steps)
    codec = kept_codec(control)
    if codec is None:
        codec = TableCodec(max_tokens=settings.max_tokens).fit(private, ledger=ledger, share=CODEC_SHARE)
    network = first_network(codec, settings, seed=seed).to(choose_device(control.device))
    plan = dpsgd.plan(
        ledger, expected_batch=settings.expected_batch, steps=settings.steps, clip_norm=settings.clip_norm, by=BY
    )
    sampler = dpsgd.Sampler(
        plan,
        codec.encode_private(private),
        private.patients,
        ledger,
        columns=list(dict.fromkeys(f.column for f in codec.layout.fields)),
        by=BY,
        is_recorded=True,
        device=choose_device(control.device),
    )
    recipe = PrivateRecipe(settings.steps, settings.n_masks, settings.causal_share, settings.learning_rate)
    objective = PrivateAnyOrderObjective(network, recipe, as_tensors(codec))
    training = train(objective, seed=seed, control=control, ledger=ledger, private=sampler)
    training.device = choose_device(control.device).type
    training.seconds = 0.0  # how long it took tells how many patients there are
    average = (objective.average if training.steps else network).cpu().eval()
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in codec.counts_]
    emitted = [codec.emitted(j) for j in range(len(codec.fields_))]
    calibrate(average, shares, emitted, generator(seed, "calibration"))
    return Learned(codec, average, training.to_json())


def first_network(codec: TableCodec, settings: PrivateSettings, *, seed: int) -> AnyOrderNet:
    """The network before its first step: independent columns with the bought frequencies."""
    columns = []
    for f, counts in zip(codec.layout.fields, codec.counts_, strict=True):
        frequencies = counts + 0.5
        marginals = np.log(frequencies / frequencies.sum()).astype(np.float32)
        width = hidden_width(marginals, scale=settings.scale)
        columns.append(TokenColumn(f.n_tokens, f.positions, f.values, marginals, width))
    network = AnyOrderNet(columns, settings.shape, generator=torch.Generator().manual_seed(derive(seed, "weights", 0)))
    with torch.no_grad():
        for head in network.head:
            head.zero_()
    return network


def settings_for(n_patients: int, wishes: Mapping[str, Any], *, most_steps: int | None) -> PrivateSettings:
    """Larger steps, and more of them, for larger tables; wishes come first."""
    given = {name: value for name, value in wishes.items() if value is not None}
    batch = given.setdefault("expected_batch", float(np.clip(n_patients / 8, 128, 4096)))
    epochs = given.pop("epochs", None)
    steps = STEPS if epochs is None else max(1, round(epochs * n_patients / batch))
    return PrivateSettings(steps=steps if most_steps is None else min(steps, most_steps), **given)
