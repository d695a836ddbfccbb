"""Drawings as inline SVG text from plain numbers: real rows always blue and filled, synthetic ones always orange and outlined.

Knows no results and no page. Matplotlib draws through its object interface, never through pyplot, with every setting given here, so
that the same numbers give the same bytes whatever the user's own matplotlib settings are. Colours are written as CSS variables with
a fixed fallback: the page, not the drawing, decides between light and dark. Blue and orange are those of Okabe and Ito
(https://jfly.uni-koeln.de/color/), which people with any colour vision can tell apart.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL, SYNTHETIC = "#0072b2", "#d55e00"
INK, MUTED, LINE, PAPER = "#1f2933", "#5b6773", "#cfd6dd", "#fefefe"
_VARIABLES = {REAL: "real", SYNTHETIC: "synthetic", INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper"}

WIDTH = 344.0  # drawing units; one unit is one CSS pixel, so that texts keep their size on a phone of 390 pixels
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "manikin",
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "axes.unicode_minus": True,
    "path.simplify": False,
}
_LABEL_LENGTH = 22
_N_LAYERS = 8


@dataclass(frozen=True)
class Interval:
    """One line of an interval plot: a value, its 95 % interval if there is one, and whether it was measured with real or synthetic rows."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    is_synthetic: bool = True


def histogram(edges: Sequence[float], real: Sequence[float], synthetic: Sequence[float], *, ticks: Sequence[str] = ()) -> str:
    """Shares of rows per bin: real filled, synthetic as a line.

    Parameters
    ----------
    edges : (n_bins + 1,) ascending; bins may be of unequal width.
    real, synthetic : (n_bins,) share of rows in each bin, in [0, 1].
    ticks : texts for the edges where these are not numbers (dates); a few of them are shown.
    """
    x = np.asarray(edges, dtype=float)
    with _drawing(WIDTH, 156) as (axes, done):
        axes.stairs(np.asarray(real, dtype=float) * 100, x, fill=True, color=REAL, alpha=0.45, linewidth=0)
        axes.stairs(np.asarray(synthetic, dtype=float) * 100, x, color=SYNTHETIC, linewidth=1.6)
        axes.set_xlim(x[0], x[-1] if x[-1] > x[0] else x[0] + 1)
        axes.set_ylim(bottom=0)
        if ticks:
            shown = np.unique(np.linspace(0, len(x) - 1, 4).astype(int))
            axes.set_xticks(x[shown], [_label(ticks[i], 12) for i in shown], parse_math=False)
        _percent_axis(axes, horizontal=False)
        _quiet(axes)
        return done()


def bars(labels: Sequence[str], real: Sequence[float], synthetic: Sequence[float]) -> str:
    """Shares of rows per level as pairs of bars; real filled, synthetic an outline with a light filling.

    Parameters
    ----------
    labels, real, synthetic : (n_levels,); shares in [0, 1].
    """
    y = np.arange(len(labels), dtype=float)
    with _drawing(WIDTH, 24.0 * len(labels) + 40, left=_room(labels)) as (axes, done):
        axes.barh(y - 0.2, np.asarray(real, dtype=float) * 100, 0.36, color=REAL, alpha=0.75)
        axes.barh(y + 0.2, np.asarray(synthetic, dtype=float) * 100, 0.34, facecolor="none", edgecolor=SYNTHETIC, linewidth=1.5)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlim(left=0)
        _name_axis(axes, y, labels)
        _percent_axis(axes, horizontal=True)
        _quiet(axes)
        return done()


def pairs_of_shares(labels: Sequence[str], real: Sequence[float], synthetic: Sequence[float]) -> str:
    """A dot for real and a ring for synthetic on one line per label, joined; shares in [0, 1]."""
    y = np.arange(len(labels), dtype=float)
    a, b = np.asarray(real, dtype=float) * 100, np.asarray(synthetic, dtype=float) * 100
    with _drawing(WIDTH, 22.0 * len(labels) + 46, left=_room(labels)) as (axes, done):
        axes.hlines(y, np.minimum(a, b), np.maximum(a, b), color=MUTED, linewidth=1.2)
        axes.plot(a, y, "o", color=REAL, markersize=7, clip_on=False)
        axes.plot(
            b, y, "o", markerfacecolor="none", markeredgecolor=SYNTHETIC, markeredgewidth=1.8, markersize=8, clip_on=False
        )
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xlim(0, max(1.0, float(np.nanmax(np.r_[a, b])) * 1.06))
        _name_axis(axes, y, labels)
        _percent_axis(axes, horizontal=True)
        _quiet(axes)
        return done()


