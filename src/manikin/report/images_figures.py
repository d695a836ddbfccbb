"""Pictures and spectra as inline SVG. Knows no results and no page; a picture that is no PNG in base64 is not drawn."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Sequence

import numpy as np

from manikin.report.figures import MUTED, REAL, SYNTHETIC, WIDTH, _drawing, _quiet
from manikin.report.picture_strips import PNG_TEXT

MOST_TEXT = 2_000_000  # characters of a picture


def picture(png: object, *, label: str = "") -> str:
    """One PNG as an SVG that is as wide as its place; empty where it is none.

    Parameters
    ----------
    png : text in base64. label : what is written under it inside the drawing, letters and digits only.
    """
    return strip([(png, label)])


def strip(pictures: Sequence[tuple[object, str]]) -> str:
    """Several PNG of one size side by side, each with a short label below; empty where one of them is no PNG."""
    sizes = [_size(png) for png, _ in pictures]
    if not sizes or any(size is None for size in sizes):
        return ""
    width, height = max(size[0] for size in sizes if size), max(size[1] for size in sizes if size)
    gap = 0.06 * width
    has_labels = any(label for _, label in pictures)
    total = len(pictures) * width + (len(pictures) - 1) * gap
    text = 0.042 * total if has_labels else 0.0
    parts = []
    for i, (png, label) in enumerate(pictures):
        left = i * (width + gap)
        parts.append(
            f'<image x="{left:.2f}" y="0" width="{width}" height="{height}" href="data:image/png;base64,{png}" '
            'preserveAspectRatio="xMidYMid meet"/>'
        )
        if label:
            plain = re.sub(r"[^A-Za-z0-9 .,%]", "", label)
            parts.append(
                f'<text x="{left + width / 2:.2f}" y="{height + 1.25 * text:.2f}" text-anchor="middle" font-size="{text:.2f}" '
                f'style="fill: var(--muted, {MUTED})">{plain}</text>'
            )
    tall = height + (1.7 * text if has_labels else 0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.2f} {tall:.2f}" width="100%" '
        f'style="max-width: 100%; height: auto">{"".join(parts)}</svg>'
    )


def spectrum(frequency: Sequence[float], real: Sequence[float], synthetic: Sequence[float]) -> str:
    """Power by spatial frequency, both on logarithmic scales of power; real filled in blue, synthetic in orange."""
    x = np.asarray(frequency, dtype=float)
    sides = [np.log10(np.maximum(np.asarray(values, dtype=float), 1e-12)) for values in (real, synthetic)]
    with _drawing(WIDTH, 220, left=52, bottom=44, right=12) as (axes, done):
        axes.plot(x, sides[0], color=REAL, linewidth=5, alpha=0.35, solid_capstyle="round")
        axes.plot(x, sides[1], color=SYNTHETIC, linewidth=1.8)
        axes.set_xlabel("cycles per pixel: coarse … fine", color=MUTED)
        axes.set_ylabel("power (powers of ten)", color=MUTED, rotation_mode="anchor")
        axes.margins(x=0.02)
        _quiet(axes)
        return done()


def _size(png: object) -> tuple[int, int] | None:
    """Width and height that a PNG's header states, None where it is none or claims to be huge."""
    if not isinstance(png, str) or len(png) > MOST_TEXT or not PNG_TEXT.fullmatch(png):
        return None
    try:
        head = base64.b64decode(png[:48], validate=True)
    except (ValueError, binascii.Error):
        return None
    if len(head) < 24:
        return None
    width, height = struct.unpack(">II", head[16:24])
    return (width, height) if 0 < width <= 4_096 and 0 < height <= 4_096 else None
