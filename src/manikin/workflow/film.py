"""The filmstrip of a run as a picture: what the generator made at several moments of its training, side by side. Knows no model."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manikin.report.picture_strips import picture_moments

FILM = "film.png"
SCALE, GAP, LINE = 2, 10, 18


def write_film(training: Mapping[str, Any], path: Path) -> bool:
    """Writes the moments of the film from left to right, each under its step; nothing where no picture was kept.

    Returns
    -------
    whether it was written.
    """
    strips = picture_moments(training)
    if not strips:
        return False
    from PIL import Image, ImageDraw, ImageFont
    from PIL.PngImagePlugin import PngInfo

    rows = [
        [(f"step {step:,}", Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for step, text in moments]
        for moments in strips.values()
    ]
    scaled = [
        [(text, frame.resize((frame.width * SCALE, frame.height * SCALE), Image.Resampling.NEAREST)) for text, frame in row] for row in rows
    ]
    width = max(sum(max(frame.width, 70) + GAP for _, frame in row) for row in scaled) + GAP
    height = sum(max(frame.height for _, frame in row) + LINE + GAP for row in scaled) + GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(12), GAP
    for row in scaled:
        left = GAP
        for text, frame in row:
            draw.text((left, top), text, fill="black", font=font)
            sheet.paste(frame, (left, top + LINE))
            left += max(frame.width, 70) + GAP
        top += max(frame.height for _, frame in row) + LINE + GAP
    about = PngInfo()
    about.add_text("Description", "Synthetic images made by Manikin at several moments of training; no real patient.")
    sheet.save(path, pnginfo=about)
    return True
