"""A reliability curve as inline SVG. Knows no classifier and no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.report.figures import MUTED, REAL, _drawing, _quiet


def reliability_curve(bins: Sequence[Mapping[str, Any]]) -> str:
    """Confidence against the share of right answers of each bin, with 95 % intervals and the line of right confidence."""
    with _drawing(344, 250, left=52, bottom=44) as (axes, done):
        low = min([0.45, *(one["interval"][0] for one in bins), *(one["confidence"] for one in bins)])
        axes.plot([low, 1], [low, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for one in bins:
            axes.vlines(one["confidence"], *one["interval"], color=REAL, linewidth=2, alpha=0.6)
            axes.plot([one["confidence"]], [one["right"]], "o", color=REAL, markersize=6)
        axes.set_xlim(low - 0.02, 1.02)
        axes.set_ylim(low - 0.02, 1.02)
        axes.set_xlabel("confidence", color=MUTED)
        axes.set_ylabel("share right", color=MUTED)
        _quiet(axes)
        return done()
