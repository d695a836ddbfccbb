"""Survival curves as inline SVG: real solid on a filled band, synthetic dashed between thin lines. Knows no results and no page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.report.figures import MUTED, REAL, SYNTHETIC, WIDTH, _drawing, _percent_axis, _quiet

Shares = Sequence[float | None]


@dataclass(frozen=True)
class Curve:
    """Shares in [0, 1] by time, with the band around them, None where there is none."""

    share: Shares
    low: Shares | None = None
    high: Shares | None = None


def survival(times: Sequence[float], real: Curve, synthetic: Curve, *, axis: str) -> str:
    """Two step curves from 100 % at time 0.

    Parameters
    ----------
    times : (n_times,) ascending; each curve has as many shares.
    axis : what time is called.
    """
    from matplotlib.ticker import MaxNLocator

    x = np.asarray(times, dtype=float)
    with _drawing(WIDTH, 220, left=52, bottom=44) as (axes, done):
        for curve, colour, dashes in ((real, REAL, "-"), (synthetic, SYNTHETIC, (0, (5, 2)))):
            low, high = (_percent(part) for part in (curve.low, curve.high))
            if low is not None and high is not None:
                axes.fill_between(x, low, high, step="post", color=colour, alpha=0.16, linewidth=0)
            share = _percent(curve.share)
            assert share is not None
            axes.step(x, share, where="post", color=colour, linewidth=1.8, linestyle=dashes)
        axes.set_ylim(0, 103)
        axes.set_xlim(left=min(0.0, float(x[0])))
        axes.set_xlabel(axis, color=MUTED, parse_math=False)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        _percent_axis(axes, horizontal=False)
        _quiet(axes)
        return done()


def _percent(shares: Shares | None) -> npt.NDArray[np.float64] | None:
    return None if shares is None else 100 * np.asarray([np.nan if share is None else share for share in shares], dtype=float)
