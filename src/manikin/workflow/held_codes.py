"""A diagnosis that is to hold in what is drawn of given patients, against their sex and age. Knows no model.

A model draws no diagnosis that sex or age excludes; a value that is held is put in without being drawn, so that it is looked at before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from manikin.clinical.bound_codes import DAYS_IN_YEAR, bounds_on, limits, system_of
from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.schema import Form, Kind, Schema
from manikin.evaluation.records.bound_codes import days_from_birth, sex_of_patients
from manikin.evaluation.records.times import times
from manikin.workflow.linked import column_named
from manikin.workflow.linked_times import Days, first_and_last


def refuse_excluded(data: Dataset, held: Mapping[str, Any], schema: Schema, ends: Days) -> None:
    """Refuses a held diagnosis that a patient's sex excludes, or her age from her last event until `ends`.

    Parameters
    ----------
    data : the given patients. held : column -> value. schema : by which the model learned.
    ends : days since each patient's first event up to which she is continued, float64 (n_patients,).

    Raises
    ------
    ParameterError : names the column, what the diagnosis is, and how many patients it excludes.
    """
    places = [(name, *column_named(name, schema, "--set"), str(value)) for name, value in held.items()]
    coded = [(name, column.code_system, value) for name, _, column, value in places if column.kind is Kind.CODE]
    systems = [(name, system, value) for name, told, value in coded if (system := system_of(told)) and bounds_on(system, value)]
    if not systems:
        return
    told = _with_held(data, held, schema)
    tables = tuple(told.schema.of_patients)
    sex, born = sex_of_patients(told, tables), days_from_birth(told, tables, times(told))
    first, last = first_and_last(told)
    youngest = (born + np.where(np.isnan(first), 0.0, last - first)) / DAYS_IN_YEAR
    oldest = np.maximum(youngest, (born + ends) / DAYS_IN_YEAR)
    for name, system, value in systems:
        open_to = limits(system, [[value]])
        wrong = ~open_to.sexes[0, sex] | (oldest < open_to.least[0]) | (youngest >= open_to.below[0])
        if wrong.any():
            titles = " and ".join(bound.title for bound in bounds_on(system, value))
            raise ParameterError(
                f"--set {name} holds a diagnosis ({titles}) that sex or age excludes for {int(wrong.sum()):,} of the {len(data):,} given "
                "patients. Continue the others by themselves, or hold another value."
            )


def _with_held(data: Dataset, held: Mapping[str, Any], schema: Schema) -> Dataset:
    """The patients with what is held of them throughout, such as their sex."""
    tables = dict(data.tables)
    for name, value in held.items():
        table, column = column_named(name, schema, "--set")
        if table.form is Form.STATIC and table.name in tables and not column.kind.is_time:
            own = tables[table.name]
            cells = np.full(len(own), float(value)) if column.kind.is_number else pd.Categorical([str(value)] * len(own))
            tables[table.name] = replace(own, frame=own.frame.assign(**{column.name: cells}))
    return replace(data, tables=tables)
