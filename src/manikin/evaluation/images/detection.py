"""Can synthetic images be told from real ones? Boosted trees on pixels and radiomics, and a network on pixels; AUC, 0.5 is best."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import derive
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError
from manikin.evaluation.images.classifier import fit
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.pictures import ImageData, Pictures, matched
from manikin.evaluation.images.radiomics import gradients, radiomics
from manikin.evaluation.images.spaces import flattened
from manikin.evaluation.intervals import delong

Floats = npt.NDArray[np.float64]
MIN_IMAGES = 20
MAX_IMAGES = 2_000  # a side
SIDE = {2: 16, 3: 8}  # of the pixels that trees look at; what is finer they see through radiomics
N_FOLDS = {"trees": 5, "network": 2}
N_TREES = 120
STEPS = (200, 400)  # of the network, at least and at most; twelve passes between them
TREES = Definition("image_c2st", "Real or synthetic? Boosted trees (C2ST AUC)", Section.FIDELITY, Direction.LOWER, unit="images")
NETWORK = Definition("image_c2st_cnn", "Real or synthetic? A network (C2ST AUC)", Section.FIDELITY, Direction.LOWER, unit="images")


@of_images(TREES, least=MIN_IMAGES)
def image_c2st(data: ImageData, *, seed: int) -> MetricResult:
    """AUC of boosted trees that tell synthetic from holdout images, out of fold; 0.5 is best, 1 worst.

    They see pixels at 16 x 16 (8 x 8 x 8), radiomics and oriented gradients, 120 trees, five folds that split no patient. As many
    synthetic as holdout images with labels in the same shares; the reference tells holdout from train images at the same number.
    Lopez-Paz & Oquab 2017 (arXiv 1610.06545).
    """
    return _told_apart(data, TREES, "trees", seed)


@of_images(NETWORK, least=MIN_IMAGES)
def image_c2st_cnn(data: ImageData, *, seed: int) -> MetricResult:
    """AUC of a small network that tells synthetic from holdout images, out of fold; 0.5 is best, 1 worst.

    The network of `classifier`, 200 to 400 steps, two folds that split no patient; images and reference as in `image_c2st`. It sees
    grain and edges at full size that trees do not, and needs more images than they do.
    """
    return _told_apart(data, NETWORK, "network", seed)


def _told_apart(data: ImageData, definition: Definition, judge: str, seed: int) -> MetricResult:
    sides = data.pictures
    parts = [sides["holdout"], sides["synthetic"], sides["train"]]
    (held, fake, real), is_matched = matched(parts, MAX_IMAGES, seed, "c2st")
    some = [side.take(rows) for side, rows in zip(parts, (held, fake, real), strict=True)]
    value, interval, areas = apart(some[1], some[0], judge, seed)
    reference, reference_interval, _ = apart(some[2], some[0], judge, seed)
    note = "" if is_matched else "Labels could not be matched: a side has too few images of one, and their mix helps to tell them apart."
    return definition.result(
        value,
        interval=interval,
        n=len(held),
        reference=reference,
        reference_interval=reference_interval,
        details={"folds": areas, "n_per_side": len(held), "labels_matched": is_matched, "judge": judge},
        note=note,
    )


def apart(first: Pictures, second: Pictures, judge: str, seed: int) -> tuple[float, Interval, list[float]]:
    """Mean out-of-fold AUC of telling two samples apart, its 95 % interval, and the AUC of each fold."""
    n_folds = N_FOLDS[judge]
    if min(first.n_records, second.n_records) < n_folds:
        raise UndefinedMetricError(f"{n_folds} folds need at least {n_folds} patients on each side")
    folds = np.concatenate([side.folds(n_folds, seed, judge, name) for side, name in ((first, "first"), (second, "second"))])
    truth = np.repeat([1, 0], [len(first), len(second)])
    pixels = np.concatenate([first.pixels, second.pixels])
    X = _matrix(pixels) if judge == "trees" else pixels
    areas, variances = [], []
    for fold in range(n_folds):
        is_test = folds == fold
        scores = _scores(judge, X[~is_test], truth[~is_test], X[is_test], derive(seed, "images", judge, fold))
        records = np.concatenate([first.records, second.records + first.n_records])[is_test]
        is_first = truth[is_test] == 1
        area, variance = delong(scores[is_first], scores[~is_first], (records[is_first], records[~is_first]))
        areas.append(area)
        variances.append(variance)
    mean = float(np.mean(areas))
    half = 1.96 * float(np.mean(variances) * (1 / n_folds + 1 / max(n_folds - 1, 1) * (n_folds > 2))) ** 0.5
    return mean, (max(0.0, mean - half), min(1.0, mean + half)), areas


def _matrix(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    side = SIDE[pixels.ndim - 2]
    size = tuple(max(1, min(side, length)) for length in pixels.shape[2:])
    return np.hstack([flattened(pixels, size), radiomics(pixels), gradients(pixels)]).astype(np.float32)


def _scores(judge: str, X: Any, y: Any, test: Any, seed: int) -> Floats:
    if judge == "network":
        model = fit(X, y, seed, steps=int(np.clip(12 * len(y) // 64, *STEPS)), calibrate=False)
        logits = model.logits(test)
        return np.asarray(logits[:, 1] - logits[:, 0])
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=N_TREES, max_leaf_nodes=15, max_bins=63, max_features=0.3, early_stopping=False, random_state=seed & 0x7FFFFFFF
    )
    return np.asarray(trees.fit(X, y).decision_function(test), dtype=float)
