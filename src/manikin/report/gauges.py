"""A gauge as inline SVG: an arc of three equal parts, the figure's needle, its 95 % interval as a second arc, a mark for real rows.

Knows no metric. Nothing is told by colour alone: the parts stand in a fixed order, bear signs, and their limits are written.
"""

from __future__ import annotations

from html import escape
from math import cos, pi, sin

from manikin.report.blocks import Gauge

WIDTH, HEIGHT = 260, 142
_X, _Y, _R = 130.0, 130.0, 100.0
_PARTS = (("poor", "✗"), ("fair", "?"), ("good", "✓"))


def gauge_svg(gauge: Gauge) -> str:
    """The drawing; places are in percent of the arc, from the poor end on the left to the good end on the right."""
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    pieces = [f'<svg class="gauge" {size} aria-hidden="true" focusable="false">']
    for i, (tone, sign) in enumerate(_PARTS):
        begin, end = 100 / 3 * i + 0.7, 100 / 3 * (i + 1) - 0.7
        pieces.append(f'<path d="{_arc(begin, end, _R)}" fill="none" stroke="var(--{tone})" stroke-width="15" opacity="0.42"/>')
        x, y = _point(100 / 3 * (i + 0.5), _R)
        pieces.append(_text(x, y + 4.5, sign, "middle", 'font-size="13" font-weight="700" fill="var(--ink)"'))
    for at, text in zip((100 / 3, 200 / 3), gauge.limits, strict=True):
        x, y = _point(at, _R + 16)
        pieces.append(_text(x, y, text, "end" if at < 50 else "start", 'font-size="12" fill="var(--muted)"'))
    low, high = gauge.span
    if high - low >= 0.5:
        pieces.append(f'<path d="{_arc(low, high, _R - 16)}" fill="none" stroke="var(--synthetic)" stroke-width="8" opacity="0.5"/>')
    if gauge.reference_at is not None:
        pieces.append(_line(gauge.reference_at, _R - 24, _R + 11, "var(--real)", 4))
    pieces.append(_line(gauge.at, 0, _R - 10, "var(--synthetic)", 4))
    pieces.append(f'<circle cx="{_X:g}" cy="{_Y:g}" r="7" fill="var(--synthetic)"/>')
    return "".join((*pieces, "</svg>"))


def _point(percent: float, radius: float) -> tuple[float, float]:
    angle = pi * (1 - percent / 100)
    return _X + radius * cos(angle), _Y - radius * sin(angle)


def _text(x: float, y: float, text: str, anchor: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{escape(text)}</text>'


def _arc(begin: float, end: float, radius: float) -> str:
    (x0, y0), (x1, y1) = _point(begin, radius), _point(end, radius)
    return f"M{x0:.2f} {y0:.2f}A{radius:g} {radius:g} 0 0 1 {x1:.2f} {y1:.2f}"


def _line(at: float, inner: float, outer: float, colour: str, width: int) -> str:
    (x0, y0), (x1, y1) = _point(at, inner), _point(at, outer)
    ends = f'x1="{x0:.2f}" y1="{y0:.2f}" x2="{x1:.2f}" y2="{y1:.2f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}" stroke-linecap="round"/>'
