"""What the private GANs may and may not do: refusals, what the ledger says against what was done, and what other implementations got wrong.

That their state is made of bought answers alone, and that one patient more moves one vote, is shown for all private generators in
tests/conformance/test_private.py; here are the leaks planted in these three, and the points of arXiv 2406.13985.
"""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import manikin as mk
from manikin.data.errors import BudgetError, ParameterError
from manikin.data.schema import Role
from manikin.privacy import dpsgd, mechanisms, teachers
from manikin.privacy.events import Gaussian, SampledGaussian
from manikin.privacy.ledger import Ledger, read_ledger
from manikin.privacy.sealed import Sealed
from manikin.privacy.teachers import Teachers
from manikin.synthesizers.tables import dpgan, pategan, private_rows
from manikin.training.control import Control
from manikin.training.objectives import pate
from manikin.training.objectives.private_game import PairCritic

NAMES = ("dpgan", "dpwgan", "pategan")
STEPS = 6
SMALL: dict[str, Any] = {"max_steps": STEPS, "features": 64, "generator": (16,)}


@cache
def ward(n: int = 600) -> Any:
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], n)
    code = np.where(rng.random(n) < 0.9, np.where(sex == "f", "a", "b"), "c")
    return mk.read(pd.DataFrame({"sex": sex, "code": code, "age": rng.integers(20, 90, n)}))


@cache
def fitted(name: str) -> tuple[Any, Ledger]:
    ledger = Ledger(epsilon=2.0, delta=1e-5)
    return mk.synthesizer(name, **SMALL).fit(ward(), seed=0, ledger=ledger), ledger


@pytest.mark.parametrize("name", NAMES)
def test_the_ledger_says_what_was_done(name: str) -> None:
    model, ledger = fitted(name)
    own = [spend.event for spend in ledger.spends if spend.by == name]
    assert ledger.cost().epsilon <= 2.0
    assert ledger.cost().epsilon > 1.9, "what was given is used"
    assert model.training_["steps"] == STEPS
    if name == "pategan":
        assert len(own) == STEPS
        assert len({event.noise_multiplier for event in own if isinstance(event, Gaussian)}) == 1
    else:
        assert sum(event.steps for event in own if isinstance(event, SampledGaussian)) == STEPS


@pytest.mark.parametrize("name", NAMES)
def test_training_figures_tell_of_no_real_row(name: str) -> None:
    model, _ = fitted(name)
    told = {key for moment in model.training_["signals"] for key in moment}
    assert not any("real" in key or "teachers" in key for key in told)
    assert model.training_["seconds"] == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_what_it_makes_is_no_single_row(name: str) -> None:
    model, _ = fitted(name)
    made = model.sample(400, seed=0).to_pandas()
    assert len(made.drop_duplicates()) > 40
    assert made["sex"].value_counts(normalize=True).max() < 0.8


@pytest.mark.parametrize("name", NAMES)
def test_the_twin_without_a_ledger_is_repeatable_and_learns_the_same_way(name: str) -> None:
    one, two = (mk.synthesizer(name, **SMALL).fit(ward(), seed=3) for _ in range(2))
    private, _ = fitted(name)
    assert one.sample(50, seed=1).to_pandas().equals(two.sample(50, seed=1).to_pandas())
    assert type(one.network_) is type(private.network_)


@pytest.mark.parametrize(("name", "bad"), [("dpgan", "sampling_rate"), ("dpwgan", "weight_clip"), ("pategan", "questions")])
def test_bad_hyperparameters_are_named_before_anything_is_spent(name: str, bad: str) -> None:
    for value in (0, -1, 1.5 if bad != "weight_clip" else float("inf")):
        ledger = Ledger(epsilon=1.0)
        with pytest.raises(ParameterError, match=bad):
            mk.synthesizer(name, **{bad: value}).fit(ward(), seed=0, ledger=ledger)
        assert not ledger.is_begun


def test_imputing_from_other_rows_is_refused() -> None:
    with pytest.raises(ParameterError, match="missing"):
        mk.synthesizer("dpgan", missing="impute").fit(ward(), seed=0, ledger=Ledger(epsilon=1.0))


