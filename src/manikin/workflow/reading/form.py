"""What readers are asked. Knows no image and no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manikin.data.errors import ParameterError

ROLES = ("radiologist", "resident", "other physician", "radiographer", "scientist", "other")
MOST_CHOICES = 12
MOST_TEXT = 500  # characters of a comment
LONGEST_NAME = 40
MOST_YEARS = 70


@dataclass(frozen=True)
class Choice:
    """One answer: what is stored, what the button says, and its key."""

    value: str
    text: str
    key: str


@dataclass(frozen=True)
class Form:
    """The questions on each image.

    Attributes
    ----------
    title, question, intro : texts of the page. choices : the answers, of which one is given.
    has_confidence : whether the reader may say how sure she is, 1 to 5. reasons : what may be ticked; empty for no such list.
    """

    title: str
    question: str
    intro: tuple[str, ...]
    choices: tuple[Choice, ...]
    has_confidence: bool = True
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= len(self.choices) <= MOST_CHOICES:
            raise ParameterError(
                f"Readers choose between 2 and {MOST_CHOICES} answers, and there are {len(self.choices)}. Name a column with fewer labels."
            )

    @property
    def values(self) -> tuple[str, ...]:
        """The answers as they are stored."""
        return tuple(choice.value for choice in self.choices)

    def to_json(self) -> dict[str, Any]:
        """What the page needs: nothing of any image."""
        return {
            "title": self.title,
            "question": self.question,
            "intro": list(self.intro),
            "choices": [{"value": one.value, "text": one.text, "key": one.key} for one in self.choices],
            "confidence": self.has_confidence,
            "reasons": list(self.reasons),
            "roles": list(ROLES),
        }


@dataclass(frozen=True)
class Person:
    """A reader: a pseudonym of her own choice, a role and years of experience (None where not told). Nothing else is asked."""

    name: str
    role: str
    years: float | None

    @staticmethod
    def of(given: Mapping[str, Any]) -> Person:
        """Checks what a page sent.

        Raises
        ------
        ParameterError : with the reason, in words for the reader.
        """
        name = str(given.get("name") or "").strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise ParameterError(f"A pseudonym has 1 to {LONGEST_NAME} printable characters. Choose another one.")
        role = str(given.get("role") or "other")
        if role not in ROLES:
            raise ParameterError(f"The role must be one of {', '.join(ROLES)}. Choose one.")
        years = given.get("years")
        if years in (None, ""):
            return Person(name, role, None)
        if isinstance(years, bool) or not isinstance(years, int | float) or not 0 <= years <= MOST_YEARS:
            raise ParameterError(f"Years of experience are a number from 0 to {MOST_YEARS}, or left empty.")
        return Person(name, role, float(years))


def details(form: Form, given: Mapping[str, Any]) -> dict[str, Any]:
    """Confidence, reasons and comment, checked; what is not given is left out.

    Raises
    ------
    ParameterError : with the reason.
    """
    made: dict[str, Any] = {}
    confidence = given.get("confidence")
    if confidence is not None:
        if isinstance(confidence, bool) or confidence not in (1, 2, 3, 4, 5) or not form.has_confidence:
            raise ParameterError("Confidence is a whole number from 1 to 5.")
        made["confidence"] = int(confidence)
    reasons = given.get("reasons") or []
    if not isinstance(reasons, list) or not all(isinstance(one, str) and one in form.reasons for one in reasons):
        raise ParameterError("Reasons must be of the list.")
    if reasons:
        made["reasons"] = sorted(set(reasons), key=form.reasons.index)
    comment = given.get("comment") or ""
    if not isinstance(comment, str) or len(comment) > MOST_TEXT:
        raise ParameterError(f"A comment has at most {MOST_TEXT} characters.")
    comment = " ".join("".join(c if c.isprintable() else " " for c in comment).split())
    if comment:
        made["comment"] = comment
    return made
