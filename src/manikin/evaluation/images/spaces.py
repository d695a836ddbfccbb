"""The spaces in which images have a distance, each by its name: a network's features, radiomics with edges, pixels. Knows no metric.

A distance between images means nothing without the name of its space, and figures of two spaces cannot be compared. All spaces are learned
from train images alone, and none rests on weights that came from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import derive
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.images import radiomics
from manikin.evaluation.images.classifier import Classifier, fit
from manikin.evaluation.images.pictures import SIDES, ImageData, Pixels, resized

Points = npt.NDArray[np.float32]
CNN, RADIOMICS, PIXELS = "cnn", "radiomics", "pixels"
SPACES = (CNN, RADIOMICS, PIXELS)
N_COMPONENTS = 48  # principal components kept of a space
N_CLUSTERS = 6  # what the network learns where images have no label
PIXEL_SIDE = {2: 32, 3: 16}


@dataclass(frozen=True)
class Space:
    """One space.

    Attributes
    ----------
    words : what it is, to be written beside every figure. points : per side, float32 (n, n_dimensions).
    unseen : positions of the train images that may be compared with others: all, but of a network those that it did not learn from,
        since it knows the others and puts them apart.
    explained : the share of train's variance that the components hold.
    """

    name: str
    words: str
    points: dict[str, Points]
    unseen: npt.NDArray[np.int64]
    explained: float = 1.0

    @property
    def n_dimensions(self) -> int:
        """Dimensions."""
        return int(self.points[SIDES[0]].shape[1])


def space(data: ImageData, name: str, *, seed: int) -> Space:
    """A space of these data, made once for a seed (only that of the network depends on it).

    Raises
    ------
    UndefinedMetricError : the train images have no label and are too few to be sorted without one.
    """
    key = ("space", name, seed if name == CNN else 0)
    if key not in data.memory:
        data.memory[key] = {CNN: _cnn, RADIOMICS: _radiomics, PIXELS: _pixels}[name](data, seed)
    made: Space = data.memory[key]
    return made


def classifier(data: ImageData, *, seed: int) -> Classifier:
    """The network that learned the label of train, once for a seed."""
    key = ("classifier", seed)
    if key not in data.memory:
        side = data.pictures["train"]
        known = np.flatnonzero(side.labels >= 0)
        if len(np.unique(side.labels[known])) < 2:
            raise UndefinedMetricError("the train images have no label of two classes or more")
        data.memory[key] = fit(side.pixels[known], side.labels[known], derive(seed, "images", "task"))
    made: Classifier = data.memory[key]
    return made


def _cnn(data: ImageData, seed: int) -> Space:
    """A network that learned from half of the train patients; the other half can be compared with images that it never saw."""
    real = data.pictures["train"]
    is_taught = real.folds(2, seed, "taught") == 0
    taught, labels = np.flatnonzero(is_taught & (real.labels >= 0)), real.labels
    words = f"features of a network that learned {data.label.name!r}" if data.label is not None else ""
    if len(np.unique(labels[taught])) < 2:
        labels = _clusters(data)
        taught = np.flatnonzero(is_taught)
        words = "features of a network that learned clusters of images"
        if len(np.unique(labels[taught])) < 2:
            raise UndefinedMetricError("half of the train images are too few or too much alike for a network")
    model = fit(real.pixels[taught], labels[taught], derive(seed, "images", "features"), calibrate=False)
    points = {name: model.features(side.pixels) for name, side in data.pictures.items()}
    return _reduced(CNN, f"{words} on half of train", points, limit=None, unseen=np.flatnonzero(~is_taught))


def _clusters(data: ImageData) -> npt.NDArray[np.int64]:
    """Clusters of radiomics and edges of the train images."""
    from sklearn.cluster import KMeans

    points = space(data, RADIOMICS, seed=0).points["train"]
    n = min(N_CLUSTERS, len(points) // 10)
    if n < 2:
        raise UndefinedMetricError("the train images have no label, and they are too few to be sorted without one")
    found = KMeans(n, n_init=3, random_state=0).fit_predict(points)
    if len(np.unique(found)) < 2:
        raise UndefinedMetricError("the train images are all alike")
    return np.asarray(found, dtype=np.int64)


def _radiomics(data: ImageData, seed: int) -> Space:
    """Columns in train's standard deviations; either block counts the same whatever its number of columns."""
    del seed
    blocks: list[dict[str, Any]] = [
        {name: part(side.pixels) for name, side in data.pictures.items()} for part in (radiomics.radiomics, radiomics.gradients)
    ]
    scaled = [_standardised(block) for block in blocks]
    both = {name: np.hstack([block[name] / np.sqrt(block[name].shape[1]) for block in scaled]) for name in SIDES}
    return _reduced(RADIOMICS, "radiomics and oriented gradients, no trained weights", both, limit=N_COMPONENTS)


