"""What can be simulated, by name: each kind makes one labelled image from a seed and a number. The registry is `SIMULATORS` beside it.

The i-th image of a seed is the same whatever number is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.data.seeds import generator
from manikin.simulation.imaging import abdomens, degradations, heads, skin, thorax, tissues
from manikin.simulation.imaging.cameras import Camera
from manikin.simulation.imaging.cone_beam import ConeBeam
from manikin.simulation.imaging.mr import SEQUENCES, MRScanner
from manikin.simulation.imaging.pairs import CT_WINDOW, one_pair
from manikin.simulation.imaging.pet import PETScanner
from manikin.simulation.imaging.phantom import Lesion, Phantom
from manikin.simulation.imaging.ultrasound import UltrasoundProbe
from manikin.simulation.imaging.x_rays import CTScanner, counted, log_transformed, transmitted, window

Array = np.ndarray[Any, np.dtype[Any]]
SMALLEST, LARGEST = 16, 1024


@dataclass(frozen=True)
class Simulated:
    """One simulated image with its truth.

    Attributes
    ----------
    images : name of the image column ("file", or of pairs "mr" and "ct") -> float (channels, rows, columns) in [0, 1].
    label : what is to be seen. attributes : of phantom, pose and scanner, plain values.
    lesions : masks over the image.
    """

    images: Mapping[str, Array]
    label: str
    attributes: Mapping[str, Any]
    lesions: tuple[Lesion, ...]


def _grey(image: Array) -> Mapping[str, Array]:
    return {"file": np.clip(image, 0, 1)[None]}


def _flat(lesions: Sequence[Lesion]) -> tuple[Lesion, ...]:
    """Masks of a single slice without its first axis."""
    return tuple(Lesion(one.kind, one.mask[0]) for one in lesions)


def _told(phantom: Phantom, **scanner: Any) -> dict[str, Any]:
    return {**phantom.attributes, **{name: round(value, 4) if isinstance(value, float) else value for name, value in scanner.items()}}


def _slice(phantom: Phantom, which: str) -> Array:
    return phantom.map(which)[0]


def ct(size: int, rng: np.random.Generator, label: str) -> Simulated:
    """An axial CT slice of a chest, lung window (level -500, width 1,500 HU)."""
    phantom = thorax.thorax((1, size, size), rng, lesion=None if label == "normal" else label)
    photons, electronic = float(np.exp(rng.uniform(np.log(3e4), np.log(1e6)))), float(rng.uniform(2, 12))
    scanner = CTScanner(photons=photons, electronic=electronic, n_angles=int(np.clip(round(1.2 * size), 60, 720)))
    found = scanner.scan(_slice(phantom, "hu"), phantom.spacing_mm, rng)
    told = _told(phantom, photons=round(photons), views=scanner.n_angles, spacing_mm=phantom.spacing_mm)
    return Simulated(_grey(window(found, -500, 1500)), label, told, _flat(phantom.lesions))


def xray(size: int, rng: np.random.Generator, label: str) -> Simulated:
    """A chest radiograph from behind: cone projection of a chest in space, counts, logarithm, display window. White attenuates."""
    spacing = thorax.FIELD_MM / size
    phantom = thorax.thorax((size, max(8, size // 2), size), rng, lesion=None if label == "normal" else label, spacing_mm=spacing)
    source = float(rng.uniform(1400, 1900))
    turn = float(rng.normal(0, 2))
    detector = source + 200
    beam = ConeBeam((size, max(8, size // 2), size), spacing, np.array([turn]), source, detector, (size, size))
    photons = float(np.exp(rng.uniform(np.log(3e4), np.log(3e5))))
    line = beam.forward(tissues.attenuation(phantom.map("hu"), tissues.MU_WATER_60_KEV))[0]
    line = degradations.blur(line[None], float(rng.uniform(0.2, 0.6)) * size / 256)[0]
    measured = log_transformed(counted(transmitted(line, photons), rng, 5.0), photons)
    low, high = np.percentile(line[line > 0.2] if (line > 0.2).any() else line, [1, 99.5])
    shown = np.clip((measured - low) / max(high - low, 1e-6), 0, 1)
    masks = []
    for lesion in phantom.lesions:
        shadow = beam.forward(lesion.mask.astype(np.float32))[0]
        masks.append(Lesion(lesion.kind, shadow > 0.25 * max(float(shadow.max()), 1e-6)))
    told = _told(phantom, photons=round(photons), source_mm=round(source), turn=turn, spacing_mm=spacing)
    return Simulated(_grey(shown), label, told, tuple(masks))


def mr(size: int, rng: np.random.Generator, label: str) -> Simulated:
    """An axial MR slice of a head, in one of five weightings."""
    phantom = heads.head(size, rng, lesion=None if label == "normal" else label)
    weighting = str(rng.choice(sorted(SEQUENCES)))
    noise, bias = float(rng.uniform(0.01, 0.04)), float(rng.uniform(0.05, 0.25))
    motion = float(rng.uniform(0.5, 1.5)) if rng.random() < 0.1 else 0.0
    found = MRScanner(noise=noise, bias=bias, motion_px=motion).with_sequence(weighting).scan(phantom, rng)
    told = _told(phantom, weighting=weighting, noise=noise, bias=bias, motion_px=motion, spacing_mm=phantom.spacing_mm)
    return Simulated(_grey(found), label, told, phantom.lesions)


def ultrasound(size: int, rng: np.random.Generator, label: str) -> Simulated:
    """A B-mode picture of a liver under a convex probe."""
    phantom = abdomens.abdomen(size, rng, lesion=None if label == "normal" else label)
    frequency, range_db = float(rng.uniform(2.5, 5)), float(rng.uniform(50, 70))
    probe = UltrasoundProbe(frequency_mhz=frequency, range_db=range_db)
    told = _told(phantom, frequency_mhz=frequency, range_db=range_db, spacing_mm=phantom.spacing_mm)
    return Simulated(_grey(probe.scan(phantom, rng)), label, told, phantom.lesions)


def pet(size: int, rng: np.random.Generator, label: str) -> Simulated:
    """An FDG-PET slice of a chest by OSEM, white from an uptake of 8."""
    phantom = thorax.thorax((1, size, size), rng, lesion=None if label == "normal" else label)
    counts, fwhm = float(np.exp(rng.uniform(np.log(1e5), np.log(2e6)))), float(rng.uniform(4, 7))
    found = PETScanner(counts=counts, fwhm_mm=fwhm).scan(_slice(phantom, "suv"), _slice(phantom, "hu"), phantom.spacing_mm, rng)
    told = _told(phantom, counts=round(counts), fwhm_mm=fwhm, spacing_mm=phantom.spacing_mm)
    return Simulated(_grey(found / 8), label, told, _flat(phantom.lesions))


def _shot(scene: skin.Scene, picture: Array, size: int, rng: np.random.Generator) -> Simulated:
    """The scene before a camera; what a tilted scene leaves black at its rim is cut off where it is larger than the image."""
    camera = Camera.draw(rng, size)
    cut = (picture.shape[1] - size) // 2
    inner = (slice(cut, cut + size), slice(cut, cut + size))
    shot = camera.shoot(picture, rng)[(slice(None), *inner)]
    lesions = []
    for lesion in scene.lesions:
        moved = degradations.rotation(degradations.perspective(lesion.mask[None].astype(float), camera.tilt, camera.tilt_axis), camera.turn)
        lesions.append(Lesion(lesion.kind, moved[0][inner] >= 0.5))
    return Simulated({"file": shot}, scene.label, {**scene.attributes, **camera.told()}, tuple(lesions))


def fundus(size: int, rng: np.random.Generator, label: str) -> Simulated:
    """An eye ground in colour."""
    scene = skin.eye_ground(size, rng, label=label)
    return _shot(scene, scene.picture, size, rng)


def dermoscopy(size: int, rng: np.random.Generator, label: str) -> Simulated:
    """A pigmented lesion of the skin in colour, with hair and glare in some."""
    whole = size + 2 * round(0.25 * size)
    scene = skin.mole(whole, rng, label=label)
    n_hairs = int(rng.integers(0, 13)) if rng.random() < 0.5 else 0
    glare = float(rng.uniform(0.2, 0.8)) if rng.random() < 0.3 else 0.0
    picture = skin.with_glare(skin.with_hair(scene.picture, n_hairs, rng), glare, rng)
    scene.attributes.update(n_hairs=n_hairs, glare=round(glare, 2))
    return _shot(scene, picture, size, rng)


@dataclass(frozen=True)
class Simulator:
    """A kind: how one image is made, its labels, and DICOM's word for it. `labels` has the ordinary case first."""

    make: Any
    labels: tuple[str, ...]
    modality: str

    def image(self, size: int, seed: int, i: int, *, kind: str, labels: Sequence[str] | None = None) -> Simulated:
        """The i-th image of a seed; labels are drawn evenly from `labels`, all of the kind's by default."""
        rng = generator(seed, "simulate", kind, i)
        label = str(rng.choice(list(labels or self.labels)))
        return self.make(size, rng, label)


