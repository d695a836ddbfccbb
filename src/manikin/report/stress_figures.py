"""Curves of a stress test, with the settings and colours of `figures`. Knows plain numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from manikin.report.figures import INK, MUTED, REAL, SYNTHETIC, WIDTH, _drawing, _label, _quiet


@dataclass(frozen=True)
class Fall:
    """A measure over strengths: texts of the strengths, (value, low, high) at each, and where it fails, None where it holds."""

    strengths: Sequence[str]
    values: Sequence[tuple[float, float, float]]
    fails: int | None = None


def fall(own: Fall, *, axis: str, floor: float, limit: float) -> str:
    """The measure with its band over evenly placed strengths; dotted the limit that the tolerance allows, a cross where it fails.

    Parameters
    ----------
    floor : of the axis: what guessing scores. limit : the clean value less the tolerance.
    """
    with _drawing(WIDTH, 176, bottom=42, left=46) as (axes, done):
        places = range(len(own.values))
        axes.fill_between(places, [v[1] for v in own.values], [v[2] for v in own.values], color=REAL, alpha=0.22, linewidth=0)
        axes.plot(places, [v[0] for v in own.values], "o-", color=REAL, linewidth=1.7, markersize=4)
        axes.axhline(limit, color=MUTED, linewidth=1.2, linestyle=(0, (1.5, 2)), zorder=0)
        if own.fails is not None:
            axes.plot(
                [own.fails], [own.values[own.fails][0]], "X", color=SYNTHETIC, markersize=9, markeredgecolor=INK, zorder=3
            )
        low = min(floor, min(v[1] for v in own.values))
        axes.set_ylim(max(0.0, low - 0.02), 1.01)
        axes.set_xlim(-0.15, len(own.values) - 0.85)
        axes.set_xticks(list(places), [_label(text, 8) for text in own.strengths], parse_math=False)
        axes.set_xlabel(_label(axis, 46), color=MUTED, parse_math=False)
        _quiet(axes)
        return done()
