"""The loop: plans, stops, resumes to the same bytes, refuses what a ledger cannot account for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from manikin.data.errors import BudgetError, FitError, ModelFolderError
from manikin.training.control import Control, Progress
from manikin.training.loop import train
from manikin.training.objective import Phase, Stage, Tensors


@dataclass
class Line:
    """Fits y = 2x + 1 with noise in the steps: the smallest objective there is."""

    planned_steps: int = 120
    validate_every: int = 10
    patience: int | None = None
    has_fixed_batches: bool = True
    lr: float = 0.05
    has_validation: bool = True
    private_by: str | None = None
    model: torch.nn.Module = field(default_factory=lambda: torch.nn.Linear(1, 1))

    def __post_init__(self) -> None:
        torch.nn.init.zeros_(self.model.weight)
        torch.nn.init.zeros_(self.model.bias)
        self.x = torch.linspace(-1, 1, 64)[:, None]
        self.y = 2 * self.x + 1
        self.seen: list[torch.Tensor] = []

    def stages(self) -> Sequence[Stage]:
        optimiser = torch.optim.Adam(self.model.parameters(), lr=self.lr)
        return [Stage([Phase("line", self.model, optimiser, self.loss, private_by=self.private_by)])]  # type: ignore[arg-type]

    def batches(self, rng: np.random.Generator) -> Iterator[torch.Tensor]:
        order = torch.from_numpy(rng.permutation(64))
        yield from order.split(16)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(batch)
        noise = torch.randn(len(batch), 1) * 0.1
        return ((self.model(self.x[batch] + noise) - self.y[batch]) ** 2).squeeze(1)

    def after_step(self, fraction: float) -> None:
        assert 0 < fraction <= 1

    def validate(self) -> float | None:
        with torch.no_grad():
            return float(((self.model(self.x) - self.y) ** 2).mean()) if self.has_validation else None

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"model": self.model}

    def signals(self) -> dict[str, float]:
        return {}

    def film(self) -> dict[str, list[float]]:
        return {}

    def state(self) -> Tensors:
        return {}

    def load_state(self, tensors: Tensors) -> None:
        assert not tensors


def weights(objective: Line) -> list[float]:
    return [float(w) for p in objective.model.parameters() for w in p.detach().flatten()]


def test_it_learns_and_records_what_it_did() -> None:
    objective = Line(planned_steps=400)
    training = train(objective, seed=0)
    assert training.steps == 400
    assert training.stopped_because == "plan done"
    assert weights(objective) == pytest.approx([2, 1], abs=0.1)
    assert [row[0] for row in training.curve] == list(range(10, 401, 10))


def test_same_seed_same_weights_and_another_seed_other_weights() -> None:
    runs = []
    for seed in (3, 3, 4):
        objective = Line()
        train(objective, seed=seed)
        runs.append(weights(objective))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def tiny_is_zero() -> bool:
    return float(torch.tensor([1e-39]).mul(1.0)) == 0.0


@pytest.mark.parametrize("breaks", [False, True])
def test_denormal_numbers_count_as_zero_while_it_learns_and_only_then(breaks: bool) -> None:
    can = torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)
    if not can:
        pytest.skip("this processor cannot flush denormal numbers")
    seen: list[bool] = []

    class Watched(Line):
        def after_step(self, fraction: float) -> None:
            seen.append(tiny_is_zero())
            if breaks:
                raise RuntimeError

    with pytest.raises(RuntimeError) if breaks else nullcontext():
        train(Watched(planned_steps=3), seed=0)
    assert seen == [True] * (1 if breaks else 3)
    assert not tiny_is_zero()
    torch.set_flush_denormal(True)  # a user's own wish is left alone
    try:
        train(Line(planned_steps=2), seed=0)
        assert tiny_is_zero()
    finally:
        torch.set_flush_denormal(False)


def test_the_users_own_torch_generator_is_left_alone() -> None:
    objective = Line(planned_steps=5)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    train(objective, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_every_row_comes_once_an_epoch() -> None:
    objective = Line(planned_steps=4)
    train(objective, seed=0)
    assert sorted(torch.cat(objective.seen).tolist()) == list(range(64))


def test_max_steps_shrinks_the_plan() -> None:
    training = train(Line(), seed=0, control=Control(max_steps=7))
    assert (training.planned_steps, training.steps) == (7, 7)


def test_early_stop_keeps_the_best_weights() -> None:
    objective = Line(planned_steps=4000, lr=0.05, patience=3)
    training = train(objective, seed=0)
    assert training.stopped_because == "no better on held-out rows"
    assert training.best_step is not None
    assert training.steps == training.best_step + 30
    best = min(row[2] for row in training.curve if row[2] is not None)
    assert objective.validate() == pytest.approx(best, abs=1e-5)


def test_a_time_budget_plans_the_steps_that_fit_and_a_replay_gives_the_same_weights() -> None:
    first = Line(planned_steps=1_000_000)
    training = train(first, seed=0, control=Control(time_budget_seconds=0.5))
    assert training.steps < 1_000_000
    assert training.seconds < 3
    again = Line(planned_steps=1_000_000)
    replayed = train(again, seed=0, control=Control(planned_steps=training.planned_steps, stop_at=training.steps))
    assert replayed.steps == training.steps
    assert weights(first) == weights(again)


def test_progress_is_reported() -> None:
    reports: list[Progress] = []
    train(Line(), seed=0, control=Control(on_progress=reports.append))
    assert reports[-1].fraction == 1.0
    assert reports[-1].step == 120


def test_divergence_is_stopped_with_a_reason() -> None:
    objective = Line(lr=1e30, has_validation=False)
    with pytest.raises(FitError, match="diverged"):
        train(objective, seed=0)


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = Line()
    train(whole, seed=1)

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    for _ in range(3):  # interrupted at the first report, several times over
        with pytest.raises(KeyboardInterrupt):
            train(Line(), seed=1, control=Control(checkpoint=tmp_path / "c", on_progress=stop, checkpoint_seconds=0))
    resumed = Line()
    training = train(resumed, seed=1, control=Control(checkpoint=tmp_path / "c"))
    assert training.is_resumed
    assert weights(resumed) == weights(whole)


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from test_loop import Line
from manikin.training.control import Control
from manikin.training.loop import train
from pathlib import Path
objective = Line(planned_steps=600)
slow = objective.after_step
def after(fraction):
    time.sleep(0.005)
    slow(fraction)
objective.after_step = after
print("started", flush=True)
train(objective, seed=2, control=Control(checkpoint=Path({folder!r}), checkpoint_seconds=0.05))
"""


