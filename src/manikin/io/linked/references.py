"""Finds which columns of linked tables refer to rows of other tables: by the values they share first, and by what they are called.

Names alone prove nothing and shared small numbers as little: a reference needs values that are included and a name that is alike, or
values that could not be shared by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from manikin.data.schema import Kind
from manikin.io.column_names import LABELS, ends_in_id, says_code, squeezed, word_set, words
from manikin.io.identifiers import ROW_NAMES, says_identifier
from manikin.io.linked.sheets import Cells, Sheet, singular

MIN_SHARE = 0.9  # of the rows with a cell, for a reference by name
MIN_SAME_NAME = 0.5  # where the names are the same and say key: the rest are orphans, counted and told
MIN_UNIQUE = 0.95  # where both columns are unique, so that either may be the parent
GENERIC = frozenset({"id", "key", "code", "uid", "uuid", "guid", "no", "nr", "number", "identifier"})
ENDS = ("id", "key", "code", "no", "nr", "number", "uid", "fk", "ref")
MIN_EMPTY = 0.9  # likeness of the name where no cell tells
SAME_GENERIC = 0.6
MIN_SURE = 20  # distinct values that must be shared where no name helps
MAX_DENSITY = 0.1  # of whole numbers among those between the least and the greatest, where no name helps


@dataclass(frozen=True)
class Reference:
    """Columns of one table that name rows of another.

    Attributes
    ----------
    likeness : 0 … 1, how far the names speak for it; 0 where only the values do.
    n_rows, n_orphans : rows of the child that name a parent, and those whose parent is in no table.
    is_unique : whether no two rows of the child name the same parent.
    """

    child: str
    columns: tuple[str, ...]
    parent: str
    references: tuple[str, ...]
    likeness: float
    n_rows: int
    n_orphans: int
    is_unique: bool

    @property
    def share(self) -> float:
        """The part of the rows whose parent is there, 0 … 1."""
        return 1.0 - self.n_orphans / self.n_rows if self.n_rows else 1.0


@dataclass(frozen=True, eq=False)
class _Home:
    sheet: Sheet
    column: str
    cells: Cells
    is_sure: bool


def find_references(sheets: Mapping[str, Sheet]) -> list[Reference]:
    """The single-column references between the tables, each column to at most one parent; none of them closes a circle."""
    homes = [home for sheet in sheets.values() for home in _homes(sheet)]
    order = list(sheets)
    homes.sort(key=lambda home: _rank(home.sheet, home.column, order))  # of equal offers the first is taken
    found = []
    for sheet in sheets.values():
        for name in sheet.columns:
            if sheet.may_be_key(name):
                offers = [offer for home in homes if (offer := _offer(sheet, name, home, sheets)) is not None]
                if offers:
                    found.append(max(offers, key=lambda offer: (offer.share >= MIN_SHARE, offer.likeness, offer.share)))
    return without_circles(found)


def _homes(sheet: Sheet) -> Iterator[_Home]:
    """The columns whose cells name the rows of a table."""
    for name, column in sheet.columns.items():
        if squeezed(name) in ROW_NAMES or LABELS.intersection(words(name)) or not sheet.may_be_key(name):
            continue
        cells = sheet.cells(name)
        if not cells.is_key:
            continue
        is_sure = _is_sure(cells)
        says = says_identifier(name) or says_code(name) or ends_in_key(name)
        if says or column.kind is Kind.CODE or (is_sure and column.kind is Kind.IDENTIFIER):
            yield _Home(sheet, name, cells, is_sure)


def ends_in_key(name: str) -> bool:
    """Whether the name ends as names of keys and codes do (itemid, wardid, drug_cd), however short it is."""
    text = squeezed(name)
    return ends_in_id(name) or (len(text) > 3 and text.endswith(("id", "key", "code", "cd")) and not text.endswith(("acid", "fluid")))


def _is_sure(cells: Cells) -> bool:
    """Whether values are such that another column would not hold them by chance."""
    if len(cells.index) < MIN_SURE:
        return False
    numbers = pd.to_numeric(pd.Series(cells.index), errors="coerce").to_numpy(dtype=float)
    if np.isnan(numbers).any():
        return min(map(len, cells.index[:1000])) >= 6
    return bool(len(numbers) <= MAX_DENSITY * (numbers.max() - numbers.min() + 1))


def _offer(sheet: Sheet, name: str, home: _Home, sheets: Mapping[str, Sheet]) -> Reference | None:
    is_own = sheet is home.sheet
    if is_own and name == home.column:
        return None
    if squeezed(name) in ROW_NAMES or LABELS.intersection(words(name)):
        return None
    like = likeness(name, home.sheet.name, home.column)
    cells = sheet.cells(name)
    if like == 0 and squeezed(name) == squeezed(home.column) and not cells.is_key:
        like = SAME_GENERIC  # `id` in two tables, each once in one of them
    if cells.n_present == 0 and like < MIN_EMPTY:
        return None
    if like == 0 and not (home.is_sure and _may_share(sheet, name, cells)):
        return None
    places = home.cells.index.get_indexer(cells.index)
    per_value = np.bincount(cells.places[cells.places >= 0], minlength=len(cells.index))
    n_orphans = int(per_value[places < 0].sum())
    found = Reference(
        sheet.name, (name,), home.sheet.name, (home.column,), like, cells.n_present, n_orphans, len(cells.index) == cells.n_present
    )
    if like == 0 and n_orphans:
        return None
    if found.is_unique and cells.is_key and not is_own and not _is_child(sheet, name, cells, home, sheets):
        return None
    if is_own and _names_itself(cells, home, places):
        return None
    least = MIN_UNIQUE if found.is_unique and like < 1 else MIN_SHARE if like < 1 or not says_identifier(name) else MIN_SAME_NAME
    return found if found.share >= least else None


def _may_share(sheet: Sheet, name: str, cells: Cells) -> bool:
    return len(cells.index) >= MIN_SURE and sheet.columns[name].kind in (Kind.IDENTIFIER, Kind.CATEGORICAL, Kind.COUNT, Kind.CODE)


def likeness(child: str, parent_table: str, parent: str) -> float:
    """How far a column's name says that it refers to a column of another table, 0 … 1.

    >>> likeness("hadm_id", "ADMISSIONS", "hadm_id"), likeness("ENCOUNTER", "encounters", "Id")
    (1.0, 0.95)
    >>> likeness("spec_itemid", "D_ITEMS", "itemid"), likeness("value", "D_ITEMS", "itemid")
    (0.8, 0.0)
    """
    name, key, table = squeezed(child), squeezed(parent), singular(parent_table)
    if key not in GENERIC:
        if name == key:
            return 1.0
        if any(name + end == key or key + end == name for end in ENDS):
            return 0.9
        if len(key) >= 4 and name.endswith(key):
            return 0.8
    if key in GENERIC or key.startswith(table):
        spellings = {table, table + key, *(table + end for end in ENDS)}
        if name in spellings or singular(child) in spellings:
            return 0.95
        if len(table) >= 4 and any(name.endswith(spelling) for spelling in spellings if spelling != table):
            return 0.75
    return 0.0


def _is_child(sheet: Sheet, name: str, cells: Cells, home: _Home, sheets: Mapping[str, Sheet]) -> bool:
    """Of two tables that both hold each value once: whether this one is the child. The parent holds
    more values, gives the child its name, or is the simpler one.
    """
    if len(cells.index) != len(home.cells.index):
        return len(cells.index) < len(home.cells.index)
    there, back = likeness(name, home.sheet.name, home.column), likeness(home.column, sheet.name, name)
    if there != back:
        return there > back
    order = list(sheets)
    mine, theirs = (_rank(s, c, order) for s, c in ((sheet, name), (home.sheet, home.column)))
    return theirs < mine


def _rank(sheet: Sheet, column: str, order: list[str]) -> tuple[bool, bool, int, int]:
    says_patient = bool(PATIENT_WORDS.intersection(sheet.words))
    keys = sum(sheet.may_be_key(name) and says_identifier(name) for name in sheet.columns)
    return (not says_patient, not squeezed(column).startswith(singular(sheet.name)), keys, order.index(sheet.name))


PATIENT_WORDS = word_set(
    "patient patients person persons people subject subjects participant participants beneficiary beneficiaries member "
    "members demographic demographics demography client clients"
)


def _names_itself(cells: Cells, home: _Home, places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
    """Whether rows of a table name themselves, as rows that head a group do: no reference to an earlier row."""
    theirs = np.append(places, -1)[cells.places]
    return bool((theirs >= 0).any() and (theirs == home.cells.places).any())


def without_circles(found: Iterable[Reference]) -> list[Reference]:
    """The references, less those which would close a circle; of each circle the weakest goes."""
    kept: list[Reference] = []
    for reference in sorted(found, key=lambda r: (-r.likeness, -r.share)):
        if reference.child == reference.parent or not _leads(kept, reference.parent, reference.child):
            kept.append(reference)
    return kept


def _leads(references: list[Reference], start: str, end: str) -> bool:
    """Whether references lead from one table to another."""
    seen, waiting = {start}, [start]
    while waiting:
        table = waiting.pop()
        if table == end:
            return True
        ahead = {r.parent for r in references if r.child == table} - seen
        seen |= ahead
        waiting.extend(ahead)
    return False


def in_pairs(sheet: Sheet, key: str, name: str) -> Cells:
    """The cells of two columns taken together; empty where either is."""
    first, second = sheet.cells(key), sheet.cells(name)
    both = (first.places >= 0) & (second.places >= 0)
    together = np.where(both, first.places * (len(second.index) + 1) + second.places, -1)
    codes, values = pd.factorize(together[both])
    places = np.full(sheet.n_rows, -1, dtype=np.int64)
    places[both] = codes
    left = first.index.to_numpy()[values // (len(second.index) + 1)]
    right = second.index.to_numpy()[values % (len(second.index) + 1)]
    return Cells(pd.MultiIndex.from_arrays([left, right]), places, int(both.sum()), sheet.n_rows)


def find_pairs(sheets: Mapping[str, Sheet], keys: Mapping[str, str], known: Iterable[Reference]) -> list[Reference]:
    """References by two columns: the patient key together with a number that is unique within a patient only (subject, stay).

    Parameters
    ----------
    keys : the column of the patient key by table. known : references found already; a column that has a parent gets no other.
    """
    taken = {(r.child, r.columns[0]) for r in known}
    homes = [home for sheet in sheets.values() if sheet.name in keys for home in _pair_homes(sheet, keys[sheet.name])]
    found = []
    for sheet in sheets.values() if homes else ():
        for name in _numbers(sheet) if sheet.name in keys else ():
            if name != keys[sheet.name] and (sheet.name, name) not in taken:
                offers = [offer for home in homes if (offer := _pair_offer(sheet, name, home, keys, sheets)) is not None]
                if offers:
                    found.append(max(offers, key=lambda offer: (offer.likeness, offer.share)))
    both = list(known)
    return [r for r in without_circles([*both, *found]) if r not in both]


def _pair_homes(sheet: Sheet, key: str) -> Iterator[_Home]:
    """The columns that name a table's rows together with the patient key, where no column does so alone."""
    numbers = [name for name in _numbers(sheet) if squeezed(name) not in ROW_NAMES and not COUNTING.issuperset(words(name))]
    if any(sheet.cells(name).is_key for name in numbers):
        return
    for name in numbers:
        if name != key:
            cells = in_pairs(sheet, key, name)
            if cells.is_key:
                yield _Home(sheet, name, cells, is_sure=False)


