"""What a run tells before it learns."""

from __future__ import annotations

import pandas as pd

from manikin.workflow.sources import read
from manikin.workflow.stages import Silent, Stages
from manikin.workflow.synthesize import _tell


def test_cells_that_cannot_be_read_are_told_by_row_and_never_shown() -> None:
    cells = [f"{i / 10}" for i in range(100)]
    cells[3] = "see Mrs Smith 0791"
    data = read(pd.DataFrame({"lab": cells, "ward": ["a", "b"] * 50}))
    stages = Stages(Silent())
    _tell(data, data, data, stages)
    told = [notice for notice in stages.notices if "'lab'" in notice]
    assert len(told) == 1
    assert "row 5)" in told[0]
    assert "Smith" not in repr(stages.notices)
