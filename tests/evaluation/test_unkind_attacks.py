"""The risks of regulators on odd tables: a figure or a note, never a failure; with patients of many rows, and no patient's cell told."""

from __future__ import annotations

import json
import math

import pytest

from evaluation.test_suite import finite, unkind
from manikin.evaluation.attacks import ATTACKS

RISKS = ["attribute_inference", "singling_out", "linkability"]


@pytest.mark.parametrize("case", [case for case in unkind() if case != "10,000 levels"])
@pytest.mark.parametrize("name", RISKS)
def test_unkind_tables_give_notes(name, case):
    result = ATTACKS.load(name)(unkind()[case], seed=0)
    if result.value is None:
        assert result.note.startswith("Not computed: ")
        return
    assert math.isfinite(result.value)
    assert result.interval[0] <= result.value <= result.interval[1]
    assert finite(json.loads(json.dumps(result.details)))


@pytest.mark.parametrize("name", RISKS)
def test_ten_thousand_levels(name):
    result = ATTACKS.load(name)(unkind()["10,000 levels"], seed=0)
    assert result.value is not None or result.note.startswith("Not computed: ")