def test_a_run_killed_with_sigkill_resumes_to_the_same_weights(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    script = textwrap.dedent(KILLED).format(tests=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if (folder / "state.json").is_file():
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    resumed, whole = Line(planned_steps=600), Line(planned_steps=600)
    training = train(resumed, seed=2, control=Control(checkpoint=folder))
    train(whole, seed=2)
    assert training.is_resumed
    assert weights(resumed) == weights(whole)


def test_a_damaged_checkpoint_is_refused_and_a_foreign_seed_too(tmp_path: Path) -> None:
    control = Control(checkpoint=tmp_path / "c", checkpoint_seconds=0)

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Line(), seed=1, control=Control(checkpoint=tmp_path / "c", on_progress=stop))
    with pytest.raises(FitError, match="another seed"):
        train(Line(), seed=2, control=control)
    (tmp_path / "c" / "state.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelFolderError, match="damaged"):
        train(Line(), seed=1, control=control)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "without a private mechanism"),
        ({"private_by": "dpsgd"}, "fixed size"),
        ({"private_by": "dpsgd", "has_fixed_batches": False}, "held-out real rows"),
    ],
)
def test_under_a_ledger_what_is_not_accounted_for_is_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(BudgetError, match=reason):
        train(Line(**fields), seed=0, ledger=object())  # type: ignore[arg-type]


def test_under_a_ledger_batch_normalisation_is_refused() -> None:
    objective = Line(private_by="dpsgd", has_fixed_batches=False, has_validation=False)
    stages = objective.stages()
    normalised = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1))
    phase = Phase("line", normalised, stages[0].phases[0].optimiser, objective.loss, private_by="dpsgd")
    objective.stages = lambda: [Stage([phase])]  # type: ignore[method-assign]
    with pytest.raises(BudgetError, match="batch normalisation"):
        train(objective, seed=0, ledger=object())
