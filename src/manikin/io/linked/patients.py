"""Finds who the patients of linked tables are: the key that most tables share, and the table that lists them. Knows no forms, no times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from manikin.io.column_names import squeezed, words
from manikin.io.identifiers import ENCOUNTER_WORDS, KEY_NAMES, ROW_NAMES, says_identifier
from manikin.io.linked.references import GENERIC, PATIENT_WORDS, Reference
from manikin.io.linked.sheets import Sheet


@dataclass(frozen=True)
class Family:
    """Columns of several tables that hold the same key.

    Attributes
    ----------
    home : the table in which each value stands once, and its column; None where no table lists the values.
    members : the columns by table, those of the home included.
    """

    home: tuple[str, str] | None
    members: dict[str, list[str]] = field(default_factory=dict)

    def add(self, table: str, column: str) -> None:
        """Takes a column in."""
        columns = self.members.setdefault(table, [])
        if column not in columns:
            columns.append(column)


@dataclass(frozen=True)
class Patients:
    """The patient key of each table that has one, and the table that lists the patients."""

    keys: Mapping[str, str]
    root: str | None


def find_patients(sheets: Mapping[str, Sheet], references: Sequence[Reference]) -> Patients:
    """The patient key: named so first, then shared by most tables, then the one of which a table holds the fewest values.

    Returns
    -------
    no keys where nothing says who the patients are.
    """
    families = _families(sheets, references)
    if not families:
        return Patients({}, None)
    best = max(families, key=lambda family: _weight(family, sheets))
    names = {squeezed(column) for columns in best.members.values() for column in columns}
    is_alone = len(sheets) == 1 and bool(names & KEY_NAMES)  # one table of rows with an `id`
    if not _is_named(best, sheets) and len(best.members) < 2 and not is_alone:
        return Patients({}, None)
    keys = {table: _plainest(columns, best) for table, columns in best.members.items()}
    return Patients(keys, best.home[0] if best.home else None)


def _families(sheets: Mapping[str, Sheet], references: Sequence[Reference]) -> list[Family]:
    by_home: dict[tuple[str, str], Family] = {}
    taken: set[tuple[str, str]] = set()
    for sheet in sheets.values():
        for name in sheet.columns:
            text = squeezed(name)
            if text in ROW_NAMES or not (says_identifier(name) and sheet.may_be_key(name)) or sheet.is_called_vocabulary:
                continue
            if sheet.cells(name).is_key:
                by_home[sheet.name, name] = Family((sheet.name, name), {sheet.name: [name]})
    for reference in references:
        home = (reference.parent, reference.references[0])
        if home not in by_home and not sheets[reference.parent].is_called_vocabulary:
            by_home[home] = Family(home, {home[0]: [home[1]]})
        if home in by_home:
            by_home[home].add(reference.child, reference.columns[0])
            taken.add((reference.child, reference.columns[0]))
    # a unique column that refers to another table's is that table's key
    families = {home: family for home, family in by_home.items() if home not in taken}
    by_name: dict[str, Family] = {}
    for sheet in sheets.values():
        for name in sheet.columns:
            text, place = squeezed(name), (sheet.name, name)
            if place in taken or place in families or not _may_say_patient(sheet, name):
                continue
            alike = next((f for f in families.values() if f.home and squeezed(f.home[1]) == text and text not in GENERIC), None)
            (alike or by_name.setdefault(text, Family(None))).add(sheet.name, name)
    return [*families.values(), *by_name.values()]


def _may_say_patient(sheet: Sheet, name: str) -> bool:
    text = squeezed(name)
    if text in ROW_NAMES or sheet.is_called_vocabulary:
        return False
    is_empty = sheet.n_rows == 0
    return text in KEY_NAMES if is_empty else says_identifier(name) and sheet.may_be_key(name) and not sheet.cells(name).is_key


def _weight(family: Family, sheets: Mapping[str, Sheet]) -> tuple[bool, int, bool, float]:
    sizes = [len(sheets[table].cells(column).index) for table, columns in family.members.items() for column in columns]
    return (_is_named(family, sheets), len(family.members), family.home is not None, -float(np.mean(sizes)))


def _is_named(family: Family, sheets: Mapping[str, Sheet]) -> bool:
    names = {column for columns in family.members.values() for column in columns}
    if any(_says_patient(name) for name in names):
        return True
    if not {squeezed(name) for name in names} & {"id", "recordid", "caseid"}:
        return False
    if family.home is None:
        return all(not ENCOUNTER_WORDS.intersection(sheets[table].words) for table in family.members)
    home = sheets[family.home[0]]
    return bool(PATIENT_WORDS.intersection(home.words)) or "recordid" in {squeezed(name) for name in names}


def _says_patient(name: str) -> bool:
    text = squeezed(name)
    return text in KEY_NAMES - {"id", "recordid", "caseid"} and not ENCOUNTER_WORDS.intersection(words(name))


def _plainest(columns: list[str], family: Family) -> str:
    """Of several columns of a table that name patients (the patient, her mother), the one that is the patient."""
    home = squeezed(family.home[1]) if family.home else ""
    return min(columns, key=lambda name: (not _says_patient(name), squeezed(name) != home, columns.index(name)))
