"""One patient's history as inline SVG: stays as bars, measured numbers as small lines, other events as dots, over her time.

Knows no results and no page. Real patients are blue and filled, synthetic ones orange and outlined, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manikin.report.figures import INK, LINE, MUTED, PAPER, REAL, SYNTHETIC, WIDTH, _drawing, _label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL = 14  # letters of a lane's name
LEFT = 112.0
BAR, DOT, NUMBER = 20.0, 18.0, 32.0  # heights of lanes, in drawing units
HOUR = 1 / 24
UNITS = ((4.0, HOUR, "hours"), (120.0, 1.0, "days"), (1_200.0, 7.0, "weeks"), (float("inf"), 365.25, "years"))


@dataclass(frozen=True)
class Lane:
    """One lane: its name and what it shows, all in days since the patient's first event.

    Attributes
    ----------
    spans : starts and ends of bars. times : of dots, or of the values of a number. values : in the order of times, empty for dots.
    bounds : what the lane's lower and upper edge mean, so that two patients are drawn alike.
    """

    name: str
    spans: Sequence[tuple[float, float]] = ()
    times: Sequence[float] = ()
    values: Sequence[float] = ()
    bounds: tuple[float, float] | None = None

    @property
    def height(self) -> float:
        """How high the lane is."""
        return NUMBER if self.bounds is not None else BAR if self.spans else DOT


def time_unit(days: float) -> tuple[float, str]:
    """The unit that suits a history of so many days: what one of it is in days, and its name.

    >>> time_unit(2.0)[1], time_unit(30.0)[1], time_unit(4000.0)[1]
    ('hours', 'days', 'years')
    """
    return next((step, name) for limit, step, name in UNITS if days <= limit)


def timeline(lanes: Sequence[Lane], *, days: float, is_synthetic: bool) -> str:
    """The lanes of one patient from the top.

    Parameters
    ----------
    days : the length of the time axis, the same for patients that stand side by side.
    """
    colour = SYNTHETIC if is_synthetic else REAL
    step, unit = time_unit(days)
    heights = [lane.height for lane in lanes]
    tops = np.concatenate([[0.0], np.cumsum(heights)])
    total = float(tops[-1])
    with _drawing(WIDTH, total + 50, left=LEFT, bottom=42, right=40) as (axes, done):
        for lane, top, height in zip(lanes, tops, heights, strict=False):
            _lane(axes, lane, float(top), height, step, colour, is_synthetic=is_synthetic)
        end = max(days / step, 1e-6)
        axes.set_ylim(total, 0)
        axes.set_xlim(-0.02 * end, end * 1.02)
        places = [float(top) + height / 2 for top, height in zip(tops, heights, strict=False)]
        axes.set_yticks(places, [_label(lane.name, LABEL) for lane in lanes], parse_math=False)
        axes.tick_params(axis="y", length=0, labelsize=10.0, labelcolor=INK)
        axes.tick_params(axis="x", color=LINE, labelcolor=MUTED, length=3, labelsize=10)
        axes.set_xlabel(f"{unit} since the first event", color=MUTED, fontsize=10.5)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(LINE)
        for top in tops[1:-1]:
            axes.axhline(float(top), color=LINE, linewidth=0.5, zorder=0)
        return done()


def _lane(axes: Axes, lane: Lane, top: float, height: float, step: float, colour: str, *, is_synthetic: bool) -> None:
    middle = top + height / 2
    for start, end in lane.spans:
        width = max((end - start) / step, 1e-9)
        axes.barh(
            middle,
            width,
            height * 0.5,
            left=start / step,
            color="none" if is_synthetic else colour,
            edgecolor=colour,
            linewidth=1.3 if is_synthetic else 0.8,
        )
    times = np.asarray(lane.times, dtype=float) / step
    if lane.bounds is None:
        if len(times):
            filling = PAPER if is_synthetic else colour
            axes.plot(times, np.full(len(times), middle), "o", markersize=4.6, markerfacecolor=filling, markeredgecolor=colour)
        return
    low, high = lane.bounds
    values = np.clip((np.asarray(lane.values, dtype=float) - low) / (high - low), -0.12, 1.12)
    y = top + height * (0.86 - 0.72 * values)
    if len(times):
        filling = PAPER if is_synthetic else colour
        axes.plot(times, y, color=colour, linewidth=1.0, alpha=0.8)
        axes.plot(times, y, "o", markersize=2.8, markerfacecolor=filling, markeredgecolor=colour, markeredgewidth=0.8)
    for value, place in ((high, 0.24), (low, 0.76)):
        text = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
        axes.text(1.01, top + height * place, text, transform=axes.get_yaxis_transform(), color=MUTED, fontsize=8.5, va="center")
