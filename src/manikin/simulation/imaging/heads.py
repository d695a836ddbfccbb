"""Random cross-sections of a head and of a male pelvis: enough anatomy that MR and CT show different things. Not for diagnosis."""

from __future__ import annotations

from typing import Any

import numpy as np

from manikin.simulation.imaging.painting import Canvas, Wobble
from manikin.simulation.imaging.phantom import Array, Phantom, smooth_field

HEAD_LESIONS = ("tumour", "haemorrhage", "cyst")
FIELD_MM = {"head": 230.0, "pelvis": 420.0}


def head(size: int, rng: np.random.Generator, *, lesion: str | None = None, oversample: int | None = None) -> Phantom:
    """An axial slice through the ventricles.

    Parameters
    ----------
    size : pixels along each edge; the field is 230 mm.
    lesion : one of `HEAD_LESIONS`, or None for none. A tumour has oedema around it, which its mask leaves out.
    """
    fine = oversample or max(1, round(384 / size))
    canvas = Canvas((size, size), FIELD_MM["head"] / size, fine)
    a, b = rng.normal(72, 3.5), rng.normal(92, 4)
    turn, centre = float(rng.normal(0, 5)), (float(rng.normal(0, 3)), float(rng.normal(0, 3)))
    outline = Wobble.draw(rng, 0.012)
    scalp, fat, bone = rng.uniform(2, 3), rng.uniform(2, 5), rng.uniform(5, 9)
    for tissue, inset in (("skin", 0), ("fat", scalp), ("skull", scalp + fat), ("csf", scalp + fat + bone)):
        canvas.ellipse(tissue, centre, (a - inset, b - inset), turn=turn, wobble=outline, power=2.15)
    if bone > 6:  # diploë, the marrow between two tables of bone
        edge = scalp + fat + bone / 2
        for tissue, over, reach in (("spongy_bone", "skull", bone / 5), ("skull", "spongy_bone", -bone / 5)):
            radii = (a - edge + reach, b - edge + reach)
            canvas.ellipse(tissue, centre, radii, turn=turn, wobble=outline, power=2.15, inside=(over,))
    inset = scalp + fat + bone + rng.uniform(2, 5)
    brain = canvas.ellipse("grey_matter", centre, (a - inset, b - inset), turn=turn, wobble=Wobble.draw(rng, 0.01), inside=("csf",))
    _folds(canvas, rng, brain, centre, (a - inset, b - inset), turn)
    _middle(canvas, rng, centre, turn, b - inset)
    attributes: dict[str, Any] = {"anatomy": "head", "head_width_mm": round(2 * float(a), 1), "head_length_mm": round(2 * float(b), 1)}
    if lesion is not None:
        attributes |= _head_lesion(canvas, rng, lesion, centre, (a - inset, b - inset), turn)
    return canvas.phantom(rng, **attributes)


def _folds(
    canvas: Canvas, rng: np.random.Generator, brain: Array, centre: tuple[float, float], radii: tuple[float, float], turn: float
) -> None:
    """White matter inside, its border folded with the grey; furrows of CSF from outside."""
    y, x = np.meshgrid(canvas.axes[0] - centre[1], canvas.axes[1] - centre[0], indexing="ij")
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    u, v = (x * cos + y * sin) / radii[0], (-x * sin + y * cos) / radii[1]
    radius = np.hypot(u, v)
    cell = canvas.spacing_mm / canvas.oversample
    fold = smooth_field(rng, canvas.tissue.shape, 3.2 / cell)
    canvas.paint("white_matter", brain & (radius + 0.085 * fold < 0.80))
    canvas.paint("csf", brain & (np.abs(fold) < 0.16) & (radius > 0.80 + 0.05 * smooth_field(rng, canvas.tissue.shape, 8 / cell)))
    canvas.paint("csf", brain & (np.abs(u * radii[0]) < rng.uniform(0.8, 1.6)) & (np.abs(v) > 0.42))  # the fissure between the halves


def _middle(canvas: Canvas, rng: np.random.Generator, centre: tuple[float, float], turn: float, length: float) -> None:
    """Ventricles, and the deep grey nuclei beside them."""
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))

    def at(x: float, y: float) -> tuple[float, float]:
        return centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos

    width = rng.uniform(3.0, 6.5)
    for side in (-1, 1):
        jitter = rng.normal(0, 1, 2)
        lentiform, thalamus = at(side * 20 + jitter[0], 0.03 * length), at(side * 10, -0.12 * length + jitter[1])
        canvas.ellipse("grey_matter", lentiform, (6.5, 13), turn=turn + side * 18, wobble=Wobble.draw(rng, 0.05))
        canvas.ellipse("grey_matter", thalamus, (7, 11), turn=turn - side * 15, wobble=Wobble.draw(rng, 0.04))
        front = at(side * (width + 4), 0.22 * length + jitter[0])
        canvas.ellipse("csf", front, (width, 0.19 * length), turn=turn + side * 22, wobble=Wobble.draw(rng, 0.06))
        back = at(side * (width + 12), -0.34 * length + jitter[1])
        canvas.ellipse("csf", back, (width * 0.9, 0.17 * length), turn=turn - side * 24, wobble=Wobble.draw(rng, 0.06))
    canvas.ellipse("csf", at(0, -0.04 * length), (rng.uniform(1.2, 3), 0.13 * length), turn=turn)


