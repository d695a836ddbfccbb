"""Cells that may stand for "no value": words, sentinel numbers and dates. They are found and suggested, never replaced.

One case is applied rather than suggested: a column of numbers (or times) with a few cells that are none. It cannot be held as numbers
otherwise. Usual words, and texts that many rows hold, become missing codes and are written back as they were; a text that few rows hold
may tell of a person and is read as an empty cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from manikin.data.schema import DEFAULT_MIN_PATIENTS, MissingCode
from manikin.io.column_names import squeezed, word_set, words
from manikin.io.profiles import Mask, Profile

MISSING, NOT_APPLICABLE, REFUSED, UNKNOWN = "missing", "not applicable", "refused", "unknown"

WORDS = {
    "?": MISSING, "??": MISSING, ".": MISSING, "..": MISSING, "-": MISSING, "--": MISSING, "---": MISSING, "*": MISSING, "_": MISSING,
    "na": MISSING, "n.a.": MISSING, "<na>": MISSING, "#n/a": MISSING, "nan": MISSING, "null": MISSING, "nil": MISSING, "nat": MISSING,
    "missing": MISSING, "(missing)": MISSING, "[missing]": MISSING, "blank": MISSING, "(blank)": MISSING, "no data": MISSING,
    "not available": MISSING, "unavailable": MISSING, "not recorded": MISSING, "not reported": MISSING, "not specified": MISSING,
    "unspecified": MISSING, "na_na": MISSING, "no response": MISSING, "not stated": MISSING, "not known": UNKNOWN,
    "n/a": NOT_APPLICABLE, "not applicable": NOT_APPLICABLE, "inapplicable": NOT_APPLICABLE, "does not apply": NOT_APPLICABLE,
    "unknown": UNKNOWN, "unk": UNKNOWN, "unkn": UNKNOWN, "und": UNKNOWN, "undetermined": UNKNOWN, "don't know": UNKNOWN,
    "dont know": UNKNOWN, "unknown/invalid": UNKNOWN, "unknown/not specified": UNKNOWN, "unknown (default)": UNKNOWN, "nk": UNKNOWN,
    "unobtainable": UNKNOWN, "unable to obtain": UNKNOWN, "unable to assess": UNKNOWN, "invalid": UNKNOWN, "not sure": UNKNOWN,
    "refused": REFUSED, "refusal": REFUSED, "declined": REFUSED, "patient declined to answer": REFUSED, "prefer not to say": REFUSED,
    "not mapped": UNKNOWN,
}  # fmt: skip
NUMERIC_ONLY = {"none": MISSING, "nd": MISSING, "not done": MISSING, "no": MISSING, "x": MISSING, "error": MISSING}
NO_DATE = re.compile(r"(?:0000|9999)[-/.]?(?:00|99)[-/.]?(?:00|99)|(?:00|99)[-/.](?:00|99)[-/.](?:0000|9999)")
MAX_ODD_MARKS = 5  # distinct cells that are no numbers in a column of numbers, when they are no known words
MIN_NUMERIC_SHARE = 0.9

SENTINEL_DATES = re.compile(
    r"(?:0000|0001|1111|9999)[-/.]?|(?:1[89]00|2100)[-/.]01[-/.]01|(?:2099|2999)[-/.]12[-/.]31|99[-/.]99|01[-/.]01[-/.](?:1900|1800)|31[-/.]12[-/.]9999|12[-/.]31[-/.]9999"
)
NEVER_ZERO = word_set(
    "bmi glucose insulin chol cholesterol bp bloodpressure systolic diastolic systolicbp diastolicbp sbp dbp aphi "
    "aplo trestbps thalach heartrate hr pulse skinthickness height weight temp temperature bodytemp "
    "respiratoryrate resp meanbp map spo2 hemoglobin haemoglobin platelets platelet albumin sodium potassium wbc "
    "hrt restingbp maxhr wblc"
)
SENTINEL_MEANINGS = {7: REFUSED, 8: NOT_APPLICABLE, 9: UNKNOWN}


def word_meaning(text: str) -> str | None:
    """What a cell text means when it is a usual word for "no value"; blank cells too."""
    if text in ("", "Na"):  # Na is sodium
        return None
    return WORDS.get(text.strip().lower(), MISSING if not text.strip() else None)


@dataclass(frozen=True)
class OddCells:
    """The cells that keep a column of numbers (or times) from being one.

    Attributes
    ----------
    codes : those that stand for no value: usual words, and texts that many rows hold. They are written back as they are.
    is_unreadable : which distinct cells are neither a value nor a code, bool (n_distinct,): a remark or a slip, read as empty and
        never written back, since it may tell of a person.
    """

    codes: tuple[MissingCode, ...]
    is_unreadable: Mask


def odd_cells(profile: Profile, is_regular: Mask) -> OddCells | None:
    """What is to be done with the cells that are no numbers (or times); None when they are too many for the column to be one.

    Parameters
    ----------
    is_regular : which distinct cells are numbers (or times), bool (n_distinct,).
    """
    odd = profile.is_present & ~is_regular
    if not is_regular.any():
        return None
    texts = {int(i): str(profile.texts[i]) for i in np.flatnonzero(odd)}
    meanings = {i: _known_meaning(text) for i, text in texts.items()}
    strange = [i for i, meaning in meanings.items() if meaning is None]
    if strange:
        share = profile.rows_where(is_regular) / max(profile.n_present, 1)
        if len(strange) > MAX_ODD_MARKS or share < MIN_NUMERIC_SHARE or len(strange) * 4 > int(is_regular.sum()):
            return None
    is_unreadable = np.zeros(len(profile.texts), dtype=bool)
    is_unreadable[[i for i in strange if profile.counts[i] < DEFAULT_MIN_PATIENTS]] = True
    codes = (MissingCode(text, meanings[i] or _strange_meaning(text)) for i, text in texts.items() if not is_unreadable[i])
    return OddCells(tuple(sorted(codes, key=lambda code: code.value)), is_unreadable)


def _known_meaning(text: str) -> str | None:
    return word_meaning(text) or NUMERIC_ONLY.get(text.strip().lower()) or (UNKNOWN if NO_DATE.fullmatch(text) else None)


def _strange_meaning(text: str) -> str:
    if re.match(r"\s*(<|>|≤|≥|below|above)", text):
        return "outside the measuring range"
    return UNKNOWN


def suggested_words(profile: Profile) -> tuple[MissingCode, ...]:
    """Levels of a column of texts that read like "no value": suggested only. The text "None" is a level and is not suggested."""
    found = []
    for text in profile.texts[profile.is_present]:
        meaning = word_meaning(str(text))
        if meaning is not None:
            found.append(MissingCode(str(text), meaning))
    return tuple(sorted(found, key=lambda code: code.value))


def suggested_sentinels(profile: Profile, *, spelled: dict[float, str]) -> tuple[MissingCode, ...]:
    """Numbers that may stand for "no value": 0 where none can be, -1, 9-9s beyond a gap, 97/98/99 at the end of small codes.

    Parameters
    ----------
    spelled : how the column writes each number (0 as "0" or "0.0").
    """
    values = np.unique(profile.numbers[~np.isnan(profile.numbers)])
    if len(values) < 3:
        return ()
    found: dict[float, str] = {}
    if values[0] == 0 and _is_never_zero(profile.name):
        found[0.0] = MISSING
    negatives = values[values < 0]
    if len(negatives) and len(negatives) <= 2 and len(values) - len(negatives) >= 3:
        for value in negatives:
            if value in (-1.0, -9.0, -99.0, -999.0, -9999.0, -8.0, -7.0):
                found[float(value)] = SENTINEL_MEANINGS.get(int(-value), MISSING) if value != -9 else MISSING
    found |= _nines(values)
    return tuple(MissingCode(spelled[value], meaning) for value, meaning in sorted(found.items()))


def _is_never_zero(name: str) -> bool:
    parts = words(name)
    return squeezed(name) in NEVER_ZERO or bool(NEVER_ZERO.intersection({*parts, *(a + b for a, b in pairwise(parts))}))


def _nines(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[float, str]:
    """77, 88, 96 … 99 (or 777 …, 7777 …, 99999 …) at the end of the numbers, when a gap parts them from the others."""
    top = float(values[-1])
    scale = next((scale for scale in (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000) if top < scale), None)
    if scale is None:
        return {}
    usual = {scale - 4, scale - 3, scale - 2, scale - 1, (scale - 1) * 7 // 9, (scale - 1) * 8 // 9}
    group = [value for value in values[-4:] if value in usual]
    below = values[: len(values) - len(group)]
    if not group or group[-1] != top or len(below) < 2 or values[-len(group)] != group[0]:
        return {}
    gap, span = group[0] - below[-1], below[-1] - below[0]
    if gap < max(0.5 * span, 10) and not (top >= 999 and gap >= max(0.25 * span, 100)):
        return {}
    return {float(value): SENTINEL_MEANINGS.get(int(value) % 10, MISSING) for value in group}


def suggested_dates(texts: list[str]) -> tuple[MissingCode, ...]:
    """Dates that no patient has (9999-99-99, 1900-01-01): suggested only."""
    return tuple(MissingCode(text, UNKNOWN) for text in sorted(texts) if SENTINEL_DATES.match(text))
