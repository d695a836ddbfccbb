"""A small real table for the jobs."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def women(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 200 women of the breast cancer trial."""
    from lifelines.datasets import load_gbsg2

    path = tmp_path_factory.mktemp("table") / "women.csv"
    load_gbsg2().head(200).to_csv(path, index=False)
    return path
