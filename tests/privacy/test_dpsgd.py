"""DP-SGD: what a patient can change, how often she is drawn, what the noise is, and that every step is in the ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from manikin.data.errors import BudgetError
from manikin.privacy import dpsgd, mechanisms
from manikin.privacy.events import SampledGaussian
from manikin.privacy.ledger import Ledger, read_ledger
from manikin.privacy.per_patient import clipped_sum
from manikin.privacy.sealed import Sealed


def ledger(n: int = 100, *, epsilon: float = 3.0, k: int = 1, file: Path | None = None) -> Ledger:
    made = Ledger(epsilon=epsilon, delta=1e-5, rows_per_patient=k, file=file)
    made.set_delta(n)
    return made


def sampler(own: Ledger, rows: np.ndarray, plan: dpsgd.Plan, patients: np.ndarray | None = None, **more: object) -> dpsgd.Sampler:
    place = np.arange(len(rows)) if patients is None else patients
    return dpsgd.Sampler(plan, Sealed(rows), Sealed(place), own, **more)  # type: ignore[arg-type]


class Net(nn.Module):
    """A small network whose first layer is used twice in one loss."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer = nn.Linear(4, 6), nn.Linear(6, 1)

    def loss(self, rows: Tensor) -> Tensor:
        z = torch.tanh(self.inner(rows)) - torch.tanh(self.inner(rows.flip(1)))
        return (self.outer(z).squeeze(-1) - rows[..., 0]) ** 2


def one_by_one(net: nn.Module, loss: object, rows: Tensor, weights: Tensor, clip: float) -> list[Tensor]:
    """The slow truth: a backward pass for each patient."""
    total = [torch.zeros_like(p) for p in net.parameters()]
    for own, weight in zip(rows.view(*weights.shape, *rows.shape[1:]), weights, strict=True):
        net.zero_grad()
        (loss(own) * weight).sum().backward()  # type: ignore[operator]
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        norm = float(sum(g.square().sum() for g in grads)) ** 0.5
        for whole, g in zip(total, grads, strict=True):
            whole += g * min(1.0, clip / max(norm, 1e-12))
    net.zero_grad()
    return total


@pytest.mark.parametrize("is_recorded", [True, False])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("clip", [0.3, 1e3])
def test_the_clipped_sum_is_that_of_a_backward_pass_per_patient(*, is_recorded: bool, k: int, clip: float) -> None:
    net, rows = Net(), torch.randn(7 * k, 4, generator=torch.Generator().manual_seed(1))
    weights = torch.full((7, k), 1 / k)
    weights[0] = torch.tensor([1.0] + [0.0] * (k - 1))
    made = clipped_sum(net, net.loss, rows, weights, clip_norm=clip, is_recorded=is_recorded)
    for own, true in zip(made, one_by_one(net, net.loss, rows, weights, clip), strict=True):
        torch.testing.assert_close(own, true, rtol=3e-4, atol=3e-4 * float(true.abs().max()))


@pytest.mark.parametrize("is_recorded", [True, False])
@pytest.mark.parametrize(
    "row", [[0.0, 0, 0, 0], [1e4, -1e4, 1e4, 3], [1e30, 1, 1, 1], [float("inf"), 1, 1, 1], [float("nan")] * 4, [1e-30, 1e18, 1, 1]]
)
def test_one_patient_changes_the_sum_by_no_more_than_the_norm_whatever_she_holds(row: list[float], *, is_recorded: bool) -> None:
    net, clip = Net(), 0.5
    with torch.no_grad():
        net.outer.weight.mul_(1e3)
    rows = torch.cat([torch.randn(9, 4, generator=torch.Generator().manual_seed(2)), torch.tensor([row])])
    sums = [
        clipped_sum(net, net.loss, part, torch.ones(len(part), 1), clip_norm=clip, is_recorded=is_recorded)
        for part in (rows[:-1], rows)
    ]
    change = sum(float((a - b).double().square().sum()) for a, b in zip(*sums, strict=True)) ** 0.5
    assert change <= clip
    assert all(one.isfinite().all() for one in sums[1])


