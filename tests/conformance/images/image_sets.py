"""Small sets of images that every generator must cope with or refuse by name: grey, colour, volumes, without labels, pairs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import EMPTY, Column, ImageForm, Kind, Role, Storage, TableSchema

RARE = "zzz-rare"
SECRET = "scan-of-jane-doe"  # in the name of every real image


def built(pixels: dict[str, npt.NDArray[Any]], cells: dict[str, Any], columns: list[Column], **form: Any) -> Dataset:
    """A data set of images by column and of the cell texts of its attributes."""
    files = {name: [f"{SECRET}-{name}-{i:03d}.png" for i in range(len(array))] for name, array in pixels.items()}
    of_images = []
    for name, array in pixels.items():
        is_whole = bool(np.issubdtype(array.dtype, np.integer))
        of_images.append(Column(name, Kind.IMAGE, image=ImageForm(array.shape[1], array.shape[2:], is_whole=is_whole, **form)))
    table = TableSchema("scans", tuple(columns))
    n = len(next(iter(pixels.values())))
    frame = (
        parse_table(pd.DataFrame(cells, columns=table.names, dtype=object), table, where="scans")
        if columns
        else Table(pd.DataFrame(index=range(n)))
    )
    whole = pd.concat([pd.DataFrame(files, dtype=object), frame.frame], axis=1)
    images = {name: Images.of_array(array) for name, array in pixels.items()}
    return flat(Table(whole, frame.marks, images), TableSchema("scans", (*of_images, *columns)))


def _blobs(n: int, shape: tuple[int, ...], side: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.uint8]:
    """Noisy images (n, *shape) whose first or last half of the last axis is bright."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(70, 12, (n, *shape))
    half = shape[-1] // 2
    pixels[side, ..., :half] += 90
    pixels[~side, ..., half:] += 90
    return pixels.clip(0, 255).astype(np.uint8)


@cache
def grey() -> Dataset:
    """One channel, twelve pixels wide; a label, an age that is missing at times, a patient key with two images for some."""
    n, rng = 64, np.random.default_rng(1)
    side = rng.random(n) < 0.4
    age = ["" if i % 11 == 0 else str(int(a)) for i, a in enumerate(rng.normal(np.where(side, 70, 45), 6))]
    return built(
        {"file": _blobs(n, (1, 12, 12), side, 2)},
        {"patient": [f"p-{i * 3 // 4}" for i in range(n)], "label": np.where(side, "pneumonia", "normal"), "age": age},
        [
            Column("patient", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
            Column("label", Kind.CATEGORICAL, levels=("normal", "pneumonia"), roles=(Role.TARGET,)),
            Column("age", Kind.COUNT, Storage.INTEGER, decimals=0, missing=(EMPTY,)),
        ],
    )


@cache
def colour() -> Dataset:
    """Three channels, higher than wide, of a size that no network halves evenly; a label that hardly anyone has."""
    n, rng = 60, np.random.default_rng(3)
    side = rng.random(n) < 0.5
    label = np.where(side, "left", "right").astype(object)
    label[:3] = RARE
    return built(
        {"file": _blobs(n, (3, 11, 9), side, 4)}, {"label": label}, [Column("label", Kind.CATEGORICAL, roles=(Role.TARGET,))]
    )


@cache
def volumes() -> Dataset:
    """Six slices in the values of a scanner, some below zero; a label."""
    n, rng = 48, np.random.default_rng(5)
    side = rng.random(n) < 0.5
    pixels = (_blobs(n, (1, 6, 8, 8), side, 6).astype(np.int16) - 100) * 4
    return built(
        {"scan": pixels},
        {"label": np.where(side, "left", "right")},
        [Column("label", Kind.CATEGORICAL, levels=("left", "right"))],
        lowest=-400.0,
        highest=620.0,
        spacing=(2.0, 0.5, 0.5),
        modality="CT",
    )


@cache
def bare() -> Dataset:
    """Images and nothing else, of real numbers."""
    pixels = _blobs(50, (1, 8, 8), np.random.default_rng(7).random(50) < 0.5, 8).astype(np.float32) / 255
    return built({"file": pixels}, {}, [], lowest=0.0, highest=1.0)


@cache
def pairs() -> Dataset:
    """Two columns of images of the same patients, the second the first turned dark for bright."""
    n = 46  # no width of a small network, so that no array of weights has as many rows by chance
    first = _blobs(n, (1, 8, 8), np.random.default_rng(9).random(n) < 0.5, 10)
    return built({"mr": first, "ct": 255 - first}, {}, [])


SETS = {"grey": grey, "colour": colour, "volumes": volumes, "bare": bare, "pairs": pairs}


def image_bytes(data: Dataset) -> bytes:
    """All cells, and all pixels with their type and shape."""
    parts = [texts_of(data.table, data.columns).to_csv(index=False, lineterminator="\n").encode()]
    for column in data.columns.images:
        parts += [pixels_of(data, column.name).tobytes()] if len(data) else []
    return b"\n".join(parts)


def pixels_of(data: Dataset, column: str) -> npt.NDArray[Any]:
    """The images of a column in their own type, (n, channels, *size)."""
    own = data.table.images[column]
    return np.stack([own.image(i) for i in range(len(own))])
