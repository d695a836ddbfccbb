"""From linked tables to FHIR resources: every column of `elements` to its place, tagged as test health data. Writes no files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError
from manikin.data.schema import Column, Kind, TableSchema
from manikin.io.fhir.elements import BY_NAME, CODING, HTEST, PARTS, RESOURCES, Element, Resource, Type
from manikin.io.fhir.reading import UCUM

Cells = dict[str, list[Any]]
OFFSET = "+00:00"  # R4 wants an offset behind a clock time; the clock of the data is kept, whatever its own offset was


@dataclass(frozen=True)
class Sheet:
    """One table on its way to resources.

    Attributes
    ----------
    cells : by column, what JSON says of each row; None where there is no value.
    inner : by id, the repeated elements that stand within a resource.
    """

    resource: Resource
    schema: TableSchema
    cells: Cells
    displays: dict[str, str]
    inner: dict[str, list[dict[str, Any]]]
    is_test: bool

    def __len__(self) -> int:
        return len(self.cells["id"])

    def made(self, row: int) -> dict[str, Any]:
        """The resource of one row."""
        key = self.cells["id"][row]
        made: dict[str, Any] = {"resourceType": self.resource.name, "id": key}
        if self.is_test:
            made["meta"] = {"security": [dict(HTEST)]}
        _fill(made, self.resource, self.cells, row, self.schema, self.displays)
        if key in self.inner:
            made[PARTS[self.resource.name].part] = self.inner[key]
        return made


def resources_of(data: Dataset, *, is_test: bool = True) -> Iterator[dict[str, Any]]:
    """The resources of a data set, table by table, patients first.

    Parameters
    ----------
    is_test : tags each resource as test health data (HTEST), as synthetic patients must be.

    Raises
    ------
    DataError : a table or column is none of FHIR's.
    """
    for sheet in sheets_of(data, is_test=is_test):
        yield from map(sheet.made, range(len(sheet)))


def sheets_of(data: Dataset, *, is_test: bool = True) -> Iterator[Sheet]:
    """The tables of a data set as `resources_of` goes through them; its parameters and errors are the same."""
    check_tables(data)
    displays = _displays(data)
    parts = {part.part_of: _parts(data, part, displays) for part in PARTS.values() if part.name in data.tables}
    for resource in RESOURCES:
        if resource.part_of or resource.name not in data.tables:
            continue
        schema = data.schema[resource.name]
        cells = _cells(data.tables[resource.name], schema, resource)
        yield Sheet(resource, schema, cells, displays, parts.get(resource.name, {}), is_test)


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


def _json_cells(series: pd.Series, is_empty: npt.NDArray[np.bool_], column: Column, element: Element) -> list[Any]:
    if element.type is Type.NUMBER:
        numbers = series.to_numpy(dtype=float)
        decimals = 15 if column.decimals is None else column.decimals

        def number(bits: Any) -> int | float:
            """A number under the column's decimals."""
            value = float(np.int64(bits).view(float))
            return int(value) if column.decimals == 0 else round(value, decimals)

        return _each(np.ascontiguousarray(numbers).view(np.int64), is_empty | np.isnan(numbers), number)  # -0.0 is not 0.0
    if element.type in (Type.DATE, Type.TIME):
        times = series.to_numpy(dtype="datetime64[us]")
        return _each(times, is_empty | np.isnat(times), lambda time: _moment(np.datetime64(time, "us"), column))
    cells = series.to_numpy(dtype=object)
    gaps = is_empty | pd.isna(cells)
    if element.type is Type.BOOLEAN:
        return _each(cells, gaps, lambda cell: bool(cell == "true"))
    said: Callable[[Any], str] = (lambda cell: str(int(cell))) if column.kind.is_number else str  # keys made anew may be numbers
    if element.type in (Type.ID, Type.REFERENCE):  # few are alike
        return [None if gap else said(cell) for cell, gap in zip(cells.tolist(), gaps.tolist(), strict=True)]
    return _each(cells, gaps, said)


def _each(cells: npt.NDArray[Any], gaps: npt.NDArray[np.bool_], said: Callable[[Any], Any]) -> list[Any]:
    """What is said of each cell, asked once of equal ones; None in gaps."""
    out = np.full(len(cells), None, dtype=object)
    which, alike = pd.factorize(cells[~gaps])
    words = np.empty(len(alike), dtype=object)
    words[:] = [said(cell) for cell in alike]
    out[~gaps] = words[which]
    return out.tolist()


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
