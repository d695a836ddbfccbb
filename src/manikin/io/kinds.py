"""Decides what kind a column is, from its distinct cells first and its name second. Knows no roles and no rules."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from manikin.clinical.codes import recognise
from manikin.data.cells import HEADER_LINES, UNREADABLE
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Storage
from manikin.io import column_names, levels, missing_codes, resolution
from manikin.io.column_names import word_set
from manikin.io.missing_codes import OddCells
from manikin.io.profiles import EXACT, Mask, Profile
from manikin.io.time_formats import TimeFormat, find_format, parse_times

MAX_LISTED_LEVELS = 200  # longer lists of levels are left to the codec
MAX_CODE_LEVELS = 60  # distinct whole numbers under a name that says "code"
MAX_SMALL_LEVELS = 12  # distinct small whole numbers under a name that says nothing
MIN_ROWS_PER_LEVEL = 5
MAX_SHOWN_ROWS = 5  # row numbers in a note
LONG_TEXT = 40  # mean characters per cell
LONG_NOTE = "The column holds whole numbers of more digits than a number keeps exactly: they are read as texts."
_WHOLE = re.compile(r"\s*[-+]?\d+\s*")
MEASURES = word_set(
    "bp sbp dbp hr rr temp weight height bmi chol hdl ldl glucose insulin trestbps thalach systolic diastolic "
    "pulse spo2 resp karno fev creat albumin bili platelet protime copper ast alt trig hgb temperature pressure "
    "size thickness rate tsize gluc year yr dxyr"
)
NOMINAL = word_set("site center centre clinic hospital arm rx treatment ward region country")
DURATIONS = word_set("duration los stay followup futime elapsed")


def describe(profile: Profile) -> Column:
    """The column's description without roles: kind, levels or range, resolution, missing codes found and suggested, notes."""
    if profile.n_distinct == 0:
        return _empty(profile)
    if profile.storage is Storage.BOOLEAN:
        return Column(profile.name, Kind.BOOLEAN, Storage.BOOLEAN, levels=("False", "True"), missing=_empty_cell(profile))
    if profile.storage is Storage.TIMESTAMP:
        return _native_time(profile)
    code = _code(profile) if profile.storage is Storage.TEXT else None
    if code is not None:
        return code
    is_number = ~np.isnan(profile.numbers)
    if _is_too_long(profile, is_number):
        return replace(_texts(profile), notes=(LONG_NOTE,))
    odd = missing_codes.odd_cells(profile, is_number)
    if odd is not None:
        return _number(profile, odd)
    found = find_format(profile) if profile.storage is Storage.TEXT else None
    if found is not None:
        odd = missing_codes.odd_cells(profile, found.is_regular)
        if odd is not None:
            return _time(profile, found, odd)
    return _texts(profile)


def _empty_cell(profile: Profile) -> tuple[MissingCode, ...]:
    return (EMPTY,) if profile.n_present < profile.n_rows else ()


def _empty(profile: Profile) -> Column:
    note = "Every cell is empty; the column is kept and stays empty."
    return Column(profile.name, Kind.CATEGORICAL, profile.storage, levels=(), missing=(EMPTY,), notes=(note,))


def _is_too_long(profile: Profile, is_number: Mask) -> bool:
    """Whether cells are whole numbers that no float64 tells apart: names of something, unless a few stand among many other numbers."""
    if profile.storage is not Storage.TEXT:
        return False
    places = np.flatnonzero(is_number)
    is_long = [abs(profile.numbers[i]) >= EXACT and bool(_WHOLE.fullmatch(profile.texts[i])) for i in places]
    return any(is_long) and (2 * sum(is_long) >= len(places) or len(places) <= MAX_CODE_LEVELS)


def _codes_with(profile: Profile, odd: OddCells) -> tuple[MissingCode, ...]:
    """The column's missing codes; the empty cell's meaning tells when cells that cannot be read are taken for it."""
    empty = (UNREADABLE,) if odd.is_unreadable.any() else _empty_cell(profile)
    return empty + odd.codes


def _odd_notes(profile: Profile, odd: OddCells, what: str) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if odd.codes:
        quoted = ", ".join(repr(code.value) for code in odd.codes)
        notes += (
            f"The column holds {what} except for the cells {quoted}: these are taken as missing codes and written back as they are.",
        )
    if odd.is_unreadable.any():
        rows = np.flatnonzero(odd.is_unreadable[profile.codes]) + 1 + HEADER_LINES
        shown = ", ".join(map(str, rows[:MAX_SHOWN_ROWS])) + (", …" if len(rows) > MAX_SHOWN_ROWS else "")
        found = f"{len(rows):,} cells are none and no usual word for a missing value (row {shown})"
        way_out = "They are read as empty and not written back. Correct them, or name them under `missing`."
        notes += (f"The column holds {what}, but {found}. {way_out}",)
    return notes


