"""`manikin audit`: honest runs pass, and every planted fault in a ledger, a manifest or a model is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import manikin as mk
import private_fake
from manikin.cli.failures import guarded
from manikin.data.errors import ParameterError
from manikin.privacy.accountant import cost, most_power, power_within
from manikin.privacy.events import Exponential, Gaussian, Laplace, SampledGaussian, Threshold
from manikin.privacy.ledger import Ledger, open_book
from manikin.release.manifest import hash_file
from manikin.workflow import judge
from manikin.workflow.claim import MOST_PURPOSES, purposes
from manikin.workflow.options import Options
from manikin.workflow.synthesize import synthesize
from private_fake import patients, with_schema


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("private")
    patients().to_csv(folder / "patients.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        private_fake.register(patch)
        patch.setattr(judge, "measure", lambda *_, **__: mk.Results(metrics=()))
        patch.setattr("manikin.report.render.render", lambda _, path: path.write_text("a page"))
        with_schema(synthesize)(folder / "patients.csv", out=folder / "run", options=Options(synthesizer="fake", epsilon=1.0))
        yield folder / "run"


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_an_honest_run_passes_whole_by_its_ledger_and_by_its_model(run: Path) -> None:
    for place in (run, run / "ledger.json"):
        found = mk.audit(place)
        assert found.passed, [finding for finding in found.findings if not finding.passed]
        assert found.spent is not None
        assert 0.98 < found.spent.epsilon <= 1
        assert sum(one.share for one in found.purposes) == pytest.approx(1)
    assert len(mk.audit(run).findings) > len(mk.audit(run / "ledger.json").findings)


def edited(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def with_new_hash(folder: Path) -> None:
    """The manifest of a careful forger: the sums of what was changed are made anew."""

    def renew(manifest: dict[str, Any]) -> None:
        for entry in manifest["outputs"]:
            made = hash_file(folder / entry["name"])
            entry.update(sha256=made.sha256, n_bytes=made.n_bytes)

    edited(folder / "manifest.json", renew)


def halve_noise(document: dict[str, Any]) -> None:
    document["spends"][1]["event"]["noise_multiplier"] /= 2


def forget_a_spend(document: dict[str, Any]) -> None:
    del document["spends"][-1]


def spend_on(document: dict[str, Any]) -> None:
    document["spends"].append({"event": {"kind": "gaussian", "noise_multiplier": 1e3}, "purpose": "x", "columns": [], "by": ""})


LEDGER_FAULTS = {
    "within the budget": halve_noise,
    "its sums are those of its events": forget_a_spend,
    "its sums are those of its events ": spend_on,
    "its sums are those of its events  ": lambda document: document["spent"].update(epsilon=0.5),
    "its sums are those of its events   ": lambda document: document.update(spent={}),
    "the unit is the patient": lambda document: document.update(unit="row"),
    "the unit is the patient ": lambda document: document.update(neighbours="replace one patient"),
    "delta is below one patient": lambda document: document.update(n_patients_bought=10**7),
    "delta is below one patient ": lambda document: document.update(n_patients_bought=None),
    "something was spent": lambda document: document.update(spends=[]),
    "options are those of the ledger": lambda document: document["budget"].update(epsilon=2.0),
    "options are those of the ledger ": lambda document: document.update(rows_per_patient=2),
    "the model is the one that was paid for": lambda document: document["public"].pop("model"),
}


@pytest.mark.parametrize("check", LEDGER_FAULTS)
def test_a_changed_ledger_is_found_even_under_a_forged_manifest(check: str, copy: Path) -> None:
    edited(copy / "ledger.json", LEDGER_FAULTS[check])
    assert "files are those of the manifest" in failed(copy)
    with_new_hash(copy)
    assert check.strip() in failed(copy)


def failed(place: Path) -> set[str]:
    return {finding.check for finding in mk.audit(place).findings if not finding.passed}


def test_another_model_or_manifest_is_found(copy: Path) -> None:
    edited(copy / "manifest.json", lambda document: document["options"].update(delta=1e-3))
    assert failed(copy) == {"options are those of the ledger"}
    edited(copy / "manifest.json", lambda document: document["options"].update(delta=None))
    edited(copy / "manifest.json", lambda document: document["synthesizer"].update(name="forest"))
    assert failed(copy) == {"the generator is private"}
    edited(copy / "manifest.json", lambda document: document["synthesizer"].update(name="fake"))
    assert failed(copy) == set()
    (copy / "model" / "weights.safetensors").write_bytes(b"another")
    assert failed(copy) == {"files are those of the manifest", "the model is the one that was paid for"}


def test_a_claim_without_a_ledger_fails_and_no_claim_is_nothing_to_audit(copy: Path, tmp_path: Path) -> None:
    (copy / "ledger.json").unlink()
    assert failed(copy) == {"a ledger is there"}
    edited(copy / "manifest.json", lambda document: document["options"].update(epsilon=None))
    assert failed(copy) == {"a ledger is there"}  # the manifest still lists it
    with pytest.raises(ParameterError, match="nothing to audit"):
        mk.audit(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(version=2), "version 2"),
        (lambda document: document.update(format="another"), "no manikin-ledger"),
        (lambda document: document["spends"][0]["event"].update(kind="magic"), "can be read"),
        (lambda document: document["spends"][0]["event"].update(noise_multiplier="1"), "can be read"),
        (lambda document: document.pop("budget"), "can be read"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(change: Callable[[dict[str, Any]], None], message: str, copy: Path) -> None:
    edited(copy / "ledger.json", change)
    with pytest.raises(ParameterError, match=message):
        mk.audit(copy / "ledger.json")


def test_the_command_exits_by_what_it_found(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(["audit", str(copy)]) == 0
    said = capsys.readouterr().out
    assert "The budget holds: every check passed." in said
    assert "finds at most" in said
    edited(copy / "ledger.json", halve_noise)
    assert guarded(["audit", str(copy), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False
    assert guarded(["audit", str(copy / "nothing")]) == 2


def test_a_budget_file_is_audited_and_an_overspent_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ward.json"
    assert guarded(["budget", "new", str(file), "--epsilon", "2", "--delta", "1e-6", "--data", "ward"]) == 0
    assert guarded(["budget", "new", str(file), "--epsilon", "2", "--delta", "1e-6"]) == 2
    assert mk.audit(file).passed
    ledger = Ledger(epsilon=1.0, delta=1e-6)
    with open_book(file, ledger):
        ledger.spend(Gaussian(5.0), purpose="counts")
    assert mk.audit(file).passed
    assert guarded(["budget", "show", str(file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert 0.7 < shown["spent"] < 0.9
    assert 1.7 < shown["most_next"] < 2
    edited(file, lambda document: document["budget"].update(epsilon=0.5))
    assert failed(file) == {"within the budget"}
    assert guarded(["budget", "show", str(file)]) == 0
    assert "Nothing is left" in capsys.readouterr().out


def test_a_budget_file_is_not_begun_where_there_is_no_folder(tmp_path: Path) -> None:
    assert guarded(["budget", "new", str(tmp_path / "no" / "ward.json"), "--epsilon", "2", "--delta", "1e-6"]) == 2


def test_many_purposes_are_told_in_few_lines_and_shares_add_up() -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-6)
    for i in range(40):
        ledger.spend(Gaussian(60.0 + i), purpose=f"pair {i}", columns=[f"a{i}", "b"], by="aim")
    lines = purposes(ledger.spends, 1e-6)
    assert len(lines) == MOST_PURPOSES
    assert lines[-1].purpose == "29 further purposes"
    assert sum(line.share for line in lines) == pytest.approx(1)
    assert sum(line.n_events for line in lines) == 40


def test_dp_sgd_has_its_share_by_steps() -> None:
    ledger = Ledger(epsilon=3.0, delta=1e-5)
    ledger.spend(Gaussian(6.0), purpose="codec")
    for _ in range(3):
        ledger.spend(SampledGaussian(2.0, 0.01, 100), purpose="steps")
    shares = {line.purpose: line.share for line in purposes(ledger.spends, 1e-5)}
    assert sum(shares.values()) == pytest.approx(1)
    assert 0 < shares["steps"] < 1


@pytest.mark.parametrize("noise", [0.5, 1.0, 5.0])
def test_the_most_power_is_a_gaussian_s_own_curve(noise: float) -> None:
    from scipy.stats import norm

    rates = [0.001, 0.01, 0.1, 0.5]
    exact = norm.cdf(norm.ppf(rates) + 1 / noise)
    assert most_power([Gaussian(noise)], rates) == pytest.approx(exact, rel=2e-3)
    assert all(found >= wanted - 1e-6 for found, wanted in zip(most_power([Gaussian(noise)], rates), exact, strict=True))


def test_power_never_exceeds_what_epsilon_and_delta_allow() -> None:
    events = [Gaussian(4.0), Laplace(50.0), Exponential(0.1), Threshold(1e-7)]
    spent = cost(events, 1e-6)
    for rate, power in zip((0.001, 0.01, 0.3), most_power(events, (0.001, 0.01, 0.3)), strict=True):
        assert rate < power <= power_within(spent.epsilon, 1e-6, rate) + 1e-6


def test_nothing_done_gives_an_attacker_nothing() -> None:
    assert most_power([], [0.01]) == [0.01]
    assert power_within(0.0, 0.0, 0.01) == pytest.approx(0.01)
