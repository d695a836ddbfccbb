"""Fixtures of the whole suite: where the real tables are, and one thread for everything."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

SHARED = Path(os.environ.get("MANIKIN_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real health tables that developers have; users do not, so its tests skip."""
    if not SHARED.is_dir():
        pytest.skip("the developers' real health tables are not here (set MANIKIN_SHARED_DATA to their folder)")
    return SHARED


@pytest.fixture(scope="module", autouse=True)
def _noise_of_privacy_is_the_same_in_every_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """Noise of mechanisms comes from the system; in a file of tests from its name, so that none fails one time in thousands."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(secrets, "randbits", random.Random(request.node.nodeid).getrandbits)
        yield
