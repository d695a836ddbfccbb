"""A random chest in space, for radiographs and CT slices: body, lungs, heart, vessels, spine, ribs, and findings whose place is known.

Schematic on purpose: shapes are ellipsoids with wobbly edges, sizes after adult ranges. Not for diagnosis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.simulation.imaging.painting import Canvas, Wobble
from manikin.simulation.imaging.phantom import Array, Phantom, smooth_field

LESIONS = ("nodule", "effusion", "consolidation")
FIELD_MM = 400.0  # the edge of a radiograph and of a slice


def thorax(
    size: tuple[int, int, int], rng: np.random.Generator, *, lesion: str | None = None, spacing_mm: float | None = None, oversample: int = 1
) -> Phantom:
    """A chest on (slices from the neck down, rows from the front, columns).

    Parameters
    ----------
    size : voxels; a single slice is taken at the height of a lesion, or at mid-heart where there is none.
    lesion : one of `LESIONS`, or None.
    spacing_mm : edge of a voxel; such that the columns span 400 mm when not given.
    """
    if lesion is not None and lesion not in LESIONS:
        raise parameter_error("lesion", "thorax", f"one of {', '.join(LESIONS)}, or None", lesion)
    canvas = Canvas(size, spacing_mm or FIELD_MM / size[2], oversample)
    width, depth = float(rng.normal(165, 11)), float(rng.normal(105, 9))
    fat = float(rng.uniform(6, 22))
    side = int(rng.choice([-1, 1]))
    at = {"x": side * float(rng.uniform(0.38, 0.55)) * width, "y": float(rng.uniform(-0.25, 0.25)) * depth}
    at["z"] = float(rng.uniform(-60, 60))
    if size[0] == 1:  # the slice's own height becomes z = 0
        canvas.axes[0] = canvas.axes[0] + (at["z"] if lesion == "nodule" else -75.0 if lesion == "effusion" else -40.0)
    _wall(canvas, rng, width, depth, fat)
    lungs = _lungs(canvas, rng, width, depth, fat)
    _middle(canvas, rng, width, depth)
    _bones(canvas, rng, width, depth, fat)
    lungs &= canvas.has("lung", "vessel")
    attributes: dict[str, Any] = {"anatomy": "thorax", "body_width_mm": round(2 * width, 1), "body_depth_mm": round(2 * depth, 1)}
    if lesion is not None:
        attributes |= _finding(canvas, rng, lesion, lungs, side, at, depth)
    return canvas.phantom(rng, **attributes)


def _wall(canvas: Canvas, rng: np.random.Generator, width: float, depth: float, fat: float) -> None:
    shape = Wobble.draw(rng, 0.015)
    canvas.ellipse("skin", (0, 0, 0), (width, depth, 420), wobble=shape, power=2.3)
    canvas.ellipse("fat", (0, 0, 0), (width - 2, depth - 2, 420), wobble=shape, power=2.3)
    canvas.ellipse("muscle", (0, 0, 0), (width - 2 - fat, depth - 2 - fat, 420), wobble=shape, power=2.3)
    for side in (-1, 1):  # shoulders, above the lungs
        canvas.ellipse("muscle", (side * width * 0.95, -10, 175), (70, 60, 60), power=2.2)


def _lungs(canvas: Canvas, rng: np.random.Generator, width: float, depth: float, fat: float) -> Array:
    inner, deep = width - fat - 16, depth - fat - 14
    bases = {}
    for side in (-1, 1):  # seen by the reader: side -1 is the image's left, the patient's right
        half, base = inner * 0.42, float(rng.normal(-125 if side > 0 else -112, 6))
        top = float(rng.normal(140, 6))
        centre = (side * (inner - half * 0.97), -4, (top + base) / 2)
        bases[side] = base
        canvas.ellipse("lung", centre, (half, deep * 0.93, (top - base) / 2), turn=side * -6, wobble=Wobble.draw(rng, 0.04), power=2.6)
    lungs = canvas.has("lung")
    for side in (-1, 1):  # the diaphragm's domes, liver and spleen below
        dome = "liver" if side < 0 else "spleen"
        place, radii = (side * inner * 0.5, 4, bases[side] - 60), (inner * 0.56, deep * 1.05, 96)
        canvas.ellipse(dome, place, radii, wobble=Wobble.draw(rng, 0.02), inside=("lung", "muscle"))
    lungs &= canvas.has("lung")
    cell = canvas.spacing_mm / canvas.oversample
    vessels = smooth_field(rng, canvas.tissue.shape, max(0.6, 3.5 / cell))
    x, y, z = (canvas.axes[k] for k in (2, 1, 0))
    hilum = np.abs(np.abs(x)[None, None, :] - 0.28 * width) / 90 + np.abs(y)[None, :, None] / 120 + np.abs(z)[:, None, None] / 190
    canvas.paint("vessel", lungs & (np.abs(vessels) < np.clip(0.16 - 0.13 * hilum, 0, None)))  # thinner outwards
    return lungs


def _middle(canvas: Canvas, rng: np.random.Generator, width: float, depth: float) -> None:
    canvas.ellipse("mediastinum", (0, -5, 30), (width * 0.17, depth * 0.62, 170), wobble=Wobble.draw(rng, 0.04), power=2.4)
    heart = float(rng.normal(1.0, 0.08))
    place = (0.15 * width * heart, 0.22 * depth, -58.0)
    canvas.ellipse("heart", place, (62 * heart, 46 * heart, 60 * heart), turn=-24, wobble=Wobble.draw(rng, 0.04))
    canvas.ellipse("vessel", (place[0] + 6, place[1] + 3, place[2]), (24 * heart, 19 * heart, 34 * heart), turn=-24)
    canvas.ellipse("vessel", (0.10 * width, -0.38 * depth, 20), (13, 13, 210))  # descending aorta
    canvas.ellipse("vessel", (0.14 * width, -0.05 * depth, 62), (22, 30, 15), turn=35)  # its arch
    canvas.ellipse("air", (0, -0.12 * depth, 130), (8, 7, 70))  # windpipe
    for side in (-1, 1):
        canvas.ellipse("air", (side * 16, -0.10 * depth, 52), (13, 6, 7), turn=side * -8)
        canvas.ellipse("vessel", (side * 0.27 * width, 0.0, 22), (17, 14, 24), wobble=Wobble.draw(rng, 0.1), inside=("lung", "mediastinum"))


def _bones(canvas: Canvas, rng: np.random.Generator, width: float, depth: float, fat: float) -> None:
    spine = -0.62 * depth
    for i, height in enumerate(np.arange(-210, 215, 25.0)):
        across = 19 + 0.25 * (17 - i)
        canvas.ellipse("cortical_bone", (0, spine, height), (across, 16, 10.5), power=3)
        canvas.ellipse("spongy_bone", (0, spine, height), (across - 2.5, 13.5, 9), power=3)
    canvas.ellipse("cortical_bone", (0, spine - 26, 0), (6, 14, 300))
    canvas.ellipse("csf", (0, spine - 20, 0), (7, 6, 300))
    canvas.ellipse("cortical_bone", (0, depth - fat - 14, 20), (17, 6, 95), power=3)
    canvas.ellipse("spongy_bone", (0, depth - fat - 14, 20), (15, 4, 93), power=3)
    _ribs(canvas, rng, width - fat - 9, depth - fat - 9)
    for side in (-1, 1):
        for x in np.linspace(0.12, 0.88, 22) * width:  # collar bones, rising outwards
            canvas.ellipse("cortical_bone", (side * x, 0.45 * depth, 138 + 0.14 * x), (7, 6, 5.5))


def _ribs(canvas: Canvas, rng: np.random.Generator, a: float, b: float) -> None:
    """Ten pairs on an elliptic cage, each falling from the spine to the front."""
    x, y, z = canvas.axes[2], canvas.axes[1], canvas.axes[0]
    u, v = x[None, :] / a, y[:, None] / b
    radius = np.abs(u) ** 2.3 + np.abs(v) ** 2.3
    wall = (radius < 1) & (radius > (1 - 11 / min(a, b)) ** 2.3)
    around = np.arctan2(np.abs(u), -v)  # 0 at the back, pi at the front
    fall = 78 * (1 - np.cos(np.clip(around, 0, 2.4))) / 1.74
    ribless = (y[:, None] > 0.72 * b) | ((np.abs(x)[None, :] < 14) & (y[:, None] < 0))
    gap, shift = float(rng.normal(26, 0.8)), float(rng.uniform(-6, 6))
    for i in range(11):
        height = 170 - gap * i + shift
        off = np.abs(z[:, None, None] - (height - fall)[None])
        if off.min() > 10:
            continue
        canvas.paint("cortical_bone", (off < 6.2) & (wall & ~ribless)[None])
        inner = (radius < (1 - 2 / min(a, b)) ** 2.3) & (radius > (1 - 9 / min(a, b)) ** 2.3)
        canvas.paint("spongy_bone", (off < 4.4) & (inner & ~ribless)[None])


def _finding(
    canvas: Canvas, rng: np.random.Generator, lesion: str, lungs: Array, side: int, at: dict[str, float], depth: float
) -> dict[str, Any]:
    x, y, z = canvas.axes[2][None, None, :], canvas.axes[1][None, :, None], canvas.axes[0][:, None, None]
    told: dict[str, Any] = {"side": "left" if side > 0 else "right"}
    own = lungs & (np.sign(x) == side)
    if lesion == "nodule":
        radius = float(rng.uniform(7, 17))
        radii = (radius, radius, radius * 0.95)
        shape = Wobble.draw(rng, 0.08)
        mask = canvas.ellipse("nodule", (at["x"], at["y"], at["z"]), radii, wobble=shape, inside=("lung", "vessel"))
        told["lesion_mm"] = round(2 * radius, 1)
    elif lesion == "effusion":  # fluid settles low (standing) and at the back, with a concave edge up the wall
        level = float(rng.uniform(20, 75)) - 118
        climb = np.clip((np.abs(x) - np.abs(at["x"])) / 45, 0, None) ** 2 * 30 + np.clip(-y / depth, 0, None) * 35
        mask = own & (z < level + climb)
        canvas.paint("effusion", mask)
        told["lesion_mm"] = round(level + 118, 1)
    else:
        cell = canvas.spacing_mm / canvas.oversample
        field = smooth_field(rng, canvas.tissue.shape, max(0.6, 9 / cell))
        reach = float(rng.uniform(30, 55))
        z0 = at["z"] if len(canvas.axes[0]) > 1 else float(canvas.axes[0].mean())
        away = np.sqrt((x - at["x"]) ** 2 + (y - at["y"]) ** 2 + (z - z0) ** 2) / reach
        mask = own & (away + 0.22 * field < 0.85)
        patchy = smooth_field(rng, canvas.tissue.shape, max(0.6, 3 / cell))
        canvas.paint("consolidation", mask & (patchy > -0.9))  # air left in some of it
        told["lesion_mm"] = round(2 * reach, 1)
    canvas.lesion(lesion, mask)
    return told
