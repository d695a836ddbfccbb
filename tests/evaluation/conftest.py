"""Three releases of one simulated table: a perfect one, one without any dependence, and the train rows themselves."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.simulated import evidence, shuffled_columns, simulate
from manikin.data.dataset import Dataset, split
from manikin.evaluation.base import EvaluationData


@pytest.fixture(scope="session")
def parts() -> tuple[Dataset, Dataset]:
    """Train and holdout rows."""
    return split(simulate(1500, 1), holdout=0.33, seed=0)


@pytest.fixture(scope="session")
def good(parts: tuple[Dataset, Dataset]) -> EvaluationData:
    """A perfect release: fresh patients from the same law."""
    train, holdout = parts
    return evidence(train, holdout, simulate(1000, 2))


@pytest.fixture(scope="session")
def bad(parts: tuple[Dataset, Dataset]) -> EvaluationData:
    """A release that lost all dependence between columns."""
    train, holdout = parts
    return evidence(train, holdout, shuffled_columns(train, 3))


@pytest.fixture(scope="session")
def copied(parts: tuple[Dataset, Dataset]) -> EvaluationData:
    """A release that is the train part itself."""
    train, holdout = parts
    return evidence(train, holdout, train.take(np.random.default_rng(0).permutation(len(train))))
