"""The drawing of a band over time, with the settings and colours of `figures`. Knows no results and no page."""

from __future__ import annotations

from dataclasses import dataclass

from manikin.report.figures import MUTED, REAL, SYNTHETIC, WIDTH, _drawing, _label, _quiet


@dataclass(frozen=True)
class Band:
    """One number over time: given values as (day, value), and drawn ones as (day, low, median, high)."""

    given: tuple[tuple[float, float], ...]
    steps: tuple[tuple[float, float, float, float], ...]


def band(own: Band, *, axis: str) -> str:
    """Given values as dots, the median of draws as a line, and between low and high a filled band."""
    with _drawing(WIDTH, 170, bottom=40) as (axes, done):
        if own.given:
            axes.plot([day for day, _ in own.given], [value for _, value in own.given], "o", color=REAL, markersize=3.5)
        if own.steps:
            day = [step[0] for step in own.steps]
            axes.fill_between(day, [s[1] for s in own.steps], [s[3] for s in own.steps], color=SYNTHETIC, alpha=0.22, linewidth=0)
            axes.plot(day, [s[2] for s in own.steps], "o-", color=SYNTHETIC, linewidth=1.6, markersize=4, markerfacecolor="none")
        axes.margins(0.04, 0.1)
        axes.set_xlabel(_label(axis, 52), color=MUTED, parse_math=False)
        _quiet(axes)
        return done()
