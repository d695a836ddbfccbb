"""Sets of codes in one cell ("250.0|401.9|401.9"): whether there is a set, then how often each code that k patients hold stands in it.

A rarer code is counted for its nearest ancestor that k patients hold together, where the code system knows one, and is dropped otherwise.
A code that repeats within a cell is a count: counts stay apart as far as k patients share each, and larger ones are one group. The order
of codes within a cell is not learned: they come back by falling frequency. Knows no model.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.levels import LevelCodec, code_groups
from manikin.data.rare_values import DEFAULT_SEPARATOR
from manikin.data.schema import Column

Ints = npt.NDArray[np.int64]
Steps = tuple[tuple[int, int], ...]
MAX_CODES = 128  # the most frequent ones; a model faces one field for each
MOST_STEPS = 12  # counts of one code that stay apart


@dataclass(frozen=True)
class CodeSetCodec:
    """A fitted column of code sets.

    Attributes
    ----------
    n_missing : missing codes of the column; they are tokens of the first field.
    codes : the codes that have a field, by falling frequency.
    separator : what stands between codes in a cell.
    counts : int64 (n_steps of all codes,), rows that hold each code so often.
    n_present : rows with a set.
    steps : per code, rising, groups of how often it stands in a cell, a token each: (least count, count that it comes back as);
        ((1, 1),) for a code that does not repeat.
    """

    n_missing: int
    codes: tuple[str, ...]
    separator: str
    counts: Ints
    n_present: int
    steps: tuple[Steps, ...]

    def fields(self) -> list[LevelCodec]:
        """One codec per field: presence, then absent or how often for every code."""
        presence = LevelCodec(
            n_missing=self.n_missing,
            levels=("present",),
            n_frequent=1,
            counts=np.array([self.n_present], dtype=np.int64),
            is_ordered=False,
        )
        ends = np.cumsum([0, *(len(steps) for steps in self.steps)])
        flags = []
        for code, steps, (low, high) in zip(self.codes, self.steps, pairwise(ends), strict=True):
            rows = self.counts[low:high]
            levels = ("absent", code, *(f"{code} ({times} times)" for _, times in steps[1:]))
            counts = np.array([max(self.n_present - int(rows.sum()), 1), *rows], dtype=np.int64)
            flags.append(
                LevelCodec(n_missing=0, levels=levels, n_frequent=len(levels), counts=counts, is_ordered=len(steps) > 1)
            )
        return [presence, *flags]

    def encode(self, series: pd.Series, mark: npt.NDArray[np.int8], column: Column) -> npt.NDArray[np.int32]:
        """Tokens int32 (n_rows, 1 + n_codes); a count goes to its group, one below all groups to the first."""
        out = np.zeros((len(series), 1 + len(self.codes)), dtype=np.int32)
        present = mark == 0
        out[:, 0] = np.where(present, self.n_missing, mark.astype(np.int32) - 1)
        rows, places, times = _totals(_members(series, present, self.separator), self.codes, column)
        table = _groups(self.steps, int(times.max(initial=1)))
        out[rows, places + 1] = table[places, times] + 1
        return out

    def decode(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.object_]:
        """Cell texts, object (n_rows,); None where there is no set."""
        out = np.full(len(tokens), None, dtype=object)
        present = tokens[:, 0] >= self.n_missing
        held: list[list[str]] = [[] for _ in range(len(tokens))]
        for row, place in np.argwhere(tokens[:, 1:] > 0):
            held[row] += [self.codes[place]] * self.steps[place][tokens[row, place + 1] - 1][1]
        for row in np.flatnonzero(present):
            out[row] = self.separator.join(held[row] or self.codes[:1])  # a set that is there holds something
        return out

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted."""
        values = {
            "n_missing": self.n_missing,
            "codes": list(self.codes),
            "separator": self.separator,
            "n_present": self.n_present,
            "steps": [[list(step) for step in steps] for steps in self.steps],
        }
        return values, {"counts": self.counts}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> CodeSetCodec:
        """The column as saved; without "steps" no code repeats."""
        codes = tuple(values["codes"])
        steps = tuple(tuple((low, shown) for low, shown in own) for own in values.get("steps", [[[1, 1]]] * len(codes)))
        return cls(values["n_missing"], codes, values["separator"], arrays["counts"], values["n_present"], steps)


