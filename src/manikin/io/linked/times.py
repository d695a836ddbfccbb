"""Finds how the rows of a table lie in a patient's time: its form, and the columns of their start and end. Knows no keys' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Table
from manikin.data.schema import Column, Form, Role
from manikin.io.column_names import squeezed, word_set, words

MIN_COVERAGE = 0.5  # of the rows that must have a start; the others take their parent's
MIN_ENDS = 0.2  # of the rows that must have an end
MIN_ORDERED = 0.9  # of the rows with both that must end after they start
MIN_STEPS = 0.9  # of the steps within patients that must be of one length on a grid
PAIRS = (
    ("start", "end"), ("start", "stop"), ("begin", "end"), ("begin", "stop"), ("from", "to"), ("from", "thru"), ("from", "through"),
    ("admission", "discharge"), ("admit", "discharge"), ("admit", "disch"), ("admitted", "discharged"), ("in", "out"),
    ("onset", "resolution"), ("onset", "abatement"), ("onset", "resolved"), ("open", "close"),
)  # fmt: skip
HAPPENS = re.compile(
    r"start|begin|onset|admi|chart|perform|effective|event|observ|collect|transfer|visit|issued|measure|occur|^time|^date|^in(?:time|date)"
)
RECORDED = re.compile(r"stor|stop|end|updat|modif|edit|enter|verif|valid|comment|expir|due|next|last|record|received|print|review|"
                      r"disch|outtime|acknowledg|reserv|release")  # fmt: skip
NUMERIC_TIMES = {
    "second": "s", "seconds": "s", "sec": "s", "minute": "min", "minutes": "min", "min": "min", "hour": "h", "hours": "h", "hr": "h",
    "day": "d", "days": "d", "week": "wk", "weeks": "wk", "month": "mo", "months": "mo", "year": "a", "years": "a",
}  # fmt: skip
TIME_WORDS = frozenset(NUMERIC_TIMES) | word_set(
    "time t offset start stop end begin tstart tstop since from to of rel relative icu study visit charttime admission admit event "
    "observation measurement elapsed"
)
NO_TIMES_ALONE = word_set("to of visit event icu study stop end hr min sec year years study observation measurement")
BIRTH_NAMES = word_set("dob dateofbirth birthdate birthday birthdatetime birthtime birth datebirth")
DEATH_NAMES = word_set("dod dateofdeath deathdate deathtime deathdatetime death deceaseddatetime deceaseddate datedeath")


@dataclass(frozen=True)
class Times:
    """The form of a table, and the columns of its rows' start and end.

    Attributes
    ----------
    unit : the unit of a start that is a number, None where its name does not say.
    notes : why these columns were taken.
    """

    form: Form
    start: str | None = None
    end: str | None = None
    unit: str | None = None
    notes: tuple[str, ...] = ()


def find_times(
    table: Table, columns: Sequence[Column], owners: npt.NDArray[np.int64] | None, candidates: Iterable[str], *, is_single: bool
) -> Times:
    """The form of a table of patients.

    Parameters
    ----------
    table : the typed cells. columns : their descriptions.
    owners : numbers of patients by row, int64 (n_rows,), -1 where a row names none; None where they are not known.
    candidates : names of the columns that may be times: no keys among them.
    is_single : whether no patient has more than one row.
    """
    if is_single:
        return Times(Form.STATIC, notes=("No patient has more than one row.",))
    may = set(candidates)
    offered = [c for c in columns if c.name in may and not _is_of_life(c)]
    times = [c for c in offered if c.kind.is_time] or [c for c in offered if _is_numeric_time(c)]
    numbers = [c for c in offered if _is_numeric_time(c)]
    for group in (times, numbers):
        found = _placed(table, group, owners)
        if found is not None:
            return found
    why = "It has no time of its own that most rows have: its rows happen when their parents do." if len(table) else ""
    return Times(Form.EVENTS, notes=(why,) if why else ())


def _placed(table: Table, group: Sequence[Column], owners: npt.NDArray[np.int64] | None) -> Times | None:
    cover = {c.name: _coverage(table, c.name) for c in group}
    usable = [c for c in group if cover[c.name] >= MIN_COVERAGE]
    pairs = [pair for c in usable for other in group if (pair := _pair(table, c, other, cover))]
    if pairs:
        start, end, ordered = max(pairs, key=lambda pair: _score(pair[0], cover, group))
        note = f"{ordered:.1%} of the rows with both end when they start or later."
        return Times(Form.INTERVALS, start.name, end.name, _unit(start), (note,))
    if not usable:
        return None
    start = max(usable, key=lambda c: _score(c, cover, group))
    others = [c.name for c in usable if c is not start]
    notes = [f"{cover[start.name]:.1%} of the rows have a {start.name!r}."]
    if others:
        notes.append(f"Other times that could be its start: {', '.join(others)}.")
    step = None if owners is None else grid_step(seconds(table, start), owners)
    if step is not None:
        notes.append(f"Rows of a patient follow one another at the same step ({step.share:.1%} of them).")
    return Times(Form.GRID if step is not None else Form.EVENTS, start.name, None, _unit(start), tuple(notes))


def _coverage(table: Table, name: str) -> float:
    return float((table.mark(name) == 0).mean()) if len(table) else 1.0


def _score(column: Column, cover: dict[str, float], group: Sequence[Column]) -> tuple[float, float]:
    """How well a column would do as the start: rows that have it, its name, a time of day; of two alike the first."""
    text = squeezed(column.name)
    name = 1.0 * bool(HAPPENS.search(text)) - 1.0 * bool(RECORDED.search(text))
    clock = 0.2 if column.kind == "datetime" else 0.0
    covered = 4 * cover[column.name] if cover[column.name] < 1.0 else 4.2
    return (covered + name + clock, -[c.name for c in group].index(column.name))


def _pair(table: Table, start: Column, end: Column, cover: dict[str, float]) -> tuple[Column, Column, float] | None:
    if start is end or start.kind.is_time != end.kind.is_time or (len(table) and cover[end.name] < MIN_ENDS):
        return None
    if not is_pair(start.name, end.name):
        return None
    first, last = seconds(table, start), seconds(table, end)
    both = ~np.isnan(first) & ~np.isnan(last)
    ordered = float((last[both] >= first[both]).mean()) if both.any() else 1.0
    return (start, end, ordered) if ordered >= MIN_ORDERED else None


def is_pair(start: str, end: str) -> bool:
    """Whether two names differ as the start and the end of something do.

    >>> is_pair("STARTTIME", "ENDTIME"), is_pair("admittime", "dischtime"), is_pair("intime", "endtime")
    (True, True, False)
    """
    first, last = squeezed(start), squeezed(end)
    return any(
        first[: m.start()] + close + first[m.end() :] == last for opening, close in PAIRS for m in re.finditer(opening, first)
    )


def _is_of_life(column: Column) -> bool:
    return column.has_role(Role.BIRTH) or column.has_role(Role.DEATH) or bool(life_role(column))


def life_role(column: Column) -> Role | None:
    """Whether a column of times is by its name that of birth or of death."""
    text = squeezed(column.name)
    if not column.kind.is_time:
        return None
    return Role.BIRTH if text in BIRTH_NAMES else Role.DEATH if text in DEATH_NAMES else None


def _is_numeric_time(column: Column) -> bool:
    parts = words(column.name)
    if not column.kind.is_number or not parts:
        return False
    is_offset = squeezed(column.name).endswith("offset")
    return is_offset or (TIME_WORDS.issuperset(parts) and not NO_TIMES_ALONE.issuperset(parts))


def _unit(column: Column) -> str | None:
    """The unit of a numeric time, by its name; what the column says itself stays."""
    if not column.kind.is_number:
        return None
    found = [NUMERIC_TIMES[word] for word in words(column.name) if word in NUMERIC_TIMES]
    return column.unit or (found[0] if found else "min" if squeezed(column.name).endswith("offset") else None)


def seconds(table: Table, column: Column) -> npt.NDArray[np.float64]:
    """Times as seconds since 1970, numbers as they are; NaN where there is none; float64 (n_rows,)."""
    series = table.frame[column.name]
    if not column.kind.is_time:
        return series.to_numpy(dtype=float)
    times = series.to_numpy(dtype="datetime64[us]")
    out = times.astype(np.int64).astype(float) / 1e6
    out[np.isnat(times)] = np.nan
    return out


@dataclass(frozen=True)
class Step:
    """The usual step of a grid, and the share of the steps that are of that length."""

    length: float
    share: float


def grid_step(times: npt.NDArray[np.float64], owners: npt.NDArray[np.int64]) -> Step | None:
    """The one step at which patients' rows follow each other, None where they do not; a patient has no two rows at one time."""
    known = ~np.isnan(times) & (owners >= 0)
    order = np.lexsort((times[known], owners[known]))
    times, owners = times[known][order], owners[known][order]
    steps = np.diff(times)[owners[1:] == owners[:-1]]
    if len(steps) < 2 * max(len(np.unique(owners)), 1) or (steps <= 0).any():
        return None
    lengths, counts = np.unique(np.round(steps, 6), return_counts=True)
    share = float(counts.max() / len(steps))
    return Step(float(lengths[counts.argmax()]), share) if share >= MIN_STEPS else None
