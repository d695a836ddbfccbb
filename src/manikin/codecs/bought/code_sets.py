"""Sets of codes in one cell, bought: whether there is a set, and which codes stand in many patients' sets. Opens no seal.

A row counts for a public number of its codes, drawn at random where it has more, so that the noise can be made for it. How often a code
repeats within a cell is not learned.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from manikin.clinical.codes import code_system
from manikin.codecs.bought.cells import cell_texts
from manikin.codecs.bought.histograms import CLEAR
from manikin.codecs.bought.levels import Found
from manikin.codecs.code_sets import CodeSetCodec
from manikin.data.dataset import Dataset
from manikin.data.rare_values import DEFAULT_SEPARATOR
from manikin.data.schema import EMPTY, Column
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset

Ints = npt.NDArray[np.int64]

PER_ROW = 8  # codes of a row that count
PRESENCE = 0.2  # share of a column's precision that the counts of sets and missing cells cost


def buy_code_set(
    private: PrivateDataset, column: Column, ledger: Ledger, *, precision: float, delta: float, max_codes: int, by: str
) -> Found:
    """Buys a column of code sets, with at most `max_codes` codes."""
    column = replace(column, separator=column.separator or DEFAULT_SEPARATOR, levels=None)
    words = [code.value for code in column.missing]
    words += [] if "" in words else [""]
    n_words = len(words)
    counts = mechanisms.noisy_counts(
        private.map(lambda data: presence(data, column, words)),
        [n_words + 1],
        ledger,
        precision=PRESENCE * precision,
        purpose="rows with a set of codes",
        columns=(column.name,),
        by=by,
    )[0]
    own = (1 - PRESENCE) * precision
    codes, _ = mechanisms.discovered(
        private.map(lambda data: members(data, column, words)),
        ledger,
        precision=own,
        delta=delta,
        purpose="codes of sets and their counts",
        columns=(column.name,),
        by=by,
        per_row=PER_ROW,
    )
    noise = mechanisms.noise_of(ledger, PRESENCE * precision)
    kept = dict(list(codes.items())[:max_codes])
    missing, rows = list(column.missing), counts[: len(column.missing)].tolist()
    if n_words > len(missing) and (counts[len(missing)] > ledger.rows_per_patient + CLEAR * noise or not kept):
        missing, rows = [EMPTY, *missing], [float(counts[len(missing)]), *rows]
    n_present = max(int(counts[-1]), 1) if kept else 0
    if not kept:
        rows[0] = max(rows[0], 1.0)
    held = np.minimum(np.array(list(kept.values()), dtype=np.int64), n_present)
    codec = CodeSetCodec(len(missing), tuple(kept), str(column.separator), held, n_present, (((1, 1),),) * len(kept))
    of_code = mechanisms.noise_of(ledger, own) ** 2 * PER_ROW
    fields = [np.array([*rows, n_present], dtype=float), *(np.array([n_present - n, n], dtype=float) for n in held)]
    variance = [np.full(len(fields[0]), noise**2), *(np.array([noise**2 + of_code, of_code]) for _ in held)]
    return Found(replace(column, missing=tuple(missing)), codec, tuple(fields), tuple(variance))


def presence(data: Dataset, column: Column, words: list[str]) -> Ints:
    """The place of each row's missing code among `words`, len(words) where it holds a set, int64 (n_rows,)."""
    own = cell_texts(data, column.name)
    place = [_place(text, column, words) for text in own.distinct]
    return np.array(place, dtype=np.int64)[own.codes]


def _place(text: str, column: Column, words: list[str]) -> int:
    text = text.strip()
    if text in words:
        return words.index(text)
    return len(words) if _codes(text, column) else words.index("") if "" in words else 0


def members(data: Dataset, column: Column, words: list[str]) -> npt.NDArray[np.object_]:
    """The different codes of each row, object (n_rows,): tuples, None where there is no set."""
    own = cell_texts(data, column.name)
    distinct = np.empty(len(own.distinct), dtype=object)
    for i, text in enumerate(own.distinct):
        distinct[i] = None if text.strip() in words else _codes(text, column)
    return distinct[own.codes]


def set_tokens(data: Dataset, column: Column, codec: CodeSetCodec) -> npt.NDArray[np.int32]:
    """Tokens int32 (n_rows, 1 + n_codes): presence, then whether each code stands in the row's set."""
    words = [code.value for code in column.missing]
    held = members(data, column, words)
    out = np.zeros((len(held), 1 + len(codec.codes)), dtype=np.int32)
    place = {code: i for i, code in enumerate(codec.codes, start=1)}
    above = code_system(column.code_system).ancestors if column.code_system else lambda _: ()
    first = presence(data, column, words)
    out[:, 0] = np.where(first < len(words), first, codec.n_missing if codec.codes else 0)
    for row, codes in enumerate(held):
        for code in codes or ():
            at = place.get(code) or next((place[up] for up in above(code) if up in place), 0)
            if at:
                out[row, at] = 1
    return out


def _codes(text: str, column: Column) -> tuple[str, ...]:
    spell = code_system(column.code_system).normalise if column.code_system else str.strip
    return tuple(dict.fromkeys(spell(part) for part in text.split(str(column.separator)) if part.strip()))
