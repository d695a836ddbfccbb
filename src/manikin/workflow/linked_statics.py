"""What patients of linked tables have once, as one flat row each. Knows no job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.schema import EMPTY, Column, Kind, Role, TableSchema
from manikin.workflow.linked import column_named

NUMBER = "(patient)"
NAME = "patients"


def statics_of(data: Dataset, names: Sequence[str]) -> Dataset:
    """Columns of static tables ("table.column") as one row a patient, in their order; she who has no row there has no value.

    The first column is her number, as a key.
    """
    frame: dict[str, Any] = {NUMBER: np.arange(len(data)).astype(str).astype(object)}
    columns, marks, fewest = [Column(NUMBER, Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))], {}, [1]
    for name in names:
        table, column = column_named(name, data.schema, "--target")
        own, cells, mark = data.tables[table.name], data.tables[table.name].frame[column.name], np.ones(len(data), dtype=np.int8)
        at = np.full(len(data), -1, dtype=np.int64)
        at[data.owners[table.name]] = np.arange(len(own))
        frame[name] = cells.reindex(at).reset_index(drop=True)
        mark[at >= 0] = own.mark(column.name)[at[at >= 0]]
        if mark.any():
            marks[name] = mark
        columns.append(replace(column, name=name, by=None, roles=(), missing=column.missing or (EMPTY,)))
        fewest.append(table.min_patients)
    schema = TableSchema(NAME, tuple(columns), min_patients=max(fewest))
    return flat(Table(pd.DataFrame(frame, index=pd.RangeIndex(len(data))), marks), schema, data.native)
