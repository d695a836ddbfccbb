"""Drawings of a latent traversal: a column over the stops of one dimension, synthetic rows only. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from manikin.report.figures import INK, MUTED, SYNTHETIC, WIDTH, _drawing, _label, _percent_axis, _quiet

STYLES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)))  # told apart without colour too
SHADES = (SYNTHETIC, INK, MUTED, SYNTHETIC)


def numbers_strip(stops: Sequence[float], low: Sequence[Any], middle: Sequence[Any], high: Sequence[Any]) -> str:
    """Median and middle range of a number or a date (ISO text) at every stop; None where no row has a value."""
    is_time = any(isinstance(value, str) for value in middle)

    def at(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        if is_time:
            return np.array([np.nan if v is None else float(np.datetime64(v, "D").astype(np.int64)) for v in values])
        return np.array([np.nan if v is None else float(v) for v in values])

    x = np.asarray(stops, dtype=float)
    with _drawing(WIDTH, 150, left=76 if is_time else 58) as (axes, done):
        axes.fill_between(x, at(low), at(high), color=SYNTHETIC, alpha=0.18, linewidth=0)
        axes.plot(x, at(middle), color=SYNTHETIC, linewidth=1.8)
        axes.set_xlim(x[0], x[-1])
        if is_time:
            ticks = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]][::2]
            axes.set_yticks(ticks, [str(np.datetime64(int(tick), "D")) for tick in ticks], parse_math=False)
        _quiet(axes)
        return done()


def levels_strip(stops: Sequence[float], levels: Sequence[str], shares: Sequence[Sequence[float]]) -> str:
    """Shares of a few levels at every stop, each line named at its end; shares in [0, 1], (n_levels, n_stops)."""
    x = np.asarray(stops, dtype=float)
    with _drawing(WIDTH, 150, right=112) as (axes, done):
        ends = _apart([float(line[-1]) * 100 for line in shares])
        for k, (level, line) in enumerate(zip(levels, shares, strict=True)):
            axes.plot(x, np.asarray(line, dtype=float) * 100, color=SHADES[k % 4], linestyle=STYLES[k % 4], linewidth=1.6)
            axes.text(x[-1] + 0.15, ends[k], _label(level, 15), color=SHADES[k % 4], va="center", fontsize=10, parse_math=False)
        axes.set_xlim(x[0], x[-1])
        axes.set_ylim(0, 100)
        _percent_axis(axes, horizontal=False)
        _quiet(axes)
        return done()


def _apart(places: Sequence[float], least: float = 12.0) -> list[float]:
    """Places of names in [0, 100], moved up or down until none lies over another."""
    order = np.argsort(places, kind="stable")
    out = np.array(places, dtype=float)
    for before, after in pairwise(order):
        out[after] = max(out[after], out[before] + least)
    over = out.max(initial=0.0) - 98.0
    return [float(value - over) if over > 0 else float(value) for value in out]