def _pair_offer(
    sheet: Sheet, name: str, home: _Home, keys: Mapping[str, str], sheets: Mapping[str, Sheet]
) -> Reference | None:
    like = likeness(name, home.sheet.name, home.column)
    if home.sheet is sheet or like < 0.9 or squeezed(name) in GENERIC:
        return None
    cells = in_pairs(sheet, keys[sheet.name], name)
    places = home.cells.index.get_indexer(cells.index)
    per_value = np.bincount(cells.places[cells.places >= 0], minlength=len(cells.index))
    is_unique = len(cells.index) == cells.n_present
    if is_unique and cells.is_key and not _is_child(sheet, name, cells, home, sheets):
        return None
    columns, references = (keys[sheet.name], name), (keys[home.sheet.name], home.column)
    n_orphans = int(per_value[places < 0].sum())
    found = Reference(sheet.name, columns, home.sheet.name, references, like, cells.n_present, n_orphans, is_unique)
    return found if found.share >= MIN_SHARE else None


def _numbers(sheet: Sheet) -> list[str]:
    """The columns that number things."""
    return [name for name in sheet.columns if sheet.may_be_key(name) and _says_number(name)]


def _says_number(name: str) -> bool:
    return says_identifier(name) or ends_in_key(name) or bool(NUMBERING.intersection(words(name)[-1:]))


COUNTING = word_set("num number no nr nbr seq sequence id index order line rank")  # a number within anything says not of what
NUMBERING = word_set("num number no nr nbr seq sequence visit stay encounter admission episode")
