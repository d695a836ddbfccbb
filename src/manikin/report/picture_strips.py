"""The filmstrip of images: what a generator made at several moments of its training, as blocks. Reads the run's record of training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from manikin.report.blocks import Block, Filmstrip, Frame, Heading, Text, Tone

MOST_FRAMES = 8
MOST_TEXT = 400_000  # characters of a picture; the loop makes none that is longer
PNG_TEXT = re.compile(r"iVBORw0KGgo[A-Za-z0-9+/]+={0,2}")  # as every PNG begins


def picture_moments(training: Mapping[str, Any]) -> dict[str, list[tuple[int, str]]]:
    """By column of images the steps and pictures of the film, in order; what is no picture is passed over."""
    found: dict[str, list[tuple[int, str]]] = {}
    film = training.get("film")
    for moment in film if isinstance(film, list | tuple) else ():
        pictures = moment.get("pictures") if isinstance(moment, Mapping) else None
        step = moment.get("step") if isinstance(moment, Mapping) else None
        if not isinstance(pictures, Mapping) or not isinstance(step, int | float):
            continue
        for column, text in pictures.items():
            if isinstance(text, str) and len(text) <= MOST_TEXT and PNG_TEXT.fullmatch(text):
                found.setdefault(str(column), []).append((int(step), text))
    return {column: _thinned(moments) for column, moments in found.items()}


def picture_strips(training: Mapping[str, Any]) -> list[Block]:
    """A strip for each column of images; nothing where no picture was kept."""
    by_column = picture_moments(training)
    if not by_column:
        return []
    blocks: list[Block] = [
        Heading("The images taking shape", 4),
        Text(
            "Images that the network made in training, from the same noise and the same labels each time. None of them is a real image.",
            Tone.NOTE,
        ),
    ]
    for column, moments in by_column.items():
        frames = tuple(Frame("", f"step {step:,}", png=text) for step, text in moments)
        steps = ", ".join(f"{step:,}" for step, _ in moments)
        blocks.append(Filmstrip(column, frames, f"sheets of generated images at step {steps}."))
    return blocks


def _thinned(moments: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """At most `MOST_FRAMES`, first and last among them."""
    if len(moments) <= MOST_FRAMES:
        return list(moments)
    return [moments[round(k * (len(moments) - 1) / (MOST_FRAMES - 1))] for k in range(MOST_FRAMES)]
