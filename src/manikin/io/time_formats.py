"""Finds the strftime format in which a column of texts writes dates or moments. Knows no roles and nothing of what a date is for."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from manikin.data import cells
from manikin.io.column_names import word_set, words
from manikin.io.profiles import Mask, Profile

# the shape of a date -> the formats it may be, the first that fits every cell is taken
DATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\d{4}-\d{1,2}-\d{1,2}", ("%Y-%m-%d",)),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",)),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", ("%Y.%m.%d",)),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%m/%d/%Y", "%d/%m/%Y")),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("%d.%m.%Y",)),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%m/%d/%y", "%d/%m/%y")),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", ("%d.%m.%y",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", ("%d-%b-%Y",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{2}", ("%d-%b-%y",)),
    (r"\d{1,2}[A-Za-z]{3}\d{4}", ("%d%b%Y",)),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", ("%d %b %Y",)),
    (r"\d{1,2} [A-Za-z]{4,9} \d{4}", ("%d %B %Y",)),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", ("%b %d, %Y",)),
    (r"[A-Za-z]{4,9} \d{1,2}, \d{4}", ("%B %d, %Y",)),
    (r"(?:18|19|20|21)\d{6}", ("%Y%m%d",)),
)
CLOCKS: tuple[tuple[str, str], ...] = (
    ("", ""),
    (r" \d{1,2}:\d{2}:\d{2}", " %H:%M:%S"),
    (r" \d{1,2}:\d{2}", " %H:%M"),
    (r"T\d{2}:\d{2}:\d{2}", "T%H:%M:%S"),
    (r"T\d{2}:\d{2}", "T%H:%M"),
    (r"T\d{2}:\d{2}:\d{2}Z", "T%H:%M:%SZ"),
    (r" \d{1,2}:\d{2}:\d{2}\.\d{1,6}", " %H:%M:%S.%f"),
    (r"T\d{2}:\d{2}:\d{2}\.\d{1,6}", "T%H:%M:%S.%f"),
    (r"T\d{2}:\d{2}:\d{2}\.\d{1,6}Z", "T%H:%M:%S.%fZ"),
    (r" \d{1,2}:\d{2}:\d{2} [AaPp][Mm]", " %I:%M:%S %p"),
    (r" \d{1,2}:\d{2} [AaPp][Mm]", " %I:%M %p"),
)
DATE_WORDS = word_set("date dt day dob dod birth time when admitted discharged")


@dataclass(frozen=True)
class TimeFormat:
    """How a column writes times.

    Attributes
    ----------
    pattern : strftime format.
    is_regular : which distinct cells it reads, bool (n_distinct,).
    has_clock : whether the cells tell a time of day other than midnight.
    is_ambiguous : whether day and month could as well stand the other way round.
    """

    pattern: str
    is_regular: Mask
    has_clock: bool
    is_ambiguous: bool = False


def find_format(profile: Profile) -> TimeFormat | None:
    """The format that reads nearly all distinct cells of a column of texts, or None when it holds no times."""
    present = np.flatnonzero(profile.is_present)
    sample = [str(text) for text in profile.texts[present[:64]]]
    if not sample or sum(bool(re.match(r"\D{0,9}\d", text)) for text in sample) < 0.5 * len(sample):
        return None
    best = TimeFormat("", np.zeros(len(profile.texts), dtype=bool), has_clock=False)
    for pattern, alternatives in _shapes(sample, profile.name):
        read = _read(profile, pattern)
        if read.sum() > best.is_regular.sum():
            others = [other for other in alternatives if other != pattern]
            is_ambiguous = any(int(_read(profile, other).sum()) == int(read.sum()) for other in others)
            best = TimeFormat(pattern, read, has_clock=False, is_ambiguous=is_ambiguous)
    if best.is_regular.sum() < max(0.8 * len(present), 1):
        return None
    return TimeFormat(best.pattern, best.is_regular, _tells_clock(profile, best), best.is_ambiguous)


def _shapes(sample: list[str], name: str) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for shape, formats in DATES:
        if formats == ("%Y%m%d",) and not DATE_WORDS.intersection(words(name)):
            continue  # eight digits are a number unless the name says date
        for clock_shape, clock in CLOCKS:
            expression = re.compile(shape + clock_shape)
            if sum(bool(expression.fullmatch(text)) for text in sample) >= 0.5 * len(sample):
                patterns = tuple(pattern + clock for pattern in formats)
                found.extend((pattern, patterns) for pattern in patterns)
    return found


def parse_times(texts: list[str] | pd.Series, pattern: str) -> pd.Series:
    """Times read by one format, NaT where a text does not fit it; datetime64[us]."""
    return cells.parse_times(pd.Series(texts, dtype=object), pattern)


def _read(profile: Profile, pattern: str) -> Mask:
    out = profile.is_present.copy()
    out[out] = parse_times([str(text) for text in profile.texts[out]], pattern).notna().to_numpy()
    return out


def _tells_clock(profile: Profile, found: TimeFormat) -> bool:
    if "%H" not in found.pattern and "%I" not in found.pattern:
        return False
    times = parse_times([str(text) for text in profile.texts[found.is_regular]], found.pattern)
    return bool((times != times.dt.normalize()).any())
