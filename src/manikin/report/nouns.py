"""What a row is called on the page: a patient where whole patients are judged, an image where images are. Knows no figure.

Chapters that serve all kinds of data say "rows". Of linked patients a row of theirs is one whole patient, of images one image with its
labels, and each sentence says so; chapters that speak of rows of tables keep them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from manikin.evaluation.base import Results
from manikin.report import images_wording, records_wording
from manikin.report.blocks import Chapter

OF_TABLES: Mapping[str, frozenset[str]] = {  # chapters in which a row is a row of a table
    "patients": frozenset({"histories", "validity"}),
    "images": frozenset({"images"}),
}
NO_RECORD = "A synthetic table was made"  # all that is known without a record of the run
DRAWN = frozenset({"svg", "png"})  # fields that are drawings
_ADJECTIVES = "synthetic|real|training|train|holdout|held-out|released|unseen|few|fewer|all|other|another|some|these|alike|one|made-up"
_PHRASE = re.compile(rf"\b({_ADJECTIVES})(\s+)(rows?)\b(?! in \d| a patient)", re.IGNORECASE)
_COUNTED = re.compile(r"(\d\s+)(rows?)(?= (?:learned from|set aside|synthetic)\b)")
_BY_ITSELF = re.compile(r"\b(the )(rows)(?= (?:are too few|or the evidence|were made|falls? where|differ most)\b)")
_ANY = re.compile(r"\brows?\b", re.IGNORECASE)
_OF_ROWS = re.compile(r"\bpatients with a positive row\b", re.IGNORECASE)
_FIRST = re.compile(r"^(Rows)(?= (?:nearer|that are as close|that repeat|set aside|beyond)\b)")


def noun_of(results: Results) -> str:
    """What is judged, in the plural: "rows", "patients" or "images"."""
    if records_wording.is_of_patients(results):
        return "patients"
    return "images" if images_wording.is_of_images(results) else "rows"


def worded(text: str, noun: str) -> str:
    """A text in which rows are called what they are.

    >>> worded("208 synthetic rows; a real row beside 3,507 rows in 3 tables.", "patients")
    '208 synthetic patients; a real patient beside 3,507 rows in 3 tables.'
    """
    if noun == "rows":
        return text
    text = text.replace(NO_RECORD, f"Synthetic {noun} were made")
    if "row" not in text.lower():
        return text

    def named(found: re.Match[str]) -> str:
        """The phrase with its noun exchanged."""
        whole, row = found.group(), found.groups()[-1]
        return whole[: -len(row)] + _like(row, noun)

    for pattern in (_PHRASE, _COUNTED, _BY_ITSELF, _FIRST):
        text = pattern.sub(named, text)
    return text


def named_after(chapter: Chapter, noun: str) -> Chapter:
    """A chapter in which rows are called what they are."""
    if noun == "rows" or chapter.anchor in OF_TABLES[noun]:
        return chapter
    made: Chapter = _renamed(chapter, noun)
    return made


def named_throughout(chapter: Chapter, noun: str) -> Chapter:
    """A chapter in which every row is one of those that are judged, each called what it is."""
    if noun == "rows":
        return chapter
    made: Chapter = _renamed(chapter, noun, throughout)
    return made


def throughout(text: str, noun: str) -> str:
    """A text in which every row is called what it is.

    >>> throughout("Patients with a positive row are spread evenly; a row is flagged, tuning rows are real.", "patients")
    'Positive patients are spread evenly; a patient is flagged, tuning patients are real.'
    """
    if noun == "rows":
        return text
    text = _OF_ROWS.sub(lambda found: "Positive patients" if found.group()[0] == "P" else "positive patients", text)
    return _ANY.sub(lambda found: _like(found.group(), noun), text)


def _like(row: str, noun: str) -> str:
    """The noun in the number and the case of a word: "Rows" gives "Patients"."""
    plain = noun if row.endswith("s") else noun[:-1]
    return plain.capitalize() if row[0].isupper() else plain


def _renamed(value: Any, noun: str, said: Callable[[str, str], str] = worded) -> Any:
    if type(value) is str:
        return said(value, noun)
    if isinstance(value, tuple):
        return tuple(_renamed(one, noun, said) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        texts = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in DRAWN and one.name != "anchor"}
        return replace(value, **{name: _renamed(part, noun, said) for name, part in texts.items()})
    return value
