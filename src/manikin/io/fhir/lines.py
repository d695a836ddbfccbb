"""Resources as lines of NDJSON, many at a time: what is alike in rows is built, checked and written down once. Opens no files.

Rows of a table are alike where the same columns have a value and every code, flag and text is the same. What differs then is an id, a
reference, a time or a number: holes in the line. The lines are those of `json.dumps` of `Sheet.made`, row by row.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.io.fhir.building import Sheet
from manikin.io.fhir.checks import are_sound, has_sound_times
from manikin.io.fhir.elements import Element, Type

HOLES = (Type.ID, Type.REFERENCE, Type.DATE, Type.TIME, Type.NUMBER)
Note = Callable[[dict[str, Any], int, int], None]


def lines_of(sheet: Sheet, note: Note) -> list[str]:
    """A line for each row, in their order.

    Parameters
    ----------
    note : is told a resource, the number of its row from 1 up, and how many rows it stands for, as far as R4 is concerned.
    """
    out = np.empty(len(sheet), dtype=object)
    holes = [element for element in sheet.resource.elements if element.type in HOLES and element.column in sheet.cells]
    words = {element.column: _words(sheet.cells[element.column], element) for element in holes}
    for rows in _alike(sheet, holes):
        first = int(rows[0])
        made = sheet.made(first)
        note(made, first + 1, len(rows))
        if len(rows) == 1:
            out[first] = dumped(made)
            continue
        template, order = _template(sheet, first, holes)
        out[rows] = [template % cells for cells in zip(*(words[column][rows].tolist() for column in order), strict=True)]
    return out.tolist()


def dumped(resource: dict[str, Any]) -> str:
    """A resource as a line of its own."""
    return json.dumps(resource, ensure_ascii=False, allow_nan=False) + "\n"


def _alike(sheet: Sheet, holes: list[Element]) -> list[npt.NDArray[np.int64]]:
    """Rows that make the same line but for its holes, and to which R4 says the same; the earliest first row first."""
    columns = {element.column for element in holes}
    group = np.zeros(len(sheet), dtype=np.int64)
    for column, cells in sheet.cells.items():
        own = np.array(cells, dtype=object)
        codes = pd.notna(own) if column in columns else pd.factorize(own)[0]
        group = pd.factorize(group * (len(own) + 2) + codes + 1)[0]
    is_alone = np.fromiter((key in sheet.inner for key in sheet.cells["id"]), bool, len(sheet)) if sheet.inner else group < 0
    for element in holes:
        is_alone |= ~are_sound(element, sheet.cells[element.column])
    group = 2 * group + has_sound_times(holes, sheet.cells, len(sheet))
    group[is_alone] = group.max(initial=0) + 1 + np.arange(int(is_alone.sum()))
    order = np.argsort(group, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []
    return sorted(found, key=lambda rows: int(rows[0]))


def _words(cells: list[Any], element: Element) -> npt.NDArray[np.object_]:
    """Each cell as JSON has it within its hole: a number whole, a text without its quotes."""
    out = np.empty(len(cells), dtype=object)
    if element.type is Type.NUMBER:
        out[:] = ["" if cell is None else repr(cell) for cell in cells]
    else:
        out[:] = ["" if cell is None else encode_basestring(cell)[1:-1] for cell in cells]
    return out


def _template(sheet: Sheet, row: int, holes: list[Element]) -> tuple[str, list[str]]:
    """The line of a row with %s in its holes, and whose holes they are, from left to right."""
    cells = {column: [values[row]] for column, values in sheet.cells.items()}
    marks = {}
    for element in holes:
        if cells[element.column][0] is not None:
            marks[element.column] = secrets.token_hex(16)
            cells[element.column] = [marks[element.column]]
    text = dumped(Sheet(sheet.resource, sheet.schema, cells, sheet.displays, {}, sheet.is_test).made(0)).replace("%", "%%")
    for element in holes:
        if element.column in marks:
            mark = marks[element.column]
            text = text.replace(f'"{mark}"' if element.type is Type.NUMBER else mark, f"%{mark}")
    order = sorted((column for column in marks if marks[column] in text), key=lambda column: text.index(marks[column]))
    for mark in marks.values():
        text = text.replace(f"%{mark}", "%s")
    return text, order
