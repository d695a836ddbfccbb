"""What an attacker may want to find out about a person: a column, when a guess of it is right, and for whom it is a secret at all.

Knows no attack. A guess of a number is right within a tolerance that hangs on the spread of the column: errors relative to the guess
take every negative guess for right, and errors relative to the truth have no meaning for temperatures or z-scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import targets
from manikin.evaluation.prepared import Feature, Prepared, Sample

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]
MAX_SECRETS = 8
MAX_CHOSEN = 4  # columns where nothing says which are sensitive
TOLERANCE = 0.05  # of the width of train's middle 90 %
COMMON = 0.75  # from this share on, the commonest value is no secret: people who hold another are the targets


@dataclass(frozen=True)
class Targets:
    """People whose value is a secret; `others`, for whom only false alarms count; and for how many of the former each of them stands."""

    people: Sample
    others: Sample
    weight: float


@dataclass(frozen=True)
class Secret:
    """One column.

    Attributes
    ----------
    tolerance : how far a guess of a number may be off; 0 for levels.
    commonest : what one guesses who knows no release: the level most of train hold, or the middle of the window most lie in.
    is_lopsided : whether most hold the commonest value, so that only the others have something to hide.
    """

    feature: Feature
    tolerance: float
    commonest: float
    is_lopsided: bool

    @property
    def name(self) -> str:
        """The column's name."""
        return self.feature.name

    def right(self, guesses: Array, truth: Array) -> Flags:
        """Which guesses are right, bool (n_targets,); a missing guess never is."""
        if not self.feature.is_number:
            return np.asarray((guesses == truth) & (guesses >= 0))
        with np.errstate(invalid="ignore"):
            return np.asarray(np.abs(guesses - truth) <= self.tolerance * (1 + 1e-9))

    def known(self, sample: Sample) -> Sample:
        """The rows that hold a value."""
        return sample.take(np.flatnonzero(sample.marks[self.name] == 0))

    def targets(self, sample: Sample, n: int, seed: int, side: str) -> Targets:
        """At most `n` people; of a lopsided secret a quarter of them hold the commonest value."""
        known = self.known(sample)
        if not self.is_lopsided:
            drawn = targets(known, n, seed, "attribute_inference", self.name, side)
            return Targets(drawn, known.take(np.empty(0, dtype=np.int64)), 1.0)
        common = self.right(np.full(len(known), self.commonest), known.values[self.name])
        kept, others = (known.take(np.flatnonzero(rows)) for rows in (~common, common))
        drawn = targets(kept, n - n // 4, seed, "attribute_inference", self.name, side)
        extra = targets(others, n // 4, seed, "attribute_inference", self.name, side, "common")
        return Targets(drawn, extra, (len(others) / max(len(extra), 1)) / (len(kept) / max(len(drawn), 1) or 1.0))


def secret(feature: Feature, real: Sample) -> Secret | None:
    """A column as a secret; None where all people of train hold one value or none has any."""
    values = real.values[feature.name][real.marks[feature.name] == 0]
    if not len(values) or (values == values[0]).all():
        return None
    if not feature.is_number:
        counts = np.bincount(values, minlength=len(feature.levels or ()))
        most = int(np.argmax(counts))
        return Secret(feature, 0.0, float(most), bool(counts[most] > COMMON * len(values)))
    ordered = np.sort(values)
    low, high = np.quantile(ordered, (0.05, 0.95))
    tolerance = TOLERANCE * float(high - low)  # 0 where 90 % hold one value: then only the value itself is right
    upto = np.searchsorted(ordered, ordered + 2 * tolerance * (1 + 1e-9), "right")
    inside = upto - np.arange(len(ordered))
    best = int(np.argmax(inside))
    share = inside[best] / len(ordered)
    return Secret(feature, tolerance, float(ordered[best] + tolerance), bool(share > COMMON))


def secrets(data: Prepared) -> tuple[list[Secret], int]:
    """The sensitive columns; the target where none is; and some columns that are no quasi-identifiers where there is neither.

    Returns
    -------
    secrets, n_asked : at most eight that vary, and how many columns there would have been.
    """
    asked = [f for f in data.features if f.column.has_role(Role.SENSITIVE)]
    asked = asked or [f for f in data.features if f.name == data.target or f.column.has_role(Role.TARGET)]
    if not asked:
        free = [f for f in data.features if not f.column.has_role(Role.QUASI_IDENTIFIER) and not f.column.kind.is_time]
        free = free or list(data.features)
        drawn = generator(0, "secrets", *(f.name for f in free)).permutation(len(free))[:MAX_CHOSEN]
        asked = [free[i] for i in sorted(drawn)]
    made = [found for found in (secret(feature, data.real) for feature in asked) if found is not None]
    return made[:MAX_SECRETS], len(made)


__all__ = ["Secret", "Targets", "secret", "secrets"]
