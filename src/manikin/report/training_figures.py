"""Drawings of a training run: figures over steps, and the small bars of a filmstrip. Knows plain numbers only; colours as in `figures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from manikin.report.figures import INK, MUTED, REAL, SYNTHETIC, WIDTH, _drawing, _percent_axis, _quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAME_WIDTH, FRAME_HEIGHT = 96.0, 56.0  # of a filmstrip's frame, in drawing units
_LOOKS: dict[str, tuple[str, object]] = {
    "real": (REAL, "-"),
    "synthetic": (SYNTHETIC, (0, (6, 2))),
    "sample": (SYNTHETIC, "-"),
    "first": (INK, "-"),
    "second": (MUTED, (0, (6, 2))),
    "third": (INK, (0, (1.5, 1.5))),
    "fourth": (MUTED, (0, (6, 1.5, 1.5, 1.5))),
}
Look = Literal["real", "synthetic", "sample", "first", "second", "third", "fourth"]


@dataclass(frozen=True)
class Line:
    """A figure over steps: its points, and how it looks; told apart by dashes and its name, not by colour alone."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    look: Look = "first"


def course(
    lines: Sequence[Line],
    *,
    axis: str = "",
    unit: Literal["share", "number", "log"] = "number",
    mark: tuple[float, str] | None = None,
    kept: float | None = None,
) -> str:
    """Lines over steps, with a legend where there are several.

    Parameters
    ----------
    unit : "share" has an axis in percent for values in [0, 1], from 0; "log" one of powers of ten, without values of 0 or less.
    mark : a dotted level with its name. kept : the step whose weights were kept.
    """
    scale = 100.0 if unit == "share" else 1.0
    n_named = len(lines) + (mark is not None)
    top = 10 + 15 * n_named if n_named > 1 else 12
    with _drawing(WIDTH, 168 + top, left=56, bottom=44, right=16, top=top) as (axes, done):
        for line in lines:
            colour, dashes = _LOOKS[line.look]
            x, y = np.asarray(line.steps, dtype=float), np.asarray(line.values, dtype=float) * scale
            there = np.isfinite(y) & ((y > 0) | (unit != "log"))
            axes.plot(x[there], y[there], color=colour, linestyle=dashes, linewidth=1.7, label=line.name)
        if unit == "log":
            _powers(axes)
        if mark is not None:
            axes.axhline(mark[0] * scale, color=MUTED, linewidth=1.2, linestyle=(0, (1.5, 2)), zorder=0, label=mark[1])
        if kept is not None:
            axes.axvline(kept, color=INK, linewidth=1, linestyle=(0, (2, 2)), zorder=0)
            is_late = kept > np.mean(axes.get_xlim())
            axes.annotate(
                "kept",
                (kept, 1),
                xycoords=("data", "axes fraction"),
                xytext=(-3 if is_late else 3, -2),
                textcoords="offset points",
                ha="right" if is_late else "left",
                va="top",
                fontsize=10,
                color=INK,
            )
        axes.margins(x=0.02)
        if unit == "share":
            _percent_axis(axes, horizontal=False)
            is_whole = axes.get_ylim()[1] > 35
            axes.set_ylim(0, 102 if is_whole else max(10, axes.get_ylim()[1]))
            if is_whole:
                axes.set_yticks(range(0, 101, 25))
        axes.set_xlabel("steps", color=MUTED)
        axes.set_ylabel(axis, color=MUTED, rotation_mode="anchor", parse_math=False)
        if n_named > 1:
            legend = axes.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1.0),
                frameon=False,
                labelcolor=INK,
                fontsize=10.5,
                borderpad=0,
                labelspacing=0.2,
            )
            for text in legend.get_texts():
                text.set_parse_math(False)
        _quiet(axes)
        return done()


def _powers(axes: Axes) -> None:
    """An axis of powers of ten with plain numbers, 2 and 5 among them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def frame(synthetic: Sequence[float], train: Sequence[float], *, most: float) -> str:
    """Shares of the same groups of values, in [0, 1]: train rows filled, the sample as an outline over them. Holds no text.

    Parameters
    ----------
    train : empty where it is not known. most : the share at the drawing's top, the same for all frames of a column.
    """
    n = max(len(synthetic), len(train), 1)
    base, step = FRAME_HEIGHT - 2, FRAME_WIDTH / n

    def height(share: float) -> float:
        return base - (base - 3) * min(share / most, 1.0) if most > 0 else base

    filled = "".join(
        f"M{_n(k * step + 0.5)} {_n(base)}V{_n(height(share))}H{_n((k + 1) * step - 0.5)}V{_n(base)}Z"
        for k, share in enumerate(train)
        if share > 0
    )
    outline = f"M1 {_n(base)}" + "".join(
        f"V{_n(height(share))}H{_n(min((k + 1) * step, FRAME_WIDTH - 1))}" for k, share in enumerate(synthetic)
    )
    outline += f"V{_n(base)}"
    size = f'viewBox="0 0 {FRAME_WIDTH:g} {FRAME_HEIGHT:g}"'
    return (
        f'<svg {size} aria-hidden="true" focusable="false">'
        + (f'<path d="{filled}" style="fill:var(--real,{REAL});fill-opacity:.45"/>' if filled else "")
        + f'<path d="{outline}" style="fill:none;stroke:var(--synthetic,{SYNTHETIC});stroke-width:1.6"/></svg>'
    )


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
