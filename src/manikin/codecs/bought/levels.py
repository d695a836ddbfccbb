"""Levels of discrete columns: those that stand clear of the noise are found by a threshold, those of a public code book are counted.

Codes of a system with a public hierarchy are bought as a tree of counts (`code_tree`). What is left is one group that comes back as
"(rare)". Opens no seal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from manikin.clinical.codes import public_groups
from manikin.codecs.bought.cells import level_texts
from manikin.codecs.bought.code_tree import buy_code_tree
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


@dataclass(frozen=True)
class Counted:
    """Texts with their estimated rows and the variance of these; blocks of codes likewise; whether these are all rows of the table."""

    rows: dict[str, float]
    variance: dict[str, float]
    groups: dict[str, float] = field(default_factory=dict)
    is_all: bool = False


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
    if column.kind is Kind.CODE and column.code_system and public_groups(column.code_system) and not _is_short(column):
        tree = buy_code_tree(private, column, ledger, precision=precision, delta=delta, n_rows=n_rows, by=by)
        return _found(replace(column, missing=tree.missing), Counted(tree.rows, tree.variance, tree.blocks, is_all=True), n_rows)
    if is_listed(column):
        return _found(column, _of_book(private, column, ledger, precision, by), n_rows)
    held, _ = mechanisms.discovered(
        private.map(lambda data: level_texts(data, column)),
        ledger,
        precision=precision,
        delta=delta,
        purpose="levels and their counts",
        columns=(column.name,),
        by=by,
    )
    return _found(column, Counted(held, dict.fromkeys(held, mechanisms.noise_of(ledger, precision) ** 2)), n_rows)


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


def _found(column: Column, counted: Counted, n_rows: tuple[float, float]) -> Found:
    held, variance = dict(counted.rows), dict(counted.variance)
    codes = list(column.missing)
    if "" in held and not any(code.value == "" for code in codes):
        codes.insert(0, EMPTY)
    texts = {code.value for code in codes}
    levels = _sorted([text for text in held if text not in texts], held, column)
    every = [*held.values(), *counted.groups.values()]
    rest, rest_variance = n_rows[0] - sum(every), n_rows[1] + sum(variance.values())
    has_rest = rest > CLEAR * np.sqrt(rest_variance) and column.kind not in (Kind.ORDINAL, Kind.BOOLEAN) and not counted.is_all
    if not levels and not codes:  # nothing stands clear: the column stays empty
        codes, has_rest = [EMPTY], False
        held, variance = {"": n_rows[0]}, {"": n_rows[1]}
    names = [*levels, *counted.groups, *([RARE] if has_rest else [])]
    held |= {RARE: rest} | counted.groups
    variance = {RARE: rest_variance} | variance
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
    return () if _is_short(column) else tuple(range(first, n_levels))


def _is_short(column: Column) -> bool:
    return is_listed(column) and len(column.levels or ()) <= SHORT_BOOK
