"""The format "npz": arrays of images and of their labels in one file, MedMNIST's layout among them; images alone as .npy.

Axes are (n, height, width), with the channels behind or (1 or 3) before them, and one more of depth for volumes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.images import ArraySource, Images, joined
from manikin.data.schema import Column, Kind, Schema
from manikin.io.images.array_writing import ArrayWriter, write
from manikin.io.images.forms import Facts, form_of
from manikin.io.images.gathering import ImageCells, assembled, name_of
from manikin.io.images.labels import FILE, LABEL, MAX_IMAGE_COLUMNS, SPLIT
from manikin.io.images.npz import Array, open_npy, open_npz

__all__ = ["ArrayWriter", "read", "write"]

IMAGES = "images"
LABELS = "labels"
PARTS = ("train", "val", "test")
CHUNK = 256  # images looked at together, for their range of values


def read(source: str | os.PathLike[str], *, schema: Schema | None = None, strict: bool = False) -> Dataset:  # noqa: ARG001 - all formats alike
    """The images and labels of an .npz file, or the images of an .npy file.

    Parameters
    ----------
    source : arrays of one length: `images`, or any other name for an array of three axes or more (two of them at most: pairs), and
        columns of one axis (or of two: a column for each label, `label_0` …). With `train_images`, `val_labels` … the column `split`
        says where a row belongs, as MedMNIST stores it. Nothing is unpickled.
    schema : of one table; inferred without it. strict : taken and not needed, as an array is whole or refused.

    Raises
    ------
    DataError : the file is damaged, too large, holds no images, or arrays of different lengths; the message names the array.
    SchemaError : the schema does not fit.
    """
    path = Path(source)
    arrays = {IMAGES: open_npy(path)} if path.suffix.lower() == ".npy" else open_npz(path)
    parts, notes = _parts(arrays)
    images = {name: _joined_images([part[name] for part in parts.values()], name, path) for name in _image_names(parts, path)}
    texts = pd.concat([_texts(part, split, list(images), path) for split, part in parts.items()], ignore_index=True)
    if not len(texts):
        raise DataError(f"{path} holds no image: its arrays have no rows.")
    cells, said = {}, list(notes)
    for name, (found, is_first) in images.items():
        column = FILE if name == IMAGES else name
        form = form_of([_facts(part, f"{path}, array {name!r}") for part in found])
        pixels = _one_after_the_other(found)
        cells[column] = ImageCells(pixels, Column(column, Kind.IMAGE, image=form, missing=()))
        if is_first:
            said.append(f"The channels of {name!r} are its second axis; the images are {form.channels} x {form.size}.")
    return assembled(name_of(path), texts, cells, schema=None if schema is None else schema.only, notes=tuple(said), where=str(path))


def _parts(arrays: Mapping[str, Array]) -> tuple[dict[str, dict[str, Array]], tuple[str, ...]]:
    """The arrays by split, "" where there is none; `train_images` is the array `images` of the split `train`."""
    splits = {name: part for part in PARTS for name in arrays if name.startswith(f"{part}_") and name != f"{part}_"}
    if not any(name.endswith(f"_{IMAGES}") for name in splits):
        return {"": dict(arrays)}, ()
    parts: dict[str, dict[str, Array]] = {part: {} for part in PARTS if part in splits.values()}
    for name, part in splits.items():
        parts[part][name.removeprefix(f"{part}_")] = arrays[name]
    others = [name for name in arrays if name not in splits]
    notes = (f"Arrays of no split were not read: {', '.join(others)}.",) if others else ()
    return parts, notes


def _image_names(parts: Mapping[str, Mapping[str, Array]], path: Path) -> list[str]:
    """The arrays of images: `images` first."""
    names = list(dict.fromkeys(name for part in parts.values() for name, array in part.items() if array.ndim >= 3))
    names.sort(key=lambda name: name != IMAGES)
    if not names:
        raise DataError(f"{path} holds no array of images: of three axes or more, (n, height, width). Call it {IMAGES!r}.")
    if len(names) > MAX_IMAGE_COLUMNS:
        raise DataError(f"{path} holds {len(names)} arrays of images: {', '.join(map(repr, names))}. One or two can be read.")
    for split, part in parts.items():
        absent = [name for name in names if name not in part]
        if absent:
            raise DataError(f"{path} has no array {f'{split}_{absent[0]}'!r} beside those of other splits. Add it, or take the split out.")
    return names


def _joined_images(arrays: list[Array], name: str, path: Path) -> tuple[list[Array], bool]:
    """Arrays as (n, channels, *size), and whether channels came before the size."""
    out, is_first = [], False
    for array in arrays:
        laid, first = channels_first(array, name, path)
        out.append(laid)
        is_first = is_first or first
    if len({one.shape[1:] for one in out}) > 1 and len({one.shape[1] for one in out}) > 1:
        raise DataError(f"{path}: the splits of {name!r} differ in their number of channels. Save them alike.")
    return out, is_first


def _one_after_the_other(arrays: list[Array]) -> Images:
    """The images of several arrays: in one array where they lie in memory and fit, so that they are taken at once."""
    if len(arrays) > 1 and len({one.shape[1:] for one in arrays}) == 1 and not any(isinstance(one, np.memmap) for one in arrays):
        arrays = [np.concatenate(arrays)]
    parts = [Images.of(ArraySource(one)) for one in arrays]
    return parts[0] if len(parts) == 1 else joined(parts)


def channels_first(array: Array, name: str, path: Path) -> tuple[Array, bool]:
    """An array of images as (n, channels, *size), a view; and whether its channels stood before its size.

    Raises
    ------
    DataError : no numbers, or axes that are no images.
    """
    if array.dtype.kind not in "uifb":
        raise DataError(f"{path}, array {name!r} holds no numbers. Save the images as numbers.")
    if array.ndim not in (3, 4, 5) or 0 in array.shape[1:]:
        raise DataError(f"{path}, array {name!r} has the shape {array.shape}, which is no stack of images. Save (n, height, width).")
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if array.ndim == 3:
        return array[:, None], False
    if array.shape[-1] in (1, 3):
        return np.moveaxis(array, -1, 1), False
    if array.shape[-1] == 4 and array.shape[1] > 4:
        return np.moveaxis(array[..., :3], -1, 1), False
    if array.shape[1] in (1, 3):
        return array, True
    if array.ndim == 4:
        return array[:, None], False
    raise DataError(f"{path}, array {name!r} has the shape {array.shape}: neither its last axis nor its second is of 1 or 3 channels.")


def _facts(pixels: Array, where: str) -> Facts:
    """The facts of a whole stack (n, channels, *size), looked at in pieces."""
    lowest, highest, is_whole = np.inf, -np.inf, pixels.dtype.kind in "iu"
    are_whole = True
    for start in range(0, len(pixels), CHUNK):
        piece = np.asarray(pixels[start : start + CHUNK])
        known = piece[np.isfinite(piece)] if piece.dtype.kind == "f" else piece
        if known.size < piece.size:
            raise DataError(f"{where} holds pixels without a number (NaN or infinite). Replace them first.")
        lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
        are_whole = are_whole and (is_whole or bool((known == np.rint(known)).all()))
    if not len(pixels):
        lowest, highest = 0.0, 1.0
    return Facts(tuple(pixels.shape[1:]), pixels.shape[1] == 1, are_whole, lowest, highest)


def _texts(part: Mapping[str, Array], split: str, images: list[str], path: Path) -> pd.DataFrame:
    """The cells of one split, and names of its images: the split's name and a number."""
    n = len(part[images[0]])
    prefix = f"{split}/" if split else ""
    width = max(len(str(max(n - 1, 0))), 5)
    columns: dict[str, list[str]] = {}
    for name in images:
        column = FILE if name == IMAGES else name
        columns[column] = [f"{prefix}{i:0{width}d}" for i in range(n)]
    if split:
        columns[SPLIT] = [split] * n
    for name, array in part.items():
        where = f"{path}, array {f'{split}_{name}' if split else name!r}"
        if array.shape[:1] != (n,):
            raise DataError(f"{where} has {array.shape[0] if array.ndim else 'no'} rows beside {n:,} images. Save one row for each image.")
        if name in images:
            continue
        for column, values in _label_columns(name, array, where):
            if column in columns:
                raise DataError(f"{where} would be a second column {column!r}. Give it another name.")
            columns[column] = _cells(values)
    return pd.DataFrame(columns, dtype=object)


def _label_columns(name: str, array: Array, where: str) -> list[tuple[str, Array]]:
    """The columns of an array of labels; one of two axes has a column for each place."""
    called = LABEL if name == LABELS else name
    if array.dtype.kind not in "uifbUSM":
        raise DataError(f"{where} holds neither numbers nor texts. Save it as numbers or texts.")
    if array.ndim == 1:
        return [(called, array)]
    if array.shape[1] == 1:
        return [(called, array[:, 0])]
    return [(f"{called}_{i}", array[:, i]) for i in range(array.shape[1])]


def _cells(values: Array) -> list[str]:
    """Values as cell texts: whole numbers without a point, "" where there is none."""
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in values.tolist()]
    if values.dtype.kind == "f":
        is_whole = bool((values[np.isfinite(values)] == np.rint(values[np.isfinite(values)])).all())
        return ["" if not np.isfinite(value) else str(int(value)) if is_whole else str(value) for value in values]
    if values.dtype.kind == "M":
        return ["" if np.isnat(value) else str(value) for value in values]
    return [str(value) for value in values.tolist()]
