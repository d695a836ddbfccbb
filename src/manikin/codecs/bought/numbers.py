"""The range and bins of number and time columns, bought together: three noisy histograms, each finer where the last found patients.

The first asks a public grid (every leading digit of every power of ten; years for times; the declared range where there is one), the
others split what stands clear of the noise. The usual words for "no value" are cells of the same histograms, so they are counted with the
numbers and cost nothing of their own. An extreme that few patients hold is in no cell's ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from manikin.codecs.bought.histograms import CLEAR, Cells, by_magnitude, combined, evenly, groups, split, unsplit
from manikin.codecs.bought.tails import with_tails
from manikin.codecs.numbers import MICROSECONDS, NumberCodec, merge_tokens
from manikin.data.schema import Column, Source
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed

Floats = npt.NDArray[np.float64]

SHARES = (0.25, 0.35, 0.4)  # of a column's precision for each histogram
FIRST_YEAR, LAST_YEAR = 1800, 2200
CLEAR_WORD = 5.5  # standard deviations: by chance once in 50 million
N_FIRST = 64  # cells of a first histogram over a known range


@dataclass
class Line:
    """A number or time column while it is being bought.

    Attributes
    ----------
    words : the texts that may stand for no value, in the order of their cells. step, unit : the grid, as in `NumberCodec`.
    alone : the rows that one patient may have; what stands clear of the noise does so without her.
    """

    column: Column
    words: tuple[str, ...]
    step: float
    unit: int
    alone: int
    cells: Cells = field(init=False)
    word_rows: Floats = field(init=False)
    word_variance: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.cells = replace(_start(self.column, self.step, self.unit), alone=float(self.alone))
        self.word_rows = np.zeros(len(self.words) + 1)  # the last for texts that are neither a value nor such a word
        self.word_variance = np.full(len(self.words) + 1, np.inf)

    def clear_words(self) -> list[int]:
        """The words that stand clear of the noise, the empty cell a little sooner, since there are a hundred words and few are used."""
        least = np.array([CLEAR if word == "" else CLEAR_WORD for word in self.words])
        return np.flatnonzero(self.word_rows[:-1] > self.alone + least * np.sqrt(self.word_variance[:-1])).tolist()


def buy_lines(read: Sealed, lines: Sequence[Line], ledger: Ledger, *, precision: float, by: str) -> None:
    """Fills in what is known of each line.

    Parameters
    ----------
    read : float64 (n_rows, 2 * n_lines): per line the grid point of each row, NaN where it has none, then the place of its word among
        `words`, len(words) for other texts.
    precision : mu^2 of the three histograms of all lines together.
    """
    for i, share in enumerate(SHARES):
        own = share * precision
        noise = mechanisms.noise_of(ledger, own, n_tables=len(lines))
        parts = [split(line.cells, noise) if i else unsplit(line.cells) for line in lines]
        starts = [part.start for part in parts]
        sizes = [len(line.words) + 1 + len(start) for line, start in zip(lines, starts, strict=True)]
        n_words = [len(line.words) + 1 for line in lines]
        answers = mechanisms.noisy_counts(
            read.map(lambda rows, starts=starts, n_words=n_words: _places(rows, starts, n_words)),  # type: ignore[misc]
            sizes,
            ledger,
            precision=own,
            purpose=f"range and bins of numbers and times: histogram {i + 1} of {len(SHARES)}",
            columns=[line.column.name for line in lines],
            by=by,
        )
        for line, part, answer, n in zip(lines, parts, answers, n_words, strict=True):
            line.cells = combined(line.cells, part, answer[n:], noise)
            weight = 1 / (1 + noise**2 / line.word_variance)
            line.word_rows = np.where(np.isinf(line.word_variance), answer[:n], line.word_rows * weight + answer[:n] * (1 - weight))
            line.word_variance = 1 / (1 / line.word_variance + 1 / noise**2)


def _places(rows: Floats, starts: Sequence[Floats], n_words: Sequence[int]) -> npt.NDArray[np.int64]:
    """The cell of each row in each line's histogram: words first, then the grid."""
    out = np.empty((len(rows), len(starts)), dtype=np.int64)
    for t, (start, n) in enumerate(zip(starts, n_words, strict=True)):
        points, words = rows[:, 2 * t], rows[:, 2 * t + 1]
        there = ~np.isnan(points)
        place = np.clip(np.searchsorted(start, np.where(there, points, 0.0), side="right") - 1, 0, len(start) - 1)
        out[:, t] = np.where(there, n + place, words.astype(np.int64))
    return out


def number_codec(line: Line, n_missing: int, max_tokens: int) -> tuple[NumberCodec, Floats]:
    """The codec of what stands clear of the noise, and the variance of each token's rows, float64 (n_tokens - n_missing,)."""
    cells, found = line.cells, groups(line.cells)
    low = np.array([cells.start[a] for a, _ in found])
    high = np.array([cells.end[b] for _, b in found])
    rows = np.array([cells.rows[a : b + 1].sum() for a, b in found])
    variance = np.array([cells.variance[a : b + 1].sum() for a, b in found])
    token = merge_tokens(np.maximum(np.rint(rows), 1).astype(np.int64), low == high, max_tokens)
    parts = [[(a, b, n)] for a, b, n in zip(low, high, rows, strict=True)] if line.unit else with_tails(low, high, rows)
    every = np.array([part for own in parts for part in own]).reshape(-1, 3)
    start, end = np.round(every[:, 0] * line.step, 12), np.round(every[:, 1] * line.step, 12)
    if line.column.significant is not None:
        start, end = _inside(start, end, line.column.significant, line.step)
    codec = NumberCodec(
        n_missing,
        start,
        end,
        np.maximum(np.rint(every[:, 2]), 1).astype(np.int64),
        np.repeat(token, [len(own) for own in parts]),
        start[start == end],
        line.step,
        line.column.significant,
        line.unit,
    )
    return codec, np.bincount(token, weights=variance, minlength=codec.n_tokens - n_missing).astype(np.float64)


def _inside(start: Floats, end: Floats, digits: int, step: float) -> tuple[Floats, Floats]:
    """The ends of bins moved inward to numbers of so many significant digits, where a bin holds any."""
    grids = [np.maximum(10.0 ** (np.floor(np.log10(np.maximum(np.abs(own), step))) - digits + 1), step) for own in (start, end)]
    first, last = np.ceil(start / grids[0] - 1e-9) * grids[0], np.floor(end / grids[1] + 1e-9) * grids[1]
    holds = first <= last
    return np.where(holds, np.round(first, 12), start), np.where(holds, np.round(last, 12), end)


def _start(column: Column, step: float, unit: int) -> Cells:
    if unit:
        low, high = (_points(f"{year}-01-01", unit) for year in (FIRST_YEAR, LAST_YEAR))
    if column.source.range is Source.DECLARED and column.minimum is not None and column.maximum is not None:
        low, high = (_points(end, unit) if unit else round(float(end) / step) for end in (column.minimum, column.maximum))
        return evenly(low, max(low, high), N_FIRST)
    return evenly(low, high, LAST_YEAR - FIRST_YEAR) if unit else by_magnitude()


def _points(moment: float | str, unit: int) -> float:
    return float(np.floor(np.datetime64(str(moment), "us").astype(np.int64) / unit))


def unit_of(clock: str, *, has_clock: bool) -> int:
    """Microseconds of the grid of times that are written so."""
    if not has_clock or not clock:
        return MICROSECONDS["day"]
    return MICROSECONDS["second" if "%S" in clock else "minute"]
