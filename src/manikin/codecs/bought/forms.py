"""What the cells of a column look like (numbers of so many decimals, times of a format, codes, other texts), from noisy counts of classes.

Knows no rows. A column's name may hint at a system of clinical codes; names are public.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from manikin.clinical.codes import SYSTEMS, CodeSystem, code_system
from manikin.codecs.bought.reading import (
    CLOCKS,
    DATES,
    FIRST_NUMBER,
    FIRST_TIME,
    MOST_DECIMALS,
    N_CLASSES,
    OTHER,
    Texts,
)
from manikin.data.schema import Column, Kind, MissingCode, Source, Sources, Storage

Floats = npt.NDArray[np.float64]

MOSTLY = 0.8  # share of the cells with a value that must be numbers (times, codes) for the column to be one of these
SEPARATORS = (";", "|", ",", " ")
LEAST_SETS = 0.05  # share of the codes' cells that must hold several for the column to be one of sets
LEAST_DECIMALS = 0.005  # share of the numbers that must have so many decimals for the column to have them


@dataclass(frozen=True)
class Classes:
    """The classes that a column's cells are counted in: those of `reading`, then codes of the system that its name hints at."""

    hint: str | None

    @property
    def size(self) -> int:
        """How many there are."""
        return N_CLASSES + (2 + len(SEPARATORS) if self.hint else 0)

    def of(self, texts: Texts) -> npt.NDArray[np.int64]:
        """The class of each row's cell, int64 (n_rows,)."""
        if self.hint is None:
            return texts.each(lambda cell: cell.kind, np.int64)
        system = code_system(self.hint)
        own = [_code_class(text, cell.kind, system) for text, cell in zip(texts.distinct, texts.cells, strict=True)]
        return np.array(own, dtype=np.int64)[texts.codes]


def _code_class(text: str, kind: int, system: CodeSystem) -> int:
    """Codes that are no numbers, codes that are, and sets of codes by their separator; else the class as it is."""
    if kind in _MAYBE_CODES and system.is_code(text):
        return N_CLASSES + int(kind >= FIRST_NUMBER)
    for i, separator in enumerate(SEPARATORS if kind == OTHER else ()):
        parts = [part for part in text.split(separator) if part.strip()]
        if len(parts) > 1 and all(map(system.is_code, parts)):
            return N_CLASSES + 2 + i
    return kind


_MAYBE_CODES = (OTHER, FIRST_NUMBER, FIRST_NUMBER + 1, FIRST_NUMBER + 2)


def hinted_system(name: str) -> str | None:
    """The system of clinical codes that a column's name speaks for, if any.

    >>> hinted_system("diag_1"), hinted_system("age")
    ('ICD-9-CM', None)
    """
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)}
    return next((system.name for system in SYSTEMS.values() if words & system.hints), None)


def form_of(column: Column, rows: Floats, least: float) -> Column:
    """The column as its noisy counts of classes say: kind, storage, decimals, format, code system; nothing of its levels or range.

    Parameters
    ----------
    rows : noisy counts of classes. least : what stands clear of the noise is more than this.
    """
    bare = Column(column.name, Kind.CATEGORICAL, roles=column.roles, min_patients=column.min_patients, missing=declared_codes(column))
    bare = replace(bare, source=Sources(levels=column.source.levels, range=column.source.range))
    if column.has_public_levels:
        bare = replace(bare, levels=column.levels)
    if column.source.range is Source.DECLARED:
        bare = replace(bare, minimum=column.minimum, maximum=column.maximum)
    number_rows = rows[FIRST_NUMBER:FIRST_TIME]
    times = rows[FIRST_TIME:N_CLASSES].reshape(len(DATES), len(CLOCKS), 2)
    formats = _clear(times, least).sum(axis=2)
    codes, numbers, others = _clear(rows[N_CLASSES:], least), _clear(number_rows, least), _clear(rows[OTHER : OTHER + 1], least)
    values = float(numbers.sum() + formats.sum() + others.sum() + codes.sum())
    if is_listed(column) or not values:
        return bare
    if len(codes) and codes.sum() >= MOSTLY * values:
        bare = replace(bare, kind=Kind.CODE, code_system=hinted_system(column.name))
        is_set = codes[2:].sum() > LEAST_SETS * codes.sum()
        return replace(bare, kind=Kind.CODE_SET, separator=SEPARATORS[int(np.argmax(codes[2:]))]) if is_set else bare
    if len(codes):  # the name misled: numbers that could be codes are numbers
        numbers = numbers + np.where(np.arange(len(numbers)) == 0, codes[1], 0.0)
    if numbers.sum() >= MOSTLY * values:
        return with_step(replace(bare, kind=Kind.CONTINUOUS), rows, least)
    if formats.sum() >= MOSTLY * values:
        return _time(bare, times, formats, least)
    return bare


def with_step(column: Column, rows: Floats, least: float) -> Column:
    """A column of numbers with as many decimals as its counts of classes say."""
    numbers = rows[FIRST_NUMBER:FIRST_TIME]
    decimals = _decimals(numbers, float(_clear(numbers, least).sum()), least)
    return replace(column, decimals=decimals, storage=Storage.REAL if decimals else Storage.INTEGER)


def is_listed(column: Column) -> bool:
    """Whether a person declared which levels the column has."""
    return column.has_public_levels and bool(column.levels)


def declared_codes(column: Column) -> tuple[MissingCode, ...]:
    """The missing codes that a person declared."""
    return tuple(code for code in column.missing if code.source is Source.DECLARED)


def _clear(rows: Floats, least: float) -> Floats:
    """Counts that stand clear of the noise, others 0."""
    return np.where(rows > least, rows, 0.0)


def _decimals(rows: Floats, total: float, least: float) -> int:
    """The most decimals of which clearly more cells than a few have."""
    held = np.flatnonzero(rows > max(least, LEAST_DECIMALS * total))
    return min(int(held[-1]), MOST_DECIMALS) if len(held) else 0


def _time(bare: Column, times: Floats, formats: Floats, least: float) -> Column:
    """The format most cells are written in; a day that may be a month counts for both ways, so one clear day above 12 decides."""
    date, clock = np.unravel_index(int(np.argmax(formats)), formats.shape)
    month_first, day_first = (next(i for i, (name, _, _) in enumerate(DATES) if name == form) for form in ("%m/%d/%Y", "%d/%m/%Y"))
    if date == month_first and formats[day_first, clock] > 0.25 * formats[month_first, clock]:
        date = np.int64(day_first)
    has_clock = bool(_clear(times[:, clock, 1], least).any())
    pattern = DATES[date][0] + CLOCKS[clock][0]
    return replace(bare, kind=Kind.DATETIME if has_clock else Kind.DATE, storage=Storage.TEXT, time_format=pattern)


def format_places(pattern: str | None) -> tuple[int, int] | None:
    """Which of `DATES` and `CLOCKS` a format is put together from; None for one that is not."""
    for date, (day, _, _) in enumerate(DATES):
        for clock, (time, _) in enumerate(CLOCKS):
            if pattern == day + time:
                return date, clock
    return None


