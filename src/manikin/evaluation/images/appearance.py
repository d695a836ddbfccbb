"""Grey values, spectra, sharpness: what the eye notices first, each beside the same of real images that the generator did not see.

All are taken of images at up to 256 pixels a side, since blur and grain are lost in smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.distances import jackknifed
from manikin.evaluation.images.pictures import FINE_SIDE, LIMITS, ImageData, Pixels, matched
from manikin.evaluation.images.radiomics import roughness, slopes

Floats = npt.NDArray[np.float64]
MIN_IMAGES = 20
MAX_IMAGES = 600  # a side
N_BINS = 128
N_FREQUENCIES = 24
LEAST_POWER = 1e-10
INTENSITY = Definition("image_intensity", "Grey values (Wasserstein distance)", Section.FIDELITY, Direction.LOWER, unit="images")
SPECTRUM = Definition("image_spectrum", "Power spectrum (mean difference in decades)", Section.FIDELITY, Direction.LOWER, unit="images")
SHARPNESS = Definition("image_sharpness", "Sharpness (ratio to real)", Section.FIDELITY, Direction.REFERENCE, unit="images")


@dataclass(frozen=True)
class Looks:
    """One row an image: shares of grey values by bin, power by frequency, roughness and mean gradient; and its patient."""

    values: Floats
    power: Floats
    roughness: Floats
    gradient: Floats
    records: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)


def looks(pixels: Pixels, records: npt.NDArray[np.int64]) -> Looks:
    """The looks of images (n, channels, *size) of patients; colour is averaged, but for the grey values, which count every channel."""
    grey = pixels.mean(axis=1)
    steps = slopes(grey)
    size = np.sqrt(sum(step.reshape(len(grey), -1) ** 2 for step in steps))
    return Looks(_shares(pixels), _power(grey), roughness(grey), np.asarray(size.mean(axis=1)), records)


def edges() -> Floats:
    """The edges of the bins of grey values, on the scale of `pictures`."""
    return np.linspace(*LIMITS, N_BINS + 1)


def sides(data: ImageData, seed: int) -> tuple[dict[str, Looks], bool]:
    """The looks of at most 600 images of each side with matched labels, made once; and whether labels could be matched."""
    key = ("looks", seed)
    if key not in data.memory:
        names = ("holdout", "synthetic", "train")
        rows, is_matched = matched([data.pictures[name] for name in names], MAX_IMAGES, seed, "looks")
        chosen = {name: data.pictures[name].take(some) for name, some in zip(names, rows, strict=True)}
        data.memory[key] = {name: looks(data.fine(name, side), side.records) for name, side in chosen.items()}, is_matched
    made: tuple[dict[str, Looks], bool] = data.memory[key]
    return made


@of_images(INTENSITY, least=MIN_IMAGES)
def image_intensity(data: ImageData, *, seed: int) -> MetricResult:
    """Mean distance that grey values must be moved to turn those of synthetic into those of holdout images; 0 is best.

    In units of the scale, on which train's darkest and brightest are 0 and 1 (pixels of all images together, 128 bins). The reference
    takes train images; the interval is a jackknife of twenty groups of patients. `details.brightness` and `contrast` are the mean and the
    standard deviation of single images, averaged.
    """
    width = float(np.diff(edges())[0])

    def moved(a: Floats, b: Floats) -> float:
        """Wasserstein distance of the mean shares."""
        return float(np.abs(np.cumsum(a.mean(axis=0) - b.mean(axis=0))).sum() * width)

    centres = (edges()[1:] + edges()[:-1]) / 2
    return _figure(data, INTENSITY, lambda of: of.values, moved, seed, lambda of: _moments(of.values, centres))


@of_images(SPECTRUM, least=MIN_IMAGES)
def image_spectrum(data: ImageData, *, seed: int) -> MetricResult:
    """Mean absolute difference of the logarithms (base 10) of power by spatial frequency, synthetic against holdout; 0 is best.

    Radial means of the power of images with their mean taken off and their edges faded (Hann), in up to 24 rings. Blur lacks
    power at high frequencies, grain and checkerboards have too much. The reference takes train images.
    """

    def apart(a: Floats, b: Floats) -> float:
        """Mean difference in decades."""
        return float(np.abs(np.log10(a.mean(axis=0) + LEAST_POWER) - np.log10(b.mean(axis=0) + LEAST_POWER)).mean())

    made, _ = sides(data, seed)
    if made["holdout"].power.shape[1] == 0:
        raise UndefinedMetricError("images of one pixel have no spectrum")
    return _figure(data, SPECTRUM, lambda of: of.power, apart, seed, lambda _: {})


@of_images(SHARPNESS, least=MIN_IMAGES)
def image_sharpness(data: ImageData, *, seed: int) -> MetricResult:
    """Mean roughness (second differences) of synthetic over that of holdout images; 1 is best, less is blur, more is grain.

    `details.gradient` is the same of the mean size of gradients, which edges make rather than grain. The reference takes train images.
    """

    def ratio(a: Floats, b: Floats) -> float:
        """Of means."""
        return float(a.mean() / b.mean()) if b.mean() > 0 else float("nan")

    made, _ = sides(data, seed)
    if not made["holdout"].roughness.any():
        raise UndefinedMetricError("the holdout images have no edge at all")
    result = _figure(data, SHARPNESS, lambda of: of.roughness, ratio, seed, lambda of: {"roughness": float(of.roughness.mean())})
    gradient = {
        "value": ratio(made["synthetic"].gradient, made["holdout"].gradient),
        "reference": ratio(made["train"].gradient, made["holdout"].gradient),
    }
    return SHARPNESS.result(
        float("nan") if result.value is None else result.value,
        n=result.n,
        interval=result.interval,
        reference=result.reference,
        reference_interval=result.reference_interval,
        details={**result.details, "gradient": gradient},
        note=result.note,
    )


def _figure(
    data: ImageData,
    definition: Definition,
    part: Callable[[Looks], Floats],
    of: Callable[[Floats, Floats], float],
    seed: int,
    told: Callable[[Looks], dict[str, Any]],
) -> MetricResult:
    made, is_matched = sides(data, seed)
    held, fake, real = (part(made[name]) for name in ("holdout", "synthetic", "train"))
    value, interval = jackknifed(of, fake, held, seed, (made["synthetic"].records, made["holdout"].records))
    reference, reference_interval = jackknifed(of, real, held, seed, (made["train"].records, made["holdout"].records))
    return definition.result(
        value,
        interval=(max(0.0, interval[0]), interval[1]),
        n=len(held),
        reference=reference,
        reference_interval=(max(0.0, reference_interval[0]), reference_interval[1]),
        details={
            "labels_matched": is_matched,
            "size": list(data.frame.within(FINE_SIDE[data.frame.axes])),
            **{name: facts for name in made if (facts := told(made[name]))},
        },
        note="" if is_matched else "Labels could not be matched: a side has too few images of one.",
    )


def _moments(shares: Floats, centres: Floats) -> dict[str, float]:
    mean = shares @ centres
    spread = np.sqrt(np.maximum(shares @ centres**2 - mean**2, 0))
    return {"brightness": float(mean.mean()), "contrast": float(spread.mean())}


def _shares(pixels: Pixels) -> Floats:
    flat = pixels.reshape(len(pixels), -1)
    low, high = LIMITS
    place = np.clip(((flat - low) / (high - low) * N_BINS).astype(np.int64), 0, N_BINS - 1)
    counts = np.bincount((place + N_BINS * np.arange(len(flat))[:, None]).ravel(), minlength=N_BINS * len(flat))
    return counts.reshape(len(flat), N_BINS) / max(flat.shape[1], 1)


def frequencies(size: tuple[int, ...]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Upper edges of the rings in cycles per pixel, and the ring of each frequency, -1 for none."""
    grid = np.sqrt(sum(axis**2 for axis in np.meshgrid(*(np.fft.fftfreq(length) for length in size), indexing="ij")))
    n = max(0, min(N_FREQUENCIES, max(size) // 2))
    upper = np.linspace(0, 0.5, n + 1)[1:]
    ring = np.searchsorted(upper, grid - 1e-9)
    return upper, np.where((ring < n) & (grid > 0), ring, -1)


def _power(grey: Pixels) -> Floats:
    """Mean power in each ring, (n, n_rings)."""
    size = grey.shape[1:]
    upper, ring = frequencies(size)
    window = np.ones(size)
    for axis, length in enumerate(size):
        fade = np.hanning(length + 2)[1:-1] if length > 2 else np.ones(length)
        window = window * fade.reshape([-1 if i == axis else 1 for i in range(len(size))])
    axes = tuple(range(1, grey.ndim))
    power = np.empty((len(grey), len(upper)))
    inside = ring.ravel() >= 0
    counts = np.maximum(np.bincount(ring.ravel()[inside], minlength=len(upper)), 1)
    for i, image in enumerate(grey):
        centred = (image - image.mean()).astype(np.float64) * window
        spectrum = np.abs(np.fft.fftn(centred, axes=tuple(a - 1 for a in axes))) ** 2 / image.size
        power[i] = np.bincount(ring.ravel()[inside], weights=spectrum.ravel()[inside], minlength=len(upper)) / counts
    filled = np.bincount(ring.ravel()[inside], minlength=len(upper)) > 0
    return power[:, filled]
