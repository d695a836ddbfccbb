"""Writes images as a folder of PNG files (TIFF for numbers that PNG cannot hold) with labels.csv; whole or not at all.

A folder is built beside its place and renamed at the end. It may be written in pieces, in the memory of one image.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import ImageForm, Kind, Schema
from manikin.io.images.files import LABELS, OWN, PICTURES, ending, safe_name
from manikin.io.images.labels import FILE
from manikin.io.images.pillow import encode, pillow
from manikin.io.images.provenance import Origin, texts_of
from manikin.io.images.sources import Pixels
from manikin.io.publishing import beside, publish, refuse_replacing, refuse_taken
from manikin.io.tabular import TableWriter

MAX_NAME = 180  # characters of a file's path inside the folder


def write(
    data: Dataset,
    target: str | os.PathLike[str],
    *,
    like: Any = None,
    force: bool = False,
    how: str = "",
    origin: Origin = Origin.SYNTHETIC,
) -> Path:
    """Writes images and their labels as a folder: PNG of 8 bits, or of 16 for grey beyond 255; TIFF of float32 for other numbers.

    Parameters
    ----------
    like : taken and not needed: names and columns are those of the data. force : whether such a folder is replaced.
    how : how the images were made, in a sentence that each file keeps. origin : what each file says of whom it shows.

    Raises
    ------
    DataError : the folder is there and `force` is not set; volumes, or numbers that no picture holds.
    """
    with PictureWriter(target, data.schema, like=like, force=force, how=how, origin=origin) as writer:
        writer.append(data)
    return Path(target)


@dataclass
class Names:
    """The names of files in a folder, none of them twice: that of the image where it can be kept, else a number.

    Attributes
    ----------
    endings : of images, taken from a name before it gets its new one.
    """

    endings: tuple[str, ...]
    used: set[str] = field(default_factory=set)
    n: int = 0

    def of(self, cell: object, column: str, new_ending: str) -> str:
        """The name of the next image of a column."""
        self.n += 1
        name = safe_name(cell) if isinstance(cell, str) else None
        if name is not None and not any(part.startswith(".") for part in name.split("/")) and len(name) <= MAX_NAME:
            old = ending(name)
            name = (name[: -len(old)] if old in self.endings else name) + new_ending
            if self._is_free(name):
                return self._taken(name)
        folder = "images" if column == FILE else (safe_name(column) or "images")
        while not self._is_free(f"{folder}/{self.n:06d}{new_ending}"):
            self.n += 1
        return self._taken(f"{folder}/{self.n:06d}{new_ending}")

    def _is_free(self, name: str) -> bool:
        key = name.casefold()
        return key not in self.used and key not in OWN and not any(f"{key}/" == used[: len(key) + 1] for used in self._folders(key))

    def _folders(self, key: str) -> list[str]:
        """Names in use that would need a folder of this name, and the other way round."""
        inside = ["/".join(key.split("/")[:i]) for i in range(1, key.count("/") + 1)]
        return [f"{key}/"] if any(part in self.used for part in inside) or f"{key}/" in self.used else []

    def _taken(self, name: str) -> str:
        key = name.casefold()
        self.used.add(key)
        self.used.update("/".join(key.split("/")[:i]) + "/" for i in range(1, key.count("/") + 1))
        return name


class PictureWriter:
    """Writes a folder of images in pieces, a file for each; it appears when the last one is in, and not at all after an error.

    Another format of files is a subclass with its own `endings`, `package`, `check` and `stored`.

    Examples
    --------
    >>> with PictureWriter("synthetic", schema) as writer:  # doctest: +SKIP
    ...     for batch in model.sample_batches(10_000, seed=0):
    ...         writer.append(batch)
    """

    endings: ClassVar[tuple[str, ...]] = PICTURES
    package = staticmethod(pillow)  # refuses where what the format needs is not installed

    def __init__(
        self,
        folder: str | os.PathLike[str],
        schema: Schema,
        *,
        like: Any = None,  # noqa: ARG002 - all writers alike
        force: bool = False,
        how: str = "",
        origin: Origin = Origin.SYNTHETIC,
    ) -> None:
        self.package()
        self.folder = Path(folder)
        self.schema = schema
        self.columns = [column for column in schema.only if column.kind is Kind.IMAGE]
        if not self.columns:
            raise SchemaError("The table has no column of images. Write it as a table: .csv or .parquet.")
        for column in self.columns:
            self.check(column.image or ImageForm(), column.name)
        refuse_taken(self.folder, lambda path: path.name in OWN or ending(path.name) in self.endings, "images", force=force)
        self._how, self._texts = how, texts_of(how, origin=origin)
        self.texts = self._texts
        self._names = Names((*self.endings, *PICTURES))
        self._beside = beside(self.folder)
        self._open = ExitStack()
        self.n_rows = 0

    def __enter__(self) -> Self:
        self._beside.mkdir()
        self._labels = self._open.enter_context(TableWriter(self._beside / LABELS, self.schema))
        return self

    def append(self, data: Dataset, *, origin: Origin | None = None) -> None:
        """Adds rows with their images; `origin` is what the files of these alone say of whom they show.

        Raises
        ------
        SchemaError : the piece has other columns. DataError : an image cannot be written; the message names its row.
        """
        self.texts = self._texts if origin is None else texts_of(self._how, origin=origin)
        frame = data.table.frame.copy(deep=False)
        for column in self.columns:
            if column.name not in data.table.images:
                raise SchemaError(f"Rows without images in {column.name!r} cannot be added to {self.folder}. Give all pieces one schema.")
            frame[column.name] = pd.Series(self._written(data, column.name, column.image or ImageForm()), dtype=object)
        self._labels.append(Dataset({data.columns.name: Table(frame, data.table.marks)}, data.schema))
        self.n_rows += len(data)

    def _written(self, data: Dataset, name: str, form: ImageForm) -> list[str | None]:
        """Writes the images of a column, and gives the name of each one's file."""
        images, cells = data.table.images[name], data.table.frame[name].to_numpy(dtype=object)
        out: list[str | None] = []
        for row in range(len(images)):
            if not images.present[row]:
                out.append(None)
                continue
            new_ending, save = self.stored(images.image(row), form, f"Row {self.n_rows + row + 1}, column {name!r}")
            file = self._names.of(cells[row], name, new_ending)
            path = self._beside / file
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path)
            out.append(file)
        return out

    def check(self, form: ImageForm, name: str) -> None:
        """Refuses images that no file of the format holds, by what is known of all of them."""
        refuse_volumes(form, name)

    def stored(self, pixels: Pixels, form: ImageForm, where: str) -> tuple[str, Callable[[Path], None]]:
        """The ending of an image's file, and what writes it there.

        Raises
        ------
        DataError : the image does not fit the format; the message starts with `where`.
        """
        values, new_ending = storable(pixels, form, where)
        return new_ending, lambda path: encode(values, path, self.texts)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._open.__exit__(kind, error, trace)
            if kind is None:
                publish(self._beside, self.folder)
        finally:
            shutil.rmtree(self._beside, ignore_errors=True)


