"""Reads one cell text by itself: its one spelling, what kind of text it is, and the number or moment that it writes. Knows no column.

A private table comes typed by an inference that looked at all patients, so the same cell may have been spelled `5.0` with one patient more
and `5` without. Here numbers and times have one spelling each, whatever the rest of the column holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.public_schema import NEUTRAL

MOST_DECIMALS = 8  # cells with more are counted together and read with so many
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_EXTRA = ["??", "..", "---", "*", "_", "n.a.", "<na>", "#n/a", "nat", "blank", "unavailable", "unspecified", "unkn", "nd", "error"]
_PHRASES = ["not available", "not recorded", "not reported", "not done", "no data", "prefer not to say"]
_PLAIN = sorted({*NEUTRAL, *_EXTRA, *_PHRASES} - {""})
WORDS: tuple[str, ...] = ("", *sorted({form for word in _PLAIN for form in (word, word.upper(), word.capitalize(), word.title())}))
"""Texts that mean "no value" in a column of numbers or times, in their usual spellings; the empty cell first."""

# how a date is written: (strftime format, pattern, order of year, month and day among the groups)
DATES: tuple[tuple[str, re.Pattern[str], tuple[int, int, int]], ...] = (
    ("%Y-%m-%d", re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"), (0, 1, 2)),
    ("%Y/%m/%d", re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})"), (0, 1, 2)),
    ("%m/%d/%Y", re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})"), (2, 0, 1)),
    ("%d/%m/%Y", re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})"), (2, 1, 0)),
    ("%d.%m.%Y", re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"), (2, 1, 0)),
    ("%d-%m-%Y", re.compile(r"(\d{1,2})-(\d{1,2})-(\d{4})"), (2, 1, 0)),
    ("%d-%b-%Y", re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})"), (2, 1, 0)),
)
# how a time of day is written: (strftime format, pattern)
CLOCKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("", re.compile(r"")),
    (" %H:%M:%S", re.compile(r" (\d{1,2}):(\d{2}):(\d{2})")),
    (" %H:%M", re.compile(r" (\d{1,2}):(\d{2})")),
    ("T%H:%M:%S", re.compile(r"T(\d{1,2}):(\d{2}):(\d{2})")),
    ("T%H:%M", re.compile(r"T(\d{1,2}):(\d{2})")),
)
_MONTHS = {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}
_DIGIT_DATES = re.compile(r"\d{1,4}[-/.][\dA-Za-z]{1,3}[-/.]\d{1,4}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

OTHER = 0
N_WORDS = len(WORDS)
FIRST_NUMBER = 1 + N_WORDS  # then one class for each number of decimals, the last for more
FIRST_TIME = FIRST_NUMBER + MOST_DECIMALS + 2  # then, for each date and clock, midnight and any other time of day
N_CLASSES = FIRST_TIME + 2 * len(DATES) * len(CLOCKS)
_WORD_OF = {word: i for i, word in enumerate(WORDS)}


@dataclass(frozen=True)
class Cell:
    """One cell text by itself: its one spelling, its class, and the number that it writes (NaN where it writes none)."""

    text: str
    kind: int
    number: float = math.nan


def read(text: str) -> Cell:
    """A cell text by itself.

    >>> read(" 05.0 ").text, read("1e3").number, read("2020-1-5").text, read("n/a").text
    ('5', 1000.0, '2020-01-05', 'n/a')
    """
    text = text.strip()
    place = _WORD_OF.get(text)
    if place is not None:
        return Cell(text, 1 + place)
    if _NUMBER.fullmatch(text):
        number = round(float(text), 15)
        if math.isfinite(number):
            spelled = number_text(number)
            return Cell(spelled, FIRST_NUMBER + min(decimals_of(number), MOST_DECIMALS + 1), number)
    if _DIGIT_DATES.match(text):
        return _read_time(text)
    return Cell(text, OTHER)


def number_text(number: float) -> str:
    """A number in its shortest form, whole numbers without a point."""
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)


def decimals_of(number: float) -> int:
    """How many decimals the shortest form of a number has."""
    exponent = Decimal(repr(number)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def time_class(date: int, clock: int, *, is_midnight: bool) -> int:
    """The class of times of a date and clock format."""
    return FIRST_TIME + 2 * (date * len(CLOCKS) + clock) + (0 if is_midnight else 1)


def read_time(text: str, date: int, clock: int) -> float:
    """Microseconds since 1970 of a text in one format, NaN where it does not fit."""
    _, pattern, order = DATES[date]
    found = pattern.match(text)
    if found is None:
        return math.nan
    rest = CLOCKS[clock][1].fullmatch(text, found.end())
    if rest is None:
        return math.nan
    parts = [found.group(i + 1) for i in order]
    month = _MONTHS.get(parts[1].lower(), 0) if parts[1].isalpha() else int(parts[1])
    try:
        hour, minute, second = [*map(int, rest.groups()), 0, 0, 0][:3]
        moment = datetime(int(parts[0]), month, int(parts[2]), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return math.nan
    since = moment - _EPOCH
    return float((since.days * 86_400 + since.seconds) * 1_000_000)


def _read_time(text: str) -> Cell:
    """The first format that fits; a day that could be a month counts for the format with the month first."""
    for date, (pattern, _, _) in enumerate(DATES):
        for clock, (clock_pattern, _) in enumerate(CLOCKS):
            micros = read_time(text, date, clock)
            if not math.isnan(micros):
                moment = np.datetime64(int(micros), "us").astype(datetime)
                kind = time_class(date, clock, is_midnight=micros % 86_400_000_000 == 0)
                year = f"{moment.year:04d}"
                return Cell(moment.strftime((pattern + clock_pattern).replace("%Y", year)), kind)
    return Cell(text, OTHER)


@dataclass(frozen=True)
class Texts:
    """The cell texts of one column, each different one read once.

    Attributes
    ----------
    codes : int64 (n_rows,), the place of each row's text among `distinct`.
    """

    codes: npt.NDArray[np.int64]
    distinct: tuple[str, ...]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Each different text by itself."""
        return tuple(map(read, self.distinct))

    def each(self, value: Callable[[Cell], Any], dtype: Any) -> npt.NDArray[Any]:
        """What a function of the cell says of each row, (n_rows,)."""
        return np.array([value(cell) for cell in self.cells], dtype=dtype)[self.codes]


def texts(column: Sequence[Any] | npt.NDArray[Any]) -> Texts:
    """The cell texts of a column, object (n_rows,), told apart."""
    codes, distinct = pd.factorize(np.asarray(column, dtype=object))
    return Texts(codes.astype(np.int64), tuple(map(str, distinct)))