def fit_code_set(
    series: pd.Series,
    present: npt.NDArray[np.bool_],
    patients: Ints,
    column: Column,
    *,
    min_patients: int,
    min_patients_of_count: int | None = None,
    max_codes: int = MAX_CODES,
) -> CodeSetCodec:
    """Learns a column of code sets.

    Parameters
    ----------
    series : cell texts (n_rows,). present : where there is a set. patients : the record of each row.
    min_patients : k, the fewest patients that hold a code with a field of its own.
    min_patients_of_count : the same for how often a code stands in a cell; a public list of codes does not make counts public.
    max_codes : most codes with a field, by falling frequency.
    """
    separator = column.separator or DEFAULT_SEPARATOR
    members = _members(series, present, separator)
    holders: dict[str, set[int]] = {}
    rows: dict[str, int] = {}
    for row, code, _ in members:
        holders.setdefault(code, set()).add(int(patients[row]))
        rows[code] = rows.get(code, 0) + 1
    k = 1 if column.has_public_levels else min_patients
    n_holders = {code: len(who) for code, who in holders.items()}
    frequent = [code for code, n in n_holders.items() if n >= k]
    rare = {code: frozenset(who) for code, who in holders.items() if len(who) < k}
    groups, joined = code_groups(rare, frequent, column, k)
    counts = {code: rows[code] + sum(rows[member] for member in joined.get(code, ())) for code in frequent}
    counts |= {code: sum(rows[member] for member in grouped) for code, grouped in groups.items()}
    kept = tuple(sorted(counts, key=lambda code: (-counts[code], code))[:max_codes])
    steps, n_rows = _fit_steps(_totals(members, kept, column), patients, len(kept), min_patients_of_count or min_patients)
    return CodeSetCodec(
        n_missing=len(column.missing),
        codes=kept,
        separator=separator,
        counts=np.array(n_rows, dtype=np.int64),
        n_present=int(present.sum()),
        steps=steps,
    )


def _fit_steps(totals: tuple[Ints, Ints, Ints], patients: Ints, n_codes: int, k: int) -> tuple[tuple[Steps, ...], list[int]]:
    """Per code the counts that k patients each share, larger ones as one group named by its middle; and the rows of each."""
    held_by, places, times = totals
    order = np.lexsort((times, places))
    ends = np.searchsorted(places[order], np.arange(n_codes + 1))
    steps: list[Steps] = []
    n_rows: list[int] = []
    for low, high in pairwise(ends):
        mine = order[low:high]
        counted, who = times[mine], patients[held_by[mine]]
        groups: list[Ints] = []
        at = len(mine)
        for count in np.unique(counted)[::-1]:
            start = int(np.searchsorted(counted, count))
            if len(np.unique(who[start:at])) >= k:
                groups.append(counted[start:at])
                at = start
        if at and not groups:  # the code is public, how often so few patients have it is not
            groups.append(np.ones(at, dtype=np.int64))
        elif at or not groups:  # too few patients hold the smallest counts: they join the next
            groups.append(np.concatenate([counted[:at], groups.pop()]) if groups else counted[:at])
        groups = groups[::-1]
        if len(groups) > MOST_STEPS:
            groups = [*groups[: MOST_STEPS - 1], np.concatenate(groups[MOST_STEPS - 1 :])]
        steps.append(tuple((int(group[0]), int(group[(len(group) - 1) // 2])) if len(group) else (1, 1) for group in groups))
        n_rows += [len(group) for group in groups]
    return tuple(steps), n_rows


def _members(series: pd.Series, present: npt.NDArray[np.bool_], separator: str) -> list[tuple[int, str, int]]:
    """(row, code, how often) of every code in every cell."""
    cells = series.to_numpy(dtype=object)
    return [
        (int(row), code, times)
        for row in np.flatnonzero(present)
        for code, times in Counter(part.strip() for part in str(cells[row]).split(separator)).items()
        if code
    ]


def _totals(members: list[tuple[int, str, int]], codes: tuple[str, ...], column: Column) -> tuple[Ints, Ints, Ints]:
    """Row, index of the code and how often, int64 (n,) each; codes without a field count for their nearest ancestor that has one."""
    place: dict[str, int] = {code: i for i, code in enumerate(codes)}
    for code in {code for _, code, _ in members if code not in place}:
        place[code] = next((place[above] for above in _ancestors(code, column) if place.get(above, -1) >= 0), -1)
    rows = np.array([row for row, _, _ in members], dtype=np.int64)
    places = np.array([place[code] for _, code, _ in members], dtype=np.int64)
    times = np.array([times for _, _, times in members], dtype=np.int64)
    known = places >= 0
    cell, inverse = np.unique(rows[known] * max(len(codes), 1) + places[known], return_inverse=True)
    total = np.zeros(len(cell), dtype=np.int64)
    np.add.at(total, inverse, times[known])
    return cell // max(len(codes), 1), cell % max(len(codes), 1), total


def _groups(steps: tuple[Steps, ...], most: int) -> npt.NDArray[np.int32]:
    """Index of the group of each count, int32 (n_codes, most + 1)."""
    out = np.zeros((len(steps), most + 1), dtype=np.int32)
    for i, own in enumerate(steps):
        if len(own) > 1:
            out[i] = np.maximum(np.searchsorted([low for low, _ in own], np.arange(most + 1), side="right") - 1, 0)
    return out


def _ancestors(code: str, column: Column) -> tuple[str, ...]:
    if not column.code_system:
        return ()
    from manikin.clinical.codes import code_system

    return code_system(column.code_system).ancestors(code)
