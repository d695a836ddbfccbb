"""Numbers on their codes' scales under a privacy ledger: noisy tables of codes by bins, and of codes by decimals. Knows no patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.codecs.bought.cells import cell_texts, points
from manikin.codecs.bought.cells import tokens as private_tokens
from manikin.codecs.bought.fit import Bought
from manikin.codecs.bought.histograms import CLEAR, Cells, groups
from manikin.codecs.bought.reading import FIRST_NUMBER, FIRST_TIME
from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.records.by_code import NumberByCode, ranks_of
from manikin.codecs.records.event_codec import code_field
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
N_DECIMALS = 4  # classes of decimals: none, one, two, more
LEAST = 0.02  # share of a code's numbers that must have so many decimals for its scale to have them
SHARES = (0.9, 0.1)  # of the precision, for bins and for decimals


def buy_by_code(
    private: PrivateDataset,
    flat: TableCodec,
    bought: Bought,
    pair: tuple[str, str],
    ledger: Ledger,
    *,
    precision: float,
    n_ranks: int,
    by: str,
) -> tuple[NumberByCode, Floats]:
    """A number by a code whose scales are made of a noisy table of codes by the bins that were bought of all numbers together.

    A code of which no bin stands clear of the noise has the scale of all.

    Parameters
    ----------
    flat : the codec of the table, the code among its columns. bought : all that was bought of its columns, the number among them.
    pair : the number and its code.

    Returns
    -------
    the codec, and rows of each of its tokens beside each token of the code, at least 0, float64 (n_code_tokens, n_tokens).
    """
    number, code = pair
    names = [column.name for column in bought.schema.learned]
    found = bought.codecs[names.index(number)]
    place = code_field(flat, code)
    levels = flat.fields_[place]
    assert isinstance(levels, LevelCodec)
    n_codes = levels.n_tokens
    column = bought.schema[number]
    if not isinstance(found, NumberCodec) or not len(found.low):
        return _empty(n_codes, max(len(column.missing), 1), n_ranks)
    order = np.argsort(found.low, kind="stable")
    low, high = found.low[order], found.high[order]
    n_missing, n_bins = max(len(column.missing), 1), len(low)
    code_column, counts = flat.schema_[code], flat.counts_[place]

    def cells(data: Dataset) -> Ints:
        """The cell of each row in the table of codes by bins (missing ones first), and in that of codes by decimals."""
        own = private_tokens(data, code_column, levels, counts).astype(np.int64)
        at, _ = points(data, column, (), found.step, 0)
        values = at * found.step
        there = ~np.isnan(values)
        bins = np.clip(np.searchsorted(low, np.where(there, values, 0.0) + 1e-9, side="right") - 1, 0, n_bins - 1)
        written = cell_texts(data, number).each(lambda cell: cell.kind, np.int64) - FIRST_NUMBER
        is_number = there & (written >= 0) & (written < FIRST_TIME - FIRST_NUMBER)
        decimals = np.where(is_number, own * N_DECIMALS + np.clip(written, 0, N_DECIMALS - 1), mechanisms.NOWHERE)
        return np.column_stack([own * (1 + n_bins) + np.where(there, 1 + bins, 0), decimals])

    sealed, answers, noises = private.map(cells), [], []
    for i, (size, share, what) in enumerate(zip((1 + n_bins, N_DECIMALS), SHARES, ("bins", "decimals"), strict=True)):
        answers.append(
            mechanisms.noisy_counts(
                sealed.map(lambda rows, i=i: rows[:, i]),  # type: ignore[misc]
                [n_codes * size],
                ledger,
                precision=share * precision,
                purpose=f"numbers on the scales of their codes: codes by {what}",
                columns=(number, code),
                by=by,
            )[0].reshape(n_codes, size)
        )
        noises.append(mechanisms.noise_of(ledger, share * precision))
    steps = _steps(answers[1], found.step, ledger.rows_per_patient + CLEAR * noises[1])
    return _scales(low, high, found, answers[0], noises[0], steps, n_missing, n_ranks, float(ledger.rows_per_patient))


def _steps(rows: Floats, finest: float, least: float) -> Floats:
    """The grid of each code's numbers, the finest where nothing stands clear, float64 (n_codes,)."""
    out = np.full(len(rows), finest)
    for i, own in enumerate(rows):
        held = np.flatnonzero(own > np.maximum(least, LEAST * np.maximum(own, 0).sum()))
        if len(held) and held[-1] < N_DECIMALS - 1:
            out[i] = max(10.0 ** -int(held[-1]), finest)
    return out