def test_rows_that_cancel_out_do_not_hide_a_norm() -> None:
    """Two rows of one patient with huge, nearly opposite gradients: rounding must not let their sum through unclipped."""
    net, opposite = nn.Linear(4, 1), torch.tensor([1.0, -1.0])

    def loss(rows: Tensor) -> Tensor:
        return net(rows).squeeze(1) * opposite

    for seed in range(20):
        base = torch.randn(1, 4, generator=torch.Generator().manual_seed(seed)) * 3e3
        rows = torch.cat([base, base * (1 + 1e-4)])
        made = clipped_sum(net, loss, rows, torch.full((1, 2), 0.5), clip_norm=1.0, is_recorded=True)
        assert sum(float(one.double().square().sum()) for one in made) <= 1.0


def test_what_a_tape_cannot_record_is_refused() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1))

    def loss(rows: Tensor) -> Tensor:
        return net(rows).squeeze(1)

    rows, weights = torch.randn(5, 4), torch.ones(5, 1)
    with pytest.raises(BudgetError, match="recorded"):
        clipped_sum(net, loss, rows, weights, clip_norm=1.0, is_recorded=True)
    with pytest.raises(BudgetError, match="one row each"):
        clipped_sum(net[0], lambda r: net[0](r.repeat(2, 1))[:5].sum(1), rows, weights, clip_norm=1.0, is_recorded=True)
    made = clipped_sum(net, loss, rows, weights, clip_norm=1e3, is_recorded=False)
    for own, true in zip(made, one_by_one(net, loss, rows, weights, 1e3), strict=True):
        torch.testing.assert_close(own, true, rtol=1e-3, atol=1e-4)


def test_each_patient_is_drawn_by_herself_with_the_rate_of_the_plan() -> None:
    rows = np.arange(60, dtype=np.int64)[:, None]
    steps = 1000
    drawn = sampler(ledger(60), rows, dpsgd.Plan(50.0, 0.25, steps, 1.0, 15.0))
    counts, sizes = np.zeros(60), []
    for _ in range(steps):
        taken, weights = drawn.draw()
        counts[taken[:, 0].numpy()] += 1
        sizes.append(len(weights))
    limit = 6.5 * (steps * 0.25 * 0.75) ** 0.5
    assert np.abs(counts - steps * 0.25).max() < limit
    variance = 60 * 0.25 * 0.75
    assert abs(np.mean(sizes) - 15) < 6.5 * (variance / steps) ** 0.5
    assert 0.7 < np.var(sizes) / variance < 1.3  # batches of a fixed size have none
    assert drawn.left == 0
    with pytest.raises(BudgetError, match="spent"):
        drawn.draw()


def test_an_empty_sample_is_a_step_with_noise_and_the_denominator_is_public() -> None:
    rows, net = np.zeros((3, 4), dtype=np.float32), Net()
    for rate, denominator in ((1e-9, 50.0), (1.0, 50.0)):
        own = ledger(50)
        drawn = sampler(own, rows, dpsgd.Plan(40.0, rate, 400, 0.5, denominator), is_recorded=True)
        draws = np.array([[float(one.flatten()[0]) for one in dpsgd.noisy_gradient(drawn, net, net.loss)] for _ in range(400)])
        assert np.abs(draws.std(axis=0) / (40.0 * 0.5 / denominator) - 1).max() < 0.25
    assert own.spends[0].event.steps == 8  # type: ignore[union-attr]
    assert sum(one.event.steps for one in own.spends) == 400  # type: ignore[union-attr]


