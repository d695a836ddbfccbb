"""Levels of discrete columns: those that stand clear of the noise are found by a threshold, those of a public code book are counted.

Rare codes of a system with a public hierarchy are counted once more, by block and chapter, and come back under its name. What is left is
one group that comes back as "(rare)". Opens no seal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from manikin.clinical.codes import code_system, public_groups
from manikin.codecs.bought.cells import level_texts
from manikin.codecs.bought.forms import is_listed
from manikin.codecs.bought.histograms import CLEAR
from manikin.codecs.levels import RARE, LevelCodec
from manikin.codecs.public_schema import ColumnCodec
from manikin.data.dataset import Dataset
from manikin.data.schema import EMPTY, Column, Kind
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SHORT_BOOK = 64  # every level of a shorter public list is kept, whatever the noise says
GROUPS = 0.15  # share of a column's precision that its rare codes' groups cost


@dataclass(frozen=True)
class Counted:
    """Texts with their estimated rows and the variance of these, and groups of rare codes likewise."""

    rows: dict[str, float]
    variance: dict[str, float]
    groups: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A bought column: its description, its codec, and for each field rows and their variance, float64 (n_tokens,)."""

    column: Column
    codec: ColumnCodec
    rows: tuple[Floats, ...]
    variance: tuple[Floats, ...]

    @property
    def has_values(self) -> bool:
        """Whether anything but missing cells was found."""
        last = self.codec.n_missing + self.codec.n_frequent if isinstance(self.codec, LevelCodec) else None
        return bool((self.rows[0][self.codec.n_missing : last] > 0).any())


def buy_levels(
    private: PrivateDataset, column: Column, ledger: Ledger, *, precision: float, delta: float, n_rows: tuple[float, float], by: str
) -> Found:
    """Buys a column of levels.

    Parameters
    ----------
    n_rows : estimated rows of the table, and the variance of that.
    """
    system = column.code_system if column.kind is Kind.CODE else None
    names = public_groups(system) if system else ()
    first = (1 - GROUPS) * precision if names else precision
    if is_listed(column):
        counted = _of_book(private, column, ledger, first, by)
    else:
        texts = private.map(lambda data: level_texts(data, column))
        held, _ = mechanisms.discovered(
            texts, ledger, precision=first, delta=delta, purpose="levels and their counts", columns=(column.name,), by=by
        )
        counted = Counted(held, dict.fromkeys(held, mechanisms.noise_of(ledger, first) ** 2))
    if names:
        counted = _with_groups(private, column, counted, names, ledger, GROUPS * precision, by)
    return _found(column, counted, n_rows)


def _of_book(private: PrivateDataset, column: Column, ledger: Ledger, precision: float, by: str) -> Counted:
    """The levels of a public list and the missing codes with their noisy counts, the empty cell only where it stands clear."""
    codes = [code.value for code in column.missing]
    known = list(dict.fromkeys([*codes, *(column.levels or ()), ""]))
    place = {text: i for i, text in enumerate(known)}

    def places(data: Dataset) -> Ints:
        """The place of each row's text among the known ones."""
        return np.array([place.get(text, mechanisms.NOWHERE) for text in level_texts(data, column)], dtype=np.int64)

    rows = mechanisms.noisy_counts(
        private.map(places),
        [len(known)],
        ledger,
        precision=precision,
        purpose="counts of declared levels",
        columns=(column.name,),
        by=by,
    )[0]
    noise = mechanisms.noise_of(ledger, precision)
    held, least = dict(zip(known, rows.tolist(), strict=True)), ledger.rows_per_patient + CLEAR * noise
    if "" not in codes and held[""] <= least:
        del held[""]
    if len(known) > SHORT_BOOK:
        held = {text: n for text, n in held.items() if n > least or text in codes}
    return Counted(held, dict.fromkeys(held, noise**2))