def _head_lesion(
    canvas: Canvas, rng: np.random.Generator, lesion: str, centre: tuple[float, float], radii: tuple[float, float], turn: float
) -> dict[str, object]:
    side, radius = int(rng.choice([-1, 1])), float(rng.uniform(5, 15))
    angle, reach = rng.uniform(-1.2, 1.2), rng.uniform(0.35, 0.62)
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    x, y = side * reach * radii[0] * np.cos(angle), reach * radii[1] * np.sin(angle)
    place = (centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos)
    inside = ("grey_matter", "white_matter", "csf", "oedema")
    if lesion == "tumour":
        halo = radius * rng.uniform(1.3, 1.8)
        canvas.ellipse("oedema", place, (halo, halo), wobble=Wobble.draw(rng, 0.16), inside=("grey_matter", "white_matter"))
    shape = Wobble.draw(rng, 0.04 if lesion == "cyst" else 0.12)
    own = (radius, radius * rng.uniform(0.75, 1.2))
    mask = canvas.ellipse(lesion, place, own, turn=float(rng.uniform(0, 180)), wobble=shape, inside=inside)
    canvas.lesion(lesion, mask)
    return {"lesion_mm": round(2 * radius, 1), "side": "left" if side > 0 else "right"}


def pelvis(size: int, rng: np.random.Generator, *, lesion: str | None = None, oversample: int | None = None) -> Phantom:
    """An axial slice of a male pelvis at the hip joints; the field is 420 mm. `lesion` may be "tumour", in the prostate or a bone."""
    canvas = Canvas((size, size), FIELD_MM["pelvis"] / size, oversample or max(1, round(384 / size)))
    a, b = float(rng.normal(175, 9)), float(rng.normal(115, 9))
    fat = float(rng.uniform(8, 26))
    outline = Wobble.draw(rng, 0.02)
    cy = float(rng.normal(0, 4))
    canvas.ellipse("skin", (0, cy), (a, b), wobble=outline, power=2.4)
    canvas.ellipse("fat", (0, cy), (a - 2, b - 2), wobble=outline, power=2.4)
    canvas.ellipse("muscle", (0, cy - 4), (a - fat - 2, b - fat - 2), wobble=Wobble.draw(rng, 0.03), power=2.5)
    canvas.ellipse("fat", (0, cy + 5), (0.40 * a, 0.60 * b), wobble=Wobble.draw(rng, 0.04))
    for side in (-1, 1):
        hip = (side * 0.55 * a, cy + rng.normal(0, 2))
        canvas.ellipse("fat", hip, (34, 34), wobble=Wobble.draw(rng, 0.05))
        canvas.ellipse("cortical_bone", (side * 0.40 * a, cy + 2), (11, 34), turn=side * 14, wobble=Wobble.draw(rng, 0.08))  # acetabulum
        canvas.ellipse("marrow", (side * 0.40 * a, cy + 2), (7, 29), turn=side * 14, wobble=Wobble.draw(rng, 0.05))
        canvas.ellipse("cortical_bone", hip, (24, 24))
        canvas.ellipse("spongy_bone", hip, (21.5, 21.5))
        outer = (side * 0.74 * a, cy - 6)
        canvas.ellipse("cortical_bone", outer, (19, 15), turn=side * -20)
        canvas.ellipse("marrow", outer, (16, 12), turn=side * -20)
        canvas.ellipse("muscle", (side * 0.42 * a, cy - 0.55 * b), (0.34 * a, 0.24 * b), turn=side * 20, wobble=Wobble.draw(rng, 0.04))
        canvas.ellipse("vessel", (side * 0.36 * a, cy + 0.52 * b), (6, 5.5))
        canvas.ellipse("vessel", (side * 0.43 * a, cy + 0.50 * b), (5, 5))
    fill = float(rng.uniform(16, 36))
    canvas.ellipse("muscle", (0, cy + 0.30 * b), (fill + 3, fill * 0.8 + 3))
    canvas.ellipse("bladder", (0, cy + 0.30 * b), (fill, fill * 0.8), wobble=Wobble.draw(rng, 0.04))
    prostate = (float(rng.normal(0, 2)), cy - 0.06 * b)
    width = float(rng.uniform(20, 28))
    canvas.ellipse("prostate", prostate, (width, width * 0.72), wobble=Wobble.draw(rng, 0.04))
    rectum = (float(rng.normal(0, 4)), cy - 0.40 * b)
    canvas.ellipse("bowel", rectum, (18, 16), wobble=Wobble.draw(rng, 0.08))
    if rng.random() < 0.6:
        canvas.ellipse("air", (rectum[0], rectum[1] + 4), (rng.uniform(4, 11), rng.uniform(3, 8)), wobble=Wobble.draw(rng, 0.1))
    sacrum = (0.0, cy - 0.70 * b)
    canvas.ellipse("cortical_bone", sacrum, (24, 9), wobble=Wobble.draw(rng, 0.08))
    canvas.ellipse("spongy_bone", sacrum, (21, 6.5), wobble=Wobble.draw(rng, 0.08))
    attributes: dict[str, Any] = {"anatomy": "pelvis", "body_width_mm": round(2 * a, 1), "bladder_mm": round(2 * fill, 1)}
    if lesion is not None:
        radius, side = float(rng.uniform(5, 10)), int(rng.choice([-1, 1]))
        in_bone = rng.random() < 0.3
        place = (side * 0.55 * a, cy + 3) if in_bone else (prostate[0] + side * width * 0.45, prostate[1] - 4)
        inside = ("spongy_bone", "cortical_bone") if in_bone else ("prostate",)
        canvas.lesion(lesion, canvas.ellipse("tumour", place, (radius, radius * 0.8), wobble=Wobble.draw(rng, 0.1), inside=inside))
        attributes |= {"lesion_mm": round(2 * radius, 1), "side": "left" if side > 0 else "right"}
        attributes["lesion_site"] = "bone" if in_bone else "prostate"
    return canvas.phantom(rng, **attributes)
