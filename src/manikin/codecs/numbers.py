"""Numbers and times as tokens: values that many patients share keep a token of their own, the rest are drawn anew inside small groups.

A *cell* is the finest thing remembered: one value held by at least k patients (a spike), an interval whose other values are held by at
least k patients together, or a piece of such an interval between two spikes. A token is one cell, a spike with the pieces beside it, or
several neighbours when there are more cells than a network should face. Every token is held by at least k patients. Decoding
draws a cell of the token by its frequency, then a point of the column's own grid inside it, so that no single patient's number is
given back, spikes and tails keep their weight, and the last digit looks as it does in the data. Knows nothing of any model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.number_cells import Cells, Floats, Grid, Ints, cells_of, cells_with_tails
from manikin.data.schema import Column, Source, Storage

MAX_TOKENS = 150
FEW_BESIDE = 0.1
MICROSECONDS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "microsecond": 1}


@dataclass(frozen=True)
class NumberCodec:
    """A fitted number or time column.

    Attributes
    ----------
    n_missing : missing codes come first among the tokens.
    low, high : float64 (n_cells,), the first and last grid point of each cell; equal for a spike, and for a piece that has room for one
        point. Sorted by token, then by low.
    count : int64 (n_cells,), patients' rows in the cell; in a piece its share of the interval's, by its width.
    token : int64 (n_cells,), the token that the cell belongs to, counted from 0 without the missing codes, not decreasing.
    spikes : float64, the values that have a cell of their own; never drawn from the intervals around them.
    step : the grid's step where it is regular (1 for whole numbers, 0.1 for one decimal, 1 for days of a date).
    significant : set when the grid is one of significant digits.
    unit : microseconds per unit for times, 0 for numbers.
    """

    n_missing: int
    low: Floats
    high: Floats
    count: Ints
    token: Ints
    spikes: Floats
    step: float
    significant: int | None
    unit: int

    @property
    def n_tokens(self) -> int:
        """Vocabulary size, missing codes included."""
        return self.n_missing + (int(self.token[-1]) + 1 if len(self.token) else 0)

    def token_bounds(self) -> tuple[Floats, Floats]:
        """Smallest and largest value a token can decode to, float64 (n_tokens - n_missing,) each."""
        n = self.n_tokens - self.n_missing
        low, high = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(low, self.token, self.low)
        np.maximum.at(high, self.token, self.high)
        return low, high

    def token_counts(self) -> Ints:
        """Rows per token, int64 (n_tokens - n_missing,)."""
        return np.bincount(self.token, weights=self.count, minlength=self.n_tokens - self.n_missing).astype(np.int64)

    def positions(self) -> npt.NDArray[np.float32]:
        """Where each token lies on the column's scale by rank, in [-1, 1]; NaN for missing codes. float32 (n_tokens,)."""
        out = np.full(self.n_tokens, np.nan, dtype=np.float32)
        counts = self.token_counts()
        if counts.sum():
            middle = (np.cumsum(counts) - counts / 2) / counts.sum()
            out[self.n_missing :] = 2 * middle - 1
        return out

    def is_spike(self) -> npt.NDArray[np.bool_]:
        """Which tokens stand for one value, but for `FEW_BESIDE` of their rows, bool (n_tokens - n_missing,)."""
        n, is_one = self.n_tokens - self.n_missing, (self.low == self.high) & np.isin(self.low, self.spikes)
        beside = np.bincount(self.token, weights=self.count * ~is_one, minlength=n)
        return (np.bincount(self.token[is_one], minlength=n) == 1) & (beside <= FEW_BESIDE * self.token_counts())

    def middles(self) -> Floats:
        """The mean of each token's cells' middles, in the column's units (times: counts of `unit`), float64 (n_tokens - n_missing,)."""
        middle, weight = (self.low + self.high) / 2, self.count.astype(float)
        return np.bincount(self.token, weights=middle * weight) / np.maximum(self.token_counts(), 1)

    def values(self) -> npt.NDArray[np.float32]:
        """The standardised middle of each token, within [-4, 4]; NaN for missing codes. float32 (n_tokens,)."""
        out = np.full(self.n_tokens, np.nan, dtype=np.float32)
        if not len(self.count):
            return out
        middle, weight = (self.low + self.high) / 2, self.count.astype(float)
        mean = np.average(middle, weights=weight)
        spread = np.sqrt(np.average((middle - mean) ** 2, weights=weight))
        out[self.n_missing :] = np.clip((self.middles() - mean) / (spread + 1e-12), -4, 4)
        return out

    def encode(self, values: Floats) -> Ints:
        """Tokens (n_missing and up) of finite values, int64 (n,); a value outside every cell goes to the nearest one."""
        if not len(self.low):
            return np.full(len(values), self.n_missing, dtype=np.int64)
        spike = np.flatnonzero(self.low == self.high)
        span = np.flatnonzero(self.low < self.high)
        cell = _nearest(values, self.low, self.high, span if len(span) else spike)
        if len(spike) and len(span):
            beside = _nearest(values, self.low, self.high, spike)
            far = np.maximum(self.low[cell] - values, values - self.high[cell])
            nearer = np.abs(values - self.low[beside]) < np.maximum(far, 0)
            is_spike = (self.low[beside] == values) | nearer
            cell[is_spike] = beside[is_spike]
        elif len(spike):
            cell = _nearest(values, self.low, self.high, spike)
        return self.token[cell] + self.n_missing

    def decode(self, tokens: npt.NDArray[Any], rng: np.random.Generator) -> Floats:
        """Values drawn for tokens that are no missing codes, float64 (n,)."""
        if not len(tokens):
            return np.empty(0)  # a column without any value has no cells either
        cell = self._draw_cells(np.asarray(tokens, dtype=np.int64) - self.n_missing, rng.random(len(tokens)))
        return self.draw_within(self.low[cell], self.high[cell], rng)

    def draw_within(self, low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
        """A grid point between low and high for each row, spikes avoided where that is possible."""
        values = self._points(low, high, rng.random(len(low)))
        for _ in range(3):
            again = np.flatnonzero((low < high) & np.isin(values, self.spikes)) if len(self.spikes) else ()
            if not len(again):
                break
            values[again] = self._points(low[again], high[again], rng.random(len(again)))
        return values

    def _draw_cells(self, tokens: Ints, uniform: Floats) -> Ints:
        ends = np.cumsum(self.count).astype(float)
        first = np.searchsorted(self.token, np.arange(self.token[-1] + 1))
        last = np.append(first[1:], len(self.token)) - 1
        start = ends[first] - self.count[first]
        target = start[tokens] + uniform * (ends[last[tokens]] - start[tokens])
        return np.clip(np.searchsorted(ends, target, side="right"), first[tokens], last[tokens])

    def _points(self, low: Floats, high: Floats, uniform: Floats) -> Floats:
        if self.significant is not None:
            raw = low + uniform * (high - low)
            return np.clip(round_significant(raw, self.significant, self.step), low, high)
        n_points = np.floor((high - low) / self.step + 1e-9) + 1
        drawn = np.round((low + np.floor(uniform * n_points) * self.step) / self.step) * self.step
        return np.clip(np.round(drawn, 12) if self.step < 1 else drawn, low, high)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted."""
        values = {"n_missing": self.n_missing, "step": self.step, "significant": self.significant, "unit": self.unit}
        arrays = {name: getattr(self, name) for name in ("low", "high", "count", "token", "spikes")}
        return values, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> NumberCodec:
        """The column as saved."""
        return cls(
            n_missing=values["n_missing"],
            step=values["step"],
            significant=values["significant"],
            unit=values["unit"],
            **{name: arrays[name] for name in ("low", "high", "count", "token", "spikes")},
        )


def fit_numbers(
    series: pd.Series,
    present: npt.NDArray[np.bool_],
    patients: Ints,
    column: Column,
    *,
    min_patients: int,
    max_tokens: int = MAX_TOKENS,
    by_scale: bool = False,
    exact: bool = False,
) -> NumberCodec:
    """Learns a number or time column.

    Parameters
    ----------
    series : the typed column (n_rows,). present : where it holds a value. patients : the record of each row.
    min_patients : k, the fewest patients of a cell; the k most extreme patients at either end are drawn inside the range of the rest.
    max_tokens : most tokens, missing codes apart.
    by_scale : for gaps of time, whose rare ones are long: the k most extreme patients have a cell of their own at either end, drawn from
        the middle half of what they hold there; and cells that must share tokens do so by size as well as by mass.
    exact : for columns whose values a rule names: a frequent value shares its token with no rarer ones beside it. Without it, tokens are
        places on the column's scale: a larger number never has a smaller token.
    """
    unit = time_unit(series[present]) if column.kind.is_time else 0
    values = to_units(series, unit)[present]
    step = (
        1.0
        if column.kind.is_time or (column.decimals is None and column.storage is Storage.INTEGER)
        else 10.0 ** -(column.decimals or 0)
    )
    significant = column.significant if not column.kind.is_time else None
    declared = column.source.range is Source.DECLARED
    values = np.clip(values, *_limits(column, unit))
    k = 1 if column.has_public_levels else min_patients
    if by_scale and k > 1 and not declared:
        cells = cells_with_tails(values, patients[present], k, step=step, pieces=not exact)
    else:
        cells = cells_of(values, patients[present], k, Grid(step, significant), protect=not declared, pieces=not exact)
    token = _tokens(cells, max_tokens, by_scale)
    order = np.lexsort((cells.low, token))
    return NumberCodec(
        len(column.missing),
        cells.low[order],
        cells.high[order],
        cells.count[order],
        token[order],
        cells.spikes,
        step,
        significant,
        unit,
    )


def to_units(series: pd.Series, unit: int) -> Floats:
    """The column as float64 (n_rows,): numbers as they are, times as counts of `unit` microseconds since 1970."""
    if not unit:
        return series.to_numpy(dtype=float)
    ticks = series.to_numpy(dtype="datetime64[us]")
    out = ticks.astype(np.int64) / unit
    return np.where(np.isnat(ticks), np.nan, out)


def from_units(values: Floats, unit: int) -> npt.NDArray[Any]:
    """Back to datetime64[us] for times."""
    return (np.round(values).astype(np.int64) * unit).astype("datetime64[us]") if unit else values


def time_unit(times: pd.Series) -> int:
    """The coarsest of day, hour, minute, second and microsecond on whose grid all times lie, in microseconds."""
    ticks = times.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return next(size for size in MICROSECONDS.values() if not (ticks % size).any())


def round_significant(values: Floats, digits: int, step: float) -> Floats:
    """Rounded to significant digits, no finer than `step`."""
    size = np.floor(np.log10(np.maximum(np.abs(values), step)))
    grid = np.maximum(10.0 ** (size - digits + 1), step)
    return np.round(np.round(values / grid) * grid, 12)


def _limits(column: Column, unit: int) -> tuple[float, float]:
    ends = [None if end is None else _in_units(end, unit) for end in (column.minimum, column.maximum)]
    return (-np.inf if ends[0] is None else ends[0], np.inf if ends[1] is None else ends[1])


def _in_units(end: float | str, unit: int) -> float:
    return float(np.datetime64(str(end), "us").astype(np.int64)) / unit if unit else float(end)


def _tokens(cells: Cells, max_tokens: int, by_scale: bool) -> Ints:
    """The token of each cell; a piece has the token of the spike beside it, and its rows count there, int64 (n_cells,)."""
    is_piece = ~np.isnan(cells.host)
    whole = np.flatnonzero(~is_piece)
    low, high, count = cells.low[whole], cells.high[whole], cells.count[whole].copy()
    is_spike = low == high
    of_piece = np.flatnonzero(is_spike)[np.searchsorted(low[is_spike], cells.host[is_piece])]  # whole cells of one value are spikes
    np.add.at(count, of_piece, cells.count[is_piece])
    token = np.empty(len(cells.low), dtype=np.int64)
    token[whole] = merge_tokens(count, is_spike, max_tokens, (low + high) / 2 if by_scale else None)
    token[is_piece] = token[whole][of_piece]
    return token


def merge_tokens(
    count: Ints, is_spike: npt.NDArray[np.bool_], max_tokens: int, middles: Floats | None = None
) -> Ints:
    """Cells to tokens: one each if they are few, else heavy spikes keep their own and the rest share tokens of about equal mass.

    With `middles`, float64 (n_cells,), no token holds cells of very different size either, however few rows they have.
    """
    n = len(count)
    if n <= max_tokens:
        return np.arange(n, dtype=np.int64)
    heavy = is_spike & (count >= count.sum() / max_tokens)
    n_shared = max(max_tokens - 2 * int(heavy.sum()), max_tokens // 3)
    light = np.where(heavy, 0, count)
    mass = np.cumsum(light) - light / 2
    if middles is None:
        return _runs(_shared(mass, light, heavy, n_shared))
    quantile = _shared(mass, light, heavy, max(n_shared // 2, 1))
    size = np.sign(middles) * np.log1p(np.abs(middles))
    token = _runs(quantile)
    for n_sizes in range(n_shared // 2, 0, -2):
        span = np.floor((size - size.min()) / max(np.ptp(size), 1e-12) * n_sizes).astype(np.int64)
        token = _runs(quantile * (n_shared + 2) + np.where(heavy, 0, span))
        if token[-1] < max_tokens:
            break
    return token


def _shared(mass: Floats, light: Ints, heavy: npt.NDArray[np.bool_], n_shared: int) -> Ints:
    """Which of n_shared tokens of equal mass a cell falls into; heavy spikes have a negative number of their own."""
    quantile = np.minimum(mass / max(light.sum(), 1) * n_shared, n_shared - 1).astype(np.int64)
    return np.where(heavy, -1 - np.arange(len(mass)), quantile)


def _runs(key: Ints) -> Ints:
    """Numbers runs of equal keys from 0 up."""
    return np.cumsum(np.diff(key, prepend=np.iinfo(np.int64).min) != 0) - 1


def _nearest(values: Floats, low: Floats, high: Floats, cells: Ints) -> Ints:
    """The cell (of those listed, sorted by low) that holds or lies nearest to each value."""
    ordered = cells[np.argsort(low[cells], kind="stable")]
    after = np.clip(np.searchsorted(low[ordered], values, side="right") - 1, 0, len(ordered) - 1)
    following = np.clip(after + 1, 0, len(ordered) - 1)
    gap_here = np.maximum(values - high[ordered][after], 0)
    gap_next = np.abs(low[ordered][following] - values)
    return ordered[np.where(gap_here <= gap_next, after, following)]
