"""Do synthetic images lie where real ones lie, and everywhere they lie? Precision, recall, density and coverage in named spaces.

Kynkäänniemi et al. 2019 (arXiv 1904.06991) and Naeem et al. 2020 (arXiv 2002.09797), with balls of five neighbours around the images of
the holdout; the reference takes train images in the place of the synthetic ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, Metric, MetricResult, Section
from manikin.evaluation.definition import Definition, Interval
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.distances import Compared, Ints, compared, counts_patients
from manikin.evaluation.images.pictures import ImageData
from manikin.evaluation.images.spaces import RADIOMICS, SPACES
from manikin.evaluation.intervals import mean_interval
from manikin.evaluation.neighbours import counts_within, nearest

Floats = npt.NDArray[np.float64]
K = 5
MIN_IMAGES = 20
HEADLINE = RADIOMICS
FIGURES = ("precision", "recall", "density", "coverage")
OF_HELD = ("recall", "coverage")  # which are means over holdout images, and the others over those that are judged


def support(real: Floats, other: Floats) -> dict[str, Floats]:
    """What each image contributes to each figure; the figure is the mean.

    precision : other images within a ball of a real one. density : in how many balls each is, over K. recall : real images within a ball
    of another. coverage : real images whose own ball holds another.
    """
    points, others = real.astype(np.float32), other.astype(np.float32)
    radii, rays = (nearest(p, p, K, itself=np.arange(len(p)))[0][:, -1] for p in (points, others))
    counts = counts_within(others, points, radii)
    closest = nearest(points, others, 1)[0][:, 0]
    return {
        "precision": (counts > 0).astype(float),
        "density": counts / K,
        "recall": (counts_within(points, others, rays) > 0).astype(float),
        "coverage": (closest <= radii).astype(float),
    }


def _both(data: ImageData, name: str, seed: int) -> tuple[Compared, dict[str, Floats], dict[str, Floats]]:
    """The figures of a space, of synthetic and of train images, made once."""
    key = ("support", name, seed)
    if key not in data.memory:
        of = compared(data, name, seed)
        data.memory[key] = of, support(of.held, of.fake), support(of.held, of.real)
    made: tuple[Compared, dict[str, Floats], dict[str, Floats]] = data.memory[key]
    return made


def _metric(figure: str, definition: Definition) -> Metric:
    @of_images(definition, least=MIN_IMAGES)
    def metric(data: ImageData, *, seed: int) -> MetricResult:
        """One figure in the space of radiomics and edges; the other spaces are in `details.spaces`."""
        spaces: dict[str, dict[str, Any]] = {}
        for name in SPACES:
            of, made, other = _both(data, name, seed)
            spaces[name] = {"words": of.space.words, "value": float(made[figure].mean()), "reference": float(other[figure].mean())}
        of, made, other = _both(data, HEADLINE, seed)
        return definition.result(
            float(made[figure].mean()),
            interval=_interval(made[figure], of.held_patients if figure in OF_HELD else of.fake_patients),
            n=of.n,
            reference=float(other[figure].mean()),
            reference_interval=_interval(other[figure], of.held_patients if figure in OF_HELD else of.real_patients),
            details={**of.told, "neighbours": K, "spaces": spaces},
            note=f"In the space of {of.space.words}.",
        )

    found: Metric = metric
    return found


def _interval(values: Floats, records: Ints) -> Interval:
    """Of a share, or of a mean that may be above 1; patients count where they have several images."""
    clusters = [records] if counts_patients(records) else []
    if values.max(initial=0.0) <= 1.0:
        return mean_interval(values, *clusters)
    most = float(values.max())
    low, high = mean_interval(values / most, *(clusters or [np.arange(len(values))]))
    return most * low, most * high


def _made(name: str, figure: str, title: str, section: Section) -> Callable[..., Any]:
    return _metric(figure, Definition(name, title, section, Direction.REFERENCE, unit="images"))


image_precision = _made("image_precision", "precision", "Precision (radiomics)", Section.FIDELITY)
image_density = _made("image_density", "density", "Density (radiomics)", Section.FIDELITY)
image_recall = _made("image_recall", "recall", "Recall (radiomics)", Section.DIVERSITY)
image_coverage = _made("image_coverage", "coverage", "Coverage (radiomics)", Section.DIVERSITY)
