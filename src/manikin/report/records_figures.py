"""Drawings of codes and of times as inline SVG, from plain numbers. Knows no results and no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from manikin.report.figures import MUTED, PAPER, SYNTHETIC, WIDTH, _drawing, _label, _quiet

LEAST = 1e-4  # what a share of 0 is drawn as, at the edge
N_NAMED = 4
GAPS = ((1 / 1_440, "min"), (1 / 24, "h"), (1.0, "d"), (30.4375, "mo"), (365.25, "a"))


def prevalence(real: Sequence[float], synthetic: Sequence[float], labels: Sequence[str]) -> str:
    """Shares of patients who have each code, real across and synthetic upwards, both on a logarithmic scale; the line is where they agree.

    Parameters
    ----------
    real, synthetic : (n_codes,) in [0, 1]; shares below 1 in 10,000 stand at the edge. labels : names; those farthest off are written.
    """
    x, y = (np.clip(np.asarray(values, dtype=float), LEAST, 1.0) for values in (real, synthetic))
    low = max(LEAST, 10 ** np.floor(np.log10(min(float(x.min(initial=1.0)), float(y.min(initial=1.0))))))
    with _drawing(WIDTH, 320, left=56, bottom=48, right=16) as (axes, done):
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = (low * 0.8, 1.3)
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.plot(
            x, y, "o", markersize=5.5, markerfacecolor=PAPER, markeredgecolor=SYNTHETIC, markeredgewidth=1.3, alpha=0.9, zorder=3
        )
        for i in _farthest(x, y):
            above = y[i] > x[i]
            right = x[i] < np.sqrt(low)
            axes.annotate(
                _label(labels[i], 18),
                (x[i], y[i]),
                xytext=(6 if right else -6, 6 if above else -6),
                textcoords="offset points",
                ha="left" if right else "right",
                va="bottom" if above else "top",
                fontsize=9.5,
                color=MUTED,
                parse_math=False,
            )
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        ticks = [10.0**power for power in range(-4, 1) if 10.0**power >= low * 0.99]
        names = [f"{100 * tick:g} %" for tick in ticks]
        axes.set_xticks(ticks, names)
        axes.set_yticks(ticks, names)
        axes.minorticks_off()
        axes.set_xlabel("real patients", color=MUTED)
        axes.set_ylabel("synthetic patients", color=MUTED, rotation_mode="anchor")
        _quiet(axes)
        return done()


def _farthest(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> list[int]:
    """The codes whose shares differ most, by ratio, of those that are at least a third off."""
    gap = np.abs(np.log(y) - np.log(x))
    return [int(i) for i in np.argsort(-gap, kind="stable")[:N_NAMED] if gap[i] > np.log(4 / 3)]


def gap_ticks(edges: Sequence[float]) -> list[str]:
    """Texts for edges that are logarithms of days: the time in the unit that suits it; none at the last, where there is no room.

    >>> gap_ticks([-3.0, 0.0, 2.0, 3.0])
    ['1 min', '24 h', '3 mo', '']
    """
    return [*(_duration(10.0 ** float(edge)) for edge in edges[:-1]), ""]


def _duration(days: float) -> str:
    size, name = next(((size, name) for size, name in reversed(GAPS) if days >= size * 1.95), GAPS[0])
    return f"{max(days / size, 1):.0f} {name}"
