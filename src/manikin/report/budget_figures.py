"""Drawings of a privacy budget as inline SVG: shares by purpose, and what an attacker reaches. Knows no ledger and no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from manikin.report.figures import LINE, MUTED, SYNTHETIC, WIDTH, _drawing, _label, _name_axis, _percent_axis, _quiet, _room

LEAST = 0.1  # percent: where the axes of rates begin
_LENGTH = 26


def shares(labels: Sequence[str], parts: Sequence[float]) -> str:
    """One bar for each purpose: its share of what was spent, in [0, 1]."""
    y = np.arange(len(labels), dtype=float)
    with _drawing(WIDTH, 22.0 * len(labels) + 46, left=_room(labels, _LENGTH)) as (axes, done):
        axes.barh(y, np.asarray(parts, dtype=float) * 100, 0.62, color=SYNTHETIC, alpha=0.75)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlim(left=0)
        _name_axis(axes, y, labels, _LENGTH)
        _percent_axis(axes, horizontal=True)
        _quiet(axes)
        return done()


def power(false_alarms: Sequence[float], by_spends: Sequence[float], by_budget: Sequence[float]) -> str:
    """The most true positives by the share of false alarms, both in [0, 1] on logarithmic axes; guessing is the diagonal.

    Parameters
    ----------
    by_spends : of everything that was spent. by_budget : what epsilon and delta alone allow, at least as much.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    x = np.maximum(np.asarray(false_alarms, dtype=float) * 100, LEAST)
    curve, bound = (np.maximum(np.asarray(part, dtype=float) * 100, LEAST) for part in (by_spends, by_budget))
    with _drawing(WIDTH, 250, left=54, bottom=44, right=24) as (axes, done):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.fill_between(x, x, curve, color=SYNTHETIC, alpha=0.14, linewidth=0)
        axes.plot([LEAST, 100], [LEAST, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot([LEAST, 100], [100, 100], color=MUTED, linewidth=1.4)
        axes.plot(x, bound, color=SYNTHETIC, linewidth=1.1, linestyle=(0, (1, 2)))
        axes.plot(x, curve, color=SYNTHETIC, linewidth=1.8)
        axes.axvline(1, color=LINE, linewidth=1)
        axes.set_xlim(LEAST, 100)
        axes.set_ylim(LEAST, 115)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0.1, 1, 10, 100]))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        axes.set_xlabel(_label("outsiders wrongly accused", 40), color=MUTED, parse_math=False)
        _quiet(axes)
        return done()
