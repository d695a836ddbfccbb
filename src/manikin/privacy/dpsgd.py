"""DP-SGD: Poisson samples of patients, clipped gradients, Gaussian noise, and their lines in the ledger. Knows no model.

After Abadi et al., arXiv 1607.00133, with what peers get wrong settled here. A step's sample takes each patient by herself with the same
chance, by randomness of the operating system's; there is no batch size, and an empty sample is a step like any other. The clipped sum is
divided by a public denominator, not by how many patients were drawn. What the loss itself draws is seeded by the operating system too,
since a seed that is published would tie each patient's draws to her place in the sample, and so to who else is in it. Steps are spent in
blocks, each on the disk before its first sample; steps that a killed run spent and lost are lost.

The noise is double-precision numpy noise added to single-precision sums: floating-point noise, not certified (Mironov 2012,
doi:10.1145/2382196.2382264). With `mechanisms` the only place that draws privacy noise.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from manikin.data.errors import BudgetError, parameter_error
from manikin.privacy import mechanisms
from manikin.privacy.accountant import noise_multiplier
from manikin.privacy.events import SampledGaussian
from manikin.privacy.ledger import PLANNED, Ledger
from manikin.privacy.per_patient import Loss, clipped_sum
from manikin.privacy.sealed import Sealed, opened

BLOCKS = 50  # pieces in which a plan is spent


@dataclass(frozen=True)
class Plan:
    """What DP-SGD does: public numbers, settled before the first step.

    Attributes
    ----------
    noise_multiplier : standard deviation of the noise over clip_norm. sampling_rate : chance of each patient to be in a step, (0, 1].
    steps : steps in all. clip_norm : most that a patient adds to a step's sum, L2. denominator : what sums are divided by.
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int
    clip_norm: float
    denominator: float

    @property
    def block(self) -> int:
        """Steps that are spent at a time."""
        return max(1, -(-self.steps // BLOCKS))


def plan(ledger: Ledger, *, expected_batch: float, steps: int, clip_norm: float, by: str = "") -> Plan:
    """The least noise with which `steps` steps fit into what the ledger has left.

    A ledger in which `by` has begun DP-SGD is that of a run which was killed: noise and rate stay as they were.

    Parameters
    ----------
    expected_batch : patients that a step draws on average, by the number of patients that was bought; all of them at most.

    Raises
    ------
    BudgetError : the number of patients is not bought yet, or too little is left to train on.
    """
    if type(steps) is not int or steps < 1:
        raise parameter_error("steps", "dpsgd.plan", "an int in [1, inf)", steps)
    for name, value in (("expected_batch", expected_batch), ("clip_norm", clip_norm)):
        if not 0 < value < float("inf"):
            raise parameter_error(name, "dpsgd.plan", "a number above 0", value)
    if ledger.n_patients is None or ledger.delta is None:
        raise BudgetError("DP-SGD is planned by the number of patients, which is not bought yet. Seal the data first.")
    rate = min(1.0, expected_batch / ledger.n_patients)
    begun = [one.event for one in ledger.spends if isinstance(one.event, SampledGaussian) and one.by == by]
    if begun:
        noise, rate = begun[0].noise_multiplier, begun[0].sampling_rate
    else:
        noise = noise_multiplier(
            ledger.events, epsilon=PLANNED * ledger.epsilon, delta=ledger.delta, sampling_rate=rate, steps=steps
        )
    return Plan(noise, rate, steps, clip_norm, rate * ledger.n_patients)


class Sampler:
    """Private rows of which each step sees a Poisson sample of the patients; `noisy_gradient` is the only way to learn from them.

    Parameters
    ----------
    rows : numbers (n_rows, …). patients : the number of the patient of each row.
    is_recorded : gradients by recorded products (networks of `nn.Linear`, or with a `tape`; no gradient of a gradient), which is quick;
        otherwise by function, for any loss that torch.func can map.
    columns, by : for the ledger.
    """

    def __init__(
        self,
        plan: Plan,
        rows: Sealed,
        patients: Sealed,
        ledger: Ledger,
        *,
        columns: Sequence[str] = (),
        by: str = "",
        is_recorded: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.plan, self.ledger, self.columns, self.by, self.is_recorded = plan, ledger, tuple(columns), by, is_recorded
        own, place = opened(rows), opened(patients)
        self._rows = torch.from_numpy(np.ascontiguousarray(own)).to(device or torch.device("cpu"))
        order = np.argsort(place, kind="stable")
        starts = np.flatnonzero(np.diff(place[order], prepend=-1))
        sizes = np.diff(np.append(starts, len(order)))
        if len(own) != len(place) or sizes.max(initial=0) > ledger.rows_per_patient:
            raise BudgetError("DP-SGD was given rows that are not cut down to what counts of each patient. Seal the data first.")
        self._order, self._starts, self._sizes = order, starts, sizes
        self._ready = 0  # steps of the present block that are spent and not taken
        same = (plan.noise_multiplier, plan.sampling_rate)
        self._spent = sum(
            one.event.steps
            for one in ledger.spends
            if isinstance(one.event, SampledGaussian)
            and one.by == by
            and (one.event.noise_multiplier, one.event.sampling_rate) == same
        )
        if self._spent < plan.steps:  # costs the whole, once, so that no block is refused halfway
            ledger.check(SampledGaussian(*same, plan.steps - self._spent))

    @property
    def left(self) -> int:
        """Steps that may still be taken."""
        return max(0, self.plan.steps - self._spent) + self._ready

    @property
    def is_at_block(self) -> bool:
        """Whether the next step begins a block: the moment for a checkpoint, at which nothing spent is lost."""
        return self._ready == 0

    def begin(self) -> None:
        """Spends the next block when there is no step left in the present one.

        Raises
        ------
        BudgetError : all steps of the plan are spent.
        """
        if self._ready:
            return
        steps = min(self.plan.block, self.plan.steps - self._spent)
        if steps < 1:
            raise BudgetError("All steps of the plan are spent. Take the run's checkpoint, or a new budget.")
        event = SampledGaussian(self.plan.noise_multiplier, self.plan.sampling_rate, steps)
        self.ledger.spend(event, purpose="gradients", columns=self.columns, by=self.by)
        self._spent, self._ready = self._spent + steps, steps

    def draw(self) -> tuple[Tensor, Tensor]:
        """One step's patients: their rows (n_patients * k, …), filled up to k each, and the rows' weights (n_patients, k)."""
        self.begin()
        self._ready -= 1
        taken = np.flatnonzero(mechanisms.private_generator().random(len(self._starts)) < self.plan.sampling_rate)
        k = self.ledger.rows_per_patient
        place = np.minimum(np.arange(k), self._sizes[taken, None] - 1)
        weights = np.where(np.arange(k) < self._sizes[taken, None], 1 / self._sizes[taken, None], 0.0).astype(np.float32)
        rows = self._rows[torch.from_numpy(self._order[self._starts[taken, None] + place].reshape(-1)).to(self._rows.device)]
        if not rows.is_floating_point():
            rows = rows.long()
        return rows, torch.from_numpy(weights).to(rows.device)


def noisy_gradient(sampler: Sampler, module: nn.Module, loss: Loss) -> list[Tensor]:
    """One step of the plan: a noisy gradient for each parameter of the module that learns.

    Parameters
    ----------
    loss : rows to one loss per row, each of that row alone. An infinite or undefined gradient counts as 0.

    Raises
    ------
    BudgetError : the plan or the ledger does not allow a further step; nothing is drawn.
    """
    rows, weights = sampler.draw()
    with _secret_draws():
        sums = clipped_sum(
            module, loss, rows, weights, clip_norm=sampler.plan.clip_norm, is_recorded=sampler.is_recorded
        )
    rng, scale = mechanisms.private_generator(), sampler.plan.noise_multiplier * sampler.plan.clip_norm
    noisy = [one.double().cpu() + torch.from_numpy(rng.normal(scale=scale, size=tuple(one.shape))) for one in sums]
    return [(one / sampler.plan.denominator).to(own) for one, own in zip(noisy, sums, strict=True)]


@contextmanager
def _secret_draws() -> Iterator[None]:
    """Lets torch draw what nobody can replay, and leaves its generator as if nothing had been drawn."""
    state = torch.get_rng_state()
    on_cards = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    torch.manual_seed(secrets.randbits(63))
    try:
        yield
    finally:
        torch.set_rng_state(state)
        if on_cards:
            torch.cuda.set_rng_state_all(on_cards)