def intervals(rows: Sequence[Interval], *, axis: str, mark: float | None = None) -> str:
    """Values with their 95 % intervals, one line each; `mark` draws a dashed line, for example at guessing."""
    y = np.arange(len(rows), dtype=float)
    with _drawing(WIDTH, 28.0 * len(rows) + 60, left=_room([row.label for row in rows], 30), bottom=44) as (axes, done):
        for at, row in zip(y, rows, strict=True):
            colour = SYNTHETIC if row.is_synthetic else REAL
            if row.low is not None and row.high is not None:
                axes.hlines(at, row.low, row.high, color=colour, linewidth=2.2)
            filling = PAPER if row.is_synthetic else colour
            axes.plot([row.value], [at], "o", markersize=8, markerfacecolor=filling, markeredgecolor=colour, markeredgewidth=2)
        if mark is not None:
            axes.axvline(mark, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.margins(x=0.08)
        _name_axis(axes, y, [row.label for row in rows], 30)
        axes.set_xlabel(axis, color=MUTED, parse_math=False)
        _quiet(axes)
        return done()


def heatmap(matrix: npt.ArrayLike, labels: Sequence[str], *, is_difference: bool = False) -> str:
    """A square matrix of associations, (n, n) in [0, 1], or of their differences in [-1, 1]; NaN stays empty."""
    from matplotlib.colors import LinearSegmentedColormap

    values = np.asarray(matrix, dtype=float)
    stops = (
        ["#0b5fa5", "#86b6d9", "#f4f4f2", "#f0a36b", "#b34700"]
        if is_difference
        else ["#f4f6f7", "#8fc3c2", "#2f7f8f", "#12355b"]
    )
    colours = LinearSegmentedColormap.from_list("", stops)
    limit = 1.0
    if is_difference:
        finite = np.abs(values[np.isfinite(values)])
        limit = max(0.1, float(np.ceil(finite.max() * 10) / 10)) if finite.size else 0.1
    size = 10.0 if len(labels) <= 12 else 8.5 if len(labels) <= 20 else 7.0
    room = _room(labels, 16, size)
    side = WIDTH - room - 44
    height = side + room + 8
    with _drawing(WIDTH, height, left=room, bottom=room, right=44) as (axes, done):
        image = axes.imshow(values, cmap=colours, vmin=-limit if is_difference else 0.0, vmax=limit, interpolation="none")
        places = np.arange(len(labels))
        short = [_label(label, 16) for label in labels]
        axes.set_xticks(places, short, rotation=90, fontsize=size, color=INK, parse_math=False)
        axes.set_yticks(places, short, fontsize=size, color=INK, parse_math=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        beside = axes.figure.add_axes((1 - 36 / WIDTH, room / height, 9 / WIDTH, side / height))
        bar = axes.figure.colorbar(image, cax=beside)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=9, labelcolor=MUTED, color=LINE, length=2)
        return done()


def effects(matrix: npt.ArrayLike, rows: Sequence[str], columns: Sequence[str]) -> str:
    """How strongly each row's column moves each of the others, (n_rows, n_columns) in [0, 1]; NaN stays empty."""
    from matplotlib.colors import LinearSegmentedColormap

    values = np.asarray(matrix, dtype=float)
    finite = values[np.isfinite(values)]
    limit = max(0.1, float(np.ceil(finite.max() * 10) / 10)) if finite.size else 0.1
    size = 10.0 if len(columns) <= 12 else 8.5 if len(columns) <= 20 else 7.0
    left, bottom = _room(rows, 16, size), _room(columns, 16, size)
    height = max(26.0, (WIDTH - left - 44) / max(len(columns), 1)) * len(rows)
    with _drawing(WIDTH, height + bottom + 8, left=left, bottom=bottom, right=44) as (axes, done):
        colours = LinearSegmentedColormap.from_list("", ["#f4f6f7", "#8fc3c2", "#2f7f8f", "#12355b"])
        image = axes.imshow(values, cmap=colours, vmin=0.0, vmax=limit, interpolation="none", aspect="auto")
        for axis, labels in ((axes.xaxis, columns), (axes.yaxis, rows)):
            axis.set_ticks(
                np.arange(len(labels)), [_label(label, 16) for label in labels], fontsize=size, color=INK, parse_math=False
            )
        axes.tick_params(axis="x", rotation=90)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        beside = axes.figure.add_axes(
            (1 - 36 / WIDTH, bottom / (height + bottom + 8), 9 / WIDTH, height / (height + bottom + 8))
        )
        bar = axes.figure.colorbar(image, cax=beside)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=9, labelcolor=MUTED, color=LINE, length=2)
        return done()


def cloud(real: npt.ArrayLike, synthetic: npt.ArrayLike, *, names: tuple[str, str]) -> str:
    """Rows as points in a plane, (n_real, 2) and (n_synthetic, 2): real ones as dots, synthetic ones as crosses, in mixed layers."""
    sides = [np.asarray(points, dtype=float).reshape(-1, 2) for points in (real, synthetic)]
    size = float(np.clip(9000 / max(1, sum(map(len, sides))), 5, 22))
    looks = (("o", REAL, 0.0), ("x", SYNTHETIC, 1.0))
    with _drawing(WIDTH, 330, left=26, bottom=26) as (axes, done):
        for layer in range(_N_LAYERS):  # a side that is drawn last hides the other, so both are drawn in turns
            for points, (marker, colour, width) in zip(sides, looks, strict=True):
                part = points[layer::_N_LAYERS]
                axes.scatter(
                    part[:, 0],
                    part[:, 1],
                    s=size,
                    marker=marker,
                    c=colour,
                    linewidths=width,
                    alpha=0.65,
                    rasterized=True,
                    zorder=2 + layer,
                )
        axes.set_xlabel(names[0], color=MUTED, parse_math=False)
        axes.set_ylabel(names[1], color=MUTED, parse_math=False, rotation_mode="anchor")
        axes.set_xticks([])
        axes.set_yticks([])
        _quiet(axes, grid=False)
        if not any(names):
            axes.axis("off")
        return done()


