"""Teachers, a student that learns from their noisy votes on made rows, and a generator against the student (PATE-GAN). Knows no columns.

Jordon, Yoon & van der Schaar 2019, openreview S1zk9iRqF7. Real rows reach the teachers alone, which `privacy.teachers` keeps; the student
sees made rows and noisy shares of votes, the generator sees the student. Neither touches a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.privacy.teachers import Teachers
from manikin.training.adam import Adam
from manikin.training.descent import Descent
from manikin.training.networks.pairs import PairFeatures, PlainGenerator
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.held_to_shares import HeldToShares


@dataclass(frozen=True)
class Recipe:
    """How the three are trained.

    Attributes
    ----------
    steps : rounds. questions : made rows that the teachers judge in a round. noise : of their votes, in votes; 0 for none.
    teacher_steps, student_steps, generator_steps : gradient steps in a round. batch_size : made rows in a step.
    teacher_rate, ridge : of the teachers' plain gradient descent. learning_rate : Adam's, of student and generator.
    memory : rounds whose answers the student learns from. score, anchor : weights of the student's score and of the known shares in the
        generator's loss. generator_decay : pulls the generator's columns towards independence.
    temperature : of the Gumbel-softmax. average_steps : memory of the averaged weights, in rounds.
    """

    steps: int
    questions: int
    noise: float
    teacher_steps: int = 2
    student_steps: int = 10
    generator_steps: int = 3
    batch_size: int = 256
    teacher_rate: float = 4.0
    ridge: float = 0.1
    learning_rate: float = 2e-3
    memory: int = 40
    anchor: float = 1.0
    score: float = 30.0
    generator_decay: float = 4.0
    temperature: float = 0.5
    average_steps: int = 100


class Pate(HeldToShares):
    """The objective that the loop trains; `average` is the generator to keep.

    Parameters
    ----------
    teachers : with the rows that only they see. features : of a row's vector. shares : per group, the chances that are known already.
    by : who asks, for the ledger.
    """

    has_fixed_batches = True

    def __init__(
        self,
        network: PlainGenerator,
        teachers: Teachers,
        features: PairFeatures,
        *,
        shares: Sequence[npt.NDArray[np.float64]],
        recipe: Recipe,
        by: str,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(network, features, shares, recipe, device)
        self.student = nn.Linear(features.n_features, 1).to(self.device)
        with torch.no_grad():
            self.student.weight.zero_()
            self.student.bias.fill_(0.5)
        self.teachers, self.recipe, self.by = teachers, recipe, by
        self.planned_steps = recipe.steps
        self.asked = torch.zeros((0, features.n_features), device=self.device)
        self.answers = torch.zeros(0, device=self.device)
        self._is_due = True  # whether this round's questions are still to be asked

    def stages(self) -> Sequence[Stage]:
        """One stage: teachers, student, generator."""
        own = self.recipe
        descent = Descent(self.teachers.parameters(), lr=own.teacher_rate, weight_decay=own.ridge)
        student = Adam(self.student.parameters(), lr=own.learning_rate, weight_decay=1e-3)
        teachers = Phase(
            "teachers",
            self.teachers,
            descent,
            self.teacher_losses,
            repeats=own.teacher_steps,
            private_by="aggregate",
            drifts=True,
        )
        return [
            Stage(
                [
                    teachers,
                    Phase("student", self.student, student, self.student_loss, repeats=own.student_steps, touches_records=False),
                    Phase(
                        "generator",
                        self.network,
                        self.optimiser(),
                        self.generator_loss,
                        repeats=own.generator_steps,
                        touches_records=False,
                        drifts=True,
                    ),
                ]
            )
        ]

    def batches(self, rng: np.random.Generator) -> Iterator[int]:
        """Nothing of the data: the teachers look at all of their rows in each step, and everything else is made."""
        del rng
        yield from range(1 << 10)

    def teacher_losses(self, batch: int) -> Tensor:
        """One loss per teacher, times their number, since the loop's mean would slow each down by it."""
        del batch
        with torch.no_grad():
            made = self.made(self.recipe.batch_size, hard=True)[0]
        return self.teachers.losses(made) * self.teachers.n_teachers

    def student_loss(self, batch: int) -> Tensor:
        """Squared distance from the teachers' noisy shares, one per remembered question."""
        del batch
        if self._is_due:
            self._ask()
        return (self.student(self.asked).squeeze(1) - self.answers) ** 2

    def generator_loss(self, batch: int) -> Tensor:
        """The student's score of each made row, and how far the columns' shares are from the known ones."""
        del batch
        made, given = self.made(self.recipe.batch_size)
        score = self.student(made).squeeze(1) - self.student.bias.detach()
        return self.recipe.anchor * self.shares.divergence(given) - self.recipe.score * score

    @torch.no_grad()
    def _ask(self) -> None:
        """New questions, while the ledger allows them; the oldest answers are forgotten."""
        self._is_due = False
        own = self.recipe
        ledger = self.teachers.ledger
        if ledger is not None and ledger.precision_left < own.questions / own.noise**2 * (1 - 1e-6) and len(self.answers):
            return  # a run that was resumed has spent what it may have seen: it goes on with the answers it has
        made = self.made(own.questions, hard=True)[0]
        answers = self.teachers.ask(made, noise=own.noise, by=self.by).shares.to(self.device)
        keep = own.memory * own.questions
        self.asked = torch.cat([self.asked, made])[-keep:]
        self.answers = torch.cat([self.answers, answers])[-keep:]

    def after_step(self, fraction: float) -> None:
        """Averages the generator's weights; the next round asks anew."""
        super().after_step(fraction)
        self._is_due = True

    def modules(self) -> Mapping[str, nn.Module]:
        """What checkpoints hold: teachers are never among it under a ledger."""
        made = {"generator": self.network, "student": self.student, "average": self.average}
        return made if self.teachers.ledger is not None else made | {"teachers": self.teachers}

    def state(self) -> Tensors:
        """Questions and answers, which are paid for, and the rounds averaged over."""
        return {"asked": self.asked, "answers": self.answers, "rounds": self._rounds, **self.bought}

    def load_state(self, tensors: Tensors) -> None:
        """Takes them back."""
        self.asked, self.answers = tensors["asked"].to(self.device), tensors["answers"].to(self.device)
        self._rounds, self._is_due = tensors["rounds"].clone(), True
