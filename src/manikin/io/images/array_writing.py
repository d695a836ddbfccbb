"""Writes images and their labels as one .npz file, or images alone as .npy; the file appears when it is whole."""

from __future__ import annotations

import os
import secrets
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Column, ImageForm, Kind, Schema
from manikin.io.images.labels import FILE, LABEL, SPLIT
from manikin.io.images.npz import Array
from manikin.io.images.provenance import Origin, texts_of

PARTS = ("train", "val", "test")
MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest of a zip file: the same arrays give the same bytes


def write(
    data: Dataset,
    target: str | os.PathLike[str],
    *,
    like: Any = None,
    force: bool = False,
    how: str = "",
    origin: Origin = Origin.SYNTHETIC,
) -> Path:
    """Writes images and their labels as arrays: `images` (n, height, width[, 3]) or volumes (n, depth, height, width), and each column.

    Parameters
    ----------
    target : ends in .npz, or in .npy for the images alone. force : whether a file of this name is replaced.
    like : an .npz file; one in MedMNIST's layout, or the word "medmnist", gives `train_images`, `train_labels` … by the column `split`.
    how, origin : what the comment of the .npz file says of where the images come from.

    Raises
    ------
    DataError : the file is there and `force` is not set; images of different sizes, or rows without one.
    """
    with ArrayWriter(target, data.schema, like=like, force=force, how=how, origin=origin) as writer:
        writer.append(data)
    return Path(target)


class ArrayWriter:
    """Writes an .npz or .npy file in pieces, whose pixels wait in their stored type; the file appears when the last one is in."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: Schema,
        *,
        like: Any = None,
        force: bool = False,
        how: str = "",
        origin: Origin = Origin.SYNTHETIC,
    ) -> None:
        self.path = Path(path)
        self.schema = schema
        self.columns = [column for column in schema.only if column.kind is Kind.IMAGE]
        if self.path.suffix.lower() not in (".npz", ".npy"):
            raise DataError(f"{self.path} has no ending of arrays. Call it .npz, or .npy for the images alone.")
        if not self.columns:
            raise SchemaError("The table has no column of images. Write it as a table: .csv or .parquet.")
        if self.path.suffix.lower() == ".npy" and len(self.columns) > 1:
            raise DataError("An .npy file holds one column of images; these are pairs. Write .npz.")
        if self.path.is_dir():
            raise DataError(f"{self.path} is a folder. Name a file in it.")
        if self.path.exists() and not force:
            raise DataError(f"{self.path} exists already. Choose another name, or overwrite it with --force.")
        if not self.path.parent.is_dir():
            raise DataError(f"There is no folder {self.path.parent}. Make it first, or choose another.")
        self.comment = "\n".join(f"{key}: {value}" for key, value in texts_of(how, origin=origin).items())
        self.by_split = _has_splits(like)
        self.n_rows = 0
        self._pixels: dict[str, list[Array]] = {column.name: [] for column in self.columns}
        self._labels: list[Dataset] = []

    def __enter__(self) -> Self:
        return self

    def append(self, data: Dataset) -> None:
        """Adds rows with their images.

        Raises
        ------
        SchemaError : the piece has other columns. DataError : a row has no image, or one of another size; the message names the row.
        """
        if data.columns.names != self.schema.only.names:
            raise SchemaError(f"Rows with other columns cannot be added to {self.path}. Give every piece the same schema.")
        for column in self.columns:
            images = data.table.images[column.name]
            form = column.image or ImageForm()
            for row in range(len(images)):
                where = f"Row {self.n_rows + row + 1}, column {column.name!r}"
                if not images.present[row]:
                    raise DataError(f"{where} has no image, and an array has no gaps. Write a folder of images.")
                self._add(column.name, stored_pixels(images.image(row), form, where), row)
        others = [name for name in data.columns.names if name not in self._pixels]
        self._labels.append(data.only(others))
        self.n_rows += len(data)

    def _add(self, name: str, pixels: Array, row: int) -> None:
        waiting = self._pixels[name]
        if waiting and waiting[0].shape != pixels.shape:
            raise DataError(
                f"The image of row {self.n_rows + row + 1} in {name!r} has the shape {pixels.shape}, those before {waiting[0].shape}. "
                "Bring them to one size first, or write a folder of images."
            )
        waiting.append(pixels)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            return
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        try:
            arrays = self._arrays()
            if self.path.suffix.lower() == ".npy":
                with beside.open("wb") as file:
                    np.lib.format.write_array(file, next(iter(arrays.values())), allow_pickle=False)
            else:
                self._write_archive(beside, arrays)
            os.replace(beside, self.path)
        finally:
            beside.unlink(missing_ok=True)

    def _arrays(self) -> dict[str, Array]:
        arrays = {}
        for column in self.columns:
            waiting = self._pixels[column.name]
            stacked = np.stack(waiting) if waiting else np.empty((0, 1, 1, 1), dtype=np.uint8)
            name = "images" if column.name == FILE else column.name
            arrays[name] = stacked[:, 0] if stacked.shape[1] == 1 else np.moveaxis(stacked, 1, -1)
        if not self._labels or not self._labels[0].columns.names:
            return arrays
        rows = concat(self._labels)
        for column in rows.columns:
            arrays[column.name] = label_array(rows, column)
        return self._split(arrays) if self.by_split and SPLIT in arrays else arrays

    def _split(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """MedMNIST's layout: arrays of each split, labels (n, 1)."""
        splits = arrays.pop(SPLIT)
        out = {}
        for part in PARTS:
            inside = splits == part
            for name, array in arrays.items():
                kept = array[inside]
                out[f"{part}_labels" if name == LABEL else f"{part}_{name}"] = kept[:, None] if name == LABEL else kept
        return out

    def _write_archive(self, path: Path, arrays: dict[str, Array]) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.comment = self.comment.encode()[:65_000]
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", MOMENT), "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def _has_splits(like: Any) -> bool:
    if like is None:
        return False
    if str(like) == "medmnist":
        return True
    try:
        with zipfile.ZipFile(like) as archive:
            return "train_images.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile, TypeError):
        return False


