"""A perfect release of linked patients, and the parts that it was made beside."""

from __future__ import annotations

import pytest

from evaluation.records.made import evidence, patients
from manikin.data.dataset import Dataset, split
from manikin.evaluation.base import EvaluationData


@pytest.fixture(scope="session")
def parts() -> tuple[Dataset, Dataset]:
    """Train and holdout patients."""
    return split(patients(300, 1), holdout=0.4, seed=0)


@pytest.fixture(scope="session")
def good(parts: tuple[Dataset, Dataset]) -> EvaluationData:
    """Fresh patients from the same law."""
    return evidence(*parts, patients(150, 2))
