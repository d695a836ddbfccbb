"""From linked tables to FHIR resources: every column of `elements` to its place, tagged as test health data. Writes no files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError
from manikin.data.schema import Column, Kind, TableSchema
from manikin.io.fhir.elements import BY_NAME, CODING, HTEST, PARTS, RESOURCES, Element, Resource, Type
from manikin.io.fhir.reading import UCUM

Cells = dict[str, list[Any]]
OFFSET = "+00:00"  # R4 wants an offset behind a clock time; the clock of the data is kept, whatever its own offset was


def resources_of(data: Dataset, *, is_test: bool = True) -> Iterator[dict[str, Any]]:
    """The resources of a data set, table by table, patients first.

    Parameters
    ----------
    is_test : tags each resource as test health data (HTEST), as synthetic patients must be.

    Raises
    ------
    DataError : a table or column is none of FHIR's.
    """
    check_tables(data)
    displays = _displays(data)
    parts = {part.part_of: _parts(data, part, displays) for part in PARTS.values() if part.name in data.tables}
    for resource in RESOURCES:
        if resource.part_of or resource.name not in data.tables:
            continue
        schema = data.schema[resource.name]
        cells = _cells(data.tables[resource.name], schema, resource)
        for row in range(len(data.tables[resource.name])):
            made: dict[str, Any] = {"resourceType": resource.name, "id": cells["id"][row]}
            if is_test:
                made["meta"] = {"security": [dict(HTEST)]}
            _fill(made, resource, cells, row, schema, displays)
            inner = parts.get(resource.name, {}).get(cells["id"][row])
            if inner:
                made[PARTS[resource.name].part] = inner
            yield made


def check_tables(data: Dataset) -> None:
    """Refuses tables and columns that FHIR has no place for here, by name."""
    for schema in data.schema.tables:
        if schema.name == CODING:
            continue
        if schema.name not in BY_NAME:
            raise DataError(f"FHIR has no place for table {schema.name!r}. Those that it has: {', '.join(BY_NAME)}. Write a folder of CSV.")
        known = {element.column for element in BY_NAME[schema.name].elements}
        unknown = [name for name in schema.names if name not in known]
        if unknown:
            raise DataError(f"FHIR has no place for column {unknown[0]!r} of table {schema.name!r}. Write a folder of CSV instead.")
        if not BY_NAME[schema.name].part_of and "id" not in schema:
            raise DataError(f"Table {schema.name!r} has no column 'id', which every FHIR resource needs. Add it.")
    if "Patient" not in data.tables:
        raise DataError("There is no table 'Patient', which every FHIR resource here refers to. Add it.")


def _displays(data: Dataset) -> dict[str, str]:
    if CODING not in data.tables:
        return {}
    frame = data.tables[CODING].frame
    return {str(code): display for code, display in zip(frame["code"], frame["display"], strict=True) if isinstance(display, str)}


def _parts(data: Dataset, part: Resource, displays: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The repeated elements of each resource, by its id."""
    schema, table = data.schema[part.name], data.tables[part.name]
    cells = _cells(table, schema, part)
    owner = next(element.column for element in part.elements if not element.path)
    out: dict[str, list[dict[str, Any]]] = {}
    for row in range(len(table)):
        made: dict[str, Any] = {}
        _fill(made, part, cells, row, schema, displays)
        out.setdefault(cells[owner][row], []).append(made)
    return out


def _cells(table: Table, schema: TableSchema, resource: Resource) -> Cells:
    """Cells as JSON writes them, None where there is no value."""
    return {
        column.name: _json_cells(table.frame[column.name], table.mark(column.name) > 0, column, resource.element(column.name))
        for column in schema
    }


def _json_cells(series: pd.Series, is_empty: Any, column: Column, element: Element) -> list[Any]:
    if element.type is Type.NUMBER:
        numbers = series.to_numpy(dtype=float)
        whole = column.decimals == 0
        decimals = 15 if column.decimals is None else column.decimals
        return [
            None if gap or np.isnan(value) else int(value) if whole else round(float(value), decimals)
            for value, gap in zip(numbers, is_empty, strict=True)
        ]
    if element.type in (Type.DATE, Type.TIME):
        times = series.to_numpy(dtype="datetime64[us]")
        return [None if gap or np.isnat(t) else _moment(t, column) for t, gap in zip(times, is_empty, strict=True)]
    cells = series.to_numpy(dtype=object)
    if element.type is Type.BOOLEAN:
        return [None if gap or pd.isna(cell) else cell == "true" for cell, gap in zip(cells, is_empty, strict=True)]
    if column.kind.is_number:  # keys made anew may be numbers
        return [None if gap or pd.isna(cell) else str(int(cell)) for cell, gap in zip(cells, is_empty, strict=True)]
    return [None if gap or pd.isna(cell) else str(cell) for cell, gap in zip(cells, is_empty, strict=True)]


def _moment(moment: np.datetime64, column: Column) -> str:
    if column.kind is Kind.DATE:
        return str(np.datetime_as_string(moment, unit="D"))
    has_fraction = (column.time_format or "").endswith("%f") and moment != moment.astype("datetime64[s]")
    return str(np.datetime_as_string(moment, unit="ms" if has_fraction else "s")) + OFFSET


def _fill(made: dict[str, Any], resource: Resource, cells: Cells, row: int, schema: TableSchema, displays: dict[str, str]) -> None:
    for element in resource.elements:
        if element.column == "id" or not element.path:
            continue
        cell = cells[element.column][row] if element.column in cells else None
        if cell is None and element.required and element.without:
            cell = element.without
        if cell is None or (element.column == "deceased" and _value(cells, "deceased_at", row) is not None):
            continue  # R4 allows one deceased[x], and the moment says more
        _put(made, element.path, _json_value(element, cell, displays))
        if element.column in ("unit", "dose_unit") and element.column in schema and schema[element.column].code_system == UCUM:
            for key, value in (("system", UCUM), ("code", cell)):
                _put(made, (*element.path[:-1], key), value)


def _value(cells: Cells, column: str, row: int) -> Any:
    return cells[column][row] if column in cells else None


def _json_value(element: Element, cell: Any, displays: dict[str, str]) -> Any:
    if element.type is Type.REFERENCE:
        return {"reference": f"{element.refers}/{cell}"}
    if element.type not in (Type.CODING, Type.CONCEPT):
        return cell
    system, _, code = str(cell).partition("|") if "|" in str(cell) else ("", "", str(cell))
    coding = {"system": system, "code": code} if system else {"code": code}
    if cell in displays:
        coding["display"] = displays[cell]
    return coding if element.type is Type.CODING else {"coding": [coding]}


def _put(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for place, key in enumerate(path):
        is_last = place == len(path) - 1
        if "=" in key:
            name, url = key.split("=", 1)
            items = target.setdefault(name, [])
            item = next((one for one in items if one.get("url") == url), None)
            if item is None:
                item = {"url": url}
                items.append(item)
            target = item
        elif key.endswith("[]"):
            items = target.setdefault(key[:-2], [])
            if is_last:
                items.append(value)
                return
            if not items:
                items.append({})
            target = items[0]
        elif is_last:
            target[key] = value
        else:
            target = target.setdefault(key, {})
