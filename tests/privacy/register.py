"""Small tables of patients for the tests of privacy."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, Role, Schema, TableSchema
from manikin.io.tabular import read


def people(patients: Sequence[str], values: Sequence[str]) -> Dataset:
    """A table of a patient key and one column of texts."""
    frame = pd.DataFrame({"patient": list(patients), "value": list(values)}, dtype=object)
    columns = (
        Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
        Column("value", Kind.CATEGORICAL, levels=tuple(sorted(set(values)))),
    )
    return read(frame, schema=Schema((TableSchema("people", columns),)))