def _number(profile: Profile, odd: OddCells) -> Column:
    is_number = ~np.isnan(profile.numbers)
    values, inverse = np.unique(profile.numbers[is_number], return_inverse=True)
    counts = np.bincount(inverse, weights=profile.counts[is_number]).astype(np.int64)
    storage = _number_storage(profile, is_number, resolution.is_whole(values))
    base = Column(
        profile.name, Kind.CONTINUOUS, storage, missing=_codes_with(profile, odd), notes=_odd_notes(profile, odd, "numbers")
    )
    if resolution.is_whole(values) and _reads_as_code(profile.name, values, counts):
        return _number_levels(profile, base, values)
    return _quantity(profile, base, values, counts)


def _number_storage(profile: Profile, is_number: np.ndarray[tuple[int], np.dtype[np.bool_]], is_whole: bool) -> Storage:
    if profile.storage is not Storage.TEXT:
        return profile.storage
    if not is_whole:
        return Storage.REAL
    texts = profile.texts[is_number]
    if np.abs(profile.numbers[is_number]).max() >= EXACT:
        return Storage.REAL
    return Storage.INTEGER if any(re.fullmatch(r"\s*[-+]?\d+\s*", text) for text in texts) else Storage.REAL


def _reads_as_code(name: str, values: resolution.Numbers, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
    """Whether whole numbers are codes of categories rather than counts or measures."""
    n_levels, n_cells = len(values), int(counts.sum())
    if n_levels == 2:
        return bool(values[1] - values[0] == 1 and values[0] in (0, 1)) or column_names.says_code(name)
    if n_levels == 1:
        return bool(values[0] in (0, 1))
    if column_names.says_code(name) and not column_names.says_count(name):
        return n_levels <= MAX_CODE_LEVELS and n_cells >= 2 * n_levels
    if n_levels <= 3 and values[0] in (0, 1) and values[-1] <= 4:
        return not column_names.says_count(name)
    if column_names.says_count(name) or MEASURES.intersection(column_names.words(name)):
        return False
    is_small = values[0] >= 0 and values[-1] <= MAX_SMALL_LEVELS and (values[0] <= 1 or n_levels <= 5)
    return is_small and n_levels <= MAX_SMALL_LEVELS and n_cells >= MIN_ROWS_PER_LEVEL * n_levels


def _number_levels(profile: Profile, base: Column, values: resolution.Numbers) -> Column:
    """A discrete column whose levels are written as whole numbers; 1 and 1.0 are one level."""
    spelled = [str(int(value)) if base.storage is Storage.INTEGER else repr(float(value)) for value in values]
    texts = {str(text).strip() for text in profile.texts[~np.isnan(profile.numbers)]}
    notes = base.notes
    if len(texts) > len(spelled):
        notes += ("Some levels are written in two ways (1 and 1.0); they are one level.",)
    pair = levels.false_and_true(spelled)
    kind = Kind.BOOLEAN if pair else Kind.ORDINAL if column_names.says_order(profile.name) else Kind.CATEGORICAL
    by_value = dict(zip(map(float, values), spelled, strict=True))
    suggested = missing_codes.suggested_sentinels(profile, spelled=by_value)
    return replace(base, kind=kind, levels=_listed(pair or tuple(spelled)), notes=notes, suggested_missing=suggested)


def _quantity(
    profile: Profile, base: Column, values: resolution.Numbers, counts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Column:
    decimals = resolution.decimals_of(values)
    unit = profile.unit or column_names.unit_of(profile.name)
    parts = set(column_names.words(profile.name))
    kind = Kind.CONTINUOUS
    if parts & DURATIONS:
        kind = Kind.DURATION
    elif decimals == 0 and values[0] >= 0 and not parts & MEASURES and "age" not in parts:
        kind = Kind.COUNT
    edges = {0.0, *map(float, values[:8]), *map(float, values[-8:])}  # where sentinel numbers stand
    spelled = {value: cells_number(value, base.storage, decimals) for value in edges}
    return replace(
        base,
        kind=kind,
        minimum=float(values[0]),
        maximum=float(values[-1]),
        decimals=decimals,
        significant=resolution.significant_of(values, counts),
        unit=unit,
        suggested_missing=missing_codes.suggested_sentinels(profile, spelled=spelled),
    )


def cells_number(value: float, storage: Storage, decimals: int) -> str:
    """A number as the column writes it."""
    return str(int(value)) if storage is Storage.INTEGER else repr(round(value, decimals))


def _native_time(profile: Profile) -> Column:
    times = np.asarray(profile.keys, dtype="datetime64[us]")[profile.is_present]
    has_clock = bool((times != times.astype("datetime64[D]")).any())
    return Column(
        profile.name,
        Kind.DATETIME if has_clock else Kind.DATE,
        Storage.TIMESTAMP,
        minimum=str(times.min()),
        maximum=str(times.max()),
        missing=_empty_cell(profile),
    )


def _time(profile: Profile, found: TimeFormat, odd: OddCells) -> Column:
    times = parse_times([str(text) for text in profile.texts[found.is_regular]], found.pattern)
    kind = Kind.DATETIME if found.has_clock else Kind.DATE
    notes = _odd_notes(profile, odd, "times")
    if found.is_ambiguous:
        notes += (f"Day and month could as well stand the other way round; {found.pattern} is assumed.",)
    bounds = np.datetime_as_string(np.array([times.min(), times.max()], "datetime64[us]"), unit="s" if found.has_clock else "D")
    return Column(
        profile.name,
        kind,
        Storage.TEXT,
        minimum=str(bounds[0]),
        maximum=str(bounds[1]),
        time_format=found.pattern,
        missing=_codes_with(profile, odd),
        suggested_missing=missing_codes.suggested_dates([str(text) for text in profile.texts[found.is_regular]]),
        notes=notes,
    )


def _code(profile: Profile) -> Column | None:
    """A column of clinical codes, or of sets of them."""
    is_value = profile.is_present & np.array([missing_codes.word_meaning(text) is None for text in profile.texts], dtype=bool)
    texts = [str(text) for text in profile.texts[is_value]]
    if not texts:
        return None
    base = Column(
        profile.name, Kind.CODE, missing=_empty_cell(profile), suggested_missing=missing_codes.suggested_words(profile)
    )
    hint = " ".join(column_names.words(profile.name))
    system = recognise(texts, hint=hint)
    if system is not None:
        return replace(base, code_system=system)
    for separator in (";", "|", ",", " "):
        if sum(separator in text for text in texts) < 0.1 * len(texts):
            continue
        parts = sorted({part.strip() for text in texts for part in text.split(separator) if part.strip()})
        system = recognise(parts, hint=hint)
        if system is not None:
            return replace(base, kind=Kind.CODE_SET, code_system=system, separator=separator)
    return None


def _listed(found: tuple[str, ...]) -> tuple[str, ...] | None:
    return found if len(found) <= MAX_LISTED_LEVELS else None


def _texts(profile: Profile) -> Column:
    texts = [str(text) for text in profile.texts[profile.is_present]]
    base = Column(
        profile.name,
        Kind.CATEGORICAL,
        profile.storage,
        missing=_empty_cell(profile),
        suggested_missing=missing_codes.suggested_words(profile),
    )
    pair = levels.false_and_true([text for text in texts if missing_codes.word_meaning(text) is None])
    if pair and len(texts) == 2:
        return replace(base, kind=Kind.BOOLEAN, levels=pair)
    ordered = levels.in_order(texts)
    if ordered and not NOMINAL.intersection(column_names.words(profile.name)):
        return replace(base, kind=Kind.ORDINAL, levels=ordered)
    if _is_prose(profile, texts):
        return replace(
            base, kind=Kind.TEXT, suggested_missing=(), notes=("Free text: left out of what is learned and released.",)
        )
    column = replace(base, levels=_listed(tuple(sorted(texts))))
    if profile.has_decimal_commas:
        column = replace(
            column, notes=("Looks like numbers with decimal commas: write decimal points to have them read as numbers.",)
        )
    return column


def _is_prose(profile: Profile, texts: list[str]) -> bool:
    """Long cells of several words, most of them different."""
    sample = texts[:2000]
    mean_length = sum(map(len, sample)) / len(sample)
    mean_words = sum(len(text.split()) for text in sample) / len(sample)
    share = profile.n_distinct / max(profile.n_present, 1)
    is_long = mean_length >= LONG_TEXT and mean_words >= 5
    return (is_long and (share > 0.2 or profile.n_distinct > 100)) or (mean_length >= 4 * LONG_TEXT and mean_words >= 5)
