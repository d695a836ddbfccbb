"""Types hold: mypy finds nothing. A file of its own, so that it runs beside the other tests."""

from __future__ import annotations

import pytest
from tools_of_the_house import finds_nothing


@pytest.mark.timeout(900)
def test_types_hold() -> None:
    finds_nothing("mypy")
