"""Who answers for the rows: a privacy ledger's mechanisms, for noise, or the rows themselves, exactly, for the non-private twin.

Knows no model. A private answer is bought: nothing else of the rows leaves their seal.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed, SealedSummary
from manikin.synthesizers.tables.graphical.adaptive import Workload
from manikin.synthesizers.tables.graphical.estimation import Measurement
from manikin.synthesizers.tables.graphical.inference import Floats
from manikin.synthesizers.tables.graphical.junction_tree import Scope

Ints = npt.NDArray[np.int64]
LEAST = 1e-6  # share of a planned precision below which a table is not bought
ROUNDING = 1e-9  # share of what is left that is kept for rounding in its sums


class ExactAnswers:
    """Answers without noise."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def group(self, groups: Sequence[Ints]) -> None:
        """Puts tokens into groups."""
        self.values, self.sizes = grouped(self.tokens, groups), [int(own.max()) + 1 for own in groups]
        self.found: Floats | None = None

    def left(self) -> float:
        """Without bound."""
        return float("inf")

    def noise(self, precision: float) -> float:  # noqa: ARG002
        """None."""
        return 0.0

    def choose(self, workload: Workload, expected: Floats, penalty: Floats, among: Ints, precision: float) -> int:  # noqa: ARG002
        """The worst pair."""
        if self.found is None:
            self.found = workload.tables(self.values)
        return int(among[np.argmax((workload.errors(self.found, expected) - penalty)[among])])

    def table(self, scope: Scope, precision: float) -> Measurement:  # noqa: ARG002
        """Exact counts."""
        shape = [self.sizes[column] for column in scope]
        cells = np.ravel_multi_index(tuple(self.values[:, column] for column in scope), shape)
        return Measurement(scope, np.bincount(cells, minlength=prod(shape)).reshape(shape).astype(float), 0.0)


class BoughtAnswers:
    """Answers under a ledger."""

    def __init__(self, tokens: Sealed, columns: Sequence[str], ledger: Ledger, *, by: str) -> None:
        self.tokens, self.columns, self.ledger, self.by = tokens, columns, ledger, by
        self.found: SealedSummary | None = None

    def group(self, groups: Sequence[Ints]) -> None:
        """Puts tokens into groups."""
        self.values = self.tokens.map(lambda tokens: grouped(tokens, groups))
        self.sizes = [int(own.max()) + 1 for own in groups]

    def left(self) -> float:
        """What the ledger has left; an answer that a kill took is missing there."""
        return self.ledger.precision_left * (1 - ROUNDING)

    def noise(self, precision: float) -> float:
        """As the mechanism has it."""
        return mechanisms.noise_of(self.ledger, precision)

    def choose(self, workload: Workload, expected: Floats, penalty: Floats, among: Ints, precision: float) -> int:
        """By the exponential mechanism. A patient changes the table of a pair by `rows_per_patient` in all cells together, and with it
        the sum of differences by no more.
        """
        if self.found is None:
            self.found = self.values.summary(workload.tables)
        at = mechanisms.chosen(
            self.found,
            lambda tables: (workload.errors(tables, expected) - penalty)[among],
            self.ledger,
            sensitivity=float(self.ledger.rows_per_patient),
            precision=precision,
            purpose="which pair of columns to count next",
            columns=tuple(dict.fromkeys(self.columns)),
            by=self.by,
        )
        return int(among[at])

    def table(self, scope: Scope, precision: float) -> Measurement:
        """Noisy counts, for what is left of the budget where an answer was lost to a kill; no counts where nothing is."""
        shape = [self.sizes[column] for column in scope]
        precision, planned = min(precision, self.left()), precision
        if precision < LEAST * planned:
            return Measurement(scope, np.zeros(shape), self.noise(LEAST * planned))
        cells = self.values.map(lambda values: np.ravel_multi_index(tuple(values[:, column] for column in scope), shape))
        (counts,) = mechanisms.noisy_counts(
            cells,
            [prod(shape)],
            self.ledger,
            precision=precision,
            purpose="rows per pair of values",
            columns=tuple(dict.fromkeys(self.columns[j] for j in scope)),
            by=self.by,
        )
        return Measurement(scope, counts.reshape(shape), self.noise(precision))


def grouped(tokens: Tokens, groups: Sequence[Ints]) -> Ints:
    """The group of each token, int64 (n_rows, n_columns)."""
    return np.stack([group[tokens[:, j]] for j, group in enumerate(groups)], axis=1)


def total_rows(counts: Sequence[Ints], ledger: Ledger) -> float:
    """Number of rows: the number of patients where each has one, else what the columns' counts add up to."""
    if ledger.rows_per_patient == 1 and ledger.n_patients is not None:
        return float(ledger.n_patients)
    return max(1.0, float(np.median([own.sum() for own in counts])))
