"""The diffusion of choices equals Bayes by enumeration; few steps are as exact as many; a real table's dependence is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from manikin.training.networks.denoiser import Denoiser
from manikin.training.networks.mixed import Given, Group, log_shares
from manikin.training.networks.mixed_diffusion import Kernel, MixedDiffusion, Rows

COUNTS = np.array([500, 300, 150, 50])
STEPS = 20


def diffusion(kernel: Kernel, n_scalars: int = 0, clean: int | None = None, n_steps: int = STEPS) -> MixedDiffusion:
    """Two columns of 4 and 3 choices beside numbers."""
    groups = [Group(n_choices=len(c), has_scalar=False, log_shares=log_shares(c)) for c in (COUNTS, np.array([5, 3, 2]))]
    groups += [Group(n_choices=0, has_scalar=True)] * n_scalars
    return MixedDiffusion(Denoiser(groups, (8, 8)), n_steps=n_steps, kernel=kernel, clean=clean)


def shares_of(process: MixedDiffusion) -> Tensor:
    """The noise of the first column, (4,)."""
    found = [process.get_buffer(f"shares{b}")[members.index(0)] for b, members in enumerate(process.members) if 0 in members]
    return found[0].double()


def posterior(process: MixedDiffusion, first: Tensor, now: int, t: int, s: int) -> Tensor:
    """p(x_s | x_t) of a first choice distributed as `first`, by products of one-step matrices: the obvious way."""
    m, alpha = shares_of(process), process.alpha.double()
    steps = [a * torch.eye(4, dtype=torch.float64) + (1 - a) * m.expand(4, 4) for a in alpha[1:] / alpha[:-1]]
    until = torch.linalg.multi_dot([torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64), *steps[:s]])
    after = torch.linalg.multi_dot([torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64), *steps[s:t]])
    joint = (first @ until) * after[:, now]
    return joint / joint.sum()


@pytest.mark.parametrize("kernel", ["uniform", "shares"])
@pytest.mark.parametrize("t", [1, 2, 11, STEPS])
def test_bound_is_the_divergence_of_enumerated_posteriors(kernel: Kernel, t: int) -> None:
    process = diffusion(kernel)
    b = next(b for b, members in enumerate(process.members) if 0 in members)
    size = process.get_buffer(f"shares{b}").shape[1]
    said = torch.tensor([0.1, 0.2, 0.3, 0.4])
    predicted = torch.zeros(len(process.members[b]), size, 1)
    predicted[:, :4, 0] = said
    for first in range(4):
        for now in range(4):
            options = torch.zeros(1, 2, dtype=torch.long)
            options[0, 0] = first
            noisy = torch.zeros(1, 2, dtype=torch.long)
            noisy[0, 0] = now
            found = process._bound(b, predicted, options, noisy, torch.tensor([t]))[process.members[b].index(0), 0]
            truth = posterior(process, torch.eye(4, dtype=torch.float64)[first], now, t, t - 1)
            guess = posterior(process, said.double(), now, t, t - 1)
            expected = torch.special.xlogy(truth, truth / guess).sum()
            if float(truth.isnan().sum()) == 0:
                assert float(found) == pytest.approx(float(expected), abs=2e-5)


class Oracle(MixedDiffusion):
    """Says the same of every row: what is right when columns do not depend on each other."""

    said: Tensor

    def predict(self, rows: Rows, t: Tensor) -> tuple[Tensor, Given]:
        n = len(rows.options)
        logits = []
        for b, members in enumerate(self.members):
            one = torch.full((len(members), self.get_buffer(f"shares{b}").shape[1]), -1e9)
            for i, c in enumerate(members):
                size = [4, 3][c]
                one[i, :size] = self.said[:size].log()
            logits.append(one.expand(n, -1, -1))
        alpha = self.alpha[t][:, None]
        # numbers of mean 1 and deviation 1/2: the noise that is to be expected
        mean, variance = 1.0, 0.25
        first = mean + alpha.sqrt() * variance / (alpha * variance + 1 - alpha) * (rows.scalars - alpha.sqrt() * mean)
        return (rows.scalars - alpha.sqrt() * first) / (1 - alpha).sqrt(), Given(rows.scalars, logits, [])


@pytest.mark.parametrize("kernel", ["uniform", "shares"])
@pytest.mark.parametrize("n_steps", [1, 4, STEPS])
def test_few_steps_give_the_shares_that_many_give(kernel: Kernel, n_steps: int) -> None:
    process = diffusion(kernel)
    process.__class__ = Oracle
    process.said = torch.tensor([0.05, 0.15, 0.2, 0.6])
    torch.manual_seed(0)
    n = 20_000
    _, given = process.sample(Rows(torch.zeros(n, 0), torch.zeros(n, 2, dtype=torch.long)), n_steps)
    head = process.denoiser.head
    assert head is not None
    shares = torch.softmax(head.logits(given)[:, :4], 1).mean(0)
    assert torch.allclose(shares, process.said, atol=0.015)


@pytest.mark.parametrize(("noise", "n_steps"), [(0.0, 10), (0.0, 50), (1.0, 200)])
def test_numbers_come_back_with_their_mean_and_spread(noise: float, n_steps: int) -> None:
    process = diffusion("uniform", n_scalars=2, n_steps=1000)
    process.__class__ = Oracle
    process.said = torch.tensor([0.25, 0.25, 0.25, 0.25])
    torch.manual_seed(0)
    scalars, _ = process.sample(Rows(torch.zeros(20_000, 2), torch.zeros(20_000, 2, dtype=torch.long)), n_steps, noise=noise)
    assert float(scalars.mean()) == pytest.approx(1.0, abs=0.02)
    assert float(scalars.std()) == pytest.approx(0.5, abs=0.03)


def test_noise_keeps_the_share_of_rows_that_the_schedule_says() -> None:
    process = diffusion("shares", n_scalars=1, clean=1)
    torch.manual_seed(0)
    n = 20_000
    rows = Rows(torch.full((n, 1), 3.0), torch.tensor([[3, 2]]).repeat(n, 1))
    noisy, noise = process.noised(rows, torch.full((n,), 10))
    alpha, m = float(process.alpha[10]), shares_of(process)
    found = torch.bincount(noisy.options[:, 0], minlength=4) / n
    assert torch.allclose(found.double(), alpha * torch.eye(4).double()[3] + (1 - alpha) * m, atol=0.015)
    assert (noisy.options[:, 1] == 2).all(), "what is given stays clean"
    assert torch.allclose(noisy.scalars, alpha**0.5 * 3 + (1 - alpha) ** 0.5 * noise)


def test_clean_choices_are_what_rows_are_made_for() -> None:
    process = diffusion("uniform", n_scalars=1, clean=1)
    seen: list[Any] = []
    forward = process.denoiser.forward

    def watched(scalars: Tensor, options: Tensor, moment: Tensor) -> Given:
        seen.append(options[:, 1].clone())
        return forward(scalars, options, moment)

    process.denoiser.forward = watched  # type: ignore[method-assign]
    wanted = torch.tensor([[0, 0], [0, 1], [0, 2]]).repeat(10, 1)
    process.sample(Rows(torch.zeros(30, 1), wanted), 5)
    assert len(seen) == 5
    assert all((options == wanted[:, 1]).all() for options in seen)


def test_noise_never_falls_past_the_last_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """41 even shares add up to just below 1 in single precision."""
    groups = [Group(41, has_scalar=False), Group(60, has_scalar=False)]
    diffusion = MixedDiffusion(Denoiser(groups, (8,)), n_steps=10)
    largest = 1 - 2.0**-24
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.full(size[0], largest))
    assert diffusion.random_options(1).tolist() == [[40, 59]]


def test_looks_fall_and_all_of_them_are_every_step() -> None:
    process = diffusion("uniform")
    for n_steps in range(1, STEPS + 5):
        grid = process._looks(n_steps)
        assert len(grid) == min(n_steps, STEPS) + 1
        assert int(grid[0]) == STEPS
        assert int(grid[-1]) == 0
        assert (grid.diff() < 0).all()
