"""Teachers for PATE (Papernot et al., arXiv 1610.05755): each learns from its own patients, and only noisy votes leave. Knows no columns.

Why rows may be handed to them: a patient belongs to one teacher alone, drawn for her by herself, so adding or removing her changes one
teacher and no other. Whatever that teacher does then, she changes one vote of each question by one, and `mechanisms.noisy_votes` answers
for exactly that. Nothing else comes out: losses stay inside the loop's step, the weights are in no checkpoint and in no saved model,
and the guarantee does not look at how the votes fell (no data-dependent accounting), so that a wrong bound cannot hide there.

The teachers are logistic regressions on features of a row, real against made, all trained side by side in a few tensor operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.data.errors import BudgetError, parameter_error
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed, opened

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What came out of one round of questions.

    Attributes
    ----------
    shares : float32 (n_questions,), the share of teachers that took a row for real, with the votes' noise: may lie outside [0, 1].
    """

    shares: Tensor


class Teachers(nn.Module):
    """Logistic regressions, one per teacher, each on the patients that are dealt to it.

    Parameters
    ----------
    features : float32 (n_rows, n_features), behind a seal or, where there is no ledger, bare.
    teacher, patients : int64 (n_rows,), likewise: the teacher of each row (under a ledger by `mechanisms.assigned`), and whose row it is.
    n_teachers : how many; a public number. ledger : pays for the votes; None for the twin without noise, which must not be released.

    Raises
    ------
    BudgetError : rows of one patient are at two teachers, or sealed and bare rows are mixed.
    """

    def __init__(
        self,
        features: Sealed | npt.NDArray[np.float32],
        teacher: Sealed | Ints,
        patients: Sealed | Ints,
        *,
        n_teachers: int,
        ledger: Ledger | None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        if {isinstance(one, Sealed) for one in (features, teacher, patients)} != {ledger is not None}:
            raise BudgetError("Teachers take sealed rows with a ledger, or bare rows without one.")
        if type(n_teachers) is not int or n_teachers < 1:
            raise parameter_error("n_teachers", "Teachers", "an int in [1, inf)", n_teachers)
        self.ledger, self.n_teachers = ledger, n_teachers
        rows, whose, of = _bare(features), _bare(patients), _bare(teacher)
        refuse_shared_patients(whose, of)
        own, place = _beside(of, n_teachers)
        padded = np.zeros((n_teachers, own.max(initial=1), rows.shape[1]), dtype=np.float32)
        padded[of, place] = rows
        self._rows = torch.from_numpy(padded).to(device or torch.device("cpu"))
        self._own = torch.from_numpy(own).to(self._rows.device)
        self._is_row = torch.arange(padded.shape[1], device=self._rows.device) < self._own[:, None]
        self.weight = nn.Parameter(torch.zeros(n_teachers, rows.shape[1], device=self._rows.device))
        self.bias = nn.Parameter(torch.zeros(n_teachers, device=self._rows.device))

    def losses(self, made: Tensor) -> Tensor:
        """The loss of each teacher on all rows of its own against made ones, (n_teachers,).

        Parameters
        ----------
        made : features of made rows, (n, n_features), the same for every teacher.
        """
        on_own = torch.baddbmm(self.bias[:, None, None], self._rows, self.weight[:, :, None]).squeeze(2)
        real = (F.softplus(-on_own) * self._is_row).sum(1) / self._own.clamp_min(1)
        return real + F.softplus(self._scores(made)).mean(0)

    def ask(self, made: Tensor, *, noise: float, by: str) -> Answers:
        """Asks every teacher of each made row whether it is real.

        Parameters
        ----------
        made : features (n_questions, n_features). noise : standard deviation, in votes; without a ledger there is none.

        Raises
        ------
        BudgetError : the ledger does not allow these questions; nothing is drawn.
        """
        with torch.no_grad():
            votes = (self._scores(made) > 0).cpu().numpy()
        if self.ledger is None:
            counted = votes.sum(axis=1).astype(float)
        else:
            purpose = f"votes of {self.n_teachers} teachers on {len(votes)} questions"
            counted = mechanisms.noisy_votes(votes, self.ledger, noise=noise, purpose=purpose, by=by)
        return Answers(torch.from_numpy((counted / self.n_teachers).astype(np.float32)))

    def _scores(self, made: Tensor) -> Tensor:
        return torch.addmm(self.bias, made, self.weight.t())


def refuse_shared_patients(patients: Ints, teacher: Ints) -> None:
    """Refuses rows of one patient at two teachers.

    Raises
    ------
    BudgetError : that is so.
    """
    if len(np.unique(np.stack([patients, teacher]), axis=1).T) != len(np.unique(patients)):
        raise BudgetError("A patient was dealt to more than one teacher, which the votes' noise does not cover.")


def _bare(rows: Sealed | npt.NDArray[Any]) -> npt.NDArray[Any]:
    return opened(rows) if isinstance(rows, Sealed) else rows


def _beside(teacher: Ints, n_teachers: int) -> tuple[Ints, Ints]:
    """How many rows each teacher has, and the place of each row among its teacher's."""
    own = np.bincount(teacher, minlength=n_teachers)
    order = np.argsort(teacher, kind="stable")
    place = np.empty(len(teacher), dtype=np.int64)
    place[order] = np.arange(len(teacher)) - np.repeat(np.cumsum(own) - own, own)
    return own, place
