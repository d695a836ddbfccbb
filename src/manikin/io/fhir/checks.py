"""Our own checks of FHIR R4 resources: what the standard demands of the elements that are written here. Knows resources, no tables.

Source: HL7 FHIR Release 4 (v4.0.1), https://hl7.org/fhir/R4/datatypes.html (patterns of primitive types) and the pages of the resources
(cardinalities, required bindings, the invariants con-3, con-4, con-5, obs-6, obs-7, per-1). A problem never holds a value.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.io.fhir.elements import BY_NAME, PARTS, Element, Resource, Type

_ID = re.compile(r"^[A-Za-z0-9\-.]{1,64}$")
_IDS = re.compile(r"(?:[A-Za-z0-9\-.]{1,64}\n)*")
_CODE = re.compile(r"^[^\s]+(\s[^\s]+)*$")
_DATE = re.compile(r"^([0-9]{4})(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$")
_DATETIME = re.compile(
    r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?$"
)
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_VERIFICATIONS = {"unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"}
_CLINICALS = {"active", "recurrence", "relapse", "inactive", "remission", "resolved"}
_CHOICES = ("value", "deceased", "onset", "abatement", "effective", "performed", "medication")
_CHOICE = re.compile(rf"({'|'.join(_CHOICES)})[A-Z]")


def problems_of(resource: dict[str, Any]) -> list[str]:
    """What R4 forbids in a resource, one sentence each; empty where it holds.

    >>> problems_of({"resourceType": "Procedure", "id": "a", "status": "done", "subject": {"reference": "Patient/1"}})
    ['status is not one of the codes that R4 allows.']
    """
    kind = resource.get("resourceType")
    known = BY_NAME.get(str(kind))
    if known is None or known.part_of:
        return ["The type of the resource is not one of those that are checked here."]
    found = []
    if not isinstance(resource.get("id"), str) or not _ID.match(resource["id"]):
        found.append("id must be 1 to 64 letters, digits, hyphens or points.")
    found += _of_elements(known, resource)
    part = PARTS.get(known.name)
    if part is not None:
        for item in resource.get(part.part, []):
            found += [f"{part.part}: {problem}" for problem in _of_elements(part, item)]
    return found + [problem for check in _INVARIANTS.get(known.name, ()) for problem in check(resource)]


def _of_elements(known: Resource, resource: dict[str, Any]) -> list[str]:
    found = []
    forms = Counter(is_choice[1] for key in resource if (is_choice := _CHOICE.match(key)))
    if len(forms) < forms.total():
        found += [f"{name}[x] is written in {forms[name]} forms; R4 allows one." for name in _CHOICES if forms[name] > 1]
    for element, name, paths in _looked_at(known.name):
        values = [value for path, first in paths if first in resource for value in _all_at(resource, path)]
        if element.required and not values:
            found.append(f"{name} is required.")
        found += [problem for value in values for problem in _of_value(element, name, value)]
    return found


@lru_cache(maxsize=64)
def _looked_at(name: str) -> tuple[tuple[Element, str, tuple[tuple[tuple[str, ...], str], ...]], ...]:
    """The checked elements of a resource or of a part of one: their names, and where their values may lie, with each path's first key."""
    out = []
    for element in BY_NAME[name].elements:
        if element.column == "id" or not element.path:
            continue
        paths = (element.path, *element.others)
        if element.column == "medication":
            paths = (("medicationCodeableConcept",), ("medicationReference",))
        out.append((element, element.path[0].removesuffix("[]"), tuple((path, _steps(path)[0][0]) for path in paths)))
    return tuple(out)


def _all_at(source: Any, path: tuple[str, ...]) -> list[Any]:
    """All values at a path, through every item of lists; an element of the wrong shape is itself a value."""
    here = [source]
    for name, url, is_list in _steps(path):
        there: list[Any] = []
        for one in here:
            if not isinstance(one, dict) or name not in one:
                continue
            value = one[name]
            if url:
                there += [item for item in value if isinstance(item, dict) and item.get("url") == url] if isinstance(value, list) else []
            elif is_list:
                there += value if isinstance(value, list) else [Misshapen("a list")]
            else:
                there.append(Misshapen("no list") if isinstance(value, list) else value)
        here = there
    return here


