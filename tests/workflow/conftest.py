"""A small real table for the jobs, and a small folder of linked tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from linked_ward import write_ward


@pytest.fixture(scope="session")
def women(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 200 women of the breast cancer trial."""
    from lifelines.datasets import load_gbsg2

    path = tmp_path_factory.mktemp("table") / "women.csv"
    load_gbsg2().head(200).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 made-up patients of a ward, their stays and laboratory values, and a table of codes; four files of three formats."""
    return write_ward(tmp_path_factory.mktemp("linked") / "ward")
