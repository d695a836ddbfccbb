"""Four fakes that later models need of the loop: a pac-GAN with training-by-sampling, PATE teachers, a paired translator, two tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from manikin.data.errors import BudgetError
from manikin.training.loop import train
from manikin.training.objective import Phase, Stage, Tensors


class Plain:
    """What the four have in common: no validation, nothing averaged, nothing extra to checkpoint."""

    validate_every = 1000
    patience: int | None = None
    has_fixed_batches = True

    def after_step(self, fraction: float) -> None:
        del fraction

    def validate(self) -> float | None:
        return None

    def signals(self) -> Mapping[str, float]:
        return {}

    def film(self) -> Mapping[str, Sequence[float]]:
        return {}

    def state(self) -> Tensors:
        return {}

    def load_state(self, tensors: Tensors) -> None:
        assert not tensors


def adam(module: nn.Module, lr: float = 0.01) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=lr, betas=(0.5, 0.9))


class PacGan(Plain):
    """A critic on pacs of rows that sees real rows, a generator that does not; batches drawn by condition (training-by-sampling)."""

    planned_steps = 300
    pac = 4

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.level = torch.from_numpy(np.r_[np.zeros(380), np.ones(20)]).long()  # a rare level
        self.real = torch.from_numpy(rng.normal(3.0, 0.5, (400, 1))).float() * (1 - 2 * self.level[:, None])
        torch.manual_seed(0)
        self.generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
        self.critic = nn.Sequential(nn.Linear(3 * self.pac, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
        self.drawn: list[int] = []

    def stages(self) -> Sequence[Stage]:
        critic = Phase("critic", self.critic, adam(self.critic), self.critic_loss, repeats=2, mixes_records=True)
        generator = Phase("generator", self.generator, adam(self.generator), self.generator_loss, touches_records=False)
        return [Stage([critic, generator])]

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(4):  # a level first, each as often, then rows that hold it
            level = rng.integers(2, size=40)
            rows = np.where(level == 1, rng.integers(380, 400, 40), rng.integers(0, 380, 40))
            self.drawn.extend(level.tolist())
            yield self.real[rows], torch.from_numpy(level)

    def fake(self, level: torch.Tensor) -> torch.Tensor:
        return self.generator(torch.cat([torch.randn(len(level), 2), nn.functional.one_hot(level, 2).float()], 1))

    def score(self, rows: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        both = torch.cat([rows, nn.functional.one_hot(level, 2).float()], 1)
        return self.critic(both.view(-1, 3 * self.pac)).squeeze(1)

    def critic_loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        rows, level = batch
        fake = self.fake(level).detach()
        loss = self.score(fake, level) - self.score(rows, level) + 0.001 * self.score(rows, level) ** 2
        return loss + 0.1 * sum((p**2).sum() for p in self.critic.parameters())

    def generator_loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return -self.score(self.fake(batch[1]), batch[1])

    def modules(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "critic": self.critic}


def test_a_pac_gan_learns_both_levels_and_is_refused_under_a_ledger() -> None:
    gan = PacGan()
    before = [p.clone() for p in gan.generator.parameters()]
    training = train(gan, seed=0, monitors=[])
    assert training.steps == 300
    assert any(not torch.equal(a, b) for a, b in zip(before, gan.generator.parameters(), strict=True))
    with torch.no_grad():
        common, rare = gan.fake(torch.zeros(500).long()).mean(), gan.fake(torch.ones(500).long()).mean()
    assert common > 0.5 > -0.5 > rare
    assert 0.4 < np.mean(gan.drawn) < 0.6  # the rare level is 5 % of the rows and half of the batches
    with pytest.raises(BudgetError, match="critic"):
        train(PacGan(), seed=0, ledger=object())


class Pate(Plain):
    """Teachers on disjoint patients, each a phase of its own; a student that learns from their noisy votes and touches no record."""

    planned_steps = 200
    n_teachers = 4

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.x = torch.from_numpy(rng.normal(size=(400, 2))).float()
        self.y = (self.x[:, 0] > 0).float()
        torch.manual_seed(0)
        self.teachers = nn.ModuleList(nn.Linear(2, 1) for _ in range(self.n_teachers))
        self.student = nn.Linear(2, 1)
        self.partition = torch.arange(400) % self.n_teachers
        self.touched: list[set[int]] = [set() for _ in range(self.n_teachers)]

    def stages(self) -> Sequence[Stage]:
        teachers = [
            Phase(
                f"teacher {t}",
                module,
                adam(module, 0.1),
                lambda batch, t=t: self.teacher_loss(t, batch),
                private_by="aggregate",
            )
            for t, module in enumerate(self.teachers)
        ]
        student = Phase("student", self.student, adam(self.student, 0.1), self.student_loss, touches_records=False)
        return [Stage(teachers, name="teachers"), Stage([student], name="student")]

    def batches(self, rng: np.random.Generator) -> Iterator[torch.Tensor]:
        yield from torch.from_numpy(rng.permutation(400)).split(80)

    def teacher_loss(self, t: int, batch: torch.Tensor) -> torch.Tensor:
        own = batch[self.partition[batch] == t]
        self.touched[t].update(own.tolist())
        logits = self.teachers[t](self.x[own]).squeeze(1)
        return nn.functional.binary_cross_entropy_with_logits(logits, self.y[own], reduction="none")

    def student_loss(self, batch: torch.Tensor) -> torch.Tensor:
        made = torch.randn(len(batch), 2)
        with torch.no_grad():
            votes = torch.stack([(teacher(made) > 0).float().squeeze(1) for teacher in self.teachers]).mean(0)
        return nn.functional.binary_cross_entropy_with_logits(self.student(made).squeeze(1), votes.round(), reduction="none")

    def modules(self) -> Mapping[str, nn.Module]:
        return {"teachers": self.teachers, "student": self.student}


def test_pate_teachers_keep_to_their_patients_and_may_run_under_a_ledger() -> None:
    pate = Pate()
    training = train(pate, seed=0, ledger=object())
    assert training.stopped_because == "plan done"
    assert all(patients <= {i for i in range(400) if i % 4 == t} for t, patients in enumerate(pate.touched))
    with torch.no_grad():
        agreement = ((pate.student(pate.x).squeeze(1) > 0).float() == pate.y).float().mean()
    assert agreement > 0.9


class Translator(Plain):
    """Two sides whose batches are not paired, two generators and two critics, a cycle loss: several modules in one phase."""

    planned_steps = 300

    def __init__(self) -> None:
        rng = np.random.default_rng(2)
        self.a = torch.from_numpy(rng.normal(0, 1, (300, 1))).float()
        self.b = torch.from_numpy(rng.normal(2, 1, (170, 1))).float()  # of another length
        torch.manual_seed(0)
        self.there, self.back = nn.Linear(1, 1), nn.Linear(1, 1)
        self.pair = nn.ModuleList([self.there, self.back])

    def stages(self) -> Sequence[Stage]:
        return [Stage([Phase("translate", self.pair, adam(self.pair, 0.05), self.loss, mixes_records=True)])]

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(5):
            yield self.a[rng.integers(300, size=64)], self.b[rng.integers(170, size=64)]

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        a, b = batch
        cycle = (self.back(self.there(a)) - a) ** 2 + (self.there(self.back(b)) - b) ** 2
        moments = (self.there(a).mean() - b.mean()) ** 2 + (self.there(a).std() - b.std()) ** 2
        return cycle.squeeze(1) + moments

    def modules(self) -> Mapping[str, nn.Module]:
        return {"pair": self.pair}


def test_a_translator_takes_unpaired_batches() -> None:
    translator = Translator()
    train(translator, seed=0)
    with torch.no_grad():
        assert float(translator.there(torch.zeros(1, 1))) == pytest.approx(2.0, abs=0.3)
        cycle = (translator.back(translator.there(translator.a)) - translator.a).abs().mean()
    assert cycle < 0.2


@dataclass
class Patient:
    static: torch.Tensor
    visits: torch.Tensor  # (n_visits,), of any length, 0 too


class TwoTables(Plain):
    """A patient row and her visits: ragged batches, a unit is a patient whatever the number of her visits."""

    planned_steps = 200

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        sick = rng.integers(2, size=200)
        self.patients = [
            Patient(torch.tensor([float(s)]), torch.from_numpy(rng.normal(3.0 * s, 0.3, rng.integers(0, 6))).float())
            for s in sick
        ]
        torch.manual_seed(0)
        self.mean = nn.Linear(1, 1)
        self.units: list[int] = []

    def stages(self) -> Sequence[Stage]:
        return [Stage([Phase("visits", self.mean, adam(self.mean, 0.05), self.loss)])]

    def batches(self, rng: np.random.Generator) -> Iterator[list[Patient]]:
        order = rng.permutation(len(self.patients))
        for start in range(0, 200, 50):
            yield [self.patients[i] for i in order[start : start + 50]]

    def loss(self, batch: list[Patient]) -> torch.Tensor:
        losses = torch.stack([((self.mean(p.static) - p.visits) ** 2).sum() for p in batch])
        self.units.append(len(losses))
        return losses

    def modules(self) -> Mapping[str, nn.Module]:
        return {"mean": self.mean}


def test_a_two_table_model_gets_one_loss_per_patient() -> None:
    model = TwoTables()
    train(model, seed=0)
    assert set(model.units) == {50}
    with torch.no_grad():
        assert float(model.mean(torch.ones(1))) == pytest.approx(3.0, abs=0.3)
        assert float(model.mean(torch.zeros(1))) == pytest.approx(0.0, abs=0.3)
