"""The loop under a ledger: what it refuses, what it keeps to itself, and that a killed run never gets spent steps back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from manikin.data.errors import BudgetError
from manikin.privacy import accountant, dpsgd
from manikin.privacy.events import SampledGaussian
from manikin.privacy.ledger import Ledger, read_ledger
from manikin.privacy.sealed import Sealed
from manikin.training.control import Control, Progress
from manikin.training.loop import train
from manikin.training.objective import Phase, Stage, Tensors

PLAN = dpsgd.Plan(30.0, 0.5, 100, 1.0, 50.0)


class Line:
    """Fits a line, with a second phase that touches no records; may be killed at a step."""

    has_fixed_batches = False
    patience: int | None = None

    def __init__(self, *, planned_steps: int = 100, killed_at: int | None = None, **phase: object) -> None:
        self.planned_steps = self.validate_every = planned_steps
        self.model, self.other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
        self.killed_at, self.calls, self.phase = killed_at, 0, phase

    def stages(self) -> Sequence[Stage]:
        def made(name: str, module: torch.nn.Module) -> Phase:
            return Phase(name, module, torch.optim.Adam(module.parameters(), lr=0.01), getattr(self, f"{name}_loss"))

        real = replace(made("line", self.model), **{"private_by": "dpsgd", **self.phase})  # type: ignore[arg-type]
        return [Stage([real, replace(made("free", self.other), touches_records=False)])]

    def batches(self, rng: np.random.Generator) -> Iterator[torch.Tensor]:
        raise AssertionError("real rows come through DP-SGD alone")

    def line_loss(self, rows: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == self.killed_at:
            raise RuntimeError("killed")
        return ((self.model(rows[:, :1]) - rows[:, 1:]) ** 2).squeeze(1)

    def free_loss(self, batch: object) -> torch.Tensor:
        assert batch is None
        return self.other(torch.rand(4, 1)).square().squeeze(1)

    def after_step(self, fraction: float) -> None:
        """Nothing."""

    def validate(self) -> float | None:
        return None

    def signals(self) -> Mapping[str, float]:
        return {"accuracy real": 0.5, "look": 1.0}

    def film(self) -> Mapping[str, Sequence[float]]:
        return {"x": [1.0]}

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"model": self.model, "other": self.other}

    def state(self) -> Tensors:
        return {}

    def load_state(self, tensors: Tensors) -> None:
        """Nothing."""


def ledger(file: Path | None = None, epsilon: float = 3.0) -> Ledger:
    made = Ledger(epsilon=epsilon, delta=1e-5, file=file)
    made.set_delta(100)
    return made


def sampler(own: Ledger, plan: dpsgd.Plan = PLAN) -> dpsgd.Sampler:
    x = np.linspace(-1, 1, 100, dtype=np.float32)
    return dpsgd.Sampler(plan, Sealed(np.stack([x, 2 * x], 1)), Sealed(np.arange(100)), own, is_recorded=True)


def spent(own: Ledger) -> int:
    return sum(event.steps for event in own.events if isinstance(event, SampledGaussian))


def test_it_learns_from_noisy_gradients_and_keeps_no_figure_of_real_rows() -> None:
    own, objective, shown = ledger(epsilon=200.0), Line(), []
    stages = objective.stages()
    objective.stages = lambda: stages  # type: ignore[method-assign]
    stages[0].phases[0].optimiser.param_groups[0]["lr"] = 0.05

    def show(progress: Progress) -> None:
        shown.append(progress)

    plan = replace(PLAN, noise_multiplier=2.0)
    training = train(objective, seed=0, ledger=own, private=sampler(own, plan), control=Control(on_progress=show))
    assert training.steps == spent(own) == 100
    assert 1.0 < objective.model.weight.item() < 3.0
    assert all("line" not in name and "real" not in name for one in training.signals for name in one)
    assert any("free" in name for one in training.signals for name in one)
    assert not training.film
    assert all("real" not in name for progress in shown for name in progress.signals)


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        ({"private_by": None}, "without a private mechanism"),
        ({"mixes_records": True}, "mixes several patients"),
        ({"clip_norm": 1.0}, "norm of the whole gradient"),
    ],
)
def test_phases_that_the_analysis_does_not_cover_are_refused(phase: dict[str, object], reason: str) -> None:
    own = ledger()
    with pytest.raises(BudgetError, match=reason):
        train(Line(**phase), seed=0, ledger=own, private=sampler(own))  # type: ignore[arg-type]
    assert not own.spends


def test_what_else_would_look_at_real_rows_is_refused() -> None:
    own = ledger()
    with pytest.raises(BudgetError, match="Poisson samples"):
        train(Line(), seed=0, ledger=own)
    with pytest.raises(BudgetError, match="Monitors"):
        train(Line(), seed=0, ledger=own, private=sampler(own), monitors=[])
    with pytest.raises(BudgetError, match="time budget"):
        train(Line(), seed=0, ledger=own, private=sampler(own), control=Control(time_budget_seconds=1))
    with pytest.raises(BudgetError, match="ledger"):
        train(Line(), seed=0, private=sampler(own))
    assert not own.spends


def test_two_runs_of_one_seed_differ() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(0)
        own, objective = ledger(), Line(planned_steps=3)
        train(objective, seed=5, ledger=own, private=sampler(own))
        weights.append(objective.model.weight.item())
    assert weights[0] != weights[1]


def test_a_plan_longer_than_the_private_one_ends_with_it() -> None:
    own = ledger()
    training = train(Line(planned_steps=500), seed=0, ledger=own, private=sampler(own))
    assert training.planned_steps == training.steps == spent(own) == 100
    own = ledger()
    assert train(Line(planned_steps=500, repeats=3), seed=0, ledger=own, private=sampler(own)).steps == 33


@pytest.mark.parametrize("killed_at", [1, 2, 52])
def test_a_killed_run_loses_the_steps_that_it_spent_and_never_gets_them_back(killed_at: int, tmp_path: Path) -> None:
    control, file = Control(checkpoint=tmp_path / "checkpoint"), tmp_path / "ledger.json"
    own = ledger(file)
    with pytest.raises(RuntimeError, match="killed"):
        train(Line(killed_at=killed_at), seed=0, ledger=own, private=sampler(own), control=control)
    kept = json.loads((tmp_path / "checkpoint" / "state.json").read_text())
    assert "line" not in json.dumps(kept["phases"]) + json.dumps(kept["norms"])
    found = read_ledger(file, file=file)
    before = spent(found)
    assert before == 2 * -(-killed_at // 2)  # blocks of two steps
    training = train(Line(), seed=0, ledger=found, private=sampler(found), control=control)
    assert spent(found) == 100
    assert training.is_resumed
    assert training.steps == training.planned_steps == kept["step"] + 100 - before
    assert training.steps < 100
    assert accountant.epsilon(found.events, 1e-5) <= 3.0


def test_a_run_whose_steps_are_all_spent_has_nothing_to_resume(tmp_path: Path) -> None:
    own = ledger()
    train(Line(), seed=0, ledger=own, private=sampler(own))
    with pytest.raises(BudgetError, match="All steps"):
        train(Line(), seed=0, ledger=own, private=sampler(own))
    assert spent(own) == 100


def test_weights_that_become_undefined_stop_the_run() -> None:
    own, objective = ledger(), Line()

    def broken(fraction: float) -> None:
        with torch.no_grad():
            objective.model.weight.fill_(float("nan"))

    objective.after_step = broken  # type: ignore[method-assign]
    with pytest.raises(Exception, match="diverged"):
        train(objective, seed=0, ledger=own, private=sampler(own))
    assert spent(own) == 2


def test_a_checkpoint_that_another_ledger_paid_for_is_refused(tmp_path: Path) -> None:
    """Else a run without a budget, or with one that was spent, would go out under a fresh ledger."""
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    control, own = Control(checkpoint=tmp_path / "checkpoint"), ledger()
    with pytest.raises(KeyboardInterrupt):
        train(Line(), seed=0, ledger=own, private=sampler(own), control=replace(control, on_progress=stopped))
    other = ledger()
    with pytest.raises(BudgetError, match="not paid for by this ledger"):
        train(Line(), seed=0, ledger=other, private=sampler(other), control=control)
    with pytest.raises(BudgetError, match="not paid for by this ledger"):
        train(Line(private_by=None), seed=0, control=control)
