"""One set of results for all tests of the report."""

from __future__ import annotations

import pytest

from manikin.evaluation.base import Results
from manikin.report.blocks import Chapter
from manikin.report.sections import chapters

from .made import made_results


@pytest.fixture(scope="session")
def results() -> Results:
    return made_results()


@pytest.fixture(scope="session")
def all_chapters(results: Results) -> tuple[Chapter, ...]:
    return chapters(results)
