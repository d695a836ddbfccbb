"""HALO under a privacy ledger: a patient's row says what she says, is clipped as one, and tables that are no visits cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from linked_tables import nasty, visits

from manikin.codecs.records.bought import as_readable
from manikin.data.errors import FitError
from manikin.privacy.ledger import Ledger
from manikin.privacy.per_patient import clipped_sum
from manikin.synthesizers.records.halo import Halo
from manikin.synthesizers.records.visits import encoded
from manikin.training.networks.visits_packed import PackedVisits, VisitPacking, packed
from manikin.training.objectives.row_private import PrivateRowObjective, RowRecipe


def test_the_nats_of_a_row_are_those_of_the_patient_and_its_gradient_is_clipped() -> None:
    data = visits()
    model = Halo(max_steps=3).fit(data, seed=0)
    own = encoded(model.plan_, model.codec_, model.codec_.encode(data))
    packing = VisitPacking(own.static.shape[1], 12, len(model.plan_.fields) + 1 + model.plan_.n_codes)
    rows = torch.from_numpy(packed(packing, own.static, own.starts, own.edges, own.parts))
    loss, some = PackedVisits(model.network_, packing), np.arange(25)
    static, lost = (one.detach() for one in model.network_.nats(own.batch(some)))
    wanted = (static + lost).numpy() / (own.lengths[some] + 1)
    np.testing.assert_allclose([float(loss.drawn(rows[i]).detach()) for i in some], wanted, rtol=1e-4)
    objective = PrivateRowObjective(loss, RowRecipe(steps=1))
    for i in range(3):
        sums = clipped_sum(model.network_, objective.losses, rows[i : i + 1], torch.ones(1, 1), clip_norm=0.1, is_recorded=False)
        assert 0 < float(sum(one.double().square().sum() for one in sums)) ** 0.5 <= 0.1


def test_more_visits_and_parts_than_fit_are_left_out() -> None:
    packing = VisitPacking(1, 2, 2)
    static, starts, edges = np.array([[4], [5]]), np.array([0, 3, 3]), np.array([0, 3, 4, 5])
    row, nothing = packed(packing, static, starts, edges, np.array([0, 7, 9, 0, 0]))
    assert row.tolist() == [4, 3, 2, 1, 8, 1, 0], "her fields, visits, those here, then parts of two of them"
    assert nothing.tolist() == [5, 0, 0, 0, 0, 0, 0]


def test_tables_that_are_no_visits_are_refused_before_anything_is_bought() -> None:
    ledger = Ledger(epsilon=1.0)
    with pytest.raises(FitError, match="names rows of another"):
        Halo().fit(as_readable(nasty()), seed=0, ledger=ledger)
    assert not ledger.is_begun
