"""Writes images as DICOM files, a volume as a folder of slices, with labels.csv beside them; whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Column, ImageForm, Kind, Role, Schema
from manikin.io.images.dicom.files import dicom
from manikin.io.images.dicom.headers import PATIENT
from manikin.io.images.dicom.making import Place, slice_of
from manikin.io.images.dicom.modules import lacks
from manikin.io.images.files import LABELS, OWN, PICTURES, ending
from manikin.io.images.picture_writing import Names
from manikin.io.images.provenance import Origin
from manikin.io.images.recognition import DICOM
from manikin.io.images.sources import Pixels
from manikin.io.publishing import beside, publish, refuse_taken
from manikin.io.tabular import TableWriter


def write(
    data: Dataset,
    target: str | os.PathLike[str],
    *,
    like: Any = None,
    force: bool = False,
    how: str = "",
    origin: Origin = Origin.SYNTHETIC,
) -> Path:
    """Writes images as a folder of DICOM files: the SOP class of their modality, fresh UIDs, Synthetic Data (0008,001C) YES, no patient.

    Each file is read again as it was written: pydicom must accept it as a file of DICOM, and it must have what the modules of its SOP
    class ask for. Columns that are attributes of DICOM are in the files, all columns in labels.csv.

    Parameters
    ----------
    like : taken and not needed. force : whether such a folder is replaced. how : how the images were made, in a sentence that each file
        keeps. origin : what each file says of whom it shows.

    Raises
    ------
    DataError : the folder is there and `force` is not set, or an image cannot be stored; the message names its row.
    """
    with DicomWriter(target, data.schema, like=like, force=force, how=how, origin=origin) as writer:
        writer.append(data)
    return Path(target)


class DicomWriter:
    """Writes a folder of DICOM files in pieces of rows; it appears when the last one is in, and not at all after an error.

    Rows of one patient key are one patient with one study; each image is a series of its own, and the two of a pair share a frame of
    reference, as they show the same pixel by pixel.
    """

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
        dicom()
        self.folder = Path(folder)
        self.schema = schema
        self.columns = [column for column in schema.only if column.kind is Kind.IMAGE]
        if not self.columns:
            raise SchemaError("The table has no column of images. Write it as a table: .csv or .parquet.")
        refuse_taken(self.folder, lambda path: path.name in OWN or ending(path.name) in DICOM, "DICOM files", force=force)
        self.how, self.origin = how, origin
        self._names = Names((*DICOM, *PICTURES))
        self._beside = beside(self.folder)
        self._open = ExitStack()
        self.n_rows = 0

    def __enter__(self) -> Self:
        self._beside.mkdir()
        self._labels = self._open.enter_context(TableWriter(self._beside / LABELS, self.schema))
        return self

    def append(self, data: Dataset) -> None:
        """Adds rows with their images.

        Raises
        ------
        SchemaError : the piece has other columns. DataError : an image cannot be stored; the message names its row.
        """
        names = [column.name for column in self.columns]
        if data.columns.names != self.schema.only.names or not set(names) <= set(data.table.images):
            raise SchemaError(f"Rows with other columns cannot be added to {self.folder}. Give every piece the same schema.")
        texts = {column.name: column_texts(data.table, column) for column in data.columns if column.kind is not Kind.IMAGE}
        keys = [column.name for column in data.columns.with_role(Role.PATIENT_KEY)]
        out: dict[str, list[str | None]] = {name: [] for name in names}
        for row in range(len(data)):
            said = {key: str(values[row]) for key, values in texts.items() if values[row]}
            if keys:
                said[PATIENT] = said.get(keys[0], "")
            for name, file in zip(names, self._row(data, row, said), strict=True):
                out[name].append(file)
        frame = data.table.frame.copy(deep=False)
        for name, files in out.items():
            frame[name] = pd.Series(files, dtype=object)
        self._labels.append(Dataset({data.columns.name: Table(frame, data.table.marks)}, data.schema))
        self.n_rows += len(data)

    def _row(self, data: Dataset, row: int, said: dict[str, str]) -> list[str | None]:
        """Writes the images of a row, and gives the name of each one's first file; None where a pair lacks one."""
        number = self.n_rows + row + 1
        names = [column.name for column in self.columns]
        found = [data.table.images[name].image(row) if data.table.images[name].present[row] else None for name in names]
        given = [pixels for pixels in found if pixels is not None]
        if not given:
            where = f"Row {number}" if len(names) > 1 else f"Row {number}, column {names[0]!r}"
            raise DataError(f"{where} has no image. Leave the row out.")
        seed = said.get(PATIENT) or hashlib.sha256(f"{number}\0".encode() + given[0].tobytes()).hexdigest()
        out: list[str | None] = []
        for at, (column, pixels) in enumerate(zip(self.columns, found, strict=True)):
            if pixels is None:
                out.append(None)
                continue
            where, series = f"Row {number}, column {column.name!r}", (number - 1) * len(names) + at + 1
            own = Place(f"{self.how}\0{seed}", series, frame=number)
            out.append(self._written(pixels, column, data.table.frame[column.name].iloc[row], said, own, where))
        return out

    def _written(self, pixels: Pixels, column: Column, cell: object, said: dict[str, str], place: Place, where: str) -> str:
        """Writes an image or the slices of a volume, and gives the name of the first file."""
        form = column.image or ImageForm()
        if pixels.ndim not in (3, 4) or len(pixels) not in (1, 3):
            raise DataError(f"{where}: an image of the shape {tuple(pixels.shape)} has neither 1 nor 3 channels. Write .npz.")
        volume = pixels if pixels.ndim == 4 else pixels[:, None]
        n = volume.shape[1]
        first = self._names.of(cell, "images" if len(self.columns) == 1 else column.name, ".dcm" if n == 1 else "")
        for i in range(n):
            file = first if n == 1 else f"{first}/{i + 1:05d}.dcm"
            own = replace(place, number=i + 1, n=n, spacing=form.spacing)
            try:
                one = slice_of(volume[:, i], form, own, said, how=self.how, origin=self.origin)
            except DataError as error:
                raise DataError(f"{where}: {error}.") from None
            path = self._beside / file
            path.parent.mkdir(parents=True, exist_ok=True)
            self._saved(one, path, where)
        return first if n == 1 else f"{first}/{1:05d}.dcm"

    def _saved(self, one: Any, path: Path, where: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.save_as(path, enforce_file_format=True)
            problems = lacks(dicom().dcmread(path))
        if problems:
            raise DataError(f"{where} would be no valid DICOM: {'; '.join(problems)}. Give the column's `modality` in the schema.")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._open.__exit__(kind, error, trace)
            if kind is None:
                publish(self._beside, self.folder)
        finally:
            shutil.rmtree(self._beside, ignore_errors=True)
