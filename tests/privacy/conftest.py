"""Fixtures for the tests of privacy. Noise is seeded by the system, so chances of a false alarm are kept below one in a million."""

from __future__ import annotations

import pytest

from manikin.privacy.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """More budget than any test needs."""
    return Ledger(epsilon=50.0, delta=1e-6)
