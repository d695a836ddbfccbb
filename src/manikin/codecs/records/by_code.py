"""Numbers whose scale is their code's own (a laboratory value by its test) as tokens that are ranks on that scale. Knows no model.

A token says where on its code's scale a number lies: token n_missing + r holds values around the quantile (r + 1/2) / n_ranks. A code with
few distinct values keeps each of them apart, at the rank where it lies. So a rank means the same for every code ("low for this test"), one
field serves thousands of codes, and where a rare code is released as one of its siblings, the number is drawn on the sibling's scale.
Small cells are those of the flat codec, code by code; codes that fewer than k patients have numbers of share one pooled scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from manikin.codecs.base import Allowed
from manikin.codecs.levels import count_holders
from manikin.codecs.numbers import NumberCodec, fit_numbers
from manikin.codecs.records.clock import decimals_of
from manikin.data.schema import Column

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
POOLED = 0  # the scale of codes that too few patients have numbers of


@dataclass(frozen=True)
class NumberByCode:
    """A fitted number column with a scale for each code.

    Attributes
    ----------
    n_missing, n_ranks : the vocabulary: missing codes, then ranks.
    scale : int64 (n_code_tokens,), the scale of each token of the code field, `POOLED` for those without one of their own.
    seen : bool (n_code_tokens, n_tokens), which tokens stood beside each token of the code in training.
    low, high, count, rank : of each cell, (n_cells,), sorted by scale, then rank, then low. `NumberCodec` says what a cell is.
    first : int64 (n_scales, n_ranks + 1), where the cells of each rank of each scale begin, and the end.
    step : the grid of each scale, float64 (n_scales,).
    """

    n_missing: int
    n_ranks: int
    scale: Ints
    seen: npt.NDArray[np.bool_]
    low: Floats
    high: Floats
    count: Ints
    first: Ints
    step: Floats

    @property
    def n_tokens(self) -> int:
        """Vocabulary size, missing codes included."""
        return self.n_missing + self.n_ranks

    @property
    def n_scales(self) -> int:
        """Scales, the pooled one included."""
        return len(self.first)

    def positions(self) -> npt.NDArray[np.float32]:
        """Ranks lie evenly on [-1, 1]; NaN for missing codes. float32 (n_tokens,)."""
        ranks = 2 * (np.arange(self.n_ranks) + 0.5) / self.n_ranks - 1
        return np.concatenate([np.full(self.n_missing, np.nan), ranks]).astype(np.float32)

    def values(self) -> npt.NDArray[np.float32]:
        """The standard normal's quantile of each rank; NaN for missing codes. float32 (n_tokens,)."""
        ranks = ndtri((np.arange(self.n_ranks) + 0.5) / self.n_ranks)
        return np.concatenate([np.full(self.n_missing, np.nan), ranks]).astype(np.float32)

    def encode(self, values: Floats, mark: npt.NDArray[Any], code: npt.NDArray[Any]) -> Ints:
        """Tokens int64 (n_rows,) of numbers beside the tokens of their codes; a number outside every cell goes to the nearest rank."""
        out = np.maximum(mark.astype(np.int64) - 1, 0)
        rows = np.flatnonzero((mark == 0) & ~np.isnan(values))
        scale = self.scale[code[rows]]
        order = rows[np.argsort(scale, kind="stable")]
        edges = np.searchsorted(np.sort(scale), np.arange(self.n_scales + 1))
        for i in np.flatnonzero(np.diff(edges)):
            mine = order[edges[i] : edges[i + 1]]
            out[mine] = self.n_missing + self._rank(int(i), values[mine])
        return out

    def _rank(self, scale: int, values: Floats) -> Ints:
        a, b = int(self.first[scale, 0]), int(self.first[scale, -1])
        if a == b:
            return np.full(len(values), self.n_ranks // 2, dtype=np.int64)
        ranks = np.repeat(np.arange(self.n_ranks), np.diff(self.first[scale]))
        own = NumberCodec(0, self.low[a:b], self.high[a:b], self.count[a:b], ranks, np.empty(0), 1.0, None, 0)
        return own.encode(values)

    def decode(self, tokens: npt.NDArray[Any], code: npt.NDArray[Any], rng: np.random.Generator) -> Floats:
        """Numbers drawn for tokens beside the tokens of their released codes, float64 (n_rows,), NaN for missing codes.

        A rank that a code's scale does not have is taken for the nearest one that it has; a scale without any gives NaN.
        """
        out = np.full(len(tokens), np.nan)
        rows = np.flatnonzero((tokens >= self.n_missing) & (code >= 0))
        scale = self.scale[code[rows]]
        has_cells = self.first[scale, -1] > self.first[scale, 0]
        rows, scale = rows[has_cells], scale[has_cells]
        rank = self._nearest[scale, tokens[rows].astype(np.int64) - self.n_missing]
        ends = np.concatenate([[0], np.cumsum(self.count)]).astype(float)
        a, b = self.first[scale, rank], self.first[scale, rank + 1]
        target = ends[a] + rng.random(len(rows)) * (ends[b] - ends[a])
        cell = np.clip(np.searchsorted(ends, target, side="right") - 1, a, b - 1)
        low, high, step = self.low[cell], self.high[cell], self.step[scale]
        drawn = _points(low, high, step, rng)
        is_wide = low < high
        spikes = self._spikes
        for _ in range(3):
            again = np.flatnonzero(is_wide & np.isin(_address(scale, drawn, step), spikes)) if len(spikes) else ()
            if not len(again):
                break
            drawn[again] = _points(low[again], high[again], step[again], rng)
        out[rows] = drawn
        return out

    @property
    def _nearest(self) -> Ints:
        """For each rank of each scale the nearest one that has cells, int64 (n_scales, n_ranks)."""
        there, ranks = np.diff(self.first, axis=1) > 0, np.arange(self.n_ranks)
        before = np.maximum.accumulate(np.where(there, ranks, -self.n_ranks), axis=1)
        after = np.minimum.accumulate(np.where(there, ranks, 2 * self.n_ranks)[:, ::-1], axis=1)[:, ::-1]
        out = np.where(ranks - before <= after - ranks, before, after)
        return np.clip(out, 0, self.n_ranks - 1)

    @property
    def _spikes(self) -> Ints:
        scale = np.repeat(np.arange(self.n_scales), self.first[:, -1] - self.first[:, 0])
        chosen = self.low == self.high
        return np.unique(_address(scale[chosen], self.low[chosen], self.step[scale[chosen]]))

    def allowed(self, code: npt.NDArray[Any]) -> Allowed:
        """Which tokens stand beside these tokens of the code field in training, bool (n_rows, n_tokens); all where none did."""
        return self.seen[code]

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted."""
        names = ("scale", "low", "high", "count", "first", "step")
        arrays = {name: getattr(self, name) for name in names} | {"seen": self.seen.astype(np.uint8)}
        return {"n_missing": self.n_missing, "n_ranks": self.n_ranks}, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> NumberByCode:
        """The column as saved."""
        fitted: dict[str, Any] = {**values, **arrays, "seen": arrays["seen"].astype(bool)}
        return cls(**fitted)


def fit_by_code(
    values: Floats,
    mark: npt.NDArray[Any],
    code: npt.NDArray[Any],
    n_codes: int,
    patients: Ints,
    column: Column,
    *,
    min_patients: int,
    n_ranks: int,
) -> NumberByCode:
    """Learns a number by its code.

    Parameters
    ----------
    values : float64 (n_rows,), NaN where missing. mark : which missing code, 0 where there is a value.
    code : tokens of the code field, (n_rows,), of n_codes. patients : the record of each row.
    min_patients : k, the fewest patients of a cell, and of a code that has its own scale.
    """
    n_missing, k = len(column.missing), 1 if column.has_public_levels else min_patients
    there = np.flatnonzero((mark == 0) & ~np.isnan(values))
    holders = count_holders(code[there], patients[there], n_codes)
    own = np.flatnonzero((holders >= k) & (holders > 0))
    scale = np.zeros(n_codes, dtype=np.int64)
    scale[own] = np.arange(1, len(own) + 1)
    of_row = scale[code[there]]
    order = there[np.argsort(of_row, kind="stable")]
    edges = np.searchsorted(np.sort(of_row), np.arange(len(own) + 2))
    parts, first, steps = [], [], []
    n_cells = 0
    for i in range(len(own) + 1):
        rows = order[edges[i] : edges[i + 1]]
        cells = _scale(values[rows], patients[rows], column, k, n_ranks)
        first.append(n_cells + np.searchsorted(cells.token, np.arange(n_ranks + 1)))
        steps.append(cells.step)
        parts.append(cells)
        n_cells += len(cells.low)
    made = NumberByCode(
        n_missing,
        n_ranks,
        scale,
        np.ones((n_codes, n_missing + n_ranks), dtype=bool),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.array(first, dtype=np.int64),
        np.array(steps),
    )
    tokens = made.encode(values, mark, code)
    seen = np.zeros_like(made.seen)
    seen[code, tokens] = True
    seen[~seen.any(axis=1)] = True
    return replace(made, seen=seen)


def _scale(values: Floats, patients: Ints, column: Column, k: int, n_ranks: int) -> NumberCodec:
    """The cells of one code, with their ranks as tokens."""
    decimals = min(decimals_of(values), 15 if column.decimals is None else column.decimals) if len(values) else 0
    own = replace(column, decimals=decimals, significant=None, missing=())
    codec = fit_numbers(pd.Series(values), np.ones(len(values), dtype=bool), patients, own, min_patients=k, max_tokens=1 << 30)
    token = ranks_of(codec.token_counts(), n_ranks)[codec.token] if len(codec.token) else codec.token
    return replace(codec, token=token, step=float(codec.step))


def ranks_of(count: Ints, n_ranks: int) -> Ints:
    """The rank of each cell by the quantile of its middle; cells that are no more than the ranks all stand apart. Not decreasing."""
    n = len(count)
    if not n:
        return np.empty(0, dtype=np.int64)
    middle = (np.cumsum(count) - count / 2) / max(count.sum(), 1)
    wanted = np.minimum((middle * n_ranks).astype(np.int64), n_ranks - 1)
    if n > n_ranks:
        return wanted
    steps = np.arange(n)
    return np.minimum(np.maximum.accumulate(wanted - steps) + steps, n_ranks - n + steps)


def _points(low: Floats, high: Floats, step: Floats, rng: np.random.Generator) -> Floats:
    """A point of each scale's grid between low and high."""
    n_points = np.floor((high - low) / step + 1e-9) + 1
    drawn = np.round((low + np.floor(rng.random(len(low)) * n_points) * step) / step) * step
    return np.clip(np.where(step < 1, np.round(drawn, 12), drawn), low, high)


def _address(scale: Ints, values: Floats, step: Floats) -> Ints:
    """A number for each grid point of each scale; that two of them may share one costs a draw and nothing else."""
    return np.round(values / step).astype(np.int64) * 1_000_003 + scale.astype(np.int64)