@lru_cache(maxsize=1024)
def _steps(path: tuple[str, ...]) -> tuple[tuple[str, str, bool], ...]:
    """The name of each step of a path, the address of the extension that it asks for, and whether it is a list."""
    parts = [key.partition("=") for key in path]
    return tuple((name.removesuffix("[]"), url, not url and name.endswith("[]")) for name, _, url in parts)


class Misshapen(str):
    """Stands where an element is a list and must not be, or the other way round; its text says what it must be."""


def _of_value(element: Element, name: str, value: Any) -> list[str]:
    if isinstance(value, Misshapen):
        return [f"{name} must be {value}."]
    check = _TYPES[element.type]
    problem = check(value)
    if problem:
        return [f"{name} {problem}."]
    if element.values and value not in element.values:
        return [f"{name} is not one of the codes that R4 allows."]
    return []


def _text(pattern: re.Pattern[str], words: str) -> Callable[[Any], str]:
    return lambda value: "" if isinstance(value, str) and pattern.match(value) else words


def _coding(value: Any) -> str:
    if not isinstance(value, dict) or not isinstance(value.get("code"), str) or not _CODE.match(value["code"]):
        return "must be a coding with a code"
    system = value.get("system")
    return "" if system is None or (isinstance(system, str) and system and " " not in system) else "has a system that is no address"


def _concept(value: Any) -> str:
    if not isinstance(value, dict):
        return "must be a CodeableConcept"
    if "coding" in value:
        codings = value["coding"]
        return next((p for c in codings if (p := _coding(c))), "") if isinstance(codings, list) else "must list its codings"
    return "" if isinstance(value.get("text"), str) or "reference" in value else "has neither codings nor a text"


def _reference(value: Any) -> str:
    is_right = isinstance(value, dict) and (isinstance(value.get("reference"), str) or "identifier" in value or "display" in value)
    return "" if is_right else "must be a reference"


def _number(value: Any) -> str:
    return "" if not isinstance(value, bool | str) and value is not None and value == value else "must be a number"


_TYPES: dict[Type, Callable[[Any], str]] = {
    Type.CODE: _text(_CODE, "must be a code without blanks at its ends"),
    Type.TEXT: _text(re.compile(r"\S"), "must be a text"),
    Type.DATE: _text(_DATE, "must be a date such as 2026-11-26"),
    Type.TIME: _text(_DATETIME, "must be a date, or a time with its offset, such as 2026-11-26T08:30:00+01:00"),
    Type.BOOLEAN: lambda value: "" if isinstance(value, bool) else "must be true or false",
    Type.NUMBER: _number,
    Type.CODING: _coding,
    Type.CONCEPT: _concept,
    Type.REFERENCE: _reference,
}


def are_sound(element: Element, cells: list[Any]) -> npt.NDArray[np.bool_]:
    """Whether each cell is none or what R4 asks of an id, a time or a number, bool (n,); `problems_of` says what else is wrong."""
    if element.type in (Type.ID, Type.REFERENCE):
        told = [cell for cell in cells if cell is not None]
        text = "".join([f"{cell}\n" for cell in told])
        if text.count("\n") == len(told) and _IDS.fullmatch(text):
            return np.ones(len(cells), dtype=bool)
    known: dict[Any, bool] = {None: True}
    for cell in set(cells) - {None}:
        if element.type in (Type.ID, Type.REFERENCE):
            known[cell] = isinstance(cell, str) and bool(_ID.match(cell))
        elif element.type is Type.NUMBER:
            known[cell] = math.isfinite(cell)
        else:
            known[cell] = not _TYPES[element.type](cell)
    return np.fromiter((known[cell] for cell in cells), bool, len(cells))


