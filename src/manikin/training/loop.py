"""The one training loop: stages, phases, validation, early stopping, time budget, checkpoints, monitors. Knows no model.

Every step's randomness is a function of (seed, step) alone, so a run that was killed and resumed, and a run that was not, give the same
bytes. The user's own torch generator is left as it was.

Under a ledger a phase that is private by DP-SGD sees real rows through `privacy.dpsgd` alone and is stepped by the noisy gradient it gives.
No loss and no norm of a phase that touches records is then kept, shown or watched, and the plan ends where its last spent step ends.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from manikin.data.errors import BudgetError, FitError
from manikin.data.seeds import derive, generator
from manikin.privacy import dpsgd
from manikin.training.checkpoint import flatten_optimiser, read_checkpoint, restore_optimiser, write_checkpoint
from manikin.training.control import Control, Progress, Training
from manikin.training.monitors import Divergence, Monitor, Seen, standard_monitors
from manikin.training.objective import FilmsPictures, Objective, Phase, Stage
from manikin.training.pictures import frame_png

REPORT_SECONDS = 0.25
TRIAL_STEPS = 12
NORM_EVERY = 20  # steps between two looks at the gradients' size, where no limit asks for it at each
FRAMES = 8  # moments of training that the filmstrip shows
MOMENTS = (0.02, *(k / (FRAMES - 1) for k in range(1, FRAMES)))  # of pictures, as shares of the plan: the beginning, then even


def train(
    objective: Objective,
    *,
    seed: int,
    control: Control | None = None,
    ledger: Any | None = None,
    private: dpsgd.Sampler | None = None,
    monitors: Sequence[Monitor] | None = None,
) -> Training:
    """Trains until the plan is done, nothing gets better, the time is up or a monitor stops it; keeps the best weights.

    Parameters
    ----------
    private : under a ledger, where phases that are private by DP-SGD get their noisy gradients; `objective.planned_steps` is what its
        plan gives.

    Raises
    ------
    BudgetError : under a ledger, a phase touches real rows without being private, or in a way that the analysis does not cover.
    FitError : the run diverged before it had anything to fall back on.
    """
    control = control or Control()
    stages = objective.stages()
    if ledger is not None:
        refuse_unaccounted(objective, stages, private, control)
        if monitors is not None:
            raise BudgetError("Monitors may look at real rows, which the privacy budget does not pay for. Leave them out.")
        monitors = [Divergence()]
    elif private is not None:
        raise BudgetError("DP-SGD needs the ledger that it is spent in. Give the ledger too.")
    run = _Run(objective, stages, seed, control, list(monitors) if monitors is not None else standard_monitors())
    run.is_private, run.private = ledger is not None, private
    run.release = None if ledger is None else str(getattr(ledger, "release", ""))
    with torch.random.fork_rng(), without_denormals():
        return run.train()


def refuse_unaccounted(
    objective: Objective, stages: Sequence[Stage], private: dpsgd.Sampler | None, control: Control
) -> None:
    """Refuses, by name, every phase that would touch patients outside what the privacy analysis covers."""
    for phase in (phase for stage in stages for phase in stage.phases if phase.touches_records):
        why: str | None = None
        if phase.private_by is None:
            why = "sees real rows without a private mechanism"
        elif phase.mixes_records and phase.private_by == "dpsgd":
            why = "mixes several patients in one unit"
        elif any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in phase.module.modules()):
            why = "uses batch normalisation, which ties patients together"
        elif objective.has_fixed_batches and phase.private_by == "dpsgd":
            why = "draws batches of a fixed size instead of Poisson samples"
        elif phase.private_by == "dpsgd" and phase.clip_norm is not None:
            why = "limits the norm of the whole gradient instead of each patient's"
        if why:
            raise BudgetError(f"Phase {phase.name!r} {why}. It cannot run under a privacy budget.")
    if objective.validate() is not None:
        raise BudgetError(
            "Choosing weights on held-out real rows is not paid for by the privacy budget. Switch validation off."
        )
    if private is None and any(phase.private_by == "dpsgd" for stage in stages for phase in stage.phases):
        raise BudgetError("DP-SGD draws Poisson samples of sealed rows, and none were given. Give the sampler of a plan.")
    refuse_time_budget(control)


def refuse_time_budget(control: Control) -> None:
    """Refuses a limit on wall time under a privacy ledger.

    Raises
    ------
    BudgetError : there is one.
    """
    if control.time_budget_seconds is not None:
        raise BudgetError("How long steps take depends on the patients, so a time budget would tell of them. Give --max-steps.")


@dataclass
class _Run:
    objective: Objective
    stages: Sequence[Stage]
    seed: int
    control: Control
    monitors: list[Monitor]
    training: Training = field(default_factory=Training)
    step: int = 0
    epoch: int = 0
    taken: int = 0  # batches taken from the present epoch
    best_loss: float = float("inf")
    best: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    since: list[float] = field(default_factory=list)
    phases: dict[str, list[float]] = field(default_factory=dict)  # losses of each phase since the last entry of the curve
    norms: dict[str, float] = field(default_factory=dict)
    spent: float = 0.0
    is_private: bool = False
    private: dpsgd.Sampler | None = None
    release: str | None = None  # the name of the ledger that pays
    _iterator: Iterator[Any] | None = None

    def train(self) -> Training:
        """Runs to the end of the plan, the time or a monitor's patience."""
        self._plan()
        self._resume()
        self._plan_private()
        started, reported, saved = time.perf_counter(), 0.0, time.perf_counter()
        limits = _limits(self.stages, self.training.planned_steps)
        try:
            while not self.training.stopped_because:
                stage = next(i for i, limit in enumerate(limits) if self.step < limit)
                if self.private is not None and self.private.left < _n_private(self.stages[stage], self.step):
                    self.training.stopped_because = "privacy budget spent"
                    break
                self._step(self.stages[stage])
                self.training.seconds = self.spent + time.perf_counter() - started
                self._decide(limits, stage)
                self._picture()
                now = time.perf_counter()
                if self.control.on_progress and (now - reported > REPORT_SECONDS or self.training.stopped_because):
                    self._report(self.stages[stage].name)
                    reported = now
                if (
                    self.control.checkpoint
                    and not self.training.stopped_because
                    and (now - saved > self.control.checkpoint_seconds or (self.private and self.private.is_at_block))
                ):
                    self._save(self.control.checkpoint)
                    saved = time.perf_counter()
        except KeyboardInterrupt:
            if self.control.checkpoint:
                self._save(self.control.checkpoint)
            raise
        self._keep_best()
        return self.training

    def _plan(self) -> None:
        """How many steps: the replayed plan, or the model's own, cut to max_steps and to what the time budget allows."""
        planned = self.objective.planned_steps
        if self.control.planned_steps is not None:
            planned = self.control.planned_steps
        else:
            if self.control.max_steps is not None:
                planned = min(planned, self.control.max_steps)
            if self.control.time_budget_seconds is not None and not self._has_checkpoint():
                planned = max(1, min(planned, int(self.control.time_budget_seconds * 0.92 / self._trial_seconds())))
        self.training.planned_steps = planned

    def _plan_private(self) -> None:
        """Under DP-SGD: no step beyond those that are left, and a first checkpoint before the first of them."""
        if self.private is None:
            return
        if len(self.stages) == 1:
            left, step = self.private.left, self.step
            while step < self.training.planned_steps and left >= _n_private(self.stages[0], step):
                left, step = left - _n_private(self.stages[0], step), step + 1
            self.training.planned_steps = step
        if self.step >= self.training.planned_steps and not self.training.is_resumed:
            raise BudgetError("All steps of the plan are spent. Take the run's checkpoint, or a new budget.")
        if self.step >= self.training.planned_steps:
            self.training.stopped_because = "privacy budget spent"
        elif self.control.checkpoint and not self.training.is_resumed:
            self._save(self.control.checkpoint)

    def _has_checkpoint(self) -> bool:
        return self.control.checkpoint is not None and (self.control.checkpoint / "state.json").is_file()

    def _trial_seconds(self) -> float:
        """Wall seconds of a step, measured on steps that are undone again."""
        modules = {name: copy.deepcopy(module.state_dict()) for name, module in self.objective.modules().items()}
        optimisers = [(p.optimiser, copy.deepcopy(p.optimiser.state_dict())) for s in self.stages for p in s.phases]
        extra = {name: tensor.clone() for name, tensor in self.objective.state().items()}
        watching = [monitor.state() for monitor in self.monitors]
        self.training.planned_steps = 10 * TRIAL_STEPS
        seconds, shares = 0.0, sum(stage.share for stage in self.stages)
        for stage in self.stages:
            self._step(stage)
            started = time.perf_counter()
            for _ in range(TRIAL_STEPS):
                self._step(stage)
            seconds += (time.perf_counter() - started) / TRIAL_STEPS * stage.share / shares
        for name, module in self.objective.modules().items():
            module.load_state_dict(modules[name])
        for optimiser, state in optimisers:
            optimiser.load_state_dict(state)
        self.objective.load_state(extra)
        self.step = self.epoch = self.taken = 0
        self.since, self._iterator, self.phases, self.norms = [], None, {}, {}
        self.training.warnings, self.training.stopped_because = [], ""
        for monitor, state in zip(self.monitors, watching, strict=True):
            monitor.load_state(state)
        return seconds

    def _step(self, stage: Stage) -> None:
        seed_torch(derive(self.seed, "step", self.step))
        losses: dict[str, float] = {}
        fraction = self.step / max(self.training.planned_steps, 1)
        for phase in stage.phases:
            if self.step % phase.every == 0:
                for _ in range(phase.repeats):
                    loss, norm = self._phase_step(phase, fraction)
                    losses |= {} if loss is None else {phase.name: loss}
                    self.norms |= {} if norm is None else {phase.name: norm}
        self.step += 1
        self.objective.after_step(self.step / max(self.training.planned_steps, 1))
        if losses:
            self.since.append(sum(losses.values()) / len(losses))
        for name, loss in losses.items():
            self.phases.setdefault(name, []).append(loss)
        drifting = frozenset(phase.name for phase in stage.phases if phase.drifts)
        self._watch(Seen(self.step, self.training.planned_steps, losses, drifting))

    def _phase_step(self, phase: Phase, fraction: float) -> tuple[float | None, float | None]:
        """One gradient step; its loss and norm, None where they tell of patients or nobody asked."""
        is_hidden = self.is_private and phase.touches_records
        if is_hidden and phase.private_by == "dpsgd":
            assert self.private is not None
            _set_rate(phase, fraction)
            learning = [one for one in phase.module.parameters() if one.requires_grad]
            phase.optimiser.zero_grad(set_to_none=True)
            for one, gradient in zip(learning, dpsgd.noisy_gradient(self.private, phase.module, phase.loss), strict=True):
                one.grad = gradient
            phase.optimiser.step()
            return None, None
        batch = None if self.private is not None and not phase.touches_records else self._next_batch()
        loss, norm = _gradient_step(phase, batch, fraction, wants_norm=self.step % NORM_EVERY == 0)
        return (None, None) if is_hidden else (loss, norm)

    def _watch(self, seen: Seen) -> None:
        """Lets every monitor look; a warning is kept, a stop ends the run."""
        if self.is_private and not all(bool(one.isfinite().all()) for one in self._learned()):
            self.training.stopped_because = f"diverged: weights became infinite or undefined at step {seen.step}"
        for monitor in self.monitors:
            finding = monitor.observe(seen, self.objective)
            if finding is not None:
                self.training.warnings.append(finding.message)
                if finding.action == "stop":
                    self.training.stopped_because = finding.message

    def _learned(self) -> Iterator[torch.Tensor]:
        return (one for module in self.objective.modules().values() for one in module.parameters())

    def _next_batch(self) -> Any:
        for _ in range(2):
            if self._iterator is None:
                self._iterator = self.objective.batches(generator(self.seed, "epoch", self.epoch))
                for _ in range(self.taken):
                    next(self._iterator)
            batch = next(self._iterator, None)
            if batch is not None:
                self.taken += 1
                return batch
            self.epoch, self.taken, self._iterator = self.epoch + 1, 0, None
        raise FitError("The training data give no batch. Bring more rows, or choose another synthesizer.")

    def _decide(self, limits: list[int], stage: int) -> None:
        """After a step: validation, early stop, end of a stage, end of the plan, end of the time."""
        training, planned = self.training, self.training.planned_steps
        if training.stopped_because:
            return
        own_end = self.stages[stage].until
        if own_end is not None and own_end():
            self.step = limits[stage]
        is_last = self.step >= planned
        if self.step % self.objective.validate_every == 0 or is_last:
            self._validate()
        patience = self.objective.patience
        if is_last:
            training.stopped_because = "plan done"
        elif self.control.stop_at is not None and self.step >= self.control.stop_at:
            training.stopped_because = "stop asked by replay"
        elif patience is not None and training.best_step is not None and stage == len(limits) - 1:
            if self.step - training.best_step >= patience * self.objective.validate_every:
                training.stopped_because = "no better on held-out rows"
        elif self.control.planned_steps is None and training.seconds > (self.control.time_budget_seconds or float("inf")):
            training.stopped_because = "time budget"
        if training.stopped_because and (not training.curve or training.curve[-1][0] != self.step):
            self._validate()  # a last look, so that what was learned since the one before counts

    def _validate(self) -> None:
        loss = None if self.is_private else self.objective.validate()
        mean = sum(self.since) / len(self.since) if self.since else None
        self.since = []
        self.training.curve.append([self.step, _rounded(mean), _rounded(loss)])
        self._record()
        if loss is not None and loss < self.best_loss:
            self.best_loss, self.training.best_step = loss, self.step
            self.best = {
                n: {k: t.detach().clone() for k, t in m.state_dict().items()} for n, m in self.objective.modules().items()
            }

    def _record(self) -> None:
        """Signals of this moment, and a frame of bins when one is due."""
        signals = {"step": float(self.step)} | {
            f"loss: {name}": sum(all_) / len(all_) for name, all_ in self.phases.items() if all_
        }
        signals |= {f"gradient: {name}": norm for name, norm in self.norms.items()}
        if not self.is_private:  # a model may measure them on real rows
            signals |= {name: value for name, value in self.objective.signals().items() if name != "look"}
        self.training.signals.append({name: round(float(value), 6) for name, value in signals.items() if math.isfinite(value)})
        self.phases = {}
        due = len(self.training.film) / FRAMES * self.training.planned_steps
        if not self.is_private and (self.step >= due or self.step >= self.training.planned_steps):
            frame = {name: [round(float(share), 4) for share in shares] for name, shares in self.objective.film().items()}
            if frame:
                self.training.film.append({"step": self.step, "bins": frame})

    def _picture(self) -> None:
        """A frame of pictures once a moment for one has come, which no look at held-out rows decides, and where the run ends."""
        if self.is_private or not isinstance(self.objective, FilmsPictures):
            return
        last = self.training.film[-1]["step"] if self.training.film else 0
        planned = self.training.planned_steps
        is_due = any(last < max(1, round(moment * planned)) <= self.step for moment in MOMENTS)
        if is_due or (self.training.stopped_because and last < self.step):
            pictures = {name: frame_png(images) for name, images in self.objective.pictures().items()}
            if pictures:
                self.training.film.append({"step": self.step, "pictures": pictures})

    def _keep_best(self) -> None:
        self.training.steps = self.step
        stopped = self.training.stopped_because
        if stopped.startswith(("diverged", "collapsed")) and not self.best:
            raise FitError(f"Training {stopped}. Try another seed or synthesizer.")
        if self.best:
            for name, module in self.objective.modules().items():
                module.load_state_dict(self.best[name])

    def _report(self, message: str) -> None:
        curve = self.training.curve
        planned = self.training.planned_steps
        seconds, budget = self.training.seconds, self.control.time_budget_seconds
        fraction = max(self.step / planned, seconds / budget if budget else 0.0)
        loss = self.since[-1] if self.since else (curve[-1][1] if curve else None)
        validation = curve[-1][2] if curve else None
        assert self.control.on_progress is not None
        signals = {name: value for name, value in (self.training.signals or [{}])[-1].items() if name != "step"}
        warning = (self.training.warnings or [""])[-1]
        self.control.on_progress(
            Progress(self.step, planned, min(fraction, 1.0), loss, validation, seconds, message, signals, warning)
        )

    def _save(self, folder: Path) -> None:
        tensors = {f"module.{n}.{k}": t for n, m in self.objective.modules().items() for k, t in m.state_dict().items()}
        tensors |= {f"best.{n}.{k}": t for n, state in self.best.items() for k, t in state.items()}
        tensors |= {f"extra.{name}": tensor for name, tensor in self.objective.state().items()}
        values: dict[str, Any] = {}
        for i, phase in enumerate(phase for stage in self.stages for phase in stage.phases):
            values[f"optimiser{i}"], moments = flatten_optimiser(phase.optimiser, f"optimiser{i}")
            tensors |= moments
        values |= {
            name: getattr(self, name) for name in ("step", "epoch", "taken", "best_loss", "since", "phases", "norms", "seed")
        }
        values["ledger"] = self.release
        values["monitors"] = [monitor.state() for monitor in self.monitors]
        values["training"] = self.training.to_json() | {"seconds": self.training.seconds}
        write_checkpoint(folder, values, tensors)

    def _resume(self) -> None:
        found = read_checkpoint(self.control.checkpoint) if self.control.checkpoint else None
        if found is None:
            return
        values, tensors = found
        if values["seed"] != self.seed:
            raise FitError("The checkpoint was made with another seed. Use the same seed, or start again in another folder.")
        if values.get("ledger") != self.release:  # what another ledger paid for, or nobody, would go out under this one's name
            raise BudgetError("The checkpoint was not paid for by this ledger. Go on with its own, or start again in another folder.")
        for name, module in self.objective.modules().items():
            module.load_state_dict(_part(tensors, f"module.{name}."))
            best = _part(tensors, f"best.{name}.")
            if best:
                self.best[name] = best
        self.objective.load_state(_part(tensors, "extra."))
        for i, phase in enumerate(phase for stage in self.stages for phase in stage.phases):
            restore_optimiser(phase.optimiser, f"optimiser{i}", values[f"optimiser{i}"], tensors)
        for name in ("step", "epoch", "taken", "best_loss", "since", "phases", "norms"):
            setattr(self, name, values[name])
        kept = values["training"]
        self.training = Training(
            kept["planned_steps"], 0, "", kept["curve"], kept["best_step"], kept["warnings"], is_resumed=True
        )
        self.training.signals, self.training.film = kept["signals"], kept["film"]
        for monitor, state in zip(self.monitors, values["monitors"], strict=True):
            monitor.load_state(state)
        self.spent = kept["seconds"]