def _scales(
    low: Floats, high: Floats, found: NumberCodec, rows: Floats, noise: float, steps: Floats, n_missing: int, n_ranks: int, alone: float
) -> tuple[NumberByCode, Floats]:
    n_codes, n_bins = len(rows), len(low)
    order = np.argsort(found.low, kind="stable")
    parts = [(low, high, np.maximum(found.count[order], 1), found.step)]
    scale = np.zeros(n_codes, dtype=np.int64)
    has_none = np.zeros(n_codes, dtype=bool)
    for i in range(n_codes):
        has_none[i] = rows[i, 0] > alone + CLEAR * noise
        grid = np.arange(n_bins, dtype=float)
        cells = Cells(grid, grid, rows[i, 1:], np.full(n_bins, noise**2), np.empty(0), alone)
        clear = groups(cells)
        if not clear:
            continue
        first, last = (np.array(ends) for ends in zip(*clear, strict=True))
        own_low, own_high = _on_grid(low[first], high[last], steps[i])
        count = np.array([max(round(float(rows[i, 1 + a : 2 + b].sum())), 1) for a, b in clear], dtype=np.int64)
        scale[i] = len(parts)
        parts.append((own_low, own_high, count, float(steps[i])))
    firsts, at, seen_of = [], 0, []
    for part in parts:
        ranks = ranks_of(part[2].astype(np.int64), n_ranks)
        firsts.append(at + np.searchsorted(ranks, np.arange(n_ranks + 1)))
        seen_of.append(np.isin(np.arange(n_ranks), ranks))
        at += len(part[0])
    seen = np.ones((n_codes, n_missing + n_ranks), dtype=bool)
    tokens = np.zeros((n_codes, n_missing + n_ranks))
    for i, own in enumerate(scale.tolist()):
        if own:
            seen[i] = np.append(np.full(n_missing, has_none[i]), seen_of[own])
        weight = parts[own][2] * (1.0 if own else max(float(rows[i, 1:].sum()), 0.0) / parts[0][2].sum())
        tokens[i, n_missing:] = np.bincount(ranks_of(parts[own][2].astype(np.int64), n_ranks), weights=weight, minlength=n_ranks)
        tokens[i, 0] = max(float(rows[i, 0]), 0.0) if has_none[i] else 0.0
    made = NumberByCode(
        n_missing,
        n_ranks,
        scale,
        seen,
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]).astype(np.int64),
        np.array(firsts, dtype=np.int64),
        np.array([part[3] for part in parts]),
    )
    return made, tokens


def _on_grid(low: Floats, high: Floats, step: float) -> tuple[Floats, Floats]:
    """Ends moved inward to the grid, where a bin holds a point of it; else to the nearest one."""
    first, last = np.ceil(low / step - 1e-9) * step, np.floor(high / step + 1e-9) * step
    nearest = np.round(low / step) * step
    holds = first <= last
    ends = [np.asarray(np.round(np.where(holds, own, nearest), 12), dtype=np.float64) for own in (first, last)]
    return ends[0], ends[1]


def _empty(n_codes: int, n_missing: int, n_ranks: int) -> tuple[NumberByCode, Floats]:
    """No number at all stands clear: every cell stays empty."""
    seen = np.zeros((n_codes, n_missing + n_ranks), dtype=bool)
    seen[:, 0] = True
    none = np.empty(0)
    first, step = np.zeros((1, n_ranks + 1), dtype=np.int64), np.ones(1)
    made = NumberByCode(n_missing, n_ranks, np.zeros(n_codes, dtype=np.int64), seen, none, none, none.astype(np.int64), first, step)
    return made, seen.astype(float)