def curve(steps: Sequence[float], train: Sequence[float | None], validation: Sequence[float | None]) -> str:
    """Training and validation loss by step; a missing loss is left out."""
    with _drawing(WIDTH, 200, left=52, bottom=44, right=64) as (axes, done):
        for values, colour, style, name in ((train, MUTED, "-", "training"), (validation, INK, (0, (5, 2)), "validation")):
            known = [
                (step, value) for step, value in zip(steps, values, strict=True) if value is not None and np.isfinite(value)
            ]
            if known:
                x, y = zip(*known, strict=True)
                axes.plot(x, y, color=colour, linewidth=1.6, linestyle=style)
                axes.annotate(
                    name, (x[-1], y[-1]), xytext=(3, 0), textcoords="offset points", color=colour, fontsize=10.5, va="center"
                )
        axes.set_xlabel("steps", color=MUTED)
        axes.set_ylabel("loss", color=MUTED, rotation_mode="anchor")
        axes.margins(x=0.02)
        _quiet(axes)
        return done()


@contextmanager
def _drawing(
    width: float, height: float, *, left: float = 46, bottom: float = 28, right: float = 12, top: float = 8
) -> Iterator[tuple[Axes, Callable[[], str]]]:
    """Axes to draw on, with these margins, and the function that gives the SVG; settings of the process are left as they were."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), mpl.rc_context():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has the glyph
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mpl.rcParams.update(mpl.rcParamsDefault)
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type]
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        axes = figure.add_axes(
            (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
        )
        axes.patch.set_visible(False)
        yield axes, lambda: _inline(figure, width, height)


def _inline(figure: Figure, width: float, height: float) -> str:
    """The figure as one `<svg>` element to stand inside a page: no namespaces, no ids that could clash, colours as variables."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", dpi=150, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->|<defs>\s*</defs>", "", svg, flags=re.S)
    head = (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" aria-hidden="true" focusable="false">'
    )
    svg = re.sub(r"^<svg[^>]*>", head, svg).replace("xlink:href", "href")
    svg = _own_ids(svg)
    svg = re.sub(r" font-family: [^;\"]*;|(?<= rotate\()-(?=0 )| transform=\"rotate\(-0 [^)]*\)\"", "", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found.group()), svg)
    svg = re.sub(r"(\d+\.\d{2})\d+", r"\1", svg)
    return re.sub(r"\s*\n\s*", "\n", svg).strip()


def _own_ids(svg: str) -> str:
    """Ids that are referred to get a prefix of this drawing; the others go."""
    key = f"f{zlib.crc32(svg.encode()):x}-"
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
    names = {name: f"{key}{i}" for i, name in enumerate(sorted({a or b for a, b in used}))}
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{names[m.group(1)]}"' if m.group(1) in names else "", svg)
    svg = re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{names[m.group(1)]})", svg)
    return re.sub(r'href="#([^"]+)"', lambda m: f'href="#{names[m.group(1)]}"', svg)


def _variable(colour: str) -> str:
    name = _VARIABLES.get(colour)
    return f"var(--{name},{colour})" if name else colour


def _quiet(axes: Axes, *, grid: bool = True) -> None:
    """Light axes: no frame but the base line, thin grid behind the data."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set_color(LINE)
    axes.tick_params(color=LINE, labelcolor=MUTED, length=3, labelsize=10.5)
    if grid:
        axes.grid(visible=True, color=LINE, linewidth=0.6, alpha=0.7)
        axes.set_axisbelow(True)


def _percent_axis(axes: Axes, *, horizontal: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if horizontal else axes.yaxis
    axis.set_major_locator(MaxNLocator(5 if horizontal else 4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))


def _name_axis(axes: Axes, places: npt.NDArray[Any], labels: Sequence[str], length: int = _LABEL_LENGTH) -> None:
    axes.set_yticks(places, [_label(label, length) for label in labels], parse_math=False)
    axes.tick_params(axis="y", length=0)


def _room(labels: Sequence[str], length: int = _LABEL_LENGTH, size: float = 11.0) -> float:
    """The margin that the longest of these names needs, in drawing units; 0.58 is a wide sans-serif's mean width per size."""
    return 14 + 0.58 * size * max((len(_label(label, length)) for label in labels), default=0)


def _label(text: str, length: int = _LABEL_LENGTH) -> str:
    """A text that fits: no control characters, an ellipsis in the middle where it is too long."""
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in str(text))
    if len(plain) <= length:
        return plain
    tail = length // 3
    return f"{plain[: length - tail - 1]}…{plain[-tail:]}"
