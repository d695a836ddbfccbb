"""Discrete levels and codes as tokens, rare ones merged before a model sees them. Knows nothing of any model.

A level held by fewer than k patients gets no token of its own: an ordinal level joins its nearest frequent neighbour; a code joins its
nearest ancestor that k patients hold together; what is left shares one `rare` token. A merged token is released as its parent code where
that is a code of the system, else as one of the frequent codes of the same group; the plain `rare` token is never shown. Where nine of ten
cells of a column of levels would join it, all do: the few frequent levels would stand for everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.rare_values import is_hardly_shown
from manikin.data.schema import Column, Kind

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LevelCodec:
    """A fitted discrete column.

    Attributes
    ----------
    n_missing : missing codes come first among the tokens.
    levels : texts of the tokens from n_missing up: frequent levels, then merged groups.
    n_frequent : how many of `levels` are levels of the data.
    siblings : index of a group whose name is no code -> indices of the frequent levels it is released as.
    counts : int64 (len(levels),), rows per token.
    is_ordered : whether the levels stand in a meaningful order.
    """

    n_missing: int
    levels: tuple[str, ...]
    n_frequent: int
    counts: Ints
    is_ordered: bool
    siblings: dict[int, tuple[int, ...]] = field(default_factory=dict)
    released: tuple[int, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Vocabulary size, missing codes included."""
        return self.n_missing + len(self.levels)

    def emitted(self) -> npt.NDArray[np.bool_]:
        """Which tokens may be generated, bool (n_tokens,)."""
        out = np.ones(self.n_tokens, dtype=bool)
        groups = set(range(self.n_frequent, len(self.levels))) - set(self.siblings) - set(self.released)
        out[[self.n_missing + i for i in groups]] = False
        return out

    def positions(self) -> npt.NDArray[np.float32]:
        """Ordered levels lie evenly on [-1, 1]; NaN otherwise. float32 (n_tokens,)."""
        out = np.full(self.n_tokens, np.nan, dtype=np.float32)
        if self.is_ordered and self.levels:
            out[self.n_missing :] = np.linspace(-1, 1, len(self.levels)) if len(self.levels) > 1 else 0.0
        return out

    def coarser(self, column: Column) -> tuple[Ints, ...]:
        """The category, block and chapter of each token as numbers, int64 (n_tokens,) each; empty but for codes with a hierarchy."""
        if column.kind is not Kind.CODE or not column.code_system:
            return ()
        return _above(self.levels, self.n_missing, column.code_system)

    def encode(self, series: pd.Series, column: Column) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Tokens of a category column without gaps, int64 (n,), and which rows hold a level that has no token of its own."""
        index = {text: i for i, text in enumerate(self.levels)}
        place = _Place(index, self.n_frequent, self.counts, column, _spelt(self.levels, column))
        categories = [str(level) for level in series.cat.categories]
        table = np.array([index.get(level, -1) for level in categories] or [-1], dtype=np.int64)
        codes = series.cat.codes.to_numpy()
        foreign = table[codes] < 0
        for i in np.unique(codes[foreign]):
            table[i] = place.of(categories[i])
        return table[codes] + self.n_missing, foreign

    def decode(self, tokens: npt.NDArray[Any], rng: np.random.Generator) -> pd.Categorical[Any]:
        """Levels of tokens, missing where the token is a missing code; a group without a code of its own becomes a frequent sibling."""
        codes = np.maximum(np.asarray(tokens, dtype=np.int64) - self.n_missing, -1)
        everything = tuple(range(self.n_frequent))
        for group in range(self.n_frequent, len(self.levels)) if everything else ():
            if group in self.released:
                continue
            rows = np.flatnonzero(codes == group)
            if len(rows):
                options = self.siblings.get(group, everything)
                ends = np.cumsum(self.counts[list(options)])
                drawn = np.searchsorted(ends, rng.random(len(rows)) * ends[-1], side="right")
                codes[rows] = np.array(options)[np.minimum(drawn, len(options) - 1)]
        places, dtype = self._release
        return pd.Categorical.from_codes(cast(Any, places[codes]), dtype=dtype, validate=False)

    @property
    def shown(self) -> tuple[str, ...]:
        """The levels that a release may hold."""
        return tuple(self._release[1].categories)

    @cached_property
    def _release(self) -> tuple[Ints, pd.CategoricalDtype]:
        """For each level its place among those that a release may hold (the last entry stands for missing), and these as a category."""
        named = [i for i in range(len(self.levels)) if i < self.n_frequent or i in self.released]
        places = np.full(len(self.levels) + 1, -1, dtype=np.int64)
        places[named] = np.arange(len(named))
        return places, pd.CategoricalDtype([self.levels[i] for i in named])

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted. Rare levels themselves are not kept: they would name patients' rare values in the model folder."""
        values = {
            "n_missing": self.n_missing,
            "levels": list(self.levels),
            "n_frequent": self.n_frequent,
            "is_ordered": self.is_ordered,
            "siblings": {str(group): list(options) for group, options in self.siblings.items()},
            "released": list(self.released),
        }
        return values, {"counts": self.counts}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> LevelCodec:
        """The column as saved."""
        return cls(
            values["n_missing"],
            tuple(values["levels"]),
            values["n_frequent"],
            arrays["counts"],
            values["is_ordered"],
            {int(group): tuple(options) for group, options in values["siblings"].items()},
            tuple(values["released"]),
        )