def _pair(size: int, rng: np.random.Generator, label: str, anatomy: str) -> Simulated:
    seed = int(rng.integers(2**62))
    scan_mr, scan_ct, phantom = one_pair(size, seed, 0, anatomy=anatomy, lesion=None if label == "normal" else label)
    level, width = CT_WINDOW[anatomy]
    told = _told(phantom, spacing_mm=phantom.spacing_mm, ct_level=level, ct_width=width)
    return Simulated({"mr": scan_mr[None], "ct": scan_ct[None]}, label, told, phantom.lesions)


CT = Simulator(ct, ("normal", *thorax.LESIONS), "CT")
XRAY = Simulator(xray, ("normal", *thorax.LESIONS), "DX")
MR = Simulator(mr, ("normal", *heads.HEAD_LESIONS), "MR")
ULTRASOUND = Simulator(ultrasound, ("normal", *abdomens.LESIONS), "US")
PET = Simulator(pet, ("normal", "nodule", "consolidation"), "PT")
FUNDUS = Simulator(fundus, ("normal", "retinopathy"), "OP")
DERMOSCOPY = Simulator(dermoscopy, ("naevus", "melanoma"), "ES")
MR_CT = Simulator(lambda size, rng, label: _pair(size, rng, label, "head"), ("normal", *heads.HEAD_LESIONS), "MR")
MR_CT_PELVIS = Simulator(lambda size, rng, label: _pair(size, rng, label, "pelvis"), ("normal", "tumour"), "MR")


def check_size(size: int) -> None:
    """Refuses sizes that no simulator makes."""
    if not SMALLEST <= size <= LARGEST:
        raise parameter_error("size", "simulate", f"from {SMALLEST} to {LARGEST:,} pixels", size)
