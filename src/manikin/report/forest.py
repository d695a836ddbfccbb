"""Forest plots as inline SVG: estimates with their 95 % intervals on lines, what real rows show beside what the release shows.

Knows no results and no page. Three kinds of mark differ in shape as in colour: a ring (the release), a dot (real rows) and a diamond
(what is known without any data).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Literal

import numpy as np

from manikin.report.figures import INK, MUTED, PAPER, REAL, SYNTHETIC, WIDTH, _drawing, _name_axis, _percent_axis, _quiet, _room

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["release", "real", "known"]
_LOOKS = {"release": ("o", PAPER, SYNTHETIC), "real": ("o", REAL, REAL), "known": ("D", MUTED, MUTED)}


@dataclass(frozen=True)
class Mark:
    """One estimate; `low` and `high` are its 95 % interval, None where it is known or has none."""

    value: float
    low: float | None = None
    high: float | None = None
    kind: Kind = "release"


@dataclass(frozen=True)
class Line:
    """A label and its estimates, drawn below one another where there are several."""

    label: str
    marks: tuple[Mark, ...]


def forest(
    lines: Sequence[Line],
    *,
    axis: str,
    mark: float | None = None,
    band: tuple[float, float] | None = None,
    is_share: bool = False,
    is_log: bool = False,
) -> str:
    """Estimates by line; `mark` is a dashed line (no effect, no gain), `is_share` writes percent, `is_log` is for ratios.

    `band` is a shaded range on the axis, such as a margin of equivalence.

    Parameters
    ----------
    lines : from the top; an estimate that is not finite is left out, and one that is not positive on a log axis.
    """
    most = max((len(line.marks) for line in lines), default=1)
    height = (26.0 if most == 1 else 15.0 * most + 9) * len(lines) + 62
    factor = 100.0 if is_share else 1.0
    with _drawing(WIDTH, height, left=_room([line.label for line in lines], 24), bottom=46) as (axes, done):
        if is_log:
            axes.set_xscale("log")
        for at, line in enumerate(lines):
            for i, one in enumerate(line.marks):
                place = at + (i - (len(line.marks) - 1) / 2) * 0.34
                _draw(axes, one, place, factor, is_log=is_log)
        if band is not None:
            axes.axvspan(band[0] * factor, band[1] * factor, color=MUTED, alpha=0.16, linewidth=0, zorder=-1)
        if mark is not None:
            axes.axvline(mark * factor, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_ylim(len(lines) - 0.45, -0.55)
        axes.margins(x=0.08)
        _name_axis(axes, np.arange(len(lines), dtype=float), [line.label for line in lines], 24)
        axes.set_xlabel(axis, color=MUTED, parse_math=False)
        if is_share:
            _percent_axis(axes, horizontal=True)
        elif is_log:
            _ratio_axis(axes)
        _quiet(axes)
        return done()


def _draw(axes: Axes, one: Mark, place: float, factor: float, *, is_log: bool) -> None:
    known = [part for part in (one.value, one.low, one.high) if part is not None]
    if not all(isfinite(part) for part in known) or (is_log and min(known) <= 0):
        return
    shape, filling, colour = _LOOKS[one.kind]
    if one.low is not None and one.high is not None:
        axes.hlines(place, one.low * factor, one.high * factor, color=colour, linewidth=2.2)
    axes.plot(
        [one.value * factor], [place], shape, markerfacecolor=filling, markeredgecolor=colour, markeredgewidth=2, markersize=7
    )


def _ratio_axis(axes: Axes) -> None:
    """Round numbers instead of powers of ten, two of them at least: a hazard ratio is read as 0.5 or 2."""
    low, high = axes.get_xlim()
    low, high = min(low, 0.48), max(high, 2.1)
    steps = (1.0, 2.0, 5.0) if high / low < 200 else (1.0,)
    ticks = [step * 10.0**power for power in range(-4, 5) for step in steps if low <= step * 10.0**power <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(low, high)
    axes.minorticks_off()