def test_without_noise_the_mean_is_the_clipped_sum_over_the_denominator(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def random(self, n: int) -> np.ndarray:
            return np.zeros(n)

        def normal(self, *, scale: float, size: tuple[int, ...]) -> np.ndarray:
            return np.zeros(size)

    monkeypatch.setattr(mechanisms, "private_generator", Silent)
    net, rows = Net(), np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    drawn = sampler(ledger(), rows, dpsgd.Plan(20.0, 0.5, 5, 0.2, 123.0), is_recorded=True)
    made = dpsgd.noisy_gradient(drawn, net, net.loss)
    true = clipped_sum(net, net.loss, torch.from_numpy(rows), torch.ones(9, 1), clip_norm=0.2, is_recorded=True)
    for own, whole in zip(made, true, strict=True):
        torch.testing.assert_close(own, whole / 123.0)


def test_what_a_loss_draws_follows_no_seed_and_leaves_no_trace() -> None:
    net, seen = nn.Linear(2, 1), []

    def loss(rows: Tensor) -> Tensor:
        seen.append(float(torch.rand(1)))
        return net(rows).squeeze(1)

    drawn = sampler(ledger(), np.ones((4, 2), dtype=np.float32), dpsgd.Plan(20.0, 1.0, 5, 1.0, 4.0), is_recorded=True)
    after = []
    for _ in range(2):
        torch.manual_seed(7)
        dpsgd.noisy_gradient(drawn, net, loss)
        after.append(float(torch.rand(1)))
    torch.manual_seed(7)
    assert after == [float(torch.rand(1))] * 2
    assert seen[0] != seen[1]


def test_patients_with_several_rows_are_one_unit_and_count_by_their_mean() -> None:
    rows = np.arange(5, dtype=np.float32)[:, None] * np.ones(4, dtype=np.float32)
    drawn = sampler(ledger(k=3), rows, dpsgd.Plan(20.0, 1.0, 5, 1.0, 4.0), np.array([4, 9, 4, 4, 9]))
    taken, weights = drawn.draw()
    assert taken[:, 0].tolist() == [0, 2, 3, 1, 4, 4]
    assert weights.tolist() == [pytest.approx([1 / 3] * 3), [0.5, 0.5, 0.0]]
    with pytest.raises(BudgetError, match="cut down"):
        sampler(ledger(k=2), rows, dpsgd.Plan(20.0, 1.0, 5, 1.0, 4.0), np.array([4, 9, 4, 4, 9]))


def test_a_plan_has_the_least_noise_that_fits_and_all_of_it_can_be_spent() -> None:
    own = ledger(1000, epsilon=2.0)
    made = dpsgd.plan(own, expected_batch=100, steps=120, clip_norm=1.0, by="me")
    assert (made.sampling_rate, made.denominator, made.block) == (0.1, 100.0, 3)
    drawn = sampler(own, np.zeros((5, 1), dtype=np.float32), made, by="me")
    for _ in range(120):
        drawn.draw()
    assert 1.98 < own.cost().epsilon <= 2.0
    assert dpsgd.plan(own, expected_batch=100, steps=120, clip_norm=1.0, by="me") == made  # of a run that was killed
    with pytest.raises(BudgetError):
        own.spend(SampledGaussian(made.noise_multiplier, 0.1, 1), purpose="one more")


def test_a_plan_needs_the_number_of_patients() -> None:
    with pytest.raises(BudgetError, match="number of patients"):
        dpsgd.plan(Ledger(epsilon=1.0, delta=1e-5), expected_batch=10, steps=10, clip_norm=1.0)


def test_a_block_is_on_the_disk_before_its_first_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ledger(file=tmp_path / "ledger.json")
    drawn = sampler(own, np.zeros((5, 1), dtype=np.float32), dpsgd.Plan(30.0, 0.5, 100, 1.0, 50.0), by="me")
    seen: list[int] = []
    real = mechanisms.private_generator

    def looking() -> np.random.Generator:
        events = [one.event for one in read_ledger(tmp_path / "ledger.json").spends]
        seen.append(sum(one.steps for one in events if isinstance(one, SampledGaussian)))
        return real()

    monkeypatch.setattr(mechanisms, "private_generator", looking)
    for _ in range(100):
        drawn.draw()
    assert seen == [2 * (i // 2 + 1) for i in range(100)]