def _gradient_step(phase: Phase, batch: Any, fraction: float, *, wants_norm: bool) -> tuple[float, float | None]:
    """The mean loss, and the gradients' norm where a limit or a monitor asks for it."""
    _set_rate(phase, fraction)
    loss = phase.loss(batch).mean()
    phase.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm: torch.Tensor | None = None
    if phase.clip_norm is not None or wants_norm:
        stepped = [parameter for group in phase.optimiser.param_groups for parameter in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(stepped, phase.clip_norm or math.inf, foreach=True)
    phase.optimiser.step()
    return float(loss.detach()), None if norm is None else float(norm)


def _set_rate(phase: Phase, fraction: float) -> None:
    """The learning rate of this moment of the plan."""
    if phase.schedule is not None:
        factor = phase.schedule(fraction)
        for group in phase.optimiser.param_groups:
            group.setdefault("full_lr", group["lr"])
            group["lr"] = group["full_lr"] * factor


def _n_private(stage: Stage, step: int) -> int:
    """Steps of DP-SGD that this step of a stage takes."""
    own = (phase for phase in stage.phases if phase.touches_records and phase.private_by == "dpsgd")
    return sum(phase.repeats for phase in own if step % phase.every == 0)


def _limits(stages: Sequence[Stage], planned: int) -> list[int]:
    """The step at which each stage ends; the last one ends with the plan."""
    total, done = sum(stage.share for stage in stages), 0.0
    limits = []
    for stage in stages:
        done += stage.share
        limits.append(round(planned * done / total))
    limits[-1] = planned
    return limits


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


@contextmanager
def without_denormals() -> Iterator[None]:
    """Counts numbers below 1e-38 as 0, as far as the processor can, and leaves it as it was.

    The moments of units that have gone quiet sink there step by step, and a processor takes a hundred times as long for such numbers: a
    variational autoencoder's steps doubled in the second half of its run.
    """
    were_zero = float(torch.tensor([1e-39]).mul(1.0)) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(were_zero)


def seed_torch(seed: int) -> None:
    """`torch.manual_seed` without its cost, which is a record of the call stack for every device that is not there."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def choose_device(name: str) -> torch.device:
    """The device a control names; "auto" is cuda where there is one, else cpu."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


Schedule = Callable[[float], float]
