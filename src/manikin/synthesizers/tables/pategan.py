"""PATE-GAN: teachers on patients of their own, a student that learns from their noisy votes, a generator (Jordon et al. 2019, S1zk9iRqF7).

Knows no mechanism: rows are kept by `privacy.teachers`, votes leave through `privacy.mechanisms`. What six implementations got wrong
(arXiv 2406.13985) and why it cannot happen here stands in docs/synthesizers/pategan.md, each point with its test.

Departures from the paper: many small teachers (logistic regressions on features of pairs of columns) instead of a few networks, since one
vote in thousands is a smaller part of the answer; Gaussian noise, counted without looking at the votes; the student learns shares of
votes instead of a majority, which noise does not bias; rows start from, and are held to, the columns' shares that the codec bought.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import VectorCodec
from manikin.data.errors import BudgetError
from manikin.data.seeds import generator
from manikin.privacy import mechanisms
from manikin.privacy.teachers import Teachers
from manikin.synthesizers.tables.one_shot import (
    OneShot,
    Prepared,
    SealedRows,
    check_layers,
    check_numbers,
    check_onehot,
)
from manikin.synthesizers.tables.private_rows import (
    at_known_shares,
    draw_rows,
    features_of,
    known_shares,
    levels_only,
    pair_features,
)
from manikin.training.networks.pairs import PairFeatures, PlainGenerator
from manikin.training.objective import Objective
from manikin.training.objectives.pate import Pate, Recipe


@dataclass(kw_only=True)
class PateGAN(OneShot):
    """Generator against a student that noisy votes of teachers taught.

    Parameters
    ----------
    patients_per_teacher : on average; the number of teachers follows from the number of patients that was bought.
    rounds, questions : rounds of training, and rows that the teachers judge in each; the noise follows from what is left to spend.
    features : random features of pairs of columns that teachers and student look at. noise, generator : input and hidden units.
    teacher_steps, student_steps, generator_steps, learning_rate : gradient steps per round, and Adam's rate.
    generator_decay, score, anchor : as for `dpgan`.
    max_tokens : most bins of a number column. max_onehot : larger vocabularies are given as random codes. max_steps : most rounds.
    """

    name: ClassVar[str] = "pategan"
    is_private: ClassVar[bool] = True
    holds_out: ClassVar[bool] = False
    patients_per_teacher: int = 10
    rounds: int = 300
    questions: int = 32
    features: int = 1024
    noise: int = 32
    generator: tuple[int, ...] = (64, 64)
    teacher_steps: int = 2
    student_steps: int = 10
    generator_steps: int = 3
    learning_rate: float = 2e-3
    generator_decay: float = 4.0
    score: float = 30.0
    anchor: float = 1.0
    max_tokens: int = 32
    max_onehot: int = 64
    max_steps: int | None = None

    def _check(self) -> None:
        whole = ("patients_per_teacher", "rounds", "questions", "features", "noise", "max_tokens", "max_onehot", "max_steps")
        steps = ("teacher_steps", "student_steps", "generator_steps")
        check_numbers(self, self.name, whole=(*whole, *steps), positive=("learning_rate", "generator_decay", "score", "anchor"))
        check_layers(self, self.name, ("generator",))
        check_onehot(self, self.name)

    def _max_tokens(self) -> int:
        return self.max_tokens

    def _vector_codec(self) -> VectorCodec:
        return levels_only(self.max_onehot)

    def _build(self) -> nn.Module:
        return PlainGenerator(self.noise, self.generator, self._groups())

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        """The twin without a ledger: the same teachers without noise, which must not be released as private."""
        features = pair_features(self, self.features, prepared.seed)
        rows = features_of(self, features, prepared.tokens)
        n_patients = int(prepared.patients.max()) + 1
        n_teachers = max(2, n_patients // self.patients_per_teacher)
        dealt = generator(prepared.seed, "teachers").integers(n_teachers, size=n_patients)[prepared.patients]
        teachers = Teachers(
            rows, dealt, prepared.patients, n_teachers=n_teachers, ledger=None, device=prepared.device
        )
        return self._game(network, teachers, features, 0.0, prepared.device)

    def _private_objective(self, network: nn.Module, rows: SealedRows) -> tuple[Objective, nn.Module, None]:
        features, ledger = pair_features(self, self.features, rows.seed), rows.ledger
        sealed = rows.tokens.map(lambda tokens: features_of(self, features, tokens))
        assert ledger.n_patients is not None
        n_teachers = max(2, ledger.n_patients // self.patients_per_teacher)
        dealt = mechanisms.assigned(rows.private, n_teachers)
        teachers = Teachers(
            sealed, dealt, rows.private.patients, n_teachers=n_teachers, ledger=ledger, device=rows.device
        )
        left = ledger.precision_left
        if not left > 0:
            raise BudgetError("The privacy budget leaves nothing for the teachers' votes. Give a larger --epsilon.")
        rounds = self.rounds if rows.most_steps is None else min(self.rounds, rows.most_steps)
        noise = float(np.sqrt(rounds * self.questions / left)) * (1 + 1e-9)
        return *self._game(network, teachers, features, noise, rows.device), None

    def _game(
        self, network: nn.Module, teachers: Teachers, features: PairFeatures, noise: float, device: torch.device
    ) -> tuple[Objective, nn.Module]:
        assert isinstance(network, PlainGenerator)
        recipe = Recipe(
            steps=self.rounds,
            questions=self.questions,
            noise=noise,
            teacher_steps=self.teacher_steps,
            student_steps=self.student_steps,
            generator_steps=self.generator_steps,
            learning_rate=self.learning_rate,
            generator_decay=self.generator_decay,
            score=self.score,
            anchor=self.anchor,
        )
        objective = Pate(network, teachers, features, shares=known_shares(self.codec_), recipe=recipe, by=self.name, device=device)
        return objective, objective.average

    def _finish(self, network: nn.Module, seed: int) -> nn.Module:
        return at_known_shares(self, network, seed)

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        return draw_rows(self, network, self.noise, n, rng, tokens, given)
