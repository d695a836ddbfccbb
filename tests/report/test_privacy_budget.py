from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manikin.evaluation.base import Results
from manikin.privacy.events import Gaussian, Laplace
from manikin.privacy.ledger import Ledger
from manikin.report.attacks import attacks
from manikin.report.blocks import Facts, Figure, Table, Text, walk
from manikin.report.privacy_budget import budget
from manikin.report.safety import is_safe
from manikin.workflow.claim import told


@pytest.fixture(scope="module")
def claim() -> dict[str, Any]:
    ledger = Ledger(epsilon=1.0)
    ledger.spend(Laplace(100.0), purpose="number of patients")
    ledger.set_delta(71_000)
    for name, noise in (("levels of <b>sex</b>", 14.0), ("pairs", 6.0)):
        ledger.spend(Gaussian(noise), purpose=name, columns=["sex", "age"], by="aim")
    return told(ledger)


def test_a_run_without_a_budget_has_no_section(results: Results) -> None:
    assert budget(replace(results, run={})) == ()
    assert budget(replace(results, run={"privacy_budget": {"epsilon": "much"}})) == ()


def test_claim_shares_and_reach_are_told_in_words_and_figures(results: Results, claim: dict[str, Any]) -> None:
    blocks = tuple(walk(budget(replace(results, run={"privacy_budget": claim}))))
    lead = next(block for block in blocks if isinstance(block, Text))
    assert "2.72-fold" in lead.text
    assert "at most 73 % sure" in lead.text
    facts = dict(next(block for block in blocks if isinstance(block, Facts)).items)
    assert facts["Epsilon and delta"] == "1 and 1e-06, for each patient"
    assert facts["Patients"] == "about 71,000, as bought with noise"
    power, shares = (block for block in blocks if isinstance(block, Figure))
    assert "1 % of outsiders wrongly accused at most 1." in power.alt
    assert "pairs 84." in shares.alt
    assert "<b>" not in shares.svg
    table = next(block for block in blocks if isinstance(block, Table))
    assert table.rows[0][:4] == ("pairs", "aim", "1", "2")


def test_a_guarantee_that_was_kept_is_not_called_missing(results: Results, claim: dict[str, Any]) -> None:
    for run, is_missing in (({}, True), ({"privacy_budget": claim}, False)):
        ran = replace(results, run=run)
        assert any("none was asked for" in text for text in [str(is_safe(ran))]) is is_missing
        assert any("none was asked for" in str(block) for block in attacks(ran)) is is_missing


def test_what_is_damaged_is_not_shown_and_breaks_nothing(results: Results, claim: dict[str, Any]) -> None:
    for broken in ({"purposes": None}, {"curve": [1, 2]}, {"spent": 3}, {"at": "x"}, {"delta": None}, {"purposes": [{"share": "x"}]}):
        assert budget(replace(results, run={"privacy_budget": {**claim, **broken}}))
