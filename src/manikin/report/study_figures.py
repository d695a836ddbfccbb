"""Drawings that only studies need, with the settings and colours of `figures`. Knows no results and no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.report.figures import INK, LINE, MUTED, REAL, SYNTHETIC, WIDTH, _drawing, _label, _quiet

_STYLES = (("o", "-"), ("s", (0, (5, 2))), ("^", (0, (1, 1.5))), ("D", (0, (6, 1.5, 1, 1.5))), ("v", "-"))


def size_curve(series: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], *, axis: str, mark: float | None = None) -> str:
    """Means with their intervals over a logarithmic axis of sizes, one line per name; told apart by marker and dashes, not by colour alone.

    Parameters
    ----------
    series : (name, points) with "size", "mean" and "interval"; "real" is drawn in the colour of real rows.
    mark : a dashed line, for example at the best possible value.
    """
    made = [name for name, _ in series if name != "real"]
    sizes = sorted({int(point["size"]) for _, points in series for point in points})
    with _drawing(WIDTH, 270, left=46, bottom=44, top=20 + 15 * len(series)) as (axes, done):
        for number, (name, points) in enumerate(series):
            place = (
                made.index(name) + 1 if name in made else 0
            )  # a generator looks alike in every drawing, with real rows or without
            colour = (SYNTHETIC if place % 2 else INK) if place else REAL
            marker, dashes = _STYLES[place % len(_STYLES)]
            x = [point["size"] * (1 + 0.03 * (number - (len(series) - 1) / 2)) for point in points]
            for at, point in zip(x, points, strict=True):
                if point["interval"] is not None:
                    axes.vlines(at, *point["interval"], color=colour, linewidth=1.1, alpha=0.6)
            axes.plot(
                x,
                [point["mean"] for point in points],
                color=colour,
                linestyle=dashes,
                marker=marker,
                markersize=5.5,
                linewidth=1.6,
                label=_label(name),
            )
        if mark is not None:
            axes.axhline(mark, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("real patients learned from", color=MUTED)
        axes.set_ylabel(axis, color=MUTED, rotation_mode="anchor")
        legend = axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, labelcolor=INK, edgecolor=LINE, fontsize=10.5
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        _quiet(axes)
        return done()