def has_sound_times(elements: list[Element], cells: dict[str, list[Any]], n: int) -> npt.NDArray[np.bool_]:
    """For each of `n` rows, whether no period of these elements ends before it starts, bool (n,)."""
    out = np.ones(n, dtype=bool)
    ends = {element.path[0]: element.column for element in elements if element.path[1:] == ("end",)}
    for element in elements:
        if element.path[1:] == ("start",) and element.path[0] in ends:
            for row, (start, end) in enumerate(zip(cells[element.column], cells[ends[element.path[0]]], strict=True)):
                if start is not None and end is not None and start > end:
                    out[row] &= not problems_of_times({element.path[0]: {"start": start, "end": end}})
    return out


def _codes(resource: dict[str, Any], element: str, system: str) -> list[str]:
    concept = resource.get(element)
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return [str(c.get("code")) for c in codings if isinstance(c, dict) and c.get("system") == system]


def _condition(resource: dict[str, Any]) -> list[str]:
    clinical, verified = _codes(resource, "clinicalStatus", CLINICAL), _codes(resource, "verificationStatus", VERIFIED)
    found = []
    if set(clinical) - _CLINICALS:
        found.append("clinicalStatus is not one of the codes that R4 allows.")
    if set(verified) - _VERIFICATIONS:
        found.append("verificationStatus is not one of the codes that R4 allows.")
    if any(key.startswith("abatement") for key in resource) and set(clinical) & {"active", "recurrence", "relapse"}:
        found.append("A condition that has abated must be inactive, resolved or in remission (con-4).")
    if "entered-in-error" in verified and clinical:
        found.append("A condition entered in error has no clinicalStatus (con-5).")
    is_problem = "problem-list-item" in _codes_of_list(resource, "category")
    if is_problem and not clinical and "entered-in-error" not in verified:
        found.append("A condition of the problem list needs a clinicalStatus (con-3).")
    return found


def _codes_of_list(resource: dict[str, Any], element: str) -> list[str]:
    concepts = resource.get(element, [])
    return [
        str(c.get("code"))
        for concept in (concepts if isinstance(concepts, list) else [])
        if isinstance(concept, dict)
        for c in concept.get("coding", [])
        if isinstance(c, dict)
    ]


def _observation(resource: dict[str, Any]) -> list[str]:
    found = []
    has_value = any(key.startswith("value") and "A" <= key[5:6] <= "Z" for key in resource)
    if has_value and "dataAbsentReason" in resource:
        found.append("dataAbsentReason stands only where there is no value (obs-6).")
    codes = {(c.get("system"), c.get("code")) for c in resource.get("code", {}).get("coding", []) if isinstance(c, dict)}
    for item in resource.get("component", []):
        inner = {(c.get("system"), c.get("code")) for c in item.get("code", {}).get("coding", []) if isinstance(c, dict)}
        if has_value and codes & inner:
            found.append("A component has the code of its observation, which has a value, too (obs-7).")
    return found


def problems_of_times(resource: dict[str, Any]) -> list[str]:
    """What R4 forbids of the times of a resource beside one another: the only problems that hang on a time that is one."""
    found = []
    for element in ("period", "performedPeriod", "onsetPeriod", "effectivePeriod"):
        period = resource.get(element)
        if isinstance(period, dict) and isinstance(period.get("start"), str) and isinstance(period.get("end"), str):
            n = min(len(period["start"]), len(period["end"]), 19)
            if period["start"][:n] > period["end"][:n] and period["start"][19:] == period["end"][19:]:
                found.append(f"{element} ends before it starts (per-1).")
    return found


_INVARIANTS: dict[str, tuple[Callable[[dict[str, Any]], list[str]], ...]] = {
    "Condition": (_condition,),
    "Observation": (_observation, problems_of_times),
    "Encounter": (problems_of_times,),
    "Procedure": (problems_of_times,),
}