class Normed(PairCritic):
    """A critic with batch normalisation planted in it."""

    def __init__(self, n_features: int, hidden: Any) -> None:
        super().__init__(n_features, hidden)
        self.norm = nn.BatchNorm1d(n_features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(self.norm(features))


class Packed(PairCritic):
    """A critic that judges several patients together."""

    pack = 4


@pytest.mark.parametrize(("critic", "why"), [(Normed, "batch normalisation"), (Packed, "mixes several patients")])
def test_a_critic_that_ties_patients_together_is_refused(critic: Any, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_rows, "PairCritic", critic)
    monkeypatch.setattr(dpsgd, "noise_multiplier", lambda *_, **__: 50.0)  # quicker than planning it
    ledger = Ledger(epsilon=2.0, delta=1e-5)
    with pytest.raises(BudgetError, match=why):
        mk.synthesizer("dpgan", **SMALL).fit(ward(), seed=0, ledger=ledger)
    assert not any(isinstance(event, SampledGaussian) for event in ledger.events)


# ---- PATE-GAN: what arXiv 2406.13985 found ----


def asked(rows: np.ndarray, teacher: np.ndarray, made: torch.Tensor, n: int = 8) -> np.ndarray:
    """The votes of teachers that learned for a few steps."""
    own = Teachers(rows, teacher, np.arange(len(rows)), n_teachers=n, ledger=None)
    descent = pate.Descent(own.parameters(), lr=4.0, weight_decay=0.1)
    for _ in range(5):
        descent.zero_grad()
        own.losses(made).sum().backward()
        descent.step()
    votes = (own._scores(made) > 0).detach().numpy()
    assert votes.shape == (len(made), n)
    return votes


def test_a_patient_changes_one_teacher_s_votes() -> None:
    rng = np.random.default_rng(1)
    rows, teacher = rng.normal(size=(80, 6)).astype(np.float32), rng.integers(8, size=80)
    made = torch.from_numpy(rng.normal(size=(40, 6)).astype(np.float32))
    whole = asked(rows, teacher, made)
    for gone in range(0, 80, 9):
        kept = np.arange(80) != gone
        moved = (asked(rows[kept], teacher[kept], made) != whole).any(axis=0)
        assert set(np.flatnonzero(moved)) <= {teacher[gone]}


def test_a_shared_standardisation_of_rows_would_be_seen() -> None:
    """The same test on a planted leak: rows scaled by all patients' largest value, as several implementations do."""
    rng = np.random.default_rng(1)
    rows, teacher = rng.normal(size=(80, 6)).astype(np.float32), rng.integers(8, size=80)
    rows[0] *= 50
    made = torch.from_numpy(rng.normal(size=(40, 6)).astype(np.float32))
    scaled = lambda own: own / np.abs(own).max(axis=0)  # noqa: E731
    moved = (asked(scaled(rows[1:]), teacher[1:], made) != asked(scaled(rows), teacher, made)).any(axis=0)
    assert moved.sum() > 1


def test_patients_at_two_teachers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BudgetError, match="more than one teacher"):
        Teachers(np.zeros((4, 2), np.float32), np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), n_teachers=2, ledger=None)

    def by_row(data: Any, n_groups: int) -> Sealed:
        """Planted: rows are dealt out instead of patients."""
        return data.map(lambda rows: np.arange(len(rows)) % n_groups)

    monkeypatch.setattr(mechanisms, "assigned", by_row)
    table = ward().to_pandas().assign(patient_id=np.arange(600) // 2)
    keyed = mk.read(table)
    assert keyed.columns.with_role(Role.PATIENT_KEY)
    with pytest.raises(BudgetError, match="more than one teacher"):
        mk.synthesizer("pategan", **SMALL).fit(keyed, seed=0, ledger=Ledger(epsilon=2.0, delta=1e-5, rows_per_patient=2))


def test_bare_rows_never_meet_a_ledger() -> None:
    rows, ids = np.zeros((4, 2), np.float32), np.arange(4)
    with pytest.raises(BudgetError, match="sealed rows with a ledger"):
        Teachers(rows, ids % 2, ids, n_teachers=2, ledger=Ledger(epsilon=1.0))
    with pytest.raises(BudgetError, match="sealed rows with a ledger"):
        Teachers(Sealed(rows), Sealed(ids % 2), Sealed(ids), n_teachers=2, ledger=None)


def test_every_question_is_paid_before_it_is_answered() -> None:
    """No vote without its line: a budget that is used up answers nothing more."""
    ids, ledger = np.arange(40), Ledger(epsilon=1.0, delta=1e-5)
    own = Teachers(Sealed(np.zeros((40, 2), np.float32)), Sealed(ids % 4), Sealed(ids), n_teachers=4, ledger=ledger)
    noise = float(np.sqrt(50 / ledger.precision))
    for _ in range(5):
        own.ask(torch.zeros(10, 2), noise=noise * 1.000001, by="test")
    assert len(ledger.spends) == 5
    with pytest.raises(BudgetError):
        own.ask(torch.zeros(10, 2), noise=noise, by="test")
    assert len(ledger.spends) == 5


def test_what_is_accounted_does_not_look_at_the_votes() -> None:
    events = []
    for value in (0.0, 1.0):
        ids, ledger = np.arange(40), Ledger(epsilon=1.0, delta=1e-5)
        own = Teachers(Sealed(np.full((40, 2), value, np.float32)), Sealed(ids % 4), Sealed(ids), n_teachers=4, ledger=ledger)
        own.ask(torch.ones(10, 2), noise=100.0, by="test")
        events.append(ledger.spends)
    assert events[0] == events[1]


def test_votes_that_go_past_the_noise_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: true shares of votes. Then the ledger has no line for them, which is how the transcript test and this one tell."""

    def bare(self: Teachers, made: torch.Tensor, **_: Any) -> teachers.Answers:
        return teachers.Answers((self._scores(made) > 0).float().mean(1).detach())

    monkeypatch.setattr(Teachers, "ask", bare)
    ledger = Ledger(epsilon=2.0, delta=1e-5)
    mk.synthesizer("pategan", **SMALL).fit(ward(), seed=0, ledger=ledger)
    assert sum(spend.by == "pategan" for spend in ledger.spends) < STEPS


def test_no_teacher_is_kept_anywhere() -> None:
    model, _ = fitted("pategan")
    values, arrays = model.state()
    assert not any("teacher" in name or "student" in name for name in arrays)
    assert "teacher" not in str(values)
    assert not any(isinstance(value, Teachers) for value in vars(model).values())
    ids, ledger = np.arange(8), Ledger(epsilon=1.0, delta=1e-5)
    own = Teachers(Sealed(np.zeros((8, 4), np.float32)), Sealed(ids % 2), Sealed(ids), n_teachers=2, ledger=ledger)
    assert set(own.state_dict()) == {"weight", "bias"}, "rows are in no checkpoint"
    assert "teachers" not in pate.Pate.modules(_stub(own))


def _stub(own: Teachers) -> Any:
    class Stub:
        network = student = average = nn.Identity()
        teachers = own

    return Stub()


def test_student_and_generator_have_no_way_to_real_rows() -> None:
    source = inspect.getsource(pate)
    assert "._rows" not in source
    assert "tokens" not in source, "the objective is given teachers, features and bought shares, and no rows"
    assert "Prepared" not in inspect.getsource(pategan.PateGAN._game)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_run_goes_on_with_the_columns_it_bought(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, what = (pate.Pate, "_ask") if name == "pategan" else (dpgan.dpsgd, "noisy_gradient")
    honest, calls, control = getattr(owner, what), 0, Control(checkpoint=tmp_path / "checkpoint")

    def killed(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return honest(*args, **kwargs)

    monkeypatch.setattr(owner, what, killed)
    file, model = tmp_path / "ledger.json", mk.synthesizer(name, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        model.fit(ward(), seed=0, ledger=Ledger(epsilon=2.0, delta=1e-5, file=file), control=control)
    monkeypatch.undo()
    ledger = read_ledger(file, file=file)
    before = [spend for spend in ledger.spends if spend.by != name]
    model.fit(ward(), seed=0, ledger=ledger, control=control)
    assert model.training_["resumed"]
    assert [spend for spend in ledger.spends if spend.by != name] == before
    assert ledger.cost().epsilon <= 2.0
