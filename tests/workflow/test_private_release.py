"""The gate under a privacy budget: its claim comes from the audited ledger, which leaves with the release, and no true count does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pytest

import manikin as mk
import private_fake
from manikin.data.errors import GateError
from manikin.privacy.ledger import read_ledger
from manikin.release.judgement import Verdict, judge
from manikin.release.measures import Evidence
from manikin.release.policy import load_policy
from manikin.workflow import judge as judging
from manikin.workflow.options import Options
from manikin.workflow.receive import keygen, verify
from manikin.workflow.release import Released, release
from manikin.workflow.synthesize import synthesize
from private_fake import patients, with_schema

POLICY = Path(__file__).with_name("gate_policy.toml")
TODAY = date(2027, 3, 1)
N = 3217


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("gate")
    more = {name: patients(N, seed)["score"] for seed, name in enumerate(("dose", "weight", "height"), start=5)}
    patients(N).assign(**more).to_csv(folder / "patients.csv", index=False)
    keygen(folder / "publisher.key")
    with pytest.MonkeyPatch.context() as patch:
        private_fake.register(patch)
        few = partial(judging.measure, metrics=["identifiers", "rare_values", "copies"], attacks=["membership"])
        patch.setattr(judging, "measure", few)
        patch.setattr("manikin.evaluation.suite.views", lambda *_, **__: {}, raising=False)
        patch.setattr("manikin.report.render.render", lambda _, path: path.write_text("a page"))
        with_schema(synthesize)(folder / "patients.csv", out=folder / "run", options=Options(synthesizer="fake", epsilon=1.0))
        yield folder


def let_out(place: Path) -> Released:
    answered = {"intended_use": "teaching", "title": "Ward patients", "publisher": "A hospital"}
    return release(
        place / "run", policy=POLICY, key=place / "publisher.key", out=place / "out", answered=answered, today=TODAY, force=True
    )


def test_the_ledger_leaves_with_the_release_and_no_true_number_does(place: Path) -> None:
    made = let_out(place)
    assert made.out is not None, made.decision.lines
    assert (made.out / "ledger.json").read_bytes() == (place / "run" / "ledger.json").read_bytes()
    verify(made.out, key=place / "publisher.key.pub", today=TODAY)
    assert mk.audit(made.out).passed
    ledger = read_ledger(made.out / "ledger.json")
    decision = json.loads((made.out / "decision.json").read_text())
    assert list(decision["evidence_sha256"]) == ["synthetic.csv"]
    words = {"within the limit", "none found", "shown to the publisher only", "not measured", "1, as ledger.json says"}
    assert {check["finding"] for check in decision["checks"]} <= words
    assert decision["privacy_budget"] == {"epsilon": 1.0, "delta": ledger.delta}
    card = (made.out / "card.md").read_text()
    assert "each row counts as a patient" in card
    for words in ("epsilon 1, delta", "one patient with all her rows", "wrongly accuses 1 %", "not covered are", "waives none"):
        assert words in card
    assert "at least 300 targets" in card
    crate = json.loads((made.out / "ro-crate-metadata.json").read_text())
    assert any(part.get("@id") == "ledger.json" for part in crate["@graph"])
    rows = json.loads((place / "run" / "manifest.json").read_text())["rows"]
    true_numbers = {rows["train"], rows["holdout"], N} - {ledger.n_patients}
    for path in made.out.iterdir():
        if path.suffix in (".json", ".md", ".html", ".toml") and path.name != "release.dsse.json":
            text = "\n".join(line for line in path.read_text().splitlines() if "sha256" not in line and "Size" not in line)
            for n in true_numbers:
                assert not re.search(rf"(?<![\d.]){n:,}(?!\d)|(?<![\d.]){n}(?!\d)", text), (path.name, n)


def test_another_number_on_the_card_fails_its_audit(place: Path) -> None:
    out = let_out(place).out
    assert out is not None
    document = json.loads((out / "decision.json").read_text())
    document["privacy_budget"]["epsilon"] = 0.1
    (out / "decision.json").write_text(json.dumps(document))
    assert [finding.check for finding in mk.audit(out).findings if not finding.passed] == ["the card states the budget"]


def test_a_ledger_that_fails_its_audit_releases_nothing(place: Path) -> None:
    from test_audit import edited, halve_noise, with_new_hash

    whole = (place / "run" / "ledger.json").read_bytes()
    manifest = (place / "run" / "manifest.json").read_bytes()
    try:
        edited(place / "run" / "ledger.json", halve_noise)
        with_new_hash(place / "run")
        with pytest.raises(GateError, match="does not pass its audit: within the budget"):
            let_out(place)
    finally:
        (place / "run" / "ledger.json").write_bytes(whole)
        (place / "run" / "manifest.json").write_bytes(manifest)


def test_the_open_policy_s_checks_of_the_budget_can_pass() -> None:
    def verdict(evidence: Evidence, name: str) -> Verdict:
        outcomes = judge(load_policy("open"), evidence, {}).outcomes
        return next(outcome.verdict for outcome in outcomes if outcome.check.name == name)

    kept = Evidence(mk.Results(metrics=()), 3200, 1.0, 1e-5)
    assert verdict(kept, "epsilon") is Verdict.PASS
    assert verdict(kept, "delta") is Verdict.PASS
    assert verdict(Evidence(mk.Results(metrics=()), 3200, 8.0, 1e-5), "epsilon") is Verdict.FAIL
    assert verdict(Evidence(mk.Results(metrics=()), 3200, 1.0, 1e-3), "delta") is Verdict.FAIL
    assert verdict(Evidence(mk.Results(metrics=()), 3200), "epsilon") is Verdict.INSUFFICIENT
