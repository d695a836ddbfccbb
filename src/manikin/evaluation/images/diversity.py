"""Are synthetic images of one label as different from each other as real ones are? Similarity of pairs within each label."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.pictures import ImageData, Pictures
from manikin.evaluation.images.similarity import ms_ssim, n_scales, ssim

Floats = npt.NDArray[np.float64]
MIN_IMAGES = 8
MIN_PAIRS = 4
MAX_PAIRS = 300  # of a label
DIVERSITY = Definition("image_diversity", "Likeness within a label (MS-SSIM)", Section.DIVERSITY, Direction.REFERENCE, unit="pairs")


@of_images(DIVERSITY, least=MIN_IMAGES)
def image_diversity(data: ImageData, *, seed: int) -> MetricResult:
    """Mean multi-scale SSIM of pairs of synthetic images of one label, averaged over labels; best is the reference, that of train images.

    Above it, synthetic images are more alike than real ones (a generator that makes few images); below it, they are noise or nothing in
    common. No image is in two pairs, so the interval is that of a mean. `details.labels` has MS-SSIM and SSIM of each label.
    """
    sides = {name: data.pictures[name] for name in ("synthetic", "train", "holdout")}
    counts = [np.bincount(side.labels + 1, minlength=len(data.classes) + 1) for side in sides.values()]
    labels = [int(code) - 1 for code in np.flatnonzero(np.min(counts, axis=0) >= 2 * MIN_PAIRS)]
    if not labels:
        raise UndefinedMetricError(f"no label has {2 * MIN_PAIRS} images on every side")
    rows: list[dict[str, Any]] = []
    parts: dict[str, list[Floats]] = {name: [] for name in sides}
    for label in labels:
        n = min(MAX_PAIRS, *(int((side.labels == label).sum()) // 2 for side in sides.values()))
        row: dict[str, Any] = {"label": data.classes[label] if label >= 0 else "", "n_pairs": n}
        for name, side in sides.items():
            first, second = _pairs(side, label, n, seed, name)
            values = ms_ssim(first, second)
            parts[name].append(values)
            row[name] = {"ms_ssim": float(values.mean()), "ssim": float(ssim(first, second).mean())}
        rows.append(row)
    value, interval = _mean(parts["synthetic"])
    reference, reference_interval = _mean(parts["train"])
    return DIVERSITY.result(
        value,
        interval=interval,
        n=sum(row["n_pairs"] for row in rows),
        reference=reference,
        reference_interval=reference_interval,
        details={"labels": rows, "n_scales": n_scales(data.pictures["train"].pixels.shape[2:]), "holdout": _mean(parts["holdout"])[0]},
    )


def _pairs(side: Pictures, label: int, n: int, seed: int, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    rows = generator(seed, "images", "pairs", name, label).permutation(np.flatnonzero(side.labels == label))
    return side.pixels[rows[:n]], side.pixels[rows[n : 2 * n]]


def _mean(parts: list[Floats]) -> tuple[float, Interval]:
    mean = float(np.mean([part.mean() for part in parts]))
    error = float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts))) / len(parts)
    return mean, (mean - 1.96 * error, mean + 1.96 * error)