def _pixels(data: ImageData, seed: int) -> Space:
    del seed
    frame = data.frame
    size = frame.within(PIXEL_SIDE[frame.axes])
    flat = {name: flattened(side.pixels, size) for name, side in data.pictures.items()}
    return _reduced(PIXELS, f"principal components of pixels at {' x '.join(map(str, size))}", flat, limit=N_COMPONENTS)


def flattened(pixels: Pixels, size: tuple[int, ...]) -> Points:
    """Images at a size as rows, scaled so that the distance of two is the root mean square of their difference, float32 (n, n_pixels)."""
    small = resized(pixels, size)
    rows = small.reshape(len(small), -1)
    return np.asarray(rows / np.sqrt(rows.shape[1]), dtype=np.float32)


def _standardised(block: dict[str, Any]) -> dict[str, Any]:
    mean, deviation = block["train"].mean(axis=0), block["train"].std(axis=0)
    kept = deviation > 1e-6 * np.maximum(np.abs(mean), 1.0)
    if not kept.any():
        return {name: np.zeros((len(values), 1)) for name, values in block.items()}
    return {name: (values[:, kept] - mean[kept]) / deviation[kept] for name, values in block.items()}


def _reduced(name: str, words: str, values: dict[str, Any], *, limit: int | None, unseen: Any = None) -> Space:
    """Centred on train; its principal components where there are more columns than the limit."""
    real = np.asarray(values["train"], dtype=np.float64)
    centre = real.mean(axis=0)
    fresh = np.arange(len(real)) if unseen is None else unseen
    if limit is None or real.shape[1] <= limit:
        return Space(name, words, {side: (part - centre).astype(np.float32) for side, part in values.items()}, fresh)
    basis, explained = _components(real - centre, limit)
    points = {side: ((part - centre) @ basis).astype(np.float32) for side, part in values.items()}
    return Space(name, f"{words} ({basis.shape[1]} components)", points, fresh, explained)


def _components(centred: npt.NDArray[np.float64], limit: int) -> tuple[npt.NDArray[np.float64], float]:
    """The directions of most variance, (n_columns, n_components), and the share of it that they hold."""
    n, width = centred.shape
    if width <= 1_500:
        variance, vectors = np.linalg.eigh(centred.T @ centred)
    else:  # the same directions from the products of rows, or of some of them
        rows = centred[:: max(1, n // 1_500)]
        variance, left = np.linalg.eigh(rows @ rows.T)
        vectors = rows.T @ left / np.sqrt(np.maximum(variance, 1e-12))
    order = np.argsort(-variance)[: min(limit, n - 1 or 1)]
    order = order[variance[order] > 1e-10 * max(float(variance.max(initial=0.0)), 1e-12)]
    if not len(order):
        order = np.array([int(np.argmax(variance))])
    total = max(float(np.maximum(variance, 0).sum()), 1e-12)
    return vectors[:, order], float(np.maximum(variance[order], 0).sum() / total)
