"""What the plots of images are drawn from, as JSON-able values. Knows nothing of drawing.

`columns` are those of the labels and attributes beside the images, as of a flat table. `images` holds galleries of **real images**, so
that results.json and the report are internal; a release is written without either.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.data.thumbnails import png
from manikin.evaluation.base import MetricResult
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError, clean
from manikin.evaluation.images.appearance import edges, frequencies, sides
from manikin.evaluation.images.copies import MAX_QUERIES, found
from manikin.evaluation.images.duplicates import alike
from manikin.evaluation.images.pictures import FINE_SIDE, MAX_SIDE, ImageData, Pictures, Pixels, resized
from manikin.evaluation.images.spaces import RADIOMICS, space
from manikin.evaluation.views import overlay, worst

Ints = npt.NDArray[np.int64]
N_LABELS = 4  # galleries
ACROSS, DOWN = 6, 4  # images of a gallery
TILE = {True: 32, False: 64}  # pixels of the longer side, whether images are small
N_NEAREST, N_USUAL = 6, 3  # synthetic images shown with the real ones that they are most alike
N_POINTS = 400
COARSE = 4  # bins of grey values that are drawn as one


def views(data: ImageData, results: Sequence[MetricResult], *, seed: int) -> dict[str, Any]:
    """The views of the columns beside the images, and under `images` what is drawn of them; see `views_of_images`."""
    made = {"columns": [overlay(data, feature) for feature in data.features], **worst(results)}
    try:
        with one_thread():
            made["images"] = views_of_images(data, seed=seed)
    except UndefinedMetricError:
        made["images"] = {}
    return {key: clean(value) for key, value in made.items()}


def views_of_images(data: ImageData, *, seed: int) -> dict[str, Any]:
    """What is drawn of images:

    size, axes, column, label : what was judged. n : images on each side.
    galleries : per label (the four most frequent) `label`, `n`, and `real` and `synthetic`, sheets of images as PNG in base64.
    nearest : the synthetic images that are most alike a train image, and some usual ones: `synthetic`, `train`, `holdout` as PNG,
        `likeness` with either, and `is_usual`.
    intensity : `edges` of grey values and shares on each side. spectrum : `frequency` in cycles per pixel and power on each side.
    map : two components of radiomics of `train` and `synthetic` images.
    """
    pictures = data.pictures
    if min(len(side) for side in pictures.values()) < 2:
        raise UndefinedMetricError("a side has fewer than two images")
    return {
        "size": list(data.frame.size),
        "judged_size": list(data.frame.within(MAX_SIDE[data.frame.axes])),
        "axes": data.frame.axes,
        "column": data.column,
        "label": data.label.name if data.label is not None else None,
        "n": {name: len(side) for name, side in pictures.items()},
        "galleries": _galleries(data, seed),
        "nearest": _nearest(data, seed),
        **_looks(data, seed),
        "map": _map(data, seed),
    }


def _galleries(data: ImageData, seed: int) -> list[dict[str, Any]]:
    real, fake = data.pictures["train"], data.pictures["synthetic"]
    counts = np.bincount(real.labels + 1, minlength=len(data.classes) + 1)
    made = []
    for code in np.argsort(-counts, kind="stable")[:N_LABELS].tolist():
        label = code - 1
        if not counts[code] or (label < 0 and data.classes):
            continue
        rows = {}
        for name, side in (("real", real), ("synthetic", fake)):
            mine = np.flatnonzero(side.labels == label)
            rows[name] = side.take(np.sort(generator(seed, "images", "gallery", name, code).permutation(mine)[: ACROSS * DOWN]))
        made.append(
            {
                "label": data.classes[label] if label >= 0 else "",
                "n": {name: len(side) for name, side in rows.items()},
                "real": _sheet(data, "train", rows["real"]),
                "synthetic": _sheet(data, "synthetic", rows["synthetic"]),
            }
        )
    return made


def _nearest(data: ImageData, seed: int) -> list[dict[str, Any]]:
    """The most alike first; each beside the train and the holdout image that it is most alike."""
    real, held = data.pictures["train"], data.pictures["holdout"]
    fake = data.pictures["synthetic"].take(data.pictures["synthetic"].draw(MAX_QUERIES, seed, "copies"))
    match = found(data, fake, "synthetic")
    order = np.argsort(-match.likeness, kind="stable")
    middle = len(order) // 2
    usual = order[max(N_NEAREST, middle) : max(N_NEAREST, middle) + N_USUAL]
    chosen = np.concatenate([order[:N_NEAREST], usual])
    some = fake.take(chosen)
    other = alike(some.pixels, held.pixels)
    near = real.take(match.place[chosen])
    beside = held.take(other.place)
    shown = [_tiles(data, name, side) for name, side in (("synthetic", some), ("train", near), ("holdout", beside))]
    return [
        {
            **{name: _encoded(tiles[i]) for name, tiles in zip(("synthetic", "train", "holdout"), shown, strict=True)},
            "likeness": {"train": float(match.likeness[row]), "holdout": float(other.likeness[i])},
            "is_usual": i >= N_NEAREST,
        }
        for i, row in enumerate(chosen.tolist())
    ]


def _looks(data: ImageData, seed: int) -> dict[str, Any]:
    made, _ = sides(data, seed)
    upper, ring = frequencies(data.frame.within(FINE_SIDE[data.frame.axes]))
    kept = np.bincount(ring[ring >= 0], minlength=len(upper)) > 0
    values = {name: looked.values.mean(axis=0).reshape(-1, COARSE).sum(axis=1) for name, looked in made.items()}
    power = {name: looked.power.mean(axis=0) for name, looked in made.items()}
    return {
        "intensity": {"edges": edges()[::COARSE], **values},
        "spectrum": {"frequency": upper[kept], **power} if kept.any() else {},
    }


def _map(data: ImageData, seed: int) -> dict[str, Any]:
    of = space(data, RADIOMICS, seed=seed)
    if of.n_dimensions < 2:
        return {}
    made = {}
    for name in ("train", "synthetic"):
        made[name] = np.round(of.points[name][data.pictures[name].draw(N_POINTS, seed, "map"), :2].astype(float), 3)
    return made


def _tiles(data: ImageData, name: str, side: Pictures) -> npt.NDArray[np.uint8]:
    """Small images as they are looked at, uint8 (n, 1 or 3, height, width); of volumes the middle slice."""
    fine: Pixels = data.fine(name, side)
    if fine.ndim == 5:
        fine = fine[:, :, fine.shape[2] // 2]
    height, width = fine.shape[2:]
    longest = TILE[max(height, width) <= 32]
    factor = min(1.0, longest / max(height, width))
    small = resized(np.ascontiguousarray(fine), (max(1, round(height * factor)), max(1, round(width * factor))))
    shown = small if small.shape[1] == 3 else small[:, :1]
    return np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)


def _sheet(data: ImageData, name: str, side: Pictures) -> str:
    """A sheet of up to 24 images, six in a row; empty where there is none."""
    if not len(side):
        return ""
    tiles = _tiles(data, name, side)
    n, channels, height, width = tiles.shape
    down = -(-n // ACROSS)
    sheet = np.full((channels, down * (height + 1) - 1, ACROSS * (width + 1) - 1), 128, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // ACROSS * (height + 1), i % ACROSS * (width + 1)
        sheet[:, top : top + height, left : left + width] = tile
    return _encoded(sheet)


def _encoded(image: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(png(image)).decode("ascii")
