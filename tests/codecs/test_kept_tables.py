"""Tables as arrays and back, whatever their cells are; what was changed on the way is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.kept_tables import table_arrays, table_from_arrays
from manikin.data.dataset import Table
from manikin.data.errors import ModelFolderError
from manikin.data.schema import Column, Kind, TableSchema

SCHEMA = TableSchema(
    "all kinds",
    (
        Column("number", Kind.CONTINUOUS),
        Column("time", Kind.DATETIME),
        Column("level", Kind.CATEGORICAL, levels=("a", "é")),
        Column("text", Kind.TEXT),
        Column("nothing", Kind.CATEGORICAL, levels=()),
    ),
)


def table(n: int = 3) -> Table:
    frame = pd.DataFrame(
        {
            "number": [1.5, np.nan, -0.0],
            "time": np.array(["2020-02-29T12:00", "NaT", "0950-01-01"], dtype="datetime64[us]"),
            "level": pd.Categorical(["é", None, "a"], categories=["a", "é"]),
            "text": pd.Series(["ü, \"x\"", None, ""], dtype=object),
            "nothing": pd.Categorical([None] * 3, categories=pd.Index([], dtype=object)),
        }
    )
    marks = {name: np.array([0, 1, 0], dtype=np.int8) for name in ("number", "time", "level", "text")}
    return Table(frame, {**marks, "nothing": np.ones(3, dtype=np.int8)}).take(np.arange(n))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_tables_come_back(n: int) -> None:
    arrays = table_arrays(table(n), SCHEMA, prefix="0.")
    back = table_from_arrays(arrays, SCHEMA, prefix="0.")
    pd.testing.assert_frame_equal(back.frame, table(n).frame)
    assert {name: mark.tolist() for name, mark in back.marks.items()} == {n_: m.tolist() for n_, m in table(n).marks.items()}


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("0.numbers", np.zeros(2)),
        ("3.texts.lengths", np.array([3, -1, 0])),
        ("0.marks", np.array([0, 9, 0], dtype=np.int8)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: np.ndarray) -> None:
    with pytest.raises(ModelFolderError, match="Save the model again"):
        table_from_arrays({**table_arrays(table(), SCHEMA), name: array}, SCHEMA)


def test_an_absent_column_is_refused_by_name() -> None:
    arrays = table_arrays(table(), SCHEMA)
    del arrays["0.numbers"]
    with pytest.raises(ModelFolderError, match="'number'"):
        table_from_arrays(arrays, SCHEMA)
