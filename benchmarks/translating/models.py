"""Translators learned from arrays, and what they make of others, with what it cost."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pandas as pd

import manikin as mk
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import NONE, Images
from manikin.data.schema import Column, ImageForm, Kind, TableSchema
from manikin.synthesizers import synthesizer


def cpu_seconds() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def dataset(**arrays: np.ndarray) -> Dataset:
    """Columns of images uint8 (n, height, width) or (n, height, width, 3), by name, in order: pairs row by row."""
    return _built({name: (array, np.arange(len(array))) for name, array in arrays.items()})


def heaps(source: np.ndarray, target: np.ndarray, names: tuple[str, str]) -> Dataset:
    """Two heaps of images that have nothing to do with each other: a row has one of the two."""
    n, m = len(source), len(target)
    places = (np.concatenate([np.arange(n), np.full(m, NONE)]), np.concatenate([np.full(n, NONE), np.arange(m)]))
    return _built({name: (array, place) for name, array, place in zip(names, (source, target), places, strict=True)})


def _built(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> Dataset:
    columns, frame, images = [], {}, {}
    for name, (array, places) in parts.items():
        pixels = array[:, None] if array.ndim == 3 else np.moveaxis(array, -1, 1)
        columns.append(Column(name, Kind.IMAGE, image=ImageForm(pixels.shape[1], pixels.shape[2:])))
        frame[name] = pd.Series([f"{name}/{place}.png" if place >= 0 else None for place in places], dtype=object)
        images[name] = Images(Images.of_array(np.ascontiguousarray(pixels)).source, places.astype(np.int64))
    return flat(Table(pd.DataFrame(frame), images=images), TableSchema("pairs", tuple(columns)))


def learned(name: str, data: Dataset, *, seed: int, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """A fitted translator, and what it took."""
    start = cpu_seconds()
    model = synthesizer(name, **settings).fit(data, seed=seed)
    told = {"model": name, "settings": settings, "seed": seed, "cpu_seconds": round(cpu_seconds() - start, 1)}
    return model, told | {"steps": model.training_.get("steps")}


def translated(model: Any, **source: np.ndarray) -> np.ndarray:
    """What a model makes of images, as they came: uint8 (n, height, width) or (n, height, width, 3)."""
    made = mk.translate(model, dataset(**source))
    pixels = made.table.images[made.columns.images[0].name].array().round().astype(np.uint8)
    return pixels[:, 0] if pixels.shape[1] == 1 else np.moveaxis(pixels, 1, -1)