def fit_levels(series: pd.Series, patients: Ints, column: Column, *, min_patients: int) -> LevelCodec:
    """Learns a discrete column.

    Parameters
    ----------
    series : category column (n_rows,), missing where there is no value. patients : the record of each row.
    min_patients : k, the fewest patients that hold a level of its own.
    """
    codes = series.cat.codes.to_numpy()
    names = [str(level) for level in series.cat.categories]
    rows = np.bincount(codes[codes >= 0], minlength=len(names))
    holders = count_holders(codes[codes >= 0], patients[codes >= 0], len(names))
    k = 1 if column.has_public_levels else min_patients
    frequent = [i for i in range(len(names)) if holders[i] >= k and rows[i]]
    rare = [i for i in range(len(names)) if 0 < holders[i] < k]
    if is_hardly_shown(column, int(rows[frequent].sum()), int(rows.sum())):
        frequent, rare = [], sorted([*frequent, *rare])
    ordered = column.kind is Kind.ORDINAL
    if not ordered and column.kind is not Kind.BOOLEAN:
        frequent.sort(key=lambda i: (-rows[i], names[i]))
    if ordered and frequent:
        return _ordinal(column, names, rows, frequent, rare)
    names_frequent = [names[i] for i in frequent]
    held_by = _holders(codes, patients, names, rare)
    groups, joined = code_groups(held_by, names_frequent, column, k)
    alone = [name for name in held_by if not any(name in members for members in (*groups.values(), *joined.values()))]
    if alone:
        groups[RARE] = alone
    row_of = dict(zip(names, rows.tolist(), strict=True))
    counts = [row_of[name] + sum(row_of[member] for member in joined.get(name, ())) for name in names_frequent]
    counts += [sum(row_of[member] for member in members) for members in groups.values()]
    siblings, released = _release(list(groups), names_frequent, column)
    levels = (*names_frequent, *_spelt_like(names, list(groups), column))
    return LevelCodec(
        n_missing=len(column.missing),
        levels=levels,
        n_frequent=len(frequent),
        counts=np.array(counts, dtype=np.int64),
        is_ordered=False,
        siblings=siblings,
        released=released,
    )


def _holders(codes: npt.NDArray[Any], patients: Ints, names: list[str], chosen: list[int]) -> dict[str, frozenset[int]]:
    """The patients that hold each of some levels."""
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return {names[i]: frozenset(patients[order[edges[i] : edges[i + 1]]].tolist()) for i in chosen}


def _spelt(levels: Sequence[str], column: Column) -> dict[str, str]:
    """The code system's spelling of each level (250.83) -> as the column writes it (25083); no codes: themselves."""
    if column.kind not in (Kind.CODE, Kind.CODE_SET) or not column.code_system:
        return {text: text for text in levels}
    from manikin.clinical.codes import code_system

    system = code_system(column.code_system)
    return {system.normalise(text): text for text in reversed(levels)}


def _spelt_like(names: Sequence[str], groups: list[str], column: Column) -> list[str]:
    """Groups without a dot where the column writes its codes without one."""
    if column.kind is not Kind.CODE or not column.code_system or any("." in name for name in names):
        return groups
    return [group.replace(".", "") for group in groups]