def refuse_place(folder: Path, *, force: bool) -> None:
    """Refuses a place that pictures would not be written to, before there are any; folders above it may be missing."""
    refuse_replacing(folder, lambda path: path.name in OWN or ending(path.name) in PICTURES, "images", force=force)


def refuse_volumes(form: ImageForm, name: str) -> None:
    """Refuses images that no picture holds, by what is known of all of them."""
    if form.size is not None and len(form.size) == 3:
        raise DataError(f"The column {name!r} holds volumes, which are no pictures. Write them as NIfTI (a folder of .nii.gz) or .npz.")


def storable(pixels: Pixels, form: ImageForm, where: str) -> tuple[Pixels, str]:
    """An image as a file can hold it, and the ending of that file.

    Parameters
    ----------
    form : says by its range and `is_whole` which of the kinds all images of the column are stored in.

    Raises
    ------
    DataError : a volume, a number of channels that is not 1 or 3, or a value outside of what the form allows.
    """
    if pixels.ndim != 3 or len(pixels) not in (1, 3):
        raise DataError(f"{where}: an image of the shape {tuple(pixels.shape)} is no picture of 1 or 3 channels. Write .npz or NIfTI.")
    if not np.isfinite(pixels).all():
        raise DataError(f"{where}: the image has pixels without a number (NaN). Replace them first.")
    values = np.rint(pixels) if form.is_whole else pixels
    top = 255 if form.highest <= 255 else 65_535
    if form.is_whole and form.lowest >= 0 and form.highest <= top and (top == 255 or len(pixels) == 1):
        if values.size and (values.min() < 0 or values.max() > top):
            raise DataError(f"{where}: the image has values outside of 0 to {top}. Correct `lowest` and `highest` in the schema.")
        return values.astype(np.uint8 if top == 255 else np.uint16), ".png"
    if len(pixels) != 1:
        raise DataError(f"{where}: colours beyond 0 to 255, or between whole numbers, have no picture format here. Write .npz.")
    return values.astype(np.float32), ".tiff"
