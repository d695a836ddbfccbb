"""Drawings along a privacy budget, with the settings and colours of `figures`. Knows no results and no page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from math import inf, isinf, log10
from typing import TYPE_CHECKING, Any

from manikin.report.figures import INK, LINE, MUTED, REAL, SYNTHETIC, WIDTH, _drawing, _label, _quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = {"share": 0.001, "log": 0.01}  # what is drawn lowest on a logarithmic axis
_LOOKS = (("o", "-"), ("s", (0, (5, 2))), ("^", (0, (1, 1.5))), ("D", (0, (6, 1.5, 1, 1.5))), ("v", "-"))
Series = tuple[str, Sequence[Mapping[str, Any]]]
Limit = Sequence[tuple[float, float]]  # (epsilon, value)


def epsilon_curve(
    series: Sequence[Series],
    *,
    floor: str = "",
    real: float | None = None,
    ceiling: Limit = (),
    guess: float | None = None,
    scale: str = "",
) -> str:
    """Medians with bands over a logarithmic axis of epsilon, `inf` apart at the right; told apart by marker and dashes, not colour alone.

    Parameters
    ----------
    series : (name, points) with "epsilon" (a number or "inf"), "median" and "interval"; `floor` is the name that is drawn in grey.
    real : what the train rows themselves score, a line in the colour of real rows. ceiling : (epsilon, most that is possible).
    guess : what one who guesses scores. scale : "share", logarithmic from 0.1 % to 100 %; "log"; or plain.
    """
    place = _places([float(point["epsilon"]) for _, points in series for point in points])
    head = 6 + 15.5 * ((len(series) + (real is not None) + bool(ceiling) + 1) // 2)
    made = [name for name, _ in series if name != floor]
    with _drawing(WIDTH, 236 + head, left=48, bottom=44, top=head) as (axes, done):
        for number, (name, points) in enumerate(series):
            nth = made.index(name) if name in made else 0
            marker, dashes = _LOOKS[nth % len(_LOOKS)] if name in made else ("x", (0, (2, 2)))
            colour = (INK if nth % 2 else SYNTHETIC) if name in made else MUTED
            shift = 0.035 * (number - (len(series) - 1) / 2)
            _line(axes, name, points, place, shift, (marker, dashes, colour), least=LEAST.get(scale))
        if real is not None:
            axes.axhline(real, color=REAL, linewidth=1.6, label="train data themselves", zorder=1)
        if ceiling:
            x, y = zip(*[(log10(epsilon), value) for epsilon, value in ceiling], strict=True)
            axes.plot(x, y, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label="most that is possible", zorder=1)
            if len(x) == 1:  # one budget only has no line
                axes.plot(x, y, color=MUTED, linestyle="", marker="_", markersize=14, zorder=1)
        if guess is not None:
            axes.axhline(guess, color=LINE, linewidth=1, zorder=0)
        _axes(axes, place, scale)
        if not scale:
            axes.set_ylim(*_reach(series, real))
        _legend(axes)
        return done()


def side_by_side(drawings: Sequence[tuple[str, str]], *, columns: int = 3) -> str:
    """Drawings of `epsilon_curve` with their titles as one picture that stands alone, on white and with fixed colours.

    Parameters
    ----------
    drawings : (title, svg); titles are plain texts.
    """
    sizes = [float(found.group(1)) for _, svg in drawings if (found := re.search(r'height="([\d.]+)"', svg))]
    step = max(sizes) + 44
    n_rows = -(-len(drawings) // columns)
    width, height = columns * (WIDTH + 20) + 20, n_rows * step + 12
    parts = [f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>']
    for i, (title, svg) in enumerate(drawings):
        x, y = 20 + (i % columns) * (WIDTH + 20), 12 + (i // columns) * step
        parts.append(f'<text x="{x:g}" y="{y + 18:g}" font-size="15" font-weight="600" fill="{INK}">{escape(title)}</text>')
        parts.append(svg.replace("<svg ", f'<svg x="{x:g}" y="{y + 30:g}" ', 1))
    body = re.sub(r"var\(--[a-z]+,(#[0-9a-f]{6})\)", r"\1", "\n".join(parts))
    head = 'xmlns="http://www.w3.org/2000/svg" font-family="DejaVu Sans, Verdana, sans-serif"'
    return f'<svg {head} viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">\n{body}\n</svg>\n'


def _places(epsilons: Sequence[float]) -> dict[float, float]:
    """Where on the axis each epsilon lies: at its logarithm, an infinite one a step to the right of the largest."""
    finite = sorted({epsilon for epsilon in epsilons if not isinf(epsilon)})
    place = {epsilon: log10(epsilon) for epsilon in finite}
    reach = place[finite[-1]] - place[finite[0]] if finite else 0.0
    place[inf] = place[finite[-1]] + max(0.4, 0.2 * reach) if finite else 0.0
    return place


def _line(
    axes: Axes,
    name: str,
    points: Sequence[Mapping[str, Any]],
    place: Mapping[float, float],
    shift: float,
    look: tuple[str, Any, str],
    *,
    least: float | None,
) -> None:
    """One generator: a line with its band over finite epsilons, a marker with its interval at inf; nothing lies below `least`."""
    marker, dashes, colour = look
    known = sorted((float(p["epsilon"]), p["median"], *(p["interval"] or (p["median"],) * 2)) for p in points if p["median"] is not None)
    if least is not None:
        known = [(epsilon, *(max(value, least) for value in values)) for epsilon, *values in known]
    within = [one for one in known if not isinf(one[0])]
    beyond = [one for one in known if isinf(one[0])]
    style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5.5, "linewidth": 1.6, "label": _label(name, 20)}
    if within:
        x, middle, low, high = ([*column] for column in zip(*[(place[e], m, a, b) for e, m, a, b in within], strict=True))
        if len(within) > 1:
            axes.fill_between(x, low, high, color=colour, alpha=0.13 if colour == SYNTHETIC else 0.08, linewidth=0)
        else:
            axes.vlines(x, low, high, color=colour, linewidth=1.1, alpha=0.7)
        axes.plot(x, middle, linestyle=dashes, **style)
        style.pop("label")
    for epsilon, middle, low, high in beyond:
        at = place[epsilon] + shift
        axes.vlines(at, low, high, color=colour, linewidth=1.1, alpha=0.7)
        axes.plot([at], [middle], linestyle="none", **style)


def _reach(series: Sequence[Series], real: float | None) -> tuple[float, float]:
    """How far a plain axis goes: all medians, and bands no farther beyond them than half of what the medians span."""
    points = [point for _, own in series for point in own if point["median"] is not None]
    medians = [point["median"] for point in points] + ([] if real is None else [real])
    low, high = min(medians), max(medians)
    beyond = max(0.5 * (high - low), 0.02)
    ends = [end for point in points for end in point["interval"] or ()]
    low, high = max(min([low, *ends]), low - beyond), min(max([high, *ends]), high + beyond)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _axes(axes: Axes, place: Mapping[float, float], scale: str) -> None:
    from matplotlib.ticker import LogLocator

    names = {at: "inf" if isinf(epsilon) else f"{epsilon:g}" for epsilon, at in place.items()}
    axes.set_xticks([*names], [*names.values()])
    axes.set_xlim(min(names) - 0.14, max(names) + 0.22)
    if len(names) > 1:
        last, before = sorted(names, reverse=True)[:2]
        axes.axvline((last + before) / 2 + 0.05, color=LINE, linewidth=1, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlabel("epsilon; inf is without a budget", color=MUTED)
    if scale == "log":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.minorticks_off()
    if scale == "share":
        axes.set_yscale("log")
        axes.set_ylim(LEAST["share"] * 0.8, 1.25)
        axes.set_yticks([0.001, 0.01, 0.1, 1.0], ["0.1 %", "1 %", "10 %", "100 %"])
        axes.minorticks_off()
    _quiet(axes)


def _legend(axes: Axes) -> None:
    legend = axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.14, 1.0),
        ncols=2,
        frameon=False,
        labelcolor=INK,
        fontsize=10,
        columnspacing=1.0,
        handlelength=2.2,
        borderaxespad=0.1,
        labelspacing=0.25,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
