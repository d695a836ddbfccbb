"""The ledger refuses before it spends, writes before noise exists, and believes no sum in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from register import people

from manikin.data.errors import BudgetError, ParameterError
from manikin.privacy import accountant, mechanisms
from manikin.privacy import ledger as ledger_module
from manikin.privacy.events import Gaussian, Laplace, SampledGaussian, Threshold
from manikin.privacy.ledger import Ledger, read_ledger
from manikin.privacy.sealed import Sealed


def spend(ledger: Ledger, noise: float = 10.0) -> None:
    ledger.spend(Gaussian(noise), purpose="counts", columns=("sex",), by="test")


def test_overspending_is_refused_and_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-6)
    spend(ledger, ledger.precision**-0.5)
    monkeypatch.setattr(mechanisms, "private_generator", lambda: pytest.fail("noise was drawn for a query that is refused"))
    monkeypatch.setattr(mechanisms, "opened", lambda _: pytest.fail("private rows were looked at"))
    rows = Sealed(np.zeros(5, dtype=int))
    with pytest.raises(BudgetError, match="does not allow"):
        mechanisms.noisy_counts(rows, [2], ledger, precision=0.1, purpose="counts")
    with pytest.raises(BudgetError):
        mechanisms.discovered(rows, ledger, precision=0.1, delta=1e-8, purpose="values")
    with pytest.raises(BudgetError):
        mechanisms.chosen(rows, lambda x: x, ledger, sensitivity=1.0, precision=0.1, purpose="choice")
    with pytest.raises(BudgetError):
        mechanisms.noisy_votes(np.ones((3, 4), dtype=bool), ledger, noise=1.0, purpose="votes")
    assert len([one for one in ledger.spends if isinstance(one.event, Gaussian)]) == 1


def test_the_whole_budget_can_be_spent_in_any_pieces() -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-6)
    ledger.spend(Laplace(100.0), purpose="number")
    while ledger.precision_left > 1e-9:
        spend(ledger, (ledger.precision_left / 2) ** -0.5)
    assert ledger.cost().epsilon <= 1.0


def test_small_steps_do_not_creep_over_the_budget() -> None:
    ledger = Ledger(epsilon=0.5, delta=1e-6)
    allowed = int(ledger.precision * 20.0**2)
    for _ in range(allowed):
        spend(ledger, 20.0)
    with pytest.raises(BudgetError):
        spend(ledger, 20.0)
    with pytest.raises(BudgetError):
        spend(ledger, 19.0)
    assert ledger.cost().epsilon <= 0.5


def test_thresholds_may_use_a_tenth_of_delta() -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-6)
    for _ in range(4):
        ledger.spend(Threshold(ledger.threshold_delta / 4), purpose="values found")
    with pytest.raises(BudgetError):
        ledger.spend(Threshold(1e-10), purpose="values found")
    spend(ledger, ledger.precision_left**-0.5)
    assert accountant.epsilon(ledger.events, 1e-6) <= 1.0


def test_dp_sgd_may_take_what_is_left_and_nothing_is_planned_beside_it() -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-6)
    spend(ledger)
    noise = accountant.noise_multiplier(ledger.events, epsilon=0.999, delta=1e-6, sampling_rate=0.2, steps=10, tolerance=0.01)
    ledger.spend(SampledGaussian(noise, 0.2, 10), purpose="training")
    with pytest.raises(BudgetError, match="once DP-SGD has begun"):
        _ = ledger.precision_left
    with pytest.raises(BudgetError):
        ledger.spend(SampledGaussian(noise, 0.2, 10), purpose="training")


def test_it_is_on_the_disk_before_noise_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed between the two has spent."""
    file = tmp_path / "ledger.json"
    ledger = Ledger(epsilon=1.0, delta=1e-6, file=file)

    def killed() -> Any:
        assert len(json.loads(file.read_text())["spends"]) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(mechanisms, "private_generator", killed)
    with pytest.raises(KeyboardInterrupt):
        mechanisms.noisy_counts(Sealed(np.zeros(5, dtype=int)), [2], ledger, precision=0.01, purpose="counts")
    assert read_ledger(file).events == [Gaussian(10.0)]


