"""A random upper abdomen under a probe: fat, muscle, liver, vessels, gall bladder, a kidney, perhaps a lesion. Not for diagnosis."""

from __future__ import annotations

from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.simulation.imaging.painting import Canvas, Wobble
from manikin.simulation.imaging.phantom import Phantom

LESIONS = ("cyst", "tumour", "haemorrhage")
FIELD_MM = 170.0


def abdomen(size: int, rng: np.random.Generator, *, lesion: str | None = None) -> Phantom:
    """A slice of 170 mm, the skin at its top; a lesion lies in the liver."""
    if lesion is not None and lesion not in LESIONS:
        raise parameter_error("lesion", "abdomen", f"one of {', '.join(LESIONS)}, or None", lesion)
    canvas = Canvas((size, size), FIELD_MM / size, max(1, round(384 / size)))
    top = FIELD_MM / 2
    fat, muscle = float(rng.uniform(8, 22)), float(rng.uniform(5, 10))
    canvas.ellipse("muscle", (0, 0), (400, 400))
    canvas.ellipse("bowel", (0, -30), (130, 90), wobble=Wobble.draw(rng, 0.05))
    liver = (float(rng.normal(-10, 8)), top - fat - muscle - 52)
    canvas.ellipse("liver", liver, (84, 58), turn=float(rng.normal(8, 5)), wobble=Wobble.draw(rng, 0.04))
    y = canvas.axes[0][:, None] + 0 * canvas.axes[1][None, :]
    canvas.paint("muscle", y > top - fat - muscle)
    canvas.paint("fat", y > top - fat)
    canvas.paint("skin", y > top - 2.5)
    for _ in range(int(rng.integers(4, 8))):
        place = (float(rng.uniform(-60, 50)), top - fat - float(rng.uniform(25, 95)))
        radii = (float(rng.uniform(2, 4.5)), float(rng.uniform(4, 14)))
        canvas.ellipse("vessel", place, radii, turn=float(rng.uniform(-80, 80)), inside=("liver",))
    kidney = (float(rng.normal(38, 6)), top - fat - float(rng.uniform(90, 105)))
    canvas.ellipse("fat", kidney, (36, 25), turn=25)
    canvas.ellipse("kidney", kidney, (33, 20), turn=25, wobble=Wobble.draw(rng, 0.03))
    canvas.ellipse("mediastinum", kidney, (18, 7), turn=25, wobble=Wobble.draw(rng, 0.12))
    if rng.random() < 0.6:
        gall = (float(rng.normal(30, 6)), top - fat - 52)
        canvas.ellipse("bladder", gall, (9, 20), turn=-30, wobble=Wobble.draw(rng, 0.04))
    attributes: dict[str, Any] = {"anatomy": "abdomen", "fat_mm": round(fat, 1)}
    if lesion is not None:
        radius = float(rng.uniform(6, 17))
        place = (float(rng.uniform(-48, 5)), top - fat - muscle - float(rng.uniform(25, 70)))
        shape = Wobble.draw(rng, 0.03 if lesion == "cyst" else 0.1)
        mask = canvas.ellipse(lesion, place, (radius, radius * float(rng.uniform(0.8, 1.1))), wobble=shape, inside=("liver", "vessel"))
        canvas.lesion(lesion, mask)
        attributes["lesion_mm"] = round(2 * radius, 1)
    return canvas.phantom(rng, **attributes)
