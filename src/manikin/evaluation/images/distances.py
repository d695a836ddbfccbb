"""How far synthetic images lie from real ones, as distributions in a named space: Fréchet distance and kernel distance.

Both are taken against holdout images, and the reference takes train images in the place of the synthetic ones, at the same number and with
labels in the same shares. A figure of one space says nothing of another, and nothing of figures that others published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, Metric, MetricResult, Section
from manikin.evaluation.definition import Definition, Interval
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.pictures import ImageData, matched
from manikin.evaluation.images.spaces import CNN, RADIOMICS, Space, space

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MIN_IMAGES = 20
MAX_POINTS = 5_000
N_GROUPS, FEWEST_PATIENTS = 20, 5  # of a jackknife; patients below which images count, since so few tell no interval
SHARES = (0.4, 0.55, 0.7, 0.85, 1.0)  # of the images, at which the distance is taken before it is extrapolated
N_DRAWS = 6
SUBSET, N_SUBSETS = 200, 60
Patients = tuple[Ints, Ints]  # of the images of two sides, each numbered from 0


@dataclass(frozen=True)
class Compared:
    """Points of the same number of holdout, synthetic and train images, their patients, and whether labels were matched."""

    space: Space
    held: Floats
    fake: Floats
    real: Floats
    held_patients: Ints
    fake_patients: Ints
    real_patients: Ints
    is_matched: bool

    @property
    def n(self) -> int:
        """Images on each side."""
        return len(self.held)

    @property
    def told(self) -> dict[str, Any]:
        """What every figure of a space says of it."""
        return {
            "space": self.space.name,
            "space_words": self.space.words,
            "n_dimensions": self.space.n_dimensions,
            "n_per_side": self.n,
            "labels_matched": self.is_matched,
            "n_patients": {
                "holdout": n_patients(self.held_patients),
                "synthetic": n_patients(self.fake_patients),
                "train": n_patients(self.real_patients),
            },
        }


def compared(data: ImageData, name: str, seed: int) -> Compared:
    """The three samples of a space, drawn once for a seed."""
    key = ("compared", name, seed)
    if key not in data.memory:
        of = space(data, name, seed=seed)
        sides = data.pictures
        parts = [sides["holdout"], sides["synthetic"], sides["train"].take(of.unseen)]
        (held, fake, real), is_matched = matched(parts, MAX_POINTS, seed, "distances")
        data.memory[key] = Compared(
            of,
            held=of.points["holdout"][held].astype(np.float64),
            fake=of.points["synthetic"][fake].astype(np.float64),
            real=of.points["train"][of.unseen][real].astype(np.float64),
            held_patients=parts[0].take(held).records,
            fake_patients=parts[1].take(fake).records,
            real_patients=parts[2].take(real).records,
            is_matched=is_matched,
        )
    made: Compared = data.memory[key]
    return made


def frechet_distance(a: Floats, b: Floats) -> float:
    """|mean_a - mean_b|² + tr(C_a + C_b - 2 (C_a C_b)^½), at least 0 (Dowson & Landau 1982, Heusel et al. 2017, arXiv 1706.08500)."""
    gap = a.mean(axis=0) - b.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (a, b))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return max(0.0, float(gap @ gap + np.trace(first) + np.trace(second) - 2 * cross))


def extrapolated(a: Floats, b: Floats, seed: int) -> float:
    """The distance at infinitely many images, by a line through distances at several numbers n over 1/n (Chong & Forsyth 2020,
    arXiv 1911.07023): the distance of few images is too large, by an amount that falls with 1/n. It can fall a little below 0.
    """
    n = min(len(a), len(b))
    rng = generator(seed, "images", "extrapolated")
    inverse, found = [], []
    for share in SHARES:
        size = max(2, round(share * n))
        for _ in range(1 if share == 1 else N_DRAWS):
            rows = [rng.permutation(len(part))[:size] for part in (a, b)]
            inverse.append(1 / size)
            found.append(frechet_distance(a[rows[0]], b[rows[1]]))
    slope_free = np.polynomial.polynomial.polyfit(inverse, found, 1)
    return float(slope_free[0])


def n_patients(records: Ints) -> int:
    """Patients among images numbered by them."""
    return int(records.max(initial=-1)) + 1


def counts_patients(records: Ints) -> bool:
    """Whether an interval counts patients: some have several images, and there are enough of them."""
    return FEWEST_PATIENTS <= n_patients(records) < len(records)


def jackknifed(
    of: Callable[[Floats, Floats], float], a: Floats, b: Floats, seed: int, patients: Patients | None = None
) -> tuple[float, Interval]:
    """A figure and its 95 % interval by leaving out one of 20 groups of both samples at a time, of patients where some have several images.

    With fewer than 20 patients on such a side there are as many groups as patients; Student's t has a degree of freedom less than groups.
    """
    rng = generator(seed, "images", "jackknife")
    sides = patients or (np.arange(len(a)), np.arange(len(b)))
    n_groups = min([N_GROUPS, *(n_patients(side) for side in sides if counts_patients(side))])
    first, second = (
        rng.permutation(n_patients(side))[side] % n_groups if counts_patients(side) else rng.permutation(len(side)) % n_groups
        for side in sides
    )
    value = of(a, b)
    left_out = np.array([of(a[first != group], b[second != group]) for group in range(n_groups)])
    half = _t_quantile(n_groups) * float(((n_groups - 1) / n_groups * ((left_out - left_out.mean()) ** 2).sum()) ** 0.5)
    return value, (value - half, value + half)


@cache
def _t_quantile(n_groups: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.stats import t

    return float(t.ppf(0.975, n_groups - 1))


def kernel_distance(a: Floats, b: Floats, scale: float) -> float:
    """Squared maximum mean discrepancy with the kernel (x·y / (d s²) + 1)³, unbiased: about 0, at times below, where both are one law.

    Bińkowski et al. 2018 (arXiv 1801.01401). `scale` is s, train's root mean square per dimension, without which the kernel would weigh
    spaces by their units.
    """
    x, y = a / scale, b / scale
    d, n, m = x.shape[1], len(x), len(y)
    xx, yy, xy = (((p @ q.T) / d + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    return float((xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean())


def _drawn(records: Ints, size: int, rng: np.random.Generator) -> Ints:
    """A subset of so many images, all those of a patient together where patients count."""
    if not counts_patients(records):
        return rng.permutation(len(records))[:size]
    return np.argsort(rng.permutation(n_patients(records))[records], kind="stable")[:size]


def _kid(a: Floats, b: Floats, scale: float, seed: int, patients: Patients) -> tuple[float, Interval, dict[str, Any]]:
    """The distance of all images, and its interval from subsets; drawn without replacement, these vary less than fresh ones would."""
    rng = generator(seed, "images", "subsets")
    size = min(SUBSET, max(2, len(a) // 2), max(2, len(b) // 2))
    draws = [
        kernel_distance(a[_drawn(patients[0], size, rng)], b[_drawn(patients[1], size, rng)], scale) for _ in range(N_SUBSETS)
    ]
    value = kernel_distance(a, b, scale)
    n = min(len(a), len(b))
    half = 1.96 * float(np.std(draws, ddof=1)) * (size / max(n - size, 1)) ** 0.5
    low, high = np.quantile(draws, (0.025, 0.975))
    told = {"size": size, "n": N_SUBSETS, "mean": float(np.mean(draws)), "interval": [float(low), float(high)]}
    return value, (value - half, value + half), told


def _frechet(definition: Definition, name: str) -> Metric:
    @of_images(definition, least=MIN_IMAGES)
    def frechet(data: ImageData, *, seed: int) -> MetricResult:
        """Fréchet distance of the synthetic from the holdout images in one named space; 0 is best, and the reference is what is possible.

        The reference takes train images (of a network, those it did not learn from) at the same number. `details.extrapolated` holds
        both at infinitely many images. The interval is a jackknife of twenty groups, of patients where they have several images.
        """
        of = compared(data, name, seed)
        value, interval = jackknifed(frechet_distance, of.fake, of.held, seed, (of.fake_patients, of.held_patients))
        reference, reference_interval = jackknifed(
            frechet_distance, of.real, of.held, seed, (of.real_patients, of.held_patients)
        )
        return definition.result(
            value,
            interval=(max(0.0, interval[0]), interval[1]),
            n=of.n,
            reference=reference,
            reference_interval=(max(0.0, reference_interval[0]), reference_interval[1]),
            details={
                **of.told,
                "extrapolated": {
                    "synthetic": extrapolated(of.fake, of.held, seed),
                    "reference": extrapolated(of.real, of.held, seed),
                },
                "times_reference": value / reference if reference > 0 else None,
            },
            note=_note(of),
        )

    metric: Metric = frechet
    return metric


def _kernel(definition: Definition, name: str) -> Metric:
    @of_images(definition, least=MIN_IMAGES)
    def kernel(data: ImageData, *, seed: int) -> MetricResult:
        """Unbiased kernel distance (KID) of the synthetic from the holdout images in one named space; about 0 is best.

        The kernel is (x·y/d + 1)³ in units of train's spread. `details.subsets` holds 60 subsets of at most 200 images a side, whose
        spread gives the interval; the reference takes train images in the place of the synthetic ones.
        """
        of = compared(data, name, seed)
        scale = float(np.sqrt((of.real**2).mean())) or 1.0
        value, interval, subsets = _kid(of.fake, of.held, scale, seed, (of.fake_patients, of.held_patients))
        reference, reference_interval, other = _kid(of.real, of.held, scale, seed, (of.real_patients, of.held_patients))
        return definition.result(
            value,
            interval=interval,
            n=of.n,
            reference=reference,
            reference_interval=reference_interval,
            details={**of.told, "subsets": {"synthetic": subsets, "reference": other}},
            note=_note(of),
        )

    metric: Metric = kernel
    return metric


def _note(of: Compared) -> str:
    words = f"In the space of {of.space.words}."
    return words if of.is_matched else f"{words} Labels could not be matched: a side has too few images of one."


def _named(name: str, title: str, where: str) -> Definition:
    return Definition(name, f"{title} ({where})", Section.FIDELITY, Direction.LOWER, unit="images")


frechet_cnn = _frechet(_named("frechet_cnn", "Fréchet distance", "network's features"), CNN)
frechet_radiomics = _frechet(_named("frechet_radiomics", "Fréchet distance", "radiomics"), RADIOMICS)
kid_cnn = _kernel(_named("kid_cnn", "Kernel distance (KID)", "network's features"), CNN)
kid_radiomics = _kernel(_named("kid_radiomics", "Kernel distance (KID)", "radiomics"), RADIOMICS)