def test_a_full_disk_draws_no_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-6, file=tmp_path / "ledger.json")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger_module, "write_durably", full)
    monkeypatch.setattr(mechanisms, "private_generator", lambda: pytest.fail("noise was drawn"))
    with pytest.raises(OSError, match="No space"):
        mechanisms.noisy_counts(Sealed(np.zeros(5, dtype=int)), [2], ledger, precision=0.01, purpose="counts")


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ledger.json"
    ledger = Ledger(epsilon=1.0, delta=1e-6, file=file)
    spend(ledger)
    before, synced = file.read_bytes(), []
    real = ledger_module.os.fsync
    monkeypatch.setattr(ledger_module.os, "fsync", lambda handle: (synced.append(handle), real(handle)))
    monkeypatch.setattr(ledger_module.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        spend(ledger)
    assert file.read_bytes() == before
    assert synced, "the new file was synchronised before it took the old one's place"


def test_a_ledger_comes_back_and_is_added_up_anew(tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    ledger = Ledger(epsilon=2.0, rows_per_patient=3, file=file, public={"columns": ["sex"]})
    private = mechanisms.seal(people(["a", "b", "a"], ["x", "y", "x"]), ledger)
    mechanisms.noisy_counts(
        private.map(lambda data: np.zeros(len(data), dtype=int)), [2], ledger, precision=0.01, purpose="counts"
    )
    ledger.close()
    document = json.loads(file.read_text())
    document["spent"]["epsilon"] = 1e-9
    file.write_text(json.dumps(document))
    again = read_ledger(file)
    assert again.spends == ledger.spends
    assert again.cost() == ledger.cost()
    assert (again.n_patients, again.delta, again.rows_per_patient) == (ledger.n_patients, ledger.delta, 3)
    assert again.public == {"columns": ["sex"]}


DAMAGES: dict[str, Any] = {
    "no json": "{",
    "a list": [],
    "another kind": {"format": "manikin-budget"},
    "another version": {"version": 2},
    "no spends": {"spends": None},
    "a spend that is none": {"spends": [1]},
    "a spend of no event": {"spends": [{"event": {"kind": "none"}, "purpose": "", "columns": [], "by": ""}]},
    "endless noise": {
        "spends": [{"event": {"kind": "gaussian", "noise_multiplier": 1e308}, "purpose": "", "columns": [], "by": ""}]
    },
    "no budget": {"budget": {}},
    "a text for epsilon": {"budget": {"epsilon": "1", "delta": 1e-6}},
    "no number": {"budget": {"epsilon": float("nan"), "delta": 1e-6}},
    "an endless epsilon": {"budget": {"epsilon": float("inf"), "delta": 1e-6}},
    "a negative number of patients": {"n_patients_bought": -4},
    "patients in words": {"n_patients_bought": "many"},
    "no rows": {"rows_per_patient": 0},
    "public that is none": {"public": 3},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_refused(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    ledger = Ledger(epsilon=1.0, delta=1e-6, file=file)
    spend(ledger)
    change = DAMAGES[damage]
    document = {**json.loads(file.read_text()), **change} if isinstance(change, dict) else change
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(ParameterError):
        read_ledger(file)


def test_a_huge_or_missing_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot be read"):
        read_ledger(tmp_path / "none.json")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(ParameterError, match="larger than any"):
        read_ledger(tmp_path / "huge.json")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(ParameterError, match="cannot be read"):
        read_ledger(tmp_path / "deep.json")


@pytest.mark.parametrize("wrong", [{"epsilon": 0}, {"epsilon": -1}, {"epsilon": float("inf")}, {"epsilon": float("nan")}])
def test_no_budget_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="epsilon"):
        Ledger(**wrong)


@pytest.mark.parametrize("delta", [0, 1, -1e-6, float("nan")])
def test_a_delta_must_be_a_small_chance(delta: float) -> None:
    with pytest.raises(ParameterError, match="delta"):
        Ledger(epsilon=1.0, delta=delta)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("n", [3, 300, 20_000])
def test_delta_lies_below_a_tenth_of_a_patient(epsilon: float, n: int) -> None:
    """Also where the noise in the number of patients is larger than the number; a miss is one in a million."""
    ledger = Ledger(epsilon=epsilon)
    mechanisms.seal(people([f"p{i}" for i in range(n)], ["x"] * n), ledger)
    assert ledger.delta is not None
    assert ledger.delta <= 1 / (10 * n)
    assert ledger.delta >= 1e-4 * min(1, epsilon) / (10 * n + 300)


def test_before_there_is_a_delta_only_the_number_of_patients_is_bought() -> None:
    ledger = Ledger(epsilon=1.0)
    with pytest.raises(BudgetError):
        ledger.spend(Gaussian(0.5), purpose="counts")
    with pytest.raises(BudgetError, match="no delta yet"):
        _ = ledger.precision