def count_holders(codes: npt.NDArray[Any], patients: Ints, n_codes: int) -> Ints:
    """How many different patients hold each code, int64 (n_codes,)."""
    span = int(patients.max()) + 1 if len(patients) else 1
    return np.bincount(np.unique(codes.astype(np.int64) * span + patients) // span, minlength=n_codes)


RARE = "(rare)"


@lru_cache(maxsize=64)
def _above(levels: tuple[str, ...], n_missing: int, name: str) -> tuple[Ints, ...]:
    """Groups of tokens by what stands above them: a missing code is one by itself, and what has nothing above it likewise."""
    from manikin.clinical.codes import code_system, public_groups

    system, groups = code_system(name), public_groups(name)
    out = []
    for level in [None, *map(frozenset, groups)] if groups else []:
        names = [f"\x1f{i}" for i in range(n_missing)]
        for text in levels:
            path = [text, *system.ancestors(text)]
            category = next((one for one in reversed(path) if system.is_code(one)), text)
            names.append(category if level is None else next((one for one in path if one in level), category))
        out.append(np.unique(names, return_inverse=True)[1].astype(np.int64))
    return tuple(out)


def _ordinal(column: Column, names: list[str], rows: Ints, frequent: list[int], rare: list[int]) -> LevelCodec:
    """Rare ordinal levels join the nearest frequent one."""
    counts = rows[frequent].astype(np.int64)
    for i in rare:
        counts[_nearest_level(i, frequent)] += rows[i]
    levels = tuple(names[i] for i in frequent)
    return LevelCodec(n_missing=len(column.missing), levels=levels, n_frequent=len(frequent), counts=counts, is_ordered=True)


def _nearest_level(rank: int, frequent: list[int]) -> int:
    return min(range(len(frequent)), key=lambda f: (abs(frequent[f] - rank), f))


def code_groups(
    rare: Mapping[str, frozenset[int]], frequent: list[str], column: Column, k: int
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Group name -> rare levels in it, and frequent level -> rare codes below it; `rare` maps each rare level to its patients.

    Codes climb their hierarchy, the deepest ancestors first, until they meet a frequent code or stand k patients together; what is in
    neither stays alone. Groups whose name is no code of the system are left out for code sets, where nothing could be released for them.
    """
    groups: dict[str, list[str]] = {}
    joined: dict[str, list[str]] = {}
    left = dict(rare)
    if column.kind in (Kind.CODE, Kind.CODE_SET) and column.code_system:
        from manikin.clinical.codes import code_system

        system = code_system(column.code_system)
        above = {name: system.ancestors(name)[::-1] for name in left}  # the root first
        known, rare_codes = _spelt(frequent, column), set(_spelt(list(rare), column))
        for depth in range(max(map(len, above.values()), default=0) - 1, -1, -1):
            meeting: dict[str, list[str]] = {}
            for name in left:
                if len(above[name]) > depth:
                    meeting.setdefault(above[name][depth], []).append(name)
            for parent, members in meeting.items():
                if parent in known:
                    joined.setdefault(known[parent], []).extend(members)
                elif (
                    _can_stand(parent, rare_codes, system, column)
                    and len(frozenset().union(*(left[name] for name in members))) >= k
                ):
                    groups[parent] = members
                else:
                    continue
                for name in members:
                    del left[name]
    return groups, joined


def _can_stand(parent: str, rare: set[str], system: Any, column: Column) -> bool:
    """Whether a group may take this name: never that of a code that few patients hold; for code sets it must be a code at all."""
    return parent not in rare and (column.kind is Kind.CODE or bool(system.is_code(parent)))


@dataclass(frozen=True)
class _Place:
    """Where a level without a token of its own goes."""

    index: dict[str, int]
    n_frequent: int
    counts: Ints
    column: Column
    spelt: Mapping[str, str]

    def of(self, level: str) -> int:
        """Its nearest ancestor with a token, its nearest ordinal neighbour, the merged group, or the most frequent level."""
        if self.column.kind is Kind.CODE and self.column.code_system:
            from manikin.clinical.codes import code_system

            for ancestor in code_system(self.column.code_system).ancestors(level):
                if ancestor in self.spelt:
                    return self.index[self.spelt[ancestor]]
        order = self.column.levels or ()
        if self.column.kind is Kind.ORDINAL and level in order and self.n_frequent:
            ranks = [order.index(text) if text in order else 0 for text in list(self.index)[: self.n_frequent]]
            return _nearest_level(order.index(level), ranks)
        return self.index.get(RARE, int(np.argmax(self.counts)) if len(self.counts) else 0)


def _release(groups: list[str], frequent: list[str], column: Column) -> tuple[dict[int, tuple[int, ...]], tuple[int, ...]]:
    """Which groups are released by their own name (a parent that is a code), and which through frequent siblings."""
    if column.kind is not Kind.CODE or not column.code_system:
        return {}, ()
    from manikin.clinical.codes import code_system

    system = code_system(column.code_system)
    ancestors = {i: set(system.ancestors(name)) | {system.normalise(name)} for i, name in enumerate(frequent)}
    siblings, released = {}, []
    for offset, group in enumerate(groups, start=len(frequent)):
        if group != RARE and system.is_code(group):
            released.append(offset)
            continue
        options = tuple(i for i, above in ancestors.items() if group in above)
        if options:
            siblings[offset] = options
    return siblings, tuple(released)