def _with_groups(
    private: PrivateDataset,
    column: Column,
    counted: Counted,
    names: tuple[tuple[str, ...], ...],
    ledger: Ledger,
    precision: float,
    by: str,
) -> Counted:
    """Rare codes counted for their nearest frequent ancestor, or for their block and their chapter where these stand clear of the noise."""
    system = code_system(str(column.code_system))
    frequent = [text for text in counted.rows if system.is_code(text)]
    known = set(frequent)
    targets = [[*frequent, *(name for name in level if name not in known)] for level in names]
    place = [{text: i for i, text in enumerate(level)} for level in targets]

    def target(text: str) -> list[int]:
        """Where a text that has no token of its own is counted at each level."""
        above = () if text in counted.rows else system.ancestors(text)
        nearest = next((place[0][up] for up in above if up in known), None)
        if nearest is not None:
            return [nearest, *[mechanisms.NOWHERE] * (len(place) - 1)]
        return [next((own[up] for up in above if up in own), mechanisms.NOWHERE) for own in place]

    def places(data: Dataset) -> Ints:
        """The targets of each row, int64 (n_rows, n_levels)."""
        own = level_texts(data, column)
        of = {text: target(text) for text in set(own.tolist())}
        return np.array([of[text] for text in own.tolist()], dtype=np.int64).reshape(-1, len(place))

    answers = mechanisms.noisy_counts(
        private.map(places),
        [len(level) for level in targets],
        ledger,
        precision=precision,
        purpose="counts of rare codes by block and chapter",
        columns=(column.name,),
        by=by,
    )
    noise = mechanisms.noise_of(ledger, precision, n_tables=len(targets))
    least, alone = ledger.rows_per_patient + CLEAR * noise, ledger.rows_per_patient
    held, variance, groups = dict(counted.rows), dict(counted.variance), dict[str, float]()
    for text, n in zip(frequent, answers[0].tolist(), strict=False):
        if n > least:
            held[text] += n
            variance[text] += noise**2
    for level, rows in zip(targets, answers, strict=True):
        for name, n in zip(level[len(frequent) :], rows[len(frequent) :].tolist(), strict=True):
            inside = [group for group in groups if name in system.ancestors(group)]
            rest = n - sum(groups[group] for group in inside)
            own_variance = noise**2 + sum(variance[group] for group in inside)
            if name not in groups and rest > alone + CLEAR * np.sqrt(own_variance):
                groups[name], variance[name] = rest, own_variance
    return Counted(held, variance, groups)


def _found(column: Column, counted: Counted, n_rows: tuple[float, float]) -> Found:
    held, variance = dict(counted.rows), dict(counted.variance)
    codes = list(column.missing)
    if "" in held and not any(code.value == "" for code in codes):
        codes.insert(0, EMPTY)
    texts = {code.value for code in codes}
    levels = _sorted([text for text in held if text not in texts], held, column)
    every = [*held.values(), *counted.groups.values()]
    rest, rest_variance = n_rows[0] - sum(every), n_rows[1] + sum(variance.values())
    has_rest = rest > CLEAR * np.sqrt(rest_variance) and column.kind not in (Kind.ORDINAL, Kind.BOOLEAN)
    if not levels and not codes:  # nothing stands clear: the column stays empty
        codes, has_rest = [EMPTY], False
        held, variance = {"": n_rows[0]}, {"": n_rows[1]}
    names = [*levels, *counted.groups, *([RARE] if has_rest else [])]
    held |= counted.groups | {RARE: rest}
    variance |= {RARE: rest_variance}
    tokens = [*(code.value for code in codes), *names]
    rows = np.array([held.get(text, 0.0) for text in tokens])
    codec = LevelCodec(
        n_missing=len(codes),
        levels=tuple(names),
        n_frequent=len(levels),
        counts=np.maximum(np.rint(rows[len(codes) :]), 0).astype(np.int64),
        is_ordered=column.kind is Kind.ORDINAL,
        released=_released(column, len(levels), len(names)),
    )
    known = column.levels if is_listed(column) else tuple(levels if column.kind is Kind.ORDINAL else sorted(levels))
    noise = max(counted.variance.values(), default=n_rows[1])
    own_variance = np.array([variance.get(text, noise) for text in tokens])
    return Found(replace(column, missing=tuple(codes), levels=known), codec, (rows,), (own_variance,))


def _sorted(levels: list[str], held: dict[str, float], column: Column) -> list[str]:
    """Levels in their declared order, by the numbers in them where an order is needed and none declared, else by falling count."""
    if is_listed(column):
        order = {level: i for i, level in enumerate(column.levels or ())}
        return sorted(levels, key=lambda text: order.get(text, len(order)))
    if column.kind is Kind.ORDINAL:
        return sorted(levels, key=lambda text: ([float(part) for part in re.findall(r"\d+\.?\d*", text)], text))
    return sorted(levels, key=lambda text: (-held[text], text))


def _released(column: Column, first: int, n_levels: int) -> tuple[int, ...]:
    """The groups that come back under their own name: all, but none where every level is on a short public list.

    Without a budget few patients are in such groups, and they come back as frequent siblings. With one it may be half of the table, and to
    spread these over the few levels that were found would make each of them twice as frequent as it is.
    """
    is_closed = is_listed(column) and len(column.levels or ()) <= SHORT_BOOK
    return () if is_closed else tuple(range(first, n_levels))
