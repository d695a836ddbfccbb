"""What a user asks for in words on the command line, turned into values: durations, conditions, names. Knows no typer."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from manikin.data.errors import ParameterError
from manikin.data.schema import TableSchema

NEARLY_AS_LIKE = 0.1
_PARTS = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str) -> float:
    """Seconds in "90s", "10m", "1h30m" or "90".

    >>> parse_duration("1h30m")
    5400.0

    Raises
    ------
    ParameterError : when the text is no duration, or is not above 0.
    """
    found = _PARTS.fullmatch(text.strip().lower())
    hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    total = hours * 3600 + minutes * 60 + seconds
    if not total > 0:
        raise ParameterError(f"A time budget is written like 90s, 10m or 1h30m and is above 0. Got {text!r} instead.")
    return total


def parse_where(texts: Iterable[str]) -> dict[str, str]:
    """Conditions from "COL=VALUE" texts. A column may be named once.

    >>> parse_where(["sex=F", "icu=yes"])
    {'sex': 'F', 'icu': 'yes'}
    """
    return _named(texts, "A condition is written COL=VALUE, for example --where sex=F.", "--where")


def parse_set(texts: Iterable[str]) -> dict[str, str]:
    """What is held while patients are continued, from "COL=VALUE" texts. A column may be named once."""
    return _named(texts, "What is held is written COL=VALUE, for example --set unit=ICU.", "--set")


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Hyperparameters from "NAME=VALUE" texts: numbers, true, false, null and lists as JSON writes them, all else as text.

    >>> parse_settings(["epochs=100", "critic=[64, 64]", "missing=impute", "columns=sex,age"])
    {'epochs': 100, 'critic': [64, 64], 'missing': 'impute', 'columns': 'sex,age'}

    Raises
    ------
    ParameterError : a text is no NAME=VALUE, or a name comes twice.
    """
    named = _named(texts, "A hyperparameter is written NAME=VALUE, for example --set epochs=100.", "--set")
    settings: dict[str, Any] = {}
    for name, value in named.items():
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def _named(texts: Iterable[str], how: str, option: str) -> dict[str, str]:
    """What stands behind the first "=" of each text, by what stands before it; a name may come once."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ParameterError(f"{how} Got {text!r} instead.")
        if name in found:
            raise ParameterError(f"{name!r} is named by two {option} options. Name it once.")
        found[name] = value
    return found


def check_columns(names: Iterable[str], schema: TableSchema, option: str) -> list[str]:
    """The names, when all are columns of the table.

    Raises
    ------
    ParameterError : names the unknown column and those that are spelled like it.
    """
    wanted = list(names)
    for name in wanted:
        if name not in schema:
            raise ParameterError(f"{option} names {name!r}, which is no column of the table. {candidates(name, schema.names)}")
    return wanted


def candidates(name: str, known: Sequence[str]) -> str:
    """A sentence that offers what the user may have meant.

    >>> candidates("aeg", ["age", "sex"])
    "Did you mean 'age'?"
    """
    likeness = {item: difflib.SequenceMatcher(None, name.lower(), item.lower()).ratio() for item in known}
    enough = max(0.5, max(likeness.values(), default=0.0) - NEARLY_AS_LIKE)
    near = sorted((item for item in known if likeness[item] >= enough), key=lambda item: -likeness[item])[:3]
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(map(repr, known[:12]))
    return f"Choose one of {shown}{f' (and {len(known) - 12} more)' if len(known) > 12 else ''}."
