"""From FHIR resources to linked tables: every element of `elements` to its column. Knows no files.

References are resolved by the resource's own address: "Type/id", a Bundle's fullUrl, or "#id" of a contained resource. Times are kept as
the clock on the wall showed them: the offset from UTC is dropped, so that days and nights stay days and nights; a time given to the year or
the month is its first day. Codes are "system|code", the first coding that has one; what they mean stands in the table Coding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.cells import categories, parse_times
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError
from manikin.data.schema import EMPTY, Column, ForeignKey, Form, Kind, Role, Schema, Source, Sources, Storage, TableSchema
from manikin.io.fhir.elements import BY_NAME, CODING, PARTS, RESOURCES, UNKNOWN, Element, Resource, Type
from manikin.io.fhir.resources import Found

UCUM = "http://unitsofmeasure.org"
DATE_FORMAT, TIME_FORMAT, EXACT_FORMAT = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"
_TIME = re.compile(r"^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$")


@dataclass
class Gathered:
    """Cells by table and column, as they are met; and what was met and left."""

    rows: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    displays: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)  # address of a resource -> its id
    others: Counter[str] = field(default_factory=Counter)  # resource types that have no table here
    notes: dict[str, Counter[str]] = field(default_factory=dict)
    ucum: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    medications: dict[str, Any] = field(default_factory=dict)  # address -> code of a Medication

    def note(self, table: str, what: str) -> None:
        """Counts something that a person should know."""
        self.notes.setdefault(table, Counter())[what] += 1


def gather(found: Iterable[Found]) -> Gathered:
    """Reads resources into columns.

    Raises
    ------
    DataError : a resource has no id where others refer to it, or two have one; names file and place.
    """
    out = Gathered()
    seen: set[tuple[str, str]] = set()
    for one in found:
        kind = one.resource["resourceType"]
        if kind == "Medication":
            _remember_medication(out, one)
        if kind not in BY_NAME:
            out.others[kind] += 1
            continue
        name = _id_of(one)
        if (kind, name) in seen:
            raise DataError(f"{one.file}, {one.place}: a second {kind} has the id of an earlier one. Keep one version of each resource.")
        seen.add((kind, name))
        for address in (f"{kind}/{name}", one.url):
            if address:
                out.addresses[f"{kind} {address}"] = name
        _read_resource(out, BY_NAME[kind], one, name)
    return out


def _id_of(one: Found) -> str:
    given = one.resource.get("id")
    if isinstance(given, str) and given:
        return given
    if one.url:
        return one.url.rsplit(":", 1)[-1].rsplit("/", 1)[-1]
    raise DataError(f"{one.file}, {one.place}: a {one.resource['resourceType']} has neither an id nor a fullUrl. Export it with ids.")


def _remember_medication(out: Gathered, one: Found) -> None:
    code = one.resource.get("code")
    for address in (f"Medication/{one.resource.get('id', '')}", one.url):
        out.medications[address] = code


def _read_resource(out: Gathered, resource: Resource, one: Found, name: str) -> None:
    table = out.rows.setdefault(resource.name, {element.column: [] for element in resource.elements})
    where = f"{one.file}, {one.place}, {resource.name}"
    for element in resource.elements:
        cell = name if element.column == "id" else _cell(out, resource, element, one.resource, where)
        table[element.column].append(cell)
    if resource.name == "Patient" and table["deceased"][-1] is None and table["deceased_at"][-1] is not None:
        table["deceased"][-1] = "true"
    part = PARTS.get(resource.name)
    items = one.resource.get(part.part, []) if part is not None else []
    if part is None or not isinstance(items, list):
        return
    for item in items:
        if isinstance(item, dict):
            inner = out.rows.setdefault(part.name, {element.column: [] for element in part.elements})
            for element in part.elements:
                cell = name if not element.path else _cell(out, part, element, item, where)
                inner[element.column].append(cell)


def _cell(out: Gathered, resource: Resource, element: Element, source: dict[str, Any], where: str) -> Any:
    for path in (element.path, *element.others):
        found, is_cut = _at(source, path)
        if is_cut:
            out.note(resource.name, f"{element.column}: only the first of several is kept")
        if found is None:
            continue
        if path and path[-1] == "medicationReference":
            found = _medication(source, found)
        cell = _read(out, resource, element, found, where)
        if cell is not None:
            if element.column in ("unit", "dose_unit"):
                holder, _ = _at(source, path[:-1])
                is_ucum = isinstance(holder, dict) and holder.get("system") == UCUM and holder.get("code") is not None
                out.ucum[resource.name, element.column, is_ucum and (holder or {}).get("code") == cell] += 1
            return cell
    return None


def _at(source: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
    """What stands at a path, None if nothing does; and whether a list on the way held more than one item."""
    is_cut = False
    for key in path:
        if not isinstance(source, dict):
            return None, is_cut
        if "=" in key:
            name, url = key.split("=", 1)
            items = source.get(name)
            source = next((i for i in items if isinstance(i, dict) and i.get("url") == url), None) if isinstance(items, list) else None
        elif key.endswith("[]"):
            items = source.get(key[:-2])
            if not isinstance(items, list) or not items:
                return None, is_cut
            is_cut |= len(items) > 1
            source = items[0]
        else:
            source = source.get(key)
    return source, is_cut


def _medication(source: dict[str, Any], reference: Any) -> Any:
    address = reference.get("reference", "") if isinstance(reference, dict) else ""
    if isinstance(address, str) and address.startswith("#"):
        inside = source.get("contained")
        for one in inside if isinstance(inside, list) else []:
            if isinstance(one, dict) and one.get("id") == address[1:]:
                return one.get("code")
    return {"_later": address} if address else None


def _read(out: Gathered, resource: Resource, element: Element, found: Any, where: str) -> Any:
    kind = element.type
    if isinstance(found, dict) and "_later" in found:
        return found
    if kind is Type.CONCEPT or kind is Type.CODING:
        return _code(out, resource, element, found)
    if kind is Type.REFERENCE:
        address = found.get("reference") if isinstance(found, dict) else None
        return address if isinstance(address, str) and address else None
    if kind is Type.NUMBER:
        if isinstance(found, bool) or not isinstance(found, int | Decimal):
            raise DataError(f"{where}: {element.column!r} is no number. Correct the resource.")
        return found
    if kind is Type.BOOLEAN:
        if not isinstance(found, bool):
            raise DataError(f"{where}: {element.column!r} is neither true nor false. Correct the resource.")
        return "true" if found else "false"
    if not isinstance(found, str) or not found:
        raise DataError(f"{where}: {element.column!r} is no text. Correct the resource.")
    if kind in (Type.DATE, Type.TIME) and not _TIME.match(found):
        raise DataError(f"{where}: {element.column!r} is no date or time of FHIR R4. Write it as 2026-11-26T08:30:00+01:00.")
    if element.values and found not in element.values:
        raise DataError(
            f"{where}: {element.column!r} holds a code that R4 does not know. Allowed are {', '.join(element.values)}."
        )
    return found


def _code(out: Gathered, resource: Resource, element: Element, found: Any) -> str | None:
    codings = found.get("coding") if element.type is Type.CONCEPT and isinstance(found, dict) else [found]
    usable = [c for c in codings if isinstance(c, dict) and _tidy(c.get("code"))] if isinstance(codings, list) else []
    if not usable:
        if isinstance(found, dict) and found.get("text"):
            out.note(resource.name, f"{element.column}: described in words only, which are free text and left out")
        return None
    if len(usable) > 1:
        out.note(resource.name, f"{element.column}: only the first of several codings is kept")
    first = usable[0]
    code = f"{first.get('system') or ''}|{_tidy(first['code'])}"
    display = first.get("display")
    if isinstance(display, str) and display:
        out.displays.setdefault(code, display)
    return None if code == UNKNOWN and element.without == UNKNOWN else code


def _tidy(code: Any) -> str:
    """A code with single blanks, as R4 wants it; empty where it is none."""
    return " ".join(code.split()) if isinstance(code, str) else ""


def dataset_of(out: Gathered, where: Path) -> Dataset:
    """The linked data set of what was gathered; columns that no resource fills are left out.

    Raises
    ------
    DataError : there is no patient, or a row refers to a patient who is not there.
    """
    if not out.rows.get("Patient", {}).get("id"):
        raise DataError(f"{where} holds no Patient, so nothing in it can be given to anybody. Export Patient resources, too.")
    _resolve(out, where)
    tables: dict[str, Table] = {}
    schemas: list[TableSchema] = []
    for resource in RESOURCES:
        cells = out.rows.get(resource.name)
        if not cells:
            continue
        schema, table = _table(resource, cells, out)
        tables[resource.name] = table
        schemas.append(schema)
    known = {schema.name: schema for schema in schemas}
    coding = _codings(tables, out.displays)
    if coding is not None:
        tables[CODING] = coding
        known[CODING] = _CODING
    return Dataset(tables, Schema(tuple(_with_keys(schema, known) for schema in known.values())))


_CODING = TableSchema(
    CODING,
    (
        Column("code", Kind.CODE, missing=(), source=Sources(kind=Source.DECLARED)),
        Column("display", Kind.TEXT, source=Sources(kind=Source.DECLARED)),
    ),
    form=Form.REFERENCE,
    primary_key=("code",),
    notes=("Every code that a resource holds, and what it means where a resource says so.",),
)


def _codings(tables: dict[str, Table], displays: dict[str, str]) -> Table | None:
    """The table of all codes that the columns of codes hold."""
    held = {
        str(code)
        for name, table in tables.items()
        for element in BY_NAME[name].elements
        if element.type.kind is Kind.CODE and element.column in table.frame
        for code in table.frame[element.column].cat.categories
    }
    if not held:
        return None
    codes = np.array(sorted(held), dtype=object)
    shown = [displays.get(code) for code in codes]
    mark = np.array([display is None for display in shown], dtype=np.int8)
    frame = pd.DataFrame({"code": categories(codes, _CODING["code"]), "display": pd.Series(shown, dtype=object)})
    return Table(frame, {"display": mark} if mark.any() else {})


def _resolve(out: Gathered, where: Path) -> None:
    """Puts ids in the place of addresses; a reference to what is not there becomes none, but everything has its patient."""
    for resource in RESOURCES:
        cells = out.rows.get(resource.name, {})
        for element in resource.elements:
            if element.type is not Type.REFERENCE or not element.path or element.column not in cells:
                continue
            known, lost = out.addresses, 0
            made: list[str | None] = []
            for address in cells[element.column]:
                name = None if address is None else _target(known, element.refers, address)
                lost += address is not None and name is None
                made.append(name)
            if Role.PATIENT_KEY in element.roles and None in made:
                raise DataError(
                    f"{where}: {resource.name} number {made.index(None) + 1} refers to no Patient of the source "
                    f"({made.count(None)} do not). Export the Patient resources with it, or take these out."
                )
            if lost:
                out.notes.setdefault(resource.name, Counter())[f"{element.column}: refers to what is not in the source"] += lost
            cells[element.column] = made
    requests = out.rows.get("MedicationRequest", {})
    for row, cell in enumerate(requests.get("medication", [])):
        if isinstance(cell, dict):
            code = out.medications.get(cell["_later"])
            resource = BY_NAME["MedicationRequest"]
            requests["medication"][row] = None if code is None else _code(out, resource, resource.element("medication"), code)


def _target(known: dict[str, str], kind: str, address: str) -> str | None:
    """The id that an address means: exact, or a URL that ends in "Type/id", maybe with a version behind it."""
    found = known.get(f"{kind} {address}")
    if found is not None:
        return found
    parts = address.split("/_history/")[0].split("/")
    return known.get(f"{kind} {'/'.join(parts[-2:])}") if len(parts) >= 2 else None


def _table(resource: Resource, cells: dict[str, list[Any]], out: Gathered) -> tuple[TableSchema, Table]:
    columns, frame, marks = [], {}, {}
    for element in resource.elements:
        values = cells[element.column]
        is_empty = np.array([value is None for value in values], dtype=bool)
        if is_empty.all() and not element.required:
            continue
        column = Column(
            element.column,
            element.type.kind,
            Storage.TEXT,
            roles=element.roles,
            missing=(EMPTY,) if is_empty.any() else (),
            by=element.by if element.by and any(v is not None for v in cells[element.by]) else None,
            source=Sources(kind=Source.DECLARED),
        )
        frame[element.column], column = _typed(values, column, element)
        if (resource.name, element.column, True) in out.ucum and not out.ucum[resource.name, element.column, False]:
            column = replace(column, code_system=UCUM)
        if is_empty.any():
            marks[element.column] = is_empty.astype(np.int8)
        columns.append(column)
    names = {column.name for column in columns}
    counts = out.notes.get(resource.name, Counter())
    start = next((name for name in resource.starts if name in names), None)
    end = resource.end if resource.end in names and start is not None else None
    schema = TableSchema(
        resource.name,
        tuple(column if column.by is None or column.by in names else replace(column, by=None) for column in columns),
        form=Form.EVENTS if resource.form is Form.INTERVALS and end is None else resource.form,
        primary_key=("id",) if "id" in names else (),
        start=start,
        end=end,
        notes=tuple(f"{what} ({n:,} times)." for what, n in sorted(counts.items())),
    )
    return schema, Table(pd.DataFrame(frame, index=pd.RangeIndex(len(next(iter(cells.values()))))), marks)


def _typed(values: list[Any], column: Column, element: Element) -> tuple[Any, Column]:
    if element.type is Type.NUMBER:
        exponents = [-int(v.as_tuple().exponent) for v in values if isinstance(v, Decimal)]
        decimals = min(max(exponents, default=0), 15)
        numbers = np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)
        return numbers, replace(column, storage=Storage.REAL if decimals > 0 else Storage.INTEGER, decimals=max(decimals, 0))
    if element.type in (Type.DATE, Type.TIME):
        return _times(values, column)
    texts = np.array(values, dtype=object)
    if column.kind.is_discrete:
        if column.kind is Kind.BOOLEAN:
            column = replace(column, levels=("false", "true"))
        return categories(texts, column), column
    return pd.Series(texts, dtype=object), column


def _times(values: list[Any], column: Column) -> tuple[Any, Column]:
    """Wall-clock times, datetime64[us]; a column of dates alone stays one."""
    texts: list[str] = []
    has_clock = has_fraction = False
    for value in values:
        match = None if value is None else _TIME.match(value)
        if match is None:
            texts.append("")
            continue
        year, month, day, hour, minute, second, fraction, _ = match.groups()
        has_clock |= hour is not None
        has_fraction |= bool(fraction) and float(fraction) > 0
        texts.append(
            f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{(fraction or '.0')[:7]}"
        )
    distinct = pd.Series(pd.unique(pd.Series(texts, dtype=object)), dtype=object)
    parsed = dict(zip(distinct, parse_times(distinct, EXACT_FORMAT).to_numpy(), strict=True))
    times = pd.Series(np.array([parsed[text] for text in texts], dtype="datetime64[us]"))
    if not has_clock:
        return times, replace(column, kind=Kind.DATE, time_format=DATE_FORMAT)
    return times, replace(column, kind=Kind.DATETIME, time_format=EXACT_FORMAT if has_fraction else TIME_FORMAT)


def _with_keys(schema: TableSchema, known: dict[str, TableSchema]) -> TableSchema:
    """The schema with its references to tables that are there, to patients first."""
    if schema.name == CODING:
        return schema
    resource = BY_NAME[schema.name]
    keys = [
        ForeignKey((element.column,), element.refers, ("id",))
        for element in resource.elements
        if element.type is Type.REFERENCE and element.refers in known and element.column in schema
    ]
    coded = [ForeignKey((column.name,), CODING, ("code",)) for column in schema if column.kind is Kind.CODE and CODING in known]
    return replace(schema, foreign_keys=(*keys, *coded))
