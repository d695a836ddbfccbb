"""Wanted shares of classes and groups, out of words: "equal", yes=0.4,no=0.6, sex:F=0.5, or a mapping. Knows no number of rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from manikin.data.errors import ParameterError
from manikin.workflow.proportions import Cells, Proportions

EQUAL = "equal"
SUM_SLACK = 1e-6  # how far from 1 the proportions of one column may add up
MOST_NAMED = 12

Called = Mapping[str, str]
NO_OTHER: Called = MappingProxyType({})
To = str | Sequence[str] | Mapping[str, float] | Proportions


def is_equal(to: To) -> bool:
    """Whether every cell is to be as large as the others."""
    return isinstance(to, str) and to.strip().lower() == EQUAL


def parse_to(to: To, cells: Cells, target: str | None, called: Called = NO_OTHER) -> Proportions | None:
    """The wanted shares of levels, by column; None for equal cells.

    Parameters
    ----------
    to : "equal"; a text such as "yes=0.4,no=0.6" or "sex:F=0.5"; several of them; or level -> share, or column -> level -> share.
    called : other names that columns may be called by, such as "sex" -> "patients.sex" in linked tables.

    Raises
    ------
    ParameterError : a text is no proportion, a level is unknown or rare, a column is none of the cells', or shares do not add up to 1.
    """
    if is_equal(to):
        return None
    default = target if target in cells.names else cells.names[0] if len(cells.names) == 1 else None
    shares: dict[str, dict[str, float]] = {}
    for column, level, share in _asked(to, cells, default, called):
        own = shares.setdefault(column, {})
        if level in own:
            raise ParameterError(f"--to names one level of {column!r} twice. Name it once.")
        own[level] = share
    for column, own in shares.items():
        total = math.fsum(own.values())
        if abs(total - 1) > SUM_SLACK:
            raise ParameterError(f"The proportions of {column!r} in --to add up to {total:g}; they must add up to 1.")
    if not shares:
        raise ParameterError("--to is empty. Write 'equal', or proportions such as yes=0.4,no=0.6.")
    return shares


def _asked(to: To, cells: Cells, default: str | None, called: Called) -> Iterable[tuple[str, str, float]]:
    if isinstance(to, Mapping):
        for key, value in to.items():
            inner = value if isinstance(value, Mapping) else {key: value}
            for level, share in inner.items():
                column = key if isinstance(value, Mapping) else default
                yield (*_level(str(level), called.get(str(column), column), cells), _share(share))
        return
    for text in [to] if isinstance(to, str) else to:
        if is_equal(str(text)):
            raise ParameterError("--to is either 'equal' or proportions, not both.")
        for item in _items(str(text), cells, default, called):
            left, equals, right = item.rpartition("=")
            if not equals or not left:
                own = " A level with a comma in it takes a --to of its own." if "," in str(text) else ""
                raise ParameterError(f"--to is 'equal', or proportions such as yes=0.4,no=0.6 or COL:LEVEL=0.5.{own}")
            yield (*_named(left.strip(), cells, default, called), _share(right))


def _items(text: str, cells: Cells, default: str | None, called: Called) -> list[str]:
    """The proportions of one text, cut at commas; one that names a level with a comma in it is left whole."""
    try:
        _named(text.rpartition("=")[0].strip(), cells, default, called)
    except ParameterError:
        return [item for item in text.split(",") if item.strip()]
    return [text]


def _named(text: str, cells: Cells, default: str | None, called: Called) -> tuple[str, str]:
    """Column and level of COL:LEVEL, or of LEVEL of the target."""
    for name in sorted({*cells.names, *called}, key=len, reverse=True):
        if text.startswith(f"{name}:"):
            return _level(text[len(name) + 1 :].strip(), called.get(name, name), cells)
    return _level(text, default, cells)


def _level(text: str, column: str | None, cells: Cells) -> tuple[str, str]:
    if column is None:
        raise ParameterError(f"--to must say of which column a level is: COL:LEVEL=P, with COL one of {_quoted(cells.names)}.")
    if column not in cells.names:
        raise ParameterError(
            f"--to names the column {column!r}, which is neither the target nor balanced. Add --balance {column}."
        )
    known = cells.standing_levels(cells.names.index(column))
    alike = [level for level in known if level == text] or [level for level in known if _is_same(level, text)]
    if len(alike) != 1:
        shown = _quoted(known[:MOST_NAMED]) + (", …" if len(known) > MOST_NAMED else "")
        raise ParameterError(
            f"--to names a level of {column!r} that the table does not have, or that fewer than {cells.min_patients} patients hold. "
            f"Its levels are {shown}.{' COL:LEVEL is for the target and columns that --balance names.' if ':' in text else ''}"
        )
    return column, alike[0]


def _is_same(level: str, text: str) -> bool:
    """Whether a text means a level: 1.0 the level 1, true the level True."""
    try:
        return float(level) == float(text)
    except ValueError:
        return level.lower() == text.lower()


def _share(value: object) -> float:
    try:
        share = float(str(value))
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ParameterError("A proportion in --to is a number from 0 to 1, such as yes=0.4.")
    return share


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
