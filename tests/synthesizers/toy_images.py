"""Grey images whose brighter half says their label, for tests of networks of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema


def halves(
    n: int = 200, *, seed: int = 0, size: tuple[int, ...] = (8, 8), channels: int = 1, labels: bool = True, step: int = 255
) -> Dataset:
    """Left or right half brighter, along the last axis."""
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(n) < 0.4, "left", "right")
    pixels = rng.normal(80, 15, (n, channels, *size))
    middle = size[-1] // 2
    pixels[label == "left", ..., :middle] += 100
    pixels[label == "right", ..., middle:] += 100
    frame: dict[str, Any] = {"file": pd.Series([f"{i}.png" for i in range(n)], dtype=object)}
    columns = [Column("file", Kind.IMAGE, image=ImageForm(channels, size))]
    if labels:
        frame["label"] = pd.Series(pd.Categorical(label))
        columns.append(Column("label", Kind.CATEGORICAL, levels=("left", "right"), roles=(Role.TARGET,)))
    images = {"file": Images.of_array(pixels.clip(0, step).astype(np.uint8))}
    return flat(Table(pd.DataFrame(frame), images=images), TableSchema("halves", tuple(columns)))


def brighter(data: Dataset) -> Any:
    pixels = data.table.images["file"].array()
    middle = pixels.shape[-1] // 2
    axes = tuple(range(1, pixels.ndim))
    return np.where(pixels[..., :middle].mean(axes) > pixels[..., middle:].mean(axes), "left", "right")


def nearest(made: Dataset, real: Dataset) -> Any:
    """Largest difference of each made image from the real one that is most like it, in grey levels."""
    a, b = made.table.images["file"].array(), real.table.images["file"].array()
    return np.array([np.abs(b - one).reshape(len(b), -1).max(1).min() for one in a])
