"""Levels of discrete columns: those that stand clear of the noise are found by a threshold, those of a public code book are counted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from manikin.codecs.bought.cells import level_texts
from manikin.codecs.levels import RARE, LevelCodec
from manikin.codecs.numbers import NumberCodec
from manikin.data.schema import EMPTY, Column, Kind
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset

Floats = npt.NDArray[np.float64]
CLEAR = 4.0
SHORT_BOOK = 64  # every level of a shorter public list is kept, whatever the noise says


@dataclass(frozen=True)
class Found:
    """A bought column: its description, its codec, and rows and their variance for each token, float64 (n_tokens,)."""

    column: Column
    codec: LevelCodec | NumberCodec
    rows: Floats
    variance: Floats


def buy_levels(
    private: PrivateDataset, column: Column, ledger: Ledger, *, precision: float, delta: float, n_rows: tuple[float, float], by: str
) -> Found:
    """Buys a column of levels.

    Parameters
    ----------
    n_rows : estimated rows of the table, and the variance of that.
    """
    if column.has_public_levels and column.levels:
        held, noise = _counted(private, column, ledger, precision, by)
    else:
        texts = private.map(lambda data: level_texts(data, column))
        held, _ = mechanisms.discovered(
            texts, ledger, precision=precision, delta=delta, purpose="levels and their counts", columns=(column.name,), by=by
        )
        noise = mechanisms.noise_of(ledger, precision)
    return _found(column, held, noise, n_rows)


def _counted(
    private: PrivateDataset, column: Column, ledger: Ledger, precision: float, by: str
) -> tuple[dict[str, float], float]:
    """The levels of a public list and the missing codes with their noisy counts, the empty cell only where it stands clear."""
    codes = [code.value for code in column.missing]
    known = list(dict.fromkeys([*codes, *(column.levels or ()), ""]))
    place = {text: i for i, text in enumerate(known)}
    cells = private.map(lambda data: np.array([place.get(text, -1) for text in level_texts(data, column)], dtype=np.int64))
    rows = mechanisms.noisy_counts(
        cells, [len(known)], ledger, precision=precision, purpose="counts of declared levels", columns=(column.name,), by=by
    )[0]
    noise = mechanisms.noise_of(ledger, precision)
    held = dict(zip(known, rows.tolist(), strict=True))
    if "" not in codes and held[""] <= CLEAR * noise:
        del held[""]
    if len(known) > SHORT_BOOK:
        held = {text: n for text, n in held.items() if n > CLEAR * noise or text in codes}
    return held, noise


def _found(column: Column, held: dict[str, float], noise: float, n_rows: tuple[float, float]) -> Found:
    codes = list(column.missing)
    if "" in held and not any(code.value == "" for code in codes):
        codes.insert(0, EMPTY)
    texts = {code.value for code in codes}
    levels = [text for text in held if text not in texts]
    if column.has_public_levels or column.kind is Kind.ORDINAL:
        order = {level: i for i, level in enumerate(column.levels or ())}
        levels.sort(key=lambda text: order.get(text, len(order)))
    else:
        levels.sort(key=lambda text: (-held[text], text))
    rest, rest_variance = n_rows[0] - sum(held.values()), n_rows[1] + len(held) * noise**2
    has_rest = rest > CLEAR * np.sqrt(rest_variance) and column.kind is not Kind.ORDINAL
    if not levels and not codes:
        codes, has_rest = [EMPTY], False
        held = {"": n_rows[0]}
    names = [*levels, RARE] if has_rest else levels
    rows = [held.get(code.value, 0.0) for code in codes] + [held[text] for text in levels] + ([rest] if has_rest else [])
    variance = [noise**2] * (len(codes) + len(levels)) + ([rest_variance] if has_rest else [])
    codec = LevelCodec(
        n_missing=len(codes),
        levels=tuple(names),
        n_frequent=len(levels),
        counts=np.maximum(np.rint(rows[len(codes) :]), 0).astype(np.int64),
        is_ordered=column.kind is Kind.ORDINAL,
    )
    known = column.levels if column.has_public_levels else tuple(levels) if column.kind is Kind.ORDINAL else tuple(sorted(levels))
    return Found(replace(column, missing=tuple(codes), levels=known), codec, np.array(rows), np.array(variance))
