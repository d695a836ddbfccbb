"""A random pigmented lesion under a dermatoscope, as linear-light reflectance, and a random eye ground. Knows no camera. Not for diagnosis.

Colours are display values of typical pictures; a mole is round, even and of one or two browns, a suspect one uneven in outline and colour
(the ABCD rule, Nachbar et al. 1994, doi:10.1016/S0190-9622(94)70061-3). The eye ground has disc, cup, vessels as branching walks, macula,
and perhaps haemorrhages and hard exudates as in diabetic retinopathy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.simulation.imaging.painting import Wobble
from manikin.simulation.imaging.phantom import Lesion, smooth_field

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Scene:
    """What a camera looks at: sRGB display values (3, rows, columns) under even white light, with findings and what was drawn."""

    picture: Array
    lesions: tuple[Lesion, ...]
    label: str
    attributes: dict[str, Any]


def _axes(size: int) -> tuple[Array, Array]:
    place = (np.arange(size) + 0.5) / size * 2 - 1
    return np.broadcast_to(place[None, :], (size, size)), np.broadcast_to(-place[:, None], (size, size))


def _mixed(base: Array, colour: tuple[float, float, float], share: Array) -> Array:
    return base * (1 - share) + np.array(colour)[:, None, None] * share


def mole(size: int, rng: np.random.Generator, *, label: str = "naevus") -> Scene:
    """A lesion of 4 to 12 mm in a field of 20 mm; `label` is "naevus" or "melanoma"."""
    x, y = _axes(size)
    suspect = label == "melanoma"
    tone = float(rng.uniform(0, 1))
    skin = np.array([0.90 - 0.35 * tone, 0.70 - 0.33 * tone, 0.60 - 0.32 * tone])
    fine = smooth_field(rng, (size, size), max(0.6, size / 90))
    broad = smooth_field(rng, (size, size), size / 10)
    picture = skin[:, None, None] * (1 + 0.025 * fine + 0.035 * broad)
    radius = float(rng.uniform(0.32, 0.6) if suspect else rng.uniform(0.2, 0.42))
    place = rng.normal(0, 0.08, 2)
    phi, away = np.arctan2(y - place[1], x - place[0]), np.hypot(x - place[0], (y - place[1]) * rng.uniform(0.85, 1.2))
    border = away / radius - Wobble.draw(rng, 0.16 if suspect else 0.05, 7).at(phi) + (0.10 if suspect else 0.03) * broad
    soft = 0.05 if suspect else 0.12
    inside = 1 / (1 + np.exp(np.clip(border / (soft / 2), -40, 40)))
    brown = (0.45 - 0.15 * tone, 0.28 - 0.1 * tone, 0.18 - 0.06 * tone)
    picture = _mixed(picture, brown, inside * np.clip(0.78 + 0.12 * fine, 0, 1))
    dark = 1 / (1 + np.exp(-np.clip((-0.8 if suspect else -8.4) + 4 * broad, -40, 40)))
    picture = _mixed(picture, (0.16, 0.10, 0.08), inside * dark * (0.85 if suspect else 0.3))
    if suspect:  # blue-white veil and pink areas
        veil = smooth_field(rng, (size, size), size / 9) > 0.9
        picture = _mixed(picture, (0.42, 0.45, 0.55), inside * veil * 0.6)
        picture = _mixed(picture, (0.75, 0.45, 0.42), inside * (smooth_field(rng, (size, size), size / 9) > 1.1) * 0.6)
    net = np.abs(smooth_field(rng, (size, size), max(0.7, size / 70))) < (0.3 if suspect else 0.22)  # the pigment network
    picture = _mixed(picture, (0.25, 0.15, 0.10), inside * net * 0.35)
    mask = inside > 0.5
    attributes = {"lesion_mm": round(2 * radius * 10, 1), "skin_tone": round(tone, 2)}
    return Scene(np.clip(picture, 0, 1), (Lesion(label, mask),), label, attributes)


def with_hair(picture: Array, n: int, rng: np.random.Generator) -> Array:
    """n dark hairs across the picture, each an arc."""
    size = picture.shape[1]
    out = picture.copy()
    x, y = _axes(size)
    for _ in range(n):
        turn, offset, bend = rng.uniform(0, np.pi), rng.uniform(-1, 1), rng.normal(0, 0.25)
        along, across = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        away = np.abs(across - offset - bend * along**2)
        width = rng.uniform(0.006, 0.014)
        long = np.abs(along - rng.uniform(-0.6, 0.6)) < rng.uniform(0.5, 1.4)
        share = np.clip(1.5 - away / max(width, 1 / size), 0, 1) * long * 0.85
        out = _mixed(out, tuple(rng.uniform(0.05, 0.2) * np.array([1, 0.8, 0.65])), share)
    return out


def with_glare(picture: Array, strength: float, rng: np.random.Generator) -> Array:
    """A reflection of the light: a soft white spot whose middle is `strength` of white, 0 to 1."""
    x, y = _axes(picture.shape[1])
    place, radius = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.08, 0.25)
    share = strength * np.exp(-(((x - place[0]) ** 2 + (y - place[1]) ** 2) / radius**2) ** 1.5)
    return _mixed(picture, (1.0, 1.0, 1.0), np.clip(share, 0, 1))


def eye_ground(size: int, rng: np.random.Generator, *, label: str = "normal") -> Scene:
    """A fundus of 45 degrees; `label` is "normal" or "retinopathy"."""
    x, y = _axes(size)
    side = int(rng.choice([-1, 1]))  # the disc is on the nose's side
    pigment = float(rng.uniform(0, 1))
    base = np.array([0.80 - 0.25 * pigment, 0.40 - 0.16 * pigment, 0.18 - 0.08 * pigment])
    broad, fine = smooth_field(rng, (size, size), size / 8), smooth_field(rng, (size, size), max(0.6, size / 60))
    picture = base[:, None, None] * (1 + 0.06 * broad + 0.03 * fine)
    disc = np.array([side * rng.uniform(0.34, 0.42), rng.normal(0.03, 0.03)])
    macula = np.array([-side * rng.uniform(0.06, 0.16), disc[1] - 0.05])
    picture = _mixed(picture, tuple(base * 0.5), 0.75 * np.exp(-((x - macula[0]) ** 2 + (y - macula[1]) ** 2) / 0.02))
    away = np.hypot((x - disc[0]) * 1.1, y - disc[1])
    radius = float(rng.uniform(0.10, 0.13))
    picture = _mixed(picture, (0.97, 0.78, 0.48), 1 / (1 + np.exp(np.clip((away - radius) * 90, -40, 40))))
    cup = float(rng.uniform(0.25, 0.6))
    picture = _mixed(picture, (1.0, 0.93, 0.75), 0.8 / (1 + np.exp(np.clip((away - radius * cup) * 70, -40, 40))))
    picture = _vessels(picture, rng, disc, side, base)
    lesions: list[Lesion] = []
    attributes: dict[str, Any] = {"eye": "left" if side < 0 else "right", "cup_to_disc": round(cup, 2), "pigment": round(pigment, 2)}
    seen = np.hypot(x, y) < 0.95
    if label == "retinopathy":
        for kind, colour, most in (("haemorrhage", (0.35, 0.05, 0.04), 16), ("exudate", (0.98, 0.90, 0.55), 14)):
            n = int(rng.integers(3, most))
            mask = np.zeros((size, size), bool)
            for _ in range(n):
                spot, r = rng.uniform(-0.75, 0.75, 2), rng.uniform(0.012, 0.045)
                if np.hypot(*(spot - disc)) < 0.2:
                    continue
                shape = Wobble.draw(rng, 0.2).at(np.arctan2(y - spot[1], x - spot[0]))
                d = np.hypot(x - spot[0], y - spot[1]) / (r * shape)
                picture = _mixed(picture, colour, 0.85 * np.clip((1.3 - d) * 2, 0, 1))
                mask |= d < 1
            attributes[f"n_{kind}s"] = n
            lesions.append(Lesion(kind, mask & seen))
    edge = 1 / (1 + np.exp(np.clip((np.hypot(x, y) - 0.95) * 0.6 * size, -40, 40)))
    return Scene(np.clip(picture, 0, 1) * edge, tuple(lesions), label, attributes)


def _vessels(picture: Array, rng: np.random.Generator, disc: Array, side: int, base: Array) -> Array:
    """Four arcades, each a vein and an artery, that branch and thin out."""
    size = picture.shape[1]
    shade = np.zeros((2, size, size))
    stack = []
    for up in (-1, 1):
        for away in (-1, 1):
            for vein in (0, 1):
                heading = np.arctan2(up * rng.uniform(0.9, 1.4), -side * away * rng.uniform(0.3, 0.9))
                bend = -up * side * away * rng.uniform(0.35, 0.7) * (1 if away > 0 else 0.3)
                stack.append((disc.copy(), heading, bend, 0.016 + 0.005 * vein, vein, 1.5))
    while stack:
        at, heading, bend, width, vein, left = stack.pop()
        step = max(1.0 / size, 0.006)
        points = []
        while left > 0 and np.abs(at).max() < 1.0 and width > 0.003:
            points.append((*at, width))
            heading += bend * -step + rng.normal(0, 0.045)
            at = at + step * np.array([np.cos(heading), np.sin(heading)])
            left -= step
            width *= 1 - 0.35 * step
            if rng.random() < 2.4 * step and width > 0.006:
                turn = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
                stack.append((at.copy(), heading + turn, bend * 0.3, width * 0.65, vein, left * 0.6))
        _draw(shade[vein], points)
    for vein, colour in ((0, (0.72, 0.20, 0.12)), (1, (0.48, 0.10, 0.08))):
        own = tuple(np.array(colour) * (0.55 + 0.45 * base[0] / 0.8))
        picture = _mixed(picture, own, 0.85 * np.clip(shade[vein], 0, 1))
    return picture


def _draw(canvas: Array, points: list[tuple[float, float, float]]) -> None:
    size = canvas.shape[0]
    for px, py, width in points:
        column, row, r = (px + 1) / 2 * size - 0.5, (1 - py) / 2 * size - 0.5, width * size / 2
        reach = int(np.ceil(r + 1))
        rows = np.arange(max(0, int(row) - reach), min(size, int(row) + reach + 2))
        columns = np.arange(max(0, int(column) - reach), min(size, int(column) + reach + 2))
        if rows.size and columns.size:
            d = np.hypot(rows[:, None] - row, columns[None, :] - column)
            part = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            np.maximum(part, np.clip(r + 0.5 - d, 0, min(1.0, 2 * r)), out=part)
