"""How HALO's network of visits learns under a privacy ledger: taught by a bought chain, moved on by DP-SGD (`taught`). Opens no seal."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from manikin.codecs.records.base import Records
from manikin.codecs.records.bought import event_names
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.public_plan import public_plan, readable
from manikin.data.dataset import Dataset
from manikin.data.seeds import derive
from manikin.privacy.ledger import Ledger
from manikin.synthesizers.records.taught import teacher, told
from manikin.synthesizers.records.visits import encoded, opening_table
from manikin.training.control import Control
from manikin.training.networks.visits import VisitNet
from manikin.training.networks.visits_packed import PackedVisits, VisitPacking, packed

if TYPE_CHECKING:
    from manikin.synthesizers.records.halo import Halo

BY = "halo"
MOST_VISITS, MOST_CODES = 64, 48  # of a patient, her first ones; of a visit


def learn(model: Halo, data: Dataset, *, seed: int, ledger: Ledger, control: Control) -> None:
    """Buys a chain, learns from what it draws, then spends what is left of the ledger on real patients.

    Raises
    ------
    BudgetError : the ledger does not allow it, a time budget was asked for, or the tables are such as cannot be learned under one.
    FitError : tables that are no visits, which costs nothing where their structure says so; or nothing stands clear of the noise.
    """
    schema = readable(data.schema)
    names = event_names(schema)
    opening_table(public_plan(schema, names, dict.fromkeys(names, 1)).events, BY, is_bought=True)
    own = teacher(data, ledger, control)
    model.codec_ = own.codec
    model.learn_records(own.patients(seed), seed=derive(seed, "taught"), control=own.lesson, is_bought=True)
    network = copy.deepcopy(model.network_)
    plan, parts = model.plan_, len(model.plan_.sizes(own.codec)) + min(model.plan_.n_codes, MOST_CODES)
    packing = VisitPacking(len(network.shape.static), own.room(parts, MOST_VISITS), parts)

    def rows_of(codec: RecordsCodec, records: Records) -> npt.NDArray[np.float32]:
        """Each patient's fields and first visits."""
        visits = encoded(plan, codec, records)
        return packed(packing, visits.static, visits.starts, visits.edges, visits.parts)

    kept, training = own.descend(PackedVisits(network, packing), rows_of, own.settings(), seed=seed, by=BY)
    assert isinstance(kept, VisitNet)
    model.network_, model.training_ = kept, told(training, model.training_)
