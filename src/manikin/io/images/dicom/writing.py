"""Writes images as DICOM files, a volume as a folder of slices, with labels.csv beside them; whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import ImageForm, Kind, Role, Schema
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

    Rows of one patient key are one patient with one study; each row is a series of its own.
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
        columns = [column for column in schema.only if column.kind is Kind.IMAGE]
        if len(columns) != 1:
            raise SchemaError(f"DICOM is written from one column of images; the table has {len(columns)}. Write a folder of pictures.")
        self.column = columns[0]
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
        name = self.column.name
        if data.columns.names != self.schema.only.names or name not in data.table.images:
            raise SchemaError(f"Rows with other columns cannot be added to {self.folder}. Give every piece the same schema.")
        images, cells = data.table.images[name], data.table.frame[name].to_numpy(dtype=object)
        texts = {column.name: column_texts(data.table, column) for column in data.columns if column.kind is not Kind.IMAGE}
        keys = [column.name for column in data.columns.with_role(Role.PATIENT_KEY)]
        out: list[str] = []
        for row in range(len(images)):
            where = f"Row {self.n_rows + row + 1}, column {name!r}"
            if not images.present[row]:
                raise DataError(f"{where} has no image. Leave the row out.")
            said = {key: str(values[row]) for key, values in texts.items() if values[row]}
            if keys:
                said[PATIENT] = said.get(keys[0], "")
            out.append(self._written(images.image(row), cells[row], said, self.n_rows + row + 1, where))
        frame = data.table.frame.copy(deep=False)
        frame[name] = pd.Series(out, dtype=object)
        self._labels.append(Dataset({data.columns.name: Table(frame, data.table.marks)}, data.schema))
        self.n_rows += len(data)

    def _written(self, pixels: Pixels, cell: object, said: dict[str, str], row: int, where: str) -> str:
        """Writes an image or the slices of a volume, and gives the name of the first file."""
        form = self.column.image or ImageForm()
        if pixels.ndim not in (3, 4) or len(pixels) not in (1, 3):
            raise DataError(f"{where}: an image of the shape {tuple(pixels.shape)} has neither 1 nor 3 channels. Write .npz.")
        seed = said.get(PATIENT) or hashlib.sha256(f"{row}\0".encode() + pixels.tobytes()).hexdigest()
        seed = f"{self.how}\0{seed}"
        volume = pixels if pixels.ndim == 4 else pixels[:, None]
        n = volume.shape[1]
        first = self._names.of(cell, "images", ".dcm" if n == 1 else "")
        spacing = form.spacing
        for i in range(n):
            file = first if n == 1 else f"{first}/{i + 1:05d}.dcm"
            place = Place(seed, row, i + 1, n, spacing)
            try:
                one = slice_of(volume[:, i], form, place, said, how=self.how, origin=self.origin)
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