def stored_pixels(pixels: Array, form: ImageForm, where: str) -> Array:
    """Pixels in the narrowest type that holds the range of their column.

    Raises
    ------
    DataError : pixels without a number, or a value outside of the range's type.
    """
    if not np.isfinite(pixels).all():
        raise DataError(f"{where}: the image has pixels without a number (NaN). Replace them first.")
    if not form.is_whole:
        return np.asarray(pixels, dtype=np.float32)
    values = np.rint(pixels)
    for dtype in (np.uint8, np.uint16, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if bounds.min <= form.lowest and form.highest <= bounds.max:
            if values.size and (values.min() < bounds.min or values.max() > bounds.max):
                raise DataError(f"{where}: the image has values outside of the range in the schema. Correct `lowest` and `highest`.")
            return values.astype(dtype)
    return np.asarray(values, dtype=np.float64)


def label_array(rows: Dataset, column: Column) -> Array:
    """The cells of a column: whole numbers as int64, other numbers as float64 with NaN where there is none, all else as texts."""
    texts = column_texts(rows.table, column)
    numbers = pd.to_numeric(pd.Series(texts, dtype=object).replace("", None), errors="coerce").to_numpy(dtype=float)
    is_number = str(column.storage) in ("integer", "real") and bool((~np.isnan(numbers) | (texts == "")).all())
    if not is_number:
        return np.array(["" if text is None else str(text) for text in texts], dtype=np.str_) if len(texts) else np.empty(0, dtype="<U1")
    if str(column.storage) == "integer" and not np.isnan(numbers).any() and (np.abs(numbers) < 2**53).all():
        return numbers.astype(np.int64)
    return numbers
