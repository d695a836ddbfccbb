"""The trade-off drawing of a comparison, with the settings and colours of `figures`. Knows no results and no page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from manikin.report.figures import INK, MUTED, PAPER, SYNTHETIC, WIDTH, _drawing, _label, _quiet


@dataclass(frozen=True)
class Spot:
    """One release in the plane; `kind` is "synthetic" or "yardstick" (conventional anonymisation, reference floors)."""

    number: int
    x: float
    y: float
    x_interval: tuple[float, float]
    y_interval: tuple[float, float]
    is_on_front: bool
    is_yardstick: bool = False


def plane(spots: Sequence[Spot], *, x_axis: str, y_axis: str) -> str:
    """Releases as numbered marks with both intervals as a cross; those on the Pareto front filled and joined, the others hollow.

    Yardsticks are squares. Which end of an axis is better is said by its text, so that nothing is told by colour alone.
    """
    with _drawing(WIDTH, 330, left=50, bottom=46, top=14) as (axes, done):
        front = sorted((spot for spot in spots if spot.is_on_front), key=lambda spot: (spot.x, spot.y))
        if len(front) > 1:
            axes.plot([s.x for s in front], [s.y for s in front], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        for spot in spots:
            colour = INK if spot.is_yardstick else SYNTHETIC
            axes.hlines(spot.y, *spot.x_interval, color=colour, linewidth=1, alpha=0.55)
            axes.vlines(spot.x, *spot.y_interval, color=colour, linewidth=1, alpha=0.55)
            axes.plot(
                [spot.x],
                [spot.y],
                "s" if spot.is_yardstick else "o",
                markersize=15,
                markerfacecolor=colour if spot.is_on_front else PAPER,
                markeredgecolor=colour,
                markeredgewidth=1.6,
                zorder=3,
            )
            axes.text(
                spot.x,
                spot.y,
                str(spot.number),
                color=PAPER if spot.is_on_front else colour,
                ha="center",
                va="center_baseline",
                fontsize=9.5,
                fontweight="bold",
                zorder=4,
            )
        axes.margins(0.12)
        axes.set_xlabel(_label(x_axis, 52), color=MUTED, parse_math=False)
        axes.set_ylabel(_label(y_axis, 44), color=MUTED, parse_math=False, rotation_mode="anchor")
        _quiet(axes)
        return done()
